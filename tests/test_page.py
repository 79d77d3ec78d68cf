"""The page in a real browser: chromium, driven by Playwright, on a local file."""

import re

import numpy as np
import pytest

import autoconv as ac
from autoconv.render.page import iframe
from autoconv.views.stepper import page as page_module
from autoconv.views.stepper.stepper import step
from autoconv.views.stepper.training import record_training


def program():
    rng = np.random.default_rng(5)
    x, w = ac.tensor(rng.normal(size=(6, 7)), name="x"), ac.tensor(rng.normal(size=(2, 3)), name="w")
    h = ac.conv2d(x, w, stride=(2, 1), padding=1)
    y = ac.max_pool2d(ac.relu(h), 2)
    return ac.sum(y * y), {"x": x, "w": w, "h": h, "y": y}


def shown(page, grid, within="#picture"):
    """{(row, column): number in four digits} of a grid, from what its cells say."""
    script = """g => Object.fromEntries([...g.querySelectorAll('.cell')].map(
        c => [c.dataset.row + ',' + c.dataset.column, c.querySelector('title').textContent]))"""
    cells = page.locator(f'{within} [data-grid="{grid}"]').first.evaluate(script)
    number = lambda text: text.rpartition(" = ")[2].removesuffix(" (padding)")
    return {tuple(map(int, key.split(","))): number(text) for key, text in cells.items()}


def lit(page, grid, look="lit"):
    script = f"g => [...g.querySelectorAll('.cell.{look}')].map(c => [+c.dataset.row, +c.dataset.column])"
    return {tuple(cell) for cell in page.locator(f'#picture [data-grid="{grid}"]').evaluate(script)}


def hover(page, grid, row, column):
    page.locator(f'#picture [data-grid="{grid}"] .cell[data-row="{row}"][data-column="{column}"]').hover(force=True)


def go_to(page, number):
    page.locator("#slider").evaluate(f"s => {{ s.value = {number}; s.dispatchEvent(new Event('input')); }}")


def go_to_event(page, number):
    """Opened into lines, at the event with this number, from 1."""
    page.click("#lines")
    walked = page.evaluate("() => Number(document.getElementById('slider').max)")
    for position in range(1, walked + 1):
        go_to(page, position)
        if page.locator("body").get_attribute("data-event") == str(number):
            return
    raise AssertionError(f"event {number} is not among the {walked} lines of the page")


def go_to_call(page, name, phase="forward"):
    if phase == "backward":
        page.click("#sweep")
    page.locator("#map .unit", has=page.locator("b", has_text=re.compile(f"^{re.escape(name)}$"))).first.click()
    assert page.locator("body").get_attribute("data-phase") == phase


def event_number(stepper, kind, line, target=None):
    """The number, from 1, of the event of this kind."""
    return 1 + next(
        e.index for e in stepper if e.kind == kind and e.line is line and (target is None or e.target is target)
    )


def at(page):
    return int(page.locator("body").get_attribute("data-step"))


@pytest.mark.dear
def test_buttons_keys_and_slider_move_from_call_to_call(load):
    loss, names = program()
    stepper = step(loss, names=names)
    loud = [s for s in stepper.stops if not s.unit.quiet]
    page = load(stepper.page)
    assert at(page) == 1 and page.locator("#count").text_content() == f"1 / {len(loud)}"
    page.click("#next")
    page.keyboard.press("ArrowRight")
    assert at(page) == 3
    page.click("#back")
    page.keyboard.press("ArrowLeft")
    assert at(page) == 1 and page.locator("#back").is_disabled()
    page.click("#last")
    assert at(page) == len(loud) and page.locator("#next").is_disabled()
    page.click("#first")
    page.locator("#slider").fill("4")
    assert at(page) == 4
    page.keyboard.press("End")
    page.keyboard.press("Home")
    assert at(page) == 1
    page.keyboard.press("b")
    assert at(page) == 1 + next(k for k, s in enumerate(loud) if s.phase == "backward")
    page.keyboard.press("Home")
    page.click("#play")
    page.wait_for_selector("body[data-step='2']", timeout=5000)


@pytest.mark.dear
def test_a_page_opens_at_the_first_call_and_not_at_parameters(load):
    loss, names = program()
    page = load(step(loss, names=names).page)
    assert page.locator("#title").text_content() == "h: conv2d" and page.locator("#picture .cell").count() > 0
    seen = []
    while not page.locator("#next").is_disabled():
        seen.append(page.locator("#title").text_content())
        page.keyboard.press("ArrowRight")
    assert seen == ["h: conv2d", "relu", "y: max_pool2d", "mul", "sum", "sum", "mul", "y: max_pool2d", "relu"]


