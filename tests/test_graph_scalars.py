"""The scalar zoom: nodes, edges, local derivatives, colours, slices, folds,
refusals and geometry of nets worked by hand."""

import re
import xml.etree.ElementTree as ET
from collections import Counter

import numpy as np
import pytest
from helpers.pictures import assert_apart, by_title

import autoconv as ac
from autoconv.render.drawing import bezier, size
from autoconv.render.grid import GridLayout, Place
from autoconv.render.scene import arrange
from autoconv.render.svg import PALETTE, colour, element_colours
from autoconv.views.element import resolve


def learner():
    """i (3, 3) * w1 (2, 2) = o1 (2, 2); o1 * w2 (2, 2) = o2 (1, 1); C = (o2 - y)^2, with the tensors by name."""
    i = ac.tensor([[0.5, -1.0, 2.0], [1.5, 0.0, 1.0], [-0.5, 1.0, 0.5]], name="i")
    w1, w2 = ac.tensor([[1.0, -0.5], [0.25, 2.0]], name="w1"), ac.tensor([[0.5, 1.0], [-1.0, 0.25]], name="w2")
    y = ac.tensor(1.0, name="y")
    o1 = ac.conv2d(i, w1)
    o2 = ac.conv2d(o1, w2)
    C = ((o2 - y) ** 2)[0, 0]
    return {"i": i, "w1": w1, "w2": w2, "y": y, "o1": o1, "o2": o2, "C": C}


def draw(t, **more):
    return ac.graph(t["C"], zoom="scalars", names=t, **more)


def edges_by_title(graph):
    title = {node.id: node.title for node in graph.nodes}
    return {(title[e.source], title[e.target]): e for e in graph.edges}


# ---- nodes, edges, numbers


def test_the_learners_net_scalar_by_scalar():
    graph = draw(learner())
    # 9 + 4 + 4 + 1 inputs; o1: 4 * 4 products and 4 sums; o2: 4 products and a sum; a difference and a square
    assert Counter(node.kind for node in graph.nodes) == {"input": 18, "scalar": 16 + 4 + 4 + 1 + 1 + 1}
    assert len(graph.edges) == 2 * 16 + 16 + 2 * 4 + 4 + 2 + 1
    assert [n.title for n in graph.nodes if n.output] == ["C"]


def test_values_gradients_and_local_derivatives():
    t = learner()
    graph = draw(t)
    seen = lambda r, c: t["i"].value[r : r + 2, c : c + 2]
    o1 = np.array([[(seen(r, c) * t["w1"].value).sum() for c in (0, 1)] for r in (0, 1)])
    o2 = (o1 * t["w2"].value).sum()
    d = 2 * (o2 - 1.0) * t["w2"].value
    nodes, edges = by_title(graph), edges_by_title(graph)
    for r, c in np.ndindex(2, 2):
        assert float(nodes[f"o1[{r},{c}]"].value) == pytest.approx(o1[r, c], rel=1e-3)
        assert float(nodes[f"o1[{r},{c}]"].gradient) == pytest.approx(d[r, c], rel=1e-3)
        expected = sum(t["i"].value[r + a, c + b] * d[a, b] for a in (0, 1) for b in (0, 1))
        assert float(nodes[f"w1[{r},{c}]"].gradient) == pytest.approx(expected, rel=1e-3)
        assert nodes[f"w1[{r},{c}]"].paths == 4
        product = f"i[{r},{c}] · w1[0,0]"
        assert edges[f"i[{r},{c}]", product].slope == "1"  # w1[0,0]
        assert float(edges["w1[0,0]", product].slope) == t["i"].value[r, c]
        assert edges[product, f"o1[{r},{c}]"].slope == "1"
    assert [nodes[f"i[{r},{r}]"].paths for r in range(3)] == [1, 4, 1]
    assert edges["y", "%15[0,0]"].slope == "-1"
    assert float(edges["%15[0,0]", "C"].slope) == pytest.approx(2 * (o2 - 1.0), rel=1e-3)


def test_gradients_are_those_of_backward():
    t = learner()
    t["C"].backward()
    nodes = by_title(draw(t))
    for name in ("i", "w1", "w2"):
        for index in np.ndindex(t[name].shape):
            shown = nodes[f"{name}[{','.join(map(str, index))}]"].gradient
            assert float(shown) == pytest.approx(t[name].grad[index], rel=1e-3, abs=1e-12)


