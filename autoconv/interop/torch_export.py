"""``from_torch``: a PyTorch module read with torch.export into graphs, and run as a Module of autoconv.

PyTorch is imported when ``from_torch`` is called, and not before.  What comes from it is plain data: no module of
PyTorch is kept.
"""

from __future__ import annotations

import copy
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import PurePath
from typing import Any

import numpy as np

from ..nn.init import Rng
from ..tape import Array
from .aten import OPERATIONS
from .graph import Constant, Graph, Input, Level, Node, State, Value, check_operations
from .imported import Imported

CUMULATIVE = -1.0  # stands for momentum=None, which torch.export cannot read


class ExportError(ValueError):
    """A PyTorch module cannot be read; the message says why, in PyTorch's words."""


def from_torch(module: Any, *example_inputs: Any, rng: Rng = None, **example_keywords: Any) -> Imported:
    """A ``torch.nn.Module`` as a Module of autoconv, with its parameters' values, names and shapes.

        model = ac.from_torch(net, torch.zeros(2, 3, 32, 32))
        loss = ac.losses.cross_entropy(model(images), labels)

    module: it is read with ``torch.export`` in training and in evaluation mode, and left as it is; the result starts
    in the mode it is in.  example_inputs, example_keywords: what it is called with, as Tensors of PyTorch or arrays,
    also in lists, tuples and dicts; the first axis of each is a batch of any size, as far as the module allows it.
    rng: the generator, or a seed, of dropout and what else draws.

    The result takes and returns what the module does, with arrays and autoconv's Tensors in place of PyTorch's: images
    and kernels channels first.  ``state_dict()`` has PyTorch's names and shapes, BatchNorm's statistics included;
    parameters that need no gradient are kept as buffers.  Its scopes are the modules, and each line knows the line
    of the module's source.  Slopes at kinks are PyTorch's.
    Raises UnsupportedError, which lists every operation that is not covered with its source line; ExportError (a
    ValueError) with PyTorch's reason for a module that cannot be exported, as one whose ``if`` asks for numbers;
    ImportError where PyTorch is not installed (``pip install "autoconv[torch]"``).

    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())  # doctest: +SKIP
    >>> model = ac.from_torch(net, torch.zeros(1, 1, 8, 8))  # doctest: +SKIP
    >>> model(np.zeros((5, 1, 8, 8), np.float32)).shape  # doctest: +SKIP
    (5, 4, 6, 6)
    """
    torch = _torch()
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch: the module must be a torch.nn.Module, found {type(module).__name__}")
    _check_dtypes(module)
    args, keywords = torch.utils._pytree.tree_map(_as_torch, (example_inputs, dict(example_keywords)))
    if not torch.utils._pytree.tree_leaves((args, keywords)):
        raise TypeError("from_torch: give the example inputs that the module is called with, as in from_torch(net, x)")
    reader = _Reader(module)
    with _as_it_was(module), _readable(module):
        training, evaluation = [reader.read(mode, args, keywords) for mode in (True, False)]
    check_operations((training, evaluation), OPERATIONS, "from_torch")
    imported = Imported(
        type(module).__name__,
        training,
        training if _equal(training, evaluation) else evaluation,
        reader.parameters,
        reader.buffers,
        OPERATIONS,
        tied=reader.tied,
        order=module.state_dict(),
        rng=rng,
    )
    return imported.train(module.training)


def _torch() -> Any:
    try:
        import torch
        import torch.export
        import torch.utils._pytree
    except ImportError as error:
        raise ImportError('from_torch needs PyTorch: pip install "autoconv[torch]"') from error
    return torch


def _check_dtypes(module: Any) -> None:
    torch = _torch()
    known = {torch.float16, torch.float32, torch.float64, torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32,
             torch.int64}  # fmt: skip
    bad = [
        f"{name} ({x.dtype})"
        for name, x in (*module.named_parameters(), *module.named_buffers())
        if x.dtype not in known or x.is_sparse
    ]
    if bad:
        raise TypeError(
            f"from_torch: NumPy has no dtype for {', '.join(bad[:4])}; convert the module first, as in module.float()"
        )


