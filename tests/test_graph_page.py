"""The page of a graph: its layout against the one in Python, the tree of boxes, and the page in a browser."""

import json
import random
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers.in_node import MISSING, NODE
from helpers.pictures import by_title

import autoconv as ac
from autoconv import nn
from autoconv.render.cluster import clustered
from autoconv.render.layout import layered
from autoconv.render.node import Node
from autoconv.views.graph.page import STATIC

RNG = np.random.default_rng


class Branches(nn.Layer):
    """Two branches that are joined, a skip over both, and one layer that is used twice."""

    def __init__(self):
        self.stem, self.twice = nn.Conv2d(1, 4, 3, padding=1, rng=0), nn.Conv2d(4, 4, 1, rng=1)
        self.left = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, rng=2), nn.ReLU())
        self.right = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(4, 4, 1, rng=3))
        self.one, self.two = nn.Linear(4, 3, rng=4), nn.Linear(4, 2, rng=5)

    def forward(self, x):
        h = self.twice(self.stem(x))
        h = ac.relu(self.left(h) + self.right(h)) + self.twice(h)
        h = ac.mean(h, axis=(1, 2))
        return self.one(h), self.two(h)


def branches():
    one, two = Branches()(ac.tensor(RNG(0).normal(size=(2, 6, 6, 1)), name="x"))
    loss = ac.losses.cross_entropy(one, np.array([0, 2])) + 0.5 * ac.losses.mse(two, np.zeros((2, 2)))
    loss.backward()
    return loss


# ---- one layout, written twice


def node(kind="call", card=False, passes=False, weight=False):
    return Node("n", kind, "", "", (), "", None, False, (), weight=weight, card=card, passes=passes)


