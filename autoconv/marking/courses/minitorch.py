"""Cornell minitorch, module 4: convolutions as loops over flat storage; the output has the input's size.

The kernel is anchored at its first cell, so that nothing is padded before the image and k - 1 zeros after it; with
``reverse`` at its last cell, and k - 1 zeros stand before.  The course's backward calls the student's loops twice: once
with input and upstream gradient, their batches and channels exchanged, and once reversed with the exchanged kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ... import functional as F
from ...tape import Tensor
from ..geometries import CONV_1D, conv1d_tries
from ..layer import Call, Layer, Try, rows

FIRST = "channels_first"
OUTPUTS = {"grad_input": "input", "grad_weight": "weight"}
ARGUMENTS = (
    "out, out_shape, out_strides, out_size, input, input_shape, input_strides, "
    "weight, weight_shape, weight_strides, reverse"
)


def conv1d(input: Any, weight: Any) -> Tensor:
    return F.conv1d(input, weight, padding=((0, weight.shape[2] - 1),), layout=FIRST)


def conv2d(input: Any, weight: Any) -> Tensor:
    after = [(0, k - 1) for k in weight.shape[2:]]
    return F.conv2d(input, weight, padding=tuple(after), layout=FIRST)


# ---- the student's loops, called as the course calls them


def _stored(array: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(flat storage, shape, strides in elements) of an array whose axes may have been exchanged."""
    base = array
    while isinstance(base.base, np.ndarray) and base.base.size == array.size:
        base = base.base
    strides = np.array([s // array.itemsize for s in array.strides], dtype=np.int64)
    return base.reshape(-1), np.array(array.shape, dtype=np.int64), strides


def _looped(loops: Callable[..., Any], shape: tuple[int, ...], x: np.ndarray, w: np.ndarray, reverse: bool) -> Any:
    out = np.zeros(shape)
    flat, sizes, strides = _stored(out)
    loops(flat, sizes, strides, flat.size, *_stored(x), *_stored(w), reverse)
    return flat.reshape(shape)


def _ahead(functions: Mapping[str, Any], values: dict[str, Any]) -> tuple[Any, Any]:
    x, w = values["input"], values["weight"]
    return _looped(functions["forward"], (x.shape[0], w.shape[0], *x.shape[2:]), x, w, False), (x, w)


def _back(functions: Mapping[str, Any], values: dict[str, Any]) -> Any:
    (x, w), d, loops = values["cache"], np.ascontiguousarray(values["dout"]), functions["backward"]
    exchanged = _looped(loops, (w.shape[1], w.shape[0], *w.shape[2:]), x.swapaxes(0, 1), d.swapaxes(0, 1), False)
    return _looped(loops, x.shape, d, w.swapaxes(0, 1), True), exchanged.swapaxes(0, 1).copy()


# ---- geometries


def _pictures() -> list[Try]:
    def make(rng: Any, words: str, n: int, c: int, h: int, w: int, f: int, a: int, b: int) -> Try:
        return Try(words, {"input": rng.normal(size=(n, c, h, w)), "weight": rng.normal(size=(f, c, a, b))})

    table = [
        ("a kernel of one cell", 1, 1, 2, 2, 1, 1, 1),
        ("overlapping windows", 1, 1, 3, 4, 1, 2, 2),
        ("several examples", 3, 1, 3, 3, 1, 2, 2),
        ("several channels", 1, 3, 3, 3, 1, 2, 2),
        ("several filters", 1, 1, 3, 3, 3, 2, 2),
        ("an image and a kernel that are not square", 2, 2, 4, 5, 3, 2, 3),
        ("several of everything", 2, 3, 5, 4, 2, 3, 3),
        ("as many of everything", 3, 3, 3, 3, 3, 2, 2),
        ("a kernel as large as the image", 2, 2, 3, 3, 2, 3, 3),
    ]
    return rows(table, make)


def _signals() -> list[Try]:
    made = conv1d_tries([row for row in CONV_1D if row[6] == 1 and not row[7]], names=("input", "weight"))
    return [Try(t.words, t.arrays) for t in made]


def _layer(name: str, reference: Any, tries: Callable[[], list[Try]], layout: str) -> Layer:
    call = Call(
        forward=("input", "weight"), gradients=tuple(OUTPUTS), cached=("input", "weight"), ahead=_ahead, back=_back,
        says=f"_tensor_{name}({ARGUMENTS})",
    )  # fmt: skip
    variants = {
        "pads before the image, where the course pads after it (the kernel is anchored at its first cell)": _before,
        "rotates the kernel by 180 degrees": lambda input, weight: reference(
            input, F.flip(weight, tuple(range(2, weight.ndim)))
        ),
    }
    return Layer(f"minitorch.{name}", (f"_tensor_{name}",), reference, OUTPUTS, tries, call, layout, variants)


def _before(input: Any, weight: Any) -> Tensor:
    """With k - 1 zeros before the image: what ``reverse`` asks for, but with the kernel not reversed."""
    before = tuple([(k - 1, 0) for k in weight.shape[2:]])
    return (F.conv1d if weight.ndim == 3 else F.conv2d)(input, weight, padding=before, layout=FIRST)


LAYERS = [
    _layer("conv1d", conv1d, _signals, "NCW, weight (out, in, k); same size, k - 1 zeros after the image"),
    _layer("conv2d", conv2d, _pictures, "NCHW, weight (out, in, kh, kw); same size, k - 1 zeros after the image"),
]