def _as_torch(x: Any) -> Any:
    torch = _torch()
    if isinstance(x, np.ndarray | np.generic):
        return torch.from_numpy(np.array(x))
    if hasattr(x, "numpy") and not isinstance(x, torch.Tensor):
        return torch.from_numpy(np.array(x.numpy()))
    return x.detach() if isinstance(x, torch.Tensor) else x


@contextmanager
def _as_it_was(module: Any) -> Iterator[None]:
    """Put the modules' modes back afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def _readable(module: Any) -> Iterator[None]:
    """BatchNorm with momentum=None counts batches, which torch.export cannot follow: a number stands for it."""
    torch = _torch()
    found = [
        part
        for part in module.modules()
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and part.momentum is None
    ]
    try:
        for part in found:
            part.momentum = CUMULATIVE
        yield
    finally:
        for part in found:
            part.momentum = None


class _Reader:
    """What is read from one module: its state once, and a graph for each mode."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.parameters: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}
        self.tied: dict[str, str] = {}
        first: dict[int, str] = {}
        for name, x in module.named_parameters(remove_duplicate=False):
            if not x.requires_grad:
                self.buffers[name] = _array(x)
            elif id(x) in first:
                self.tied[name] = first[id(x)]
            else:
                first[id(x)] = name
                self.parameters[name] = _array(x)
        kept = module.state_dict(keep_vars=True)
        for name, x in module.named_buffers(remove_duplicate=False):
            if name in kept:
                self.buffers[name] = _array(x)

    def read(self, training: bool, args: Any, keywords: Any) -> Graph:
        """The graph in one mode."""
        self.module.train(training)
        program = _exported(self.module, args, keywords)
        _inline(program)
        for _ in range(3):
            names = {_name(node, OPERATIONS) for node in program.graph.nodes if node.op == "call_function"}
            missing = {name for name in names if name not in OPERATIONS and name not in _SKIPPED}
            if not missing and not _writes_through(program):
                break
            decomposed = _decomposed(program, missing)
            if decomposed is None:
                break
            program = decomposed
        return _Translation(program, self, args, keywords).graph()


def _exported(module: Any, args: Any, keywords: Any) -> Any:
    """torch.export's program, with a free batch size where the module allows it."""
    torch = _torch()
    failures = []
    for batch, free in ((2, True), (None, True), (None, False)):
        given = _batched((args, keywords), batch)
        if given is None:
            continue
        shapes = torch.export.ShapesCollection()
        for x in torch.utils._pytree.tree_leaves(given):
            if isinstance(x, torch.Tensor) and x.ndim and free:
                shapes[x] = {0: torch.export.Dim.AUTO}

        def read(strict: bool, given: Any = given, shapes: Any = shapes if free else None) -> Any:
            with _quietly():
                return torch.export.export(module, given[0], given[1] or None, dynamic_shapes=shapes, strict=strict)

        try:
            program = read(strict=False)
        except Exception as error:
            failures.append(error)
            continue
        if free and _any_fixed(program):  # a Python number was made of the batch, as len(x) does: read the source
            with suppress(Exception):
                symbolic = read(strict=True)
                return program if _any_fixed(symbolic) else symbolic
        return program
    raise _why(failures[-1]) from failures[-1]


def _any_fixed(program: Any) -> bool:
    """Whether the first axis of an input has a fixed size."""
    torch = _torch()
    kinds = torch.export.graph_signature.InputKind
    placeholders = [node for node in program.graph.nodes if node.op == "placeholder"]
    return any(
        isinstance(node.meta.get("val"), torch.Tensor) and node.meta["val"].ndim and _size(node.meta["val"].shape[0])
        for node, spec in zip(placeholders, program.graph_signature.input_specs, strict=True)
        if spec.kind == kinds.USER_INPUT
    )


