"""The ONNX column of ``contract``: one MatMul between transposes and reshapes of the operands."""

from __future__ import annotations

from collections.abc import Sequence

from ..nodes import Emitter, product
from ..sizes import Dim, Row
from .wiring import back, summed, wide


def letters(row: Row) -> tuple[str, str, str]:
    """(letters of the first operand, of the second, of the result)."""
    operands, result = row.params["spec"].split("->")
    a, b = operands.split(",")
    return a, b, result


def contract(e: Emitter, row: Row, xs: list[str]) -> str:
    """y[batch, free_a, free_b] = sum_k a[batch, free_a, k] b[batch, k, free_b], the letters of ``spec`` sorted so."""
    names = list(letters(row)[:2])
    result = letters(row)[2]
    operands = [e.rows[k] for k in row.operands]
    size: dict[str, Dim] = {c: n for text, x in zip(names, operands, strict=True)
                            for c, n in zip(text, x.shape, strict=True)}  # fmt: skip
    if any(len(set(text)) < len(text) for text in names):
        raise ValueError(f"onnx: contract of a diagonal ({row.params['spec']}) has no cell")
    made = []
    for k, x in enumerate(xs):
        y = x if operands[k].dtype == row.dtype else e.cast(x, row.dtype)
        y, dtype = wide(e, y, row.dtype)
        alone = [i for i, c in enumerate(names[k]) if c not in names[1 - k] and c not in result]
        if alone:
            y = summed(e, y, dtype, alone, 0)
            names[k] = "".join(c for c in names[k] if c in names[1 - k] or c in result)
        made.append(y)
    a, b = names
    batch = [c for c in result if c in a and c in b]
    inner = [c for c in a if c in b and c not in result]
    free_a, free_b = [[c for c in result if c in mine and c not in other] for mine, other in ((a, b), (b, a))]
    if list(result) == batch + free_b + free_a and free_a and free_b:
        (a, b), (free_a, free_b), made = (b, a), (free_b, free_a), made[::-1]
        inner = [c for c in a if c in inner]
    left = _arranged(e, made[0], a, size, batch, free_a, inner)
    right = _arranged(e, made[1], b, size, batch, inner, free_b)
    y = e.node("MatMul", left, right)
    order = batch + free_a + free_b
    flat = [*[size[c] for c in batch], product([size[c] for c in free_a]), product([size[c] for c in free_b])]
    shape = [size[c] for c in order]
    y = e.reshape(y, shape, tuple(flat))  # type: ignore[arg-type]
    if order:
        y = e.node("Transpose", y, perm=tuple(order.index(c) for c in result))
    return back(e, y, row.dtype)


def _arranged(
    e: Emitter,
    x: str,
    text: str,
    size: dict[str, Dim],
    batch: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
) -> str:
    """x as matrices [batch, rows, columns]."""
    order = [*batch, *rows, *columns]
    if order:
        x = e.node("Transpose", x, perm=tuple(text.index(c) for c in order))
    shape = [*[size[c] for c in batch], product([size[c] for c in rows]), product([size[c] for c in columns])]
    return e.reshape(x, shape, tuple(size[c] for c in order))