@pytest.mark.dear
def test_a_call_opens_into_lines_and_a_line_into_scalars(load):
    loss, names = program()
    stepper = step(loss, names=names)
    page = load(stepper.page)
    level = lambda: page.locator("body").get_attribute("data-level")
    assert level() == "calls" and page.locator("#scalars").is_disabled()
    page.keyboard.press("Enter")
    assert level() == "lines"
    inside = {id(x) for x in stepper.units[2].lines}
    rows = [e for e in stepper if e.kind == "forward" and id(e.line) in inside]
    assert page.locator("#inside li").count() == len(rows) == 6  # reshape, pad, windows, reshape, contract, reshape
    page.locator("#inside button").last.click()
    page.keyboard.press("ArrowRight")  # on to relu
    assert page.locator("#title").text_content() == "relu"
    page.keyboard.press("ArrowDown")
    assert level() == "scalars"
    h = names["h"].value
    for k in range(3):
        assert page.locator("#terms").text_content() == (
            f"relu[0, {k}] = {max(0.0, h[0, k]):.4g}max(0, h[0, {k}])"
            f"= max(0, {f'({h[0, k]:.4g})' if h[0, k] < 0 else f'{h[0, k]:.4g}'})= {max(0.0, h[0, k]):.4g}"
        )
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert level() == "lines"
    page.keyboard.press("ArrowUp")
    assert level() == "calls" and page.locator("#title").text_content() == "relu"


@pytest.mark.dear
def test_each_line_shows_its_text_and_numbers(load):
    loss, names = program()
    stepper = step(loss, names=names)
    page = load(stepper.page)
    page.click("#lines")
    for event in [e for e in stepper if e.kind not in ("input", "gradient")]:
        assert page.locator("#says").text_content() == event.text
        assert page.locator("body").get_attribute("data-event") == str(event.index + 1)
        array, role = (event.value, "result") if event.phase == "forward" else (event.after, "after")
        if array.ndim <= 2:
            square = np.atleast_2d(array)
            assert shown(page, role, "#grids") == {i: f"{v:.4g}" for i, v in np.ndenumerate(square)}
        page.keyboard.press("ArrowRight")


@pytest.mark.dear
def test_scalars_of_a_contraction_and_of_a_sum_add_up(load):
    rng = np.random.default_rng(7)
    x, w = ac.tensor(rng.normal(size=(2, 3)), name="x"), ac.tensor(rng.normal(size=(3, 4)), name="w")
    y = x @ w
    loss = ac.sum(y, axis=0)
    stepper = step(ac.sum(loss * loss), names={"y": y, "loss": loss})
    page = load(stepper.page)
    last = lambda: page.locator("#terms div").last.text_content().rpartition("sum ")[2]
    go_to_call(page, "y")
    page.click("#lines")
    page.click("#scalars")
    for i, j in np.ndindex(2, 4):
        assert page.locator("#terms b").text_content() == f"y[{i}, {j}] = {y.value[i, j]:.4g}"
        assert float(last()) == pytest.approx(y.value[i, j], rel=1e-3)
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    go_to_call(page, "loss")
    page.click("#lines")
    page.click("#scalars")
    for j in range(4):
        assert float(last()) == pytest.approx(loss.value[j], rel=1e-3)
        page.keyboard.press("ArrowRight")
    (dw,) = ac.sweep(ac.sum(ac.sum(x @ w, axis=0) ** 2), [w])
    number = event_number(stepper, "accumulate", y, w)
    page.keyboard.press("Escape")
    go_to_event(page, number)
    page.click("#scalars")
    assert float(last()) == pytest.approx(dw[0, 0], rel=1e-3)


