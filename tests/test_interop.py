"""Models read from PyTorch, without PyTorch: the stored graphs of known networks compute what PyTorch computed.

The files in reference/interop were written by reference/make_interop_reference.py.
"""

import copy
import json
import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn, optim, train
from autoconv.interop import Constant, Graph, Imported, Input, Level, Node, State, UnsupportedError, Value, on_model
from autoconv.interop.aten import OPERATIONS
from autoconv.interop.aten.types import common
from autoconv.interop.graph import last_uses
from autoconv.interop.storage import from_data, to_data

FOLDER = Path(__file__).parent / "reference" / "interop"
NETS = sorted(path.stem for path in FOLDER.glob("*.json"))
MODES = ("training", "evaluation")
LIMITS = {"float64": (1e-10, 1e-9, 1e-4), "float32": (1e-5, 1e-4, 1e-2)}  # outputs; gradients; what counts as 0 of them


@cache
def stored(name):
    data = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return data, dict(arrays)


def part(arrays, prefix):
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def imported(name, dtype="float64"):
    """A stored network as a Module, its input and target."""
    data, arrays = stored(name)
    cast = lambda x: x.astype(dtype) if x.dtype.kind == "f" else x
    constants = {mode: {k: cast(v) for k, v in part(arrays, f"constant/{mode}/").items()} for mode in MODES}
    graphs = [from_data(data[mode], constants[mode]) for mode in MODES]
    state = {k: cast(v) for k, v in part(arrays, "state/").items()}
    parameters = {k: state[k] for k in data["parameters"]}
    buffers = {k: v for k, v in state.items() if k not in parameters and k not in data["tied"]}
    model = Imported(data["name"], *graphs, parameters, buffers, OPERATIONS, tied=data["tied"], rng=0)
    return model, cast(arrays["x"]), cast(arrays["target"])


def apart(found, expected, scale=1e-30):
    return np.abs(found - expected).max() / max(np.abs(expected).max(), scale)


def test_the_networks_are_stored():
    assert len(NETS) >= 14


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NETS)
@pytest.mark.quick(12)
def test_outputs_gradients_and_statistics_are_pytorchs(name, mode, dtype):
    model, x, target = imported(name, dtype)
    _, arrays = stored(name)
    outputs, gradients, least = LIMITS[dtype]
    model.train(mode == "training")
    out = model(x)
    assert apart(out.value, arrays[f"{mode}/output"]) < outputs
    ac.losses.mse(out, target).backward()
    expected = part(arrays, f"{mode}/gradient/")
    scale = least * max(np.abs(g).max() for g in expected.values())
    for key, parameter in model.named_parameters():
        assert parameter.dtype == dtype
        assert apart(parameter.grad, expected[key], scale) < gradients, key
    if mode == "training":  # the reference ran once in training; evaluation changes nothing
        for key, value in part(arrays, "after/").items():
            assert model.state_dict()[key] == pytest.approx(value, abs=outputs), key


@pytest.mark.dear
@pytest.mark.parametrize(("step", "make"), [
    ("sgd", lambda p: optim.SGD(p, lr=0.1, momentum=0.9)), ("adam", lambda p: optim.Adam(p, lr=0.01)),
])  # fmt: skip
@pytest.mark.parametrize("name", NETS)
@pytest.mark.quick(6)
def test_one_step_of_fit_is_pytorchs(name, step, make):
    model, x, target = imported(name)
    train.fit(model, (x, target), epochs=1, batch_size=len(x), optimizer=make(model.parameters()), loss=ac.losses.mse,
              rng=0, progress=False)  # fmt: skip
    for key, expected in stored(name)[0]["steps"][step].items():
        value = model.state_dict()[key]
        found = (value * np.linspace(1, 2, value.size).reshape(value.shape)).sum()
        # Adam divides a gradient by its own size, so one that is 0 but for rounding moves its parameter anywhere
        free = 0.01 * 2 * value.size if step == "adam" and _nothing(name, key) else 0
        assert found == pytest.approx(expected, abs=max(1e-8, free), rel=1e-8), key


