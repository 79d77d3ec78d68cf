"""A pickle of plain data, read by an interpreter that knows nothing else: nothing of a file is ever called.

Python's own unpickler calls what a file names.  This one walks through the operations that plain data need, in any
protocol, and builds dicts, lists, tuples, numbers, bytes and text; of all names that a pickle can mention it knows
those in ``Names``, and their "calls" are functions given by who reads the file: of a state_dict, of NumPy arrays.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

MOST_OPERATIONS = 5_000_000

Names = Mapping[str, Any]  # "module name" -> what stands for it: a function of the file's arguments, or plain data
_MARK = object()
_PLAIN = {
    "NONE": lambda arg: None, "NEWTRUE": lambda arg: True, "NEWFALSE": lambda arg: False, "MARK": lambda arg: _MARK,
    "EMPTY_DICT": lambda arg: {}, "EMPTY_LIST": lambda arg: [], "EMPTY_TUPLE": lambda arg: (),
}  # fmt: skip
_NUMBERS_AND_TEXT = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",
    "INT", "LONG", "FLOAT", "STRING", "UNICODE",  # protocol 0
}  # fmt: skip


class UnpicklingError(ValueError):
    """A pickle that is damaged, or holds more than plain data."""


class Built:
    """What a function in ``Names`` may return for an object that the file then gives a state."""

    def built(self, state: Any) -> None:
        """Take the state over; it must not be trusted."""
        raise NotImplementedError


def unpickled(content: bytes, names: Names, persistent: Callable[[Any], Any], refusal: str) -> Any:
    """The data of a pickle; what Python 2 wrote as str is text, byte for byte (latin1).

    names: what stands for a global: callables among them are called with the tuple that the file gives, and must trust
    none of it; persistent: what stands for a persistent id; refusal: what is said of another name, after it.
    Raises UnpicklingError for everything else.
    """
    try:
        with warnings.catch_warnings():  # of escapes in a damaged file's text
            warnings.simplefilter("ignore", DeprecationWarning)
            return _run(content, names, persistent, refusal)
    except UnpicklingError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, MemoryError) as error:
        raise UnpicklingError(f"the pickle is damaged: {error or type(error).__name__}") from None


def _run(content: bytes, names: Names, persistent: Callable[[Any], Any], refusal: str) -> Any:
    stack: list[Any] = []
    memo: dict[Any, Any] = {}

    def after_mark() -> list[Any]:
        at = len(stack) - 1
        while stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise UnpicklingError("the pickle is damaged: a mark is missing")
        items = stack[at + 1 :]
        del stack[at:]
        return items

    for count, (operation, arg, _) in enumerate(pickletools.genops(content)):
        name = operation.name
        if count > MOST_OPERATIONS:
            raise UnpicklingError(f"the pickle has more than {MOST_OPERATIONS:,} operations, which are not read")
        if name in _NUMBERS_AND_TEXT:
            stack.append(arg)
        elif name in _PLAIN:
            stack.append(_PLAIN[name](arg))
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[arg])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[arg] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name == "GLOBAL":
            stack.append(_known(names, arg, refusal))
        elif name == "STACK_GLOBAL":
            second, first = stack.pop(), stack.pop()
            stack.append(_known(names, f"{first} {second}", refusal))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            if not callable(function) or not isinstance(arguments, tuple):
                raise UnpicklingError("the pickle calls something that is no function")
            stack.append(function(*arguments))
        elif name == "BINPERSID":
            stack.append(persistent(stack.pop()))
        elif name == "BUILD":  # attributes of an OrderedDict, such as a state_dict's _metadata: they are left out
            state = stack.pop()
            if isinstance(stack[-1], Built):
                stack[-1].built(state)
            elif not isinstance(stack[-1], dict):
                raise UnpicklingError("the pickle sets attributes of an object")
        elif name == "APPEND":
            item = stack.pop()
            _of(stack, list).append(item)
        elif name == "APPENDS":
            items = after_mark()
            _of(stack, list).extend(items)
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _of(stack, dict)[key] = value
        elif name == "SETITEMS":
            items = after_mark()
            _of(stack, dict).update(zip(items[::2], items[1::2], strict=True))
        elif name in ("TUPLE", "LIST"):
            items = after_mark()
            stack.append(tuple(items) if name == "TUPLE" else items)
        elif name == "DICT":
            items = after_mark()
            stack.append(dict(zip(items[::2], items[1::2], strict=True)))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            n = int(name[-1])
            if len(stack) < n:
                raise UnpicklingError("the pickle is damaged: a value is missing")
            stack[-n:] = [tuple(stack[-n:])]
        elif name == "STOP":
            if len(stack) != 1:
                raise UnpicklingError("the pickle is damaged: it ends with something left over")
            return stack[0]
        elif name not in ("PROTO", "FRAME"):
            raise UnpicklingError(f"the pickle uses {name}, which plain data never needs")
    raise UnpicklingError("the pickle is damaged: it does not end")


def _of(stack: list[Any], kind: type) -> Any:
    if not isinstance(stack[-1], kind):
        raise UnpicklingError(f"the pickle is damaged: a {kind.__name__} is missing")
    return stack[-1]


def _known(names: Names, name: Any, refusal: str) -> Any:
    if name not in names:
        raise UnpicklingError(f"it holds {name.replace(' ', '.')}, {refusal}")
    return names[name]
