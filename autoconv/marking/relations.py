"""What a wrong gradient is to the right one and to the arrays at hand, where that is one sentence at every geometry:

    claimed = right * a           claimed = right + c a         claimed = dout * a        claimed = sum dout * a

for an array a that the layer knows: an input, the output, a mask of one of them.  Nothing is planted here, so these are
mistakes that no sweep makes: a relu that does not belong, weight decay in the gradient, a value for its derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np

from ..tape import Tensor
from ..tutor.search.changes import HINTS, OTHERS, RIGHT_CLASS
from ..tutor.search.search import Search
from ..tutor.search.slopes import ANOTHER, SLOPES, THRESHOLD
from .truth import Truth, close, tolerance_of

Arrays = dict[str, np.ndarray]


OWN = "its own value"
TIMES, MASKED = "multiplied by what does not belong here", "a mask that does not belong here"
LINES = 60  # whose values are tried as a factor
SEVERAL = 8  # numbers from which on it proves something that one of so many values fits


class Named(NamedTuple):
    """A mistake: its name, what was done, a question that leads there."""

    name: str
    says: str
    hint: str


class Reading(NamedTuple):
    """One reading of the claim: the name of the mistake, in words, the array that it leads to."""

    name: str
    says: str
    made: np.ndarray


class Evidence(NamedTuple):
    """One geometry: the truth there, what was claimed, whether that is right, and all the gradients claimed there."""

    truth: Truth
    claimed: np.ndarray
    right: bool
    others: dict[str, np.ndarray | None] = {}  # noqa: RUF012 (never changed)


def searched(e: Evidence, gradient: str) -> Search:
    """The tutor's search at one geometry."""
    claimed = e.claimed.astype(float).ravel()
    return Search([e.truth.runs[gradient]], [claimed], np.arange(claimed.size), tolerance_of(e.claimed), slips=False)


def related(gradient: str, seen: list[Evidence]) -> Named | None:
    """The relation that holds at every geometry without a kink, the plainest first."""
    plain = _alike(seen)
    for relation in (
        _factor,
        _spread,
        _sized,
        _slopes,
        _masked,
        _unmasked,
        _value,
        _differed,
        _reduced,
        _added,
        _stepped,
        _clipped,
        _rounded,
        _inner,
    ):
        with np.errstate(all="ignore"):
            if named := relation(gradient, plain):
                return named
    return None


def _alike(seen: list[Evidence]) -> list[Evidence]:
    """The geometries without a kink; with a mode ("train", "test") in which the claim is always right, those of the
    other modes."""
    plain = [e for e in seen if not e.truth.case.kink]
    words = lambda e: tuple(v for v in e.truth.case.settings.values() if isinstance(v, str))
    wrong = {words(e) for e in plain if not e.right}
    return [e for e in plain if words(e) in wrong]


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


def labelled(gradient: str, wrong: list[Evidence]) -> Named | None:
    """Right but for the elements of the right class; or right there alone."""
    kinds = set()
    for e in wrong:
        labels = [a for a in e.truth.case.arrays.values() if a.dtype.kind in "iu" and a.ndim == 1]
        right = e.truth.gradient(gradient)
        fits = right.ndim == 2 and e.claimed.shape == right.shape and right.shape[1] > 1
        if len(labels) != 1 or not fits or len(labels[0]) != len(right):
            return None
        there = labels[0][:, None] == np.arange(right.shape[1])
        size = e.truth.size(gradient)
        kinds.add(tuple(close(np.where(m, right, e.claimed), right, size) for m in (there, ~there)))
    if kinds == {(True, False)}:
        words = "the elements of the right class are wrong, those of all other classes are right"
        return Named(RIGHT_CLASS, words, HINTS[RIGHT_CLASS])
    if kinds == {(False, True)}:
        words = "the elements of the right class are right, those of the other classes are not"
        return Named(OTHERS, words, HINTS[OTHERS])
    return None


