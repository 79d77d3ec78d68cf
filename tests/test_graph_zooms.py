"""The zooms above the scalars: models, opened boxes, slices, folds, and the recorded sweep beside the forward graph."""

import xml.etree.ElementTree as ET
from fractions import Fraction

import numpy as np
import pytest
from helpers.pictures import assert_apart, by_title

import autoconv as ac
from autoconv import nn
from autoconv.render.drawing import bezier, size
from autoconv.render.scene import arrange


class Net(nn.Module):
    def __init__(self):
        rng = np.random.default_rng(0)
        self.conv = nn.Conv2d(1, 2, 3, rng=rng)
        self.block = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
        self.flat = nn.Flatten()
        self.out = nn.Linear(8, 3, rng=rng)

    def forward(self, x):
        return self.out(self.flat(self.block(self.conv(x))))


def example():
    net = Net()
    x = ac.tensor(np.random.default_rng(1).normal(size=(1, 6, 6, 1)).astype(np.float32), name="x")
    return net, x, ac.losses.cross_entropy(net(x), np.array([1]))


def titles(graph):
    return [node.title for node in graph.nodes]


# ---- models


def test_a_model_is_a_chain_of_its_layers():
    _, _, loss = example()
    graph = ac.graph(loss, zoom="model")
    assert titles(graph) == ["x", "conv", "block", "flat", "out", "1", "cross_entropy"]
    found = by_title(graph)
    assert [found[k].parameters for k in ("conv", "block", "flat", "out")] == [3 * 3 * 1 * 2 + 2, 0, 0, 8 * 3 + 3]
    assert [found[k].shapes[0] for k in ("conv", "block", "flat", "out")] == [
        (1, 4, 4, 2),
        (1, 2, 2, 2),
        (1, 8),
        (1, 3),
    ]
    assert ("param", "20") in found["conv"].rows
    name = {node.id: node.title for node in graph.nodes}
    assert [(name[e.source], name[e.target]) for e in graph.edges][:4] == [("x", "conv"), ("conv", "block"),
        ("block", "flat"), ("flat", "out")]  # fmt: skip


@pytest.mark.parametrize("open", ["block", ["block"], "MaxPool2d"])
def test_nested_models_open_level_by_level(open):
    _, _, loss = example()
    shown = titles(ac.graph(loss, zoom="model", open=open))
    assert shown[:3] == ["x", "conv", "block.0: ReLU"]
    assert ("block.1: MaxPool2d" in shown) is (open != "MaxPool2d")


def test_every_zoom_numbers_the_same_lines():
    _, _, loss = example()
    every = set(range(len(ac.Tape(loss))))
    for zoom in ("model", "calls", "lines"):
        assert {i for n in ac.graph(loss, zoom=zoom).nodes for i in n.lines} == every


def test_as_many_parameters_as_the_model_has():
    net, _, loss = example()
    assert sum(n.parameters for n in ac.graph(loss, zoom="model").nodes) == net.num_parameters()


# ---- boxes that open


@pytest.mark.parametrize("zoom", ["lines", "calls"])
def test_maximum_opens_on_request(zoom):
    a, b = ac.tensor([3.0, 1.0, 2.0], name="a"), ac.tensor([3.0, 5.0, 2.0], name="b")
    m = ac.maximum(a, b, ties="first")
    y = ac.sum(m * ac.tensor([1.0, 10.0, 100.0]))
    y.backward()
    assert "max(a, b)" in [n.formula for n in ac.graph(y, zoom=zoom).nodes]
    for opened in ("maximum", ["maximum"], m):
        graph = ac.graph(y, zoom=zoom, names={"m": m}, open=opened)
        steps = [n for n in graph.nodes if n.lines == (2,)]
        assert [n.formula for n in steps] == [
            "a + b",
            "a - b",
            "|a - b|",
            "(a + b) + |a - b|",
            "((a + b) + |a - b|) / 2",
        ]
        assert [n.value for n in steps] == ["[6, 6, 4]", "[0, -4, 0]", "[0, 4, 0]", "[6, 10, 4]", "[3, 5, 2]"]
        # y_bar = (1, 10, 100): half of it at each step, times the slope of |.|: +1 at a tie, -1 where b is larger
        assert [n.gradient for n in steps] == [
            "[0.5, 5, 50]",
            "[0.5, -5, 50]",
            "[0.5, 5, 50]",
            "[0.5, 5, 50]",
            "[1, 10, 100]",
        ]
        assert [e.slope for e in graph.edges if e.slope] == ["slope 1 at 0 (2 ties)"]
        assert steps[-1].title == "m"


