"""How a row enters the table: what the rows of each group have in common, and how operands are brought together.

``primitives.py`` is the table itself; this file stands below it.  Arithmetic rows want operands of one shape and dtype
(``agree``; ``select`` for a choice): a Tensor gets there by recorded ``cast`` and ``broadcast_to`` lines, which are
rows as well and so are looked up in the table when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import arrays
from .shapes import broadcast_shapes
from .tape import Primitive, Tensor, as_array

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
        some_exact = any([getattr(x, "dtype", None) == object for x in operands])
        return tuple(arrays.exact(x) for x in operands) if some_exact else operands
    first = lines[0]
    if len(lines) == len(operands):
        if all([x.shape == first.shape and x.dtype == first.dtype for x in lines]):
            return operands
    elif first.dtype.kind == "f" and all([x is first or type(x) in (int, float) for x in operands]):
        return tuple([x if x is first else number(x, first.shape, first.dtype) for x in operands])
    known = [x if isinstance(x, Tensor) or type(x) in (int, float) else as_array(x) for x in operands]
    dtype = np.result_type(*[x if isinstance(x, int | float) else x.dtype for x in known])
    shape = broadcast_shapes(*[() if isinstance(x, int | float) else x.shape for x in known], operation=name)
    return tuple([fit(x, shape, dtype) for x in known])


def fit(x: Any, shape: tuple[int, ...], dtype: Any) -> Tensor:
    """One operand at the agreed shape and dtype."""
    if not isinstance(x, Tensor):
        return number(x, shape, dtype)
    if x.dtype != dtype:
        x = TABLE["cast"](x, dtype=dtype)
    return x if x.shape == shape else TABLE["broadcast_to"](x, shape=shape)


def number(x: Any, shape: tuple[int, ...], dtype: Any) -> Tensor:
    """A constant written out at ``shape``, without copies of its elements."""
    value = arrays.cast(np.asarray(x), dtype)
    return Tensor(value if value.shape == shape else np.broadcast_to(value, shape), constant=True)


def select(name: str, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """For ``where``: the condition is broadcast as it is, the two choices agree in dtype."""
    condition, *choices = operands
    if not any(isinstance(x, Tensor) for x in operands):
        return (condition, *agree(name, tuple(choices)))
    shape = broadcast_shapes(*[np.shape(getattr(x, "_value", x)) for x in operands], operation=name)
    known = [x if isinstance(x, Tensor) or type(x) in (int, float) else as_array(x) for x in choices]
    dtype = np.result_type(*[x if isinstance(x, int | float) else x.dtype for x in known])
    return (fit(condition, shape, bool), *[fit(x, shape, dtype) for x in known])


def arithmetic(
    name: str, forward: Callable[..., Any], vjps: tuple[Any, ...], latex: str, traits: str = "", **more: Any
) -> Primitive:
    domain = {k: more.pop(k) for k in ("low", "high") if k in more}
    example = on(*[(2, 3)] * len(vjps), **domain)
    return row(name, forward, vjps, latex, "arithmetic", example, align=agree, traits=traits, **more)


def comparison(name: str, forward: Callable[..., Any], latex: str) -> Primitive:
    return arithmetic(name, forward, (None, None), latex)


def defined(name: str, forward: Callable[..., Any], latex: str, definition: Callable[..., Any], traits: str, **more: Any) -> Primitive:
    return row(name, forward, (), latex, "arithmetic", on((2, 3), (2, 3)), align=agree, definition=definition, traits=traits, **more)


def wiring(name: str, forward: Callable[..., Any], vjp: Callable[..., Any], latex: str, example: Any, traits: str = "", rest: tuple[None, ...] = ()) -> Primitive:
    return row(name, forward, (vjp, *rest), latex, "wiring", example, linear=(0,), traits=traits)
