"""LaTeX to MathML, so that a page shows formulas offline and without a script.

The subset is what the rows of the table and the views write: fractions, roots, subscripts and superscripts, big sums, matrices,
\\left .. \\right, upright names, Greek letters.  Everything that comes out is escaped; what is not understood is shown as
text, never dropped, so a name cannot become an element of the page.
"""

from __future__ import annotations

import re
from html import escape

from .text import clean

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)
DEEPEST = 100  # nested groups

# fmt: off
_GREEK = dict(zip(
    ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"],
    "αβγδεζηθικλμνξπρστφχψωΓΔΘΛΞΠΣΦΨΩ", strict=True))
_OPERATORS = {
    "cdot": "⋅", "times": "×", "ge": "≥", "le": "≤", "ne": "≠", "approx": "≈", "in": "∈", "partial": "∂", "odot": "⊙",
    "to": "→", "mid": "∣", "wedge": "∧", "sim": "∼", "cdots": "⋯", "dots": "…", "ldots": "…", "lfloor": "⌊",
    "rfloor": "⌋", "colon": ":",
}
_NAMES = {"infty": "∞", "top": "⊤", "square": "□", "backslash": "\\", "ell": "ℓ", "nabla": "∇"}
_FUNCTIONS = frozenset(  # all that LaTeX knows
    ["arccos", "arcsin", "arctan", "arg", "cos", "cosh", "cot", "coth", "csc", "deg", "det", "dim", "exp", "gcd", "hom", "inf", "ker", "lg", "lim", "liminf", "limsup", "ln", "log", "max", "min", "Pr", "sec", "sin", "sinh", "sup", "tan", "tanh"])
_BIG = {"sum": "∑", "prod": "∏"}
_SPACES = {",": "0.17em", ":": "0.22em", ";": "0.28em", " ": "0.25em", "!": "0", "quad": "1em", "qquad": "2em"}
_ACCENTS = {"bar": "¯", "hat": "^", "overline": "¯", "tilde": "~"}
_OPENING = {"", "(", "[", "{", ",", "=", "+", "-", "&", r"\cdot", r"\left"}  # a minus after one of these is a sign
# fmt: on


def mathml(latex: str, display: bool = False, annotated: bool = True) -> str:
    """A <math> element for a formula in the LaTeX subset of the views; ``display``: large, on a line of its own;
    ``annotated``: with the LaTeX, for those who copy it.

    Raises ValueError for groups nested more than 100 deep.
    """
    mode = ' display="block"' if display else ""
    body = f"<mrow>{_Parser(latex).group()}</mrow>"
    if annotated:
        note = escape(clean(latex))
        body = f'<semantics>{body}<annotation encoding="application/x-tex">{note}</annotation></semantics>'
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML"{mode}>{body}</math>'


