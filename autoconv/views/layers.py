"""What the layers around a line say of it: where it stands, a name for what has none, the settings of its window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod

from ..scalar.expand import CONTRACT
from ..tape import Scope, Tape, Tensor
from .lines import is_parameter

SPATIAL = {"windows", "overlap_add"}  # rows that say where windows lie
ROWS = 12  # layers that are told of one box


def layer_path(scope: Scope | None) -> tuple[str, ...]:
    """The names of the layers around, outermost first, without the model that holds them: ("layer1", "0", "conv1")."""
    layers = [s.name for s in (scope.path if scope else ()) if s.kind == "layer"]
    return tuple(name.partition(": ")[0] for name in layers[1:])


def layer_title(scope: Scope) -> str:
    """The name of a layer with those around it, "layer1.0.conv1", and the class of one that is only numbered."""
    path = layer_path(scope) if scope.kind == "layer" else ()
    kind = scope.name.partition(": ")[2]
    return ".".join(path) + (f": {kind}" if kind else "") if path else scope.name


def layer_names(tape: Tape) -> dict[int, str]:
    """id(line) -> a name by its layer for lines inside one: "layer1.0.conv1.out" for what a layer gives,
    "layer1.0.relu" for the result of a call or row in it, with a number behind where it is not the first.

    What is inside a call (the padding of a convolution), outside layers, or in a recorded sweep has none.
    """
    last: dict[int, Tensor] = {}  # of each scope
    for line in tape:
        for scope in line.scope.path if line.scope and line.primitive is not None else ():
            last[id(scope)] = line
    numbered = Numbered(line.name for line in tape if line.name)
    found: dict[int, str] = {}
    for line in tape:
        path = line.scope.path if line.scope else ()
        where = layer_path(line.scope)
        if line.primitive is None or line.constant or not where or any(s.kind == "backward" for s in path):
            continue
        depth = max(k for k, s in enumerate(path) if s.kind == "layer")
        inner = path[depth + 1 :]
        if last[id(path[depth])] is line:
            what = "out"
        elif not inner or last[id(inner[0])] is line:
            what = inner[0].name if inner else line.primitive.name
        else:
            continue
        found[id(line)] = numbered(".".join((*where, what)))
    return found


class Numbered:
    """Names that are not taken: ``base``, or the first of "base_2", "base_3", ..."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(taken)
        self.tried: dict[str, int] = {}  # all numbers of a base up to this one are taken

    def __call__(self, base: str) -> str:
        number = self.tried.get(base, 1)
        name = base if number == 1 else f"{base}_{number}"
        while name in self.taken:
            number += 1
            name = f"{base}_{number}"
        self.taken.add(name)
        self.tried[base] = number
        return name


def line_names(tape: Tape, variables: Mapping[int, str]) -> dict[int, str]:
    """id(line) -> its own name, its variable's, one by its layer, or its place on the tape."""
    layers = layer_names(tape)
    return {
        id(line): line.name or variables.get(id(line)) or layers.get(id(line)) or f"%{i}" for i, line in enumerate(tape)
    }