@pytest.mark.dear
def test_the_map_jumps_searches_folds_and_shows_what_is_known(load):
    rng = np.random.default_rng(0)
    model = ac.nn.Sequential(
        ac.nn.Sequential(ac.nn.Conv2d(1, 3, 3, rng=rng), ac.nn.ReLU()), ac.nn.MaxPool2d(2), ac.nn.Flatten(),
        ac.nn.Linear(27, 5, rng=rng),
    )  # fmt: skip
    image = ac.tensor(rng.random((1, 8, 8, 1)), name="image")
    stepper = step(ac.losses.cross_entropy(model(image), np.array([2])))
    page = load(stepper.page)
    titles = [u.name.rpartition(".")[2] for u in stepper.units]
    assert page.locator("#map .unit b").all_text_contents() == titles
    page.locator("#map .unit").nth(len(titles) - 2).click()
    assert page.locator("#title").text_content() == stepper.units[-2].title
    assert page.locator("#map .unit.todo").count() == 1 and page.locator("#map [aria-current=step]").count() == 1
    reads = {(k, len(titles) - 2) for k in stepper.units[-2].reads}
    found = page.locator("#map .edge.lit").evaluate_all("es => es.map(e => [+e.dataset.from, +e.dataset.to])")
    assert {tuple(edge) for edge in found} == reads
    page.click("#sweep")
    page.locator("#map .unit").nth(1).click()  # in the direction of the walk
    assert page.locator("body").get_attribute("data-phase") == "backward"
    page.locator("#map .head").first.click()
    assert page.locator("#map .unit:visible").count() == len(titles) - 2
    page.locator("#map .head").first.click()
    page.fill("#search", "max_pool")
    assert page.locator("#map .unit:visible").count() == 1
    page.keyboard.press("Enter")
    assert "max_pool2d" in page.locator("#title").text_content()


@pytest.mark.dear
def test_kernels_are_tiles_and_images_are_images(load):
    rng = np.random.default_rng(3)
    x, w = ac.tensor(rng.random((1, 16, 16, 3)), name="x"), ac.tensor(rng.normal(size=(3, 3, 3, 4)), name="w")
    y = ac.conv2d(x, w)
    page = load(step(ac.sum(y * y), names={"y": y}).page)
    label = lambda role, k: page.locator(f"#grids figure.{role} canvas").nth(k).get_attribute("aria-label")
    assert label("operand", 0).startswith("x, 1 tiles of 16 by 16") or label("operand", 0).startswith("x, 16 by 16")
    assert label("operand", 1).startswith("w, 12 tiles of 3 by 3, by in and out")
    assert label("result", 0).startswith("y, 4 tiles of 14 by 14, by channel")
    pixel = "c => [...c.getContext('2d').getImageData(5, 5, 1, 1).data].slice(0, 3)"
    colour = page.locator("#grids figure.operand canvas").first.evaluate(pixel)
    assert np.abs(np.array(colour) - 255 * x.value[0, 0, 0]).max() <= 2
    box = page.locator("#grids figure.operand canvas").nth(1).bounding_box()
    page.mouse.click(box["x"] + box["width"] - 20, box["y"] + box["height"] - 20)  # the last tile: in 2, out 3
    assert page.locator("#picture select[aria-label=kernel]").input_value() == "3"
    assert page.locator("#picture select[aria-label='input channel']").input_value() == "2"
    assert shown(page, "kernel") == {i: f"{v:.4g}" for i, v in np.ndenumerate(w.value[:, :, 2, 3])}


@pytest.mark.dear
def test_of_a_large_array_the_rest_is_said_to_be_missing(load, monkeypatch):
    monkeypatch.setattr(page_module, "LARGEST", 120_000)
    rng = np.random.default_rng(4)
    x, w = ac.tensor(rng.random((1, 16, 16, 32)), name="x"), ac.tensor(rng.normal(size=(3, 3, 32, 32)), name="w")
    y = ac.conv2d(x, w, padding=1)
    stepper = step(ac.sum(y * y), names={"y": y})
    assert len(stepper.page) <= 120_000
    page = load(stepper.page)
    notes = page.locator("#grids .note").all_text_contents()
    assert any("channel: the first " in text and " of 32" in text for text in notes)
    assert any("out: the first " in text for text in notes)
    assert "keeps all" in page.locator("#note").text_content()
    assert f"y[0, 0] = {y.value[0, 0, 0, 0]:.4g}" in page.locator("#terms").text_content()


@pytest.mark.dear
def test_panes_zoom_and_dividers(load):
    loss, names = program()
    page = load(step(loss, names=names).page)
    width = lambda: page.locator('#picture [data-grid="kernel"] svg').bounding_box()["width"]
    before = width()
    page.click("#in")
    assert width() > before
    page.keyboard.press("0")
    assert width() == before
    wide = page.locator("#map").bounding_box()["width"]
    page.locator("#leftbar").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#map").bounding_box()["width"] == wide + 20 and at(page) == 1
    bar = page.locator("#rightbar").bounding_box()
    right = page.locator("#equation").bounding_box()["width"]
    page.mouse.move(bar["x"] + 3, bar["y"] + 300)
    page.mouse.down()
    page.mouse.move(bar["x"] - 60, bar["y"] + 300)
    page.mouse.up()
    assert page.locator("#equation").bounding_box()["width"] > right + 40