def _known(gradient: str, e: Evidence, shape: tuple[int, ...]) -> Arrays:
    """The arrays of a shape that the layer knows: the input asked about as "its own value", the others by name."""
    own = e.truth.layer.outputs[gradient]
    settings = {k: v for k, v in e.truth.case.settings.items() if isinstance(v, np.ndarray)}  # a mask
    arrays = e.truth.case.arrays | settings
    named = {(OWN if k == own else k): a for k, a in arrays.items() if a.dtype.kind == "f"}
    return {k: a for k, a in (named | {"the output": e.truth.out}).items() if a.shape == shape}


def _broadcast(gradient: str, e: Evidence, shape: tuple[int, ...]) -> Arrays:
    """Those of another shape that go with it: one with a single axis stands at each axis that fits."""
    own = e.truth.layer.outputs[gradient]
    found = {}
    for name, a in e.truth.case.arrays.items():
        if name == own or a.dtype.kind != "f" or a.size != max(a.shape, default=0) or a.shape == shape:
            continue
        for axis in range(len(shape)):
            if shape[axis] == a.size:
                lifted = a.reshape([-1 if i == axis else 1 for i in range(len(shape))])
                found[f"{name} along axis {axis}"] = np.broadcast_to(lifted, shape)
    return found


def _everywhere(plain: list[Evidence], made: Callable[[Evidence], Iterator[Reading]], hint: str) -> Named | None:
    """The first reading that leads to the claimed numbers at every geometry, or None."""
    readings: dict[tuple[str, str], None] | None = None
    for e in plain:
        fitting = {
            (name, says): None
            for name, says, array in made(e)
            if np.isfinite(array).all() and close(e.claimed, array, float(np.abs(array).max(initial=0.0)))
        }
        readings = fitting if readings is None else {k: None for k in readings if k in fitting}
        if not readings:
            return None
    return Named(*next(iter(readings)), hint) if readings else None


def _factor(gradient: str, plain: list[Evidence]) -> Named | None:
    def made(e: Evidence) -> Iterator[Reading]:
        right = e.truth.gradient(gradient)
        for name, a in (_known(gradient, e, right.shape) | _broadcast(gradient, e, right.shape)).items():
            own = "multiplied by its own value" if name == OWN else TIMES
            yield Reading(own, f"it is the gradient times {name}", right * a)
            yield Reading(MASKED, f"it is the gradient where {name} is above 0, and 0 elsewhere", right * (a > 0))
            yield Reading(MASKED, f"it is the gradient where {name} is below 0, and 0 elsewhere", right * (a < 0))
            yield Reading(TIMES, f"it is the gradient divided by {name}", right / a)
            yield Reading(TIMES, f"it is the gradient times the square of {name}", right * a**2)
            yield Reading(TIMES, f"it is the gradient times the size of {name}", right * np.abs(a))
            yield Reading(TIMES, f"it is the gradient times {name} (1 - {name})", right * a * (1 - a))
            yield Reading(TIMES, f"it is the gradient times 1 minus {name}", right * (1 - a))
            yield Reading(TIMES, f"it is the gradient times 1 minus the square of {name}", right * (1 - a**2))
            for what in ("the sigmoid", "the tanh"):
                slope = SLOPES[what](a)
                yield Reading(TIMES, f"it is the gradient times the slope of {what} at {name}", right * slope)
                yield Reading(TIMES, f"it is the gradient divided by the slope of {what} at {name}", right / slope)
        yield Reading(TIMES, "it is the square of the gradient", right**2)
        yield Reading(TIMES, "it is the sign of the gradient, 1 or -1", np.sign(right))
        yield Reading("its sign lost", "it is the size of the gradient, without its sign", np.abs(right))
        yield Reading(MASKED, "it is the gradient where that is above 0, and 0 elsewhere", right * (right > 0))

    return _everywhere(plain, made, "What multiplies this gradient, and why?")


