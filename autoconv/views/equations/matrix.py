"""``ac.matrix_view``: a convolution drawn as the fully connected layer that it is, coloured by shared weight.

    y = C x                     each row is one output position: the kernel, spread over the input
    dx = C^T delta              each column of C, read downwards, is the kernel rotated by 180 degrees
    dw = sum over equal colours of delta_r x_c

The picture is of the entries of a recorded ``ac.conv_matrix``; the kernel's gradient flows through that very line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np

from ...primitives import TABLE
from ...render.element import element_name
from ...render.notebook import bundle, picture
from ...render.picture import document
from ...render.svg import colour, coordinate, text, text_width, tooltip
from ...render.text import clean, number
from ...tape import Tape, Tensor
from ..lines import subscripts, variables

CELLS = 40_000  # more than this cannot be told apart
NUMBERED = 900  # cells of a matrix that has its numbers written in


def matrix_view(matrix: Tensor, names: Mapping[str, Any] | None = None) -> MatrixView:
    """The picture of ``ac.conv_matrix(kernel, input_shape)``, of shape (output elements, input elements).

        y = C x, dx = C^T delta, dw[k] = sum over the entries of C that are w[k] of delta_row x_column

    Raises TypeError for what is not a recorded conv_matrix (the kernel must be a Tensor), ValueError beyond 40,000
    cells.

    >>> w = ac.tensor([[1.0, 2.0], [3.0, 4.0]], name="w", subscripts="flat")
    >>> ac.matrix_view(ac.conv_matrix(w, (2, 3)))
    <MatrixView of C, which takes x to y = C x: 2 x 6, 8 entries that are not blank, 4 weights>
    w_1 w_2   . w_3 w_4   .
      . w_1 w_2   . w_3 w_4
    """
    turned = (
        isinstance(matrix, Tensor) and matrix.primitive is TABLE["permute_dims"] and matrix.params["axes"] == (1, 0)
    )
    matrix = matrix.operands[0] if turned else matrix
    if not isinstance(matrix, Tensor) or matrix.primitive is not TABLE["take"] or matrix.ndim != 2:
        raise TypeError(
            "matrix_view: expected the result of ac.conv_matrix of a Tensor kernel, found "
            f"{type(matrix).__name__}; as in "
            "ac.matrix_view(ac.conv_matrix(w, x.shape))"
        )
    if matrix.size > CELLS:
        raise ValueError(
            f"matrix_view: a matrix of shape {matrix.shape} has {matrix.size:,} entries; more than {CELLS:,} "
            "cannot be told apart: use a smaller image or fewer channels"
        )
    kernel = matrix.operands[0].operands[0]
    while kernel.primitive is TABLE["reshape"]:
        kernel = kernel.operands[0]
    named = variables(names, "matrix_view")
    return MatrixView(matrix, kernel, kernel.name or named.get(id(kernel)) or "w", turned)


@dataclass(frozen=True, repr=False)
class MatrixView:
    """``places`` has the flat index of the kernel element at each entry, -1 where the entry is 0 because nothing is
    read.
    """

    matrix: Tensor
    kernel: Tensor
    name: str
    turned: bool = False

    @cached_property
    def places(self) -> np.ndarray:
        index = self.matrix.operands[1].value
        placed = np.where(index == self.kernel.size, -1, index)
        return placed.T if self.turned else placed

    @property
    def T(self) -> MatrixView:  # noqa: N802 (NumPy's name)
        """The transposed matrix, which takes delta to dx: its rows show the rotated kernel."""
        return MatrixView(self.matrix, self.kernel, self.name, not self.turned)

    @cached_property
    def rotated(self) -> bool:
        """Whether the rows of the matrix show the kernel rotated: of a transposed, or a true convolution."""
        index = self.matrix.operands[1].value
        rows = [row[row != self.kernel.size] for row in index]
        longest = max(rows, key=len, default=index[:0].ravel())
        return bool(len(longest) > 1 and longest[0] > longest[-1])

    def kernel_gradient(self, delta: Any, x: Any) -> np.ndarray:
        """dw[k] = sum over the entries with colour k of delta_row x_column, in the kernel's shape."""
        rows, columns = np.nonzero(self.matrix.operands[1].value != self.kernel.size)
        index = self.matrix.operands[1].value[rows, columns]
        made = np.zeros(self.kernel.size, np.result_type(np.asarray(delta), np.asarray(x)))
        np.add.at(made, index, np.ravel(delta)[rows] * np.ravel(x)[columns])
        return made.reshape(self.kernel.shape)

    def label(self, k: int) -> str:
        """The name of kernel element ``k``."""
        index = tuple(int(n) for n in np.unravel_index(k, self.kernel.shape))
        return element_name(
            self.name, index, self.kernel.shape, subscripts(Tape(self.kernel)).get(id(self.kernel), "matrix")
        )

    @property
    def caption(self) -> str:
        rows, columns = self.places.shape
        entries = int(np.count_nonzero(self.places >= 0))
        what = "C^T, which takes delta to dx = C^T delta" if self.turned else "C, which takes x to y = C x"
        return f"{what}: {rows} x {columns}, {entries:,} entries that are not blank, {self.kernel.size} weights"

    @cached_property
    def svg(self) -> str:
        """The matrix as SVG: one coloured cell for each entry that is a weight, with its number where there is room."""
        rows, columns = self.places.shape
        written = self.places.size <= NUMBERED
        side = 44.0 if written else max(4.0, min(14.0, 900 / max(rows, columns)))
        left, top = 16.0, 54.0
        values = self.kernel.value.ravel()
        parts = [text(left, 22, "C transposed" if self.turned else "C", size=13, font_weight="bold")]
        parts.append(text(left, 40, self.caption, "soft"))
        parts.append(
            f'<rect class="ac-grid" fill="none" x="{coordinate(left)}" y="{coordinate(top)}" '
            f'width="{coordinate(columns * side)}" height="{coordinate(rows * side)}"/>'
        )
        for r, c in zip(*np.nonzero(self.places >= 0), strict=True):
            k = int(self.places[r, c])
            x, y = left + float(c) * side, top + float(r) * side
            shade = colour(k, self.kernel.size)
            said = tooltip(f"row {r}, column {c}: {self.label(k)} = {number(values[k])}")
            parts.append(
                f'<g>{said}<rect x="{coordinate(x + 0.5)}" y="{coordinate(y + 0.5)}" '
                f'width="{coordinate(side - 1)}" height="{coordinate(side - 1)}" fill="{shade}" '
                f'fill-opacity="{"0.25" if written else "1"}" stroke="{shade}"/>'
                + (
                    text(x + side / 2, y + side / 2 + 4, number(values[k]), size=10.5, anchor="middle")
                    if written
                    else ""
                )
                + "</g>"
            )
        bottom = top + rows * side
        legend, depth, width = self._legend(left, bottom + 18)
        widest = max(columns * side, width, text_width(self.caption, 11))
        return document(left * 2 + widest, depth + 14, self.caption, [*parts, *legend])

    def _legend(self, left: float, top: float) -> tuple[list[str], float, float]:
        """Which colour is which weight, for kernels of up to 27 elements, in rows of the kernel's last axis."""
        if self.kernel.size > 27:
            return [], top, 0.0
        wide = max(text_width(self.label(k), 11) for k in range(self.kernel.size)) + 34
        across = self.kernel.shape[-1] if self.kernel.ndim == 2 else 6
        parts = []
        for k in range(self.kernel.size):
            x, y = left + k % across * wide, top + k // across * 18
            parts.append(
                f'<rect x="{coordinate(x)}" y="{coordinate(y - 9)}" width="11" height="11" rx="2" '
                f'fill="{colour(k, self.kernel.size)}"/>'
            )
            parts.append(text(x + 17, y, self.label(k)))
        return parts, top + (self.kernel.size - 1) // across * 18, across * wide

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(repr(self), html=self.html, svg=self.svg)

    @property
    def html(self) -> str:
        """The picture with the three equations under it."""
        turned = "rotated by 180 degrees"
        lines = (
            f"y = C x: read a row, it is the kernel {turned if self.rotated else 'as it stands'}",
            f"dx = Cᵀ delta: read a column downwards, it is the kernel {'as it stands' if self.rotated else turned}",
            "dw = sum of delta_row x_column over the entries of one colour",
        )
        said = "".join(f"<li>{escape(line)}</li>" for line in lines)
        shown = picture(self.svg, repr(self))
        below = f"<figcaption><ul>{said}</ul></figcaption>"
        return f'<figure tabindex="0" style="margin:0;overflow-x:auto">{shown}{below}</figure>'

    def __repr__(self) -> str:
        rows = [
            " ".join("." if k < 0 else self.label(int(k)) for k in row) if self.places.shape[1] <= 40 else ""
            for row in self.places[:40]
        ]
        width = max((len(word) for row in rows for word in row.split()), default=1)
        grid = [" ".join(f"{word:>{width}}" for word in row.split()) for row in rows if row]
        return "\n".join([f"<MatrixView of {clean(self.caption)}>", *grid])
