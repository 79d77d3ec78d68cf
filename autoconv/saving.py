"""``ac.save`` and ``ac.load``: state dicts and other plain data in a file, under PyTorch's names, without pickles.

The file is a safetensors file whatever its name ends in: arrays by their names where a dict of arrays is saved (so any
reader of that format reads it), and for nested data a description of the nesting in the metadata.  ``load`` also reads
what ``torch.save`` wrote, without torch.  Nothing in a file is executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .files import open_regular, read_regular, replace_file
from .nn.module import Module
from .npy import load as load_npz
from .operands import PYTHONS, found
from .tape import Tensor, tensor
from .weights import safetensors_file, torch_file
from .weights.torch_file import WeightsError

_TREE = "autoconv.tree"
_NAMES = {np.dtype(kind): name for name, kind in safetensors_file.DTYPES.items() if name != "BF16"}
DEEPEST = 100  # lists and dicts inside each other


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write arrays, Tensors, numbers, text, and lists, tuples and dicts of them.

    As in ``save(model.state_dict(), "net.pt")``.  The file is complete or not there.  Raises TypeError for anything
    else (a Module: save its ``state_dict()``; a whole run with optimiser and epoch is ``ac.checkpoint.save``), OSError
    if it cannot be written.

    >>> model = nn.Linear(2, 1, rng=0)
    >>> ac.save(model.state_dict(), "net.safetensors")
    >>> sorted(ac.load("net.safetensors"))
    ['bias', 'weight']
    """
    arrays: dict[str, np.ndarray] = {}
    flat = isinstance(obj, Mapping) and all(type(k) is str and isinstance(v, np.ndarray) for k, v in obj.items())
    metadata = {"format": "autoconv"}
    if flat and "__metadata__" not in obj:
        for k, v in obj.items():
            arrays[k] = _storable(v, k)
    else:
        metadata[_TREE] = json.dumps(_packed(obj, arrays, "obj", 0))
    replace_file(path, _content(arrays, metadata))


def _storable(array: np.ndarray, where: str) -> np.ndarray:
    value = np.asarray(array, order="C")
    value = value.astype(value.dtype.newbyteorder("<"), copy=False)
    if value.dtype not in _NAMES:
        raise TypeError(f"save: {where} has dtype {value.dtype}; a file holds {', '.join(map(str, _NAMES))}")
    return value


def _packed(x: Any, arrays: dict[str, np.ndarray], where: str, depth: int) -> Any:
    """A description of x in JSON, its arrays put into ``arrays``."""
    if depth > DEEPEST:
        raise TypeError(f"save: {where} is nested more than {DEEPEST} deep")
    if isinstance(x, Tensor | np.ndarray | np.generic):
        name = str(len(arrays))
        arrays[name] = _storable(np.asarray(x.value if isinstance(x, Tensor) else x), where)
        return ["tensor" if isinstance(x, Tensor) else "array", name]
    if x is None or type(x) in (bool, str, *PYTHONS):
        return ["value", x]
    if isinstance(x, Mapping):
        for k in x:
            if type(k) not in (str, int):
                raise TypeError(f"save: {where} has the key {found(k)}; keys must be text or whole numbers")
        return ["dict", [[k, _packed(v, arrays, f"{where}[{k!r}]", depth + 1)] for k, v in x.items()]]
    if type(x) in (list, tuple):
        parts = [_packed(v, arrays, f"{where}[{i}]", depth + 1) for i, v in enumerate(x)]
        return ["list" if type(x) is list else "tuple", parts]
    instead = "save its state_dict()" if isinstance(x, Module) or hasattr(x, "state_dict") else (
        "arrays, Tensors, numbers, text, and lists, tuples and dicts of them can be"
    )  # fmt: skip
    raise TypeError(f"save: {where} is {found(x)}, which cannot be saved: {instead}")


def _content(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file: the header's length, the header, the numbers."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    at, parts = 0, []
    for name, value in sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize):  # aligned, as the format asks
        end = at + value.nbytes
        header[name] = {"dtype": _NAMES[value.dtype], "shape": list(value.shape), "data_offsets": [at, end]}
        parts.append(value.tobytes())
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def load(path: str | os.PathLike[str], map_location: Any = None, weights_only: bool = True) -> Any:
    """What ``save`` or ``torch.save`` wrote, or an .npz or .safetensors file: arrays for tensors of other programs.

    map_location: PyTorch's, None or "cpu"; weights_only=False is refused: nothing is executed.  Raises ValueError for a
    file of another kind or a damaged one, OSError for one that cannot be read.

    >>> ac.save({"epoch": 3, "best": [0.5, np.ones(2)]}, "run.pt")
    >>> ac.load("run.pt")
    {'epoch': 3, 'best': [0.5, array([1., 1.])]}
    """
    if map_location is not None and str(map_location).split(":")[0] != "cpu":
        raise ValueError(f"load: map_location={map_location!r}: autoconv computes on the processor; leave it out")
    if weights_only is not True:
        raise ValueError("load: weights_only=False would execute what the file says; autoconv never does")
    with open_regular(path) as file:
        begin = file.read(2)
    if begin == b"PK":
        return load_npz(path) if str(path).lower().endswith(".npz") else torch_file.load(path)
    arrays = safetensors_file.load(path)
    tree = _metadata(path).get(_TREE)
    if tree is None:
        return arrays
    try:
        return _unpacked(json.loads(tree), arrays, 0)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise WeightsError(f"{path}: damaged: what it says of its data cannot be read: {error}") from None


def _metadata(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    content = read_regular(path)
    length = int.from_bytes(content[:8], "little")  # has been compared with the file's size
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    return metadata if isinstance(metadata, Mapping) else {}


def _unpacked(described: Any, arrays: Mapping[str, np.ndarray], depth: int) -> Any:
    if depth > DEEPEST:
        raise ValueError(f"nested more than {DEEPEST} deep")
    kind, x = described
    if kind in ("array", "tensor"):
        return tensor(arrays[x]) if kind == "tensor" else arrays[x]
    if kind == "value" and (x is None or isinstance(x, bool | int | float | str)):
        return x
    if kind == "dict":
        return {k: _unpacked(v, arrays, depth + 1) for k, v in x if isinstance(k, str | int)}
    if kind in ("list", "tuple"):
        parts = [_unpacked(v, arrays, depth + 1) for v in x]
        return parts if kind == "list" else tuple(parts)
    raise ValueError(f"unknown kind {kind!r}")