def test_a_scalar_shows_what_it_recorded():
    a, b = ac.Scalar(2.0, "a"), ac.Scalar(3.0, "b")
    graph = ac.graph(a * b + a)
    assert [(n.title, n.value, n.gradient) for n in graph.nodes][:2] == [("a", "2", "4"), ("b", "3", "2")]
    assert graph.nodes[2].formula == "a · b"
    assert sorted((e.source, e.slope) for e in graph.edges) == [("s1", "1"), ("s1", "3"), ("s2", "2"), ("s3", "1")]
    assert len(ac.graph(a * b + a, focus=b, direction="down").nodes) == 3
    with pytest.raises(ValueError, match="'scalars' only"):
        ac.graph(a * b, zoom="lines")
    with pytest.raises(ValueError, match="not an input of this Scalar"):
        ac.graph(a * b, focus=ac.Scalar(1.0))


# ---- definitions and ties


@pytest.mark.parametrize(("ties", "slope", "gradients"), [("split", "0", "0.5 0.5"), ("first", "1", "1 0")])
def test_maximum_opens_into_its_definition(ties, slope, gradients):
    a, b = ac.tensor(3.0, name="a"), ac.tensor(3.0, name="b")
    m = ac.maximum(a, b, ties=ties)
    graph = ac.graph(m, zoom="scalars", names={"m": m})
    titles = ["a", "b", "a + b", "a - b", "|a - b|", "(a + b) + |a - b|", "m"]
    assert [n.title for n in graph.nodes] == titles
    assert edges_by_title(graph)["a - b", "|a - b|"].slope == f"{slope} (tie)"
    assert [by_title(graph)[x].gradient for x in "ab"] == gradients.split()
    closed = ac.graph(m, zoom="scalars", names={"m": m}, open=False)
    assert [n.title for n in closed.nodes] == ["a", "b", "m"]
    assert [e.slope for e in closed.edges] == gradients.split()
    assert closed.nodes[-1].formula == "max(a, b)"


# ---- colours and elements


def test_a_weight_has_one_colour_everywhere():
    t = learner()
    graph = draw(t)
    for k, index in enumerate(np.ndindex(2, 2)):
        name = f"w1[{index[0]},{index[1]}]"
        node = by_title(graph)[name]
        out = [e for e in graph.edges if e.source == node.id]
        assert len(out) == 4  # its four positions
        assert {e.colour for e in out} | set(node.colours) == {element_colours(t["w1"].size)[k]} == {colour(k, 4)}
    assert {e.colour for e in graph.edges if e.source == by_title(graph)["i[1,1]"].id} == {""}
    for zoom in ("lines", "calls"):
        assert by_title(ac.graph(t["C"], zoom=zoom))["w1"].colours == tuple(PALETTE[:4])
    swept = by_title(draw(t, backward=True))
    assert swept["grad of w1[1,0]"].colours == (PALETTE[2],)


def test_colours_are_distinct_and_repeat():
    assert len(set(PALETTE)) == 25
    assert colour(27, 100) == colour(2, 100) == PALETTE[2]
    with pytest.raises(IndexError, match="element 4 of a tensor with 4"):
        colour(4, 4)


def test_nodes_carry_line_and_elements_at_every_zoom():
    t = learner()
    tape = ac.Tape(t["C"])
    for node in draw(t).nodes:
        line = tape[node.lines[-1]]
        if node.kind == "input":
            assert float(node.value) == line.value.ravel()[node.elements[0]]
    assert by_title(draw(t))["w2[1,0]"].lines == by_title(ac.graph(t["C"]))["w2"].lines == (2,)


def test_what_a_reader_points_at():
    w = ac.tensor(np.arange(6.0).reshape(2, 3), name="w")
    y = ac.sum(w * w)
    tape = ac.Tape(y)
    cases = [
        (w, [0, 1, 2, 3, 4, 5]),
        (w[0, 1], [1]),
        (w[1][2], [5]),
        (w[:, 1], [1, 4]),
        (w.T[2, 0], [2]),
        ((w, (1, 2)), [5]),
        ((w, 0), [0, 1, 2]),
        ((w.T, (2,)), [2, 5]),
        (w.reshape(3, 2)[2, 1], [5]),
        (ac.flip(w, axis=1)[0, 0], [2]),
    ]
    for thing, elements in cases:
        line, found = resolve(thing, tape)
        assert line is w
        assert found.tolist() == elements
    assert resolve(tape[1], tape)[0] is tape[1]
    with pytest.raises(ValueError, match=r"an input of shape \(\) is not on the tape"):
        resolve(ac.tensor(1.0), tape)
    with pytest.raises(ValueError, match=r"has no element \(5, 5\)"):
        resolve((w, (5, 5)), tape)
    with pytest.raises(ValueError, match="not on the tape"):
        resolve(w[0, 0] * 2, tape)
    with pytest.raises(TypeError, match="found str"):
        resolve("w", tape)


