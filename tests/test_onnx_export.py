"""ONNX files that are written: their graph as plain data, run by an independent NumPy interpreter of the operators.

``tests/interop`` runs the same nets in onnxruntime.
"""

import subprocess
import sys

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn
from autoconv.interop.onnx.cells import CELLS
from autoconv.interop.onnx.gradient import gradient_graph
from autoconv.interop.onnx.nodes import INT64_MAX
from autoconv.interop.onnx.writer import model_graph
from autoconv.primitives import TABLE
from autoconv.tape import Primitive
from tests.helpers import onnx_numpy
from tests.helpers.onnx_nets import batch_of, gradients, loss_of, nets

TOLERANCE = {np.float16: 5e-3, np.float32: 2e-5, np.float64: 1e-11}
DTYPES = [np.float32, np.float64]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -3.0, np.inf, -np.inf, np.nan, 1e-8, 1e30, 20.0, -20.0, 0.4, 5.0]


def close(made, wanted, dtype, what=""):
    made, wanted = np.asarray(made, float), np.asarray(wanted, float)
    np.testing.assert_allclose(made, wanted, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype], err_msg=what)


def example(row, dtype):
    operands, params = row.example(np.random.default_rng(0))
    return [np.asarray(x, dtype) if np.asarray(x).dtype.kind == "f" else np.asarray(x) for x in operands], params


def outputs(graph, feeds):
    known = {port.name for port in graph.inputs}
    return list(onnx_numpy.run(graph, {k: x for k, x in feeds.items() if k in known}).values())


# ---- the column of the table


def test_every_row_has_a_cell():
    assert set(CELLS) == set(TABLE)


@pytest.mark.parametrize("dtype", [*DTYPES, np.float16])
@pytest.mark.parametrize("name", TABLE)
def test_a_row_and_its_gradient(name, dtype):
    row = TABLE[name]
    operands, params = example(row, dtype)
    feeds = {f"x{k}": x for k, x in enumerate(operands)}
    f = lambda *xs: row(*xs, **params)
    wanted = f(*map(ac.tensor, operands)).value
    close(outputs(model_graph(f, feeds, batch_axis=None), feeds)[0], wanted, dtype)
    if not row.differentiable:
        return
    cotangent = np.asarray(np.random.default_rng(1).normal(size=wanted.shape), wanted.dtype)
    loss = lambda *xs: ac.sum(f(*xs) * cotangent)
    lines = list(map(ac.tensor, operands))
    loss(*lines).backward()
    by = [k for k, x in enumerate(lines) if x.grad is not None]
    made = outputs(gradient_graph(loss, feeds, by, batch_axis=None), feeds)[1:]
    for k, g in zip(by, made, strict=True):
        close(g, lines[k].grad, dtype, f"by operand {k}")


@pytest.mark.parametrize("name", [row.name for row in TABLE.values() if row.group == "arithmetic"])
def test_special_values(name):
    """Infinities, NaN, zeros of both signs and ties, each against each."""
    row, settings = TABLE[name], [{}]
    count = len(row.example(np.random.default_rng(0))[0])
    x = np.array(SPECIAL, np.float32)
    operands = [x] if count == 1 else [np.repeat(x, len(x)), np.tile(x, len(x))]
    if name == "where":
        operands.insert(0, operands[0] > 0)
    if name == "slope":
        operands.insert(0, np.full(operands[0].size, np.inf, np.float32))
        numbers = [(0, 0.5, 1, "more"), (0, 0, 1, "less"), (1, 0, 0, "more"), (-1, 0, 1, "less")]
        settings = [{"less": a, "tie": b, "more": c, "nan": nan} for a, b, c, nan in numbers]
    if name in ("maximum", "minimum"):
        settings = [{"ties": "split"}, {"ties": "first"}]
    if name == "sign":
        settings = [{"at_zero": k} for k in (-1, 0, 1)]
    feeds = {f"x{k}": x for k, x in enumerate(operands)}
    for params in settings:
        f = lambda *xs, params=params: row(*xs, **params)
        with np.errstate(all="ignore"):
            lines = list(map(ac.tensor, operands))
            y = f(*lines)
            made = outputs(model_graph(f, feeds, batch_axis=None), feeds)[0].astype(float)
            np.testing.assert_allclose(made, y.value.astype(float), rtol=1e-5, atol=1e-37)
            if row.differentiable:
                y.backward(np.ones(y.shape, y.dtype))
                by = [k for k, x in enumerate(lines) if x.grad is not None]
                graph = gradient_graph(lambda *xs, f=f: ac.sum(f(*xs)), feeds, by, batch_axis=None)
                for k, g in zip(by, outputs(graph, feeds)[1:], strict=True):
                    np.testing.assert_allclose(g, lines[k].grad, rtol=1e-5, atol=1e-37)


def test_a_row_without_a_cell_is_named():
    cube = Primitive("cube", lambda x: x**3, (lambda g, y, x: 3 * g * x * x,), r"{0}^3", "arithmetic",
                     lambda rng: ([rng.normal(size=(2, 3))], {}))  # fmt: skip
    with pytest.raises(ValueError, match=r"the row 'cube'.* has no ONNX cell"):
        model_graph(lambda x: cube(x), (np.ones((2, 3)),))


