"""ac.graph: nodes and edges of tapes worked by hand, the geometry of the layout,
what is escaped and what is refused."""

import random
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from helpers.pictures import by_title

import autoconv as ac
from autoconv.render import dot
from autoconv.render.drawing import bezier
from autoconv.render.latex import formula
from autoconv.render.layout import layered
from autoconv.render.text import clean, cut, numbers

needs_dot = pytest.mark.skipif(not dot.available(), reason="the dot program of Graphviz is not installed")


def cnn():
    rng = np.random.default_rng(0)
    x, kernel, weight = (
        ac.tensor(rng.normal(size=shape), name=name)
        for name, shape in (("x", (2, 6, 6, 1)), ("kernel", (3, 3, 1, 2)), ("weight", (8, 3)))
    )
    hidden = ac.max_pool2d(ac.relu(ac.conv2d(x, kernel)), 2).reshape(2, -1)
    return ac.losses.cross_entropy(hidden @ weight, np.array([0, 2]))


# ---- nodes and edges


def test_a_small_tape_line_by_line():
    a, b = ac.tensor(3.0, name="a"), ac.tensor(-2.0)
    c = a * b
    d = c - 5.0
    graph = ac.graph(d, names={"b": b, "c": c, "_hidden": d, "count": 3})
    shown = [(n.id, n.kind, n.title, n.formula, n.value, n.gradient, n.output) for n in graph.nodes]
    assert shown == [
        ("n0", "input", "a", "", "3", "not computed yet", False),
        ("n1", "input", "b", "", "-2", "not computed yet", False),
        ("n2", "line", "c", "a · b", "-6", "not computed yet", False),
        ("n3", "constant", "5", "", "", None, False),
        ("n4", "line", "sub", "c - 5", "-11", "not computed yet", True),
    ]
    edges = [(e.source, e.target, e.operand) for e in graph.edges]
    assert edges == [("n0", "n2", 0), ("n1", "n2", 1), ("n2", "n4", 0), ("n3", "n4", 1)]
    d.backward()
    assert [n.gradient for n in ac.graph(d).nodes] == ["-2", "3", "1", None, "1"]
    assert [n.gradient for n in graph.nodes][:2] == ["not computed yet"] * 2  # the first graph is a snapshot


def test_an_operand_read_twice_has_two_edges():
    x = ac.tensor([1.0, 2.0])
    edges = ac.graph(x * x).edges
    assert [(e.source, e.target, e.operand, e.shape) for e in edges] == [("n0", "n1", 0, (2,)), ("n0", "n1", 1, (2,))]


def test_names_of_tensors_win_over_variables():
    x = ac.tensor(1.0, name="own")
    assert ac.graph(x + 1, names={"variable": x}).nodes[0].title == "own"


def test_a_call_is_one_node():
    graph = ac.graph(cnn(), zoom="calls")
    assert [(n.kind, n.title) for n in graph.nodes] == [
        ("input", "x"),
        ("input", "kernel"),
        ("input", "weight"),
        ("call", "conv2d"),
        ("call", "relu"),
        ("call", "max_pool2d"),
        ("line", "reshape"),
        ("call", "matmul"),
        ("constant", "constant"),
        ("call", "cross_entropy"),
    ]
    found = by_title(graph)
    assert found["conv2d"].formula == "conv2d(x, kernel)"
    assert (found["conv2d"].shapes, found["conv2d"].count) == (((2, 4, 4, 2),), 2)  # windows, contract
    assert found["relu"].count == 1  # its 0 is a constant inside
    assert found["constant"].value == "[0, 2]"  # the labels were there before the call
    titles = {n.id: n.title for n in graph.nodes}
    into = [(titles[e.source], e.operand) for e in graph.edges if titles[e.target] == "cross_entropy"]
    assert into == [("matmul", 0), ("constant", 1)]


