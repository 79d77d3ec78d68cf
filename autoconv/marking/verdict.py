"""What marking answers: for a forward and for each gradient right, the mistake or unknown; as text, points and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import escape
from textwrap import wrap
from typing import Any, NamedTuple

from ..render.judged import judged, paragraph, unfolding
from ..render.notebook import bundle
from ..render.text import clean

FORWARD = "forward"


def _shown(rows: list[str]) -> str:
    """Rows as text: what a student's file has put into one (an error's words, a line) cannot move the cursor or make
    another."""
    return "\n".join(clean(row.expandtabs(4)) for row in rows)


class Fix(NamedTuple):
    """One change of the source in words.  line: of the file; kind: the name of the slip; written: the line as it
    stands; instead: what makes the gradient right; hint: a question; file: the name of a file beside the one judged, if
    it stands there."""

    line: int
    kind: str
    written: str
    instead: str
    hint: str
    file: str = ""

    @property
    def where(self) -> str:
        return f"line {self.line}{f' of {self.file}' if self.file else ''}"

    @property
    def text(self) -> str:
        plain = not self.instead.startswith(("the same line", "nothing:", "what stands"))
        instead = f"`{self.instead}`" if plain else self.instead
        return f"{self.where}, `{self.written}`: right is {instead}"


@dataclass
class Part:
    """The judgement of one result: of the forward's output ("forward") or of one gradient ("dx").

    right: at every geometry that was tried.  mistake: its name, or None where it is right or not known.  geometry: the
    smallest one that shows it, shapes and settings.  says: what was done; numbers: one element there, yours and the
    right one; times: (right at, of) geometries; where: those at which it is right.  hint: a question, without numbers.
    fixes: the changes of the source with which a wrong one is right, where they were found: everywhere, or but for
    ``left``, geometries at which two competitors are equal.
    """

    name: str
    right: bool
    mistake: str | None = None
    geometry: str = ""
    says: str = ""
    numbers: str = ""
    times: tuple[int, int] = (0, 0)
    where: str = ""
    hint: str = ""
    notes: list[str] = field(default_factory=list)
    fixes: list[Fix] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """ "right", "mistake" or "unknown"."""
        return "right" if self.right else "mistake" if self.mistake else "unknown"

    @property
    def text(self) -> str:
        """All of it in words."""
        count = f"{self.times[1]} geometries" if self.times[1] != 1 else "the one geometry"
        if self.right:
            tried = f", at {count}" if self.times[1] else ""
            rows = [f"{self.name}: RIGHT{tried}{f': {self.says}' if self.says else ''}."]
            return _shown([*rows, *[f"  {note}." for note in self.notes]])
        head = f"{self.name}: {'WRONG' if self.mistake else 'UNKNOWN'}"
        what = "forward" if self.name == FORWARD else "gradient"
        head += f": {self.mistake}" if self.mistake else f": not the {what}, by no mistake that is known here"
        rows = [f"{head}: {self.says}." if self.says else f"{head}."]
        if self.geometry:
            rows.append(f"  The smallest geometry that shows it: {self.geometry}.")
        rows += [f"  {self.numbers}."] if self.numbers else []
        if self.times[1]:
            rows.append(f"  Right at {self.times[0]} of {count}{f' ({self.where})' if self.where else ''}.")
        if self.fixes:
            both = "both changes" if len(self.fixes) > 1 else "this change"
            rows += [f"  {fix.text[0].upper()}{fix.text[1:]}." for fix in self.fixes]
            if self.left:
                still = ", ".join(dict.fromkeys(self.left))
                rows += [
                    f"  With {both} it is right at {self.times[1] - len(self.left)} of {count}; not yet at: {still}."
                ]
            else:
                rows += [f"  With {both} it is right at {'all ' if self.times[1] > 1 else ''}{count}."]
        rows += [f"  {note}." for note in self.notes]
        rows += [f"  Hint: {self.hint}"] if self.hint else []
        return _shown(rows)

    @property
    def hints(self) -> str:
        """What may be told without the answer: that it is not right, at which geometry, and a question."""
        if self.right:
            return f"{self.name}: RIGHT."
        rows = [f"{self.name}: NOT RIGHT."]
        rows += [f"  Try it with {self.geometry}."] if self.geometry else []
        rows += [f"  Look at {fix.where}: {fix.hint}" for fix in self.fixes]
        rows += [f"  Hint: {self.hint}"] if self.hint else []
        return _shown(rows)

    def html(self, hints_only: bool = False) -> str:
        """The text as HTML: the judgement, what is known of it as a list, the hint folded away."""
        first, *rows = [clean(row.strip()) for row in (self.hints if hints_only else self.text).splitlines()]
        name, _, said = first.partition(": ")
        sign = "✓" if self.right else "✗" if self.mistake or hints_only else "?"
        items = "".join(f"<li>{escape(row)}</li>" for row in rows if not row.startswith("Hint: "))
        hint = unfolding("A nudge", self.hint) if self.hint and not self.right else ""
        list_ = f'<ul style="margin:.4em 0">{items}</ul>' if items else ""
        return paragraph(f"<strong>{sign} {escape(name)}</strong>: {escape(said)}") + list_ + hint

    def json(self, hints_only: bool = False) -> dict[str, Any]:
        """Plain data; with ``hints_only`` nothing that says what is right."""
        made: dict[str, Any] = {"name": self.name, "right": self.right, "geometry": self.geometry, "hint": self.hint}
        made |= {"right_at": self.times[0], "tried": self.times[1], "lines": [fix.line for fix in self.fixes]}
        if not hints_only:
            made |= {"kind": self.kind, "mistake": self.mistake, "says": self.says, "numbers": self.numbers}
            made |= {"notes": self.notes, "text": self.text}
            made["changes"] = [{k: v for k, v in fix._asdict().items() if k != "hint"} for fix in self.fixes]
        else:
            made["text"] = self.hints
        return made


class BackwardVerdict:
    """The answer of ``ac.check_backward`` and ``ac.check_op``: true if everything that was judged is right.

    layer: the name of what it was compared with.  parts: by name, the gradients in the course's order, before them
    "forward" where one was given; ``v["dx"]`` is one of them.  damage: what was changed that belongs to others, such as
    an input; it makes the verdict false, although the numbers may be right.  notes: what is worth knowing.

    >>> part = Part("dx", True, times=(3, 3))
    >>> verdict = BackwardVerdict("cs231n.relu", {"dx": part})
    >>> bool(verdict), verdict["dx"].right, str(verdict)
    (True, True, 'RIGHT: cs231n.relu\\n  dx: RIGHT, at 3 geometries.')
    """

    def __init__(
        self,
        layer: str,
        parts: dict[str, Part],
        *,
        damage: list[tuple[str, str]] | None = None,
        notes: list[str] | None = None,
    ) -> None:
        self.layer, self.parts = layer, parts
        self.damage, self.notes = damage or [], notes or []

    def __bool__(self) -> bool:
        return all(part.right for part in self.parts.values()) and not self.damage

    @property
    def right(self) -> bool:
        return bool(self)

    @property
    def forward(self) -> Part | None:
        """The judgement of the forward, or None where none was given."""
        return self.parts.get(FORWARD)

    @property
    def mistakes(self) -> list[str]:
        """The names of all mistakes, each once."""
        named = [part.mistake for part in self.parts.values() if part.mistake]
        return list(dict.fromkeys([*named, *[kind for kind, _ in self.damage]]))

    @property
    def points(self) -> tuple[int, int]:
        """(reached, possible): one for the forward and one for each gradient, none for a gradient that is right at
        some geometries; damage costs one."""
        reached = sum(part.right for part in self.parts.values())
        return max(0, reached - bool(self.damage)), len(self.parts)

    @property
    def status(self) -> int:
        """The exit status of the command line: 0 right, 1 not."""
        return 0 if self else 1

    def __getitem__(self, name: str) -> Part:
        if name not in self.parts:
            raise KeyError(f"{name!r}; judged were {', '.join(self.parts)}")
        return self.parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    @property
    def text(self) -> str:
        rows = [f"{'RIGHT' if self else 'NOT RIGHT'}: {self.layer}"]
        for part in self._gathered():
            rows += [f"  {row}" for row in part.text.splitlines()]
        rows += [f"  {kind.upper()}: {words}." for kind, words in self.damage]
        rows += [f"  Note: {note}." for note in self.notes]
        return _shown(rows)

    def _gathered(self) -> list[Part]:
        """The parts, those of which the very same is to be said as one: an error concerns all gradients."""
        groups: dict[Any, list[Part]] = {}
        for part in self.parts.values():
            alike = (part.right, part.mistake, part.says, part.geometry, part.times, part.numbers)
            key = alike if part.numbers == "" and not part.right and part.mistake else part.name
            groups.setdefault(key, []).append(part)
        return [replace(parts[0], name=", ".join(p.name for p in parts)) for parts in groups.values()]

    @property
    def hints(self) -> str:
        """The verdict without anything that says what is right."""
        rows = [f"{'RIGHT' if self else 'NOT RIGHT'}: {self.layer}"]
        for part in self._gathered():
            rows += [f"  {row}" for row in part.hints.splitlines()]
        rows += [f"  {kind.upper()}: {words}." for kind, words in self.damage]
        return _shown(rows)

    def html(self, hints_only: bool = False) -> str:
        """The verdict as HTML; with ``hints_only`` nothing in it says what is right."""
        parts = [part.html(hints_only) for part in self._gathered()]
        parts += [paragraph(escape(clean(f"{kind.capitalize()}: {words}."))) for kind, words in self.damage]
        parts += [] if hints_only else [paragraph(escape(clean(f"Note: {note}."))) for note in self.notes]
        return judged("right" if self else "wrong", "Right" if self else "Not right", self.layer, parts)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(self.text, html=self.html())

    def wrapped(self, width: int, hints_only: bool = False) -> str:
        """The text in lines of at most ``width`` characters."""
        rows = []
        for row in (self.hints if hints_only else self.text).splitlines():
            indent = len(row) - len(row.lstrip())
            rows += wrap(row, width, subsequent_indent=" " * (indent + 2)) if len(row) > width else [row]
        return "\n".join(rows)

    def json(self, hints_only: bool = False) -> dict[str, Any]:
        """Plain data: layer, right, points, possible, parts, damage, notes."""
        points, possible = self.points
        return {
            "layer": self.layer,
            "right": bool(self),
            "points": points,
            "possible": possible,
            "parts": [part.json(hints_only) for part in self.parts.values()],
            "damage": [{"kind": kind, "says": words} for kind, words in self.damage],
            "notes": [] if hints_only else self.notes,
        }

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text
