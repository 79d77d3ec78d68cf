"""Lines whose numbers wait until somebody asks: a recording for later runs needs shapes and dtypes alone.

While a function is recorded, the lines of large arrays become ``Late``: the shape and dtype follow from the operands'
(``like``), the numbers are computed from the operands when they are read.  The plan then computes everything once, in
memory that it uses again, and a recording holds no array that the plan would make as well.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np

from ... import arrays
from ...arrays.wiring import framed
from ...operands import Size
from ...shapes import Shape, keepdims_shape
from ...tape import REFUSALS, Primitive, Scope, Tape, Tensor

_SMALL = 1 << 14  # numbers: what is smaller is computed at once, unless an operand is late


class Late(Tensor):
    """A computed line whose numbers are there when ``value`` is read; ``shape`` and ``dtype`` at once."""

    __slots__ = ("_like", "_numbers")

    @property
    def _value(self) -> np.ndarray:
        if self._numbers is None:
            for x in Tape(self):
                if isinstance(x, Late) and x._numbers is None:
                    assert x.primitive is not None
                    made = np.asarray(x.primitive.forward(*[y._value for y in x.operands], **x.params))
                    made.flags.writeable = False
                    x._numbers = made
            assert self._numbers is not None
        return self._numbers

    @_value.setter
    def _value(self, like: np.ndarray) -> None:
        self._like: np.ndarray = like
        self._numbers: np.ndarray | None = None

    @property
    def shape(self) -> Shape:
        return self._like.shape

    @property
    def ndim(self) -> int:
        return self._like.ndim

    @property
    def size(self) -> Size:
        return Size.of(self._like)

    @property
    def dtype(self) -> np.dtype:
        return self._like.dtype


class LateLines:
    """Makes late lines, and knows which of them are still there."""

    def __init__(self) -> None:
        self._made: list[weakref.ref[Late]] = []

    def line(
        self, primitive: Primitive, operands: tuple[Tensor, ...], params: dict[str, Any], around: Scope | None
    ) -> Late | None:
        """The line of a primitive, late; None if it has to be computed at once."""
        late = any([isinstance(x, Late) for x in operands])
        if (around is not None and not around.records) or not (late or _large(primitive, operands)):
            return None
        found = like(primitive, operands, params)
        if found is None or (not late and found.size < _SMALL):
            return None
        still = not primitive.differentiable or found.dtype.kind != "f" or all([x.constant for x in operands])
        made = Late(found, primitive, operands, params, around, constant=still)
        self._made.append(weakref.ref(made))
        return made

    def settle(self) -> None:
        """Compute the numbers of those that somebody has kept, while what they depend on is as it was."""
        for line in [one for made in self._made if (one := made()) is not None]:
            line._value  # noqa: B018 (reading computes)


def _large(primitive: Primitive, operands: tuple[Tensor, ...]) -> bool:
    """Whether a result of these operands may be large, and is no view of one that is there."""
    if primitive.view:
        return False
    return primitive.group == "contract" or max([_of_numbers(x).size for x in operands]) >= _SMALL


def _of_numbers(x: Tensor) -> np.ndarray:
    """An array with the shape and dtype of a line; with its numbers only if they are there."""
    return x._like if isinstance(x, Late) else x._value


# ---- shapes and dtypes


def like(primitive: Primitive, operands: tuple[Tensor, ...], params: Mapping[str, Any]) -> np.ndarray | None:
    """An array with the shape and dtype of a result, its numbers nobody's; None if only the numbers tell."""
    of_numbers = [_of_numbers(x) for x in operands]
    kinds = [x.dtype.kind for x in of_numbers]
    if "O" in kinds or kinds[0] not in "fb":
        return None
    try:
        if primitive.elementwise:
            return _elementwise(primitive, of_numbers, params)
        rule = _RULES.get(primitive.name)
        return None if rule is None else rule(of_numbers, operands, params)
    except REFUSALS:
        return None  # computed at once, which says what is wrong


def _empty(shape: Iterable[int], dtype: np.dtype) -> np.ndarray:
    shape = tuple(shape)
    return np.ndarray(shape, dtype, _zero(dtype), strides=(0,) * len(shape))


@cache
def _zero(dtype: np.dtype) -> np.ndarray:
    return np.zeros(1, dtype)


def _elementwise(primitive: Primitive, x: list[np.ndarray], params: Mapping[str, Any]) -> np.ndarray | None:
    if any([one.dtype.kind not in "fb" for one in x]):
        return None  # whole numbers are refused by what they are: negative powers, say
    dtype = _dtype(primitive, tuple([one.dtype for one in x]), tuple(params.items()))
    shape = x[0].shape
    for one in x:
        if one.shape != shape:
            shape = np.broadcast_shapes(*[one.shape for one in x])
            break
    return _empty(shape, dtype)


@cache
def _dtype(primitive: Primitive, dtypes: tuple[np.dtype, ...], params: tuple[tuple[str, Any], ...]) -> np.dtype:
    with np.errstate(all="ignore"):
        return np.asarray(primitive.forward(*[np.ones(1, dtype) for dtype in dtypes], **dict(params))).dtype