def _batched(inputs: Any, batch: int | None) -> Any:
    """The example inputs, those whose first axis has size 1 repeated: torch.export takes a size of 1 for fixed.

    None if there is nothing to repeat.
    """
    torch = _torch()
    leaves, spec = torch.utils._pytree.tree_flatten(inputs)
    thin = [isinstance(x, torch.Tensor) and x.ndim > 0 and x.shape[0] == 1 for x in leaves]
    copies = [x.clone() if isinstance(x, torch.Tensor) else x for x in leaves]  # one given twice is two inputs
    if batch is None:
        return torch.utils._pytree.tree_unflatten(copies, spec)
    if not any(thin):
        return None
    repeated = [torch.cat([x] * batch) if one else x for x, one in zip(copies, thin, strict=True)]
    return torch.utils._pytree.tree_unflatten(repeated, spec)


def _why(error: Exception) -> ExportError:
    text = re.split(r"\n\s*\n|\nCaused by|\nFor more information|\nUser [Ss]tack", str(error).strip())[0]
    match = re.findall(r'File "([^"]+)", line (\d+), in \w+\n\s+(.+)', str(error))
    users = [f"{PurePath(file).name}, line {line}: {code}" for file, line, code in match if not _installed_torch(file)]
    where = f"\n  at {users[-1]}" if users else ""
    asks = "data-dependent" in str(error) or "DataDependent" in type(error).__name__
    advice = (
        "\n  A module whose control flow asks for numbers has no fixed program; write it with torch.where"
        if asks
        else ""
    )
    return ExportError(
        f"from_torch: torch.export cannot read this module: {type(error).__name__}: {text}{where}{advice}"
    )


def _decomposed(program: Any, missing: set[str]) -> Any:
    """The program with its writing into views undone, and with PyTorch's own decompositions of what is missing."""
    torch = _torch()
    table = {}
    for operation, rule in torch.export.default_decompositions().items():
        if str(operation).removeprefix("aten.").split(".")[0] in {name.split(".")[0] for name in missing}:
            table[operation] = rule
    try:
        with _quietly():
            return program.run_decompositions(table)
    except Exception:
        return None


@contextmanager
def _quietly() -> Iterator[None]:
    """Without PyTorch's warnings and logs, which are about its own insides; what fails is told by an error."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _inline(program: Any) -> None:
    """Put what stands in ``with torch.no_grad():``, a program of its own, into the one around it, detached."""
    torch = _torch()
    outer, graph = program.graph_module, program.graph_module.graph
    while found := [node for node in graph.nodes if _wraps(node)]:
        node = found[0]
        at = 1 if "set_grad" in str(node.target) else 4
        inner, given = getattr(outer, node.args[at].target), node.args[at + 1 :]
        detached = "set_grad" in str(node.target) and not node.args[0]
        known: dict[Any, Any] = {}
        results: Any = ()
        left = iter(given)
        with graph.inserting_before(node):
            for part in inner.graph.nodes:
                if part.op == "placeholder":
                    known[part] = next(left)
                elif part.op == "output":
                    results = torch.fx.node.map_arg(part.args[0], known.__getitem__)
                elif part.op == "get_attr":
                    name = f"{node.args[at].target}_{part.target}"
                    setattr(outer, name, getattr(inner, part.target))
                    known[part] = graph.get_attr(name)
                else:
                    known[part] = graph.node_copy(part, known.__getitem__)
            if detached:
                results = [_detached(graph, x) for x in results]
        for user in list(node.users):
            user.replace_all_uses_with(results[user.args[1]])
            graph.erase_node(user)
        graph.erase_node(node)
    graph.eliminate_dead_code()


def _wraps(node: Any) -> bool:
    """Whether a node runs a program of its own as it stands: without gradients, or with autocast switched off."""
    name = str(node.target)
    return node.op == "call_function" and (
        "wrap_with_set_grad_enabled" in name or ("wrap_with_autocast" in name and node.args[2] is False)
    )


def _detached(graph: Any, x: Any) -> Any:
    torch = _torch()
    if not isinstance(x, torch.fx.Node):
        return x
    made = graph.call_function(torch.ops.aten.detach.default, (x,))
    made.meta = dict(x.meta)
    return made


# ---- names of operations

_SKIPPED = {
    "_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range", "sym_constrain_range_for_size",
    "_functional_assert_async", "_functional_assert_scalar", "_assert_async.msg",
}  # fmt: skip
_IGNORED = ("out", "device", "layout", "pin_memory", "memory_format", "non_blocking", "generator")
_FACTORIES = ("zeros", "ones", "full", "empty", "arange", "linspace", "eye", "rand", "randn", "scalar_tensor")
_CLAMPS = ("clamp", "clip", "clamp_min", "clamp_max")


def _slope_of_clamp() -> int:
    """The slope of this PyTorch's clamp at its bounds: 1 up to 2.13, 0 in later ones."""
    import torch

    x = torch.zeros((), requires_grad=True)
    torch.clamp(x, min=0.0).backward()
    return int(x.grad.item())


