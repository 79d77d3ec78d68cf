"""The verdict: what the tutor answers, as an object, as text, as LaTeX, in a notebook and as an exit status."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np

KINDS = ("right", "right only here", "wrong", "checker at fault", "right for another forward", "unknown")
# what stands first in a verdict, where its kind alone could be misread
HEADLINES = {
    "right for another forward": "WRONG HERE",
    "checker at fault": "NOT TO BE JUDGED",
    "right only here": "RIGHT ONLY HERE",
}
UNSEEN = "This example cannot show"
ONE_NUMBER = "One number is little evidence: claim all elements, or a formula, to be sure."
_ROWS = 8  # rows of numbers up to which an array is written out


class Finding(NamedTuple):
    """One mistake that was found: its name, where (``place``), what was done (``says``), and the three hints, from
    least to most: ``nudge`` a question, ``locate`` where to look, ``show`` the right rule."""

    name: str
    place: str
    says: str
    nudge: str
    locate: str
    show: str

    def __str__(self) -> str:
        return f"{self.name}{f' ({self.place})' if self.place else ''}: {self.says}"


class Verdict:
    """The answer of ``ac.check``; true if the claim is the gradient here ("right" and "right only here").

    kind: "right"; "right only here": not at other inputs or another geometry; "wrong"; "right for another forward": for
    a program with another convention; "checker at fault": a finite difference or noise, which says nothing about a
    derivation; "unknown": not the gradient, and no mistake of the bank leads to it.  summary: the same in a sentence.
    mistakes: the Findings of the best explanation, all of which were made; alternatives: other explanations that fit as
    well, each a list of Findings; telling_input: values of the inputs at which they would differ, {name: array}, or
    None. evidence: sentences with counts and numbers; counter_example: one element with both numbers and its equation,
    or None. hints: {"nudge", "locate", "show"}; gradient: the true gradient, of wrt's shape (the true value, where a
    value was claimed); claim: what was claimed.
    text, latex, status: all of it in words, the equation, and the exit status of the command line.

    >>> verdict = Verdict("right", "this is the gradient.")
    >>> bool(verdict), verdict.status, verdict.text
    (True, 0, 'RIGHT: this is the gradient.')
    """

    def __init__(
        self,
        kind: str,
        summary: str,
        *,
        gradient: Any = None,
        claim: Any = None,
        mistakes: list[Finding] | None = None,
        alternatives: list[list[Finding]] | None = None,
        evidence: list[str] | None = None,
        counter_example: CounterExample | None = None,
        telling_input: Mapping[str, Any] | None = None,
        hints: Mapping[str, str] | None = None,
    ) -> None:
        self.kind, self.summary = kind, summary
        self.gradient, self.claim = gradient, claim
        self.mistakes = mistakes or []
        self.alternatives = alternatives or []
        self.evidence = evidence or []
        self.counter_example = counter_example
        self.telling_input = telling_input
        self.hints: dict[str, str] = dict(hints or _hints(self.mistakes))

    @property
    def right(self) -> bool:
        return self.kind in ("right", "right only here")

    def __bool__(self) -> bool:
        return self.right

    @property
    def status(self) -> int:
        """The exit status of the command line: 0 right, 1 anything else (2 would be: could not be checked)."""
        return 0 if self.kind == "right" else 1

    @property
    def headline(self) -> str:
        """The kind in capitals, in words that cannot be misread."""
        return HEADLINES.get(self.kind, self.kind.upper())

    @property
    def text(self) -> str:
        """The verdict in words, with evidence, the counter-example and the first hint."""
        rows = [f"{self.headline}: {self.summary}"]
        rows += [f"  {'and ' if i else ''}{finding}" for i, finding in enumerate(self.mistakes)]
        for other in self.alternatives:
            rows.append("  or: " + " and ".join(map(str, other)))
        rows += [f"  {line}" for line in self.evidence]
        if self.telling_input:
            rows.append(f"  {self._input_title}:")
            rows += [f"    {name} = {_short(value)}" for name, value in self.telling_input.items()]
        if self.counter_example:
            rows.append(f"  {self.counter_example.text}")
        if self.hints.get("nudge"):
            rows.append(f"  Hint: {self.hints['nudge']}")
        return "\n".join(rows)

    def wrapped(self, width: int) -> str:
        """The text with its sentences broken into lines of ``width`` characters; equations stay as they are."""
        rows = []
        for row in self.text.splitlines():
            indent = len(row) - len(row.lstrip())
            rows += wrap(row, width, subsequent_indent=" " * (indent + 2)) if indent < 4 and len(row) > width else [row]
        return "\n".join(rows)

    @property
    def latex(self) -> str:
        """The counter-example's equation (or the verdict alone) as LaTeX."""
        if self.counter_example and self.counter_example.latex:
            return self.counter_example.latex
        return rf"\text{{{self.kind}}}"

    @property
    def _input_title(self) -> str:
        here = self.kind == "right only here"
        return "An input at which it is wrong" if here else "An input that tells them apart"

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Text, and HTML with the further hints folded away."""
        from ..render.notebook import bundle

        equation = self.counter_example.latex if self.counter_example else ""
        return bundle(self.text, html=self._html(), latex=equation)

    def _html(self) -> str:
        from ..render.judged import judged, paragraph, unfolding

        parts: list[str] = []
        for number, group in enumerate(filter(None, [self.mistakes, *self.alternatives])):
            items = "".join(f"<li>{'and ' if i else ''}{escape(str(finding))}</li>" for i, finding in enumerate(group))
            word = "" if not number and self.mistakes else paragraph("or:" if number else "It might also be:")
            parts.append(f'{word}<ul style="margin:.4em 0">{items}</ul>')
        parts += [paragraph(escape(line)) for line in self.evidence]
        if self.telling_input:
            rows_ = "\n".join(f"{k} = {_short(v)}" for k, v in self.telling_input.items())
            parts.append(
                f'{paragraph(f"{self._input_title}:")}<pre tabindex="0" style="overflow-x:auto">{escape(rows_)}</pre>'
            )
        if self.counter_example:
            equation = f'<div tabindex="0" style="overflow-x:auto;padding:.2em 0">{self.counter_example.mathml}</div>'
            parts.append(paragraph(escape(self.counter_example.sentence)) + equation)
        words = {"nudge": "A nudge", "locate": "Where to look", "show": "Show me"}
        for level, title in words.items():
            if self.hints.get(level):
                parts.append(unfolding(title, self.hints[level]))
        return judged(self.kind, self.headline.capitalize(), _sentence(self.summary), parts)


class CounterExample(NamedTuple):
    """One element at which claim and gradient differ, and the gradient's equation there ("" where there is none).

    what: "gradient", or "value" where the claim is about a value.
    """

    element: str
    claimed: float
    gradient: float
    equation: str = ""
    latex: str = ""
    what: str = "gradient"

    @property
    def sentence(self) -> str:
        return f"Look at {self.element}: you have {self.claimed:.6g}, the {self.what} is {self.gradient:.6g}."

    @property
    def text(self) -> str:
        """The sentence, and the equation below it in lines."""
        lines = self.equation.splitlines()
        return "\n".join([self.sentence, *[f"    {line}" for line in lines]])

    @property
    def mathml(self) -> str:
        if not self.latex:
            return ""
        from ..render.mathml import mathml

        return mathml(self.latex, display=True)


def _hints(mistakes: list[Finding]) -> dict[str, str]:
    join = lambda texts: " ".join(dict.fromkeys(t for t in texts if t))
    return {
        "nudge": join(m.nudge for m in mistakes),
        "locate": join(m.locate for m in mistakes),
        "show": join(_sentence(m.show) + "." for m in mistakes if m.show),
    }


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a formula."""
    word = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if word == "it" or (len(word) > 2 and word.rstrip(",:;'s").isalpha()) else text


def _short(value: Any) -> str:
    array = np.asarray(value)
    text = np.array2string(array, precision=4, separator=", ", threshold=1000).replace("\n", "\n      ")
    return text if text.count("\n") < _ROWS else f"array of shape {array.shape}: see .telling_input"
