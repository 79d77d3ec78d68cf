"""Follow every link of a built site: python docs/site/links.py FOLDER

Inside, the file and the anchor must be there; outside, the address must be one (nothing is fetched).
"""

from __future__ import annotations

import re
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINKS = {
    "href": ("a", "link", "area"),
    "src": ("img", "script", "iframe", "source", "video", "audio"),
    "data": ("object",),
}
HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+(?::\d+)?", re.I)


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[tuple[int, str]] = []
        self.anchors: set[str] = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            if value is not None and tag in LINKS.get(name, ()):
                self.links.append((self.getpos()[0], value))


@cache
def page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def outside(link: str) -> str | None:
    """What is wrong with an address elsewhere, or None.

    >>> outside("https://example.org/a"), outside("mailto:a@b.org"), outside("https://example/")
    (None, None, 'no host')
    """
    try:
        parts = urlsplit(link)
    except ValueError as error:
        return str(error)
    if parts.scheme in ("mailto", "data", "javascript", "about", "blob"):
        return None
    if parts.scheme not in ("http", "https"):
        return "an unknown scheme"
    if re.search(r"\s", link):
        return "a space in it"
    return None if HOST.fullmatch(parts.netloc) else "no host"


def problem(root: Path, path: Path, link: str) -> str | None:
    """Why ``link`` of the page at ``path`` leads nowhere, or None."""
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//", link):
        return outside(f"https:{link}" if link.startswith("//") else link)
    place, _, anchor = link.partition("#")
    place = unquote(place.partition("?")[0])
    to = path if not place else (root / place.lstrip("/") if place.startswith("/") else path.parent / place).resolve()
    if to.is_dir():
        to = to / "index.html"
    if not to.is_relative_to(root):
        return "outside of the site"
    if not to.is_file():
        return "no such file"
    if anchor and to.suffix == ".html" and unquote(anchor) not in page(to).anchors and anchor not in page(to).anchors:
        return "no such anchor"
    return None


def check(root: Path, skip: tuple[str, ...] = ()) -> list[str]:
    """Every broken link, as "page:line: link: why"; pages under ``skip`` are led to, but not read."""
    root = root.resolve()
    found = []
    for path in sorted(root.rglob("*.html")):
        name = path.relative_to(root).as_posix()
        if name.startswith(skip):
            continue
        for line, link in page(path).links:
            why = problem(root, path, link)
            if why:
                found.append(f"{name}:{line}: {link}: {why}")
    return found


if __name__ == "__main__":
    told = check(Path(sys.argv[1]))
    print("\n".join([*told, f"{len(told)} broken links"]))
    sys.exit(bool(told))
