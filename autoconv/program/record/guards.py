"""What a function reads besides its arguments: a recording holds only while that stays as it was.

Closed-over Tensors are inputs, read anew at each run.  Everything else a function can reach (reach.py: settings, flags
such as ``training``, plain arrays such as running means) is written into the recording; ``Guards`` remembers it and
says whether it is still the same.  What the function only writes (effects.py) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import getitem, is_
from typing import Any

from .reach import MISSING, NOTE, PLAIN, Reach, numbers, parts_of


class Guards:
    """The state that ``roots`` (a function and its static arguments) can reach, and whether it is unchanged.

    ``before``: those of the same roots a moment ago, which says what to look for.
    """

    def __init__(self, *roots: Any, before: Guards | None = None) -> None:
        self._reach: Reach = Reach(*roots, before=None if before is None else before._reach)
        self._counts: list[int] = []  # of attributes, when they were found right
        self._group()

    @property
    def generators(self) -> list[Any]:
        """The random generators that the function can reach."""
        return self._reach.generators

    @property
    def visited(self) -> int:
        """How many objects were looked at."""
        return self._reach.visited

    def _group(self) -> None:
        """The noted attributes and the numbers of them side by side, to be compared in one go."""
        named = self._reach.named
        self._places = [place for place, _, _ in named]
        self._names = [name for _, name, _ in named]
        self._values = [value for _, _, value in named]
        self._holders = [holder for holder, _ in self._reach.counts]

    def release(self, owned: Callable[[Mapping[str, Any], str, Any], bool]) -> None:
        """Stop watching the attributes (where, name, noted value) for which ``owned`` is true."""
        self._reach.release(owned)
        self._group()

    def settle(self) -> None:
        """Stop watching the attributes that have just been given another value (by an observer, whose own they are)."""
        self.release(lambda place, name, value: not _same(place.get(name, MISSING), value))

    def unfit(self) -> str | None:
        """Why what the function reads forbids a replay, if these guards are from before it was called."""
        if self._reach.unwatched:
            return self._reach.unwatched
        if self._reach.iterators:
            return f"it reads {self._reach.iterators[0]!r}, which gives something else at each call"
        changed = self.changed()
        return changed and f"it changes {changed} while it runs, and may depend on it"

    def hold(self) -> bool:
        """Whether everything noted is still there and equal."""
        return self.changed() is None

    def changed(self) -> str | None:
        """The first thing that is not what it was, in words."""
        reach = self._reach
        try:
            identical = all(map(is_, map(getitem, self._places, self._names), self._values))
        except KeyError:
            identical = False
        if not identical:
            for place, name, value in reach.named:
                if not _same(place.get(name, MISSING), value):
                    return repr(name)
        for cell, name, value in reach.cells:
            if not _same(cell.cell_contents, value):
                return repr(name)
        for holder, parts in reach.sizes:
            if len(now := parts_of(holder)) != len(parts):
                return f"the length of a {type(holder).__name__}"
            if not all(map(is_, now, parts)) and not all(map(_same, now, parts)):
                return f"what is in a {type(holder).__name__}"
        if self._holders and (counts := list(map(len, self._holders))) != self._counts:
            if [n for n, count in reach.counts if len(n) - (NOTE in n) != count]:
                return "which attributes there are"
            self._counts = counts
        if reach.arrays and any(numbers(x) != before for x, before in reach.arrays):
            return "the numbers in a plain array"
        return self._changed_elsewhere()

    def _changed_elsewhere(self) -> str | None:
        """The same for what is rarely there."""
        reach = self._reach
        for x, name, value in reach.fields:
            if not _same(getattr(x, name, MISSING), value):
                return repr(name)
        for variable, value in reach.variables:
            if not _same(variable.get(MISSING), value):
                return repr(variable.name)
        for reference, dead in reach.weak:
            if (reference() is None) != dead:
                return "what a weak reference stands for"
        for buffer, before in reach.buffers:
            if _bytes(buffer) != before:
                return f"the bytes in a {type(buffer).__name__}"
        return None


def _bytes(buffer: Any) -> bytes | None:
    try:
        return bytes(memoryview(buffer))
    except ValueError:  # it has been released
        return None


def _same(a: Any, b: Any) -> bool:
    """Whether a is b, or an equal plain value of the same type, or a tuple of such."""
    if a is b or type(a) is not type(b):
        return a is b
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return isinstance(a, PLAIN) and (a == b or (a != a and b != b))
