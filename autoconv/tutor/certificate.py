"""``ac.certificate``: one gradient from independent sources in one table: the tape, finite differences, a closed form.

The closed forms are textbook formulas in plain loops: they share no line of code with the rules of the table.
"""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from ..render.notebook import bundle
from ..tape import Tape, Tensor, describe
from .claim.case import target
from .claim.claim import Names
from .evidence.closed_forms import closed_form
from .evidence.differences import Losses
from .run.replay import Run

STEPS = [10.0**-e for e in range(1, 13)]
ELEMENTS = 60
LARGEST, WORK = 8_000_000, 30_000_000  # elements on a tape; of it times those tried by differences


class Certificate:
    """One gradient from independent sources; true if all agree.

    gradient: by the tape.  differences: by central differences at the best step, nan where not tried.  closed: by the
    closed form, or None, and formula: that form in words.  These three have wrt's shape.  curve: [(step, largest
    error)] of the differences.  kinks: how many elements lie at a kink or a tie, where a difference proves nothing and
    is left out. rows: (source, largest difference from the tape, the same relative to the largest gradient); text: the
    table.
    """

    def __init__(
        self, gradient: Any, differences: Any, closed: Any, formula: str, curve: list[tuple[float, float]], kinks: int
    ) -> None:
        self.gradient, self.differences, self.closed, self.formula = gradient, differences, closed, formula
        self.curve, self.kinks, self.tried = curve, kinks, ~np.isnan(differences)

    @property
    def step(self) -> float:
        """The step at which the V-curve is lowest."""
        return min(self.curve, key=lambda row: row[1])[0]

    @property
    def rows(self) -> list[tuple[str, float, float]]:
        """(source, largest difference from the tape, the same relative to the largest gradient)."""
        compared = [self.gradient, self.differences[self.tried], *([] if self.closed is None else [self.closed])]
        scale = max((float(np.abs(g).max()) for g in compared if g.size), default=0.0) or 1.0
        error = min(e for _, e in self.curve)
        rows = [(f"central difference, step {self.step:.0e}", error, error / scale)]
        if self.closed is not None:
            apart = float(np.abs(self.closed - self.gradient).max()) if self.gradient.size else 0.0
            rows.append((f"closed form: {self.formula}", apart, apart / scale))
        return rows

    def __bool__(self) -> bool:
        limits = [1e-5, 1e-9]
        return all(relative < limit for (_, _, relative), limit in zip(self.rows, limits, strict=False))

    @property
    def text(self) -> str:
        """The table, and the V-curve of the step: too large, and curvature shows; too small, and rounding does."""
        rows = [
            f"gradient by the tape: shape {self.gradient.shape}, {int(self.tried.sum())} elements tried by differences"
        ]
        rows += [
            f"  {name:<60} differs by {error:.2e} (relative {relative:.1e})" for name, error, relative in self.rows
        ]
        if self.kinks:
            rows.append(
                f"  {self.kinks} elements lie at a kink or a tie: their slopes to the left and right differ, "
                "no difference is taken"
            )
        if self.closed is None:
            rows.append("  no closed form: the tensor is not read by one convolution or pooling alone")
        rows.append("step of the central difference and its largest error:")
        worst = max((np.log10(e) for _, e in self.curve if 0 < e < np.inf), default=0.0)
        least = min((np.log10(e) for _, e in self.curve if 0 < e < np.inf), default=-1.0)
        for step, error in self.curve:
            share = 0 if not 0 < error < np.inf else (np.log10(error) - least) / max(worst - least, 1e-9)
            rows.append(f"  {step:.0e}  {error:.2e}  {'#' * round(1 + 39 * share)}")
        return "\n".join(rows)

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(self.text, html=self.html)

    @property
    def html(self) -> str:
        """The comparison and the curve as tables."""
        body = "".join(f"<tr><td>{escape(n)}</td><td>{e:.2e}</td><td>{r:.1e}</td></tr>" for n, e, r in self.rows)
        curve = "".join(f"<tr><td>{s:.0e}</td><td>{e:.2e}</td></tr>" for s, e in self.curve)
        return (
            f"<table><tr><th>against the tape</th><th>largest difference</th><th>relative</th></tr>{body}</table>"
            f"<table><tr><th>step</th><th>error of the difference</th></tr>{curve}</table>"
        )


