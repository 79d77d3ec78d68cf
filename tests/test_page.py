"""The page in a real browser: chromium, driven by Playwright, on a local file."""

import numpy as np
import pytest

import autoconv as ac
from autoconv.render.page import iframe
from autoconv.views.stepper.stepper import step
from autoconv.views.stepper.training import record_training


def program():
    rng = np.random.default_rng(5)
    x, w = ac.tensor(rng.normal(size=(6, 7)), name="x"), ac.tensor(rng.normal(size=(2, 3)), name="w")
    h = ac.conv2d(x, w, stride=(2, 1), padding=1)
    y = ac.max_pool2d(ac.relu(h), 2)
    return ac.sum(y * y), {"x": x, "w": w, "h": h, "y": y}


def shown(page, grid, within="#picture"):
    """{(row, column): text} of a grid."""
    script = """g => Object.fromEntries([...g.querySelectorAll('.cell')].map(
        c => [c.dataset.row + ',' + c.dataset.column, c.querySelector('text').textContent]))"""
    cells = page.locator(f'{within} [data-grid="{grid}"]').first.evaluate(script)
    return {tuple(map(int, key.split(","))): text for key, text in cells.items()}


def lit(page, grid, look="lit"):
    script = f"g => [...g.querySelectorAll('.cell.{look}')].map(c => [+c.dataset.row, +c.dataset.column])"
    return {tuple(cell) for cell in page.locator(f'#picture [data-grid="{grid}"]').evaluate(script)}


def hover(page, grid, row, column):
    page.locator(f'#picture [data-grid="{grid}"] .cell[data-row="{row}"][data-column="{column}"]').hover(force=True)


def go_to(page, number):
    page.locator("#slider").evaluate(f"s => {{ s.value = {number}; s.dispatchEvent(new Event('input')); }}")


def lit_edges(page):
    found = page.locator("#graph .edge.lit").evaluate_all("es => es.map(e => [+e.dataset.from, +e.dataset.to])")
    return {tuple(edge) for edge in found}


def event_number(stepper, kind, line, target=None):
    """The number, from 1, of the event of this kind."""
    return 1 + next(
        e.index for e in stepper if e.kind == kind and e.line is line and (target is None or e.target is target)
    )


def test_buttons_keys_and_slider_move(load):
    loss, names = program()
    stepper = step(loss, names=names)
    page = load(stepper.page)
    at = lambda: int(page.locator("body").get_attribute("data-step"))
    assert at() == 1
    page.click("#next")
    page.keyboard.press("ArrowRight")
    assert at() == 3
    page.click("#back")
    page.keyboard.press("ArrowLeft")
    assert at() == 1 and page.locator("#back").is_disabled()
    page.click("#last")
    assert at() == len(stepper) and page.locator("#next").is_disabled()
    page.click("#first")
    page.locator("#slider").fill("9")
    assert at() == 9 and page.locator("#count").text_content() == f"9 / {len(stepper)}"
    page.keyboard.press("End")
    page.keyboard.press("Home")
    assert at() == 1
    page.click("#play")
    page.wait_for_selector("body[data-step='2']", timeout=5000)


def test_each_step_shows_its_text_edges_and_numbers(load):
    loss, names = program()
    stepper = step(loss, names=names)
    page = load(stepper.page)
    place = {id(line): i for i, line in enumerate(ac.Tape(loss))}
    for event in stepper:
        assert page.locator("#says").text_content() == event.text
        if event.kind == "forward":
            expected = {(place[id(x)], place[id(event.line)]) for x in event.line.operands}
        else:
            expected = {(place[id(event.target)], place[id(event.line)])} if event.kind == "accumulate" else set()
        assert lit_edges(page) == expected
        array, role = (event.value, "result") if event.phase == "forward" else (event.after, "after")
        if array.ndim <= 2:
            square = np.atleast_2d(array)
            assert shown(page, role, "#grids") == {i: f"{v:.4g}" for i, v in np.ndenumerate(square)}
        if event is not stepper[-1]:
            page.keyboard.press("ArrowRight")


def test_hovering_a_convolution(load):
    """x (6, 7), kernel (2, 3), stride (2, 1), padding 1: window (r, c) covers padded rows
    2r .. 2r + 1, columns c .. c + 2."""
    loss, names = program()
    x, w, h = names["x"].value, names["w"].value, names["h"].value
    stepper = step(loss, names=names)
    page = load(stepper.page)
    convolution = next(
        line for line in stepper.tape if line.primitive is not None and line.primitive.name == "contract"
    )
    go_to(page, event_number(stepper, "forward", convolution))
    padded = np.pad(x, 1)
    assert shown(page, "input") == {i: f"{v:.4g}" for i, v in np.ndenumerate(padded)}
    assert shown(page, "output") == {i: f"{v:.4g}" for i, v in np.ndenumerate(h)}
    for r, c in ((0, 0), (1, 4), (3, 6)):
        hover(page, "output", r, c)
        assert lit(page, "input") == {(2 * r + u, c + v) for u in range(2) for v in range(3)}
        assert lit(page, "output") == {(r, c)}
        words = page.locator(".terms").text_content()
        assert f"{padded[2 * r, c]:.4g} × {w[0, 0]:.4g}" in words and f"= {h[r, c]:.4g}" in words
    hover(page, "kernel", 1, 2)
    assert lit(page, "input") == {(2 * r + 1, c + 2) for r in range(4) for c in range(7)}
    hover(page, "input", 3, 3)
    assert lit(page, "output") == {(1, 1), (1, 2), (1, 3)} and lit(page, "kernel") == {(1, 0), (1, 1), (1, 2)}
    page.keyboard.press("Shift+ArrowRight")
    assert len(lit(page, "output")) == 1


