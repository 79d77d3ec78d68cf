"""What ``like``, ``inputs`` and ``call`` describe: a layer of a course, or one made for this question."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from .. import functional as F
from ..tape import Tensor
from .courses import find
from .families import families, within
from .layer import Call, Layer, Try, seeded

MOST = 20  # geometries that are taken from a generator
UPSTREAM = (
    "dout",
    "dy",
    "dz",
    "dZ",
    "dA",
    "grad",
    "grad_output",
    "grad_out",
    "out_grad",
    "g",
    "upstream",
    "delta",
    "dL",
)


def described(backward: Any, forward: Any, like: Any, inputs: Any, call: Any) -> Layer:
    """The layer to compare with; its ``tries`` are the geometries."""
    if isinstance(like, str):
        layer = find(like)
        if inputs is not None:
            layer = replace(layer, tries=lambda: given(inputs, layer.tries()[0]))
        elif forward is None and not layer.loss and not layer.call.cached:
            raise ValueError(
                f"check_backward: the cache of {like} is what your own forward makes; give it too, "
                f"forward={layer.functions[0]}"
            )
        return replace(layer, call=_called(call, layer)) if call else layer
    if like is None:
        if forward is None or inputs is None:
            raise ValueError(
                "check_backward: what should it compute? Give like='cs231n.conv' (ac.courses() lists the names), a "
                "function "
                "of Tensors, or forward= and inputs= to compare with differences of the forward"
            )
        return _unknown(forward, inputs, call)
    if not callable(like):
        raise TypeError(f"check_backward: like is a name or a function of Tensors; found {type(like).__name__}")
    return _of_function(backward, forward, like, inputs, call)


def _words(text: Any) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split()) if isinstance(text, str) else tuple(text)


def _called(call: Any, layer: Layer) -> Call:
    """The layer's call with what the user says of another signature."""
    if not isinstance(call, Mapping) or not call.keys() <= {"forward", "backward", "result"}:
        raise ValueError('check_backward: call is a dict with "forward", "backward" and "result"')
    changes: dict[str, Any] = {"ahead": None, "back": None}
    for key, to in (("forward", "forward"), ("backward", "backward"), ("result", "result")):
        if key in call:
            changes[to] = _words(call[key])
    known = {*layer.outputs.values(), *layer.call.groups, *layer.call.fixed, "dout", "cache", "out"}
    case = layer.tries()[0]
    known |= {*case.arrays, *case.settings}
    for name in (*changes.get("forward", ()), *changes.get("backward", ())):
        if name not in known:
            raise ValueError(f"check_backward: call names {name!r}; there are {', '.join(sorted(known))}")
    if "cache" not in changes.get("backward", ("cache",)) and "result" not in call:
        changes["result"] = ("out",)
    return replace(layer.call, **changes)


def given(inputs: Any, model: Try | None = None) -> list[Try]:
    """The user's inputs as geometries: one set of arrays, several, or a generator of them.  model: for names."""
    names = [*model.arrays, *model.settings] if model else []
    if callable(inputs) and not isinstance(inputs, Iterable):
        inputs = [inputs(seeded(i)) for i in range(3)]
    sets: list[Any]
    if isinstance(inputs, (Mapping, np.ndarray, Tensor)):
        sets = [inputs]
    else:
        sets = list(islice(inputs, MOST))
        plain = [isinstance(x, (np.ndarray, Tensor, int, float, np.generic)) or hasattr(x, "detach") for x in sets]
        sets = [tuple(sets)] if isinstance(inputs, (tuple, list)) and plain and any(plain) else sets
    made = []
    for number, one in enumerate(sets):
        if not isinstance(one, Mapping):
            one = one if isinstance(one, (tuple, list)) else (one,)
            if names and len(one) > len(names):
                raise ValueError(f"check_backward: inputs has {len(one)} values, for {', '.join(names)}")
            one = {names[i] if i < len(names) else f"x{i}": value for i, value in enumerate(one)}
        arrays, settings = {}, dict(model.settings) if model else {}
        for name, value in one.items():
            value = value.value if isinstance(value, Tensor) else value
            value = value.detach().cpu().numpy() if hasattr(value, "detach") else value
            if isinstance(value, (np.ndarray, list)) or (model and name in model.arrays):
                array = np.asarray(value)
                arrays[str(name)] = array.astype(float) if array.dtype.kind == "f" else array
            elif isinstance(value, Mapping):
                settings |= value
            else:
                settings[str(name)] = value
        made.append(Try("your inputs" if len(sets) == 1 else f"your inputs, set {number + 1}", arrays, settings))
    if not made or not any(a.dtype.kind == "f" for t in made for a in t.arrays.values()):
        raise ValueError("check_backward: inputs has no floating-point array, so there is no gradient to check")
    return made


