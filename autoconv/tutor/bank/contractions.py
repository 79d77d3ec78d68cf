"""Mistakes in sums and contractions: what is summed over, what meets what, which way round a kernel stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from ...tape import Tensor
from ..run.site import Contraction, Site, carried, counts_terms, stored, unmoved
from .mistake import Variants, mistake
from .pooling import outer_axes, pooled_after

_SUM = "the gradient of something used in many places is the sum over all of them"


def _subsets(c: Contraction) -> dict[str, list[str]]:
    """The sums of a contraction's gradient worth telling apart: by role, and all together."""
    roles = sorted(dict.fromkeys(c.roles[x] for x in c.summed), key=lambda role: role != "positions")
    sums = {role: c.of_role(role) for role in roles}
    if len(roles) > 1:
        sums["all"] = c.summed
    return sums


def _sizes(p: Site, c: Contraction) -> dict[str, int]:
    return dict(zip(c.result + c.others, p.y.shape + p.other().shape, strict=True))


def contraction(p: Site) -> Contraction | None:
    return Contraction(p) if p.row == "contract" else None


def _broadcast_roles(p: Site) -> dict[str, tuple[int, ...]]:
    """The axes along which a broadcast operand (a bias) was repeated, by role."""
    if p.row != "broadcast_to":
        return {}
    new = p.y.ndim - p.x.ndim
    axes = tuple(range(new)) + tuple(new + i for i, n in enumerate(p.x.shape) if n == 1 and p.y.shape[new + i] != 1)
    last = -1 if p.inside("conv") else p.y.ndim - 1
    roles: dict[str, tuple[int, ...]] = {}
    for axis in axes:
        role = "batch" if axis == 0 and p.y.ndim > 1 else "channels" if axis == last > 0 else "positions"
        roles[role] = (*roles.get(role, ()), axis)
    if len(roles) > 1:
        roles["all"] = axes
    return roles


def _cut(p: Site, axes: tuple[int, ...], at: int) -> Callable[[Any], Any]:
    """The right rule, fed with the cotangent at one index of ``axes`` and zeros elsewhere."""

    def wrong(g: Any) -> Any:
        kept = np.zeros_like(g)
        key = tuple(
            (slice(at, None) if at == -1 else slice(at, at + 1)) if i in axes else slice(None) for i in range(g.ndim)
        )
        kept[key] = g[key]
        return p.right(kept)

    return wrong


_OWNERS = ("positions", "batch", "filters", "channels", "groups", "window")  # which role names a loop over several


def _loops(letters: list[str], roles: dict[str, str], most: int = 5) -> list[tuple[str, str, list[str]]]:
    """(role that names it, in words, letters) for the loops whose sum may run over one index alone: every choice."""
    found: list[tuple[str, str, list[str]]] = []
    alone = {role: [x for x in letters if roles[x] == role] for role in dict.fromkeys(roles[x] for x in letters)}
    for count in range(1, len(letters) + 1) if len(letters) <= most else (1, len(letters)):
        for chosen in combinations(letters, count):
            own = [role for role in _OWNERS if any(roles[x] == role for x in chosen)]
            words = []
            for role in own:
                part = [x for x in chosen if roles[x] == role]
                numbers = " and ".join(str(alone[role].index(x)) for x in part)
                words.append(role if part == alone[role] else f"{role} (dimension {numbers})")
            everything = len(alone) > 1 and len(chosen) == len(letters)
            found.append((own[0] if own else "", "all" if everything else " and ".join(words), list(chosen)))
    return sorted(found, key=lambda row: "dimension" in row[1])  # whole roles come first


def _one_index(p: Site, wanted: Callable[[str], bool]) -> Variants:
    """Ways in which only the last or first index of a summed loop takes part; several loops count to the outer role."""
    variants: Variants = {}
    if c := contraction(p):
        sizes = _sizes(p, c)
        for owner, text, letters in _loops([x for x in c.summed if sizes[x] > 1], c.roles):
            if wanted(owner):
                for word, at in (("last", -1), ("first", 0)):
                    variants[f"only the {word} of {text}"] = partial(c.only, other=p.other(), letters=letters, at=at)
    roles = {str(axis): role for role, axes in _broadcast_roles(p).items() if role != "all" for axis in axes}
    for owner, text, names in _loops(list(roles), roles):
        if wanted(owner):
            axes = tuple(int(x) for x in names)
            for word, at in (("last", -1), ("first", 0)):
                variants[f"only the {word} of {text}"] = _cut(p, axes, at)
    return variants