def _nothing(name, key):
    gradients = part(stored(name)[1], "training/gradient/")
    return np.abs(gradients[key]).min() < 1e-10 * max(np.abs(g).max() for g in gradients.values())


# ---- any size of batch, and the rest of autoconv


@pytest.mark.parametrize("name", NETS)
@pytest.mark.quick(4)
def test_the_batch_has_any_size(name):
    model, x, _ = imported(name)
    model.eval()
    whole = model(x).value
    assert apart(np.concatenate([model(x[i : i + 1]).value for i in range(len(x))]), whole) < 1e-12
    assert apart(model(np.concatenate([x, x, x])).value, np.concatenate([whole] * 3)) < 1e-12


@pytest.mark.dear
@pytest.mark.parametrize("name", NETS)
@pytest.mark.quick(4)
def test_compiled_is_eager(name):
    model, x, target = imported(name)
    other = copy.deepcopy(model)
    loss = lambda m: lambda x, t: ac.losses.mse(m(x), t)
    program = ac.compile(loss(model))
    for _ in range(2):
        assert float(program(x, target)) == pytest.approx(float(loss(other)(x, target)), rel=1e-9)
    for key, value in other.state_dict().items():
        assert model.state_dict()[key] == pytest.approx(value, rel=1e-9, abs=1e-12), key
    assert "eager" not in str(program.plan), program.plan


def test_a_checkpoint_brings_everything_back(tmp_path):
    model, x, _ = imported("vgg_bn")
    model(x)
    ac.checkpoint.save(tmp_path / "a.safetensors", model, optimizer=optim.SGD(model.parameters(), lr=0.1))
    other, _, _ = imported("vgg_bn")
    ac.checkpoint.load(tmp_path / "a.safetensors", other)
    for key, value in model.state_dict().items():
        assert np.array_equal(other.state_dict()[key], value), key


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_a_copy_is_a_model_of_its_own(twin):
    model, x, _ = imported("gpt_block")
    other = twin(model)
    assert other.parameter("lm_head.weight") is other.parameter("wte.weight")
    before = model(x).value
    other.parameter("wte.weight").assign(np.zeros(other.parameter("wte.weight").shape))
    assert np.array_equal(model(x).value, before)
    assert not np.array_equal(other(x).value, before)


def test_tied_weights_are_one_parameter():
    model, _, _ = imported("gpt_block")
    names = [name for name, _ in model.named_parameters()]
    assert "wte.weight" in names and "lm_head.weight" not in names
    assert {"wte.weight", "lm_head.weight"} <= model.state_dict().keys()
    assert model.lm_head.weight is model.wte.weight


def test_parameters_are_found_under_the_modules():
    model, _, _ = imported("resnet18")
    assert model.layer1[0].conv1.weight is model.parameter("layer1.0.conv1.weight")
    assert model.layer1[0].bn1.running_mean.shape == (2,)
    with pytest.raises(AttributeError, match="layer9"):
        model.layer9  # noqa: B018
    with pytest.raises(AttributeError, match="no parameter, buffer or module 'conv9'"):
        model.layer1[0].conv9  # noqa: B018
    with pytest.raises(KeyError, match=r"they are conv1\.weight"):
        model.parameter("conv9.weight")


def test_the_repr_is_the_modules_tree():
    model, x, _ = imported("lenet")
    model(x)
    assert repr(model) == "\n".join([
        "LeNet()                    -> (2, 10)",
        "├─ conv1: Conv2d()    156",
        "├─ conv2: Conv2d()  2,416",
        "├─ fc1: Linear()      408",
        "└─ fc2: Linear()      250",
        "total: 3,230 parameters",
    ])  # fmt: skip


# ---- scopes and sources


