"""Files that are written, run by onnxruntime: rows, nets and gradients, at other batches than the recorded one."""

from collections import Counter

import numpy as np
import pytest

import autoconv as ac
from autoconv.cli import main
from autoconv.primitives import TABLE
from tests.helpers.onnx_nets import ResNet20, batch_of, gradients, loss_of, nets

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("default")

TOLERANCE = {np.float16: 5e-3, np.float32: 2e-5, np.float64: 1e-9}
NOT_IN_ONNXRUNTIME = {("atan2", np.float64)}  # onnxruntime 1.32 has no Atan for float64 on a processor


def session(path):
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(path, feeds):
    made = session(path)
    return made.run(None, {x.name: feeds[x.name] for x in made.get_inputs()})


def close(made, wanted, tolerance):
    made, wanted = np.asarray(made, float), np.asarray(wanted, float)
    np.testing.assert_allclose(made, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", TABLE)
def test_a_row_and_its_gradient(name, dtype, tmp_path):
    row = TABLE[name]
    operands, params = row.example(np.random.default_rng(0))
    operands = [np.asarray(x, dtype) if np.asarray(x).dtype.kind == "f" else np.asarray(x) for x in operands]
    feeds = {f"x{k}": x for k, x in enumerate(operands)}
    f = lambda *xs: row(*xs, **params)
    ac.onnx.save(f, tmp_path / "f.onnx", feeds, batch_axis=None)
    if (name, dtype) in NOT_IN_ONNXRUNTIME:
        with pytest.raises(Exception, match="Could not find an implementation"):
            session(tmp_path / "f.onnx")
        return
    wanted = f(*map(ac.tensor, operands)).value
    close(run(tmp_path / "f.onnx", feeds)[0], wanted, TOLERANCE[dtype])
    if not row.differentiable:
        return
    cotangent = np.asarray(np.random.default_rng(1).normal(size=wanted.shape), wanted.dtype)
    loss = lambda *xs: ac.sum(f(*xs) * cotangent)
    lines = list(map(ac.tensor, operands))
    loss(*lines).backward()
    by = [k for k, x in enumerate(lines) if x.grad is not None]
    ac.onnx.save_gradient(loss, tmp_path / "g.onnx", feeds, wrt=by, batch_axis=None)
    for k, g in zip(by, run(tmp_path / "g.onnx", feeds)[1:], strict=True):
        close(g, lines[k].grad, TOLERANCE[dtype])


def check_model(model, shape, dtype, tmp_path, tolerance, sizes=(1, 6)):
    """Forward and gradient of a model in files, at batches of ``sizes``."""
    with ac.no_grad():
        classes = model(np.zeros((4, *shape), dtype)).shape[-1]
    x, y = batch_of(4, shape, classes, dtype)
    loss = loss_of(model)
    ac.onnx.save(model, tmp_path / "model.onnx", inputs=(x,))
    ac.onnx.save_gradient(loss, tmp_path / "gradient.onnx", inputs=(x, y), wrt=model)
    for size in sizes:
        x, y = batch_of(size, shape, classes, dtype, seed=1)
        name = session(tmp_path / "model.onnx").get_inputs()[0].name
        close(run(tmp_path / "model.onnx", {name: x})[0], model(x).value, tolerance)
        feeds = {"x": x, "y": y, **{n: p.value for n, p in model.named_parameters()}}
        made = run(tmp_path / "gradient.onnx", feeds)
        for a, b in zip(made, gradients(model, loss, x, y), strict=True):
            close(a, b, 5 * tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", nets(np.float32))
def test_a_net_and_its_gradient(name, dtype, tmp_path):
    model, shape = nets(dtype)[name]
    check_model(model, shape, dtype, tmp_path, TOLERANCE[dtype])


def test_lenet(tmp_path):
    model = ac.models.lenet((28, 28, 1), 10, np.random.default_rng(0))
    check_model(model, (28, 28, 1), np.float32, tmp_path, 2e-5, sizes=(1, 9))
    graph = onnx.load(tmp_path / "model.onnx").graph
    counted = Counter(node.op_type for node in graph.node)
    assert (counted["Conv"], counted["MaxPool"], counted["MatMul"]) == (2, 2, 3)
    assert {x.name for x in graph.initializer} >= set(model.state_dict())
    assert {x.domain for x in graph.node} == {""}, "standard operators alone"


def test_resnet_20(tmp_path):
    model = ResNet20(np.random.default_rng(0)).eval()
    check_model(model, (32, 32, 3), np.float32, tmp_path, 1e-4, sizes=(3,))


def test_what_is_written_is_read_again(tmp_path):
    for name, (model, shape) in nets(np.float32).items():
        x = batch_of(3, shape, 2, np.float32)[0]
        ac.onnx.save(model, tmp_path / "a.onnx", inputs=(x,))
        again = ac.onnx.load(tmp_path / "a.onnx").eval()
        x = batch_of(5, shape, 2, np.float32)[0]
        np.testing.assert_allclose(again(x).value, model(x).value, rtol=2e-5, atol=2e-5, err_msg=name)
        held = again.state_dict()
        assert set(held) >= {n for n, p in model.named_parameters() if p.size > 1}, name


def test_convert(tmp_path, capsys):
    model = ac.models.lenet((16, 16, 1), 4, np.random.default_rng(0))
    x, y = batch_of(3, (16, 16, 1), 4, np.float32)
    a, b, g = (str(tmp_path / f"{k}.onnx") for k in "abg")
    ac.onnx.save(model, a, inputs=(x,))
    assert main(["convert", a, b]) == 0
    x, y = batch_of(5, (16, 16, 1), 4, np.float32)
    name = session(b).get_inputs()[0].name
    close(run(b, {name: x})[0], model(x).value, 2e-5)
    assert main(["convert", a, g, "--gradient"]) == 0
    assert "labels (batch)" in capsys.readouterr().out
    feeds = {name: x, "labels": y, **{n: p.value for n, p in model.named_parameters()}}
    outputs = [port.name for port in session(g).get_outputs()]
    made = dict(zip(outputs, run(g, feeds), strict=True))
    wanted = gradients(model, loss_of(model), x, y)
    close(made["loss"], wanted[0], 2e-5)
    for (parameter, _), gradient in zip(model.named_parameters(), wanted[1:], strict=True):
        close(made[f"grad.{parameter}"], gradient, 1e-4)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.onnx", "b.txt"], "must end in .onnx"),
        (["missing.onnx", "b.onnx"], "missing.onnx"),
        (["a.onnx", "b.onnx", "--shape", "x"], "NAME=SIZES"),
        (["a.onnx", "b.onnx", "--shape", "z=1,2"], "names z"),
    ],
)
def test_convert_errors(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ac.onnx.save(lambda x: 2 * x, "a.onnx", inputs=(np.ones((2, 2)),))
    assert main(["convert", *arguments]) == 2
    assert says in capsys.readouterr().err
