"""The plain loops of ``by_hand_loops`` behind the signatures of courses: forward, backward with a bug, its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import autoconv as ac
from helpers import by_hand_bugs as bugs
from helpers import by_hand_loops as loops


class Student(NamedTuple):
    """A pair of functions.  like: the course's name, or a function of Tensors; gradient: the one with the bug; names:
    what may be said of it.
    """

    label: str
    like: Any
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    gradient: str
    names: str


PADDED = ("divided by the cells inside", "not cropped")  # bugs that show where there is padding


def _rows(table: dict[Any, str], right: bool) -> list[tuple[Any, str]]:
    """The bugs of a table with their names; or, in place of them, none for each gradient or activation."""
    if not right:
        return list(table.items())
    keys = dict.fromkeys(
        (k[0], "") if isinstance(k, tuple) else f"{k.partition(':')[0]}: " if ": " in k else "" for k in table
    )
    return [(key, "") for key in keys]


def students(right: bool = False) -> Iterator[Student]:
    """Every bug of every layer, as functions; right: the same loops without a bug."""
    yield from _conv(right)
    yield from _pool(right)
    yield from _norm(right)
    yield from _affine(right)
    yield from _losses(right)
    yield from _transposed(right)
    yield from _padded_pool(right)
    yield from _spatial(right)
    yield from _softmax(right)
    yield from _hidden(right)


def _conv(right: bool) -> Iterator[Student]:
    def forward(x: Any, w: Any, b: Any, p: Any) -> Any:
        return loops.conv_forward(x, w, b, p["stride"], p["pad"]), (x, w, b, p)

    def tall(a_prev: Any, w: Any, b: Any, h: Any) -> Any:
        out, _ = forward(a_prev.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1), b.ravel(), h)
        return out.transpose(0, 2, 3, 1), (a_prev, w, b, h)

    for (which, bug), names in _rows(bugs.CONV, right):

        def backward(dout: Any, cache: Any, which: str = which, bug: str = bug) -> Any:
            x, w, b, p = cache
            made = {
                g: getattr(loops, f"conv_{g}")(dout, x, w, b, p["stride"], p["pad"], bug if g == which else "")
                for g in ("dx", "dw", "db")
            }
            return made["dx"], made["dw"], made["db"]

        def wide(dz: Any, cache: Any, backward: Any = backward) -> Any:
            a_prev, w, b, h = cache
            inner = (a_prev.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1), b.ravel(), h)
            dx, dw, db = backward(dz.transpose(0, 3, 1, 2), inner)
            return dx.transpose(0, 2, 3, 1), dw.transpose(2, 3, 1, 0), db.reshape(b.shape)

        yield Student(f"conv {which}: {bug}", "cs231n.conv", forward, backward, which, names)
        last = {"dx": "dA_prev", "dw": "dW", "db": "db"}[which]
        yield Student(f"NHWC conv {which}: {bug}", "deeplearning.conv", tall, wide, last, names)


def _pool(right: bool) -> Iterator[Student]:
    for mode, table, like in (
        ("max", bugs.MAX_POOL, "deeplearning.pool"),
        ("avg", bugs.AVG_POOL, "deeplearning.avg_pool"),
    ):
        for bug, names in _rows(table, right):
            if bug in PADDED:
                continue

            def forward(x: Any, h: Any, _: Any, mode: str = mode) -> Any:
                out = loops.pool_forward(x.transpose(0, 3, 1, 2), h["f"], h["stride"], mode)
                return out.transpose(0, 2, 3, 1), (x, h)

            def backward(d: Any, cache: Any, _: Any, mode: str = mode, bug: str = bug) -> Any:
                x, h = cache
                moved = (a.transpose(0, 3, 1, 2) for a in (d, x))
                return loops.pool_dx(*moved, h["f"], h["stride"], mode, 0, bug).transpose(0, 2, 3, 1)

            yield Student(f"{mode} pool: {bug}", like, forward, backward, "dA_prev", names)


def _norm(right: bool) -> Iterator[Student]:
    for like, axis in (("cs231n.batchnorm", 0), ("cs231n.layernorm", 1)):

        def forward(x: Any, gamma: Any, beta: Any, _: Any, axis: int = axis) -> Any:
            d = x - x.mean(axis=axis, keepdims=True)
            out = d / np.sqrt((d**2).mean(axis=axis, keepdims=True) + 1e-5) * gamma + beta
            return out, (x, gamma, beta)

        for (which, bug), names in _rows(bugs.NORM, right):

            def backward(dout: Any, cache: Any, axis: int = axis, bug: str = bug) -> Any:
                return loops.norm_backward(dout, *cache, axis, bug=bug)

            yield Student(f"{like} {which}: {bug}", like, forward, backward, which, names)


def _affine(right: bool) -> Iterator[Student]:
    def forward(x: Any, w: Any, b: Any) -> Any:
        return x.reshape(len(x), -1) @ w + b, (x, w, b)

    for bug, names in _rows(bugs.AFFINE, right):

        def backward(dout: Any, cache: Any, bug: str = bug) -> Any:
            x, w, b = cache
            dx, dw, db = loops.affine_backward(dout, x.reshape(len(x), -1), w, b, bug)
            return dx.reshape(x.shape), dw, db

        yield Student(f"affine {bug}", "cs231n.affine", forward, backward, bug.partition(":")[0], names)


def _losses(right: bool) -> Iterator[Student]:
    for bug, names in _rows(bugs.CROSS_ENTROPY, right):

        def loss(x: Any, y: Any, bug: str = bug) -> Any:
            e = np.exp(x - x.max(axis=1, keepdims=True))
            p = e / e.sum(axis=1, keepdims=True)
            return -np.log(p[np.arange(len(x)), y]).mean(), loops.cross_entropy_dx(x, y, bug)

        yield Student(f"cross entropy {bug}", "cs231n.softmax_loss", loss, loss, "dx", names)


def _transposed(right: bool) -> Iterator[Student]:
    for stride, pad in ((1, 0), (2, 1)):
        like = lambda x, w, b, s=stride, p=pad: ac.conv_transpose2d(x, w, b, stride=s, padding=p, layout="NCHW")

        def forward(x: Any, w: Any, b: Any, s: int = stride, p: int = pad) -> Any:
            return loops.transposed_forward(x, w, b, s, p), (x, w, b)

        for (which, bug), names in _rows(bugs.TRANSPOSED_CONV, right):
            if stride == 1 and ("stride" in bug):
                continue

            def backward(
                dout: Any, cache: Any, which: str = which, bug: str = bug, s: int = stride, p: int = pad
            ) -> Any:
                of = lambda g: bug if g == which else ""
                dx, dw = (getattr(loops, f"transposed_{g}")(dout, *cache, s, p, of(g)) for g in ("dx", "dw"))
                return dx, dw, dout.sum(axis=(0, 2, 3))

            yield Student(f"transposed, stride {stride}, {which}: {bug}", like, forward, backward, which, names)


def _padded_pool(right: bool) -> Iterator[Student]:
    like = lambda x: ac.avg_pool2d(x, 3, stride=2, padding=1, layout="NCHW")
    for bug, names in _rows(bugs.AVG_POOL, right):

        def forward(x: Any) -> Any:
            return loops.pool_forward(x, 3, 2, "avg", 1), x

        def backward(dout: Any, x: Any, bug: str = bug) -> Any:
            return loops.pool_dx(dout, x, 3, 2, "avg", 1, bug)

        yield Student(f"padded avg pool: {bug}", like, forward, backward, "dx", names)


def _spatial(right: bool) -> Iterator[Student]:
    """Batch norm over images, channels first as a course has it and channels last; layer norm of the last axis."""
    to_last, to_first = (lambda x: x.transpose(0, 2, 3, 1)), (lambda x: x.transpose(0, 3, 1, 2))
    last = lambda x, gamma, beta: ac.batch_norm(x, gamma, beta, layout="NHWC")
    rows = lambda x, gamma, beta: ac.layer_norm(x, gamma, beta)
    for (which, bug), names in _rows(bugs.NORM, right):
        for like, axis in (("cs231n.spatial_batchnorm", 0), (last, 0), (rows, 1)):
            first = isinstance(like, str)

            def forward(x: Any, gamma: Any, beta: Any, *_: Any, first: bool = first, axis: int = axis) -> Any:
                images = to_last(x) if first else x
                d = images.reshape(-1, images.shape[-1])
                d = d - d.mean(axis=axis, keepdims=True)
                out = d / np.sqrt((d**2).mean(axis=axis, keepdims=True) + 1e-5) * gamma + beta
                return to_first(out.reshape(images.shape)) if first else out.reshape(x.shape), (x, gamma, beta)

            def backward(dout: Any, cache: Any, first: bool = first, axis: int = axis, bug: str = bug) -> Any:
                x, gamma, beta = cache
                x, dout = (to_last(x), to_last(dout)) if first else (x, dout)
                flat = lambda a: a.reshape(-1, a.shape[-1])
                dx, dgamma, dbeta = loops.norm_backward(flat(dout), flat(x), gamma, beta, axis, bug=bug)
                dx = dx.reshape(x.shape)
                return to_first(dx) if first else dx, dgamma, dbeta

            if axis == 0 and bug.startswith("last row"):  # the last row of images is a position
                names = f"{names}|sum over positions replaced by the last one|bias not summed over positions"
            words = "spatial" if first else "layer norm of" if axis else "NHWC"
            yield Student(f"{words} images {which}: {bug}", like, forward, backward, which, names)


def _softmax(right: bool) -> Iterator[Student]:
    for bug, names in _rows(bugs.SOFTMAX, right):

        def forward(x: Any) -> Any:
            e = np.exp(x - x.max(axis=1, keepdims=True))
            return e / e.sum(axis=1, keepdims=True), x

        def backward(dout: Any, x: Any, bug: str = bug) -> Any:
            return loops.softmax_dx(dout, x, bug)

        like = lambda x: ac.softmax(x, axis=1)
        yield Student(f"softmax: {bug}", like, forward, backward, "dx", names)


def _hidden(right: bool) -> Iterator[Student]:
    for (act, bug), names in _rows(bugs.HIDDEN, right):
        like = lambda x, w, act=act: getattr(ac, act)(x @ w)

        def forward(x: Any, w: Any, act: str = act) -> Any:
            z = x @ w
            return {"relu": np.maximum(z, 0), "tanh": np.tanh(z), "sigmoid": 1 / (1 + np.exp(-z))}[act], (x, w)

        def backward(dout: Any, cache: Any, act: str = act, bug: str = bug) -> Any:
            return loops.hidden_backward(dout, *cache, act, bug)

        yield Student(f"hidden {act}: {bug}", like, forward, backward, "dx", names)