# ---- nets


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", nets(np.float32))
def test_a_net_and_its_gradient_at_other_batches(name, dtype):
    model, shape = nets(dtype)[name]
    with ac.no_grad():
        classes = model(np.zeros((4, *shape), dtype)).shape[-1]
    x, y = batch_of(4, shape, classes, dtype)
    graph, loss = model_graph(model, (x,)), loss_of(model)
    swept = gradient_graph(loss, (x, y), model)
    assert [port.name for port in swept.inputs] == ["x", "y", *[n for n, _ in model.named_parameters()]]
    assert [port.name for port in swept.outputs] == ["loss", *[f"grad.{n}" for n, _ in model.named_parameters()]]
    assert set(graph.initialisers) >= {n for n, _ in model.named_parameters()}
    for size in (1, 6):
        x, y = batch_of(size, shape, classes, dtype, seed=1)
        close(outputs(graph, {graph.inputs[0].name: x})[0], model(x).value, dtype)
        feeds = {"x": x, "y": y, **{n: p.value for n, p in model.named_parameters()}}
        for made, wanted in zip(outputs(swept, feeds), gradients(model, loss, x, y), strict=True):
            close(made, wanted, dtype)


def test_batch_norm_in_training_has_the_gradient_of_the_batch():
    model, shape = nets(np.float64)["batch norm"]
    model.train()
    x, y = batch_of(4, shape, 3, np.float64)
    loss = loss_of(model)
    before = model.state_dict()
    graph = gradient_graph(loss, (x, y), model)
    assert all(np.array_equal(before[k], v) for k, v in model.state_dict().items()), "writing a file trains nothing"
    x, y = batch_of(7, shape, 3, np.float64)
    feeds = {"x": x, "y": y, **{n: p.value for n, p in model.named_parameters()}}
    for made, wanted in zip(outputs(graph, feeds), gradients(model, loss, x, y), strict=True):
        close(made, wanted, np.float64)
    with pytest.raises(ValueError, match=r"training mode.*model\.eval"):
        model_graph(model, (x,))


def ops(graph):
    return [node.op for node in graph.nodes if node.op not in ("Transpose", "Reshape")]


@pytest.mark.parametrize(
    ("f", "shape", "wanted"),
    [
        (lambda x: ac.conv2d(x, np.ones((3, 3, 2, 4), np.float32), padding=1), (8, 8, 2), ["Conv"]),
        (lambda x: ac.conv_transpose1d(x, np.ones((3, 4, 2), np.float32), stride=2, padding=1), (8, 2),
         ["ConvTranspose"]),
        (lambda x: ac.max_pool2d(x, 3, stride=2, dilation=2), (9, 9, 2), ["MaxPool"]),
        (lambda x: ac.max(x, axis=1), (9, 2), ["ReduceMax"]),
        (lambda x: ac.min(x, axis=(1, 2)), (5, 4), ["ReduceMin"]),
        (lambda x: ac.avg_pool1d(x, 3, stride=1), (9, 2), ["AveragePool", "Mul", "Div"]),
        (lambda x: x @ np.ones((5, 3), np.float32), (5,), ["MatMul"]),
        (lambda x: ac.transpose(ac.transpose(x, (0, 2, 1)), (0, 2, 1)) + 1, (5, 4), ["Add"]),
    ],
    ids=["conv", "transposed", "max pool", "max", "min", "average pool", "matmul", "transposes"],
)  # fmt: skip
def test_patterns_are_one_operator(f, shape, wanted):
    assert ops(model_graph(f, (np.zeros((2, *shape), np.float32),))) == wanted


# ---- the batch


def test_numbers_that_follow_the_batch():
    """A mean's 1 / N, a sum's sizes, constants of the batch's shape and places that are counted."""
    f = lambda x: (
        ac.mean(x), ac.var(x, axis=0, ddof=1), ac.sum(x) * (1 / x.shape[0]) + x.shape[0] ** 1,
        x + np.zeros((x.shape[0], 3)), x + np.arange(x.shape[0])[:, None] * 2.0,
        ac.concat([x, np.ones((2, 3))], axis=0).reshape(-1),
        ac.where(np.tile([True, False, True], (2 * x.shape[0], 1)), ac.concat([x, x]), 5.0),
        ac.take(x, np.tile([2, 0], (x.shape[0], 1)), axis=1),
    )  # fmt: skip
    graph = model_graph(f, (np.ones((4, 3)),))
    assert [str(n) for n in graph.outputs[5].shape] == ["3*batch + 6"]
    x = np.random.default_rng(0).normal(size=(9, 3))
    wanted = [x.mean(), x.var(axis=0, ddof=1), x.sum() / 9 + 9, x, x + 2 * np.arange(9)[:, None],
              np.concatenate([x, np.ones((2, 3))]).ravel(), np.concatenate([x, x]) * [1, 0, 1] + [0, 5, 0],
              np.stack([x[:, [2, 0]]] * 9, axis=1)]  # fmt: skip
    for made, right in zip(outputs(graph, {"x": x}), wanted, strict=True):
        close(made, right, np.float64)


