"""Imported: a Module that runs a graph which was read from another library's model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..hooks import draw, keep, move, observe
from ..nn.init import Rng
from ..nn.module import Module, Parameter
from ..operands import ARRAYS, found, generator
from ..tape import Array, Tensor, constant, scope
from .graph import Constant, Graph, Input, Level, Node, State, Value, check_operations, filled, last_uses

Operation = Callable[..., Any]


def on_model(operation: Operation) -> Operation:
    """Mark an operation that draws random numbers or keeps running statistics: it gets the ``Imported`` that runs as
    its first argument, and buffers among the others as States (``model.held`` gives their values)."""
    setattr(operation, "on_model", True)  # noqa: B010 (functions have no such attribute for a type checker)
    return operation


class Imported(Module):
    """A model that was written for another library, as a Module of autoconv.

    Parameters and buffers have the model's own names and shapes: ``state_dict()`` is that of the original, and
    ``model.features[0].weight`` or ``model.parameter("features.0.weight")`` is the parameter.  Calling it runs the
    graph of the current mode, ``train()`` or ``eval()``, inside scopes that are the original's modules; every line
    knows its ``source``, the place in the original program.  The inputs are as the original takes them, with the same
    layout; integers stay integers.

    title: the original's class; training_graph, evaluation_graph: what runs in each mode (they may be the same);
    parameters, buffers: name -> array; tied: further names of parameters; operations: the table of the graphs'
    dialect; order: names in the order that ``state_dict()`` has, others come after them; rng: the generator, or a seed,
    of what the model draws (dropout).
    Raises UnsupportedError for operations that are not in the table, before anything is built.

    >>> from autoconv.interop import Graph, Imported, Input, Node, State, Value
    >>> product = Node("matmul", (Value(0), State("w")), {}, 1, source="net.py, line 3: y = x @ self.w")
    >>> graph = Graph((Input("x", (None, 2)),), (product,), Value(1), (Value(0),))
    >>> model = Imported("Net", graph, graph, {"w": np.ones((2, 1))}, {}, {"matmul": ac.matmul})
    >>> y = model(np.array([[1.0, 2.0]]))
    >>> y.value, y.source
    (array([[3.]]), 'net.py, line 3: y = x @ self.w')
    """

    def __init__(
        self,
        title: str,
        training_graph: Graph,
        evaluation_graph: Graph,
        parameters: Mapping[str, Any],
        buffers: Mapping[str, Any],
        operations: Mapping[str, Operation],
        *,
        tied: Mapping[str, str] | None = None,
        order: Iterable[str] = (),
        rng: Rng = None,
    ) -> None:
        check_operations((training_graph, evaluation_graph), operations, title)
        for name in (*parameters, *buffers, *(tied or {})):
            if hasattr(Module, name) or name.startswith("_"):
                raise ValueError(f"{title}: a parameter cannot be called {name!r} here, which is a word of nn.Module")
        self._title = title
        self._plans = {True: _Plan(training_graph, operations)}
        same = evaluation_graph is training_graph
        self._plans[False] = self._plans[True] if same else _Plan(evaluation_graph, operations)
        for name, value in parameters.items():
            setattr(self, name, Parameter(value, dtype=np.asarray(value).dtype))
        for name, first in (tied or {}).items():
            vars(self)[name] = vars(self)[first]
        for name, value in buffers.items():
            self.register_buffer(name, np.array(value))
        self._order = tuple(order)
        self._rng = generator(rng, f"{title}: rng")
        dtypes = [np.dtype(x.dtype) for x in training_graph.inputs[:1] if x.dtype]
        self.input_dtype = dtypes[0] if dtypes else None
        self._waiting: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    @property
    def graph(self) -> Graph:
        """The graph of the current mode."""
        return self._plans[bool(self.training)].graph

    def parameter(self, name: str) -> Parameter:
        """The parameter of a dotted name; KeyError that lists the names if there is none."""
        found = vars(self).get(name)
        if not isinstance(found, Parameter):
            raise KeyError(f"{name!r} is no parameter of {self._title}; they are {', '.join(self._names())}")
        return found

    def __getattr__(self, name: str) -> Any:
        """``model.features[0].weight``: the parameters and buffers below a module of the original."""
        if not name.startswith("_") and any(key.startswith(f"{name}.") for key in self._names()):
            return Part(self, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def state_dict(self) -> dict[str, Array]:
        """Name -> a copy of the array, for every parameter and buffer, as the original names and orders them."""
        state = super().state_dict()
        return {name: state[name] for name in dict.fromkeys((*self._order, *state)) if name in state}

    def _names(self) -> list[str]:
        return [*[k for k, x in vars(self).items() if isinstance(x, Parameter)], *self._buffers]

    # ---- running

    def forward(self, *inputs: Any, **keywords: Any) -> Any:
        """The outputs of the current mode's graph for ``inputs``, in the structure that the original returns.

        Raises ValueError or TypeError for inputs of another structure or shape than the graph was made for.
        """
        plan = self._plans[bool(self.training)]
        run = _Run(self, plan, bound(plan.graph, inputs, keywords, self._title))
        self._waiting.clear()
        try:
            run.blocks(plan.blocks)
            result = filled(plan.graph.outputs, run.content)
            for told, lines in self._waiting:
                told(*lines)
            for name, value in plan.graph.updates.items():
                move(self, name, _cast_like, run.content(value))
        finally:
            self._waiting.clear()
        return result

    def watch(self, told: Callable[..., None], *lines: Any) -> None:
        """For operations: call ``told`` with the values of ``lines`` once the run has succeeded, and at every
        replay."""
        self._waiting.append((partial(observe, told), lines))

    def follow(self, name: str, rule: Callable[..., Any], *lines: Any) -> None:
        """For operations: a buffer becomes ``rule(it, *lines)`` once the run has succeeded, and at every replay."""
        self._waiting.append((partial(move, self, name, rule), lines))

    def draw(self, make: Callable[[np.random.Generator], Array]) -> Any:
        """For operations: an array drawn from the model's generator, drawn afresh at every replay."""
        return draw(self._rng, lambda: make(self._rng))

    def held(self, x: Any) -> Any:
        """For operations: the parameter or buffer behind a State; anything else as it is."""
        if not isinstance(x, State):
            return x
        value = vars(self)[x.name]
        if isinstance(value, Tensor) or (value.dtype.kind != "f" and x.name not in self.graph.updates):
            return value  # whole numbers say where, and stay what they are
        return keep(self, x.name)

    def store(self, name: str, value: Array) -> None:
        """For operations: give a buffer a new value, in its own dtype."""
        setattr(self, name, np.array(value, vars(self)[name].dtype).reshape(vars(self)[name].shape))

    # ---- what a reader sees

    def _scope_name(self) -> str:
        return self._name or self._title

    def __repr__(self) -> str:
        """A tree of the original's modules, with their parameters."""
        shown = _Shown.titled(self._title)
        for node in self.graph.nodes:
            shown.name(node.scope[1:])
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                shown.place(name, value)
        vars(shown)["_output_shape"] = self._output_shape
        lines = Module.__repr__(shown).splitlines()[:-1]
        kept = sum(value.size for _, value in self.named_buffers())
        buffers = f", {kept:,} numbers in buffers" if kept else ""
        return "\n".join([*lines, f"total: {self.num_parameters():,} parameters{buffers}"])


