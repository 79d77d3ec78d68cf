"""The live page in a real browser: what is changed there has Python's values, gradients and training steps."""

import json

import numpy as np
import pytest

import autoconv as ac
from autoconv import data, demo, models, nn, optim
from autoconv.views.live import page as live_page

RNG = np.random.default_rng
pytestmark = pytest.mark.quick(1)


def readme():
    """Two convolutions, a difference, a square: the example of the README."""
    i = ac.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]], name="i", subscripts="flat")
    w1 = ac.tensor([[1.0, -1.0], [0.5, 2.0]], name="w1", subscripts="flat")
    w2 = ac.tensor([[0.5, 1.0], [-1.0, 0.25]], name="w2", subscripts="flat")
    o1 = ac.conv2d(i, w1)
    o2 = ac.conv2d(o1, w2)
    C = ac.sum((o2 - 1.0) ** 2)
    return C, locals()


def classified(model, shape, classes=10, train=True):
    model.train(train)
    rng = RNG(1)
    image = ac.tensor(rng.random(shape).astype("f4"), name="image")
    label = ac.tensor(rng.integers(0, classes, shape[:1]), name="label")
    return ac.losses.cross_entropy(model(image), label), {"label": label}


def lenet():
    return classified(models.lenet((28, 28, 1), 10, RNG(0)), (1, 28, 28, 1))


def mlp():
    return classified(models.mlp((8, 8, 1), 10, RNG(0)), (2, 8, 8, 1))


def sequence():
    """Convolutions along one axis, channels first, strided and dilated, with groups."""
    rng = RNG(2)
    model = nn.Sequential(
        nn.Conv1d(4, 8, 5, stride=2, padding=2, layout="channels_first", rng=rng), nn.Tanh(),
        nn.Conv1d(8, 8, 3, dilation=2, groups=4, layout="channels_first", rng=rng),
        nn.AvgPool1d(2, layout="channels_first"), nn.Flatten(), nn.Linear(24, 5, rng=rng),
    )  # fmt: skip
    return classified(model, (2, 4, 21), 5)


def volume():
    rng = RNG(3)
    model = nn.Sequential(
        nn.Conv3d(1, 4, 3, padding="same", rng=rng), nn.ReLU(), nn.MaxPool3d(2), nn.Flatten(), nn.Linear(32, 3, rng=rng)
    )
    return classified(model, (1, 4, 4, 4, 1), 3)


def normalised():
    """Batch norm with the statistics of the batch itself."""
    rng = RNG(4)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, rng=rng), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(54, 4, rng=rng),
    )  # fmt: skip
    return classified(model, (3, 6, 6, 3), 4)


def running_statistics():
    rng = RNG(5)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, rng=rng), nn.BatchNorm2d(4), nn.GELU(), nn.Flatten(), nn.Linear(64, 3, rng=rng)
    )
    return classified(model, (2, 6, 6, 1), 3, train=False)


def transformer():
    """Attention with a residual, layer norm and a gelu, in float64."""
    rng = RNG(6)
    x = ac.tensor(rng.normal(size=(2, 5, 8)), name="x")
    sizes = {"q": (8, 8), "k": (8, 8), "v": (8, 8), "up": (8, 16), "down": (16, 8)}
    q, k, v, up, down = (ac.tensor(rng.normal(size=size) / 3, name=name) for name, size in sizes.items())
    scores = ac.softmax((x @ q) @ ac.permute_dims(x @ k, (0, 2, 1)) / 8**0.5, axis=-1)
    h = x + scores @ (x @ v)
    h = (h - ac.mean(h, -1, keepdims=True)) / ac.sqrt(ac.var(h, -1, keepdims=True) + 1e-5)
    return ac.sum((h + ac.gelu(h @ up) @ down) ** 2) / 80, {}


NETS = [readme, lenet, mlp, sequence, volume, normalised, running_statistics, transformer]