def _inner(gradient: str, plain: list[Evidence]) -> Named | None:
    """The gradient times, or divided by, the value of a line on the way: a norm, a deviation, a sum."""

    def made(e: Evidence) -> Iterator[Reading]:
        run, right = e.truth.runs[gradient], e.truth.gradient(gradient)
        for position, line in enumerate(run.tape):
            a = run.of(line).value
            if line.primitive is None or line.constant or a.ndim != right.ndim or position > LINES:
                continue
            if all(n in (1, m) for n, m in zip(a.shape, right.shape, strict=True)) and a.dtype.kind == "f":
                of = f"the value of {line.primitive.name} (line {position})"
                yield Reading(TIMES, f"it is the gradient divided by {of}", right / a)
                yield Reading(TIMES, f"it is the gradient times {of}", right * a)

    return _everywhere(plain, made, "What multiplies this gradient, and why?") or _exchanged(gradient, plain)


def _exchanged(gradient: str, plain: list[Evidence]) -> Named | None:
    """The gradient times the value of one line, divided by that of another: one stands in the place of the other."""
    runs = [e.truth.runs[gradient] for e in plain]
    tapes = [list(run.tape) for run in runs]
    if sum(e.claimed.size for e in plain) < SEVERAL or len({len(tape) for tape in tapes}) != 1:
        return None
    values = [[run.of(line).value for line in tape[:LINES]] for run, tape in zip(runs, tapes, strict=True)]
    fits = lambda i: (
        not tapes[0][i].constant
        and all(
            v[i].shape == e.claimed.shape and v[i].dtype.kind == "f" and v[i].all()
            for v, e in zip(values, plain, strict=True)
        )
    )
    for there, belongs in permutations([i for i in range(len(values[0])) if fits(i)], 2):
        made = [e.truth.gradient(gradient) * v[there] / v[belongs] for e, v in zip(plain, values, strict=True)]
        if all(close(e.claimed, m, float(np.abs(m).max())) for e, m in zip(plain, made, strict=True)):
            here, right = (_line(tapes[0][i], i) for i in (there, belongs))
            words = f"in it the value of {here} stands where that of {right} belongs"
            return Named("another array in the place of a factor", words, "Which two arrays meet there?")
    return None


def _line(line: Tensor, position: int) -> str:
    """A line in words: an input, whatever its shape has become, by its name."""
    source = line
    while source.primitive is not None and source.primitive.view:
        source = source.operands[0]
    if source.primitive is None and source.name:
        return source.name
    return f"{line.primitive.name if line.primitive else line.name or 'input'} (line {position})"


def _spread(gradient: str, plain: list[Evidence]) -> Named | None:
    """The gradient's sum or mean over some of its axes, in each of their places."""

    def made(e: Evidence) -> Iterator[Reading]:
        right = e.truth.gradient(gradient)
        for count in range(1, right.ndim + 1):
            for axes in combinations(range(right.ndim), count):
                for word, reduce in (("sum", np.sum), ("mean", np.mean)):
                    spread = np.broadcast_to(reduce(right, axis=axes, keepdims=True), right.shape)
                    words = f"it is the {word} of the gradient over axes {axes}, in each of their places"
                    yield Reading("summed over an index that stays", words, spread)

    if plain[0].claimed.ndim > 4:
        return None
    return _everywhere(plain, made, "For which indices is there a number of its own?")


def _differed(gradient: str, plain: list[Evidence]) -> Named | None:
    """A multiple of the difference (or sum) of two arrays: the same one, or one divided by a count."""
    first = plain[0]
    shape = first.claimed.shape
    names = list(_known(gradient, first, shape))
    for a, b in combinations(names, 2):
        for sign, word in ((-1, "minus"), (1, "plus")):
            found = []
            for e in plain:
                arrays = _known(gradient, e, e.claimed.shape)
                if a not in arrays or b not in arrays:
                    break
                both = arrays[a] + sign * arrays[b]
                c = float(np.vdot(both, e.claimed) / np.vdot(both, both))
                if not np.isfinite(c) or not c or not close(e.claimed, c * both, float(np.abs(c * both).max())):
                    break
                found.append(c / float(e.truth.dout.ravel()[0]) if e.truth.dout.size == 1 else c)
            sizes = [[1.0] * len(plain), [float(e.claimed.size) for e in plain], [float(len(e.claimed)) for e in plain]]
            if len(found) == len(plain) and any(np.ptp(np.multiply(found, n)) < 1e-6 for n in sizes):
                words = f"it is a multiple of {a} {word} {b}"
                return Named("a value instead of the derivative", words, "Which function lies between the two?")
    return None


