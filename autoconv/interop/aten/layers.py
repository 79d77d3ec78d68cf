"""ATen's layers: convolution, products, normalisation, embedding, attention, dropout.

Images and kernels stand channels first, as PyTorch has them.  What draws random numbers or keeps running statistics
gets the model that runs first (``on_model``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ... import functional as f
from ... import primitives as p
from ...functional.normalisation import mixed, moments
from ...tape import scope
from ..graph import State
from ..imported import Imported, on_model
from .reduce import softmax, vector_norm
from .shape import axis_of, expand, transpose
from .types import FIRST, cast, each_axis, matched

Operation = Callable[..., Any]

# ---- convolution


def conv(dims: int) -> Operation:
    """conv1d .. conv3d; padding may be "valid" or "same"."""
    function = getattr(f, f"conv{dims}d")

    def operation(
        x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> Any:
        padding = padding if isinstance(padding, str) else each_axis(padding, dims)
        return function(x, weight, bias, each_axis(stride, dims), padding,
                        each_axis(dilation, dims), groups, layout=FIRST)  # fmt: skip

    return operation


def conv_transpose(dims: int) -> Operation:
    function = getattr(f, f"conv_transpose{dims}d")

    def operation(
        x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
        groups: int = 1, dilation: Any = 1,
    ) -> Any:  # fmt: skip
        stride, padding, output_padding, dilation = [
            each_axis(n, dims) for n in (stride, padding, output_padding, dilation)
        ]
        return function(x, weight, bias, stride, padding, output_padding, groups, dilation, layout=FIRST)

    return operation


def convolution(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, output_padding: Any,
    groups: int, *_: Any,
) -> Any:  # fmt: skip
    """The one convolution that all of them become after decomposition."""
    dims = weight.ndim - 2
    if transposed:
        return conv_transpose(dims)(x, weight, bias, stride, padding, output_padding, groups, dilation)
    return conv(dims)(x, weight, bias, stride, padding, dilation, groups)


# ---- products


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """y[.., o] = sum_i x[.., i] weight[o, i] + bias[o]."""
    x, weight = matched(x, weight)
    with scope("linear"):
        letters = "abcdefgh"[: x.ndim - 1]
        y = p.contract(x, weight, spec=f"{letters}i,oi->{letters}o") if weight.ndim == 2 else f.matmul(x, weight)
        return y if bias is None else p.add(y, bias)


def bilinear(x: Any, y: Any, weight: Any, bias: Any = None) -> Any:
    """z[.., o] = sum_ij x[.., i] weight[o, i, j] y[.., j] + bias[o]."""
    z = f.einsum("...i,oij,...j->...o", x, weight, y)
    return z if bias is None else p.add(z, bias)


def matmul(x: Any, y: Any) -> Any:
    return f.matmul(*matched(x, y))


def addmm(x: Any, a: Any, b: Any, beta: float = 1, alpha: float = 1) -> Any:
    """beta x + alpha a b."""
    product = matmul(a, b)
    product = product if alpha == 1 else p.mul(product, alpha)
    return p.add(x if beta == 1 else p.mul(x, beta), product) if beta else product


def einsum(equation: str, operands: Sequence[Any], path: Any = None) -> Any:
    return f.einsum(equation, *operands)


def outer(x: Any, y: Any) -> Any:
    return f.outer(*matched(x, y))


# ---- normalisation


@on_model
def batch_norm(
    model: Imported, x: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool,
    momentum: float, eps: float, *_: Any, count: State | None = None,
) -> Any:  # fmt: skip
    """Standardised by the batch, which the running statistics then follow, or by these.

    momentum below 0: the running statistics are the mean over all batches so far, ``count`` of them.
    """
    weight, bias = model.held(weight), model.held(bias)
    if not training and running_mean is not None:
        mean, var = model.held(running_mean), model.held(running_var)
        return f.batch_norm(x, weight, bias, mean=mean, var=var, eps=eps, layout=FIRST)
    y = f.batch_norm(x, weight, bias, eps=eps, layout=FIRST)
    if training and isinstance(running_mean, State):
        n = x.size // x.shape[1]
        means = moments(x, tuple(i for i in range(x.ndim) if i != 1))
        if momentum < 0:
            told = partial(
                _average, model, running_mean.name, running_var.name, n / (n - 1), count.name if count else ""
            )
            model.watch(told, *means)
        else:
            _follow(model, running_mean.name, running_var.name, momentum, n / (n - 1), *means)
    return y


def _follow(
    model: Imported, mean: str, var: str, momentum: float, unbiased: float, batch_mean: Any, batch_var: Any
) -> None:
    """running = (1 - momentum) running + momentum batch, with the unbiased variance."""
    model.follow(mean, partial(mixed, momentum), batch_mean)
    model.follow(var, partial(mixed, momentum, unbiased=unbiased), batch_var)


def _average(
    model: Imported, mean: str, var: str, unbiased: float, count: str, batch_mean: Any, batch_var: Any
) -> None:
    """The same with the momentum that makes it the mean of all batches, ``count`` of them before this one."""
    momentum = 1 / (int(getattr(model, count)) + 1)
    for name, factor, batch in ((mean, 1.0, batch_mean), (var, unbiased, batch_var)):
        model.store(name, mixed(momentum, getattr(model, name), batch, factor))


@on_model
def functional_batch_norm(
    model: Imported, x: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool,
    momentum: float, eps: float, count: State | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    """batch_norm that returns the new statistics instead of writing them."""
    y = f.batch_norm(x, model.held(weight), model.held(bias), eps=eps, layout=FIRST)
    mean, var = moments(x, tuple(i for i in range(x.ndim) if i != 1))
    n = x.size // x.shape[1]
    if momentum < 0:
        momentum = 1 / (int(getattr(model, count.name if count else "")) + 1)
    new = []
    for running, batch in ((running_mean, mean), (running_var, p.mul(var, n / (n - 1)))):
        old = model.held(running)
        new.append(p.add(p.mul(old, 1 - momentum), f.reshape(p.mul(p.stop_gradient(batch), momentum), old.shape)))
    return y, mean, var, *new


@on_model
def fixed_batch_norm(
    model: Imported, x: Any, weight: Any, bias: Any, mean: Any, var: Any, momentum: float, eps: float, **_: Any
) -> tuple[Any, ...]:
    mean, var = model.held(mean), model.held(var)
    return f.batch_norm(x, model.held(weight), model.held(bias), mean=mean, var=var, eps=eps, layout=FIRST), None, None


@on_model
def instance_norm(
    model: Imported, x: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, use_input_stats: bool,
    momentum: float, eps: float, *_: Any, **__: Any,
) -> Any:  # fmt: skip
    """Each channel of each example standardised by itself, or by running statistics."""
    weight, bias = model.held(weight), model.held(bias)
    if not use_input_stats:
        mean, var = model.held(running_mean), model.held(running_var)
        return f.batch_norm(x, weight, bias, mean=mean, var=var, eps=eps, layout=FIRST)
    y = f.instance_norm(x, weight, bias, eps=eps, layout=FIRST)
    if isinstance(running_mean, State):
        n = math.prod(x.shape[2:])
        means = [f.mean(m, 0) for m in moments(x, tuple(range(2, x.ndim)))]
        _follow(model, running_mean.name, running_var.name, momentum, n / (n - 1), *means)
    return y


def layer_norm(x: Any, shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any) -> Any:
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    return f.layer_norm(x, weight, bias, axis=axes, eps=eps)


def group_norm(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any) -> Any:
    return f.group_norm(x, groups, weight, bias, eps, layout=FIRST)


def native_group_norm(
    x: Any, weight: Any, bias: Any, n: int, c: int, hw: int, groups: int, eps: float
) -> tuple[Any, ...]:
    return group_norm(x, groups, weight, bias, eps), None, None


def rms_norm(x: Any, shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """x / sqrt(mean x^2 + eps) * weight over the last axes."""
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    eps = float(np.finfo(x.dtype).eps) if eps is None else eps
    y = p.div(x, p.sqrt(p.add(f.mean(p.mul(x, x), axes, True), eps)))
    return y if weight is None else p.mul(y, weight)


def weight_norm(v: Any, g: Any, dim: int = 0) -> Any:
    """g v / |v|, the norm over all axes but ``dim``."""
    axes = tuple(i for i in range(v.ndim) if i != axis_of(dim, v.ndim)) if dim != -1 else tuple(range(v.ndim))
    return p.mul(v, p.div(g, vector_norm(v, 2, axes, True)))


# ---- embedding and attention


def embedding(weight: Any, indices: Any, padding_idx: int = -1, *_: Any) -> Any:
    """The rows of ``weight`` at the indices; the row of ``padding_idx`` gets no gradient."""
    return f.embedding(indices, weight, None if padding_idx < 0 else padding_idx)


@on_model
def attention(
    model: Imported, query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """softmax(query key^T scale + mask) value; a mask of truth values says what is seen.

    A query that sees nothing gets zeros, as PyTorch has it.
    """
    if enable_gqa and key.shape[-3] != query.shape[-3]:
        key, value = [f.repeat(x, query.shape[-3] // x.shape[-3], x.ndim - 3) for x in (key, value)]
    mask = model.held(attn_mask)
    with scope("attention"):
        factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
        scores = p.mul(f.matmul(query, transpose(key, -1, -2)), factor)
        seen: Any = None
        if is_causal:
            seen = np.tri(*scores.shape[-2:], dtype=bool)
        elif mask is not None and mask.dtype == bool:
            seen = mask
        elif mask is not None:
            scores = p.add(scores, cast(mask, scores.dtype))
        if seen is not None:
            scores = p.where(expand(seen, scores.shape), scores, -np.inf)
        weights = softmax(scores, -1)
        if seen is not None or mask is not None:
            nothing = p.equal(f.max(p.stop_gradient(scores), -1, True), -np.inf)
            weights = p.where(expand(nothing, weights.shape), 0, weights)
        if dropout_p:
            weights = dropout(model, weights, dropout_p, True)
        return f.matmul(weights, value)


@on_model
def flash_attention(
    model: Imported, query: Any, key: Any, value: Any, dropout_p: float = 0.0, is_causal: bool = False,
    attn_mask: Any = None, scale: float | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    return attention(model, query, key, value, attn_mask, dropout_p, is_causal, scale), None


# ---- random numbers


@on_model
def dropout(model: Imported, x: Any, p: float = 0.5, train: bool = True) -> Any:
    """In training each element is 0 with probability p, and the others are divided by 1 - p."""
    return _dropped(model, x, p, train, x.shape)


@on_model
def feature_dropout(model: Imported, x: Any, p: float = 0.5, train: bool = True) -> Any:
    """In training whole channels are 0."""
    return _dropped(model, x, p, train, (*x.shape[:2], *(1,) * (x.ndim - 2)))


@on_model
def native_dropout(model: Imported, x: Any, p: float, train: bool | None = True) -> tuple[Any, Any]:
    return _dropped(model, x, p, bool(train), x.shape), None


def _dropped(model: Imported, x: Any, rate: float, train: bool, shape: tuple[int, ...]) -> Any:
    if not train or rate == 0:
        return x
    if rate == 1:
        return p.mul(x, np.zeros((), x.dtype))
    dtype = x.dtype
    mask = model.draw(lambda rng: ((rng.random(shape) >= rate).astype(dtype) / (1 - rate)).astype(dtype))
    with scope("dropout"):
        return p.mul(x, mask)


@on_model
def alpha_dropout(model: Imported, x: Any, rate: float, train: bool) -> Any:
    """Dropout that keeps mean and variance of selu's results: dropped elements become its lowest value."""
    return _alpha_dropped(model, x, rate, train, x.shape)


