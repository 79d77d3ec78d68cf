"""Mistakes in the chain rule of single operations: derivatives forgotten, squared, taken elsewhere; masks; operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..run.site import Site, counts_terms
from .mistake import Variants, mistake

_SEVERAL = 4  # numbers of a tensor from which on they prove something


def _nontrivial(p: Site) -> bool:
    """Whether forgetting the local derivative is something one could do: it is not 1, and not a mask."""
    return p.primitive.bends and (not p.primitive.masks or p.row == "abs")


@mistake(
    "local derivative forgotten",
    "the upstream gradient was passed on without the local derivative",
    "At which step does the gradient go through unchanged, although the function bends or scales it?",
    "x_bar = y_bar * f'(x): multiply by the local derivative of this step",
)
def _forgotten(p: Site) -> Variants:
    if counts_terms(p.line):
        return {}  # a mean: told as "sum instead of mean"
    if p.row == "mul" and p.other().size > 1 and p.line.operands[1 - p.k].constant:
        # the weights of a sum of outputs: without them it is the upstream gradient of the output that is forgotten
        return {"": lambda g: None if g.size > 1 and np.ptp(g) == 0 else g}
    return {"": lambda g: g} if _nontrivial(p) else {}


@mistake(
    "local derivative squared",
    "the local derivative was multiplied in twice",
    "How many times does the chain rule pass through this step?",
    "x_bar = y_bar * f'(x), once",
)
def _squared(p: Site) -> Variants:
    return {"": lambda g: p.right(p.right(g))} if _nontrivial(p) or p.row == "maximum" else {}


@mistake(
    "upstream gradient forgotten",
    "the local derivative was taken, but not multiplied with what arrives from above",
    "The chain rule is a product: which factor comes from the steps after this one?",
    "x_bar = y_bar * dy/dx: start from the gradient y_bar of the step's output",
    rank=0,
)
def _upstream(p: Site) -> Variants:
    return {"": lambda g: p.right(np.ones_like(g))}


@mistake(
    "a forward value where the upstream gradient belongs",
    "the output of the step was used in place of the gradient of that output",
    "Which of your factors are values of the forward pass, and which are gradients?",
    "x_bar = y_bar * dy/dx: y_bar is dE/dy, not y",
)
def _value(p: Site) -> Variants:
    return {"": lambda g: p.right(np.array(p.y, dtype=float))}


@mistake(
    "sign",
    "the sign is wrong",
    "Does the loss grow or fall when this number grows a little? Try it on one element.",
    "look at differences: d(t - y)/dy = -1",
    rank=0,
)
def _sign(p: Site) -> Variants:
    if p.line.primitive is not None and len(p.line.operands) == 2 and p.line.operands[0] is p.line.operands[1]:
        return {}  # of x * x both contributions are one to the reader
    return {"": lambda g: -p.right(g)} if p.elementwise else {}


@mistake(
    "activation mask missing",
    "the gradient was let through where the activation was off (or where the other one won)",
    "Which elements did not change the output at all?",
    "relu: x_bar = y_bar where x > 0, else 0; max: only the winner receives the gradient",
)
def _mask(p: Site) -> Variants:
    return {"": lambda g: g} if p.primitive.masks and p.row != "abs" and p.pooling is None else _drawn(p, np.ones_like)


def _drawn(p: Site, other: Callable[[Any], Any]) -> Variants:
    """Of a product with a mask that was drawn, an array of 0 and one other number: the same with another mask."""
    if p.row != "mul" or not p.line.operands[1 - p.k].constant or p.other().size < _SEVERAL:
        return {}
    mask = p.other() != 0
    size = p.other()[mask][:1]
    if mask.all() or not size.size or not (p.other()[mask] == size).all():
        return {}
    return {"of what was drawn": lambda g: g * size * other(mask)}


@mistake(
    "activation mask inverted",
    "the gradient went to the elements that were off, not to those that were on",
    "Which side of the kink changes the output?",
    "relu: x_bar = y_bar where x > 0, else 0",
    rank=2,
)
def _inverted(p: Site) -> Variants:
    if p.primitive.masks and p.primitive.arity != 1 and p.pooling is None:
        return {"": lambda g: g - p.right(g)}
    return _drawn(p, np.logical_not)


@mistake(
    "relu applied to the gradient",
    "the gradient was cut where it is negative, instead of where the activation was off",
    "Is the mask made from the forward value or from the gradient?",
    "relu: x_bar = y_bar where x > 0; the sign of y_bar plays no part",
    rank=2,
)
def _relu_of_gradient(p: Site) -> Variants:
    if p.row == "windows" and p.pooling == "max":
        return {"": lambda g: p.right(np.maximum(g, 0))}
    if p.row != "maximum" or p.pooling is not None:
        return {}
    return {"": lambda g: np.maximum(g, 0), "besides its own mask": lambda g: p.right(np.maximum(g, 0))}


@mistake(
    "activation instead of its mask",
    "the activation's value was multiplied in, where its mask (1 where it is on) belongs",
    "What is the slope of relu where it is on?",
    "relu: x_bar = y_bar where x > 0, else 0: the slope is 1 or 0, not the value",
)
def _valued_mask(p: Site) -> Variants:
    if not p.primitive.masks or p.pooling is not None or p.inside("max", "min"):
        return {}
    return {"": lambda g: g * p.y}


@mistake(
    "derivative taken at the gradient",
    "f' was evaluated at the gradient that arrives (the error), instead of at the pre-activation",
    "At which number is the derivative of the activation evaluated?",
    "x_bar = y_bar * f'(x), with x what went into f in the forward pass",
)
def _at_gradient(p: Site) -> Variants:
    if not p.primitive.function:
        return {}
    primitive: Any = p.primitive
    at = lambda x: primitive.vjps[0](np.ones_like(x), primitive.forward(x), x)
    by_output = lambda y: primitive.vjps[0](np.ones_like(y), y, y)
    return {"times the gradient": lambda g: g * at(g), "as the output": lambda g: g * by_output(g), "alone": at}


@mistake(
    "operands swapped",
    "the derivative with respect to one operand was taken for that of the other",
    "For z = a * b: which of the two stands in dz/da?",
    "d(a b)/da = b; d(a - b)/db = -1; d(a / b)/db = -a / b^2",
)
def _swapped(p: Site) -> Variants:
    primitive = p.line.primitive
    assert primitive is not None
    if p.row == "concat" and len(p.line.operands) == 2 and p.x.shape == p.other().shape:
        axis = p.line.params["axis"]
        return {"": lambda g: p.right(np.roll(g, p.x.shape[axis], axis))}
    if not isinstance(primitive.vjps, tuple) or len(primitive.vjps) != 2 or p.row == "contract" or not p.elementwise:
        return {}
    if primitive.vjps[p.k] is None or p.row == "add":
        return {}
    rule: Any = primitive.vjps[p.k]
    return {"": lambda g: rule(g, p.y, *[x.value for x in reversed(p.line.operands)])}


@mistake(
    "one side of a difference forgotten",
    "one number stands where a difference belongs, as y in place of y - t",
    "What would the gradient be if the two were equal?",
    "d/dy 1/2 (y - t)^2 = y - t: the difference, which is 0 where both are equal",
    rank=0,
)
def _one_side(p: Site) -> Variants:
    return {"": lambda g: _in_proportion(g, p)} if p.row == "sub" else {}


def _in_proportion(g: Any, p: Site) -> Any:
    """c a for a cotangent g = c (a - b), with one c for all elements, or for each index of an axis; None for others."""
    axes: list[Any] = [None, *[tuple(j for j in range(g.ndim) if j != i) for i in range(g.ndim) if g.ndim > 1]]
    for axis in axes:
        total = np.sum(p.y * p.y, axis=axis, keepdims=True)
        c = np.sum(g * p.y, axis=axis, keepdims=True) / np.where(total == 0, 1, total)
        if np.allclose(g, c * p.y, rtol=1e-9, atol=0):
            return c * p.x if np.shape(c * p.x) == np.shape(g) else None
    return None


@mistake(
    "derivative taken at the output",
    "f' was evaluated at the activation f(x) instead of at the pre-activation x",
    "At which number is the derivative of the activation evaluated?",
    "x_bar = y_bar * f'(x), with x what went into f; for tanh that is 1 - y^2 with y = tanh(x)",
    rank=2,
)
def _at_output(p: Site) -> Variants:
    if not p.primitive.function:
        return {}
    primitive: Any = p.primitive
    return {"": lambda g: primitive.vjps[0](g, primitive.forward(p.y), p.y)}


@mistake(
    "input where the output belongs",
    "the formula of the derivative in terms of the output was given the input",
    "tanh' = 1 - y^2: is your y the output or the input?",
    "with y = f(x): tanh' = 1 - y^2, sigmoid' = y (1 - y), exp' = y",
    rank=2,
)
def _input_for_output(p: Site) -> Variants:
    primitive: Any = p.primitive
    if not primitive.function or np.isfinite(primitive.vjps[0](1.0, np.nan, 0.5)):
        return {}  # the rule does not speak of the output
    return {"": lambda g: primitive.vjps[0](g, p.x, p.x)}


@mistake(
    "square in the derivative forgotten",
    "1 - y was written where 1 - y^2 belongs",
    "What is the derivative of tanh, in terms of its output?",
    "tanh' = 1 - y^2",
    rank=2,
)
def _unsquared(p: Site) -> Variants:
    return {"": lambda g: g * (1 - p.y)} if p.row == "tanh" else {}


@mistake(
    "sign in the derivative",
    "1 + y^2 was written where 1 - y^2 belongs",
    "Is the slope of tanh ever above 1?",
    "tanh' = 1 - y^2",
    rank=2,
)
def _plus_square(p: Site) -> Variants:
    return {"": lambda g: g * (1 + p.y**2)} if p.row == "tanh" else {}


@mistake(
    "power rule: exponent not brought down",
    "the factor of the power rule is missing",
    "What is the derivative of a^n? Two things happen to n.",
    "d(a^n)/da = n a^(n-1)",
)
def _exponent(p: Site) -> Variants:
    if p.row != "power" or p.k:
        return {}
    return {"": lambda g: g * p.x ** np.where(p.other() == 0, 1, p.other() - 1)}


@mistake(
    "power rule: exponent not lowered",
    "the exponent stayed as it was",
    "What is the derivative of a^n? Two things happen to n.",
    "d(a^n)/da = n a^(n-1)",
    rank=2,
)
def _lowered(p: Site) -> Variants:
    return {"": lambda g: g * p.other() * p.y} if p.row == "power" and not p.k else {}


@mistake(
    "power rule: exponent lowered by another number",
    "the exponent was lowered by 2, or raised by 1, where it is lowered by 1",
    "What is the derivative of a^n? Two things happen to n.",
    "d(a^n)/da = n a^(n-1)",
    rank=2,
)
def _lowered_twice(p: Site) -> Variants:
    if p.row != "power" or p.k:
        return {}
    power = lambda by: lambda g: g * p.other() * p.x ** (p.other() + by)
    return {"lowered by 2": power(-2), "raised by 1": power(1)}


@mistake(
    "multiplied by its own value",
    "the gradient was multiplied by the very numbers that it is the gradient of",
    "Does this array stand in its own gradient?",
    "what is linear in an array has a gradient in which that array does not stand",
    rank=2,
)
def _own_value(p: Site) -> Variants:
    return {"": lambda g: p.right(g) * p.x} if p.operand.primitive is None and p.x.size >= _SEVERAL else {}


@mistake(
    "quotient rule: denominator not squared",
    "the denominator's gradient was divided once instead of twice",
    "What is the derivative of a / b with respect to b?",
    "d(a/b)/db = -a / b^2",
    rank=2,
)
def _quotient(p: Site) -> Variants:
    return {"": lambda g: -g * p.y} if p.row == "div" and p.k == 1 else {}


@mistake(
    "reciprocal forgotten",
    "the gradient was multiplied where it should be divided",
    "What is the derivative of ln x?",
    "d(ln x)/dx = 1/x; d(a/b)/da = 1/b",
    rank=2,
)
def _reciprocal(p: Site) -> Variants:
    if p.row == "log":
        return {"": lambda g: g * p.x}
    return {"": lambda g: g * p.other()} if p.row == "div" and p.k == 0 else {}
