"""Who asks for a Tensor's numbers: a call that names it, or a conversion on the way to something else.

``np.asarray(y)`` and ``float(loss)`` ask for numbers in so many words.  ``np.array([a, b])``, ``out[i] = y`` and
``math.exp(y)`` want to compute with them, and Python calls the same ``__array__`` and ``__float__`` for all of these.
What tells them apart is the instruction at which the caller stands: the call of a known function, whose argument is the
Tensor itself.  Where that cannot be seen (a library's loop, a list, an assignment), nobody has asked.
"""

from __future__ import annotations

import builtins
import dis
import functools
import math
import types
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

import numpy as np

ARRAYS = (np.asarray, np.array, np.asanyarray, np.ascontiguousarray, np.asfortranarray)
NUMBERS = (float, int, complex, round)
QUESTIONS = (math.isclose, math.isfinite, math.isinf, math.isnan)  # whose answer is yes or no
READERS = ("numpy.testing", "_pytest", "matplotlib")  # they compare and draw; nobody differentiates what they make
_INSTALLED = ("site-packages", "dist-packages")

_LOADS = (
    "LOAD_GLOBAL", "LOAD_NAME", "LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_DEREF", "LOAD_CLASSDEREF",
)  # fmt: skip
_MEMBERS = ("LOAD_ATTR", "LOAD_METHOD")
_CONSTANTS = ("LOAD_CONST", "LOAD_SMALL_INT")
_KEYS = (
    "BUILD_SLICE", "BUILD_TUPLE", "BUILD_LIST", "LIST_EXTEND", "LOAD_FAST_LOAD_FAST", "UNARY_NEGATIVE", "BINARY_OP",
    "BINARY_ADD", "BINARY_SUBTRACT",
)  # fmt: skip
_LISTS = ("BUILD_LIST", "BUILD_TUPLE", "LIST_EXTEND", "LIST_APPEND", "GET_ITER")
_MAKERS = (("list",), ("tuple",), ("sorted",))
_IDLE = ("CACHE", "PRECALL", "KW_NAMES", "PUSH_NULL", "EXTENDED_ARG", "NOP", "COPY_FREE_VARS")

Path = tuple[str, ...]


class Site(NamedTuple):
    """What can be seen of the instruction at which a caller stands; nothing of the kind where a field is empty.

    ``function``: the names of what it calls, as in ("np", "asarray"); ``variable``: the name that is its first
    argument; ``listed``: that argument is a list or a tuple; ``others``: the functions and values that its arguments
    name; ``text``: it fills a number into a text, as in "%.3f" % y; ``unknown``: the code does not say where its
    expressions stand (``-X no_debug_ranges``), and the caller is believed; ``compared``: its result is compared at
    once, and nothing is computed with it; ``changed``: it loads an attribute to change it in place.
    """

    function: Path = ()
    variable: str = ""
    listed: bool = False
    others: tuple[Path, ...] = ()
    text: bool = False
    unknown: bool = False
    compared: bool = False
    changed: bool = False


class HeldValue(np.ndarray):
    """The value of an input or parameter in the hand of someone who changes it in place: it says what to do instead."""

    def _refuse(self, *_: Any) -> NoReturn:
        raise ValueError(
            "the value of a Tensor is read-only, since lines were recorded with it; give the input or parameter a new "
            "one with w.assign(w.value - ...), or write 'with ac.no_grad(): w -= ...'"
        )

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = __imatmul__ = __setitem__ = _refuse
    __ifloordiv__ = __imod__ = __iand__ = __ior__ = __ixor__ = __ilshift__ = __irshift__ = _refuse