def edits_for(live, rng, count=50):
    """Random edits of what can be changed: [name, index, value]."""
    nodes = [node for node in live.recorded.nodes if node.input >= 0]
    edits = []
    for _ in range(count):
        node = nodes[rng.integers(len(nodes))]
        index = int(rng.integers(node.line.size))
        if node.line.dtype.kind in "iu":
            value = int(rng.integers(3))
        else:
            old = node.line.value.reshape(-1)[index]
            value = 2.0 if node.role == "number" and old == 2 else float(np.round(old + rng.normal() / 4, 3))
        edits.append([node.name, index, value])
    return edits


def python_after(live, edits):
    """Every node of the page as Python has it after these edits: {name: (value, gradient or None)}."""
    nodes = live.recorded.nodes
    tape = ac.Tape(nodes[-1].line)
    given = {node.line: node.line.value.copy() for node in nodes if node.input >= 0}
    for name, index, value in edits:
        line = next(node.line for node in nodes if node.name == name)
        array = given[line]
        if not any(line.value.strides):  # one number, written out at some shape
            array[...] = value
        else:
            array.reshape(-1)[index] = value
    lines = {}
    for line in tape:  # recorded again, to ask for every gradient
        if line.primitive is None:
            value = given.get(line, line.value)
            lines[id(line)] = ac.tensor(value) if not line.constant else value
        else:
            lines[id(line)] = line.primitive(*[lines[id(x)] for x in line.operands], **line.params)
    lines[id(nodes[-1].line)].backward()
    return {node.name: (np.asarray(x := lines[id(node.line)]), getattr(x, "grad", None)) for node in nodes}


def compare(page, expected, tolerance=1e-5):
    found = page.evaluate("Object.fromEntries(autoconv.names().map(n => [n, [autoconv.value(n), autoconv.grad(n)]]))")
    assert found.keys() == expected.keys()
    for name, (value, grad) in expected.items():
        for what, got, wanted in (("value", found[name][0], value), ("gradient", found[name][1], grad)):
            if wanted is None:
                continue
            scale = max(1, np.abs(wanted).max(initial=0))
            off = np.abs(np.array(got) - wanted.reshape(-1)).max(initial=0) / scale
            assert off <= tolerance, f"{what} of {name}: off by {off}"


@pytest.mark.dear
@pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)
def test_fifty_edits_leave_python_s_numbers(load, net):
    loss, names = net()
    live = ac.live(loss, names=names)
    page = load(live.page)
    compare(page, python_after(live, []))
    edits = edits_for(live, RNG(7))
    page.evaluate("async edits => { for (const edit of edits) await autoconv.set(...edit); }", edits)
    compare(page, python_after(live, edits))
    page.evaluate("autoconv.reset()")
    compare(page, python_after(live, []))


@pytest.mark.dear
@pytest.mark.parametrize("net", [lenet, normalised], ids=lambda net: net.__name__)
def test_a_heavy_net_runs_beside_the_page(load, net, monkeypatch):
    monkeypatch.setattr(live_page, "HEAVY", 0)
    loss, names = net()
    live = ac.live(loss, names=names)
    page = load(live.page)
    assert len(page.workers) == 1
    edits = edits_for(live, RNG(8))
    page.evaluate("edits => Promise.all(edits.map(edit => autoconv.set(...edit)))", edits)
    compare(page, python_after(live, edits))


