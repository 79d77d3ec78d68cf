"""``from_jax``: a function of JAX read as a jaxpr into a graph, and run as a Module of autoconv.

JAX is imported when ``from_jax`` is called, and not before.  What comes from it is plain data: calls inside the jaxpr
(jit, custom derivatives, scan) are written out, what depends on no input is computed, and the rest becomes a straight
list of nodes.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ..operands import found
from ..tape import Array, Tensor
from .graph import Constant, Graph, Input, Level, Node, UnsupportedError, Value, check_operations, places
from .imported import Imported
from .lax import OPERATIONS

MOST_NODES = 200_000  # scans written out


def from_jax(fn: Callable[..., Any], *example_inputs: Any, **example_keywords: Any) -> Imported:
    """A function of JAX as a function of autoconv, so that its tape can be seen, stepped, explained and differentiated.

        loss = ac.from_jax(loss_of, params, images, labels)
        ac.grad(loss, 0)(params, images, labels); ac.step(loss(params, images, labels))

    fn: anything that ``jax.make_jaxpr`` can trace, also ``jax.grad`` of a function; it is traced once and not kept.
    example_inputs, example_keywords: what it is called with: arrays, numbers, ``jax.ShapeDtypeStruct``, and lists,
    tuples and dicts of these.  Shapes and the number of inputs hold for the result; dtypes are those of JAX's trace.

    The result takes and returns what fn does, with arrays and autoconv's Tensors in place of JAX's.  Arrays that fn
    closes over are constants; pass as an argument what a gradient is wanted for.  Scopes are JAX's named scopes and
    jitted functions, and each line knows the line of fn's source.  Slopes at kinks are JAX's.  A derivative that the
    author of fn chose (``jax.custom_jvp``, ``jax.custom_vjp``) holds to first order.  A scan is written out; of a
    ``cond`` both sides are recorded and one is selected.

    Raises UnsupportedError, which lists every operation that is not covered with its place; TypeError for what cannot
    be called; whatever JAX raises for a function that it cannot trace; ImportError where JAX is not installed
    (``pip install "autoconv[xla]"``).

    >>> f = ac.from_jax(lambda w, x: jnp.tanh(x @ w).sum(), jnp.ones(2), jnp.ones((3, 2)))  # doctest: +SKIP
    >>> w = ac.tensor([0.0, 0.0])  # doctest: +SKIP
    >>> f(w, np.ones((3, 2))).backward()  # doctest: +SKIP
    >>> w.grad  # doctest: +SKIP
    array([3., 3.])
    """
    jax = _jax()
    if not callable(fn):
        raise TypeError(f"from_jax: fn must be a function of JAX, found {found(fn)}")
    given = jax.tree_util.tree_map(_as_jax, (example_inputs, example_keywords), is_leaf=_is_tensor)
    closed, shapes = jax.make_jaxpr(fn, return_shape=True)(*given[0], **given[1])
    reader = _Reader(getattr(fn, "__name__", type(fn).__name__))
    graph = reader.graph(closed, given, shapes)
    check_operations((graph,), OPERATIONS, "from_jax")
    return Imported(reader.title, graph, graph, {}, {}, OPERATIONS).eval()


def _jax() -> Any:
    try:
        import jax
        import jax.extend.core
    except ImportError as error:
        raise ImportError('from_jax needs JAX: pip install "autoconv[xla]"') from error
    return jax


def _is_tensor(x: Any) -> bool:
    return isinstance(x, Tensor)


def _as_jax(x: Any) -> Any:
    return x.value if isinstance(x, Tensor) else x


# ---- a jaxpr written out

_CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr", "remat": "jaxpr",
          "remat2": "jaxpr", "checkpoint": "jaxpr", "custom_vjp_call_jaxpr": "fun_jaxpr"}  # fmt: skip
_KNOWN = {"relu": 1, "relu6": 1, "logaddexp": 2, "xlogy": 2}  # of JAX's own, whose rule is that of one of ours
_HINTS = {
    "while": "how often it runs follows from numbers; give fori_loop fixed bounds, or use scan",
    "random_bits": "draw before, and pass the numbers as an input",
    "threefry2x32": "draw before, and pass the numbers as an input",
    "random_wrap": "draw before, and pass the numbers as an input",
    "pure_callback": "what a callback does is not on JAX's tape either",
    "io_callback": "what a callback does is not on JAX's tape either",
}


class _Known:
    """A value that depends on no input."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class _Reader:
    """The nodes that are read so far, and the constants that they name."""

    def __init__(self, title: str) -> None:
        self.title = title if title.isidentifier() else "function"
        self.nodes: list[Node] = []
        self.constants: dict[str, Array] = {}
        self.names: dict[int, tuple[Any, Constant]] = {}
        self.count = 0
        self.inside_rule = False

    def graph(self, closed: Any, given: Any, shapes: Any) -> Graph:
        """The graph of a jaxpr that was traced with ``given`` and returns the tree ``shapes``."""
        jax = _jax()
        inputs = []
        for number, ((path, _), var) in enumerate(
            zip(jax.tree_util.tree_leaves_with_path(given), closed.jaxpr.invars, strict=True)
        ):
            dtype = _dtype(var.aval.dtype, f"input {number}")
            inputs.append(Input(_named(jax, path), tuple(map(int, var.aval.shape)), str(dtype)))
        self.count = len(inputs)
        results = self.call(closed, [Value(k) for k in range(len(inputs))], (Level("", self.title),), "")
        outputs = [self.place(x) for x in results]
        tree = jax.tree_util.tree_structure(shapes)
        positional, keywords = jax.tree_util.tree_unflatten(
            jax.tree_util.tree_structure(given), [Value(k) for k in range(len(inputs))]
        )
        return Graph(
            tuple(inputs),
            tuple(_needed(self.nodes, outputs)),
            _plain(jax.tree_util.tree_unflatten(tree, outputs)),
            tuple(_plain(positional)),
            _plain(keywords),
            constants=self.constants,
        )

    def place(self, x: Any) -> Any:
        """What a node reads: a known value becomes a constant of the graph."""
        if not isinstance(x, _Known):
            return x
        if id(x.value) not in self.names:
            name = f"c{len(self.names)}"
            array = np.asarray(x.value)
            _dtype(array.dtype, "a constant")
            self.constants[name] = array
            self.names[id(x.value)] = (x.value, Constant(name))
        return self.names[id(x.value)][1]

    def node(self, operation: str, args: Sequence[Any], settings: Mapping[str, Any], scope: Any, source: str) -> Value:
        if len(self.nodes) >= MOST_NODES:
            raise UnsupportedError(f"from_jax: more than {MOST_NODES:,} operations, scans written out")
        self.count += 1
        self.nodes.append(
            Node(operation, tuple(self.place(x) for x in args), dict(settings), self.count - 1, scope, source)
        )
        return Value(self.count - 1)

    def call(self, closed: Any, args: Sequence[Any], scope: tuple[Level, ...], source: str) -> list[Any]:
        """The results of a closed jaxpr for ``args``."""
        env = dict(zip(closed.jaxpr.constvars, map(_Known, closed.consts), strict=True))
        env |= dict(zip(closed.jaxpr.invars, args, strict=True))
        for eqn in closed.jaxpr.eqns:
            inside = scope + tuple(Level(part) for part in str(eqn.source_info.name_stack).split("/") if part)
            read = [_Known(np.asarray(x.val, x.aval.dtype)) if hasattr(x, "val") else env[x] for x in eqn.invars]
            made = self.equation(eqn, read, inside, _source(eqn) or source)
            env.update(zip(eqn.outvars, made, strict=True))
        return [_Known(np.asarray(x.val, x.aval.dtype)) if hasattr(x, "val") else env[x] for x in closed.jaxpr.outvars]

    def equation(self, eqn: Any, args: list[Any], scope: tuple[Level, ...], source: str) -> list[Any]:
        name = eqn.primitive.name
        if args and all(isinstance(x, _Known) for x in args) and not _drawn(eqn):
            return [_Known(x) for x in self.computed(eqn, [x.value for x in args])]
        if name in ("custom_jvp_call", "custom_vjp_call"):
            return self.custom(eqn, args, scope, source)
        if name in _CALLS:
            inner = _closed(eqn.params[_CALLS[name]])
            called = str(eqn.params.get("name", ""))
            level = (Level(called.strip("<>"), call=self.count),) if called else ()
            return self.call(inner, args, scope + level, source)
        if name == "scan":
            return self.scan(eqn.params, args, scope, source)
        if name == "cond":
            return self.cond(eqn.params["branches"], args, scope, source)
        if name in ("reduce_window", "reduce", "select_and_scatter"):
            name, args, settings = _by_its_function(eqn, args)
        else:
            name, settings = _settings(eqn)
        if name not in OPERATIONS and name in _HINTS:
            name = f"{name} ({_HINTS[name]})"
        made = self.node(name, args, settings, scope, source)
        if not eqn.primitive.multiple_results:
            return [made]
        return [self.node("output", (made, k), {}, scope, source) for k in range(len(eqn.outvars))]

    def computed(self, eqn: Any, values: list[Any]) -> list[Any]:
        """The results of an equation that reads no input, as JAX computes them."""
        jax = _jax()
        made = _bound(eqn, values)
        return [x if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else np.asarray(x) for x in made]

    def custom(self, eqn: Any, args: list[Any], scope: tuple[Level, ...], source: str) -> list[Any]:
        """A function whose derivative its author chose: y, held fixed, plus a 0 with that slope.

        Some of JAX's own are functions of ours, which have that derivative to every order.
        """
        jax = _jax()
        closed = _closed(eqn.params["call_jaxpr"])
        info = str(getattr(getattr(closed.jaxpr, "debug_info", None), "func_src_info", "") or "")
        title, _, where = info.partition(" at ")
        if self.inside_rule:  # it is read at held values, where no derivative of its own is asked for
            return self.call(closed, args, scope, source)
        if title in _KNOWN and _inside_jax(where.rpartition(":")[0]) and len(args) == _KNOWN[title]:
            return [self.node(title, args, {}, (*scope, Level(title, call=self.count)), source)]
        avals = [x.aval for x in eqn.invars]
        smooth = [k for k, aval in enumerate(avals) if np.dtype(aval.dtype).kind == "f"]

        def pushed(values: Any, tangents: Any) -> Any:
            whole = _merged(values, smooth, tangents)
            if eqn.primitive.name == "custom_jvp_call":
                return jax.jvp(lambda *xs: _bound(eqn, xs), values, whole)[1]
            made, pull = jax.vjp(lambda *xs: _bound(eqn, xs), *values)
            down = [jax.ShapeDtypeStruct(y.shape, y.dtype) for y in made]
            transposed = jax.linear_transpose(lambda *g: tuple(pull(list(g))[k] for k in smooth), *down)
            return list(transposed(tuple(tangents)))

        structs = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
        try:
            rule = jax.make_jaxpr(pushed)(structs, [structs[k] for k in smooth])
        except Exception as error:
            raise UnsupportedError(
                f"from_jax: the derivative that was chosen for {title or 'a function'} at "
                f"{source or 'an unknown line'} is not a linear function of the cotangent that JAX can transpose: "
                f"{type(error).__name__}"
            ) from error
        scope = (*scope, Level(title.rpartition(".")[2].strip("<>") or "custom", call=self.count))
        values = self.call(closed, args, scope, source)
        held = [self.node("at", (x,), {}, scope, source) if k in smooth else x for k, x in enumerate(args)]
        small = [self.node("from_here", (args[k],), {}, scope, source) for k in smooth]
        self.inside_rule = True
        tangents = self.call(rule, [*held, *small], scope, source)
        self.inside_rule = False
        return [
            self.node("custom", (y, t), {}, scope, source) if np.dtype(v.aval.dtype).kind == "f" else y
            for y, t, v in zip(values, tangents, eqn.outvars, strict=True)
        ]

    def scan(self, params: Mapping[str, Any], args: list[Any], scope: tuple[Level, ...], source: str) -> list[Any]:
        """The rounds of a scan, one after the other."""
        fixed, carried = params["num_consts"], params["num_carry"]
        body, length = _closed(params["jaxpr"]), params["length"]
        consts, carry, xs = args[:fixed], args[fixed : fixed + carried], args[fixed + carried :]
        rounds = range(length)
        outs: list[list[Any]] = []
        for k in reversed(rounds) if params["reverse"] else rounds:
            read = [
                _Known(np.asarray(x.value)[k])
                if isinstance(x, _Known)
                else self.node("item", (x, k), {}, scope, source)
                for x in xs
            ]
            made = self.call(body, [*consts, *carry, *read], (*scope, Level(f"round {k}", call=self.count)), source)
            carry = made[:carried]
            outs.append(made[carried:])
        if params["reverse"]:
            outs.reverse()
        stacked: list[Any] = []
        for number, var in enumerate(body.jaxpr.outvars[carried:]):
            if not length:
                stacked.append(_Known(np.zeros((0, *var.aval.shape), var.aval.dtype)))
            else:
                stacked.append(self.node("stacked", [out[number] for out in outs], {}, scope, source))
        return [*carry, *stacked]

    def cond(self, branches: Sequence[Any], args: list[Any], scope: tuple[Level, ...], source: str) -> list[Any]:
        """All branches, and for each result the one with the number ``args[0]``."""
        which, *read = args
        if isinstance(which, _Known):
            number = min(max(int(np.asarray(which.value)), 0), len(branches) - 1)
            return self.call(_closed(branches[number]), read, scope, source)
        results = [
            self.call(_closed(branch), read, (*scope, Level(f"branch {k}", call=self.count)), source)
            for k, branch in enumerate(branches)
        ]
        if len(branches) == 1:
            return results[0]
        return [self.node("select_n", (which, *cases), {}, scope, source) for cases in zip(*results, strict=True)]


