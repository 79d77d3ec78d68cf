"""CMU 11-785, homeworks 1 and 2, part 1: classes with forward(A) and backward(dLdZ); NCHW, W (out, in, k, k)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ... import functional as F
from ...primitives import scatter
from ...tape import Tensor
from ..geometries import CONV, CONV_1D, CONV_REST, POOL, POOL_REST, conv1d_tries, conv_tries, distinct, pool_tries
from ..layer import Layer, Try, rows
from ..variants import normalised, of_conv, of_norm, of_pool
from .classes import Protocol, called

FIRST = "channels_first"
AWB = {"dLdA": "A", "dLdW": "W", "dLdb": "b"}
KEPT = {"dLdW": "dLdW", "dLdb": "dLdb"}
MEAN = "mean instead of sum"
MEAN_SAYS = (
    "editions of the course until 2023 handed out self.dLdW = dLdW / self.N, and so for dLdb: in those it is right"
)


def linear(A: Any, W: Any, b: Any) -> Tensor:
    return F.matmul(A, F.transpose(W)) + F.transpose(b)


def conv1d(A: Any, W: Any, b: Any, stride: int = 1, padding: int = 0) -> Tensor:
    return F.conv1d(A, W, b, stride=stride, padding=padding, layout=FIRST)


def conv2d(A: Any, W: Any, b: Any, stride: int = 1, padding: int = 0) -> Tensor:
    return F.conv2d(A, W, b, stride=stride, padding=padding, layout=FIRST)


def spread(A: Any, factor: int) -> Tensor:
    """factor - 1 zeros between neighbours along every spatial axis, none after the last."""
    sizes = [(n - 1) * factor + 1 for n in A.shape[2:]]
    key = (slice(None), slice(None), *[slice(0, n, factor) for n in sizes])
    return scatter(A, key=key, shape=(*A.shape[:2], *sizes))


def thinned(A: Any, factor: int) -> Tensor:
    """Every factor-th cell along every spatial axis."""
    return A[tuple([slice(None)] * 2 + [slice(None, None, factor)] * (A.ndim - 2))] * 1.0


def transposed1d(A: Any, W: Any, b: Any, upsampling_factor: int) -> Tensor:
    return conv1d(spread(A, upsampling_factor), W, b)


def transposed2d(A: Any, W: Any, b: Any, upsampling_factor: int) -> Tensor:
    return conv2d(spread(A, upsampling_factor), W, b)


def max_pool(A: Any, kernel: int, stride: int = 1) -> Tensor:
    return F.max_pool2d(A, kernel, stride=stride, layout=FIRST)


def mean_pool(A: Any, kernel: int, stride: int = 1) -> Tensor:
    return F.avg_pool2d(A, kernel, stride=stride, layout=FIRST)


def batchnorm(Z: Any, BW: Any, Bb: Any, eps: float = 1e-8, **how: Any) -> Tensor:
    return normalised(Z, (0,), eps, **how) * BW + Bb


# ---- geometries


def _linear(rng: Any, words: str, n: int, d: int, m: int) -> Try:
    return Try(words, {"A": rng.normal(size=(n, d)), "W": rng.normal(size=(m, d)), "b": rng.normal(size=(m, 1))})


LINEAR = [
    ("one example, one unit", 1, 2, 1), ("several examples", 3, 2, 1), ("several units", 2, 3, 4),
    ("as many of everything", 3, 3, 3),
]  # fmt: skip
SPREAD = [
    ("one cell", (1, 1, 1, 1), 2), ("several cells", (1, 1, 2, 3), 2), ("several of everything", (2, 3, 3, 2), 2),
    ("factor 3", (2, 2, 2, 3), 3), ("a last cell that is left out", (2, 2, 4, 5), 3), ("factor 1", (2, 2, 3, 4), 1),
]  # fmt: skip
ROWS = [("one row", (1, 3)), ("several rows", (3, 4)), ("as many rows as columns", (4, 4)), ("more rows", (5, 2))]


def _spreads(one: bool, setting: str) -> list[Try]:
    def make(rng: Any, words: str, shape: tuple[int, ...], factor: int) -> Try:
        return Try(words, {"A": rng.normal(size=shape[:2] + shape[3:] if one else shape)}, {setting: factor})

    return rows(SPREAD, make)


def _transposed(tries: list[Try]) -> list[Try]:
    made = [(t, factor) for factor in (1, 2, 3) for t in tries if t.settings["stride"] == 1 and not t.settings["pad"]]
    return [Try(f"{t.words}, upsampling {k}", t.arrays, {"upsampling_factor": k}) for t, k in made if k == 1 or t.size]


def _padded(tries: list[Try], strided: bool) -> list[Try]:
    """The settings as the course spells them; a class without padding may refuse it."""
    made = []
    for t in tries:
        stride, pad = t.settings["stride"], t.settings["pad"]
        if strided:
            made.append(Try(t.words, t.arrays, {"stride": stride, "padding": pad}, rest=t.rest or pad > 0))
        elif stride == 1 and not pad:
            made.append(Try(t.words, t.arrays))
    return made


def _batches() -> list[Try]:
    def make(rng: Any, words: str, n: int, c: int, size: float) -> Try:
        z = size * distinct(rng, n, c) + size * rng.normal(size=(1, c))
        return Try(words, {"Z": z, "BW": 1 + 0.5 * rng.normal(size=(1, c)), "Bb": rng.normal(size=(1, c))})

    table = [
        ("few numbers", 3, 2, 1.0), ("more examples than features", 6, 3, 1.0),
        ("more features than examples", 3, 5, 2.0), ("as many examples as features", 4, 4, 1.0),
        ("a small variance", 5, 3, 0.01),
    ]  # fmt: skip
    return rows(table, make)


def _rows(name: str, kink: str = "") -> list[Try]:
    made = rows(ROWS, lambda rng, words, shape: Try(words, {name: distinct(rng, *shape)}))
    if kink:
        made.append(Try("zeros among the inputs", {name: np.array([[0.0, 1, -2], [-0.5, 0, 3]])}, kink=kink))
    return made


# ---- the classes


def _weighted(
    name: str, kind: str, reference: Callable[..., Tensor], tries: Callable[[], list[Try]], *settings: str
) -> Layer:
    def construct(v: Mapping[str, Any]) -> dict[str, Any]:
        out, inputs, *kernel = v["W"].shape
        if not kernel:
            return {"in_features": inputs, "out_features": out}
        sizes = {"in_channels": inputs, "out_channels": out, "kernel_size": kernel[0]}
        return sizes | {s: v[s] for s in settings}

    made = ("in_features", "out_features") if kind == "Linear" else ("in_channels", "out_channels", "kernel_size")
    says = f"class {kind}({', '.join((*made, *settings))}): forward(A) -> Z, backward(dLdZ) -> dLdA; W, b, dLdW, dLdb"
    layout = {"Linear": "A (N, in), W (out, in), b (out, 1)"}.get(kind, "NCW, W (out, in, k), b (out,)")
    layout = "NCHW, W (out, in, k, k), b (out,)" if "2d" in kind else layout
    variants = of_conv(reference, "A", "W", "b", "OIHW", False) if "2d" in kind else {}
    protocol = Protocol(construct, ("A",), {"W": "W", "b": "b"}, KEPT, optional=("padding",))
    call = called(protocol, says, AWB, ("A", "W", "b", *settings))
    remarks = {MEAN: MEAN_SAYS} if kind == "Linear" else {}
    return Layer(f"cmu11785.{name}", (kind,), reference, AWB, tries, call, layout, variants, remarks=remarks)


def _shaped(
    name: str, kind: str, reference: Callable[..., Tensor], tries: Callable[[], list[Try]], *settings: str,
    layout: str = "NCHW", variants: Any = None, arrays: tuple[str, str] = ("A", "Z"),
) -> Layer:  # fmt: skip
    """A layer without parameters."""
    x, y = arrays
    protocol = Protocol(lambda v: {s: v[s] for s in settings}, (x,))
    says = f"class {kind}({', '.join(settings)}): forward({x}) -> {y}, backward(dLd{y}) -> dLd{x}"
    outputs = {f"dLd{x}": x}
    call = called(protocol, says, outputs, (x, *settings))
    return Layer(f"cmu11785.{name}", (kind,), reference, outputs, tries, call, layout, variants or {})


def _activation(kind: str, function: Callable[[Any], Tensor], kink: str = "") -> Layer:
    return _shaped(kind.lower(), kind, lambda Z: function(Z), lambda: _rows("Z", kink), layout="(N, C)",
                   arrays=("Z", "A"))  # fmt: skip


def _two(resting: bool = False) -> list[Try]:
    return conv_tries([*CONV, *CONV_REST], square=True, names=("A", "W", "b"), resting=resting)


def _pools(strided: bool) -> list[Try]:
    table = [*POOL, *POOL_REST] if strided else POOL
    settings = lambda a, b, s: {"kernel": a, "stride": s} if strided else {"kernel": a}
    only = lambda **k: strided or k["stride"] == 1
    return pool_tries(table, name="A", square=True, settings=settings, resting=True, only=only)


def _kinds(mode: str) -> dict[str, Any]:
    other = {"max": ("the mean", mean_pool), "mean": ("the largest", max_pool)}[mode]
    return of_pool({"max": max_pool, "mean": mean_pool}[mode], dict([other]))


_norm = Protocol(lambda v: {"num_features": v["Z"].shape[1]}, ("Z",), {"BW": "BW", "Bb": "Bb"},
                 {"dLdBW": "dLdBW", "dLdBb": "dLdBb"},
                 spelled={"BW": "gamma", "Bb": "beta", "dLdBW": "dLdgamma", "dLdBb": "dLdbeta"})  # fmt: skip
_outputs = {"dLdZ": "Z", "dLdBW": "BW", "dLdBb": "Bb"}
_batchnorm = Layer(
    "cmu11785.batchnorm", ("BatchNorm1d",), batchnorm, _outputs, _batches,
    called(_norm, "class BatchNorm1d(num_features): forward(Z) -> BZ, backward(dLdBZ) -> dLdZ; BW, Bb, dLdBW, dLdBb",
           _outputs, ("Z", "BW", "Bb")),
    "Z (N, C), BW and Bb (1, C), eps 1e-8", of_norm(batchnorm, "BW", "Bb", batchnorm, 1e-8),
)  # fmt: skip
LAYERS = [
    _weighted("linear", "Linear", linear, lambda: rows(LINEAR, _linear)),
    _weighted("conv1d_stride1", "Conv1d_stride1", conv1d, lambda: _padded(conv1d_tries(CONV_1D), False)),
    _weighted("conv1d", "Conv1d", conv1d, lambda: _padded(conv1d_tries(CONV_1D), True), "stride", "padding"),
    _weighted("conv2d_stride1", "Conv2d_stride1", conv2d, lambda: _padded(_two(), False)),
    _weighted("conv2d", "Conv2d", conv2d, lambda: _padded(_two(True), True), "stride", "padding"),
    _weighted("conv_transpose1d", "ConvTranspose1d", transposed1d, lambda: _transposed(conv1d_tries(CONV_1D)),
              "upsampling_factor"),
    _weighted("conv_transpose2d", "ConvTranspose2d", transposed2d, lambda: _transposed(_two()), "upsampling_factor"),
    _shaped("upsample1d", "Upsample1d", lambda A, upsampling_factor: spread(A, upsampling_factor),
            lambda: _spreads(True, "upsampling_factor"), "upsampling_factor", layout="NCW"),
    _shaped("upsample2d", "Upsample2d", lambda A, upsampling_factor: spread(A, upsampling_factor),
            lambda: _spreads(False, "upsampling_factor"), "upsampling_factor"),
    _shaped("downsample1d", "Downsample1d", lambda A, downsampling_factor: thinned(A, downsampling_factor),
            lambda: _spreads(True, "downsampling_factor"), "downsampling_factor", layout="NCW"),
    _shaped("downsample2d", "Downsample2d", lambda A, downsampling_factor: thinned(A, downsampling_factor),
            lambda: _spreads(False, "downsampling_factor"), "downsampling_factor"),
    _shaped("max_pool_stride1", "MaxPool2d_stride1", max_pool, lambda: _pools(False), "kernel", variants=_kinds("max")),
    _shaped("mean_pool_stride1", "MeanPool2d_stride1", mean_pool, lambda: _pools(False), "kernel",
            variants=_kinds("mean")),
    _shaped("max_pool", "MaxPool2d", max_pool, lambda: _pools(True), "kernel", "stride", variants=_kinds("max")),
    _shaped("mean_pool", "MeanPool2d", mean_pool, lambda: [t for t in _pools(True) if not t.kink], "kernel", "stride",
            variants=_kinds("mean")),
    _batchnorm,
    _activation("ReLU", F.relu, "relu"), _activation("Sigmoid", F.sigmoid), _activation("Tanh", F.tanh),
    _activation("Softmax", F.softmax),
]  # fmt: skip
