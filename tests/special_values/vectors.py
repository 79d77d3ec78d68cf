"""What functions of an array are, in mpmath: value, and the gradient of sum_i w_i y_i with weights w = 1, 2, 3, ...

At infinities and ties:

    max, min                the gradient goes to the first of equal cells
    logsumexp, softmax      all -inf: the gradient is 0 everywhere; with one +inf the weight is 1 there
    std                     of equal numbers: slope 0, as PyTorch has it
    a sum of products       0 * -inf of a class of weight 0 is 0 (0 log 0 = 0)

A third function says which digits cannot be expected: the size of the numbers that cancel, in front of eps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mpmath import mp, mpf

import autoconv as ac

inf, nan = mp.inf, mp.nan
Xs = list[Any]


def bad(xs: Xs) -> bool:
    return any(mp.isnan(x) for x in distinct(xs))


def distinct(xs: Xs) -> Xs:
    """The numbers of an array; one where a long one has the same number everywhere."""
    return xs if len(xs) < 100 else xs[:1]


def total(xs: Xs) -> Any:
    if len(xs) > 100:
        return len(xs) * xs[0]
    return mp.fsum(xs) if not any(mp.isinf(x) for x in xs) else sum(xs)


def mean(xs: Xs) -> Any:
    return total(xs) / len(xs)


def largest(xs: Xs) -> Any:
    return nan if bad(xs) else max(distinct(xs))


def shares(xs: Xs) -> Xs:
    """softmax; all -inf: nothing has a share (and a share of several infinities is not asked)."""
    m = largest(xs)
    if mp.isnan(m) or (m == inf and xs.count(inf) > 1):
        return [None] * len(xs)
    if m == inf:
        return [mpf(x == inf) for x in xs]
    if m == -inf:
        return [mpf(0)] * len(xs)
    if len(xs) > 100:
        return [mpf(1) / len(xs)] * len(xs)
    powers = [mp.exp(x - m) for x in xs]
    return [p / total(powers) for p in powers]


def logsumexp(xs: Xs) -> Any:
    m = largest(xs)
    if mp.isnan(m) or mp.isinf(m):
        return m
    return m + mp.log(total([mp.exp(x - m) for x in xs]) if len(xs) < 100 else mpf(len(xs)))


def log_softmax(xs: Xs) -> Xs:
    """x_i - log sum_j e^x_j; -inf where x is; not asked where a share of infinities would be."""
    if bad(xs):
        return [nan] * len(xs)
    m = max(xs)
    if mp.isinf(m):
        return [None] * len(xs)
    rest = logsumexp([x - m for x in xs])
    return [x - m - rest for x in xs]


def softmax(xs: Xs) -> Xs:
    if bad(xs):
        return [nan] * len(xs)
    return [None] * len(xs) if mp.isinf(max(xs)) else shares(xs)


def slopes_of_softmax(xs: Xs, w: Xs) -> Xs:
    if bad(xs) or mp.isinf(max(xs)):
        return [None] * len(xs)
    p = shares(xs)
    along = total([a * b for a, b in zip(p, w, strict=True)])
    return [a * (b - along) for a, b in zip(p, w, strict=True)]


def slopes_of_log_softmax(xs: Xs, w: Xs) -> Xs:
    if bad(xs) or mp.isinf(max(xs)):
        return [None] * len(xs)
    return [b - a * total(w) for a, b in zip(shares(xs), w, strict=True)]


def unknown_if_not_finite(f: Callable[..., Any]) -> Callable[..., Any]:
    """Moments of infinities are NaN, and their slopes not asked."""

    def g(xs: Xs, *w: Xs) -> Any:
        if any(mp.isnan(x) or mp.isinf(x) for x in xs):
            return [None] * len(xs) if w else nan
        return f(xs, *w)

    return g


def var(xs: Xs) -> Any:
    m = mean(xs)
    return total([(x - m) ** 2 for x in xs]) / len(xs)


def width(xs: Xs) -> Any:
    return mp.sqrt(var(xs) + mpf(float("1e-5")))


def standardised(xs: Xs) -> Any:
    if any(mp.isnan(x) or mp.isinf(x) for x in xs):
        return [nan] * len(xs)
    m, s = mean(xs), width(xs)
    return [(x - m) / s for x in xs]


def slopes_of_standardised(xs: Xs, w: Xs) -> Xs:
    y, s = standardised(xs), width(xs)
    along = mean([a * b for a, b in zip(y, w, strict=True)])
    middle = mean(w)
    return [(b - middle - a * along) / s for a, b in zip(y, w, strict=True)]


def size(xs: Xs) -> Any:
    return max([abs(x) for x in xs if not mp.isinf(x) and not mp.isnan(x)], default=mpf(0))


def of_size(xs: Xs) -> Any:
    return total([abs(x) for x in xs if not mp.isinf(x) and not mp.isnan(x)])


def nothing(xs: Xs) -> Any:
    return mpf(0)


def first(xs: Xs, i: int) -> Xs:
    return [None] * len(xs) if bad(xs) else [mpf(k == i) for k in range(len(xs))]


def others(xs: Xs, i: int) -> Any:
    y = mpf(1)
    for k, x in enumerate(xs):
        y = y if k == i else y * x
    return y


def product(xs: Xs) -> Any:
    """A product of numbers that stand for themselves: no infinity arises before the end."""
    return nan if any(mp.isinf(x) for x in xs) and 0 in xs else others(xs, -1)


def seen(x: Any) -> Any:
    return ac.reshape(x, (1, x.size, 1))


def even(xs: Xs, y: Any) -> Xs:
    """The gradient in equal parts to all cells that are the extreme."""
    return [None] * len(xs) if bad(xs) else [mpf(x == y) / xs.count(y) for x in xs]


def so_far(xs: Xs, w: Xs) -> Xs:
    return [total(w[i:]) for i in range(len(xs))]


def in_order(xs: Xs, w: Xs) -> Xs:
    """Weight k goes to the cell that is k-th; equal cells keep their order."""
    if bad(xs):
        return [None] * len(xs)
    order = sorted(range(len(xs)), key=lambda i: xs[i])
    return [w[order.index(i)] for i in range(len(xs))]


def norm(p: int) -> Row:
    """(sum |x|^p)^(1/p), slope (|x| / norm)^(p - 1) sign x; 0 of nothing but zeros."""

    def value(xs: Xs) -> Any:
        return nan if bad(xs) else mp.root(total([abs(x) ** p for x in xs]), p) if not any(map(mp.isinf, xs)) else inf

    def slopes(xs: Xs, w: Xs) -> Xs:
        n = value(xs)
        return [(abs(x) / n) ** (p - 1) * mp.sign(x) if n else mpf(0) for x in xs]

    # the root is a power of 1/p, whose rounding counts as often as the sum has factors e
    return (lambda x: ac.norm(x, p=p)), value, unknown_if_not_finite(slopes), nothing, lambda xs: mpf(p > 2) * p


def grouped(x: Any) -> Any:
    return ac.reshape(ac.group_norm(ac.reshape(x, (1, x.size)), 1), (x.size,))


def negated(f: Callable[..., Any]) -> Callable[..., Any]:
    """What f says of the negative numbers, with the slopes that follow."""

    def g(xs: Xs, *w: Xs) -> Any:
        found = f([-x for x in xs], *w)
        return [None if y is None else -y for y in found] if w else found

    return g


Row = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any], Callable[..., Any], Callable[..., Any]]

# how it is spelled, value, slopes, digits lost in the value, digits lost in the slopes
ROWS: dict[str, Row] = {
    "sum": (ac.sum, total, lambda xs, w: [mpf(1)] * len(xs), of_size, nothing),
    "mean": (ac.mean, mean, lambda xs, w: [mpf(1) / len(xs)] * len(xs), lambda xs: of_size(xs) / len(xs), nothing),
    "max": (ac.max, largest, lambda xs, w: first(xs, xs.index(largest(xs)) if not bad(xs) else 0), nothing, nothing),
    "min": (
        ac.min,
        lambda xs: nan if bad(xs) else min(xs),
        lambda xs, w: first(xs, xs.index(min(xs))),
        nothing,
        nothing,
    ),
    "prod": (
        ac.prod,
        product,
        lambda xs, w: [
            None if bad(xs) or size(xs) > 1e4 or any(map(mp.isinf, xs)) else others(xs, i) for i in range(len(xs))
        ],
        nothing,
        nothing,
    ),
    "logsumexp": (ac.logsumexp, logsumexp, lambda xs, w: shares(xs), nothing, nothing),
    "softmax": (ac.softmax, softmax, slopes_of_softmax, nothing, lambda xs: mpf(len(xs))),
    # 1 of the digits: the sum of exponentials, 1 and more, is rounded before its logarithm is taken, as in PyTorch
    "log_softmax": (ac.log_softmax, log_softmax, slopes_of_log_softmax, lambda xs: mpf(1), lambda xs: mpf(len(xs))),
    "cross_entropy": (
        lambda x: ac.losses.cross_entropy(ac.reshape(x, (1, x.size)), labels()),
        lambda xs: None if log_softmax(xs)[0] is None else -log_softmax(xs)[0],
        lambda xs, w: [None if p is None or mp.isinf(max(xs)) else p - (i == 0) for i, p in enumerate(shares(xs))],
        nothing,
        lambda xs: mpf(1),
    ),
    "var": (
        ac.var,
        unknown_if_not_finite(var),
        unknown_if_not_finite(lambda xs, w: [2 * (x - mean(xs)) / len(xs) for x in xs]),
        lambda xs: size(xs) * mp.sqrt(var(xs)),
        size,
    ),
    "std": (
        ac.std,
        unknown_if_not_finite(lambda xs: mp.sqrt(var(xs))),
        unknown_if_not_finite(
            lambda xs, w: [(x - mean(xs)) / (len(xs) * mp.sqrt(var(xs))) if var(xs) else mpf(0) for x in xs]
        ),
        size,
        lambda xs: size(xs) / mp.sqrt(var(xs)) if var(xs) else mpf(0),
    ),
    "layer_norm": (
        ac.layer_norm,
        standardised,
        unknown_if_not_finite(slopes_of_standardised),
        lambda xs: size(xs) / width(xs),
        lambda xs: len(xs) ** 2 / width(xs) * (1 + size(xs) / width(xs)),
    ),
    "mse": (
        lambda x: ac.losses.mse(x, ac.zeros_like(x)),
        lambda xs: mean([x * x for x in distinct(xs)]),
        lambda xs, w: [2 * x / len(xs) for x in xs],
        nothing,
        nothing,
    ),
    "half_squared_error": (
        lambda x: ac.losses.half_squared_error(x, ac.zeros_like(x)),
        lambda xs: total([x * x for x in xs]) / 2,
        lambda xs, w: xs,
        nothing,
        nothing,
    ),
    "max_pool1d": (
        lambda x: ac.max_pool1d(seen(x), x.size),
        largest,
        lambda xs, w: first(xs, xs.index(largest(xs)) if not bad(xs) else 0),
        nothing,
        nothing,
    ),
    "max_pool2d": (
        lambda x: ac.max_pool2d(ac.reshape(x, (1, 1, x.size, 1)), (1, x.size)),
        largest,
        lambda xs, w: first(xs, xs.index(largest(xs)) if not bad(xs) else 0),
        nothing,
        nothing,
    ),
    "avg_pool1d": (
        lambda x: ac.avg_pool1d(seen(x), x.size),
        mean,
        lambda xs, w: [mpf(1) / len(xs)] * len(xs),
        lambda xs: of_size(xs) / len(xs),
        nothing,
    ),
    "lp_pool1d": (
        lambda x: ac.lp_pool1d(seen(x), x.size),
        lambda xs: nan if bad(xs) else mp.sqrt(total([x * x for x in xs])),
        unknown_if_not_finite(
            lambda xs, w: [x / mp.sqrt(total([a * a for a in xs])) if any(xs) else mpf(0) for x in xs]
        ),
        nothing,
        nothing,
    ),
}

ROWS |= {
    "amax": (ac.amax, largest, lambda xs, w: even(xs, largest(xs)), nothing, nothing),
    "amin": (
        ac.amin,
        lambda xs: nan if bad(xs) else min(xs),
        lambda xs, w: even(xs, None if bad(xs) else min(xs)),
        nothing,
        nothing,
    ),
    "norm 1": norm(1),
    "norm 2": norm(2),
    "norm 3": norm(3),
    "cumsum": (ac.cumsum, lambda xs: [total(xs[: i + 1]) for i in range(len(xs))], so_far, of_size, nothing),
    "sort": (ac.sort, lambda xs: [None] * len(xs) if bad(xs) else sorted(xs), in_order, nothing, nothing),
    "softmin": (ac.softmin, negated(softmax), negated(slopes_of_softmax), nothing, lambda xs: mpf(len(xs))),
    "group_norm": (grouped, *ROWS["layer_norm"][1:]),
    "adaptive_max_pool1d": (lambda x: ac.adaptive_max_pool1d(seen(x), 1), *ROWS["max_pool1d"][1:]),
    "adaptive_avg_pool1d": (lambda x: ac.adaptive_avg_pool1d(seen(x), 1), *ROWS["mean"][1:]),
}

# asked of arrays of thousands; the others would say the same at length
LONG = {"mean", "logsumexp", "softmax", "mse", "avg_pool1d"}

# not asked, because NumPy and PyTorch leave the range here as well: a sum or product of the numbers overflows
# on the way to a result inside the range, or the square of the smallest number is 0
LEFT_RANGE = {(name, "largest") for name in ("mean", "prod", "avg_pool1d", "var", "std", "lp_pool1d")}
LEFT_RANGE |= {(name, "largest of both signs") for name in ("var", "std", "lp_pool1d")}
LEFT_RANGE |= {(name, place) for name in ("norm 2", "norm 3") for place in ("1e30s", "denormals")}
LEFT_RANGE |= {("adaptive_avg_pool1d", "largest")}
LEFT_RANGE |= {
    (name, place)
    for name in ("layer_norm", "group_norm", "norm 2", "norm 3")
    for place in ("largest", "largest of both signs")
}
LEFT_RANGE |= {("std", "1e30s"), ("lp_pool1d", "1e30s"), ("lp_pool1d", "denormals")}


def labels() -> Any:
    return ac.zeros_like(ac.tensor([1])).astype(int)
