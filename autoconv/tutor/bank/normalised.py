"""Mistakes in normalisations and in the softmax: terms forgotten, other axes, x for x-hat, probabilities gone wrong.

They are found wherever a call computes one of the two (see ``run.forms``): as a layer, or written out by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from ..run.calls import Call
from ..run.forms import Softmax, Standardised, Terms
from .mistake import Variants, call_mistake

_NORM = "x_bar = (g - mean(g) - xhat * mean(g * xhat)) / std, with g the gradient of xhat"
_SOFTMAX = "x_bar = y * (y_bar - sum_j y_bar_j y_j), along the axis of the softmax"


_TOO_OFTEN = {
    "divided by the standard deviation once too often": -1,
    "divided by the standard deviation twice too often": -2,
    "not divided by the standard deviation": 1,
    "multiplied by the standard deviation": 2,
}


def _norm(call: Call) -> Standardised | None:
    return call.form if isinstance(call.form, Standardised) else None


def _soft(call: Call) -> Softmax | None:
    return call.form if isinstance(call.form, Softmax) else None


def _of_classes(call: Call) -> Any:
    """The probabilities of a softmax and its cross entropy; None where each number has one of its own."""
    return None if call.name == "bce_with_logits" else call.probabilities


@call_mistake(
    "mean term forgotten",
    "what flows back through the mean was left out",
    "If one input grows, does the mean stay what it was?",
    _NORM,
    0,
)
def _mean_term(call: Call) -> Variants:
    n = _norm(call)
    return {"": partial(n.gradient, first=0)} if n else {}


@call_mistake(
    "variance term forgotten",
    "what flows back through the variance was left out",
    "If one input grows, does the variance stay what it was?",
    _NORM,
    0,
)
def _variance_term(call: Call) -> Variants:
    n = _norm(call)
    return {"": partial(n.gradient, second=0)} if n else {}


@call_mistake(
    "sign of a term of the normalisation",
    "what flows back through the mean or the variance was added, where it is subtracted",
    "What is d(x - mean)/d mean?",
    _NORM,
)
def _term_signs(call: Call) -> Variants:
    n = _norm(call)
    if n is None:
        return {}
    return {
        "of the mean": partial(n.gradient, first=-1),
        "of the variance": partial(n.gradient, second=-1),
        "of both": partial(n.gradient, first=-1, second=-1),
    }


@call_mistake(
    "sums where means belong",
    "the terms through the mean and the variance were not divided by the number of elements",
    "Of how many numbers is the mean taken? What is d mean / d x_i?",
    _NORM + "; a mean is 1/n of a sum",
    0,
)
def _not_divided(call: Call) -> Variants:
    n = _norm(call)
    if n is None:
        return {}
    return {
        "both terms": partial(n.gradient, first=n.count, second=n.count),
        "the term of the mean": partial(n.gradient, first=n.count),
        "the term of the variance": partial(n.gradient, second=n.count),
    }


@call_mistake(
    "a term of the normalisation with a wrong factor",
    "what flows back through the mean or the variance was halved, doubled, or divided by another number than it is",
    "d (x^2) = 2 x dx and d std = d var / (2 std): are both of the twos in your formula? Over how many runs the mean?",
    _NORM,
)
def _term_factors(call: Call) -> Variants:
    n = _norm(call)
    if n is None:
        return {}
    variants: Variants = {}
    for what, factor in (("half", 0.5), ("twice", 2.0), ("minus twice", -2.0), ("minus half", -0.5)):
        variants[f"{what} of the variance's"] = partial(n.gradient, second=factor)
        variants[f"{what} of the mean's"] = partial(n.gradient, first=factor)
    for words, power in _TOO_OFTEN.items():
        variants[f"the variance's {words}"] = partial(n.gradient, second=n.std**power)
    if n.count > 2:
        less = n.count / (n.count - 1)
        variants["both divided by n - 1"] = partial(n.gradient, first=less, second=less)
    for words, size in _sizes(n):
        if size not in (1, n.count):
            ratio = n.count / size
            variants[f"both divided by {words}"] = partial(n.gradient, first=ratio, second=ratio)
            variants[f"the mean's divided by {words}"] = partial(n.gradient, first=ratio)
            variants[f"the variance's divided by {words}"] = partial(n.gradient, second=ratio)
    return variants


def _sizes(n: Standardised) -> Iterator[tuple[str, int]]:
    """Numbers that may be taken for n, each once: the length of an axis, the product of some of those of the mean."""
    found = {size: f"the length of axis {axis}" for axis, size in reversed([*enumerate(n.shape)])}
    of = n.refined
    for count in range(2, len(of.axes)):
        for axes in combinations(of.axes, count):
            found.setdefault(int(np.prod([of.shape[a] for a in axes])), f"the lengths of axes {axes} of {of.shape}")
    yield from ((words, size) for size, words in found.items())


@call_mistake(
    "a factor missing in a term of the normalisation",
    "gamma or the normalised value is missing in the term of the mean or in that of the variance",
    "Write down all three terms: does the gradient of x-hat, dout * gamma, stand in each of them?",
    _NORM,
)
def _term_without(call: Call) -> Variants:
    n = _norm(call)
    if n is None:
        return {}
    variants: Variants = {
        "x-hat in front of the variance's": _made(call, Terms(front="1")),
        "x-hat inside the variance's": _made(call, Terms(inside="1")),
    }
    if _has_gamma(call, n):
        variants["gamma in the mean's"] = _made(call, Terms(gamma=(0, -1, 0)))
        variants["gamma in the variance's"] = _made(call, Terms(gamma=(0, 0, -1)))
        variants["gamma in both"] = _made(call, Terms(gamma=(0, -1, -1)))
    return variants


def _has_gamma(call: Call, n: Standardised) -> bool:
    return call.scale is not None and np.size(call.scale) == np.size(n.x) and bool(np.all(call.scale))


def _made(call: Call, what: Terms) -> Callable[[Any], Any]:
    """The gradient with other terms."""

    def wrong(g: Any) -> Any:
        n = _norm(call)
        assert n is not None
        gamma = call.scale if _has_gamma(call, n) else None
        return np.reshape(sum(n.terms(g, what, gamma, call.scaled)), np.shape(g))

    return wrong


@call_mistake(
    "gamma behind the means",
    "gamma was multiplied in at the end, where it differs along the axes of the means and belongs inside of them",
    "Over what are the means taken: over dout, or over gamma dout?",
    _NORM,
)
def _late(call: Call) -> Variants:
    n = _norm(call)
    return {"": _made(call, Terms(late=True))} if n and _has_gamma(call, n) else {}


@call_mistake(
    "deviation in the wrong power",
    "the gradient was divided by the variance, or not divided at all, where it is divided by the standard deviation",
    "xhat = (x - mean) / std. What is d xhat / d x, with mean and std held fixed?",
    _NORM,
)
def _power(call: Call) -> Variants:
    n = _norm(call)
    if n is None:
        return {}
    return {
        "not divided": partial(n.gradient, std=1.0),
        "divided by the variance": partial(n.gradient, std=n.std**2),
        "multiplied": partial(n.gradient, std=1 / n.std),
        "divided by the standard deviation without eps": partial(n.gradient, std=np.sqrt(n.var)),
        "eps added to the standard deviation, not to the variance": partial(
            n.gradient, std=np.sqrt(n.var) + n.eps, hat=n.deviation / (np.sqrt(n.var) + n.eps)
        ),
    }


@call_mistake(
    "unbiased variance",
    "the variance was divided by n - 1, where the forward pass divides it by n",
    "By what does your forward pass divide the sum of the squares?",
    "the same variance forward and backward: 1/n sum (x - mean)^2",
)
def _unbiased(call: Call) -> Variants:
    n = _norm(call)
    if n is None or n.count < 2:
        return {}
    std = np.sqrt(n.var * n.count / (n.count - 1) + n.eps)
    variants: Variants = {
        "everywhere": partial(n.gradient, std=std, hat=n.deviation / std),
        "in the division alone": partial(n.gradient, std=std),
        "in the term of the variance alone": partial(n.gradient, second=n.count / (n.count - 1)),
    }
    return variants


@call_mistake(
    "x where x-hat belongs",
    "the input (or its deviation from the mean, or the layer's output) was used where the normalised value belongs",
    "Is what you multiply with already divided by the standard deviation?",
    _NORM,
)
def _for_hat(call: Call) -> Variants:
    n = _norm(call)
    if n is None:
        return {}
    words = {"x": "x", "x - mean": "x - mean", "output": "the output"}
    variants: Variants = {}
    for factor, what in words.items():
        if factor == "output" and np.size(call.scaled) != np.size(n.x):
            continue
        both = f"{what} in both places"
        both += ", or the variance's term multiplied by the variance once too often" if factor == "x - mean" else ""
        variants[both] = _made(call, Terms(front=factor, inside=factor))
        variants[f"{what} in front of the mean"] = _made(call, Terms(front=factor))
        variants[f"{what} inside of the mean"] = _made(call, Terms(inside=factor))
    return variants


@call_mistake(
    "normalised over the wrong axis",
    "the means of the backward pass run over another axis than those of the forward pass",
    "Over which axis are the mean and the variance taken: over the batch, or over the features?",
    "batch norm: over the examples (and positions), for each channel; layer norm: over the features of each example",
    0,
)
def _wrong_axis(call: Call) -> Variants:
    n = _norm(call)
    variants: Variants = {}
    n = n.refined if n else n
    for other in n.elsewhere if n else ():
        variants[f"all of it over axes {other.axes}"] = other.gradient
        variants[f"the terms over axes {other.axes}"] = partial(other.gradient, hat=n.hat, std=n.std)  # type: ignore[union-attr]
        variants[f"the sums over axes {other.axes}"] = partial(_by_steps, n, other)  # type: ignore[arg-type]
        for full in (False, True):
            words = f"the sums over axes {other.axes}, divided by {n.count}{', step by step' if full else ''}"  # type: ignore[union-attr]
            variants[words] = partial(_by_steps, n, other, share=other.count / n.count, full=full)  # type: ignore[arg-type,union-attr]
        variants[f"the mean's term over axes {other.axes}"] = partial(_terms_over, n, other, n)  # type: ignore[arg-type]
        variants[f"the mean's term over axes {other.axes}, taken last"] = partial(_mean_last, n, other)  # type: ignore[arg-type]
        variants[f"the variance's term over axes {other.axes}"] = partial(_terms_over, n, n, other)  # type: ignore[arg-type]
        ratio = other.count / n.count  # type: ignore[union-attr]
        if ratio != 1:
            words = f"over axes {other.axes}, divided by {n.count}"  # type: ignore[union-attr]
            variants[f"the mean's term {words}"] = partial(_terms_over, n, other, n, first=ratio)  # type: ignore[arg-type]
            variants[f"the variance's term {words}"] = partial(_terms_over, n, n, other, last=ratio)  # type: ignore[arg-type]
    return variants


def _mean_last(n: Standardised, other: Standardised, g: Any) -> Any:
    """The gradient of x - mean first, then its mean subtracted over the axes of ``other``."""
    centred = np.reshape(n.gradient(g, first=0), n.shape)
    return np.reshape(centred - other.mean(centred), np.shape(g))


def _by_steps(n: Standardised, other: Standardised, g: Any, share: float = 1.0, full: bool = False) -> Any:
    """The gradient in the small steps in which it is often written, their sums over the axes of ``other``:

    var_bar = sum(g (x - mean)) / (-2 std^3), mean_bar = -sum(g / std), x_bar = g / std + 2 (x - mean) var_bar / n + ...

    share: of these sums, where n is not the number of their terms.  full: with the term of var_bar in mean_bar, which
    is zero where the deviations add up to zero.
    """
    h = n.arriving(g)
    var = -0.5 * other.mean(h * n.deviation / n.std**3) * share
    mean = -other.mean(h / n.std) - (2 * var / share * other.mean(n.deviation) if full else 0.0)
    return np.reshape(h / n.std + 2 * n.deviation * var + mean * share, np.shape(g))


def _terms_over(
    n: Standardised, one: Standardised, other: Standardised, g: Any, first: float = 1.0, last: float = 1.0
) -> Any:
    """The gradient with its two means over the axes of ``one`` and of ``other``, times ``first`` and ``last``."""
    h = n.arriving(g)
    return np.reshape((h - first * one.mean(h) - last * n.hat * other.mean(h * n.hat)) / n.std, np.shape(g))


@call_mistake(
    "a kept array read at its first index",
    "the deviation or the normalised value of the first example (group, channel) was used for all of them",
    "Which loop variables stand in the arrays that the forward pass kept?",
    _NORM + ": std and xhat are those of the example and group at hand",
    2,
)
def _kept_at_first(call: Call) -> Variants:
    n = _norm(call)
    variants: Variants = {}
    n = n.refined if n else n
    for axis in [i for i, size in enumerate(n.shape) if size > 1] if n else ():
        std = np.broadcast_to(n.std, n.shape)  # type: ignore[union-attr]
        for what, array in (("std", std), ("hat", n.hat)):  # type: ignore[union-attr]
            if what == "hat" or axis not in n.axes:  # type: ignore[union-attr]
                first = np.repeat(array.take([0], axis), array.shape[axis], axis)
                words = "the deviation" if what == "std" else "the normalised value"
                variants[f"{words}, axis {axis}"] = partial(n.gradient, **{what: first})  # type: ignore[union-attr,arg-type]
    return variants


# ---- the softmax


@call_mistake(
    "softmax over the wrong axis",
    "the softmax was taken, or summed, over another axis",
    "Which numbers add up to 1: those of one example, or those of one class?",
    _SOFTMAX,
    0,
)
def _soft_axis(call: Call) -> Variants:
    s = _soft(call)
    variants: Variants = {}
    for other in s.elsewhere if s else ():
        variants[f"all of it over axes {other.axes}"] = other.gradient
        variants[f"the probabilities over axes {other.axes}"] = partial(s.gradient, y=other.y)  # type: ignore[union-attr]
        variants[f"the sum over axes {other.axes}"] = partial(s.gradient, sum=other.sum)  # type: ignore[union-attr]
    y = call.probabilities
    if y is not None and s is None and y.ndim > 1:
        e = np.exp(call.x.value - call.x.value.max(axis=0, keepdims=True))
        variants["the probabilities over the batch"] = _with(call, y, e / e.sum(axis=0, keepdims=True))
    return variants


@call_mistake(
    "softmax not normalised",
    "the exponentials were used as they are, not divided by their sum",
    "What do the probabilities of one example add up to?",
    "y = exp(x) / sum exp(x)",
    0,
)
def _unnormalised(call: Call) -> Variants:
    if s := _soft(call):
        return {"exp(x - max)": partial(s.gradient, y=s.exp), "exp(x)": partial(s.gradient, y=np.exp(s.x))}
    y, x = call.probabilities, call.x.value
    if y is None or call.name != "cross_entropy":
        return {}
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return {"exp(x - max)": _with(call, y, e), "exp(x)": _with(call, y, np.exp(x))}


@call_mistake(
    "a factor of the softmax's Jacobian forgotten",
    "one of the two terms, or the factor y in front of them, is missing",
    "dy_i/dx_j = y_i (1[i = j] - y_j): which part of it is in your formula?",
    _SOFTMAX,
)
def _soft_terms(call: Call) -> Variants:
    s = _soft(call)
    if s is None:
        return {}
    if s.log:
        return {
            "the sum of what arrives": s.shaped(lambda g: g - s.y * g),
            "the term of the output itself": s.shaped(lambda g: -s.y * s.sum(g)),
            "the probabilities": s.shaped(lambda g: g - s.sum(g)),
            "the weights of another softmax in the sum": s.shaped(lambda g: g - s.y * s.sum(g * s.y)),
        }
    return {
        "the factor y": s.shaped(lambda g: g - s.sum(g * s.y)),
        "the factor y of what arrives": s.shaped(lambda g: g - s.y * s.sum(g * s.y)),
        "the factor y on the diagonal": s.shaped(lambda g: g * (1 - s.y) - s.y * (s.sum(g * s.y) - g * s.y)),
        "the term of the output itself": s.shaped(lambda g: -s.y * s.sum(g * s.y)),
        "the weights of the sum": s.shaped(lambda g: s.y * (g - s.sum(g))),
    }


@call_mistake(
    "sign of a term of the softmax's Jacobian",
    "the sum that is subtracted was added",
    "dy_i/dx_j = y_i (1[i = j] - y_j): which sign has what lies off the diagonal?",
    _SOFTMAX,
)
def _soft_sign(call: Call) -> Variants:
    s = _soft(call)
    if s is None:
        return {}
    if s.log:
        return {"": s.shaped(lambda g: g + s.y * s.sum(g))}
    return {
        "": s.shaped(lambda g: s.y * (g + s.sum(g * s.y))),
        "off the diagonal": s.shaped(lambda g: s.y * (g + s.sum(g * s.y) - 2 * g * s.y)),
    }


@call_mistake(
    "the derivative of another function",
    "the softmax's derivative stands where that of its logarithm belongs, or the other way round; or the logarithm "
    "stands where the probabilities belong",
    "Is it the softmax or its logarithm that the forward gives?",
    "softmax: y (g - sum(g y)); its logarithm: g - p sum(g), with p = exp(y)",
    2,
)
def _other_function(call: Call) -> Variants:
    s = _soft(call)
    if s is None:
        return {}
    if not s.log:
        return {"that of its logarithm": s.shaped(lambda g: g - s.y * s.sum(g))}
    return {
        "that of the softmax": s.shaped(lambda g: s.y * (g - s.sum(g * s.y))),
        "the logarithm for the probabilities": s.shaped(lambda g: g - np.log(s.y) * s.sum(g)),
    }


@call_mistake(
    "the sigmoid's derivative p (1 - p) for the softmax's",
    "p (1 - p) was written as for a sigmoid, where the softmax and its cross entropy give p - t",
    "Softmax and cross entropy together: how much is left of both derivatives?",
    "cross entropy after a softmax: the gradient before the softmax is p - t",
    0,
)
def _as_sigmoid(call: Call) -> Variants:
    y = _of_classes(call)
    if y is None:
        return {}
    beside = lambda g: np.where(_right_class(call, g), call.pull(g), y * (1 - y) * weight(call, g))
    return {"": lambda g: y * (1 - y) * weight(call, g), "beside the right class": beside}


@call_mistake(
    "one subtracted from every class",
    "1 was subtracted from the probabilities of all classes, not from that of the right class alone",
    "Which class does the 1 in p - 1 belong to?",
    "p - t, with t = 1 for the right class and 0 for all others: scores[range(n), y] -= 1",
)
def _every_class(call: Call) -> Variants:
    y = _of_classes(call)
    if y is None:
        return {}
    return {"": lambda g: (y - 1) * weight(call, g)}


@call_mistake(
    "target in the wrong place or size",
    "the target was subtracted with a wrong factor, or from another class than the right one",
    "p - t: what is t for the right class, what for the others, and what is divided by the number of examples?",
    "w (p - t), with t = 1 for the right class, and w = 1 / n for both of them",
    0,
)
def _targets(call: Call) -> Variants:
    """Of the gradient w (y - t): another multiple of w t, or t rolled by a class or an example."""
    y = call.probabilities
    if y is None:
        return {}

    def made(change: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
        def wrong(g: Any) -> Any:
            d = call.pull(g)
            w = weight(call, g)
            return change(w, w * y - d)

        return wrong

    each: Variants = {
        "not divided by the number of examples": made(lambda w, t: w * y - t / w),
        "twice": made(lambda w, t: w * y - 2 * t),
        "added": made(lambda w, t: w * y + t),
        "the probabilities not divided by the number of examples": made(lambda w, t: y - t),
        "the scores in the place of the probabilities": made(lambda w, t: w * call.x.value - t),
        "the logarithms in the place of the probabilities": made(lambda w, t: w * np.log(y) - t),
        "1 minus the probabilities": made(lambda w, t: w * (1 - y) - t),
    }
    if _of_classes(call) is None:
        return each
    return each | {
        "of the class before": made(lambda w, t: w * y - np.roll(t, -1, axis=-1)),
        "of the class behind": made(lambda w, t: w * y - np.roll(t, 1, axis=-1)),
        "of the class numbered as the example": made(lambda w, t: w * (y - _numbered(y))),
        "of the size of its label": made(lambda w, t: w * y - t * np.arange(y.shape[-1])),
        "of another example": made(lambda w, t: w * y - np.roll(t, 1, axis=0)),
        "of the class with the largest score": made(lambda w, t: w * y - w * _largest(y)),
        "of every class that occurs in the batch": made(lambda w, t: w * (y - _hit(t).any(axis=0))),
        "of all classes, for the examples numbered as the labels are": made(lambda w, t: w * (y - _rows(t))),
        "the shifted scores in the place of the probabilities": made(
            lambda w, t: w * (call.x.value - call.x.value.max(axis=-1, keepdims=True)) - t
        ),
    }


def _hit(t: Any) -> Any:
    return np.abs(t) > 0.5 * np.abs(t).max(axis=-1, keepdims=True)


def _largest(y: Any) -> Any:
    return np.eye(y.shape[-1])[y.argmax(axis=-1)]


def _numbered(y: Any) -> Any:
    n, classes = int(np.prod(y.shape[:-1])), y.shape[-1]
    return np.eye(classes)[np.arange(n) % classes].reshape(y.shape)


def _rows(t: Any) -> Any:
    """d[labels] -= 1: whole rows, those whose number is a label."""
    return np.isin(np.arange(len(t)), _hit(t).argmax(axis=-1)).reshape(-1, *(1,) * (t.ndim - 1))


@call_mistake(
    "only some of the classes",
    "only the right class, or only the wrong ones, received a gradient",
    "Do the scores of the wrong classes change the loss?",
    "p - t for every class: each score is in the denominator of the softmax",
    0,
)
def _some_classes(call: Call) -> Variants:
    y = _of_classes(call)
    if y is None:
        return {}
    hit = partial(_right_class, call)
    return {
        "the wrong ones, and -1 for the right one": lambda g: np.where(hit(g), -weight(call, g), call.pull(g)),
        "the right one": lambda g: call.pull(g) * hit(g),
        "the wrong ones": lambda g: call.pull(g) * ~hit(g),
        "the right one, by the logarithm alone": lambda g: -weight(call, g) * hit(g) / y,
    }


def _right_class(call: Call, g: Any) -> Any:
    w = weight(call, g)
    return np.abs(w * call.probabilities - call.pull(g)) > 0.5 * np.abs(w)


def weight(call: Call, g: Any) -> Any:
    """w of the gradient w (y - t) for targets that are 0 or 1 (w = 1 / n for a mean): of the sign of what arrives."""
    y, d = call.probabilities, call.pull(g)
    if isinstance(call.form, Softmax) and call.form.log:
        sign = -np.reshape(call.form.sum(np.reshape(g, call.form.shape)) + np.zeros(call.form.shape), y.shape)
    else:
        sign = np.reshape(g, np.shape(g) + (1,) * (y.ndim - np.ndim(g))) if np.ndim(g) < y.ndim else np.asarray(g)
    sign = np.where(sign < 0, -1.0, 1.0)
    return sign * np.maximum(sign * d / y, sign * d / (y - 1))


def _with(call: Call, y: Any, other: Any) -> Callable[[Any], Any]:
    """The gradient w (y - t) with other probabilities."""

    def wrong(g: Any) -> Any:
        d = call.pull(g)
        return d + (other - y) * weight(call, g)

    return wrong
