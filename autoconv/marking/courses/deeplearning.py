"""deeplearning.ai, Convolutional Neural Networks, week 1: NHWC, kernels (f, f, n_C_prev, n_C), hparameters."""

from __future__ import annotations

from typing import Any

from ... import functional as F
from ...tape import Tensor
from ..geometries import CONV, CONV_REST, POOL, POOL_REST, conv_tries, pool_tries
from ..layer import Call, Layer
from ..variants import of_conv, of_pool

KEYS = ("stride", "pad")


def conv(A_prev: Any, W: Any, b: Any, stride: int, pad: int) -> Tensor:
    return F.conv2d(A_prev, W, F.reshape(b, (-1,)), stride=stride, padding=pad)


def max_pool(A_prev: Any, f: int, stride: int) -> Tensor:
    return F.max_pool2d(A_prev, f, stride=stride)


def avg_pool(A_prev: Any, f: int, stride: int) -> Tensor:
    return F.avg_pool2d(A_prev, f, stride=stride)


def _pool(name: str, mode: str, reference: Any, others: dict[str, Any]) -> Layer:
    square = lambda **k: k["window"][0] == k["window"][1]
    return Layer(
        f"deeplearning.{name}", ("pool_forward", "pool_backward"), reference, {"dA_prev": "A_prev"},
        lambda: pool_tries([*POOL, *POOL_REST], last=True, name="A_prev", only=square,
                           settings=lambda a, b, s: {"f": a, "stride": s}, ties=mode == "max"),
        Call(("A_prev", "hparameters", "mode"), ("dA", "cache", "mode"), ("A", "cache"), ("dA_prev",),
             groups={"hparameters": {"f": "f", "stride": "stride"}}, fixed={"mode": mode},
             cached=("A_prev", "hparameters")),
        f"NHWC, mode {mode!r}" + (", a tie goes to all maxima" if mode == "max" else ""),
        of_pool(reference, others), all_tied=True,
    )  # fmt: skip


LAYERS = [
    Layer(
        "deeplearning.conv", ("conv_forward", "conv_backward"), conv,
        {"dA_prev": "A_prev", "dW": "W", "db": "b"},
        lambda: conv_tries([*CONV, *CONV_REST], last=True, kernel="HWIO", square=True, bias=lambda n: (1, 1, 1, n),
                           names=("A_prev", "W", "b"), only=lambda **k: True),
        Call(("A_prev", "W", "b", "hparameters"), ("dZ", "cache"), ("Z", "cache"), ("dA_prev", "dW", "db"),
             groups={"hparameters": {"stride": "stride", "pad": "pad"}}, cached=("A_prev", "W", "b", "hparameters")),
        "NHWC, W (f, f, n_C_prev, n_C), b (1, 1, 1, n_C)", of_conv(conv, "A_prev", "W", "b", "HWIO", True),
    ),
    _pool("pool", "max", max_pool, {"the mean": avg_pool}),
    _pool("avg_pool", "average", avg_pool, {"the largest": max_pool}),
]  # fmt: skip
