"""Shape arithmetic without arrays: broadcasting, axes, layouts, sliding windows, padding rules, receptive fields.

The ground floor.  Everything that can be refused about a geometry is refused here, before an array is touched or a line
recorded, with the numbers that were asked for.  Formulas are those of Dumoulin and Visin, "A guide to convolution
arithmetic for deep learning" (2016), extended by dilation and ceil_mode.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Collection, Sequence
from math import prod
from typing import Any, NamedTuple

LARGEST = min(2**47, sys.maxsize)  # the cells that a processor can address

Shape = tuple[int, ...]
Ints = int | Sequence[int]
Padding = int | str | Sequence[int] | Sequence[Sequence[int]]


# ---- broadcasting and axes


def broadcast_shapes(*shapes: Shape, operation: str = "broadcast") -> Shape:
    """The common shape of ``shapes`` by NumPy's rule: aligned at the last axis, sizes equal or 1."""
    out: list[int] = []
    for axis in range(1, max(map(len, shapes), default=0) + 1):
        sizes = {s[-axis] for s in shapes if len(s) >= axis} - {1}
        if len(sizes) > 1:
            listed = " and ".join(map(str, shapes))
            raise ValueError(
                f"{operation}: shapes {listed} do not broadcast: sizes {sorted(sizes)} meet at axis -{axis}; "
                "reshape or expand_dims one of them so that these sizes are equal or 1"
            )
        out.append(sizes.pop() if sizes else 1)
    return tuple(reversed(out))


def broadcast_axes(shape: Shape, to: Shape) -> Shape:
    """The axes of ``to`` along which an array of ``shape`` is repeated: new leading axes and those of size 1."""
    new = len(to) - len(shape)
    return tuple(range(new)) + tuple(new + i for i, n in enumerate(shape) if n == 1 and to[new + i] != 1)


def whole_number(value: Any, what: str, minimum: int | None = None) -> int:
    """``value`` as an int; TypeError unless it is a whole number, ValueError below ``minimum`` or for one that no array
    can have."""
    try:
        if isinstance(value, bool) or getattr(value, "dtype", None) == bool:
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} must be a whole number, found {shown(value)}") from None
    if minimum is not None and number < minimum:
        raise ValueError(f"{what} must be at least {minimum}, found {shown(number)}")
    if not -LARGEST <= number <= LARGEST:
        raise ValueError(f"{what} must be within what memory can hold (2**47), found {shown(number)}")
    return number


def flag(value: Any, what: str) -> bool:
    """True or False (also as NumPy has them, or as 1 and 0); TypeError for anything else."""
    if type(value) is bool:
        return value
    if getattr(value, "ndim", 0) == 0 and not isinstance(value, float | str | bytes):
        try:
            if operator.index(value.item() if hasattr(value, "item") else value) in (0, 1):
                return bool(value)
        except TypeError:
            pass
    raise TypeError(f"{what} must be True or False, found {shown(value)}")


def choice(value: Any, operation: str, what: str, known: Collection[str]) -> str:
    """One of the texts that are ``known``; ValueError for another one, TypeError for what is no text."""
    if not isinstance(value, str):
        raise TypeError(f"{operation}: {what} must be one of {', '.join(map(repr, known))}, found {shown(value)}")
    if value not in known:
        raise ValueError(f"{operation}: unknown {what} {value!r}; use one of {', '.join(map(repr, known))}")
    return value


def whole_numbers(value: Any, what: str, minimum: int | None = None) -> Shape:
    """One whole number, or a sequence (a list, a tuple, an array of one dimension) of them, as a tuple."""
    return tuple(whole_number(v, what, minimum) for v in listed(value))


