"""A student's functions, called at every geometry: what they give, and what goes wrong on the way.

Nothing is judged here, and nothing is trusted: what comes back is plain arrays and words, so that it can also be
done in another process (``apart``).
"""

from __future__ import annotations

import _weakrefset
import inspect
import linecache
import sys
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from .layer import Call, Layer, Try, plain, seeded

LARGEST = 4_000_000  # elements of one returned array
AGAIN = 1.0  # seconds after which an alarm comes again
_DEEP = 6  # levels of lists and dicts in which arrays of a cache are looked for


class TimeUp(BaseException):
    """Raised inside the student's function when its time is over; no ``except Exception`` there catches it."""


@dataclass
class Answer:
    """What the functions gave at one geometry.

    out: what forward returned, or None.  gradients: by name; None for one that is missing.  trouble: (where, kind,
    words): "forward" or "backward"; "raises", "returns None", "wrong kind of result", "too slow", "not reached".
    damage: what was changed that belongs to others, (kind, words); notes: what is only worth knowing.
    """

    out: np.ndarray | None = None
    gradients: dict[str, np.ndarray | None] = field(default_factory=dict)
    trouble: tuple[str, str, str] | None = None
    damage: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class TroubleError(Exception):
    """A result that cannot be used: ``kind`` and words."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind


def upstream(index: int, shape: tuple[int, ...]) -> np.ndarray:
    """The gradient that arrives from above at geometry number ``index``: the same in every process."""
    return seeded(index, 7).normal(size=shape)


def ask(
    layer: Layer,
    cases: list[Try],
    functions: Mapping[str, Any],
    limit: float,
    shapes: list[Any],
    relieve: Callable[[], None] = lambda: None,
) -> list[Answer]:
    """The answers of ``functions`` ({"forward", "backward"}; a forward may be missing) at each geometry.

    limit: seconds for all of them.  shapes: of the output at each geometry, for a backward without its forward.
    relieve: called before anything is said of an error: the functions may have taken all the memory there was.
    """
    end, answers = time.monotonic() + limit, []
    for index, case in enumerate(cases):
        answer = Answer()
        left = end - time.monotonic()
        if left <= 0:
            answer.trouble = ("backward", "not reached", "no time was left")
        else:
            try:
                with deadline(left), quiet():
                    given = lambda shape, i=index: upstream(i, shape)
                    _one(layer, case, functions, answer, given, shapes[index], relieve)
            except TimeUp:  # while an error was put into words
                answer.trouble = answer.trouble or ("backward", "too slow", f"it was stopped after {limit:.1f} s")
        answers.append(answer)
    return answers


def _one(
    layer: Layer,
    case: Try,
    functions: Mapping[str, Any],
    answer: Answer,
    dout: Callable[..., Any],
    shape: Any,
    relieve: Callable[[], None],
) -> None:
    """Fill in one answer; whatever the functions do, this returns."""
    where = "forward" if functions.get("forward") is not None else "backward"
    started = time.monotonic()
    try:
        if layer.loss:
            where = "backward"
            _loss(layer, case, functions, answer)
            return
        values = layer.call.values(case)
        before = {k: v.copy() for k, v in values.items() if isinstance(v, np.ndarray)}
        if functions.get("forward") is not None:
            out, cache = forward(layer.call, functions, values)
            answer.out = array(out, "forward returns", answer.notes)
            shape = answer.out.shape
            _compare(before, values, "forward", answer)
            values |= {"out": out, "cache": cache}
        else:
            values["cache"] = _given_cache(layer, values)
        where = "backward"
        values["dout"] = sent = dout(shape)
        kept = list(_arrays(values["cache"]))
        snapshot = [a.copy() for a in kept]
        made = backward(layer.call, functions, values)
        answer.gradients = named(made, layer.outputs, answer.notes)
        _compare(before, values, "backward", answer)
        if any(not _same(a, b) for a, b in zip(kept, snapshot, strict=True)) and not answer.damage:
            answer.notes.append("backward changes what is in the cache")
        if not _same(sent, dout(shape)):
            answer.notes.append("backward changes dout, which belongs to whoever sent it")
        _views(made, layer, values, kept, answer)
        _again(layer, functions, values, dout(shape), answer)
    except (Exception, TimeUp, SystemExit) as error:
        relieve()
        spent = time.monotonic() - started
        answer.trouble = (where, *_trouble(error, where, spent))
        traceback.clear_frames(error.__traceback__)  # what the function held is free for the next geometry


def _trouble(error: BaseException, where: str, spent: float) -> tuple[str, str]:
    """(kind, words) of what ended a function."""
    if isinstance(error, TimeUp):
        return "too slow", f"{where} was stopped after {spent:.1f} s"
    if isinstance(error, TroubleError):
        return error.kind, str(error)
    if isinstance(error, SystemExit):
        return "raises", f"{where} ends the program (SystemExit: {error})"
    if isinstance(error, RecursionError):
        return "raises", f"{where} calls itself without end (RecursionError)"
    return "raises", f"{where} raises {told(error)}"


def forward(call: Call, functions: Mapping[str, Any], values: dict[str, Any]) -> tuple[Any, Any]:
    """(output, cache) of the student's forward."""
    values = _as_torch(values) if call.torch else values
    if call.ahead and call.alone(functions):
        made, cache = call.ahead(functions, values)
        return made, cache
    made = called(functions["forward"], call.forward, values)
    if call.result == ("out",):
        return made, None
    if made is None:
        raise TroubleError("returns None", "forward returns None")
    if not isinstance(made, (tuple, list)) or len(made) < 2:
        if call.cached and not isinstance(made, (tuple, list)):  # only the output: the cache is the course's
            return made, tuple(values[name] for name in call.cached)
        raise TroubleError(
            "wrong kind of result", f"forward returns {_kind(made)}, where ({', '.join(call.result)}) belongs"
        )
    return (made[0], made[1]) if len(made) == 2 else (made[0], tuple(made[1:]))


