"""ONNX's operators as functions of arrays, without the onnx package: facts worked out by hand or with NumPy."""

import sys

import numpy as np
import pytest

import autoconv as ac
from autoconv.interop import Graph, Imported, Input, Node, State, Value
from autoconv.interop.onnx.operators import OPERATIONS

X = np.arange(6.0).reshape(2, 3)
ROW = np.array([0.0, 1.0, 2.0, 3.0])
IMAGE = ROW.reshape(1, 1, 1, 4)


def resized(m, **settings):
    return {"args": (IMAGE, None, None, np.array([1, 1, 1, m])), "settings": {"mode": "linear", **settings}}


# (operator, inputs, attributes, result)
FACTS = [
    ("Div", (np.array([-7, 7]), np.array([2, -2])), {}, [-3, -3]),
    ("Mod", (np.array([-7, 7]), np.array([3, -3])), {}, [2, -2]),
    ("Mod", (np.array([-7, 7]), np.array([3, -3])), {"fmod": 1}, [-1, 1]),
    ("Pow", (np.array([2, 3]), np.array([2.5, 1.0])), {}, [5, 3]),
    ("Clip", (np.array([-1.0, 5.0]), None, np.array(2.0)), {}, [-1, 2]),
    ("Asinh", (np.array([1e-9, -2.0]),), {}, np.arcsinh([1e-9, -2.0])),
    ("Acosh", (np.array([1.0, 3.0]),), {}, np.arccosh([1.0, 3.0])),
    ("Atanh", (np.array([-0.5, 0.0]),), {}, np.arctanh([-0.5, 0.0])),
    ("Softmax", (np.zeros((1, 2, 2)),), {"opset": 11}, np.full((1, 2, 2), 0.25)),
    ("Softmax", (np.zeros((1, 2, 2)),), {"opset": 13}, np.full((1, 2, 2), 0.5)),
    ("Hardmax", (np.array([[3.0, 3.0, 1.0]]),), {"opset": 13}, [[1, 0, 0]]),
    ("Reshape", (X, np.array([0, -1])), {}, X),
    ("Flatten", (np.ones((2, 3, 4)),), {"axis": 0}, np.ones((1, 24))),
    ("Slice", (ROW, np.array([-1]), np.array([-(2**63)]), None, np.array([-2])), {}, [3, 1]),
    ("Slice", (ROW, np.array([1]), np.array([2**63 - 1])), {}, [1, 2, 3]),
    ("Split", (ROW,), {"outputs": 3}, [[0, 1], [2, 3], []]),
    ("Gather", (ROW, np.array([[-1, 0]])), {}, [[3, 0]]),
    ("GatherND", (X, np.array([[1, -1], [0, 0]])), {}, [5, 0]),
    ("ScatterND", (ROW, np.array([[1], [1]]), np.array([5.0, 7.0])), {}, [0, 7, 2, 3]),
    ("ScatterND", (ROW, np.array([[1], [1]]), np.array([5.0, 7.0])), {"reduction": "mul"}, [0, 35, 2, 3]),
    ("ScatterElements", (ROW, np.array([3, 3]), np.array([1.0, 1.0])), {"reduction": "add"}, [0, 1, 2, 5]),
    ("CumSum", (ROW, np.array(0)), {"exclusive": 1, "reverse": 1}, [6, 5, 3, 0]),
    ("ArgMax", (np.array([1.0, 2.0, 2.0]),), {"select_last_index": 1}, [2]),
    ("OneHot", (np.array([-1, 1, 9]), np.array(3), np.array([0, 4])), {}, [[0, 0, 4], [0, 4, 0], [0, 0, 0]]),
    ("Range", (np.array(5), np.array(0), np.array(-2)), {}, [5, 3, 1]),
    ("Trilu", (np.ones((2, 2)), np.array(1)), {}, [[0, 1], [0, 0]]),
    ("Pad", (ROW, np.array([1, 2])), {"mode": "reflect"}, [1, 0, 1, 2, 3, 2, 1]),
    ("Pad", (ROW, np.array([-1, 1])), {}, [1, 2, 3, 0]),
    ("ReduceMax", (np.zeros((0, 2)), np.array([0])), {"keepdims": 0}, [-np.inf, -np.inf]),
    ("ReduceSum", (X, np.array([], np.int64)), {"noop_with_empty_axes": 1}, X),
    ("ReduceL2", (np.array([3.0, 4.0]),), {"keepdims": 0}, 5),
    ("LpNormalization", (np.array([[3.0, 4.0]]),), {}, [[0.6, 0.8]]),
    ("LRN", (np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1),), {"size": 2, "alpha": 2.0, "beta": 1.0},
     np.array([1 / 6, 2 / 14, 3 / 10]).reshape(1, 3, 1, 1)),
    ("ConvTranspose", (np.ones((1, 1, 2)), np.ones((1, 1, 2))), {"strides": (2,), "output_shape": (5,)},
     [[[1, 1, 1, 1, 0]]]),
    ("Resize", resized(7, coordinate_transformation_mode="align_corners"), None, [0, 0.5, 1, 1.5, 2, 2.5, 3]),
    ("Resize", resized(2, coordinate_transformation_mode="asymmetric"), None, [0, 2]),
    ("Resize", resized(2), None, [0.5, 2.5]),
    ("Resize", resized(1, coordinate_transformation_mode="pytorch_half_pixel"), None, [0]),
    ("Resize", resized(8, mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"), None,
     [0, 0, 1, 1, 2, 2, 3, 3]),
    ("Upsample", (ROW, np.array([1.5])), {}, [0, 0, 1, 2, 2, 3]),
    ("DepthToSpace", (np.arange(4.0).reshape(1, 4, 1, 1),), {"blocksize": 2}, [[[[0, 1], [2, 3]]]]),
]  # fmt: skip


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact[0])
def test_a_fact(fact):
    name, args, settings, expected = fact
    if settings is None:
        args, settings, expected = args["args"], args["settings"], np.reshape(expected, (1, 1, 1, -1))
    results = OPERATIONS[name](*args, **settings)
    if isinstance(results, tuple):
        assert [np.asarray(x).tolist() for x in results] == expected
    else:
        np.testing.assert_allclose(np.asarray(results), expected, rtol=1e-12)
        assert np.shape(results) == np.shape(expected)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_an_lstm_step_by_hand_with_a_shorter_sequence():
    rng = np.random.default_rng(0)
    x, w, r, b = (
        rng.normal(size=(2, 2, 3)),
        rng.normal(size=(1, 8, 3)),
        rng.normal(size=(1, 8, 2)),
        rng.normal(size=(1, 16)),
    )
    y, h, c = OPERATIONS["LSTM"](x, w, r, b, np.array([2, 1]), outputs=3)
    state, cell = np.zeros((2, 2)), np.zeros((2, 2))
    for t in range(2):
        i, o, f, g = np.split(x[t] @ w[0].T + state @ r[0].T + b[0, :8] + b[0, 8:], 4, axis=1)
        new = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        runs = np.array([[True], [t < 1]])
        cell, state = np.where(runs, new, cell), np.where(runs, sigmoid(o) * np.tanh(new), state)
        np.testing.assert_allclose(y[t, 0], np.where(runs, state, 0))
    np.testing.assert_allclose(h[0], state)
    np.testing.assert_allclose(c[0], cell)


