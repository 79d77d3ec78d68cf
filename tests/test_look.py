"""One look: every colour stands in the theme and nowhere else, reads on what it stands on, and follows the host."""

import re
from pathlib import Path

import pytest

from autoconv.render.svg import COLOURS as CLASSES
from autoconv.render.svg import PALETTE
from autoconv.render.theme import COLOURS, anywhere, sheet

ROOT = Path(__file__).parent.parent
HEX = re.compile(r"(?<![&\w])#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b(?![\w=])")


def luminance(colour):
    """As WCAG 2.2 defines it for an sRGB colour."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


SURFACES = ["page", "paper", "box", "card", "still", "zero"]
# what is drawn -> (what it stands on, the least contrast of WCAG 2.2, AA: 4.5 text, 3 outlines and marks)
READS = {
    "ink": ([*SURFACES, "plusfill", "onfill", "ask", "litfill", "backfill"], 4.5),
    "soft": (SURFACES, 4.5),
    "minusink": (SURFACES, 4.5),
    "plus": (SURFACES, 4.5),
    "minus": (["page", "card"], 3),
    "edge": (["page", "box"], 3),
    "strong": (SURFACES, 3),
    "on": (["page", "box", "onfill", "ask"], 3),
    "lit": (["page", "box", "litfill"], 3),
    "back": (["page", "box", "backfill"], 3),
    "tie": (["page", "box"], 3),
}


@pytest.mark.parametrize("name", READS)
def test_what_is_drawn_reads_on_what_it_stands_on(name):
    for k, screen in enumerate(("light", "dark")):
        for surface in READS[name][0]:
            found = contrast(COLOURS[name][k], COLOURS[surface][k])
            assert found >= READS[name][1], f"{name} on {surface}, {screen}: {found:.2f}"


@pytest.mark.parametrize("name", ["plus", "minus", "on", "edge"])
def test_a_mark_shows_on_any_page(name):
    """In a notebook nobody knows the page: white, or as dark as JupyterLab's and marimo's."""
    colour = re.fullmatch(r"var\(--\w+,(#\w{6})\)", anywhere(name))[1]
    for page in ("#ffffff", "#111111", "#181c1a"):
        assert contrast(colour, page) >= 3


def test_no_colour_is_written_down_twice():
    """Not in a style sheet, a script, a view or a picture: they name colours of the theme."""
    for path in [*(ROOT / "autoconv").rglob("*"), *(ROOT / "benchmarks").glob("*.py")]:
        if path.suffix not in (".py", ".css", ".js", ".html") or path.name in ("theme.py", "svg.py"):
            continue
        text = path.read_text(encoding="utf-8")
        text = re.sub(r">>> print\(themed\(.*\n.*", "", text)  # the doctest of ``themed``
        assert not (found := HEX.findall(text)), f"{path.relative_to(ROOT)}: {found}; name a colour of render/theme.py"
    assert all(both in COLOURS.values() for *_, light, dark in CLASSES for both in [(light, dark)])
    assert len(set(PALETTE)) == len(PALETTE)


def test_pages_name_only_colours_that_exist():
    known = set(re.findall(r"--([a-z]+):", sheet()))
    for path in (ROOT / "autoconv").rglob("*"):
        if path.suffix in (".py", ".css", ".js", ".html"):
            text = path.read_text(encoding="utf-8")
            used = set(re.findall(r"var\(--([a-zA-Z-]+)", text)) | set(re.findall(r'anywhere\("(\w+)"\)', text))
            own = set(re.findall(r"--([a-zA-Z-]+):", text))
            scripts = "".join(x.read_text(encoding="utf-8") for x in path.parent.glob("*.js"))
            own |= set(re.findall(r'setProperty\("--(\w+)"', scripts))
            assert used <= known | own, f"{path.relative_to(ROOT)}: {used - known - own}"
