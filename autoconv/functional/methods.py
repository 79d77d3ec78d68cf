"""Tensor's methods and NumPy's functions, bound to the composed operations of this folder.

``t.sum(axis=0)`` and ``np.sum(t, axis=0)`` are the same call as ``ac.sum(t, axis=0)``.  A NumPy function that has no
counterpart here raises TypeError and says what to use, so that the tape is never lost silently.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import primitives as p
from ..asking import reads
from ..tape import Tensor
from . import (
    activation,
    aliases,
    array,
    creation,
    elementwise,
    linalg,
    matrices,
    norms,
    pick,
    reduce,
    sorting,
    stacking,
)
from . import tensor_methods as own
from .spelling import spelled

# NumPy's ufuncs: those that rows compute with or are named after, so that a new row is here by itself, and a few more
UFUNCS: dict[Any, Callable[..., Any]] = {
    np.positive: lambda x: x, np.float_power: p.power, np.sign: p.sign, np.square: activation.square,
    np.reciprocal: activation.reciprocal, np.matmul: linalg.matmul,
    np.tan: elementwise.tan, np.arcsin: elementwise.asin, np.arccos: elementwise.acos, np.arctan: elementwise.atan,
    np.sinh: elementwise.sinh, np.cosh: elementwise.cosh, np.hypot: elementwise.hypot, np.log2: elementwise.log2,
    np.log10: elementwise.log10, np.exp2: elementwise.exp2, np.ceil: elementwise.ceil, np.trunc: elementwise.trunc,
    np.rint: elementwise.round, np.fmod: elementwise.fmod, np.logical_not: elementwise.logical_not,
    np.logical_and: elementwise.logical_and, np.logical_or: elementwise.logical_or,
    np.logical_xor: elementwise.logical_xor, np.arcsinh: elementwise.asinh, np.arccosh: elementwise.acosh,
    np.arctanh: elementwise.atanh, np.deg2rad: elementwise.deg2rad, np.radians: elementwise.deg2rad,
    np.rad2deg: elementwise.rad2deg, np.degrees: elementwise.rad2deg, np.fmax: elementwise.fmax,
    np.fmin: elementwise.fmin, np.floor_divide: elementwise.floor_divide,
    **{row.ufunc: row for row in p.TABLE.values() if row.ufunc},
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
    np.nan_to_num: elementwise.nan_to_num, np.round: elementwise.round, np.around: elementwise.round,
    np.fix: elementwise.trunc, np.median: sorting.median, np.ptp: reduce.ptp, np.average: reduce.average,
    np.vstack: stacking.vstack, np.hstack: stacking.hstack, np.dstack: stacking.dstack,
    np.column_stack: stacking.column_stack, np.append: stacking.append, np.array_split: stacking.array_split,
    np.hsplit: stacking.hsplit, np.vsplit: stacking.vsplit, np.flipud: stacking.flipud, np.fliplr: stacking.fliplr,
    np.rot90: stacking.rot90, np.diff: stacking.diff, np.inner: linalg.inner, np.vdot: linalg.vdot,
    np.kron: linalg.kron, np.cross: linalg.cross, np.diagonal: pick.diag, np.atleast_1d: stacking.atleast_1d,
    np.atleast_2d: stacking.atleast_2d, np.atleast_3d: stacking.atleast_3d, np.put_along_axis: own.refuse_put,
    np.linalg.det: matrices.det, np.linalg.inv: matrices.inv, np.linalg.solve: matrices.solve,
    np.linalg.matrix_power: matrices.matrix_power, np.linalg.norm: norms.norm,
    np.zeros_like: creation.zeros_like, np.ones_like: creation.ones_like, np.full_like: creation.full_like,
    np.empty_like: creation.empty_like, np.shape: lambda x: x.shape,
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
    "convolve": "ac.conv1d with flip=True and padding='full'", "correlate": "ac.conv1d", "cbrt": "t ** (1 / 3)",
    "select": "ac.where, one in the other", "piecewise": "ac.where",
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


def _reject_assignment(x: Tensor, key: Any, value: Any) -> None:
    raise TypeError(
        "a Tensor is not changed in place, its line was recorded with this value; build a new one with ac.where, "
        "ac.concat or ac.pad, or use t.assign for an input"
    )


# The table of methods.  t.name(...) is the function of that name with t as its first operand.
METHODS: dict[Any, str] = {
    reduce: """sum mean var std max min prod argmax argmin logsumexp amax amin any all norm ptp count_nonzero""",
    array: """reshape swapaxes ravel flatten astype clip take moveaxis roll""",
    aliases: """clamp movedim swapdims arcsin arccos arctan inverse repeat_interleave""",
    stacking: """unsqueeze unflatten diff""",
    elementwise: """tan asin acos atan sinh cosh asinh acosh atanh log2 log10 exp2 rsqrt ceil trunc round frac isnan
        isinf isfinite logical_not logical_and logical_or logical_xor masked_fill nan_to_num fmod fmax fmin hypot lerp
        deg2rad rad2deg floor_divide""",
    linalg: """dot matmul outer inner vdot cross""",
    matrices: """det matrix_power""",
    sorting: """argsort topk cumsum cumprod""",
    pick: """chunk narrow select gather tril triu diag trace mm bmm""",
    activation: """relu sigmoid softmax log_softmax square reciprocal""",
    # those that look at how they were called
    own: """transpose repeat view view_as permute tile flip squeeze t expand expand_as sort split index_select scatter
        scatter_add where unbind to cpu cuda clone requires_grad_ zero_grad numel dim tolist""",
}
# further names of these
SAME = {
    "nelement": "numel", "ndimension": "dim", "contiguous": "cpu", "copy": "clone", "type": "astype",
}  # fmt: skip
# rows of one and two operands: t.exp(), t.add(other); and their other names
ROWS = {
    1: "neg sign floor stop_gradient",
    2: "add sub mul div power maximum minimum remainder atan2 logaddexp xlogy greater less greater_equal less_equal "
    "equal not_equal",
}
SAME_ROWS = {
    "pow": "power", "eq": "equal", "ne": "not_equal", "gt": "greater", "lt": "less", "ge": "greater_equal",
    "le": "less_equal", "detach": "stop_gradient", "true_divide": "div", "absolute": "abs", "negative": "neg",
    "multiply": "mul", "subtract": "sub", "divide": "div",
}  # fmt: skip
PROPERTIES: dict[str, Any] = {
    "T": property(array.transpose), "data": own.data,
    "requires_grad": own.requires_grad, "is_leaf": own.is_leaf, "grad_fn": own.grad_fn, "_prev": own.previous,
    "_op": own.operation, "label": own.label,
}  # fmt: skip
PROTOCOLS = {
    "__getitem__": array.getitem, "__setitem__": _reject_assignment, "__iter__": own.iterate,
    "__matmul__": lambda a, b: linalg.matmul(a, b), "__rmatmul__": lambda a, b: linalg.matmul(b, a),
    "__array_ufunc__": array_ufunc, "__array_function__": array_function,
}  # fmt: skip


def _row_method(row: Any, name: str) -> Callable[..., Any]:
    """A row of one or two operands as a method."""

    def unary(self: Tensor) -> Any:
        return row(self)

    @spelled
    def binary(self: Tensor, other: Any) -> Any:
        return row(self, other)

    method: Any = unary if row.arity == 1 else binary
    method.__name__, method.__qualname__ = name, f"Tensor.{name}"
    method.__doc__ = f"The row {row.name} of the table: ``ac.{row.name}``."
    return method  # type: ignore[no-any-return]


def bind() -> None:
    """Attach the methods and NumPy's protocols to Tensor."""
    made: dict[str, Any] = {name: getattr(room, name) for room, names in METHODS.items() for name in names.split()}
    functions = " ".join(row.name for row in p.TABLE.values() if row.function)
    names = f"{functions} abs {ROWS[1]} {ROWS[2]}".split()
    made.update({name: _row_method(p.TABLE[name], name) for name in names})
    made.update({name: _row_method(p.TABLE[row], name) for name, row in SAME_ROWS.items()})
    made.update({name: made[same] for name, same in SAME.items()})
    for name, method in {**made, **own.CASTS, **own.IN_PLACE, **PROPERTIES, **PROTOCOLS}.items():
        setattr(Tensor, name, method)


bind()
