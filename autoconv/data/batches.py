"""Batches: of two arrays, or of whatever else gives examples or batches; prepared one ahead of the training."""

from __future__ import annotations

import inspect
import mmap
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..operands import ARRAYS, found, numbers
from ..shapes import whole_number
from .dataset import DataError
from .scaled import scaled

Pair = tuple[np.ndarray, np.ndarray]
Transform = Callable[[np.ndarray, np.ndarray], Any]

LABELS = ("label", "labels", "y", "target", "targets", "class", "fine_label", "digit")
PICTURES = ("image", "img", "images", "x", "input", "inputs", "pixel_values", "picture", "data", "features")


def batches(
    x: np.ndarray, y: np.ndarray, batch_size: int, rng: np.random.Generator | None = None, drop_last: bool = False
) -> Iterator[Pair]:
    """(x, y) in batches, in order, or shuffled by ``rng``; the last may be smaller, unless ``drop_last`` leaves it out.

    Only the examples of a batch are read, so x may be an ``np.memmap`` larger than memory.

    >>> x, y = np.zeros((5, 2)), np.arange(5)
    >>> [labels.tolist() for _, labels in ac.data.batches(x, y, 2)]
    [[0, 1], [2, 3], [4]]
    """
    size = whole_number(batch_size, "batches: batch_size", 1)
    x, y = [a if isinstance(a, np.ndarray) else numbers(a, f"batches: {k}") for k, a in (("x", x), ("y", y))]
    if not x.ndim or not y.ndim:
        raise ValueError(f"batches: x of shape {x.shape} and y of shape {y.shape} need an axis of examples")
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise TypeError(f"batches: rng must be a generator of random numbers or None, found {found(rng)}")
    if len(x) != len(y):
        raise ValueError(
            f"batches: {len(x)} examples (x {x.shape}) but {len(y)} labels (y {y.shape}); they must be equal"
        )
    order = None if rng is None else rng.permutation(len(x))
    mapped = [a for a in (x, y) if isinstance(a, np.memmap)]
    for start in range(0, len(x) - (size - 1 if drop_last else 0), size):
        chosen = slice(start, start + size) if order is None else order[start : start + size]
        if not mapped:
            yield x[chosen], y[chosen]
            continue
        yield np.array(x[chosen]), np.array(y[chosen])
        for a in mapped:
            _let_go(a)


def _let_go(array: np.memmap) -> None:
    """The pages that were read of a mapped file do not stay in this process's memory; the file is as it was."""
    pages = getattr(array, "_mmap", None)
    if pages is not None and array.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):  # "c" has changes of its own
        pages.madvise(mmap.MADV_DONTNEED)


