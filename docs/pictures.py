"""Make the README's pictures: python docs/pictures.py [folder]

The learner's example, seen in several ways.  tests/test_readme.py compares the committed pictures with what this draws.
Where Playwright and chromium are installed, screenshots are made too: stepper.png, of the page that
``ac.step(C).save("walk.html")`` writes, at the first convolution's backward; live.png, of the page that the demo
writes, with a 3 drawn by hand; and verdict.png, of what a notebook shows of the README's first example.
"""

import importlib.util
import linecache
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import autoconv as ac
from autoconv.demo import run as run_demo
from autoconv.render.page import html_page


def example() -> dict[str, ac.Tensor]:
    """The README's example: a 3x3 image, two 2x2 kernels, a squared error."""
    i = ac.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]], name="i", subscripts="flat")
    w1 = ac.tensor([[1.0, -1.0], [0.5, 2.0]], name="w1", subscripts="flat")
    w2 = ac.tensor([[0.5, 1.0], [-1.0, 0.25]], name="w2", subscripts="flat")
    o1 = ac.conv2d(i, w1)
    o2 = ac.conv2d(o1, w2)
    C = ac.sum((o2 - 1.0) ** 2)
    C.backward()
    return {"i": i, "w1": w1, "w2": w2, "o1": o1, "o2": o2, "C": C}


def draw() -> dict[str, str]:
    """Name -> SVG."""
    names = example()
    C, w1 = names["C"], names["w1"]
    return {
        "weight": ac.graph(C, zoom="scalars", focus=w1[0, 0], direction="down", names=names).svg,
        "sweep": ac.graph(C, zoom="calls", names=names, backward=True).svg,
        "matrix": ac.matrix_view(ac.conv_matrix(w1, (3, 3))).svg,
    }


def screenshots(folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        stepper(browser, folder)
        live(browser, folder)
        verdict(browser, folder)
        browser.close()


def stepper(browser, folder: Path) -> None:
    """The stepper's page where the sweep reaches the first convolution."""
    names = example()
    walk = ac.step(names["C"], names=names)
    page = walk.save(folder / "walk.html")
    window = browser.new_page(viewport={"width": 1100, "height": 640}, color_scheme="light")
    window.goto(page.resolve().as_uri())
    window.wait_for_selector("body[data-ready]")
    window.keyboard.press("End")
    window.locator("#picture [data-grid='input gradient'] .cell").nth(4).hover()
    window.screenshot(path=folder / "stepper.png")
    page.unlink()


# a 3, in parts of the paper's side
THREE = [
    (0.32, 0.16), (0.42, 0.07), (0.55, 0.07), (0.64, 0.17), (0.62, 0.32), (0.50, 0.45), (0.63, 0.55), (0.68, 0.70),
    (0.60, 0.85), (0.45, 0.91), (0.30, 0.83),
]  # fmt: skip


def live(browser, folder: Path) -> None:
    """The demo's page: a 3 that is drawn with the mouse, and one cell that is explained."""
    with tempfile.TemporaryDirectory() as made:
        run_demo(made, progress=False)
        window = browser.new_page(viewport={"width": 1200, "height": 800}, color_scheme="light")
        window.goto((Path(made) / "index.html").as_uri())
        window.wait_for_selector("body[data-ready]")
        window.click("#blank")
        paper = window.locator("#paper").bounding_box()
        for k, (x, y) in enumerate(THREE):
            window.mouse.move(paper["x"] + x * paper["width"], paper["y"] + y * paper["height"], steps=8)
            if k == 0:
                window.mouse.down()
        window.mouse.up()
        window.click("#bars .read >> nth=3")  # that is what it should be
        window.evaluate("autoconv.pick('conv1.out', [0, 2, 3, 7])")
        window.wait_for_timeout(500)
        window.screenshot(path=folder / "live.png")


def verdict(browser, folder: Path) -> None:
    """What the README's first example says, as in a notebook."""
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    code = readme.partition("```python\n")[2].partition("```")[0]
    linecache.cache["pool.py"] = (len(code), None, code.splitlines(keepends=True), "pool.py")  # as a notebook's cell
    exec(compile(code, "pool.py", "exec"), names)
    said = ac.check_backward(names["backward"], names["forward"], like="cs231n.max_pool")
    window = browser.new_page(viewport={"width": 900, "height": 400}, color_scheme="light", device_scale_factor=1.5)
    window.set_content(html_page("verdict", f"<div id=said>{said._repr_mimebundle_()['text/html']}</div>"))
    window.locator("#said").screenshot(path=folder / "verdict.png")


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    for name, svg in draw().items():
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    if importlib.util.find_spec("playwright") and shutil.which("chromium"):
        screenshots(folder)