# ---- equations


def _bound(eqn: Any, values: Sequence[Any]) -> list[Any]:
    """The results of one equation for ``values``, which JAX computes or traces."""
    given = eqn.primitive.get_bind_params(eqn.params)
    functions, params = ((), given) if isinstance(given, dict) else given  # as earlier versions of JAX return it
    made = eqn.primitive.bind(*functions, *values, **params)
    return list(made) if eqn.primitive.multiple_results else [made]


def _closed(jaxpr: Any) -> Any:
    """A jaxpr, which some params hold open, as a closed one."""
    return jaxpr if hasattr(jaxpr, "consts") else _jax().extend.core.ClosedJaxpr(jaxpr, ())


def _drawn(eqn: Any) -> bool:
    """Whether an equation does something besides computing its results."""
    return bool(eqn.effects)


def _merged(values: Sequence[Any], smooth: Sequence[int], tangents: Sequence[Any]) -> list[Any]:
    """Tangents for all values: those given for floating-point ones, JAX's empty ones for the others."""
    jax = _jax()
    whole = [np.zeros(np.shape(x), jax.dtypes.float0) for x in values]
    for k, tangent in zip(smooth, tangents, strict=True):
        whole[k] = tangent
    return whole


_WORDLESS = {"sharding", "out_sharding", "accuracy", "precision", "mode", "unique_indices", "indices_are_sorted",
             "weak_type", "update_jaxpr", "update_consts", "in_axis_resources", "is_stable"}  # fmt: skip


