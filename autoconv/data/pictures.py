"""Pictures: one file, or a folder with a folder for each class."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..files import LARGEST, entries, open_regular
from ..npy import reason
from ..shapes import listed, shown, whole_number
from .dataset import DataError, Dataset, check_split

MOST_PIXELS = 2**26  # of one image
TEST_FOLDERS = ("test", "val", "valid", "validation")
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # whatever the name says: others run other programs


def load_folder(
    path: str | Path, split: str | None = None, seed: int = 0, size: int | tuple[int, int] | None = None
) -> Dataset:
    """Images in one folder per class: the sorted folders' names are the classes.

    A folder that holds the folders "train" and "test" (or "val", "valid", "validation") has that split; any other is
    split by ``seed``.  size: (H, W), or one number for both: each image is scaled until it covers that and cut around
    its middle; without it all images must have one size.  Grey images give (N, H, W, 1), colour (N, H, W, 3), grey ones
    among colour are repeated; 8 and 16 bits a pixel (of 16-bit colour the upper 8) are scaled to 0 .. 1 by their range,
    pixels that are fractions must lie there.  Needs Pillow: pip install "autoconv[images]".

    Raises DataError, with path and reason, for a folder without classes, a file that is no image or sizes that differ.

    >>> ac.data.load_folder("missing")
    Traceback (most recent call last):
        ...
    autoconv.data.dataset.DataError: missing: ...
    """
    check_split(split)
    path, wanted = Path(path), None if size is None else _size(size)
    _pillow(path)
    try:
        parts = _parts(path)
        if parts is None:
            return _read(path, _listed(path, _classes(path)), _classes(path), wanted).part(split, seed)
        classes = sorted({name for part in parts.values() for name in _classes(part)})
        chosen = [parts[name] for name in (("train", "test") if split is None else (split,))]
        return _read(path, [pair for part in chosen for pair in _listed(part, classes)], classes, wanted)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {reason(error)}") from None


def load_image(path: str | Path, size: int | tuple[int, int] | None = None, channels: int | None = None) -> np.ndarray:
    """One picture as float32 (H, W, 1) or (H, W, 3) in 0 .. 1.

    size: as for ``load_folder``.  channels: 1 (grey) or 3 (colour), as a model needs them; None: as the file has them.
    Needs Pillow.  Raises DataError, with path and reason, for a file that is no image.

    >>> ac.data.load_image("missing.png")
    Traceback (most recent call last):
        ...
    autoconv.data.dataset.DataError: missing.png: ...
    """
    pixels = _open(Path(path), None if size is None else _size(size))
    if channels not in (None, 1, 3):
        raise ValueError(f"load_image: channels={shown(channels)}; use 1 (grey), 3 (colour) or None")
    if channels == 1 and pixels.shape[-1] == 3:  # as Pillow weighs them (ITU-R 601-2)
        return (pixels @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    return np.repeat(pixels, 3, -1) if channels == 3 and pixels.shape[-1] == 1 else pixels


def _size(size: Any) -> tuple[int, int]:
    height, width = listed(size) * (2 if isinstance(size, int | np.integer) else 1) or (0, 0)
    return whole_number(height, "size", 1), whole_number(width, "size", 1)


def _parts(path: Path) -> dict[str, Path] | None:
    """The folders of the parts "train" and "test", if the folder is split; None if it is not."""
    there = {p.name.lower(): p for p in entries(path) if p.is_dir()} if path.is_dir() else {}
    test = next((there[name] for name in TEST_FOLDERS if name in there), None)
    return {"train": there["train"], "test": test} if "train" in there and test is not None else None


def _classes(path: Path) -> list[str]:
    return [p.name for p in entries(path) if p.is_dir() and not p.name.startswith(".")] if path.is_dir() else []


def _listed(path: Path, classes: list[str]) -> list[tuple[Path, int]]:
    """(file, label) of each image, class by class."""
    return [
        (file, label)
        for label, name in enumerate(classes)
        if (path / name).is_dir()
        for file in entries(path / name)
        if file.suffix.lower() in _IMAGES
    ]


def _read(path: Path, files: list[tuple[Path, int]], classes: list[str], size: tuple[int, int] | None) -> Dataset:
    if not files:
        raise DataError(
            f"{path}: needs one folder of images ({', '.join(_IMAGES)}) for each class; found {len(classes)} folders"
        )
    x: np.ndarray = np.empty((0, 0, 0, 1), np.float32)
    for number, (file, _) in enumerate(files):
        pixels = _open(file, size, len(files) if number == 0 else 1)
        if number == 0:
            x = np.empty((len(files), *pixels.shape), np.float32)
        elif pixels.shape[:2] != x.shape[1:3]:
            raise DataError(
                f"{file}: has shape {pixels.shape}, {files[0][0]} has {x.shape[1:]}; "
                "all images must have one size: give it as size=(H, W)"
            )
        elif pixels.shape[-1] > x.shape[-1]:  # the first one in colour
            x = np.repeat(x, 3, -1)
        x[number] = pixels
    return Dataset(x, np.array([label for _, label in files], np.int64), tuple(classes))


def _open(file: Path, size: tuple[int, int] | None, alike: int = 1) -> np.ndarray:
    """The pixels of a picture file; that there is room for so many ``alike`` is known before a pixel is decoded."""
    try:
        with open_regular(file, LARGEST) as stream, _pillow(file).open(stream, formats=_FORMATS) as image:
            if image.height * image.width > MOST_PIXELS:
                raise DataError(
                    f"{file}: has {image.height} x {image.width} pixels; more than {MOST_PIXELS:,} are not read"
                )
            shape = (*(size or (image.height, image.width)), 1 if _is_grey(image.mode) else 3)
            if alike * prod(shape) * 4 > LARGEST:
                raise DataError(f"{file}: {alike:,} images of shape {shape} are more than {LARGEST:,} bytes of float32")
            pixels = _pixels(image, file)
            return pixels if size is None or pixels.shape[:2] == size else _covering(pixels, size)
    except DataError:
        raise
    except Exception as error:  # a decoder of foreign bytes raises whatever it comes upon
        raise DataError(f"{file}: not a readable image: {reason(error)}") from None


def _pillow(path: Path) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise DataError(
            f'{path}: reading image files needs Pillow; install it with: pip install "autoconv[images]"'
        ) from None
    return Image


def _covering(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scaled until it just covers ``size``, and cut around the middle; each channel with its own precision."""
    from PIL import Image

    height, width = pixels.shape[:2]
    factor = max(size[0] / height, size[1] / width)
    tall, wide = (max(n, round(m * factor)) for n, m in zip(size, (height, width), strict=True))
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize((wide, tall), Image.Resampling.BILINEAR))
        for plane in np.moveaxis(pixels, -1, 0)
    ]
    top, left = (tall - size[0]) // 2, (wide - size[1]) // 2
    return np.clip(np.stack(planes, -1)[top : top + size[0], left : left + size[1]], 0, 1)


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
