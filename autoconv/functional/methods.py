"""Tensor's methods and NumPy's functions, bound to the composed operations of this folder.

``t.sum(axis=0)`` and ``np.sum(t, axis=0)`` are the same call as ``ac.sum(t, axis=0)``.  A NumPy function that has no
counterpart here raises TypeError and says what to use, so that the tape is never lost silently.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import primitives as p
from ..asking import reads
from ..tape import Tensor
from . import activation, array, elementwise, linalg, pick, reduce, sorting

# NumPy's ufuncs: those that rows compute with or are named after, so that a new row is here by itself, and a few more
UFUNCS: dict[Any, Callable[..., Any]] = {
    **{row.ufunc: row for row in p.TABLE.values() if row.ufunc},
    np.positive: lambda x: x, np.float_power: p.power, np.sign: p.sign, np.square: activation.square,
    np.reciprocal: activation.reciprocal, np.matmul: linalg.matmul,
    np.tan: elementwise.tan, np.arcsin: elementwise.asin, np.arccos: elementwise.acos, np.arctan: elementwise.atan,
    np.sinh: elementwise.sinh, np.cosh: elementwise.cosh, np.hypot: elementwise.hypot, np.log2: elementwise.log2,
    np.log10: elementwise.log10, np.exp2: elementwise.exp2, np.ceil: elementwise.ceil, np.trunc: elementwise.trunc,
    np.rint: elementwise.round, np.fmod: elementwise.fmod, np.logical_not: elementwise.logical_not,
    np.logical_and: elementwise.logical_and, np.logical_or: elementwise.logical_or,
    np.logical_xor: elementwise.logical_xor,
}  # fmt: skip

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: reduce.sum, np.mean: reduce.mean, np.var: reduce.var, np.std: reduce.std, np.max: reduce.max,
    np.min: reduce.min, np.amax: reduce.max, np.amin: reduce.min, np.prod: reduce.prod, np.argmax: reduce.argmax,
    np.argmin: reduce.argmin, np.reshape: array.reshape, np.transpose: array.transpose, np.swapaxes: array.swapaxes,
    np.moveaxis: array.moveaxis, np.expand_dims: array.expand_dims, np.squeeze: array.squeeze, np.ravel: array.ravel,
    np.broadcast_to: array.broadcast_to, np.flip: array.flip, np.roll: array.roll, np.tile: array.tile,
    np.repeat: array.repeat, np.concatenate: array.concat, np.stack: array.stack, np.split: array.split,
    np.pad: array.pad, np.take: array.take, np.take_along_axis: array.take_along_axis, np.where: p.where,
    np.clip: array.clip, np.dot: linalg.dot, np.outer: linalg.outer, np.tensordot: linalg.tensordot,
    np.einsum: linalg.einsum, np.sort: sorting.sort, np.argsort: sorting.argsort, np.cumsum: sorting.cumsum,
    np.cumprod: sorting.cumprod, np.tril: pick.tril, np.triu: pick.triu, np.diag: pick.diag, np.trace: pick.trace,
    np.nan_to_num: elementwise.nan_to_num, np.round: elementwise.round,
    np.zeros_like: lambda x, dtype=None: np.zeros(x.shape, dtype or x.dtype),
    np.ones_like: lambda x, dtype=None: np.ones(x.shape, dtype or x.dtype), np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim, np.size: lambda x: x.size,
    np.array2string: lambda x, *a, **k: np.array2string(x.value, *a, **k), np.array_repr: lambda x, *a, **k: repr(x),
    np.array_str: lambda x, *a, **k: str(x.value),
}  # fmt: skip

READERS = (
    np.allclose,
    np.isclose,
    np.array_equal,
    np.array_equiv,
    np.isfinite,
    np.isnan,
    np.isinf,
    np.any,
    np.all,
    np.count_nonzero,
    np.result_type,
    np.may_share_memory,
)


def array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """np.exp(t), array + t, ...: the row or composition of that name, recorded."""
    if (ufunc in READERS and method == "__call__") or reads(sys._getframe(1)):
        return getattr(ufunc, method)(*map(_plain, inputs), **kwargs)
    if _nothing_to_lose((inputs, kwargs)) and (method != "__call__" or ufunc not in UFUNCS):
        return getattr(ufunc, method)(*map(_plain, inputs), **kwargs)
    if method != "__call__" or ufunc not in UFUNCS or kwargs:
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        settings = f" with {', '.join(kwargs)}=" if kwargs else ""
        raise TypeError(f"np.{name}{settings} cannot be recorded on a Tensor; {_instead(name)}")
    return UFUNCS[ufunc](*inputs)


def array_function(self: Tensor, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """np.sum(t), np.reshape(t, ...), ...: the composed operation of that name, recorded."""
    if func in READERS or reads(sys._getframe(1)):
        return func(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})
    if func not in FUNCTIONS and _nothing_to_lose((args, kwargs)):
        return func(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})
    if func not in FUNCTIONS:
        raise TypeError(f"np.{func.__name__} cannot be recorded on a Tensor; {_instead(func.__name__)}")
    given = {k: v for k, v in kwargs.items() if type(v).__name__ != "_NoValueType"}  # NumPy's mark for "not given"
    try:
        return FUNCTIONS[func](*args, **given)
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise TypeError(f"np.{func.__name__} on a Tensor: {error}; {_instead(func.__name__)}") from None


def _plain(x: Any) -> Any:
    """The arrays of Tensors, those in lists and tuples as well."""
    if type(x) in (list, tuple):
        return type(x)(map(_plain, x))
    return x.value if isinstance(x, Tensor) else x


def _nothing_to_lose(x: Any) -> bool:
    """Whether all Tensors in nested arguments are constants: NumPy may then compute with their numbers."""
    if isinstance(x, list | tuple | dict):
        return all([_nothing_to_lose(part) for part in (x.values() if isinstance(x, dict) else x)])
    return not isinstance(x, Tensor) or x.constant


INSTEAD = {
    "norm": "ac.sqrt(ac.sum(t * t))", "diff": "t[1:] - t[:-1]",
    "median": "ac.sort and its middle elements",
    "hstack": "ac.concat(ts, axis=1)", "vstack": "ac.concat(ts, axis=0)", "array_split": "ac.split",
    "average": "ac.mean, or ac.sum(t * weights)", "diagonal": "ac.einsum('ii->i', t)",
    "inner": "ac.einsum('i,i->', a, b)", "convolve": "ac.conv1d with flip=True and padding='full'",
    "correlate": "ac.conv1d", "cbrt": "t ** (1 / 3)", "select": "ac.where, one in the other", "piecewise": "ac.where",
    "apply_along_axis": "the function on the whole Tensor, with axis=", "interp": "ac.where and the line's formula",
    "add.reduce": "ac.sum", "multiply.reduce": "ac.prod", "maximum.reduce": "ac.max", "minimum.reduce": "ac.min",
    "add.accumulate": "ac.cumsum", "multiply.accumulate": "ac.cumprod", "multiply.outer": "ac.outer",
    "copyto": "ac.where or ac.concat, which make a new Tensor", "add.at": "ac.scatter_add",
}  # fmt: skip


def _instead(name: str) -> str:
    if name in INSTEAD:
        return f"use {INSTEAD[name]}"
    return (
        "compose it of autoconv's operations (dir(autoconv) lists them), or take the array with t.value "
        f"if no gradient shall flow through np.{name}"
    )


def _iterate(x: Tensor) -> Iterator[Any]:
    return (array.getitem(x, i) for i in range(len(x)))


def _reject_assignment(x: Tensor, key: Any, value: Any) -> None:
    raise TypeError(
        "a Tensor is not changed in place, its line was recorded with this value; build a new one with ac.where, "
        "ac.concat or ac.pad, or use t.assign for an input"
    )


def _transpose(x: Tensor, *axes: Any) -> Any:
    """t.transpose(), t.transpose(1, 0) and t.transpose((1, 0))."""
    return array.transpose(x, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None)


def bind() -> None:
    """Attach the methods and NumPy's protocols to Tensor."""
    methods: dict[str, Any] = {
        "transpose": _transpose, "T": property(array.transpose), "__getitem__": array.getitem,
        "__setitem__": _reject_assignment, "__iter__": _iterate, "__matmul__": lambda a, b: linalg.matmul(a, b),
        "__rmatmul__": lambda a, b: linalg.matmul(b, a),
        "__array_ufunc__": array_ufunc, "__array_function__": array_function,
    }  # fmt: skip
    for module, names in {
        reduce: "sum mean var std max min prod argmax argmin logsumexp",
        array: "reshape swapaxes squeeze ravel flatten astype clip repeat take",
        linalg: "dot",
        activation: "relu sigmoid softmax",
    }.items():
        methods.update({name: getattr(module, name) for name in names.split()})
    for row in [row for row in p.TABLE.values() if row.function or row is p.abs_]:
        methods[row.name] = lambda x, row=row: row(x)
    for name, method in methods.items():
        setattr(Tensor, name, method)


bind()