def _cast_like(old: Any, value: Any) -> Any:
    """A buffer's new value, in its own dtype and shape."""
    return value.reshape(old.shape).astype(old.dtype)


class Part:
    """What lies below one module of an ``Imported``: ``model.features[0].weight``."""

    def __init__(self, model: Imported, path: str) -> None:
        self._model, self._path = model, path

    def __getattr__(self, name: str) -> Any:
        path = f"{self._path}.{name}"
        if path in vars(self._model):
            return vars(self._model)[path]
        if not name.startswith("__") and any(key.startswith(f"{path}.") for key in self._model._names()):
            return Part(self._model, path)
        raise AttributeError(f"{self._path!r} of this model has no parameter, buffer or module {name!r} that holds any")

    def __getitem__(self, key: Any) -> Any:
        return getattr(self, str(key))

    def __repr__(self) -> str:
        below = [name for name in self._model._names() if name.startswith(f"{self._path}.")]
        return f"<{self._path}: {', '.join(name.removeprefix(self._path + '.') for name in below)}>"


class _Shown(Module):
    """A module of the original, for the repr: parameters, and modules below it."""

    @staticmethod
    def titled(title: str) -> _Shown:
        shown: _Shown = type(title, (_Shown,), {})()
        return shown

    def place(self, name: str, parameter: Parameter) -> None:
        first, _, rest = name.partition(".")
        if rest:
            self._below(first).place(rest, parameter)
        else:
            vars(self)[first] = parameter

    def name(self, levels: tuple[Level, ...]) -> None:
        if levels:
            inner = self
            for part in levels[0].name.split("."):
                inner = inner._below(part)
            if levels[0].kind and type(inner).__name__ == _UNTITLED:
                inner.__class__ = type(levels[0].kind, (_Shown,), {})
            inner.name(levels[1:])

    def _below(self, name: str) -> _Shown:
        inner = vars(self).get(name)
        if not isinstance(inner, _Shown):
            inner = vars(self)[name] = _Shown.titled(_UNTITLED)
        return inner


