"""Models on the command line: file.py:module, looked at, described and asked what is in a picture."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.walk_pages import read_page

import autoconv as ac
from autoconv import cli, nn

FILE = """
import autoconv as ac
from autoconv import nn

model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3, rng=1))

class Both(nn.Module):
    def __init__(self):
        self.left, self.right = nn.Linear(3, 2, rng=0), nn.Linear(4, 2, rng=1)

    def forward(self, x, y):
        return ac.tanh(self.left(x)) * self.right(y)

def make():
    return nn.Sequential(nn.Linear(4, 2, rng=0), nn.Tanh())

def make_model(input_shape, classes, rng):
    height, width, channels = input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(height * width * channels, classes, rng=rng))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(FILE)
    return tmp_path


def said(capsys, *arguments, status=0):
    assert cli.main(list(arguments)) == status
    told = capsys.readouterr()
    return told.err if status else told.out


@pytest.mark.parametrize(("reference", "parts"), [
    ("net.py:model", ["0: Conv2d(1, 2", "3: Linear(32, 3)", "total: 119 parameters"]),
    ("net.py:make", ["0: Linear(4, 2)", "total: 10 parameters"]),
    ("net.py:Both", ["left: Linear(3, 2)", "right: Linear(4, 2)", "total: 18 parameters"]),
])  # fmt: skip
def test_info_describes_a_model(folder, capsys, reference, parts):
    told = said(capsys, "info", reference)
    for part in parts:
        assert part in told


@pytest.mark.parametrize(("zoom", "parts"), [
    ("model", ["Conv2d", "ReLU", "Flatten", "Linear"]), ("calls", ["Conv2d", "0.weight"]), ("lines", ["windows"]),
])  # fmt: skip
def test_graph_of_a_model(folder, capsys, zoom, parts):
    assert f"at zoom '{zoom}'" in said(capsys, "graph", "net.py:model", "--shape", "2,6,6,1", "--zoom", zoom)
    drawn = Path("model.svg").read_text()
    for part in parts:
        assert part in drawn, part


def test_a_model_is_drawn_from_afar_unless_something_else_is_asked(folder, capsys):
    assert "at zoom 'model'" in said(capsys, "graph", "net.py:model", "--shape", "2,6,6,1")
    assert "at zoom 'model'" not in said(
        capsys, "graph", "net.py:model", "--shape", "2,6,6,1", "--focus", "0.bias[0]", "--zoom", "lines"
    )
    drawn = said(capsys, "graph", "net.py:model", "--shape", "2,6,6,1", "--backward")
    assert "Graph of sum ()" in drawn and "9 calls" in drawn  # the sum of the output, 4 layers and their sweeps


def test_explain_a_parameter_of_a_model(folder, capsys):
    x = np.random.default_rng(3).normal(size=(2, 6, 6, 1)).astype(np.float32)
    np.save("x.npy", x)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3, rng=1))
    ac.sum(model(x)).backward()
    told = said(capsys, "explain", "net.py:model", "--input", "x.npy", "--at", "0.weight[1,2,0,1]", "--depth", "1")
    assert told.startswith("dL/d0.weight[1,2,0,1] = ")
    written = [float(number) for number in re.findall(r"= (-?[\d.]+)$", told, re.MULTILINE)]
    assert written[0] == pytest.approx(float(model[0].weight.grad[1, 2, 0, 1]), rel=1e-4)


def test_step_through_a_model(folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("q\n"))
    assert "Stepper of" in said(capsys, "step", "net.py:make", "--shape", "3,4")
    said(capsys, "step", "net.py:model", "--shape", "2,6,6,1", "--output", "walk.html")
    assert "0.weight" in {line["name"] for line in read_page(Path("walk.html").read_text())["lines"]}


def test_inputs_by_shape_and_by_name(folder, capsys):
    assert "2 inputs" in said(capsys, "graph", "net.py:Both", "--shape", "5,3", "--shape", "5,4")
    np.savez("both.npz", x=np.ones((5, 3), np.float32), y=np.ones((5, 4), np.float32))
    assert "2 inputs" in said(capsys, "graph", "net.py:Both", "--input", "both.npz")


@pytest.mark.parametrize(("arguments", "part"), [
    (["graph", "net.py:model"], "say what to run it on, with --shape"),
    (["graph", "net.py:model", "--shape", "2,q"], "is not a shape; write it as 1,3,32,32"),
    (["graph", "net.py:model", "--shape", "2,6,6,2"], "2 channels"),
    (["explain", "net.py:model", "--shape", "2,6,6,1", "--at", "1.weight[0]"], "0.weight, 0.bias"),
    (["info", "net.py:nothing"], "no function 'nothing', nor a model; it has model, make, make_model"),
    (["step", "net.py:make", "--input", "none.npy"], "none.npy"),
    (["predict", "none.safetensors", "a.png"], "none.safetensors"),
])  # fmt: skip
def test_errors_say_what_to_do(folder, capsys, arguments, part):
    error = said(capsys, *arguments, status=2)
    assert part in error and len(error.strip().splitlines()) == 1


def test_predict_tells_what_is_in_pictures(folder, capsys):
    images = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    rng = np.random.default_rng(0)
    kinds = [np.eye(6), np.ones((6, 6)) - np.eye(6)]
    y = rng.integers(0, 2, 80)
    x = np.stack([kinds[k] for k in y]) + 0.1 * rng.random((80, 6, 6))
    np.savez("small.npz", x=(x * 200).astype(np.uint8), y=y)
    for k, kind in enumerate(kinds):
        images.fromarray((kind * 200).astype(np.uint8)).save(f"{k}.png")
    train = ["--data", "small.npz", "--model", "net.py:make_model", "--epochs", "20", "--quiet"]
    said(capsys, "train", *train, "--checkpoint", "small.safetensors")
    told = said(capsys, "predict", "small.safetensors", "0.png", "1.png", "--model", "net.py:make_model", "--top", "1")
    shown = [re.fullmatch(r"(\d)\.png: (\d) ([\d.]+)%", line) for line in told.strip().splitlines()]
    assert [(m[1], m[2]) for m in shown] == [("0", "0"), ("1", "1")]
    assert all(float(m[3]) > 50 for m in shown)
    error = said(capsys, "predict", "small.safetensors", "0.png", status=2)
    assert "never run because a checkpoint names it" in error