def test_hovering_a_convolution_backward(load):
    """The gradient of a padded input cell (r, c) is the dilated,
    padded delta from (r, c) on times the rotated kernel."""
    loss, names = program()
    x, w, h = (names[n] for n in "xwh")
    dx, dw, dh = ac.sweep(loss, [x, w, h])
    stepper = step(loss, names=names)
    page = load(stepper.page)
    convolution = next(
        line for line in stepper.tape if line.primitive is not None and line.primitive.name == "contract"
    )
    go_to(page, event_number(stepper, "accumulate", convolution))
    delta = np.zeros((6 + 2 + 1, 7 + 2 + 2))
    delta[1 : 1 + 2 * 4 : 2, 2 : 2 + 7] = dh
    assert shown(page, "delta") == {i: f"{v:.4g}" if v else "0" for i, v in np.ndenumerate(delta)}
    assert shown(page, "rotated") == {i: f"{v:.4g}" for i, v in np.ndenumerate(w.value[::-1, ::-1])}
    hover(page, "input gradient", 2, 3)
    assert lit(page, "delta") == {(2 + u, 3 + v) for u in range(2) for v in range(3)}
    by_hand = (delta[2:4, 3:6] * w.value[::-1, ::-1]).sum()
    assert np.isclose(by_hand, dx[1, 2]) and f"x[1, 2] = {dx[1, 2]:.4g}" in page.locator(".terms").text_content()
    assert shown(page, "kernel gradient") == {i: f"{v:.4g}" for i, v in np.ndenumerate(dw)}
    hover(page, "kernel gradient", 0, 2)
    assert lit(page, "input") == {(2 * r, c + 2) for r in range(4) for c in range(7)}
    assert f"w[0, 2] = {dw[0, 2]:.4g}" in page.locator(".terms").text_content()


def test_pooling_names_the_winner(load):
    loss, names = program()
    stepper = step(loss, names=names)
    page = load(stepper.page)
    windows = [line for line in stepper.tape if line.primitive is not None and line.primitive.name == "windows"][-1]
    pooled = np.maximum(names["h"].value, 0)
    for kind in ("forward", "accumulate"):
        go_to(page, event_number(stepper, kind, windows))
        for r, c in ((0, 0), (1, 2)):
            hover(page, "output" if kind == "forward" else "output gradient", r, c)
            window = pooled[2 * r : 2 * r + 2, 2 * c : 2 * c + 2]
            u, v = divmod(int(window.argmax()), 2)
            assert lit(page, "input") == {(2 * r + i, 2 * c + j) for i in range(2) for j in range(2)}
            assert lit(page, "input", "pin") == {(2 * r + u, 2 * c + v)}


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
    stepper = step(ac.sum(y * y))
    page = load(stepper.page)
    for event in stepper:
        if event.line.primitive is not None and event.line.primitive.name == "contract":
            go_to(page, event.index + 1)
            assert page.locator("#picture .cell").count() > 0
            words = page.locator(".terms").text_content()
            assert "×" in words and "bias" not in words


def test_numbers_that_are_not_finite_and_ties_of_rounding(load):
    values = [np.nan, np.inf, -np.inf, 1.0625, -0.0, 1e-7, 123456.0, 0.1, 2.0005, 99995.0]
    x = ac.tensor(values, name="x")
    page = load(step(ac.sum(x * 1.0)).page)
    assert list(shown(page, "result", "#grids").values()) == [f"{v:.4g}" for v in values]


def test_hostile_labels_are_inert(load):
    label = "</script><b id=bold>x</b><img src=x onerror=alert(1)>"
    x = ac.tensor([1.0, 2.0], name=label)
    page = load(step(ac.sum(x * x)).page)
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert page.locator("#bold, #graph img, #work img").count() == 0
    assert label in page.locator("#grids").text_content()


def test_the_definition_opens(load):
    a, b = ac.tensor([1.0, 5.0], name="a"), ac.tensor([2.0, 3.0], name="b")
    y = ac.maximum(a, b)
    stepper = step(ac.sum(y))
    page = load(stepper.page)
    assert page.locator("#opens").is_hidden()
    go_to(page, event_number(stepper, "forward", y))
    page.click("#opens summary")
    assert page.locator("#opened > div").count() == 5 and page.locator("#opened math").first.is_visible()


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
