"""Images and labels in .npz files, under the names that libraries give them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from ..files import open_regular
from ..npy import ArrayFileError, members, reason
from .dataset import DataError, Dataset, check_split
from .scaled import dataset

# what the arrays of images and of labels are called, with the name of the part in place of {}
NAMES = (("x_{}", "y_{}"), ("{}_images", "{}_labels"))  # Keras, MedMNIST
PARTS = {"train": ("train", "val"), "test": ("test",)}  # MedMNIST has a part of its own for validation


def load_npz(path: str | Path, split: str | None = None, seed: int = 0) -> Dataset:
    """Images (N, H, W) or (N, H, W, C) and labels (N,) of a .npz file.  Nothing is unpickled.

    The arrays are called x and y (then ``split`` parts them by ``seed``), or, with a split of their own, x_train,
    y_train, x_test, y_test as Keras has them, or train_images, train_labels, val_images, ... as MedMNIST has them
    ("train" are then train and val together).  Labels may be texts.

    Raises DataError, with path and reason, for another file.

    >>> np.savez("images.npz", x=np.zeros((3, 4, 4), np.uint8), y=np.array([0, 1, 1]))
    >>> ac.data.load_npz("images.npz")
    Dataset(x (3, 4, 4, 1) float32, y (3,) int64, 2 classes)
    """
    check_split(split)
    path = Path(path)
    try:
        with open_regular(path) as file:
            there = _names(file, path)
            file.seek(0)
            for x, y in NAMES:
                pairs = [(x.format(p), y.format(p)) for s in ([split] if split else PARTS) for p in PARTS[s]]
                chosen = [pair for pair in pairs if set(pair) <= there]
                if chosen:
                    arrays = members(file, path, tuple(name for pair in chosen for name in pair), kinds="fiubU")
                    found = [dataset(path, arrays[a], arrays[b]) for a, b in chosen]
                    return _joined(path, found)
            arrays = members(file, path, ("x", "y"), kinds="fiubU")
    except OSError as error:
        raise DataError(f"{path}: not a readable .npz file: {reason(error)}") from None
    except ArrayFileError as error:
        raise DataError(str(error)) from None
    return dataset(path, arrays["x"], arrays["y"]).part(split, seed)


def _names(file: object, path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(file) as archive:  # type: ignore[call-overload]
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(f"{path}: not a readable .npz file: {reason(error)}") from None


def _joined(path: Path, parts: list[Dataset]) -> Dataset:
    if len({part.x.shape[1:] for part in parts}) > 1:
        raise DataError(f"{path}: its parts have images of shapes {' and '.join(str(p.x.shape[1:]) for p in parts)}")
    names = max((part.classes for part in parts), key=len)
    return Dataset(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]), names)
