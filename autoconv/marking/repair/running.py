"""The functions run again, with other codes for the time of one call; and which of them may be."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..asking import array, backward, forward, named, upstream
from ..layer import Layer, Try
from ..verdict import FORWARD
from .depends import giving, statements_of
from .sought import Row, Sought
from .source import EFFECTS, Running, functions_of, names_in, plain, reached, running, text_of
from .words import quieted

HERE = Path(__file__).parents[2]  # the package


@contextmanager
def swapped(functions: list[tuple[Any, Any]]) -> Iterator[None]:
    """[(function, code)]: the functions with other codes, for as long as this lasts."""
    before = [(f, f.__code__) for f, _ in functions]
    try:
        for f, code in functions:
            f.__code__ = code
        yield
    finally:
        for f, code in before:
            f.__code__ = code


class Bench:
    """The functions at the geometries of a search, their forward run once: a backward is run with each change."""

    def __init__(self, layer: Layer, cases: list[Try], functions: Mapping[str, Any], sought: Sought) -> None:
        self.layer, self.functions, self.sought = layer, functions, sought
        self.cases = cases
        self._kept: dict[int, Any] = {}
        given = [getattr(f, "__self__", None) for f in functions.values() if f is not None]
        self._owners = list({id(o): o for o in given if hasattr(o, "__dict__") and not isinstance(o, type)}.values())
        self._begun = [dict(vars(o)) for o in self._owners]

    def reset(self) -> None:
        """The objects whose methods these are remember what they did before the search."""
        self._remember(self._begun)

    def _remember(self, states: list[dict[str, Any]]) -> None:
        for owner, state in zip(self._owners, states, strict=True):
            vars(owner).clear()
            vars(owner).update(state)

    def gradients(self, row: Row, anew: bool = False) -> dict[str, np.ndarray | None]:
        """What backward gives at a geometry, from fresh copies of what it is given; anew: the forward is run for it,
        which must give what it gave before."""
        layer, case = self.layer, self.cases[row.number]
        values = layer.call.values(case)
        if layer.loss:
            made = self.functions["backward"](*[values[name] for name in layer.call.forward])
            return named(tuple(made[1:]) if len(made) > 2 else made[1], layer.outputs, [])
        if self.functions.get("forward") is not None:
            out, cache = self._anew(row, values) if anew else self._forward(row, values)
            values |= {"out": out, "cache": cache}
        else:
            kept = tuple(values[name] for name in layer.call.cached)
            values["cache"] = kept[0] if len(kept) == 1 else kept
            out = None
        shape = next(iter(self._shape(row, out)))
        values["dout"] = upstream(row.number, shape)
        return named(backward(layer.call, self.functions, values), layer.outputs, [])

    def _forward(self, row: Row, values: dict[str, Any]) -> Any:
        """Output and cache, of which copies are kept; with them what the objects remember whose methods these are."""
        kept = self._kept.get(row.number)
        try:
            if kept is None:
                made = forward(self.layer.call, self.functions, values)
                kept = self._kept[row.number] = copy.deepcopy((made, [vars(o) for o in self._owners]))
            made, held = copy.deepcopy(kept)
        except Exception:
            self._kept[row.number] = None
            return forward(self.layer.call, self.functions, values)
        self._remember(held)
        return made

    def _anew(self, row: Row, values: dict[str, Any]) -> Any:
        made = forward(self.layer.call, self.functions, values)
        kept = self._kept.get(row.number)
        if kept is not None and not np.array_equal(made[0], kept[0][0], equal_nan=True):
            raise ValueError("another output")
        return made

    def _shape(self, row: Row, out: Any) -> Iterator[tuple[int, ...]]:
        if out is not None:
            yield array(out, "forward returns", []).shape
        yield self.shapes[row.number]

    shapes: list[tuple[int, ...]] = []  # noqa: RUF012 (replaced, never changed)

    def suspect(self, node: Any, wrong: list[str], right: list[str]) -> list[set[int]] | None:
        """Ids of the statements of a backward, the most suspect first (``statements_of``)."""
        return statements_of(node, list(self.layer.outputs), wrong, right)


class ForwardBench(Bench):
    """The output of the forward at the geometries of a search; of a loss the gradients too."""

    def gradients(self, row: Row, anew: bool = False) -> dict[str, np.ndarray | None]:
        """The output under the name FORWARD."""
        values = self.layer.call.values(self.cases[row.number])
        if self.layer.loss:
            out, *rest = self.functions["backward"](*[values[name] for name in self.layer.call.forward])
            more = named(tuple(rest) if len(rest) > 1 else rest[0], self.layer.outputs, [])
        else:
            self.reset()
            out, more = forward(self.layer.call, self.functions, values)[0], {}
        made, wanted = array(out, "forward returns", []), row.right[FORWARD][0]
        return more | {FORWARD: made.reshape(wanted.shape) if made.size == wanted.size == 1 else made}

    def suspect(self, node: Any, wrong: list[str], right: list[str]) -> list[set[int]] | None:
        """The same of a forward."""
        if self.layer.loss:
            return statements_of(node, [FORWARD, *self.layer.outputs], wrong, right)
        return giving(node)


def sources(functions: Mapping[str, Any], layer: Layer) -> tuple[list[Running], dict[str, str]] | None:
    """(the functions that may be changed, the texts of their files: by name, "" for that of the backward); None where
    there are none.

    Nothing is changed in functions that reach outside of themselves.
    """
    starts = [f for f in (functions.get("backward"), functions.get("forward")) if f is not None]
    main = next((f for f in starts if isinstance(f, type)), None) or plain(starts[0])
    if main is None:
        return None
    members = [f for f in map(plain, vars(main).values()) if f is not None] if isinstance(main, type) else [main]
    if not members:
        return None
    if Path(members[0].__code__.co_filename).is_relative_to(HERE):
        return None  # what calls a custom operation for somebody is no source of theirs
    main_file = members[0].__code__.co_filename
    texts = {"": text_of(members[0])}
    files = {main_file: functions_of(texts[""])}
    if not files[main_file]:
        return None
    starts += [type(f.__self__) for f in starts if hasattr(f, "__self__")]  # what a method calls stands in its class
    found = reached(starts, main_file)
    if any(EFFECTS & set(names_in(f.__code__)) or _swallows(f) for f in found):
        return None
    for f in found:
        if (path := f.__code__.co_filename) not in files and not Path(path).is_relative_to(HERE):
            texts[Path(path).name] = text_of(f)
            files[path] = functions_of(texts[Path(path).name], Path(path).name)
    made = [r for f in found if (r := running(f, files.get(f.__code__.co_filename, []))) is not None]
    made = [r for r in made if not any(isinstance(n, (ast.Import, ast.ImportFrom)) for n in ast.walk(r.written.node))]
    for r in made:
        quieted(r.written)
    return (made, texts) if made else None


def _swallows(function: Any) -> bool:
    """Whether it may catch the end of its time."""
    return bool({"BaseException", "TimeUp", "Thread", "fork"} & set(names_in(function.__code__)))
