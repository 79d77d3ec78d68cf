"""Harvard TinyTorch, module 09: Conv2d, MaxPool2d and AvgPool2d as classes; NCHW, weight (out, in, kh, kw).

The gradient is that of the class's ``backward(grad_output)``; where it has none, of the function that the output of
``forward`` remembers.
"""

from __future__ import annotations

from typing import Any

from ... import functional as F
from ...tape import Tensor
from ..geometries import CONV, CONV_REST, POOL, POOL_REST, conv_tries, pool_tries
from ..layer import Layer, Try
from ..variants import of_conv, of_pool
from .classes import Protocol, called

FIRST = "channels_first"
NAMES = ("x", "weight", "bias")
CONV_OUTPUTS = {"grad_input": "x", "grad_weight": "weight", "grad_bias": "bias"}


def conv(x: Any, weight: Any, bias: Any, stride: int, padding: int) -> Tensor:
    return F.conv2d(x, weight, bias, stride=stride, padding=padding, layout=FIRST)


def max_pool(x: Any, kernel_size: tuple[int, int], stride: int) -> Tensor:
    return F.max_pool2d(x, kernel_size, stride=stride, layout=FIRST)


def avg_pool(x: Any, kernel_size: tuple[int, int], stride: int) -> Tensor:
    return F.avg_pool2d(x, kernel_size, stride=stride, layout=FIRST)


def _convs() -> list[Try]:
    made = conv_tries([*CONV, *CONV_REST], names=NAMES, resting=True)
    return [
        Try(t.words, t.arrays, {"stride": t.settings["stride"], "padding": t.settings["pad"]}, t.rest) for t in made
    ]


def _construct(v: dict[str, Any]) -> dict[str, Any]:
    out, inputs, *kernel = v["weight"].shape
    sizes = {"in_channels": inputs, "out_channels": out, "kernel_size": tuple(kernel)}
    return sizes | {"stride": v["stride"], "padding": v["padding"]}


def _pool(kind: str, reference: Any, other: dict[str, Any]) -> Layer:
    outputs, settings = {"grad_input": "x"}, ("kernel_size", "stride")
    made = lambda: pool_tries([*POOL, *POOL_REST], settings=lambda a, b, s: {"kernel_size": (a, b), "stride": s},
                              ties=kind == "MaxPool2d", resting=True)  # fmt: skip
    protocol = Protocol(lambda v: {s: v[s] for s in settings}, ("x",))
    says = f"class {kind}(kernel_size, stride): forward(x) -> out, backward(grad_output) -> grad_input"
    call = called(protocol, says, outputs, ("x", *settings))
    name = {"MaxPool2d": "max_pool", "AvgPool2d": "avg_pool"}[kind]
    return Layer(
        f"tinytorch.{name}",
        (kind,),
        reference,
        outputs,
        made,
        call,
        "NCHW, kernel_size (kh, kw)",
        of_pool(reference, other),
    )


_says = (
    "class Conv2d(in_channels, out_channels, kernel_size, stride, padding): forward(x) -> out, "
    "backward(grad_output) -> grad_input, grad_weight, grad_bias; weight, bias"
)
LAYERS = [
    Layer(
        "tinytorch.conv", ("Conv2d",), conv, CONV_OUTPUTS, _convs,
        called(Protocol(_construct, ("x",), {"weight": "weight", "bias": "bias"}), _says, CONV_OUTPUTS,
               (*NAMES, "stride", "padding")),
        "NCHW, weight (out, in, kh, kw), bias (out,)", of_conv(conv, *NAMES, "OIHW", False),
    ),
    _pool("MaxPool2d", max_pool, {"the mean": avg_pool}),
    _pool("AvgPool2d", avg_pool, {"the largest": max_pool}),
]  # fmt: skip