def test_scopes_are_the_modules_and_lines_know_their_source():
    model, x, _ = imported("resnet18")
    y = model(x)
    paths = {tuple(s.name for s in line.scope.path if s.kind == "layer") for line in ac.Tape(y) if line.scope}
    assert ("ResNet18", "layer1", "0: BasicBlock", "conv1") in paths
    assert ("ResNet18", "layer2", "0: BasicBlock", "downsample", "1: BatchNorm2d") in paths
    contract = next(line for line in ac.Tape(y) if line.primitive and line.primitive.name == "contract")
    assert contract.source.startswith("torch_nets.py, line ")
    assert contract.source.endswith(": x = self.maxpool(self.relu(self.bn1(self.conv1(x))))")
    assert "# torch_nets.py, line " in repr(ac.Tape(y))
    y.sum().backward()


@pytest.mark.parametrize("zoom", ["model", "calls"])
def test_graphs_show_the_modules(zoom, tmp_path):
    model, x, _ = imported("resnet18")
    graph = ac.graph(model(x[:1]), zoom=zoom)
    graph.save(tmp_path / "graph.svg")
    drawn = (tmp_path / "graph.svg").read_text(encoding="utf-8")
    assert all(word in drawn for word in (("layer1", "layer4") if zoom == "model" else ("conv1", "bn2", "maxpool")))


def test_the_stepper_says_the_source():
    model, x, _ = imported("lenet")
    texts = [event.text for event in ac.step(model(x[:1]).sum())]
    source = model_line("lenet", "conv1")
    assert any(text.endswith(f"   # {source}") for text in texts)


def test_a_backward_line_has_the_source_of_what_it_serves():
    model, x, _ = imported("lenet")
    loss = model(x).sum()
    gradient = ac.sweep(loss, [model.conv1.weight], ac.tensor(1.0))[0]
    assert gradient.source == model_line("lenet", "conv1")


def model_line(name, word):
    return next(node["source"] for node in stored(name)[0]["training"]["nodes"] if word in json.dumps(node["scope"]))


# ---- the carrier by itself

STEPS = {"double": lambda x: x * 2, "add": ac.add, "matmul": ac.matmul}


def small(*nodes, shape=(None, 2)):
    graph = Graph((Input("x", shape, "float64"),), nodes, Value(2), (Value(0),))
    return Imported(
        "Small", graph, graph, {"w": np.array([[1.0, 2.0], [3.0, 4.0]])}, {"seen": np.zeros(2)}, STEPS, rng=0
    )


PRODUCT = Node("matmul", (Value(0), State("w")), {}, 1, (Level("", "Small"),), "net.py, line 3: y = x @ self.w")
DOUBLE = Node("double", (Value(1),), {}, 2, (Level("", "Small"), Level("more", "Twice")))


def test_values_are_freed_after_their_last_use():
    model = small(PRODUCT, DOUBLE)
    assert last_uses(model.graph) == [(0,), (1,)]


def test_an_error_says_where_the_program_makes_it():
    model = small(PRODUCT, DOUBLE, shape=None)
    with pytest.raises(ValueError, match=r"(?s)matmul.*\n  matmul at net.py, line 3: y = x @ self.w"):
        model(np.ones((1, 3)))


def test_what_is_not_covered_is_listed_at_once():
    lost = [Node(f"lost{i}", (Value(0),), {}, i + 1, (), f"net.py, line {i}: z = f(x)") for i in range(2)]
    again = [Node("lost1", (Value(0),), {}, i + 3, (), f"net.py, line {i + 7}") for i in range(4)]
    with pytest.raises(UnsupportedError) as caught:
        small(*lost, *again)
    assert str(caught.value) == "\n".join([
        "Small: the model has 2 operations that are not covered:",
        "  lost0: net.py, line 0: z = f(x)",
        "  lost1: net.py, line 1: z = f(x); net.py, line 7; net.py, line 8; and 2 more places",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda m: m(np.ones((3, 3))), ValueError, r"input x has shape \(3, 3\), the model was read for \(any, 2\)"),
        (lambda m: m(np.ones(2)), ValueError, r"input x has shape \(2,\)"),
        (lambda m: m(), TypeError, "the model takes the inputs x; found 0 positional"),
        (lambda m: m(np.ones((1, 2)), np.ones((1, 2))), TypeError, "found 2 positional"),
        (lambda m: m(y=np.ones((1, 2))), TypeError, "found 0 positional and y"),
    ],
)
def test_inputs_that_do_not_fit(call, error, said):
    with pytest.raises(error, match=said):
        call(small(PRODUCT, DOUBLE))