def _contract(x: list[np.ndarray], lines: tuple[Tensor, ...], params: Mapping[str, Any]) -> np.ndarray | None:
    operands, result = params["spec"].split("->")
    letters, sizes = operands.replace(",", ""), [n for one in x for n in one.shape]
    found = dict(zip(letters, sizes, strict=True))
    if [found[c] for c in letters] != sizes or any([one.dtype.kind != "f" for one in x]):
        return None
    return _empty([found[c] for c in result], np.result_type(*[one.dtype for one in x]))


def _sum(x: list[np.ndarray], lines: tuple[Tensor, ...], params: Mapping[str, Any]) -> np.ndarray | None:
    if x[0].dtype.kind != "f" or not isinstance(params["axis"], tuple):
        return None
    axes = tuple([axis % x[0].ndim for axis in params["axis"]])
    kept = keepdims_shape(x[0].shape, axes)
    if not params.get("keepdims"):
        kept = tuple([n for d, n in enumerate(kept) if d not in axes])
    return _empty(kept, x[0].dtype)


def _overlap_add(x: list[np.ndarray], lines: tuple[Tensor, ...], params: Mapping[str, Any]) -> np.ndarray:
    first, dims = params["axes"][0], len(params["axes"])
    shape = x[0].shape
    return _empty((*shape[:first], *params["size"], *shape[first + 2 * dims :]), x[0].dtype)


def _take(x: list[np.ndarray], lines: tuple[Tensor, ...], params: Mapping[str, Any]) -> np.ndarray | None:
    places, axis, shape = lines[1]._value, params["axis"], x[0].shape
    if not _within(places, shape[axis]):
        return None
    return _empty((*shape[:axis], *places.shape, *shape[axis + 1 :]), x[0].dtype)


def _scatter_add(x: list[np.ndarray], lines: tuple[Tensor, ...], params: Mapping[str, Any]) -> np.ndarray | None:
    places, axis, size, shape = lines[1]._value, params["axis"], params["size"], x[0].shape
    if not _within(places, size):
        return None
    return _empty((*shape[:axis], size, *shape[axis + places.ndim :]), x[0].dtype)


def _within(places: np.ndarray, size: int) -> bool:
    return places.dtype.kind in "iu" and (not places.size or (int(places.min()) >= -size and int(places.max()) < size))


def _concat(x: list[np.ndarray], lines: tuple[Tensor, ...], params: Mapping[str, Any]) -> np.ndarray | None:
    axis, first = params["axis"], list(x[0].shape)
    shapes = [(*one.shape[:axis], 0, *one.shape[axis + 1 :]) for one in x]
    if axis < 0 or any([shape != shapes[0] for shape in shapes]) or any([one.dtype.kind != "f" for one in x]):
        return None
    first[axis] = sum([one.shape[axis] for one in x])
    return _empty(first, np.result_type(*[one.dtype for one in x]))


def _windows(x: list[np.ndarray], lines: tuple[Tensor, ...], params: Mapping[str, Any]) -> np.ndarray:
    return framed(x[0], **params)


def _broadcast_to(x: list[np.ndarray], lines: tuple[Tensor, ...], params: Mapping[str, Any]) -> np.ndarray:
    shape, before = tuple(params["shape"]), x[0].shape
    for n, to in zip(reversed(before), reversed(shape), strict=False):
        if n not in (1, to):
            return np.broadcast_to(x[0], shape)  # which says what is wrong
    return _empty(shape, x[0].dtype) if len(before) <= len(shape) else np.broadcast_to(x[0], shape)


_Rule = Callable[[list[np.ndarray], tuple[Tensor, ...], Mapping[str, Any]], "np.ndarray | None"]
_RULES: dict[str, _Rule] = {
    "contract": _contract,
    "sum": _sum,
    "overlap_add": _overlap_add,
    "take": _take,
    "scatter_add": _scatter_add,
    "concat": _concat,
    "windows": _windows,
    "cast": lambda x, lines, params: _empty(x[0].shape, np.dtype(params["dtype"])),
    "pad": lambda x, lines, params: _empty(
        [n + a + b for n, (a, b) in zip(x[0].shape, params["width"], strict=True)], x[0].dtype
    ),
    "scatter": lambda x, lines, params: _empty(params["shape"], x[0].dtype),
    "sum_to": lambda x, lines, params: _empty(params["shape"], x[0].dtype),
    # their own forward gives a view, which reads no number
    "identity": lambda x, lines, params: x[0],
    "stop_gradient": lambda x, lines, params: x[0],
    "reshape": lambda x, lines, params: np.reshape(x[0], params["shape"]),
    "permute_dims": lambda x, lines, params: np.transpose(x[0], **params),
    "flip": lambda x, lines, params: np.flip(x[0], **params),
    "broadcast_to": _broadcast_to,
    "crop": lambda x, lines, params: arrays.crop(x[0], **params),
    "index": lambda x, lines, params: x[0][params["key"]],
}
