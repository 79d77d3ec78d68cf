"""A data set: images and labels as two arrays, and the digits that come with the package."""

from __future__ import annotations

import gzip
from importlib import resources

import numpy as np

from ..shapes import shown


class DataError(ValueError):
    """A file or folder that cannot be read as images and labels; the text has its path and the reason.

    >>> ac.data.load_npz("missing.npz")
    Traceback (most recent call last):
        ...
    autoconv.data.dataset.DataError: missing.npz: ...
    """


class Dataset(tuple[np.ndarray, np.ndarray]):
    """The pair (x, y), and ``classes``: a name for each label 0, 1, ...

    >>> x, y = ac.data.Dataset(np.zeros((2, 8, 8, 1)), np.array([0, 1]), ("cat", "dog"))
    >>> x.shape, y
    ((2, 8, 8, 1), array([0, 1]))
    """

    classes: tuple[str, ...]

    def __new__(cls, x: np.ndarray, y: np.ndarray, classes: tuple[str, ...] | None = None) -> Dataset:
        made = super().__new__(cls, (x, y))
        whole = y.dtype.kind in "iu" and y.size
        made.classes = tuple(map(str, range(int(y.max()) + 1))) if classes is None and whole else tuple(classes or ())
        return made

    def __getnewargs__(self) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        return (*self, self.classes)

    @property
    def x(self) -> np.ndarray:
        return self[0]

    @property
    def y(self) -> np.ndarray:
        return self[1]

    def part(self, split: str | None, seed: int = 0) -> Dataset:
        """ "train" (four fifths, rounded down), "test" (the rest) of a permutation by ``seed``, or all for None."""
        check_split(split)
        if split is None:
            return self
        count = len(self.x) * 4 // 5
        order = np.random.default_rng(seed).permutation(len(self.x))
        chosen = order[:count] if split == "train" else order[count:]
        return Dataset(self.x[chosen], self.y[chosen], self.classes)

    def __repr__(self) -> str:
        return f"Dataset(x {self.x.shape} {self.x.dtype}, y {self.y.shape} {self.y.dtype}, {len(self.classes)} classes)"


def digits(split: str | None = None, seed: int = 0) -> Dataset:
    """The 1,797 handwritten digits of the package: x (N, 8, 8, 1) float32 in 0 .. 1, y (N,) int64.

    split: "train" (1,437 images), "test" (360), or None for all; the same seed gives the same split.

    >>> ac.data.digits("test")
    Dataset(x (360, 8, 8, 1) float32, y (360,) int64, 10 classes)
    """
    check_split(split)
    with resources.files("autoconv.datasets").joinpath("digits.csv.gz").open("rb") as packed:
        table = np.loadtxt(gzip.decompress(packed.read()).decode("ascii").splitlines(), delimiter=",", dtype=np.float32)
    x = (table[:, :64] / 16).reshape(-1, 8, 8, 1)
    return Dataset(x, table[:, 64].astype(np.int64)).part(split, seed)


def check_split(split: str | None) -> None:
    if split is not None and (not isinstance(split, str) or split not in ("train", "test")):
        raise ValueError(f"split={shown(split)}; use 'train', 'test' or None for all")
