"""The arrays of an ONNX file.  What it says of sizes is compared with what is there before any memory is taken."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from ...files import open_regular
from ...tape import Array
from .operators.known import dtype_of

_EXTERNAL = 1  # TensorProto.DataLocation
_MOST_AXES = 32
# where numbers stand that are not raw bytes; half-precision numbers stand as bits
_FIELDS = {1: "float_data", 11: "double_data", 7: "int64_data", 12: "uint64_data", 13: "uint64_data"}


class Tensors:
    """Reads the TensorProtos of one file; ``folder`` is where their external data lie."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def array(self, tensor: Any, what: str) -> Array:
        """A TensorProto as an array.

        Raises ValueError for a dtype without arithmetic, sizes that do not fit the data, and external data outside
        the file's folder; OSError for files that are not there or not regular.
        """
        what = f"{what}: tensor {tensor.name!r}"
        try:
            dtype = dtype_of(tensor.data_type)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
        shape = tuple(tensor.dims)
        if len(shape) > _MOST_AXES or any(n < 0 for n in shape):
            raise ValueError(f"{what} has the sizes {shape[:8]}; up to {_MOST_AXES} that are not negative are possible")
        if tensor.HasField("segment"):
            raise ValueError(f"{what} is stored in segments, which nothing writes any more; save the model anew")
        count = math.prod(shape)
        external = tensor.data_location == _EXTERNAL
        if external or tensor.HasField("raw_data"):
            stored = np.dtype(np.uint8) if dtype == bool else dtype.newbyteorder("<")
            content = self._external(tensor, count * stored.itemsize, what) if external else tensor.raw_data
            _check(len(content), count * stored.itemsize, "bytes", shape, what)
            flat = np.frombuffer(content, stored)
            flat = flat != 0 if dtype == bool else flat.astype(dtype)
        else:
            field = getattr(tensor, _FIELDS.get(tensor.data_type, "int32_data"))
            _check(len(field), count, "numbers", shape, what)
            flat = _typed(np.array(field), dtype, what)
        return flat.reshape(shape)

    def _external(self, tensor: Any, size: int, what: str) -> bytes:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        path = self._inside(entries.get("location", ""), what)
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        except ValueError:
            raise ValueError(f"{what}: its external data have an offset or length that is no number") from None
        with open_regular(path) as file:
            there = os.fstat(file.fileno()).st_size
            if offset < 0 or length != size or offset + length > there:
                raise ValueError(
                    f"{what} of {size:,} bytes: {length:,} bytes at {offset:,} of {path.name}, which has {there:,}"
                )
            file.seek(offset)
            return file.read(length)

    def _inside(self, location: str, what: str) -> Path:
        """The file of external data, which has to lie in the model's folder, or below it."""
        parts = PurePosixPath(location).parts
        outside = PurePosixPath(location).is_absolute() or PureWindowsPath(location).drive or "\0" in location
        if not parts or outside or ".." in parts or "\\" in location:
            raise ValueError(f"{what}: external data at {location!r}; only files below the model's folder are read")
        path = self.folder.joinpath(*parts)
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.folder)):
            raise ValueError(f"{what}: external data at {location!r}, which is a link out of the model's folder")
        return path


def _check(there: int, needed: int, unit: str, shape: tuple[int, ...], what: str) -> None:
    if there != needed:
        raise ValueError(f"{what} has the sizes {shape}, {needed:,} {unit}, but {there:,} are there")


def _typed(values: Array, dtype: Any, what: str) -> Array:
    """Numbers that stand in a wider field."""
    if not values.size:
        return np.zeros(0, dtype)
    if dtype == np.float16:
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError(f"{what}: float16 numbers are stored as 16 bits, found {values.min()} .. {values.max()}")
        return values.astype(np.uint16).view(np.float16)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if int(values.min()) < limits.min or int(values.max()) > limits.max:
            raise ValueError(f"{what}: {values.min()} .. {values.max()} are beyond the range of {dtype}")
    return values != 0 if dtype == bool else values.astype(dtype)