def _stepped(gradient: str, plain: list[Evidence]) -> Named | None:
    """An array and a multiple of the gradient: a step of the optimiser, not the gradient."""
    for name in _known(gradient, plain[0], plain[0].claimed.shape):
        found = []
        large = [e for e in plain if e.claimed.size > 2]  # two numbers are always a sum of two multiples
        for e in large:
            right, a = e.truth.gradient(gradient), _known(gradient, e, e.claimed.shape).get(name)
            if a is None:
                break
            c, *_ = np.linalg.lstsq(np.stack([right.ravel(), a.ravel()], axis=1), e.claimed.ravel(), rcond=None)
            if not close(e.claimed, c[0] * right + c[1] * a, float(np.abs(c[1] * a).max())):
                break
            found.append(c)
        if len(found) == len(large) > 1 and np.ptp(found, axis=0).max() < 1e-5 and np.abs(found[0]).min() > 1e-9:
            words = f"it is {found[0][0]:.6g} times the gradient plus {found[0][1]:.6g} times {name}"
            return Named("a step instead of the gradient", words, "Who changes the parameters, and when?")
    return None


def _sized(gradient: str, plain: list[Evidence]) -> Named | None:
    """The gradient divided by one of its own sizes, or cut down to one where it exceeds it."""
    sizes: dict[str, Callable[[np.ndarray], float]] = {
        "its length, the root of the sum of its squares": lambda g: float(np.sqrt((g**2).sum())),
        "its largest element": lambda g: float(np.abs(g).max()),
        "the sum of its sizes": lambda g: float(np.abs(g).sum()),
        "its standard deviation": lambda g: float(g.std()),
    }
    wrong = [e for e in plain if not e.right]
    for words, size in sizes.items():
        lengths = [size(e.truth.gradient(gradient)) for e in wrong]
        left = [size(e.claimed) for e in wrong]
        if len(wrong) < 2 or not all(lengths) or np.ptp(left) > 1e-5 * max(left):
            continue
        if not all(
            close(e.claimed, e.truth.gradient(gradient) * (b / a), b)
            for e, a, b in zip(wrong, lengths, left, strict=True)
        ):
            continue
        if len(wrong) == len(plain) or all(a > left[0] for a in lengths):
            if abs(left[0] - 1) < 1e-5 and len(wrong) == len(plain):
                says = f"it is the gradient divided by {words}"
                return Named("divided by its own size", says, "By what is this gradient divided, and why?")
            says = f"it is the gradient scaled until {words}, is {left[0]:.6g}".replace(words, words.split(",")[0])
            return Named("gradient clipped", says.replace(", is", " is"), "Is there a clip too many?")
    return None


def _rounded(gradient: str, plain: list[Evidence]) -> Named | None:
    """The gradient with a few decimals."""
    for digits in range(1, 7):
        if all(np.allclose(e.claimed, np.round(e.claimed, digits), rtol=0, atol=1e-9) for e in plain):
            off = max(float(np.abs(e.claimed - e.truth.gradient(gradient)).max()) for e in plain)
            if off <= 0.5001 * 10.0**-digits + 1e-7:
                words = f"it is the gradient rounded to {digits} decimals"
                return Named("rounded", words, "Is it rounded, or printed and read again?")
            return None
    return None