REFUSED = [
    ("ConstantOfShape", (np.array([2**40, 2**20]),), {}, "bytes"),
    ("Expand", (np.ones(1), np.array([2**45])), {}, "bytes"),
    ("Tile", (np.ones(1), np.array([2**45])), {}, "bytes"),
    ("Range", (np.array(0), np.array(2**45), np.array(1)), {}, "bytes"),
    ("Range", (np.array(0.0), np.array(np.inf), np.array(1.0)), {}, "range"),
    ("Pad", (np.ones(1), np.array([0, 2**45])), {}, "bytes"),
    ("Resize", (IMAGE, None, np.array([1, 1, 1, 2.0**40])), {}, "bytes"),
    ("Resize", (IMAGE, None, None, np.array([1, 1, 1, 2])),
     {"coordinate_transformation_mode": "tf_crop_and_resize"}, "needs a region of 8 numbers"),
    ("Gather", (ROW, np.array([4])), {}, "size 4"),
    ("Slice", (ROW, np.array([0]), np.array([4]), None, np.array([0])), {}, "step of 0"),
    ("Split", (ROW, np.array([1, 1])), {"outputs": 2}, "do not make 4"),
    ("Reshape", (ac.exp(ac.tensor([1.0])), ac.exp(ac.tensor([1.0]))), {}, "depends on the numbers"),
    ("Cast", (ROW,), {"to": 16}, "bfloat16"),
    ("Div", (np.array([1]), np.array([0])), {}, "divided by 0"),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[0])
def test_what_is_refused(case):
    name, args, settings, said = case
    with pytest.raises(ValueError, match=said):
        OPERATIONS[name](*args, **settings)


def test_a_graph_of_operators_is_trained():
    nodes = (
        Node("Gemm", (Value(0), State("w")), {"transB": 1}, 1, source="node 'fc'"),
        Node("Relu", (Value(1),), {}, 2),
        Node("ReduceSum", (Value(2),), {"keepdims": 0}, 3),
    )
    graph = Graph((Input("x", (None, 2)),), nodes, Value(3), (Value(0),))
    model = Imported("net", graph, graph, {"w": np.array([[1.0, 0.0], [-1.0, 0.0]])}, {}, OPERATIONS)
    y = model(np.array([[2.0, 3.0]]))
    y.backward()
    assert float(y) == 2
    assert model.parameter("w").grad.tolist() == [[2.0, 3.0], [0.0, 0.0]]


def test_load_says_what_it_needs(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"autoconv\[onnx\]"):
        ac.onnx.load(tmp_path / "m.onnx")
