"""What docs/marking.md says is so: the schema of the JSON, and the lines for Gradescope, nbgrader and pytest, run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.students import right

import autoconv as ac
from autoconv.marking.report import SCHEMA, mark

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "marking.md").read_text(encoding="utf-8")
LAYERS = """
import numpy as np
def affine_forward(x, w, b): return x.reshape(len(x), -1) @ w + b, (x, w, b)
def affine_backward(dout, cache):
    x, w, b = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout[-1]
def relu_forward(x): return np.maximum(x, 0), x
def relu_backward(dout, cache): return dout * (cache > 0)
"""


def block(language, after):
    """The code block of a language that follows a line which begins so."""
    part = TEXT[TEXT.index(f"\n{after}") :]
    return re.search(rf"```{language}\n(.*?)```", part, re.DOTALL).group(1)


def documented(starred):
    """{keys of the report, of a layer, of a part} as the table has them; starred: those marked * as well."""
    rows = re.findall(r"^\| (.*?) ?\| (.*) \|$", TEXT, re.MULTILINE)
    report, layer, part = {"layers"}, set(), set()
    for left, words in rows:
        keys = set(re.findall(r"`(\w+)`", left))
        if left == "`layers`":
            layer |= set(re.findall(r"`(\w+)`(?! \(\")", words.partition("(`kind`")[0])) | {"notes"}
        elif "layers[].parts" in left:
            part |= set(re.findall(r"`(\w+)`", words))
        elif not left.strip():
            part |= set(re.findall(r"`(\w+)`\*", words)) if starred else set()
        elif keys and left not in ("key",):
            report |= keys
    return report, layer | {"layer"}, part


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "layers.py"
    path.write_text(LAYERS, encoding="utf-8")
    return mark(path, "cs231n", only=["affine", "relu"])


@pytest.mark.dear
@pytest.mark.parametrize("hints_only", [False, True])
def test_the_json_has_the_keys_that_are_documented(report, hints_only):
    made = json.loads(json.dumps(report.json(hints_only)))
    top, layer, part = documented(not hints_only)
    assert set(made) == top and made["schema"] == SCHEMA
    for row in made["layers"]:
        assert set(row) == layer
        for judged in row["parts"]:
            assert set(judged) == part
            assert isinstance(judged["right"], bool) and isinstance(judged["tried"], int)
    if hints_only:
        assert "not summed over batch" not in json.dumps(made)
    else:
        (wrong,) = [p for row in made["layers"] for p in row["parts"] if not p["right"]]
        assert wrong["kind"] == "mistake" and wrong["mistake"] == "not summed over batch"


@pytest.mark.dear
def test_the_lines_for_gradescope_run(tmp_path):
    for folder in ("submission", "results", "bin"):
        (tmp_path / folder).mkdir()
    (tmp_path / "submission" / "layers.py").write_text(LAYERS, encoding="utf-8")
    command = tmp_path / "bin" / "autoconv"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m autoconv "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    subprocess.run(["sh", "-e", "-c", block("sh", "Gradescope")], cwd=tmp_path, env=environment, check=True,
                   capture_output=True, timeout=300)  # fmt: skip
    results = json.loads((tmp_path / "results" / "results.json").read_text(encoding="utf-8"))
    scores = {test["name"]: (test["score"], test["max_score"]) for test in results["tests"]}
    assert scores == {"cs231n.affine": (3, 4), "cs231n.relu": (2, 2)}
    assert all("should be" not in test["output"] for test in results["tests"])


@pytest.mark.dear
def test_the_cell_for_nbgrader_runs(capsys):
    cell = block("python", "nbgrader")
    names = {
        "ac": ac,
        "conv_forward_naive": right.conv_forward_einsum,
        "conv_backward_naive": right.conv_backward_einsum,
    }
    exec(compile(cell, "cell", "exec"), dict(names))
    assert "RIGHT" in capsys.readouterr().out
    halved = lambda dout, cache: tuple(g / 2 for g in right.conv_backward_einsum(dout, cache))
    with pytest.raises(AssertionError):
        exec(compile(cell, "cell", "exec"), names | {"conv_backward_naive": halved})
    assert "NOT RIGHT" in capsys.readouterr().out


@pytest.mark.dear
def test_the_lines_for_pytest_run(tmp_path):
    source = (Path(__file__).parent / "helpers" / "students" / "right.py").read_text(encoding="utf-8")
    layers = source + "\n".join([
        "\nconv_forward_naive, conv_backward_naive = conv_forward_einsum, conv_backward_einsum",
        "max_pool_forward_naive = max_pool_forward",
        "def max_pool_backward_naive(dout, cache): return -max_pool_backward_first(dout, cache)",
    ])  # fmt: skip
    (tmp_path / "layers.py").write_text(layers, encoding="utf-8")
    (tmp_path / "test_layers.py").write_text(block("python", "pytest"), encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "."],
                          cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
                          timeout=300)  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout and "NOT RIGHT" in done.stdout, done.stdout
