"""The right numbers at one geometry: the reference run and swept, how closely to agree, and what a kink leaves open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from .. import functional as F
from ..backward import sweep
from ..tape import Tape, Tensor
from ..tutor.claim.compare import Tolerance, scale_of
from ..tutor.run.replay import Run
from ..tutor.search.probes import tangents
from .layer import Layer, Try

Reference = Callable[..., Tensor]
EXACT = 1e-6  # how closely a search compares with the sweep's numbers


class Standard(Protocol):
    """The right numbers at one geometry, how large the terms are that they are sums of, and whether others agree;
    relative: how exactly they are known."""

    case: Try
    relative: float

    def gradient(self, name: str) -> np.ndarray: ...
    def size(self, name: str) -> float: ...
    def agrees(self, name: str, claimed: np.ndarray) -> bool: ...


class Truth:
    """The reference (or another forward) at one geometry, with ``dout`` arriving from above.

    out: its output.  runs: {gradient: the run of sum(out * dout), swept down to that input}.
    """

    relative = EXACT

    def __init__(self, layer: Layer, case: Try, dout: Callable[..., Any], reference: Reference | None = None) -> None:
        self.layer, self.case = layer, case
        self._reference = reference
        made, self.leaves = layer.run(case, reference)
        self._made = made
        self.out = np.asarray(made.value, dtype=float)
        self.dout = np.ones(()) if layer.loss else np.asarray(dout(self.out.shape))
        self._loss = made if layer.loss else F.sum(made * self.dout)

    @cached_property
    def runs(self) -> dict[str, Run]:
        tape = Tape(self._loss)
        inputs = {id(line) for line in tape}
        made = {}
        for gradient, name in self.layer.outputs.items():
            leaf = self.leaves[name]
            if id(leaf) not in inputs:  # nothing depends on it: its gradient is zero
                self._loss = self._loss + F.sum(leaf * 0.0)
                return Truth.__dict__["runs"].func(self)
            made[gradient] = Run(tape, leaf)
        return made

    def fed(
        self,
        name: str,
        dout: np.ndarray | None = None,
        arrays: dict[str, np.ndarray] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> np.ndarray:
        """The gradient by the same rules with other numbers: another ``dout``, other arrays, other settings."""
        made, leaves = self._made, self.leaves
        if arrays or settings:
            case = replace(
                self.case,
                arrays={**self.case.arrays, **(arrays or {})},
                settings={**self.case.settings, **(settings or {})},
            )
            made, leaves = self.layer.run(case, self._reference)
        leaf = leaves[self.layer.outputs[name]]
        (gradient,) = sweep(made, [leaf], self.dout.reshape(made.shape) if dout is None else dout)
        return np.asarray(gradient, dtype=float)

    def reached(self, name: str, direction: np.ndarray) -> np.ndarray:
        """(d out / d input) direction: where the output moves if the input does; with it the gradient for any ``dout``
        along ``direction`` is an inner product."""
        run = self.runs[name]
        moved = tangents(run, direction).get(id(run.of(self._made)))
        return np.zeros(self.out.shape) if moved is None else moved

    def gradient(self, name: str) -> np.ndarray:
        return self.runs[name].gradient

    def size(self, name: str) -> float:
        """How large the terms are of which the gradient is the sum; a right zero is rounding beside them."""
        run = self.runs[name]
        parts = [scale_of(np.asarray(c)) for _, _, c in run.received.get(id(run.wrt), [])]
        return max([scale_of(run.gradient), *parts, 1e-300])

    def agrees(self, name: str, claimed: np.ndarray) -> bool:
        """Whether a claimed gradient is the right one, or one of those that a kink allows."""
        if self.case.kink == "pool":
            return self.shares(name, claimed) == "right"
        if self.case.kink == "relu":
            return self._within_slopes(name, claimed)
        return close(claimed, self.gradient(name), self.size(name))

    def shares(self, name: str, claimed: np.ndarray) -> str:
        """How a tied window's gradient was shared out: "right", "all" (each tied cell got everything), or "wrong".

        The windows of such a geometry lie side by side, so that the right gradient, which gives everything to one of
        the winners, summed over each window is the window's own cotangent.
        """
        image, right = self.case.arrays[self.layer.outputs[name]], self.gradient(name)
        tied = self._tied(image)
        if np.abs(np.where(tied, 0, claimed)).max(initial=0) > 1e-7 * scale_of(right):
            return "wrong"
        total, made = self._summed(right), self._summed(claimed)
        weights = np.where(tied, claimed / np.where(total == 0, 1, total), 0)
        if (weights > -1e-6).all() and np.allclose(made, total, rtol=1e-5, atol=1e-9):
            return "right"
        if np.allclose(np.where(tied, total, 0), claimed, rtol=1e-5, atol=1e-9):
            return "right" if self.layer.all_tied else "all"
        return "wrong"

    @cached_property
    def _window(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """((axis, size), (axis, size)) of the windows in the image."""
        spatial = [i for i, n in enumerate(self.case.arrays[next(iter(self.layer.outputs.values()))].shape) if n == 4]
        return (spatial[0], 2), (spatial[1], 2)

    def _blocks(self, x: np.ndarray, reduce: Callable[..., Any]) -> np.ndarray:
        (a, _), (b, _) = self._window
        moved = np.moveaxis(x, (a, b), (-2, -1))
        lead = moved.shape[:-2]
        made = reduce(moved.reshape(*lead, 2, 2, 2, 2), axis=(-3, -1))
        return np.moveaxis(np.repeat(np.repeat(made, 2, -2), 2, -1), (-2, -1), (a, b))

    def _tied(self, image: np.ndarray) -> np.ndarray:
        return image == self._blocks(image, np.max)

    def _summed(self, g: np.ndarray) -> np.ndarray:
        return self._blocks(g, np.sum)

    def _within_slopes(self, name: str, claimed: np.ndarray) -> bool:
        """At x = 0 any slope from 0 to 1 is one of relu's."""
        x, right = self.case.arrays[self.layer.outputs[name]], self.gradient(name)
        if x.shape != self.dout.shape:
            return close(claimed, right, self.size(name))
        elsewhere = close(np.where(x == 0, 0, claimed), np.where(x == 0, 0, right), self.size(name))
        slope = claimed[x == 0] / self.dout[x == 0]
        return elsewhere and bool(((slope > -1e-6) & (slope < 1 + 1e-6)).all())


