"""LaTeX to MathML, so that a page shows formulas offline and without a script.

``notation`` reads the LaTeX; here its tree is printed.  Everything that comes out is escaped, so a name cannot become
an element of the page.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape

from .notation import ACCENTS, BIG, GREEK, NOTHING, OPERATORS, SPACES, SYMBOLS, Part, read
from .text import clean


def mathml(latex: str, display: bool = False, annotated: bool = True) -> str:
    """A <math> element for a formula in the LaTeX subset of the views; ``display``: large, on a line of its own;
    ``annotated``: with the LaTeX, for those who copy it.

    Raises ValueError for groups nested more than 100 deep.
    """
    mode = ' display="block"' if display else ""
    body = _body(latex)
    if annotated:
        note = escape(clean(latex))
        body = f'<semantics>{body}<annotation encoding="application/x-tex">{note}</annotation></semantics>'
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML"{mode}>{body}</math>'


@lru_cache(4096)
def _body(latex: str) -> str:
    return f"<mrow>{_all(read(latex).parts)}</mrow>"


def _all(parts: tuple[Part, ...]) -> str:
    return "".join(map(_print, parts))


def _print(part: Part) -> str:
    """One part of a formula as MathML."""
    kind, said = part.kind, part.text
    if kind == "group":
        return f"<mrow>{_all(part.parts)}</mrow>"
    if kind == "number":
        return _element("mn", said)
    if kind in ("letter", "slot"):
        return _element("mi", said)
    if kind in ("mark", "sign"):
        return _mark(part)
    if kind == "words":
        if part.style == "text":
            space = '<mspace width="0.25em"/>'  # browsers drop white space at the ends of <mtext>
            before, after = (space * (said.strip() != "" and c == " ") for c in (said[:1], said[-1:]))
            return before + _element("mtext", said) + after
        return _element("mi", said, 'mathvariant="normal"')
    if kind == "symbol":
        sign = BIG.get(said) or OPERATORS.get(said)
        return _element("mo", sign) if sign else _element("mi", GREEK.get(said) or SYMBOLS[said])
    if kind == "function":
        return _element("mi", said) + "<mo>&#x2061;</mo>"
    if kind == "space":
        return f'<mspace width="{SPACES[said]}"/>'
    if kind == "apart":
        return '<mspace width="0.17em"></mspace>'
    if kind == "fraction":
        return f"<mfrac>{_all(part.parts)}</mfrac>"
    if kind == "root":
        return f"<msqrt>{_all(part.parts)}</msqrt>"
    if kind == "accent":
        return f'<mover accent="true">{_all(part.parts)}{_element("mo", ACCENTS[said])}</mover>'
    if kind == "coloured":
        safe = said if re.fullmatch(r"[#\w(), .%-]+", said) else "inherit"
        return f'<mrow style="color:{escape(safe)}">{_all(part.parts)}</mrow>'
    if kind == "scripted":
        return _scripted(part)
    if kind == "fence":
        return _fence(part)
    return _table(part) if kind == "table" else ""


def _mark(part: Part) -> str:
    if part.style:  # a command, shown as it is
        return _element("mo", part.text)
    form = ' form="prefix"' if part.kind == "sign" else ""
    sign = {"-": "−", "*": "∗", "'": "′"}.get(part.text, part.text)
    return _element("mo", sign, f'stretchy="false"{form}')


def _scripted(part: Part) -> str:
    base, below, above = part.parts
    limits = part.style == "limits"
    printed = "<mrow></mrow>" if base is NOTHING else _print(base)
    if below is not NOTHING and above is not NOTHING:
        tag = "munderover" if limits else "msubsup"
        return f"<{tag}>{printed}{_print(below)}{_print(above)}</{tag}>"
    if above is NOTHING:
        tag, script = ("munder" if limits else "msub"), below
    else:
        tag, script = ("mover" if limits else "msup"), above
    return f"<{tag}>{printed}{_print(script)}</{tag}>"


def _fence(part: Part) -> str:
    """Brackets that grow with what they hold."""
    inside = _all(part.parts[0].parts)
    tall = any(tag in inside for tag in ("<mfrac", "<mtable", "<munder"))
    look = f'fence="true" stretchy="{"true" if tall else "false"}"'
    left, right = (_element("mo", m, look) if m != "." else "" for m in (part.text, part.style))
    return f"<mrow>{left}<mrow>{inside}</mrow>{right}</mrow>"


def _table(part: Part) -> str:
    aligned = part.text == "aligned"
    sides = ("text-align:right;padding-right:0", "text-align:left;padding-left:.2em") if aligned else ("",)
    rows = [[_all(cell.parts) for cell in row.parts] for row in part.parts]
    body = "".join(
        "<mtr>" + "".join(_cell(c, sides[min(k, len(sides) - 1)]) for k, c in enumerate(row)) + "</mtr>"
        for row in rows
        if any(row)
    )
    shown = ' displaystyle="true"' if aligned else ""
    marks = {"bmatrix": "[]", "pmatrix": "()"}.get(part.text, "")
    fences = [_element("mo", m, 'fence="true" stretchy="true"') for m in marks] or ["", ""]
    return f"<mrow>{fences[0]}<mtable{shown}>{body}</mtable>{fences[1]}</mrow>"


def _cell(content: str, style: str) -> str:
    return f'<mtd style="{style}">{content}</mtd>' if style else f"<mtd>{content}</mtd>"


def _element(tag: str, content: str, attributes: str = "") -> str:
    return f"<{tag}{' ' + attributes if attributes else ''}>{escape(clean(content))}</{tag}>"
