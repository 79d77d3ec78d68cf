"""ONNX files and modules of PyTorch on the command line: looked at, described, written again."""

import io
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv import cli, nn

onnx = pytest.importorskip("onnx", reason="onnx is not installed; make test-interop has it")
helper = onnx.helper

FILE = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3)

    def forward(self, x):
        return self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """own.onnx: written by autoconv; made.onnx: by hand, y = relu(x w) with an open batch; net.py: of PyTorch."""
    monkeypatch.chdir(tmp_path)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3, rng=1))
    ac.onnx.save(model, "own.onnx", inputs={"image": np.zeros((2, 6, 6, 1), np.float32)})
    weight = onnx.numpy_helper.from_array(np.arange(6.0, dtype=np.float32).reshape(3, 2) - 2, "dense.weight")
    nodes = [helper.make_node("MatMul", ["x", "dense.weight"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    ports = [[helper.make_tensor_value_info(name, 1, ["n", size])] for name, size in (("x", 3), ("y", 2))]
    made = helper.make_model(
        helper.make_graph(nodes, "made", *ports, [weight]), opset_imports=[helper.make_opsetid("", 17)]
    )
    Path("made.onnx").write_bytes(made.SerializeToString())
    Path("net.py").write_text(FILE)
    return tmp_path


def said(capsys, *arguments, status=0):
    assert cli.main(list(arguments)) == status
    told = capsys.readouterr()
    return told.err if status else told.out


def test_info_tells_parameters_inputs_and_outputs(folder, capsys):
    told = said(capsys, "info", "made.onnx")
    assert "total: 6 parameters" in told and "input   x: (any, 3) float32" in told and "output  y" in told
    told = said(capsys, "info", "own.onnx")
    assert "total: 119 parameters" in told and "input   image: (any, 6, 6, 1) float32" in told


@pytest.mark.parametrize("zoom", ["model", "calls", "lines"])
@pytest.mark.parametrize("file", ["made.onnx", "own.onnx"])
def test_graph_of_a_file(folder, capsys, file, zoom):
    assert f"at zoom '{zoom}'" in said(capsys, "graph", file, "--zoom", zoom)
    assert Path(file).with_suffix(".svg").read_text().startswith("<svg")


def test_explain_and_step_have_the_files_names(folder, capsys, monkeypatch):
    x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)
    np.save("x.npy", x)
    told = said(capsys, "explain", "made.onnx", "--input", "x.npy", "--at", "dense.weight[1,0]")
    assert told.splitlines()[:3] == [
        "dL/ddense.weight[1,0] = x[0,1] d[0,0] + x[1,1] d[1,0]",
        "                      = 2·1 + 5·1",
        "                      = 7",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("q\n"))
    assert "Stepper of" in said(capsys, "step", "made.onnx", "--input", "x.npy")
    said(capsys, "step", "made.onnx", "--input", "x.npy", "--output", "walk.html")
    assert "dense.weight" in Path("walk.html").read_text()


def test_convert_keeps_numbers_and_writes_the_gradient(folder, capsys):
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    assert "written to b.onnx" in said(capsys, "convert", "made.onnx", "b.onnx")
    before, after = ac.onnx.load("made.onnx"), ac.onnx.load("b.onnx")
    np.testing.assert_allclose(after(x).value, before(x).value, rtol=1e-6)
    told = said(capsys, "convert", "made.onnx", "g.onnx", "--gradient", "--loss", "mse")
    assert "grad.dense.weight (3, 2)" in told and "target (batch, 2)" in told
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession("g.onnx", providers=["CPUExecutionProvider"])
    target = np.ones((5, 2), np.float32)
    weight = before.parameter("dense.weight")
    loss, gradient = session.run(None, {"x": x, "target": target, "dense.weight": weight.value})
    y = np.maximum(x @ weight.value, 0)
    assert loss == pytest.approx(((y - target) ** 2).mean(), rel=1e-5)
    np.testing.assert_allclose(gradient, x.T @ (2 * (y - target) * (y > 0) / 10), rtol=1e-4, atol=1e-6)


def test_a_module_of_pytorch(folder, capsys):
    pytest.importorskip("torch", reason="PyTorch is not installed; make test-interop has it")
    assert "BatchNorm2d" in said(capsys, "info", "net.py:Net")
    assert "at zoom 'calls'" in said(capsys, "graph", "net.py:Net", "--shape", "2,1,6,6", "--zoom", "calls")
    told = said(capsys, "explain", "net.py:Net", "--shape", "2,1,6,6", "--at", "conv.weight[0,0,1,2]", "--depth", "1")
    assert told.startswith("dL/dconv.weight[0,0,1,2] = ")


@pytest.mark.parametrize(("arguments", "part"), [
    (["info", "none.onnx"], "none.onnx"),
    (["info", "bad.onnx"], "is no ONNX file, or is cut off"),
    (["graph", "made.onnx", "--shape", "2,4"], "the model was read for (any, 3)"),
    (["graph", "made.onnx", "--shape", "2,3", "--shape", "1"], "takes 1 inputs (x); found 2 shapes"),
    (["explain", "made.onnx", "--at", "w[0,0]"], "there are dense.weight, x"),
    (["step", "made.onnx", "--input", "other.npz"], "holds other; the model takes x"),
    (["convert", "made.onnx", "b.onnx", "--shape", "z=1"], "names z; the inputs are x"),
])  # fmt: skip
def test_errors_say_what_to_do(folder, capsys, arguments, part):
    Path("bad.onnx").write_bytes(b"no file of this kind")
    np.savez("other.npz", other=np.ones((2, 3), np.float32))
    error = said(capsys, *arguments, status=2)
    assert part in error and len(error.strip().splitlines()) == 1