def test_an_input_may_be_given_by_its_name():
    model = small(PRODUCT, DOUBLE)
    assert np.array_equal(model(x=np.ones((1, 2))).value, model(np.ones((1, 2))).value)


def test_inputs_and_outputs_keep_their_structure():
    graph = Graph(
        (Input("a", (2,)), Input("b", (2,)), Input("c", (2,))),
        (Node("add", (Value(0), Value(1)), {}, 3),),
        {"sum": Value(3), "rest": [Value(2), None, ("w", State("w"))]},
        ([Value(0), Value(1)],),
        {"more": {"c": Value(2), "flag": True}},
    )
    model = Imported("Tree", graph, graph, {"w": np.ones(2)}, {}, STEPS)
    a = np.array([1.0, 2.0])
    out = model([a, a], more={"c": a, "flag": True})
    assert out["sum"].value.tolist() == [2, 4] and out["rest"][1] is None and out["rest"][2][1] is model.parameter("w")
    for wrong in ({"c": a, "flag": False}, {"c": a}, a):
        with pytest.raises((TypeError, ValueError)):
            model([a, a], more=wrong)
    with pytest.raises(TypeError, match="2 things in a list or tuple"):
        model([a], more={"c": a, "flag": True})


def test_a_run_that_fails_changes_no_buffer():
    def fails(x):
        raise ValueError("no")

    def counts(model, x):
        model.watch(lambda v: model.store("seen", v), ac.sum(x, 0))
        return x

    nodes = (Node("counts", (Value(0),), {}, 1), Node("fails", (Value(1),), {}, 2))
    graph = Graph((Input("x", None),), nodes, Value(2), (Value(0),))
    model = Imported("Fails", graph, graph, {}, {"seen": np.zeros(2)}, {"counts": on_model(counts), "fails": fails})
    with pytest.raises(ValueError, match="no"):
        model(np.ones((3, 2)))
    assert model.seen.tolist() == [0, 0]


def test_a_parameter_cannot_take_the_name_of_a_method():
    graph = Graph((), (), None, ())
    with pytest.raises(ValueError, match="'forward'"):
        Imported("Net", graph, graph, {"forward": np.ones(2)}, {}, {})


def test_a_graph_is_stored_as_it_is():
    parts = [
        1,
        2.5,
        float("inf"),
        None,
        True,
        "text",
        (1, (2,)),
        slice(None, Value(0), 2),
        np.dtype(np.float32),
        {"k": State("w")},
        [Constant("c")],
    ]
    node = Node("f", tuple(parts), {"dtype": np.dtype(bool)}, 1, (Level("0", "Conv2d", 2),), "net.py, line 1")
    graph = Graph(
        (Input("x", (None, 2), "int64"), Input("y", None)),
        (node,),
        (Value(1),),
        (Value(0),),
        {"k": Value(0)},
        {"b": Value(1)},
        {"c": np.ones(2)},
    )
    assert from_data(json.loads(json.dumps(to_data(graph))), graph.constants) == graph


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("nodes"),
        lambda d: d.update(version=9),
        lambda d: d.update(inputs=[1]),
        lambda d: d.update(nodes=[{}]),
        lambda d: d.update(outputs={"lambda": 1}),
        lambda d: d.update(outputs={}),
        lambda d: d.update(positional=[{"dtype": "os"}]),
        lambda d: d.update(updates={"a": "b"}),
    ],
)
def test_data_that_is_no_graph(damage):
    data = to_data(small(PRODUCT, DOUBLE).graph)
    damage(data)
    with pytest.raises(ValueError, match="no stored graph"):
        from_data(data, {})


# ---- dtypes and kinks as PyTorch has them; each line was computed with PyTorch 2.13