# ---- slices


def reachable(graph, start, forward):
    """The ids that can be reached from ``start``, by a search over the edges."""
    near = {}
    for e in graph.edges:
        a, b = (e.source, e.target) if forward else (e.target, e.source)
        near.setdefault(a, []).append(b)
    seen, waiting = {start}, [start]
    while waiting:
        for x in near.get(waiting.pop(), ()):
            if x not in seen:
                seen.add(x)
                waiting.append(x)
    return seen


@pytest.mark.parametrize("which", ["w1[0,1]", "i[1,1]", "o1[1,0]", "w2[0,0]"])
def test_slices_are_ancestors_and_descendants(which):
    t = learner()
    whole = draw(t)
    start = by_title(whole)[which].id
    name, index = which[:-1].split("[")
    focus = t[name][tuple(map(int, index.split(",")))]
    up, down = reachable(whole, start, False), reachable(whole, start, True)
    for direction, expected in (("up", up), ("down", down), ("both", up | down)):
        graph = draw(t, focus=focus, direction=direction)
        assert {n.id for n in graph.nodes} == expected
        inside = [e for e in whole.edges if e.source in expected and e.target in expected]
        assert sorted(map(repr, graph.edges)) == sorted(map(repr, inside))
    pair = draw(t, focus=(t[name], tuple(map(int, index.split(",")))), direction="up")
    assert {n.id for n in pair.nodes} == up


def test_a_slice_says_what_it_leaves_out():
    t = learner()
    node = by_title(draw(t, focus=t["w1"][0, 0], direction="down"))["o1[0,0]"]
    assert (node.formula, node.note) == ("Σ of 4", "3 more operands outside the slice")


# ---- folds and refusals


def test_a_fold_draws_equal_structure_once():
    graph = draw(learner(), fold=True)
    shown = {node.title: node.count for node in graph.nodes}
    assert shown == {"i[…]": 9, "w1[…]": 4, "w2[…]": 4, "y": 1, "i[…] · w1[…]": 16, "o1[…]": 4, "o1[…] · w2[…]": 4,
        "o2[0,0]": 1, "%15[0,0]": 1, "C": 1}  # fmt: skip
    counts = {pair: e.count for pair, e in edges_by_title(graph).items()}
    assert counts["i[…] · w1[…]", "o1[…]"] == 16
    assert edges_by_title(graph)["w1[…]", "i[…] · w1[…]"].slope == "-1 .. 2"  # the pixels


def test_a_fold_tells_borders_apart():
    x, w = ac.tensor(np.ones((26, 26)), name="x"), ac.tensor(np.ones((3, 3)), name="w")
    y = ac.conv2d(x, w, padding=1)
    graph = ac.graph(ac.sum(y), zoom="scalars", names={"y": y}, fold=True)
    sums = sorted((n.count, n.formula) for n in graph.nodes if n.title.startswith("y"))
    assert sums == [(4, "Σ of 4"), (96, "Σ of 6"), (576, "Σ of 9")]


def test_too_many_scalars_are_refused_with_counts_that_are_true():
    x, w = ac.tensor(np.ones((12, 12)), name="x"), ac.tensor(np.ones((3, 3)), name="w")
    y = ac.conv2d(x, w)
    loss = ac.sum(y * y)
    nodes = 144 + 9 + 100 * 9 + 100 + 100 + 1
    with pytest.raises(ValueError, match=rf"would draw {nodes:,} nodes") as error:
        ac.graph(loss, zoom="scalars")
    text = str(error.value)
    down = 1 + 100 + 100 + 100 + 1  # w[0,0], a product, a sum and a square at each position, the total
    assert f"focus=w[0,0], direction='down' ({down} nodes)" in text
    assert len(ac.graph(loss, zoom="scalars", focus=w[0, 0], direction="down").nodes) == down
    folded = int(re.search(r"fold=True \((\d+) nodes\)", text)[1])
    assert folded == len(ac.graph(loss, zoom="scalars", fold=True).nodes) == 6
    place, index, up = re.search(
        r"focus=\(ac\.Tape\(y\)\[(\d+)\], (\(.*?\))\), direction='up' \((\d+) nodes", text
    ).groups()
    focus = (ac.Tape(loss)[int(place)], tuple(map(int, re.findall(r"\d+", index))))
    assert len(ac.graph(loss, zoom="scalars", focus=focus, direction="up").nodes) == int(up)
    assert f"zoom='lines' ({len(ac.Tape(loss))} nodes)" in text


# ---- the sweep


