"""Graphs as data that JSON can hold, and back: what a file of an imported program is made of.

Arrays (``Graph.constants``) stand beside it under their names, in whatever holds arrays.  Reading checks the data and
executes nothing: a node names its operation, and only the table of a dialect says what that is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..tape import Array
from .graph import Constant, Graph, Input, Level, Node, State, Value

VERSION = 1


def to_data(graph: Graph) -> dict[str, Any]:
    """A graph, without its constants, as dicts, lists, text and numbers.

    >>> from autoconv.interop import Graph, Input, Node, Value
    >>> from autoconv.interop.storage import from_data, to_data
    >>> graph = Graph((Input("x", (None, 3)),), (Node("relu", (Value(0),), {}, 1),), Value(1), (Value(0),))
    >>> to_data(graph)["nodes"]
    [{'operation': 'relu', 'args': [{'value': 0}], 'settings': {}, 'number': 1, 'scope': [], 'source': ''}]
    >>> from_data(to_data(graph), {}) == graph
    True
    """
    return {
        "version": VERSION,
        "inputs": [{"name": x.name, "shape": _listed(x.shape), "dtype": x.dtype} for x in graph.inputs],
        "nodes": [
            {
                "operation": node.operation,
                "args": [_packed(x) for x in node.args],
                "settings": {k: _packed(x) for k, x in node.settings.items()},
                "number": node.number,
                "scope": [[level.name, level.kind, level.call] for level in node.scope],
                "source": node.source,
            }
            for node in graph.nodes
        ],
        "outputs": _packed(graph.outputs),
        "positional": [_packed(x) for x in graph.positional],
        "keywords": {k: _packed(x) for k, x in graph.keywords.items()},
        "updates": {name: value.number for name, value in graph.updates.items()},
    }


def from_data(data: Mapping[str, Any], constants: Mapping[str, Array]) -> Graph:
    """The graph of ``to_data``'s result and the constants that belong to it.  ValueError for anything else."""
    try:
        if data["version"] != VERSION:
            raise ValueError(f"it is of version {data['version']!r}, this program reads {VERSION}")
        graph = Graph(
            tuple(Input(str(x["name"]), _shape(x["shape"]), str(x["dtype"])) for x in data["inputs"]),
            tuple(_node(x) for x in data["nodes"]),
            _unpacked(data["outputs"]),
            tuple(_unpacked(x) for x in data["positional"]),
            {str(k): _unpacked(x) for k, x in data["keywords"].items()},
            {str(k): Value(int(n)) for k, n in data["updates"].items()},
            dict(constants),
        )
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError, ValueError) as error:
        raise ValueError(f"this is no stored graph: {type(error).__name__}: {error}") from None
    return graph


def _node(x: Mapping[str, Any]) -> Node:
    return Node(
        str(x["operation"]),
        tuple(_unpacked(arg) for arg in x["args"]),
        {str(k): _unpacked(arg) for k, arg in x["settings"].items()},
        int(x["number"]),
        tuple(Level(str(name), str(kind), int(call)) for name, kind, call in x["scope"]),
        str(x["source"]),
    )


def _listed(shape: tuple[int | None, ...] | None) -> list[int | None] | None:
    return None if shape is None else list(shape)


def _shape(shape: Any) -> tuple[int | None, ...] | None:
    return None if shape is None else tuple(None if n is None else int(n) for n in shape)


def _packed(x: Any) -> Any:
    """One argument: numbers, text and lists as they are; anything else as a dict with one key, which says its kind."""
    if isinstance(x, Value):
        return {"value": x.number}
    if isinstance(x, State):
        return {"state": x.name}
    if isinstance(x, Constant):
        return {"constant": x.name}
    if isinstance(x, list):
        return [_packed(part) for part in x]
    if isinstance(x, tuple):
        return {"tuple": [_packed(part) for part in x]}
    if isinstance(x, Mapping):
        return {"dict": [[key, _packed(part)] for key, part in x.items()]}
    if isinstance(x, slice):
        return {"slice": [_packed(part) for part in (x.start, x.stop, x.step)]}
    if isinstance(x, np.dtype):
        return {"dtype": x.name}
    if isinstance(x, float) and not math.isfinite(x):
        return {"float": repr(x)}
    if x is None or isinstance(x, bool | int | float | str):
        return x
    raise TypeError(f"a graph cannot be stored with {x!r} of type {type(x).__name__}")


def _unpacked(x: Any) -> Any:
    if isinstance(x, list):
        return [_unpacked(part) for part in x]
    if not isinstance(x, dict):
        return x
    ((kind, content),) = x.items()
    if kind == "dict":
        return {key: _unpacked(part) for key, part in content}
    return _KINDS[kind](content)


_KINDS: dict[str, Any] = {
    "value": lambda x: Value(int(x)),
    "state": lambda x: State(str(x)),
    "constant": lambda x: Constant(str(x)),
    "tuple": lambda x: tuple(_unpacked(part) for part in x),
    "slice": lambda x: slice(*[_unpacked(part) for part in x]),
    "dtype": lambda x: np.dtype(str(x)),
    "float": lambda x: float(x),
}
