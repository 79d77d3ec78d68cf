"""What every test relies on: the tree the tests stand in is the one they test, and a planner that fails is an error.

``--quick`` (``make quick``) runs a few cases of each test; ``@pytest.mark.quick(n)`` says how many where that is dear,
0 for a test that is left out.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CASES = 6  # of a test with --quick, where no mark says otherwise

# The tree itself, also in the processes that tests start: in a checkout, in a worktree of one, in an unpacked sdist.
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
# A compiled function falls back to NumPy where the machine cannot run it; what the planner raises is a bug, and shown.
os.environ.setdefault("AUTOCONV_STRICT", "1")


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="a few cases of each test: under a minute on two cores")


def pytest_configure(config):
    config.addinivalue_line("markers", f"quick(n): how many of the test's cases --quick runs (default: {CASES})")


def pytest_collection_modifyitems(config, items):
    """With --quick: of the cases of each test some, evenly spread, the first always."""
    if not config.getoption("--quick"):
        return
    cases = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept = set()
    for several in cases.values():
        mark = several[0].get_closest_marker("quick")
        wanted = min(mark.args[0] if mark else CASES, len(several))
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