@on_model
def feature_alpha_dropout(model: Imported, x: Any, rate: float, train: bool) -> Any:
    return _alpha_dropped(model, x, rate, train, (*x.shape[:2], *(1,) * (x.ndim - 2)))


def _alpha_dropped(model: Imported, x: Any, rate: float, train: bool, shape: tuple[int, ...]) -> Any:
    if not train or rate == 0:
        return x
    low, dtype = -1.7580993408473766, x.dtype
    a = 1 / math.sqrt((low * low * rate + 1) * (1 - rate))
    kept = model.draw(lambda rng: (rng.random(shape) >= rate).astype(dtype))
    mixed = p.add(p.mul(x, kept), p.mul(p.sub(1, kept), low))
    return p.add(p.mul(mixed, a), -a * low * rate)


def drawn(make: Callable[..., Any], like: bool) -> Operation:
    """rand, randn and their like: a shape, or an array of that shape, and a dtype."""

    def operation(model: Imported, x: Any, *_: Any, dtype: Any = None, **__: Any) -> Any:
        shape = tuple(x.shape) if like else tuple(int(n) for n in x)
        kind = dtype or (x.dtype if like else np.float32)
        return model.draw(lambda rng: np.asarray(make(rng, shape)).astype(kind))

    return on_model(operation)


