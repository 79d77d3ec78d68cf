"""What was judged, as HTML for a page or a notebook: how it was judged first, with a sign and a colour at its side."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .text import clean
from .theme import anywhere

# how it was judged -> the colour at its side, the sign before its words
_SIDES = {"right": ("plus", "✓"), "wrong": ("minus", "✗")}
_OTHERWISE = ("on", "?")


def judged(kind: str, headline: str, summary: str, parts: Sequence[str] = ()) -> str:
    """A verdict: ``headline`` and ``summary`` as plain text, below them ``parts``, HTML of the caller's own making.

    kind: "right", "wrong", or anything else, which stands for neither.

    >>> print(judged("right", "Right", "this is the gradient").splitlines()[1])
    <p style="margin:.4em 0"><strong>✓ Right.</strong> this is the gradient</p>
    """
    colour, sign = _SIDES.get(kind, _OTHERWISE)
    return "\n".join(
        [
            f'<div style="border-left:4px solid {anywhere(colour)};padding:.2em .8em;max-width:52em">',
            paragraph(f"<strong>{sign} {escape(clean(headline))}.</strong> {escape(clean(summary))}".rstrip()),
            *parts,
            "</div>",
        ]
    )


def paragraph(html: str) -> str:
    """A paragraph of a verdict; HTML of the caller's own making."""
    return f'<p style="margin:.4em 0">{html}</p>'


def unfolding(title: str, words: str) -> str:
    """Words that a reader opens when he wants them; plain text."""
    return f"<details><summary>{escape(title)}</summary>{paragraph(escape(clean(words)))}</details>"
