"""Writing SVG: elements with escaped text, and the colours of light and dark pages and of the elements of a tensor.

A picture carries its own style sheet, uses no script, no link and no outside font, and paints its own background, so
that it reads the same in a browser, a notebook, or another page.  Its colours are the theme's.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from unicodedata import east_asian_width

from .text import clean
from .theme import COLOURS as THEME
from .theme import MONO

FONT = MONO

# class -> (property, colour of the theme)
# fmt: off
_CLASSES = (
    ("page",     "fill",   "page"),
    ("ink",      "fill",   "ink"),
    ("soft",     "fill",   "soft"),
    ("inverse",  "fill",   "inverse"),
    ("edge",     "stroke", "edge"),
    ("tip",      "fill",   "edge"),
    ("grid",     "stroke", "line"),
    ("axis",     "stroke", "soft"),
    ("first",    "stroke", "plus"),
    ("second",   "stroke", "minus"),
    ("right",    "fill",   "plus"),
    ("wrong",    "fill",   "minus"),
    ("input",    "fill",   "plusfill"),
    ("input",    "stroke", "plus"),
    ("constant", "fill",   "still"),
    ("constant", "stroke", "edge"),
    ("line",     "fill",   "card"),
    ("line",     "stroke", "strong"),
    ("scalar",   "fill",   "card"),
    ("scalar",   "stroke", "faint"),
    ("frame",    "fill",   "box"),
    ("frame",    "stroke", "line"),
    ("halo",     "stroke", "box"),
    ("back",     "stroke", "page"),
    ("tie",      "stroke", "tie"),
    ("grad",     "fill",   "minusink"),
    ("call",     "fill",   "ask"),
    ("call",     "stroke", "on"),
    ("output",   "fill",   "litfill"),
    ("output",   "stroke", "lit"),
)
# fmt: on

# (class, property, light, dark)
COLOURS = tuple((name, what, *THEME[colour]) for name, what, colour in _CLASSES)

# One colour for each element of a tensor, the same in every view: graph, grids, convolution matrix and equation.  The
# first six are near Okabe and Ito's; each further one is the colour furthest from all before it, in Lab, as seen with
# normal, protanope and deuteranope vision.  All of them have a contrast of at least 2.6 to a white page and 3 to a dark
# one. fmt: off
PALETTE = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#8a6d00",
    "#56a0e0",
    "#4848fc",
    "#5484fc",
    "#fc2460",
    "#cc00a8",
    "#546c3c",
    "#a83c78",
    "#4860f0",
    "#d89054",
    "#609cfc",
    "#f07884",
    "#f08400",
    "#8448cc",
    "#6c6c24",
    "#30a8b4",
    "#fc48d8",
    "#606c54",
    "#0c7884",
    "#309c30",
    "#0c84b4",
)
# fmt: on


def colour(index: int, count: int) -> str:
    """The CSS colour of element ``index`` of a tensor of ``count`` elements, by flat index; after 25 they repeat.

    Raises IndexError for an index that the tensor does not have.
    """
    if not 0 <= index < count:
        raise IndexError(f"colour: element {index} of a tensor with {count} elements; the flat index runs from 0")
    return PALETTE[index % len(PALETTE)]


def element_colours(count: int) -> list[str]:
    """The colours of all elements of a tensor of ``count`` elements, by flat index."""
    return [colour(i, count) for i in range(count)]


def style() -> str:
    """The style sheet; every class has the prefix "ac-", so that it changes nothing else in a page."""
    light = "".join(f".ac-{name}{{{what}:{colour}}}" for name, what, colour, _ in COLOURS)
    dark = "".join(f".ac-{name}{{{what}:{colour}}}" for name, what, _, colour in COLOURS)
    return (
        f"<style>.ac-text{{font-family:{FONT};white-space:pre}}{light}@media "
        f"(prefers-color-scheme:dark){{{dark}}}</style>"
    )


def whole(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """A whole picture: its size, its title for screen readers, the background and ``parts``."""
    w, h = coordinate(width), coordinate(height)
    start = f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img">'
    background = f'<rect class="ac-page" width="{w}" height="{h}" rx="8"/>'
    return "\n".join([start, tooltip(title), style(), background, *parts, "</svg>\n"])


def text(
    x: float, y: float, words: str, look: str = "ink", size: float = 11, anchor: str = "start", **more: str
) -> str:
    """One line of text; ``look`` is a class of the table, ``more`` are further attributes."""
    extra = "".join(f' {name.replace("_", "-")}="{escape(value)}"' for name, value in more.items())
    return (
        f'<text class="ac-text ac-{look}" x="{coordinate(x)}" y="{coordinate(y)}" font-size="{coordinate(size)}" '
        f'text-anchor="{anchor}"{extra}>{escape(clean(words))}</text>'
    )


def rect(x: float, y: float, width: float, height: float, look: str, **more: str) -> str:
    extra = "".join(f' {name.replace("_", "-")}="{escape(value)}"' for name, value in more.items())
    return (
        f'<rect class="ac-{look}" x="{coordinate(x)}" y="{coordinate(y)}" width="{coordinate(width)}" '
        f'height="{coordinate(height)}"{extra}/>'
    )


def tooltip(words: str) -> str:
    """What a browser shows when the pointer rests on the element around it."""
    return f"<title>{escape(clean(words))}</title>"


def coordinate(value: float) -> str:
    """At most two digits after the point: the same text on every machine, and short."""
    short = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if short == "-0" else short


def text_width(words: str, size: float) -> float:
    """The width of fixed-pitch text: 0.61 of the size for each character, twice that for wide ones."""
    return 0.61 * size * sum(2 if east_asian_width(c) in "WF" else 1 for c in words)