_UNTITLED = "modules"  # as a ModuleList, which is never called itself


# ---- a graph made ready to run


class _Plan:
    """A graph with its functions, the values to forget after each node, and its nodes sorted into scopes.

    It has slots, and what it holds never changes: a compiled function's guards need not look inside.
    """

    __slots__ = ("blocks", "graph", "operations")

    def __init__(self, graph: Graph, operations: Mapping[str, Operation]) -> None:
        self.graph, self.operations = graph, operations
        steps = [_Step(n, operations[n.operation], free) for n, free in zip(graph.nodes, last_uses(graph), strict=True)]
        self.blocks = _sorted(steps, 1)

    def __reduce__(self) -> Any:
        return _Plan, (self.graph, self.operations)


class _Step:
    __slots__ = ("free", "function", "node", "on_model")

    def __init__(self, node: Node, function: Operation, free: tuple[int, ...]) -> None:
        self.node, self.function, self.free = node, function, free
        self.on_model: bool = getattr(function, "on_model", False)


class _Block:
    """Steps in a row that stand in one module (title, of kind "layer") or on one line of the source."""

    __slots__ = ("inside", "kind", "title")

    def __init__(self, title: str, kind: str, inside: list[Any]) -> None:
        self.title, self.kind, self.inside = title, kind, inside


def _sorted(steps: list[_Step], depth: int) -> list[Any]:
    """Steps sorted into blocks: those that share the module at ``depth``, and those of one source line."""
    blocks: list[Any] = []
    begin = 0
    while begin < len(steps):
        first = steps[begin].node
        level = first.scope[depth] if len(first.scope) > depth else None
        end = begin + 1
        while end < len(steps) and _together(first, steps[end].node, level, depth):
            end += 1
        if level is not None:
            blocks.append(_Block(level.title, "layer", _sorted(steps[begin:end], depth + 1)))
        elif first.source:
            blocks.append(_Block(first.source, "source", steps[begin:end]))
        else:
            blocks += steps[begin:end]
        begin = end
    return blocks


def _together(first: Node, node: Node, level: Level | None, depth: int) -> bool:
    if level is None:
        return len(node.scope) <= depth and node.source == first.source
    return len(node.scope) > depth and node.scope[depth] == level


class _Run:
    """One run of a plan: the values that are still needed."""

    def __init__(self, model: Imported, plan: _Plan, inputs: list[Any]) -> None:
        self.model, self.graph = model, plan.graph
        self.values: dict[int, Any] = dict(enumerate(inputs))
        self.states: dict[str, Any] = {}

    def blocks(self, blocks: list[Any]) -> None:
        for block in blocks:
            if isinstance(block, _Step):
                self.step(block)
            else:
                with scope(block.title, kind=block.kind):
                    self.blocks(block.inside)

    def step(self, step: _Step) -> None:
        node = step.node
        content = self.content_for_model if step.on_model else self.content
        args, settings = filled(node.args, content), filled(node.settings, content)
        try:
            self.values[node.number] = (
                step.function(self.model, *args, **settings) if step.on_model else step.function(*args, **settings)
            )
        except _TOLD as error:
            if type(error) in _TOLD and node.source:
                raise type(error)(f"{error}\n  {node.operation} at {node.source}") from error
            raise
        for number in step.free:
            del self.values[number]

    def content(self, place: Any) -> Any:
        """What stands at a place: a value, a parameter, a buffer, or a constant."""
        if isinstance(place, Value):
            return self.values[place.number]
        if isinstance(place, Constant):
            return self.graph.constants[place.name]
        if place.name not in self.states:  # a buffer is one line, however often it is read
            self.states[place.name] = self.model.held(place)
        return self.states[place.name]

    def content_for_model(self, place: Any) -> Any:
        if isinstance(place, State) and place.name in self.model._buffers:
            return place
        return self.content(place)


