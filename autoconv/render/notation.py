r"""LaTeX read once, into a small tree that is printed as MathML (``mathml``) or as plain text, and that knows how
tightly it binds.

The subset is what the rows of the table and the views write: fractions, roots, subscripts and superscripts, big sums,
matrices, \left .. \right, upright names, Greek letters.  What is not understood is kept as text, never dropped.  A
row's template is read with private-use characters in place of its operands; how tightly each operand must bind is told
by what stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)
DEEPEST = 100  # nested groups
SLOT = 0xE000  # private-use characters stand for the operands while a template is read
OPEN, SUM, PRODUCT, APPLIED, FACTOR, ATOM = range(6)  # how tightly an expression binds; SUM includes a leading minus

# fmt: off
GREEK = dict(zip(
    ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
     "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi",
     "Sigma", "Phi", "Psi", "Omega"],
    "αβγδεζηθικλμνξπρστφχψωΓΔΘΛΞΠΣΦΨΩ", strict=True))
OPERATORS = {
    "cdot": "⋅", "times": "×", "ge": "≥", "le": "≤", "ne": "≠", "approx": "≈", "in": "∈", "partial": "∂", "odot": "⊙",
    "to": "→", "mid": "∣", "wedge": "∧", "sim": "∼", "cdots": "⋯", "dots": "…", "ldots": "…", "lfloor": "⌊",
    "rfloor": "⌋", "colon": ":",
}
SYMBOLS = {"infty": "∞", "top": "⊤", "square": "□", "backslash": "\\", "ell": "ℓ", "nabla": "∇"}
BIG = {"sum": "∑", "prod": "∏"}
SPACES = {",": "0.17em", ":": "0.22em", ";": "0.28em", " ": "0.25em", "!": "0", "quad": "1em", "qquad": "2em"}
ACCENTS = {"bar": "¯", "hat": "^", "overline": "¯", "tilde": "~"}
_UPRIGHT = ("text", "mathrm", "operatorname", "mathit", "mathbf")
_OPENING = {"", "(", "[", "{", ",", "=", "+", "-", "&", r"\cdot", r"\left"}  # a minus after one of these is a sign
# fmt: on


@dataclass(frozen=True)
class Part:
    """A piece of a formula: what ``kind`` it is, its own ``text``, and the ``parts`` it consists of.

    Without parts: "number", "letter", "slot" (an operand of a template), "mark" (+ or a bracket), "sign" (a leading
    minus), "words" (text or a name; ``style`` is the command), "symbol" (a known command), "function" (an unknown
    command, as tanh), "space" (of a command's width), "blank" (white space of the source), "apart" (between an upright
    name and its operand). With parts: "group" (in braces; the formula itself), "fraction", "root", "accent",
    "coloured", "fence" (\\left .. \\right), "scripted" (base, subscript, superscript; a script may be empty), "table"
    (of "row"s of groups).
    """

    kind: str
    text: str = ""
    parts: tuple[Part, ...] = ()
    style: str = ""


NOTHING = Part("nothing")


def tokens(latex: str) -> list[str]:
    """The words of a formula: commands, numbers, single characters, white space."""
    return _TOKEN.findall(latex)


def read(latex: str) -> Part:
    """The formula as a tree; ValueError for groups nested more than 100 deep."""
    return _Reader(latex).group()


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, latex: str) -> None:
        self.tokens = tokens(latex)
        self.at = self.depth = 0
        self.small = False  # after \\textstyle: the limits of a big sum stand beside it

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

    def group(self, *ends: str) -> Part:
        """Everything up to one of the tokens ``ends`` (which is read too) or the end of the formula."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError(f"mathml: the formula nests more than {DEEPEST} groups; show it in parts")
        parts: list[Part] = []
        while True:
            token = self.peek()
            if 0 < self.at <= len(self.tokens) and self.tokens[self.at - 1].isspace():
                parts.append(Part("blank"))
            if not token or token in ends:
                break
            parts.append(self.scripted())
            if token == r"\operatorname" and self.peek() not in ("", "(", r"\left", *ends):
                parts.append(Part("apart"))  # as in "reshape x"
        self.next()
        self.depth -= 1
        return Part("group", parts=tuple(parts))

    def scripted(self) -> Part:
        """One atom with its subscript and superscript."""
        base = NOTHING if self.peek() in ("_", "^") else self.atom()
        scripts: dict[str, Part] = {}
        while self.peek() in ("_", "^") and self.peek() not in scripts:
            kind = self.next()
            scripts[kind] = self.atom()
        if not scripts:
            return base
        limits = base.kind == "symbol" and base.text in BIG and not self.small
        parts = base, scripts.get("_", NOTHING), scripts.get("^", NOTHING)
        return Part("scripted", parts=parts, style="limits" if limits else "")

    def atom(self) -> Part:
        """One token, one group in braces, or one command with its arguments."""
        token = self.next()
        if token == "{":
            return self.group("}")
        if token.startswith("\\"):
            return self.command(token[1:])
        if token[:1].isdigit():
            return Part("number", token)
        if token and ord(token) >= SLOT and ord(token) < SLOT + 100:
            return Part("slot", token)
        if token.isalpha():
            return Part("letter", token)
        if token == "-" and self.before in _OPENING:
            return Part("sign", token)
        return Part("mark", token) if token else Part("missing")

    def command(self, name: str) -> Part:
        if name == "frac":
            return Part("fraction", parts=(self.atom(), self.atom()))
        if name == "sqrt":
            return Part("root", parts=(self.atom(),))
        if name in _UPRIGHT:
            return Part("words", self.words(), style=name)
        if name in ACCENTS:
            return Part("accent", name, (self.atom(),))
        if name in ("left", "right", "middle"):
            mark = self.next().lstrip("\\")
            return self.fence(mark) if name == "left" else Part("mark", mark, style="fence")
        if name == "begin":
            return self.table(self.words())
        if name == "textstyle":
            self.small = True
            return NOTHING
        if name == "textcolor":
            return Part("coloured", self.words(), (self.atom(),))
        if name in SPACES:
            return Part("space", name)
        if any(name in known for known in (BIG, OPERATORS, GREEK, SYMBOLS)):
            return Part("symbol", name)
        if len(name) == 1:
            return Part("mark", name, style="escaped")
        # The name of a function, as a row's formula brings it: \tanh, \ln; with an argument in braces it is something
        # else.
        unknown = self.at < len(self.tokens) and self.tokens[self.at] == "{"
        return Part("words", name, style="text") if unknown else Part("function", name)

    def fence(self, mark: str) -> Part:
        r"""\left .. \right: brackets that grow with what they hold."""
        inside = self.group(r"\right")
        return Part("fence", mark, (inside,), style=self.next().lstrip("\\"))

    def table(self, kind: str) -> Part:
        r"""\begin{bmatrix} a & b \\ c & d \end{bmatrix}, also aligned equations."""
        rows: list[list[Part]] = [[]]
        cell: list[Part] = []
        while (token := self.peek()) and token != r"\end":
            if token in ("&", r"\\"):
                self.next()
                rows[-1].append(Part("group", parts=tuple(cell)))
                cell = []
                if token == r"\\":
                    rows.append([])
            else:
                cell.append(self.scripted())
        rows[-1].append(Part("group", parts=tuple(cell)))
        self.next()
        self.words()
        return Part("table", kind, tuple(Part("row", parts=tuple(row)) for row in rows))

    def words(self) -> str:
        r"""The argument of \text or \mathrm as plain text, its escapes undone."""
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
    return SYMBOLS.get(name) or OPERATORS.get(name) or GREEK.get(name) or name