def test_a_maximum_inside_layers_opens_with_what_is_around_it():
    _, _, loss = example()
    graph = ac.graph(loss, zoom="calls", open="MaxPool2d")
    assert "conv" in titles(graph)
    assert "block.0: ReLU" in titles(graph)
    assert "max_pool2d" in titles(graph)
    inner = ac.graph(loss, zoom="calls", open="maximum")
    assert "abs" in titles(inner)
    assert "conv" in titles(inner)


def test_opening_changes_nothing_on_the_tape():
    _, _, loss = example()
    before = repr(ac.Tape(loss)), [line.scope for line in ac.Tape(loss)]
    ac.graph(loss, open=True).svg  # noqa: B018
    ac.graph(loss, backward=True).svg  # noqa: B018
    assert (repr(ac.Tape(loss)), [line.scope for line in ac.Tape(loss)]) == before


# ---- slices and folds


@pytest.mark.parametrize("zoom", ["lines", "calls", "model"])
def test_slices_of_lines(zoom):
    net, x, loss = example()
    w = net.out.weight
    tape = list(ac.Tape(loss))
    leads = {id(w)}
    for line in tape:
        if any(id(k) in leads for k in line.operands):
            leads.add(id(line))
    for focus in (w, w[0, 0], (w, (7, 2)), [w]):
        graph = ac.graph(loss, zoom=zoom, focus=focus, direction="down")
        shown = {i for n in graph.nodes for i in n.lines}
        expected = {i for i, line in enumerate(tape) if id(line) in leads}
        assert shown == expected if zoom == "lines" else shown >= expected
        assert "conv" not in titles(graph)
    up = ac.graph(loss, zoom=zoom, focus=[net.conv.weight, x], direction="up")
    assert len(up.nodes) == 2 if zoom != "model" else "x" in titles(up)


def test_branches_of_equal_structure_fold():
    x = ac.tensor(np.ones((2, 3)), name="x")
    weights = [ac.tensor(np.full((2, 3), k), name=f"w{k}") for k in (1.0, 2.0, 3.0)]
    y = ac.sum(ac.concat([ac.tanh(x * w) for w in weights]))
    graph = ac.graph(y, zoom="lines", fold=True)
    assert [(n.operation, n.count) for n in graph.nodes] == [("input", 1), ("input", 3), ("mul", 3), ("tanh", 3),
        ("concat", 1), ("sum", 1)]  # fmt: skip
    kinds = {n.id: n.operation for n in graph.nodes}
    assert [(kinds[e.source], kinds[e.target], e.count) for e in graph.edges] == [("input", "mul", 3),
        ("input", "mul", 3), ("mul", "tanh", 3), ("tanh", "concat", 3), ("concat", "sum", 1)]  # fmt: skip
    assert len(ac.graph(y).nodes) == 1 + 3 * 3 + 2


# ---- every row


@pytest.mark.parametrize("row", ac.TABLE)
def test_every_row_is_drawn_at_every_zoom(row):
    primitive = ac.TABLE[row]
    operands, params = primitive.example(np.random.default_rng(0))
    tensors = [ac.tensor(x, name=f"x{k}") if np.asarray(x).dtype.kind == "f" else x for k, x in enumerate(operands)]
    y = primitive(*tensors, **params)
    total = ac.sum(y * 1.0)
    for zoom in ("model", "calls", "lines", "scalars"):
        for more in (
            {},
            {"fold": True},
            {"open": True},
            {"open": False},
            {"backward": True},
            {"backward": True, "fold": True},
        ):
            if "backward" in more and total.constant:
                continue
            graph = ac.graph(total, zoom=zoom, layout="own", **more)
            ET.fromstring(graph.svg)
            known = {n.id for n in graph.nodes}
            assert len(known) == len(graph.nodes)
            assert {e.source for e in graph.edges} | {e.target for e in graph.edges} <= known


# ---- the sweep


