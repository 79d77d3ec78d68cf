"""IDX files, and the folders of them that the MNIST family comes in."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from ..files import LARGEST, entries, open_regular
from ..npy import ArrayFileError, check_packed, read_array, reason
from .dataset import DataError, Dataset
from .scaled import dataset

IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MNIST = {"train": "train", "test": "t10k"}


def load_idx(path: str | Path) -> np.ndarray:
    """The array of an IDX file, plain or gzip (LeCun's MNIST format: magic 0 0 dtype ndim, big-endian sizes, data).

    Raises DataError, with path and reason, for another file or one that is cut short.

    >>> with open("labels-idx1-ubyte", "wb") as file:  # magic 0 0 8 (bytes) 1 (dimension), size 3, data
    ...     written = file.write(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    >>> ac.data.load_idx("labels-idx1-ubyte")
    array([7, 8, 9], dtype=uint8)
    """
    path = Path(path)
    try:
        with open_regular(path) as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            size = raw.seek(0, 2)
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) if packed else raw as stream:
                return _read_idx(stream, path, size if packed else None)  # type: ignore[arg-type]
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a readable IDX file: {reason(error)}") from None
    except ArrayFileError as error:
        raise DataError(str(error)) from None


def mnist_file(folder: Path, pattern: str) -> Path | None:
    try:
        return next((p for p in entries(folder) if p.match(pattern) and "ubyte" in p.name), None)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {reason(error)}") from None


def load_mnist(folder: Path, split: str | None) -> Dataset:
    parts = []
    for name in [split] if split else list(MNIST):
        images, labels = (mnist_file(folder, f"{MNIST[name]}-{what}*") for what in ("images", "labels"))
        if images is None or labels is None:
            raise DataError(
                f"{folder}: needs {MNIST[name]}-images-idx3-ubyte and {MNIST[name]}-labels-idx1-ubyte (or .gz)"
            )
        parts.append(dataset(images, load_idx(images), load_idx(labels)))
    return Dataset(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]))


def _read_idx(stream: IO[bytes], path: Path, packed: int | None) -> np.ndarray:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_DTYPES or not 1 <= head[3] <= 8:
        raise DataError(
            f"{path}: not an IDX file: it begins with {head.hex(' ') or 'nothing'}, not 00 00, "
            "a dtype code and 1 to 8 dimensions"
        )
    sizes = stream.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise DataError(f"{path}: truncated: the file ends inside its header")
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    dtype = np.dtype(IDX_DTYPES[head[2]])
    if packed is not None and prod(shape) * dtype.itemsize <= LARGEST:  # a larger claim is refused as such
        check_packed(path, packed, prod(shape) * dtype.itemsize)
    array = read_array(stream, dtype, shape, path)
    return array.astype(array.dtype.newbyteorder("="))