def backward(call: Call, functions: Mapping[str, Any], values: dict[str, Any]) -> Any:
    """What the student's backward returns."""
    values = _as_torch(values) if call.torch else values
    if call.back and call.alone(functions):
        return call.back(functions, values)
    arrives = {name: values["dout"] for name in ("dZ", "dA") if name not in values}  # as courses call it
    return called(functions["backward"], call.backward, arrives | values)


def called(function: Any, names: tuple[str, ...], values: Mapping[str, Any]) -> Any:
    """What a function returns for the values of these names: in their order; by name where it takes no other."""
    given = [values[name] for name in names]
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return function(*given)
    only = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    if len(only) < len(parameters) or len(only) < len(names):
        return function(*given)
    return function(**dict(zip(names if {*names} <= {*only} else only, given, strict=False)))


def named(made: Any, outputs: Mapping[str, str], notes: list[str]) -> dict[str, np.ndarray | None]:
    """The gradients by name, from a tuple in the course's order, a dict, or a single array."""
    names = list(outputs)
    if made is None:
        raise TroubleError("returns None", "backward returns None")
    if isinstance(made, (tuple, list)) and len(made) == len(names) == 1 and hasattr(made[0], "shape"):
        made = made[0]
    if isinstance(made, Mapping):
        found = {}
        for name in names:
            spellings = (name, outputs[name], f"d{outputs[name]}", f"grad_{outputs[name]}")
            found[name] = next((made[k] for k in spellings if k in made), None)
        if all(v is None for v in found.values()):
            keys = ", ".join(map(str, list(made)[:6]))
            raise TroubleError(
                "wrong kind of result", f"backward returns a dict of {keys}; the names are {', '.join(names)}"
            )
    elif isinstance(made, (tuple, list)) and not (len(names) == 1 and _numeric(made)):
        if len(made) != len(names):
            raise TroubleError(
                "wrong kind of result", f"backward returns {len(made)} results, where {', '.join(names)} belong"
            )
        found = dict(zip(names, made, strict=True))
    elif len(names) == 1:
        found = {names[0]: made}
    else:
        raise TroubleError("wrong kind of result", f"backward returns {_kind(made)}, where {', '.join(names)} belong")
    return {k: None if v is None else array(v, f"{k} is", notes) for k, v in found.items()}