class _Parser:
    """Reads tokens from left to right; every method returns finished MathML."""

    def __init__(self, latex: str) -> None:
        self.tokens: list[str] = _TOKEN.findall(latex)
        self.at = self.depth = 0
        self.small = False  # after \\textstyle

    def peek(self) -> str:
        while self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.at += 1
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    @property
    def before(self) -> str:
        """The token before the last one read, spaces left out."""
        return next((t for t in reversed(self.tokens[: max(0, self.at - 1)]) if not t.isspace()), "")

    def next(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def group(self, *ends: str) -> str:
        """Everything up to one of the tokens ``ends`` (which is read too) or the end of the formula."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError(f"mathml: the formula nests more than {DEEPEST} groups; show it in parts")
        parts: list[str] = []
        while (token := self.peek()) and token not in ends:
            parts.append(self.scripted())
            if token == r"\operatorname" and self.peek() not in ("", "(", r"\left", *ends):
                parts.append('<mspace width="0.17em"></mspace>')  # as in "reshape x"
        self.next()
        self.depth -= 1
        return "".join(parts)

    def scripted(self) -> str:
        """One atom with its subscript and superscript."""
        big = self.peek()[1:] in _BIG
        base = "<mrow></mrow>" if self.peek() in ("_", "^") else self.atom()
        scripts: dict[str, str] = {}
        while self.peek() in ("_", "^") and self.peek() not in scripts:
            kind = self.next()
            scripts[kind] = self.atom()
        if not scripts:
            return base
        limits = big and not self.small
        tag = {"_": "munder" if limits else "msub", "^": "mover" if limits else "msup"}
        if len(scripts) == 2:
            both = "munderover" if limits else "msubsup"
            return f"<{both}>{base}{scripts['_']}{scripts['^']}</{both}>"
        return f"<{tag[kind]}>{base}{scripts[kind]}</{tag[kind]}>"

    def atom(self) -> str:
        """One token, one group in braces, or one command with its arguments."""
        token = self.next()
        if token == "{":
            return f"<mrow>{self.group('}')}</mrow>"
        if token.startswith("\\"):
            return self.command(token[1:])
        if token[:1].isdigit():
            return _element("mn", token)
        if token.isalpha():
            return _element("mi", token)
        if not token:
            return ""
        form = ' form="prefix"' if token == "-" and self.before in _OPENING else ""
        return _element("mo", {"-": "−", "*": "∗", "'": "′"}.get(token, token), f'stretchy="false"{form}')

    def command(self, name: str) -> str:
        if name == "frac":
            return f"<mfrac>{self.atom()}{self.atom()}</mfrac>"
        if name == "sqrt":
            return f"<msqrt>{self.atom()}</msqrt>"
        if name in ("text", "mathrm", "operatorname", "mathit", "mathbf"):
            return _element("mtext" if name == "text" else "mi", self.words(), "" if name == "text" else 'mathvariant="normal"')  # fmt: skip
        if name in _ACCENTS:
            return f'<mover accent="true">{self.atom()}{_element("mo", _ACCENTS[name])}</mover>'
        if name in ("left", "right", "middle"):
            mark = self.next().lstrip("\\")
            return self.fence(mark) if name == "left" else _element("mo", mark)
        if name == "begin":
            return self.table(self.words())
        if name == "textstyle":
            self.small = True
            return ""
        if name == "textcolor":
            colour = self.words()
            safe = colour if re.fullmatch(r"[#\w(), .%-]+", colour) else "inherit"
            return f'<mrow style="color:{escape(safe)}">{self.atom()}</mrow>'
        return self.symbol(name)

    def symbol(self, name: str) -> str:
        if name in _BIG:
            return _element("mo", _BIG[name])
        if name in _SPACES:
            return f'<mspace width="{_SPACES[name]}"/>'
        if name in _OPERATORS:
            return _element("mo", _OPERATORS[name])
        if name in _GREEK or name in _NAMES:
            return _element("mi", _GREEK.get(name) or _NAMES[name])
        if name in _FUNCTIONS:
            return _element("mi", name) + "<mo>&#x2061;</mo>"
        return _element("mo" if len(name) == 1 else "mtext", name)

    def fence(self, mark: str) -> str:
        """\\left .. \\right: brackets that grow with what they hold."""
        inside = self.group(r"\right")
        closing = self.next().lstrip("\\")
        tall = any(tag in inside for tag in ("<mfrac", "<mtable", "<munder"))
        look = f'fence="true" stretchy="{"true" if tall else "false"}"'
        left, right = (_element("mo", m, look) if m != "." else "" for m in (mark, closing))
        return f"<mrow>{left}<mrow>{inside}</mrow>{right}</mrow>"

    def table(self, kind: str) -> str:
        """\\begin{bmatrix} a & b \\\\ c & d \\end{bmatrix}, also aligned equations."""
        rows: list[list[str]] = [[]]
        cell: list[str] = []
        while (token := self.peek()) and token != r"\end":
            if token in ("&", r"\\"):
                self.next()
                rows[-1].append("".join(cell))
                cell = []
                if token == r"\\":
                    rows.append([])
            else:
                cell.append(self.scripted())
        rows[-1].append("".join(cell))
        self.next()
        self.words()
        aligned = kind == "aligned"
        sides = ("text-align:right;padding-right:0", "text-align:left;padding-left:.2em") if aligned else ("",)
        body = "".join(
            "<mtr>" + "".join(_cell(c, sides[min(k, len(sides) - 1)]) for k, c in enumerate(row)) + "</mtr>"
            for row in rows
            if any(row)
        )
        shown = ' displaystyle="true"' if aligned else ""
        marks = {"bmatrix": "[]", "pmatrix": "()"}.get(kind, "")
        fences = [_element("mo", m, 'fence="true" stretchy="true"') for m in marks] or ["", ""]
        return f"<mrow>{fences[0]}<mtable{shown}>{body}</mtable>{fences[1]}</mrow>"

    def words(self) -> str:
        """The argument of \\text or \\mathrm as plain text, its escapes undone."""
        if self.peek() != "{":
            return self.next()
        self.at += 1
        said, depth = [], 1
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            self.at += 1
            depth += (token == "{") - (token == "}")
            if not depth:
                break
            said.append(_spelled(token))
            if token[1:].isalpha() and token.startswith("\\") and self.tokens[self.at : self.at + 1] == [" "]:
                self.at += 1  # the space that ends a command
        return "".join(said)


def _spelled(token: str) -> str:
    """One token of a text argument as its characters."""
    if token in ("{", "}"):
        return ""
    if not token.startswith("\\"):
        return token
    name = token[1:]
    return _NAMES.get(name) or _OPERATORS.get(name) or _GREEK.get(name) or name


def _cell(content: str, style: str) -> str:
    return f'<mtd style="{style}">{content}</mtd>' if style else f"<mtd>{content}</mtd>"


def _element(tag: str, content: str, attributes: str = "") -> str:
    return f"<{tag}{' ' + attributes if attributes else ''}>{escape(clean(content))}</{tag}>"