def settings(lines: Iterable[Tensor]) -> str:
    """The window of the one convolution or pooling among ``lines`` in words, "7×7, stride 2, padding 3"; "" if there
    is none, or several."""
    inside = [line for line in lines if line.primitive is not None]
    spatial = [line for line in inside if line.primitive.name in SPATIAL]  # type: ignore[union-attr]
    if len(spatial) != 1:
        return ""
    (line,) = spatial
    axes, moved = line.params["axes"], line.operands[0]
    window = line.params.get("window") or moved.shape[axes[0] + len(axes) :][: len(axes)]
    found = ["×".join(map(str, window))]
    for word in ("stride", "dilation"):
        steps = line.params[word]
        if set(steps) != {1}:
            found.append(f"{word} {_same(steps)}")
    before = inside[: next(i for i, x in enumerate(inside) if x is line)]
    added = [pair for x in before if x.primitive.name == "pad" for pair in x.params["width"] if pair != (0, 0)]  # type: ignore[union-attr]
    for x in before:
        if x.primitive.name == "take" and len(x.operands) == 2:  # type: ignore[union-attr]
            more = x.shape[x.params["axis"]] - x.operands[0].shape[x.params["axis"]]
            added += [(more // 2, more - more // 2)] if more > 0 else []
    if added:
        found.append(f"padding {_same([a if a == b else f'{a}+{b}' for a, b in added])}")
    products = [x for x in inside if x.primitive is CONTRACT]
    if len(products) == 1:
        letters, result = products[0].params["spec"].split("->")
        first, second = letters.split(",")
        size = dict(zip(first, products[0].operands[0].shape, strict=True))
        groups = prod(size[c] for c in first if c in second and c in result)
        found += [f"{groups} groups"] if groups > 1 else []
    return ", ".join(found)


def _same(values: Iterable[object]) -> str:
    """One word where all are the same, else each."""
    words = [str(x) for x in values]
    return words[0] if len(set(words)) == 1 else "×".join(words)


def deed(scope: Scope | None, lines: Iterable[Tensor]) -> str:
    """What a layer or call does with what it reads, in words: "conv2d 3×3, stride 2, padding 1", "linear 84 → 10"."""
    inside = [line for line in lines if line.primitive is not None]
    own = scope.name.partition(": ")[0] if scope else ""
    name, window = _work(scope, inside)
    return " ".join(words for words in (name if name != own else "", window) if words)


def verb(scope: Scope, lines: Iterable[Tensor]) -> str:
    """What a formula calls the work of a call or layer: "conv2d", "linear"; of a layer that does several things its
    class, or its name."""
    if scope.kind != "layer":
        return scope.name
    own, _, kind = scope.name.partition(": ")
    return _work(scope, [line for line in lines if line.primitive is not None])[0] or kind or own


def _work(scope: Scope | None, inside: Sequence[Tensor]) -> tuple[str, str]:
    """(the one call of which these computed lines are, or "", what it works with: its window or its sizes)."""
    depth = len(scope.path) if scope else 0
    calls = [line.scope.path[depth:][:1] for line in inside if line.scope and line.scope is not scope]
    names = {found[0].name for found in calls if found and found[0].kind == "call"}
    (name,) = names if len(names) == 1 and len({found[:1] for found in calls}) == 1 else ("",)
    window = settings(inside)
    products = [w for x in inside if x.primitive is CONTRACT for w in x.operands if is_parameter(moved(w))]
    if not window and len(products) == 1 and products[0].ndim == 2:
        name = "linear" if name in ("", "matmul") else name
        last = next(x for x in reversed(inside) if x.primitive is CONTRACT).shape[-1]
        window = f"{products[0].size // last} → {last}" if last else ""
    return name, window


def moved(x: Tensor) -> Tensor:
    """What ``x`` only moves the elements of, or casts: itself where it is computed."""
    while x.primitive is not None and x.primitive.moves and x.operands:
        x = x.operands[0]
    return x


def held(scope: Scope, lines: Iterable[Tensor]) -> tuple[tuple[str, str, str, str], ...]:
    """(name, what it does, shape, parameters) of each layer that ``scope`` holds, in the order of the tape; of many the
    first, and how many more there are.

    Parameters that two layers share are counted with the first.
    """
    found: dict[int, tuple[Scope, list[Tensor]]] = {}
    depth = len(scope.path)
    for line in lines:
        path = line.scope.path if line.scope and line.primitive is not None else ()
        layers = [s for s in path[depth:] if s.kind == "layer"]
        if layers:
            found.setdefault(id(layers[-1]), (layers[-1], []))[1].append(line)
    rows, counted = [], set[int]()
    for layer, inside in found.values():
        names = [s.name.partition(": ")[0] for s in layer.path[depth:] if s.kind == "layer"]
        read = {id(x): x.size for line in inside for x in line.operands if is_parameter(x) and id(x) not in counted}
        counted |= read.keys()
        count = f"{sum(read.values()):,}" if read else ""
        rows.append((".".join(names), deed(layer, inside), str(inside[-1].shape), count))
    if len(rows) > ROWS:
        more = len(rows) - ROWS + 1
        return (*rows[: ROWS - 1], (f"... and {more} more layers", "", "", ""))
    return tuple(rows)


def passes(lines: Iterable[Tensor], read: Iterable[Tensor], shape: tuple[int, ...]) -> bool:
    """Whether a layer gives on what it reads in the same shape, number by number or normalised: it multiplies by no
    matrix and moves no windows."""
    given = [x.shape for x in read if not x.constant and not is_parameter(x)]
    heavy = any(x.primitive is CONTRACT or x.primitive.name in SPATIAL for x in lines if x.primitive is not None)
    return given == [shape] and not heavy
