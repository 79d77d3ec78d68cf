"""What is found for wrong gradients, run once more through every geometry."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate
from typing import Any

from ..asking import Answer, ask, quiet
from ..layer import Layer, Try
from .running import Bench, ForwardBench, sources, swapped
from .search import SECONDS, Found, Search
from .sought import Offer, Sought
from .source import Running
from .trees import Edit, put
from .words import in_words

LARGEST = 20_000  # numbers of a geometry at which changes are tried
OFFERS = 6  # that are run through everything


def can_search() -> bool:
    """Whether a change that would run for ever can be stopped."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


def mended(
    layer: Layer,
    cases: list[Try],
    functions: Mapping[str, Any],
    shapes: list[Any],
    sought: Sought,
    seconds: float = SECONDS,
) -> list[Offer]:
    """What makes the wrong gradients right, each with the answers at every geometry.

    A fault of the search itself costs the suggestion, not the verdict (under AUTOCONV_STRICT it raises).
    """
    try:
        return _mended(layer, cases, functions, shapes, sought, seconds)
    except Exception:
        if os.environ.get("AUTOCONV_STRICT") == "1":
            raise
        return []


def _mended(
    layer: Layer, cases: list[Try], functions: Mapping[str, Any], shapes: list[Any], sought: Sought, seconds: float
) -> list[Offer]:
    small = [row for row in sought.rows if sum(a.size for a, _ in row.right.values()) <= LARGEST]
    sought = replace(sought, rows=small)
    if seconds <= 0 or not sought.wrong or not sought.rows or not can_search():
        return []
    end = time.thread_time() + seconds
    source = sources(functions, layer)
    if source is None:
        return []
    made, texts = source
    bench = (ForwardBench if sought.forward else Bench)(layer, cases, functions, sought)
    bench.shapes = shapes
    offers = []
    with quiet():
        silent = [(r.function, code) for r in made if (code := r.compiled()) is not None]
        with swapped(silent):
            asked = lambda both: _answers(layer, cases, functions, shapes, both)
            search = Search(bench, made, end, asked)
            try:
                found = search.run() if search.begun() else []
                bench.reset()
                for gradients, both in combined(found, sought)[:OFFERS]:
                    if answers := _answers(layer, cases, functions, shapes, both):
                        places = [(r.written.number, e.rank, e.at, e.number, r.written.file) for r, e in both]
                        offers.append(Offer(gradients, places, answers, in_words(texts, places)))
            finally:
                bench.reset()
    return offers


def combined(found: list[Found], sought: Sought) -> list[tuple[dict[str, list[int]], tuple[tuple[Running, Edit], ...]]]:
    """What was found for each gradient, all of it together first; then one by one.

    Where an error keeps all gradients from being computed, each needs what removes it besides its own.
    """
    made: list[tuple[dict[str, list[int]], tuple[tuple[Running, Edit], ...]]] = []
    if len(found) > 1 or any(g not in f.gradients for f in found for g in sought.wrong):
        edits = tuple(pair for f in found for pair in f.edits)
        starts = list(accumulate([0, *[len(f.edits) for f in found]]))
        own = [list(range(starts[i], starts[i + 1])) for i in range(len(found))]
        troubled = any(row.troubled for row in sought.rows)
        clearing = [i for f, at in zip(found, own, strict=True) if f.clear and troubled for i in at]
        of = {g: sorted({*at, *clearing}) for f, at in zip(found, own, strict=True) for g in f.gradients}
        of |= {g: clearing for g in sought.wrong if g not in of and clearing}
        made.append((of, edits))
    made += [({g: list(range(len(f.edits))) for g in f.gradients}, f.edits) for f in found]
    return made


def _answers(layer: Layer, cases: list[Try], functions: Any, shapes: Any, both: Any) -> list[Answer]:
    """The functions asked again at every geometry, with the edits made."""
    undo, codes = list[Any](), {}
    try:
        for _, edit in both:
            undo = [*edit.apply()[::-1], *undo]
        for runner, _ in both:
            codes[id(runner)] = (runner.function, runner.compiled())
    finally:
        put(undo)
    if any(code is None for _, code in codes.values()):
        return []
    with swapped(list(codes.values())):
        return ask(layer, cases, functions, 5.0, shapes)
