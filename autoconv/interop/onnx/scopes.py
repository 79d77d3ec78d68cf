"""What an ONNX file says about where its nodes come from: modules, and lines of the program that was exported."""

from __future__ import annotations

import ast
import re
from pathlib import PurePath
from typing import Any

from ..graph import Level

_SCOPES, _CLASSES, _TRACE = (f"pkg.torch.onnx.{word}" for word in ("name_scopes", "class_hierarchy", "stack_trace"))
_LONGEST = 100_000  # characters of metadata that are looked at
_DEEPEST = 64
_FRAME = re.compile(r'File "([^"\n]*)", line (\d{1,9}), in [^\n]*\n *([^\n]*)')


def scope_of(node: Any, title: str) -> tuple[Level, ...]:
    """The modules around a node, outermost first: as PyTorch's exporter notes them, or from a name with slashes.

    "/layer1/layer1.0/conv1/Conv" stands in layer1, in its part 0, in conv1.
    """
    notes = {note.key: note.value for note in node.metadata_props}
    scopes, classes = _strings(notes.get(_SCOPES)), _strings(notes.get(_CLASSES))
    root = Level("", title)
    if scopes and len(scopes) == len(classes):
        kinds = [kind.rpartition(".")[2] for kind in classes]
        levels = [Level(name, kind) for name, kind in _relative(scopes[1:-1], kinds[1:-1])]
        return Level("", kinds[0] if len(scopes) > 1 else title), *levels
    parts = [part for part in node.name.split("/") if part][:-1]
    return root, *[Level(name) for name, _ in _relative(parts[:_DEEPEST], [""] * len(parts))]


def source_of(node: Any, number: int) -> str:
    """Where a node comes from, for error messages: the line of the program if it is known, and the node's name."""
    name = f"node {node.name!r}" if node.name else f"node {number}"
    output = next((x for x in node.output if x), "")
    name = name if node.name or not output else f"{name}, which makes {output!r}"
    notes = {note.key: note.value for note in node.metadata_props}
    frames = _FRAME.findall(notes.get(_TRACE, "")[:_LONGEST])
    if not frames:
        return name
    file, line, text = frames[-1]
    return f"{PurePath(file).name}, line {line}: {' '.join(text.split())} ({name})"


def _relative(names: list[str], kinds: list[str]) -> list[tuple[str, str]]:
    """Names of modules in their parents: ["features", "features.0"] is features and 0."""
    found: list[tuple[str, str]] = []
    before = ""
    for name, kind in zip(names[:_DEEPEST], kinds, strict=False):
        own = name.removeprefix(f"{before}.") if before else name
        if own:
            found.append((own, kind))
        before = name
    return found


def _strings(text: str | None) -> list[str]:
    """A list of strings as Python writes it; [] for anything else."""
    if not text or len(text) > _LONGEST or not text.startswith("["):
        return []
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return value if isinstance(value, list) and all(isinstance(x, str) for x in value) else []