@pytest.mark.dear
def test_dragging_a_weight_moves_everything(load):
    loss, names = readme()
    live = ac.live(loss, names=names)
    page = load(live.page)
    page.evaluate("() => { window.told = 0; autoconv.on('change', () => window.told++); }")
    weight = page.locator('canvas[data-node="1"]')
    box = weight.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 10, box["y"] - 30, steps=5)
    page.mouse.up()
    moved = page.evaluate("autoconv.value('w1')[0]")
    assert moved > 1.5 and page.evaluate("told") >= 5
    compare(page, python_after(live, [["w1", 0, moved]]))
    page.wait_for_selector("#name >> text=w1_1")
    page.wait_for_function("document.querySelector('#loss').textContent !== 'C = 64'")
    page.wait_for_selector("article.changed")
    assert page.locator("article.changed h3").all_text_contents() == ["conv2d", "conv2d", "sub", "power", "sum"]
    page.click("#undo")
    compare(page, python_after(live, []))
    page.click("#redo")
    compare(page, python_after(live, [["w1", 0, moved]]))
    page.keyboard.press("Control+z")
    assert page.evaluate("autoconv.value('w1')[0]") == 1


@pytest.mark.dear
def test_typing_and_sliding_an_element(load):
    loss, names = readme()
    live = ac.live(loss, names=names)
    page = load(live.page)
    page.evaluate("autoconv.pick('w2', [1, 0])")
    page.locator("#panel input[type=number]").fill("-2.5")
    page.locator("#panel input[type=number]").press("Tab")
    compare(page, python_after(live, [["w2", 2, -2.5]]))
    page.locator("#controls input[type=range]").first.fill("0.5")
    assert page.evaluate("autoconv.value('c1')") == [0.5]
    compare(page, python_after(live, [["w2", 2, -2.5], ["c1", 0, 0.5]]))
    page.locator('canvas[data-node="1"]').focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#name >> text=w1_2")
    page.keyboard.press("+")
    assert page.evaluate("autoconv.value('w1')[1]") == pytest.approx(-0.9)


@pytest.mark.dear
def test_an_element_is_explained(load):
    """The terms of an output and of a weight's gradient, as the README has them, and the field it reads."""
    loss, names = readme()
    page = load(ac.live(loss, names=names).page)
    page.evaluate("autoconv.pick('o1', [0, 1])")
    page.wait_for_selector("text=o1_2 =")
    words = " ".join(page.locator("#panel").inner_text().split())
    assert "o1_2 = i_2·w1_1 + i_3·w1_2 + i_5·w1_3 + i_6·w1_4" in words and "= 2·1 + 0·(-1) + 1·0.5 + 3·2" in words
    assert "= 8.5" in words and "dC/do1_2 = w2_2·dC/do2" in words and "Reads 4 of the 9 numbers of i" in words
    page.evaluate("autoconv.pick('w1', [0, 0])")
    page.wait_for_selector("text=dC/dw1_1 =")
    words = " ".join(page.locator("#panel").inner_text().split())
    assert "dC/dw1_1 = i_1·dC/do1_1 + i_2·dC/do1_2 + i_4·dC/do1_3 + i_5·dC/do1_4" in words
    assert "= 1·8 + 2·16 + 0·(-16) + 1·4" in words and "= 44" in words


@pytest.mark.dear
@pytest.mark.parametrize("net", [lenet, sequence, volume, transformer], ids=lambda net: net.__name__)
def test_explanations_add_up(load, net):
    """The terms of any element have the element as their sum, forward and back."""
    loss, names = net()
    live = ac.live(loss, names=names)
    page = load(live.page)
    rng = RNG(9)
    nodes = live.recorded.nodes
    asked = [[node.name, int(rng.integers(node.line.size)), side] for node in nodes for side in ("value", "grad")]
    found = page.evaluate("asked => Promise.all(asked.map(each => autoconv.explain(...each)))", asked)
    counted = 0
    for answer in found:
        if answer and answer["count"] == len(answer["terms"]):
            total = sum(term["value"] for term in answer["terms"])
            assert total == pytest.approx(answer["value"], rel=1e-4, abs=1e-5)
            counted += 1
    assert counted > len(nodes) / 2


@pytest.mark.dear
def test_the_receptive_field(load):
    """Of one number of LeNet's second convolution: 14 x 14 pixels, as the shapes say."""
    loss, names = lenet()
    page = load(ac.live(loss, names=names).page)
    page.evaluate("autoconv.pick('conv2.out', [0, 2, 3, 1])")
    page.wait_for_selector("text=Reads 196 of the 784 numbers of image")