def test_both_zooms_number_the_same_lines():
    y = cnn()
    fine, coarse = ac.graph(y), ac.graph(y, zoom="calls")
    tape = len(ac.Tape(y))
    assert [n.lines for n in fine.nodes] == [(i,) for i in range(tape)]
    assert sorted(i for n in coarse.nodes for i in n.lines) == list(range(tape))


def test_a_layer_is_a_box_and_a_model_is_opened():
    x = ac.tensor([[1.0, -2.0]], name="x")
    with ac.scope("Net", "layer"):
        with ac.scope("Activation", "layer"):
            h = ac.relu(x) * 2.0
        y = h + 1.0
    assert [(n.kind, n.title) for n in ac.graph(y, zoom="calls").nodes] == [
        ("input", "x"),
        ("call", "Activation"),
        ("constant", "1"),
        ("line", "add"),
    ]


def test_a_call_with_two_results_shows_both():
    x = ac.tensor([1.0, 2.0, 3.0])
    with ac.scope("halves"):
        a, b = x[:1], x[1:]
    node = by_title(ac.graph(ac.sum(a) + ac.sum(b), zoom="calls"))["halves"]
    assert (node.shapes, node.value) == (((1,), (2,)), "[1]; [2, 3]")


def test_no_gradient_is_never_zero():
    x = ac.tensor([1.0, 2.0], name="x")
    h = x * 2.0
    y = ac.sum(ac.stop_gradient(h) * x)
    y.backward()
    found = by_title(ac.graph(y, names={"h": h}))
    assert found["h"].gradient == "none reaches it"
    assert found["stop_gradient"].gradient is None
    assert found["x"].gradient == "[2, 4]"


def test_views_do_not_write():
    y = cnn()
    before = [(t.name, t.grad, t.serial, t.scope, dict(t.params), t.value.copy()) for t in ac.Tape(y)]
    ac.graph(y, names={"loss": y}).svg  # noqa: B018
    ac.graph(y, zoom="calls").dot  # noqa: B018
    for line, (*old, value) in zip(ac.Tape(y), before, strict=True):
        assert [line.name, line.grad, line.serial, line.scope, dict(line.params)] == old
        np.testing.assert_array_equal(line.value, value)


# ---- texts


@pytest.mark.parametrize(
    ("row", "operands", "text"),
    [
        ("add", ["a", "b"], "a + b"),
        ("sub", ["a", "-1"], "a - (-1)"),
        ("mul", ["1/2", "b"], "(1/2) · b"),
        ("div", ["a", "b"], "a / b"),
        ("exp", ["%3"], "e^%3"),
        ("power", ["a", "2"], "a^2"),
        ("abs", ["a"], "|a|"),
        ("log1p", ["a"], "ln(1 + a)"),
        ("maximum", ["0", "a"], "max(0, a)"),
        ("logaddexp", ["a", "b"], "ln(e^a + e^b)"),
        ("where", ["c", "a", "b"], "a if c else b"),
        ("permute_dims", ["a"], "aᵀ"),
        ("broadcast_to", ["a"], "broadcast_to(a)"),
        ("overlap_add", ["a"], "overlap_add a"),
        ("take", ["a", "i"], "a[i]"),
        ("concat", ["a", "b", "c"], "concat a, b, c"),
        ("contract", ["x", "w"], "Σ x w"),
        ("add", [r"\frac{a}", "{0}"], r"\frac{a} + {0}"),
    ],
)
def test_formulas_are_the_rows_latex_as_text(row, operands, text):
    assert formula(ac.TABLE[row], operands) == text


