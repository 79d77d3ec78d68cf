"""What a student of ``unseen`` is, how one is judged, and what counts as told."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import autoconv as ac
from autoconv.marking.asking import ask, upstream
from autoconv.marking.check_backward import standing
from autoconv.marking.courses import LAYERS
from autoconv.marking.judge import outputs_of
from autoconv.marking.repair import SECONDS
from autoconv.marking.truth import Truth

MOST = 400  # numbers of an array that is claimed
PATIENCE = 20.0  # seconds of searching where a line is asked for: it may not depend on how busy the machine is
STUDENTS: list[Student] = []


@dataclass(frozen=True)
class Student:
    """One file.  words: a pattern of the names that are right for its mistake, None for a right one; lines: those on
    which the mistake stands.  made: the class of an object whose methods are handed over."""

    label: str
    layer: str
    text: str
    words: str | None
    lines: frozenset[int]
    made: str = ""


def student(name: str, layer: str, text: str, *wrongs: Any, made: str = "", to: list[Student] = STUDENTS) -> None:
    """A right one and the wrong ones made of it: (what, words, (old, new) .., or a piece of a line beside it)."""
    text = text.lstrip("\n")
    to.append(Student(name, layer, text, None, frozenset(), made))
    for what, words, *changes in wrongs:
        changed, lines = text, set[int]()
        for change in changes:
            if not isinstance(change, str):
                assert change[0] in changed, (name, what, change)
                changed = changed.replace(*change, 1)
        for change in changes:
            piece = change if isinstance(change, str) else change[1].strip()
            lines |= lines_of(changed, piece) if piece else set()
        assert changed != text, (name, what)
        to.append(Student(f"{name}: {what}", layer, changed, words, frozenset(lines), made))


def lines_of(text: str, piece: str) -> set[int]:
    """The numbers of the lines on which a piece of a text stands."""
    first = text.count("\n", 0, text.index(piece)) + 1
    return set(range(first, first + piece.rstrip("\n").count("\n") + 1))


def functions(one: Student, path: Path) -> tuple[Any, Any]:
    """(backward, forward) of a student's file; a class, or the one function of a loss, stands alone."""
    path.write_text(one.text, encoding="utf-8")
    linecache.checkcache(str(path))
    scope: dict[str, Any] = {"__name__": path.stem}
    exec(compile(one.text, str(path), "exec"), scope)  # our own text
    classes = [v for v in scope.values() if isinstance(v, type) and v.__module__ == path.stem]
    if one.made:
        layer = scope[one.made]()
        return layer.backward, layer.forward
    if classes:
        return classes[-1], None
    named = [n for n in re.findall(r"(\w+)\(", ac.courses()[one.layer]) if n in scope]
    if one.layer.endswith("loss"):
        return scope[named[0]], None
    forward, backward = ([n for n in named if word in n][-1] for word in ("forward", "backward"))
    return scope[backward], scope[forward]


def judged(one: Student, path: Path, patience: float = SECONDS) -> Any:
    """The verdict on a student's file."""
    return ac.check_backward(*functions(one, path), like=one.layer, repair=patience)


def claims(one: Student, path: Path) -> Iterator[tuple[str, Any, Any, Any]]:
    """(gradient, what the functions claim, the loss, the tensor) for each wrong gradient, where most numbers are."""
    layer = LAYERS[one.layer]
    if layer.masked:
        return  # another mask in each run
    cases = layer.tries()
    shapes = outputs_of(layer, cases)
    answers = ask(layer, cases, standing(layer, *functions(one, path)), 20.0, shapes)
    for gradient in layer.outputs:
        made = []
        for i, (case, answer) in enumerate(zip(cases, answers, strict=True)):
            claimed = None if case.kink or answer.trouble else answer.gradients.get(gradient)
            if claimed is None or not 4 <= claimed.size <= MOST:
                continue
            truth = Truth(layer, case, lambda shape, i=i: upstream(i, shape))
            if claimed.shape == truth.gradient(gradient).shape and not truth.agrees(gradient, claimed):
                made.append((claimed.size, i, claimed, truth))
        if made:
            _, _, claimed, truth = max(made, key=lambda row: row[:2])
            yield gradient, claimed, truth.runs[gradient].loss, truth.runs[gradient].wrt


def told(one: Any, verdict: Any) -> str:
    """Of a student's worst gradient: "named" by a right name, "line" where the mistake stands, "unknown" or a
    "story"."""
    wrong = [part for part in verdict.parts.values() if not part.right and part.name != "forward"]
    return max((_told(one, part) for part in wrong), key=("named", "line", "unknown", "story").index, default="right")


def _told(one: Any, part: Any) -> str:
    if part.mistake and one.words and re.search(one.words, f"{part.mistake} {part.says}", re.IGNORECASE):
        return "named"
    if any(fix.line in one.lines for fix in part.fixes):
        return "line"
    return "story" if part.mistake or part.fixes else "unknown"


Claim = tuple[str, Any, Any, Any]  # gradient, what is claimed, the loss, the tensor


def named_alone(wrongs: Iterable[tuple[str, str, Iterable[Claim]]]) -> tuple[int, list[Any]]:
    """Of wrong arrays, as (label, words, claims): how many `ac.check` names rightly, and the others.

    None may be called right.
    """
    named, others = 0, list[Any]()
    for label, words, claimed in wrongs:
        for gradient, array, loss, tensor in claimed:
            verdict = ac.check(array, of=loss, wrt=tensor)
            assert verdict.kind != "right", (label, gradient)
            said = "" if verdict.kind == "unknown" else verdict.text
            right = re.search(words, said, re.IGNORECASE) is not None
            named += right
            others += [] if right else [(label, gradient, verdict.summary, verdict.mistakes)]
    return named, others
