"""Products of arrays, all through the one row ``contract``: matmul, dot, outer, tensordot, einsum."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import numpy as np

from .. import primitives as p
from ..operands import found
from ..shapes import broadcast_shapes, listed, normalize_axes, normalize_axis, shown, whole_number
from ..tape import Tensor, constant, within
from .composed import composed, operand
from .spelling import spelled

__all__ = ["cross", "dot", "einsum", "inner", "kron", "matmul", "outer", "tensordot", "vdot"]


def same_dtype(*xs: Any) -> list[Any]:
    """Operands of a contraction in their common dtype, by recorded casts."""
    if any(isinstance(x, Tensor) for x in xs):
        xs = tuple(x if isinstance(x, Tensor) else constant(x) for x in xs)
    dtype = np.result_type(*[x.dtype for x in xs])
    return [x if x.dtype == dtype else p.cast(x, dtype=dtype) for x in xs]


@composed("x", "y")
def matmul(x: Any, y: Any) -> Tensor:
    """z[.., i, k] = sum_j x[.., i, j] y[.., j, k]; 1-D operands are rows and columns, leading axes broadcast.

    Also ``x @ y``.  Raises ValueError for a scalar, or sizes of j that differ.

    >>> ac.matmul([[1.0, 2.0], [3.0, 4.0]], [1.0, -1.0])
    array([-1., -1.])
    """
    _check_product(x, y, "matmul")
    batch = ascii_letters[3 : 1 + max(x.ndim, y.ndim, 2)]
    left, right = [batch[len(batch) - max(operand.ndim - 2, 0) :] for operand in (x, y)]
    rows, columns = "a" * (x.ndim > 1), "c" * (y.ndim > 1)
    equation = f"{left}{rows}b,{right}b{columns}->{batch}{rows}{columns}"
    return _contracted(equation, [f"{left}{rows}b", f"{right}b{columns}"], batch + rows + columns, x, y)


@spelled
def dot(x: Any, y: Any) -> Tensor:
    """np.dot: the matrix product of vectors and matrices; with a number x * y; of more axes the sum over the last of x
    and the last but one of y, z[i.., k.., l] = sum_j x[i.., j] y[k.., j, l].

    Raises ValueError for sizes of j that differ.

    >>> float(ac.dot([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    x, y = operand(x, "dot: x"), operand(y, "dot: y")
    if not x.ndim or not y.ndim:
        return p.mul(x, y)
    _check_product(x, y, "dot")
    return tensordot(x, y, ((-1,), (-2,))) if y.ndim > 2 else matmul(x, y)


def _check_product(x: Any, y: Any, name: str) -> None:
    """ValueError unless rows of x fit columns of y."""
    if not x.ndim or not y.ndim:
        raise ValueError(f"{name}: shapes {x.shape} and {y.shape}: a scalar has no axis to sum over; use * instead")
    inner = (x.shape[-1], y.shape[-2 if y.ndim > 1 else 0])
    if inner[0] != inner[1]:
        raise ValueError(
            f"{name}: shapes {x.shape} and {y.shape} do not fit: {inner[0]} columns against {inner[1]} rows; transpose "
            "one of them?"
        )


@composed("x", "y")
def outer(x: Any, y: Any) -> Tensor:
    """z[i, j] = x[i] y[j] of the flattened operands.

    >>> ac.outer([1.0, 2.0], [3.0, 4.0])
    array([[3., 4.],
           [6., 8.]])
    """
    x, y = same_dtype(p.reshape(x, shape=(x.size,)), p.reshape(y, shape=(y.size,)))
    return p.contract(x, y, spec="a,b->ab")


@composed("x", "y")
def tensordot(x: Any, y: Any, axes: int | Sequence[Any] = 2) -> Tensor:
    """Sum over pairs of axes: the last ``axes`` of x with the first of y, or the axes listed for each.

    z[a.., b..] = sum_j.. x[a.., j..] y[j.., b..].  Raises ValueError for axes that are not there or differ in size.

    >>> ac.tensordot(np.ones((2, 3, 4)), np.ones((4, 3, 5)), axes=([1, 2], [1, 0])).shape
    (2, 5)
    """
    if len(pair := listed(axes)) == 1 and pair[0] is axes:
        count = whole_number(axes, "tensordot: axes", 0)
        if count > min(x.ndim, y.ndim):
            raise ValueError(f"tensordot: axes={count} for shapes {x.shape} and {y.shape}, which do not have so many")
        pair = (tuple(range(x.ndim - count, x.ndim)), tuple(range(count)))
    if len(pair) != 2:
        raise ValueError(f"tensordot: axes {shown(axes)} must be a number, or the axes of x and those of y")
    axes = (listed(pair[0]), listed(pair[1]))
    of_x, of_y = normalize_axes(axes[0], x.ndim, "tensordot"), normalize_axes(axes[1], y.ndim, "tensordot")
    if [x.shape[i] for i in of_x] != [y.shape[j] for j in of_y]:
        raise ValueError(f"tensordot: axes {of_x} of shape {x.shape} and {of_y} of shape {y.shape} differ in size")
    in_x, in_y = list(ascii_letters[: x.ndim]), list(ascii_letters[x.ndim : x.ndim + y.ndim])
    for i, j in zip(of_x, of_y, strict=True):
        in_y[j] = in_x[i]
    result = [c for i, c in enumerate(in_x) if i not in of_x] + [c for j, c in enumerate(in_y) if j not in of_y]
    x, y = same_dtype(x, y)
    return p.contract(x, y, spec=f"{''.join(in_x)},{''.join(in_y)}->{''.join(result)}")


def einsum(equation: str, *operands: Any) -> Tensor:
    """np.einsum for any number of operands: repeated letters are diagonals, absent ones are summed, "..." broadcasts.

    Operands are contracted two at a time from the left.  Raises ValueError for an equation that does not fit the
    operands.

    >>> ac.einsum("bij,bj->bi", np.ones((2, 3, 4)), np.ones((2, 4))).shape
    (2, 3)
    >>> float(ac.einsum("ii->", [[1.0, 2.0], [3.0, 4.0]]))  # the trace
    5.0
    """
    if not isinstance(equation, str):
        raise TypeError(f"einsum: the equation must be a text such as 'ij,jk->ik', found {found(equation)}")
    operands = tuple([operand(x, f"einsum: operand {i}") for i, x in enumerate(operands, 1)])
    terms, result = parse_equation(equation, operands)
    if not any(isinstance(x, Tensor) for x in operands):
        return _contracted(equation, terms, result, *operands)
    return within("einsum", _contracted, equation, terms, result, *operands)


def _contracted(equation: str, terms: list[str], result: str, *operands: Any) -> Tensor:
    sizes: dict[str, int] = {}
    for letters, x in zip(terms, operands, strict=True):
        for c, n in zip(letters, x.shape, strict=True):
            if sizes.setdefault(c, n) != n:
                if 1 not in (n, sizes[c]):
                    raise ValueError(f"einsum {equation!r}: index {c} is {sizes[c]} in one operand and {n} in another")
                sizes[c] = n if sizes[c] == 1 else sizes[c]
    if missing := [c for c in result if c not in sizes]:
        raise ValueError(f"einsum {equation!r}: index {missing[0]} of the result is in no operand")
    parts = same_dtype(*operands)
    tidy = [_tidy(letters, x, sizes) for letters, x in zip(terms, parts, strict=True)]
    letters, x = tidy[0]
    for position, (others, y) in enumerate(tidy[1:], 2):
        needed = set(result).union(*[set(later) for later, _ in tidy[position:]])
        letters, x = _lone(letters, x, needed | set(others))
        others, y = _lone(others, y, needed | set(letters))
        kept = "".join(dict.fromkeys(c for c in letters + others if c in needed))
        x, letters = p.contract(x, y, spec=f"{letters},{others}->{kept}"), kept
    letters, x = _lone(letters, x, set(result))
    return x if letters == result else p.permute_dims(x, axes=tuple(letters.index(c) for c in result))


def parse_equation(equation: str, operands: Sequence[Any]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with "..." spelt out in capital letters of their own."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum {equation!r}: {len(terms)} terms for {len(operands)} operands")
    free = [c for c in reversed(ascii_letters) if c not in equation]
    widths = [np.ndim(x) - len(term.replace("...", "")) for term, x in zip(terms, operands, strict=True)]
    for term, x, width in zip(terms, operands, widths, strict=True):
        if width < 0 or (width and "..." not in term):
            raise ValueError(
                f"einsum {equation!r}: {term!r} names {len(term.replace('...', ''))} axes, the operand has shape "
                f"{np.shape(x)}"
            )
    dots = "".join(free[: max([w for w, t in zip(widths, terms, strict=True) if "..." in t], default=0)])
    spelt = [t.replace("...", dots[len(dots) - w :]) for t, w in zip(terms, widths, strict=True)]
    if not arrow:
        named = "".join(spelt)
        result = "..." * bool(dots) + "".join(sorted(c for c in set(named) - set(dots) if named.count(c) == 1))
    result = result.replace("...", dots)
    if not all(c.isalpha() for c in "".join(spelt) + result) or len(set(result)) < len(result):
        raise ValueError(f"einsum {equation!r}: use letters, '...', ',' and '->', and each letter once in the result")
    return spelt, result


def _tidy(letters: str, x: Any, sizes: dict[str, int]) -> tuple[str, Any]:
    """An operand with each letter once and at its full size: diagonals taken, axes of size 1 that broadcast dropped."""
    if len(set(letters)) < len(letters):
        once = "".join(dict.fromkeys(letters))
        names = np.einsum(f"{letters}->{once}", np.arange(x.size).reshape(x.shape))
        x, letters = p.take(p.reshape(x, shape=(x.size,)), names, axis=0), once
    thin = [i for i, c in enumerate(letters) if x.shape[i] == 1 != sizes[c]]
    if thin:
        x = p.index(x, key=tuple(0 if i in thin else slice(None) for i in range(x.ndim)))
        letters = "".join(c for i, c in enumerate(letters) if i not in thin)
    return letters, x


def _lone(letters: str, x: Any, needed: set[str]) -> tuple[str, Any]:
    """Sum over the axes whose letter no other operand and not the result has."""
    lone = tuple(i for i, c in enumerate(letters) if c not in needed)
    if not lone:
        return letters, x
    return "".join(c for c in letters if c in needed), p.sum_(x, axis=lone)


# ---- further products


@composed("x", "y")
def inner(x: Any, y: Any) -> Tensor:
    """z[i.., k..] = sum_j x[i.., j] y[k.., j], over the last axes; with a number x * y.

    >>> ac.inner([[1.0, 2.0], [3.0, 4.0]], [1.0, -1.0])
    array([-1., -1.])
    """
    if not x.ndim or not y.ndim:
        return p.mul(x, y)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"inner: shapes {x.shape} and {y.shape} have last axes of different sizes")
    return tensordot(x, y, ((-1,), (-1,)))


@composed("x", "y")
def vdot(x: Any, y: Any) -> Tensor:
    """The sum of the products of all elements, both flattened.  Raises ValueError for other numbers of elements.

    >>> float(ac.vdot([[1.0, 2.0]], [[3.0], [4.0]]))
    11.0
    """
    if x.size != y.size:
        raise ValueError(f"vdot: shapes {x.shape} and {y.shape} have {x.size} and {y.size} elements")
    return matmul(p.reshape(x, shape=(x.size,)), p.reshape(y, shape=(y.size,)))


@composed("x", "y")
def kron(x: Any, y: Any) -> Tensor:
    """Kronecker's product: each element of x times the whole of y, block by block.

    >>> ac.kron([1.0, 10.0], [1.0, 2.0])
    array([ 1.,  2., 10., 20.])
    """
    ndim = max(x.ndim, y.ndim)
    left, right = [(1,) * (ndim - z.ndim) + z.shape for z in (x, y)]
    product = p.mul(
        p.reshape(x, shape=tuple(k for n in left for k in (n, 1))),
        p.reshape(y, shape=tuple(k for n in right for k in (1, n))),
    )
    return p.reshape(product, shape=tuple(n * m for n, m in zip(left, right, strict=True)))


@composed("x", "y")
def cross(x: Any, y: Any, axis: int = -1) -> Tensor:
    """The vector product along ``axis``, of size 3: (x1 y2 - x2 y1, x2 y0 - x0 y2, x0 y1 - x1 y0).

    Raises ValueError for another size.

    >>> ac.cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    array([0., 0., 1.])
    """
    if not x.ndim or not y.ndim:
        raise ValueError(f"cross: shapes {x.shape} and {y.shape}; vectors of three elements are needed")
    at = [normalize_axis(axis, z.ndim, "cross") for z in (x, y)]
    if x.shape[at[0]] != 3 or y.shape[at[1]] != 3:
        raise ValueError(
            f"cross: shapes {x.shape} and {y.shape} along axis {axis}; vectors of three elements are needed"
        )
    broadcast_shapes(x.shape, y.shape, operation="cross")
    turned = [
        p.take(z, np.array(order), axis=i)
        for z, i, order in ((x, at[0], (1, 2, 0)), (y, at[1], (2, 0, 1)), (x, at[0], (2, 0, 1)), (y, at[1], (1, 2, 0)))
    ]
    return p.sub(p.mul(turned[0], turned[1]), p.mul(turned[2], turned[3]))
