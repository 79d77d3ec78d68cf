"""Which names a function reads, and which it only writes: counters and logs, on which its result does not depend.

``count += 1``, ``self.calls = self.calls + 1``, ``total[0] += n`` and ``log.append(x)`` load a name only to change what
it stands for.  A recording that is replayed leaves such a change out; a name that is loaded for anything else is read.
"""

from __future__ import annotations

import dis
import re
import types
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

_SHUFFLING = ("COPY", "SWAP", "ROT_TWO", "ROT_THREE", "DUP_TOP", "DUP_TOP_TWO", "PUSH_NULL", "NOP", "CACHE", "PRECALL")
_SIMPLE = ("LOAD_CONST", "LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_SMALL_INT")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR")
_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME")
_NAMED = (*_GLOBALS, "LOAD_DEREF", "LOAD_CLASSDEREF", *_ATTRIBUTES)
_STORES = ("STORE_ATTR", "STORE_GLOBAL", "STORE_NAME", "STORE_DEREF")

_BY_STRING = frozenset(["getattr", "hasattr", "vars", "dir", "__dict__", "attrgetter", "methodcaller", "getmembers"])
_BY_MODULE = frozenset(["modules", "import_module", "__import__", "reload"])

# After the load of a name: its append; a value, an operation, a store of the name; a key, [], a value, an operation, a
# store.
_CHANGE = re.compile("a|vov?n|v\\[vo=")


class Use(NamedTuple):
    """The names in a function and those inside it: ``globals`` it loads, ``attributes`` it loads, modules that it
    ``imports``, all that it ``read``s or only ``written``.

    ``computed``: it looks attributes up by strings, and these may be any; ``by_module``: modules, too.
    """

    globals: tuple[str, ...]
    attributes: frozenset[str]
    imports: frozenset[str]
    read: frozenset[str]
    written: frozenset[str]
    computed: bool
    by_module: bool


@lru_cache(maxsize=4096)
def use(code: types.CodeType) -> Use:
    """How a function's code, and that of the functions inside it, uses names."""
    globals_: dict[str, None] = {}
    attributes: set[str] = set()
    imports: set[str] = set()
    read: set[str] = set()
    written: set[str] = set()
    for inner in _within(code):
        steps = [x for x in dis.get_instructions(inner) if x.opname not in _SHUFFLING]
        for i, step in enumerate(steps):
            if step.opname in _NAMED:
                (written if _changed(steps, i) else read).add(step.argval)
                if step.opname in _ATTRIBUTES:
                    attributes.add(step.argval)
                elif step.opname in _GLOBALS:
                    globals_[step.argval] = None
            elif step.opname == "IMPORT_NAME":
                imports.add(step.argval)
            elif step.opname == "IMPORT_FROM":
                attributes.add(step.argval)
                imports.update([f"{x}.{step.argval}".lstrip(".") for x in imports])
    names = read | written
    return Use(
        tuple(globals_),
        frozenset(attributes),
        frozenset(imports),
        frozenset(read),
        frozenset(written),
        not _BY_STRING.isdisjoint(names),
        not _BY_MODULE.isdisjoint(names),
    )


def only_written(codes: Iterable[types.CodeType]) -> set[str]:
    """The names that all these functions load only to write them."""
    uses = [use(code) for code in codes]
    return set().union(*[x.written for x in uses]) - set().union(*[x.read for x in uses])


def _within(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _within(inner)


def _changed(steps: list[dis.Instruction], i: int) -> bool:
    """Whether what instruction i loads is only added to: as a number, as an element, or as a list."""
    return bool(_CHANGE.match("".join([_letter(x, steps[i].argval) for x in steps[i + 1 : i + 7]])))


def _letter(step: dis.Instruction, name: str) -> str:
    if step.opname in _SIMPLE:
        return "v"
    if step.opname == "BINARY_SUBSCR" or step.argrepr == "[]":
        return "["
    if step.opname.startswith(("BINARY_", "INPLACE_")):
        return "o"
    if step.opname == "STORE_SUBSCR":
        return "="
    if step.opname in _STORES and step.argval == name:
        return "n"
    return "a" if step.opname in ("LOAD_ATTR", "LOAD_METHOD") and step.argval == "append" else " "