@pytest.mark.skipif(NODE is None, reason=MISSING)
def test_the_layout_in_the_page_is_that_of_the_picture():
    cases = []
    for seed in range(30):
        rng = random.Random(seed)
        count = rng.randint(1, 40)
        sizes = [(rng.randint(20, 200), rng.randint(20, 110)) for _ in range(count)]
        edges = [(rng.randrange(v), v) for v in range(1, count) for _ in range(rng.randint(0, 3))]
        nodes = [
            node(rng.choice(["call", "constant", "input"]), rng.random() < 0.7, rng.random() < 0.5, rng.random() < 0.3)
            for _ in range(count)
        ]
        cases.append((sizes, edges, nodes))
    half = 60
    edges = [(i, i + 1) for i in range(2 * half - 1)] + [(i, 2 * half - 1 - i) for i in range(half - 1)]
    cases.append(([(40, 20)] * (2 * half), edges, [node()] * (2 * half)))
    asked = [
        [[{"w": w, "h": h, "kind": n.kind, "weight": n.weight, "card": n.card, "passes": n.passes}
          for (w, h), n in zip(sizes, nodes, strict=True)], edges]
        for sizes, edges, nodes in cases
    ]  # fmt: skip
    script = (STATIC / "layout.js").read_text(encoding="utf-8") + (
        "const cases = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(cases.map(([nodes, edges]) => {"
        "const f = clustered(nodes, edges, () => null, () => null);"
        "return { ...f, joined: [...f.joined], widths: nodes.map((n) => n.w) }; })));"
    )
    done = subprocess.run([NODE, "-e", script], input=json.dumps(asked), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for (sizes, edges, nodes), found in zip(cases, json.loads(done.stdout), strict=True):
        expected, joined = clustered(nodes, edges, sizes)
        assert (found["width"], found["height"]) == pytest.approx((expected.width, expected.height))
        assert np.allclose(found["places"], [(b.left, b.top) for b in expected.boxes])
        assert np.allclose(found["widths"], [b.width for b in expected.boxes])
        assert set(found["joined"]) == joined
        for e, route in enumerate(expected.routes):
            if e not in joined:
                assert np.allclose(found["routes"][e]["curve"], route.curve)
                assert np.allclose(found["routes"][e]["tip"], route.tip)


def test_the_longest_path_is_straight_and_skips_stand_beside_it():
    # a chain of 12 boxes of all widths, of which 2 is read by 6, 7 by 11, and branches from 4 to 9
    chain = [(i, i + 1) for i in range(11)]
    sizes = [(60 + 17 * (i % 5), 40) for i in range(14)]
    layout = layered(sizes, [*chain, (2, 6), (7, 11), (4, 12), (12, 13), (13, 9)])
    middles = [round(b.left + b.width / 2, 6) for b in layout.boxes]
    assert len(set(middles[:12])) == 1
    assert middles[12] == middles[13] != middles[0]
    for route in layout.routes[:11]:
        assert {round(x, 6) for x, _ in (*route.curve, route.tip)} == {middles[0]}


# ---- the tree


@pytest.mark.parametrize("zoom", ["model", "calls"])
def test_the_page_begins_with_the_boxes_of_the_picture(zoom):
    graph = ac.graph(branches(), zoom=zoom)
    tree = graph.tree
    shut = [box for box in tree.boxes if not box.open and all(tree.boxes[k].open for k in above(tree, box))]
    told = [sorted((n.title, n.shapes, n.value, n.gradient) for n in nodes)
            for nodes in (graph.nodes, [box.node for box in shut])]  # fmt: skip
    assert told[0] == told[1]


def above(tree, box):
    found = []
    while box.parent >= 0:
        found.append(box.parent)
        box = tree.boxes[box.parent]
    return found


def test_every_line_is_in_the_tree_once_and_inside_its_layer():
    loss = branches()
    tree = ac.graph(loss, zoom="model").tree
    lines = [i for box in tree.boxes if not box.holds for i in box.node.lines]
    assert sorted(lines) == list(range(len(ac.Tape(loss))))
    assert all(box.parent < k for k, box in enumerate(tree.boxes))
    place = {box.node.title: box for box in tree.boxes}
    assert tree.boxes[place["stem.weight"].parent].node.title == "stem"
    assert tree.boxes[place["x"].parent].node.title if place["x"].parent >= 0 else True
    known = {box.node.id for box in tree.boxes}
    assert len(known) == len(tree.boxes) and {e.source for e in tree.edges} | {e.target for e in tree.edges} <= known


def test_a_definition_is_a_box_that_holds_its_steps():
    a, b = ac.tensor([3.0, 1.0], name="a"), ac.tensor([3.0, 5.0], name="b")
    tree = ac.graph(ac.sum(ac.maximum(a, b)), open="maximum").tree
    (whole,) = [k for k, box in enumerate(tree.boxes) if box.node.operation == "maximum"]
    assert [box.node.operation for box in tree.boxes if box.parent == whole] == ["add", "sub", "abs", "add", "div"]


def test_a_slice_has_the_tree_of_its_lines():
    loss = branches()
    weight = next(x for x in ac.Tape(loss).inputs if x.name == "one.weight")
    graph = ac.graph(loss, zoom="calls", focus=weight, direction="down")
    titles = {box.node.title for box in graph.tree.boxes}
    assert "one" in titles and "two" not in titles and "stem" not in titles


# ---- models as cards


def test_cards_tell_kernel_stride_padding_shape_and_parameters_of_every_layer():
    found = by_title(ac.graph(branches(), zoom="model"))
    told = {n.title: (n.what, n.shapes[-1], n.parameters) for n in found.values() if n.card}
    assert told["stem"] == ("conv2d 3×3, padding 1", (2, 6, 6, 4), 40)
    assert told["left.0: Conv2d"][0] == "conv2d 3×3, padding 1" and told["left.1: ReLU"][0] == "relu"
    assert told["right.0: MaxPool2d"][0] == "max_pool2d 3×3, padding 1"
    assert told["one"] == ("linear 4 → 3", (2, 3), 15)
    assert told["twice"][0].endswith("weights as before")
    total = sum(n.parameters for n in ac.graph(branches(), zoom="model").nodes)
    assert total == Branches().num_parameters() == 40 + 20 + 148 + 20 + 15 + 10


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (nn.Conv1d(2, 3, 5, stride=2, rng=0), (1, 21, 2), "conv1d 5, stride 2"),
        (nn.Conv3d(1, 2, 3, padding=1, rng=0), (1, 5, 5, 5, 1), "conv3d 3×3×3, padding 1"),
        (nn.ConvTranspose2d(2, 2, 2, stride=2, rng=0), (1, 4, 4, 2), "conv_transpose2d 2×2, stride 2"),
        (nn.Linear(6, 2, rng=0), (3, 6), "linear 6 → 2"),
        (nn.BatchNorm2d(3), (2, 4, 4, 3), "batch_norm"),
        (nn.Conv2d(4, 4, 3, groups=2, dilation=2, rng=0), (1, 9, 9, 4), "conv2d 3×3, dilation 2, 2 groups"),
    ],
)
def test_what_a_layer_does_in_words(layer, shape, words):
    for dtype in (np.float32, np.float64):  # of which one is cast
        model = nn.Sequential(first=layer, flat=nn.Flatten())
        graph = ac.graph(ac.sum(model(ac.tensor(np.ones(shape, dtype), name="x"))), zoom="model")
        assert by_title(graph)["first"].what == words


