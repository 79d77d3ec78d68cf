"""What every test relies on: the tree the tests stand in is the one they test, and a planner that fails is an error.

``--few`` runs a few cases of each test; ``@pytest.mark.quick(n)`` says how many, 0 for a test that is left out.
``--quick`` (``make quick``) leaves out those that are ``@pytest.mark.dear`` too: that take more than a second.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FEW, QUICK = 6, 3  # cases of a test with --few and with --quick, where no mark says otherwise

# The tree itself, also in the processes that tests start: in a checkout, in a worktree of one, in an unpacked sdist.
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
# A compiled function falls back to NumPy where the machine cannot run it; what the planner raises is a bug, and shown.
os.environ.setdefault("AUTOCONV_STRICT", "1")


def pytest_addoption(parser):
    parser.addoption("--few", action="store_true", help="a few cases of each test")
    parser.addoption("--quick", action="store_true", help="the same of those that take under a second")


def pytest_configure(config):
    config.addinivalue_line("markers", f"quick(n): how many of the test's cases --few runs (default: {FEW})")
    config.addinivalue_line("markers", "dear: takes more than a second; left out with --quick")


def pytest_collection_modifyitems(config, items):
    """With --few and --quick: of the cases of each test some, evenly spread, the first always."""
    quick = config.getoption("--quick")
    if not (quick or config.getoption("--few")):
        return
    cases = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept = set()
    for several in cases.values():
        mark = several[0].get_closest_marker("quick")
        if quick and several[0].get_closest_marker("dear"):
            continue
        wanted = min(mark.args[0] if mark else QUICK if quick else FEW, len(several))
        kept.update(id(several[k * len(several) // wanted]) for k in range(wanted))
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
    items[:] = [item for item in items if id(item) in kept]


@pytest.fixture
def run_python():
    """Calls a Python of its own, with the tree's autoconv: run_python("-c", code, THREADS="1") -> what it printed."""

    def run(*arguments, cwd=None, **variables):
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **variables})
        assert done.returncode == 0, (
            f"{command} ended with {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
        return done.stdout

    return run


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """The page's interpreter in node."""
    from helpers.in_node import MISSING, NODE, Node

    if NODE is None:
        pytest.skip(MISSING)
    running = Node(tmp_path_factory.mktemp("node"))
    yield running
    running.close()


# ---- pages in a real browser: chromium, driven by Playwright, on local files

BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="the browser tests need Playwright: pip install playwright"
    )
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("the browser tests need chromium, as in apt install chromium")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=BROWSER)
        yield running
        running.close()


@pytest.fixture
def load(browser, tmp_path):
    """Opens a page in a window that reports every console message, error and request: there must be none.

    The script of a Web Worker is a blob of the page itself, no request to anybody.
    """
    opened = []

    def go(html, dark=False, width=1280, height=860, fragment=""):
        path = tmp_path / f"page{len(opened)}.html"
        path.write_text(html, encoding="utf-8")
        page = browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        told, requests = [], []
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("dialog", lambda dialog: told.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector("body[data-ready]", timeout=15_000)
        opened.append((page, told, requests, path.as_uri()))
        return page

    yield go
    for page, told, requests, uri in opened:
        page.close()
        assert told == []
        assert [url.partition("#")[0] for url in requests if not url.startswith("blob:")] == [uri]
