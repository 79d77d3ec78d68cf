"""The second edition of what is drawn: the compositions that nets of other frameworks are made of.

Seeds of the first edition never draw from here, so that a program that once found a fault stays the same program.
"""

from __future__ import annotations

from typing import Any

from . import values
from .generate import Builder, RefusedError
from .operations import draw, images, per_axis, simple, some_axes

UNARY = "acos asin atan ceil celu cosh erfc exp2 expm1 floor hardshrink hardsigmoid hardswish hardtanh log10 log2 "
UNARY += "log_sigmoid mish relu6 round rsqrt selu sinh softshrink tan tanhshrink trunc nan_to_num "
UNARY += "acosh asinh atanh deg2rad rad2deg frac"


@draw(10, edition=2)
def unary(b: Builder) -> str:
    name = b.pick(*UNARY.split())
    setting: dict[str, Any] = {}
    if b.chance(0.5):
        setting = {
            "celu": {"alpha": b.pick(0.5, 2.0)},
            "hardshrink": {"lambd": b.pick(0.0, 1.0)},
            "hardtanh": {"min_val": -0.5, "max_val": b.pick(0.5, 2.0)},
            "nan_to_num": {"nan": 1.0, "posinf": 2.0, "neginf": -2.0},
            "round": {"decimals": b.pick(1, -1)},
            "softshrink": {"lambd": b.pick(0.0, 1.0)},
        }.get(name, {})
    return b.step(f"ac.{name}", b.some(), **setting)


@draw(1, edition=2)
def threshold(b: Builder) -> str:
    return b.step("ac.threshold", b.some(), threshold=b.pick(0.0, 0.5), value=b.pick(0.0, -1.0))


@draw(5, edition=2)
def binary(b: Builder) -> str:
    x = b.some()
    y = b.some() if b.chance(0.4) else b.new(b.fitting(b.of(x).shape))
    operands = (x, y) if b.chance(0.5) else (y, x)
    name = b.pick(
        "atan2",
        "fmod",
        "hypot",
        "multiply_no_nan",
        "remainder",
        "xlogy",
        "slope",
        "floor_divide",
        "fmax",
        "fmin",
        "lerp",
    )
    if name == "lerp":
        return b.step("ac.lerp", *operands, b.pick("0.25", b.some()))
    if name == "slope":
        a, c = operands
        return b.step("ac.slope", b.some(), a, c, less=0.0, tie=b.pick(0.0, 0.5, 1.0), more=1.0)
    return b.step(f"ac.{name}", *operands)


@draw(2, edition=2)
def question(b: Builder) -> str:
    """Truth values, and what is chosen by them."""
    x = b.some()
    way = b.pick("isfinite", "isinf", "isnan", "logical_not", "logical_and", "logical_or", "logical_xor")
    others = [b.new(b.fitting(b.of(x).shape))] if way[8:] in ("and", "or", "xor") else []
    mask = b.step(f"ac.{way}", x, *others)
    if b.of(mask).shape != b.of(x).shape or b.chance(0.3):
        return b.step("*", x, mask)
    return b.step("ac.masked_fill", x, mask, value=b.pick(0.0, -1.0, 1e4))


# ---- along axes


@draw(5, edition=2)
def reduction(b: Builder) -> str:
    x = b.some(at_least=1)
    way = b.pick(
        "amax", "amin", "norm", "norm", "cosine_similarity", "all", "any", "average", "count_nonzero", "median", "ptp"
    )
    if way == "median":
        return b.step("ac.median", x, axis=b.pick(None, b.axis(x)))
    if way == "cosine_similarity":
        return b.step("ac.cosine_similarity", x, b.new(b.of(x).shape), axis=b.axis(x))
    params: dict[str, Any] = {"axis": some_axes(b, x)}
    if b.chance(0.4):
        params["keepdims"] = True
    if way == "norm":
        params["p"] = b.pick(1, 2, 2, 3, float("inf"))
        if params["p"] == float("inf"):
            del params["p"]
    y = b.step(f"ac.{way}", x, **params)
    return b.step("*", y, "0.5") if way in ("all", "any", "count_nonzero") else y


@draw(4, edition=2)
def along(b: Builder) -> str:
    x = b.some(at_least=1)
    axis = b.axis(x)
    way = b.pick("cumsum", "cumprod", "softmin", "glu", "sort", "topk", "argsort")
    n = b.of(x).shape[axis]
    if way == "topk":
        largest = b.chance(0.5)
        return b.step("ac.topk", x, k=b.whole(min(n, 1), n), axis=axis, largest=largest, **{"[]": 0})
    if way in ("sort", "argsort"):
        order = b.step(f"ac.{way}", x, axis=axis, descending=b.chance(0.5))
        return order if way == "sort" else b.step("ac.take_along_axis", x, order, axis=axis)
    return b.step(f"ac.{way}", x, axis=axis)


