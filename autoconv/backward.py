"""The sweep: cotangents pulled back along the tape, line by line.

``steps`` walks back once and yields what happens at each line; ``sweep`` is that iterator run to its end.  The rules
are written in primitives, so a sweep over Tensors is itself recorded (drawn, stepped, differentiated again), and a
sweep over plain arrays is the same code without a tape.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from . import arrays
from .hooks import watcher
from .operands import found, numbers
from .primitives import slope
from .renamed import renamed
from .tape import Array, Primitive, Tape, Tensor, describe, enter, leave, outside, tensor

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
    cotangent: Any,
    recorded: bool = False,
    rules: Callable[[Tensor, Any, tuple[int, ...], bool], list[Any]] | None = None,
) -> Iterator[Step]:
    """Walk back from ``y`` over the lines between it and ``wrt`` (None: every line that can be differentiated).

    x_bar = sum over the lines y that read x of vjp(y_bar), with y_bar of the output = ``cotangent``.  ``rules`` stands
    in for ``pull``, the table's rules: this is how the tutor runs the sweep of somebody who makes a mistake.
    """
    rules = rules or pull
    tape = Tape(y)
    asked = None if wrt is None else {id(x) for x in wrt}
    leads: set[int] = set()
    for line in tape:
        if not line.constant and (asked is None or id(line) in asked or any(id(x) in leads for x in line.operands)):
            leads.add(id(line))
    sums: dict[int, Any] = {id(y): cotangent} if id(y) in leads else {}
    for line in reversed(tape):
        if id(line) not in sums:
            continue
        step = Step(line, sums.pop(id(line)), [])
        wanted = tuple([k for k, x in enumerate(line.operands) if id(x) in leads and _passes(line, k)])
        if wanted:
            entered = enter(f"backward of {line.primitive.name}", "backward", line) if recorded else None  # type: ignore[union-attr]
            try:
                for k, g in zip(wanted, rules(line, step.cotangent, wanted, recorded), strict=True):
                    x = line.operands[k]
                    before = sums.get(id(x))
                    sums[id(x)] = after = g if before is None else before + g
                    step.contributions.append((k, g, before, after))
            finally:
                if entered is not None:
                    leave(entered)
        yield step


def _passes(line: Tensor, k: int) -> bool:
    """Whether a line's row has a rule for operand k: an order or a condition has none."""
    rules = line.primitive.vjps if line.primitive else ()
    return not isinstance(rules, tuple) or not rules or rules[k] is not None


def pull(line: Tensor, g: Any, wanted: tuple[int, ...], recorded: bool) -> list[Any]:
    """The contributions of one line to its operands number ``wanted``, by the row's rules or by its definition."""
    primitive = line.primitive
    if primitive is None or not wanted:
        return []
    y: Any = line
    operands: tuple[Any, ...] = line.operands
    if not recorded:
        watched = watcher.get() is not None
        y, *values = [x.value if watched else x._value for x in (line, *operands)]
        operands = tuple(values)
    if primitive.definition is not None:
        rule = derive(primitive, len(operands), wanted, tuple(line.params.items()))
        contributions: list[Any]
        if not recorded:
            contributions = arrays.elementwise(rule, len(wanted), g, *operands, by_order=primitive.ties)
        elif primitive.ties:  # one line that selects, where the definition's sum would have inf - inf
            contributions = [slope(g, *operands, **cases._asdict()) for cases in arrays.cases(rule)]
        else:
            contributions = rule(g, *operands)
    elif isinstance(primitive.vjps, tuple):
        contributions = [primitive.vjps[k](g, y, *operands, **line.params) for k in wanted]  # type: ignore[misc]
    else:
        every = primitive.vjps(g, y, *operands, **line.params)
        contributions = [every[k] for k in wanted]
    if recorded:
        return contributions
    return [arrays.ordered_as(x, operands[k]) for k, x in zip(wanted, contributions, strict=True)]


class Derived:
    """The rule that follows from a definition: recorded once on scalars, swept once, run on every shape and dtype.

    ``variables`` are the cotangent, then the operands, on the tape of the cotangents of operands ``wanted``.
    """

    def __init__(
        self, primitive: Primitive, count: int, wanted: tuple[int, ...], params: tuple[tuple[str, Any], ...]
    ) -> None:
        assert primitive.definition is not None
        g, *operands = self.variables = [tensor(0.5) for _ in range(count + 1)]

        def sweep_of_definition() -> Tape:
            y = primitive.definition(*operands, **dict(params))  # type: ignore[misc]
            return Tape(*sweep(y, [operands[k] for k in wanted], g))

        self.tape = outside(sweep_of_definition)  # it is kept, and a scope around the caller holds the caller's lines
        self._numbers = {x: x.item() for x in self.tape if x.primitive is None and x.constant}
        self._at = partial(primitive.at, **dict(params)) if primitive.at else None

    def __call__(self, g: Any, *operands: Any) -> list[Any]:
        """The contributions, where ``at`` has moved the operands."""
        placed = self._at(*operands) if self._at else operands
        return list(self.tape.run({**self._numbers, **dict(zip(self.variables, (g, *placed), strict=True))}))


derive = cache(Derived)


