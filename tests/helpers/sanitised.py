"""HTML as hosts show it that trust nobody: only listed elements and attributes stay; of others the text stays, run
together with what stands before and after, and of style sheets and scripts nothing.
"""

from html import escape
from html.parser import HTMLParser

_WORDS = (
    "a b blockquote br code dd details div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img li ol p pre s span"
)
ELEMENTS = frozenset((_WORDS + " strong sub summary sup table tbody td tfoot th thead tr ul caption").split())
ATTRIBUTES = frozenset(["alt", "class", "colspan", "height", "href", "id", "rowspan", "src", "style", "title", "width"])
# (attributes that stay, whether images may carry their data): as JupyterLab does for what it did not run itself, and
# strictly, as sites do that show others' files
HOSTS = {"notebook": (ATTRIBUTES, True), "site": (ATTRIBUTES - {"style", "class", "id"}, False)}
_LINES = "blockquote br dd details div dl dt figcaption figure h1 h2 h3 h4 h5 h6 hr li p pre summary tr"
BLOCKS = frozenset(_LINES.split())
CELLS = frozenset(["td", "th"])


class _Sanitiser(HTMLParser):
    def __init__(self, host):
        super().__init__(convert_charrefs=True)
        self.attributes, self.data = HOSTS[host]
        self.kept, self.words, self.images, self.silent = [], [], [], 0

    def handle_starttag(self, tag, attrs):
        if tag in ("style", "script"):
            self.silent += 1
        if tag not in ELEMENTS:
            return
        kept = {k: v or "" for k, v in attrs if k in self.attributes}
        if tag == "img":
            if not self.data:
                kept.pop("src", None)
            self.images.append(kept)
            if "src" not in kept:
                self.words.append(kept.get("alt", ""))
        self.words.append("\n" if tag in BLOCKS else " | " if tag in CELLS else "")
        self.kept.append(f"<{tag}{''.join(f' {k}={escape(v)!r}' for k, v in kept.items())}>")

    def handle_endtag(self, tag):
        if tag in ("style", "script"):
            self.silent -= 1
        if tag in ELEMENTS:
            self.kept.append(f"</{tag}>")
            self.words.append("\n" if tag in BLOCKS else "")

    def handle_data(self, text):
        if not self.silent:
            self.kept.append(escape(text))
            self.words.append(text)


def sanitised(html, host):
    """(the HTML that is left, the words a reader sees line by line, the attributes of its images)."""
    made = _Sanitiser(host)
    made.feed(html)
    made.close()
    words = "\n".join(" ".join(line.split()) for line in "".join(made.words).splitlines())
    return "".join(made.kept), "\n".join(line for line in words.splitlines() if line), made.images
