"""The tensors of a .safetensors file, read by its own description: a length, a JSON header, the numbers.

The package safetensors refuses bfloat16 without torch; here it becomes float32.  Sizes and places in the header are
compared with the file before memory is taken, and no two tensors may share bytes.
"""

from __future__ import annotations

import json
import os
from itertools import pairwise
from math import prod
from typing import IO, Any

import numpy as np

from ..files import LARGEST, open_regular
from .torch_file import MOST_DIMENSIONS, WeightsError, bfloat16

LARGEST_HEADER = 2**26
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "b1",
}  # fmt: skip


def load(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Name -> array.  Raises WeightsError for anything that is not a whole safetensors file of numbers."""
    try:
        with open_regular(path, LARGEST) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                length, header = header_of(beginning(file), size)
            except ValueError as error:
                raise WeightsError(f"{path}: not a safetensors file, or truncated: {error}") from None
            header.pop("__metadata__", None)
            data = size - 8 - length
            places = {name: _place(path, name, entry, data) for name, entry in header.items()}
            spans = sorted((begin, end) for begin, end, _, _ in places.values() if end > begin)
            if any(end > begin for (_, end), (begin, _) in pairwise(spans)):
                raise WeightsError(f"{path}: damaged: two tensors share bytes")
            arrays = {}
            for name, (begin, end, kind, shape) in places.items():
                file.seek(8 + length + begin)
                raw = file.read(end - begin)
                if len(raw) != end - begin:
                    raise WeightsError(f"{path}: truncated: {name} is not whole")
                dtype = np.dtype(DTYPES[kind])
                flat = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))
                arrays[name] = (bfloat16(flat) if kind == "BF16" else flat).reshape(shape)
            return arrays
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from None


def beginning(file: IO[bytes]) -> bytes:
    """The bytes of an open file up to its data: the header's length, and as much of the header as may be read."""
    begin = file.read(8)
    return begin + file.read(min(int.from_bytes(begin, "little"), LARGEST_HEADER))


def header_of(begin: bytes, size: int) -> tuple[int, dict[str, Any]]:
    """(bytes of the header, its JSON with "__metadata__") of a file of ``size`` bytes that begins with ``begin``.

    Raises ValueError for a header that is not complete, or no JSON object.

    >>> from autoconv.weights.safetensors_file import header_of
    >>> header_of(b"\\x02\\0\\0\\0\\0\\0\\0\\0{}", 10)
    (2, {})
    """
    length = int.from_bytes(begin[:8], "little")
    if size < 8 or length > min(size - 8, len(begin) - 8) or begin[8:9] != b"{":
        raise ValueError(f"{size:,} bytes without a complete safetensors header")
    try:
        return length, dict(json.loads(begin[8 : 8 + length]))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"its header cannot be read: {error}") from None


def _place(path: Any, name: str, entry: Any, data: int) -> tuple[int, int, str, tuple[int, ...]]:
    """(begin, end, dtype, shape) of a tensor, which must fit each other and the file."""
    try:
        kind, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        whole = all(type(n) is int and 0 <= n < 2**62 for n in (*shape, begin, end)) and len(shape) <= MOST_DIMENSIONS
    except (LookupError, TypeError, ValueError):
        raise WeightsError(f"{path}: damaged: the header's entry for {name} cannot be read") from None
    if kind not in DTYPES:
        raise WeightsError(f"{path}: {name} has dtype {kind}, which NumPy does not have; convert it to F32 or BF16")
    if not whole or not begin <= end <= data or end - begin != prod(shape) * np.dtype(DTYPES[kind]).itemsize:
        raise WeightsError(f"{path}: damaged, or truncated: the header's sizes for {name} do not fit the file")
    return begin, end, kind, shape