def _masked(gradient: str, plain: list[Evidence]) -> Named | None:
    """dout where a mask lets it through: that of another threshold, or one that is the same for a whole row."""
    lets: list[tuple[np.ndarray, np.ndarray]] = []
    for e in plain:
        x = e.truth.case.arrays[e.truth.layer.outputs[gradient]]
        if not x.shape == e.truth.dout.shape == e.claimed.shape or not x.ndim:
            return None
        on = np.isclose(e.claimed, e.truth.dout, rtol=1e-6, atol=0)
        if not (on | (e.claimed == 0)).all():
            return None
        lets.append((x, on))
    on, off = (np.concatenate([x[m == which] for x, m in lets]) for which in (True, False))
    if not on.size or not off.size:
        return None
    hint = "Which elements of the input change the output?"
    if off.max() < on.min():
        words = f"it is what arrives where the input is above some number from {off.max():.4g} to {on.min():.4g}"
        return Named(THRESHOLD, words, hint)
    if not ((off > on.min()) & (off < on.max())).any():
        words = f"it is what arrives where the input is from {on.min():.4g} to {on.max():.4g}, and 0 on either side"
        return Named(THRESHOLD, words, hint)
    for axis, words in ((0, "all examples"), (-1, "all elements along the last axis"), (1, "all along axis 1")):
        if all(m.ndim > axis and (m == m.take([0], axis)).all() for _, m in lets):
            return Named("a mask for whole rows", f"what arrives is let through or cut off for {words} alike", hint)
    return None


def _unmasked(gradient: str, plain: list[Evidence]) -> Named | None:
    """What arrives everywhere, where a mask that was drawn cuts some of it off; times or divided by its share."""

    def made(e: Evidence) -> Iterator[Reading]:
        shares = {k: v for k, v in e.truth.case.settings.items() if isinstance(v, float)}
        missing, inverted = "activation mask missing", "activation mask inverted"
        yield Reading(missing, "what arrives is let through everywhere", e.truth.dout)
        for name, share in shares.items():
            everywhere = "what arrives is let through everywhere"
            yield Reading(missing, f"{everywhere}, divided by {name}", e.truth.dout / share)
            yield Reading(missing, f"{everywhere}, times {name}", e.truth.dout * share)
            cut = e.truth.dout * (e.truth.case.settings["mask"] == 0)
            words = f"what arrives is let through where the mask is 0, and divided by {name}"
            yield Reading(inverted, words, cut / share)

    masks = [e.truth.case.settings.get("mask") for e in plain]
    if not all(isinstance(m, np.ndarray) and m.shape == e.claimed.shape for m, e in zip(masks, plain, strict=True)):
        return None
    return _everywhere(plain, made, "Which elements of the input did not reach the output?")


def _slopes(gradient: str, plain: list[Evidence]) -> Named | None:
    """dout times the slope of a known activation; or one number for positive inputs, and another for negative."""
    found: list[tuple[float, float]] = []
    others, constant = dict(SLOPES), True
    for e in plain:
        x = e.truth.case.arrays[e.truth.layer.outputs[gradient]]
        if not x.shape == e.truth.dout.shape == e.claimed.shape or not x.ndim:
            return None
        slope = e.claimed / e.truth.dout
        for name, of in list(others.items()):
            if not np.allclose(slope, of(x), rtol=1e-6, atol=1e-9):
                del others[name]
        for sign in (1, -1):
            here = slope[sign * x > 0]
            if here.size and np.ptp(here) > 1e-6 * max(1.0, float(np.abs(here).max())):
                constant = False
        if not constant and not others:
            return None
        above, below = (float(slope[s * x > 0].mean()) if (s * x > 0).any() else np.nan for s in (1, -1))
        found.append((above, below))
    if found and others:
        words = f"its slope is that of {next(iter(others))}"
        return Named(ANOTHER, words, "What is the derivative of the forward, worked out?")
    if not constant:
        return None
    if not found or np.isnan(found).all(axis=0).any():
        return None
    above, below = np.nanmean(found, axis=0)
    if np.nanmax(np.abs(np.array(found) - (above, below))) > 1e-6:
        return None
    words = f"its slope is {above:.6g} for positive and {below:.6g} for negative inputs"
    return Named(ANOTHER, words, "Which slope has the forward on each side of 0?")


