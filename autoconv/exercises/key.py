"""The key of an exercise: its answers, kept apart from the sheet, as an object and as a JSON file.

A key file comes from elsewhere: it is read as data, its size is bounded, and every entry of it is checked before it is
used.
"""

from __future__ import annotations

import json
import os
import re
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any

from ..files import open_regular
from ..tutor.bank.slips import FORMER, SLIPS
from .marking import Answer, Marks, marks

FORMAT, VERSION = "autoconv exercise key", 1
LARGEST, MOST, LONGEST, DIGITS, MOST_SLIPS = 2_000_000, 1000, 400, 60, 64  # bytes, blanks, characters, digits, slips

_FRACTION = re.compile(rf"-?\d{{1,{DIGITS}}}(?:/\d{{1,{DIGITS}}})?")


class Key:
    """The answers of one exercise: ``mark`` marks a filled-in sheet, and so does ``ac.check(key, answers)``.

    title: of the sheet.  answers: an Answer for each blank, in order; values: {number: answer}, a Fraction where it is
    exact.

    >>> key = Key("Gradients", [Answer(1, Fraction(3, 2), "dL/dw")])
    >>> print(key.mark({1: "3/2"}))
    RIGHT: 1 of 1 right.
      ① right
    """

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

    def mark(self, answers: Any) -> Marks:
        """The Marks of a filled-in sheet: ``answers`` is {number: answer} or a list in the order of the blanks.

        An answer is a number, a fraction as text ("3/2"), or arithmetic as text ("2*(9 - 1)"); None and "" are missing.
        Numbers must be right in as many digits as were written.  Raises TypeError for what are no answers, ValueError
        for a number that the sheet does not have.
        """
        return marks(answers, self.answers)

    def __repr__(self) -> str:
        return f"<Key of {self.title!r}: {len(self.answers)} answers>"  # a look at it gives nothing away


def exercise_key(path: str | os.PathLike[str]) -> Key:
    """Read the key file that ``save`` wrote beside a sheet: ``ac.check(ac.exercise_key(path), answers)`` marks.

    path: of the .key.json file, at most 2 MB of JSON with up to 1000 blanks.  Returns a Key; its values are exact
    fractions where the sheet's numbers are. Raises OSError if it cannot be read, ValueError with the first thing that
    is wrong if it is no key.

    >>> import autoconv as ac, tempfile, pathlib
    >>> w = ac.tensor([1.0, 2.0], name="w")
    >>> sheet = ac.exercise(ac.sum(w**2) ** 2, blanks=1)
    >>> path = sheet.save(pathlib.Path(tempfile.mkdtemp()) / "sheet.md")
    >>> ac.exercise_key(path.with_name("sheet.key.json")).values == sheet.values
    True
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
        name = slip[0] if isinstance(slip, list) and len(slip) == 2 else None
        name = FORMER.get(name, name) if isinstance(name, str) else None
        if name not in SLIPS:
            raise _WrongError(f"blank {n} has a slip that is not known")
        known.append((name, _number(slip[1], n)))
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