@pytest.mark.dear
@pytest.mark.parametrize("kind", ["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad"])
def test_training_steps_are_python_s(load, kind):
    """Two hundred steps on digits, in the page and here: the same weights."""
    rng = RNG(0)
    model = models.mlp((8, 8, 1), 10, rng)
    make = {
        "sgd": lambda p: optim.SGD(p, lr=0.1, weight_decay=1e-3),
        "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.2),
        "nesterov": lambda p: optim.SGD(p, lr=0.05, momentum=0.8, nesterov=True),
        "adam": lambda p: optim.Adam(p, lr=1e-3, weight_decay=1e-3),
        "adamw": lambda p: optim.AdamW(p, lr=1e-3, weight_decay=0.1),
        "rmsprop": lambda p: optim.RMSprop(p, lr=1e-3, momentum=0.5, centered=True),
        "adagrad": lambda p: optim.Adagrad(p, lr=0.01, lr_decay=0.01, initial_accumulator_value=0.1),
    }[kind]
    digits = data.digits("train")
    live = trained_page(model, make(model.parameters()), digits, 16)
    page = load(live.page)
    steps = 200 if kind in ("sgd", "adam") else 40
    losses = page.evaluate(f"autoconv.train({steps})")
    expected = python_training(model, make(model.parameters()), digits, 16, steps)
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-5)
    for node in live.recorded.nodes:
        if node.role == "parameter":
            found = page.evaluate(f"autoconv.value({json.dumps(node.name)})")
            np.testing.assert_allclose(found, node.line.value.reshape(-1), atol=1e-4, rtol=0)


@pytest.mark.dear
def test_training_beside_the_page(load, monkeypatch):
    """In a worker the same steps are taken."""
    monkeypatch.setattr(live_page, "HEAVY", 0)
    model, digits = models.mlp((8, 8, 1), 10, RNG(3)), data.digits("train")
    page = load(trained_page(model, optim.Adam(model.parameters(), lr=1e-3), digits, 8).page)
    losses = page.evaluate("autoconv.train(10)")
    expected = python_training(model, optim.Adam(model.parameters(), lr=1e-3), digits, 8, 10)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    page.click("#undo")
    page.wait_for_function("document.querySelector('#redo').disabled === false")


def trained_page(model, optimizer, digits, batch):
    image, label = ac.tensor(digits.x[:1], name="image"), ac.tensor(digits.y[:1], name="label")
    loss = ac.losses.cross_entropy(model(image), label)
    return ac.live(loss, optimizer=optimizer, data={image: digits.x, label: digits.y}, batch_size=batch)