class Source:
    """Where batches come from, epoch after epoch: ``epoch(rng)`` gives pairs (x, y) of arrays.

    data: a pair (x, y) of arrays; rows, something with ``len`` and ``[i]`` whose items are examples (x, y) or mappings
    with a picture and a label (a PyTorch or Hugging Face dataset); or batches: an iterable of such pairs or mappings (a
    list, a DataLoader), or a function without arguments that gives one.  Arrays and rows are cut into batches of
    ``batch_size``, shuffled by the ``rng`` of each epoch; batches come as they are.  transform: (x, y) -> (x, y),
    called on each batch while the one before it is in use.  dtype: what numbers in x become; None leaves them.

    Raises TypeError or ValueError for anything else, and DataError, in the name of ``what``, for what comes out wrong
    later.

    >>> loader = [(np.zeros((2, 4)), [0, 1]), (np.ones((1, 4)), [1])]
    >>> [(x.shape, y.tolist()) for x, y in ac.data.Source("loader", loader).epoch()]
    [((2, 4), [0, 1]), ((1, 4), [1])]
    """

    def __init__(
        self, what: str, data: Any, batch_size: int = 64, transform: Transform | None = None, dtype: Any = None
    ) -> None:
        if transform is not None and not callable(transform):
            raise TypeError(f"{what}: transform must be a function (x, y) -> (x, y), found {found(transform)}")
        self.what, self._data, self._transform, self._dtype = what, data, transform, dtype
        self._size, self._used_up = batch_size, False
        if isinstance(data, str | bytes | Mapping) or hasattr(data, "ndim"):
            raise TypeError(f"{what} must be a pair (x, y) of arrays, or give examples or batches; found {found(data)}")
        if is_pair(data):
            x, y = _checked_pair(what, data)
            # once for all epochs; what may be larger than memory, and what is still to be transformed, batch by batch
            later = isinstance(x, np.memmap) or transform is not None
            self._arrays: Pair | None = (x, y) if later else self._cast(x, y)
            self.count: int | None = len(x)
        else:
            self._arrays, self._rows = None, _has_rows(data)
            self.count = len(data) if self._rows else None
            if self.count == 0:
                raise ValueError(f"{what}: there are no examples")
            if not self._rows and not isinstance(data, Iterable):
                _check_function(what, data)

    def epoch(self, rng: np.random.Generator | None = None) -> Iterator[Pair]:
        """The batches of one epoch; the next one is being prepared, in a thread, while one is in use."""
        if self._arrays is not None and self._transform is None:
            return (self._cast(x, y) for x, y in batches(*self._arrays, self._size, rng))
        return ahead(self._prepared(rng))

    def _prepared(self, rng: np.random.Generator | None) -> Iterator[Pair]:
        number = 0
        for number, (x, y) in enumerate(self._raw(rng), 1):
            if self._transform is not None:
                x, y = self._pair_of(self._transform(x, y), f"transform of batch {number}")
            if not x.ndim or not y.ndim or len(x) != len(y) or not len(x):
                raise DataError(f"{self.what}: batch {number} has x of shape {x.shape} and y of shape {y.shape}; they "
                                "need the same number of examples, at least one")  # fmt: skip
            yield self._cast(x, y)
        if not number:
            if self._used_up:
                raise DataError(
                    f"{self.what}: is used up: a generator gives its batches once; give a list, or a function that "
                    "makes a generator for each epoch"
                )
            raise DataError(f"{self.what}: gave no batch")
        self._used_up = True

    def _raw(self, rng: np.random.Generator | None) -> Iterator[Pair]:
        if self._arrays is not None:
            yield from batches(*self._arrays, self._size, rng)
        elif self._rows:
            order = np.arange(len(self._data)) if rng is None else rng.permutation(len(self._data))
            for start in range(0, len(order), self._size):
                rows = [self._pair_of(self._data[int(i)], f"row {i}") for i in order[start : start + self._size]]
                yield self._joined([x for x, _ in rows], "x"), self._joined([y for _, y in rows], "y")
        else:
            given = self._data if isinstance(self._data, Iterable) else self._data()
            if not isinstance(given, Iterable):
                raise DataError(f"{self.what}: the function gave {found(given)}; it must give an iterable of batches")
            for number, batch in enumerate(given, 1):
                yield self._pair_of(batch, f"batch {number}")

    def _cast(self, x: np.ndarray, y: np.ndarray) -> Pair:
        floating = self._dtype is not None and np.dtype(self._dtype) != object and x.dtype.kind in "fiub"
        return (x.astype(self._dtype, copy=False) if floating else x), y

    def _pair_of(self, item: Any, where: str) -> Pair:
        """x and y of a batch or row: a pair, or a mapping with a picture and a label."""
        if isinstance(item, Mapping):
            names = [next((k for k in known if k in item), None) for known in (PICTURES, LABELS)]
            if None in names:
                raise DataError(
                    f"{self.what}: {where} has the keys {', '.join(map(repr, item))}; it needs a picture (such as "
                    "'image') and a label (such as 'label'); or give pairs (x, y)"
                )
            item = [item[name] for name in names]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DataError(f"{self.what}: {where} must be a pair (x, y), found {found(item)}")
        return self._array(item[0], f"x of {where}"), self._array(item[1], f"y of {where}")

    def _array(self, value: Any, where: str) -> np.ndarray:
        if isinstance(value, np.ndarray):
            return value
        if hasattr(value, "mode") and hasattr(value, "getbands"):  # a picture of Pillow
            pixels = np.asarray(value.convert("RGB") if value.mode in ("P", "PA", "CMYK", "YCbCr") else value)
            return scaled(pixels[..., None] if pixels.ndim == 2 else pixels)
        if hasattr(value, "detach") and hasattr(value, "cpu"):  # a tensor of PyTorch
            return np.asarray(value.detach().cpu())
        try:
            return np.asarray(value) if isinstance(value, ARRAYS) else numbers(value, f"{self.what}: {where}")
        except (TypeError, ValueError) as error:
            raise DataError(str(error)) from None

    def _joined(self, parts: list[np.ndarray], name: str) -> np.ndarray:
        shapes = sorted({part.shape for part in parts})
        if len(shapes) > 1:
            raise DataError(
                f"{self.what}: rows have {name} of shapes {shapes[0]} and {shapes[1]}; they must be equal: resize them "
                "where they are read"
            )
        return np.stack(parts)