def _settings(eqn: Any) -> tuple[str, dict[str, Any]]:
    """The name in the table and the params that it takes, as plain data; what else is set makes another operation."""
    name = eqn.primitive.name
    function = OPERATIONS.get(name)
    if function is None:
        return name, {}
    known = _keywords(function)
    others = [k for k, v in eqn.params.items() if k not in known and k not in _WORDLESS and v is not None]
    if others:
        return f"{name} with {', '.join(f'{k}={eqn.params[k]}' for k in others)}", {}
    return name, {k: _data(v) for k, v in eqn.params.items() if k in known}


def _keywords(function: Any) -> set[str]:
    if not inspect.isfunction(function):  # a row, whose operands are all it takes
        return set()
    return set(inspect.signature(function).parameters)


def _data(value: Any) -> Any:
    """A param as plain data."""
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, int) and type(value).__name__ == "RoundingMethod" else value.name
    if hasattr(value, "offset_dims") or hasattr(value, "update_window_dims"):
        names = getattr(value, "_fields", None) or vars(value)
        return {k: _data(getattr(value, k)) for k in names}
    if isinstance(value, np.dtype | type):
        return _dtype(value, "a result")
    if isinstance(value, list | tuple):
        return tuple(_data(part) for part in value)
    if isinstance(value, np.generic):
        return value.item()
    return getattr(value, "name", value) if type(value).__name__ == "Primitive" else value


