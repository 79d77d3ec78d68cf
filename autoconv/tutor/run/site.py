"""A site of the sweep: one line and one of its operands, where a gradient is pulled back and something can go wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from ...backward import pull
from ...functional.axes import AXIS_ROLES, BATCH, WINDOW
from ...tape import Primitive, Tensor

Array = Any


class Site:
    """Operand number ``k`` of ``line``; the right contribution to it, for a cotangent g of the line, is ``right(g)``.

    readers: the rows that read the line, where that is known.  x, y: the values of the operand and of the line.  pull:
    what pulls back, ``backward.pull`` or that of a run; read: the lines that read a line, as far as a run knows them.
    """

    def __init__(
        self,
        line: Tensor,
        k: int,
        readers: tuple[str, ...] = (),
        pull: Callable[..., list[Any]] = pull,
        read: Callable[[Tensor], list[Tensor]] = lambda line: [],
    ) -> None:
        self.line, self.k, self.readers, self._pull, self.read = line, k, readers, pull, read
        self.operand = line.operands[k]

    @property
    def primitive(self) -> Primitive:
        assert self.line.primitive is not None
        return self.line.primitive

    @property
    def row(self) -> str:
        return self.primitive.name

    @property
    def x(self) -> Array:
        return self.operand.value

    @property
    def y(self) -> Array:
        return self.line.value

    def other(self) -> Array:
        """The other operand of a row with two."""
        return self.line.operands[1 - self.k].value

    def right(self, g: Array) -> Array:
        return self._pull(self.line, g, (self.k,), False)[0]

    @cached_property
    def slope(self) -> Array:
        """The local derivative dy/dx of a row that works element by element: what a cotangent of ones gives."""
        return self.right(np.ones(self.line.shape))

    @property
    def elementwise(self) -> bool:
        assert self.line.primitive is not None
        return self.line.primitive.elementwise

    @cached_property
    def calls(self) -> tuple[str, ...]:
        """The names of the composed operations and layers that the line was recorded in, outermost first."""
        return tuple(scope.name for scope in self.line.scope.path) if self.line.scope else ()

    @cached_property
    def composed(self) -> bool:
        """Whether the line belongs to a composed operation, and was not written by the user."""
        return any(scope.kind == "call" for scope in self.line.scope.path) if self.line.scope else False

    def inside(self, *words: str) -> bool:
        """Whether the line belongs to a call whose name begins with one of ``words``, as in inside("conv")."""
        return any(name.startswith(words) for name in self.calls)

    @property
    def pooling(self) -> str | None:
        """The pooling that the line serves: "max", "avg" or none."""
        for name in self.calls:
            if name.startswith(("max_pool", "avg_pool", "lp_pool")):
                return name[:3].rstrip("_")
        return None


class Contraction:
    """A contraction read by its letters, for the gradient of one of its two operands:

        y = contract(a, b, "nxyijc,ijco->nxyo"):        b_bar = contract(y_bar, a, "nxyo,nxyijc->ijco")

    own, others, result: the letters of that operand, of the other one, and of y; spec: the contraction of the gradient;
    summed: the letters it sums over, shared: those of them that y and the other operand have in common.  roles: what
    each letter stands for ("batch", "positions", "window", "channels", "filters", "groups").  is_kernel: whether the
    operand is the kernel of a convolution, has_kernel: whether the other one is.
    """

    def __init__(self, site: Site) -> None:
        left, self.result = site.line.params["spec"].split("->")
        letters = left.split(",")
        self.own, self.others = letters[site.k], letters[1 - site.k]
        self.spec = f"{self.result},{self.others}->{self.own}"
        self.summed = [c for c in dict.fromkeys(self.result + self.others) if c not in self.own]
        self.shared = [c for c in self.summed if c in self.result and c in self.others]
        self.convolution = site.inside("conv")
        self.roles = AXIS_ROLES if self.convolution else self._roles(letters, site)
        self.is_kernel = self.convolution and self._kernel(self.own)  # the gradient is the kernel's
        self.has_kernel = self.convolution and self._kernel(self.others)  # the kernel is what g meets

    def _roles(self, letters: list[str], site: Site) -> dict[str, str]:
        """The roles in a product of data and weights, as in (batch, positions, channels) x (channels, filters)."""
        weights = next(
            (k for k in (1, 0) if stored(site.line.operands[k]) and not stored(site.line.operands[1 - k])), 1
        )
        roles = dict.fromkeys("".join(letters), "channels")
        free = [c for c in self.result if c not in letters[weights]]
        roles |= {c: "positions" if i else "batch" for i, c in enumerate(free)}
        roles |= {c: "filters" for c in self.result if c not in letters[1 - weights]}
        both = [c for c in self.result if c in letters[0] and c in letters[1]]
        return roles | {c: "positions" if i else "batch" for i, c in enumerate(both)}

    @staticmethod
    def _kernel(letters: str) -> bool:
        return BATCH not in letters

    def window(self, letters: str) -> tuple[int, ...]:
        """The kernel's spatial axes among ``letters``."""
        return tuple(i for i, c in enumerate(letters) if c in WINDOW) if self.convolution else ()

    def of_role(self, role: str) -> list[str]:
        """The summed letters that play ``role``."""
        return [c for c in self.summed if self.roles[c] == role]

    def product(self, g: Array, other: Array) -> Array:
        return np.einsum(self.spec, g, other, optimize=True)

    def only(self, g: Array, other: Array, letters: list[str], at: int) -> Array:
        """The product where only index ``at`` (0 or -1) of ``letters`` takes part in the sum."""

        def cut(x: Array, names: str) -> Array:
            return x[tuple(slice(at, None if at == -1 else at + 1) if c in letters else slice(None) for c in names)]

        return self.product(cut(g, self.result), cut(other, self.others))

    def sums(self, g: Array, other: Array, letters: list[str]) -> Array:
        """The product of the sums over ``letters``, instead of the sum of the products."""

        def total(x: Array, names: str) -> Array:
            return x.sum(axis=tuple(i for i, c in enumerate(names) if c in letters), keepdims=True)

        return self.product(total(g, self.result), total(other, self.others))


