"""Marking: answers compared with the key, blank by blank, and the slip named where one leads to the number given.

An answer is a number, a fraction as text, or arithmetic as text ("2*(9 - 1)"), read by the tutor's own strict grammar.
As many digits as were written must be right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from html import escape
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from ..render.judged import judged, unfolding
from ..render.notebook import bundle
from ..tutor.bank.slips import SLIPS, slip_of_ratio
from ..tutor.claim.formula import Formula, FormulaError
from .sheet import circled

LONGEST = 400  # characters of one answer


class Answer(NamedTuple):
    """The answer to one blank: ``says`` what it is of, ``tolerance`` what rounding may do, ``slips`` (name, number)."""

    number: int
    answer: Fraction | float
    says: str
    tolerance: float = 0.0
    slips: tuple[tuple[str, Fraction | float], ...] = ()


class Mark(NamedTuple):
    """One blank: ``kind`` is "right", "wrong", "missing" or "unreadable"; ``slip`` the classic slip, where one fits."""

    number: int
    kind: str
    given: str
    says: str
    slip: str = ""
    note: str = ""

    @property
    def nudge(self) -> str:
        """A hint that is not the answer."""
        if self.kind == "unreadable":
            return self.note
        return (
            (SLIPS[self.slip].nudge if self.slip else "Work it out again, one factor at a time.")
            if self.kind == "wrong"
            else ""
        )


class Marks:
    """What ``sheet.mark`` and ``ac.check`` say of a filled-in sheet; true if every blank is right.

    kind: "right", "wrong" or "incomplete" (nothing wrong, something missing); blanks: a Mark for each blank; hints:
    {"nudge", "locate", "show"}, of which the last has the answers; answers: the key, {number: answer}; summary, text:
    in words; status: 0 or 1, for the command line.
    """

    def __init__(self, answers: list[Answer], blanks: list[Mark]) -> None:
        self.answers, self.blanks = {a.number: a.answer for a in answers}, blanks
        kinds = {mark.kind for mark in blanks}
        self.kind = "wrong" if kinds & {"wrong", "unreadable"} else "incomplete" if "missing" in kinds else "right"

    @property
    def right(self) -> bool:
        return self.kind == "right"

    def __bool__(self) -> bool:
        return self.right

    @property
    def status(self) -> int:
        """The exit status of the command line: 0 all right, 1 not."""
        return 0 if self.right else 1

    @property
    def summary(self) -> str:
        right = sum(mark.kind == "right" for mark in self.blanks)
        missing = sum(mark.kind == "missing" for mark in self.blanks)
        return f"{right} of {len(self.blanks)} right" + (f", {missing} missing" if missing else "")

    @property
    def hints(self) -> dict[str, str]:
        off = [mark for mark in self.blanks if mark.kind != "right"]
        return {
            "nudge": " ".join(dict.fromkeys(mark.nudge for mark in off if mark.nudge)),
            "locate": " ".join(f"{circled(m.number)} is {m.says}." for m in off),
            "show": " ".join(f"{circled(m.number)} = {_shown(self.answers[m.number])}." for m in off),
        }

    @property
    def text(self) -> str:
        return "\n".join([f"{self.kind.upper()}: {self.summary}.", *[f"  {self._line(mark)}" for mark in self.blanks]])

    def __repr__(self) -> str:
        return self.text

    def _line(self, mark: Mark) -> str:
        if mark.kind in ("right", "missing"):
            return f"{circled(mark.number)} {mark.kind}"
        said = f"{circled(mark.number)} {mark.kind}: you have {mark.given}."
        return f"{said}{f' It looks like: {mark.slip}.' if mark.slip else ''} Hint: {mark.nudge}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        parts = ["<ul>" + "".join(f"<li>{escape(self._line(mark))}</li>" for mark in self.blanks) + "</ul>"]
        for level, title in {"locate": "Where to look", "show": "Show me"}.items():
            if self.hints[level]:
                parts.append(unfolding(title, self.hints[level]))
        return bundle(self.text, html=judged(self.kind, self.kind.capitalize(), f"{self.summary}.", parts))


def marks(given: Any, answers: list[Answer]) -> Marks:
    """The marks of what was ``given``: {number: answer} (numbers may be text), or a list in the order of the blanks.

    None and empty text are missing.  Raises TypeError for anything else, ValueError for a number that the sheet does
    not have.
    """
    numbered = _by_number(given, len(answers))
    return Marks(answers, [_mark(numbered.get(answer.number), answer) for answer in answers])


def _by_number(answers: Any, count: int) -> dict[int, Any]:
    if isinstance(answers, Mapping):
        given: dict[int, Any] = {}
        for name, x in answers.items():
            text = str(name).strip().strip("[]")
            text = str(ord(text) - 0x245F) if len(text) == 1 and "①" <= text <= "⑳" else text
            if isinstance(name, bool) or not re.fullmatch(r"\d{1,6}", text) or not 1 <= int(text) <= count:
                raise ValueError(f"check: there is no blank {str(name)[:40]!r}; the sheet has the blanks 1 to {count}")
            if int(text) in given:
                raise ValueError(f"check: blank {int(text)} is answered twice")
            given[int(text)] = x
        return given
    if isinstance(answers, list | tuple | np.ndarray) and np.ndim(np.asarray(answers, object)) == 1:
        if len(answers) > count:
            raise ValueError(f"check: {len(answers)} answers for a sheet with {count} blanks")
        return dict(enumerate(answers, 1))
    raise TypeError(
        f"check: the answers of an exercise are a dict {{number: answer}} or a list, found {type(answers).__name__}"
    )


def _mark(given: Any, answer: Answer) -> Mark:
    text = _short(given)
    try:
        value, slack = _read(given)
    except (ValueError, TypeError, OverflowError) as error:
        return Mark(answer.number, "unreadable", text, answer.says, note=" ".join(str(error).split()))
    if value is None:
        return Mark(answer.number, "missing", text, answer.says)
    slack = slack if slack <= 0.02 * abs(float(answer.answer)) else 0.0  # one digit alone says too little
    if _equal(value, answer.answer, max(slack, answer.tolerance)):
        return Mark(answer.number, "right", text, answer.says)
    return Mark(answer.number, "wrong", text, answer.says, _slip(value, answer, slack))


def _read(given: Any) -> tuple[Fraction | float | None, float]:
    """An answer as a number, and how much its last digit leaves open; ValueError or TypeError with what is wrong."""
    if given is None or (isinstance(given, str) and not given.strip()):
        return None, 0.0
    if isinstance(given, str):
        text = given.strip().replace("−", "-")
        if len(text) > LONGEST:
            raise ValueError(f"an answer of {len(text):,} characters is too long")
        if re.fullmatch(r"[+-]?\d{1,60}\s*(/\s*0*[1-9]\d{0,59})?", text):
            return Fraction(text.replace(" ", "")), 0.0
        if not re.fullmatch(r"[+-]?(\d+\.\d*|\.\d+)", text):
            try:
                made = Formula(text)({})
            except FormulaError as error:
                raise ValueError(str(error).replace("the tape's names are none", "write numbers")) from None
            if made.size != 1:
                raise ValueError("an answer is one number")
            return _finite(float(made.ravel()[0])), 0.0
        return _finite(float(text)), last_digit(text)
    if isinstance(given, Fraction):
        return given, 0.0
    value = getattr(given, "value", given)  # a Tensor's
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iufO" or isinstance(array.ravel()[0], str | bool):
        raise TypeError("an answer is a number, a fraction as text, or arithmetic as text")
    one = array.ravel()[0]
    if isinstance(one, Fraction | int | np.integer):
        return Fraction(int(one)) if not isinstance(one, Fraction) else one, 0.0
    return _finite(float(one)), last_digit(repr(float(one)))


def last_digit(text: str) -> float:
    """Half a unit of the last decimal that was written: 0.005 for 0.33."""
    exponent = Decimal(text).as_tuple().exponent
    return 0.505 * float(f"1e{exponent}") if isinstance(exponent, int) else 0.0


def _finite(x: float) -> float:
    if not isfinite(x):
        raise ValueError("an answer must be a finite number")
    return x


def _equal(given: Fraction | float, truth: Fraction | float, slack: float) -> bool:
    if isinstance(given, Fraction) and isinstance(truth, Fraction) and not slack:
        return given == truth
    a, b = _float(given), float(truth)
    return abs(a - b) <= max(slack, 1e-9 * abs(b))


def _float(x: Fraction | float) -> float:
    try:
        return float(x)
    except OverflowError:
        return float("inf")


def _slip(given: Fraction | float, answer: Answer, slack: float) -> str:
    """The classic slip that leads to the number given, or ""."""
    truth, x = float(answer.answer), _float(given)
    if not truth or not isfinite(x):
        return ""
    if _equal(-given, answer.answer, max(slack, answer.tolerance)):
        return "sign"
    for name, leads_to in answer.slips:
        scale = answer.tolerance / abs(truth) * abs(float(leads_to))
        if _equal(given, leads_to, max(slack, min(scale, 1e-3 * abs(float(leads_to))))):
            return name
    return slip_of_ratio(x / truth)


def _short(given: Any) -> str:
    text = str(given)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _shown(x: Fraction | float) -> str:
    return str(x) if isinstance(x, Fraction) else f"{x:.6g}"
