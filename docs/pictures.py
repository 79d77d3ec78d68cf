"""Make the README's pictures: python docs/pictures.py [folder]

The learner's example, seen in several ways.  tests/test_readme.py compares the committed pictures with what this draws.
Where Playwright and chromium are installed, stepper.png is made too: a screenshot of the page that
``ac.step(C).save("walk.html")`` writes, at the first convolution's backward.  (live.png is one of the demo's page.)
"""

import importlib.util
import shutil
import sys
from pathlib import Path

import autoconv as ac


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


def screenshot(folder: Path) -> None:
    """The stepper's page where the sweep reaches the first convolution, as stepper.png."""
    from playwright.sync_api import sync_playwright

    names = example()
    walk = ac.step(names["C"], names=names)
    page = walk.save(folder / "walk.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        window = browser.new_page(viewport={"width": 1100, "height": 640}, color_scheme="light")
        window.goto(page.resolve().as_uri())
        window.wait_for_selector("body[data-ready]")
        window.keyboard.press("End")
        window.locator("#picture [data-grid='input gradient'] .cell").nth(4).hover()
        window.screenshot(path=folder / "stepper.png")
        browser.close()
    page.unlink()


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    for name, svg in draw().items():
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    if importlib.util.find_spec("playwright") and shutil.which("chromium"):
        screenshot(folder)