def array(value: Any, what: str, notes: list[str]) -> np.ndarray:
    """A plain copy of what a function returned, of bounded size; torch's tensors too."""
    if value is None:
        raise TroubleError("returns None", f"{what} None")
    if callable(getattr(value, "detach", None)):
        value = value.detach().cpu()
        value = value.numpy()
    if type(value).__module__.split(".")[0] == "autoconv":
        value = value.value
    value = plain(value)
    try:
        made = np.asarray(value)
    except ValueError:
        raise TroubleError("wrong kind of result", f"{what} a list of rows that differ in length") from None
    if made.dtype.kind == "c":
        if made.size and np.abs(made.imag).max() > 1e-9 * max(1.0, float(np.abs(made.real).max())):
            raise TroubleError("wrong kind of result", f"{what} complex")
        made = made.real
    if made.dtype.kind not in "fiub":
        raise TroubleError("wrong kind of result", f"{what} {_kind(value)}, no array of numbers")
    if made.size > LARGEST:
        raise TroubleError("wrong shape", f"{what} of shape {made.shape}")
    return np.array(made, dtype=made.dtype if made.dtype in (np.float32, np.float16) else float)


def differences(layer: Layer, case: Try, functions: Mapping[str, Any], dout: np.ndarray, limit: float) -> Any:
    """The gradient of the student's own forward by central differences, {input: array}; None where it cannot be had."""
    if functions.get("forward") is None or layer.loss:
        return None
    made: dict[str, np.ndarray] = {}
    try:
        with deadline(limit), quiet():
            for gradient, name in layer.outputs.items():
                base, total = case.arrays[name], np.zeros(case.arrays[name].shape)
                for at in np.ndindex(base.shape):
                    step = 1e-5 * max(1.0, abs(float(base[at])))
                    sides = []
                    for sign in (1, -1):
                        values = layer.call.values(case)
                        values[name][at] += sign * step
                        sides.append(
                            np.vdot(array(forward(layer.call, functions, values)[0], "forward returns", []), dout)
                        )
                    total[at] = (sides[0] - sides[1]) / (2 * step)
                made[gradient] = total
    except (Exception, TimeUp, SystemExit):
        return None
    return made


@contextmanager
def deadline(seconds: float, processor: bool = False) -> Iterator[None]:
    """Stop what runs after ``seconds``, by an alarm of the operating system; with ``processor`` they are seconds of
    processor time, which another process that is busy does not use up.

    Alarms reach Python's main thread only, and not on Windows; elsewhere time is looked at between two geometries.
    They come again as long as what ran goes on.
    """
    import signal

    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    timer, alarm = (signal.ITIMER_VIRTUAL, signal.SIGVTALRM) if processor else (signal.ITIMER_REAL, signal.SIGALRM)

    traced = sys.gettrace()
    waiting: list[FrameType] = []

    def late(*_: Any) -> None:
        sys.settrace(traced)
        raise TimeUp

    def over(_: int, frame: FrameType | None) -> None:
        outside = _interrupted(frame)
        if outside is None or waiting:
            raise TimeUp  # in a finaliser that does not end either, it ends that
        waiting.append(outside)
        outside.f_trace = late  # at the next line of what the finaliser or callback has interrupted
        sys.settrace(lambda *_: None)

    before = signal.signal(alarm, over)
    signal.setitimer(timer, max(seconds, 1e-3), AGAIN)
    try:
        yield
    finally:
        signal.setitimer(timer, 0)
        signal.signal(alarm, before)
        if waiting:
            waiting.clear()
            sys.settrace(traced)


def _interrupted(frame: FrameType | None) -> FrameType | None:
    """What a finaliser or a callback has interrupted, where an exception in it would be printed and forgotten; None
    where there is none."""
    found = None
    while frame is not None:
        name = frame.f_code.co_filename
        if frame.f_code.co_name == "__del__" or name in (_weakrefset.__file__, weakref.__file__):
            found = frame.f_back
        frame = frame.f_back
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of somebody else's arithmetic."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def told(error: BaseException) -> str:
    """An exception with the line of the student's file in which it arose."""
    trace, line = error.__traceback__, ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        own = (
            "site-packages" not in name and "autoconv" not in Path(name).parts[-4:-1] and not name.startswith("<frozen")
        )
        if own and Path(name).parent != Path(__file__).parent:
            text = linecache.getline(name, trace.tb_lineno).strip()[:100]
            line = f" (line {trace.tb_lineno} of {Path(name).name}{f': {text}' if text else ''})"
        trace = trace.tb_next
    words = " ".join(str(error).split())[:200]
    words += WHOLE if isinstance(error, TypeError) and any(sign in words for sign in NOT_WHOLE) else ""
    return f"{type(error).__name__}: {words}{line}" if words else f"{type(error).__name__}{line}"


