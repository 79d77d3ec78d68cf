"""Cards, the boxes of a model: a layer in one line, a block as the list of its layers, in columns that all cards share.

A page holds as many layers as possible so; what a card leaves out (values, gradients) its tooltip tells.
"""

from __future__ import annotations

from collections.abc import Sequence

from .layout import Box
from .node import Node
from .svg import text, text_width
from .text import short

CARD, CARD_ROW = 11.0, 14.0
INDENT, COLUMN, PAD = 12.0, 14.0, 10.0


def card_rows(node: Node) -> list[tuple[str, str, str, str]]:
    """(name, what it does, shape, parameters) line by line."""
    shapes = ", ".join(map(str, node.shapes))
    count = f"{node.parameters:,}" if node.parameters else ""
    same = short(node.what) if node.what else ""
    return [
        (short(node.title), same, short(shapes), count),
        *[(short(name), short(what), short(shape), count) for name, what, shape, count in node.inside],
    ]


def card_columns(nodes: Sequence[Node]) -> list[float]:
    """The widths of the four columns that these cards have in common."""
    rows = [(k, row) for node in nodes for k, row in enumerate(card_rows(node))]
    wide = [0.0] * 4
    for k, row in rows:
        for c, words in enumerate(row):
            indent = INDENT if k and not c else 0.0
            wide[c] = max(wide[c], text_width(words, CARD if k or c else CARD + 1) + indent)
    return wide


def card_size(nodes: Sequence[Node]) -> tuple[float, float]:
    """The width that these cards need to have the same columns, and the height of the first."""
    wide = [w for w in card_columns(nodes) if w]
    return sum(wide) + COLUMN * (len(wide) - 1) + 2 * PAD, 24.0 + (
        CARD_ROW * len(nodes[0].inside) + 4 * bool(nodes[0].inside)
    )


def card_text(node: Node, box: Box, columns: Sequence[float]) -> list[str]:
    """The texts of a card, in the columns that ``card_columns`` gives."""
    x, y = box.left + PAD, box.top + 16
    starts, at = [], x
    for width in columns:
        starts.append(at)
        at += width + COLUMN * bool(width)
    right = box.left + box.width - PAD
    parts = []
    for k, (name, what, shape, count) in enumerate(card_rows(node)):
        high = y + CARD_ROW * k + 3 * bool(k)
        bold = {} if k else {"font_weight": "bold"}
        parts.append(
            text(starts[0] + INDENT * bool(k), high, name, "soft" if k else "ink", CARD if k else CARD + 1, **bold)
        )
        for words, place, anchor, look in (
            (what, starts[1], "start", "ink"),
            (shape, starts[2], "start", "soft"),
            (count, right, "end", "ink"),
        ):
            if words:
                parts.append(text(place, high, words, look, CARD, anchor))
    return parts