_FOLDS = {"add": "sum", "add_any": "sum", "max": "max", "min": "min"}


def _by_its_function(eqn: Any, args: list[Any]) -> tuple[str, list[Any], dict[str, Any]]:
    """A reduction by any function, as the one by a function that is known, if its first value is that one's."""
    name = eqn.primitive.name
    inner = eqn.params.get("jaxpr")
    inner = getattr(inner, "jaxpr", inner)
    steps = [step.primitive.name for step in inner.eqns] if inner is not None else []
    fold = _FOLDS.get(steps[0]) if len(steps) == 1 else None
    neutral = args[1] if len(args) == 2 else None
    dtype = np.dtype(eqn.invars[0].aval.dtype)
    first = {"sum": 0, "max": -np.inf, "min": np.inf}.get(fold or "")
    if fold is None or dtype.kind != "f" or not isinstance(neutral, _Known) or np.asarray(neutral.value) != first:
        return f"{name} (by {' and '.join(steps) or 'a function'})", args, {}
    if name == "reduce_window":
        kept = ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")
        return f"reduce_window_{fold}", args[:1], {k: _data(eqn.params[k]) for k in kept}
    return f"reduce_{fold}", args[:1], {"axes": tuple(eqn.params["dimensions"])}


def _dtype(dtype: Any, what: str) -> Any:
    """A dtype of NumPy's own."""
    try:
        made = np.dtype(dtype)
    except TypeError:
        made = None
    if made is None or made.kind not in "biuf":
        raise UnsupportedError(
            f"from_jax: {what} has dtype {dtype}, which has no arithmetic here; there are float16, float32, float64, "
            "integers and bool"
            + ("; draw random numbers before, and pass them as an input" if "key" in str(dtype) else "")
        )
    return made