def python_training(model, optimizer, digits, batch, steps):
    """The losses of these steps; the model is trained."""
    losses = []
    for step in range(steps):
        rows = np.arange(step * batch, (step + 1) * batch) % len(digits.x)
        loss = ac.losses.cross_entropy(model(digits.x[rows]), digits.y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.fixture(scope="module")
def reader():
    """The demo's page with a network of a few seconds of training."""
    rng = RNG(0)
    digits = data.digits("train")
    model = models.cnn((8, 8, 1), 10, rng)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    python_training(model, optimizer, digits, 64, 60)
    return model, demo.live_page(model, optimizer, digits, data.digits("test"))


@pytest.mark.dear
def test_digits_drawn_with_the_mouse_are_read_as_python_reads_them(load, reader):
    """Held-out digits dot by dot: each of their pixels is so many of sixteen dots."""
    model, live = reader
    page = load(live.page)
    test = data.digits("test")
    page.locator("#brush").fill("0.5")
    box = page.locator("#paper").bounding_box()
    dot = box["width"] / 32
    at = lambda row, column: (box["x"] + (column + 0.5) * dot, box["y"] + (row + 0.5) * dot)
    for k in (0, 5):
        page.click("#blank")
        for (row, column), ink in np.ndenumerate(np.round(test.x[k, :, :, 0] * 16).astype(int)):
            for line in range(4):
                dots = min(4, max(0, int(ink) - 4 * line))
                if dots:
                    page.mouse.move(*at(4 * row + line, 4 * column))
                    page.mouse.down()
                    page.mouse.move(*at(4 * row + line, 4 * column + dots - 1))
                    page.mouse.up()
        np.testing.assert_array_equal(page.evaluate("autoconv.value('image')"), test.x[k].reshape(-1))
        scores = model(test.x[k : k + 1]).value[0]
        np.testing.assert_allclose(page.evaluate("autoconv.value('scores')"), scores, atol=1e-5 * np.abs(scores).max())
        page.wait_for_function(f"document.querySelector('.read.most b').textContent === '{scores.argmax()}'")


@pytest.mark.dear
def test_the_demo_s_page(load, reader):
    model, live = reader
    page = load(live.page_with("<p>what was done</p>", "How it was trained"))
    test = data.digits("test")
    page.click("#example")
    np.testing.assert_array_equal(page.evaluate("autoconv.value('image')"), test.x[0].reshape(-1))
    page.click("#test")
    right = int((model(test.x).value.argmax(1) == test.y).sum())
    page.wait_for_selector(f"text={right} of 360 examples read correctly")
    page.click(".read >> nth=4")
    assert page.evaluate("autoconv.value('label')") == [4]
    page.click("#turn")
    assert page.locator("#report").is_visible() and not page.locator("main").is_visible()
    page.click("#turn")
    page.click("#fresh")
    page.click("#once")
    page.wait_for_selector("text=Step 1: loss")
    page.click("#reset")
    first = next(iter(model.parameters())).value
    np.testing.assert_array_equal(page.evaluate("autoconv.value('conv1.weight')"), first.reshape(-1))


@pytest.mark.dear
def test_state_in_a_link_and_in_a_file(load, tmp_path):
    loss, names = readme()
    live = ac.live(loss, names=names)
    page = load(live.page)
    edits = [["w1", 3, 0.125], ["i", 0, -1.5], ["c1", 0, 3.0]]
    page.evaluate("async edits => { for (const edit of edits) await autoconv.set(...edit); }", edits)
    page.click("#link")
    page.wait_for_function("location.hash.startsWith('#state=')")
    fragment = page.evaluate("location.hash")
    compare(load(live.page, fragment=fragment), python_after(live, edits))
    with page.expect_download() as waiting:
        page.click("#save")
    file = tmp_path / "state.json"
    waiting.value.save_as(file)
    other = load(live.page)
    other.locator("#file").set_input_files(file)
    other.wait_for_selector("text=The changes of the file are made.")
    compare(other, python_after(live, edits))


@pytest.mark.parametrize(
    "state",
    [
        [], {"nobody": [[0, 1]]}, {"w1": [[4, 1]]}, {"w1": [[0, "1"]]}, {"w1": {"all": [1, 2]}}, {"w1": 3},
        {"C": [[0, 1]]},
        {"<img src=x onerror=alert(1)>": [[0, 1]]},
    ],
    ids=str,
)  # fmt: skip
def test_a_state_that_does_not_fit_changes_nothing(load, tmp_path, state):
    loss, names = readme()
    live = ac.live(loss, names=names)
    page = load(live.page)
    file = tmp_path / "state.json"
    file.write_text(json.dumps(state))
    page.locator("#file").set_input_files(file)
    page.wait_for_selector("text=Not opened")
    compare(page, python_after(live, []))


@pytest.mark.dear
def test_names_are_never_html(load):
    name = "</script><img src=x onerror=alert(1)>"
    w = ac.tensor([1.0, 2.0], name=name)
    with ac.scope("<b>bold</b>"):
        y = w * w
    page = load(ac.live(ac.sum(y), title="<script>alert(2)</script>").page)
    assert page.locator("img, b b, main script").count() == 0
    assert name in page.locator("#net").inner_text() and "<b>bold</b>" in page.locator("#net").inner_text()
    page.evaluate("name => autoconv.pick(name, 0)", name)
    page.wait_for_selector("#panel .equation")
    assert page.locator("img").count() == 0


@pytest.mark.dear
def test_a_long_calculation(load):
    """Of hundreds of lines the first and the last are drawn, and all are there; one array has no numbers at all."""
    w, x = ac.tensor([0.9, 0.8], name="w"), ac.tensor([0.5, 0.1], name="x")
    y = x
    for _ in range(250):
        y = ac.tanh(y * w)
    nothing = ac.tensor(np.zeros((0, 3)), name="nothing")
    live = ac.live(ac.sum(y * y) + ac.sum(nothing * 2), names={"y": y})
    page = load(live.page)
    assert page.locator("text=lines more").count() == 1 and page.locator("article").count() == 300
    compare(page, python_after(live, []))
    page.evaluate("autoconv.pick('w', 1)")
    page.wait_for_selector("text=of 250")


@pytest.mark.dear
def test_what_is_wrong_is_said(load):
    loss, names = lenet()
    page = load(ac.live(loss, names=names).page)
    for call, words in (
        ("autoconv.set('nobody', 0, 1)", "there is no nobody; the names are conv1.weight"),
        ("autoconv.set('conv1.out', 0, 1)", "conv1.out is computed"),
        ("autoconv.set('image', 784, 1)", "image has no element 784; its shape is 1×28×28×1"),
        ("autoconv.set('image', 0, NaN)", "image takes numbers"),
        ("autoconv.set('label', 0, 10)", "there is no place 10 among 10"),
        ("autoconv.on('click', () => 0)", "the only one is 'change'"),
    ):
        told = page.evaluate(f"(async () => {{ try {{ await {call}; }} catch (e) {{ return e.message; }} }})()")
        assert words in told, call
    assert page.evaluate("autoconv.value('label')") == [int(names["label"].value[0])]


@pytest.mark.dear
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_windows_of_all_sizes(load, dark):
    loss, names = lenet()
    live = ac.live(loss, names=names)
    for width, height in ((1200, 800), (390, 844)):
        page = load(live.page, dark=dark, width=width, height=height)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.dear
def test_a_map_jumps_to_the_layers(load):
    """Of a net; a calculation of a few calls needs none."""
    loss, names = lenet()
    page = load(ac.live(loss, names=names).page)
    entries = page.locator("#map button").all_inner_texts()
    assert [text.split()[0] for text in entries] == page.locator("#net h3").all_inner_texts()
    last = page.locator("#net article").last
    page.click("#map button >> nth=-1")
    top, height = last.bounding_box()["y"], page.viewport_size["height"]
    assert 0 <= top < height
    few, names = readme_of_a_few_calls()
    assert not load(ac.live(few, names=names).page).locator("#map").is_visible()


def readme_of_a_few_calls():
    x = ac.tensor([1.0, 2.0], name="x")
    return ac.sum(ac.exp(x) * x), {}


@pytest.mark.dear
def test_in_a_notebook_s_cell(load):
    """The sandboxed frame of an output cell: the page computes there, in a worker too."""
    loss, names = readme()
    live = ac.live(loss, names=names)
    shown = live._repr_mimebundle_()["text/html"]
    page = load(f"<!DOCTYPE html><title>notebook</title><body data-ready>{shown}</body>")
    frame = page.frames[1]
    frame.wait_for_selector("body[data-ready]")
    frame.evaluate("autoconv.set('w1', [1, 1], 3)")
    expected = python_after(live, [["w1", 3, 3.0]])
    assert frame.evaluate("autoconv.grad('i')") == pytest.approx(expected["i"][1].reshape(-1).tolist())