NOT_WHOLE = ("'float' object cannot be interpreted as an integer", "slice indices must be integers")
WHOLE = "; a length or an index must be whole: a // b, where a / b is a float"


# ---- what else is looked at


def _loss(layer: Layer, case: Try, functions: Mapping[str, Any], answer: Answer) -> None:
    values = layer.call.values(case)
    before = {k: v.copy() for k, v in values.items() if isinstance(v, np.ndarray)}
    made = functions["backward"](*[values[name] for name in layer.call.forward])
    if not isinstance(made, (tuple, list)) or len(made) < 2:
        names = ", ".join(["loss", *layer.outputs])
        raise TroubleError("wrong kind of result", f"it returns {_kind(made)}, where ({names}) belongs")
    answer.out = array(made[0], "the loss is", answer.notes)
    answer.gradients = named(tuple(made[1:]) if len(made) > 2 else made[1], layer.outputs, answer.notes)
    _compare(before, values, "it", answer)


def _given_cache(layer: Layer, values: dict[str, Any]) -> Any:
    """The course's own cache, for a backward that was given alone."""
    call = layer.call
    if "cache" not in call.backward:
        return None
    if not call.cached:
        raise TroubleError(
            "wrong kind of result", "the cache is made by your own forward: give it as well, forward=..."
        )
    kept = tuple(values[name] for name in call.cached)
    return kept[0] if len(kept) == 1 else kept


def _compare(before: Mapping[str, np.ndarray], values: Mapping[str, Any], who: str, answer: Answer) -> None:
    for name, old in before.items():
        if not _same(values[name], old) and not any(f" {name}" in words for _, words in answer.damage):
            answer.damage.append(("changes its inputs", f"{who} changes {name} in place"))


def _same(a: Any, b: np.ndarray) -> bool:
    return isinstance(a, np.ndarray) and a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")


def _arrays(value: Any, depth: int = 0) -> Iterator[np.ndarray]:
    """The arrays in a cache."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "fiub":
            yield value
    elif depth < _DEEP and isinstance(value, Mapping):
        for inner in list(value.values()):
            yield from _arrays(inner, depth + 1)
    elif depth < _DEEP and isinstance(value, (tuple, list)) and len(value) < 1000:
        for inner in value:
            yield from _arrays(inner, depth + 1)


def _views(made: Any, layer: Layer, values: Mapping[str, Any], kept: list[np.ndarray], answer: Answer) -> None:
    results = [made] if not isinstance(made, (tuple, list)) else list(made)
    for name, result in zip(layer.outputs, results, strict=False):
        if not isinstance(result, np.ndarray):
            continue
        if any(np.may_share_memory(result, a) for a in kept):
            answer.notes.append(f"{name} is a view of the cache: whoever changes {name} changes the cache")
        elif np.may_share_memory(result, values["dout"]):
            answer.notes.append(f"{name} is dout itself, or a view of it")


def _again(
    layer: Layer, functions: Mapping[str, Any], values: dict[str, Any], dout: np.ndarray, answer: Answer
) -> None:
    """Backward a second time, from the same cache: it must give the same."""
    kept = list(_arrays(values.get("cache")))
    before = [a.copy() for a in kept]
    try:
        again = named(backward(layer.call, functions, values | {"dout": dout}), layer.outputs, [])
    except Exception:
        answer.notes.append("a second backward from the same cache raises an error")
        return
    for name, first in answer.gradients.items():
        second = again[name]
        if first is None or second is None or first.shape != second.shape:
            continue
        if np.isfinite(first).all() and not np.allclose(first, second, rtol=1e-6, atol=1e-9):
            twice = np.allclose(2 * first, second, rtol=1e-6, atol=1e-9)
            words = f"a second backward from the same cache gives another {name}"
            kind = "changes its cache"
            if kept and not twice and all(_same(a, b) for a, b in zip(kept, before, strict=True)):
                kind, words = "gives other numbers each time", words + ", although nothing in it has changed"
            answer.damage.append((kind, words + (": twice the first" if twice else "")))
            return


def _as_torch(values: dict[str, Any]) -> dict[str, Any]:
    torch: Any = import_module("torch")
    return {k: torch.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for k, v in values.items()}


def _numeric(made: Any) -> bool:
    with suppress(Exception):
        return np.asarray(made).dtype.kind in "fiub" and np.ndim(made) > 1
    return False


def _kind(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"one {type(value).__name__}"
