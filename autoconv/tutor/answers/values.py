"""A claim about a value, not a gradient: right, or which slip of the forward pass gives the claimed numbers.

The program is run again with one thing done otherwise (``conventions.forwards``), alone and in pairs of different
kinds, until it gives the very same numbers at all inputs at which the claim has values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, permutations
from typing import Any

import numpy as np

from ...tape import Tape, Tensor, describe
from ...views.element import followed
from ..claim.claim import Claim, Names, finite, tolerance_of
from ..claim.compare import Tolerance, compare, equal, nice
from ..conventions.forwards import Slip, slips
from ..run.forward import Array, Change, all_values, ran
from ..run.replay import fresh_inputs
from ..verdict import ONE_NUMBER, UNSEEN, CounterExample, Finding, Verdict

FRESH = 2  # runs at other inputs, for a formula or a function
WORK, GLANCE = 200_000_000, 20_000_000  # elements computed in a search, and to say what numbers cannot show
FITS = 4  # explanations that are told


class Question:
    """What is asked: the value of ``y`` on its tape, the claim, and where both were computed.

    inputs: by run, the values of inputs that differ from the recorded ones, by id; truth, claimed: by run.
    """

    def __init__(self, y: Tensor, claim: Any, names: Mapping[str, Any] | None, tape: Tape) -> None:
        self.y, self.tape = y, tape
        self.names = Names(self.tape, names)
        self.read = Claim(claim, self.names, y.shape, y.size == 1)
        self.inputs: list[dict[int, Any]] = [{}]
        self.truth: list[Array] = [ran(self.tape, {})]
        self.claimed: list[Array] = []

    @property
    def shape(self) -> tuple[int, ...]:
        return self.truth[0].shape

    def evaluate(self, inputs: dict[int, Any]) -> Array:
        """The claimed numbers at these inputs."""
        values = all_values(self.tape, inputs)
        return np.asarray(self.read.at(lambda line: values[id(line)]), dtype=float)

    def fresh(self) -> None:
        """More runs, at other inputs."""
        rng = np.random.default_rng(0)
        for _ in range(4 * FRESH):
            inputs = {id(line): value for line, value in fresh_inputs(self.tape, rng).items()}
            truth, claimed = ran(self.tape, inputs), self.evaluate(inputs)
            if np.isfinite(truth).all() and np.isfinite(claimed).all():
                self.inputs.append(inputs)
                self.truth.append(truth)
                self.claimed.append(claimed)
            if len(self.inputs) > FRESH:
                return

    def label(self, at: int) -> str:
        """An element of y as a reader writes it."""
        known = followed(self.y, lambda x: bool(x.name) or id(x) in self.names.of or x.primitive is None)
        root, places = (self.y, None) if known is None else known
        flat = at if places is None else int(places.ravel()[at]) - 1
        name = root.name or self.names.of.get(id(root)) or "y"
        index = ", ".join(str(int(k)) for k in np.unravel_index(flat, root.shape))
        return f"{name}[{index}]" if index and flat >= 0 else name

    def verdict(self, kind: str, summary: str, **more: Any) -> Verdict:
        return Verdict(kind, summary, gradient=self.truth[0], claim=self.read.given, **more)


def of_value(
    y: Tensor, claim: Any, names: Mapping[str, Any] | None, rtol: float | None, tape: Tape | None = None
) -> Verdict:
    """The verdict on a claimed value of ``y``, a tensor of any shape; ``tape``: its own, if that knows more names."""
    q = Question(y, claim, names, tape or Tape(y))
    if q.read.kind == "rule":
        raise ValueError(
            f"check: the rule {q.read.rule!r} is of a gradient: with respect to what? Give wrt=w, a Tensor, or claim "
            "numbers or a formula for the value"
        )
    if not np.isfinite(q.truth[0]).all():
        raise ValueError("check: the value is infinite or nan at these inputs; choose others")
    if q.read.kind == "shape":
        if tuple(q.read.given) == y.shape:
            return q.verdict("right", f"the value has the shape {y.shape}.")
        return _other_shape(q, tuple(q.read.given), None, Tolerance())
    q.claimed = [finite(q.evaluate({}), f"the {q.read.kind}")]
    tolerance = tolerance_of(q.read, q.claimed[0], y.dtype, rtol, q.truth[0])
    if not y.ndim and q.claimed[0].size > 1:
        raise TypeError(
            "check: with respect to what? Give wrt=w, a Tensor, or wrt=w[0, 0], one element; a claim about the value "
            f"of {describe(y)} is one number, and this has shape {q.claimed[0].shape}"
        )
    if q.claimed[0].shape != y.shape and not (q.claimed[0].size == y.size == 1):
        return _other_shape(q, q.claimed[0].shape, q.claimed[0], tolerance)
    if q.read.replayable:
        q.fresh()
    agree = [_same(c, t, tolerance) for c, t in zip(q.claimed, q.truth, strict=True)]
    if all(agree):
        return _right(q, tolerance)
    found = _explained(q, tolerance) or _rearranged(q, tolerance)
    if agree[0]:  # and wrong at other inputs
        at = agree.index(False)
        leaves = {name: line for name, line in q.names.lines.items() if id(line) in q.inputs[at]}
        return q.verdict(
            "right only here",
            f"the numbers agree at your inputs, but the {q.read.kind} is not the value: at other inputs it is wrong.",
            mistakes=found[0] if found else None,
            alternatives=found[1:],
            telling_input={name: q.inputs[at][id(line)] for name, line in leaves.items()},
        )
    return _wrong(q, found, tolerance)


def _same(claimed: Array, value: Array, tolerance: Tolerance) -> bool:
    return claimed.size == value.size and equal(claimed.ravel(), value.ravel(), tolerance)


def _right(q: Question, tolerance: Tolerance) -> Verdict:
    evidence = [f"{q.y.size} of {q.y.size} elements agree."]
    tried = [s for s in slips(q.tape) if s.kind != "geometry"] if _affordable(q, 1, GLANCE) else []
    unseen = [s.name for s in tried if _fits(q, [s], Tolerance(1e-12), q.truth)]
    if unseen:
        evidence.append(f"{UNSEEN} whether you would make one of these: {', '.join(sorted(set(unseen)))}.")
    if len(q.inputs) > 1:
        evidence.append(f"The {q.read.kind} also agrees at {len(q.inputs) - 1} fresh random inputs.")
    largest = float(np.abs(q.truth[0]).max(initial=0.0))
    if largest and tolerance.largest > 1e-9 * largest:
        evidence.append("Compared to the digits you gave.")
    return q.verdict("right", "this is the value.", evidence=evidence)


def _wrong(q: Question, found: list[list[Finding]], tolerance: Tolerance) -> Verdict:
    claimed, truth = q.claimed[0].ravel(), q.truth[0].ravel()
    same = np.abs(claimed - truth) <= tolerance.of(truth, float(np.abs(truth).max(initial=0.0)))
    at = int(np.argmax(np.abs(claimed - truth)))
    equation = _equation(q, at)
    example = CounterExample(q.label(at), float(claimed[at]), float(truth[at]), *equation, what="value")
    if not found:
        evidence = [f"{int(same.sum())} of {same.size} elements agree."]
        if 0 < same.sum() < same.size:
            off = [q.label(int(k)) for k in np.flatnonzero(~same)]
            evidence.append(f"The others: {', '.join(off[:8])}{' ...' if len(off) > 8 else ''}.")
        return q.verdict(
            "unknown",
            "this is not the value, and no slip I know leads to it.",
            evidence=evidence,
            counter_example=example,
            hints={"nudge": "Work out a single element by hand first.", "locate": "", "show": ""},
        )
    many = f"{len(found)} explanations fit" if len(found) > 1 else ""
    many = many or (f"{len(found[0])} slips together explain it" if len(found[0]) > 1 else "one slip explains it")
    runs = f" in {len(q.inputs)} runs" if len(q.inputs) > 1 else ""
    evidence = [f"With {'this' if len(found[0]) == 1 else 'these'} the forward pass gives exactly your numbers{runs}."]
    if q.y.size == 1 and len(q.inputs) == 1:
        evidence.append(ONE_NUMBER)
    return q.verdict(
        "wrong",
        f"this is not the value; {many}.",
        mistakes=found[0],
        alternatives=found[1:],
        evidence=evidence,
        counter_example=example,
    )


def _equation(q: Question, at: int) -> tuple[str, str]:
    """The value of one element as an equation, as text and LaTeX."""
    from ...views.equations.value import explain_value

    names = {name: line for name, line in q.names.lines.items() if not line.name}
    try:
        made = explain_value((q.y, tuple(int(k) for k in np.unravel_index(at, q.y.shape))), names, depth=1)
    except (TypeError, ValueError, RuntimeError):
        return "", ""
    return made.text, made.latex


# ---- which slips lead to the claim


def _explained(q: Question, tolerance: Tolerance) -> list[list[Finding]]:
    """The slips, alone or in pairs, whose forward pass has the claimed numbers in all runs; and signs and factors."""
    if not any(np.any(t) for t in q.truth):
        return []
    claimed, truth = (np.concatenate([x.ravel() for x in several]) for several in (q.claimed, q.truth))
    found = [[_factor(-1.0)]] if _same(claimed, -truth, tolerance) else []
    if _affordable(q, 1):
        every = list(slips(q.tape))
        fitting = [s for s in every if _fits(q, [s], tolerance, q.claimed)]
        found += [[_finding(q, s)] for s in fitting]
        if not found and _affordable(q, len(every)):
            pairs = [(a, b) for a, b in combinations(every, 2) if a.kind != b.kind and a.line is not b.line]
            found = [[_finding(q, a), _finding(q, b)] for a, b in pairs if _fits(q, [a, b], tolerance, q.claimed)]
    if not found:
        match = compare(claimed, truth, tolerance, q.y.size, slips=not q.read.replayable)
        if match is not None and nice(match.factor) is not None and len(match.slips) <= q.y.size // 8:
            found = [[_slip(q, k, claimed, truth) for k in match.slips] if match.slips else [_factor(match.factor)]]
    by_name = {tuple(f.name for f in group) + tuple(f.says for f in group): group for group in found}
    return list(by_name.values())[:FITS]


def _affordable(q: Question, each: int, work: int = WORK) -> bool:
    """Whether all slips (``each`` further ones beside each) can be tried."""
    return sum(line.size for line in q.tape) * len(q.inputs) * 60 * each <= work


def _fits(q: Question, together: list[Slip], tolerance: Tolerance, wanted: list[Array]) -> bool:
    """Whether the forward pass with these slips gives the wanted numbers in all runs, and not those it has."""
    for inputs, value in zip(q.inputs, wanted, strict=True):
        made = _with(q, together, inputs)
        if made is None or not np.isfinite(made).all() or not _same(value, made, tolerance):
            return False
    return True


def _with(q: Question, together: list[Slip], inputs: dict[int, Any]) -> Array | None:
    """The value with these slips; None where another geometry cannot be followed."""
    try:
        return ran(q.tape, inputs, _both([s.change for s in together]))
    except (ValueError, IndexError):
        return None


def _both(changes: list[Change]) -> Change:
    def change(line: Tensor, operands: list[Array], values: dict[int, Array]) -> Array | None:
        return next((made for c in changes if (made := c(line, operands, values)) is not None), None)

    return change


def _finding(q: Question, s: Slip) -> Finding:
    scope = s.line.scope
    calls = [x.name for x in (scope.path if scope else ()) if x.kind in ("call", "layer")]
    number = {id(line): i for i, line in enumerate(q.tape)}[id(s.line)]
    where = f"at line %{number}{f', in {calls[0]}' if calls else ''}"
    return Finding(s.name, where, s.says, s.nudge, f"Look at line %{number} of repr(ac.Tape(y)).", s.show)


def _factor(factor: float) -> Finding:
    if factor == -1:
        return Finding(
            "sign", "", "all numbers have the other sign", "Where does a minus come in?",
            "Compare one product with its sign.", "the sign is the other one",
        )  # fmt: skip
    return Finding(
        "factor", "", f"all numbers are {factor:.4g} times the value", "Is something counted several times, or halved?",
        "Compare one element with its sum of products.", f"divide by {factor:.4g}",
    )  # fmt: skip


def _slip(q: Question, k: int, claimed: Array, truth: Array) -> Finding:
    return Finding(
        "arithmetic slip", f"element {q.label(k)}", f"you have {claimed[k]:.6g} where {truth[k]:.6g} belongs",
        "Which single numbers did you work out by hand?", f"Work out {q.label(k)} again.", "all others are right",
    )  # fmt: skip


def _rearranged(q: Question, tolerance: Tolerance) -> list[list[Finding]]:
    """Right numbers in the wrong places: another element, the axes in another order, or reversed."""
    if q.y.size == 1:
        return _neighbour(q, tolerance)
    claimed, truth = q.claimed, q.truth
    axes = range(q.y.ndim)
    for order in permutations(axes) if q.y.ndim <= 4 else ():
        for turned in [(), *[(a,) for a in axes], tuple(axes)]:
            moved = [np.flip(t.transpose(order), turned) for t in truth]
            if (order != tuple(axes) or turned) and all(
                m.shape == c.shape and _same(c, m, tolerance) for c, m in zip(claimed, moved, strict=True)
            ):
                how = f"with the axes in the order {order}" if order != tuple(axes) else ""
                how += (" and " if how and turned else "") + (f"reversed along {turned}" if turned else "")
                return [[_misplaced(f"the numbers are those of the value {how}")]]
    return []


def _neighbour(q: Question, tolerance: Tolerance) -> list[list[Finding]]:
    """The value of another element of the tensor that one number was taken from."""
    if q.y.primitive is None or not q.y.primitive.moves or len(q.inputs) > 1:
        return []
    root = q.y.operands[0]
    near = np.flatnonzero(
        np.abs(root.value.ravel() - q.claimed[0].ravel()[0]) <= tolerance.of(q.claimed[0].ravel(), 0.0)
    )
    if len(near) != 1:
        return []
    index = ", ".join(str(int(k)) for k in np.unravel_index(int(near[0]), root.shape))
    name = root.name or q.names.of.get(id(root)) or "the tensor"
    return [[_misplaced(f"this is the number of another element, {name}[{index}]")]]


def _misplaced(says: str) -> Finding:
    return Finding(
        "right numbers in the wrong places", "", says, "Which element is it?", "Compare the positions of your numbers.",
        "an index counts from 0, the row first",
    )  # fmt: skip


def _other_shape(q: Question, shape: tuple[int, ...], claimed: Array | None, tolerance: Tolerance) -> Verdict:
    """A value of another shape: the geometry that gives that shape, and whether it gives these numbers too."""
    giving: list[Slip] = []
    for s in slips(q.tape) if _affordable(q, 1) else ():
        made = _with(q, [s], {})
        if made is not None and made.shape == shape:
            giving.append(s)
            if claimed is not None and _same(claimed, made, tolerance):
                return q.verdict(
                    "wrong",
                    f"the value has shape {q.shape}, yours {shape}; one slip explains shape and numbers.",
                    mistakes=[_finding(q, s)],
                    evidence=["With this the forward pass gives exactly your numbers."],
                )
    evidence = [f"Another geometry has this shape: {_listed(s.says for s in giving[:3])}."] if giving else []
    finding = Finding(
        "wrong shape", "", f"you have shape {shape}, the value has {q.shape}",
        "How often does the window fit?", f"Compare the number of axes: {len(shape)} against {len(q.shape)}."
        if len(shape) != len(q.shape) else "Count the positions of the window along each axis.",
        "size' = floor((size + padding on both sides - dilation * (window - 1) - 1) / stride) + 1",
    )  # fmt: skip
    return q.verdict("wrong", f"the value has shape {q.shape}, yours {shape}.", mistakes=[finding], evidence=evidence)


def _listed(words: Iterable[str]) -> str:
    return "; or ".join(dict.fromkeys(words))