def stored(x: Tensor) -> bool:
    """Whether x is a parameter or an input, or one of these with its axes moved."""
    while x.primitive is not None and (x.primitive.rearranges or x.primitive.name == "broadcast_to"):
        x = x.operands[0]
    return x.primitive is None and not x.constant


def counts_terms(line: Tensor) -> bool:
    """Whether a line divides a sum by the number of its terms: a mean."""
    if line.primitive is None or line.primitive.name != "div":
        return False
    above, below = line.operands
    while above.primitive is not None and above.primitive.rearranges:
        above = above.operands[0]
    if above.primitive is None or above.primitive.name != "sum" or not below.constant or not below.size:
        return False
    terms = prod(above.operands[0].shape[a] for a in above.params["axis"])
    return terms > 1 and bool((below.value == terms).all())


def select(size: int, count: int, window: int, stride: int, dilation: int, shift: int = 0) -> Array:
    """S[p, u, h] = 1 where tap u of window p reads cell h = p * stride + u * dilation + shift of ``size`` cells."""
    cells = stride * np.arange(count)[:, None, None] + dilation * np.arange(window)[None, :, None] + shift
    return (cells == np.arange(size)).astype(float)


def gather(x: Array, axes: tuple[int, ...], selections: list[Array]) -> Array:
    """Windows of x by the selections of each dimension: ``axes`` become (*counts, *window); cells outside are 0."""
    first, dims = axes[0], len(axes)
    for chosen in selections:
        x = np.tensordot(x, chosen, axes=(first, 2))  # the axis leaves, (count, window) come at the end
    rest = x.ndim - first - 2 * dims
    windows = [first + rest + 2 * d for d in range(dims)] + [first + rest + 2 * d + 1 for d in range(dims)]
    return x.transpose([*range(first), *windows, *range(first, first + rest)])


def put(frames: Array, axes: tuple[int, ...], selections: list[Array]) -> Array:
    """The adjoint of ``gather``: every tap added at its cell, those that fall outside dropped."""
    first, dims = axes[0], len(axes)
    for d, chosen in enumerate(selections):
        frames = np.tensordot(frames, chosen, axes=((first, first + dims - d), (0, 1)))
    rest = frames.ndim - first - dims
    return frames.transpose([*range(first), *range(first + rest, first + rest + dims), *range(first, first + rest)])


def unmoved(line: Tensor) -> tuple[Tensor, list[Tensor]]:
    """(what a line is but moved from, the moves that lead from there to it): transposed, padded, in windows."""
    moves: list[Tensor] = []
    while line.primitive is not None and line.primitive.group == "wiring" and not line.constant:
        moves.append(line)
        line = line.operands[0]
    return line, moves


def carried(value: Array, moves: list[Tensor]) -> Array:
    """Another value carried through the same moves."""
    for line in reversed(moves):
        assert line.primitive is not None
        value = line.primitive.forward(value, *[x.value for x in line.operands[1:]], **line.params)
    return value