def _name(node: Any, table: Mapping[str, Any]) -> str:
    """An operation's name in the table: with its overload if that is there, else without."""
    target = node.target
    text = str(target)
    if text.startswith("aten."):
        full = text.removeprefix("aten.")
        plain = full.split(".")[0]
        if plain.endswith("_") and not plain.startswith("__"):
            full, plain = full.replace(f"{plain}.", f"{plain[:-1]}.", 1), plain[:-1]
        return full if full in table else plain
    module, name = getattr(target, "__module__", "") or "", getattr(target, "__name__", text)
    if module in ("_operator", "operator"):
        return f"operator.{name}"
    if module == "math":
        return f"math.{name}"
    if name.startswith(("sym_", "_sym_")):
        return f"sym.{name.split('sym_')[1]}"
    return text if "." in text else name


def _writes(node: Any) -> Any:
    """The argument that an operation writes into, or None."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return None
    for k, argument in enumerate(schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            return node.args[k] if k < len(node.args) else node.kwargs.get(argument.name)
    return None


_MAY_BE_SAME = ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "to", "type_as", "contiguous",
                "reshape", "flatten", "expand_as", "lift_fresh_copy")  # fmt: skip


def _views(node: Any) -> list[Any]:
    """What the result of an operation may share memory with."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return [node.args[0]] if getattr(node.target, "__name__", "") == "getitem" else []
    shared = [k for k, argument in enumerate(schema.arguments) if argument.alias_info is not None]
    if schema.name.split("::")[-1].rstrip("_") in _MAY_BE_SAME:
        shared.append(0)
    return [node.args[k] for k in shared if k < len(node.args) and hasattr(node.args[k], "users")]


def _writes_through(program: Any) -> bool:
    """Whether something is written into memory that another value, which is read later, shares."""
    nodes = list(program.graph.nodes)
    place = {node: k for k, node in enumerate(nodes)}
    group: dict[Any, set[Any]] = {node: {node} for node in nodes}
    for node in nodes:
        if node.op != "call_function":
            continue
        for other in _views(node):
            joined = group[node] | group[other]
            for member in joined:
                group[member] = joined
    for node in nodes:
        target = _writes(node) if node.op == "call_function" else None
        if target is None:
            continue
        for other in group[target] - {target, node}:
            outer = (
                other.op in ("placeholder", "get_attr") and target.op == "call_function" and place[other] < place[node]
            )
            before = place[other] < place[node]
            if before and (outer or any(place[user] > place[node] for user in other.users)):
                return True
    return False


# ---- a program as a graph


