"""An imported program as plain data: what a reader of another library's models makes, and ``Imported`` runs.

A graph is a straight list of nodes.  Each names an operation of its dialect's table (a mapping from names to functions
made of autoconv's own, such as ``aten.OPERATIONS``), what it reads, the modules around it and the line of the user's
program that made it.  Nothing here is executed; shapes that depend on the inputs are values like any other, so a graph
holds for every size that its operations take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from ..tape import Array


@dataclass(frozen=True, slots=True)
class Value:
    """A place in what a node reads: the input of the graph, or the result of a node, with this number."""

    number: int


@dataclass(frozen=True, slots=True)
class State:
    """A place in what a node reads: the parameter or buffer of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A place in what a node reads: the array of this name in ``Graph.constants``."""

    name: str


@dataclass(frozen=True, slots=True)
class Level:
    """One module around a node: its name in the module around it, its class, and which call of it this is.

    >>> from autoconv.interop.graph import Level
    >>> Level("3", "Conv2d").title, Level("conv1", "Conv2d").title, Level("", "LeNet").title
    ('3: Conv2d', 'conv1', 'LeNet')
    """

    name: str
    kind: str = ""
    call: int = 0

    @property
    def title(self) -> str:
        """What a reader sees, as the layers of autoconv.nn name themselves."""
        return f"{self.name}: {self.kind}" if self.name.isdigit() and self.kind else self.name or self.kind


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: ``number`` is the value that it makes; the modules around it come outermost first.

    args, settings: Values, States, Constants, numbers, text, None, dtypes, and tuples, lists, dicts and slices of
    these.
    """

    operation: str
    args: tuple[Any, ...]
    settings: Mapping[str, Any]
    number: int
    scope: tuple[Level, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a graph: its name, its shape with None for a size that is free, and its dtype ("" for any)."""

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """A program: ``inputs[k]`` is the value with number k; nodes come in the order in which they run.

    positional, keywords: how the inputs stand in a call, as nested tuples, lists and dicts of Values and fixed things;
    outputs: the same for the result.  updates: buffer -> the Value that it has after the run.
    """

    inputs: tuple[Input, ...]
    nodes: tuple[Node, ...]
    outputs: Any
    positional: tuple[Any, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    updates: Mapping[str, Value] = field(default_factory=dict)
    constants: Mapping[str, Array] = field(default_factory=dict)


class Table(dict[str, Callable[..., Any]]):
    """A dialect's operations: name -> function.  ``place`` is where it stands, as "package.module:NAME", so that a
    pickled model names its table instead of holding it."""

    def __init__(self, place: str, operations: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(operations)
        self.place = place

    def __reduce__(self) -> Any:
        return _table_at, tuple(self.place.split(":"))

    def __deepcopy__(self, memo: Any) -> Table:
        return self


def _table_at(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


def places(tree: Any) -> Iterator[Value | State | Constant]:
    """The places in nested tuples, lists, dicts and slices, in their order."""
    if isinstance(tree, Value | State | Constant):
        yield tree
    elif isinstance(tree, list | tuple):
        for part in tree:
            yield from places(part)
    elif isinstance(tree, Mapping):
        for part in tree.values():
            yield from places(part)
    elif isinstance(tree, slice):
        yield from places((tree.start, tree.stop, tree.step))


def filled(tree: Any, content: Callable[[Any], Any]) -> Any:
    """The same tree with ``content(place)`` in place of every Value, State and Constant."""
    if isinstance(tree, Value | State | Constant):
        return content(tree)
    if isinstance(tree, list | tuple):
        return type(tree)([filled(part, content) for part in tree])
    if isinstance(tree, Mapping):
        return {key: filled(part, content) for key, part in tree.items()}
    if isinstance(tree, slice):
        return slice(*[filled(part, content) for part in (tree.start, tree.stop, tree.step)])
    return tree


def last_uses(graph: Graph) -> list[tuple[int, ...]]:
    """For each node the values that nothing reads after it, so that their memory can go."""
    kept = {x.number for x in places((graph.outputs, dict(graph.updates))) if isinstance(x, Value)}
    free: list[tuple[int, ...]] = []
    for node in reversed(graph.nodes):
        read = {x.number for x in places((node.args, node.settings)) if isinstance(x, Value)} | {node.number}
        free.append(tuple(read - kept))
        kept |= read
    return free[::-1]


class UnsupportedError(NotImplementedError):
    """A model holds operations that autoconv does not have; the message lists every one, with its place."""


def check_operations(graphs: Sequence[Graph], operations: Mapping[str, Any], what: str) -> None:
    """UnsupportedError that lists every operation of the graphs that is not in the table, with its source lines."""
    missing: dict[str, dict[str, None]] = {}
    for graph in graphs:
        for node in graph.nodes:
            if node.operation not in operations:
                where = node.source or " > ".join(level.title for level in node.scope) or "no source line is known"
                missing.setdefault(node.operation, {})[where] = None
    if missing:
        shown = [f"  {name}: {_several(list(places))}" for name, places in missing.items()]
        count = "one operation that is" if len(missing) == 1 else f"{len(missing)} operations that are"
        raise UnsupportedError("\n".join([f"{what}: the model has {count} not covered:", *shown]))


def _several(places: list[str]) -> str:
    shown = "; ".join(places[:3])
    return shown if len(places) <= 3 else f"{shown}; and {len(places) - 3} more places"
