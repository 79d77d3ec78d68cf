"""Whatever holds weights, as arrays by name: a dict, a torch module, a .safetensors, .pt or .npz file."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import npy
from . import safetensors_file, torch_file
from .torch_file import WeightsError

WRAPPERS = ("module.", "_orig_mod.")  # before every name: DataParallel's, and that of a compiled module


def weights_of(source: Any, key: str | None = None) -> tuple[dict[str, np.ndarray], list[str]]:
    """(name -> array, what was done to find it, in words).

    source: a mapping of arrays or torch tensors, a torch module, or a path.  key: which entry of a checkpoint holds the
    state_dict; None: the only one that does.  Raises TypeError for other sources, ValueError (WeightsError for a file)
    for one that holds no arrays by name.
    """
    said: list[str] = []
    what = "load_torch"
    if isinstance(source, str | os.PathLike):
        what = str(source)
        source = _file(source)
    elif not isinstance(source, Mapping) and callable(getattr(source, "state_dict", None)):
        source = source.state_dict()
    if not isinstance(source, Mapping):
        raise TypeError(
            f"load_torch: found {type(source).__name__}; give a dict of arrays or tensors, a torch module, or the "
            f"path of "
            "a .safetensors, .pt or .pth file"
        )
    found = _entry(source, key, what, said)
    arrays = {name: _array(value, f"{what}: {name}") for name, value in found.items()}
    for wrapper in WRAPPERS:
        if arrays and all(name.startswith(wrapper) for name in arrays):
            arrays = {name.removeprefix(wrapper): value for name, value in arrays.items()}
            said.append(f"every name began with {wrapper!r}, which was taken away")
    return arrays, said


def _file(path: str | os.PathLike[str]) -> Any:
    suffix = Path(path).suffix.lower()
    if suffix == ".safetensors":
        return safetensors_file.load(path)
    if suffix == ".npz":
        try:
            arrays = npy.load(path)
        except npy.ArrayFileError as error:
            raise WeightsError(str(error)) from None
        if isinstance(arrays, dict):
            return arrays
    if suffix in (".pt", ".pth", ".bin", ".ckpt"):
        return torch_file.load(path)
    raise WeightsError(f"{path}: the name of a weights file ends in .safetensors, .pt, .pth, .bin, .ckpt or .npz")


def _entry(source: Mapping[Any, Any], key: str | None, what: str, said: list[str]) -> Mapping[str, Any]:
    """The state_dict itself, where it is an entry of a checkpoint."""
    if key is not None:
        if not _is_state(source.get(key)):
            raise ValueError(f"{what}: key={key!r} is no state_dict; the entries are {_listed(source)}")
        return source[key]
    if _is_state(source):
        return source
    inside = [name for name, value in source.items() if _is_state(value) and value]
    if len(inside) == 1:
        said.append(f"the state_dict is the checkpoint's entry {inside[0]!r}")
        return source[inside[0]]
    several = f"several entries are state_dicts: {_listed(inside)}; say which, as in key={inside[0]!r}" if inside else (
        f"it holds no arrays by name; its entries are {_listed(source)}"
    )  # fmt: skip
    raise ValueError(f"{what}: {several}")


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(k, str) and _is_array(x) for k, x in value.items())


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic) or _is_torch(x)


def _is_torch(x: Any) -> bool:
    torch = sys.modules.get("torch")  # whoever has a tensor has imported it
    return torch is not None and isinstance(x, torch.Tensor)


def _array(x: Any, what: str) -> np.ndarray:
    if _is_torch(x):
        if getattr(x, "is_quantized", False) or x.is_sparse:
            raise ValueError(f"{what} is a quantised or sparse tensor; give its dense numbers, as in x.dequantize()")
        x = x.detach().cpu()
        return np.array((x.float() if str(x.dtype) == "torch.bfloat16" else x).numpy())
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{what} has dtype {array.dtype}, which is not a number")
    return array


def _listed(names: Any) -> str:
    shown = [repr(name) for name in names][:12]
    return ", ".join(shown) + (", ..." if len(names) > 12 else "") if shown else "none"
