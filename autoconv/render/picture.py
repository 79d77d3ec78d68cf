"""A picture as an object: SVG text that saves itself and that a notebook shows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..files import save_as
from .notebook import bundle
from .svg import whole


class Picture(str):
    """SVG text that a notebook shows as the picture it is, with its ``caption`` and ``size`` (width, height)."""

    caption: str
    size: tuple[float, float]

    def __new__(cls, svg: str, caption: str = "", size: tuple[float, float] = (0.0, 0.0)) -> Picture:
        made = super().__new__(cls, svg)
        made.caption, made.size = caption, size
        return made

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write ``.svg``, whole or not at all; returns the path.  Raises ValueError for another ending."""
        return save_as(path, {".svg": lambda: str(self)})

    def __repr__(self) -> str:
        return f"<Picture {self.caption!r}, {self.size[0]:.0f} x {self.size[1]:.0f}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(repr(self), svg=self, caption=self.caption)


def document(width: float, height: float, title: str, parts: Iterable[str]) -> Picture:
    """``svg.whole`` as a Picture."""
    return Picture(whole(width, height, title, parts), title, (width, height))
