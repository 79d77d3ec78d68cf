"""The built site in Chromium: pages light and dark, wide and on a phone; search; the page of derivations; axe-core.

``make site-test`` builds it first. Python in the browser needs its runtime and NumPy for it, which come from a public
address; where AUTOCONV_PYODIDE names a folder with both (pyodide.mjs, pyodide-lock.json, the wheels), they are taken
from there, and otherwise those tests are passed over.
"""

import json
import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
HTML = Path(os.environ.get("AUTOCONV_SITE", ROOT / "build" / "site" / "html"))
RUNTIME = os.environ.get("AUTOCONV_PYODIDE", "")
# one of each kind
PAGES = [
    "index.html",
    "guide/am-i-right.html",
    "guide/twenty-lines.html",
    "guide/what-you-can-ask.html",
    "guide/names.html",
    "lessons/index.html",
    "lessons/01_tape.html",
    "lessons/03_equations_of_a_cnn.html",
    "coming-from/pytorch.html",
    "api/index.html",
    "api/autoconv-module.html",
    "api/autoconv.conv2d.html",
    "api/autoconv.nn.Conv2d.html",
    "api/autoconv.Tensor.html",
    "glossary.html",
    "speed/index.html",
    "design/map.html",
    "playground.html",
    "derivation.html",
]
pytestmark = [
    pytest.mark.skipif(not (HTML / "index.html").is_file(), reason="the site is not built: make site"),
    pytest.mark.quick(0),
]


class Quiet(SimpleHTTPRequestHandler):
    """Files of the site, and under /runtime/ those of AUTOCONV_PYODIDE."""

    def guess_type(self, path):
        known = {".mjs": "text/javascript", ".wasm": "application/wasm"}
        return known.get(Path(path).suffix) or super().guess_type(path)

    def translate_path(self, path):
        if path.startswith("/runtime/") and RUNTIME:
            return str(Path(RUNTIME) / Path(path.partition("?")[0]).name)
        return super().translate_path(path)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(HTML)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def opened(browser, address):
    """Opens a page; nothing is asked of any other address, and the console is silent."""
    pages = []

    def go(name, dark=False, width=1280, height=900):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        page, told = context.new_page(), []
        page.on(
            "console",
            lambda message: (
                told.append(f"{message.text} {message.location}") if message.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on(
            "request",
            lambda r: told.append(r.url) if not r.url.startswith((address, "data:", "blob:", "about:")) else 0,
        )
        page.goto(f"{address}/{name}")
        pages.append((context, told))
        return page

    yield go
    for context, told in pages:
        context.close()
        assert told == []


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 390)])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_is_accessible(opened, name, dark, width):
    """It is as wide as the window, has one first heading, follows the scheme, and axe-core finds nothing serious."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs pip install axe-playwright-python")
    page = opened(name, dark, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").count() == 1
    light = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)")
    assert (sum(light) < 200) == dark
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert not [(v["id"], [n["html"][:160] for n in v["nodes"]][:3]) for v in serious]


def test_search_finds_names_and_words(opened):
    for word, target in (("conv2d", "api/autoconv.conv2d.html"), ("rematerialise", "glossary.html")):
        page = opened(f"search.html?q={word}")
        page.wait_for_selector("#search-results li a", timeout=20_000)
        page.wait_for_timeout(1500)
        links = [
            a.get_attribute("href").partition("#")[0].partition("?")[0]
            for a in page.locator("#search-results li a").all()
        ]
        assert target in links, links[:10]


def test_a_lessons_stepper_runs(opened):
    """The stepper in a lesson is the page itself: it goes on by a click."""
    page = opened("lessons/01_tape.html")
    frame = page.frame_locator("iframe").first
    frame.locator("body[data-ready]").wait_for(timeout=20_000)
    before = frame.locator("body").inner_text()
    frame.locator("#next").click()
    assert frame.locator("body").inner_text() != before


def test_every_lesson_opens_in_the_playground():
    """The wheel and the notebooks are part of JupyterLite's folder, and its index of packages leads to the wheel."""
    lite = HTML / "lite"
    config = json.loads((lite / "jupyter-lite.json").read_text(encoding="utf-8"))["jupyter-config-data"]
    (settings,) = [v for k, v in config["litePluginSettings"].items() if "pyodide-kernel" in k]
    index = lite / settings["pipliteUrls"][0].partition("?")[0]
    (release,) = json.loads(index.read_text(encoding="utf-8"))["autoconv"]["releases"].values()
    assert (index.parent / release[0]["url"]).is_file() and release[0]["url"].endswith("-py3-none-any.whl")
    listing = json.loads((lite / "api" / "contents" / "all.json").read_text(encoding="utf-8"))["content"]
    lessons = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert lessons <= {entry["name"] for entry in listing}
    for name in lessons:
        assert "%pip install -q autoconv" in (lite / "files" / name).read_text(encoding="utf-8")


