"""The geometry that gives an array of a wrong shape: which step of a convolution's backward pass was left out.

For an image of n cells (n + 2p with its border), a kernel of k, m outputs and stride s:

    image's gradient     n + 2p    not cropped          m          not spread and not correlated in full
                         m + k - 1  not spread (s > 1)   m - k + 1  correlated "valid", where "full" belongs
    kernel's gradient    n + 2p - m + 1  gradient not spread (s > 1)    n - m + 1  padding forgotten
"""

from __future__ import annotations

from collections.abc import Iterator

from ...tape import Tensor
from ..bank.sliding import Sliding
from ..run.replay import Run
from ..run.site import Site


def geometry_of(run: Run, claimed: tuple[int, ...]) -> str:
    """What would give an array of shape ``claimed``, in words, or "" if nothing known does."""
    shape = run.wrt.shape
    if len(claimed) != len(shape):
        if claimed == shape[1:]:
            return "it is the shape of one example: the loop over the batch overwrites, or the batch was summed over"
        if len(claimed) == len(shape) + 1 and claimed[1:] == shape:
            return f"it has one gradient for each of {claimed[0]} examples: sum over the batch"
        return ""
    for site, image in _windows(run):
        s = Sliding(site)
        low = [0] * len(s.axes)
        if s.image.primitive is not None and s.image.primitive.name == "pad":
            low = [sum(s.image.params["width"][a]) for a in s.axes]
        axes = _spatial(run.wrt, s, image)
        if len(axes) != len(s.axes) or any(i not in axes and claimed[i] != shape[i] for i in range(len(shape))):
            continue
        rows = list(zip(s.size, low, s.window, s.counts, s.stride, strict=True))
        for what, sizes in _shapes(rows, image):
            if tuple(claimed[a] for a in axes) == tuple(sizes):
                return what
    return ""


def _windows(run: Run) -> Iterator[tuple[Site, bool]]:
    """The sites with windows that read ``run.wrt`` itself, and whether it is the image (or else the kernel)."""
    below = {id(run.wrt)}
    for step in reversed(run.steps):
        line = step.line
        if line.primitive is None:
            continue
        if any(id(o) in below for o in line.operands):
            site = Site(line, next(k for k, o in enumerate(line.operands) if id(o) in below))
            if line.primitive.name in ("pad", "take", "reshape", "flip", "permute_dims"):
                below.add(id(line))
            elif Sliding(site).found and line.primitive.name in ("windows", "contract"):
                yield site, line.primitive.name == "windows"


def _spatial(x: Tensor, s: Sliding, image: bool) -> tuple[int, ...]:
    """The axes of x along which windows move, or along which a kernel has its cells."""
    if image:
        if x.ndim == len(s.axes):  # a plain image has no other
            return tuple(range(x.ndim))
        return s.axes if x.ndim == s.image.ndim else tuple(a - s.image.ndim + x.ndim for a in s.axes)
    assert s.contraction is not None
    own = s.contraction.window(s.contraction.own)
    return tuple(range(x.ndim)) if x.ndim == len(own) else own if x.ndim == len(s.contraction.own) else ()


def _shapes(rows: list[tuple[int, int, int, int, int]], image: bool) -> Iterator[tuple[str, list[int]]]:
    """(in words, sizes) of what comes out if a step is left out; rows: (cells, border, kernel, outputs, stride)."""
    if image:
        yield "it is the shape of the padded image: crop the border off", [n for n, *_ in rows]
        yield "the border was cropped off twice, or from an image without one", [n - 2 * p for n, p, *_ in rows]
        yield (
            "it is what the gradient gives that was not spread out by the stride: put s - 1 zeros between its cells",
            [m + k - 1 for _, _, k, m, _ in rows],
        )
        yield (
            "it is what the gradient gives that was not spread out by the stride, with the border cropped off",
            [m + k - 1 - p for _, p, k, m, _ in rows],
        )
        yield (
            'it is the "valid" correlation of the gradient with the kernel, where the "full" one belongs',
            [(m - 1) * s + 1 - k + 1 for _, _, k, m, s in rows],
        )
        yield (
            "the cells at the end that no window reads are missing: their gradient is 0",
            [(m - 1) * s + k - p for _, p, k, m, s in rows],
        )
        yield "it is the shape of the output: correlate in full with the kernel", [m for _, _, _, m, _ in rows]
        return
    yield (
        "it is what the gradient gives that was not spread out by the stride: put s - 1 zeros between its cells",
        [n - m + 1 for n, _, _, m, _ in rows],
    )
    yield "the image was not padded, as it is in the forward pass", [n - p - (m - 1) * s for n, p, _, m, s in rows]
    yield (
        "the image was correlated in full with the gradient, where the valid part belongs",
        [n + (m - 1) * s for n, _, _, m, s in rows],
    )