# ---- the page


def test_the_page_needs_nothing_and_allows_its_own_script_alone(tmp_path):
    path = ac.graph(branches(), zoom="model").save(tmp_path / "net.html")
    text = path.read_text(encoding="utf-8")
    assert "default-src 'none'; script-src 'sha256-" in text and "prefers-color-scheme:dark" in text
    assert not re.findall(r"(?:src|href)=", text)
    assert set(re.findall(r"https?://[^\"'\s<]*", text)) == {"http://www.w3.org/2000/svg"}


OPEN = "() => [...document.querySelectorAll('g[data-node]')].map((x) => x.getAttribute('aria-label').split(',')[0])"


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of a graph; what went wrong there fails the test at its end."""
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("request", lambda request: request.url.startswith("file:") or wrong.append(request.url))

    def show(graph):
        page.goto(Path(graph.save(tmp_path / "graph.html")).as_uri())
        return page

    yield show
    page.close()
    assert wrong == []


@pytest.mark.quick(0)
def test_boxes_open_and_close(opened):
    page = opened(ac.graph(branches(), zoom="model"))
    before = page.evaluate(OPEN)
    assert "stem" in before and "stem.weight" not in before
    page.locator("g[data-node][aria-label^='stem']").first.focus()
    page.keyboard.press("Enter")
    inside = page.evaluate(OPEN)
    assert {"stem", "stem.weight", "stem.bias", "windows", "contract"} <= set(inside)
    assert page.locator("#details h2").inner_text() == "stem"
    page.keyboard.press("Enter")
    assert page.evaluate(OPEN) == before
    page.click("#open")
    assert len(page.evaluate(OPEN)) > 100
    crossing = """() => { const boxes = [...document.querySelectorAll('g[data-node]:not(.frame)')].map(
            (x) => x.getBoundingClientRect());
        return boxes.some((a, i) => boxes.some((b, k) => k > i && a.left < b.right - 12 && b.left < a.right - 12
            && a.top < b.bottom - 12 && b.top < a.bottom - 12)); }"""
    page.keyboard.press("0")
    assert not page.evaluate(crossing)
    page.click("#back")
    assert page.evaluate(OPEN) == before
    page.click("#close")
    assert {"Branches", "x"} <= set(page.evaluate(OPEN)) and "stem" not in page.evaluate(OPEN)


@pytest.mark.quick(0)
def test_search_moves_scale_and_keys(opened):
    page = opened(ac.graph(branches(), zoom="model"))
    page.keyboard.press("/")
    page.keyboard.type("one.weight")
    assert page.locator(".hit").count() == 1  # the closed box that it is in
    page.keyboard.press("Enter")
    assert "one.weight" in page.evaluate(OPEN) and "1 of 2: one.weight" in page.locator("#status").inner_text()
    told = page.locator("#details").inner_text()
    assert "(4, 3)" in told and "grad" in told and "Branches > one" in told
    page.keyboard.press("Escape")
    page.click("#back")
    scale = page.evaluate("autoconv.scale()")
    page.keyboard.press("+")
    assert page.evaluate("autoconv.scale()") == pytest.approx(1.25 * scale)
    page.mouse.move(300, 400)
    page.mouse.wheel(0, 300)
    assert page.evaluate("autoconv.scale()") < 1.25 * scale
    at = "document.querySelector('#view > svg > g').getAttribute('transform')"
    before = page.evaluate(at)
    page.mouse.move(60, 700)
    page.mouse.down()
    page.mouse.move(160, 650)
    page.mouse.up()
    assert page.evaluate(at) != before
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    first = page.locator("#details h2").inner_text()
    page.keyboard.press("ArrowUp")
    assert page.locator("#details h2").inner_text() != first


@pytest.mark.quick(0)
def test_pages_without_a_tree_and_hostile_names(opened):
    x = ac.tensor([1.0, 2.0], name="</script><img src=x onerror=alert(1)>")
    y = ac.sum(x * x)
    for more in ({"zoom": "scalars"}, {"backward": True}, {"fold": True}, {}, {"zoom": "model"}):
        page = opened(ac.graph(y, **more))
        assert any("<img" in name for name in page.evaluate(OPEN)) and not page.locator("img").count()
        assert page.locator("#open").is_visible() is (more in ({}, {"zoom": "model"}))
        page.locator("g[data-node]").first.click()
        assert "</script>" in page.locator("#details h2").inner_text()
