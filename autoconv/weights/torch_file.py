"""The .pt and .pth files of ``torch.save``, without torch: a zip archive of a pickle and of the tensors' storages.

What ``torch.load(path, weights_only=True)`` reads of plain data and tensors is read; nothing is executed.  Storages lie
unpacked in the archive, so a file cannot swell; every size, offset and stride is compared with what is there.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from math import prod
from typing import IO, Any, Literal, NamedTuple

import numpy as np

from ..files import LARGEST, open_regular
from ..npy import BOMB, reason
from .unpickling import UnpicklingError, unpickled

LARGEST_PICKLE = 2**26
MOST_DIMENSIONS = 32
BFLOAT16 = "bfloat16"  # NumPy has none: read as float32, which holds each of its numbers
DTYPES = {
    "float64": "f8", "float32": "f4", "float16": "f2", BFLOAT16: "u2", "int64": "i8", "int32": "i4", "int16": "i2",
    "int8": "i1", "uint8": "u1", "bool": "b1",
}  # fmt: skip
_STORAGES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": BFLOAT16, "Long": "int64", "Int": "int32",
    "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
}  # fmt: skip
_LEGACY = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number that pickles before PyTorch 1.6 begin with


class WeightsError(ValueError):
    """A weights file that cannot be read; the text has its path and the reason."""


class _Dtype(NamedTuple):
    """What a file's ``torch.FloatStorage`` or ``torch.float32`` stands for."""

    name: str


class _Storage(NamedTuple):
    dtype: _Dtype
    key: str
    length: int


