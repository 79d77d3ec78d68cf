"""New Tensors of given shapes: NumPy's and PyTorch's creation functions.

A shape is a tuple, as NumPy has it, or several whole numbers, as PyTorch has it.  The dtype is NumPy's, float64, unless
``dtype`` says otherwise; floating-point Tensors can be differentiated as those of ``ac.tensor``, and are constants with
``requires_grad=False``.  Random numbers come from ``rng`` (a generator or seed), or from ``ac.manual_seed``'s.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np

from ..operands import as_array, as_dtype, found, generator, real
from ..shapes import Ints, Shape, flag, whole_number, whole_numbers
from ..tape import Array, Tensor
from .composed import plain
from .spelling import spelled

__all__ = [
    "arange", "as_tensor", "asarray", "empty", "empty_like", "eye", "from_numpy", "full", "full_like", "linspace",
    "ones", "ones_like", "rand", "rand_like", "randint", "randn", "randn_like", "randperm", "zeros", "zeros_like",
]  # fmt: skip


def made(value: Array, requires_grad: bool, name: str) -> Tensor:
    """A new array as an input, or as a constant."""
    return Tensor(value, constant=not flag(requires_grad, f"{name}: requires_grad") or value.dtype.kind not in "fO")


def _shape(sizes: tuple[Any, ...], name: str) -> Shape:
    """(2, 3) of zeros((2, 3)) and of zeros(2, 3)."""
    whole = sizes[0] if len(sizes) == 1 else sizes
    shape = whole_numbers(whole, f"{name}: shape", 0)
    if np.prod(shape, dtype=float) > 2**40:
        raise ValueError(f"{name}: an array of shape {shape} is larger than memory")
    return shape


def _full(name: str, sizes: tuple[Any, ...], value: float, dtype: Any, requires_grad: bool) -> Tensor:
    shape, kind = _shape(sizes, name), as_dtype(dtype, f"{name}:")
    return made(as_array(np.full(shape, value, kind), what=name), requires_grad, name)


def zeros(*shape: Any, dtype: Any = float, requires_grad: bool = True) -> Tensor:
    """Zeros: ``zeros((2, 3))`` or ``zeros(2, 3)``.

    >>> ac.zeros(2, 3).value
    array([[0., 0., 0.],
           [0., 0., 0.]])
    """
    return _full("zeros", shape, 0, dtype, requires_grad)


def ones(*shape: Any, dtype: Any = float, requires_grad: bool = True) -> Tensor:
    """Ones: ``ones((2, 3))`` or ``ones(2, 3)``.

    >>> ac.ones(2).value
    array([1., 1.])
    """
    return _full("ones", shape, 1, dtype, requires_grad)


def empty(*shape: Any, dtype: Any = float, requires_grad: bool = True) -> Tensor:
    """An array that is to be filled: of zeros, since nothing here is left undefined.

    >>> ac.empty((1, 2)).shape
    (1, 2)
    """
    return _full("empty", shape, 0, dtype, requires_grad)


def full(shape: Ints, fill_value: float, dtype: Any = None, *, requires_grad: bool = True) -> Tensor:
    """``fill_value`` everywhere; its dtype unless ``dtype`` is given.

    >>> ac.full((2,), 7.0).value
    array([7., 7.])
    """
    value = real(fill_value, "full: fill_value")
    return _full("full", (shape,), value, np.asarray(value).dtype if dtype is None else dtype, requires_grad)


def eye(n: int, m: int | None = None, k: int = 0, *, dtype: Any = float, requires_grad: bool = True) -> Tensor:
    """Ones on the diagonal of an n x m matrix (m None: n), or k above it.

    >>> ac.eye(2).value
    array([[1., 0.],
           [0., 1.]])
    """
    rows = whole_number(n, "eye: n", 0)
    columns = rows if m is None else whole_number(m, "eye: m", 0)
    _shape((rows, columns), "eye")
    above = whole_number(k, "eye: k")
    diagonal = np.eye(rows, columns, max(-rows, min(columns, above)), dtype=as_dtype(dtype, "eye:"))
    return made(as_array(diagonal, what="eye"), requires_grad, "eye")


def arange(
    start: float, stop: float | None = None, step: float = 1, *, dtype: Any = None, requires_grad: bool = True
) -> Tensor:
    """start, start + step, ... below ``stop``; ``arange(n)`` is 0 .. n - 1.  Whole numbers give whole numbers.

    Raises ValueError for a step of 0.

    >>> ac.arange(3).value, ac.arange(1.0, 2.0, 0.5).value
    (array([0, 1, 2]), array([1. , 1.5]))
    """
    first, last = (0, start) if stop is None else (start, stop)
    ends = [real(x, f"arange: {k}") for k, x in {"start": first, "stop": last, "step": step}.items()]
    if not step or not all(np.isfinite(float(x)) for x in ends):
        raise ValueError(f"arange: start={first}, stop={last}, step={step} do not make a list of numbers")
    _shape((max(0, ceil((float(last) - float(first)) / float(step))),), "arange")
    kind = None if dtype is None else as_dtype(dtype, "arange:")
    return made(as_array(np.arange(first, last, step, dtype=kind), what="arange"), requires_grad, "arange")


@spelled
def linspace(start: float, stop: float, num: int = 50, *, dtype: Any = float, requires_grad: bool = True) -> Tensor:
    """``num`` numbers from ``start`` to ``stop``, both included, equally far apart (PyTorch: end, steps).

    >>> ac.linspace(0.0, 1.0, 3).value
    array([0. , 0.5, 1. ])
    """
    low, high = real(start, "linspace: start"), real(stop, "linspace: stop")
    count = whole_number(num, "linspace: num", 0)
    _shape((count,), "linspace")
    kind = as_dtype(dtype, "linspace:")
    return made(as_array(np.linspace(low, high, count, dtype=kind), what="linspace"), requires_grad, "linspace")


# ---- of what is there


def asarray(data: Any, dtype: Any = None, *, requires_grad: bool = True) -> Tensor:
    """A Tensor as it is (cast, if it has another dtype); of anything else a new one, as ``ac.tensor`` makes it.

    >>> ac.asarray([1.0, 2.0])
    tensor([1., 2.])
    """
    if isinstance(data, Tensor):
        from .array import astype

        return data if dtype is None else astype(data, dtype)
    return made(as_array(data, dtype, "asarray"), requires_grad, "asarray")


as_tensor = asarray


def from_numpy(array: Any) -> Tensor:
    """A Tensor that owns a copy of an array (PyTorch's shares its memory).  Raises TypeError for anything else.

    >>> ac.from_numpy(np.ones(2))
    tensor([1., 1.])
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: this is no array: {found(array)}; ac.tensor takes lists and numbers")
    return made(as_array(array, what="from_numpy"), True, "from_numpy")


def _like(name: str, x: Any, dtype: Any, make: Callable[[Shape, Any], Any]) -> Any:
    """An array of x's shape and dtype: a plain one of a plain x, a constant of a Tensor."""
    array = plain(x, name)
    kind = array.dtype if dtype is None else as_dtype(dtype, f"{name}:")
    value = as_array(make(array.shape, kind), kind, name)
    return Tensor(value, constant=True) if isinstance(x, Tensor) else value


@spelled
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros of x's shape, and its dtype unless one is given; a constant, so nothing is recorded.

    >>> ac.zeros_like([1.0, 2.0])
    array([0., 0.])
    """
    return _like("zeros_like", x, dtype, np.zeros)


@spelled
def ones_like(x: Any, dtype: Any = None) -> Any:
    """Ones of x's shape, and its dtype unless one is given; a constant, so nothing is recorded.

    >>> ac.ones_like([1.0, 2.0])
    array([1., 1.])
    """
    return _like("ones_like", x, dtype, np.ones)


@spelled
def empty_like(x: Any, dtype: Any = None) -> Any:
    """As ``zeros_like``: nothing here is left undefined.

    >>> ac.empty_like([1.0, 2.0]).shape
    (2,)
    """
    return _like("empty_like", x, dtype, np.zeros)


@spelled
def full_like(x: Any, fill_value: float, dtype: Any = None) -> Any:
    """``fill_value`` in x's shape, and its dtype unless one is given; a constant, so nothing is recorded.

    >>> ac.full_like([1.0, 2.0], 7.0)
    array([7., 7.])
    """
    value = real(fill_value, "full_like: fill_value")
    return _like("full_like", x, dtype, lambda shape, kind: _filled(shape, value, kind))


def _filled(shape: Shape, value: float, kind: Any) -> Array:
    try:
        return np.full(shape, value, kind)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"full_like: {found(value)} is no number of dtype {kind}: {error}") from None


# ---- random


def rand(*shape: Any, dtype: Any = float, requires_grad: bool = True, rng: Any = None) -> Tensor:
    """Uniform in 0 .. 1: ``rand((2, 3))`` or ``rand(2, 3)``.

    >>> ac.rand(2, 3, rng=0).shape
    (2, 3)
    """
    drawn = generator(rng, "rand: rng").random(_shape(shape, "rand") if shape else ())
    return made(np.asarray(drawn, as_dtype(dtype, "rand:")), requires_grad, "rand")


def randn(*shape: Any, dtype: Any = float, requires_grad: bool = True, rng: Any = None) -> Tensor:
    """Normal with mean 0 and variance 1: ``randn((2, 3))`` or ``randn(2, 3)``.

    >>> ac.randn(2, 3, rng=0).shape
    (2, 3)
    """
    drawn = generator(rng, "randn: rng").standard_normal(_shape(shape, "randn") if shape else ())
    return made(np.asarray(drawn, as_dtype(dtype, "randn:")), requires_grad, "randn")


def randint(low: int, high: int | None = None, size: Ints = (), *, rng: Any = None) -> Tensor:
    """Whole numbers from ``low`` to ``high`` - 1, or from 0 to ``low`` - 1; a constant of shape ``size``.

    >>> ac.randint(3, size=(4,), rng=0).value
    array([2, 1, 1, 0])
    """
    a, b = (0, low) if high is None else (low, high)
    first, last = whole_number(a, "randint: low"), whole_number(b, "randint: high")
    if last <= first:
        raise ValueError(f"randint: there is no whole number from {first} to {last} - 1")
    return made(
        np.asarray(generator(rng, "randint: rng").integers(first, last, _shape((size,), "randint"))), False, "randint"
    )


def randperm(n: int, *, rng: Any = None) -> Tensor:
    """0 .. n - 1 in a random order; a constant.

    >>> sorted(ac.randperm(3, rng=0).value.tolist())
    [0, 1, 2]
    """
    count = _shape((whole_number(n, "randperm: n", 0),), "randperm")[0]
    return made(generator(rng, "randperm: rng").permutation(count), False, "randperm")


@spelled
def rand_like(x: Any, dtype: Any = None, *, rng: Any = None) -> Any:
    """Uniform random numbers in 0 .. 1 in x's shape and dtype; a constant.

    >>> ac.rand_like([1.0, 2.0], rng=0).shape
    (2,)
    """
    source = generator(rng, "rand_like: rng")
    return _like("rand_like", x, dtype, lambda shape, kind: source.random(shape))


@spelled
def randn_like(x: Any, dtype: Any = None, *, rng: Any = None) -> Any:
    """Normal random numbers with mean 0 and variance 1 in x's shape and dtype; a constant.

    >>> ac.randn_like([1.0, 2.0], rng=0).shape
    (2,)
    """
    source = generator(rng, "randn_like: rng")
    return _like("randn_like", x, dtype, lambda shape, kind: source.standard_normal(shape))
