"""What a wrong gradient is to the right one and to the arrays at hand, where that is one sentence at every geometry:

    claimed = right * a           claimed = right + c a         claimed = dout * a        claimed = sum dout * a

for an array a that the layer knows: an input, the output, a mask of one of them.  Nothing is planted here, so these are
mistakes that no sweep makes: a relu that does not belong, weight decay in the gradient, a value for its derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from .truth import Truth, close

Arrays = dict[str, np.ndarray]


class Named(NamedTuple):
    """A mistake: its name, what was done, a question that leads there."""

    name: str
    says: str
    hint: str


class Evidence(NamedTuple):
    """One geometry: the truth there, what was claimed, whether that is right, and all the gradients claimed there."""

    truth: Truth
    claimed: np.ndarray
    right: bool
    others: dict[str, np.ndarray | None] = {}  # noqa: RUF012 (never changed)


def related(gradient: str, seen: list[Evidence]) -> Named | None:
    """The relation that holds at every geometry without a kink, the plainest first."""
    plain = [e for e in seen if not e.truth.case.kink]
    for relation in (_factor, _slopes, _value, _reduced, _added, _clipped):
        with np.errstate(all="ignore"):
            if named := relation(gradient, plain):
                return named
    return None


def whole(gradient: str, wrong: list[Evidence]) -> Named | None:
    """All the elements are whole numbers, and those of the gradient are not."""
    if max(float(np.abs(e.claimed).max()) for e in wrong) < 2:
        return None  # masks and signs
    if all((e.claimed == np.round(e.claimed)).all() for e in wrong) and any(
        (np.abs(e.truth.gradient(gradient) - np.round(e.truth.gradient(gradient))) > 1e-6).any() for e in wrong
    ):
        words = "all its elements are whole numbers, as in an array of integers"
        return Named("cut to whole numbers", words, "Which dtype has the array in which the gradient is collected?")
    return None


def _known(gradient: str, e: Evidence, shape: tuple[int, ...]) -> Arrays:
    """The arrays of a shape that the layer knows: the input asked about as "its own value", the others by name."""
    own = e.truth.layer.outputs[gradient]
    named = {("its own value" if k == own else k): a for k, a in e.truth.case.arrays.items() if a.dtype.kind == "f"}
    return {k: a for k, a in (named | {"the output": e.truth.out}).items() if a.shape == shape}


def _everywhere(plain: list[Evidence], made: Callable[[Evidence], Iterator[tuple[str, np.ndarray]]]) -> str | None:
    """The label under which ``made`` has the claimed numbers at every geometry, or None."""
    labels: dict[str, None] | None = None
    for e in plain:
        fitting = {label: None for label, array in made(e) if close(e.claimed, array, float(np.abs(array).max()))}
        labels = fitting if labels is None else {k: None for k in labels if k in fitting}
        if not labels:
            return None
    return next(iter(labels), None) if labels else None


def _factor(gradient: str, plain: list[Evidence]) -> Named | None:
    def made(e: Evidence) -> Iterator[tuple[str, np.ndarray]]:
        right = e.truth.gradient(gradient)
        for name, a in _known(gradient, e, right.shape).items():
            yield f"it is the gradient times {name}", right * a
            yield f"it is the gradient where {name} is above 0, and 0 elsewhere", right * (a > 0)
            yield f"it is the gradient where {name} is below 0, and 0 elsewhere", right * (a < 0)
            yield f"it is the gradient divided by {name}", right / a
            yield f"it is the gradient times the square of {name}", right * a**2
            yield f"it is the gradient times the size of {name}", right * np.abs(a)
        yield "it is the square of the gradient", right**2
        yield "it is the sign of the gradient, 1 or -1", np.sign(right)
        yield "it is the size of the gradient, without its sign", np.abs(right)
        yield "it is the gradient where that is above 0, and 0 elsewhere", right * (right > 0)

    if words := _everywhere(plain, made):
        name = "multiplied by what does not belong here"
        name = "a mask that does not belong here" if "where" in words else name
        name = "multiplied by its own value" if words.endswith("times its own value") else name
        return Named(name, words, "What multiplies this gradient, and why?")
    return None


def _slopes(gradient: str, plain: list[Evidence]) -> Named | None:
    """dout times one number where the input is positive, and another where it is negative."""
    found: list[tuple[float, float]] = []
    for e in plain:
        x = e.truth.case.arrays[e.truth.layer.outputs[gradient]]
        if not x.shape == e.truth.dout.shape == e.claimed.shape or not x.ndim:
            return None
        slope = e.claimed / e.truth.dout
        for sign in (1, -1):
            here = slope[sign * x > 0]
            if here.size and np.ptp(here) > 1e-6 * max(1.0, float(np.abs(here).max())):
                return None
        above, below = (float(slope[s * x > 0].mean()) if (s * x > 0).any() else np.nan for s in (1, -1))
        found.append((above, below))
    above, below = np.nanmean(found, axis=0) if found else (np.nan, np.nan)
    if not found or np.isnan([above, below]).any() or np.nanmax(np.abs(np.array(found) - (above, below))) > 1e-6:
        return None
    words = f"its slope is {above:.6g} for positive and {below:.6g} for negative inputs"
    return Named("the slope of another activation", words, "Which slope has the forward on each side of 0?")


def _value(gradient: str, plain: list[Evidence]) -> Named | None:
    def made(e: Evidence) -> Iterator[tuple[str, np.ndarray]]:
        for name, a in _known(gradient, e, e.truth.dout.shape).items():
            yield f"it is what arrives times {name}", e.truth.dout * a
            yield f"it is {name} alone", a
            yield f"it is what arrives times 1 minus {name}", e.truth.dout * (1 - a)
            yield f"it is what arrives times 1 minus the square of {name}", e.truth.dout * (1 - a**2)
            yield f"it is what arrives times {name} (1 - {name})", e.truth.dout * a * (1 - a)
            yield f"it is what arrives times {name} (1 + {name})", e.truth.dout * a * (1 + a)
            yield f"it is what arrives divided by {name}", e.truth.dout / a

    if not all(e.claimed.shape == e.truth.dout.shape for e in plain):
        return None
    if words := _everywhere(plain, made):
        return Named("a value instead of the derivative", words, "What is the derivative of the forward, worked out?")
    return None


def _reduced(gradient: str, plain: list[Evidence]) -> Named | None:
    """A parameter's gradient: the sum over all other axes of dout times a value that is not its factor."""

    def made(e: Evidence) -> Iterator[tuple[str, np.ndarray]]:
        dout = e.truth.dout
        for axis in range(dout.ndim):
            if dout.shape[axis] != e.claimed.size:
                continue
            over = tuple(i for i in range(dout.ndim) if i != axis)
            for name, a in _known(gradient, e, dout.shape).items():
                total = (dout * a).sum(axis=over).reshape(e.claimed.shape)
                yield f"it is the sum of what arrives times {name}", total
                yield f"it is the mean of what arrives times {name}", total * e.claimed.size / dout.size
                yield f"it is the sum of {name}", a.sum(axis=over).reshape(e.claimed.shape)
            yield "it is the sum of the sizes of what arrives", np.abs(dout).sum(axis=over).reshape(e.claimed.shape)
            yield "it is the sum of the squares of what arrives", (dout**2).sum(axis=over).reshape(e.claimed.shape)

    if any(e.claimed.size != max(e.claimed.shape, default=0) or e.truth.dout.ndim < 2 for e in plain):
        return None
    if words := _everywhere(plain, made):
        return Named("a value instead of the factor", words, "With what was this parameter multiplied?")
    return None


