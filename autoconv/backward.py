"""The sweep: cotangents pulled back along the tape, line by line; and the derivatives made of it.

``steps`` walks back once and yields what happens at each line; ``sweep`` is that iterator run to its end.  The rules are
written in primitives, so a sweep over Tensors is itself recorded (drawn, stepped, differentiated again), and a sweep over
plain arrays is the same code without a tape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from . import arrays
from .primitives import concat, contract, identity, reshape
from .tape import Primitive, Tape, Tensor, describe, scope, tensor


class Step(NamedTuple):
    """What the sweep does at one line: its cotangent is complete, and each operand k receives a contribution.

    ``contributions`` holds (k, contribution, sum before or None, sum after).
    """

    line: Tensor
    cotangent: Any
    contributions: list[tuple[int, Any, Any, Any]]


def steps(y: Tensor, wrt: Sequence[Tensor] | None, seed: Any, recorded: bool = False) -> Iterator[Step]:
    """Walk back from ``y`` over the lines between it and ``wrt`` (None: every line that can be differentiated).

    x_bar = sum over the lines y that read x of vjp(y_bar), with y_bar of the output = ``seed``.
    """
    tape = Tape(y)
    asked = None if wrt is None else {id(x) for x in wrt}
    leads: set[int] = set()
    for line in tape:
        if not line.constant and (asked is None or id(line) in asked or any(id(x) in leads for x in line.operands)):
            leads.add(id(line))
    cotangent: dict[int, Any] = {id(y): seed} if id(y) in leads else {}
    for line in reversed(tape):
        if id(line) not in cotangent:
            continue
        step = Step(line, cotangent.pop(id(line)), [])
        wanted = tuple(k for k, x in enumerate(line.operands) if id(x) in leads)
        with (
            scope(f"backward of {line.primitive.name}", "backward", of=line)
            if recorded and line.primitive
            else nullcontext()
        ):
            for k, g in zip(wanted, pull(line, step.cotangent, wanted, recorded), strict=True):
                x = line.operands[k]
                before = cotangent.get(id(x))
                cotangent[id(x)] = g if before is None else before + g
                step.contributions.append((k, g, before, cotangent[id(x)]))
        yield step


def pull(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
    """The contributions of one line to its operands number ``wanted``, by the row's rules or by its definition."""
    primitive = line.primitive
    if primitive is None or not wanted:
        return []
    y, operands = (line, line.operands) if recorded else (line.value, tuple([x.value for x in line.operands]))
    if primitive.definition is not None:
        placed = primitive.at(*operands, **line.params) if primitive.at else operands
        variables, numbers, derived = derive(primitive, len(operands), wanted, tuple(line.params.items()))
        return list(derived.run({**numbers, **dict(zip(variables, (g, *placed), strict=True))}))
    if not isinstance(primitive.vjps, tuple):
        made = primitive.vjps(g, y, *operands, **line.params)
        return [made[k] for k in wanted]
    return [primitive.vjps[k](g, y, *operands, **line.params) for k in wanted]  # type: ignore[misc]


@cache
def derive(
    primitive: Primitive, count: int, wanted: tuple[int, ...], params: tuple[tuple[str, Any], ...]
) -> tuple[list[Tensor], dict[Tensor, Any], Tape]:
    """The rule that follows from a definition: recorded once on scalars, swept once, replayed on every shape and dtype.

    Returns the variables (cotangent, then operands), the numbers that stand in the definition, and the tape of the
    cotangents of operands ``wanted``.
    """
    g, *operands = (tensor(0.5) for _ in range(count + 1))
    derived = Tape(*sweep(primitive.definition(*operands, **dict(params)), [operands[k] for k in wanted], g))  # type: ignore[misc]
    numbers = {line: line.item() for line in derived if line.primitive is None and line.constant}
    return [g, *operands], numbers, derived


