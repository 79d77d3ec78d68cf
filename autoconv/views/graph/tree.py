"""A tape as boxes inside boxes, for a page that opens and closes them: the lines, the calls and layers around them, and
which of those the picture of a graph shows closed.

The boxes are described as the picture's are (``describe_lines``), so that the page begins with the same picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...render.node import Edge, Node
from ...tape import Scope, Tape, Tensor
from ..lines import is_parameter
from .describe_lines import Words, describe
from .zoom import Group, Opening, lines, open_definitions

MOST = 3000  # lines that a page holds; of longer tapes it has what the picture shows


@dataclass(frozen=True)
class Box:
    """A box of the tree: its node, the number of the box around it (-1: none), and whether it is open at first.

    ``holds``: it consists of other boxes.
    """

    node: Node
    parent: int
    open: bool = False
    holds: bool = False


@dataclass(frozen=True)
class Tree:
    """Boxes, those around others first, and the edges between the innermost of them."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


def tree(
    tape: Tape,
    drawn: Iterable[Group],
    names: Mapping[int, str],
    opened: Opening,
    kept: set[int] | None,
    model: bool,
) -> Tree | None:
    """The tree of a tape; ``drawn`` are the groups of its picture, the rest as ``describe`` has it.

    None for a tape of more than 3000 lines.
    """
    if len(tape) > MOST:
        return None
    closed = {id(g.scope) for g in drawn if g.scope is not None}
    groups = [
        g for g in open_definitions(lines(tape), opened) if kept is None or any(id(line) in kept for line in g.lines)
    ]
    nodes, edges = describe(tape, groups, names, kept, model)
    home = _homes(tape, model, closed)
    scopes = _scopes(groups, home, closed)
    words = Words(tape, names, {id(line): i for i, line in enumerate(tape)}, model)
    number: dict[int, int] = {}
    boxes: list[Box] = []
    inside = _members(groups, home, scopes)
    readers: dict[int, set[int]] = {id(y): {0} for y in tape.outputs}
    for line in tape:
        for x in line.operands:
            readers.setdefault(id(x), set()).add(id(line))
    for scope in scopes:
        around = next((s for s in reversed(scope.path[:-1]) if id(s) in number), None)
        members = inside[id(scope)]
        own = {id(x) for x in members}
        group = Group(scope, members, [x for x in members if not (is_parameter(x) or readers.get(id(x), own) <= own)])
        words.counted = set()
        node = words.node(group, f"b{len(boxes)}", group.operands({id(x): 0 for x in group.lines}, 0))
        shut = any(id(s) in closed for s in scope.path)
        number[id(scope)] = len(boxes)
        boxes.append(Box(node, number[id(around)] if around else -1, not shut, True))
    steps: dict[int, int] = {}
    for node, group in zip(nodes, groups, strict=True):
        inner = home[id(group.lines[-1])]
        parent = next((number[id(s)] for s in reversed(inner.path) if id(s) in number), -1) if inner else -1
        if group.step is not None:  # the lines of a definition are in a box of their own
            line = group.lines[-1]
            if id(line) not in steps:
                words.counted = set()
                whole = words.node(Group(None, [line], [line]), f"b{len(boxes)}", list(line.operands))
                steps[id(line)] = len(boxes)
                boxes.append(Box(whole, parent, True, True))
            parent = steps[id(line)]
        boxes.append(Box(node, parent))
    return Tree(tuple(boxes), edges)


def _homes(tape: Tape, model: bool, closed: set[int]) -> dict[int, Scope | None]:
    """The innermost scope that each line belongs to; an input to that of all that read it, as far as it was made there.

    A parameter is inside its layer where a model is drawn, else it stands beside the box that is drawn.
    """
    home: dict[int, Scope | None] = {}
    for line in tape:
        if line.primitive is not None:
            home[id(line)] = (
                next((s for s in reversed(line.scope.path) if s.kind != "backward"), None) if line.scope else None
            )
    common: dict[int, tuple[Scope, ...]] = {}
    shut: dict[int, list[tuple[Scope, ...]]] = {}  # of each input, the closed boxes that read it
    for line in tape:
        scope = home.get(id(line))
        path = scope.path if scope else ()
        for x in line.operands:
            if x.primitive is None:
                known = common.get(id(x), path)
                same = [a for a, b in zip(known, path, strict=False) if a is b]
                common[id(x)] = tuple(same)
                box = next((path[: k + 1] for k, s in enumerate(path) if id(s) in closed), ())
                shut.setdefault(id(x), []).append(box)
    for line in tape:
        if line.primitive is None:
            path = common.get(id(line), ())
            if is_parameter(line):
                boxes = shut.get(id(line), [()])
                inside = len(path) >= len(boxes[0]) > 0 and all(box == boxes[0] for box in boxes)
                if model and all(boxes) and not inside:  # shared by several boxes: it is in the first
                    path = boxes[0]
                elif not model:
                    path = path[: next((k for k, s in enumerate(path) if id(s) in closed), len(path))]
            else:
                path = tuple(s for s in path if line.constant and line.serial > s.serial)
            home[id(line)] = path[-1] if path else None
    return home


def _scopes(groups: Iterable[Group], home: Mapping[int, Scope | None], closed: set[int]) -> list[Scope]:
    """The scopes that are boxes: calls and layers that hold several things, and the ``closed`` ones; outer ones first.

    What is alone in a box is not a box in it.
    """
    held: dict[int, set[int]] = {}
    known: dict[int, Scope] = {}
    for group in groups:
        scope = home[id(group.lines[-1])]
        chain = [s for s in (scope.path if scope else ()) if s.kind in ("call", "layer")]
        for k, s in enumerate(chain):
            known[id(s)] = s
            held.setdefault(id(s), set()).add(id(chain[k + 1]) if k + 1 < len(chain) else id(group))
    order = sorted(known.values(), key=lambda s: s.serial)
    shown: list[Scope] = []
    lonely: set[int] = set()
    for scope in order:
        if len(held[id(scope)]) == 1:
            (only,) = held[id(scope)]
            if only in known:
                lonely.add(only)
        several = len(held[id(scope)]) > 1 or not held[id(scope)].isdisjoint(known)
        if id(scope) not in lonely and (several or id(scope) in closed):
            shown.append(scope)
    return shown


def _members(
    groups: Iterable[Group], home: Mapping[int, Scope | None], scopes: Iterable[Scope]
) -> dict[int, list[Tensor]]:
    """id(scope) -> the lines in it, each once."""
    found: dict[int, dict[int, Tensor]] = {id(s): {} for s in scopes}
    for group in groups:
        scope = home[id(group.lines[-1])]
        for s in scope.path if scope else ():
            if id(s) in found:
                found[id(s)][id(group.lines[-1])] = group.lines[-1]
    return {key: list(held.values()) for key, held in found.items()}
