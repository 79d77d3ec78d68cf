"""``ac.break_it``: a mistake of the bank made on purpose, the true and the broken sweep side by side."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

import numpy as np

from ..backward import steps
from ..operands import found
from ..render.notebook import bundle
from ..render.text import numbers
from ..render.theme import anywhere
from ..tape import Tape, Tensor, describe
from .bank import BANK, Mistake, find
from .bank.mistake import Injection
from .claim.claim import Names
from .run.replay import Run
from .search.describe import where


class ComparedStep(NamedTuple):
    """One step of both sweeps: the line, and its cotangent by the true and the broken one (None: it received none)."""

    line: Tensor
    place: str
    true: np.ndarray
    broken: np.ndarray | None

    @property
    def differs(self) -> bool:
        if self.broken is None:
            return bool(np.any(self.true))
        scale = float(np.abs(self.true).max()) if self.true.size else 0.0
        return not np.allclose(self.true, self.broken, rtol=1e-9, atol=1e-12 * max(scale, 1e-300))


class Broken:
    """What ``ac.break_it`` returns: the true sweep and the broken one, step by step.

    rows: one for each step, from the loss down, with its line, its place in words, and the cotangents ``true`` and
    ``broken``, both of the line's shape; first: the first of them that differs, or None.  true, broken: the gradients
    of the inputs, by name (or by Tensor).  mistake, variant, at: what was switched on, and where; variants: those that
    there are. text: the table.
    """

    def __init__(
        self, mistake: Mistake, variant: str, variants: list[str], at: str, rows: list[ComparedStep], names: Names
    ) -> None:
        self.mistake, self.variant, self.variants, self.at, self.rows = mistake, variant, variants, at, rows
        leaves = [row for row in rows if row.line.primitive is None]
        key = lambda row: names.of.get(id(row.line)) or row.line
        self.true = {key(row): row.true for row in leaves}
        self.broken = {key(row): np.zeros_like(row.true) if row.broken is None else row.broken for row in leaves}

    @property
    def first(self) -> ComparedStep | None:
        return next((row for row in self.rows if row.differs), None)

    @property
    def text(self) -> str:
        """A table of the steps, the first difference marked."""
        variant = f"; {self.variant}" if self.variant else ""
        rows = [f"{self.mistake.name} ({self.at}{variant}): {self.mistake.says}"]
        first = self.first
        wide = max(len(row.place) for row in self.rows)
        for row in self.rows:
            mark = ">" if row is first else "*" if row.differs else " "
            told = numbers(row.true) + (f"   broken: {_told(row.broken)}" if row.differs else "")
            rows.append(f"{mark} {row.place:<{wide}}  {told}")
        if first is None:
            rows.append("Nothing differs: at these inputs this mistake does not show.")
        else:
            rows.append(f"The first difference is {first.place}. The right rule: {self.mistake.show}.")
        return "\n".join(rows)

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(self.text, html=self.html)

    @property
    def html(self) -> str:
        """The steps as a table."""
        first = self.first
        body = []
        for row in self.rows:
            style = f' style="outline:2px solid {anywhere("minus")}"' if row is first else ""
            other = escape(_told(row.broken)) if row.differs else "the same"
            other = f"<strong>{other}</strong>, the first that differs" if row is first else other
            body.append(
                f"<tr{style}><td>{escape(row.place)}</td><td>{escape(numbers(row.true))}</td><td>{other}</td></tr>"
            )
        title = escape(f"{self.mistake.name}: {self.mistake.says}")
        head = "<tr><th>step</th><th>true gradient</th><th>broken</th></tr>"
        return f"<p>{title}</p><table>{head}{''.join(body)}</table>"


def _told(x: np.ndarray | None) -> str:
    return "nothing arrives" if x is None else numbers(x)


def break_it(
    loss: Tensor,
    mistake: str = "kernel not rotated",
    at: Any = None,
    variant: str | None = None,
    names: Mapping[str, Any] | None = None,
    *,
    way: str | None = None,
) -> Broken:
    """Sweep back from the loss twice, once rightly and once with a mistake, and lay the steps side by side.

        x_bar = sum over the lines that read x of vjp(y_bar): in the broken sweep one vjp, or one such sum, is another

    loss: one number.  mistake: a name of ``ac.mistakes()``.  at: where it is made: None for everywhere it can be, a
    Tensor (the line whose rule is wrong, or the tensor whose gradient is), or the name of a call, as in "conv2d".
    variant: for mistakes that can be made in several ways, which (default: the first).  names: as in names=locals().
    Raises ValueError for a loss that is not one differentiable number, an unknown mistake or variant, and where the
    mistake cannot be made; TypeError for an ``at`` of another type.

    The mistakes are those that ``ac.check`` looks for: mutations of the sweep, as in mutation testing (DeMillo, Lipton
    and Sayward, Hints on Test Data Selection, 1978).

    >>> import autoconv as ac
    >>> w = ac.tensor([1.0, 2.0], name="w")
    >>> broken = ac.break_it(ac.sum(w * w), "only one of several paths")
    >>> print(broken.true["w"], broken.broken["w"])
    [2. 4.] [1. 2.]
    """
    if way is not None:
        warnings.warn("break_it: way= is called variant= now", DeprecationWarning, stacklevel=2)
        variant = way
    if not isinstance(loss, Tensor) or loss.size != 1 or loss.constant:
        given = describe(loss) if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"break_it: the loss must be one differentiable number, found {given}")
    if not isinstance(mistake, str) or not (variant is None or isinstance(variant, str)):
        raise TypeError(f"break_it: mistake and variant must be names, found {found(mistake)} and {found(variant)}")
    entry = find(mistake)
    tape = Tape(loss)
    known = Names(tape, names)
    run = Run(tape, None)
    injections = list(entry.injections(run))
    if not injections:
        raise ValueError(f"break_it: there is no place on this tape where {mistake!r} could be made")
    variants = list(dict.fromkeys(injection.variant for injection in injections))
    if variant is not None and variant not in variants:
        raise ValueError(
            f"break_it: {mistake!r} has no variant {variant!r} here; it has {', '.join(map(repr, variants))}"
        )
    chosen = [p for p in injections if at is None or _meant(at, p, run, tape)]
    if not chosen:
        places = dict.fromkeys(where(tape, tape[run.position(p.line)], known) for p in injections)
        raise ValueError(f"break_it: {mistake!r} cannot be made there; it can be made {'; '.join(places)}")
    variant = chosen[0].variant if variant is None else variant
    chosen = [p for p in chosen if p.variant == variant]
    if not chosen:
        raise ValueError(f"break_it: {mistake!r} cannot be made in the variant {variant!r} at that place")
    rules = entry.everywhere(run, variant) if at is None else chosen[0].rules()
    with np.errstate(all="ignore"):
        broken = {id(s.line): s.cotangent for s in steps(run.loss, None, np.ones(run.loss.shape), rules=rules)}
    rows = []
    for step in run.steps:
        line = tape[run.position(step.line)]
        place = where(tape, line, known).removeprefix("at ")
        rows.append(ComparedStep(line, place, step.cotangent, broken.get(id(step.line))))
    made_at = "everywhere" if at is None else where(tape, tape[run.position(chosen[0].line)], known)
    return Broken(entry, variant, variants, made_at, rows, known)


def _meant(at: Any, injection: Injection, run: Run, tape: Tape) -> bool:
    """Whether an injection lies at a call's name, at a line, or at the operand that a line reads."""
    if isinstance(at, str):
        return injection.line.scope is not None and at in [s.name for s in injection.line.scope.path]
    if not isinstance(at, Tensor):
        raise TypeError(f"break_it: at must be a Tensor, the name of a call or None; found {type(at).__name__}")
    if id(at) not in run.lines:
        raise ValueError(f"break_it: {describe(at)} is not on the tape of this loss")
    line = run.of(at)
    return injection.line is line or (
        injection.k is not None and _through(injection.line.operands[injection.k]) is line
    )


def _through(x: Tensor) -> Tensor:
    """What a reshaped or rotated tensor was before."""
    while x.primitive is not None and x.primitive.rearranges:
        x = x.operands[0]
    return x


class Mistakes(dict[str, str]):
    """{name: what it does}, a table in a notebook."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle("\n".join(f"{name}: {says}" for name, says in self.items()), html=self.html)

    @property
    def html(self) -> str:
        """The mistakes as a table."""
        left = 'style="text-align:left"'
        rows = "".join(
            f"<tr><td {left}>{escape(name)}</td><td {left}>{escape(says)}</td></tr>" for name, says in self.items()
        )
        return f"<table><tr><th {left}>mistake</th><th {left}>what it does</th></tr>{rows}</table>"


def mistakes() -> Mistakes:
    """The names of all mistakes that the tutor knows and can make, and what each one does: {name: what}.

    ``ac.check`` looks for them, ``ac.break_it(y, name)`` makes one.

    >>> import autoconv as ac
    >>> ac.mistakes()["upstream gradient forgotten"]
    'the local derivative was taken, but not multiplied with what arrives from above'
    """
    return Mistakes({name: m.says for name, m in BANK.items()})
