"""Every kind of page, on light and dark screens, audited by axe-core in chromium: no serious finding."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv import data, nn, optim
from autoconv.marking.report import Report
from autoconv.marking.verdict import BackwardVerdict, Part
from autoconv.render.page import html_page

pytestmark = pytest.mark.quick(0)


def net():
    i = ac.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]], name="i", subscripts="flat")
    w = ac.tensor([[1.0, -1.0], [0.5, 2.0]], name="w")
    v = ac.tensor([[0.5, 1.0], [-1.0, 0.25]], name="v")
    h = ac.conv2d(i, w)
    o = ac.max(h * v)
    return {"i": i, "w": w, "v": v, "h": h, "o": o, "C": (o - 1.0) ** 2}


N = net()
C, W = N["C"], N["w"]
(GRADIENT,) = ac.sweep(C, [W])


def trained():
    run = ac.record_training([W])
    for step in range(4):
        run.record(C / (step + 1), [GRADIENT])
    return run.page()


def drawn():
    """As the demo's page: an image to draw, bars, a report behind a button."""
    digits = data.digits("test")
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3, rng=rng), nn.ReLU(), nn.Flatten(), nn.Linear(108, 10, rng=rng))
    image, label = ac.tensor(digits.x[:1], name="image"), ac.tensor(digits.y[:1], name="label")
    scores = model(image)
    loss = ac.losses.cross_entropy(scores, label)
    live = ac.live(
        loss, names={"scores": scores, "loss": loss, "label": label}, draw=image, logits=scores, classes=digits.classes,
        optimizer=optim.SGD(model.parameters(), lr=0.1), data={image: digits.x[:8], label: digits.y[:8]},
        examples={image: digits.x[:8], label: digits.y[:8]},
    )  # fmt: skip
    chart = ac.render.curves({"loss": [3.0, 2.0]}, title="Loss")
    return live.page_with(
        f"<h2>A net</h2><pre>conv1</pre><section><h3>Loss</h3>{chart}</section>", "How it was trained"
    )


def saved(view, tmp_path):
    return view.save(tmp_path / "page.html").read_text(encoding="utf-8")


def shown(*views):
    """As in a notebook's output, on the look of our own page."""
    html = "".join(view._repr_mimebundle_()["text/html"] for view in views)
    return html_page("shown", f"<h1>shown</h1>{html}", document=True)


WRONG = Part("dw", False, "kernel not rotated", "x (1, 1)", "the kernel", hint="Which way?")
MARKS = Report(
    "layers.py",
    "cs231n",
    [
        BackwardVerdict("cs231n.relu", {"dx": Part("dx", True, times=(3, 3))}),
        BackwardVerdict("cs231n.conv", {"dw": WRONG}),
    ],
)
SHEET = ac.exercise(C, names=N, blanks=3)

# page -> (its HTML, what is clicked before it is looked at)
PAGES = {
    "explain": (lambda folder: saved(ac.explain(W[0, 0], of=C, names=N), folder), ["summary >> nth=0"]),
    "explain a value": (lambda folder: saved(ac.explain(C, names=N), folder), []),
    "graph": (lambda folder: saved(ac.graph(C, "calls", names=N), folder), ["#open"]),
    "step": (lambda folder: saved(ac.step(C, names=N), folder), []),
    "live": (lambda folder: saved(ac.live(C, names=N), folder), ["#reset"]),
    "demo": (lambda folder: drawn(), []),
    "demo, report": (lambda folder: drawn(), ["#turn"]),
    "exercise": (lambda folder: SHEET.html(), ["#mark"]),
    "exercise, graph": (lambda folder: ac.exercise(C, names=N, blanks=2, kind="graph").html(marking=False), []),
    "training": (lambda folder: trained(), []),
    "marks": (lambda folder: MARKS.page(points=True), ["summary >> nth=0"]),
    "shown": (
        lambda folder: shown(
            MARKS.verdicts[1], ac.check(C, GRADIENT[::-1], wrt=W, names=N), ac.check(C, GRADIENT, wrt=W, names=N),
            SHEET.key.mark({1: 0.5}), ac.break_it(C, names=N), ac.paths(C, W[0, 0], names=N), ac.uses(C, W, names=N),
            ac.certificate(C, W), ac.explain(W[0, 0], of=C, names=N), ac.graph(C, names=N),
        ),
        [],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def axe():
    """The source of axe-core, as the package axe-playwright-python brings it; nothing is downloaded."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or not found.submodule_search_locations:
        pytest.skip("pages are audited with axe-core: pip install axe-playwright-python")
    return (Path(found.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_no_serious_finding(browser, axe, tmp_path, name):
    make, clicks = PAGES[name]
    path = tmp_path / "shown.html"
    path.write_text(make(tmp_path), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1200, "height": 800}, reduced_motion="reduce")
    page.goto(path.as_uri())
    page.wait_for_timeout(300)
    for place in clicks:
        page.click(place)
    page.evaluate(axe)
    serious = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(100)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert len(found["passes"]) > 8  # it was looked at
        serious += [
            f"{scheme}, {v['impact']}: {v['id']}: {v['help']}: {[n['html'][:120] for n in v['nodes'][:3]]}"
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
        ]
    page.close()
    assert serious == []
