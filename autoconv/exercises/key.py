"""The key of an exercise: its answers, kept apart from the sheet, as an object and as a JSON file.

A key file comes from elsewhere: it is read as data, its size is bounded, and every entry of it is checked before it is used.
"""

from __future__ import annotations

import json
import os
import re
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from ..files import open_regular
from .slips import SLIPS

FORMAT, VERSION = "autoconv exercise key", 1
LARGEST, MOST, LONGEST, DIGITS, MOST_SLIPS = 2_000_000, 1000, 400, 60, 64  # bytes, blanks, characters, digits, slips

_FRACTION = re.compile(rf"-?\d{{1,{DIGITS}}}(?:/\d{{1,{DIGITS}}})?")


class Answer(NamedTuple):
    """The answer to one blank: ``says`` what it is of, ``tolerance`` what rounded numbers may be off, ``slips`` as (name, number)."""

    number: int
    answer: Fraction | float
    says: str
    tolerance: float = 0.0
    slips: tuple[tuple[str, Fraction | float], ...] = ()


class Key:
    """The answers of one exercise; ``ac.check(answers, of=key)`` marks a filled-in sheet."""

    def __init__(self, title: str, answers: list[Answer]) -> None:
        self.title, self.answers = title, answers

    @property
    def values(self) -> dict[int, Fraction | float]:
        """{number: answer}."""
        return {a.number: a.answer for a in self.answers}

    @property
    def json(self) -> str:
        """The text of a key file."""
        blanks = [
            {
                "number": a.number,
                "answer": _written(a.answer),
                "says": a.says,
                "tolerance": a.tolerance,
                "slips": [[name, _written(x)] for name, x in a.slips],
            }
            for a in self.answers
        ]
        whole = {"format": FORMAT, "version": VERSION, "title": self.title, "blanks": blanks}
        return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def __repr__(self) -> str:
        return f"<Key of {self.title!r}: {len(self.answers)} answers>"  # a look at it gives nothing away


def exercise_key(path: str | os.PathLike[str]) -> Key:
    """Read the key file that ``save`` wrote beside a sheet, for ``ac.check(answers, of=ac.exercise_key("sheet.key.json"))``.

    Raises OSError if it cannot be read, ValueError with the first thing that is wrong if it is no key.
    """
    name = Path(path).name
    with open_regular(path) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"exercise_key: {name} is larger than {LARGEST:,} bytes; that is no key of an exercise")
    try:
        found = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError(
            f"exercise_key: {name} is not JSON; give the .key.json file that was saved with the sheet"
        ) from None
    try:
        return _key(found)
    except _WrongError as error:
        raise ValueError(
            f"exercise_key: {name}: {error}; give the .key.json file that was saved with the sheet"
        ) from None


class _WrongError(Exception):
    """What is wrong with a key."""


def _key(found: Any) -> Key:
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise _WrongError(f"it is not an {FORMAT!r}")
    if found.get("version") != VERSION:
        raise _WrongError(f"version {str(found.get('version'))[:20]} is not known; this reads version {VERSION}")
    blanks = found.get("blanks")
    if not isinstance(blanks, list) or not 0 < len(blanks) <= MOST:
        raise _WrongError(f"its blanks must be a list of 1 to {MOST} entries")
    answers = [_answer(entry, n) for n, entry in enumerate(blanks, 1)]
    return Key(_text(found.get("title"), "title"), answers)


def _answer(entry: Any, n: int) -> Answer:
    if not isinstance(entry, dict) or type(entry.get("number")) is not int or entry["number"] != n:
        raise _WrongError(f"entry {n} of its blanks must be an object with the number {n}")
    slips = entry.get("slips", [])
    if not isinstance(slips, list) or len(slips) > MOST_SLIPS:
        raise _WrongError(f"the slips of blank {n} must be a list of at most {MOST_SLIPS}")
    known = []
    for slip in slips:
        if not isinstance(slip, list) or len(slip) != 2 or not isinstance(slip[0], str) or slip[0] not in SLIPS:
            raise _WrongError(f"blank {n} has a slip that is not known")
        known.append((slip[0], _number(slip[1], n)))
    tolerance = entry.get("tolerance", 0.0)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < 1e300:
        raise _WrongError(f"the tolerance of blank {n} must be a number from 0")
    answer = _number(entry.get("answer"), n)
    return Answer(n, answer, _text(entry.get("says"), f"text of blank {n}"), float(tolerance), tuple(known))


def _number(x: Any, n: int) -> Fraction | float:
    """A finite number, or a fraction as text."""
    if isinstance(x, str) and _FRACTION.fullmatch(x):
        top, _, bottom = x.partition("/")
        if not bottom or int(bottom):
            return Fraction(int(top), int(bottom or 1))
    if isinstance(x, int | float) and not isinstance(x, bool) and abs(x) < 1e300 and isfinite(x):
        return float(x)
    raise _WrongError(f"the numbers of blank {n} must be finite, or fractions as text like '3/2'")


def _text(x: Any, what: str) -> str:
    if not isinstance(x, str) or len(x) > LONGEST:
        raise _WrongError(f"its {what} must be text of at most {LONGEST} characters")
    return x


def _written(x: Any) -> str | float:
    return str(Fraction(x)) if isinstance(x, Fraction | int) else float(x)
