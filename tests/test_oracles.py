"""The oracle packs: right answers that this project did not write (see oracles/adapter_autoconv.py)."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.in_node import MISSING, NODE

ORACLES = Path(__file__).parent / "oracles"

RUNS = {
    "open": ["check_pack.py", "open.npz"],
    "open, other memory layouts": ["check_pack.py", "open.npz", "--layouts"],
    "open, float32": ["check_pack.py", "open.npz", "--dtype", "float32"],
    "onnx": ["check_pack.py", "onnx_node.npz", "--onnx"],
    **{f"properties, seed {seed}": ["properties.py", "--seed", str(seed), "--rounds", "20"] for seed in (0, 3, 11)},
}


IN_JAVASCRIPT = {"open": ["open.npz"], "onnx": ["onnx_node.npz", "--onnx"]}


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize("run", RUNS)
def test_oracle(run):
    judged([*RUNS[run], "--adapter", "adapter_autoconv:Adapter"])


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.skipif(NODE is None, reason=MISSING)
@pytest.mark.parametrize("run", IN_JAVASCRIPT)
def test_oracle_in_javascript(run):
    """Forward and sweep of every case as programs of the live page, run by node."""
    judged(["check_pack.py", *IN_JAVASCRIPT[run], "--adapter", "adapter_live:Adapter"])


def judged(arguments):
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ORACLES, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    closing = done.stdout.strip().splitlines()[-1]
    assert "32 properties, 0 broken" in closing or ("'pass'" in closing and "unsupported" not in closing)
