"""How a row enters the table: what the rows of each group have in common, and how operands are brought together.

``primitives.py`` is the table itself; this file stands below it.  Arithmetic rows want operands of one shape and dtype
(``agree``; ``comparable`` for comparisons, ``select`` for a choice): a Tensor gets there by recorded ``cast`` and
``broadcast_to`` lines, which are rows as well and so are looked up in the table when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import arrays
from .operands import ARRAYS, KINDS, PYTHONS, Size, as_array, number_as, numbers
from .shapes import broadcast_shapes
from .tape import Primitive, Tensor

TABLE: dict[str, Primitive] = {}


def row(
    name: str, forward: Callable[..., Any], vjps: Any, latex: str, group: str, example: Any, **more: Any
) -> Primitive:
    """Enter a primitive into the table."""
    TABLE[name] = Primitive(name, forward, vjps, latex, group, example, **more)
    return TABLE[name]


def on(
    *shapes: tuple[int, ...], low: float = -2.0, high: float = 2.0, **params: Any
) -> Callable[..., tuple[list[Any], dict[str, Any]]]:
    """The point a row is tested on: one random operand of each shape between ``low`` and ``high``, and these params."""
    return lambda rng: ([rng.uniform(low, high, shape) for shape in shapes], params)


# ---- arithmetic: operands of one shape and dtype


def agree(name: str, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """Operands brought to a common shape and dtype: NumPy's rules, and a Python number never widens an array.

    A Tensor gets there by recorded ``cast`` and ``broadcast_to`` lines; a constant is simply written out.
    """
    lines = [x for x in operands if isinstance(x, Tensor)]
    if not lines:
        for x in operands:
            if type(x) not in (float, int) and not (isinstance(x, ARRAYS) and x.dtype.kind in KINDS):
                return _plain(name, operands)
        return operands
    first = lines[0]
    if len(lines) == len(operands):
        if all([x.shape == first.shape and x.dtype == first.dtype for x in lines]):
            return operands
    elif first.dtype.kind == "f" and all([x is first or type(x) in PYTHONS for x in operands]):
        return tuple([x if x is first else number(x, first.shape, first.dtype, name) for x in operands])
    known = [x if isinstance(x, Tensor) or type(x) in PYTHONS else as_array(x, what=name) for x in operands]
    dtype = common_dtype(known)
    shape = broadcast_shapes(*[() if isinstance(x, int | float) else x.shape for x in known], operation=name)
    return tuple([fit(x, shape, dtype, name) for x in known])


def _plain(name: str, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """Plain operands that are not all arrays or numbers: lists become arrays, and with one exact fraction all are."""
    known = [x if type(x) in PYTHONS else numbers(x, name) for x in operands]
    some_exact = any([getattr(x, "dtype", None) == object for x in known])
    return tuple(arrays.exact(x) for x in known) if some_exact else tuple(known)


def common_dtype(xs: Sequence[Any]) -> Any:
    """NumPy's rule, by which a Python number is of the arrays' kind where it can be: it never widens them."""
    return np.result_type(*[(0 if isinstance(x, int) else 0.0) if type(x) in PYTHONS else x.dtype for x in xs])


def comparable(name: str, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """For comparisons: a whole number beyond the range of the other operand's dtype is compared exactly all the same.

    It is as good as an infinity of its sign, so both are brought to float64 (to int64 where that holds both).
    """
    if len(operands) == 2 and (type(operands[0]) in (int, Size) or type(operands[1]) in (int, Size)):
        first = type(operands[0]) in (int, Size)
        c, x = operands if first else operands[::-1]
        if not isinstance(x, Tensor | int | float):
            x = numbers(x, name)
        dtype = getattr(x, "dtype", None)
        if dtype is not None and dtype.kind in "iuf" and not _holds(dtype, c):
            small = dtype.kind in "iu" and dtype != np.uint64 and _holds(np.dtype(np.int64), c)
            if dtype.kind in "iu":
                x = TABLE["cast"](x, dtype=np.dtype(np.int64 if small else np.float64))
            c = c if small else float("inf") if c > 0 else float("-inf")
            operands = (c, x) if first else (x, c)
    elif any([isinstance(x, Tensor) and x.dtype.kind == "u" for x in operands]):
        known: list[Any] = [x if isinstance(x, Tensor | float) else as_array(x, what=name) for x in operands]
        kinds = "".join([x.dtype.kind for x in known if not isinstance(x, float)])
        if (
            kinds in ("iu", "ui") and common_dtype(known).kind == "f"
        ):  # no integer dtype holds both: NumPy compares them
            shape = broadcast_shapes(*[x.shape for x in known], operation=name)
            return tuple([fit(x, shape, x.dtype, name) for x in known])
    return agree(name, operands)


def _holds(dtype: Any, c: int) -> bool:
    """Whether a whole number is within the range of ``dtype``."""
    if dtype.kind in "iu":
        return bool(np.iinfo(dtype).min <= c <= np.iinfo(dtype).max)
    return abs(c) < 2**1023


def fit(x: Any, shape: tuple[int, ...], dtype: Any, name: str) -> Tensor:
    """One operand at the agreed shape and dtype."""
    if not isinstance(x, Tensor):
        return number(x, shape, dtype, name)
    if x.dtype != dtype:
        x = TABLE["cast"](x, dtype=dtype)
    return x if x.shape == shape else TABLE["broadcast_to"](x, shape=shape)


def number(x: Any, shape: tuple[int, ...], dtype: Any, name: str) -> Tensor:
    """A constant written out at ``shape``, without copies of its elements."""
    value = number_as(x, dtype, name)
    if value.shape != shape:
        alone = not value.ndim and dtype != object
        value = np.ndarray(shape, dtype, value, strides=(0,) * len(shape)) if alone else np.broadcast_to(value, shape)
    return Tensor(value, constant=True)


def select(name: str, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """For ``where``: the condition is broadcast as it is, the two choices agree in dtype."""
    condition, *choices = operands
    if not isinstance(condition, Tensor):
        condition = numbers(condition, f"{name}: condition")
    if not any(isinstance(x, Tensor) for x in operands):
        return (condition, *agree(name, tuple(choices)))
    known = [x if isinstance(x, Tensor) or type(x) in PYTHONS else as_array(x, what=name) for x in choices]
    shape = broadcast_shapes(*[() if type(x) in PYTHONS else x.shape for x in (condition, *known)], operation=name)
    dtype = common_dtype(known)
    return (fit(condition, shape, np.dtype(bool), name), *[fit(x, shape, dtype, name) for x in known])


def arithmetic(
    name: str, forward: Callable[..., Any], vjps: tuple[Any, ...], latex: str, traits: str = "", **more: Any
) -> Primitive:
    domain = {k: more.pop(k) for k in ("low", "high") if k in more}
    example = on(*[(2, 3)] * len(vjps), **domain)
    return row(name, forward, vjps, latex, "arithmetic", example, **{"align": agree, **more}, traits=traits)


def comparison(name: str, forward: Callable[..., Any], latex: str) -> Primitive:
    return arithmetic(name, forward, (None, None), latex, align=comparable)


def defined(
    name: str, forward: Callable[..., Any], latex: str, definition: Callable[..., Any], traits: str, **more: Any
) -> Primitive:
    return row(
        name,
        forward,
        (),
        latex,
        "arithmetic",
        on((2, 3), (2, 3)),
        align=agree,
        definition=definition,
        traits=traits,
        **more,
    )


def wiring(
    name: str,
    forward: Callable[..., Any],
    vjp: Callable[..., Any],
    latex: str,
    example: Any,
    traits: str = "",
    rest: tuple[None, ...] = (),
) -> Primitive:
    return row(name, forward, (vjp, *rest), latex, "wiring", example, linear=(0,), traits=traits)
