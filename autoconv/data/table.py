"""Tables of numbers in text files: CSV with a label in one column and the numbers of an example in the others."""

from __future__ import annotations

import csv
import io
from math import isqrt
from pathlib import Path

import numpy as np

from ..files import read_regular
from ..npy import reason
from .dataset import DataError, Dataset, check_split

MOST = 2**30  # bytes of a file
LABEL_COLUMNS = ("label", "class", "target", "y", "species", "digit")


def load_csv(
    path: str | Path, split: str | None = None, seed: int = 0, label: str | int | None = None, side: int | None = None
) -> Dataset:
    """Examples in the rows of a CSV file: x float32 (N, columns), y the labels (texts are numbered by their order).

    label: the name or number of the label's column; None: the one called label, class, target or y, else the last.
    side: the columns are the pixels 0 .. 255 of square pictures with this many a side: x is (N, side, side, 1) in
    0 .. 1; 0 finds the side.  A first row that is not numbers is a header.
    Raises DataError, with path and line, for rows that differ in length or hold no numbers.

    >>> with open("flowers.csv", "w") as file:
    ...     written = file.write("width,height,species\\n1.5,2,rose\\n3,4.5,iris\\n")
    >>> data = ac.data.load_csv("flowers.csv")
    >>> data.x.tolist(), data.y, data.classes
    ([[1.5, 2.0], [3.0, 4.5]], array([1, 0]), ('iris', 'rose'))
    """
    check_split(split)
    path = Path(path)
    try:
        text = read_regular(path, MOST).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason(error)}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text: {error.reason} at byte {error.start:,}") from None
    try:
        dialect: type[csv.Dialect] | str = csv.Sniffer().sniff(text[:10_000], ",;\t ")
    except csv.Error:
        dialect = "excel"
    try:
        rows = [(n, row) for n, row in enumerate(csv.reader(io.StringIO(text), dialect), 1) if any(row)]
    except csv.Error as error:
        raise DataError(f"{path}: not a table: {error}") from None
    header = [name.strip() for name in rows[0][1]] if rows and not any(map(_is_number, rows[0][1])) else None
    rows = rows[1:] if header else rows
    if not rows:
        raise DataError(f"{path}: there are no examples")
    wide = len(header) if header else len(rows[0][1])
    for n, row in rows:
        if len(row) != wide:
            raise DataError(f"{path}, line {n}: has {len(row)} columns, the first row has {wide}")
    at = _label_column(path, header, wide, label)
    texts = [row[at].strip() for _, row in rows]
    try:
        x = np.array([row[:at] + row[at + 1 :] for _, row in rows], dtype=object).astype(np.float32)
    except ValueError:
        n, k, cell = next(
            (n, k, cell) for n, row in rows for k, cell in enumerate(row) if k != at and not _is_number(cell)
        )
        raise DataError(
            f"{path}, line {n}: column {header[k] if header else k} holds {cell[:40]!r}, no number"
        ) from None
    x = x.reshape(len(rows), wide - 1)
    return Dataset(_squares(path, x, side), *_labels(texts)).part(split, seed)


def _label_column(path: Path, header: list[str] | None, wide: int, label: str | int | None) -> int:
    if isinstance(label, str):
        if header is None or label not in header:
            raise DataError(f"{path}: has no column {label!r}; it has {', '.join(header or ['no header'])}")
        return header.index(label)
    if label is not None:
        if not -wide <= label < wide:
            raise DataError(f"{path}: has no column {label}; it has {wide}")
        return label % wide
    names = [name.lower() for name in header or []]
    return next((names.index(name) for name in LABEL_COLUMNS if name in names), wide - 1)


def _labels(texts: list[str]) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Whole numbers as they are, other numbers as float32, texts as the numbers of their classes."""
    if all(map(_is_number, texts)):
        numbers = np.array(texts, dtype=object).astype(np.float64)
        whole = bool((numbers == np.round(numbers)).all() and (numbers >= 0).all())
        return numbers.astype(np.int64 if whole else np.float32), None
    names, labels = np.unique(np.array(texts), return_inverse=True)
    return labels.astype(np.int64), tuple(map(str, names))


def _squares(path: Path, x: np.ndarray, side: int | None) -> np.ndarray:
    if side is None:
        return x
    n = side or isqrt(x.shape[1])
    if n * n != x.shape[1]:
        raise DataError(f"{path}: {x.shape[1]} columns are no square picture of {n} x {n}")
    if not ((x >= 0) & (x <= 255)).all():
        raise DataError(f"{path}: pixels must lie in 0 .. 255, found {x.min()} to {x.max()}")
    return x.reshape(-1, n, n, 1) / np.float32(255)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