def test_the_sweep_at_the_scalar_zoom():
    t = learner()
    t["C"].backward()
    graph = draw(t, backward=True)
    nodes = by_title(graph)
    for index in np.ndindex(2, 2):
        node = nodes[f"grad of w1[{index[0]},{index[1]}]"]
        assert (node.part, node.formula, node.output) == ("backward", "Σ of 4", True)  # the accumulation is a sum
        assert float(node.value) == pytest.approx(t["w1"].grad[index], rel=1e-3)
    forward = draw(t)
    assert [n.id for n in graph.nodes if n.part == "forward"] == [n.id for n in forward.nodes]
    assert [n.paths for n in graph.nodes if n.part == "forward"] == [n.paths for n in forward.nodes]


# ---- pictures


def check_scene(graph):
    sizes = [size(node) for node in graph.nodes]
    scene = arrange(graph.nodes, graph.edges, sizes)
    boxes = scene.layout.boxes
    assert_apart(scene.layout)
    number = {node.id: i for i, node in enumerate(graph.nodes)}
    for k, (edge, route) in enumerate(zip(graph.edges, scene.layout.routes, strict=True)):
        if k in scene.stubs:
            continue
        source, target = boxes[number[edge.source]], boxes[number[edge.target]]
        assert source.left <= route.curve[0][0] <= source.left + source.width
        assert target.left <= route.tip[0] <= target.left + target.width
        points = [
            bezier(route.curve[i : i + 4], s) for i in range(0, len(route.curve) - 1, 3) for s in np.linspace(0, 1, 9)
        ]
        for x, y in points:
            for box in boxes:
                assert not (box.left + 1 < x < box.left + box.width - 1 and box.top + 1 < y < box.top + box.height - 1)


@pytest.mark.parametrize("more", [{}, {"backward": True}, {"fold": True}])
def test_no_box_overlaps_and_no_edge_crosses_a_box(more):
    check_scene(draw(learner(), **more))


@pytest.mark.dear
@pytest.mark.parametrize("channels", [1, 2])
def test_the_slice_of_a_weight_of_a_small_cnn_is_laid_out_cleanly(channels):
    rng = np.random.default_rng(channels)
    x, w = ac.tensor(rng.normal(size=(1, 5, 5, 1)), name="x"), ac.tensor(rng.normal(size=(2, 2, 1, channels)), name="w")
    loss = ac.sum(ac.max_pool2d(ac.relu(ac.conv2d(x, w)), 2))
    graph = ac.graph(loss, zoom="scalars", focus=w[0, 0, 0, 0], direction="down")
    check_scene(graph)
    ET.fromstring(graph.svg)


def test_products_stand_on_their_window_and_windows_on_their_grid():
    graph = draw(learner())
    cell = {n.title: n.cell for n in graph.nodes}
    for r, c, a, b in np.ndindex(2, 2, 2, 2):
        place = cell[f"i[{r + a},{c + b}] · w1[{a},{b}]"]
        assert (place.row, place.column) == ((r, a), (c, b))


def test_a_random_grid_is_laid_out_cleanly():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        places = [
            Place(b, (0, int(r)), (int(rng.integers(2)), int(c))) for b in range(5) for r in range(2) for c in range(3)
        ]
        places = list({(p.block, p.row, p.column): p for p in places}.values())
        edges = sorted({(int(rng.integers(i)), i) for i in range(1, len(places)) for _ in range(2)})
        edges = [(a, b) for a, b in edges if places[a].block < places[b].block]
        grid = GridLayout([(40, 20)] * len(places), places, edges)
        layout = grid.layout(grid.heights, grid.gaps)
        for route in layout.routes:
            for i in range(0, len(route.curve) - 1, 3):
                for s in np.linspace(0, 1, 9):
                    x, y = bezier(route.curve[i : i + 4], s)
                    assert not any(
                        box.left + 1 < x < box.left + 39 and box.top + 1 < y < box.top + 19 for box in layout.boxes
                    )


def test_pictures_are_deterministic_and_thousands_of_scalars_quick():
    assert draw(learner()).svg == draw(learner()).svg
    assert draw(learner(), backward=True).svg == draw(learner(), backward=True).svg
    places = [Place(b, (0, i // 20), (0, i % 20)) for b in range(10) for i in range(380)]
    edges = [(i, i + 380) for i in range(len(places) - 380)] * 2
    grid = GridLayout([(60, 50)] * len(places), places, edges)
    grid.layout(grid.heights, grid.gaps)


def test_hostile_names_stay_text():
    w = ac.tensor([1.0, 2.0], name='</text><script>"&')
    root = ET.fromstring(ac.graph(ac.sum(w * w), zoom="scalars").svg)
    assert not [e for e in root.iter() if e.tag.endswith("script")]
