"""What a notebook shows of a view: one bundle for every host, which reads well where HTML is stripped.

A host takes the richest form that it trusts.  JupyterLab shows a notebook that it did not run itself by an allow-list
of elements and attributes, and so do GitHub and others: scripts, frames, MathML and inline SVG fall away there, and
of an element that falls away the text stays, run together.  So pictures stand in the HTML as images with words beside
them, and formulas hold the signs that their layout stands for, unseen, as a fraction's stroke: what is left of them
is the formula in one line.
"""

from __future__ import annotations

import re
from base64 import b64encode
from html import escape
from xml.etree import ElementTree

from .latex import escaped
from .svg import text, text_width, whole
from .text import clean, cut

LINES, COLUMNS = 60, 140  # of a text that is drawn
_SPACE = "http://www.w3.org/1998/Math/MathML"
_SCRIPTS = {"msub": "_", "munder": "_", "msup": "^", "mover": "^", "msubsup": "_^", "munderover": "_^"}
_LOOSE = frozenset("+−-=·×/∗")  # what holds looser than a fraction's stroke
_RELATIONS = frozenset("=≈≤≥")


def bundle(
    plain: str, *, html: str = "", svg: str = "", latex: str = "", markdown: str = "", caption: str = ""
) -> dict[str, str]:
    """The forms of one view by their types: HTML, a picture, LaTeX and plain text, each of type str itself.

    plain: in words.  html: what a page shows (default: the picture with its caption, or the words).  svg: its picture
    (default: the words, drawn).  latex: of its formula, without dollars (default: the words).  caption: what the
    picture shows, for those who do not see it.
    """
    plain, svg = str(plain), str(svg)
    written = [cut(line, COLUMNS) for line in plain.splitlines()[:LINES]]
    shown = str(html) or (picture(svg, caption or plain) if svg else f"<pre>{escape(plain)}</pre>")
    found = {
        "text/html": legible(shown),
        "image/svg+xml": svg or drawn(written, caption),
        "text/latex": f"$\\displaystyle {latex or _words(written)}$",
        "text/markdown": str(markdown),
        "text/plain": plain,
    }
    return {kind: form for kind, form in found.items() if form}


def picture(svg: str, words: str) -> str:
    """A picture as an image within HTML: it survives where <svg> is stripped, and there its colours follow the page.

    words: what it shows, for those who do not see it.
    """
    data = b64encode(str(svg).encode()).decode()
    said = escape(clean(cut("; ".join(line.strip() for line in words.splitlines()), 2000)))
    return f'<img alt="{said}" src="data:image/svg+xml;base64,{data}" style="max-width:100%"/>'


def details(svg: str, words: str) -> str:
    """A picture that a reader unfolds, below what a place that runs no script does not show."""
    return f"<details><summary>as a still picture</summary>{picture(svg, words)}</details>"


def drawn(lines: list[str], caption: str = "") -> str:
    """Lines of text as a picture."""
    width = max((text_width(line, 12) for line in lines), default=0.0) + 24
    parts = [text(12, 22 + 17 * k, line, size=12) for k, line in enumerate(lines)]
    return whole(max(width, 60.0), 17.0 * len(lines) + 18, caption or (lines[0] if lines else ""), parts)


def _words(lines: list[str]) -> str:
    rows = r" \\ ".join(rf"\texttt{{{escaped(line, text=True)}}}" for line in lines)
    return rf"\begin{{array}}{{l}} {rows} \end{{array}}"


# ---- formulas that read without their layout


def legible(html: str) -> str:
    """HTML whose formulas (MathML, as ``mathml`` writes it) read as one line of text where the elements are stripped.

    >>> from autoconv.render.mathml import mathml
    >>> import re
    >>> re.sub("<[^>]*>", "", legible(mathml(r"\\frac{\\partial C}{\\partial w_{1}} = i_{1} + x^{2}")))
    '∂C/∂w_1 = i_1+x^2'
    """
    return re.sub(r"<math .*?</math>", lambda found: _legible(found[0]), html, flags=re.DOTALL)


def _legible(formula: str) -> str:
    try:
        root = ElementTree.fromstring(formula.replace(f' xmlns="{_SPACE}"', "", 1))
    except ElementTree.ParseError:  # of someone else's making
        return formula
    semantics = root.find("semantics")
    if semantics is not None:  # the LaTeX is text too: it becomes an attribute
        note = semantics.find("annotation")
        root.set("alttext", note.text or "" if note is not None else "")
        body = semantics[0]
        root.remove(semantics)
        root.append(body)
    for element in list(root.iter()):
        _sign(element)
    root.set("xmlns", _SPACE)
    return ElementTree.tostring(root, encoding="unicode")


def _sign(element: ElementTree.Element) -> None:
    """Put what the layout of an element means beside its parts, as text that is not displayed."""
    tag, parts = element.tag, list(element)
    if tag == "mfrac":
        _said(element, 0, "", whole=True)
        _said(element, 1, "/", whole=True)
    elif tag in _SCRIPTS and element.get("accent") is None:
        for k, sign in enumerate(_SCRIPTS[tag], 1):
            _said(element, k, sign)
    elif tag == "msqrt":
        element.insert(0, _unseen("√("))
        element.append(_unseen(")"))
    elif tag == "mtr" and parts:
        for cell in parts[:-1]:
            cell.append(_unseen(" "))
        parts[-1].append(_unseen("; "))
    elif tag in ("mrow", "mtd"):
        for k in range(len(parts) - 1, -1, -1):
            if parts[k].tag == "mspace":
                element.insert(k, _unseen(" "))
            elif parts[k].text in _RELATIONS:
                element.insert(k + 1, _unseen(" "))
                element.insert(k, _unseen(" "))


def _said(parent: ElementTree.Element, k: int, sign: str, whole: bool = False) -> None:
    """A part of a fraction, or a script, in a row with the sign before it; in brackets where it would come apart."""
    part = parent[k]
    marks = {x.text for x in part.iter("mo")}
    loose = bool(marks & _LOOSE) if whole else len([x for x in part.iter() if x.text]) > 1
    row = ElementTree.Element("mrow")
    row.append(_unseen(sign + "(" * loose))
    row.append(part)
    row.append(_unseen(")" * loose))
    parent[k] = row


def gap(sign: str) -> str:
    """What stands between two cells of a layout where the layout is stripped; a page does not show it."""
    return f'<math style="display:none"><mtext>{escape(sign)}</mtext></math>'


def _unseen(sign: str) -> ElementTree.Element:
    made = ElementTree.Element("mtext", {"style": "display:none"})
    made.text = sign
    return made