@pytest.mark.parametrize(
    ("f", "says"),
    [
        (lambda x: ac.max(x, axis=0), "depends on the size of the batch.*batch_axis=None"),
        (lambda x: x[: x.shape[0] // 2], "a whole multiple of the batch|depends on the size of the batch"),
        (lambda x: ac.reshape(x, (x.shape[0] // 2, 2, 3)), "batch_axis=None"),
        (lambda x: x * np.sqrt(x.shape[0]), "the number .*whole multiple of the batch"),
        (
            lambda x: x @ np.eye(3) + np.random.default_rng(0).normal(size=x.shape),
            "numbers for the example batch alone",
        ),
        (lambda x: x * 2 if float(x[0, 0]) > 0 else x, "looks at the numbers"),
        (lambda x: ac.dropout(x, 0.5, rng=np.random.default_rng(0), training=True), "random"),
    ],
    ids=["max over it", "half of it", "pairs of it", "its root", "noise", "a branch", "dropout"],
)
def test_what_has_no_file_says_why(f, says):
    with pytest.raises(ValueError, match=says):
        model_graph(f, (np.ones((4, 3)),))


def test_sizes_can_be_fixed():
    graph = model_graph(lambda x: ac.max(x, axis=0), (np.ones((4, 3)),), batch_axis=None)
    assert graph.inputs[0].shape == (4, 3)
    assert graph.outputs[0].shape == (3,)


def test_the_batch_can_be_another_axis():
    graph = model_graph(lambda x: ac.sum(x, axis=0), (np.ones((3, 4)),), batch_axis=1)
    assert [str(n) for n in graph.inputs[0].shape] == ["3", "batch"]
    close(outputs(graph, {"x": np.ones((3, 7))})[0], np.full(7, 3.0), np.float64)


# ---- names


def test_names_are_those_of_the_user():
    w, tied = ac.tensor([1.0, 2.0], name="w"), ac.tensor([3.0, 4.0], name="w")
    graph = model_graph(lambda a, unread: {"sum": a * w + tied, "a": a}, (np.ones((2, 2)), np.ones((2, 5))))
    assert [p.name for p in graph.inputs] == ["a_2", "unread"], "an output has its key, whatever an input is called"
    assert [p.name for p in graph.outputs] == ["sum", "a"]
    assert sorted(graph.initialisers) == ["w", "w_2"]
    graph = gradient_graph(
        lambda x, t: (ac.sum(x * w * t), x), {"image": np.ones((2, 2)), "t": np.ones((2, 2))}, [0, w]
    )
    assert [p.name for p in graph.inputs] == ["image", "t", "w"]
    assert [p.name for p in graph.outputs] == ["loss", "output_1", "grad.image", "grad.w"]


def test_what_the_loss_does_not_depend_on_has_zeros():
    w = ac.tensor([1.0, 2.0], name="w")
    graph = gradient_graph(lambda x: ac.sum(x), (np.ones((2, 2)),), [w])
    assert outputs(graph, {"x": np.ones((3, 2)), "w": w.value})[1].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: model_graph(3, (np.ones(2),)), TypeError, "neither a function nor a Module"),
        (lambda: model_graph(lambda x: 3.0, (np.ones(2),)), TypeError, "must return Tensors"),
        (lambda: model_graph(lambda x: x, ("cat",)), TypeError, "give example arrays"),
        (lambda: model_graph(lambda x: x, (np.ones((0, 2)),)), ValueError, "batch of 0"),
        (lambda: model_graph(lambda x: x, (np.ones(2),), batch_axis=-1), TypeError, "batch_axis=-1"),
        (lambda: gradient_graph(lambda x: x, (np.ones(2),), 0), ValueError, "not that of a number"),
        (lambda: gradient_graph(lambda x: ac.sum(x), (np.ones(2),), 1), ValueError, "there are 1 inputs"),
        (lambda: gradient_graph(lambda x: ac.sum(x), (np.ones(2),), "w"), TypeError, "wrt has"),
        (lambda: gradient_graph(lambda x: ac.sum(x), (np.ones(2),), []), ValueError, "nothing to differentiate by"),
        (lambda: gradient_graph(lambda x: ac.sum(x * 1.0), (np.arange(2),), 0), TypeError, "floating-point"),
    ],
)  # fmt: skip
def test_errors(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_slices_to_the_end_are_standard():
    assert np.iinfo(np.int64).max == INT64_MAX


@pytest.mark.dear
def test_without_onnx_the_file_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "import numpy as np, autoconv as ac\n"
        "try: ac.onnx.save(lambda x: 2 * x, 'a.onnx', (np.ones(2),))\n"
        "except ImportError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert 'pip install "autoconv[onnx]"' in said
    assert not list(tmp_path.iterdir())


def test_a_module_keeps_its_buffers_names():
    model = nn.Sequential(conv=nn.Conv2d(1, 2, 3, rng=0), bn=nn.BatchNorm2d(2)).eval()
    graph = model_graph(model, (np.ones((2, 5, 5, 1), np.float32),))
    assert set(graph.initialisers) >= set(model.state_dict())