class _Translation:
    """One exported program as a Graph."""

    def __init__(self, program: Any, reader: _Reader, args: Any, keywords: Any) -> None:
        self.program, self.reader, self.inputs = program, reader, (args, keywords)
        self.places: dict[Any, Any] = {}
        self.constants: dict[str, Array] = {}
        self.updates: dict[str, Value] = {}
        self.count = 0

    def graph(self) -> Graph:
        torch = _torch()
        graph, signature = self.program.graph, self.program.graph_signature
        graph.eliminate_dead_code()
        inputs = self._inputs()
        nodes: list[Node] = []
        for node in graph.nodes:
            if node.op == "call_function" and _name(node, OPERATIONS) not in _SKIPPED:
                self._node(node, nodes)
            elif node.op == "get_attr":
                raise ExportError(f"from_torch: the module holds a program of its own ({node.target}), as of "
                                  "torch.cond or a loop, which is not covered")  # fmt: skip
        results = [self._place(x) for x in _output(graph).args[0]]
        kinds = torch.export.graph_signature.OutputKind
        outputs = []
        for spec, result in zip(signature.output_specs, results, strict=True):
            if spec.kind == kinds.USER_OUTPUT:
                outputs.append(result)
            elif spec.kind == kinds.BUFFER_MUTATION and isinstance(result, Value):
                self.updates[spec.target] = result
        spec = self.program.call_spec.out_spec
        held = {name: value for name, value in self.updates.items() if name in self.reader.buffers}
        positional, named = _plain(torch.utils._pytree.tree_unflatten(self._leaves, self.program.call_spec.in_spec))
        return Graph(
            tuple(inputs),
            tuple(nodes),
            _plain(torch.utils._pytree.tree_unflatten(outputs, spec)),
            tuple(positional),
            named,
            held,
            self.constants,
        )

    def _inputs(self) -> list[Input]:
        torch = _torch()
        kinds = torch.export.graph_signature.InputKind
        placeholders = [node for node in self.program.graph.nodes if node.op == "placeholder"]
        inputs: list[Input] = []
        self._leaves: list[Any] = []
        for node, spec in zip(placeholders, self.program.graph_signature.input_specs, strict=True):
            if spec.kind == kinds.USER_INPUT:
                value = node.meta.get("val")
                if isinstance(value, torch.Tensor):
                    shape = tuple(_size(n) for n in value.shape)
                    self.places[node] = Value(len(inputs))
                    self._leaves.append(Value(len(inputs)))
                    inputs.append(Input(node.name, shape, str(value.dtype).removeprefix("torch.")))
                else:
                    if value is not None and not isinstance(value, int | float | bool | str):
                        value = self._hint(value)
                    self._leaves.append(getattr(spec.arg, "value", value))
                    self.places[node] = self._leaves[-1]
            elif spec.kind == kinds.PARAMETER or (spec.kind == kinds.BUFFER and spec.target in self.reader.buffers):
                self.places[node] = State(spec.target)
            else:
                held = self.program.constants if spec.target in self.program.constants else self.program.state_dict
                self.constants[spec.target] = _array(held[spec.target])
                self.places[node] = Constant(spec.target)
        self.count = len(inputs)
        return inputs

    def _hint(self, value: Any) -> Any:
        return value.node.hint if hasattr(value, "node") else value

    def _node(self, node: Any, nodes: list[Node]) -> None:
        name = _name(node, OPERATIONS)
        settings = {k: self._place(v) for k, v in node.kwargs.items() if k not in _IGNORED and v is not None}
        args = tuple(self._place(x) for x in node.args)
        value = node.meta.get("val")
        if name in _FACTORIES and "dtype" not in settings and hasattr(value, "dtype"):
            settings["dtype"] = _dtype(value.dtype)
        if name in ("batch_norm", "_native_batch_norm_legit_functional") and args[6] == CUMULATIVE:
            settings["count"] = State(args[3].name.removesuffix("running_mean") + "num_batches_tracked")
        if name in _CLAMPS:
            settings["slope_at_bounds"] = _slope_of_clamp()
        made = Value(self.count)
        self.count += 1
        scope, source = _levels(node), _source(node)
        nodes.append(Node(name, args, settings, made.number, scope, source))
        written = _writes(node)
        if written is not None:
            place = self.places.get(written)
            if isinstance(place, State):
                self.updates[place.name] = made
            self._rewrite(written, made)
        self.places[node] = made

    def _rewrite(self, written: Any, made: Value) -> None:
        old = self.places.get(written)
        for node, place in self.places.items():
            if node is written or (place == old and isinstance(place, Value)):
                self.places[node] = made

    def _place(self, x: Any) -> Any:
        """What an argument becomes: a place for a node, plain data for anything else."""
        torch = _torch()
        if isinstance(x, torch.fx.Node):
            return self.places[x]
        if isinstance(x, list | tuple):
            return [self._place(part) for part in x] if not isinstance(x, tuple) else tuple(self._place(p) for p in x)
        if isinstance(x, dict):
            return {k: self._place(v) for k, v in x.items()}
        if isinstance(x, slice):
            return slice(self._place(x.start), self._place(x.stop), self._place(x.step))
        if isinstance(x, torch.dtype):
            return _dtype(x)
        return x if isinstance(x, int | float | bool | str) else None