# ---- as plain text

_IN_TEXT = {"cdot": "·", "sum": "Σ", "top": "ᵀ"}  # where text has another sign than MathML


def text(formula: Part) -> str:
    """The formula in one line of plain text: "(a + b) / c", "x^2", "w[0]"."""
    return re.sub(r"\s+", " ", _text(formula)).strip()


def _text(part: Part) -> str:
    within = [_text(x) for x in part.parts]
    if part.kind in ("blank", "space", "apart"):
        return " "
    if part.kind == "symbol":
        every = _IN_TEXT | OPERATORS | GREEK | SYMBOLS | BIG
        return _IN_TEXT.get(part.text) or every[part.text]
    if part.kind == "fraction":
        return f"{_grouped(within[0])} / {_grouped(within[1])}"
    if part.kind == "root":
        return f"√{_grouped(within[0])}"
    if part.kind == "scripted":
        base, below, above = within
        raised = above if above in ("", "ᵀ") else f"^{_grouped(above)}"
        index = below.strip().removeprefix("[").removesuffix("]").strip()
        return base + (f"[{index or '…'}]" if part.parts[1] is not NOTHING else "") + raised
    if part.kind == "fence":
        return f"{part.text}{within[0]}{part.style}"
    return part.text + "".join(within) if part.kind != "table" else " ".join(within)