@pytest.mark.parametrize("row", ac.TABLE)
def test_every_row_has_a_readable_formula(row):
    text = formula(ac.TABLE[row], ["a", "b", "c"])
    assert "a" in text
    assert not set("\\{}") & set(text)
    assert text.isprintable()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (1.5, "1.5"),
        ([1, 2], "[1, 2]"),
        ([[1.0, 0.333333]], "[[1, 0.3333]]"),
        (np.zeros((0, 3)), "empty"),
        (np.full((3, 3), 2.0), "all 2"),
        (np.full(9, np.nan), "all nan"),
        (np.arange(10.0), "0 .. 9"),
        ([1.0, np.nan, 3.0, 4.0, np.inf], "1 .. inf, 1 nan"),
        ([True, False, True, True, True], "4 of 5 True"),
    ],
)
def test_numbers_in_words(values, text):
    assert numbers(np.asarray(values)) == text


def test_fractions_are_shown_exactly():
    from fractions import Fraction

    x = ac.tensor(np.array([Fraction(1, 3)] * 2 + [Fraction(2, 7)] * 4, dtype=object))
    assert ac.graph(x * Fraction(1, 2)).nodes[0].value == "2/7 .. 1/3"


def test_labels_are_cut_and_cleaned():
    assert cut("abcdef", 4) == "abc…"
    assert clean("a\0b\nc\ud800\u202e") == "a␀b␊c\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "name",
    [
        "</text><script>alert(1)</script>",
        '"',
        "&amp; &",
        "\0\x1b[31m\n",
        "]]>",
        "\\N",
        "<b>",
        "\ud800",
        "x" * 5000,
        "層" * 60,
    ],
)
def test_hostile_names_stay_text(name):
    x = ac.tensor(1.0, name=name)
    for layout in ("own", "auto"):
        root = ET.fromstring(ac.graph(x + 1, layout=layout).svg)
        tags = {element.tag.split("}")[1] for element in root.iter()}
        assert tags <= {"svg", "title", "style", "rect", "g", "path", "polygon", "circle", "text"}
        labels = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text")]
        assert cut(clean(name), 44) in labels
    if dot.available():
        dot.render(ac.graph(x + 1).dot, "json0")


# ---- layout


def overlaps(a, b):
    return (
        a.left < b.left + b.width
        and b.left < a.left + a.width
        and a.top < b.top + b.height
        and b.top < a.top + a.height
    )


def check_geometry(sizes, edges):
    """No two boxes overlap, edges join their boxes and cross no other, all of it inside the picture."""
    layout = layered(sizes, edges)
    boxes = layout.boxes
    assert [(box.width, box.height) for box in boxes] == [tuple(map(float, size)) for size in sizes]
    for i, box in enumerate(boxes):
        assert 0 <= box.left <= box.left + box.width <= layout.width
        assert 0 <= box.top <= box.top + box.height <= layout.height
        assert not any(overlaps(box, other) for other in boxes[:i])
    for (a, b), route in zip(edges, layout.routes, strict=True):
        start = route.curve[0]
        assert boxes[a].left <= start[0] <= boxes[a].left + boxes[a].width
        assert start[1] == pytest.approx(boxes[a].top + boxes[a].height)
        assert boxes[b].left <= route.tip[0] <= boxes[b].left + boxes[b].width
        assert route.tip[1] == pytest.approx(boxes[b].top)
        points = [
            bezier(route.curve[i : i + 4], t) for i in range(0, len(route.curve) - 1, 3) for t in np.linspace(0, 1, 12)
        ]
        for x, y in points:
            assert 0 <= x <= layout.width
            assert not any(
                box.left < x < box.left + box.width and box.top + 1e-6 < y < box.top + box.height - 1e-6
                for box in boxes
            )


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_are_laid_out_cleanly(seed):
    rng = random.Random(seed)
    count = rng.randint(2, 50)
    sizes = [(rng.randint(20, 200), rng.randint(20, 110)) for _ in range(count)]
    edges = [(rng.randrange(v), v) for v in range(1, count) for _ in range(rng.randint(0, 3))]
    check_geometry(sizes, edges)


@pytest.mark.parametrize("zoom", ["lines", "calls"])
def test_a_network_is_laid_out_cleanly(zoom):
    graph = ac.graph(cnn(), zoom=zoom)
    number = {node.id: i for i, node in enumerate(graph.nodes)}
    check_geometry([(150, 90)] * len(number), [(number[e.source], number[e.target]) for e in graph.edges])