def _size(n: Any) -> int | None:
    """A size that is fixed, also where torch.export has found that out along the way; None for a free one."""
    if isinstance(n, int):
        return n
    return int(n.node.expr) if n.node.expr.is_number else None


def _output(graph: Any) -> Any:
    return next(node for node in reversed(graph.nodes) if node.op == "output")


def _plain(tree: Any) -> Any:
    """Lists, tuples and dicts in place of their kinds that others made."""
    if isinstance(tree, Mapping):
        return {key: _plain(part) for key, part in tree.items()}
    if isinstance(tree, list):
        return [_plain(part) for part in tree]
    if isinstance(tree, tuple):
        return tuple(_plain(part) for part in tree)
    return tree


def _dtype(dtype: Any) -> Any:
    word = str(dtype).removeprefix("torch.")
    try:
        return np.dtype(word)
    except TypeError:
        raise TypeError(
            f"from_torch: NumPy has no dtype for {dtype}; convert the module first, as in module.float()"
        ) from None


def _array(x: Any) -> Array:
    array: Array = x.detach().cpu().contiguous().numpy()
    return copy.copy(array)


def _levels(node: Any) -> tuple[Level, ...]:
    """The modules around a node, outermost first, each with its name in the one around it."""
    levels: list[Level] = []
    around = ""
    for key, (path, kind) in (node.meta.get("nn_module_stack") or {}).items():
        if str(key).startswith("_empty_nn_module_stack"):  # what torch.export puts in itself
            continue
        path, _, call = str(path).partition("@")
        call = call or str(key).partition("@")[2]
        kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
        name = path.removeprefix(f"{around}.") if around else path
        levels.append(Level(name, kind.rpartition(".")[2], int(call) if call.isdigit() else 0))
        around = path
    return tuple(levels)


_FRAME = re.compile(r'File "([^"]+)", line (\d+), in [^\n]*(?:\n\s+([^\n]+))?')


def _source(node: Any) -> str:
    """The innermost line of the user's program, as "net.py, line 12: x = self.conv(x)"."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    users = [frame for frame in frames if not _installed_torch(frame[0])]
    if not users:
        return ""
    file, line, code = users[-1]
    return f"{PurePath(file).name}, line {line}" + (f": {code.strip()}" if code.strip() else "")


def _installed_torch(file: str) -> bool:
    return "torch" in PurePath(file).parts and any(
        part in ("site-packages", "dist-packages") for part in PurePath(file).parts
    )


def _equal(a: Graph, b: Graph) -> bool:
    """Whether two graphs are the same program."""
    if a.inputs != b.inputs or a.nodes != b.nodes or a.updates != b.updates or a.constants.keys() != b.constants.keys():
        return False
    same = all(
        np.array_equal(a.constants[k], b.constants[k], equal_nan=a.constants[k].dtype.kind == "f") for k in a.constants
    )
    return same and repr(a.outputs) == repr(b.outputs)
