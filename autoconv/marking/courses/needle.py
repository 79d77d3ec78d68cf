"""CMU 10-414/714, needle: operations with compute(A, B) and gradient(out_grad, node); NHWC, kernels (k, k, in, out).

Dilation is additive: ``Dilate(axes, dilation)`` puts ``dilation`` zeros after each cell, so that 0 changes nothing.
"""

from __future__ import annotations

from typing import Any

from ... import functional as F
from ...tape import Tensor
from ..geometries import CONV, CONV_REST, conv_tries
from ..layer import Layer, Try, rows
from ..variants import of_conv
from .classes import Protocol, called


def conv(A: Any, B: Any, stride: int, padding: int) -> Tensor:
    return F.conv2d(A, B, stride=stride, padding=padding)


def dilate(a: Any, axes: tuple[int, ...], dilation: int) -> Tensor:
    """``dilation`` zeros after every cell along each of ``axes``."""
    for axis in axes:
        lifted = F.pad(F.expand_dims(a, axis + 1), [(0, dilation * (i == axis + 1)) for i in range(a.ndim + 1)])
        a = F.reshape(lifted, (*a.shape[:axis], a.shape[axis] * (dilation + 1), *a.shape[axis + 1 :]))
    return a * 1.0


def undilate(a: Any, axes: tuple[int, ...], dilation: int) -> Tensor:
    return a[tuple([slice(None, None, dilation + 1 if i in axes else None) for i in range(a.ndim)])] * 1.0


def flip(a: Any, axes: tuple[int, ...]) -> Tensor:
    return F.flip(a, axes) * 1.0


FLIPPED = [
    ("one axis", (2, 3), (0,)), ("the last axis", (2, 3), (1,)), ("both axes", (3, 4), (0, 1)),
    ("the spatial axes of images", (2, 3, 4, 2), (1, 2)),
]  # fmt: skip
DILATED = [
    ("one axis", (2, 3), (0,), 1), ("dilation 0, which changes nothing", (2, 3), (0, 1), 0),
    ("both axes", (2, 4), (0, 1), 1), ("dilation 2", (3, 6), (1,), 2),
    ("the spatial axes of images", (2, 4, 4, 3), (1, 2), 1),
]  # fmt: skip


def _flips() -> list[Try]:
    return rows(FLIPPED, lambda rng, words, shape, axes: Try(words, {"a": rng.normal(size=shape)}, {"axes": axes}))


def _dilations() -> list[Try]:
    def make(rng: Any, words: str, shape: tuple[int, ...], axes: tuple[int, ...], dilation: int) -> Try:
        return Try(words, {"a": rng.normal(size=shape)}, {"axes": axes, "dilation": dilation})

    return rows(DILATED, make)


def _convs() -> list[Try]:
    made = conv_tries([*CONV, *CONV_REST], last=True, kernel="HWIO", square=True, bias=None, names=("A", "B"),
                      resting=True)  # fmt: skip
    return [
        Try(t.words, t.arrays, {"stride": t.settings["stride"], "padding": t.settings["pad"]}, t.rest) for t in made
    ]


def _layer(
    kind: str, reference: Any, tries: Any, arrays: tuple[str, ...], settings: tuple[str, ...], layout: str,
    variants: Any = None,
) -> Layer:  # fmt: skip
    outputs = {f"d{a}": a for a in arrays}
    protocol = Protocol(lambda v: {s: v[s] for s in settings}, arrays, forward="compute", backward="gradient",
                        takes=("dout", "node"))  # fmt: skip
    says = (
        f"class {kind}({', '.join(settings)}): compute({', '.join(arrays)}) -> out, "
        f"gradient(out_grad, node) -> {', '.join(outputs)}; node.inputs are those of compute"
    )
    call = called(protocol, says, outputs, (*arrays, *settings))
    return Layer(f"needle.{kind.lower()}", (kind,), reference, outputs, tries, call, layout, variants or {})


LAYERS = [
    _layer("Conv", conv, _convs, ("A", "B"), ("stride", "padding"), "NHWC, B (k, k, in, out)",
           of_conv(conv, "A", "B", "", "HWIO", True)),
    _layer("Flip", flip, _flips, ("a",), ("axes",), "any shape"),
    _layer("Dilate", dilate, _dilations, ("a",), ("axes", "dilation"), "dilation 0 changes nothing"),
    _layer("UnDilate", undilate, _dilations, ("a",), ("axes", "dilation"), "dilation 0 changes nothing"),
]  # fmt: skip