def _needed(nodes: list[Node], outputs: list[Any]) -> list[Node]:
    """The nodes from which the outputs follow."""
    read = {x.number for x in places(outputs) if isinstance(x, Value)}
    kept = []
    for node in reversed(nodes):
        if node.number in read:
            kept.append(node)
            read |= {x.number for x in places((node.args, node.settings)) if isinstance(x, Value)}
    return kept[::-1]


# ---- names and places


def _plain(tree: Any) -> Any:
    """Lists, tuples and dicts in place of their kinds that others made."""
    if isinstance(tree, Mapping):
        return {key: _plain(part) for key, part in tree.items()}
    if isinstance(tree, list):
        return [_plain(part) for part in tree]
    return tuple(_plain(part) for part in tree) if isinstance(tree, tuple) else tree


def _named(jax: Any, path: Any) -> str:
    """An input's place in the call, as in ``0['conv1']['kernel']``: the keyword, or the number of the argument."""
    first, *rest = path[1:]
    return str(getattr(first, "key", getattr(first, "idx", first))) + jax.tree_util.keystr(tuple(rest))


def _source(eqn: Any) -> str:
    """The innermost line of the user's program, as "net.py, line 12: y = conv(x, w)"."""
    traceback = getattr(eqn.source_info, "traceback", None)
    for frame in traceback.frames if traceback is not None else ():
        if frame.file_name.startswith("<") or not (
            _inside_jax(frame.file_name) or _HERE in Path(frame.file_name).parents
        ):
            code = linecache.getline(frame.file_name, frame.line_num).strip()
            return f"{PurePath(frame.file_name).name}, line {frame.line_num}" + (f": {code}" if code else "")
    return ""


_HERE = Path(__file__).resolve().parents[1]


def _inside_jax(file: str) -> bool:
    jax = _jax()
    return bool(file) and Path(jax.__file__).resolve().parent in Path(file).resolve().parents
