"""Derivatives of functions, made of the sweep: grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp.

Each calls the function on fresh lines of the tape and sweeps back from its output.  For plain arrays the results are plain
arrays; for Tensors, and inside another derivative, they are recorded and can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from . import arrays
from .backward import check_seed, own, sweep
from .primitives import concat, contract, identity, reshape
from .tape import Tensor, describe, tensor
from .tree import flatten

_inside: ContextVar[bool] = ContextVar("autoconv_inside_transform", default=False)


def fresh(x: Any) -> Tensor:
    """A line of its own for an argument, so that nested derivatives do not confuse each other."""
    if isinstance(x, Tensor) and not x.constant:
        return identity(x)
    made = tensor(x)
    if made.constant:
        raise TypeError(
            f"gradient: an argument of dtype {made.dtype} cannot be differentiated; use floating point, as in 2.0 or ac.tensor(data, dtype=float)"
        )
    return made


class Recording(NamedTuple):
    """One call of a function on fresh lines: its output, the lines, and whether the sweep has to be recorded.

    It has to be when an argument is a Tensor, or inside another derivative, whose function may still read it.
    """

    y: Tensor
    lines: list[Tensor]
    unflatten: Callable[[Sequence[Any]], Any]
    recorded: bool
    aux: Any = None

    def pull(self, seed: Any = None) -> Any:
        """The cotangents of the arguments, in their structure."""
        seed = check_seed(self.y, seed)
        if self.recorded and not isinstance(seed, Tensor):
            seed = Tensor(np.array(seed), constant=True)
        return self.unflatten([own(g) for g in sweep(self.y, self.lines, seed)])

    @property
    def value(self) -> Any:
        return self.y if self.recorded else own(self.y.value)[()]


def run(
    f: Callable[..., Any], args: tuple[Any, ...], argnums: int | Sequence[int], has_aux: bool = False, **kwargs: Any
) -> Recording:
    """Call ``f`` with fresh lines in the places ``argnums``."""
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if any(not -len(args) <= i < len(args) for i in numbers):
        raise ValueError(
            f"gradient: argnums={argnums} but the function was called with {len(args)} positional arguments"
        )
    leaves, unflatten = flatten(args[argnums] if isinstance(argnums, int) else tuple(args[i] for i in numbers))
    outer = _inside.get()
    token = _inside.set(True)
    try:
        lines = [fresh(x) for x in leaves]
        placed = unflatten(lines)
        chosen = dict(
            zip((i % len(args) for i in numbers), (placed,) if isinstance(argnums, int) else placed, strict=True)
        )
        out = f(*[chosen.get(i, x) for i, x in enumerate(args)], **kwargs)
    finally:
        _inside.reset(token)
    y, aux = out if has_aux else (out, None)
    if not isinstance(y, Tensor):
        y = Tensor(np.array(y, dtype=float), constant=True)
    return Recording(y, lines, unflatten, outer or any(isinstance(x, Tensor) for x in leaves), aux)


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns (f(x), df/dx) for a scalar f; arguments may be nested lists, tuples and dicts of arrays.

    With ``has_aux`` f returns (value, anything) and so does the first of the pair.  For plain arrays the results are plain
    arrays; for Tensors, and inside another derivative, they are recorded and can be differentiated again.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        made = run(f, args, argnums, has_aux, **kwargs)
        gradient = made.pull()
        return ((made.value, made.aux) if has_aux else made.value), gradient

    return call


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns df/dx of a scalar f, in the structure of x = argument number ``argnums`` (or several).

    >>> grad(lambda x: x * x)(3.0)
    array(6.)
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        made = run(f, args, argnums, has_aux, **kwargs)
        return (made.pull(), made.aux) if has_aux else made.pull()

    return call


def vjp(f: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """(f(*args), pullback): pullback(y_bar) gives x_bar = y_bar . dy/dx for each argument, in a tuple."""
    made = run(f, args, tuple(range(len(args))))
    return made.value, made.pull


def jvp(f: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """(f(primals), dy/dx . tangents): the directional derivative of f.

    vjp is linear in its cotangent, so its own vjp is the jvp (Townsend, "A new trick for calculating Jacobian vector
    products", 2017): no rule is needed for it.
    """
    primals, tangents = [x if isinstance(x, tuple) else (x,) for x in (primals, tangents)]
    made = run(f, primals, tuple(range(len(primals))))
    leaves, directions = made.lines, flatten(tangents)[0]
    for x, v in zip(leaves, directions, strict=True):
        if np.shape(v) != x.shape:
            raise ValueError(f"jvp: a tangent of shape {np.shape(v)} for {describe(x)}; they must have the same shape")
    dummy = tensor(arrays.zeros(made.y.shape, made.y.dtype))
    seeds = [
        v if isinstance(v, Tensor) or not made.recorded else tensor(v, dtype=x.dtype)
        for x, v in zip(leaves, directions, strict=True)
    ]
    parts = [sweep(g, [dummy], v)[0] for g, v in zip(sweep(made.y, leaves, dummy), seeds, strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return made.value, own(total)


def jacobian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that returns J[i.., j..] = dy[i..] / dx[j..], of shape (*y.shape, *x.shape): one sweep for each element of y."""

    def call(*args: Any, **kwargs: Any) -> Any:
        made = run(f, args, argnums, **kwargs)
        basis = np.eye(made.y.size, dtype=made.y.dtype).reshape(made.y.size, *made.y.shape)
        x = made.lines[0]
        rows = [reshape(made.pull(seed), shape=(1, x.size)) for seed in basis]
        joined = concat(*rows, axis=0) if rows else arrays.zeros((0, x.size), x.dtype)
        return reshape(joined, shape=(*made.y.shape, *x.shape))

    return call


def hessian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that returns H[i.., j..] = d2f / dx[i..] dx[j..] of a scalar f, of shape (*x.shape, *x.shape)."""
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """The Hessian of scalar f at x times v, of x's shape, without the Hessian: d/dx (df/dx . v)."""
    if np.shape(v) != np.shape(x):
        raise ValueError(f"hvp: v has shape {np.shape(v)}, x has shape {np.shape(x)}; they must be equal")
    letters = "abcdefghijklmnopqrstuvwxyz"[: np.ndim(x)]
    return grad(lambda z: contract(grad(f)(z), v, spec=f"{letters},{letters}->"))(x)