@renamed(seed="cotangent")
def sweep(y: Tensor, wrt: Sequence[Tensor], cotangent: Any = None) -> list[Any]:
    """The cotangents of ``wrt`` for ``cotangent`` at ``y`` (default 1 for a scalar).

        x_bar = sum over the elements of y of y_bar dy/dx, of x's shape

    Arrays, or Tensors if ``cotangent`` is a Tensor.  A Tensor that ``y`` does not depend on gets zeros,
    where ``backward`` leaves its ``.grad`` alone.
    Raises TypeError for integers and constants, ValueError without a cotangent for a ``y`` that is not a scalar.

    >>> x = ac.tensor([1.0, 2.0, 3.0])
    >>> ac.sweep(x * x, [x], [1.0, 0.0, 10.0])
    [array([ 2.,  0., 60.])]
    """
    recorded = isinstance(cotangent, Tensor)
    cotangents = reached(y, wrt, cotangent)
    return [_zeros_of(x, recorded) if g is None else g for x, g in zip(wrt, cotangents, strict=True)]


def reached(y: Tensor, wrt: Sequence[Tensor], cotangent: Any = None) -> list[Any]:
    """The cotangents of ``wrt`` as in ``sweep``, but None for a Tensor that the sweep does not reach.

    That y does not depend on it is another thing than a gradient of 0: an optimiser moves what has a gradient of 0, by
    its momentum and decay, and leaves alone what has none.
    """
    if not isinstance(wrt, Sequence) or not all([isinstance(x, Tensor) for x in wrt]):
        raise TypeError(f"sweep: wrt must be a list of Tensors, found {found(wrt)}; as in [x]")
    for x in wrt:
        if x.constant:
            raise TypeError(
                f"gradient: {describe(x)} is a constant of dtype {x.dtype}; use a floating-point tensor, "
                "as in ac.tensor(data, dtype=float)"
            )
    start = check_cotangent(y, cotangent)
    asked = {id(x) for x in wrt}
    walk = steps(y, wrt, start, isinstance(cotangent, Tensor))
    pulled = {id(s.line): s.cotangent for s in walk if id(s.line) in asked}
    return [pulled.get(id(x)) for x in wrt]


def _zeros_of(x: Tensor, recorded: bool) -> Any:
    """The cotangent of a Tensor that the output does not depend on."""
    zeros = arrays.zeros(x.shape, x.dtype)
    return tensor(zeros) if recorded else zeros


def check_cotangent(y: Tensor, cotangent: Any) -> Any:
    """The cotangent to start from: 1 for a scalar, or what the caller gave, in y's shape and dtype."""
    if not isinstance(y, Tensor):
        raise TypeError(
            f"gradient: the output must be a Tensor, found {found(y)}; make its inputs with ac.tensor(data)"
        )
    if y.dtype.kind not in "fO":
        raise TypeError(
            f"gradient: {describe(y)} has dtype {y.dtype}; only floating-point results can be differentiated"
        )
    if cotangent is None:
        if y.size != 1:
            raise ValueError(
                f"gradient: {describe(y)} is not a scalar; reduce it first, as in y.sum(), or give a cotangent of "
                f"shape {y.shape}"
            )
        return arrays.cast(np.ones(y.shape), y.dtype)
    given = cotangent if isinstance(cotangent, Tensor) else numbers(cotangent, "gradient: cotangent")
    if given.shape != y.shape:
        raise ValueError(f"gradient: the cotangent has shape {given.shape}, {describe(y)} needs one of shape {y.shape}")
    taken = isinstance(cotangent, Tensor) and cotangent.dtype == y.dtype
    return cotangent if taken else arrays.cast(np.asarray(given), y.dtype)


def own(g: Any) -> Any:
    """A gradient as the caller's own: an array that shares no memory with the tape or with another gradient."""
    return g if isinstance(g, Tensor) else np.array(g, order="C")


@renamed(seed="cotangent")
def backward(y: Tensor, cotangent: Any = None, *, gradient: Any = None, retain_graph: bool = True) -> None:
    """Add the gradient of ``y`` to ``.grad`` of everything it was computed from (inputs, parameters, and lines
    between).

    Also ``y.backward()``.  ``cotangent`` (default 1 for a scalar) is that of y, of y's shape.  A second call adds
    again, as in PyTorch; one that is interrupted has added nothing.  gradient: PyTorch's name of cotangent;
    retain_graph: PyTorch's, a tape is always kept.  Raises TypeError if nothing under y can be differentiated,
    ValueError without a cotangent for a y that is not a scalar.

    >>> w = ac.tensor([1.0, 2.0])
    >>> ac.backward(ac.sum(w * w))
    >>> w.grad
    array([2., 4.])
    """
    if gradient is not None:
        if cotangent is not None:
            raise TypeError("backward: gradient= is another name of cotangent=; give one of them")
        cotangent = gradient
    start = check_cotangent(y, cotangent.value if isinstance(cotangent, Tensor) else cotangent)
    if y.constant:
        raise TypeError(
            f"backward: {describe(y)} depends on no floating-point tensor; make one with ac.tensor(data), "
            "plain arrays are constants"
        )
    _accumulate([(step.line, own(step.cotangent)) for step in steps(y, None, start)])


def _accumulate(gradients: list[tuple[Tensor, Array]]) -> None:
    """Add each gradient to the ``.grad`` of its line: to all or, if an error or Ctrl-C comes between, to none."""
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
