"""UFAL npfl138, cnn_manual: a class Convolution with a ReLU in it; NHWC, kernels (k, k, in, out), no padding."""

from __future__ import annotations

from typing import Any

from ... import functional as F
from ...tape import Tensor
from ..geometries import CONV, CONV_REST, conv_tries
from ..layer import Layer, Try
from ..variants import of_conv
from .classes import Protocol, called

NAMES = ("inputs", "kernel", "bias")
OUTPUTS = {f"{name}_gradient": name for name in NAMES}


def convolution(inputs: Any, kernel: Any, bias: Any, stride: int) -> Tensor:
    return F.relu(linear(inputs, kernel, bias, stride))


def linear(inputs: Any, kernel: Any, bias: Any, stride: int) -> Tensor:
    return F.conv2d(inputs, kernel, bias, stride=stride)


def _tries() -> list[Try]:
    bare = [row for row in [*CONV, *CONV_REST] if row[9] == 0]
    return conv_tries(bare, last=True, kernel="HWIO", square=True, names=NAMES, settings=("stride",))


def _construct(v: dict[str, Any]) -> dict[str, Any]:
    made = {"filters": v["kernel"].shape[3], "kernel_size": v["kernel"].shape[0], "stride": v["stride"]}
    return made | {"input_shape": list(v["inputs"].shape[1:]), "seed": 0, "verify": False}


_variants = of_conv(convolution, *NAMES, "HWIO", True) | {
    "leaves the ReLU out": linear,
    "adds the bias after the ReLU": lambda inputs, kernel, bias, stride: F.relu(
        linear(inputs, kernel, bias * 0.0, stride)
    ) + bias,
}  # fmt: skip
_says = (
    "class Convolution(filters, kernel_size, stride, input_shape, ..): forward(inputs) -> outputs, "
    "backward(inputs, outputs, outputs_gradient) -> inputs_gradient, [kernel, bias], [kernel_gradient, bias_gradient]; "
    "_kernel, _bias"
)
_protocol = Protocol(
    _construct, ("inputs",), {"_kernel": "kernel", "_bias": "bias"}, takes=("inputs", "outputs", "dout")
)
LAYERS = [
    Layer(
        "npfl138.convolution", ("Convolution",), convolution, OUTPUTS, _tries,
        called(_protocol, _says, OUTPUTS, (*NAMES, "stride")), "NHWC, kernel (k, k, in, out), with ReLU", _variants,
    )
]  # fmt: skip
