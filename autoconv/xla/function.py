"""``to_jax``: a function of autoconv as a function of JAX's arrays, with the recorded sweep as its gradient."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backward import reached
from ..program.program import Program, from_tape
from ..program.record.watch import Recorded, record
from ..program.rewrite import hoist, simplify
from ..shapes import shown
from ..tape import Tensor
from ..tree import flatten
from .library import jax, jnp, need, wide
from .lower import Lowered, unfit


def to_jax(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` as a function of JAX's arrays, which ``jax.jit``, ``vmap``, ``grad`` and ``shard_map`` take.

    f: a function of arrays and Tensors (in lists, tuples and dicts as well); other arguments are part of it.  It is
    recorded whenever JAX traces it, at the shapes and dtypes of the arrays; Tensors that it closes over have the
    values of that moment.  The result has JAX's arrays in place of f's Tensors, in float32 unless the process has 64
    bits switched on.  Its gradient (``jax.grad``, ``vjp``) is the recorded sweep, with the slopes at kinks that the
    table has; forward derivatives (``jax.jvp``) are not defined.
    Raises ImportError without JAX (``pip install "autoconv[xla]"``), TypeError for what is not callable; when it
    is traced ValueError for a function that looks at its numbers, draws random ones, keeps running means or calculates
    with exact fractions.

    >>> square = ac.to_jax(lambda x: ac.sum(x * x))  # doctest: +SKIP
    >>> jax.grad(jax.jit(square))(jnp.array([1.0, 2.0]))  # doctest: +SKIP
    Array([2., 4.], dtype=float32)
    """
    if not callable(f):
        raise TypeError(f"to_jax: {shown(f)} is not a function; pass the function itself, as in ac.to_jax(loss)")
    need("to_jax")

    @functools.wraps(f)
    def called(*args: Any, **kwargs: Any) -> Any:
        leaves, rebuild = flatten((args, kwargs))
        there = [isinstance(x, jax.Array | np.ndarray | np.generic | Tensor) for x in leaves]
        arrays = [jnp.asarray(x.value if isinstance(x, Tensor) else x) for x, a in zip(leaves, there, strict=True) if a]

        def placed(lines: Sequence[Any]) -> Any:
            waiting = iter(lines)
            return rebuild([next(waiting) if a else x for x, a in zip(leaves, there, strict=True)])

        function = _Function(f, placed, [_like(x) for x in arrays])
        return function.rebuild(_with_sweep(function, arrays))

    return called


def _like(x: Any) -> np.ndarray:
    """Numbers to record with, of an array's shape and dtype."""
    return np.broadcast_to(np.zeros((), x.dtype), x.shape)


class _Function:
    """f at arrays of some shapes: its program, and that of its gradients."""

    def __init__(self, f: Callable[..., Any], placed: Callable[[Sequence[Any]], Any], like: list[np.ndarray]) -> None:
        self._f, self._placed, self._like = f, placed, like
        self._name = getattr(f, "__name__", type(f).__name__)
        lines, recorded = self._recorded(like, lambda lines: self._called(lines))
        leaves, self._rebuild = flatten(recorded.result)
        self._is_line = [isinstance(x, Tensor) for x in leaves]
        self._others = leaves
        outputs = [x for x in leaves if isinstance(x, Tensor)]
        self.floats = [k for k, x in enumerate(outputs) if x.dtype.kind == "f"]
        self.shapes = [(x.shape, x.dtype) for x in outputs]
        self.forward = self._lowered(recorded, outputs, lines)

    def _called(self, lines: Sequence[Tensor]) -> Any:
        args, kwargs = self._placed(lines)
        return self._f(*args, **kwargs)

    def rebuild(self, outputs: Sequence[Any]) -> Any:
        waiting = iter(outputs)
        return self._rebuild([next(waiting) if a else x for x, a in zip(self._others, self._is_line, strict=True)])

    def swept(self) -> tuple[Lowered, list[bool]]:
        """The gradients' program, of the arguments and then the cotangents of the floating-point results; and which
        arguments have one."""
        given = [np.broadcast_to(np.zeros((), self.shapes[k][1]), self.shapes[k][0]) for k in self.floats]
        count = len(self._like)

        def gradients(lines: Sequence[Tensor]) -> list[Any]:
            leaves = [x for x in flatten(self._called(lines[:count]))[0] if isinstance(x, Tensor)]
            wrt = [x for x in lines[:count] if x.dtype.kind == "f"]
            totals: list[Any] = [None] * len(wrt)
            for k, g in zip(self.floats, lines[count:], strict=True):
                if leaves[k].constant:
                    continue
                for i, part in enumerate(reached(leaves[k], wrt, g)):
                    totals[i] = part if totals[i] is None else totals[i] if part is None else totals[i] + part
            return totals

        lines, recorded = self._recorded([*self._like, *given], gradients)
        return self._lowered(recorded, [g for g in recorded.result if g is not None], lines), [
            g is not None for g in recorded.result
        ]

    def _recorded(
        self, values: list[np.ndarray], f: Callable[[Sequence[Tensor]], Any]
    ) -> tuple[list[Tensor], Recorded]:
        lines = [Tensor(x) for x in values]
        with np.errstate(all="ignore"):
            recorded = record(lambda: f(lines), lines, [])
        reason = recorded.reason
        if reason is None and any(not s.name for s in recorded.sources):
            reason = "it draws random numbers; give them as an argument, or call model.eval() first"
        if reason is None and recorded.observers:
            reason = "it keeps running statistics; call model.eval() first"
        if reason is not None:
            raise ValueError(f"to_jax: {self._name} cannot become a function of JAX, because {reason}")
        return lines, recorded

    def _lowered(self, recorded: Recorded, outputs: list[Tensor], lines: list[Tensor]) -> Lowered:
        kept = {id(s.line): s.line for s in recorded.sources}  # running means, as they are now
        program: Program = from_tape(outputs, [*lines, *kept.values()], recorded.start)
        for line in program.lines:
            if line.argument is not None and line.argument >= len(lines):
                line.value, line.argument = list(kept.values())[line.argument - len(lines)].value, None
        if reason := unfit(program):
            raise ValueError(f"to_jax: {self._name} cannot become a function of JAX, because {reason}")
        return Lowered(simplify(hoist(simplify(program))))


def _computed(lowered: Lowered, arrays: Sequence[Any]) -> list[Any]:
    """The outputs, with as many bits as the process allows."""
    with wide():
        made = lowered(arrays, [t.value for t in lowered.tensors])[0]
    return [x.astype(jax.dtypes.canonicalize_dtype(x.dtype)) for x in made]


def _with_sweep(function: _Function, arrays: list[Any]) -> list[Any]:
    """The results, with the recorded sweep as their gradient."""

    @jax.custom_vjp
    def results(arrays: list[Any]) -> list[Any]:
        return _computed(function.forward, arrays)

    def forward(arrays: list[Any]) -> tuple[list[Any], list[Any]]:
        return results(arrays), arrays

    def backward(arrays: list[Any], cotangents: list[Any]) -> tuple[list[Any]]:
        lowered, known = function.swept()
        made = iter(_computed(lowered, [*arrays, *[cotangents[k] for k in function.floats]]))
        found = iter(known)
        gradients: list[Any] = []
        for x in arrays:
            if np.dtype(x.dtype).kind != "f":
                gradients.append(np.zeros(x.shape, jax.dtypes.float0))
            else:
                gradients.append(next(made).astype(x.dtype) if next(found) else jnp.zeros_like(x))
        return (gradients,)

    results.defvjp(forward, backward)
    made: list[Any] = results(arrays)
    return made
