"""Contractions of channels that do not see each other, as in a depthwise convolution: one instruction for all of them.

    Channelwise     out[c, j] = bias[c] + sum_k weights[c, k] * x[c, j, k]         a result for each example
    ChannelwiseDot  result[i, c] = sum over examples and k of a[c, i, k] * b[c, k]    one result for all examples

With channels in the lanes both are the machine's LANEWISE: vectors of channels times vectors of channels.  With
examples in the lanes they are GEMM and DOT, channel by channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from .contractions import Spaced, waits
from .instructions import Instruction, Rows, Weights
from .native import instruction_set as isa

if TYPE_CHECKING:
    from .assemble.by_channels import ByChannels
    from .assemble.by_examples import ByExamples
    from .assemble.vector_layout import VectorLayout


def _vectors(channels: int, products: int, layout: VectorLayout, width: int) -> float:
    """Products of vectors for so many products of each channel."""
    return ceil(channels / layout.lanes) * products if layout.channels else channels * products * waits(width, layout)


@dataclass(kw_only=True)
class Channelwise(Instruction):
    """writes[0][c, j] = bias[c] + sum over k of weights[c, k] * x[c, j, k]; negative results stored as 0 if ``relu``.

    Weight [c, k] is number ``weights.base[c] + weights.step[k]`` of input array ``array``, x [c, j, k] register
    ``apart[c] + x.base[j] + x.step[k]``; ``bias``: the number of an input array, and where in it each number stands.
    """

    weights: Spaced
    x: Spaced
    apart: np.ndarray
    bias: tuple[int, np.ndarray] | None = None
    relu: bool = False

    words: ClassVar[str] = "contract channel by channel"

    def products(self) -> int:
        return self.writes[0].size * len(self.weights.step)

    def streams(self) -> int:
        return len(self.weights.base) * len(self.weights.step)

    def vectors(self, layout: VectorLayout) -> float:
        channels, width = self.writes[0].shape
        return _vectors(channels, width * len(self.weights.step), layout, width)

    def described(self, alike: Sequence[Instruction]) -> str:
        cells = sum(x.writes[0].size for x in alike)
        classes = f" in {len(alike)} classes" if len(alike) > 1 else ""
        bias = ", starting from the bias" if self.bias is not None else ""
        relu = ", negative sums stored as 0" if self.relu else ""
        return f"{self.words}: {cells:,} cells of {len(self.weights.step):,} products{classes}{bias}{relu}"

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        out, x_base, rows = at.addresses_of(self.writes[0]), at.addresses_of(self.x.base), []
        for c, apart in enumerate((self.apart * at.cell).tolist()):
            row = at.contraction(
                isa.GEMM,
                terms=len(self.weights.step),
                places=(self.array, isa.IN_MEMORY, isa.IN_MEMORY),
                left=(self.weights.base[c : c + 1], self.weights.step),
                right=(at.vectors(x_base + apart), self.x.step * at.cell),
                out=(out[c, :1], at.vectors(out[c] - out[c, 0])),
                bias=(isa.NOWHERE, [0]) if self.bias is None else (self.bias[0], self.bias[1][c : c + 1]),
                flags=isa.POSITIVE_PART if self.relu else 0,
            )
            rows.append(at.tiled(row, 1, len(at.vectors(x_base))))
        return rows

    def packable(self, lanes: int) -> list[Weights]:
        weights = Weights(self.array, *self.weights)
        return [weights] if self.bias is None else [weights, Weights(*self.bias, np.zeros(1, int))]

    def written_by_channels(self, at: ByChannels) -> np.ndarray:
        """Whole vectors: the cells of the positions that follow get their numbers afterwards."""
        first = at.addresses_of(self.writes[0][0])
        return (first[:, None] + at.vector_starts(len(self.writes[0])))[..., None] + np.arange(at.lanes)

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        first = np.zeros(1, int)
        place, base, step = at.weights_in_rows(self.array, *self.weights, first)
        bias, flags = (isa.NOWHERE, first), isa.POSITIVE_PART if self.relu else 0
        if self.bias is not None:
            bias_place, bias_base, zero = at.weights_in_rows(*self.bias, first, first)
            bias = bias_place, bias_base + int(zero[0])
        row = at.contraction(
            isa.LANEWISE,
            terms=len(self.weights.step),
            places=(isa.IN_MEMORY, place, isa.IN_MEMORY),
            left=(at.addresses_of(self.x.base), self.x.step),
            right=(base, step),
            out=(at.addresses_of(self.writes[0][0]), [0]),
            bias=bias,
            flags=flags,
            vectors=at.vector_starts(len(self.writes[0])),
        )
        return [at.tiled(row, len(self.x.base), 1)]


@dataclass(kw_only=True)
class ChannelwiseDot(Instruction):
    """result[i, c] = sum over examples and k of a[c, i, k] * b[c, k], added to result ``array``.

    a [c, i, k] is register ``a_apart[c] + a.base[i] + a.step[k]``, b [c, k] register ``b_apart[c] + b.base[0] +
    b.step[k]``.  ``places``: where in the result [i, c] stands, base[i] + step[c]; with channels in the lanes the
    result is a row of channels for each i.
    """

    a: Spaced
    a_apart: np.ndarray
    b: Spaced
    b_apart: np.ndarray
    places: Spaced

    words: ClassVar[str] = "contract over examples, channel by channel"
    over_examples: ClassVar[bool] = True

    def products(self) -> int:
        return len(self.a.base) * len(self.a_apart) * len(self.a.step)

    def streams(self) -> int:
        return 2 * len(self.a.base) * len(self.a_apart)

    def vectors(self, layout: VectorLayout) -> float:
        return _vectors(len(self.a_apart), len(self.a.base) * len(self.a.step), layout, 4)

    def described(self, alike: Sequence[Instruction]) -> str:
        return (
            f"contract and sum over examples: {len(self.a.base) * len(self.a_apart):,} numbers of "
            f"{len(self.a.step):,} products of cells, channel by channel"
        )

    def by_examples(self, at: ByExamples, number: int) -> Rows:
        a_base, b_base = at.addresses_of(self.a.base), at.addresses_of(self.b.base)
        a_step, b_step = (at.vectors(x.step * at.cell) for x in (self.a, self.b))
        rows = []
        for of_a, of_b, column in zip(self.a_apart, self.b_apart, self.places.step, strict=True):
            row = at.contraction(
                isa.DOT,
                terms=len(a_step),
                places=(isa.IN_MEMORY, isa.IN_MEMORY, isa.IN_SUMS),
                left=(a_base + of_a * at.cell, a_step),
                right=(b_base + of_b * at.cell, b_step),
                out=(at.sums[self.array] + self.places.base + column, [0]),
                flags=isa.GROWS,
            )
            rows.append(at.tiled(row, len(a_base), 1))
        return rows

    def by_channels(self, at: ByChannels, number: int) -> Rows:
        channels, height = len(self.a_apart), len(self.a.base)
        row = at.contraction(
            isa.LANEWISE,
            terms=len(self.a.step),
            places=(isa.IN_MEMORY, isa.IN_MEMORY, isa.IN_SUMS),
            left=(at.addresses_of(self.a.base), self.a.step),
            right=(at.addresses_of(self.b.base), self.b.step),
            out=(at.sums[self.array] + np.arange(height) * at.pitch(channels), [0]),
            flags=isa.GROWS,
            vectors=np.arange(0, channels, at.lanes),
        )
        return [at.tiled(row, height, 1)]
