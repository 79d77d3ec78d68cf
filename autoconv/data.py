"""Images and labels as arrays: the digits that come with the package, and readers of IDX, .npz and folders of images.

Readers give a ``Dataset``: x float32 (N, H, W, C), y int64 (N,).  Pixels of 8 and 16 bits (dtype uint8 and uint16) are
scaled to 0 .. 1 by the range of their dtype.  Sizes that a file claims are checked against what is really there before
memory is taken, only regular files are read; what cannot be read is one DataError with the path and the reason.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from importlib import resources
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from .files import LARGEST, entries, open_regular
from .npy import ArrayFileError, check_packed, members, read_array, reason
from .operands import found, numbers
from .shapes import shown, whole_number

MOST_PIXELS = 2**26  # of one image
IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MNIST = {"train": "train", "test": "t10k"}


class DataError(ValueError):
    """A file or folder that cannot be read as images and labels; the text has its path and the reason.

    >>> ac.data.load_npz("missing.npz")
    Traceback (most recent call last):
        ...
    autoconv.data.DataError: missing.npz: ...
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
        _check_split(split)
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
    _check_split(split)
    with resources.files("autoconv.datasets").joinpath("digits.csv.gz").open("rb") as packed:
        table = np.loadtxt(gzip.decompress(packed.read()).decode("ascii").splitlines(), delimiter=",", dtype=np.float32)
    x = (table[:, :64] / 16).reshape(-1, 8, 8, 1)
    return Dataset(x, table[:, 64].astype(np.int64)).part(split, seed)


def load(source: str | Path, split: str | None = None, seed: int = 0) -> Dataset:
    """Whatever ``source`` is: "digits" (the package's; a folder of that name is "./digits"), a .npz file, a folder with
    the MNIST family's IDX files, or one with a folder of images for each class.

    split: "train", "test" or None for all.  The MNIST files have their own split; the others are split by ``seed``.

    Raises DataError for what cannot be read as images and labels, ValueError for another split.

    >>> ac.data.load("digits", "train")
    Dataset(x (1437, 8, 8, 1) float32, y (1437,) int64, 10 classes)
    """
    _check_split(split)
    if source == "digits":
        return digits(split, seed)
    path = Path(source)
    if path.is_dir():
        return _load_mnist(path, split) if _mnist_file(path, "*-images*") else load_folder(path).part(split, seed)
    if not path.exists():
        raise DataError(f'{path}: there is no such file or folder; give one, or "digits" for the images of the package')
    if path.suffix == ".npz":
        return load_npz(path).part(split, seed)
    raise DataError(
        f"{path}: give a .npz file, a folder with IDX files, or a folder with one folder of images per class"
    )


def load_npz(path: str | Path) -> Dataset:
    """The arrays x and y of a .npz file: images (N, H, W) or (N, H, W, C), labels (N,).  Nothing is unpickled.

    Raises DataError, with path and reason, for another file.

    >>> np.savez("images.npz", x=np.zeros((3, 4, 4), np.uint8), y=np.array([0, 1, 1]))
    >>> ac.data.load_npz("images.npz")
    Dataset(x (3, 4, 4, 1) float32, y (3,) int64, 2 classes)
    """
    path = Path(path)
    try:
        with open_regular(path) as file:
            arrays = members(file, path, ("x", "y"))
    except OSError as error:
        raise DataError(f"{path}: not a readable .npz file: {reason(error)}") from None
    except ArrayFileError as error:
        raise DataError(str(error)) from None
    return _dataset(path, arrays["x"], arrays["y"])


def load_folder(path: str | Path) -> Dataset:
    """Images in one folder per class: the sorted folders' names are the classes.  All images have one size.

    Grey images give (N, H, W, 1), colour (N, H, W, 3); 8 and 16 bits a pixel are scaled to 0 .. 1 by their range,
    pixels that are fractions must lie there.  Needs Pillow: pip install "autoconv[images]".

    Raises DataError, with path and reason, for a folder without classes, a file that is no image or sizes that differ.

    >>> ac.data.load_folder("missing")
    Traceback (most recent call last):
        ...
    autoconv.data.DataError: missing: ...
    """
    path = Path(path)
    try:
        from PIL import Image
    except ImportError:
        raise DataError(
            f'{path}: reading image files needs Pillow; install it with: pip install "autoconv[images]"'
        ) from None
    try:
        folders = [p for p in entries(path) if p.is_dir() and not p.name.startswith(".")] if path.is_dir() else []
        files = [(f, i) for i, folder in enumerate(folders) for f in entries(folder) if f.suffix.lower() in _IMAGES]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {reason(error)}") from None
    if not files:
        raise DataError(
            f"{path}: needs one folder of images ({', '.join(_IMAGES)}) for each class; found {len(folders)} folders"
        )
    x: np.ndarray | None = None
    for number, (file, _) in enumerate(files):
        try:
            with open_regular(file, LARGEST) as stream, Image.open(stream, formats=_FORMATS) as image:
                shape = (image.height, image.width, 1 if _is_grey(image.mode) else 3)  # known before a pixel is decoded
                if prod(shape[:2]) > MOST_PIXELS:
                    raise DataError(
                        f"{file}: has {shape[0]} x {shape[1]} pixels; more than {MOST_PIXELS:,} are not read"
                    )
                if x is None:
                    if len(files) * prod(shape) * 4 > LARGEST:
                        raise DataError(
                            f"{path}: {len(files):,} images of shape {shape} are more than {LARGEST:,} bytes of float32"
                        )
                    x = np.empty((len(files), *shape), np.float32)
                elif shape != x.shape[1:]:
                    raise DataError(
                        f"{file}: has shape {shape}, {files[0][0]} has {x.shape[1:]}; "
                        "all images must have one size and kind"
                    )
                x[number] = _pixels(image, file)
        except DataError:
            raise
        except Exception as error:  # a decoder of foreign bytes raises whatever it comes upon
            raise DataError(f"{file}: not a readable image: {reason(error)}") from None
    labels = np.array([label for _, label in files], np.int64)
    assert x is not None
    return Dataset(x, labels, tuple(folder.name for folder in folders))


