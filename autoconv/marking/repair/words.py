"""Edits as lines of a file: the line as it is written, and as it would be right."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

from ..verdict import Fix
from .sought import Place
from .source import Written, functions_of
from .table import KINDS, Sites
from .trees import Edit, put


def quieted(written: Written) -> None:
    """What it prints is left out of a function that runs a thousand times."""
    for node in ast.walk(written.node):
        for name in ("body", "orelse"):
            listed = getattr(node, name, None)
            if isinstance(listed, list):
                for i, statement in enumerate(listed):
                    value = getattr(statement, "value", None)
                    called = value.func if isinstance(value, ast.Call) else None
                    if isinstance(statement, ast.Expr) and isinstance(called, ast.Name) and called.id == "print":
                        listed[i] = ast.copy_location(ast.Pass(), statement)


def in_words(texts: Mapping[str, str], places: list[Place]) -> list[Fix]:
    """Edits as lines of files, given by name; [] for numbers that are none of them."""
    files, fixes = {name: functions_of(text, name) for name, text in texts.items()}, []
    undo: list[Any] = []
    for written in chain(*files.values()):
        quieted(written)
    for number, rank, at, count, name in places:
        if not 0 <= number < len(files.get(name, [])):
            return []
        written = files[name][number]
        edit = Sites(written).edit(rank, at, count)
        if edit is None:
            return []
        fixes.append(fix_of(edit, written.lines)._replace(file=name))
        undo = [*edit.apply()[::-1], *undo]
    return fixes


def fix_of(edit: Edit, lines: list[str]) -> Fix:
    """An edit in words: the line as it stands, and as it is right."""
    kind, hint = edit.kind, KINDS[edit.rank].hint
    if edit.note:
        line = edit.statement.lineno
        return Fix(line, kind, _short(lines[line - 1]), f"the same line {edit.note}", hint)
    line = getattr(edit.node, "lineno", edit.statement.lineno)
    written = lines[line - 1]
    if edit.new is None:
        before = ast.unparse(edit.statement).splitlines()[0]
        owner, name, new = edit.changes[-1]
        old = getattr(owner, name)
        if kind == "a condition too many":
            return Fix(line, kind, _short(written), "what stands under it, without this condition", hint)
        made = next((s for s in new if not any(s is o for o in old)), None) if isinstance(new, list) else new.new[0]
        if kind == "a statement forgotten" and made is not None:
            return Fix(line, kind, _short(written), f"at the end of this loop: {_short(ast.unparse(made))}", hint)
        if made is None or isinstance(made, ast.Pass):
            return Fix(line, kind, _short(before), "nothing: without this line", hint)
        return Fix(line, kind, _short(written), _short(_kept(written, made)), hint)
    return Fix(line, kind, _short(written), _short(_replaced(edit, lines, line)), hint)


_SIGNS = ("=", "+=", "-=", "*=", "/=")


def _kept(line: str, made: ast.stmt) -> str:
    """Another statement in the hand of the line in whose place it stands: with its sign, or its names, exchanged."""
    text, line = ast.unparse(made).splitlines()[0], line.strip()
    old, new = (re.findall(r"[^\W\d]\w*", part) for part in (line, text))
    tries = [line.replace(f" {a} ", f" {b} ", 1) for a in _SIGNS for b in _SIGNS if f" {a} " in line]
    for a, b in {(a, b) for a, b in zip(old, new, strict=False) if a != b}:
        tries.append(re.sub(rf"\b{a}\b", b, line))
    for tried in tries:
        with suppress(SyntaxError, ValueError):
            if ast.unparse(ast.parse(tried)) == text:
                return tried
    return text


def _replaced(edit: Edit, lines: list[str], line: int) -> str:
    """The line with an expression replaced, in the hand of whoever wrote it where that can be kept."""
    node: Any = edit.node
    assert edit.new is not None
    text = ast.unparse(edit.new)
    undo = edit.apply()
    try:
        whole = ast.unparse(edit.statement).splitlines()
    finally:
        put(undo[::-1])
    if node.end_lineno != node.lineno:
        return whole[0] if len(whole) == 1 or not isinstance(edit.statement, ast.Lambda) else text
    content = lines[line - 1].encode()
    tail = content[node.end_col_offset :].decode()
    head = content[: node.col_offset].decode()
    tries = [head + inner + tail for inner in (text, f"({text})")]
    if isinstance(edit.new, ast.Tuple) and len(edit.new.elts) > 1:
        tries.insert(0, head + text[1:-1] + tail)
    if head.endswith("(") and tail.startswith(")"):
        tries.insert(0, head[:-1] + text + tail[1:])
    for made in map(str.strip, tries):
        for rest in ("", " pass"):
            try:
                parsed = ast.parse(made + rest).body
            except SyntaxError:
                continue
            if len(parsed) == 1 and ast.unparse(parsed[0]).splitlines()[0] == whole[0]:
                return made
    return whole[0] if len(whole[0]) < 200 else f"{head.strip()}{text}{tail}"


def _short(line: str) -> str:
    line = "".join(c if c.isprintable() else "?" for c in " ".join(line.split()))
    return line if len(line) <= 160 else f"{line[:157]}..."
