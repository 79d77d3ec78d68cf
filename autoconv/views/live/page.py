"""The live page: program, numbers and nodes as data, the interpreter and the view as one script, in one HTML file.

As the stepper's page it loads nothing and evaluates nothing; its content policy names its script and its style sheet,
and allows that script to run once more beside the page, in a Web Worker, for nets that take long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from typing import Any

from ...primitives import TABLE
from ...program.program import size
from ...render.notation import template
from ...render.page import html_page, inert
from ...render.text import clean
from .column import STATIC, engine
from .encode import Numbers, dtype_name, encoded
from .recorded import Node, Recorded, memory

LARGEST = 64_000_000  # bytes of numbers in a page
MEMORY = 1_500_000_000  # bytes of the lines that it computes
WORK = 20_000_000_000  # floating-point operations of one run
HEAVY = 60_000_000  # operations from which a run would be felt: it is made in a Web Worker
VIEW = tuple(
    f"{name}.js"
    for name in ("colours", "tiles", "net", "panel", "controls", "draw", "training", "state", "view", "bridge", "page")
)


def data(recorded: Recorded, title: str, **more: Any) -> dict[str, Any]:
    """What the page is made of; ``more``: what it shows besides (training, drawing), whose numbers "numbers" adds."""
    numbers = Numbers()
    program = recorded.program
    work = sum(program.flops(i) for i in range(len(program.lines)))
    lines = encoded(program, numbers)
    inputs = [_input(x, numbers) for x in recorded.arguments]
    at = {node.name: k for k, node in enumerate(recorded.nodes)}
    train, examples = more.pop("train", None), more.pop("examples", None)
    made = {
        "title": clean(title),
        "lines": lines,
        "inputs": inputs,
        "nodes": [_node(node, at) for node in recorded.nodes],
        "loss": len(recorded.nodes) - 1,
        "templates": templates(program),
        "heavy": work > HEAVY,
        "train": train(numbers) if train else None,
        "examples": {"feeds": examples.feeds(recorded, numbers), "count": examples.count} if examples else None,
        **more,
    }
    check_size(numbers.nbytes, memory(program), work)
    return {**made, "arrays": numbers.described, "packed": numbers.packed()}


def check_size(stored: int, held: int, work: int) -> None:
    """ValueError for a calculation that is too large for a page, with the numbers."""
    for found, most, what, unit in (
        (stored, LARGEST, "numbers", "B"),
        (held, MEMORY, "results of lines", "B"),
        (work, WORK, "work in one run", "FLOP"),
    ):
        if found > most:
            raise ValueError(
                f"live: {size(found, unit)} of {what}; a page has at most {size(most, unit)}: record a smaller batch "
                "or a part of the model, or look at it with ac.graph and ac.step"
            )


def _input(x: Any, numbers: Numbers) -> dict[str, Any]:
    uniform = x.size != 1 and x.size and not any(x.value.strides)
    count = 1 if uniform else x.size
    start = numbers.add(x.value.flat[:1] if uniform else x.value)
    return {"dtype": dtype_name(x.dtype), "count": count, "start": start}


def _node(node: Node, at: Mapping[str, int]) -> dict[str, Any]:
    """A node as the page has it; ``at``: the number of each by name."""
    return {
        "name": node.name,
        "role": node.role,
        "dtype": dtype_name(node.line.dtype),
        "shape": list(node.line.shape),
        "value": node.value,
        "grad": node.grad,
        "input": node.input,
        "call": clean(node.call),
        "settings": clean(node.settings),
        "tile": tile(node.line.shape, node.role == "parameter"),
        "reads": [at[name] for name in node.reads],
        "flat": node.flat,
    }


def tile(shape: Sequence[int], parameter: bool) -> list[int]:
    """The two axes that make a picture, rows and columns; all others count pictures beside each other.

    The first two neighbouring axes of one size (the image of a channel; a kernel's window), else an image's height and
    width, else the last two.
    """
    dims = len(shape)
    if dims < 3:
        return list(range(dims))
    first = 0 if parameter or dims == 3 else 1
    square = next((k for k in range(first, dims - 1) if shape[k] == shape[k + 1] > 1), None)
    k = square if square is not None else first if dims > 3 else dims - 2
    return [k, k + 1]


def templates(program: Any) -> dict[str, Any]:
    """The formula of each elementwise row of the program: [text with slots, how tightly it binds, what its operands
    need]."""
    used = {line.primitive.name for line in program.lines if line.primitive is not None and line.primitive.elementwise}
    known = {name: template(TABLE[name].latex, TABLE[name].arity or 1) for name in sorted(used)}
    return {name: [t.text, t.binds, list(t.spelled)] for name, t in known.items()}


@cache
def _static(names: Sequence[str]) -> str:
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in names)


@cache
def script() -> str:
    """The engine and the view as one script, without the white space and comments that only their readers need."""
    lines = (line.strip() for line in (engine() + "\n" + _static(VIEW)).splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def html(made: dict[str, Any], report: str = "") -> str:
    """A whole page for ``data``; report: HTML that a button shows in place of the calculation."""
    body = f'{_static(("page.html",))}<script type="application/json" id="calculation">{inert(made)}</script>'
    if report:
        name = escape(made["report"])
        body += f'<article id="report" role="main" tabindex="0" aria-label="{name}" hidden>{report}</article>'
    return html_page(
        made["title"], body, css=_static(("page.css",)), script=script(), inline_styles=bool(report), workers=True
    )
