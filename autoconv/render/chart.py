"""Small SVG pictures of a training run: curves, images, a confusion table, a layer's kernels, what was misread.

Each function takes plain numbers and returns a Picture: SVG text, self-contained, for light and dark pages, which a
notebook shows as it is.
"""

from __future__ import annotations

import math
import struct
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .picture import Picture, document
from .svg import coordinate, rect, text, text_width, tooltip
from .text import cut, number
from .theme import COLOURS

LOOKS = ("first", "second")  # the strokes of the series; the second is dashed as well


def curves(
    series: Mapping[str, Sequence[float | None]],
    *,
    title: str = "",
    x_label: str = "epoch",
    y_label: str = "",
    start: int = 1,
) -> Picture:
    """One or two lines over whole numbers ``start``, ``start`` + 1, ...; None and what is not finite leave a gap.

    series: name -> values, as in {"train": [...], "validation": [...]}.  Raises ValueError for more than two series or
    for none.

    >>> ac.render.curves({"train": [2.3, 0.9, 0.4]}, title="Loss")
    <Picture 'Loss', 560 x 320>
    """
    if not 1 <= len(series) <= len(LOOKS):
        raise ValueError(f"curves: found {len(series)} series; give one or two, as in {{'train': losses}}")
    lines = {name: [math.nan if y is None else float(y) for y in values] for name, values in series.items()}
    width, height, left, top, right, bottom = 560.0, 320.0, 66.0, 56.0, 18.0, 50.0
    finite = [y for values in lines.values() for y in values if math.isfinite(y)]
    y_ticks = ticks(min(finite, default=0.0), max(finite, default=1.0))
    end = start + max(1, *(len(values) - 1 for values in lines.values()))
    x_ticks = [x for x in ticks(start, end) if x == int(x) and start <= x <= end]

    def px(x: float) -> float:
        return left + (x - start) / (end - start) * (width - left - right)

    def py(y: float) -> float:
        return height - bottom - (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (height - top - bottom)

    parts = [text(16, 24, title, size=14, font_weight="bold")]
    decimals = digits(y_ticks[1] - y_ticks[0])
    for y in y_ticks:
        parts.append(stroke("grid", [(left, py(y)), (width - right, py(y))]))
        parts.append(text(left - 8, py(y) + 4, f"{y:.{decimals}f}", "soft", 11, "end"))
    for x in x_ticks:
        parts.append(stroke("axis", [(px(x), height - bottom), (px(x), height - bottom + 5)]))
        parts.append(text(px(x), height - bottom + 19, f"{x:.0f}", "soft", 11, "middle"))
    parts.append(stroke("axis", [(left, height - bottom), (width - right, height - bottom)]))
    parts.append(text((left + width - right) / 2, height - 12, x_label, "soft", 11, "middle"))
    parts.append(text(16, top - 12, y_label, "soft", 11))

    legend = width - right
    for look, (name, values) in reversed(list(zip(LOOKS, lines.items(), strict=False))):
        dashes = "6 4" if look == "second" else ""
        shown = cut(name, 24)
        legend -= text_width(shown, 11)
        parts.append(text(legend, top - 12, shown, size=11))
        parts.append(stroke(look, [(legend - 30, top - 16), (legend - 8, top - 16)], 2.2, dashes))
        legend -= 46
        for stretch in unbroken(values):
            points = [(px(start + i), py(values[i])) for i in stretch]
            last = f"{name}: {number(values[stretch[-1]])} at {x_label} {start + stretch[-1]}"
            parts.append(f"<g>{tooltip(last)}{stroke(look, points, 2.2, dashes)}{dots(look, points)}</g>")
    return document(width, height, title or y_label or "curves", parts)


def images(
    pictures: Sequence[Any],
    captions: Sequence[str] = (),
    *,
    title: str = "",
    columns: int = 8,
    side: int = 64,
    signed: bool = False,
    limit: float | None = None,
) -> Picture:
    """Pictures in a grid, each with a caption below it: grey, or ``signed`` in the colours of numbers with a sign.

    pictures: 2-d arrays (H, W); each is scaled from its smallest number (black) to its largest (white), or with
    ``signed`` (kernels) from orange (negative) over a neutral 0 to blue (positive).  limit: one scale for all, from 0
    (with ``signed`` from -limit) to ``limit``.  side: the length of the longer edge in the picture.  Raises ValueError
    for an array that is not (H, W), captions that do not match, or a limit that is not positive.

        level = (number - low) / (high - low)

    >>> ac.render.images([np.eye(3), np.ones((3, 3))], ["an eye", "white"], title="Two")
    <Picture 'Two', 174 x 138>
    """
    if limit is not None and not 0 < limit < math.inf:
        raise ValueError(f"images: limit={limit} must be a positive number, the value that is white")
    arrays = [np.asarray(picture, dtype=float) for picture in pictures]
    for array in arrays:
        if array.ndim != 2 or not array.size:
            raise ValueError(f"images: found an array of shape {array.shape}; each picture must be (height, width)")
    if captions and len(captions) != len(arrays):
        raise ValueError(f"images: {len(captions)} captions for {len(arrays)} pictures; give one for each, or none")
    words = [cut(caption, 24) for caption in captions]
    cell = max([side, *(text_width(caption, 10) for caption in words)]) + 14
    line = side + (34 if words else 16)
    across = max(1, min(columns, len(arrays)))
    head = 40 if title else 14
    parts = [text(16, 25, title, size=14, font_weight="bold")] if title else []
    for i, array in enumerate(arrays):
        row, column = divmod(i, across)
        scale = side / max(array.shape)
        h, w = array.shape[0] * scale, array.shape[1] * scale
        x, y = 16 + column * cell + (cell - 14 - w) / 2, head + row * line + (side - h) / 2
        parts.append(
            f'<image x="{coordinate(x)}" y="{coordinate(y)}" width="{coordinate(w)}" height="{coordinate(h)}" '
            'preserveAspectRatio="none" '
            f'href="data:image/png;base64,{b64encode(png(levels(array, signed, limit), side, signed)).decode()}"/>'
        )
        parts.append(rect(x, y, w, h, "axis", fill="none"))
        if words:
            parts.append(
                text(
                    16 + column * cell + (cell - 14) / 2, head + row * line + side + 15, words[i], "soft", 10, "middle"
                )
            )
    width = max(2 + 16 + across * cell, 32 + text_width(title, 14))
    return document(width, head + -(-len(arrays) // across) * line, title or "images", parts)


def confusion(table: Any, labels: Sequence[Any] = (), *, title: str = "") -> Picture:
    """A table of counts: row = true class, column = predicted class; right ones blue, wrong ones orange, darker for
    more.

    table[i, j] counts the examples of class i that were read as class j: (classes, classes) whole numbers.  Raises
    ValueError for another shape or labels that do not match.

    >>> ac.render.confusion([[9, 1], [0, 10]], ["cat", "dog"])
    <Picture 'confusion table', 148 x 134>
    """
    counts = np.asarray(table)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ValueError(f"confusion: the table has shape {counts.shape}; it must be (classes, classes)")
    size = len(counts)
    names = [cut(str(label), 12) for label in labels] or [str(i) for i in range(size)]
    if len(names) != size:
        raise ValueError(f"confusion: {len(names)} labels for {size} classes; give one for each, or none")
    cell = max(
        [34.0, *(text_width(name, 11) + 8 for name in names), *(text_width(f"{n:,}", 11) + 8 for n in counts.flat)]
    )
    left, top = 44 + max(text_width(name, 11) for name in names), 74.0 if title else 50.0
    across = size * cell
    parts = [text(16, 25, title, size=14, font_weight="bold")] if title else []
    parts.append(text(left + across / 2, top - 28, "predicted", "soft", 11, "middle"))
    turned = f"rotate(-90 20 {coordinate(top + across / 2)})"
    parts.append(text(20, top + across / 2, "true", "soft", 11, "middle", transform=turned))
    on = np.eye(size, dtype=bool)
    most = {True: max(1, counts[on].max()), False: max(1, counts[~on].max(initial=0))}
    for i, name in enumerate(names):
        parts.append(text(left + (i + 0.5) * cell, top - 8, name, size=11, anchor="middle"))
        parts.append(text(left - 8, top + (i + 0.5) * cell + 4, name, size=11, anchor="end"))
        for j in range(size):
            count, right = int(counts[i, j]), i == j
            x, y = left + j * cell, top + i * cell
            share = 0.15 + 0.85 * count / int(most[right]) if count else 0.0
            look = "right" if right else "wrong"
            parts.append(f"<g>{tooltip(f'true {name}, predicted {names[j]}: {count:,}')}")
            parts.append(rect(x + 1, y + 1, cell - 2, cell - 2, look, rx="3", fill_opacity=coordinate(share)))
            parts.append(rect(x, y, cell, cell, "grid", fill="none"))
            if count:
                parts.append(
                    text(
                        x + cell / 2, y + cell / 2 + 4, f"{count:,}", "inverse" if share > 0.6 else "ink", 11, "middle"
                    )
                )
            parts.append("</g>")
    return document(
        max(left + across + 16, 32 + text_width(title, 14)), top + across + 16, title or "confusion table", parts
    )


# ---- scales and strokes


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from below ``low`` to above ``high``, at least two."""
    if not high > low:
        low, high = low - max(1.0, abs(low)) / 2, high + max(1.0, abs(high)) / 2
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, last + 1)]


def digits(step: float) -> int:
    """Digits after the point that tell multiples of ``step`` apart."""
    return max(0, -math.floor(math.log10(step) + 1e-9))


def unbroken(values: Sequence[float]) -> list[list[int]]:
    """The places of finite values, in stretches without a gap."""
    found: list[list[int]] = [[]]
    for i, y in enumerate(values):
        if math.isfinite(y):
            found[-1].append(i)
        elif found[-1]:
            found.append([])
    return [stretch for stretch in found if stretch]


def stroke(look: str, points: Sequence[tuple[float, float]], width: float = 1.0, dashes: str = "") -> str:
    path = " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in points)
    extra = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<polyline class="ac-{look}" fill="none" stroke-width="{width}" stroke-linejoin="round"{extra} '
        f'points="{path}"/>'
    )


def dots(look: str, points: Sequence[tuple[float, float]]) -> str:
    """A dot at each point if they are few; a lone point would otherwise not be seen."""
    if len(points) > 40:
        return ""
    return "".join(
        f'<circle class="ac-page ac-{look}" cx="{coordinate(x)}" cy="{coordinate(y)}" r="2.6"/>' for x, y in points
    )


# ---- grey pictures


def levels(array: np.ndarray, signed: bool, limit: float | None = None) -> np.ndarray:
    """Numbers as levels 0 .. 255, those beyond ``limit`` as if they were there; ``signed`` 1 .. 255, of which 128 is 0.

    What is not finite is at level 0, black.
    """
    finite = np.isfinite(array)
    known = array[finite]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    if limit is not None:
        low, high = 0.0, limit
    if signed:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    span = high - low if high > low else 1.0
    share = np.clip((np.where(finite, array, low) - low) / span, 0, 1)
    return np.where(finite, np.rint(share * (255 - signed)) + signed, 0).astype(np.uint8)


def diverging() -> bytes:
    """The colour of each level of a number with a sign, red, green and blue: black, then from orange over 0 to blue."""
    ends = [[int(COLOURS[name][0][k : k + 2], 16) for k in (1, 3, 5)] for name in ("minus", "zero", "plus")]
    low, zero, high = np.array(ends, float)
    t = (np.arange(1, 256)[:, None] - 128) / 127
    shades = zero + np.abs(t) * (np.where(t < 0, low, high) - zero)
    return bytes(3) + np.rint(shades).astype(np.uint8).tobytes()


def png(levels: np.ndarray, side: int, signed: bool = False) -> bytes:
    """Levels (H, W) as a PNG file in grey, or ``signed`` in ``diverging`` colours; each cell enlarged to whole pixels
    so that its edges stay sharp.
    """
    times = max(1, -(-2 * side // max(levels.shape)))
    large = levels.repeat(times, 0).repeat(times, 1)
    rows = b"".join(b"\0" + row.tobytes() for row in large)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", large.shape[1], large.shape[0], 8, 3 if signed else 0, 0, 0, 0)
    colours = chunk(b"PLTE", diverging()) if signed else b""
    data = chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + colours + data + chunk(b"IEND", b"")


def kernels(
    kernel: Any,
    captions: Sequence[str] = (),
    *,
    title: str = "",
    limit: float | None = None,
    side: int = 56,
    columns: int | None = None,
) -> Picture:
    """The kernels of a layer as pictures on one scale: blue is ``limit``, orange -``limit``, a neutral grey 0.

    kernel: (kH, kW), (kH, kW, C_out) or (kH, kW, C_in, C_out), a Tensor or an array; with several input channels there
    is a row for each.  limit: default the largest size of a weight; give the same to compare two pictures.  captions:
    one for each of the C_out kernels.  Raises ValueError for another number of dimensions or captions that do not
    match.

    >>> ac.render.kernels([[1.0, -1.0], [0.0, 2.0]], title="Edges")
    <Picture 'Edges', 88 x 112>
    """
    array = np.asarray(getattr(kernel, "value", kernel), dtype=float)
    if not 2 <= array.ndim <= 4 or not array.size:
        raise ValueError(f"kernels: found an array of shape {array.shape}; it must be (kH, kW, C_in, C_out)")
    planes = array.reshape(*array.shape[:2], -1, array.shape[-1] if array.ndim > 2 else 1)
    inputs, outputs = planes.shape[2:]
    if captions and len(captions) != outputs:
        raise ValueError(f"kernels: {len(captions)} captions for {outputs} kernels; give one for each, or none")
    shown = [planes[:, :, i, o] for i in range(inputs) for o in range(outputs)]
    across = outputs if inputs > 1 else columns or min(outputs, 8)
    reach = (float(np.abs(array[np.isfinite(array)]).max(initial=0.0)) or 1.0) if limit is None else limit
    words = list(captions) * inputs
    return images(shown, words, title=title, columns=across, side=side, signed=True, limit=reach)


def misread(
    pictures: Any, labels: Any, predictions: Any, *, title: str = "", names: Sequence[Any] = (), most: int = 16
) -> Picture:
    """The examples whose prediction is wrong, as grey pictures with "3 read as 8" below: the first ``most`` of them.

    pictures: (N, H, W) or (N, H, W, 1); labels and predictions: (N,) whole numbers; names: what the classes are called.
    Raises ValueError for shapes that do not fit, and where every prediction is right.

    >>> ac.render.misread(np.zeros((2, 4, 4)), [3, 8], [3, 3], title="One")
    <Picture 'One', 99 x 138>
    """
    x, y, read = np.asarray(pictures), np.asarray(labels), np.asarray(predictions)
    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    if x.ndim != 3 or y.shape != x.shape[:1] or read.shape != y.shape:
        raise ValueError(
            f"misread: pictures {x.shape}, labels {y.shape}, predictions {read.shape}; they must be (N, H, W), "
            "(N,) and (N,)"
        )
    wrong = np.flatnonzero(y != read)
    if not len(wrong):
        raise ValueError(f"misread: all {len(y)} predictions are right; there is nothing to show")
    called = lambda k: str(names[k]) if len(names) else str(k)
    shown = wrong[:most].tolist()
    words = [f"{called(int(y[i]))} read as {called(int(read[i]))}" for i in shown]
    return images([x[i] for i in shown], words, title=title)