@mistake(
    "sum over positions replaced by the last one",
    "only one position was used, where the gradient is the sum over all positions at which the weight was used",
    "At how many positions of the image was this weight used?",
    _SUM + ": do you write = where += belongs?",
)
def _last(p: Site) -> Variants:
    return {k: v for k, v in _one_index(p, lambda r: r == "positions").items() if not _is_bias(p)}


@mistake(
    "not summed over batch",
    "only one example of the batch was used",
    "How many examples does the loss sum over?",
    "every example contributes: w_bar = sum over n",
)
def _batch(p: Site) -> Variants:
    return _one_index(p, lambda r: r == "batch")


@mistake(
    "bias not summed over positions",
    "the bias received the gradient of one position instead of the sum over all of them",
    "How many outputs does one bias move?",
    "b_bar[o] = sum over n, i, j of y_bar[n, i, j, o]",
)
def _bias(p: Site) -> Variants:
    if not _is_bias(p):
        return {}
    roles = _broadcast_roles(p)
    return _one_index(p, lambda r: r != "batch" or len(roles) == 1)


@mistake(
    "broadcast not summed",
    "what was repeated forward was not summed backward",
    "Forward, one number was copied to many places. What does the backward pass do with copies?",
    "the adjoint of a copy to many places is the sum over these places",
    rank=2,
)
def _broadcast(p: Site) -> Variants:
    if p.row != "broadcast_to" or _is_bias(p):
        return {}
    copies = tuple(int(i) for i in _broadcast_roles(p).get("all", next(iter(_broadcast_roles(p).values()), ())))
    set_ = {"the last one that is not zero": partial(_last_set, p, copies)} if len(copies) == 1 else {}
    return _one_index(p, lambda r: True) | set_


def _last_set(p: Site, axes: tuple[int, ...], g: Any) -> Any:
    """``=`` inside of an ``if``: of what arrives at the copies the last that is not zero."""
    moved = np.moveaxis(g, axes[0], -1)
    later = np.cumsum(moved[..., ::-1] != 0, axis=-1)[..., ::-1]  # of those from here on that are not zero
    return p.right(np.moveaxis(np.where(later == 1, moved, 0), -1, axes[0]))


def _is_bias(p: Site) -> bool:
    """Whether this is the broadcast of a stored vector that is added, one number for each channel or unit."""
    if (
        "mul" in p.readers
        or "div" in p.readers
        or p.row != "broadcast_to"
        or not stored(p.operand)
        or p.x.size != max(p.x.shape, default=0)
    ):
        return False
    return 0 in _broadcast_roles(p).get("batch", ())


@mistake(
    "not summed over filters",
    "only one filter (output) was pulled back to the input",
    "How many filters read this cell of the input?",
    "x_bar = sum over all filters o of what filter o sends back",
)
def _filters(p: Site) -> Variants:
    return _one_index(p, lambda r: r == "filters")


@mistake(
    "not summed over channels",
    "only one channel took part in the sum",
    "Over which channels does the sum run?",
    "every channel that read the value sends a gradient back: add them",
)
def _channels(p: Site) -> Variants:
    return _one_index(p, lambda r: r in ("channels", "groups", "window")) if not _is_bias(p) else {}


@mistake(
    "product of sums",
    "the sum of the inputs was multiplied with the sum of the gradients, "
    "where the gradient is the sum of their products",
    "Does each input meet the gradient of its own output, or of every output?",
    "sum_p (x_p * d_p), not (sum_p x_p) * (sum_p d_p)",
    rank=0,
)
def _product_of_sums(p: Site) -> Variants:
    c = contraction(p)
    if c is None:
        axes = _broadcast_roles(Site(p.operand, 0)).popitem()[1] if p.row == "mul" and _repeated(p.operand) else ()
        return {"over the copies": partial(_factors_summed, p, axes)} if axes else {}
    variants: Variants = {}
    for role, letters in _subsets(c).items():
        if both := [x for x in letters if x in c.shared]:
            variants[f"over {role}"] = partial(c.sums, other=p.other(), letters=both)
            count = prod(_sizes(p, c)[x] for x in both)
            for power, words in ((1, "one of the two a mean"), (2, "both of them means")):
                variants[f"over {role}, {words}"] = partial(_sums_over, c, p, both, float(count**power))
    return variants


