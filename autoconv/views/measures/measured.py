"""What measurements have in common: they are told in words, drawn, shown in notebooks and saved."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from ...backward import check_cotangent
from ...files import save_as
from ...render.notebook import bundle
from ...render.page import html_page
from ...render.picture import Picture
from ...render.text import clean
from ...tape import Tensor, describe


class Measured:
    """The base of measurements: each has a ``text``, a picture ``svg`` and a table of ``records``."""

    @property
    def text(self) -> str:
        """The measurement in words and numbers."""
        raise NotImplementedError

    @property
    def svg(self) -> Picture:
        """Its picture, self-contained, for light and dark pages."""
        raise NotImplementedError

    @property
    def records(self) -> list[dict[str, Any]]:
        """Its table, one dictionary a row, as for a data frame."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture ``.svg``, a page ``.html``, the words ``.txt`` or the table ``.csv``; returns the path.

        Raises ValueError for another ending.
        """
        writers = {
            ".svg": lambda: str(self.svg),
            ".html": self._page,
            ".txt": lambda: self.text + "\n",
            ".csv": self._table,
        }
        return save_as(path, writers)

    def _page(self) -> str:
        body = f"<main>{self.svg}<pre>{escape(clean_lines(self.text))}</pre></main>"
        css = "main{max-width:1100px;margin:24px auto;padding:0 16px}svg{max-width:100%;height:auto}pre{overflow:auto}"
        return html_page(self.svg.caption, body, css=css)

    def _table(self) -> str:
        rows = self.records
        out = io.StringIO()
        writer = csv.DictWriter(out, list(rows[0]) if rows else ["name"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(self.text, svg=self.svg, caption=self.svg.caption)


def loss_of(operation: str, y: Any, cotangent: Any = None) -> Any:
    """The cotangent to start a sweep from ``y`` with; errors in the name of ``operation``."""
    if not isinstance(y, Tensor):
        raise TypeError(
            f"{operation}: expected a Tensor, found {type(y).__name__}; give what was computed, as in "
            f"ac.{operation}(loss)"
        )
    if y.constant:
        raise TypeError(
            f"{operation}: {describe(y)} depends on no floating-point tensor; make one with ac.tensor(data), plain "
            "arrays are constants"
        )
    return check_cotangent(y, cotangent)


def clean_lines(words: str) -> str:
    """Text whose lines are clean; their breaks stay."""
    return "\n".join(clean(line) for line in words.splitlines())


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of words as lines with columns: the first at the left, the others at the right."""
    wide = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))] if rows else []
    return [
        "  ".join(
            word.ljust(w) if c == 0 else word.rjust(w) for c, (word, w) in enumerate(zip(row, wide, strict=True))
        ).rstrip()
        for row in rows
    ]
