"""Whatever a source is: the name of the digits, a file or a folder."""

from __future__ import annotations

from pathlib import Path

from .cifar import is_cifar, load_cifar
from .dataset import DataError, Dataset, check_split, digits
from .idx import load_mnist, mnist_file
from .npz import load_npz
from .pictures import load_folder
from .table import load_csv


def load(
    source: str | Path, split: str | None = None, seed: int = 0, size: int | tuple[int, int] | None = None
) -> Dataset:
    """Whatever ``source`` is: "digits" (the package's; a folder of that name is "./digits"), a .npz or .csv file, a
    folder with the MNIST family's IDX files or CIFAR's, or one with a folder of images for each class.

    split: "train", "test" or None for all.  What has its own split keeps it; the others are split by ``seed``.
    size: (H, W) of the pictures in a folder of images.

    Raises DataError for what cannot be read as images and labels, ValueError for another split.

    >>> ac.data.load("digits", "train")
    Dataset(x (1437, 8, 8, 1) float32, y (1437,) int64, 10 classes)
    """
    check_split(split)
    if source == "digits":
        return digits(split, seed)
    path = Path(source)
    if path.is_dir():
        if mnist_file(path, "*-images*"):
            return load_mnist(path, split)
        return load_cifar(path, split) if is_cifar(path) else load_folder(path, split, seed, size)
    if not path.exists():
        raise DataError(f'{path}: there is no such file or folder; give one, or "digits" for the images of the package')
    if path.suffix == ".npz":
        return load_npz(path, split, seed)
    if path.suffix in (".csv", ".tsv"):
        return load_csv(path, split, seed)
    raise DataError(
        f"{path}: give a .npz or .csv file, a folder with the files of MNIST or CIFAR, or a folder with one folder of "
        "images per class"
    )
