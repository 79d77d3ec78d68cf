"""Other forward passes: what somebody may have computed instead, each as a change of single lines of the tape.

a kernel rotated, a bias forgotten, another stride, padding or dilation, an activation left out, a sum for a mean
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ... import primitives as p
from ...functional.axes import INNER, WINDOW
from ...tape import Scope, Tape, Tensor
from ..run.forward import Array, Change
from ..run.site import Contraction, Site, counts_terms, stored

GEOMETRIES = (0, 1, 2, 3)  # strides, dilations and paddings that are tried, beside the window and half of it


class Slip(NamedTuple):
    """``kind``: slips of one kind exclude each other; says: what was done; nudge, show: the hints."""

    kind: str
    name: str
    line: Tensor
    says: str
    nudge: str
    show: str
    change: Change


def slips(tape: Tape) -> Iterator[Slip]:
    """What may have been done otherwise, line by line, from the output down."""
    calls = _calls(tape)
    for line in reversed(tape):
        if line.primitive is None or line.constant:
            continue
        if line.primitive is p.contract:
            yield from _of_contraction(line)
        if line.primitive is p.add:
            yield from _of_bias(line)
        if counts_terms(line):
            yield from _of_mean(line)
        elif line.primitive.name == "sum" and not any(counts_terms(x) and _above(x) is line for x in tape):
            yield from _of_sum(line)
        if line.primitive is p.windows:
            yield from _of_geometry(line)
    for scope, x, y, lines in calls:
        yield from _of_call(scope, x, y, lines)
    for line in reversed(tape):
        row = line.primitive
        if row is not None and row.bends and len(line.operands) == 1 and not line.constant and not _composed(line):
            yield _left_out(row.name, line, line.operands[0])


def _composed(line: Tensor) -> bool:
    return line.scope is not None and any(s.kind == "call" for s in line.scope.path)


def _at(line: Tensor, value: Callable[[list[Array]], Array]) -> Change:
    return lambda other, operands, values: value(operands) if other is line else None


# ---- convolutions and products


def _of_contraction(line: Tensor) -> Iterator[Slip]:
    kernels = [(k, c) for k in (1, 0) if (c := Contraction(Site(line, k))).is_kernel]
    if kernels:
        yield from _of_kernel(line, *kernels[0])
    elif not any(s.name.startswith("conv") for s in (line.scope.path if line.scope else ())):
        for k, x in enumerate(line.operands):
            if stored(x) and x.ndim == 2 and x.shape[0] == x.shape[1] > 1:
                yield Slip(
                    "kernel", "weights transposed", line, "the matrix of the weights was transposed",
                    "Do inputs stand along the rows of the weights, or along their columns?",
                    "the sum runs over the axis that inputs and weights share", _turned(line, k, np.transpose),
                )  # fmt: skip


def _turned(line: Tensor, k: int, turn: Callable[[Array], Array]) -> Change:
    """A contraction with operand ``k`` turned round."""

    def change(other: Tensor, operands: list[Array], values: dict[int, Array]) -> Array | None:
        given = [turn(x) if i == k else x for i, x in enumerate(operands)]
        return np.asarray(p.contract.forward(*given, **line.params)) if other is line else None

    return change


def _of_kernel(line: Tensor, k: int, c: Contraction) -> Iterator[Slip]:
    window = c.window(c.own)
    sizes = [line.operands[k].shape[a] for a in window]
    if any(n > 1 for n in sizes):
        yield Slip(
            "kernel", "kernel rotated", line,
            "the kernel was rotated by 180 degrees before it was laid on (or should have been, and was not)",
            "Which cell of the window does the first weight of the kernel meet?",
            "a convolution of this library lays the kernel on as it stands; flip=True rotates it",
            _turned(line, k, partial(np.flip, axis=window)),
        )  # fmt: skip
    for a in window if len(window) > 1 else ():
        yield Slip(
            "kernel", "kernel reversed along one axis", line,
            f"the kernel was reversed along axis {window.index(a)} alone",
            "Do rows and columns of the kernel run in the same direction as those of the image?",
            "neither the rows nor the columns of the kernel are reversed", _turned(line, k, partial(np.flip, axis=a)),
        )  # fmt: skip
    if len(window) == 2 and sizes[0] == sizes[1] > 1:
        yield Slip(
            "kernel", "kernel transposed", line, "rows and columns of the kernel were exchanged",
            "Is the first index of the kernel its row or its column?",
            "kernel[u, v] meets the cell in row u and column v of the window",
            _turned(line, k, partial(np.swapaxes, axis1=window[0], axis2=window[1])),
        )  # fmt: skip
    channels = [a for a, letter in enumerate(c.own) if letter == INNER and line.operands[k].shape[a] > 1]
    for at, word in ((0, "first"), (-1, "last")) if channels else ():
        yield Slip(
            "kernel", f"only the {word} channel", line, f"only the {word} channel was read, not the sum over all",
            "Over what does the sum of one output run?", "each output is a sum over all channels of its window",
            _turned(line, k, partial(_only, axis=channels[0], at=at)),
        )  # fmt: skip


def _only(x: Array, axis: int, at: int) -> Array:
    kept = np.zeros(x.shape[axis])
    kept[at] = 1
    return x * kept.reshape([-1 if a == axis else 1 for a in range(x.ndim)])


def _of_bias(line: Tensor) -> Iterator[Slip]:
    for k, bias in enumerate(line.operands):
        if stored(line.operands[1 - k]) or not is_bias(bias):
            continue
        times = {0: ("bias forgotten", "the bias was not added"), -1: ("bias subtracted", "the bias was subtracted")}
        for n in _counts(line.operands[1 - k]):
            says = f"the bias was added {n:,} times: once for each product of a window, not once for the window"
            times[n] = ("bias counted several times", says)
        for n, (name, says) in times.items():
            yield Slip(
                "bias", name, line, says, "What is added to the sum of products, and how often?",
                "the bias is added once to each output", _at(line, partial(_plus, k=k, n=n)),
            )  # fmt: skip


def _plus(operands: list[Array], k: int, n: int) -> Array:
    return operands[1 - k] + n * operands[k]


def is_bias(x: Tensor) -> bool:
    """Whether an operand of a sum is a parameter that was spread out over the result, or is one number."""
    if not stored(x):
        return False
    source = x
    while source.primitive is not None:
        source = source.operands[0]
    return source.size < x.size or x.size == 1


def _counts(product: Tensor) -> set[int]:
    """The numbers of products of one output of the contraction under a line: in all, in each channel, of each cell."""
    while product.primitive is not None and product.primitive.rearranges:
        product = product.operands[0]
    if product.primitive is not p.contract:
        return set()
    left, result = product.params["spec"].split("->")
    sizes = {
        c: n
        for part, x in zip(left.split(","), product.operands, strict=True)
        for c, n in zip(part, x.shape, strict=True)
    }
    summed = {c: n for c, n in sizes.items() if c not in result}
    within = [n for c, n in summed.items() if c in WINDOW]
    rest = [n for c, n in summed.items() if c not in WINDOW]
    return {n for n in (prod(summed.values()), prod(within), prod(rest)) if n > 1}


# ---- sums and means


def _above(line: Tensor) -> Tensor:
    above = line.operands[0]
    while above.primitive is not None and above.primitive.rearranges:
        above = above.operands[0]
    return above


def _of_mean(line: Tensor) -> Iterator[Slip]:
    n = round(float(line.operands[1].value.flat[0]))
    yield Slip(
        "mean", "sum instead of mean", line, f"the division by the {n:,} terms was forgotten",
        "Is it a sum or a mean?", "a mean divides the sum by the number of its terms", _at(line, lambda ops: ops[0]),
    )  # fmt: skip
    if n > 1:
        yield Slip(
            "mean", "divided by n - 1", line, f"the sum was divided by {n - 1:,}, not by {n:,}",
            "By how many is the sum divided?", "it is divided by n, the number of terms",
            _at(line, lambda ops: ops[0] / (n - 1)),
        )  # fmt: skip


def _of_sum(line: Tensor) -> Iterator[Slip]:
    n = prod(line.operands[0].shape[a] for a in line.params["axis"])
    if n > 1:
        yield Slip(
            "mean", "mean instead of sum", line, f"the sum was divided by its {n:,} terms",
            "Is it a sum or a mean?", "a sum is not divided by the number of its terms",
            _at(line, lambda ops: p.sum_.forward(*ops, **line.params) / n),
        )  # fmt: skip


# ---- geometry


def _of_geometry(line: Tensor) -> Iterator[Slip]:
    """Another stride, padding or dilation of the windows of one layer."""
    axes, window = line.params["axes"], line.params["window"]
    padded = line.operands[0]
    pad = padded if padded.primitive is p.pad else None
    width = tuple(pad.params["width"][a] for a in axes) if pad is not None else ((0, 0),) * len(axes)
    taken = {"stride": line.params["stride"], "padding": width, "dilation": line.params["dilation"]}
    source = pad.operands[0] if pad is not None else padded
    several = sorted({*GEOMETRIES, *window})
    tried = [(word, (n,) * len(axes)) for word in ("stride", "dilation") for n in several if n]
    if padded.primitive is not p.take:  # the border of a pooling, which is no zero
        pairs = [tuple((k // 2,) * 2 for k in window), *(((n, n),) * len(axes) for n in GEOMETRIES)]
        tried += [("padding", pair) for pair in dict.fromkeys([*pairs, tuple((k - 1,) * 2 for k in window)])]
    for word, setting in tried:
        if tuple(setting) != tuple(taken[word]):
            yield Slip(
                "geometry", f"another {word}", line,
                f"the {word} was {_said(setting)}, where this layer has {_said(taken[word])}",
                f"With which {word} did you lay the window on?", f"the {word} of this layer is {_said(taken[word])}",
                _framed(line, source, taken | {word: setting}),
            )  # fmt: skip


def _framed(line: Tensor, source: Tensor, settings: dict[str, Any]) -> Change:
    """Windows over ``source``, which stands before the padding, with other settings."""

    def change(other: Tensor, operands: list[Array], values: dict[int, Array]) -> Array | None:
        if other is not line:
            return None
        x = values[id(source)]
        around = [(0, 0)] * x.ndim
        for a, pair in zip(line.params["axes"], settings["padding"], strict=True):
            around[a] = tuple(pair)
        params = dict(line.params) | {k: settings[k] for k in ("stride", "dilation")}
        return np.asarray(p.windows.forward(np.pad(x, around), **params))

    return change


def _said(setting: Any) -> str:
    parts = [n if isinstance(n, int) else n[0] if n[0] == n[1] else tuple(n) for n in setting]
    return str(parts[0] if len(set(parts)) == 1 else tuple(parts))


# ---- whole calls


def _calls(tape: Tape) -> list[tuple[Scope, Tensor, Tensor, list[Tensor]]]:
    """(call, its one input that varies, its output, its lines) of each composed operation, outermost calls only."""
    inside: dict[int, list[Tensor]] = {}
    scopes: dict[int, Scope] = {}
    for line in tape:
        scope = next((s for s in (line.scope.path if line.scope else ()) if s.kind == "call"), None)
        if scope is not None:
            inside.setdefault(scope.serial, []).append(line)
            scopes[scope.serial] = scope
    found = []
    for serial, lines in inside.items():
        members = {id(line) for line in lines}
        outer = {id(x): x for line in lines for x in line.operands if id(x) not in members and not x.constant}
        moving = [x for x in outer.values() if not (x.primitive is None and len(outer) > 1)] or list(outer.values())
        if len(moving) == 1:
            found.append((scopes[serial], moving[0], lines[-1], lines))
    return found


def _of_call(scope: Scope, x: Tensor, y: Tensor, lines: list[Tensor]) -> Iterator[Slip]:
    name = scope.name
    if x.shape == y.shape and not name.startswith(("conv", "max_pool", "avg_pool", "linear", "matmul")):
        yield _left_out(name, y, x)
    frames = next((line for line in lines if line.primitive is p.windows), None)
    if frames is not None and name.startswith(("max_pool", "avg_pool")):
        first, dims = frames.params["axes"][0], len(frames.params["axes"])
        axes = tuple(range(first + dims, first + 2 * dims))
        takes = "largest" if name.startswith("max") else "mean"
        for word, reduce in _REDUCED.items():
            if word != takes:
                yield Slip(
                    "pool", f"{word} of the window", y, f"the {word} of each window was taken",
                    "What is kept of a window?", f"{name} takes the {takes} of each window",
                    _later(y, frames, partial(_over, reduce=reduce, axes=axes, shape=y.shape)),
                )  # fmt: skip
    if name in ("softmax", "log_softmax"):
        (own,) = next(line.params["axis"] for line in lines if line.primitive is p.sum_ and not line.constant)
        for axis in range(x.ndim):
            if axis != own and x.shape[axis] > 1:
                yield Slip(
                    "softmax", "softmax over another axis", y, f"the softmax was taken over axis {axis}, not {own}",
                    "Along which axis do the probabilities sum to 1?", f"they sum to 1 along axis {own}",
                    _later(y, x, partial(_softmax, axis=axis, log=name != "softmax")),
                )  # fmt: skip
        if name == "softmax":
            yield Slip(
                "softmax", "softmax not normalised", y, "the exponentials were not divided by their sum",
                "What do the numbers sum to?", "a softmax divides by the sum of the exponentials", _later(y, x, np.exp),
            )  # fmt: skip


def _over(frames: Array, reduce: Callable[..., Array], axes: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    return reduce(frames, axis=axes).reshape(shape)


_REDUCED: dict[str, Callable[..., Array]] = {"largest": np.max, "smallest": np.min, "mean": np.mean, "sum": np.sum}


def _later(line: Tensor, source: Tensor, value: Callable[[Array], Array]) -> Change:
    """A line whose value is made of that of an earlier one."""
    return lambda other, operands, values: value(values[id(source)]) if other is line else None


def _softmax(x: Array, axis: int, log: bool) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    made = e / e.sum(axis=axis, keepdims=True)
    return np.log(made) if log else made


def _left_out(name: str, y: Tensor, x: Tensor) -> Slip:
    return Slip(
        "activation", f"{name} left out", y, f"the {name} was not applied",
        "Which functions are applied after the sum of products?", f"the result goes through {name}",
        _later(y, x, lambda value: value),
    )  # fmt: skip