@pytest.mark.dear
def test_pointing_at_a_convolution(load):
    """x (6, 7), kernel (2, 3), stride (2, 1), padding 1: window (r, c) covers padded rows
    2r .. 2r + 1, columns c .. c + 2."""
    loss, names = program()
    x, w, h = names["x"].value, names["w"].value, names["h"].value
    page = load(step(loss, names=names).page)
    padded = np.pad(x, 1)
    assert shown(page, "input") == {i: f"{v:.4g}" for i, v in np.ndenumerate(padded)}
    assert shown(page, "output") == {i: f"{v:.4g}" for i, v in np.ndenumerate(h)}
    for r, c in ((0, 0), (1, 4), (3, 6)):
        hover(page, "output", r, c)
        assert lit(page, "input") == {(2 * r + u, c + v) for u in range(2) for v in range(3)}
        assert lit(page, "output") == {(r, c)}
        words = page.locator("#terms").text_content()
        assert f"{padded[2 * r, c]:.4g} × {w[0, 0]:.4g}" in words and f"= {h[r, c]:.4g}" in words
    hover(page, "kernel", 1, 2)
    assert lit(page, "input") == {(2 * r + 1, c + 2) for r in range(4) for c in range(7)}
    hover(page, "input", 3, 3)
    assert lit(page, "output") == {(1, 1), (1, 2), (1, 3)} and lit(page, "kernel") == {(1, 0), (1, 1), (1, 2)}
    page.keyboard.press("Shift+ArrowRight")
    assert len(lit(page, "output")) == 1


@pytest.mark.dear
def test_pointing_at_a_convolution_backward(load):
    """The gradient of a padded input cell (r, c) is the dilated,
    padded delta from (r, c) on times the rotated kernel."""
    loss, names = program()
    x, w, h = (names[n] for n in "xwh")
    dx, dw, dh = ac.sweep(loss, [x, w, h])
    page = load(step(loss, names=names).page)
    go_to_call(page, "h", "backward")
    delta = np.zeros((6 + 2 + 1, 7 + 2 + 2))
    delta[1 : 1 + 2 * 4 : 2, 2 : 2 + 7] = dh
    assert shown(page, "delta") == {i: f"{v:.4g}" if v else "0" for i, v in np.ndenumerate(delta)}
    assert shown(page, "rotated") == {i: f"{v:.4g}" for i, v in np.ndenumerate(w.value[::-1, ::-1])}
    hover(page, "input gradient", 2, 3)
    assert lit(page, "delta") == {(2 + u, 3 + v) for u in range(2) for v in range(3)}
    by_hand = (delta[2:4, 3:6] * w.value[::-1, ::-1]).sum()
    assert np.isclose(by_hand, dx[1, 2]) and f"x[1, 2] = {dx[1, 2]:.4g}" in page.locator("#terms").text_content()
    assert shown(page, "kernel gradient") == {i: f"{v:.4g}" for i, v in np.ndenumerate(dw)}
    hover(page, "kernel gradient", 0, 2)
    assert lit(page, "input") == {(2 * r, c + 2) for r in range(4) for c in range(7)}
    assert f"w[0, 2] = {dw[0, 2]:.4g}" in page.locator("#terms").text_content()


@pytest.mark.dear
def test_pooling_names_the_winner(load):
    loss, names = program()
    page = load(step(loss, names=names).page)
    pooled = np.maximum(names["h"].value, 0)
    for phase in ("forward", "backward"):
        go_to_call(page, "y", phase)
        for r, c in ((0, 0), (1, 2)):
            hover(page, "output" if phase == "forward" else "output gradient", r, c)
            window = pooled[2 * r : 2 * r + 2, 2 * c : 2 * c + 2]
            u, v = divmod(int(window.argmax()), 2)
            assert lit(page, "input") == {(2 * r + i, 2 * c + j) for i in range(2) for j in range(2)}
            assert lit(page, "input", "pin") == {(2 * r + u, 2 * c + v)}


def test_large_planes_are_canvases_whose_cells_can_be_pointed_at(load):
    x, w = ac.tensor(np.arange(2500.0).reshape(50, 50) / 2500, name="x"), ac.tensor(np.eye(3), name="w")
    y = ac.conv2d(x, w)
    page = load(step(ac.sum(y), names={"y": y}).page)
    canvas = page.locator('#picture [data-grid="output"] canvas')
    box = canvas.bounding_box()
    cell = (box["width"] - 4) / 48
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 2 + 7.5 * cell, box["y"] + 2 + 3.5 * cell)
    assert f"y[3, 7] = {y.value[3, 7]:.4g}" in page.locator("#terms").text_content()