_TOLD = (ValueError, TypeError, IndexError, OverflowError, NotImplementedError)


# ---- the inputs of a call


def bound(graph: Graph, args: tuple[Any, ...], keywords: Mapping[str, Any], what: str) -> list[Any]:
    """The inputs of a graph in the order of their numbers, from a call's arguments.

    Raises TypeError for arguments of another structure, ValueError for shapes that the graph was not made for.
    """
    values: dict[int, Any] = {}
    if len(args) != len(graph.positional) or set(keywords) != set(graph.keywords):
        args, keywords = _rearranged(graph, args, keywords, what)
    _bind(graph, tuple(graph.positional), tuple(args), values, what)
    _bind(graph, dict(graph.keywords), dict(keywords), values, what)
    return [_checked(x, values[k], what) for k, x in enumerate(graph.inputs)]


def _rearranged(
    graph: Graph, args: tuple[Any, ...], keywords: Mapping[str, Any], what: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A call whose positional arguments are given by name, or the other way round."""
    names = [
        graph.inputs[x.number].name if isinstance(x, Value) else f"argument {i}" for i, x in enumerate(graph.positional)
    ]
    names += list(graph.keywords)
    if len(args) <= len(names):
        given = dict(zip(names, args, strict=False))
        if not given.keys() & keywords.keys() and given.keys() | keywords.keys() == set(names):
            everything = {**given, **keywords}
            rest = names[len(graph.positional) :]
            return tuple(everything[k] for k in names[: len(graph.positional)]), {k: everything[k] for k in rest}
    said = f"{len(args)} positional" + (f" and {', '.join(keywords)}" if keywords else "")
    raise TypeError(f"{what}: the model takes the inputs {', '.join(names)}; found {said}")


def _bind(graph: Graph, template: Any, given: Any, values: dict[int, Any], what: str) -> None:
    if isinstance(template, Value):
        values[template.number] = given
    elif isinstance(template, list | tuple):
        if not isinstance(given, list | tuple) or len(given) != len(template):
            raise TypeError(f"{what}: an input must be {len(template)} things in a list or tuple, found {found(given)}")
        for part, x in zip(template, given, strict=True):
            _bind(graph, part, x, values, what)
    elif isinstance(template, Mapping):
        if not isinstance(given, Mapping) or given.keys() != template.keys():
            raise TypeError(
                f"{what}: an input must be a dict with the keys {', '.join(template)}, found {found(given)}"
            )
        for key, part in template.items():
            _bind(graph, part, given[key], values, what)
    elif template is not given and not (type(template) is type(given) and template == given):
        raise ValueError(f"{what}: the model was read for the argument {found(template)}, found {found(given)}")


def _checked(known: Input, given: Any, what: str) -> Any:
    """An input as an array or Tensor of a shape that the graph takes."""
    x = given if isinstance(given, Tensor) else constant(given, f"{what}: input {known.name}")
    if known.shape is not None and not _fits(known.shape, x.shape):
        sizes = ", ".join("any" if n is None else str(n) for n in known.shape)
        raise ValueError(f"{what}: input {known.name} has shape {x.shape}, the model was read for ({sizes})")
    kind = np.dtype(known.dtype).kind if known.dtype else x.dtype.kind
    if kind in "iub" and x.dtype.kind not in "iub":
        raise TypeError(f"{what}: input {known.name} has dtype {x.dtype}, the model was read for {known.dtype}")
    if not isinstance(given, (Tensor, *ARRAYS)) and known.dtype and x.dtype != known.dtype:
        return constant(x.value.astype(known.dtype))
    return x


def _fits(known: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    return len(known) == len(shape) and all(n is None or n == m for n, m in zip(known, shape, strict=True))
