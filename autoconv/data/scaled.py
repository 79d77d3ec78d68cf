"""From what files hold to what networks take: pixels 0 .. 1, channels last, labels as whole numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .dataset import DataError, Dataset


def scaled(pixels: np.ndarray) -> np.ndarray:
    """Pixels as float32: those of 8 and 16 bits without sign divided by the range of their dtype, truth values as 0 and
    1, others as they are."""
    result = pixels.astype(np.float32)
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
        result /= np.float32(np.iinfo(pixels.dtype).max)
    return result


def dataset(path: Path, x: np.ndarray, y: np.ndarray) -> Dataset:
    """Images as float32 (N, H, W, C), pixels scaled; whole numbers as int64 labels, texts as numbers of their classes.

    Whole numbers of a wider dtype that are bytes (0 .. 255 with values above 1) are scaled as bytes are.
    """
    if x.dtype.kind not in "fiub" or y.dtype.kind not in "fiubU":
        raise DataError(f"{path}: x has dtype {x.dtype} and y {y.dtype}; both must be numbers (labels may be texts)")
    if y.ndim == 2 and y.shape[1] == 1:  # a column of labels
        y = y[:, 0]
    if not x.ndim or not y.ndim or len(x) != len(y):
        raise DataError(f"{path}: x has shape {x.shape} and y {y.shape}; they must have the same number of examples")
    if not len(x):
        raise DataError(f"{path}: there are no examples (x has shape {x.shape})")
    if x.dtype.kind in "iu" and x.ndim > 2 and (x.dtype.kind == "i" or x.dtype.itemsize > 2):
        low, high = int(x.min()), int(x.max())
        if low < 0 or high > 255:
            raise DataError(
                f"{path}: x holds whole numbers from {low} to {high} as {x.dtype}; what range they have is not known: "
                "store pixels as uint8, uint16, or as fractions from 0 to 1"
            )
        x = x.astype(np.uint8) if high > 1 else x
    images = scaled(x)
    if y.dtype.kind == "U":
        try:
            names, labels = np.unique(y, return_inverse=True)
        except ValueError as error:  # bytes that are no characters
            raise DataError(f"{path}: y holds texts that cannot be read: {error}") from None
        return Dataset(_channels(images), labels.astype(np.int64).reshape(y.shape), tuple(map(str, names)))
    labels = y.astype(np.float32) if y.dtype.kind == "f" else y.astype(np.int64)
    return Dataset(_channels(images), labels)


def _channels(x: np.ndarray) -> np.ndarray:
    return x[..., None] if x.ndim == 3 else x