def test_each_backward_line_serves_its_forward_line():
    a, b = ac.tensor([2.0, 3.0], name="a"), ac.tensor([4.0, 5.0], name="b")
    p = a * b
    y = ac.sum(p)
    graph = ac.graph(y, backward=True, names={"p": p, "y": y})
    forward = [n for n in graph.nodes if n.part == "forward"]
    assert [(n.title, n.lines) for n in forward] == [
        (n.title, n.lines) for n in ac.graph(y, names={"p": p, "y": y}).nodes
    ]
    found = by_title(graph)
    assert found["seed"].part == "backward"
    assert found["grad of p"].serves == 3  # the rule of sum gives it
    assert (found["grad of a"].serves, found["grad of b"].serves) == (2, 2)  # the rule of mul
    assert (found["grad of a"].value, found["grad of b"].value) == ("[4, 5]", "[2, 3]")
    assert all(n.serves is not None for n in graph.nodes if n.part == "backward" and n.title != "seed")


def test_contributions_of_several_paths_are_added_by_a_line():
    x = ac.tensor(3.0, name="x")
    y = ac.exp(x) + x * 2.0
    (total,) = [n for n in ac.graph(y, backward=True).nodes if n.title == "grad of x"]
    assert (total.operation, total.output) == ("add", True)
    assert float(total.value) == pytest.approx(np.exp(3.0) + 2.0, rel=1e-3)


@pytest.mark.parametrize("zoom", ["lines", "calls", "model"])
def test_the_sweep_stands_beside_without_overlaps(zoom):
    _, _, loss = example()
    graph = ac.graph(loss, zoom=zoom, backward=True)
    scene = arrange(graph.nodes, graph.edges, [size(n) for n in graph.nodes])
    boxes = scene.layout.boxes
    split = max(b.left + b.width for b, n in zip(boxes, graph.nodes, strict=True) if n.part == "forward")
    assert all(b.left > split for b, n in zip(boxes, graph.nodes, strict=True) if n.part == "backward")
    assert_apart(scene.layout)
    for number, route in enumerate(scene.layout.routes):
        if number in scene.stubs:
            continue
        for i in range(0, len(route.curve) - 1, 3):
            for s in np.linspace(0, 1, 9):
                x, y = bezier(route.curve[i : i + 4], s)
                assert not any(
                    b.left + 1 < x < b.left + b.width - 1 and b.top + 1 < y < b.top + b.height - 1 for b in boxes
                )
    for tie in scene.ties:
        for (x0, y0), (x1, y1) in zip(tie.points, tie.points[1:], strict=False):
            for s in np.linspace(0.01, 0.99, 30):
                x, y = x0 + s * (x1 - x0), y0 + s * (y1 - y0)
                assert not any(
                    b.left + 1 < x < b.left + b.width - 1 and b.top + 1 < y < b.top + b.height - 1 for b in boxes
                )
    ET.fromstring(graph.svg)


def test_a_tape_that_holds_a_sweep_is_drawn_and_swept_again():
    x = ac.tensor([2.0, 3.0], name="x")
    y = ac.sum(ac.grad(lambda v: ac.sum(v**3))(x) * x)  # 3 x^3, of which the gradient is 9 x^2
    graph = ac.graph(y)
    assert {n.part for n in graph.nodes} == {"forward"}
    assert by_title(ac.graph(y, backward=True))["grad of x"].value == "[36, 81]"


def test_the_sweep_is_drawn_inside_no_grad_and_in_exact_fractions():
    x = ac.tensor(np.array([Fraction(1, 3), Fraction(2, 3)], dtype=object), name="x")
    y = ac.sum(x * x)
    with ac.no_grad():
        graph = ac.graph(y, backward=True)
    assert by_title(graph)["grad of x"].value == "[2/3, 4/3]"
    assert by_title(ac.graph(y, zoom="scalars"))["x[1]"].gradient == "4/3"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda y: ac.graph(y, backward=True),
            ValueError,
            r"scalar that can be differentiated; found .*as in y\.sum\(\)",
        ),
        (lambda y: ac.graph(y, direction="left"), ValueError, "'up', 'down', 'both'"),
        (lambda y: ac.graph(y, open=3), TypeError, "open='maximum'"),
        (lambda y: ac.graph(y, focus="w"), TypeError, "found str"),
        (lambda y: ac.graph(y, focus=ac.tensor(1.0)), ValueError, "is not on the tape"),
    ],
)
def test_errors_say_what_to_do(call, error, words):
    with pytest.raises(error, match=words):
        call(ac.tensor([1.0, 2.0]) * 2.0)