def test_a_lesson_is_shown_in_the_playground(browser, address):
    """JupyterLab itself needs nothing from elsewhere; only Python does, when a cell is run."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{address}/lite/lab/index.html?path=01_tape.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
    assert "%pip install -q autoconv" in page.locator(".jp-Notebook .jp-CodeCell").first.inner_text()
    page.wait_for_selector("text=09_a_gpt_on_scalars.ipynb")
    context.close()


# ---- Python in the browser

needs_runtime = pytest.mark.skipif(
    not RUNTIME, reason="Pyodide with NumPy comes from its public address; AUTOCONV_PYODIDE=folder takes it from there"
)


@pytest.fixture
def derivation(browser, address):
    """The page of derivations, its runtime taken from AUTOCONV_PYODIDE."""
    told = json.loads((HTML / "runtime.json").read_text(encoding="utf-8")) | {"runtime": "runtime/"}
    context = browser.new_context(viewport={"width": 1000, "height": 1000})
    context.route("**/runtime.json", lambda route: route.fulfill(json=told))
    page = context.new_page()
    page.goto(f"{address}/derivation.html")
    page.wait_for_selector("html[data-derivation=ready]")
    yield page
    context.close()


def ask(page, timeout=180_000):
    page.click("#run")
    page.wait_for_selector("#run:not([disabled])", timeout=timeout)
    return page.locator("#answer").inner_text()


@needs_runtime
def test_derivations_are_checked_in_the_browser(derivation):
    answers = []
    for k in range(4):
        derivation.select_option("#example", str(k))
        answers.append(ask(derivation))
    wrong, kernel, softmax, function = answers
    assert "WRONG" in wrong and "product of sums" in wrong and "44" in wrong
    assert kernel.startswith("RIGHT") and softmax.startswith("RIGHT")
    assert function.startswith("NOT RIGHT: cs231n.relu")
    derivation.select_option("#example", "0")
    derivation.fill("#claim", "i[0,0] * d[0")
    assert "Error" in ask(derivation) and "failed" in derivation.locator("#answer").get_attribute("class")
    derivation.fill("#program", "while True: pass")
    derivation.click("#run")
    derivation.click("#stop")
    assert derivation.locator("#status").inner_text() == "Stopped"


TRAIN = """
from autoconv import data, nn, optim, train
rng = np.random.default_rng(0)
model = nn.Sequential(nn.Conv2d(1, 8, 3, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 10, rng=rng))
history = train.fit(model, data.digits("train"), validation=data.digits("test"), epochs=5, batch_size=64,
                    optimizer=optim.Adam(model.parameters(), lr=0.01), rng=rng, progress=False)
w = ac.tensor([1.0, 2.0], name="w")
E = ac.sum(w * w)
ac.step(E).save("walk.html")
raise RuntimeError(str([float(round(a, 6)) for a in history.validation_accuracy]))
"""


@needs_runtime
def test_the_digits_are_trained_as_by_numpy_here(derivation, tmp_path, monkeypatch):
    """The accuracies of every epoch are those of NumPy on this machine."""
    import numpy as np

    import autoconv as ac

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOCONV_NATIVE", "0")
    with pytest.raises(RuntimeError) as here:
        exec(TRAIN, {"ac": ac, "np": np})
    derivation.fill("#program", TRAIN)
    assert str(here.value) in ask(derivation, 400_000)


def test_the_runtime_of_the_tests_is_whole():
    """AUTOCONV_PYODIDE, where it is set, names a folder with the runtime and NumPy."""
    if RUNTIME:
        names = {path.name for path in Path(RUNTIME).iterdir()}
        assert {"pyodide.mjs", "pyodide-lock.json"} <= names and any(n.startswith("numpy-") for n in names)


def test_pictures_of_the_readme_are_on_their_pages():
    """Those with a width or height too, and no setting of theirs stands in the text."""
    pages = {p: p.read_text(encoding="utf-8") for p in (HTML / "guide").glob("*.html")}
    assert not [p.name for p, text in pages.items() if "px}" in text]
    page = pages[HTML / "guide" / "twenty-lines.html"]
    for name in ("sweep.svg", "weight.svg", "matrix.svg"):
        assert f"_images/{name}" in page, name
