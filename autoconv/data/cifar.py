"""CIFAR-10 and CIFAR-100: the binary files, and the pickles of the Python version, of which nothing is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..files import read_regular
from ..npy import reason
from ..weights.unpickling import Built, UnpicklingError, unpickled
from .dataset import DataError, Dataset
from .scaled import scaled

SIDE, PIXELS = 32, 3 * 32 * 32
MOST = 2**29  # bytes of one file
# folder's files: (training, test), for the binary and the Python version
CIFAR10 = ([f"data_batch_{i}" for i in range(1, 6)], ["test_batch"])
CIFAR100 = (["train"], ["test"])


def is_cifar(folder: Path) -> bool:
    """Whether a folder holds the files of CIFAR-10 or CIFAR-100."""
    return any((folder / f"{first}{end}").is_file() for first in ("data_batch_1", "train") for end in ("", ".bin"))


def load_cifar(folder: str | Path, split: str | None = None) -> Dataset:
    """The images of a CIFAR folder: x float32 (N, 32, 32, 3) in 0 .. 1, y int64 (the fine labels of CIFAR-100).

    folder: as the archives unpack: cifar-10-batches-bin, cifar-10-batches-py, cifar-100-binary or cifar-100-python.
    split: "train", "test" or None for both.  Raises DataError, with path and reason, for other files.

    >>> ac.data.load_cifar("missing")
    Traceback (most recent call last):
        ...
    autoconv.data.dataset.DataError: missing: ...
    """
    folder = Path(folder)
    ten = any((folder / f"data_batch_1{end}").is_file() for end in ("", ".bin"))
    train, test = CIFAR10 if ten else CIFAR100
    parts = [p for name, files in (("train", train), ("test", test)) if split in (None, name) for p in files]
    found = [path for name in parts for end in (".bin", "") if (path := folder / f"{name}{end}").is_file()]
    if len(found) != len(parts):
        raise DataError(f"{folder}: needs {', '.join(parts)} (or the same with .bin); found {len(found)} of them")
    pairs = [_binary(p, ten) if p.suffix == ".bin" else _pickled(p) for p in found]
    pixels = np.concatenate([x for x, _ in pairs])
    return Dataset(scaled(pixels).transpose(0, 2, 3, 1).copy(), np.concatenate([y for _, y in pairs]), _classes(folder))


def _binary(path: Path, ten: bool) -> tuple[np.ndarray, np.ndarray]:
    """Records of a label (two, coarse and fine, in CIFAR-100) and 3072 bytes: red, green and blue, row by row."""
    content = np.frombuffer(_bytes(path), np.uint8)
    labels = 1 if ten else 2
    if not content.size or content.size % (labels + PIXELS):
        raise DataError(f"{path}: has {content.size:,} bytes, not records of {labels + PIXELS:,}")
    records = content.reshape(-1, labels + PIXELS)
    return records[:, labels:].reshape(-1, 3, SIDE, SIDE), records[:, labels - 1].astype(np.int64)


def _pickled(path: Path) -> tuple[np.ndarray, np.ndarray]:
    made = plain_pickle(_bytes(path), path)
    entries = made.items() if isinstance(made, dict) else ()
    table = {k.decode("latin1") if isinstance(k, bytes) else k: v for k, v in entries}
    x, y = table.get("data"), table.get("labels", table.get("fine_labels"))
    right = isinstance(x, np.ndarray) and x.dtype == np.uint8 and x.ndim == 2 and x.shape[1] == PIXELS
    if not right or not isinstance(y, list):
        raise DataError(
            f"{path}: holds no 'data' of shape (N, {PIXELS:,}) and 'labels'; found {', '.join(map(repr, table))}"
        )
    assert x is not None
    if len(y) != len(x) or not all(isinstance(n, int) for n in y):
        raise DataError(f"{path}: has {len(x):,} images and {len(y):,} labels; each needs a whole number")
    return x.reshape(-1, 3, SIDE, SIDE), np.array(y, np.int64)


def _classes(folder: Path) -> tuple[str, ...] | None:
    """The names of the classes, where the folder has them."""
    for name in ("batches.meta.txt", "fine_label_names.txt"):
        if (folder / name).is_file():
            return tuple(_bytes(folder / name).decode("utf-8", "replace").split())
    for name, key in (("batches.meta", "label_names"), ("meta", "fine_label_names")):
        if (folder / name).is_file():
            made = plain_pickle(_bytes(folder / name), folder / name)
            names = made.get(key, made.get(key.encode())) if isinstance(made, dict) else None
            if isinstance(names, list):
                return tuple(n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in names)
    return None


def _bytes(path: Path) -> bytes:
    try:
        return read_regular(path, MOST)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason(error)}") from None


# ---- a pickle of arrays and plain things


_PLAIN = ("u1", "|u1", *(f"{order}{kind}" for order in ("", "<") for kind in ("i4", "i8", "f4", "f8")))


class _Array(Built):
    """Stands for a NumPy array while its state is read; nothing of NumPy's is called on a pickle's word."""

    def __init__(self, *_: Any) -> None:
        self.array: np.ndarray | None = None

    def built(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or dtype.text not in _PLAIN:
            raise UnpicklingError("arrays must be of bytes, int32, int64 or floating-point numbers")
        data = data.encode("latin1") if isinstance(data, str) else data
        made = np.frombuffer(data, dtype.text)
        self.array = made.reshape(shape, order="F" if fortran else "C")


class _Dtype(Built):
    def __init__(self, text: Any, *_: Any) -> None:
        self.text = text if isinstance(text, str) else text.decode("latin1") if isinstance(text, bytes) else ""

    def built(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in (">", b">"):
            raise UnpicklingError("arrays must be little-endian")


def _encoded(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise UnpicklingError("bytes must be latin1")
    return text.encode("latin1")


_KNOWN = {
    **{f"numpy.{core}.multiarray _reconstruct": _Array for core in ("core", "_core")},
    "numpy ndarray": "an argument of _reconstruct",
    "numpy dtype": _Dtype,
    "_codecs encode": _encoded,
    "__builtin__ bytes": lambda *_: b"",  # how the first protocols write bytes that are empty
}


def _outside(_: Any) -> Any:
    raise UnpicklingError("it refers to things outside the file")


def plain_pickle(content: bytes, path: str | Path) -> Any:
    """What a pickle of lists, dicts, numbers, texts and NumPy arrays holds; DataError for one that asks for more."""
    try:
        return _arrays(unpickled(content, _KNOWN, _outside, "which is no array, and is not executed"))
    except UnpicklingError as error:
        raise DataError(f"{path}: not a pickle of arrays and plain things: {error}") from None


def _arrays(x: Any, depth: int = 0) -> Any:
    if depth > 20:
        raise UnpicklingError("it is nested too deeply")
    if isinstance(x, _Array):
        return x.array
    if isinstance(x, dict):
        return {k: _arrays(v, depth + 1) for k, v in x.items()}
    if isinstance(x, list | tuple):
        return type(x)(_arrays(v, depth + 1) for v in x)
    return x