def _grouped(words: str) -> str:
    return f"({words})" if re.search(r"[ ^/·]", words.strip()) else words


# ---- how tightly it binds


@dataclass(frozen=True)
class Template:
    """A row's LaTeX formula, read: its ``text`` with a private-use character for each operand, how tightly each operand
    must bind in LaTeX (``needs``) and in text (``spelled``), and how tightly the whole ``binds``."""

    text: str
    needs: tuple[int, ...]
    spelled: tuple[int, ...]
    binds: int


@cache
def template(latex: str, count: int) -> Template:
    """A row's LaTeX template ("{0} + {1}") for ``count`` operands."""
    formula = read(latex.format(*[chr(SLOT + k) for k in range(count)]))
    needs, spelled = [OPEN] * count, [OPEN] * count
    for slot, least, raised in _needs(formula, bracketed=True):
        needs[slot] = max(needs[slot], least)
        spelled[slot] = max(spelled[slot], ATOM if raised else least)
    for k, least in enumerate(needs):
        spelled[k] = max(spelled[k], least)
    return Template(text(formula), tuple(needs), tuple(spelled), _binding(formula))


_BESIDE = {"-": SUM, "+": SUM, "cdot": PRODUCT, ",": PRODUCT}  # an operand before one of these
_AFTER = {"-": PRODUCT, "+": SUM, "cdot": PRODUCT, ",": PRODUCT, "sum": PRODUCT}  # an operand after one of these


def _needs(part: Part, bracketed: bool = False) -> Iterator[tuple[int, int, bool]]:
    """(operand, how tightly it must bind, whether it stands alone in small print or under a bar, which text has not).

    bracketed: text has brackets around this part as well.
    """
    if part.kind == "scripted":
        base, below, above = part.parts
        if base.kind == "slot":
            yield ord(base.text) - SLOT, ATOM, False
        else:
            yield from _needs(base)
        yield from _needs(below, bracketed=True)
        yield from _needs(above)
        return
    here = [x for x in part.parts if x.kind not in ("blank", "apart", "nothing")]
    alone = part.kind == "group" and len(here) == 1 and not bracketed
    for k, x in enumerate(here):
        if x.kind == "slot":
            before, after = here[k - 1] if k else NOTHING, here[k + 1] if k + 1 < len(here) else NOTHING
            applied = before.kind == "function" or (before.kind == "words" and before.style != "text")
            least = max(_AFTER.get(before.text, OPEN), _BESIDE.get(after.text, OPEN))
            if before.kind == "mark" and before.text in ("(", "[", "|", ","):
                least = OPEN
            yield ord(x.text) - SLOT, ATOM if applied else least, alone
        else:
            yield from _needs(x, bracketed=part.kind == "fence")


def _binding(formula: Part) -> int:
    """How tightly a whole template binds, by what stands outside all brackets."""
    outside, depth = [], 0
    for part in formula.parts:
        depth -= part.kind == "mark" and part.text in (")", "]")
        if not depth:
            outside.append(part)
        depth += part.kind == "mark" and part.text in ("(", "[")
    if formula.parts and len(formula.parts) == 1 and outside[0].kind == "slot":
        return OPEN
    if any(x.kind == "words" and x.style == "text" for x in outside):
        return OPEN
    if any(x.text in ("+", "-") for x in outside):
        return SUM
    if any(x.text in ("cdot", ",", "sum") and x.kind in ("symbol", "space") for x in outside):
        return PRODUCT
    if any(x.kind == "fraction" or (x.kind == "scripted" and x.parts[2] is not NOTHING) for x in outside):
        return FACTOR
    applied = any(x.kind in ("function", "words") for x in outside)
    return APPLIED if applied and any(x.kind == "slot" for x in outside) else ATOM
