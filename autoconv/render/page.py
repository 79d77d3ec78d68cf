"""One HTML page for all that is saved as a page: it needs nothing else, loads nothing, and reads well on light and dark
screens.

Its content policy forbids every request, and allows only the one script, whose hash it names.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Any

import numpy as np

from .text import clean
from .theme import anywhere, sheet


def html_page(
    title: str,
    body: str,
    *,
    css: str = "",
    script: str = "",
    document: bool = False,
    inline_styles: bool = True,
    workers: bool = False,
) -> str:
    """A whole page: ``body`` is HTML, ``title`` plain text, ``css`` comes after the theme's sheet.

    document: whether it is a text to read, as wide as one and in its size of type, rather than a tool.
    inline_styles: whether elements of the body may carry a style of their own (pictures, formulas); without, the policy
    allows the one style sheet alone.  workers: whether the script may run itself once more beside the page.
    """
    look, body = themed(sheet() + css), themed(body)
    kind, body = (' class="document"', f"<main>{body}</main>") if document else ("", body)
    script = THEME + script if script else ""
    styles = "'unsafe-inline'" if inline_styles else _hash(look)
    scripts = f" script-src {_hash(script)};" if script else ""
    beside = " worker-src blob:;" if workers else ""
    policy = (
        f"default-src 'none';{scripts}{beside} style-src {styles}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(clean(title))}</title><style>{look}</style></head>"
        f"<body{kind}>{body}"
        f"{f'<script>{script}</script>' if script else ''}</body></html>\n"
    )


_DARK = re.compile(r"@media \(prefers-color-scheme:dark\)\{((?:[^{}]*\{[^{}]*\})*)\}")
_RULE = re.compile(r"(:root)?([^{},]*)(,|\{[^{}]*\})")


def themed(css: str) -> str:
    """The colours of dark screens, in style sheets and pictures, also where the page around it says that it is dark.

    A page follows the screen until a message {autoconv: "theme", dark: true or false} comes (``iframe`` sends it, the
    script that all pages share hears it); from then on it follows that.

    >>> print(themed("@media (prefers-color-scheme:dark){:root{--ink:#fff}}"))
    @media (prefers-color-scheme:dark){:root:not([data-theme=light]){--ink:#fff}}:root[data-theme=dark]{--ink:#fff}
    """

    def when(condition: str, rules: str) -> str:
        return _RULE.sub(lambda r: f":root{condition}{' ' * (not r[1] and r[2] != '')}{r[2]}{r[3]}", rules)

    def both(found: re.Match[str]) -> str:
        asked, told = when(":not([data-theme=light])", found[1]), when("[data-theme=dark]", found[1])
        return f"@media (prefers-color-scheme:dark){{{asked}}}{told}"

    return _DARK.sub(both, css)


# hears what the page around says of its theme; matchMode of a page's own script draws again
THEME = (
    "if(typeof document!=='undefined')addEventListener('message',({source,data})=>{"
    "if(source!==parent||!data||data.autoconv!=='theme')return;const root=document.documentElement;"
    "root.dataset.theme=data.dark?'dark':'light';root.style.colorScheme=root.dataset.theme;"
    "dispatchEvent(new Event('theme'))});\n"
)

# tells a frame whether what it stands on is dark, now and when the page around it changes; works on any host, for it
# looks at the colour behind the frame and not at a host's own settings
HOST = (
    "const frame=this,told=()=>{let at=frame,colour;while(at){colour=getComputedStyle(at).backgroundColor;"
    "const [r,g,b,a]=(colour.match(/[\\d.]+/g)||[0,0,0,0]).map(Number);"
    "if(a===undefined||a>0.5){frame.contentWindow&&frame.contentWindow.postMessage("
    "{autoconv:'theme',dark:0.299*r+0.587*g+0.114*b<128},'*');return}"
    "at=at.parentElement||(at.getRootNode().host)}};told();if(!frame.told){frame.told=new MutationObserver("
    "()=>frame.isConnected?[50,500,2000].map(after=>setTimeout(told,after)):frame.told.disconnect());"
    "for(const at of [document.documentElement,document.body])"
    "frame.told.observe(at,{attributes:true})}"
)


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def inert(data: Any) -> str:
    """JSON that can stand in a <script> element: no <, > or & in it, and no line separator of JavaScript."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def planes(flat: np.ndarray) -> bytes:
    """The bytes of an array plane by plane (all first bytes, all second bytes, ...), which compresses well."""
    return flat.reshape(-1).view(np.uint8).reshape(-1, flat.dtype.itemsize).T.tobytes()


def iframe(page: str, height: int = 760, title: str = "step through the tape") -> str:
    """A page inside a notebook's output: a sandbox that runs its script and can reach nothing around it."""
    quoted = page.replace("&", "&amp;").replace("'", "&#39;")  # a page is full of double quotes
    return (
        f'<iframe sandbox="allow-scripts" width="100%" height="{height}" title="{escape(clean(title))}" '
        f'style="border:1px solid {anywhere("edge")};border-radius:6px" '
        f'onload="{escape(HOST)}" '
        f"srcdoc='{quoted}'></iframe>"
    )