def _unknown(forward: Any, inputs: Any, call: Any) -> Layer:
    """A layer of which only the student's forward is known."""
    cases = given(inputs, _model(forward, inputs))
    floats = [name for name, a in cases[0].arrays.items() if a.dtype.kind == "f"]
    nothing: Callable[..., Tensor] = lambda **k: F.sum(next(v for v in k.values() if isinstance(v, Tensor)))
    names = (*cases[0].arrays, *cases[0].settings)
    layer = Layer("your forward", (), nothing, {f"d{n}": n for n in floats}, lambda: cases, Call(names), unknown=True)
    if _returns_one(forward, cases[0], list(names)):
        layer = replace(layer, call=Call(names, ("dout", *names), ("out",)))
    return replace(layer, call=_called(call, layer)) if call else layer


def _model(function: Any, inputs: Any) -> Try | None:
    """Names for inputs without, from the parameters of a function."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return None
    return Try("", {n: np.zeros(()) for n in names})


def _parameters(function: Any) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


def _required(function: Any) -> list[str]:
    """The positional parameters without a default."""
    try:
        given = inspect.signature(function).parameters.items()
    except (TypeError, ValueError):
        return []
    return [n for n, p in given if p.kind < 2 and p.default is p.empty]


def _of_function(backward: Any, forward: Any, like: Any, inputs: Any, call: Any) -> Layer:
    """A layer that computes what a function of Tensors computes."""
    cases, reference, names = _cases(like, forward, inputs)
    outputs = {f"d{n}": n for n, a in cases[0].arrays.items() if a.dtype.kind == "f"}
    made = Call(tuple(names), gradients=tuple(outputs), cached=tuple(names))
    taken = _parameters(backward)
    if taken and taken[0] in UPSTREAM and set(taken[1:]) <= {*names, "out", "y"} and len(taken) > 1:
        made = replace(made, backward=("dout", *["out" if t == "y" and "y" not in names else t for t in taken[1:]]))
        if forward is not None and _returns_one(forward, cases[0], names):
            made = replace(made, result=("out",))
    elif forward is not None and _returns_one(forward, cases[0], names):
        made = replace(made, result=("out",), backward=("dout", *names))
    elif forward is None and len(taken) == 1 + len(names):
        made = replace(made, backward=("dout", *names))
    name = getattr(like, "__name__", "like")
    layer = Layer("like" if name == "<lambda>" else name, (), reference, outputs, lambda: cases, made)
    return replace(layer, call=_called(call, layer)) if call else layer


def _returns_one(forward: Any, case: Try, names: list[str]) -> bool:
    """Whether a forward returns its output alone, without a cache."""
    from .asking import called, deadline, quiet

    try:
        with deadline(5.0), quiet():
            return not isinstance(called(forward, tuple(names), Call().values(case)), (tuple, list))
    except Exception:
        return False


def _cases(like: Any, forward: Any, inputs: Any) -> tuple[list[Try], Any, list[str]]:
    """(geometries, the reference by keywords, the names of its arguments)."""
    taken = _parameters(like)
    if inputs is not None:
        cases = given(inputs, Try("", {n: np.zeros(()) for n in taken}))
        names = [*cases[0].arrays, *cases[0].settings]
        reference = lambda **k: like(*[k[n] for n in names])
        fresh = [
            Try("other numbers", {k: _redrawn(a, i) for i, (k, a) in enumerate(c.arrays.items())}, c.settings)
            for c in cases[:1]
        ]
        return [*cases, *fresh], reference, names
    positional = [(n, p) for n, p in inspect.signature(like).parameters.items() if p.kind < 2]
    required = [n for n, p in positional if p.default is p.empty]
    count = max(len(required), len(_required(forward)))  # a layer's parameters may be optional, the student's are not
    fitting: list[tuple[list[Try], Any, list[str]]] = []
    for names, cases in families(like, count, [n for n, _ in positional[:count]]):
        reference = lambda _names=tuple(names), **k: like(*[k[n] for n in _names])

        def finite(case: Try, reference: Callable[..., Tensor] = reference) -> bool:
            made = reference(**{n: Tensor(a) for n, a in case.arrays.items()}, **case.settings)
            return bool(np.isfinite(made.value).all())

        try:
            with np.errstate(all="ignore"):
                moved = within(cases, finite)
        except (ValueError, TypeError, IndexError):
            continue
        if moved is None:
            continue
        fitting.append((moved, reference, names))
        if forward is None or _runs(forward, moved, names):
            return fitting[-1]
    if fitting:
        return fitting[0]
    raise ValueError("check_backward: which shapes does like take? Give inputs=, arrays in the order of its arguments")


def _runs(forward: Any, cases: list[Try], names: list[str]) -> bool:
    """Whether the student's forward takes most of the geometries: like may take others too."""
    from .asking import called, deadline, quiet

    taken = 0
    for case in cases:
        try:
            with deadline(5.0), quiet():
                called(forward, tuple(names), Call().values(case))
            taken += 1
        except Exception:
            continue
    return 2 * taken > len(cases)


def _redrawn(a: np.ndarray, seed: int) -> np.ndarray:
    """Other numbers of the same shape and scale; whole numbers (labels) in another order."""
    rng = seeded(seed, 3)
    if a.dtype.kind != "f":
        return rng.permutation(a)
    scale = float(np.abs(a).max(initial=0.0)) or 1.0
    positive = bool((a > 0).all())
    return scale * (rng.uniform(0.2, 1, a.shape) if positive else rng.normal(size=a.shape))