@draw(5, edition=2)
def places(b: Builder) -> str:
    x = b.some(at_least=1)
    axis = b.axis(x)
    n = b.of(x).shape[axis]
    way = b.pick("chunk", "unbind", "narrow", "select", "gather", "put_along_axis", "embedding", "one_hot")
    if way in ("chunk", "unbind", "select", "narrow") and n == 0:
        raise RefusedError
    if way == "chunk":
        return b.step("ac.chunk", x, chunks=b.whole(1, 3), axis=axis, **{"[]": b.pick(0, -1)})
    if way == "unbind":
        return b.step("ac.unbind", x, axis=axis, **{"[]": b.whole(-n, n - 1)})
    if way == "select":
        return b.step("ac.select", x, axis=axis, index=b.whole(-n, n - 1))
    if way == "narrow":
        start = b.whole(0, n - 1)
        return b.step("ac.narrow", x, axis=axis, start=start, length=b.whole(0, n - start))
    if n == 0:
        raise RefusedError
    if way == "embedding":
        rows = b.of(x).shape[0]
        if rows == 0 or b.of(x).ndim != 2:
            raise RefusedError
        return b.step("ac.embedding", b.enter(values.whole(b.rng, b.shape(b.whole(0, 2)), 0, rows)), x)
    if way == "one_hot":
        labels = b.enter(values.whole(b.rng, b.of(x).shape[:-1], 0, b.of(x).shape[-1] or 1))
        seen = b.step("ac.one_hot", labels, num_classes=b.of(x).shape[-1])
        return b.step("*", x, seen)
    shape = list(b.of(x).shape)
    shape[axis] = b.size()
    indices = b.enter(values.whole(b.rng, tuple(shape), 0, n))
    if way == "gather":
        return b.step("ac.gather", x, str(axis), indices)
    new = b.new(tuple(shape), dtype=b.of(x).dtype)
    return b.step("ac.put_along_axis", x, indices, new, axis=axis, mode="add")


@draw(2, edition=2)
def matrices(b: Builder) -> str:
    way = b.pick("diag", "trace", "tril", "triu", "mm", "bmm")
    if way in ("tril", "triu"):
        return b.step(f"ac.{way}", b.some(at_least=2), diagonal=b.whole(-2, 2))
    if way == "diag":
        return b.step("ac.diag", b.some(b.pick(1, 2)), diagonal=b.whole(-1, 1))
    x = b.some(3 if way == "bmm" else 2)
    if way == "trace":
        return b.step("ac.trace", x)
    shape = b.of(x).shape
    return b.step(f"ac.{way}", x, b.new((*shape[:-2], shape[-1], b.size())))


@draw(2, edition=2)
def elimination(b: Builder) -> str:
    """Square matrices; seldom singular."""
    n = b.whole(1, 4)
    batch = b.shape(b.pick(0, 0, 1))
    way = b.pick("det", "inv", "solve", "matrix_power")
    x = b.new((*batch, n, n))
    if way == "solve":
        return b.step("ac.solve", x, b.new((*batch, n, b.size())))
    return b.step(f"ac.{way}", x, **({"n": b.whole(-2, 3)} if way == "matrix_power" else {}))


@draw(2, edition=2)
def further_products(b: Builder) -> str:
    way = b.pick("cross", "inner", "kron", "vdot")
    if way == "cross":
        shape = (*b.shape(b.whole(0, 1)), 3)
        return b.step("ac.cross", b.new(shape), b.new(shape))
    x = b.some(at_least=1)
    shape = b.of(x).shape
    other = {"inner": (*b.shape(b.whole(0, 1)), shape[-1]), "vdot": shape}.get(way, (b.size(),) * len(shape))
    return b.step(f"ac.{way}", x, b.new(other))


@draw(3, edition=2)
def rearranged(b: Builder) -> str:
    x = b.some(at_least=1)
    axis = b.axis(x)
    ways = "append array_split atleast_1d atleast_2d atleast_3d diff rot90 unflatten unsqueeze stack split"
    way = b.pick(*ways.split())
    if way in ("atleast_1d", "atleast_2d", "atleast_3d"):
        return b.step(f"ac.{way}", x)
    if way == "append":
        return b.step("ac.append", x, b.new(b.of(x).shape), axis=b.pick(None, axis))
    if way == "array_split":
        return b.step("ac.array_split", x, sections=b.whole(1, 3), axis=axis, **{"[]": b.pick(0, -1)})
    if way == "diff":
        return b.step("ac.diff", x, n=b.whole(0, 2), axis=axis)
    if way == "unsqueeze":
        return b.step("ac.unsqueeze", x, axis=axis)
    if way == "unflatten":
        n = b.of(x).shape[axis]
        return b.step("ac.unflatten", x, axis=axis, sizes=b.pick((1, n), (n, 1), (-1, 1)))
    if way == "stack":
        name = b.pick("column_stack", "dstack", "hstack", "vstack")
        return b.step(f"ac.{name}", x, b.new(b.of(x).shape))
    if way == "split":
        return b.step(b.pick("ac.hsplit", "ac.vsplit"), x, sections=b.pick(1, 2), **{"[]": b.pick(0, -1)})
    return b.step(b.pick("ac.rot90", "ac.fliplr", "ac.flipud"), b.some(at_least=2))


