"""The command exercise: a worksheet from a function of the user, and marks for one that was filled in."""

from __future__ import annotations

import argparse
import ast
import json
import re
from pathlib import Path
from typing import Any

from ..files import check_writable, open_regular
from .named import UserError, recorded

KINDS = ("equations", "graph", "arrays")
LARGEST = 20_000_000  # bytes of a filled-in sheet


def run(arguments: argparse.Namespace) -> int:
    """autoconv exercise: write a sheet and its key, or mark answers; exit status of marking 0 all right, 1 not."""
    if arguments.mark:
        from ..exercises.key import exercise_key

        if arguments.function or not arguments.key:
            raise UserError("to mark, give --mark answers.json --key sheet.key.json, and no function")
        answers = read_answers(Path(arguments.mark))
        marks = exercise_key(arguments.key).mark(answers)
        print(marks.text)
        return marks.status
    if not arguments.function or arguments.key:
        raise UserError("give file.py:function to make a sheet of, or --mark answers.json --key sheet.key.json")
    from ..exercises.making import exercise

    output = arguments.out or f"{arguments.function.rpartition(':')[2]}.html"
    check_writable(output)
    loss, names = recorded(arguments.function)
    made = exercise(
        loss,
        blanks=arguments.blanks,
        seed=arguments.seed,
        kind=arguments.kind,
        wrt=arguments.wrt,
        names=names,
        nice_numbers=arguments.nice_numbers,
    )
    path = made.save(output, marking=not arguments.no_marking)
    print(f"{made!r}\nwritten to {path}, the key to {path.with_name(f'{path.stem}.key.json')}")
    return 0


def options(command: argparse.ArgumentParser) -> None:
    """The options of the command."""
    command.add_argument(
        "function",
        nargs="?",
        help="file.py:function, called without arguments; it returns the loss, or (loss, locals()) to name the lines",
    )
    command.add_argument("--blanks", type=int, default=5, help="numbers left out (default: %(default)s)")
    command.add_argument("--seed", type=int, default=0, help="of the choice (default: %(default)s)")
    command.add_argument("--kind", "--of", dest="kind", choices=KINDS, default="equations", help="default: %(default)s")
    command.add_argument(
        "--wrt",
        action="append",
        metavar="TENSOR",
        help='what the gradients are of, as "w" or "w[0,0]"; may be given again',
    )
    command.add_argument("--nice-numbers", action="store_true", help="small whole numbers, to be done by hand")
    command.add_argument(
        "--no-marking", action="store_true", help="the page does not mark itself: for a sheet that counts"
    )
    command.add_argument("--out", metavar="FILE", help=".ipynb, .html or .md (default: the function's name with .html)")
    command.add_argument("--mark", metavar="FILE", help="mark this: answers.json, or the filled-in .ipynb or .md")
    command.add_argument("--key", metavar="FILE", help="the .key.json that was written with the sheet")


def read_answers(path: Path) -> Any:
    """The answers in a file: JSON, a notebook's cell ``answers = {...}`` (a literal, never run), or Markdown lines."""
    with open_regular(path) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise UserError(f"{path.name} is larger than {LARGEST:,} bytes; that is no filled-in sheet")
    try:
        text = content.decode("utf-8")
        if path.suffix.lower() == ".md":
            return _markdown(text, path.name)
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError(f"{path.name} cannot be read as {'text' if path.suffix.lower() == '.md' else 'JSON'}") from None
    if path.suffix.lower() == ".ipynb":
        return _notebook(found, path.name)
    return found


def _markdown(text: str, name: str) -> dict[str, str]:
    """The lines "- 1 (dC/dw): 44" below the heading Answers."""
    below = re.split(r"(?m)^## Answers\s*$", text)
    found = (
        re.findall(r"(?m)^\s*[-*]?\s*(\d{1,6})\b(?: \(.*\))?\s*:[ \t]*(.*?)\s*$", below[-1]) if len(below) > 1 else []
    )
    if not found:
        raise UserError(f'{name} has no answers: lines like "- 1 (dC/dw): 44" below "## Answers"')
    if len({n for n, _ in found}) < len(found):
        raise UserError(f"{name} answers a blank twice")
    return dict(found)


def _notebook(found: Any, name: str) -> Any:
    cells = found.get("cells") if isinstance(found, dict) else None
    for cell in reversed(cells if isinstance(cells, list) else []):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source")
        text = "".join(map(str, source)) if isinstance(source, list) else str(source)
        if not re.match(r"\s*answers\s*=", text):
            continue
        try:
            (statement,) = ast.parse(text.strip()).body
            return ast.literal_eval(statement.value)  # type: ignore[attr-defined]
        except (SyntaxError, ValueError, AttributeError, RecursionError, MemoryError, TypeError):
            raise UserError(
                f'{name}: its cell "answers = {{...}}" must be one dict of numbers and texts; '
                "write arithmetic in quotes"
            ) from None
    raise UserError(f'{name} has no cell "answers = {{...}}"')
