"""The stepper: a walk is the sweep, every line and contribution is an event, and any state can be rebuilt."""

import io
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from helpers.walk_pages import read_page

import autoconv as ac
from autoconv.views.stepper import terminal
from autoconv.views.stepper.axes import axes_of
from autoconv.views.stepper.filmstrip import chosen
from autoconv.views.stepper.page import SMALL
from autoconv.views.stepper.stepper import step
from autoconv.views.stepper.training import record_training
from autoconv.views.window_geometry import geometries


def learner():
    """i is 3x3, w1 and w2 are 2x2, C = (o2 - 1)^2."""
    i = ac.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]], name="i")
    w1 = ac.tensor([[1.0, -1.0], [0.5, 2.0]], name="w1")
    w2 = ac.tensor([[0.5, 1.0], [-1.0, 0.25]], name="w2")
    o1 = ac.relu(ac.conv2d(i, w1))
    o2 = ac.conv2d(o1, w2)
    return ac.sum((o2 - 1.0) ** 2), {"i": i, "w1": w1, "w2": w2, "o1": o1, "o2": o2}


def several():
    rng = np.random.default_rng(3)
    x, w, b = (
        ac.tensor(rng.normal(size=s), name=n) for n, s in (("x", (2, 7, 6, 4)), ("w", (3, 2, 2, 6)), ("b", (6,)))
    )
    h = ac.conv2d(x, w, b, stride=2, padding=1, groups=2)
    y = ac.max_pool2d(ac.tanh(h), 2, stride=1)
    return ac.losses.cross_entropy(ac.flatten(y, 1) + ac.sum(x) * 0.1, np.array([3, 1])), {"x": x, "w": w, "b": b}


def used_twice():
    a = ac.tensor(3.0, name="a")
    return a * a + a, {"a": a}


PROGRAMS = {"learner": learner, "several": several, "used_twice": used_twice}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_the_end_of_the_walk_is_the_sweep_bit_for_bit(program):
    y, named = program()
    asked = list(named.values())
    stepper = step(y)
    end = stepper.at(len(stepper)).gradients
    for x, g in zip(asked, ac.sweep(y, asked), strict=True):
        assert end[x].dtype == g.dtype and np.array_equal(end[x], g)
    only = step(y, wrt=asked[0])
    assert np.array_equal(only.at(len(only)).gradients[asked[0]], ac.sweep(y, asked[:1])[0])


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_every_line_is_an_event_and_sums_chain(program):
    y, _ = program()
    stepper = step(y)
    forward = [e.line for e in stepper if e.phase == "forward"]
    assert all(a is b for a, b in zip(forward, ac.Tape(y), strict=True))
    running = {}
    for event in stepper:
        if event.kind != "accumulate":
            continue
        before = running.get(id(event.target))
        assert event.before is before if before is None else np.array_equal(event.before, before)
        whole = event.contribution if before is None else before + event.contribution
        assert np.array_equal(event.after, whole)
        running[id(event.target)] = event.after


def test_accumulation_is_told_step_by_step():
    y, named = used_twice()
    stepper = step(y)
    assert stepper.trail(named["a"]) == [0.0, 1.0, 4.0, 7.0]  # 1 from + a, then 3 and 3 from a * a
    texts = [e.text for e in stepper if e.kind == "accumulate" and e.target is named["a"]]
    assert "grad of a: 0 -> 1 -> 4 -> 7" in texts[-1]


def test_a_shared_weight_collects_one_term_for_each_position():
    """dC/dw1[0,0] = sum over k of i_k d_k, d = w2 * 2 (o2 - 1) where o1 > 0 (worked out by hand)."""
    y, named = learner()
    d = named["w2"].value * 2 * (named["o2"].item() - 1) * (named["o1"].value > 0)
    by_hand = np.cumsum((named["i"].value[:2, :2] * d).ravel())
    assert step(y).trail(named["w1"][0, 0]) == [0.0, *by_hand.tolist()]


