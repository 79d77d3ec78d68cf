"""The plain loops of ``by_hand_loops`` behind the signatures of courses: forward, backward with a bug, its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from helpers import by_hand_bugs as bugs
from helpers import by_hand_loops as loops


class Student(NamedTuple):
    """A pair of functions; like: the course's name; gradient: the one with the bug; names: what may be said of it."""

    label: str
    like: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    gradient: str
    names: str


def students() -> Iterator[Student]:
    """Every bug of every layer, as functions."""
    yield from _conv()
    yield from _pool()
    yield from _norm()
    yield from _affine()
    yield from _losses()


def _conv() -> Iterator[Student]:
    def forward(x: Any, w: Any, b: Any, p: Any) -> Any:
        return loops.conv_forward(x, w, b, p["stride"], p["pad"]), (x, w, b, p)

    def tall(a_prev: Any, w: Any, b: Any, h: Any) -> Any:
        out, _ = forward(a_prev.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1), b.ravel(), h)
        return out.transpose(0, 2, 3, 1), (a_prev, w, b, h)

    for (which, bug), names in bugs.CONV.items():

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


def _pool() -> Iterator[Student]:
    for mode, table, like in (
        ("max", bugs.MAX_POOL, "deeplearning.pool"),
        ("avg", bugs.AVG_POOL, "deeplearning.avg_pool"),
    ):
        for bug, names in table.items():

            def forward(x: Any, h: Any, _: Any, mode: str = mode) -> Any:
                out = loops.pool_forward(x.transpose(0, 3, 1, 2), h["f"], h["stride"], mode)
                return out.transpose(0, 2, 3, 1), (x, h)

            def backward(d: Any, cache: Any, _: Any, mode: str = mode, bug: str = bug) -> Any:
                x, h = cache
                moved = (a.transpose(0, 3, 1, 2) for a in (d, x))
                return loops.pool_dx(*moved, h["f"], h["stride"], mode, 0, bug).transpose(0, 2, 3, 1)

            yield Student(f"{mode} pool: {bug}", like, forward, backward, "dA_prev", names)


def _norm() -> Iterator[Student]:
    for like, axis in (("cs231n.batchnorm", 0), ("cs231n.layernorm", 1)):

        def forward(x: Any, gamma: Any, beta: Any, _: Any, axis: int = axis) -> Any:
            d = x - x.mean(axis=axis, keepdims=True)
            out = d / np.sqrt((d**2).mean(axis=axis, keepdims=True) + 1e-5) * gamma + beta
            return out, (x, gamma, beta)

        for (which, bug), names in bugs.NORM.items():

            def backward(dout: Any, cache: Any, axis: int = axis, bug: str = bug) -> Any:
                return loops.norm_backward(dout, *cache, axis, bug=bug)

            yield Student(f"{like} {which}: {bug}", like, forward, backward, which, names)


def _affine() -> Iterator[Student]:
    def forward(x: Any, w: Any, b: Any) -> Any:
        return x.reshape(len(x), -1) @ w + b, (x, w, b)

    for bug, names in bugs.AFFINE.items():

        def backward(dout: Any, cache: Any, bug: str = bug) -> Any:
            x, w, b = cache
            dx, dw, db = loops.affine_backward(dout, x.reshape(len(x), -1), w, b, bug)
            return dx.reshape(x.shape), dw, db

        yield Student(f"affine {bug}", "cs231n.affine", forward, backward, bug.partition(":")[0], names)


def _losses() -> Iterator[Student]:
    for bug, names in bugs.CROSS_ENTROPY.items():

        def loss(x: Any, y: Any, bug: str = bug) -> Any:
            e = np.exp(x - x.max(axis=1, keepdims=True))
            p = e / e.sum(axis=1, keepdims=True)
            return -np.log(p[np.arange(len(x)), y]).mean(), loops.cross_entropy_dx(x, y, bug)

        yield Student(f"cross entropy {bug}", "cs231n.softmax_loss", loss, loss, "dx", names)