class _View(NamedTuple):
    """A tensor: which elements of a storage, before they are looked at."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def bfloat16(raw: np.ndarray) -> np.ndarray:
    """The numbers whose upper halves these 16-bit words are."""
    return (raw.astype(np.uint32) << 16).view(np.float32)


def load(path: str | os.PathLike[str]) -> Any:
    """What ``torch.save`` wrote, with NumPy arrays for tensors: dicts, lists, numbers and text as they are.

    Raises WeightsError for files of another kind, damaged ones, and those that hold more than data.
    """
    try:
        with open_regular(path, LARGEST) as file:
            begin = file.read(40)
            if _LEGACY in begin:
                raise WeightsError(
                    f"{path}: is in the format of PyTorch before 1.6, which is not read; load it with torch and save "
                    f"it "
                    "again, torch.save(torch.load(path, weights_only=True), path)"
                )
            if begin[:2] != b"PK":
                raise WeightsError(f"{path}: not a weights file: neither a zip archive of torch.save nor safetensors")
            size = os.fstat(file.fileno()).st_size
            return _archive(path, file, size)
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnpicklingError as error:
        raise WeightsError(f"{path}: {error}") from None
    except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, LookupError, NotImplementedError) as error:
        raise WeightsError(f"{path}: damaged, or truncated: {reason(error)}") from None


def _archive(path: str | os.PathLike[str], file: IO[bytes], size: int) -> Any:
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        pickles = [
            name for name in members if name == "data.pkl" or (name.count("/") == 1 and name.endswith("/data.pkl"))
        ]
        if len(pickles) != 1:
            raise WeightsError(f"{path}: a zip archive, but not one of torch.save (no data.pkl in it)")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}constants.pkl" in members:
            raise WeightsError(f"{path}: holds a TorchScript program; save model.state_dict() instead")

        def member(name: str, most: int) -> bytes:
            info = members.get(root + name)
            if info is None:
                raise WeightsError(f"{path}: damaged: {root + name} is missing")
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > min(most, size):
                raise WeightsError(f"{path}: {info.filename} is packed, or too large, as torch.save never writes it")
            return archive.read(info)

        order = member("byteorder", 16) if f"{root}byteorder" in members else b"little"
        if order not in (b"little", b"big"):
            raise WeightsError(f"{path}: damaged: its byte order is {order!r}")
        data = unpickled(member("data.pkl", LARGEST_PICKLE), _NAMES, _storage, _REFUSAL)
        reader = _Reader(path, lambda key: member(f"data/{key}", LARGEST), "<" if order == b"little" else ">", size)
        return reader.filled(data)


# ---- what stands for the names in a pickle; the arguments are the file's


def _storage(given: Any) -> _Storage:
    kind, dtype, key, _, count = given
    if kind != "storage" or not isinstance(dtype, _Dtype) or not isinstance(key, str) or not _count(count):
        raise UnpicklingError("the pickle is damaged: a storage is described in another way than torch does")
    return _Storage(dtype, key, count)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _View:
    fits = isinstance(storage, _Storage) and _count(offset) and isinstance(size, tuple) and isinstance(stride, tuple)
    if not fits or len(size) != len(stride) or len(size) > MOST_DIMENSIONS or not all(map(_count, (*size, *stride))):
        raise UnpicklingError("the pickle is damaged: a tensor is described in another way than torch does")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and last >= storage.length:
        raise UnpicklingError(
            f"the pickle is damaged: a tensor of shape {size} with strides {stride} from {offset} on reaches beyond "
            f"its "
            f"{storage.length:,} stored elements"
        )
    return _View(storage, offset, size, stride)


def _count(x: Any) -> bool:
    return type(x) is int and 0 <= x < 2**62


def _parameter(view: Any, *_: Any) -> Any:
    return view


def _ordered(items: Any = ()) -> dict[Any, Any]:
    return dict(items)


def _size(items: Any = ()) -> tuple[Any, ...]:
    return tuple(items)


def _device(*text: Any) -> str:
    return ":".join(map(str, text))


_REFUSAL = (
    "which is neither a tensor nor plain data, and is not executed; save model.state_dict() instead, as in "
    "torch.save(model.state_dict(), path)"
)
_NAMES: dict[str, Callable[..., Any] | _Dtype] = {
    "collections OrderedDict": _ordered,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
    "torch Size": _size,
    "torch device": _device,
    **{f"torch {kind}Storage": _Dtype(dtype) for kind, dtype in _STORAGES.items()},
    **{f"torch {dtype}": _Dtype(dtype) for dtype in DTYPES},
}


class _Reader:
    """Views made arrays; a storage that several share is read once, and their bytes are counted together."""

    def __init__(self, path: Any, member: Callable[[str], bytes], order: Literal["<", ">"], size: int) -> None:
        self.path, self.member, self.order = path, member, order
        self.storages: dict[str, tuple[_Storage, np.ndarray]] = {}
        self.left = BOMB + 4 * size
        self.done: dict[int, Any] = {}  # what stands in several places is gone through once

    def filled(self, data: Any) -> Any:
        """The same data with arrays for views."""
        if id(data) not in self.done:
            self.done[id(data)] = self._filled(data)
        return self.done[id(data)]

    def _filled(self, data: Any) -> Any:
        if isinstance(data, _View):
            return self.array(data)
        if isinstance(data, dict):
            return {key: self.filled(value) for key, value in data.items()}
        if type(data) in (list, tuple):
            return type(data)([self.filled(value) for value in data])
        return data.name if isinstance(data, _Dtype) else data

    def array(self, view: _View) -> np.ndarray:
        if view.storage.key not in self.storages:
            self.storages[view.storage.key] = view.storage, self.read(view.storage)
        known, flat = self.storages[view.storage.key]
        if known != view.storage:
            raise WeightsError(f"{self.path}: damaged: storage {known.key} is described in two ways")
        name = view.storage.dtype.name
        self.left -= prod(view.size) * (4 if name == BFLOAT16 else flat.itemsize)
        if self.left < 0:
            raise WeightsError(f"{self.path}: its tensors would take many times the memory of the file")
        if 0 in view.size:
            part = np.zeros(view.size, flat.dtype)
        else:
            strides = tuple(step * flat.itemsize for step in view.stride)
            part = np.lib.stride_tricks.as_strided(flat[view.offset :], view.size, strides).copy()
        return bfloat16(part) if name == BFLOAT16 else part

    def read(self, storage: _Storage) -> np.ndarray:
        dtype = np.dtype(DTYPES[storage.dtype.name]).newbyteorder(self.order)
        raw = self.member(storage.key)
        if len(raw) != storage.length * dtype.itemsize:
            raise WeightsError(
                f"{self.path}: damaged: storage {storage.key} has {len(raw):,} bytes, {storage.length:,} elements of "
                f"{storage.dtype.name} need {storage.length * dtype.itemsize:,}"
            )
        flat = np.frombuffer(raw, dtype)
        return flat.astype(dtype.newbyteorder("="), copy=False)