def listed(value: Any) -> tuple[Any, ...]:
    """The elements of a sequence (a list, a tuple, an array of one dimension); anything else alone."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(value)
    return tuple(value.tolist()) if getattr(value, "ndim", 0) == 1 and hasattr(value, "tolist") else (value,)


def shown(value: Any) -> str:
    """A value in an error message, cut where it is long."""
    if isinstance(value, int) and abs(value) > 10**30:
        return f"a number of about {int(value.bit_length() * 0.30103) + 1} digits"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:40]} ... ({type(value).__name__})"


def normalize_axis(axis: Any, ndim: int, operation: str) -> int:
    """A possibly negative axis as an index in 0 .. ndim - 1."""
    number = axis if type(axis) is int else whole_number(axis, f"{operation}: axis")
    if not -ndim <= number < ndim:
        if not ndim:
            raise ValueError(
                f"{operation}: axis {shown(number)} of an input of 0 dimensions (shape ()): it has no axis"
            )
        raise ValueError(
            f"{operation}: axis {shown(number)} is out of range for {ndim} dimensions (-{ndim} .. {ndim - 1})"
        )
    return number % ndim


def normalize_axes(axis: Ints | None, ndim: int, operation: str) -> Shape:
    """Axes (None: all; an int; a sequence) as a tuple of indices without repeats, in the order given."""
    if axis is None:
        return tuple(range(ndim))
    axes = tuple([normalize_axis(a, ndim, operation) for a in listed(axis)])
    if len(set(axes)) < len(axes):
        raise ValueError(f"{operation}: axis {listed(axis)} names an axis twice")
    return axes


def softmax_axes(axis: Any, ndim: int, operation: str) -> Shape:
    """The axis of a softmax; a single number is the only one of its kind, so the axis 0 or -1 of it is none."""
    return () if ndim == 0 and type(axis) is int and axis in (0, -1) else normalize_axes(axis, ndim, operation)


def keepdims_shape(shape: Shape, axes: Shape) -> Shape:
    """``shape`` with size 1 at ``axes``: what a reduction with keepdims=True leaves."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def resolve_reshape(shape: Shape, new: Shape) -> Shape:
    """``new`` with its one -1, if any, worked out from the number of elements of ``shape``."""
    new = whole_numbers(new, "reshape: a size", -1)
    size, known = prod(shape), prod(n for n in new if n != -1)
    if new.count(-1) == 1 and known and size % known == 0:
        return tuple(size // known if n == -1 else n for n in new)
    if -1 in new or known != size:
        raise ValueError(
            f"reshape: shape {shape} has {size} elements and cannot become {new}; "
            f"the product of the sizes must be {size}"
        )
    return new


# ---- layouts

_SPATIAL = {1: "W", 2: "HW", 3: "DHW"}


class Layout(NamedTuple):
    """Where the channels stand: images (N, *spatial, C) or (N, C, *spatial), for ``dims`` spatial dimensions."""

    dims: int
    channels_last: bool

    @property
    def spatial_axes(self) -> Shape:
        first = 1 if self.channels_last else 2
        return tuple(range(first, first + self.dims))

    @property
    def channel_axis(self) -> int:
        return self.dims + 1 if self.channels_last else 1

    @property
    def kernel_axes(self) -> Shape:
        """The spatial axes of a kernel: (*window, C_in / groups, C_out) or (C_out, C_in / groups, *window)."""
        return tuple(range(self.dims)) if self.channels_last else tuple(range(2, 2 + self.dims))

    @property
    def image(self) -> str:
        """How a batch of images is written, as in "(N, H, W, C)"."""
        spatial = ", ".join(_SPATIAL[self.dims])
        return f"(N, {spatial}, C)" if self.channels_last else f"(N, C, {spatial})"

    def order(self, spatial: str, channel: str) -> str:
        """Axis letters in this layout's order, for contractions: spatial then channel, or channel then spatial."""
        return spatial + channel if self.channels_last else channel + spatial


def parse_layout(layout: str, dims: int, operation: str) -> Layout:
    """A layout by name ("channels_last", "channels_first") or by letters ("NHWC", "NCHW", "NCW", "NDHWC", ...)."""
    if dims not in _SPATIAL:
        raise ValueError(f"{operation}: {dims} spatial dimensions; one to three are supported")
    spatial = _SPATIAL[dims]
    if isinstance(layout, str) and layout in ("channels_last", f"N{spatial}C"):
        return Layout(dims, True)
    if isinstance(layout, str) and layout in ("channels_first", f"NC{spatial}"):
        return Layout(dims, False)
    raise (ValueError if isinstance(layout, str) else TypeError)(
        f"{operation}: unknown layout {shown(layout)}; use 'channels_last' (N{spatial}C) or "
        f"'channels_first' (NC{spatial})"
    )


# ---- sliding windows


def per_dimension(value: Ints, dims: int, what: str, minimum: int) -> Shape:
    """One whole number for all spatial dimensions, or one for each."""
    if type(value) is int and minimum <= value <= LARGEST:
        return (value,) * dims
    if len(several := listed(value)) != 1 or several[0] is not value:
        if len(several) != dims:
            raise ValueError(
                f"{what} needs one number or {dims}, one for each spatial dimension; found {shown(several)}"
            )
        return tuple(whole_number(v, what, minimum) for v in several)
    return (whole_number(value, what, minimum),) * dims


class Slide(NamedTuple):
    """How a window slides over an input; every tuple has one entry for each spatial dimension.

    ``padding`` holds (low, high) pairs as asked for; ``overhang`` the further cells at the high end that ceil_mode
    reads.
    """

    size: Shape
    window: Shape
    stride: Shape
    dilation: Shape
    padding: tuple[tuple[int, int], ...]
    overhang: Shape
    output: Shape

    @property
    def span(self) -> Shape:
        """Cells from a window's first to its last: dilation * (window - 1) + 1."""
        return tuple(spanned(k, d) for k, d in zip(self.window, self.dilation, strict=True))

    @property
    def reach(self) -> tuple[tuple[int, int], ...]:
        """(low, high) cells beyond the input that windows may read: padding and overhang together."""
        return tuple((low, high + more) for (low, high), more in zip(self.padding, self.overhang, strict=True))

    def counts(self, dim: int, include_padding: bool) -> list[int]:
        """For each window along ``dim``: how many of its cells lie in the input (and its padding, if asked; never
        in the overhang)."""
        low, high = self.padding[dim]
        first, end = (-low, self.size[dim] + high) if include_padding else (0, self.size[dim])
        return [sum(first <= cell < end for cell in self.cells(dim, o)) for o in range(self.output[dim])]

    def cells(self, dim: int, output: int) -> range:
        """The input indices that window number ``output`` reads along ``dim`` (negative or beyond the end: padding)."""
        start = output * self.stride[dim] - self.padding[dim][0]
        return range(start, start + self.span[dim], self.dilation[dim])


def spanned(window: int, dilation: int) -> int:
    """Cells from the first to the last tap of a dilated window: dilation * (window - 1) + 1."""
    return dilation * (window - 1) + 1


def slide(
    size: Shape,
    window: Ints,
    stride: Ints | None = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    *,
    ceil_mode: bool = False,
    operation: str = "windows",
) -> Slide:
    """Work out a sliding window over spatial ``size``; the output has

        floor((size + low + high - dilation * (window - 1) - 1) / stride) + 1

    cells along each dimension (ceil in place of floor with ``ceil_mode``, but the last window must start inside the
    input or its low padding, as in PyTorch).  ``stride=None`` means the window itself, as pooling has it.  Raises
    TypeError for numbers that are not whole, ValueError for a geometry without an output.
    """
    dims = len(size)
    windows = per_dimension(window, dims, f"{operation}: window", 1)
    strides = windows if stride is None else per_dimension(stride, dims, f"{operation}: stride", 1)
    dilations = per_dimension(dilation, dims, f"{operation}: dilation", 1)
    pairs = resolve_padding(padding, size, windows, strides, dilations, operation)
    outputs, overhangs = [], []
    for n, k, s, d, (low, high) in zip(size, windows, strides, dilations, pairs, strict=True):
        span = spanned(k, d)
        free = n + low + high - span
        out = (free + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (out - 1) * s >= n + low:
            out -= 1
        if out < 1:
            asked = f"{k}" if d == 1 else f"{k} with dilation {d}, which spans {span}"
            raise ValueError(
                f"{operation}: the window ({asked}) is larger than the padded input "
                f"({n} + {low} + {high} = {n + low + high}) "
                f"for input size {size}, window {windows}, padding {pairs}; use a smaller window or more padding"
            )
        outputs.append(out)
        overhangs.append(max(0, (out - 1) * s + span - (n + low + high)))
    return Slide(tuple(size), windows, strides, dilations, pairs, tuple(overhangs), tuple(outputs))


def resolve_padding(
    padding: Padding, size: Shape, window: Shape, stride: Shape, dilation: Shape, operation: str
) -> tuple[tuple[int, int], ...]:
    """Padding as (low, high) pairs: from an int, one int or one pair for each dimension, or a word.

    "valid" is none; "full" lets every partial overlap count; "same" gives ceil(size / stride) outputs with the odd cell
    at the end ("same_lower": at the start), as TensorFlow and ONNX define it.
    """
    dims, what = len(size), f"{operation}: padding"
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * dims
        if padding == "full":
            return tuple((spanned(k, d) - 1,) * 2 for k, d in zip(window, dilation, strict=True))
        if padding in ("same", "same_lower"):
            pairs = []
            for n, k, s, d in zip(size, window, stride, dilation, strict=True):
                total = max(0, (-(-n // s) - 1) * s + spanned(k, d) - n)
                small, large = total // 2, total - total // 2
                pairs.append((small, large) if padding == "same" else (large, small))
            return tuple(pairs)
        raise ValueError(
            f"{what} {padding!r} is unknown; use a number, (low, high) pairs, 'valid', 'same', 'same_lower' or 'full'"
        )
    if isinstance(padding, Sequence) and any(isinstance(p, Sequence) for p in padding):
        if len(padding) != dims or not all(isinstance(p, Sequence) and len(p) == 2 for p in padding):
            raise ValueError(
                f"{what} needs {dims} (low, high) pairs, one for each spatial dimension; found {shown(padding)}"
            )
        return tuple((whole_number(p[0], what, 0), whole_number(p[1], what, 0)) for p in padding)  # type: ignore[index]
    return tuple((p, p) for p in per_dimension(padding, dims, what, 0))  # type: ignore[arg-type]


def transposed_size(size: Shape, move: Slide, output_padding: Shape) -> Shape:
    """The output of a transposed convolution: (size - 1) * stride + span - low - high + output_padding."""
    rows = zip(size, move.stride, move.span, move.padding, output_padding, strict=True)
    return tuple((n - 1) * s + span - low - high + extra for n, s, span, (low, high), extra in rows)


def receptive_field(layers: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """(cells, step) that one output of stacked sliding windows sees, along one dimension.

    ``layers`` holds (window, stride, dilation) from the input up.  field = 1 + sum_l (span_l - 1) * prod_{m<l}
    stride_m, step = prod_l stride_l (Araujo et al., "Computing receptive fields of convolutional neural networks",
    2019).
    """
    field, step = 1, 1
    for layer in listed(layers):
        if len(listed(layer)) != 3:
            raise ValueError(f"receptive_field: {shown(layer)} is not (window, stride, dilation)")
        window, stride, dilation = whole_numbers(layer, "receptive_field: a number", 1)
        field += (spanned(window, dilation) - 1) * step
        step *= stride
    return field, step