def _value(gradient: str, plain: list[Evidence]) -> Named | None:
    another, value = "another mask", "a value instead of the derivative"

    def made(e: Evidence) -> Iterator[Reading]:
        own, g = e.truth.case.arrays[e.truth.layer.outputs[gradient]], e.truth.dout
        for name, a in _known(gradient, e, g.shape).items():
            arrives = "it is what arrives"
            yield Reading(value, f"{arrives} times {name}", g * a)
            yield Reading(another, f"{arrives} where {name} is 0, and 0 elsewhere", g * (a == 0))
            yield Reading(another, f"{arrives} where {name} is above 0, and 0 elsewhere", g * (a > 0))
            yield Reading(another, f"{arrives} where {name} is below 0, and 0 elsewhere", g * (a < 0))
            yield Reading(value, f"{arrives} times the square of {name}", g * a**2)
            positive = np.maximum(g * a, 0)
            yield Reading(value, f"{arrives} times {name} where that is above 0, and 0 elsewhere", positive)
            yield Reading(value, f"it is {name} alone", a)
            yield Reading(value, f"{arrives} times 1 minus {name}", g * (1 - a))
            yield Reading(value, f"{arrives} times 1 minus the square of {name}", g * (1 - a**2))
            yield Reading(value, f"{arrives} times {name} (1 - {name})", g * a * (1 - a))
            yield Reading(value, f"{arrives} times {name} (1 + {name})", g * a * (1 + a))
            yield Reading(value, f"{arrives} times 1 plus {name}", g * (1 + a))
            yield Reading(value, f"{arrives} times 1 plus the square of {name}", g * (1 + a**2))
            power = g * a * np.exp(a - 1)
            yield Reading(value, f"{arrives} times {name} e^({name} - 1), the rule of a power", power)
            slope = np.where(own > 0, 1, a) if own.shape == a.shape else a
            yield Reading(value, f"{arrives}, for negative inputs times {name}", g * slope)
            yield Reading(value, f"{arrives} divided by {name}", g / a)

    if not all(e.claimed.shape == e.truth.dout.shape for e in plain):
        return None
    named = _everywhere(plain, made, "What is the derivative of the forward, worked out?")
    if named and named.name == another:
        return named._replace(hint="Which elements of the input change the output?")
    return named


def _reduced(gradient: str, plain: list[Evidence]) -> Named | None:
    """A parameter's gradient: the sum over all other axes of dout times a value that is not its factor."""

    def made(e: Evidence) -> Iterator[Reading]:
        dout, name = e.truth.dout, "a value instead of the factor"
        for axis in range(dout.ndim):
            if dout.shape[axis] != e.claimed.size:
                continue
            over = tuple(i for i in range(dout.ndim) if i != axis)
            total = lambda x, over=over: x.sum(axis=over).reshape(e.claimed.shape)
            for what, a in _known(gradient, e, dout.shape).items():
                yield Reading(name, f"it is the sum of what arrives times {what}", total(dout * a))
                mean = total(dout * a) * e.claimed.size / dout.size
                yield Reading(name, f"it is the mean of what arrives times {what}", mean)
                yield Reading(name, f"it is the sum of {what}", total(a))
            largest = dout.max(axis=over).reshape(e.claimed.shape)
            yield Reading(name, "it is the largest of what arrives", largest)
            yield Reading(name, "it is the sum of the sizes of what arrives", total(np.abs(dout)))
            yield Reading(name, "it is the sum of the squares of what arrives", total(dout**2))

    if any(e.claimed.size != max(e.claimed.shape, default=0) or e.truth.dout.ndim < 2 for e in plain):
        return None
    return _everywhere(plain, made, "With what was this parameter multiplied?")


def _added(gradient: str, plain: list[Evidence]) -> Named | None:
    """The gradient and a multiple of an array: the same multiple at every geometry."""
    shape = plain[0].claimed.shape if plain else ()
    candidates = [*_known(gradient, plain[0], shape), *_broadcast(gradient, plain[0], shape)] if plain else []
    for name in [*candidates, "what arrives", "1"]:
        found: list[float] = []
        for e in plain:
            right = e.truth.gradient(gradient)
            arrays = _known(gradient, e, right.shape) | _broadcast(gradient, e, right.shape)
            arrays |= {"1": np.ones(right.shape)}
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
            what = "weight decay added" if name == OWN else "added what does not belong here"
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
