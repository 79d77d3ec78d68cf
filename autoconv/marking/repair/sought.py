"""What a search for a change of the source is asked for, and what it offers; plain data for another process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..asking import Answer
from ..truth import close
from ..verdict import FORWARD, Fix

Place = tuple[int, int, int, int, str]
"""Number of the function in its file; rank, place and number of the edit; name of the file, "" for the one judged."""


class Row(NamedTuple):
    """One geometry: its number, {gradient: (the right numbers, the size of their terms)}, and whether the functions
    gave no numbers there."""

    number: int
    right: dict[str, tuple[np.ndarray, float]]
    troubled: bool = False


@dataclass
class Sought:
    """What is asked for.

    wrong, right: names of gradients, or FORWARD alone for its output; rows: geometries without a kink, at which to
    search, in the order in which they tell most for least; relative: how exactly the right numbers are known; known:
    those of the wrong ones whose mistake has a name already, for which one edit is enough to look for.
    """

    wrong: list[str]
    right: list[str]
    rows: list[Row]
    relative: float = 1e-6
    known: tuple[str, ...] = ()

    @property
    def forward(self) -> bool:
        """Whether it is the forward that is wrong."""
        return self.wrong == [FORWARD]

    def plain(self) -> dict[str, Any]:
        """As plain data, for another process."""
        numbers = lambda pair: [list(pair[0].shape), pair[0].ravel().tolist(), pair[1]]
        rows = [[r.number, {g: numbers(pair) for g, pair in r.right.items()}, r.troubled] for r in self.rows]
        return {"wrong": self.wrong, "right": self.right, "rows": rows, "relative": self.relative, "known": self.known}

    @classmethod
    def read(cls, data: dict[str, Any]) -> Sought:
        """The reverse of ``plain``."""
        made = lambda shape, values, size: (np.array(values, dtype=float).reshape(shape), size)
        rows = [Row(i, {g: made(*numbers) for g, numbers in right.items()}, bad) for i, right, bad in data["rows"]]
        return cls(data["wrong"], data["right"], rows, data["relative"], tuple(data["known"]))


@dataclass
class Offer:
    """Edits that together make some gradients right, and what the functions gave with them at each geometry.

    gradients: {name: which of the edits it needs}.
    """

    gradients: dict[str, list[int]]
    places: list[Place]
    answers: list[Answer]
    fixes: list[Fix] = field(default_factory=list)


Mend = Callable[[Sought], list[Offer]]


def same_numbers(claimed: np.ndarray | None, right: np.ndarray, size: float, relative: float) -> bool:
    """Whether a gradient is the right one, as far as a search needs to know."""
    if claimed is None or claimed.shape != right.shape:
        return False
    narrow = {2: 2e-2, 4: 1e-4}.get(claimed.dtype.itemsize, relative)
    with np.errstate(all="ignore"):
        off = np.abs(claimed.astype(float) - right)
        return bool((off <= narrow * (np.abs(right) + 0.1 * np.abs(right).max(initial=0.0)) + 1e-9 * size).all())


def share(claimed: np.ndarray | None, right: np.ndarray, size: float) -> float:
    """The share of elements that are right; -1 for another shape."""
    if claimed is None or claimed.shape != right.shape or not right.size:
        return -1.0
    with np.errstate(all="ignore"):
        off = np.abs(claimed.astype(float) - right) <= 1e-6 * (np.abs(right) + 1e-9 * size)
    return float(off.mean())


def harmless(before: Answer, after: Answer, forward: bool = False) -> bool:
    """Whether an answer with a change has no fault that it had not without, and the same result of the forward.

    forward: it is the forward that is changed, and so is its result."""
    if after.trouble and not before.trouble:
        return False
    if not forward and before.out is not None and (after.out is None or not close(after.out, before.out.astype(float))):
        return False
    changes = lambda answer: {note for note in answer.notes if note.startswith("backward changes")}
    return not (set(after.damage) - set(before.damage)) and not changes(after) - changes(before)