def _sums_over(c: Contraction, p: Site, letters: list[str], divisor: float, g: Any) -> Any:
    return c.sums(g, p.other(), letters) / divisor


@mistake(
    "mean instead of sum",
    "a mean was taken where the gradient is a sum",
    "Does a weight that is used twice as often move the loss less?",
    _SUM + ", not divided by their number",
)
def _mean(p: Site) -> Variants:
    if c := contraction(p):
        sizes = _sizes(p, c)
        return {f"over {role}": partial(_divided, p, prod(sizes[x] for x in s)) for role, s in _subsets(c).items()}
    if p.row == "broadcast_to":
        return {
            f"over {role}": partial(_divided, p, prod(p.y.shape[a] for a in axes))
            for role, axes in _broadcast_roles(p).items()
        }
    if p.row == "take":
        return {"over the readings of an element": partial(_shared_readings, p)}
    return {"over all": partial(_divided, p, p.x.size // max(p.y.size, 1))} if p.row == "sum" and p.y.size else {}


def _shared_readings(p: Site, g: Any) -> Any:
    """What arrives at an element that was read several times, divided by how often that was."""
    places, axis = p.line.operands[1].value, p.line.params["axis"]
    counts = np.maximum(np.bincount(places.ravel() % p.x.shape[axis], minlength=p.x.shape[axis]), 1)
    return p.right(g) / counts.reshape([-1 if i == axis else 1 for i in range(p.x.ndim)])


@mistake(
    "sum instead of mean",
    "the division by the number of terms was forgotten: the gradient of a sum, where a mean was taken",
    "Does your loss (or your layer) take a sum or a mean?",
    "y = 1/n sum x: every x_bar carries the 1/n",
    rank=-1,
)
def _undivided(p: Site) -> Variants:
    return {"": lambda g: g} if counts_terms(p.line) and p.k == 0 and p.pooling is None else {}


@mistake(
    "summed without the weights",
    "the upstream gradient was summed without the factor that belongs to each term",
    "With what is each upstream gradient multiplied before the terms are added?",
    "x_bar = sum over o of w[o] * y_bar[o], w_bar = sum over p of x[p] * y_bar[p]",
)
def _unweighted(p: Site) -> Variants:
    c = contraction(p)
    if c is None:
        return {}
    plain = lambda g: c.product(g, np.ones(p.other().shape))
    own = stored(p.operand) and p.x.size > 1
    return {"": plain} | ({"but with its own value": lambda g: plain(g) * p.x} if own else {})


@mistake(
    "added instead of multiplied",
    "the upstream gradient and the factor it belongs to were added, where they are multiplied",
    "What does the chain rule do with a local derivative and an upstream gradient?",
    "x_bar += w * y_bar: multiply the two, then add up the products",
    rank=2,
)
def _added(p: Site) -> Variants:
    if p.row == "mul":
        return {"": lambda g: g + p.other()} if np.shape(p.other()) == p.y.shape else {}
    if p.elementwise and p.primitive.bends and p.x.shape == p.y.shape:
        return {"": lambda g: g + p.slope}
    c = contraction(p)
    if c is None:
        return {}
    return {"": lambda g: c.product(g, np.ones(p.other().shape)) + c.product(np.ones(g.shape), p.other())}


@mistake(
    "summed over an index that stays",
    "the sum ran over an index that the gradient itself has, so all its elements along it are the same",
    "For which indices of the gradient is there a number of its own?",
    "w_bar[u, v, c, o] keeps u, v, c and o: sum over everything else, and over nothing else",
)
def _summed_over_own(p: Site) -> Variants:
    if p.row == "windows" and p.pooling in ("max", "avg"):
        ways = (("", np.sum), ("averaged, ", np.mean))
        added = lambda add, i: lambda x: np.broadcast_to(add(x, axis=i, keepdims=True), x.shape)
        return {
            f"{what}over axis {i}": partial(pooled_after, p, added(add, i)) for i in outer_axes(p) for what, add in ways
        }
    c = contraction(p)
    variants: Variants = {}
    long = [i for i, n in enumerate(p.x.shape) if n > 1]
    if p.operand.primitive is None and 0 < len(long) <= 2 and not (c and c.convolution):
        for axes in [(i,) for i in long] + ([tuple(long)] if len(long) == 2 else []):
            for what, add in (("", np.sum), ("averaged, ", np.mean)):
                axis = " and ".join(map(str, axes))
                variants[f"{what}over axis {axis} of the tensor"] = partial(_spread_sum, p, axes, add)
    if c is None or variants:
        return variants
    for i, letter in enumerate(c.own):
        if p.x.shape[i] > 1 and c.roles[letter] not in ("window", "positions"):
            for what, add in (("", np.sum), ("averaged, ", np.mean)):
                variants[f"{what}over {c.roles[letter]}, axis {i}"] = partial(_spread_sum, p, i, add)
    return variants


def _spread_sum(p: Site, axis: Any, add: Callable[..., Any], g: Any) -> Any:
    right = p.right(g)
    return np.broadcast_to(add(right, axis=axis, keepdims=True), right.shape)


@mistake(
    "the neighbour's gradient",
    "the gradient of the next (or previous) filter, channel or example was used: an index is off by one",
    "Which output did this filter make? Is the first index 0 in both arrays?",
    "filter o goes with y_bar[.., o], example n with y_bar[n]",
)
def _neighbour(p: Site) -> Variants:
    """The gradient that arrives rolled by one along filters, channels or examples."""
    c = contraction(p)
    variants: Variants = {}
    if p.operand.primitive is None and p.x.ndim <= 4 and p.row not in ("take", "index"):
        for i, n in enumerate(p.x.shape):
            if n > 1 and not (c and c.convolution and c.roles[c.own[i]] in ("window", "positions")):
                for by in (1, -1) if n > 2 else (1,):
                    variants[f"axis {i} of the tensor, {by:+d}"] = partial(_rolled_after, p, by, i)
    if p.row == "windows" and p.pooling in ("max", "avg"):
        for i in outer_axes(p):
            for by in (1, -1):
                variants[f"axis {i}, {by:+d}"] = partial(pooled_after, p, partial(np.roll, shift=by, axis=i))
    if c is None:
        return variants
    for i, letter in enumerate(c.result):
        if p.y.shape[i] > 1 and (letter in c.others or c.convolution) and c.roles[letter] != "window":
            for by in (1, -1):
                variants[f"{c.roles[letter]}, axis {i}, {by:+d}"] = partial(_rolled_before, p, by, i)
    return variants


def _rolled_after(p: Site, by: int, axis: int, g: Any) -> Any:
    return np.roll(p.right(g), by, axis)


def _rolled_before(p: Site, by: int, axis: int, g: Any) -> Any:
    return p.right(np.roll(g, by, axis))


@mistake(
    "an index left at its first value",
    "one index stayed at 0: the first filter, channel or example was used for all of them, or received what belongs to "
    "all",
    "Which of your loop variables stand in both arrays, and is there one that stands in neither?",
    "filter o goes with y_bar[.., o], channel c with w[.., c, ..], example n with x[n]",
    rank=2,
)
def _first_for_all(p: Site) -> Variants:
    """The other factor, or what arrives, at index 0 for every filter, channel or example; or all put into index 0."""
    variants: Variants = {}
    if p.row == "windows" and p.pooling in ("max", "avg"):
        for i, n in enumerate(p.y.shape[: -len(p.line.params["axes"]) or None]):
            if n > 1 and i in p.line.params["axes"]:
                variants[f"of what arrives, axis {i}"] = partial(pooled_after, p, partial(_repeated_first, axis=i))
        for i in outer_axes(p):
            variants[f"of what arrives, axis {i}"] = partial(pooled_after, p, partial(_repeated_first, axis=i))
            own = i if i < p.line.params["axes"][0] else i - len(p.line.params["axes"])  # the frames have more axes
            variants[f"of the result, axis {i}"] = partial(_into_first, p, own)
        return variants
    if p.row == "mul" and p.line.operands[1 - p.k].primitive is not None and _repeated(p.line.operands[1 - p.k]):
        for i, n in enumerate(p.y.shape):  # a vector for each feature, read at its first for all
            if n > 1 and p.other().shape == p.y.shape and np.ptp(p.other(), axis=i).any():
                variants[f"of the factor, axis {i}"] = partial(_with_factor, p, _repeated_first(p.other(), i))
        return variants
    if p.row == "sum" and p.y.ndim and not p.inside("max", "min"):
        long = [i for i, n in enumerate(p.y.shape) if n > 1]
        variants |= {f"of what arrives, axis {i}": partial(_after_first, p, i) for i in long}
    c = contraction(p)
    if c is None or not c.convolution:
        return variants
    fixed = lambda letter: c.roles[letter] in ("window", "positions")
    for i, letter in enumerate(c.others):
        if p.other().shape[i] > 1 and not fixed(letter):
            variants[f"of the factor, {c.roles[letter]}"] = partial(product_with, c, _repeated_first(p.other(), i))
    for i, letter in enumerate(c.result):
        if p.y.shape[i] > 1 and not fixed(letter):
            variants[f"of what arrives, {c.roles[letter]}"] = partial(_after_first, p, i)
    places = [i for i, x in enumerate(c.others) if c.roles[x] == "positions" and p.other().shape[i] > 1]
    if places:
        first = p.other()
        for i in places:
            first = _repeated_first(first, i)
        variants["of the factor, all positions"] = partial(product_with, c, first)
    positions = [i for i, letter in enumerate(c.result) if c.roles[letter] == "positions" and p.y.shape[i] > 1]
    if positions:
        variants["of what arrives, all positions"] = partial(_after_first_of, p, positions)
    for i, letter in enumerate(c.own):
        if p.x.shape[i] > 1 and not fixed(letter):
            variants[f"of the result, {c.roles[letter]}"] = partial(_into_first, p, i)
    return variants


def product_with(c: Contraction, other: Any, g: Any) -> Any:
    return c.product(g, other)


def _repeated_first(x: Any, axis: int) -> Any:
    return np.repeat(x.take([0], axis), x.shape[axis], axis)


def _after_first(p: Site, axis: int, g: Any) -> Any:
    return p.right(_repeated_first(g, axis))


def _after_first_of(p: Site, axes: list[int], g: Any) -> Any:
    for axis in axes:
        g = _repeated_first(g, axis)
    return p.right(g)


def _into_first(p: Site, axis: int, g: Any) -> Any:
    right = p.right(g)
    made = np.zeros(right.shape)
    made[(slice(None),) * axis + (slice(0, 1),)] = right.sum(axis=axis, keepdims=True)
    return made


@mistake(
    "an earlier value instead of the factor",
    "the factor was taken from an earlier step: the input of an activation or of a normalisation, not its output",
    "Which array met this parameter in the forward pass: before or after the step above it?",
    "the gradient of a factor is y_bar times what it was multiplied with: x-hat for gamma, the activation for a weight",
)
def _earlier(p: Site) -> Variants:
    """The other factor's ancestors of the same shape in its place, carried through windows and padding again."""
    if p.row not in ("mul", "contract") or p.line.operands[1 - p.k].constant:
        return {}
    line, moved = unmoved(p.line.operands[1 - p.k])
    variants: Variants = {}
    for number, ancestor in enumerate(_ancestors(line)):
        variants[f"value number {number + 1} before it"] = partial(_with_factor, p, carried(ancestor.value, moved))
    return variants


@mistake(
    "a later value instead of the factor",
    "the factor was taken from a later step: the output of a layer in place of its x-hat, h(t) for h(t - 1)",
    "Which array met this parameter in the forward pass: before or after the step above it?",
    "the gradient of a factor is y_bar times what it was multiplied with: x-hat for gamma, h(t - 1) for a recurrence",
    rank=2,
)
def _later(p: Site) -> Variants:
    """The other factor's descendants of the same shape in its place; and of a function the slope at another step."""
    if (p.row in ("mul", "contract") and not p.line.operands[1 - p.k].constant) or p.row == "contract":
        found = _descendants(p, p.line.operands[1 - p.k])
        return {words: partial(_with_factor, p, x.value) for words, x in found.items()}
    if not p.primitive.function or p.x.shape != p.y.shape:
        return {}
    primitive: Any = p.primitive
    before = next((x for x in _ancestors(p.line, 12) if x.primitive is primitive), None)
    value = np.zeros(p.y.shape) if before is None else before.value
    return {"the slope at the step before": lambda g: primitive.vjps[0](g, value, value)}


def _descendants(p: Site, line: Tensor, most: int = 20) -> dict[str, Tensor]:
    """The first lines of the same shape behind a line, and the first of them that is a function's output."""
    found: dict[str, Tensor] = {}
    seen, front, number = {id(line)}, [line], 0
    while front and len(seen) <= most:
        following = []
        for x in front:
            for y in p.read(x):
                if id(y) in seen:
                    continue
                seen.add(id(y))
                following.append(y)
                if y.shape == line.shape and y is not p.line:
                    number += 1
                    found |= {f"value number {number} behind it": y} if number <= 3 else {}
                    if y.primitive is not None and y.primitive.function and "of a function" not in found:
                        found["of a function"] = y
        front = following
    return found


@mistake(
    "another function of a factor",
    "a factor was squared, or its sign or its size was lost, before it was multiplied",
    "Is the factor used as it is?",
    "the gradient of a factor is y_bar times what it was multiplied with, sign and all",
    rank=2,
)
def _bent(p: Site) -> Variants:
    """Functions of the other factor, where that is no array of its own; and of a slope."""
    functions: dict[str, Callable[[Any], Any]] = {
        "its size": np.abs,
        "its sign": np.sign,
        "its square": np.square,
        "its positive part": _positive,
    }
    if p.row in ("mul", "contract"):
        other = p.line.operands[1 - p.k]
        if other.constant:
            return {}
        if other.primitive is None:
            functions = {"its size": np.abs} if p.row == "contract" else {}
        return {words: partial(_with_factor, p, f(p.other())) for words, f in functions.items()}
    if p.elementwise and p.primitive.bends and not p.primitive.masks and p.row != "div":
        return {f"of the slope {words}": partial(_sloped, p, f) for words, f in functions.items() if f is not np.square}
    return {}


@mistake(
    "an index that runs backward",
    "a factor was read from its end to its beginning, along an axis along which the forward pass reads it as it stands",
    "In which direction does each index of the factor run?",
    "each term has the factor that it had in the forward pass",
    rank=3,
)
def _backward_read(p: Site) -> Variants:
    """The other factor of a contraction reversed along an axis or several; a kernel's window has a name of its own."""
    c = contraction(p)
    if c is None:
        return {}
    other, window = p.other(), set(c.window(c.others))
    axes = [i for i, n in enumerate(other.shape) if n > 1]
    variants: Variants = {}
    for count in range(1, len(axes) + 1 if len(axes) <= 4 else 2):
        for chosen in combinations(axes, count):
            if not set(chosen) <= window:
                variants[f"along axes {chosen}"] = partial(_with_factor, p, np.flip(other, chosen))
    return variants


def _positive(x: Any) -> Any:
    return np.maximum(x, 0)


def _sloped(p: Site, f: Callable[[Any], Any], g: Any) -> Any:
    return g * f(p.slope)


def _ancestors(line: Tensor, most: int = 6) -> Iterator[Tensor]:
    """The values of the same shape that a line was made of, nearest first."""
    seen, front = {id(line)}, [line]
    while front and len(seen) <= most:
        following = []
        for x in front:
            for y in x.operands if x.primitive is not None else ():
                if not y.constant and y.shape == line.shape and id(y) not in seen and len(seen) <= most:
                    seen.add(id(y))
                    following.append(y)
                    if y.primitive is None or y.primitive.name != "broadcast_to":
                        yield y
        front = following


def _with_factor(p: Site, factor: Any, g: Any) -> Any:
    c = contraction(p)
    return g * factor if c is None else c.product(g, factor)


def _repeated(x: Tensor) -> bool:
    return x.primitive is not None and x.primitive.name == "broadcast_to"


def _factors_summed(p: Site, axes: tuple[int, ...], g: Any) -> Any:
    """What sums to (sum g) (sum b) over the copies of a factor a of a * b: the same share at each of them."""
    total = g.sum(axis=axes, keepdims=True) * p.other().sum(axis=axes, keepdims=True)
    return np.broadcast_to(total / prod(g.shape[a] for a in axes), g.shape)


def _divided(p: Site, count: int, g: Any) -> Any:
    return p.right(g) / count