@pytest.mark.dear
@pytest.mark.parametrize(
    ("make", "shape", "kernel"),
    [
        (lambda x, w: ac.conv1d(x, w, padding=1), (8,), (3,)),
        (lambda x, w: ac.conv3d(x, w), (3, 4, 4), (2, 2, 2)),
        (lambda x, w: ac.conv2d(x, w, groups=2, layout="channels_first"), (2, 4, 5, 5), (2, 2, 3, 3)),
        (lambda x, w: ac.conv2d(x, w, flip=True, dilation=2), (7, 7, 2), (2, 2, 2, 3)),
    ],
)
def test_other_geometries_draw_and_add_up(load, make, shape, kernel):
    rng = np.random.default_rng(2)
    x, w = ac.tensor(rng.normal(size=shape), name="x"), ac.tensor(rng.normal(size=kernel), name="w")
    y = make(x, w)
    page = load(step(ac.sum(y * y), names={"y": y}).page)
    for phase in ("forward", "backward"):
        go_to_call(page, "y", phase)
        assert page.locator("#picture .cell").count() > 0
        words = page.locator("#terms").text_content()
        assert "×" in words and "bias" not in words and "?" not in words
        assert page.locator("#math math").count() == (1 if phase == "forward" else 2)


@pytest.mark.dear
def test_numbers_that_are_not_finite_and_ties_of_rounding(load):
    values = [np.nan, np.inf, -np.inf, 1.0625, -0.0, 1e-7, 123456.0, 0.1, 2.0005, 99995.0]
    x = ac.tensor(values, name="x")
    page = load(step(ac.sum(x * 1.0)).page)
    assert list(shown(page, "result", "#grids").values()) == [f"{v:.4g}" for v in values]


@pytest.mark.dear
def test_hostile_labels_are_inert(load):
    label = "</script><b id=bold>x</b><img src=x onerror=alert(1)>"
    x = ac.tensor([1.0, 2.0], name=label)
    page = load(step(ac.sum(x * x)).page)
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.click("#lines")
    assert page.locator("#bold, #map img, #work img, #equation img").count() == 0
    assert label in page.locator("#grids").text_content() and label in page.locator("#map").text_content()


@pytest.mark.dear
def test_the_definition_opens(load):
    a, b = ac.tensor([1.0, 5.0], name="a"), ac.tensor([2.0, 3.0], name="b")
    y = ac.maximum(a, b)
    stepper = step(ac.sum(y), names={"y": y})
    page = load(stepper.page)
    assert page.locator("#opens").is_hidden()
    go_to_call(page, "y")
    page.click("#lines")
    page.click("#opens summary")
    assert page.locator("#opened > div").count() == 5 and page.locator("#opened math").first.is_visible()


@pytest.mark.dear
def test_in_a_notebook_cell(browser, tmp_path):
    """The page inside its sandboxed frame: it runs, and says nothing on the console."""
    loss, names = program()
    path = tmp_path / "cell.html"
    path.write_text(
        f"<!DOCTYPE html><meta charset=utf-8><body>{iframe(step(loss, names=names).page)}", encoding="utf-8"
    )
    page = browser.new_page()
    told = []
    page.on("console", lambda message: told.append(message.text))
    page.goto(path.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("body[data-ready]").wait_for(timeout=15_000)
    frame.locator("#next").click()
    assert frame.locator("#count").text_content().startswith("2 /") and told == []
    page.close()


@pytest.mark.dear
def test_training_scrubs(load):
    w = ac.tensor([1.0, 2.0], name="w")
    recording = record_training([w])
    for _ in range(5):
        loss = ac.sum(w * w)
        (g,) = ac.sweep(loss, [w])
        recording.record(loss, [g])
        w.assign(w.value - 0.1 * g)
    page = load(recording.page())
    for number, record in enumerate(recording, 1):
        go_to(page, number)
        assert list(shown(page, "operand", "#grids").values()) == [f"{v:.4g}" for v in record.weights["w"]]
        assert f"loss {record.loss:.4g}" in page.locator("#says").text_content()


@pytest.mark.dear
@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("dark", [False, True])
def test_light_and_dark_wide_and_narrow(load, dark, width):
    loss, names = program()
    stepper = step(loss, names=names)
    stepper.jump(8)
    page = load(stepper.page, dark=dark, width=width)
    red = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert (int(red) < 60) is dark
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