def test_trunks_too_long_for_slots_run_in_lanes_beside_the_boxes():
    half = 75
    chain = [(i, i + 1) for i in range(2 * half - 1)]
    check_geometry([(40, 20)] * (2 * half), chain + [(i, 2 * half - 1 - i) for i in range(half - 1)])


def test_layout_of_nothing_of_one_and_of_a_backward_edge():
    assert layered([], []).boxes == ()
    check_geometry([(50, 20)], [])
    layout = layered([(50, 20), (50, 20)], [(0, 1), (1, 0)])
    assert layout.routes[1].tip[1] == pytest.approx(layout.boxes[0].top + 20)
    with pytest.raises(ValueError, match="to itself"):
        layered([(50, 20)], [(0, 0)])


def test_parameters_stand_just_above_their_reader():
    # 0 -> 1 -> 2 -> 3 and a parameter 4 that only 5 = f(3, 4) reads
    layout = layered([(50, 20)] * 6, [(0, 1), (1, 2), (2, 3), (3, 5), (4, 5)])
    assert layout.boxes[4].top == layout.boxes[3].top


def test_what_feeds_a_late_reader_alone_stands_beside_it():
    # a chain 0 .. 5, and 6, 7 -> 8 -> 9 that only the end of it, 9 = f(5, 8), reads
    edges = [(i, i + 1) for i in range(5)] + [(6, 8), (7, 8), (8, 9), (5, 9)]
    top = [box.top for box in layered([(50, 20)] * 10, edges).boxes]
    assert (top[8], top[7], top[6]) == (top[5], top[4], top[4])


