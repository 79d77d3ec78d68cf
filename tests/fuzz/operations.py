"""How each public function is drawn: its operands from the values there are, its settings from all that are allowed.

A setting that does not fit the shapes is drawn as well: autoconv refuses it, and the generator draws again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import values
from .generate import Builder, RefusedError

OPERATIONS: list[tuple[Callable[[Builder], str], int, int]] = []


def draw(weight: int, edition: int = 1) -> Callable[[Callable[[Builder], str]], Callable[[Builder], str]]:
    """Enter the function into the list; ``weight``: how often it is drawn, by the seeds of ``edition`` and later."""

    def enter(f: Callable[[Builder], str]) -> Callable[[Builder], str]:
        OPERATIONS.append((f, weight, edition))
        return f

    return enter


# ---- elementwise

UNARY = "abs cos erf exp expm1 log log1p neg sign sin sqrt tanh stop_gradient elu gelu leaky_relu relu sigmoid silu"
UNARY += " softplus softsign square reciprocal"


@draw(18)
def unary(b: Builder) -> str:
    name = b.pick(*UNARY.split())
    if name == "gelu" and b.chance(0.5):
        return b.step("ac.gelu", b.some(), approximate="tanh")
    if name == "elu" and b.chance(0.5):
        return b.step("ac.elu", b.some(), alpha=b.pick(0.5, 2.0))
    if name == "leaky_relu" and b.chance(0.5):
        return b.step("ac.leaky_relu", b.some(), negative_slope=b.pick(0.0, 0.3))
    return b.step(f"ac.{name}", b.some())


@draw(12)
def binary(b: Builder) -> str:
    x = b.some()
    y = b.some() if b.chance(0.4) else b.new(b.fitting(b.of(x).shape))
    operation = b.pick("+", "-", "*", "*", "/", "ac.maximum", "ac.minimum", "ac.logaddexp")
    operands = (x, y) if b.chance(0.5) else (y, x)
    if operation in ("ac.maximum", "ac.minimum") and b.chance(0.3):
        return b.step(operation, *operands, ties="first")
    return b.step(operation, *operands)


@draw(4)
def with_a_number(b: Builder) -> str:
    """A Python number: it never widens an array."""
    n = b.pick("2", "-1", "0.5", "1e-3", "3", "0", "1")
    operation = b.pick("+", "-", "*", "/", "ac.maximum", "ac.minimum")
    return b.step(operation, *((b.some(), n) if b.chance(0.6) else (n, b.some())))


@draw(3)
def power(b: Builder) -> str:
    if b.chance(0.7):
        return b.step("**", b.some(), b.pick("2", "3", "0.5", "-1", "1.5", "0.0", "1"))
    x = b.some()
    return b.step("**", x, b.new(b.fitting(b.of(x).shape)))


@draw(3)
def clip(b: Builder) -> str:
    low, high = sorted(b.pick((-1.0, 1.0), (0.0, 1.0), (0.0, 6.0), (-0.5, 0.0)))
    return b.step("ac.clip", b.some(), **b.pick({"low": low, "high": high}, {"low": low}, {"high": high}))


@draw(3)
def where(b: Builder) -> str:
    x = b.some()
    y = b.new(b.fitting(b.of(x).shape))
    relation = b.pick("<", "<=", ">", ">=", "==", "!=")
    condition = b.step(relation, x, b.pick("0", "0.5", y))
    return b.step("ac.where", condition, *b.pick((x, y), (y, x), (x, "0.0"), ("1.0", x)))


@draw(1)
def astype(b: Builder) -> str:
    return b.step("ac.astype", b.some(), dtype=np.dtype(b.pick(np.float16, np.float32, np.float64)))


@draw(1)
def whole_numbers(b: Builder) -> str:
    """An operand of another kind: integers or truth values."""
    x = b.some()
    shape = b.fitting(b.of(x).shape)
    dtype = b.pick(np.int64, np.int32, np.uint8, np.int8, np.bool_)
    operation = b.pick("+", "*", "ac.maximum") if dtype != np.bool_ else "*"
    return b.step(operation, x, b.enter(values.whole(b.rng, shape, 0, 4, dtype)))


# ---- reductions


def some_axes(b: Builder, name: str) -> Any:
    ndim = b.of(name).ndim
    if ndim == 0 or b.chance(0.3):
        return None
    if b.chance(0.6):
        return b.axis(name)
    return tuple(int(i) for i in b.rng.permutation(ndim)[: b.whole(1, ndim)])


@draw(9)
def reduction(b: Builder) -> str:
    x = b.some(at_least=int(b.chance(0.8)))
    name = b.pick("sum", "sum", "mean", "max", "min", "prod", "logsumexp", "var", "std")
    params = {"axis": some_axes(b, x)}
    if b.chance(0.4):
        params["keepdims"] = True
    if name in ("var", "std") and b.chance(0.3):
        params["ddof"] = 1
    return b.step(f"ac.{name}", x, **params)


@draw(1)
def argument_of_extreme(b: Builder) -> str:
    x = b.some(at_least=1)
    return b.step(b.pick("ac.argmax", "ac.argmin"), x, axis=b.axis(x))


@draw(3)
def softmax(b: Builder) -> str:
    x = b.some(at_least=1)
    return b.step(b.pick("ac.softmax", "ac.log_softmax"), x, axis=b.axis(x))


# ---- shapes and places


def factors(b: Builder, n: int) -> tuple[int, ...]:
    shape = []
    while n > 1 and len(shape) < 3:
        d = b.pick(*[d for d in range(1, n + 1) if n % d == 0])
        shape.append(d)
        n //= d
    return (*shape, n)


@draw(3)
def reshape(b: Builder) -> str:
    x = b.some()
    size = b.of(x).size
    if b.chance(0.2):
        return b.step(b.pick("ac.ravel", "ac.flatten"), x)
    return b.step("ac.reshape", x, shape=factors(b, size) if size else (0, b.size()))


@draw(3)
def order_of_axes(b: Builder) -> str:
    x = b.some(at_least=1)
    ndim = b.of(x).ndim
    way = b.pick("permute_dims", "transpose", "swapaxes", "moveaxis", "expand_dims", "squeeze")
    if way == "permute_dims":
        return b.step("ac.permute_dims", x, axes=tuple(int(i) for i in b.rng.permutation(ndim)))
    if way == "swapaxes":
        return b.step("ac.swapaxes", x, axis1=b.axis(x), axis2=b.axis(x))
    if way == "moveaxis":
        return b.step("ac.moveaxis", x, source=b.axis(x), destination=b.axis(x))
    if way == "expand_dims":
        return b.step("ac.expand_dims", x, axis=b.whole(0, ndim))
    return b.step(f"ac.{way}", x)


@draw(3)
def rearrange(b: Builder) -> str:
    x = b.some(at_least=1)
    way = b.pick("flip", "roll", "repeat", "tile", "broadcast_to", "rot180")
    if way == "flip":
        return b.step("ac.flip", x, axis=b.pick(None, b.axis(x)))
    if way == "roll":
        return b.step("ac.roll", x, shift=b.whole(-4, 4), axis=b.axis(x))
    if way == "repeat":
        return b.step("ac.repeat", x, repeats=b.whole(0, 3), axis=b.axis(x))
    if way == "tile":
        return b.step("ac.tile", x, repetitions=b.pick(2, (2, 1), (1, 3)))
    if way == "rot180":
        return b.step("ac.rot180", b.some(2))
    shape = b.of(x).shape
    return b.step("ac.broadcast_to", x, shape=(b.size(), *[b.size() if n == 1 else n for n in shape]))


@draw(3)
def pad(b: Builder) -> str:
    x = b.some(at_least=1)
    width = tuple((b.whole(0, 2), b.whole(0, 2)) for _ in b.of(x).shape)
    mode = b.pick("constant", "constant", "reflect", "edge", "wrap", "symmetric")
    more = {"constant_values": b.pick(0, 1.5)} if mode == "constant" else {}
    return b.step("ac.pad", x, pad_width=width, mode=mode, **more)


@draw(3)
def joined(b: Builder) -> str:
    x = b.some(at_least=1)
    axis = b.axis(x)
    if b.chance(0.3):
        return b.step("ac.stack", x, b.pick(x, b.new(b.of(x).shape)), axis=b.axis(x))
    shape = list(b.of(x).shape)
    shape[axis] = b.size()
    return b.step("ac.concat", x, b.pick(x, b.new(tuple(shape))), axis=axis)


@draw(1)
def split(b: Builder) -> str:
    x = b.some(at_least=1)
    axis = b.axis(x)
    n = b.of(x).shape[axis]
    return b.step("ac.split", x, sections=b.pick(1, 2, [b.whole(0, n)]), axis=axis, **{"[]": b.pick(0, -1)})


def some_key(b: Builder, n: int) -> Any:
    """An index for an axis of n cells."""
    kind = b.pick("slice", "slice", "all", "number", "list", "mask", "new axis")
    if kind == "slice":
        ends = [None if b.chance(0.4) else b.whole(-n - 1, n + 1) for _ in range(2)]
        return slice(*ends, b.pick(None, None, 1, 2, -1, -2))
    if kind == "number":
        if n == 0:
            raise RefusedError
        return b.whole(-n, n - 1)
    if kind == "list":
        if n == 0:
            raise RefusedError
        return np.array([b.whole(-n, n - 1) for _ in range(b.whole(0, 4))], np.int64)
    if kind == "mask":
        return b.rng.random(n) < 0.5
    return None if kind == "new axis" else slice(None)


@draw(6)
def index(b: Builder) -> str:
    x = b.some(at_least=1)
    shape = b.of(x).shape
    key = tuple(some_key(b, n) for n in shape[: b.whole(1, len(shape))])
    if b.chance(0.15):
        key = (..., *[k for k in key if k is not None])
    return b.step("[]", x, **{"[]": key})


@draw(2)
def take(b: Builder) -> str:
    x = b.some(at_least=1)
    axis = b.axis(x)
    shape = b.of(x).shape
    n = shape[axis]
    if n == 0:
        raise RefusedError
    if b.chance(0.4):
        along = list(shape)
        along[axis] = b.size()
        return b.step("ac.take_along_axis", x, b.enter(values.whole(b.rng, tuple(along), 0, n)), axis=axis)
    return b.step("ac.take", x, b.enter(values.whole(b.rng, b.shape(b.whole(0, 2)), -n, n)), axis=axis)


# ---- products


@draw(5)
def matmul(b: Builder) -> str:
    x = b.some(at_least=1)
    shape = b.of(x).shape
    inner = shape[-1]
    batch = b.fitting(shape[:-2]) if b.chance(0.6) else ()
    other = (inner,) if b.chance(0.2) else (*batch, inner, b.size())
    return b.step(b.pick("@", "ac.matmul"), x, b.new(other))


@draw(5)
def einsum(b: Builder) -> str:
    """Random letters: repeated, summed, broadcast, in any order of the result."""
    x = b.some(at_least=1)
    shape = b.of(x).shape
    letters = "abcdefgh"[: len(shape)]
    sizes = dict(zip(letters, shape, strict=True))
    if b.chance(0.3):
        kept = [c for c in letters if b.chance(0.6)]
        b.rng.shuffle(kept)
        return b.step("ac.einsum", x, equation=f"{letters}->{''.join(kept)}")
    second = [c for c in letters if b.chance(0.6)]
    if b.chance(0.6):
        second.append("m")
        sizes["m"] = b.size()
    b.rng.shuffle(second)
    kept = [c for c in sizes if b.chance(0.6)]
    b.rng.shuffle(kept)
    y = b.new(tuple(sizes[c] for c in second))
    return b.step("ac.einsum", x, y, equation=f"{letters},{''.join(second)}->{''.join(kept)}")


@draw(2)
def other_products(b: Builder) -> str:
    way = b.pick("dot", "outer", "tensordot")
    if way == "outer":
        return b.step("ac.outer", b.some(1), b.new((b.size(),)))
    x = b.some(at_least=1)
    n = b.of(x).shape[-1]
    if way == "dot":
        return b.step("ac.dot", x, b.new((n,)))
    return b.step("ac.tensordot", x, b.new((n, b.size())), axes=1)


# ---- convolution and pooling


def images(b: Builder, dims: int, layout: str, channels: int) -> str:
    """Images of ``dims`` axes: from a value with the right number of axes where there is one."""
    n, spatial = b.pick(0, 1, 2, 3) if b.chance(0.1) else b.whole(1, 3), [b.whole(1, {1: 9, 2: 6, 3: 4}[dims])] * dims
    if b.chance(0.5):
        spatial = [max(1, s - b.whole(0, 2)) for s in spatial]
    return b.new((n, channels, *spatial) if layout == "channels_first" else (n, *spatial, channels))


def per_axis(b: Builder, dims: int, low: int, high: int) -> Any:
    return b.whole(low, high) if b.chance(0.5) else tuple(b.whole(low, high) for _ in range(dims))


def padding(b: Builder, dims: int) -> Any:
    kind = b.pick("number", "number", "axis", "sides", "same", "valid", "full")
    if kind == "number":
        return b.whole(0, 2)
    if kind == "axis":
        return tuple(b.whole(0, 2) for _ in range(dims))
    if kind == "sides":
        return tuple((b.whole(0, 2), b.whole(0, 2)) for _ in range(dims))
    return kind


@draw(9)
def convolution(b: Builder) -> str:
    dims = b.pick(1, 1, 2, 2, 2, 3)
    layout = b.pick("channels_last", "channels_first")
    groups = b.pick(1, 1, 1, 2, 3)
    into = groups * b.pick(1, 1, 2)
    out = groups * b.pick(1, 2, 3)
    x = images(b, dims, layout, into)
    window = tuple(b.whole(1, 3) for _ in range(dims))
    transposed = b.chance(0.35)
    first, last = (into // groups, out) if not transposed else (out // groups, into)
    kernel = (last, first, *window) if layout == "channels_first" else (*window, first, last)
    params: dict[str, Any] = {
        "stride": per_axis(b, dims, 1, 3),
        "padding": padding(b, dims),
        "dilation": per_axis(b, dims, 1, 2),
        "groups": groups,
        "layout": layout,
    }
    if transposed:
        params["output_padding"] = per_axis(b, dims, 0, 1)
    elif b.chance(0.2):
        params["flip"] = True
    operands = [x, b.new(kernel), *([b.new((out,))] if b.chance(0.5) else [])]
    return b.step(f"ac.conv{'_transpose' if transposed else ''}{dims}d", *operands, **simple(params))


def simple(params: dict[str, Any]) -> dict[str, Any]:
    """Without settings that say what is the default."""
    usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0, "layout": "channels_last"}
    return {k: v for k, v in params.items() if k not in usual or usual[k] != v}


@draw(6)
def pooling(b: Builder) -> str:
    dims = b.pick(1, 1, 2, 2, 2, 3)
    layout = b.pick("channels_last", "channels_first")
    fitting = [n for n, x in b.known.items() if x.ndim == dims + 2 and x.dtype.kind == "f"]
    x = b.pick(*fitting) if fitting and b.chance(0.7) else images(b, dims, layout, b.whole(1, 3))
    kind = b.pick("max", "max", "avg", "avg", "lp")
    params: dict[str, Any] = {"padding": padding(b, dims), "layout": layout}
    if b.chance(0.6):
        params["stride"] = per_axis(b, dims, 1, 3)
    if b.chance(0.3):
        params["ceil_mode"] = True
    if kind == "max" and b.chance(0.3):
        params["dilation"] = per_axis(b, dims, 1, 2)
    if kind == "avg" and b.chance(0.3):
        params["count_include_pad"] = False
    if kind == "avg" and b.chance(0.2):
        params["divisor"] = b.whole(1, 5)
    if kind == "lp":
        params["p"] = b.pick(1, 2, 3)
    stride = {"stride": params["stride"]} if "stride" in params else {}
    return b.step(f"ac.{kind}_pool{dims}d", x, kernel_size=per_axis(b, dims, 1, 3), **{**simple(params), **stride})


@draw(1)
def global_pooling(b: Builder) -> str:
    way = b.pick("ac.global_avg_pool", "ac.global_max_pool")
    layout = b.pick("channels_last", "channels_first")
    return b.step(way, b.some(at_least=3), keepdims=b.chance(0.5), layout=layout)


@draw(1)
def frames(b: Builder) -> str:
    x = images(b, 1, "channels_last", b.whole(1, 2))
    setting = {"stride": b.whole(1, 2), "dilation": b.whole(1, 2)}
    seen = b.step("ac.windows", x, window=b.whole(1, 3), **setting)
    return b.step("ac.overlap_add", seen, size=b.of(x).shape[1], **setting) if b.chance(0.5) else seen


# ---- normalisation and losses


@draw(4)
def normalisation(b: Builder) -> str:
    x = b.some(at_least=2)
    if b.chance(0.5):
        n = b.of(x).shape[-1]
        scale = [b.new((n,)), b.new((n,))] if b.chance(0.6) else []
        return b.step("ac.layer_norm", x, *scale)
    layout = b.pick("channels_last", "channels_first")
    n = b.of(x).shape[1 if layout == "channels_first" else -1]
    scale = [b.new((n,)), b.new((n,))] if b.chance(0.6) else []
    return b.step("ac.batch_norm", x, *scale, layout=layout)


@draw(4)
def loss(b: Builder) -> str:
    how = {"reduction": b.pick("mean", "sum", "none")}
    x = b.some(at_least=1)
    shape = b.of(x).shape
    if b.chance(0.5):
        target = b.new(shape, constant=b.chance(0.7))
        name = b.pick("mse", "half_squared_error", "bce_with_logits")
        return b.step(f"ac.losses.{name}", x, target, **how)
    if b.chance(0.3):
        soft = b.rng.random(shape).astype(b.of(x).dtype)
        return b.step("ac.losses.cross_entropy", x, b.enter(soft), **how)
    if shape[-1] == 0:
        raise RefusedError
    labels = b.enter(values.whole(b.rng, shape[:-1], 0, shape[-1]))
    return b.step(b.pick("ac.losses.cross_entropy", "ac.losses.nll"), x, labels, **how)
