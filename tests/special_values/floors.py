"""The floors on which a function of arrays can be computed: (value, slopes of the weighted sum of its elements)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

import autoconv as ac

Result = tuple[np.ndarray, list[np.ndarray]]


def eager(f: Callable[..., Any], operands: list[np.ndarray], weights: np.ndarray | None = None) -> Result:
    lines = [ac.tensor(x) for x in operands]
    y = f(*lines)
    if y.constant:
        return y.value, [np.zeros_like(x) for x in operands]
    seed = np.ones(y.shape, y.dtype) if weights is None else weights.reshape(y.shape).astype(y.dtype)
    return y.value, [np.asarray(g) for g in ac.sweep(y, lines, seed)]


def compiled(f: Callable[..., Any], operands: list[np.ndarray], weights: np.ndarray | None = None) -> Result:
    """The second call: a recording that is run."""

    def both(*x: Any) -> Any:
        y = f(*x)
        w = np.ones(y.shape, y.dtype) if weights is None else weights.reshape(y.shape).astype(y.dtype)
        return ac.sum(y * w), y

    program = ac.compile(both)
    if eager_is_constant(f, operands):
        return program(*operands)[1], [np.zeros_like(x) for x in operands]
    wrt = tuple(range(len(operands)))
    program.value_and_grad(*operands, wrt=wrt)
    (_, y), slopes = program.value_and_grad(*operands, wrt=wrt)
    return np.asarray(y), [np.asarray(g) for g in slopes]


def eager_is_constant(f: Callable[..., Any], operands: list[np.ndarray]) -> bool:
    return f(*[ac.tensor(x) for x in operands]).constant


def numpy_plan(f: Callable[..., Any], operands: list[np.ndarray], weights: np.ndarray | None = None) -> Result:
    before = os.environ.get("AUTOCONV_NATIVE")
    os.environ["AUTOCONV_NATIVE"] = "0"
    try:
        return compiled(f, operands, weights)
    finally:
        os.environ.pop("AUTOCONV_NATIVE")
        if before is not None:
            os.environ["AUTOCONV_NATIVE"] = before


def expanded(f: Callable[..., Any], operands: list[np.ndarray], weights: np.ndarray | None = None) -> Result:
    lines = [ac.tensor(x) for x in operands]
    y = f(*lines)
    if y.constant:
        return y.value, [np.zeros_like(x) for x in operands]
    flat = ac.expand(y)
    numbers = flat.scalars(y)
    seed = np.ones(y.size) if weights is None else weights
    slopes = flat.sweep(seed.ravel(), of=numbers.ravel())
    return flat.value[numbers].astype(y.dtype), [slopes[flat.scalars(x)].astype(x.dtype) for x in lines]


# a function of ``elementwise`` on Scalars, one number at a time
SCALARS: dict[str, Callable[..., Any]] = {
    **{n: (lambda x, n=n: getattr(x, n)()) for n in ("exp", "log", "sqrt", "tanh", "sin", "cos", "relu", "sigmoid")},
    "neg": lambda x: -x,
    "x + 1": lambda x: x + 1,
    "3 * x": lambda x: 3 * x,
    "x / 3": lambda x: x / 3,
    "x ** 2": lambda x: x**2,
    "x ** 0.5": lambda x: x**0.5,
    "x ** 0.0": lambda x: x**0.0,
    "x ** -1": lambda x: x**-1,
    "sqrt(relu)": lambda x: x.relu().sqrt(),
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "maximum": lambda x, y: x.maximum(y),
    "minimum": lambda x, y: x.minimum(y),
    "power": lambda x, y: x**y,
}


def scalar(name: str, operands: list[np.ndarray]) -> Result:
    values, slopes = [], [[] for _ in operands]
    for numbers in zip(*operands, strict=True):
        leaves = [ac.Scalar(float(x)) for x in numbers]
        y = SCALARS[name](*leaves)
        y.backward()
        values.append(y.data)
        for place, leaf in zip(slopes, leaves, strict=True):
            place.append(leaf.grad)
    return np.array(values, float), [np.array(g, float) for g in slopes]


FLOORS: dict[str, Callable[..., Result]] = {
    "eager": eager,
    "machine": compiled,
    "numpy plan": numpy_plan,
    "expanded": expanded,
}