def _added(gradient: str, plain: list[Evidence]) -> Named | None:
    """The gradient and a multiple of an array: the same multiple at every geometry."""
    candidates = list(_known(gradient, plain[0], plain[0].claimed.shape)) if plain else []
    for name in [*candidates, "what arrives", "1"]:
        found: list[float] = []
        for e in plain:
            right = e.truth.gradient(gradient)
            arrays = _known(gradient, e, right.shape) | {"1": np.ones(right.shape)}
            a = e.truth.dout if name == "what arrives" else arrays.get(name)
            if a is None or a.shape != right.shape:
                break
            off = e.claimed - right
            c = float(np.vdot(a, off) / np.vdot(a, a))
            size = e.truth.size(gradient) + float(np.abs(c * a).max())
            if not np.isfinite(c) or not close(e.claimed, right + c * a, size):
                break
            found.append(c)
        if len(found) == len(plain) > 1 and abs(found[0]) > 1e-9 and np.ptp(found) < 1e-5 * abs(found[0]):
            words = f"it is the gradient plus {found[0]:.6g} times {name}"
            what = "weight decay added" if name == "its own value" else "added what does not belong here"
            return Named(what, words, "What is added to this gradient, and why?")
    return None


def _clipped(gradient: str, plain: list[Evidence]) -> Named | None:
    """The gradient cut off at one size, the same at every geometry where it reaches it."""
    bound = max(float(np.abs(e.claimed).max()) for e in plain)
    reached = [e for e in plain if not e.right]
    if len(reached) < 2 or not all(np.isclose(np.abs(e.claimed).max(), bound) for e in reached):
        return None
    if all(close(e.claimed, np.clip(e.truth.gradient(gradient), -bound, bound), bound) for e in plain):
        return Named("gradient clipped", f"it is cut off at {bound:.6g} and {-bound:.6g}", "Is there a clip too many?")
    return None


def unwritten(gradient: str, wrong: list[Evidence]) -> Named | None:
    """Every element that is wrong is 0: no pass of the loops reached it."""
    missing = total = 0
    for e in wrong:
        right = e.truth.gradient(gradient)
        zero = e.claimed == 0
        if not close(e.claimed, np.where(zero, 0, right), e.truth.size(gradient)):
            return None
        missing, total = missing + int((zero & (right != 0)).sum()), total + right.size
    if not wrong or missing == total or all((e.claimed == 0).all() for e in wrong):
        return None
    words = f"every element that is wrong is 0 ({100 * missing / total:.0f} % of them), the others are right"
    return Named("left at zero in places", words, "Which elements are 0, and which loop should reach them?")