def load_idx(path: str | Path) -> np.ndarray:
    """The array of an IDX file, plain or gzip (LeCun's MNIST format: magic 0 0 dtype ndim, big-endian sizes, data).

    Raises DataError, with path and reason, for another file or one that is cut short.

    >>> with open("labels-idx1-ubyte", "wb") as file:  # magic 0 0 8 (bytes) 1 (dimension), size 3, data
    ...     written = file.write(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    >>> ac.data.load_idx("labels-idx1-ubyte")
    array([7, 8, 9], dtype=uint8)
    """
    path = Path(path)
    try:
        with open_regular(path) as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            size = raw.seek(0, 2)
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) if packed else raw as stream:
                return _read_idx(stream, path, size if packed else None)  # type: ignore[arg-type]
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a readable IDX file: {reason(error)}") from None
    except ArrayFileError as error:
        raise DataError(str(error)) from None


def batches(
    x: np.ndarray, y: np.ndarray, batch_size: int, rng: np.random.Generator | None = None, drop_last: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(x, y) in batches, in order, or shuffled by ``rng``; the last may be smaller, unless ``drop_last`` leaves it out.

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
    for start in range(0, len(x) - (size - 1 if drop_last else 0), size):
        chosen = slice(start, start + size) if order is None else order[start : start + size]
        yield x[chosen], y[chosen]


_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # whatever the name says: others run other programs


def _check_split(split: str | None) -> None:
    if split is not None and (not isinstance(split, str) or split not in ("train", "test")):
        raise ValueError(f"split={shown(split)}; use 'train', 'test' or None for all")


def _is_grey(mode: str) -> bool:
    return mode in ("1", "L", "LA", "La", "F", "I") or mode.startswith("I;")


def _pixels(image: Any, file: Path) -> np.ndarray:
    """An open image as float32 (H, W, 1 or 3) in 0 .. 1: 8 bits / 255, 16 bits / 65,535, fractions as they are."""
    if not _is_grey(image.mode) or image.mode in ("1", "L", "LA", "La"):
        pixels = np.asarray(image.convert("L" if _is_grey(image.mode) else "RGB"), np.float32) / np.float32(255)
    elif image.mode == "F":
        pixels = np.asarray(image, np.float32)
        if not (pixels.min() >= 0 and pixels.max() <= 1):  # false for NaN as well
            raise DataError(
                f"{file}: has pixels from {pixels.min()} to {pixels.max()}; fractions must be scaled to 0 .. 1"
            )
    elif image.mode == "I" and image.format not in ("PNG", "PPM"):  # these two have 16 bits at most, whatever the mode
        raise DataError(f"{file}: has 32 bits a pixel, of which the range is not known; store 8 or 16 bits")
    else:
        pixels = np.asarray(image).astype(np.float32) / np.float32(65535)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _dataset(path: Path, x: np.ndarray, y: np.ndarray) -> Dataset:
    """Images as float32 (N, H, W, C), those of 8 and 16 bits scaled to 0 .. 1; whole numbers as int64 labels."""
    if x.dtype.kind not in "fiub" or y.dtype.kind not in "fiub":
        raise DataError(f"{path}: x has dtype {x.dtype} and y {y.dtype}; both must be numbers")
    if not x.ndim or not y.ndim or len(x) != len(y):
        raise DataError(f"{path}: x has shape {x.shape} and y {y.shape}; they must have the same number of examples")
    if not len(x):
        raise DataError(f"{path}: there are no examples (x has shape {x.shape})")
    scaled = x.astype(np.float32)
    if x.dtype.kind == "u" and x.dtype.itemsize <= 2:
        scaled /= np.float32(np.iinfo(x.dtype).max)
    labels = y.astype(np.float32) if y.dtype.kind == "f" else y.astype(np.int64)
    return Dataset(scaled[..., None] if x.ndim == 3 else scaled, labels)


def _mnist_file(folder: Path, pattern: str) -> Path | None:
    try:
        return next((p for p in entries(folder) if p.match(pattern) and "ubyte" in p.name), None)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {reason(error)}") from None


def _load_mnist(folder: Path, split: str | None) -> Dataset:
    parts = []
    for name in [split] if split else list(MNIST):
        images, labels = (_mnist_file(folder, f"{MNIST[name]}-{what}*") for what in ("images", "labels"))
        if images is None or labels is None:
            raise DataError(
                f"{folder}: needs {MNIST[name]}-images-idx3-ubyte and {MNIST[name]}-labels-idx1-ubyte (or .gz)"
            )
        parts.append(_dataset(images, load_idx(images), load_idx(labels)))
    return Dataset(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]))


def _read_idx(stream: IO[bytes], path: Path, packed: int | None) -> np.ndarray:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_DTYPES or not 1 <= head[3] <= 8:
        raise DataError(
            f"{path}: not an IDX file: it begins with {head.hex(' ') or 'nothing'}, not 00 00, "
            "a dtype code and 1 to 8 dimensions"
        )
    sizes = stream.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise DataError(f"{path}: truncated: the file ends inside its header")
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    dtype = np.dtype(IDX_DTYPES[head[2]])
    if packed is not None and prod(shape) * dtype.itemsize <= LARGEST:  # a larger claim is refused as such
        check_packed(path, packed, prod(shape) * dtype.itemsize)
    array = read_array(stream, dtype, shape, path)
    return array.astype(array.dtype.newbyteorder("="))