def test_moving_about():
    stepper = step(learner()[0])
    assert stepper.position == 0 and stepper.event is None and stepper.back() is None
    first = stepper.next()
    assert first is stepper[0] and stepper.position == 1
    assert stepper.jump(len(stepper)) is stepper[-1] and stepper.next() is None
    seen = []
    while stepper.event is not None:
        seen.append(stepper.event)
        stepper.back()
    assert seen == list(stepper)[::-1]
    for n in (-1, len(stepper) + 1):
        with pytest.raises(ValueError, match=f"step {n} is not in"):
            stepper.jump(n)


def test_states_are_what_has_happened():
    y, named = learner()
    stepper = step(y)
    stepper.jump(3)
    assert set(stepper.state.values) == {named["i"], named["w1"], named["w2"]} and not stepper.state.gradients
    forward = stepper.at(len(ac.Tape(y)))
    assert forward.value(y) is y.value and forward.grad(y) is None
    assert stepper.at(len(ac.Tape(y)) + 1).grad(y) == 1


def test_until_and_breakpoint():
    y, named = learner()
    stepper = step(y, names=named)
    assert stepper.until("w1").kind == "input"
    event = stepper.until(named["w1"][0, 0])
    assert event.kind == "accumulate" and event.target is named["w1"] and event.after[0, 0] != 0
    stepper.jump(0)
    event = stepper.breakpoint("grad(o1[0,1]) >= 16")
    assert event.target is named["o1"] and event.after[0, 1] == 16  # w2[0,1] * 2 * (9 - 1)
    stepper.jump(0)
    assert stepper.breakpoint("step >= 7").index == 6
    assert stepper.breakpoint(lambda state: state.event.kind == "seed").target is y
    assert stepper.breakpoint("grad(w2) > 1e6") is None and stepper.position == len(stepper)


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "grad(w1)", "w1 > 1 > 0", "nothing > 1", "w1[9,9] > 0", "w1[0] > 1", "1 + 1 > 0",
        "w1.value > 0", ""],
)  # fmt: skip
def test_conditions_are_a_strict_grammar(text):
    with pytest.raises(ValueError, match="step: "):
        step(learner()[0]).breakpoint(text)


def test_local_derivatives_are_numbers_and_formulas():
    a, b = ac.tensor([2.0, -3.0], name="a"), ac.tensor([5.0, 7.0], name="b")
    stepper = step(ac.sum(a * b))
    event = next(e for e in stepper if e.kind == "accumulate" and e.target is a)
    assert event.local.tolist() == [5.0, 7.0] and event.cotangent.tolist() == [1.0, 1.0]
    assert "b" in event.local_latex and r"\partial a" in event.local_latex
    assert "<math" in event.mathml and event.operands[0].tolist() == [2.0, -3.0]
    with pytest.raises(ValueError, match="read-only"):
        event.contribution[0] = 1


@pytest.mark.parametrize("ties", ["split", "first"])
def test_maximum_opens_into_its_definition(ties):
    a, b = ac.tensor([1.0, 4.0, 2.0, 1.0], name="a"), ac.tensor([3.0, 4.0, -1e20, np.inf], name="b")
    y = ac.maximum(a, b, ties=ties)
    stepper = step(y, cotangent=np.array([10.0, 20.0, 30.0, 40.0]))
    event = next(e for e in stepper if e.kind == "accumulate" and e.target is a)
    assert event.opens
    opened = event.open()
    rows = [e.line.primitive.name for e in opened if e.kind == "forward"]
    assert sorted(rows) == ["abs", "add", "add", "div", "sub"]
    assert np.array_equal(opened.tape.outputs[0].value, y.value)  # the exact value, not 0 for max(2, -1e20)
    end = {x.name: g for x, g in opened.at(len(opened)).gradients.items()}
    for x, g in zip((a, b), ac.sweep(y, [a, b], np.array([10.0, 20.0, 30.0, 40.0])), strict=True):
        assert np.array_equal(end[x.name], g)
    with pytest.raises(ValueError, match="not defined by other lines"):
        next(e for e in stepper if not e.opens).open()


def test_errors():
    with pytest.raises(TypeError, match="expected a Tensor"):
        step(3.0)
    with pytest.raises(ValueError, match="not a scalar"):
        step(ac.tensor([1.0, 2.0]) * 2)
    with pytest.raises(TypeError, match="names must map"):
        step(learner()[0], names=["i"])
    with pytest.raises(ValueError, match=r"must end in \.html"):
        step(learner()[0]).save("walk.pdf")


