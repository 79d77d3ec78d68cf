"""Pictures of what a network learned and of what it got wrong, from plain arrays: ``kernels`` and ``misread``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .chart import images
from .svg import Picture


def kernels(
    kernel: Any,
    captions: Sequence[str] = (),
    *,
    title: str = "",
    limit: float | None = None,
    side: int = 56,
    columns: int | None = None,
) -> Picture:
    """The kernels of a layer as grey pictures on one scale: mid grey is 0, white ``limit``, black -``limit``.

    kernel: (kH, kW), (kH, kW, C_out) or (kH, kW, C_in, C_out), a Tensor or an array; with several input channels there is a
    row for each.  limit: default the largest size of a weight; give the same to compare two pictures.  captions: one for
    each of the C_out kernels.  Raises ValueError for another number of dimensions or captions that do not match.
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
    """
    x, y, read = np.asarray(pictures), np.asarray(labels), np.asarray(predictions)
    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    if x.ndim != 3 or y.shape != x.shape[:1] or read.shape != y.shape:
        raise ValueError(
            f"misread: pictures {x.shape}, labels {y.shape}, predictions {read.shape}; they must be (N, H, W), (N,) and (N,)"
        )
    wrong = np.flatnonzero(y != read)
    if not len(wrong):
        raise ValueError(f"misread: all {len(y)} predictions are right; there is nothing to show")
    called = lambda k: str(names[k]) if len(names) else str(k)
    shown = wrong[:most].tolist()
    words = [f"{called(int(y[i]))} read as {called(int(read[i]))}" for i in shown]
    return images([x[i] for i in shown], words, title=title)
