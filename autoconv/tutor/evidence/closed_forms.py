"""Textbook gradients of one convolution or pooling in plain loops, from the gradient that arrives at its output.

They share no line of code with the rules of the table, so that agreement of the two proves something.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from ...functional.axes import POSITION, WINDOW
from ...tape import Tensor
from ..run.replay import Run
from ..run.site import Contraction, Site

_VIEWS = ("reshape", "cast", "identity", "pad", "take", "flip")
_LARGEST = 200_000  # products written one by one


def closed_form(run: Run) -> tuple[Any, str]:
    """The gradient of ``run.wrt`` in closed form and the formula, or (None, "")."""
    x, chain = run.wrt, list[Tensor]()
    while True:
        received = run.received.get(id(x), [])
        if len(received) != 1:
            return None, ""
        line, k, _ = received[0]
        if line.primitive is None or not line.scope:
            return None, ""
        name = line.primitive.name
        if name in _VIEWS:
            chain.append(line)
            x = line
            continue
        break
    site = Site(line, k)
    if name == "contract" and site.inside("conv_transpose"):
        gradient, formula = _transposed(run, site)
    elif name == "contract" and site.inside("conv"):
        gradient, formula = _kernel(run, site)
    elif name == "windows" and site.inside("conv") and not site.inside("conv_transpose"):
        gradient, formula = _image(run, line)
    elif name == "broadcast_to" and site.inside("conv"):
        gradient, formula = _bias(run, site)
    elif name == "windows" and site.pooling in ("max", "avg"):
        gradient, formula = _pooled(run, line, site.pooling)
    else:
        return None, ""
    return (None, "") if gradient is None else (_undone(gradient, chain), formula)


def _undone(g: Any, chain: list[Tensor]) -> Any:
    """Back through views: the border cropped, axes given back, rotations undone."""
    for line in reversed(chain):
        before = line.operands[0].shape
        name = line.primitive.name if line.primitive else ""
        if name == "pad":
            g = g[tuple(slice(low, low + n) for n, (low, _) in zip(before, line.params["width"], strict=True))]
        elif name == "flip":
            g = np.flip(g, line.params["axis"])
        elif name == "take":  # a border that repeats cells: each gives back what its copies received
            whole = np.zeros(before)
            moved = np.moveaxis(whole, line.params["axis"], 0)  # a view: what is added here is added to the whole
            np.add.at(moved, line.operands[1].value, np.moveaxis(g, line.params["axis"], 0))
            g = whole
        else:
            g = g.reshape(before)
    return g


def _taps(frames: Tensor, moves: Tensor) -> Any:
    """(position, tap, cell) of every window of ``frames``, which move as the line ``moves`` says."""
    axes = moves.params["axes"]
    dims = len(axes)
    counts, window = frames.shape[axes[0] : axes[0] + dims], frames.shape[axes[0] + dims : axes[0] + 2 * dims]
    for p, u in product(np.ndindex(*counts), np.ndindex(*window)):
        yield (
            p,
            u,
            tuple(
                i * s + a * d for i, a, s, d in zip(p, u, moves.params["stride"], moves.params["dilation"], strict=True)
            ),
        )


def _indexed(array: Any, letters: str, at: dict[str, int]) -> Any:
    """The part of an array at these indices of its named axes, the others kept."""
    return array[tuple(at.get(c, slice(None)) for c in letters)]


def _parts(site: Site) -> tuple[Contraction, Tensor, Any, str, str] | None:
    """The contraction, the windows it reads, the kernel, the letters of image and kernel; None for another program."""
    line = site.line
    k = 0 if line.operands[0].primitive is not None and line.operands[0].primitive.name == "windows" else 1
    frames = line.operands[k]
    if frames.primitive is None or frames.primitive.name != "windows" or frames.size * line.operands[1 - k].size > 1e9:
        return None
    letters = line.params["spec"].split("->")[0].split(",")
    dims = len(frames.params["axes"])
    image = "".join(c for c in letters[k] if c not in WINDOW[:dims])
    return Contraction(site), frames, line.operands[1 - k].value, image, letters[1 - k]


def _kernel(run: Run, site: Site) -> tuple[Any, str]:
    """w_bar[u, v, c, o] = sum over n, i, j of x[n, i s + u d, j s + v d, c] y_bar[n, i, j, o]."""
    parts = _parts(site)
    if parts is None or not parts[0].is_kernel:
        return None, ""
    c, frames, _, image, kernel = parts
    if np.prod(frames.shape[:1]) and frames.size > _LARGEST:
        return None, ""
    g, x = run.cotangent[id(site.line)], frames.operands[0].value
    gradient = np.zeros(site.operand.shape)
    for p, u, cell in _taps(frames, frames):
        patch = _indexed(x, image, dict(zip(POSITION, cell, strict=False)))
        back = _indexed(g, c.result, dict(zip(POSITION, p, strict=False)))
        rest = "".join(a for a in image if a not in POSITION), "".join(a for a in c.result if a not in POSITION)
        to = "".join(a for a in kernel if a not in WINDOW)
        key = tuple(dict(zip(WINDOW, u, strict=False)).get(a, slice(None)) for a in kernel)
        gradient[key] += np.einsum(f"{rest[0]},{rest[1]}->{to}", patch, back)
    return gradient, "sum over positions of x[i s + u d] y_bar[i]"


def _image(run: Run, windows: Tensor) -> tuple[Any, str]:
    """x_bar[h] = sum over i, u with i s + u d = h of w[u] y_bar[i]: full correlation with the rotated kernel."""
    readers = run.received.get(id(windows), [])
    if len(readers) != 1 or readers[0][0].primitive is None or readers[0][0].primitive.name != "contract":
        return None, ""
    line, k, _ = readers[0]
    parts = _parts(Site(line, k))
    if parts is None or windows.size > _LARGEST:
        return None, ""
    c, frames, kernel_value, image, kernel = parts
    g = run.cotangent[id(line)]
    gradient = np.zeros(windows.operands[0].shape)
    for p, u, cell in _taps(frames, frames):
        back = _indexed(g, c.result, dict(zip(POSITION, p, strict=False)))
        weight = _indexed(kernel_value, kernel, dict(zip(WINDOW, u, strict=False)))
        names = ["".join(a for a in letters if a not in POSITION + WINDOW) for letters in (c.result, kernel, image)]
        key = tuple(dict(zip(POSITION, cell, strict=False)).get(a, slice(None)) for a in image)
        gradient[key] += np.einsum(f"{names[0]},{names[1]}->{names[2]}", back, weight)
    return gradient, "full correlation of y_bar with the rotated kernel"


def _transposed(run: Run, site: Site) -> tuple[Any, str]:
    """x_bar[i] = sum over u of w[u] y_bar[i s + u d], and w_bar[u] = sum over i of x[i] y_bar[i s + u d]."""
    line = site.line
    readers = run.received.get(id(line), [])
    if len(readers) != 1 or readers[0][0].primitive is None or readers[0][0].primitive.name != "overlap_add":
        return None, ""
    if line.size > _LARGEST:
        return None, ""
    moves = readers[0][0]
    c, g = Contraction(site), run.cotangent[id(moves)]
    output = "".join(a for a in c.result if a not in WINDOW)
    gradient = np.zeros(site.operand.shape)
    for p, u, cell in _taps(line, moves):
        at = dict(zip(POSITION, p, strict=False)) | dict(zip(WINDOW, u, strict=False))
        back = _indexed(g, output, dict(zip(POSITION, cell, strict=False)))
        other = _indexed(site.other(), c.others, at)
        names = ["".join(a for a in letters if a not in POSITION + WINDOW) for letters in (output, c.others, c.own)]
        key = tuple(at.get(a, slice(None)) for a in c.own)
        gradient[key] += np.einsum(f"{names[0]},{names[1]}->{names[2]}", back, other)
    return (
        gradient,
        "sum over positions of x[i] y_bar[i s + u d]" if c.is_kernel else "plain correlation of y_bar with the kernel",
    )


def _bias(run: Run, site: Site) -> tuple[Any, str]:
    """b_bar[o] = sum over n, i, j of y_bar[n, i, j, o]."""
    g = run.cotangent[id(site.line)]
    new = g.ndim - site.x.ndim
    axes = tuple(range(new)) + tuple(new + i for i, n in enumerate(site.x.shape) if n == 1 and g.shape[new + i] > 1)
    return g.sum(axis=axes).reshape(site.x.shape), "sum over positions and examples of y_bar"


def _pooled(run: Run, windows: Tensor, kind: str) -> tuple[Any, str]:
    """To the first largest cell of each window, or 1/n of it to every cell."""
    axes, dims = windows.params["axes"], len(windows.params["axes"])
    if windows.size > _LARGEST:
        return None, ""
    cells = tuple(range(axes[0] + dims, axes[0] + 2 * dims))
    g = run.cotangent[id(windows)].sum(axis=cells)  # each window's total is the gradient of its pooled value
    frames = np.moveaxis(windows.value, cells, range(-dims, 0))
    flat = frames.reshape(*frames.shape[:-dims], -1)
    n = flat.shape[-1]
    share = np.eye(n)[flat.argmax(-1)] if kind == "max" else np.full(flat.shape, 1 / n)
    spread = np.moveaxis((share * g[..., None]).reshape(frames.shape), range(-dims, 0), cells)
    gradient = np.zeros(windows.operands[0].shape)
    lead = (slice(None),) * axes[0]
    for p, u, cell in _taps(windows, windows):
        gradient[lead + cell] += spread[lead + p + u]
    return gradient, "all of it to the winning cell" if kind == "max" else "1/n of it to each of n cells"
