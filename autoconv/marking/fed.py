"""The right formula fed with other numbers: what arrives, or an array that was kept, is not what it should be.

    claimed = the gradient's own rule at (change(dout), x, w ..)      or at (dout, change(x), w ..)

for one change at every geometry: an axis reversed, rolled or exchanged, a sum or a mean over one, a square, a mask, a
constant taken off, another array, weights that were updated too early.  The rule itself is right, so this says what a
sweep with a wrong rule cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..tutor.search.changes import HINTS, OTHER, PADDED, TIMES, UPDATED, Change, along, functions, orders
from .relations import Evidence, Named
from .truth import close

Array = np.ndarray
SIEVE = 1e-3  # how far an inner product may be off
PADDINGS = ("edge", "reflect", "wrap", "ones")
SPATIAL = ((2, 3), (1, 2), (2,))  # axes of images: channels first, channels last, signals


def fed(gradient: str, seen: list[Evidence]) -> Named | None:
    """The change of one array after which the right rule gives what was claimed, at every geometry without a kink."""
    plain = [e for e in seen if not e.truth.case.kink]
    wrong = sorted((e for e in plain if not e.right), key=telling)
    if len(plain) < 2 or not wrong or sum(e.claimed.size for e in wrong) < 6:
        return None
    first = wrong[0]
    for what in _arrays(first, gradient):
        if not _matters(first, gradient, what):
            continue
        may_give = _sieve(first, gradient) if what == "dout" else _any
        for change in _changes(first, what):
            if not may_give(change.made) or not _gives(first, gradient, what, change.made):
                continue
            if all(_holds(e, gradient, what, change) for e in plain if e is not first):
                whose = "what arrives" if what == "dout" else what
                return Named(change.name, f"it is the gradient for {change.says.format(a=whose)}", HINTS[change.name])
    return _updated(gradient, plain) or _padded(gradient, plain)


def _any(made: Array) -> bool:
    return True


def _sieve(e: Evidence, gradient: str) -> Callable[[Array], bool]:
    """Whether another ``dout`` may give the claim, for two inner products: the gradient is linear in it."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(2):
        direction = rng.normal(size=e.claimed.shape)
        rows.append((e.truth.reached(gradient, direction), float(np.vdot(direction, e.claimed))))
    size = float(np.abs(e.claimed).max(initial=0.0)) * np.sqrt(e.claimed.size)

    def may_give(made: Array) -> bool:
        return all(abs(float(np.vdot(out, made)) - aim) <= SIEVE * (size + abs(aim)) for out, aim in rows)

    return may_give


def telling(e: Evidence) -> tuple[int, int]:
    """Sorts the geometry first at which most axes have several elements."""
    shapes = [e.truth.dout.shape, *[a.shape for a in e.truth.case.arrays.values()]]
    return -sum(n > 1 for shape in shapes for n in shape), -e.claimed.size


def _arrays(e: Evidence, gradient: str) -> list[str]:
    """What may be changed: "dout" (but not of a loss, where it is 1), and the arrays of numbers by name."""
    floats = [name for name, a in e.truth.case.arrays.items() if a.dtype.kind == "f" and a.size > 1]
    return [*(["dout"] if e.truth.dout.ndim else []), *floats]


def _array(e: Evidence, what: str) -> Array:
    return e.truth.dout if what == "dout" else e.truth.case.arrays[what]


def _gives(e: Evidence, gradient: str, what: str, made: Array) -> bool:
    with np.errstate(all="ignore"):
        try:
            found = e.truth.fed(gradient, made) if what == "dout" else e.truth.fed(gradient, arrays={what: made})
        except (ValueError, TypeError, IndexError):
            return False
        return bool(np.isfinite(found).all()) and close(e.claimed, found, float(np.abs(found).max(initial=0.0)))


def _matters(e: Evidence, gradient: str, what: str) -> bool:
    """Whether the right gradient depends on an array at all: with other numbers in it, it is another one.

    It does not depend on what is only added, nor where the layer is linear in that array, on the array itself.
    """
    a = _array(e, what)
    other = np.random.default_rng(0).normal(size=a.shape) * np.abs(a).max(initial=1.0)
    right = e.truth.gradient(gradient)
    with np.errstate(all="ignore"):
        try:
            found = e.truth.fed(gradient, other) if what == "dout" else e.truth.fed(gradient, arrays={what: other})
        except (ValueError, TypeError, IndexError):
            return True
    return not np.array_equal(found, right)


def _holds(e: Evidence, gradient: str, what: str, change: Change) -> bool:
    """Whether the same change says what was claimed at one more geometry; one that cannot be made there changes
    nothing."""
    same = next((c for c in _changes(e, what, every=True) if c.says == change.says), None)
    return e.right if same is None else _gives(e, gradient, what, same.made)


def _changes(e: Evidence, what: str, every: bool = False) -> Iterator[Change]:
    """The changes that can be made of an array at one geometry, the plainest first.

    every: also those along axes of one element, which change nothing there.
    """
    a = _array(e, what)
    yield from functions(a)
    yield from along(a, [i for i, n in enumerate(a.shape) if every or n > 1])
    if what == "dout":
        yield from _times(e, a)
    yield from _replaced(e, what, a)
    yield from orders(a, every, parts=what == "dout")