def right_claim(truth: Standard, name: str, claimed: np.ndarray | None) -> bool:
    """Whether a claimed gradient is there, of its shape, finite and right."""
    if claimed is None or claimed.shape != truth.gradient(name).shape:
        return False
    return bool(np.isfinite(claimed).all()) and truth.agrees(name, claimed)


def close(claimed: np.ndarray, right: np.ndarray, size: float = 0.0, relative: float = 0.0) -> bool:
    """Whether two arrays of one shape agree as numbers of the claimed precision do; size: of the terms summed.

    relative: another precision, as that of differences.
    """
    if claimed.shape != right.shape:
        return False
    narrow = {"float16": 2e-2, "float32": 1e-4}.get(claimed.dtype.name, 1e-7)
    limit = (relative or narrow) * max(scale_of(right), 0.0)
    rounding = {"float16": 1e-3, "float32": 3e-6}.get(claimed.dtype.name, 1e-12) * size
    allowed = limit * 0.1 + (relative or narrow) * np.abs(right) + rounding
    with np.errstate(all="ignore"):
        return bool((np.abs(claimed.astype(float) - right) <= allowed).all())


def tolerance_of(claimed: np.ndarray) -> Tolerance:
    """The same for the tutor's searches."""
    return Tolerance({"float16": 2e-2, "float32": 1e-4}.get(claimed.dtype.name, 1e-6))
