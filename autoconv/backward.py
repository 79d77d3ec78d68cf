"""The sweep: cotangents pulled back along the tape, line by line.

``steps`` walks back once and yields what happens at each line; ``sweep`` is that iterator run to its end.  The rules are
written in primitives, so a sweep over Tensors is itself recorded (drawn, stepped, differentiated again), and a sweep over
plain arrays is the same code without a tape.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from . import arrays
from .tape import Primitive, Tape, Tensor, describe, scope, tensor

_accumulating = threading.RLock()
if hasattr(os, "register_at_fork"):  # another thread may hold it when this one forks, and would never give it back
    os.register_at_fork(after_in_child=lambda: globals().update(_accumulating=threading.RLock()))


class Step(NamedTuple):
    """What the sweep does at one line: its cotangent is complete, and each operand k receives a contribution.

    ``contributions`` holds (k, contribution, sum before or None, sum after).
    """

    line: Tensor
    cotangent: Any
    contributions: list[tuple[int, Any, Any, Any]]


def steps(
    y: Tensor,
    wrt: Sequence[Tensor] | None,
    seed: Any,
    recorded: bool = False,
    rules: Callable[[Tensor, Any, tuple[int, ...], bool], list[Any]] | None = None,
) -> Iterator[Step]:
    """Walk back from ``y`` over the lines between it and ``wrt`` (None: every line that can be differentiated).

    x_bar = sum over the lines y that read x of vjp(y_bar), with y_bar of the output = ``seed``.  ``rules`` stands in for
    ``pull``, the table's rules: this is how the tutor runs the sweep of somebody who makes a mistake.
    """
    rules = rules or pull
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
            for k, g in zip(wanted, rules(line, step.cotangent, wanted, recorded), strict=True):
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
    y = line if recorded else line.value
    operands: tuple[Any, ...] = line.operands if recorded else tuple([x.value for x in line.operands])
    if primitive.definition is not None:
        if recorded or primitive.at is None:
            rule = partial(by_definition, primitive, wanted, line.params)
            made = rule(g, *operands) if recorded else arrays.in_blocks(rule, len(wanted), g, *operands)
        else:
            x, y = operands
            made = arrays.times_cases(g, x, y, by_case(primitive, wanted, tuple(line.params.items())))
    elif isinstance(primitive.vjps, tuple):
        made = [primitive.vjps[k](g, y, *operands, **line.params) for k in wanted]  # type: ignore[misc]
    else:
        every = primitive.vjps(g, y, *operands, **line.params)
        made = [every[k] for k in wanted]
    return made if recorded else [arrays.ordered_as(m, operands[k]) for k, m in zip(wanted, made, strict=True)]


def by_definition(
    primitive: Primitive, wanted: tuple[int, ...], params: Mapping[str, Any], g: Any, *operands: Any
) -> list[Any]:
    """The contributions of a row with a definition: the rule derived from it, where ``at`` has moved the operands."""
    placed = primitive.at(*operands, **params) if primitive.at else operands
    variables, numbers, derived = derive(primitive, len(operands), wanted, tuple(params.items()))
    return list(derived.run({**numbers, **dict(zip(variables, (g, *placed), strict=True))}))


@cache
def by_case(primitive: Primitive, wanted: tuple[int, ...], params: tuple[tuple[str, Any], ...]) -> list[arrays.Cases]:
    """The slopes of a row that is differentiated at (order of x and y, 0): the derived rule for the orders -1, 0 and 1.

    There are no other cases, so on arrays the rule is a product with one of three numbers for each operand ``wanted``.
    """
    variables, numbers, derived = derive(primitive, 2, wanted, params)
    point = zip(variables, (np.ones(3), np.array([-1.0, 0.0, 1.0]), np.zeros(3)), strict=True)
    return [tuple(slope.tolist()) for slope in derived.run({**numbers, **dict(point)})]


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
    asked = {id(x) for x in wrt}
    found = {id(s.line): s.cotangent for s in steps(y, wrt, seed, recorded) if id(s.line) in asked}
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
        return arrays.cast(np.ones(y.shape), y.dtype)
    if np.shape(seed) != y.shape:
        raise ValueError(f"gradient: the seed has shape {np.shape(seed)}, {describe(y)} needs one of shape {y.shape}")
    return seed if isinstance(seed, Tensor) and seed.dtype == y.dtype else arrays.cast(np.asarray(seed), y.dtype)


def own(g: Any) -> Any:
    """A gradient as the caller's own: an array that shares no memory with the tape or with another gradient."""
    return g if isinstance(g, Tensor) else np.array(g, order="C")


def backward(y: Tensor, seed: Any = None) -> None:
    """Add the gradient of ``y`` to ``.grad`` of everything it was computed from (inputs, parameters, and lines between).

    ``seed`` (default 1 for a scalar) is the cotangent of y, of y's shape.  A second call adds again, as in PyTorch; one
    that is interrupted has added nothing.  Raises TypeError if nothing under y can be differentiated, ValueError without a
    seed for a y that is not a scalar.
    """
    seed = check_seed(y, seed.value if isinstance(seed, Tensor) else seed)
    if y.constant:
        raise TypeError(
            f"backward: {describe(y)} depends on no floating-point tensor; make one with ac.tensor(data), plain arrays are constants"
        )
    _accumulate([(step.line, own(step.cotangent)) for step in steps(y, None, seed)])


def _accumulate(gradients: list[tuple[Tensor, np.ndarray]]) -> None:
    """Add each gradient to the ``.grad`` of its line: to all of them or, if an error or Ctrl-C comes between, to none."""
    with _accumulating:  # several threads may sweep over one tape
        before = [line.grad for line, _ in gradients]
        after = [g if old is None else old + g for old, (_, g) in zip(before, gradients, strict=True)]
        try:
            for (line, _), new in zip(gradients, after, strict=True):
                line.grad = new
        except BaseException:
            for (line, _), old in zip(gradients, before, strict=True):
                line.grad = old
            raise


setattr(Tensor, "backward", backward)  # noqa: B010 (the class declares it for the type checker alone)
