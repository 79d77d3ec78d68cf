"""What a notebook gets of each view: forms of plain text type, a picture, and words that are left where HTML is
stripped, in the committed lessons too."""

import ast
import json
import re
from base64 import b64decode
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers.frames import ready
from helpers.sanitised import HOSTS, sanitised

import autoconv as ac
from autoconv.render.mathml import mathml
from autoconv.render.notebook import bundle, gap, legible, picture
from autoconv.render.page import html_page, iframe, themed

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def net():
    i = ac.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]], name="i", subscripts="flat")
    w = ac.tensor([[1.0, -1.0], [0.5, 2.0]], name="w", subscripts="flat")
    v = ac.tensor([[0.5, 1.0], [-1.0, 0.25]], name="v", subscripts="flat")
    h = ac.conv2d(i, w)
    y = ac.conv2d(h, v)
    C = ac.sum((y - 1.0) ** 2)
    return {"i": i, "w": w, "v": v, "h": h, "y": y, "C": C}


N = net()
C, W, H = N["C"], N["w"], N["h"]
GRADIENT = ac.sweep(C, [W])[0]
SHEET = ac.exercise(C, names=N, blanks=3)


def recorded():
    run = ac.record_training([W])
    run.record(C, [GRADIENT])
    return run


# view -> what must be left of it in words, by hand: y = 9, C = 64, d = dC/dy = 16, dC/dh = 16 v = 8, 16, -16, 4 and
# dC/dw_1 = 1*8 + 2*16 + 0*(-16) + 1*4 = 44
VIEWS = {
    "graph": (lambda: ac.graph(C, names=N), ["%3 reshape: reshape i", "w: input"]),
    "graph of calls": (lambda: ac.graph(C, "calls", names=N), ["h: conv2d", "from i, w"]),
    "graph of scalars": (lambda: ac.graph(C, "scalars", names=N), ["w_1"]),
    "explain": (
        lambda: ac.explain(C, W[0, 0], names=N),
        ["∂C/∂w_1 = i_1 δ_1+i_2 δ_2+i_4 δ_3+i_5 δ_4 = 44", "h_1: i_1 δ_1 = 1⋅8 = 8"],
    ),
    "explain a value": (lambda: ac.explain(N["y"][0, 0], names=N), ["= 9"]),
    "step": (lambda: ac.step(C, names=N), ["h = "]),
    "live": (lambda: ac.live(C, names=N), ["Live page of C = 64"]),
    "exercise": (lambda: SHEET, ["Fill in the numbered blanks.", "Answers", "∂C/∂w_", "①"]),
    "marks": (lambda: SHEET.key.mark({1: 0.123}), ["0 of 3 right", "① wrong"]),
    "verdict": (lambda: ac.check(C, GRADIENT[::-1, ::-1], wrt=W, names=N), ["Wrong.", "∂C/∂w_"]),
    "verdict, right": (lambda: ac.check(C, GRADIENT, wrt=W, names=N), ["Right."]),
    "matrix": (lambda: ac.matrix_view(ac.conv_matrix(W, N["i"].shape)), ["y = C x"]),
    "certificate": (lambda: ac.certificate(C, W), ["closed form"]),
    "broken": (lambda: ac.break_it(C, names=N), ["kernel not rotated"]),
    "mistakes": (lambda: ac.mistakes(), ["sign | the sign is wrong"]),
    "uses": (lambda: ac.uses(C, W, names=N), ["4 | 4"]),
    "paths": (lambda: ac.paths(C, W[0, 0], names=N), ["32 | 72.7%"]),
    "curve": (lambda: ac.render.curves({"loss": [3.0, 2.0]}, title="Loss"), ["Loss"]),
    "recording": (recorded, ["1 records"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def bundles():
    return {name: make()._repr_mimebundle_() for name, (make, _) in VIEWS.items()}


@pytest.mark.dear
@pytest.mark.parametrize("name", VIEWS)
def test_a_bundle_has_a_picture_and_words_as_plain_str(bundles, name):
    made = bundles[name]
    assert {type(form) for form in made.values()} == {str}  # marimo serialises nothing else
    root = ElementTree.fromstring(made["image/svg+xml"])
    assert root.tag.endswith("svg") and float(root.get("width")) > 0
    assert made["text/latex"].startswith("$") and made["text/latex"].endswith("$")
    plain = made["text/plain"]
    assert plain.strip() and "object at 0x" not in plain and "<math" not in plain
    json.dumps(made)


# host -> the forms it can show, the one that it likes best first
ORDERS = {
    "JupyterLab": "text/html text/markdown text/latex image/svg+xml text/plain",
    "JupyterLab, not trusted": "text/html text/markdown text/latex text/plain",
    "VS Code": "text/html image/svg+xml text/latex text/markdown text/plain",
    "export to LaTeX": "text/latex image/svg+xml text/markdown text/plain",
    "a terminal": "text/plain",
}


@pytest.mark.dear
@pytest.mark.parametrize("host", ORDERS)
@pytest.mark.parametrize("name", VIEWS)
def test_every_host_finds_a_form_that_shows_the_view(bundles, name, host):
    """Nowhere is it left with an object's short name; a LaTeX export needs no program that converts SVG."""
    chosen = next(kind for kind in ORDERS[host].split() if kind in bundles[name])
    if host == "export to LaTeX":
        assert chosen == "text/latex"
    elif host != "a terminal":
        assert chosen == "text/html"
    assert not re.fullmatch(r"<Graph of [^\n]*>|<Exercise [^\n]*>", bundles[name][chosen])


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", VIEWS)
def test_what_is_left_reads_well(bundles, name, host):
    html, words, images = sanitised(bundles[name]["text/html"], host)
    assert "\\frac" not in words and "{" not in words, words  # no LaTeX between the words
    left = words + "\n" + "\n".join(image.get("alt", "") for image in images)
    for expected in VIEWS[name][1]:
        assert expected in left, left
    assert "<math" not in html and "<svg" not in html and "<iframe" not in html
    for image in images:
        assert image["alt"].strip()
        if host == "notebook":
            kind, _, data = image["src"].partition(";base64,")
            assert kind.startswith("data:image/")
            if kind.endswith("svg+xml"):
                ElementTree.fromstring(b64decode(data))


@pytest.mark.parametrize("name", ["graph", "graph of calls", "graph of scalars", "matrix", "curve", "step", "live"])
def test_a_picture_survives(bundles, name):
    _, _, images = sanitised(bundles[name]["text/html"], "notebook")
    assert images and "src" in images[0]


@pytest.mark.dear
def test_every_view_makes_its_bundle_in_one_place():
    """Nobody writes a dictionary of forms of his own, and nobody leaves the words to chance with ``_repr_html_``."""
    for path in sorted((ROOT / "autoconv").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "_repr_mimebundle_":
                written = ast.unparse(node)
                assert "bundle(" in written or "._repr_mimebundle_(" in written, path  # or another's
                assert "'image/" not in written and "'text/html'" not in written, path
            assert not (isinstance(node, ast.FunctionDef) and node.name in ("_repr_html_", "_repr_svg_")), path


# formula -> how it reads without its layout
READS = {
    r"\frac{a}{b}": "a/b",
    r"\frac{a + 1}{b}": "(a+1)/b",
    r"\frac{1}{2} x": "1/2x",
    r"x_{1}": "x_1",
    r"x_{i j}": "x_(ij)",
    r"x^{2} = 4": "x^2 = 4",
    r"w_{1}^{2}": "w_1^2",
    r"\sqrt{x + y}": "√(x+y)",
    r"\sum_{i=0}^{2} x_{i}": "∑_(i = 0)^2x_i",
    r"\bar{y}": "y¯",
}


@pytest.mark.parametrize("latex", READS)
def test_a_formula_reads_without_its_layout(latex):
    made = legible(mathml(latex))
    (_, words, _) = sanitised(made, "site")
    assert words == READS[latex]
    root = ElementTree.fromstring(made)
    assert root.get("alttext") == latex
    for element in root.iter():  # what is drawn has as many parts as before
        shown = [part for part in element if part.get("style") != "display:none"]
        if element.tag.endswith(("mfrac", "msub", "msup")):
            assert len(shown) == 2
        if element.tag.endswith("msubsup"):
            assert len(shown) == 3


def test_a_gap_is_words_only_where_the_layout_is_gone():
    assert sanitised(f"a{gap(' = ')}b", "site")[1] == "a = b"
    assert 'style="display:none"' in gap("=")


def test_hostile_words_stay_words():
    name = "</text><script>alert(1)</script>' onerror='x"
    made = bundle(name, svg="", caption=name)
    for form in ("text/html", "image/svg+xml"):
        assert "<script" not in made[form]
    _, words, (image,) = sanitised(picture("<svg/>", name), "notebook")
    assert image["alt"] == name and words == ""


# ---- the lessons as they are stored


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("host", HOSTS)
def test_a_stored_lesson_reads_well_where_html_is_stripped(lesson, host):
    """Each output that a host would show as HTML still says something there; no formula is run together."""
    shown = 0
    for cell in json.loads(lesson.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            data = {
                kind: "".join(form) for kind, form in output.get("data", {}).items() if isinstance(form, list | str)
            }
            if "image/svg+xml" in data:
                assert "text/html" in data, "without HTML an SVG is not shown untrusted"
            if "text/html" not in data:
                continue
            shown += 1
            _, words, images = sanitised(data["text/html"], host)
            assert words or images
            assert "\\frac" not in words and "\\partial" not in words
            assert not re.search(r"∂\w+∂", words), words  # a fraction without its stroke
            assert all(image.get("alt", "").strip() for image in images)
    assert shown


# ---- pages follow what is around them


def sheets():
    """The pages of all views, by name."""
    live = ac.live(C, names=N)
    return {
        "live": live.page,
        "step": ac.step(C, names=N).page,
        "recording": recorded().page(),
        "exercise": SHEET.html(),
        "explain": html_page("t", ac.explain(C, W[0, 0]).html),
        "with a picture": html_page("t", ac.graph(C).svg, script="0;"),
    }


def test_every_page_has_one_way_to_be_dark():
    for name, page in sheets().items():
        assert "prefers-color-scheme:dark" in page, name
        for found in re.finditer(r"@media \(prefers-color-scheme:dark\)\{(.{24})", page):
            assert found[1] == ":root:not([data-theme=li", name
        assert ":root[data-theme=dark]" in page, name


@pytest.mark.parametrize(
    ("css", "expected"),
    [
        (
            "@media (prefers-color-scheme:dark){:root{--a:1}}p{b:2}",
            "@media (prefers-color-scheme:dark){:root:not([data-theme=light]){--a:1}}"
            ":root[data-theme=dark]{--a:1}p{b:2}",
        ),
        (
            "@media (prefers-color-scheme:dark){.ac-x{fill:#fff}.ac-y{fill:#000}}",
            "@media (prefers-color-scheme:dark){:root:not([data-theme=light]) .ac-x{fill:#fff}"
            ":root:not([data-theme=light]) .ac-y{fill:#000}}"
            ":root[data-theme=dark] .ac-x{fill:#fff}:root[data-theme=dark] .ac-y{fill:#000}",
        ),
        ("p{color:red}", "p{color:red}"),
    ],
)
def test_dark_rules_also_follow_the_page_around(css, expected):
    assert themed(css) == expected


@pytest.mark.dear
def test_a_frame_in_a_dark_host_is_dark_and_follows_its_change(load):
    """A host of any kind: only the colour behind the frame counts; the screen is light all the time."""
    colours = lambda frame: frame.evaluate("getComputedStyle(document.body).backgroundColor")
    for name, page in (("step", ac.step(C, names=N).page), ("live", ac.live(C, names=N).page)):
        host = (
            "<!DOCTYPE html><title>host</title><style>body{background:#111}body.day{background:#fff}</style>"
            f"<body data-ready><div>{iframe(page)}</div></body>"
        )
        outer = load(host)
        frame = outer.frames[1]
        ready(frame, dark=True)
        assert colours(frame) == "rgb(22, 25, 29)", name
        outer.evaluate("document.body.className = 'day'")
        ready(frame, dark=False)
        assert colours(frame) == "rgb(255, 255, 255)", name


@pytest.mark.dear
def test_in_a_frame_that_is_itself_a_sandbox(load):
    """As in Colab, where an output cell is a sandboxed frame: the page computes, and is as dark as the cell."""
    cell = f"<style>body{{background:#222}}</style>{iframe(ac.live(C, names=N).page)}"
    outer = load(f"<!DOCTYPE html><title>host</title><body data-ready bgcolor=white>{iframe(cell)}</body>")
    for _ in range(900):
        if len(outer.frames) == 3:
            break
        outer.wait_for_timeout(100)
    frame = outer.frames[2]
    ready(frame, dark=True)
    frame.evaluate("autoconv.set('w', 0, 2)")
    expected = ac.sweep(
        ac.sum((ac.conv2d(ac.conv2d(N["i"], w := ac.tensor([[2.0, -1], [0.5, 2]])), N["v"]) - 1) ** 2), [w]
    )
    assert frame.evaluate("autoconv.grad('w')") == pytest.approx(expected[0].ravel().tolist())


@pytest.mark.dear
def test_a_message_from_elsewhere_changes_no_theme(load):
    shown = iframe(ac.live(C, names=N).page)
    page = load(f"<!DOCTYPE html><title>host</title><body data-ready bgcolor=white>{shown}</body>")
    frame = page.frames[1]
    ready(frame, dark=False)
    frame.evaluate("postMessage({autoconv: 'theme', dark: true}, '*')")  # from itself, not from around it
    frame.wait_for_timeout(100)
    assert frame.evaluate("document.documentElement.dataset.theme") == "light"
