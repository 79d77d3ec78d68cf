"""The marks of a whole file: a table for people, JSON for machines, the results of a Gradescope autograder."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ..render.page import html_page
from ..render.text import clean
from .apart import MEMORY, defined, derived, marked
from .courses import LAYERS
from .verdict import BackwardVerdict

SCHEMA = 1  # the version of the JSON
STYLE = (
    "table{border-collapse:collapse}th,td{text-align:left;padding:.25rem 1.2rem .25rem 0;"
    "border-bottom:1px solid var(--line);vertical-align:top}thead th,th[scope=col]{color:var(--soft);font-weight:400}"
    "main>details{margin:.6rem 0}"
)


@dataclass
class Report:
    """The verdicts on the layers of one file, in the course's order."""

    file: str
    course: str
    verdicts: list[BackwardVerdict]

    @property
    def points(self) -> tuple[int, int]:
        reached, possible = zip(*[v.points for v in self.verdicts], strict=True)
        return sum(reached), sum(possible)

    @property
    def status(self) -> int:
        """0 if everything is right, else 1."""
        return 0 if all(self.verdicts) else 1

    def text(self, *, points: bool = False, hints_only: bool = False, width: int = 80) -> str:
        """A table with a row for each layer, and below it what is wrong, in words."""
        rows = []
        for v in self.verdicts:
            wrong = [part.name for part in v.parts.values() if not part.right]
            names = list(dict.fromkeys(p.mistake for p in v.parts.values() if p.mistake))
            said = "right" if v else f"not right: {', '.join(wrong) or ', '.join(k for k, _ in v.damage)}"
            if names and not hints_only:
                said += f" ({'; '.join(names)})"
            got = "{}/{}".format(*v.points)
            rows.append([v.layer.partition(".")[2], *([got] if points else []), said])
        if points:
            rows.append(["total", "{}/{}".format(*self.points), ""])
        sizes = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
        left = sum(sizes) + 2 * len(sizes)
        lines = [f"{self.file}, as {self.course}"]
        for row in rows:
            start = "  ".join(cell.ljust(n) for cell, n in zip(row, sizes, strict=False)) + "  "
            said = row[-1] if left + len(row[-1]) <= width else f"{row[-1][: width - left - 2]}.."
            lines.append((start + said).rstrip())
        for v in self.verdicts:
            if not v:
                lines += ["", v.wrapped(width, hints_only)]
        return "\n".join(lines)

    def page(self, *, points: bool = False, hints_only: bool = False) -> str:
        """The same as one HTML page, which needs nothing else."""
        title = f"{self.file}, as {self.course}"
        right = sum(map(bool, self.verdicts))
        rows, sections = [], []
        for v in self.verdicts:
            name = escape(clean(v.layer.partition(".")[2]))
            off = [part.name for part in v.parts.values() if not part.right] or [kind for kind, _ in v.damage]
            said = "✓ right" if v else f"✗ not right: {escape(clean(', '.join(off)))}"
            got = "<td>{} of {}</td>".format(*v.points) if points else ""
            rows.append(f'<tr><th scope="row">{name}</th>{got}<td>{said}</td></tr>')
            shown = v.html(hints_only)
            if v:
                shown = f"<details><summary>✓ {name}: right</summary>{shown}</details>"
            sections.append(f"<section><h2>{name}</h2>{shown}</section>" if not v else shown)
        reached, possible = self.points
        total = f", {reached} of {possible} points" if points else ""
        column = '<th scope="col">points</th>' if points else ""
        head = f'<tr><th scope="col">layer</th>{column}<th scope="col">result</th></tr>'
        body = (
            f"<h1>{escape(clean(title))}</h1><p>{right} of {len(self.verdicts)} layers right{total}.</p>"
            f"<table>{head}{''.join(rows)}</table>{''.join(sections)}"
        )
        return html_page(title, body, css=STYLE, document=True)

    def json(self, hints_only: bool = False) -> dict[str, Any]:
        """{"schema", "file", "course", "right", "points", "possible", "layers"}; see docs/marking.md."""
        points, possible = self.points
        return {
            "schema": SCHEMA,
            "file": self.file,
            "course": self.course,
            "right": not self.status,
            "points": points,
            "possible": possible,
            "layers": [v.json(hints_only) for v in self.verdicts],
        }

    def gradescope(self, hints_only: bool = True) -> dict[str, Any]:
        """The results.json of a Gradescope autograder: one test for each layer."""
        tests = []
        for v in self.verdicts:
            points, possible = v.points
            output = v.hints if hints_only else v.text
            tests.append({"name": v.layer, "score": points, "max_score": possible, "output": output})
        return {"tests": tests, "visibility": "visible"}


def mark(
    file: str | Path, course: str, *, only: list[str] | None = None, time_limit: float = 20.0, memory: int = MEMORY
) -> Report:
    """Mark the functions of a file as those of a course, each layer in a process of its own (see ``apart``).

    A ``torch.autograd.Function`` stands for the functions of the layer that its name says: Conv, MyConv, ConvFunction
    and conv_function for "conv", BatchNorm for "batchnorm".
    course: as in "cs231n"; only: names of its layers, as in ["conv"].  time_limit: seconds for each layer;
    memory: bytes.
    Raises ValueError for a course that is not known, and for a file with none of its functions.
    """
    path = Path(file)
    layers = [layer for name, layer in LAYERS.items() if name.partition(".")[0] == course]
    if not layers:
        known = ", ".join(dict.fromkeys(name.partition(".")[0] for name in LAYERS))
        raise ValueError(f"there is no course {course!r}; there are {known}")
    if only:
        unknown = set(only) - {layer.name.partition(".")[2] for layer in layers}
        if unknown:
            raise ValueError(f"{course} has no {', '.join(sorted(unknown))}; autoconv.courses() lists its layers")
        layers = [layer for layer in layers if layer.name.partition(".")[2] in only]
    there = defined(path)
    kinds = {_plain(name): name for name in derived(path)}
    of = {layer.name: kinds.get(layer.name.partition(".")[2].replace("_", ""), "") for layer in layers}
    present = [layer for layer in layers if layer.functions[-1] in there or of[layer.name]]
    if not present:
        wanted = ", ".join(layer.functions[-1] for layer in layers[:4])
        words = f"{path.name} has no function of {course}; it would have {wanted}, .."
        if kinds:
            names = ", ".join(layer.name.partition(".")[2] for layer in layers)
            words += f"; or a torch.autograd.Function called as one of {names}; it has {', '.join(kinds.values())}"
        raise ValueError(words)
    verdicts: list[BackwardVerdict] = []
    for layer in present:
        function = "" if layer.functions[-1] in there else of[layer.name]
        verdict = marked(path, layer, time_limit, memory, function)
        verdicts.append(verdict)
        if len(verdicts) == 1 and verdict.mistakes == ["cannot be imported"]:
            break  # it would be the same for all
    return Report(path.name, course, verdicts)


def _plain(name: str) -> str:
    """The name of a class without case, underscores, "My" in front and "Function" behind."""
    return name.lower().replace("_", "").removeprefix("my").removesuffix("function")
