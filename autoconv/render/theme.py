"""The one look of all pages and pictures: colours for light and dark screens, a type scale, spacing, controls.

A page has every colour as a variable (``--ink``), a picture as a class (``svg``); nobody else writes one down.  The
hues are Okabe and Ito's, which colour-blind readers can tell apart, and what differs in colour differs in form as well.
Text has a contrast of at least 4.5 to what it stands on, outlines and marks of at least 3 (WCAG 2.2, AA).
"""

from __future__ import annotations

MONO = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"

# name -> (light, dark)
# fmt: off
COLOURS: dict[str, tuple[str, str]] = {
    # surfaces, and what is written on them
    "page":      ("#ffffff", "#16191d"),
    "paper":     ("#ffffff", "#14181c"),  # to draw on
    "box":       ("#f4f6f8", "#1c2127"),  # of controls and groups
    "card":      ("#ffffff", "#1d2228"),  # of a node
    "still":     ("#f3f4f6", "#24292f"),  # of a constant
    "ink":       ("#1b1f24", "#eceff2"),
    "soft":      ("#59636e", "#a9b2bb"),
    "inverse":   ("#ffffff", "#0b0d0f"),  # on a full colour
    # rules between things, outlines of things
    "line":      ("#dfe3e8", "#31373e"),
    "faint":     ("#8d96a0", "#6b747e"),
    "edge":      ("#7d8792", "#8b949e"),
    "strong":    ("#3d4752", "#c3cad1"),
    # numbers: positive and right, negative and wrong, none
    "plus":      ("#0072b2", "#56b4e9"),
    "plusfill":  ("#dcecf8", "#11324a"),
    "minus":     ("#d55e00", "#f0a03c"),
    "minusink":  ("#8f3f00", "#f0a860"),  # to write with
    "zero":      ("#f4f4f2", "#262b31"),
    # what is chosen or asked for, what answers to it, the way back, a tie
    "on":        ("#b26a00", "#e69f00"),
    "onfill":    ("#ffe3ad", "#4a360d"),
    "ask":       ("#fdf0d9", "#3d2d0c"),
    "lit":       ("#00734f", "#2fc79a"),
    "litfill":   ("#d8f1e8", "#0c3a2d"),
    "back":      ("#7a3ea3", "#d3a6f5"),
    "backfill":  ("#ecd9fa", "#3d2552"),
    "tie":       ("#8a5fc0", "#b99ae0"),
}
# fmt: on

# Type: small print, text, headings, the title; MONO for numbers and names.  Spaces are multiples of --gap.
_SHEET = f"""
:root{{--mono:{MONO};--font:system-ui,sans-serif;--small:12.5px;--text:14px;--large:16px;--title:18px;--gap:8px}}
*{{box-sizing:border-box}}
[hidden]{{display:none!important}}
body{{margin:0;background:var(--page);color:var(--ink);font:var(--text)/1.45 var(--font)}}
h1{{font-size:var(--title);line-height:1.25;margin:0}}
h2{{font-size:var(--large);line-height:1.3;margin:0 0 var(--gap)}}
h3{{font-size:var(--text);margin:0 0 calc(var(--gap)/2)}}
a{{color:var(--plus)}}
code,pre,kbd{{font-family:var(--mono);font-size:.92em}}
pre{{background:var(--box);border:1px solid var(--line);border-radius:6px;padding:10px 12px;margin:var(--gap) 0;\
overflow-x:auto}}
button,select,input,textarea{{font:inherit;color:inherit}}
button,select,input[type=number],input[type=text],input[type=search],input:not([type]){{background:var(--box);\
border:1px solid var(--edge);border-radius:5px;padding:3px 9px}}
button,summary,select{{cursor:pointer}}
button:disabled{{opacity:.5;cursor:default}}
button[aria-pressed=true],button[aria-current=true]{{background:var(--onfill);border-color:var(--on)}}
input[type=range],input[type=checkbox],input[type=radio],progress,meter{{accent-color:var(--plus)}}
:focus-visible{{outline:2px solid var(--plus);outline-offset:1px}}
.soft,.note{{color:var(--soft)}}
.note{{font-size:var(--small)}}
.unseen{{position:absolute;width:1px;height:1px;margin:-1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}}
.document{{--text:16px;--small:14px;--large:19px;--title:24px}}
.document main{{max-width:64rem;margin:0 auto;padding:calc(3*var(--gap)) calc(2*var(--gap)) calc(6*var(--gap))}}
.document h2{{margin-top:calc(3.5*var(--gap))}}
@media (prefers-reduced-motion:reduce){{*{{transition:none!important;animation:none!important}}}}
@media print{{body{{height:auto;display:block}}.document main{{max-width:none;padding:0}}\
details:not([open])>summary{{list-style:none}}figure,tr,.card{{break-inside:avoid}}}}
"""


def sheet() -> str:
    """The style sheet that every page begins with: the colours as variables (``--ink``), type and controls.

    Of body classes it knows ``document``, a text to read, whose content stands in ``<main>``; of others ``soft`` and
    ``note``, words of less weight, and ``unseen``, words for screen readers alone.
    """
    light, dark = ("".join(f"--{name}:{both[k]};" for name, both in COLOURS.items()) for k in (0, 1))
    return (
        f":root{{color-scheme:light dark;{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}{_SHEET.strip()}"
    )


def anywhere(name: str) -> str:
    """A colour for a line or a mark in HTML whose page is unknown, as in a notebook: the page's own, where it is one of
    ours, else one that has a contrast of 3 to black and to white.

    >>> anywhere("plus")
    'var(--plus,#0072b2)'
    """
    return f"var(--{name},{COLOURS[name][0]})"