# ---- layers


@draw(4, edition=2)
def adaptive(b: Builder) -> str:
    dims = b.pick(1, 2, 2, 3)
    layout = b.pick("channels_last", "channels_first")
    x = images(b, dims, layout, b.whole(1, 3))
    size = per_axis(b, dims, 1, 4)
    return b.step(f"ac.adaptive_{b.pick('avg', 'max')}_pool{dims}d", x, output_size=size, **simple({"layout": layout}))


@draw(3, edition=2)
def resized(b: Builder) -> str:
    dims = b.pick(1, 2, 2, 3)
    layout = b.pick("channels_last", "channels_first")
    x = images(b, dims, layout, b.whole(1, 2))
    linear = {1: "linear", 2: b.pick("bilinear", "bilinear", "bicubic"), 3: "trilinear"}[dims]
    mode = b.pick("nearest", "nearest-exact", "area", linear, linear)
    params: dict[str, Any] = {"mode": mode, **simple({"layout": layout})}
    if mode == linear:
        params["align_corners"] = b.chance(0.5)
    if b.chance(0.5):
        return b.step("ac.interpolate", x, size=tuple(b.whole(1, 6) for _ in range(dims)), **params)
    return b.step("ac.interpolate", x, scale_factor=b.pick(2, 0.5, 1.5, 3), **params)


@draw(4, edition=2)
def normalisation(b: Builder) -> str:
    layout = b.pick("channels_last", "channels_first")
    groups = b.pick(1, 2, 3)
    way = b.pick("group_norm", "group_norm", "instance_norm", "local_response_norm", "prelu")
    x = images(b, b.pick(1, 2, 2), layout, groups * b.pick(1, 2))
    n = b.of(x).shape[1 if layout == "channels_first" else -1]
    where = simple({"layout": layout})
    if way == "local_response_norm":
        return b.step("ac.local_response_norm", x, size=b.whole(1, 4), **where)
    if way == "prelu":
        return b.step("ac.prelu", x, b.new((b.pick(1, n),)), **where)
    scale = [b.new((n,)), b.new((n,))] if b.chance(0.6) else []
    if way == "instance_norm":
        return b.step("ac.instance_norm", x, *scale, **where)
    return b.step("ac.group_norm", x, str(groups), *scale, **where)


@draw(1, edition=2)
def shuffle(b: Builder) -> str:
    layout = b.pick("channels_last", "channels_first")
    r = b.whole(1, 2)
    if b.chance(0.5):
        x = images(b, 2, layout, r * r * b.whole(1, 2))
        return b.step("ac.pixel_shuffle", x, upscale_factor=r, **simple({"layout": layout}))
    return b.step("ac.pixel_unshuffle", images(b, 2, layout, 2), downscale_factor=r, **simple({"layout": layout}))


@draw(3, edition=2)
def attention(b: Builder) -> str:
    batch = b.shape(b.whole(0, 2))
    to, of, inner = b.size(), b.size(), b.size()
    query, key, value = (b.new((*batch, n, m)) for n, m in ((to, inner), (of, inner), (of, b.size())))
    how: dict[str, Any] = {"is_causal": True} if b.chance(0.3) else {}
    mask = []
    if not how and b.chance(0.4):
        mask = [b.enter(b.rng.random((to, of)) < 0.7) if b.chance(0.5) else b.new((to, of))]
    if b.chance(0.2):
        how["scale"] = 0.5
    return b.step("ac.scaled_dot_product_attention", query, key, value, *mask, **how)


@draw(3, edition=2)
def loss(b: Builder) -> str:
    x = b.some(at_least=1)
    dtype, shape = b.of(x).dtype, b.of(x).shape
    way = b.pick("bce", "huber", "kl_div", "l1", "smooth_l1")
    how: dict[str, Any] = {"reduction": b.pick("mean", "sum", "none")}
    if way == "bce":
        y = b.step("ac.sigmoid", x)
        return b.step("ac.losses.bce", y, b.enter(b.rng.random(shape).astype(dtype)), **how)
    if way == "kl_div":
        return b.step("ac.losses.kl_div", x, b.enter(b.rng.random(shape).astype(dtype)), **how)
    if way == "huber":
        how["delta"] = b.pick(0.5, 1.0)
    if way == "smooth_l1":
        how["beta"] = b.pick(0.0, 0.5, 1.0)
    return b.step(f"ac.losses.{way}", x, b.new(shape, constant=b.chance(0.7)), **how)


# what jumps: the slope is right on both sides of a jump, and differences of values across it say nothing
JUMPS = "ceil floor round trunc fmod remainder hardshrink threshold one_hot isfinite isinf isnan all any masked_fill "
JUMPS += "frac floor_divide count_nonzero logical_not logical_and logical_or logical_xor slope argsort nan_to_num"