def certificate(loss: Tensor, wrt: Tensor | str) -> Certificate:
    """The gradient of ``loss`` by the tape, by central differences over twelve steps, and in closed form.

        (L(w + h e_i) - L(w - h e_i)) / 2h        for h = 1e-1, 1e-2, .., 1e-12

    loss: one number.  wrt: a Tensor on its tape, an element of one, or its name.
    At most 60 elements are tried by differences, fewer on a tape of more than half a million elements; one of more than
    8 million is refused.

    A closed form exists for the kernel, the bias and the input of one convolution (or transposed
    convolution), and the input of one pooling, as long as nothing else reads them, as w_bar[u, v, c, o] = sum over n,
    i, j of x[n, i s + u d, j s + v d, c] y_bar[n, i, j, o]; it is calculated in plain loops that share no line with the
    rules of the table. Returns a Certificate.  Raises TypeError for a constant, ValueError for a loss that is not one
    finite number or a Tensor that is not on its tape.

    Source of the step's V-curve: Nocedal and Wright, Numerical Optimization (2006), section 8.1.

    >>> import autoconv as ac
    >>> x, w = ac.tensor([[1.0, 2.0], [3.0, 5.0]]), ac.tensor([[2.0]], name="w")
    >>> proof = ac.certificate(ac.sum(ac.conv2d(x, w) ** 2), w)
    >>> bool(proof), proof.closed
    (True, array([[156.]]))
    """
    if not isinstance(loss, Tensor) or loss.size != 1:
        given = describe(loss) if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"certificate: the loss must be one number, found {given}")
    tape = Tape(loss)
    try:
        line, places, shape = target(Names(tape, None).tensor(wrt) if isinstance(wrt, str) else wrt, tape)
    except (TypeError, ValueError) as wrong:
        raise type(wrong)(str(wrong).replace("check:", "certificate:", 1)) from None
    size = sum(x.size for x in tape)
    if size > LARGEST:
        raise ValueError(
            f"certificate: the tape has {size:,} elements, and the loss would be run {2 * len(STEPS):,} times or more "
            f"in double precision; at most {LARGEST:,} are taken: certify one layer alone, or use a smaller image"
        )
    run = Run(tape, line)
    if not run.finite:
        raise ValueError("certificate: the loss or its gradient is infinite or nan at these inputs; choose others")
    gradient = run.gradient.ravel()[places].reshape(shape)
    losses = Losses(tape, line)
    last, count = max(places.size - 1, 0), min(places.size, ELEMENTS, max(1, WORK // max(size, 1)))
    chosen = np.unique(np.linspace(0, last, count).astype(int)) if places.size else np.zeros(0, int)
    smooth = np.array([i for i in chosen if not _kink(losses, int(places[i]))], dtype=int)
    curve, best = [], np.full(places.size, np.nan)
    lowest = np.inf
    for step in STEPS:
        quotients = np.array([losses.quotient(int(places[i]), "central", step) for i in smooth])
        error = float(np.abs(quotients - gradient.ravel()[smooth]).max()) if len(smooth) else 0.0
        curve.append((step, error))
        if error < lowest:
            lowest = error
            best[smooth] = quotients
    closed, formula = closed_form(run)
    part = None if closed is None else closed.ravel()[places].reshape(shape)
    return Certificate(gradient, best.reshape(shape), part, formula, curve, len(chosen) - len(smooth))


def _kink(losses: Losses, flat: int) -> bool:
    """Whether the slopes on the two sides of this point differ, and stay different as the step shrinks."""
    apart = []
    for part in (1e-4, 1e-6):
        step = part * max(1.0, abs(float(losses.origin.flat[flat])))
        left, right = (losses.quotient(flat, kind, step) for kind in ("backward", "forward"))
        noise = 8 * 2.0**-52 * abs(losses.at(0, 0.0)) / step
        apart.append(abs(right - left) if abs(right - left) > noise + 1e-7 * max(abs(left), abs(right)) else 0.0)
    return apart[1] > 0 and apart[1] > 0.5 * apart[0]
