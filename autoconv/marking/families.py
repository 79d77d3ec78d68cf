"""Geometries for a function of Tensors that says nothing of its shapes: the families of arrays that layers take.

Each family is tried in turn; the first of which the function takes every geometry is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .. import functional as F
from ..tape import Primitive
from .geometries import CONV, CONV_1D, POOL, conv_tries, distinct, pool_tries
from .layer import Try, rows, seeded

Family = tuple[list[str], list[Try]]  # names of the arguments, geometries
PRODUCTS = [(1, 2, 1), (3, 2, 4), (3, 3, 3), (5, 4, 2)]  # examples, inputs, units
ROWS = [("few numbers", (3, 2)), ("several rows", (6, 3)), ("wide", (3, 5)), ("square", (4, 4))]
LENGTHS = [("one signal", (1, 6, 6)), ("several signals", (3, 8, 7)), ("as many of everything", (6, 6, 6))]
IMAGES = [
    ("few numbers", (2, 2, 1, 2)),
    ("one example", (1, 2, 3, 4)),
    ("several of everything", (2, 3, 2, 6)),
    ("as many examples as channels", (4, 2, 2, 4)),
    ("as many of everything", (3, 3, 3, 3)),
]


def families(like: Any, taken: int, required: list[str]) -> Iterator[Family]:
    """(names, geometries) that ``like`` may take: kernels in either layout, products, parameters, arrays.

    taken: how many arguments the student's forward has; required: the names of those of ``like`` without a default.
    """
    names = required or ["x"]
    if like in (F.conv1d, F.conv2d, F.conv_transpose1d, F.conv_transpose2d):
        names = ["x", "w", "b"] if taken != 2 else ["x", "w"]
    if isinstance(like, Primitive) and like.elementwise and len(names) > 1:
        yield names, _alike(names)  # whoever names a row means its own rule, without what is broadcast
    if len(names) in (2, 3):
        yield from _kernels(names)
        yield names, _products(names)
        yield from _parameters(names)
    if len(names) > 1:
        yield names, _alike(names)
    if len(names) in (2, 3):
        yield from _signals(names)
    if len(names) == 1:
        one = [("one row", (1, 3)), ("several rows", (4, 3)), ("square", (3, 3)), ("three axes", (2, 3, 4))]
        yield (
            names,
            [
                Try(words, {names[0]: seeded(i).normal(size=shape)}, rest=len(shape) > 2)  # it may be one for matrices
                for i, (words, shape) in enumerate(one)
            ],
        )
        for last in (True, False):
            yield names, pool_tries(POOL, name=names[0], settings=lambda a, b, s: {}, last=last, ties=False)
        yield names, rows(LENGTHS, lambda rng, words, shape: Try(words, {names[0]: distinct(rng, *shape)}))


def _kernels(names: list[str]) -> Iterator[Family]:
    """Images and kernels: of a convolution and of a transposed one, channels last and first."""
    plain = [r for r in CONV if r[8] == 1 and r[9] == 0]
    bias: Callable[[int], tuple[int, ...]] | None = (lambda n: (n,)) if len(names) == 3 else None
    three = (*names, "b")[:3]
    for kernel, last in (("HWIO", True), ("OIHW", False), ("HWOI", True), ("IOHW", False)):
        yield names, conv_tries(plain, last=last, kernel=kernel, bias=bias, names=three, settings=())


def _signals(names: list[str]) -> Iterator[Family]:
    """Signals and kernels of one axis, as ``_kernels``."""
    three = (*names, "b")[:3]
    for kernel, last in (("KIO", True), ("OIK", False), ("KOI", True), ("IOK", False)):

        def make(
            rng: Any, words: str, n: int, c: int, length: int, f: int, k: int, *_: int,
            kernel: str = kernel, last: bool = last,
        ) -> Try:  # fmt: skip
            shapes = [
                (n, length, c) if last else (n, c, length),
                tuple({"O": f, "I": c, "K": k}[axis] for axis in kernel),
                (f,),
            ]
            return Try(words, {name: rng.normal(size=s) for name, s in zip(three[: len(names)], shapes, strict=False)})

        yield names, rows([r for r in CONV_1D if r[6:8] == (1, 0)], make)


def _products(names: list[str]) -> list[Try]:
    made = []
    for i, (n, d, m) in enumerate(PRODUCTS):
        rng = seeded(i, 5)
        arrays = {names[0]: rng.normal(size=(n, d)), names[1]: rng.normal(size=(d, m))}
        made.append(Try("a product", arrays | ({names[2]: rng.normal(size=m)} if len(names) == 3 else {})))
    return made


def _parameters(names: list[str]) -> Iterator[Family]:
    """An array, and parameters with one number for each channel, as normalisations have them."""
    for table, axis in ((ROWS, 1), (IMAGES, 3), (IMAGES, 1)):

        def make(rng: Any, words: str, shape: tuple[int, ...], axis: int = axis) -> Try:
            if axis == 1 and len(shape) == 4:
                shape = (shape[0], shape[3], *shape[1:3])
            parameters = {name: 1 + 0.5 * rng.normal(size=shape[axis]) for name in names[1:]}
            return Try(words, {names[0]: 2 * distinct(rng, *shape) + rng.normal()} | parameters)

        yield names, rows(table, make)


def _alike(names: list[str]) -> list[Try]:
    shapes: list[tuple[int, ...]] = [(3,), (2, 3), (4, 4)]
    return [
        Try("arrays of one shape", {n: seeded(i, j).normal(size=s) for j, n in enumerate(names)})
        for i, s in enumerate(shapes)
    ]


DOMAINS: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda a: a,
    lambda a: np.abs(a) + 0.25,
    lambda a: 0.05 + 0.9 / (1 + np.exp(-a)),
    lambda a: np.abs(a) + 1.1,
]  # all numbers, positive ones, those between 0 and 1, those above 1


def within(cases: list[Try], finite: Callable[[Try], bool]) -> list[Try] | None:
    """The geometries with numbers at which a function is finite, from the first domain that does; None if none does."""
    for domain in DOMAINS:
        moved = [
            replace(c, arrays={k: domain(a) if a.dtype.kind == "f" else a for k, a in c.arrays.items()}) for c in cases
        ]
        if all(map(finite, moved)):
            return moved
    return None