@pytest.mark.dear
def test_a_long_chain_and_the_repr():
    x = y = ac.tensor(1.0, name="x")
    for _ in range(20_000):
        y = -y
    stepper = step(y)
    stepper.jump(30_000)
    assert len(stepper) == 20_001 + 1 + 20_000 + 1 and stepper.at(len(stepper)).gradients[x] == 1
    assert "step 30000 of" in repr(stepper) and len(repr(stepper).splitlines()) < 15


# ---- terminal


def test_terminal():
    y, named = learner()
    commands = "n\nn\nb\ns\nj 12\nj x\nuntil w1[0,0]\np w1[0,0]\nbreak grad(i) > 30\nbreak os.system\n"
    commands += "j 0\nuntil o1\no\ns\nq\nnonsense\nw\nl\nn\nq\nn\n"
    out = io.StringIO()
    stepper = step(y, names=named)
    terminal.run(stepper, io.StringIO(commands), out)
    said = out.getvalue()
    for text in ["8/40  conv2d = [[1, 8.5], [0, 0]]   2×2", "10/40  o1: relu = ", "12/40", "j needs a step number",
        "grad of w1", "grad  40.", "is not one comparison", "Stepper of o1 = [[1, 8.5], [0, 0]]: step 0",
        "unknown command 'nonsense'", "> 11-15  o2: conv2d = ", "the end"]:  # fmt: skip
        assert text in said, (text, said)
    assert stepper.position == len(stepper)  # q ended it before the last n


# ---- calls


def test_the_walk_at_calls_is_made_of_the_events_in_order():
    for program in PROGRAMS.values():
        y, named = program()
        stepper = step(y, names=named)
        ends = [(s.first, s.last) for s in stepper.stops]
        assert ends[0][0] == 0 and ends[-1][1] == len(stepper) - 1
        assert all(last + 1 == first for (_, last), (first, _) in pairwise(ends))
        for stop in stepper.stops:
            assert {e.phase for e in stepper[stop.first : stop.last + 1]} == {stop.phase}
        seen = []
        while stepper.over():
            seen.append(stepper.position)
        assert seen == [s.last + 1 for s in stepper.stops if not s.unit.quiet]


def test_units_are_calls_with_the_names_of_the_user():
    y, named = learner()
    units = step(y, names=named).units
    assert [u.title for u in units if u.kind == "input"] == ["i", "w1", "w2"]
    calls = [u for u in units if u.kind == "call"]
    assert [(u.title, u.says) for u in calls] == [
        ("conv2d", "2×2"), ("o1: relu", ""), ("o2: conv2d", "2×2"), ("sub", "o2 - 1"), ("power", "sub^2"),
        ("sum", "Σ power"),
    ]  # fmt: skip
    assert [[units[k].name for k in u.reads] for u in calls[:3]] == [["i", "w1"], ["conv2d"], ["o1", "w2"]]
    assert not any(u.quiet for u in calls) and all(u.quiet for u in units if u.kind == "input")


def test_lines_that_only_move_are_no_stop_of_their_own():
    x = ac.tensor(np.arange(6.0), name="x")
    a, b = ac.reshape(x, (2, 3)), ac.tensor(np.ones((1, 3)), name="b")
    kept = ac.reshape(x, (3, 2))
    y = ac.sum(ac.concat([a * 2.0, b], axis=0)) + ac.sum(kept)
    quiet = {u.name: u.quiet for u in step(y, names={"kept": kept}).units}
    assert quiet["reshape"] and not quiet["kept"] and not quiet["concat"] and not quiet["mul"]


