"""What ``ac.compare`` answers, as an object and as text of 80 columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import wrap

from .side import Side

WIDTH = 80
MOST_SHOWN = 4


@dataclass
class Where:
    """A line of one run: its number on the tape, its row and shape, the scopes around it, its line of the source."""

    line: int | None
    row: str
    shape: tuple[int, ...]
    scope: str = ""
    source: str = ""
    name: str = ""

    def __str__(self) -> str:
        what = f"{self.name}, " if self.name else ""
        around = f" in {self.scope}" if self.scope else ""
        number = "" if self.line is None else f"%{self.line} "
        return f"{number}{what}{self.row} {self.shape}{around}" + (f" ({self.source})" if self.source else "")


def where(side: Side, i: int) -> Where:
    """Line ``i`` of a side."""
    line = side.lines[i]
    return Where(i, side.row(i), line.shape, side.scope(i), line.source, line.name or "")


@dataclass
class Difference:
    """The first place where two runs part.

    kind: "values", "gradients", "statistics" (what layers keep), "dtype" or "outputs" (their number or order); a, b:
    the
    line in each run (None where there is no counterpart); distance: the largest difference there, relative to the
    largest
    element; detail: numbers, in words.
    """

    kind: str
    a: Where | None
    b: Where | None
    distance: float
    detail: str = ""


@dataclass
class Comparison:
    """Two runs compared; true if they are equal: outputs, gradients of all inputs and parameters, and kept statistics.

    first: where they part (None if they are equal); convention: the name of what explains it, "" if nothing does; why:
    the same with the settings of both sides; further: (name, why, line) of what else is different behind it; complete:
    whether
    with all this the outputs agree, and tested what was found, in words; distance: of the outputs; notes: what else
    should be known.
    """

    first: Difference | None = None
    convention: str = ""
    why: str = ""
    complete: bool = False
    tested: str = ""
    distance: float = 0.0
    lines: tuple[int, int] = (0, 0)
    further: list[tuple[str, str, Where]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return self.first is None

    def __bool__(self) -> bool:
        return self.equal

    @property
    def text(self) -> str:
        rows = _equal(self) if self.first is None else _different(self, self.first)
        rows += [f"  Note: {note}." for note in self.notes]
        return "\n".join(part for row in rows for part in _wrapped(row))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


def _equal(c: Comparison) -> list[str]:
    return [
        "EQUAL: outputs and gradients agree up to rounding.",
        f"  a has {c.lines[0]:,} lines, b {c.lines[1]:,}; the outputs are {c.distance:.1e} of the largest element "
        f"apart.",
    ]


def _different(c: Comparison, first: Difference) -> list[str]:
    begin = {
        "values": "the values part",
        "gradients": "the values agree, the gradients part",
        "statistics": "outputs and gradients agree, what layers keep does not",
        "dtype": "the calculation is the same, its precision is not",
        "outputs": "the outputs are not the same ones",
    }[first.kind]
    rows = [f"DIFFERENT: {begin}."]
    rows += [f"  a: {first.a}"] if first.a else []
    rows += [f"  b: {first.b}"] if first.b else []
    rows += [f"  {first.detail}"] if first.detail else []
    apart = "" if first.distance == float("inf") else f"Apart there by {first.distance:.3g} of the largest element. "
    rows.append(f"  {apart}The outputs are {c.distance:.3g} apart.")
    if not c.why:
        rows.append("  No convention that is known here explains it.")
        return rows
    rows.append(f"  Why: {c.convention}. {c.why}.")
    if first.kind == "values":
        several = [f"  Further on: {name}, at {place}. {words}." for name, words, place in c.further]
        rows += several[:MOST_SHOWN]
        rows += [f"  ... and {len(several) - MOST_SHOWN} more of these."] if len(several) > MOST_SHOWN else []
        rows += [f"  Tested: {c.tested}."] if c.tested else []
    return rows


def _wrapped(row: str) -> list[str]:
    if len(row) <= WIDTH:
        return [row]
    indent = " " * (len(row) - len(row.lstrip()))
    return wrap(row.strip(), WIDTH, initial_indent=indent, subsequent_indent=f"{indent}   ", break_on_hyphens=False)