def reads(frame: types.FrameType | None) -> bool:
    """Whether ``frame`` is a library that only reads, or NumPy at work for one."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith(READERS):
            return True
        if not name.startswith("numpy."):
            return False
        frame = frame.f_back
    return False


def asks_for_array(x: Any, frame: types.FrameType) -> bool:
    """Whether ``frame`` stands at ``np.asarray(x)`` or its like."""
    site = site_of(frame)
    if site.unknown:
        return True
    if any(place in frame.f_code.co_filename for place in _INSTALLED):
        return False
    if not any(_found(frame, site.function) is f for f in ARRAYS):
        return _calls(frame, site, ARRAYS)
    return not site.listed and (not site.variable or _found(frame, (site.variable,)) is x)


def asks_for_number(frame: types.FrameType) -> bool:
    """Whether ``frame`` stands at ``float(x)``, ``"%.3f" % x`` or their like."""
    site = site_of(frame)
    return site.text or site.unknown or _calls(frame, site, (*NUMBERS, *QUESTIONS))


def asks_to_compare(frame: types.FrameType) -> bool:
    """Whether ``frame`` stands at ``float(x)`` or its like and only compares or shows the number, as in ``if float(x) >
    0``."""
    site = site_of(frame)
    return site.text or (site.compared and asks_for_number(frame)) or _calls(frame, site, QUESTIONS)


def changes_in_place(frame: types.FrameType) -> bool:
    """Whether ``frame`` stands at the ``.value`` of ``w.value -= g`` or ``w.value[i] = g``."""
    return site_of(frame).changed


def _calls(frame: types.FrameType, site: Site, functions: Iterable[Any]) -> bool:
    """Whether one of ``functions`` is called: by itself, or by a builtin that it is given to (``map``, ``key=``)."""
    called = _found(frame, site.function)
    given = [_found(frame, path) for path in site.others] if getattr(called, "__module__", "") == "builtins" else []
    return any(f is x for f in functions for x in (called, *given))


def _found(frame: types.FrameType, path: Path) -> Any:
    """What a name stands for, and attributes of modules (those of other objects might run anything)."""
    if not path:
        return None
    first, *rest = path
    found: Any = None
    for names in (frame.f_locals, frame.f_globals, vars(builtins)):
        if first in names:
            found = names[first]
            break
    for name in rest:
        found = vars(found).get(name) if isinstance(found, types.ModuleType) else None
    return found


_known: dict[tuple[int, int], tuple[types.CodeType, Site]] = {}
_MOST = 4096


def site_of(frame: types.FrameType) -> Site:
    """What is known of the instruction at which ``frame`` stands.

    Kept by the identity of the code, which is held: to compare code goes through all its constants.
    """
    code, at = frame.f_code, frame.f_lasti
    known = _known.get((id(code), at))
    if known is None:
        if len(_known) >= _MOST:
            _known.clear()
        _known[id(code), at] = known = code, _site(code, at)
    return known[1]


@functools.lru_cache(maxsize=32)
def _instructions(code: types.CodeType) -> list[Any]:
    return list(dis.get_instructions(code))


def _site(code: types.CodeType, at: int) -> Site:
    every = _instructions(code)
    here = max([i for i, step in enumerate(every) if step.offset <= at], default=0)  # it may stand in its cache
    if every[here].opname == "PRECALL":  # where Python 3.11 stands once it has called a builtin often
        here += 1
    call = every[here]
    steps, later = [[x for x in part if x.opname not in _IDLE] for part in (every[:here], every[here + 1 :])]
    if call.opname == "BINARY_MODULO" or (call.opname == "BINARY_OP" and call.argrepr == "%"):
        return Site(text=True)
    if call.opname in _MEMBERS:
        return Site(changed=_changed(steps, later))
    if not call.opname.startswith("CALL"):
        return Site()
    positions = getattr(call, "positions", None)  # of expressions, which Python 3.10 does not have
    if positions is not None and positions.col_offset is None:
        return Site(unknown=True)
    if positions is not None:
        inside = _from(steps, _span(call)[0])
        arguments = [step for step in inside[len(_chain(inside)) :] if _span(step) != _span(call)]
        first = _first_argument(arguments)
    else:
        inside = _pushed(steps, (call.arg or 0) + {"CALL_METHOD": 2, "CALL_FUNCTION_KW": 2}.get(call.opname, 1))
        if not _chain(inside) or any("JUMP" in step.opname for step in inside):
            return Site(unknown=True)
        first = arguments = inside[len(_chain(inside)) :]
        for _ in range((call.arg or 0) - 1 + (call.opname == "CALL_FUNCTION_KW")):
            first = first[: len(first) - len(_pushed(first, 1))]
        if len(first) > 1:
            first = first[-2:] if first[-2].opname == "GET_ITER" else first[-1:]
    named = [_chain(arguments[i:]) for i in range(len(arguments))]
    straight = not any("JUMP" in step.opname for step in arguments)
    alone = first[0].argval if len(first) == 1 and straight and first[0].opname in _LOADS else ""
    made = bool(first) and first[-1].opname.startswith("CALL") and named[0] in _MAKERS
    listed = made or any(step.opname in _LISTS for step in first)
    after = [step.opname for step in later[:2]]
    compared = after[:1] == ["COMPARE_OP"] or (after[1:] == ["COMPARE_OP"] and after[0] in (*_LOADS, *_CONSTANTS))
    return Site(_chain(inside), str(alone), listed, tuple(path for path in named if path), compared=compared)


def _changed(before: list[Any], after: list[Any]) -> bool:
    """Whether the attribute loaded between ``before`` and ``after`` is changed in place, or an element of it is."""
    if before and before[-1].opname in ("COPY", "DUP_TOP"):  # w.value -= g
        return True
    pushed = 0  # by the key of w.value[key] = g, or the two ends of a slice; d[key] = w.value pushes d as well
    for step in after:
        if step.opname in ("STORE_SUBSCR", "STORE_SLICE"):
            return pushed == 1 + (step.opname == "STORE_SLICE")
        if step.opname not in (*_LOADS, *_CONSTANTS, *_KEYS):
            return step.opname == "DUP_TOP_TWO" or (step.opname == "COPY" and step.arg == pushed + 1 > 1)
        pushed += dis.stack_effect(step.opcode, step.arg)
    return False


def _chain(steps: list[Any]) -> Path:
    """The names with which ``steps`` begin: a variable, and attributes of it."""
    if not steps or steps[0].opname not in _LOADS:
        return ()
    members = 1
    while members < len(steps) and steps[members].opname in _MEMBERS:
        members += 1
    return tuple(str(step.argval) for step in steps[:members])


def _span(step: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the expression begins and ends for which an instruction stands, by line and column."""
    p = step.positions
    return (p.lineno or 0, p.col_offset or 0), (p.end_lineno or 0, p.end_col_offset or 0)


def _from(steps: list[Any], start: tuple[int, int]) -> list[Any]:
    """The last of the ``steps``, from the load of the name that stands at ``start``."""
    for i in range(len(steps) - 1, -1, -1):
        if steps[i].opname in _LOADS and _span(steps[i])[0] == start:
            return steps[i:]
    return []


def _first_argument(steps: list[Any]) -> list[Any]:
    """The instructions of the first argument's own expression, without those of what stands in it."""
    spans = [_span(step) for step in steps]
    if not spans:
        return []
    start = min(start for start, _ in spans)
    end = max(end for begins, end in spans if begins == start)
    own = [step for step, span in zip(steps, spans, strict=True) if span == (start, end)]
    comprehension = any(isinstance(step.argval, types.CodeType) for step in own)
    return [step for step in steps if step in own or (comprehension and step.opname == "GET_ITER")]


def _pushed(steps: list[Any], wanted: int) -> list[Any]:
    """The last of the ``steps``: those that push so many values to the stack, where nothing jumps."""
    for i in range(len(steps) - 1, -1, -1):
        wanted -= dis.stack_effect(steps[i].opcode, steps[i].arg, jump=False)
        if wanted == 0:
            return steps[i:]
    return []