def sweep(y: Tensor, wrt: Sequence[Tensor], seed: Any = None) -> list[Any]:
    """The cotangents of ``wrt`` for ``seed`` at ``y`` (default 1 for a scalar): arrays, or Tensors if the seed is a Tensor.

    A Tensor that ``y`` does not depend on gets zeros.  Raises TypeError for integers and constants, ValueError without a
    seed for a ``y`` that is not a scalar.
    """
    for x in wrt:
        if x.constant:
            raise TypeError(
                f"gradient: {describe(x)} is a constant of dtype {x.dtype}; use a floating-point tensor, as in ac.tensor(data, dtype=float)"
            )
    recorded = isinstance(seed, Tensor)
    seed = check_seed(y, seed)
    found = {id(s.line): s.cotangent for s in steps(y, wrt, seed, recorded)}
    missing = lambda x: tensor(arrays.zeros(x.shape, x.dtype)) if recorded else arrays.zeros(x.shape, x.dtype)
    return [found[id(x)] if id(x) in found else missing(x) for x in wrt]


def check_seed(y: Tensor, seed: Any) -> Any:
    """The cotangent to start from: 1 for a scalar, or what the caller gave, in y's shape and dtype."""
    if y.dtype.kind not in "fO":
        raise TypeError(
            f"gradient: {describe(y)} has dtype {y.dtype}; only floating-point results can be differentiated"
        )
    if seed is None:
        if y.size != 1:
            raise ValueError(
                f"gradient: {describe(y)} is not a scalar; reduce it first, as in y.sum(), or give a seed of shape {y.shape}"
            )
        return np.ones(y.shape, y.dtype) if y.dtype != object else arrays.cast(np.ones(y.shape), object)
    if np.shape(seed) != y.shape:
        raise ValueError(f"gradient: the seed has shape {np.shape(seed)}, {describe(y)} needs one of shape {y.shape}")
    return seed if isinstance(seed, Tensor) and seed.dtype == y.dtype else arrays.cast(np.asarray(seed), y.dtype)


def own(g: Any) -> Any:
    """A gradient as the caller's own: an array that shares no memory with the tape or with another gradient."""
    return g if isinstance(g, Tensor) else np.array(g, order="C")


def backward(y: Tensor, seed: Any = None) -> None:
    """Add the gradient of ``y`` to ``.grad`` of everything it was computed from (inputs, parameters, and lines between).

    ``seed`` (default 1 for a scalar) is the cotangent of y, of y's shape.  A second call adds again, as in PyTorch.
    Raises TypeError if nothing under y can be differentiated, ValueError without a seed for a y that is not a scalar.
    """
    seed = check_seed(y, seed.value if isinstance(seed, Tensor) else seed)
    if y.constant:
        raise TypeError(
            f"backward: {describe(y)} depends on no floating-point tensor; make one with ac.tensor(data), plain arrays are constants"
        )
    for step in steps(y, None, seed):
        line = step.line
        line.grad = own(step.cotangent) if line.grad is None else line.grad + step.cotangent


# ---- derivatives of functions

_inside: ContextVar[bool] = ContextVar("autoconv_inside_transform", default=False)


def flatten(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The leaves of nested lists, tuples and dicts, and a function that puts others in their places."""
    if isinstance(tree, dict):
        parts = [flatten(v) for v in tree.values()]
        rebuild: Callable[[Any], Any] = lambda made: dict(zip(tree, made, strict=True))
    elif isinstance(tree, list | tuple):
        parts = [flatten(v) for v in tree]
        rebuild = list if isinstance(tree, list) else tuple if type(tree) is tuple else lambda made: type(tree)(*made)
    else:
        return [tree], lambda made: made[0]
    sizes = [len(leaves) for leaves, _ in parts]
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]

    def unflatten(made: Sequence[Any]) -> Any:
        return rebuild([build(made[end - n : end]) for (_, build), n, end in zip(parts, sizes, ends, strict=True)])

    return [leaf for leaves, _ in parts for leaf in leaves], unflatten


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


setattr(Tensor, "backward", backward)  # noqa: B010 (the class declares it for the type checker alone)
