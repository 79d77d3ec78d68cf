"""``ac.exercise``: a worksheet from any tape, with numbers blanked out, and the key apart."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..files import check_writable, content_as, replace_file
from ..render.notebook import bundle
from ..scalar import KINDS as SCALARS
from ..scalar import Scalar, called, expand
from ..shapes import choice
from ..tape import Tape, Tensor, describe
from ..views.element import one_line, parse_at, resolve
from .equations import equations
from .gradients import gradients
from .key import Key
from .marking import Answer
from .nice import nice_runs
from .page import fragment, page
from .paper import markdown, notebook, picture_of
from .picture import pictured
from .run import ScalarRun, rerun
from .sheet import Blanked, Sheet

Wanted = tuple[Tensor, np.ndarray]
SHEETS: dict[str, Callable[[ScalarRun, list[Wanted], int, np.random.Generator], Sheet | None]] = {
    "equations": equations,
    "graph": pictured,
    "arrays": gradients,
}
KINDS = tuple(SHEETS)
MOST = 200  # blanks of one sheet
LARGEST = 200_000  # scalars of a net that gets nice numbers


def exercise(
    loss: Tensor | Scalar,
    blanks: int = 5,
    seed: int = 0,
    kind: str = "equations",
    wrt: Any = None,
    names: Mapping[str, Any] | None = None,
    nice_numbers: bool = False,
    *,
    of: str | None = None,
) -> Exercise:
    """A worksheet: ``blanks`` numbers of a run of ``loss`` are left out, to be worked out by hand and marked.

    loss: one number.  blanks: how many numbers are asked for, 1 to 200.  seed: of the random choice: the same seed
    gives the same sheet.  kind: "equations", the chain rule of ``ac.explain`` with the run's numbers,

        dL/dx[i] = sum over the readers of x[i] of (local derivative) * (gradient that arrives);

    "graph", the boxes of ``ac.graph`` at scalars (of a large tape a slice); "arrays", the gradient arrays.  wrt: what
    the gradients are of: a Tensor, an element as ``w[0, 0]``, a name, or a list of these (default: every input and
    weight). names: names for tensors without one, as locals(). nice_numbers: the tape is run again on small whole
    numbers, so that it can be done by hand: all numbers are whole or exact fractions, no maximum has a tie, no relu is
    at 0.  Where a function such as exp has no fractions, the inputs are whole and everything else is rounded to 4
    digits, and the sheet says so.

    Every blank can be worked out from what is left, and no number that is asked for stands elsewhere on the sheet.
    Returns an Exercise; ``sheet.mark(answers)`` and ``ac.check(sheet, answers)`` mark {number: answer}. Raises
    TypeError for a loss that is no Tensor or a constant; ValueError for one that is no single number or not finite, for
    more blanks than there are numbers to ask for, an unknown ``kind``, and if no nice numbers can be found.

    >>> import autoconv as ac
    >>> w, x = ac.tensor([1.0, 2.0], name="w"), ac.tensor([3.0, 1.0], name="x")
    >>> sheet = ac.exercise(ac.sum(w * x) ** 2, blanks=2, kind="arrays")
    >>> sheet
    <Exercise in arrays: 2 blanks, rounded numbers>
    >>> print(ac.check(sheet, sheet.values).summary)
    2 of 2 right
    """
    if of is not None:
        warnings.warn("exercise: of= is called kind= now", DeprecationWarning, stacklevel=2)
        kind = of
    whole, lines = _checked(loss, blanks, seed, kind, names)
    known = dict(names or {})
    if lines.of_scalars:
        known = dict(reversed(list(called(known, lines.lines_of))))  # the first of equal names
        wrt = _as_tensors(wrt, lines)
    chosen = _wanted(wrt, lines, known)
    runs = _runs(whole, lines, known, nice_numbers, np.random.default_rng([seed, 1]))
    best, there = _best(runs, chosen, kind, wrt is None, blanks, seed)
    if best is None or there < blanks:
        others = ", ".join(repr(other) for other in KINDS if other != kind)
        nice = "" if nice_numbers else ", nice_numbers=True"
        raise ValueError(
            f"exercise: blanks={blanks}, but kind={kind!r} has only {there} numbers of this loss that can be asked for "
            "(not zero, worked out from others, and standing nowhere else); ask for fewer, or try "
            f"kind={others}, another seed{nice}"
        )
    if nice_numbers:
        best.notes.append("The inputs and weights are small whole numbers, chosen so that it can be done by hand.")
    return Exercise(best.blanked(blanks, np.random.default_rng([seed, 3])), kind)


class Exercise(Key):
    """A sheet with blanks, and its key; what it writes shows no answers, ``key`` has nothing else.

    ``markdown()``, ``html()``, ``notebook()``: the sheet as text, as a page, as a dict for json; ``save(path)`` writes
    it, and the key beside it.  ``mark(answers)`` marks {number: answer}.  kind: as in ``ac.exercise``; exact: whether
    every number is whole or an exact fraction.
    """

    def __init__(self, blanked: Blanked, kind: str) -> None:
        self._blanked, self.kind = blanked, kind
        exact = blanked.sheet.exact
        answers = []
        for quantity, n in blanked.numbered.items():
            c = blanked.sheet.candidates[quantity]
            value = Fraction(c.value) if exact else float(c.value)
            size = abs(float(value))
            tolerance = 0.0 if exact else min(max(5e-4 * size, c.spread), 0.03 * size)
            slips = tuple((name, Fraction(x) if exact else float(x)) for name, x in c.slips)
            answers.append(Answer(n, value, c.says, tolerance, slips))
        super().__init__(blanked.sheet.title, answers)

    @property
    def key(self) -> Key:
        """The answers alone."""
        return Key(self.title, self.answers)

    @property
    def exact(self) -> bool:
        """Whether every number is whole or an exact fraction."""
        return self._blanked.sheet.exact

    def markdown(self) -> str:
        """The sheet as Markdown, with a line for each answer."""
        return markdown(self._blanked, self.answers)

    def html(self, key: str = "sheet.key.json", marking: bool = True) -> str:
        """The sheet as one page that works offline, with fields; it mentions the key file by the name ``key``.

        marking: whether the page marks what is filled in, offline.  For that it has the answers, sealed: nobody reads
        them in its source, but a program that tries all numbers finds them.  A sheet that counts is made without.
        """
        return page(self._blanked, self.answers, key, marking)

    def notebook(self, key: str = "sheet.key.json") -> dict[str, Any]:
        """The sheet as a notebook (format 4, for ``json.dump``), marked with the file ``key`` beside it."""
        return notebook(self._blanked, self.answers, key)

    def save(self, path: str | os.PathLike[str], marking: bool = True) -> Path:
        """Write the sheet as .ipynb, .html or .md, and its key beside it (sheet.key.json; with .md also sheet.svg).

        marking: whether the page (.html) marks what is filled in; see ``html``.  Returns the path.  Raises ValueError
        for another ending, before anything is written.
        """
        path = Path(path)
        beside, drawing = path.with_name(f"{path.stem}.key.json"), picture_of(self._blanked)
        picture = path.with_suffix(".svg") if drawing else None
        writers = {
            ".ipynb": lambda: json.dumps(self.notebook(beside.name), indent=1, ensure_ascii=False) + "\n",
            ".html": lambda: self.html(beside.name, marking),
            ".md": lambda: markdown(self._blanked, self.answers, picture.name if picture else None),
        }
        files = {beside: self.json.encode(), path: content_as(path, writers, "exercise")}
        if drawing and picture and path.suffix.lower() == ".md":
            files[picture] = drawing.encode()
        for file in files:  # all of them or none
            check_writable(file)
        for file, content in files.items():
            replace_file(file, content)
        return path

    def __repr__(self) -> str:
        return f"<Exercise in {self.kind}: {len(self.answers)} blanks, {'exact' if self.exact else 'rounded'} numbers>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        written = self.markdown()
        shown = fragment(self._blanked, self.answers)
        return bundle(written, html=shown, svg=picture_of(self._blanked) or "", markdown=written)


# ---- which sheet


def _best(
    runs: list[ScalarRun], chosen: list[tuple[int, np.ndarray]], kind: str, everything: bool, blanks: int, seed: int
) -> tuple[Sheet | None, int]:
    """The first sheet with enough numbers, half of them unlike any other on it, or the one with most; and how many."""
    best: tuple[tuple[int, int], Sheet] | None = None
    for run in runs:
        for wanted in _on(run, chosen, kind, everything):
            sheet = SHEETS[kind](run, wanted, blanks, np.random.default_rng([seed, 2]))
            if sheet is None:
                continue
            there, alone = sheet.available(), sheet.alone()
            quality = min(len(there), blanks), min(len(alone), (blanks + 1) // 2)
            if best is None or quality > best[0]:
                best = quality, sheet
            if quality[0] == blanks:
                break
        if best is not None and best[0] == (blanks, (blanks + 1) // 2):
            break
    return (best[1], len(best[1].available())) if best else (None, 0)


# ---- what was asked


def _checked(loss: Any, blanks: Any, seed: Any, kind: Any, names: Any) -> tuple[Any, Any]:
    """The loss and its tape, once every argument has been found good."""
    if not isinstance(loss, (Tensor, *SCALARS)):
        raise TypeError(f"exercise: expected the loss, a Tensor, found {type(loss).__name__}")
    choice(kind, "exercise", "kind", KINDS)
    if isinstance(blanks, bool) or not isinstance(blanks, int | np.integer) or not 1 <= blanks <= MOST:
        raise ValueError(f"exercise: blanks={blanks!r}; use a whole number from 1 to {MOST}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"exercise: seed={seed!r}; use a whole number from 0")
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"exercise: names must map names to Tensors, as locals() does; found {type(names).__name__}")
    if isinstance(loss, SCALARS):
        tape = Tape(loss)
        return tape.outputs[0], tape
    assert isinstance(loss, Tensor)
    if loss.size != 1:
        raise ValueError(
            f"exercise: the loss has shape {loss.shape}; a gradient needs one number: reduce it, as in ac.sum(y)"
        )
    if loss.constant:
        raise TypeError(
            f"exercise: {describe(loss)} depends on no floating-point tensor; make one with ac.tensor(data)"
        )
    return loss, Tape(loss)


def _as_tensors(wrt: Any, tape: Tape) -> Any:
    """The lines of Scalars that gradients were asked of."""
    if isinstance(wrt, list | tuple):
        return [_as_tensors(x, tape) for x in wrt]
    return wrt if wrt is None or isinstance(wrt, str) else one_line(wrt, tape, "exercise: wrt")


def _wanted(wrt: Any, tape: Tape, names: Mapping[str, Any]) -> list[tuple[int, np.ndarray]]:
    """(place on the tape, flat indices) of what the gradients are of."""
    place = {id(line): i for i, line in enumerate(tape)}
    if wrt is None:
        return [(place[id(x)], np.arange(x.size)) for x in tape.inputs]
    named = {n: x for n, x in names.items() if isinstance(x, Tensor)} | {x.name: x for x in tape if x.name}
    wanted = []
    for one in wrt if isinstance(wrt, list) else [wrt]:
        try:
            meant = one
            if isinstance(one, str):
                name = one.strip()
                meant = named[name] if name in named else parse_at(one, tape, names)
            line, places = resolve(meant, tape)
        except (TypeError, ValueError) as error:
            said = str(error).partition(": ")[2] or str(error)
            raise type(error)(f"exercise: wrt: {said}") from None
        if line.constant:
            raise TypeError(f"exercise: wrt: {describe(line)} is a constant; it has no gradient")
        wanted.append((place[id(line)], places))
    if not wanted:
        raise ValueError("exercise: wrt=[] is empty; leave it out for every input and weight")
    return wanted


def _runs(loss: Tensor, tape: Tape, names: dict[str, Any], nice: bool, rng: np.random.Generator) -> list[ScalarRun]:
    """The runs that a sheet may be made of: the user's own, or some on nice numbers."""
    if nice:
        if (size := len(expand(loss))) > LARGEST:
            raise ValueError(
                f"exercise: nice_numbers=True is for nets that can be done by hand; this one has {size:,} scalars, "
                f"more than {LARGEST:,}: use a smaller one, or nice_numbers=False"
            )
        runs = nice_runs(tape, names, rng)
        if not runs:
            raise ValueError(
                "exercise: no small whole numbers were found for this loss (a tie, a relu at 0, a gradient of zero or "
                "a division by zero in each try); try another seed, a smaller net, or nice_numbers=False"
            )
        return runs
    if any(line.dtype == object for line in tape):
        run = rerun(tape, {x: x.value for x in tape if x.primitive is None and x.dtype == object}, names)
    else:
        run = ScalarRun(loss, names)
    if not run.finite:
        raise ValueError("exercise: the loss or a gradient is infinite or nan at these inputs; choose others")
    return [run]


def _on(run: ScalarRun, chosen: list[tuple[int, np.ndarray]], kind: str, everything: bool) -> Iterator[list[Wanted]]:
    """What was asked for, on the tape of a run; if that is everything, then also the lines between."""
    asked = [(run.tape[place], places) for place, places in chosen]
    inside = (
        [x for x in reversed(run.tape) if x.primitive and not x.constant and x is not run.loss] if everything else []
    )
    inside = [x for x in inside if np.all(run.flat.scalars(x) > 0)]
    named = [x for x in inside if x.name or id(x) in run.symbols.names]
    whole = lambda lines: [(x, np.arange(x.size)) for x in lines]
    alive = lambda wanted: [(x, at) for x, at in wanted if np.any(run.gradient[run.flat.scalars(x)] != 0)]
    yield alive(asked + (whole(named) if kind == "arrays" else []))
    if inside:
        yield alive(asked + whole(inside))
