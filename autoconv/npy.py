"""Arrays of numbers in .npy and .npz files from elsewhere: sizes are read, and judged, before memory is taken.

Nothing is unpickled.  What a header claims is compared with what is there: memory grows with what is read.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from .files import LARGEST, open_regular

CHUNK = 2**20
BOMB = 256 * 2**20  # bytes up to which it does not matter how tightly they were packed
RATIO = 100  # bytes that one packed byte may stand for beyond that; images stay far below it
MOST_MEMBERS = 10_000  # of a .npz file
NUMBERS = "fiub"  # the kinds of dtypes that hold numbers
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class ArrayFileError(ValueError):
    """A file that does not hold arrays of numbers, or too many of them; the text has its path and the reason."""


def load(path: str | os.PathLike[str], most: int = LARGEST) -> np.ndarray | dict[str, np.ndarray]:
    """The array of a .npy file, or the arrays of a .npz file by name (told apart by what the file begins with).

    Raises ArrayFileError for anything else, and for more than ``most`` bytes of data, before they are read.
    """
    try:
        with open_regular(path) as stream:
            begin = stream.read(4)
            stream.seek(0)
            if begin[:2] == b"PK":
                return members(stream, path, most=most)
            return read_npy(stream, path, most=most)
    except OSError as error:
        raise ArrayFileError(f"{path}: cannot be read: {error.strerror or error}") from None


def members(
    file: IO[bytes],
    path: str | os.PathLike[str],
    names: tuple[str, ...] = (),
    most: int = LARGEST,
    kinds: str = NUMBERS,
) -> dict[str, np.ndarray]:
    """The arrays of a .npz file by name: those of ``names``, or all; ArrayFileError if one is missing or unreadable.

    kinds: the kinds of dtypes that are read, "U" for texts among them.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            infos = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if not set(names) <= set(infos) or not infos:
                needed, found = " and ".join(names) or "at least one array", ", ".join(list(infos)[:20]) or "none"
                raise ArrayFileError(f"{path}: needs the arrays {needed}, found {found}")
            wanted = {name: infos[name] for name in names or infos}
            if len(wanted) > MOST_MEMBERS:
                raise ArrayFileError(f"{path}: holds {len(wanted):,} arrays; more than {MOST_MEMBERS:,} are not read")
            arrays = {}
            for name, info in wanted.items():
                arrays[name] = _member(archive, info, path, most, kinds)
                most -= arrays[name].nbytes
            return arrays
    except ArrayFileError:
        raise
    except (
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        RuntimeError,
        ValueError,
        LookupError,
    ) as error:
        raise ArrayFileError(f"{path}: not a readable .npz file: {reason(error)}") from None


def read_npy(
    stream: IO[bytes], path: str | os.PathLike[str], member: str = "", most: int = LARGEST, kinds: str = NUMBERS
) -> np.ndarray:
    """The array of an open .npy file (or ``member`` of a .npz), which must end where its header says."""
    where = f"{path}: {member or 'it'}"
    try:
        shape, fortran, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # NumPy's parser raises errors of several kinds, and other ones in other versions
        raise ArrayFileError(f"{where} has no readable .npy header: {reason(error)}") from None
    if dtype.hasobject:
        raise ArrayFileError(f"{where} holds Python objects, which are not read; save arrays of numbers")
    if dtype.kind not in kinds or not dtype.itemsize:
        raise ArrayFileError(f"{where} has dtype {dtype}; arrays must be numbers")
    array = read_array(stream, dtype, shape[::-1] if fortran else shape, path, most)
    return array.T if fortran else array


def read_array(
    stream: IO[bytes], dtype: np.dtype, shape: tuple[int, ...], path: str | os.PathLike[str], most: int = LARGEST
) -> np.ndarray:
    """The rest of the stream as an array: memory grows with what is read, never with what the header claims."""
    if len(shape) > 32 or not all(0 <= n < 2**62 for n in shape):
        raise ArrayFileError(f"{path}: the header claims shape {shape}, which no array has")
    need, data = prod(shape) * dtype.itemsize, bytearray()
    if need > most or prod(n for n in shape if n) * dtype.itemsize > max(most, LARGEST):
        raise ArrayFileError(
            f"{path}: the header claims shape {shape}, {need:,} bytes; more than {most:,} are not read"
        )
    while len(data) <= need and (chunk := stream.read(min(CHUNK, need + 1 - len(data)))):
        data += chunk
    if len(data) != need:
        found = "more" if len(data) > need else f"only {len(data):,}"
        raise ArrayFileError(
            f"{path}: the header claims shape {shape} of {dtype}, {need:,} bytes of data, but there are {found}"
        )
    return np.frombuffer(data, dtype).reshape(shape)


def check_packed(path: str | os.PathLike[str], packed: int, unpacked: int) -> None:
    """ArrayFileError for a packed file that would swell beyond all measure, as one made to fill the memory does."""
    if unpacked > max(BOMB, RATIO * packed):
        raise ArrayFileError(
            f"{path}: {packed:,} bytes unpack to {unpacked:,}, more than {RATIO} times as many; "
            "if that is right, store it unpacked"
        )


def reason(error: BaseException) -> str:
    """An error in words, without its number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str | os.PathLike[str], most: int, kinds: str
) -> np.ndarray:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others take memory before they give any
        raise ArrayFileError(f"{path}: {info.filename} is packed in a way that numpy.savez does not use")
    check_packed(Path(path) / info.filename, info.compress_size, info.file_size)
    with archive.open(info) as stream:
        return read_npy(stream, path, info.filename, most, kinds)
