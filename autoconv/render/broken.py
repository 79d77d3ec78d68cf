r"""Long formulas on several lines: neither MathML in a browser nor MathJax breaks a line by itself.

Where a line of an equation is wider than a page, each of its sides gets a line, and a sum that is still too wide goes
on below, indented, from one of its terms on.
"""

from __future__ import annotations

from collections.abc import Sequence

from .notation import SPACES, Part, read, tokens

WIDEST = 96  # characters of the usual size
SCRIPT = 0.7  # the size of sub- and superscripts
GOES_ON = r"\quad "


def aligned(left: str, sides: Sequence[str], most: float = WIDEST, apart: bool = False) -> list[str]:
    r"""``left`` = side = side ... as rows of \begin{aligned}: one if that is not too wide, or one for each side; always
    so if ``apart``.

    >>> aligned("y", ["a + b", "3"])
    ['y &= a + b = 3']
    >>> aligned("y", ["a + b + c", "3"], most=7)
    ['y &= a + b', '&\\quad + c', '&= 3']
    """
    whole = " = ".join(sides)
    if not apart and width(left) + width(whole) <= most:
        return [f"{left} &= {whole}"]
    rows: list[str] = []
    for k, side in enumerate(sides):
        first, *more = terms_in_lines(side, most - width(left))
        rows += [f"{'' if k else left + ' '}&= {first}", *[f"&{GOES_ON}{line}" for line in more]]
    return rows


def terms_in_lines(latex: str, most: float) -> list[str]:
    """A sum as lines of at most so many characters, each but the first beginning with a sign; a term is never cut."""
    lines: list[str] = []
    for term in _terms(latex):
        if lines and width(lines[-1]) + width(term) <= most:
            lines[-1] += " " + term
        else:
            lines.append(term)
    return lines


def _terms(latex: str) -> list[str]:
    """The terms of a sum, each with its sign: a sign inside of brackets, braces or a fence belongs to a term."""
    found = [""]
    depth = 0
    for token in tokens(latex):
        if token in ("{", "(", "[", r"\left"):
            depth += 1
        elif token in ("}", ")", "]", r"\right"):
            depth -= 1
        # \left and \right are followed by their bracket, which is counted with them
        between = depth == 0 and token in "+-" and found[-1].rstrip() != found[-1] and found[-1].strip()
        if between:
            found.append(token)
        else:
            found[-1] += token
    return [x.strip() for x in found if x.strip()]


def width(latex: str) -> float:
    """About how many characters of the usual size a formula is wide."""
    return _width(read(latex))


def _width(part: Part) -> float:
    inside = [_width(x) for x in part.parts]
    match part.kind:
        case "fraction":
            return max(inside)
        case "scripted":
            return inside[0] + SCRIPT * max(inside[1:])
        case "space":
            return 2 * float(SPACES[part.text].removesuffix("em"))
        case "blank" | "nothing" | "apart":
            return 0.0
        case "mark" | "sign" | "symbol" | "letter":
            return 2.0 if part.text in ("=", "+", "-") else 1.0
        case "root" | "fence":
            return sum(inside) + 2
        case "table":
            return max(inside, default=0.0)
        case _:
            return len(part.text) * (part.kind != "coloured" and part.kind != "group") + sum(inside)