@pytest.mark.parametrize(
    ("xs", "dtype"),
    [
        ((np.ones(2, np.float32), 2.5), "float32"),
        ((np.ones(2, np.int64), 2.5), "float32"),
        ((np.ones(2, np.int64), 2), "int64"),
        ((np.ones(2, bool), 2), "int64"),
        ((np.ones(2, np.float16), np.ones((), np.float64)), "float16"),
        ((np.ones(2, np.int64), np.ones((), np.float64)), "float64"),
        ((np.ones(2, np.float32), np.ones(2, np.int64)), "float32"),
        ((np.ones(2, np.float32), np.ones(2, np.float64)), "float64"),
        ((np.ones(2, np.uint8), np.ones(2, np.int64)), "int64"),
        ((True, np.ones(2, np.int32)), "int32"),
        ((np.ones(2, np.uint8), np.ones((), np.int64)), "uint8"),
    ],
)
def test_dtypes_come_together(xs, dtype):
    assert common(xs) == dtype


KINKS = [
    ("clamp", (0.0, 6.0), [0, 6, 3, -1], [1, 1, 1, 0]),
    ("clamp", (0.0, 6.0, 0), [0, 6, 3, -1], [0, 0, 1, 0]),  # as later versions of PyTorch have it
    ("clamp_min", (0.0,), [0, -1], [1, 0]),
    ("relu6", (), [0, 6, 3, -1], [0, 0, 1, 0]),
    ("hardtanh", (), [-1, 1, 0.5], [0, 0, 1]),
    ("hardswish", (), [-3, 3, 0], [0, 1, 0.5]),
    ("hardsigmoid", (), [-3, 3, 4], [0, 0, 0]),
    ("relu", (), [0, 1], [0, 1]),
    ("leaky_relu", (0.1,), [0, 1], [0.1, 1]),
    ("elu", (), [0, 1], [1, 1]),
    ("celu", (), [0, 1], [1, 1]),
    ("selu", (), [0], [1.7580993408473766]),
    ("abs", (), [0, -1], [0, -1]),
    ("sign", (), [0, 2], [0, 0]),
    ("softshrink", (), [-0.5, 0.5, 0], [0, 0, 0]),
    ("hardshrink", (), [-0.5, 0.5, 0, 1], [0, 0, 0, 1]),
    ("threshold", (0.0, -1.0), [0, 1], [0, 1]),
    ("amax", (), [0, 0, 0], [1 / 3, 1 / 3, 1 / 3]),
    ("max", (), [1, 2, 2], [0, 0.5, 0.5]),
    ("linalg_vector_norm", (), [0, 0], [0, 0]),
    ("std", (), [2, 2, 2], [0, 0, 0]),
]


@pytest.mark.parametrize(("name", "settings", "at", "slopes"), KINKS)
def test_slopes_at_kinks_are_pytorchs(name, settings, at, slopes):
    x = ac.tensor(at, dtype=np.float64)
    y = OPERATIONS[name](x, *settings)
    if not y.constant:
        y.sum().backward()
    assert ([0] * len(at) if y.constant else x.grad.tolist()) == pytest.approx(slopes, abs=1e-15)


def test_the_first_of_equal_elements_has_the_slope_of_max_along_an_axis():
    x = ac.tensor([[3.0, 3.0], [1.0, 2.0]])
    values, places = OPERATIONS["max.dim"](x, 1)
    values.sum().backward()
    assert x.grad.tolist() == [[1, 0], [0, 1]] and places.now().tolist() == [0, 1]


def test_a_module_of_autoconv_may_hold_one():
    model, x, _ = imported("lenet", "float32")
    both = nn.Sequential(model, nn.Linear(10, 3, rng=0))
    assert both(x).shape == (2, 3)
    assert "0.conv1.weight" in both.state_dict() and "1.weight" in both.state_dict()
    twin = copy.deepcopy(both)
    both.load_state_dict(twin.state_dict())
    assert "0.conv1.weight" in both.state_dict()