def _check_function(what: str, function: Any) -> None:
    """TypeError for what cannot be called without arguments."""
    if not callable(function):
        raise TypeError(
            f"{what} must be a pair (x, y) of arrays, a dataset, an iterable of batches (x, y), or a function "
            f"that gives one; found {found(function)}"
        )
    try:
        inspect.signature(function).bind()
    except TypeError:
        raise TypeError(
            f"{what}: a function that gives batches takes no arguments; {found(function)} asks for some"
        ) from None
    except ValueError:  # a builtin that does not say
        pass


def is_pair(data: Any) -> bool:
    """Whether data is (x, y), two arrays (or lists of numbers), and not two batches."""
    if not isinstance(data, tuple | list) or len(data) != 2:
        return False
    return not all(isinstance(part, Mapping) or _pair_of_arrays(part) for part in data)


def _pair_of_arrays(part: Any) -> bool:
    return isinstance(part, tuple | list) and len(part) == 2 and any(getattr(a, "ndim", 0) > 0 for a in part)


def _has_rows(data: Any) -> bool:
    """Whether data holds examples by number: one whose label is a single thing, or which is no list."""
    if not hasattr(data, "__getitem__") or not hasattr(data, "__len__") or isinstance(data, Mapping | str | bytes):
        return False
    if not isinstance(data, tuple | list) or not len(data):
        return True
    first = data[0]
    label = first[1] if isinstance(first, tuple | list) and len(first) == 2 else None
    if isinstance(first, Mapping):
        label = next((first[k] for k in LABELS if k in first), None)
    return label is not None and np.ndim(label) == 0


def _checked_pair(what: str, pair: Any) -> Pair:
    x, y = (getattr(a, "value", a) for a in pair)
    x, y = (a if isinstance(a, np.ndarray) else numbers(a, what) for a in (x, y))
    if not x.ndim or not y.ndim or len(x) != len(y) or not len(x):
        raise ValueError(
            f"{what}: x has shape {x.shape} and y {y.shape}; they need the same number of examples, at least one"
        )
    return x, y


class _End:
    """What the thread says when there is nothing more: the error, if there was one."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterator[Any]) -> Iterator[Any]:
    """The same items in the same order; one is being made in a thread while the one before it is in use.

    What the making raises is raised here, in its turn.  A reader that stops early stops the thread.  Where no thread
    can start, as in a browser, each item is made when it is asked for.
    """
    ready: queue.Queue[Any] = queue.Queue(1)
    stopped = threading.Event()

    def put(item: Any) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.05)
                return True
            except queue.Full:
                pass
        return False

    def run() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(_End())
        except BaseException as error:
            put(_End(error))

    thread = threading.Thread(target=run, name="autoconv batches", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        yield from items
        return
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        thread.join()
