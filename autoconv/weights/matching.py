"""Weights of one model against the parameters of another: by name, or by order and shape; and what was done, as a
report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..shapes import Shape

COUNTER = "num_batches_tracked"  # of torch's BatchNorm, which autoconv's does not need


class Target(NamedTuple):
    """What a parameter or buffer takes: its shape and dtype, and how torch holds it.

    axes: torch's array is ours with its axes in this order (None: the same); order: for feature k of ours torch's
    feature number, along axis 0 (None: the same).
    """

    shape: Shape
    dtype: np.dtype
    axes: tuple[int, ...] | None = None
    order: np.ndarray | None = None

    @property
    def theirs(self) -> Shape:
        """The shape that torch's array has."""
        return self.shape if self.axes is None else tuple(self.shape[a] for a in self.axes)

    def taken(self, array: np.ndarray) -> np.ndarray:
        """torch's array as ours."""
        ours = array if self.axes is None else array.transpose(np.argsort(self.axes))
        return np.ascontiguousarray(ours if self.order is None else ours[self.order], self.dtype).reshape(self.shape)

    def given(self, array: np.ndarray) -> np.ndarray:
        """Our array as torch's: the inverse."""
        theirs = array if self.order is None else array[np.argsort(self.order)]
        return np.ascontiguousarray(theirs if self.axes is None else theirs.transpose(self.axes)).reshape(self.theirs)


@dataclass
class WeightsReport:
    """What ``load_torch`` did, name by name; ``str`` says it in words.

    loaded: our name -> torch's; transposed: our name -> (torch's shape, ours); permuted: names whose features were put
    from torch's order (C, H, W) into ours (H, W, C); cast: name -> (from, to); missing: names that the model kept;
    unexpected: names that the model has no place for; ignored: torch's counters of batches; notes: what else was done.
    """

    loaded: dict[str, str] = field(default_factory=dict)
    transposed: dict[str, tuple[Shape, Shape]] = field(default_factory=dict)
    permuted: list[str] = field(default_factory=list)
    cast: dict[str, tuple[str, str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rows = [f"loaded {len(self.loaded)} arrays", *self.notes]
        rows += [f"  {a} from {b}" for a, b in self.loaded.items() if a != b]
        rows += [f"  {k}: transposed, {a} -> {b}" for k, (a, b) in self.transposed.items()]
        rows += [f"  {k}: features reordered from (C, H, W) to (H, W, C)" for k in self.permuted]
        rows += [f"  {k}: cast from {a} to {b}" for k, (a, b) in self.cast.items()]
        rows += [f"  missing, left as it was: {k}" for k in self.missing]
        rows += [f"  unexpected, not used: {k}" for k in self.unexpected]
        rows += [f"  not needed here: {', '.join(self.ignored)}"] if self.ignored else []
        return "\n".join(rows)


def matched(
    own: Mapping[str, Target], arrays: Mapping[str, np.ndarray], by_order: bool, strict: bool, what: str
) -> tuple[dict[str, np.ndarray], WeightsReport]:
    """(our name -> array for it, the report), or a ValueError that lists everything that does not fit."""
    report = WeightsReport()
    report.ignored = [k for k in arrays if k not in own and k.rpartition(".")[2] == COUNTER]
    there = [k for k in arrays if k not in report.ignored]
    pairs = {k: k for k in own if k in arrays}
    if by_order:
        pairs = _in_order(own, arrays, there, what)
    report.missing = [k for k in own if k not in pairs]
    report.unexpected = [k for k in there if k not in pairs.values()]
    problems = []
    if strict:
        problems += [f"missing {k} of torch's shape {own[k].theirs}" for k in report.missing]
        problems += [f"unexpected {k} of shape {arrays[k].shape}" for k in report.unexpected]
    result = {}
    for ours, theirs in pairs.items():
        target, array = own[ours], arrays[theirs]
        if array.shape != target.theirs:
            held = "" if target.axes is None else f" (held here as {target.shape})"
            problems.append(f"{theirs} has shape {array.shape}, the model needs {target.theirs}{held}")
            continue
        if target.dtype.kind == "f" and array.dtype.kind != "f":
            problems.append(f"{theirs} has dtype {array.dtype}, the model needs floating-point numbers")
            continue
        report.loaded[ours] = theirs
        if target.axes is not None:
            report.transposed[ours] = (array.shape, target.shape)
        if target.order is not None:
            report.permuted.append(ours)
        if array.dtype != target.dtype:
            report.cast[ours] = (str(array.dtype), str(target.dtype))
        result[ours] = target.taken(array)
    if problems:
        hint = "" if by_order or not (report.missing and report.unexpected) else (
            "; if only the names differ, by_order=True matches by order and shape"
        )  # fmt: skip
        raise ValueError(f"{what}: the weights do not fit this model: {'; '.join(problems)}{hint}")
    return result, report


def _in_order(
    own: Mapping[str, Target], arrays: Mapping[str, np.ndarray], there: list[str], what: str
) -> dict[str, str]:
    """The k-th of ours with the k-th of theirs, which must have the same shapes all along."""
    if len(own) != len(there):
        raise ValueError(f"{what}: by_order=True: the model has {len(own)} arrays, the weights {len(there)}")
    for number, (ours, theirs) in enumerate(zip(own, there, strict=True)):
        if arrays[theirs].shape != own[ours].theirs:
            raise ValueError(
                f"{what}: by_order=True: number {number} is {theirs} of shape {arrays[theirs].shape}, the model's is "
                f"{ours} of torch's shape {own[ours].theirs}; the orders differ"
            )
    return dict(zip(own, there, strict=True))