def test_a_chain_is_straight():
    layout = layered([(50, 20), (90, 20), (30, 20)], [(0, 1), (1, 2)])
    assert len({round(box.left + box.width / 2, 6) for box in layout.boxes}) == 1


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize("kind", ["random", "one source", "nested"])
def test_large_layouts_take_about_linear_time(kind):
    count, rng = 2000, random.Random(0)
    edges = [(i, i + 1) for i in range(count - 1)]
    if kind == "random":
        edges += [(max(0, v - 1 - rng.randrange(40)), v) for v in range(1, count)]
    elif kind == "one source":
        edges += [(0, v) for v in range(2, count)]
    else:
        edges += [(i, count - 1 - i) for i in range(count // 2 - 1)]
    layout = layered([(60, 40)] * count, edges)
    assert sum(len(route.curve) for route in layout.routes) < 40 * len(edges)


def test_pictures_are_deterministic():
    assert ac.graph(cnn(), layout="own").svg == ac.graph(cnn(), layout="own").svg
    assert ac.graph(cnn()).dot == ac.graph(cnn()).dot


# ---- files and notebooks


def test_notebook_bundle_and_repr():
    graph = ac.graph(cnn(), zoom="calls")
    bundle = graph._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/svg+xml", "text/latex", "text/plain"}
    ET.fromstring(bundle["image/svg+xml"])
    assert bundle["text/plain"] == graph.text and graph.text.startswith(repr(graph) + "\n")
    assert repr(graph) == (
        "<Graph of cross_entropy () at zoom 'calls': 3 inputs, 1 constant, 1 line, 5 calls; 9 edges>"
    )


def test_the_picture_needs_nothing_from_outside():
    svg = ac.graph(cnn(), layout="own").svg
    assert svg.count("http") == 1  # the name space
    assert "prefers-color-scheme:dark" in svg
    assert "<script" not in svg


def test_save_text(tmp_path):
    graph = ac.graph(cnn(), layout="own")
    assert (graph.save(tmp_path / "x.svg")).read_text(encoding="utf-8") == graph.svg
    assert (graph.save(str(tmp_path / "x.DOT"))).read_text(encoding="utf-8") == graph.dot
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.DOT", "x.svg"]


@needs_dot
@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_save_by_the_dot_program(tmp_path, ending, magic):
    assert ac.graph(cnn(), zoom="calls").save(tmp_path / f"x.{ending}").read_bytes().startswith(magic)


@needs_dot
def test_positions_by_the_dot_program():
    sizes, edges = [(60, 30), (90, 40), (60, 30)], [(0, 1), (2, 1), (0, 1)]
    layout = dot.place_by_dot(sizes, edges)
    assert [(box.width, box.height) for box in layout.boxes] == sizes
    assert not any(overlaps(a, b) for a in layout.boxes for b in layout.boxes if a is not b)
    for route in layout.routes:
        assert route.tip[1] == pytest.approx(layout.boxes[1].top, abs=1)
    ET.fromstring(ac.graph(cnn(), layout="dot").svg)


def test_without_the_dot_program(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    graph = ac.graph(cnn(), zoom="calls")
    for ending in ("png", "pdf"):
        with pytest.raises(RuntimeError, match=r"needs the dot program.*save as \.svg"):
            graph.save(tmp_path / f"x.{ending}")
    assert graph.svg == ac.graph(cnn(), zoom="calls", layout="own").svg
    graph.save(tmp_path / "x.dot")
    assert [p.name for p in tmp_path.iterdir()] == ["x.dot"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.svg"
    path.write_text("old")

    def full(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        ac.graph(ac.tensor(1.0) + 1).save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["x.svg"]
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda y: ac.graph(y, zoom="atoms"), ValueError, "unknown zoom 'atoms'; use one of 'model', 'calls', 'lines'"),
        (lambda y: ac.graph(y, layout="round"), ValueError, "'auto', 'dot', 'own'"),
        (lambda y: ac.graph(y.value), TypeError, "expected a Tensor, found ndarray"),
        (lambda y: ac.graph(y, names=["y"]), TypeError, "locals"),
        (lambda y: ac.graph(y).save("x.gif"), ValueError, r"\.svg, \.dot, \.png or \.pdf"),
        (lambda y: ac.graph(y).save("graph"), ValueError, "must end in"),
    ],
)
def test_errors_say_what_to_do(call, error, words):
    with pytest.raises(error, match=words):
        call(ac.tensor([1.0]) * 2.0)


# ---- too large to draw


@pytest.mark.quick(0)
def test_a_long_chain_is_refused_with_its_count():
    y = ac.tensor(1.0)
    for _ in range(200_000):
        y = -y
    for zoom in ("lines", "calls"):
        with pytest.raises(ValueError, match=r"200,001 nodes and 200,000 edges .* an intermediate Tensor"):
            ac.graph(y, zoom=zoom)


@pytest.mark.quick(0)
def test_a_wide_fan_is_refused_with_its_count():
    x = ac.tensor([1.0])
    with pytest.raises(ValueError, match=r"100,002 nodes and 200,000 edges"):
        ac.graph(ac.concat([-x for _ in range(100_000)]))
    with pytest.raises(ValueError, match=r"2 nodes and 100,000 edges"):
        ac.graph(ac.concat([x] * 100_000))


@pytest.mark.dear
def test_many_lines_in_few_calls_can_be_drawn_as_calls():
    y = ac.tensor(1.0)
    with ac.scope("long"):
        for _ in range(5000):
            y = -y
    with pytest.raises(ValueError, match=r"use zoom='calls' \(2 nodes\) or zoom='model' \(2 nodes\) or a slice"):
        ac.graph(y)
    assert ac.graph(y, zoom="calls").nodes[1].count == 5000


@pytest.mark.dear
def test_as_many_nodes_as_allowed_are_drawn():
    y = ac.tensor(1.0)
    for _ in range(799):
        y = -y
    ET.fromstring(ac.graph(y, layout="own").svg)
    with pytest.raises(ValueError, match="801 nodes"):
        ac.graph(-y)