class Net(ac.nn.Layer):
    """Layers, a call and arithmetic of its own, a layer in a layer."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.conv = ac.nn.Conv2d(1, 2, 3, rng=rng)
        self.body = ac.nn.Sequential(ac.nn.BatchNorm2d(2), ac.nn.ReLU())
        self.fc = ac.nn.Linear(32, 3, rng=rng)

    def forward(self, x):
        h = self.conv(x)
        h = h + self.body(h)
        return self.fc(ac.flatten(ac.max_pool2d(h, 2), 1))


def test_layers_give_their_names_and_paths():
    image = ac.tensor(np.random.default_rng(1).random((1, 10, 10, 1)), name="image")
    stepper = step(ac.losses.cross_entropy(Net()(image), np.array([1])))
    calls = [u for u in stepper.units if u.kind == "call" and not u.quiet]
    assert [u.title for u in calls] == [
        "conv: conv2d", "body.0: batch_norm", "body.1: relu", "add", "max_pool2d", "fc: linear", "cross_entropy",
    ]  # fmt: skip
    assert [u.path for u in calls[:3]] == [("conv",), ("body", "0"), ("body", "1")]
    assert [stepper.names[id(u.output)] for u in calls[:4]] == ["conv.out", "body.0.out", "body.1.out", "add"]
    assert [x.name for x in calls[0].given] == ["conv.weight", "conv.bias"]
    names = {e.text for e in stepper}
    assert not any("%" in text.replace("maximum(0", "") and "grad of %" in text for text in names)


AXES = [
    ("conv2d", (2, 5, 6, 3), (2, 3, 3, 4), {},
        ((1, 2), "image channel"), ((0, 1), "in out"), ((1, 2), "image channel")),
    ("conv2d", (2, 3, 5, 6), (4, 3, 2, 3), {"layout": "channels_first"},
        ((2, 3), "image channel"), ((2, 3), "in out"), ((2, 3), "image channel")),
    ("conv2d", (1, 5, 6, 4), (2, 3, 2, 6), {"groups": 2}, ((1, 2), "channel"), ((0, 1), "in out"), ((1, 2), "channel")),
    ("conv2d", (5, 6), (2, 3), {}, ((0, 1), ""), ((0, 1), ""), ((0, 1), "")),
    ("conv3d", (1, 4, 5, 6, 2), (2, 3, 2, 2, 3), {},
        ((2, 3), "depth channel"), ((1, 2), "in depth out"), ((2, 3), "depth channel")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape", "kernel", "settings", "read", "weight", "made"), AXES)
def test_axes_say_what_is_a_picture(name, shape, kernel, settings, read, weight, made):
    rng = np.random.default_rng(0)
    x, w = ac.tensor(rng.normal(size=shape)), ac.tensor(rng.normal(size=kernel))
    y = getattr(ac, name)(x, w, **settings)
    z = ac.tanh(y) * 2.0
    tape = ac.Tape(ac.sum(z))
    found = axes_of(tape, geometries(tape))
    for line, (tile, others) in ((x, read), (w, weight), (y, made), (z, made)):
        assert found[id(line)].tile == tile and [name for _, name in found[id(line)].others] == others.split()


@pytest.mark.parametrize(("shape", "picture"), [((1, 8, 8, 1), "grey"), ((1, 8, 8, 3), "colour"), ((1, 8, 8, 2), ""),
    ((1, 4, 4, 1), "")])  # fmt: skip
def test_inputs_of_one_or_three_channels_are_images(shape, picture):
    x = ac.tensor(np.random.default_rng(0).random(shape))
    y = ac.conv2d(x, ac.tensor(np.ones((3, 3, shape[-1], 2))))
    tape = ac.Tape(ac.sum(y))
    axes = axes_of(tape, geometries(tape))
    assert axes[id(x)].picture == picture and axes[id(y)].picture == ""


# ---- geometry of pictures


GEOMETRIES = [
    ("conv2d", (5, 6), (2, 3), {"padding": ((1, 0), (0, 2)), "stride": (1, 2)}),
    ("conv2d", (2, 7, 8, 4), (3, 2, 2, 6), {"groups": 2, "dilation": 2, "padding": 1}),
    ("conv2d", (2, 4, 7, 8), (6, 2, 3, 2), {"groups": 2, "stride": 2, "layout": "channels_first"}),
    ("conv2d", (6, 6, 3), (2, 2, 3, 2), {"flip": True, "padding": "same"}),
    ("conv1d", (9,), (3,), {"dilation": 2, "padding": "full"}),
    ("conv3d", (1, 4, 5, 4, 2), (2, 3, 2, 2, 3), {"stride": (1, 2, 1)}),
]


@pytest.mark.parametrize(("name", "shape", "kernel", "settings"), GEOMETRIES)
def test_the_geometry_of_a_convolution_gives_its_numbers(name, shape, kernel, settings):
    """Every output is the dot product over the cells and weights that the picture names."""
    rng = np.random.default_rng(0)
    x, w = ac.tensor(rng.integers(-4, 5, shape).astype(float)), ac.tensor(rng.integers(-4, 5, kernel).astype(float))
    y = getattr(ac, name)(x, w, **settings)
    (picture,) = geometries(ac.Tape(y))
    assert picture.input is x and picture.kernel is w and picture.output is y
    flat_x, flat_w, flat_y = x.value.ravel(), w.value.ravel(), y.value.ravel()
    seen = set()
    for n in range(picture.read["n"][0]):
        for g in range(picture.read["g"][0]):
            for o in range(picture.made["o"][0]):
                for at in np.ndindex(*picture.outputs):
                    place = n * picture.made["n"][1] + g * picture.made["g"][1] + o * picture.made["o"][1]
                    place += sum(i * s for i, (_, s) in zip(at, picture.made["space"], strict=True))
                    total = 0.0
                    for c in range(picture.read["c"][0]):
                        for tap in np.ndindex(*picture.window):
                            cell = picture.place(at=at, tap=tap, n=n, g=g, c=c)
                            weight = picture.weight["base"] + sum(
                                i * picture.weight[axis][1] for axis, i in (("g", g), ("o", o), ("c", c))
                            )
                            weight += sum(u * s for u, (_, s) in zip(tap, picture.weight["space"], strict=True))
                            total += 0.0 if cell < 0 else flat_x[cell] * flat_w[weight]
                    assert total == flat_y[place]
                    seen.add(place)
    assert len(seen) == y.size


@pytest.mark.parametrize("settings", [{}, {"padding": 1, "stride": 1}, {"stride": 1, "ceil_mode": True}])
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_the_geometry_of_pooling_gives_its_numbers(name, layout, settings):
    rng = np.random.default_rng(1)
    x = ac.tensor(rng.integers(-4, 5, (2, 5, 6, 3) if layout == "channels_last" else (2, 3, 5, 6)).astype(float))
    y = getattr(ac, name)(x, (2, 3), layout=layout, **settings)
    (picture,) = geometries(ac.Tape(y))
    for n in range(2):
        for c in range(3):
            for at in np.ndindex(*picture.outputs):
                place = n * picture.made["n"][1] + c * picture.made["c"][1]
                place += sum(i * s for i, (_, s) in zip(at, picture.made["space"], strict=True))
                cells = [picture.place(at=at, tap=tap, n=n, c=c) for tap in np.ndindex(*picture.window)]
                values = [0.0 if cell < 0 else x.value.ravel()[cell] for cell in cells]
                if name == "max_pool2d":
                    assert max(values) == y.value.ravel()[place] == values[picture.winners[place]]
                    assert values.index(max(values)) == picture.winners[place]
                else:
                    assert np.isclose(sum(values) / picture.counts[place], y.value.ravel()[place])


# ---- page


def unpacked(path):
    return read_page(path.read_text())


def test_the_page_holds_the_numbers(tmp_path):
    y, named = several()
    stepper = step(y, names=named)
    trace = unpacked(stepper.save(tmp_path / "walk.html", numbers="all"))
    assert len(trace["events"]) == len(stepper)
    for shown, event in zip(trace["events"], stepper, strict=True):
        arrays = {role: trace["arrays"][number] for role, _, number, _ in shown["grids"]}
        for role, expected in (("result", event.value), ("after", event.after), ("contribution", event.contribution)):
            if role in arrays and "data" in arrays[role]:
                assert np.array_equal(arrays[role]["data"], expected)


def test_exact_fractions_walk_and_stay_exact(tmp_path):
    x = ac.tensor(np.array([Fraction(1, 2), Fraction(2, 3)], object), name="x")
    stepper = step(ac.sum(x * x * x))
    assert stepper.at(len(stepper)).gradients[x].tolist() == [Fraction(3, 4), Fraction(4, 3)]
    trace = unpacked(stepper.save(tmp_path / "walk.html"))
    assert ["3/4", "4/3"] in [array.get("list") for array in trace["arrays"]]


@pytest.mark.dear
def test_a_lenet_page_keeps_to_the_budget_and_its_pictures_are_complete(tmp_path):
    rng = np.random.default_rng(0)
    model = ac.models.lenet((28, 28, 1), 10, rng)
    loss = ac.losses.cross_entropy(model(ac.tensor(rng.random((1, 28, 28, 1)), name="image")), np.array([3]))
    stepper = step(loss)
    path = stepper.save(tmp_path / "walk.html")
    assert path.stat().st_size <= SMALL
    trace = unpacked(path)
    for picture in trace["pictures"]:  # rounded to four digits, but every number of every picture is there
        for role in ("input", "kernel", "output"):
            assert role not in picture or "part" not in trace["arrays"][picture[role]["value"]]
    output = geometries(stepper.tape)[0].output
    kept = trace["arrays"][trace["pictures"][0]["output"]["value"]]["data"]
    written = np.array([f"{v:.4g}" for v in output.value.ravel().tolist()])
    assert np.array_equal([f"{v:.4g}" for v in kept.ravel().tolist()], written)


def test_labels_are_inert_and_the_policy_is_strict(tmp_path):
    x = ac.tensor([1.0, np.nan, np.inf], name="</script><b>bold</b><img src=x onerror=alert(1)>")
    text = step(ac.sum(x * 2.0)).save(tmp_path / "walk.html").read_text()
    assert "<b>bold" not in text and "onerror=alert" not in text.replace("\\u003cimg src=x onerror=alert(1)\\u003e", "")
    assert text.count("</script>") == 2 and "default-src 'none'" in text
    assert "unsafe" not in text and "eval(" not in text and "http:" not in text.replace("http://www.w3.org/", "")


def test_the_notebook_bundle():
    stepper = step(learner()[0])
    bundle = stepper._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/svg+xml", "text/latex", "text/plain"}
    assert '<iframe sandbox="allow-scripts"' in bundle["text/html"] and "srcdoc=" in bundle["text/html"]
    assert "<details>" in bundle["text/html"] and "data:image/svg+xml" in bundle["text/html"]
    assert bundle["image/svg+xml"].startswith("<svg") and bundle["text/plain"] == repr(stepper)
    assert 0 < len(chosen(stepper)) <= 24


# ---- training in time


def test_recording_a_loop_by_hand():
    w = ac.tensor([1.0, 2.0], name="w")
    recording = record_training([w], every=2, keep=3)
    for _ in range(12):
        loss = ac.sum(w * w)
        (g,) = ac.sweep(loss, [w])
        recording.record(loss, [g])
        w.assign(w.value - 0.1 * g)
    assert [r.step for r in recording] == [7, 9, 11]
    for record in recording:  # w shrinks by 0.8 each step, by hand
        assert np.allclose(record.weights["w"], np.array([1.0, 2.0]) * 0.8 ** (record.step - 1))
        assert np.allclose(record.gradients["w"], 2 * record.weights["w"])
        assert np.isclose(record.loss, 5 * 0.64 ** (record.step - 1))
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        recording.record(loss, [np.zeros(3)])


def test_recording_fit(tmp_path):
    rng = np.random.default_rng(0)
    model = ac.nn.Sequential(ac.nn.Linear(4, 3, rng=rng))
    optimizer = ac.optim.SGD(model.parameters(), lr=0.1)
    x, y = rng.normal(size=(24, 4)).astype("f4"), rng.integers(0, 3, 24)
    with record_training(model, optimizer) as recording:
        ac.train.fit(model, (x, y), epochs=2, batch_size=8, optimizer=optimizer,
            loss=recording.watch(ac.losses.cross_entropy), progress=False)  # fmt: skip
    assert len(recording) == 6 and "step" not in vars(optimizer) and all(v is not None for v in recording.losses)
    for before, after in zip(recording, list(recording)[1:], strict=False):
        for name, value in before.weights.items():
            assert np.allclose(after.weights[name], value - 0.1 * before.gradients[name], atol=1e-6)
    trace = unpacked(recording.save(tmp_path / "training.html"))
    first = trace["arrays"][trace["events"][0]["grids"][0][2]]["data"]
    assert np.array_equal(first, next(iter(recording[0].weights.values())))
    assert set(recording._repr_mimebundle_()) == {"text/html", "image/svg+xml", "text/latex", "text/plain"}
