"""The views in JupyterLab and marimo themselves, in chromium, where these are installed: a notebook that nobody trusts
reads, pages follow a dark theme on a light screen, and the widget's state goes both ways."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from helpers.frames import ready, until

ROOT = Path(__file__).parent.parent
NEEDED = {"JupyterLab": ("jupyterlab", "ipykernel", "anywidget"), "marimo": ("marimo", "anywidget")}
pytestmark = pytest.mark.quick(0)

SETUP = """import autoconv as ac
i = ac.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]], name="i", subscripts="flat")
w1 = ac.tensor([[1.0, -1.0], [0.5, 2.0]], name="w1", subscripts="flat")
C = ac.sum((ac.conv2d(i, w1) - 1.0) ** 2)
names = {"i": i, "w1": w1, "C": C}"""
VIEWS = [
    "ac.graph(C, names=names)",
    "ac.explain(C, w1[0, 0], names=names)",
    "ac.step(C, names=names)",
    "ac.exercise(C)",
]


def server(host, folder, *command, **environment):
    """A server of a notebook in a process of its own, which is ended at the end; its address."""
    for name in NEEDED[host]:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"the views in {host} need it: pip install {' '.join(NEEDED[host])}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        **environment,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", *command, f"--port={port}"], cwd=folder, env=variables,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(address, timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, f"{host} ended"
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def notebook(path, cells):
    made = [
        {
            "cell_type": "code",
            "source": source,
            "metadata": {},
            "execution_count": None,
            "outputs": outputs,
            "id": f"c{k}",
        }
        for k, (source, outputs) in enumerate(cells)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    path.write_text(json.dumps({"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    themes = folder / "settings" / "@jupyterlab" / "apputils-extension"
    themes.mkdir(parents=True)
    (themes / "themes.jupyterlab-settings").write_text('{"theme": "JupyterLab Dark"}')
    space = {}
    exec(SETUP, space)
    shown = []
    for view in VIEWS:  # stored, not run: as in a clone
        data = eval(view, space)._repr_mimebundle_()
        output = {"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": None}
        shown.append((view, [output]))
    notebook(folder / "stored.ipynb", shown)
    widget = SETUP + "\nw = ac.widget(C, names=names)\nw"
    notebook(
        folder / "widget.ipynb",
        [(widget, []), ("w.set('w1', (0, 1), 2.5)", []), ("print('heard', w.value('w1'), w.picked)", [])],
    )
    settings = {
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "spaces"),
    }
    options = ["--no-browser", "--ip=127.0.0.1", "--allow-root", "--IdentityProvider.token=", "--ServerApp.password="]
    yield from server("JupyterLab", folder, "jupyterlab", *options, **settings)


@pytest.fixture(scope="module")
def marimo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("marimo")
    indented = lambda text: "".join(f"    {line}\n" for line in text.splitlines())
    cells = [indented(SETUP) + "    return ac, i, w1, C, names\n"]
    cells += [f"    {view}\n" for view in VIEWS] + ['    ac.render.curves({"loss": [3.0, 2.0]})\n']
    cells += ["    w = ac.widget(C, names=names)\n    w\n    return (w,)\n", "    w.set('w1', (0, 1), 2.5)\n"]
    cells += [
        '    import marimo as mo\n    tick = mo.ui.refresh(default_interval="1s")\n    tick\n    return (tick,)\n'
    ]
    cells += ["    tick\n    f\"heard {w.value('w1').tolist()} {w.picked}\"\n"]
    asks = ["", *["ac, i, w1, C, names"] * 6, "w", "", "w, tick"]
    source = "".join(f"@app.cell\ndef _({a}):\n{cell}" for a, cell in zip(asks, cells, strict=True))
    (folder / "views.py").write_text(f"import marimo\napp = marimo.App()\n{source}", encoding="utf-8")
    (folder / "pyproject.toml").write_text('[tool.marimo.display]\ntheme = "dark"\n')
    yield from server("marimo", folder, "marimo", "run", "views.py", "--headless", "--no-token")


def opened(browser, address):
    page = browser.new_page(viewport={"width": 1200, "height": 1600}, color_scheme="light")
    page.goto(address)
    return page


def framed(page, title):
    """The frame with a page of ours, once it is there: a kernel under load takes its time to start."""
    for _ in range(400):
        for frame in page.frames[1:]:
            if title in frame.title():
                ready(frame)
                return frame
        page.wait_for_timeout(300)
    raise AssertionError(f"no frame {title!r} among {[frame.title() for frame in page.frames]}")


def run_cell(page, number):
    """Run a cell of JupyterLab; a kernel that is only just connected loses what it is given first."""
    prompt = page.locator(".jp-InputPrompt").nth(number)
    for _ in range(20):
        page.locator(".jp-Cell .cm-content").nth(number).click()
        page.keyboard.press("Shift+Enter")
        for _ in range(25):
            page.wait_for_timeout(200)
            if prompt.inner_text() != "[ ]:":
                return
    raise AssertionError(f"cell {number} was not run")


def test_a_stored_notebook_that_nobody_trusts_reads(browser, lab):
    page = opened(browser, f"{lab}/lab/workspaces/stored/tree/stored.ipynb")
    page.wait_for_selector(".jp-OutputArea-output", timeout=60_000)
    page.wait_for_selector("text=sum of 4 terms")
    words = page.inner_text(".jp-Notebook")
    assert "∂C/∂w1_1 = i_1" in words and "<Graph of" not in words and "\\frac" not in words
    assert page.locator(".jp-RenderedHTML iframe, .jp-RenderedHTML math").count() == 0  # untrusted indeed
    picture = page.locator(".jp-OutputArea-output img").first
    assert picture.evaluate("img => img.complete && img.naturalWidth > 100") and "w1: input" in picture.get_attribute(
        "alt"
    )
    page.close()


def test_the_widget_in_dark_jupyterlab(browser, lab):
    page = opened(browser, f"{lab}/lab/workspaces/widget/tree/widget.ipynb")
    page.wait_for_selector(".jp-Cell .cm-content", timeout=60_000)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000)
    run_cell(page, 0)
    frame = framed(page, "Live: C")
    ready(frame, dark=True)
    page.wait_for_timeout(500)
    run_cell(page, 1)
    until(frame, "autoconv.value('w1')[1] === 2.5")  # Python's change is in the page
    frame.evaluate("autoconv.pick('i', [1, 2])")
    frame.evaluate("autoconv.set('w1', [1, 1], -4)")
    page.wait_for_timeout(3000)
    run_cell(page, 2)
    heard = page.locator(".jp-OutputArea-output", has_text="heard")
    heard.wait_for()
    words = " ".join(heard.inner_text().split())
    assert "[ 0.5 -4. ]" in words and "'name': 'i', 'index': [1, 2], 'value': 3" in words  # and the page's in Python
    page.close()


def test_views_and_widget_in_dark_marimo(browser, marimo):
    page = opened(browser, marimo)
    frame = framed(page, "Live: C")
    ready(frame, dark=True)
    ready(framed(page, "Step through"), dark=True)
    words = page.inner_text("body")
    assert "Something went wrong" not in words and "Expected string" not in words
    assert page.locator("img[alt*='w1: input']").count() == 1 and page.locator("img[alt*=curves]").count() == 1
    until(frame, "autoconv.value('w1')[1] === 2.5")
    frame.evaluate("autoconv.pick('w1', [1, 0])")
    frame.evaluate("autoconv.set('w1', [1, 1], -4)")
    page.wait_for_selector(
        "text=heard [[1.0, 2.5], [0.5, -4.0]] {'name': 'w1', 'index': [1, 0], 'value': 0.5", timeout=20_000
    )
    page.close()
