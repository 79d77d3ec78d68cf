"""Docstrings as pages: what ``help`` shows in a terminal, set as reStructuredText.

The package's docstrings are plain text with four shapes: paragraphs, indented formulas, ``name: what it is`` for an
argument, and examples.  Each is kept as it stands and in its order; nothing in them is read as markup but ``code``.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

# What reStructuredText would read as markup, in prose
MARKUP = re.compile(r"([\\*`|]|(?<=\w)_(?=\W|$))")
ITEM = re.compile(r"(?P<names>[A-Za-z_][\w.]*(?:, [A-Za-z_][\w.]*)*): (?P<what>.*)", re.S)
# where on a line another argument, or what is no argument any more, begins
BEGINS = re.compile(r"(?<=[.;])\s+(?=[a-z_]\w*(?:, [a-z_]\w*)*: |Raises |Returns |[a-z_]+=)")
AGAIN = re.compile(r"Raises |Returns |Called |[a-z_]+=")
Link = Callable[[str], "str | None"]


def escaped(text: str) -> str:
    """Prose without markup.

    >>> escaped("a * b_ | c")
    'a \\\\* b\\\\_ \\\\| c'
    """
    return MARKUP.sub(r"\\\1", text)


def inline(text: str, link: Link) -> str:
    """One paragraph: ``code`` stays code, or becomes a link where ``link`` knows the page of what it names."""
    parts = re.split(r"``(.+?)``", text)
    said = ""
    for k, part in enumerate(parts):
        if not k % 2:
            said += escaped(part)
            continue
        page = link(part)
        said += f":doc:`{part} <{page}>`" if page else f"``{part}``"
        if parts[k + 1][:1].isalnum():  # code that goes on as a word: ``name``s
            said += "\\ "
    return said


def blocks(text: str) -> list[str]:
    """The parts between blank lines; an example goes on to its end, and a formula over the blank lines inside it."""
    found: list[str] = []
    for part in re.split(r"\n[ \t]*\n", text.strip("\n")):
        joined = found and part.startswith("    ") and found[-1].startswith("    ")
        if joined or (found and part.startswith(">>>") and found[-1].startswith(">>>")):
            found[-1] += "\n\n" + part
        else:
            found.append(part)
    return found


def indented(text: str, by: str = "    ") -> str:
    return textwrap.indent(text, by)


def code(text: str, language: str) -> str:
    return f".. code-block:: {language}\n\n{indented(textwrap.dedent(text))}\n"


def items(paragraph: str, known: set[str]) -> list[tuple[str, list[str]]]:
    """The paragraph's lines, parted where an argument's description begins: (names, or "" for prose, lines)."""
    found: list[tuple[str, list[str]]] = []
    for line in paragraph.split("\n"):
        # several on one line: "x: (N, H).  y: the same."
        pieces = [line] if line[:1] == " " else BEGINS.split(line)
        for piece in pieces:
            match = ITEM.fullmatch(piece)
            if AGAIN.match(piece) and found and found[-1][0]:
                found.append(("", []))
            if match and piece[:1] != " " and (known & set(match["names"].split(", ")) or match["names"] in ("y", "x")):
                found.append((match["names"], [match["what"]]))
            elif found:
                found[-1][1].append(piece)
            else:
                found.append(("", [piece]))
    return found


def prose(lines: list[str], link: Link) -> str:
    """Lines that run on are one paragraph; those that are indented with a table's gaps keep their places."""
    kept = [line for line in lines if line[:1] == " "]
    if any(re.search(r"\S {2,}\S", line) for line in kept):
        first = [line for line in lines if line[:1] != " "]
        return f"{inline(' '.join(first), link)}\n\n{code(chr(10).join(kept), 'text')}"
    return inline(" ".join(line.strip() for line in lines), link) + "\n"


def to_rst(text: str, known: set[str], link: Link = lambda _: None) -> str:
    """A docstring (dedented, as inspect.getdoc gives it) as reStructuredText; ``known`` are the function's arguments.

    >>> print(to_rst("Twice x.\\n\\n    y = 2 * x\\n\\nx: a number.", {"x"}).replace("\\n\\n", "\\n").rstrip())
    Twice x.
    .. code-block:: text
        y = 2 * x
    ``x``
        a number.
    """
    said = []
    for block in blocks(text):
        if block.startswith(">>>"):
            said.append(code(block, "pycon"))
        elif block.startswith("    "):
            said.append(code(block, "text"))
        elif re.match(r"(?:- |\* |\d\. )", block):
            said.extend(
                f"- {inline(' '.join(one.split()), link)}\n" for one in re.split(r"(?m)^(?:- |\* |\d\. )", block)[1:]
            )
        else:
            for names, lines in items(block, known):
                what = prose(lines, link)
                if names:
                    what = re.sub(r";\n$", ".\n", what)
                    said.append(f"{', '.join(f'``{n}``' for n in names.split(', '))}\n{indented(what)}")
                elif lines[1:] and lines[0].endswith(":") and all(line[:1] == " " for line in lines[1:]):
                    said.append(f"{inline(lines[0], link)}\n\n{code(chr(10).join(lines[1:]), 'text')}")
                else:
                    said.append(what)
    return "\n".join(said)


def summary(text: str) -> str:
    """The first sentence of a docstring, on one line.

    >>> summary("Twice x.  Or\\nmore.")
    'Twice x.'
    """
    first = " ".join(blocks(text or "")[0].split()) if text else ""
    return re.split(r"(?<=[.:])\s", first, maxsplit=1)[0]
