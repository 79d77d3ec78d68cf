"""What every test relies on: the tree the tests stand in is the one they test, and a planner that fails is an error.

``--quick`` (``make quick``) runs a few cases of each test and leaves out the tests marked slow.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CASES = 3  # of each test, with --quick

# The tree itself, also in the processes that tests start: in a checkout, in a worktree of one, in an unpacked sdist.
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
# A compiled function falls back to NumPy where the machine cannot run it; what the planner raises is a bug, and shown.
os.environ.setdefault("AUTOCONV_STRICT", "1")


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help=f"{CASES} cases of each test, and none that is marked slow")


def pytest_collection_modifyitems(config, items):
    """With --quick: of each test the first and the last of its cases and some between."""
    if not config.getoption("--quick"):
        return
    cases = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept = set()
    for several in cases.values():
        quick = [item for item in several if not item.get_closest_marker("slow")]
        step = max(1, (len(quick) - 1) / (CASES - 1))
        kept.update(id(quick[round(k * step)]) for k in range(min(CASES, len(quick))))
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