@on_model
def randint(model: Imported, low: int, high: Any, size: Any = None, dtype: Any = None) -> Any:
    low, high, size = (0, low, high) if size is None else (low, high, size)
    return model.draw(lambda rng: rng.integers(low, high, tuple(size)).astype(dtype or np.int64))


@on_model
def bernoulli(model: Imported, x: Any, chance: float | None = None) -> Any:
    """1 with the probability that stands in x, or with one for all, else 0."""
    shape, dtype = tuple(x.shape), x.dtype
    draws = model.draw(lambda rng: rng.random(shape).astype(dtype))
    return p.cast(p.less(draws, x if chance is None else chance), dtype=dtype)


OPERATIONS: dict[str, Operation] = {
    **{f"conv{n}d": conv(n) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": conv_transpose(n) for n in (1, 2, 3)},
    "convolution": convolution,
    "linear": linear,
    "bilinear": bilinear,
    "matmul": matmul,
    "mm": matmul,
    "bmm": matmul,
    "mv": matmul,
    "dot": matmul,
    "vdot": matmul,
    "inner": lambda x, y: (
        f.einsum("...i,...i->...", x, y) if x.ndim == y.ndim == 1 else f.tensordot(x, y, ([-1], [-1]))
    ),
    "addmm": addmm,
    "baddbmm": addmm,
    "addmv": addmm,
    "einsum": einsum,
    "outer": outer,
    "ger": outer,
    "batch_norm": batch_norm,
    "_native_batch_norm_legit_functional": functional_batch_norm,
    "_native_batch_norm_legit_no_training": fixed_batch_norm,
    "instance_norm": instance_norm,
    "layer_norm": layer_norm,
    "native_layer_norm": lambda *args: (layer_norm(*args), None, None),
    "group_norm": group_norm,
    "native_group_norm": native_group_norm,
    "rms_norm": rms_norm,
    "_weight_norm": weight_norm,
    "embedding": embedding,
    "scaled_dot_product_attention": attention,
    "_scaled_dot_product_flash_attention_for_cpu": flash_attention,
    "dropout": dropout,
    "dropout_": dropout,
    "feature_dropout": feature_dropout,
    "native_dropout": native_dropout,
    "alpha_dropout": alpha_dropout,
    "feature_alpha_dropout": feature_alpha_dropout,
    "rand": drawn(lambda rng, shape: rng.random(shape), False),
    "rand_like": drawn(lambda rng, shape: rng.random(shape), True),
    "randn": drawn(lambda rng, shape: rng.standard_normal(shape), False),
    "randn_like": drawn(lambda rng, shape: rng.standard_normal(shape), True),
    "randint": randint,
    "bernoulli": bernoulli,
}
