"""Stanford CS231n, assignments 1 and 2: NCHW, kernels (F, C, HH, WW), a dict of settings, cache as forward made it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ... import functional as F
from ...functional import loss as losses
from ...tape import Tensor
from ..geometries import CONV, CONV_REST, POOL, POOL_REST, conv_tries, distinct, pool_tries
from ..layer import Call, Layer, Try, rows
from ..variants import normalised, of_conv, of_norm, of_pool

FIRST = "channels_first"
CONV_PARAM = {"conv_param": {"stride": "stride", "pad": "pad"}}
POOL_PARAM = {"pool_param": {k: k for k in ("pool_height", "pool_width", "stride")}}


def affine(x: Any, w: Any, b: Any) -> Tensor:
    rows = x if x.ndim == 2 else F.reshape(x, (x.shape[0], -1))
    return F.matmul(rows, w) + b


def conv(x: Any, w: Any, b: Any, stride: int, pad: int) -> Tensor:
    return F.conv2d(x, w, b, stride=stride, padding=pad, layout=FIRST)


def max_pool(x: Any, pool_height: int, pool_width: int, stride: int) -> Tensor:
    return F.max_pool2d(x, (pool_height, pool_width), stride=stride, layout=FIRST)


def avg_pool(x: Any, pool_height: int, pool_width: int, stride: int) -> Tensor:
    return F.avg_pool2d(x, (pool_height, pool_width), stride=stride, layout=FIRST)


def batchnorm(x: Any, gamma: Any, beta: Any, eps: float = 1e-5, axes: tuple[int, ...] = (0,), **how: Any) -> Tensor:
    return normalised(x, axes, eps, **how) * gamma + beta


def layernorm(x: Any, gamma: Any, beta: Any, eps: float = 1e-5, axes: tuple[int, ...] = (1,), **how: Any) -> Tensor:
    return normalised(x, axes, eps, **how) * gamma + beta


def spatial_batchnorm(
    x: Any, gamma: Any, beta: Any, eps: float = 1e-5, axes: tuple[int, ...] = (0, 2, 3), **how: Any
) -> Tensor:
    lift = lambda p: F.reshape(p, (1, -1, 1, 1))
    return normalised(x, axes, eps, **how) * lift(gamma) + lift(beta)


def groupnorm(x: Any, gamma: Any, beta: Any, G: int, eps: float = 1e-5, **how: Any) -> Tensor:
    n, c, h, w = x.shape
    grouped = normalised(F.reshape(x, (n, G, c // G, h, w)), (2, 3, 4), eps, **how)
    return F.reshape(grouped, (n, c, h, w)) * gamma + beta


def groupnorm_flat(x: Any, gamma: Any, beta: Any, **more: Any) -> Tensor:
    """The same with gamma and beta of shape (C,), as earlier years have them."""
    return groupnorm(x, F.reshape(gamma, (1, -1, 1, 1)), F.reshape(beta, (1, -1, 1, 1)), **more)


def softmax_loss(x: Any, y: Any) -> Tensor:
    return losses.cross_entropy(x, y)


def svm_loss(x: Any, y: Any) -> Tensor:
    chosen = np.eye(x.shape[1])[y]
    margins = F.relu(x - F.sum(x * chosen, axis=1, keepdims=True) + 1.0) * (1 - chosen)
    return F.sum(margins) * (1 / x.shape[0])


def dropout(x: Any, p: float, mode: str, seed: int, mask: Any = 1.0) -> Tensor:
    return x * 1.0 if mode == "test" else x * mask


# ---- geometries


def _affine(rng: Any, words: str, image: tuple[int, ...], m: int) -> Try:
    d = int(np.prod(image[1:]))
    return Try(words, {"x": rng.normal(size=image), "w": rng.normal(size=(d, m)), "b": rng.normal(size=m)})


def affine_tries() -> list[Try]:
    table = [
        ("one example, one unit", (1, 2), 1),
        ("several examples", (3, 2), 1),
        ("several units", (2, 3), 4),
        ("as many examples as units", (3, 3), 3),
        ("images, to be flattened", (2, 3, 2, 2), 4),
    ]
    return rows(table, _affine)


def shaped_tries(table: list[tuple[Any, ...]], kink: str = "") -> list[Try]:
    made = rows(table, lambda rng, words, shape: Try(words, {"x": distinct(rng, *shape)}))
    if kink:
        made.append(Try("zeros among the inputs", {"x": np.array([[0.0, 1, -2], [-0.5, 0, 3]])}, kink=kink))
    return made


SHAPES = [
    ("one row", (1, 3)),
    ("several rows", (3, 4)),
    ("as many rows as columns", (3, 3)),
    ("images", (2, 2, 3, 3)),
    ("images with as many of everything", (3, 3, 3, 3)),
]


def label_tries() -> list[Try]:
    def make(rng: Any, words: str, n: int, c: int, size: float) -> Try:
        return Try(words, {"x": size * distinct(rng, n, c), "y": rng.permutation(np.arange(n) % c)})

    table = [
        ("one example", 1, 3, 1.0),
        ("several examples", 4, 3, 1.0),
        ("as many examples as classes", 4, 4, 1.0),
        ("larger scores", 5, 6, 5.0),
    ]
    return rows(table, make)


def norm_tries(kind: str) -> list[Try]:
    """kind: "rows" (N, D), "images" (N, C, H, W), "groups" (the same, with G), or "flat groups" (gamma (C,))."""
    grouped = kind.endswith("groups")

    def make(rng: Any, words: str, shape: tuple[int, ...], groups: int, size: float) -> Try:
        lifted = (1, shape[1], 1, 1) if kind == "groups" else (shape[1],)
        x = size * distinct(rng, *shape) + size * rng.normal(size=(1, shape[1], *(1,) * (len(shape) - 2)))
        arrays = {"x": x, "gamma": 1 + 0.5 * rng.normal(size=lifted), "beta": rng.normal(size=lifted)}
        return Try(words, arrays, {"G": groups} if grouped else {})

    row = [
        ("few numbers", (3, 2), 1, 1.0),
        ("more examples than features", (6, 3), 1, 1.0),
        ("more features than examples", (3, 5), 1, 2.0),
        ("as many examples as features", (4, 4), 1, 1.0),
        ("a small variance", (5, 3), 1, 0.01),
    ]
    image = [
        ("few numbers", (2, 2, 2, 1), 1, 1.0),
        ("one example", (1, 4, 2, 3), 2, 1.0),
        ("several of everything", (2, 6, 3, 2), 3, 2.0),
        ("as many examples as channels", (4, 4, 2, 2), 2, 1.0),
        ("as many of everything", (3, 3, 3, 3), 3, 1.0),
        ("a small variance", (2, 4, 3, 3), 2, 0.01),
    ]
    return rows(row if kind == "rows" else image, make)


def dropout_tries() -> list[Try]:
    def make(rng: Any, words: str, shape: tuple[int, ...], p: float, mode: str) -> Try:
        return Try(words, {"x": distinct(rng, *shape) + 5.0}, {"p": p, "mode": mode, "seed": 231})

    table = [
        ("training, half of it kept", (4, 5), 0.5, "train"),
        ("training, most of it kept", (5, 8), 0.8, "train"),
        ("training, images", (2, 3, 3, 2), 0.3, "train"),
        ("testing", (3, 4), 0.5, "test"),
    ]
    return rows(table, make)


def conv_relu(x: Any, w: Any, b: Any, stride: int, pad: int) -> Tensor:
    return F.relu(conv(x, w, b, stride, pad))


def conv_relu_pool(x: Any, w: Any, b: Any, stride: int, pad: int, **pool: Any) -> Tensor:
    return _pooled_by(pool, conv_relu(x, w, b, stride, pad))


def _pooled_by(pool: Any, x: Tensor) -> Tensor:
    return max_pool(x, **{k.replace("pool_stride", "stride"): v for k, v in pool.items()})


def conv_pool(x: Any, w: Any, b: Any, stride: int, pad: int, **pool: Any) -> Tensor:
    """What is left of it where the ReLU was forgotten."""
    return _pooled_by(pool, conv(x, w, b, stride, pad))


def conv_pool_tries() -> list[Try]:
    table = [
        ("stride 1 and padding 1", 2, 3, 4, 6, 3, 3, 3, 1, 1, 1),
        ("one of everything", 1, 1, 4, 4, 1, 3, 3, 1, 1, 1),
        ("several of everything", 3, 2, 6, 4, 4, 3, 3, 1, 1, 1),
    ]
    pooled = {"pool_height": 2, "pool_width": 2, "pool_stride": 2}
    made = [Try(t.words, t.arrays, {**t.settings, **pooled}) for t in conv_tries(table)]
    others = [
        ("a window that is not square, and overlaps", (2, 3, 1), ("", 2, 2, 5, 6, 3, 2, 3, 1, 1, 1)),
        ("stride 2, and windows that overlap", (2, 2, 1), ("", 2, 2, 7, 9, 2, 3, 3, 2, 1, 1)),
    ]  # the fast layers that are handed out need not take them
    for words, window, row in others:
        (t,) = conv_tries([row])
        settings = dict(zip(pooled, window, strict=True))
        made.append(Try(words, t.arrays, {**t.settings, **settings}, rest=True))
    return made


def conv_relu_tries() -> list[Try]:
    """Stride and padding 1, as the course has it; what has others may be refused."""
    return [replace(t, rest=t.settings != {"stride": 1, "pad": 1}) for t in conv_tries(CONV)]


NO_RELU = "leaves the ReLU out"
CONV_RETURNS = ("dx", "dw", "db")
NORM = {"dx": "x", "dgamma": "gamma", "dbeta": "beta"}
XWB = {"dx": "x", "dw": "w", "db": "b"}


def _pair(
    name: str, stem: str, reference: Any, tries: Any, arguments: str, outputs: dict[str, str], **more: Any
) -> Layer:
    end, back = more.pop("end", ""), more.pop("back", "")
    call = Call(
        forward=tuple(arguments.replace(",", " ").split()), gradients=tuple(outputs), groups=more.pop("groups", {}),
        cached=more.pop("cached", ()), fixed=more.pop("fixed", {}),
    )  # fmt: skip
    functions = (f"{stem}_forward{end}", f"{stem}_backward{end}{back}")
    return Layer(
        f"cs231n.{name}", functions, reference, outputs, tries, call, **({"layout": "rows are examples"} | more)
    )


OTHER_AXES: dict[str, dict[str, tuple[int, ...]]] = {
    "batchnorm": {"of each example, over its features": (1,)},
    "layernorm": {"of each feature, over the examples": (0,)},
    "spatial_batchnorm": {
        "of each pixel, over the examples alone": (0,), "of each image, over its pixels alone": (2, 3),
        "of each image, over all its channels": (1, 2, 3), "of each pixel, over its channels": (1,),
    },
}  # fmt: skip


def _other_axes(reference: Any, stem: str) -> dict[str, Any]:
    return {
        f"takes the mean and the variance {words}": lambda axes=axes, **k: reference(**k, axes=axes)
        for words, axes in OTHER_AXES.get(stem, {}).items()
    }


def _norm(name: str, stem: str, reference: Any, kind: str, param: str, **more: Any) -> Layer:
    arguments = "x, gamma, beta, G, gn_param" if kind.endswith("groups") else f"x, gamma, beta, {param}"
    fixed = {param: {"mode": "train"} if "bn" in param else {}}
    variants = of_norm(reference, "gamma", "beta", reference) | _other_axes(reference, stem)
    return _pair(
        name, stem, reference, lambda: norm_tries(kind), arguments, NORM, fixed=fixed,
        variants=variants, layout=more.pop("layout", "(N, D)"), **more,
    )  # fmt: skip


_AFFINE: dict[str, Any] = {
    "leaves the bias out": lambda x, w, b: affine(x, w, b * 0.0),
    "adds the bias twice": lambda x, w, b: affine(x, w, b * 2.0),
}
_flat = _norm("spatial_groupnorm", "spatial_groupnorm", groupnorm_flat, "flat groups", "gn_param",
              layout="NCHW, gamma and beta (C,)")  # fmt: skip
_pooled: dict[str, Any] = {"the mean": avg_pool, "the smallest": lambda **k: -max_pool(**(k | {"x": -k["x"]}))}
_loss = {"x": "x"}
LAYERS = [
    _pair("affine", "affine", affine, affine_tries, "x, w, b", XWB, cached=("x", "w", "b"),
          variants=_AFFINE),
    _pair("relu", "relu", F.relu, lambda: shaped_tries(SHAPES, "relu"), "x", {"dx": "x"}, cached=("x",),
          variants={"gives the size of its input": lambda x: F.abs(x), "gives its input": lambda x: x * 1.0}),
    Layer("cs231n.softmax_loss", ("softmax_loss",), softmax_loss, {"dx": "x"}, label_tries,
          Call(("x", "y"), gradients=("dx",)), "scores (N, C), labels (N,)", loss=True,
          variants={"sums over the examples, where the course takes the mean":
                    lambda x, y: losses.cross_entropy(x, y, reduction="sum")}),
    Layer("cs231n.svm_loss", ("svm_loss",), svm_loss, {"dx": "x"}, label_tries,
          Call(("x", "y"), gradients=("dx",)), "scores (N, C), labels (N,)", loss=True,
          variants={"sums over the examples, where the course takes the mean":
                    lambda x, y: svm_loss(x, y) * float(x.shape[0]),
                    "counts the right class as well (1 more for each example)": lambda x, y: svm_loss(x, y) + 1.0}),
    _pair("conv", "conv", conv, lambda: conv_tries([*CONV, *CONV_REST], resting=True), "x, w, b, conv_param", XWB,
          groups=CONV_PARAM, cached=("x", "w", "b", "conv_param"), end="_naive",
          layout="NCHW, w (F, C, HH, WW), b (F,)",
          variants=of_conv(conv, "x", "w", "b", "OIHW", False)),
    _pair("max_pool", "max_pool", max_pool, lambda: pool_tries([*POOL, *POOL_REST], resting=True,
          settings=lambda a, b, s: {"pool_height": a, "pool_width": b, "stride": s}), "x, pool_param", {"dx": "x"},
          groups=POOL_PARAM, cached=("x", "pool_param"), end="_naive", layout="NCHW",
          variants=of_pool(max_pool, _pooled)),
    _norm("batchnorm", "batchnorm", batchnorm, "rows", "bn_param"),
    _norm("batchnorm_alt", "batchnorm", batchnorm, "rows", "bn_param", back="_alt"),
    _norm("layernorm", "layernorm", layernorm, "rows", "ln_param"),
    _norm("spatial_batchnorm", "spatial_batchnorm", spatial_batchnorm, "images", "bn_param", layout="NCHW"),
    _norm("spatial_groupnorm", "spatial_groupnorm", groupnorm, "groups", "gn_param",
          layout="NCHW, gamma and beta (1, C, 1, 1)", editions=(("gamma: Scale parameter, of shape (C,)",
                  {k: getattr(_flat, k) for k in ("reference", "tries", "variants", "layout")}),)),
    _pair("dropout", "dropout", dropout, dropout_tries, "x, dropout_param", {"dx": "x"},
          groups={"dropout_param": {"p": "p", "mode": "mode", "seed": "seed"}}, masked=True,
          editions=(("We drop each neuron output with probability p", {"drops": True}),)),
    _pair("affine_relu", "affine_relu", lambda x, w, b: F.relu(affine(x, w, b)), affine_tries, "x, w, b", XWB,
          variants={words: lambda v=v, **k: F.relu(v(**k)) for words, v in _AFFINE.items()} | {NO_RELU: affine}),
    _pair("conv_relu", "conv_relu", conv_relu, conv_relu_tries,
          "x, w, b, conv_param", XWB, groups=CONV_PARAM, layout="NCHW, w (F, C, HH, WW)",
          variants=of_conv(conv_relu, "x", "w", "b", "OIHW", False) | {NO_RELU: conv}),
    _pair("conv_relu_pool", "conv_relu_pool", conv_relu_pool, conv_pool_tries, "x, w, b, conv_param, pool_param", XWB,
          groups=CONV_PARAM | {"pool_param": {"pool_height": "pool_height", "pool_width": "pool_width",
                                              "stride": "pool_stride"}}, layout="NCHW, w (F, C, HH, WW)",
          variants=of_conv(conv_relu_pool, "x", "w", "b", "OIHW", False) | {NO_RELU: conv_pool}),
]  # fmt: skip