def _times(e: Evidence, dout: Array) -> Iterator[Change]:
    """What arrives, multiplied or masked by the output or by an input."""
    for name, b in _known(e, dout.shape):
        with np.errstate(all="ignore"):
            for words, made in (
                (f"{{a}} times {name}", dout * b),
                (f"{{a}} where {name} is above 0, and 0 elsewhere", dout * (b > 0)),
                (f"{{a}} where {name} is below 0, and 0 elsewhere", dout * (b < 0)),
                (f"{{a}} divided by {name}", dout / b),
                (f"{{a}} times the sign of {name}", dout * np.sign(b)),
                (f"{{a}} times the square of {name}", dout * b**2),
                (f"{{a}} minus {name}", dout - b),
                (f"{{a}} plus {name}", dout + b),
            ):
                if np.isfinite(made).all():
                    yield Change(TIMES, words, made)


def _known(e: Evidence, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """The output and the inputs that go with an array of this shape; one with a single axis stands at each axis that
    fits."""
    for name, a in [("the output", e.truth.out), *e.truth.case.arrays.items()]:
        if a.dtype.kind != "f":
            continue
        if a.shape == shape:
            yield name, a
        elif a.ndim == 1 and a.size > 1:
            for axis in [i for i, n in enumerate(shape) if n == a.size]:
                lifted = a.reshape([-1 if i == axis else 1 for i in range(len(shape))])
                yield f"{name} along axis {axis}", np.broadcast_to(lifted, shape)


def _replaced(e: Evidence, what: str, a: Array) -> Iterator[Change]:
    for name, b in _known(e, a.shape):
        if name != what:
            yield Change(OTHER, f"{name} in the place of {{a}}", b)


def _updated(gradient: str, plain: list[Evidence]) -> Named | None:
    """A parameter from which a multiple of its own gradient was taken before it was used."""
    layer = plain[0].truth.layer
    for name, of in layer.outputs.items():
        if name == gradient:
            continue

        def moved(e: Evidence, rate: float, name: str = name, of: str = of) -> Array:
            return e.truth.fed(gradient, arrays={of: e.truth.case.arrays[of] - rate * e.truth.gradient(name)})

        rate = _rate(gradient, plain, moved)
        if rate is not None:
            words = f"it is the gradient for {of} - {rate:.6g} {name}: {of} after a step with the rate {rate:.6g}"
            return Named(UPDATED, words, HINTS[UPDATED])
    return None


def _rate(gradient: str, plain: list[Evidence], moved: Callable[[Evidence, float], Array]) -> float | None:
    """The one rate that says what was claimed everywhere, found by a slope: the gradient is linear in a parameter."""
    wrong = [e for e in plain if not e.right]
    if len(wrong) < 2:
        return None
    e = max(wrong, key=lambda e: e.claimed.size)
    try:
        slope = moved(e, 1.0) - moved(e, 0.0)
        size = float(np.vdot(slope, slope))
        rate = float(np.vdot(slope, e.claimed - moved(e, 0.0))) / size if size else 0.0
        rate = float(f"{rate:.8g}")
        if not rate or not np.isfinite(rate):
            return None
        with np.errstate(all="ignore"):
            fits = all(close(o.claimed, found := moved(o, rate), float(np.abs(found).max(initial=0.0))) for o in plain)
        return rate if fits else None
    except (ValueError, TypeError, IndexError):
        return None


def _padded(gradient: str, plain: list[Evidence]) -> Named | None:
    """The image padded with other numbers than zeros, in the backward pass alone."""
    layer = plain[0].truth.layer
    image = next(iter(layer.outputs.values()))
    if layer.outputs[gradient] == image or not any(_padding(e) for e in plain):
        return None
    for axes in SPATIAL:
        for mode in PADDINGS:
            if all(_with_padding(e, gradient, image, axes, mode) for e in plain):
                how = "with ones" if mode == "ones" else f'as mode="{mode}" does it'
                return Named(PADDED, f"it is the gradient for {image} padded {how}, not with zeros", HINTS[PADDED])
    return None


def _padding(e: Evidence) -> str:
    """The name of the setting that says by how much is padded, where that is not 0; else nothing."""
    return next((name for name in ("pad", "padding") if e.truth.case.settings.get(name)), "")


def _with_padding(e: Evidence, gradient: str, image: str, axes: tuple[int, ...], mode: str) -> bool:
    name, x = _padding(e), e.truth.case.arrays[image]
    pad = e.truth.case.settings.get(name)
    if not pad or max(axes) >= x.ndim:
        return e.right and max(axes) < x.ndim
    width = [(pad, pad) if i in axes else (0, 0) for i in range(x.ndim)]
    how: Any = {"mode": "constant", "constant_values": 1.0} if mode == "ones" else {"mode": mode}
    try:
        wide = np.pad(x, width, **how)
        found = e.truth.fed(gradient, arrays={image: wide}, settings={name: 0})
    except (ValueError, TypeError, IndexError):
        return False
    return close(e.claimed, found, float(np.abs(found).max(initial=0.0)))
