"""Textbook gradients of one convolution or pooling in plain loops, from the call's own output gradient."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from ..tape import Tensor
from .place import Contraction, Place
from .replay import Study

_VIEWS = ("reshape", "cast", "identity", "pad", "take", "flip")
_LARGEST = 200_000  # products written one by one


def closed_form(study: Study) -> tuple[Any, str]:
    """The gradient of ``study.wrt`` in closed form and the formula, or (None, "")."""
    x, chain = study.wrt, list[Tensor]()
    while True:
        received = study.received.get(id(x), [])
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
    place = Place(line, k)
    if name == "contract" and place.inside("conv_transpose"):
        made, formula = _transposed(study, place)
    elif name == "contract" and place.inside("conv"):
        made, formula = _kernel(study, place)
    elif name == "windows" and place.inside("conv") and not place.inside("conv_transpose"):
        made, formula = _image(study, line)
    elif name == "broadcast_to" and place.inside("conv"):
        made, formula = _bias(study, place)
    elif name == "windows" and place.pooling in ("max", "avg"):
        made, formula = _pooled(study, line, place.pooling)
    else:
        return None, ""
    return (None, "") if made is None else (_undone(made, chain), formula)


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


def _parts(place: Place) -> tuple[Contraction, Tensor, Any, str, str] | None:
    """The contraction, the windows it reads, the kernel, and the letters of image and kernel; None for another program."""
    line = place.line
    k = 0 if line.operands[0].primitive is not None and line.operands[0].primitive.name == "windows" else 1
    frames = line.operands[k]
    if frames.primitive is None or frames.primitive.name != "windows" or frames.size * line.operands[1 - k].size > 1e9:
        return None
    letters = line.params["spec"].split("->")[0].split(",")
    dims = len(frames.params["axes"])
    image = "".join(c for c in letters[k] if c not in "ijk"[:dims])
    return Contraction(place), frames, line.operands[1 - k].value, image, letters[1 - k]


def _kernel(study: Study, place: Place) -> tuple[Any, str]:
    """w_bar[u, v, c, o] = sum over n, i, j of x[n, i s + u d, j s + v d, c] y_bar[n, i, j, o]."""
    parts = _parts(place)
    if parts is None or not parts[0].is_kernel:
        return None, ""
    c, frames, _, image, kernel = parts
    if np.prod(frames.shape[:1]) and frames.size > _LARGEST:
        return None, ""
    g, x = study.cotangent[id(place.line)], frames.operands[0].value
    made = np.zeros(place.operand.shape)
    for p, u, cell in _taps(frames, frames):
        patch = _indexed(x, image, dict(zip("xyz", cell, strict=False)))
        back = _indexed(g, c.result, dict(zip("xyz", p, strict=False)))
        rest = "".join(a for a in image if a not in "xyz"), "".join(a for a in c.result if a not in "xyz")
        to = "".join(a for a in kernel if a not in "ijk")
        key = tuple(dict(zip("ijk", u, strict=False)).get(a, slice(None)) for a in kernel)
        made[key] += np.einsum(f"{rest[0]},{rest[1]}->{to}", patch, back)
    return made, "sum over positions of x[i s + u d] y_bar[i]"


def _image(study: Study, windows: Tensor) -> tuple[Any, str]:
    """x_bar[h] = sum over i, u with i s + u d = h of w[u] y_bar[i]: full correlation with the rotated kernel."""
    readers = study.received.get(id(windows), [])
    if len(readers) != 1 or readers[0][0].primitive is None or readers[0][0].primitive.name != "contract":
        return None, ""
    line, k, _ = readers[0]
    parts = _parts(Place(line, k))
    if parts is None or windows.size > _LARGEST:
        return None, ""
    c, frames, kernel_value, image, kernel = parts
    g = study.cotangent[id(line)]
    made = np.zeros(windows.operands[0].shape)
    for p, u, cell in _taps(frames, frames):
        back = _indexed(g, c.result, dict(zip("xyz", p, strict=False)))
        weight = _indexed(kernel_value, kernel, dict(zip("ijk", u, strict=False)))
        names = ["".join(a for a in letters if a not in "xyzijk") for letters in (c.result, kernel, image)]
        key = tuple(dict(zip("xyz", cell, strict=False)).get(a, slice(None)) for a in image)
        made[key] += np.einsum(f"{names[0]},{names[1]}->{names[2]}", back, weight)
    return made, "full correlation of y_bar with the rotated kernel"


def _transposed(study: Study, place: Place) -> tuple[Any, str]:
    """x_bar[i] = sum over u of w[u] y_bar[i s + u d], and w_bar[u] = sum over i of x[i] y_bar[i s + u d]."""
    line = place.line
    readers = study.received.get(id(line), [])
    if len(readers) != 1 or readers[0][0].primitive is None or readers[0][0].primitive.name != "overlap_add":
        return None, ""
    if line.size > _LARGEST:
        return None, ""
    moves = readers[0][0]
    c, g = Contraction(place), study.cotangent[id(moves)]
    output = "".join(a for a in c.result if a not in "ijk")
    made = np.zeros(place.operand.shape)
    for p, u, cell in _taps(line, moves):
        at = dict(zip("xyz", p, strict=False)) | dict(zip("ijk", u, strict=False))
        back = _indexed(g, output, dict(zip("xyz", cell, strict=False)))
        other = _indexed(place.other(), c.others, at)
        names = ["".join(a for a in letters if a not in "xyzijk") for letters in (output, c.others, c.own)]
        key = tuple(at.get(a, slice(None)) for a in c.own)
        made[key] += np.einsum(f"{names[0]},{names[1]}->{names[2]}", back, other)
    return (
        made,
        "sum over positions of x[i] y_bar[i s + u d]" if c.is_kernel else "plain correlation of y_bar with the kernel",
    )


def _bias(study: Study, place: Place) -> tuple[Any, str]:
    """b_bar[o] = sum over n, i, j of y_bar[n, i, j, o]."""
    g = study.cotangent[id(place.line)]
    new = g.ndim - place.x.ndim
    axes = tuple(range(new)) + tuple(new + i for i, n in enumerate(place.x.shape) if n == 1 and g.shape[new + i] > 1)
    return g.sum(axis=axes).reshape(place.x.shape), "sum over positions and examples of y_bar"


def _pooled(study: Study, windows: Tensor, kind: str) -> tuple[Any, str]:
    """To the first largest cell of each window, or 1/n of it to every cell."""
    axes, dims = windows.params["axes"], len(windows.params["axes"])
    if windows.size > _LARGEST:
        return None, ""
    cells = tuple(range(axes[0] + dims, axes[0] + 2 * dims))
    g = study.cotangent[id(windows)].sum(axis=cells)  # each window's total is the gradient of its pooled value
    frames = np.moveaxis(windows.value, cells, range(-dims, 0))
    flat = frames.reshape(*frames.shape[:-dims], -1)
    n = flat.shape[-1]
    share = np.eye(n)[flat.argmax(-1)] if kind == "max" else np.full(flat.shape, 1 / n)
    spread = np.moveaxis((share * g[..., None]).reshape(frames.shape), range(-dims, 0), cells)
    made = np.zeros(windows.operands[0].shape)
    lead = (slice(None),) * axes[0]
    for p, u, cell in _taps(windows, windows):
        made[lead + cell] += spread[lead + p + u]
    return made, "all of it to the winning cell" if kind == "max" else "1/n of it to each of n cells"
