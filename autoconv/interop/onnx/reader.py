"""A ModelProto as a graph of plain data: every name, size, attribute and count is checked, and nothing is run."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ...tape import Array
from ..graph import Constant, Graph, Input, Node, State, UnsupportedError, Value, check_operations
from ..imported import Imported
from .operators import OPERATIONS
from .operators.control import Body
from .operators.known import DTYPES
from .scopes import scope_of, source_of
from .tensors import Tensors

OPSETS = range(7, 29)
MOST_NODES = 1_000_000
_MOST_CALLS = 64  # of functions inside functions
# inputs of operators that decide about shapes; what leads to them, but for Shape and Size, is no weight
_SHAPES = {
    "Resize": (1, 2, 3), "Upsample": (1,), "Range": (0, 1, 2), "OneHot": (1,), "ConstantOfShape": (0,), "Pad": (1, 3),
    "Reshape": (1,), "Expand": (1,), "Tile": (1,), "Slice": (1, 2, 3, 4), "TopK": (1,), "Split": (1,), "If": (0,),
}  # fmt: skip
# inputs that are settings
_SETTINGS = {"Clip": (1, 2), "Pad": (2,), "Dropout": (1, 2), "OneHot": (2,), "Pow": (1,)}
_STATISTICS = {"BatchNormalization": (3, 4)}
_OTHERS = {"Resize": (11, "Resize before 11"), "Dropout": (12, "Dropout before 12")}
_SIGNATURE = re.compile(r"^\S+: (PARAMETER|BUFFER|CONSTANT_TENSOR) target='([^'\n]*)'", re.MULTILINE)


class Reader:
    """What is read from one ModelProto: ``graph``, ``parameters``, ``buffers``, ``outputs`` (names)."""

    def __init__(self, model: Any, tensors: Tensors, what: str, title: str) -> None:
        self.what, self.title, self.tensors = what, title, tensors
        self.opset = self._opset(model.opset_import)
        self.functions = {(f.domain, f.name, f.overload): f for f in model.functions}
        self.parameters: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}
        self.roles = self._roles(model)
        self.count = 0
        self.number = 0
        self.bodies: list[Graph] = []
        self.calls: list[Any] = []
        self.graph = self._main(model.graph)
        check_operations((self.graph, *self.bodies), OPERATIONS, what)

    def fail(self, text: str) -> ValueError:
        return ValueError(f"{self.what}: {text}")

    def _opset(self, imports: Iterable[Any]) -> int:
        versions = [entry.version for entry in imports if entry.domain in ("", "ai.onnx")]
        if len(set(versions)) != 1:
            raise self.fail(f"it names {len(versions)} versions of ONNX's operators; one is needed")
        if versions[0] not in OPSETS:
            raise UnsupportedError(
                f"{self.what}: opset {versions[0]} is not covered, opsets {OPSETS[0]} to {OPSETS[-1]} are; "
                "onnx.version_converter changes it"
            )
        return int(versions[0])

    @staticmethod
    def _roles(model: Any) -> dict[str, str]:
        """Name -> PARAMETER or BUFFER, where PyTorch's exporter has noted it."""
        notes = {note.key: note.value for note in model.metadata_props}
        text = notes.get("pkg.torch.export.ExportedProgram.graph_signature", "")
        return {name: role for role, name in _SIGNATURE.findall(text)}

    # ---- the main graph

    def _main(self, graph: Any) -> Graph:
        inside = _Names(self, None)
        given = {tensor.name: tensor for tensor in graph.initializer}
        if len(given) < len(graph.initializer) or "" in given:
            raise self.fail("initialisers must have names, each another")
        if graph.sparse_initializer:
            raise UnsupportedError(f"{self.what}: sparse initialisers are not covered")
        inputs = []
        for info in graph.input:
            if info.name not in given:  # before IR version 4 initialisers were inputs too
                inputs.append(self._input(info))
                inside.define(info.name, Value(self._next()))
        if not graph.output:
            raise self.fail("the graph has no output")
        settings, statistics = _read_as(graph.node, _SETTINGS), _read_as(graph.node, _STATISTICS)
        weights = _read_as(graph.node, None) - settings - _leading_to(graph.node, _read_as(graph.node, _SHAPES))
        for name, tensor in given.items():
            array = self.tensors.array(tensor, self.what)
            scalar = array.ndim == 0 and self.roles.get(name) != "PARAMETER"
            inside.define(name, self._kept(name, array, name in statistics, name in weights and not scalar, inside))
        bare = not (self.parameters or self.buffers)  # some exporters write every weight as a Constant
        for node in graph.node:
            if node.op_type == "Constant" and node.domain in ("", "ai.onnx") and len(node.output) == 1:
                array = self._constant(node)
                name = node.output[0]
                weight = bare and name in weights and array.size > 1
                inside.define(name, self._kept(name, array, name in statistics, weight, inside))
            else:
                self._node(node, inside)
        outputs = tuple(inside.lookup(info.name, "the graph's outputs") for info in graph.output)
        self.outputs = tuple(info.name for info in graph.output)
        return Graph(
            tuple(inputs),
            tuple(inside.nodes),
            outputs[0] if len(outputs) == 1 else outputs,
            tuple(Value(k) for k in range(len(inputs))),
            constants=inside.constants,
        )

    def _kept(self, name: str, array: Array, statistic: bool, weight: bool, inside: _Names) -> Any:
        """A tensor of the file as a parameter, a buffer or a constant."""
        role = self.roles.get(name, "PARAMETER")
        if array.dtype.kind != "f" or not (statistic or (weight and role != "CONSTANT_TENSOR")):
            inside.constants[name] = array
            return Constant(name)
        own = _attribute(name)
        while own in self.parameters or own in self.buffers:
            own += "_"
        (self.buffers if statistic or role == "BUFFER" else self.parameters)[own] = array
        return State(own)

    def _input(self, info: Any) -> Input:
        if not info.type.HasField("tensor_type"):
            raise UnsupportedError(f"{self.what}: input {info.name!r} is no tensor; sequences and maps are not covered")
        tensor = info.type.tensor_type
        if tensor.elem_type and tensor.elem_type not in DTYPES:
            raise UnsupportedError(f"{self.what}: input {info.name!r} has data type {tensor.elem_type} of ONNX, which "
                                   "has no arithmetic here")  # fmt: skip
        shape = None
        if tensor.HasField("shape"):
            shape = tuple(d.dim_value if d.dim_value > 0 else None for d in tensor.shape.dim)
        dtype = str(DTYPES[tensor.elem_type]) if tensor.elem_type else ""
        return Input(info.name, shape, dtype)

    def _next(self) -> int:
        self.number += 1
        return self.number - 1

    # ---- nodes

    def _node(self, node: Any, inside: _Names) -> None:
        self.count += 1
        if self.count > MOST_NODES:
            raise self.fail(f"more than {MOST_NODES:,} nodes, functions written out")
        domain = "" if node.domain == "ai.onnx" else node.domain
        source = source_of(node, self.count - 1)
        where = f"{node.op_type} at {source}"
        function = self.functions.get((node.domain, node.op_type, node.overload))
        attributes = self._attributes(node, inside, where)
        if function is not None and (domain or node.op_type not in OPERATIONS):
            self._inlined(function, node, attributes, inside, where)
            return
        args = [inside.lookup(name, where) if name else None for name in node.input]
        outputs = list(node.output)
        while outputs and not outputs[-1]:
            outputs.pop()
        if not outputs:
            return  # nobody can read it
        operation = f"{domain}.{node.op_type}" if domain else node.op_type
        if not domain and self.opset < _OTHERS.get(operation, (0, ""))[0]:
            operation = _OTHERS[operation][1]
        if not domain and operation == "Constant":
            array = self._constant(node)
            inside.constants[outputs[0]] = array
            inside.define(outputs[0], Constant(outputs[0]))
            return
        captured = [place for body in attributes.values() if isinstance(body, _Inner) for place in body.captured]
        settings = {k: x.body if isinstance(x, _Inner) else x for k, x in attributes.items()}
        operation, several = self._checked(operation, [*args, *captured], settings, len(outputs), where)
        number = self._next()
        scope = scope_of(node, self.title)
        inside.nodes.append(Node(operation, (*args, *captured), settings, number, scope, source))
        if not several:
            inside.define(outputs[0], Value(number))
            return
        for k, name in enumerate(outputs):
            if name:
                part = self._next()
                inside.nodes.append(Node("output", (Value(number), k), {}, part, scope, source))
                inside.define(name, Value(part))

    def _checked(
        self, operation: str, args: list[Any], settings: dict[str, Any], outputs: int, where: str
    ) -> tuple[str, bool]:
        """The operation, whether it makes a tuple, after a look at its signature; ``settings`` gets what it asks for.

        An attribute that the operation does not have makes it another one, which is not covered.
        """
        function = OPERATIONS.get(operation)
        if function is None or operation == "output":
            return (f"{operation} " if operation == "output" else operation), outputs > 1
        signature = inspect.signature(function)
        known = signature.parameters
        unknown = [k for k in settings if k not in known or k in ("opset", "outputs", "model")]
        if unknown:
            return f"{operation} with the attribute {', '.join(map(repr, unknown))}", outputs > 1
        if "opset" in known:
            settings["opset"] = self.opset
        several = "outputs" in known
        if several:
            settings["outputs"] = outputs
        elif outputs > 1:
            raise self.fail(f"{where} has {outputs} outputs, the operator makes one")
        try:
            signature.bind(*[None] * getattr(function, "on_model", False), *args, **settings)
        except TypeError as error:
            said = f"{len(args)} inputs and the attributes {', '.join(settings)}"
            raise self.fail(f"{where} has {said}: {error}") from None
        if any(x is None for x in args[: _required(known) - getattr(function, "on_model", False)]):
            raise self.fail(f"{where} leaves out an input that the operator needs")
        return operation, several

    def _constant(self, node: Any) -> Array:
        """The array of a Constant node."""
        where = f"Constant {node.output[0]!r}"
        if len(node.attribute) != 1 or len(node.output) != 1:
            raise self.fail(f"{where} has {len(node.attribute)} attributes; it needs one, its value")
        attribute = self._resolved(node.attribute[0])
        if attribute is None:
            raise self.fail(f"{where} has no value")
        if attribute.name == "value":
            return self.tensors.array(attribute.t, self.what)
        kinds = {"value_float": ("f", np.float32), "value_floats": ("floats", np.float32),
                 "value_int": ("i", np.int64), "value_ints": ("ints", np.int64)}  # fmt: skip
        if attribute.name not in kinds:
            raise UnsupportedError(f"{self.what}: {where} holds {attribute.name!r}; numbers are covered")
        field, dtype = kinds[attribute.name]
        value = getattr(attribute, field)
        return np.array(list(value) if field.endswith("s") else value, dtype)

    def _attributes(self, node: Any, inside: _Names, where: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for given in node.attribute:
            if given.name in found:
                raise self.fail(f"{where} has the attribute {given.name!r} twice")
            attribute = self._resolved(given)
            if attribute is not None:
                found[given.name] = self._value(attribute, inside, where)
        return found

    def _resolved(self, attribute: Any) -> Any:
        """An attribute, or in a function the caller's that it refers to; None for one that the caller left out."""
        if not attribute.ref_attr_name:
            return attribute
        if not self.calls:
            raise self.fail(f"attribute {attribute.name!r} refers to a function's, and is in none")
        value = self.calls[-1].get(attribute.ref_attr_name)
        if value is None:
            return None
        named = type(value)()
        named.CopyFrom(value)
        named.name, named.ref_attr_name = attribute.name, ""
        return named

    def _value(self, attribute: Any, inside: _Names, where: str) -> Any:
        """An attribute's value as plain data."""
        kinds = {1: "f", 2: "i", 3: "s", 4: "t", 5: "g", 6: "floats", 7: "ints", 8: "strings"}
        kind = kinds.get(attribute.type)
        if kind is None:
            raise UnsupportedError(f"{self.what}: {where}: the kind of attribute {attribute.name!r} is not covered")
        value = getattr(attribute, kind)
        if kind == "t":
            return self.tensors.array(value, f"{self.what}: {where}")
        if kind == "g":
            return self._body(value, inside)
        if kind in ("s", "strings"):
            texts = [x.decode(errors="replace") for x in ([value] if kind == "s" else value)]
            return texts[0] if kind == "s" else tuple(texts)
        return tuple(value) if kind.endswith("s") else value

    def _body(self, graph: Any, around: _Names) -> _Inner:
        """A graph inside a node."""
        inside = _Names(self, around)
        if graph.input or graph.sparse_initializer:
            raise UnsupportedError(f"{self.what}: a graph with inputs of its own (Loop, Scan) is not covered")
        for tensor in graph.initializer:
            inside.constants[tensor.name] = self.tensors.array(tensor, self.what)
            inside.define(tensor.name, Constant(tensor.name))
        for node in graph.node:
            self._node(node, inside)
        outputs = tuple(inside.lookup(info.name, "a graph's outputs") for info in graph.output)
        inputs = tuple(inside.inputs)
        made = Graph((), tuple(inside.nodes), outputs, inputs, constants=inside.constants)
        self.bodies.append(made)
        return _Inner(Body(made, OPERATIONS), tuple(inside.captured))

    def _inlined(self, function: Any, node: Any, attributes: dict[str, Any], inside: _Names, where: str) -> None:
        """A call of a function of the file: its nodes, with the caller's values for its inputs."""
        if len(self.calls) >= _MOST_CALLS:
            raise self.fail(f"{where}: functions call each other more than {_MOST_CALLS} deep")
        if len(node.input) > len(function.input) or len(node.output) > len(function.output):
            raise self.fail(f"{where}: more inputs or outputs than the function has")
        own = _Names(self, None, inside)
        for k, name in enumerate(function.input):
            given = node.input[k] if k < len(node.input) else ""
            own.define(name, inside.lookup(given, where) if given else None)
        defaults = {a.name: a for a in function.attribute_proto}
        self.calls.append({**defaults, **{a.name: self._resolved(a) for a in node.attribute}})
        for part in function.node:
            self._node(part, own)
        self.calls.pop()
        for k, name in enumerate(node.output):
            if name:
                inside.define(name, own.lookup(function.output[k], where))


class _Inner:
    """A graph inside a node, and the places around it that it reads."""

    def __init__(self, body: Body, captured: tuple[Any, ...]) -> None:
        self.body, self.captured = body, captured


class _Names:
    """The names that are known in a graph, and what it is made of.

    around: the graph that this one stands in, whose values become its inputs; host: the graph that a function's nodes
    are written into.
    """

    def __init__(self, reader: Reader, around: _Names | None, host: _Names | None = None) -> None:
        self.reader, self.around, self.host = reader, around, host
        self.places: dict[str, Any] = {}
        self.nodes: list[Node] = [] if host is None else host.nodes
        self._constants: dict[str, Array] = {} if host is None else host._constants
        self.inputs: list[Value] = []
        self.captured: list[Any] = []

    @property
    def constants(self) -> dict[str, Array]:
        return self._constants

    def define(self, name: str, place: Any) -> None:
        if name in self.places:
            raise self.reader.fail(f"the name {name!r} is made twice")
        self.places[name] = place

    def lookup(self, name: str, where: str) -> Any:
        """The place of a name; a value of the graph around becomes an input of this one."""
        if name in self.places:
            return self.places[name]
        if self.around is not None:
            outer = self.around.lookup(name, where)
            if outer is None:
                return None
            own = Value(self.reader._next())
            self.inputs.append(own)
            self.captured.append(outer)
            self.places[name] = own
            return own
        raise self.reader.fail(
            f"{where} reads {name!r}, which nothing before it makes; the nodes must be sorted, without a circle"
        )


def _read_as(nodes: Any, inputs: Mapping[str, tuple[int, ...]] | None) -> set[str]:
    """The names that stand in these inputs of these operators (None: in any input of any), graphs inside included."""
    found: set[str] = set()
    for node in _all_nodes(nodes):
        if inputs is None:
            found.update(node.input)
        else:
            found.update(node.input[k] for k in inputs.get(node.op_type, ()) if k < len(node.input))
    return found


def _leading_to(nodes: Any, names: set[str]) -> set[str]:
    """The names from which those names are computed, and they themselves; the shape of an array leads no further."""
    found = set(names)
    for node in reversed(nodes):
        if node.op_type not in ("Shape", "Size") and not found.isdisjoint(node.output):
            found.update(node.input)
    return found


def _all_nodes(nodes: Any) -> Iterator[Any]:
    waiting = [iter(nodes)]
    while waiting:
        node = next(waiting[-1], None)
        if node is None:
            waiting.pop()
            continue
        yield node
        waiting.extend(iter(a.g.node) for a in node.attribute if a.type == 5)


def _required(parameters: Any) -> int:
    """How many positional parameters have no default."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(q.kind in kinds and q.default is inspect.Parameter.empty for q in parameters.values())


def _attribute(name: str) -> str:
    """The name under which a Module can hold a tensor: its own, where no word of nn.Module is in the way."""
    own = name.lstrip("_") or "parameter"
    while hasattr(Imported, own):
        own += "_"
    return own
