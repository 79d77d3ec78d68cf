"""Views of nets too large to write out in scalars: the same texts as from an expansion, and bounds on memory.

The peak memory is that of a process of its own, which takes no more than 1 GB of addresses.
"""

import gc
import subprocess
import sys
import weakref
from textwrap import dedent

import numpy as np
import pytest
from helpers.large_nets import loss_of, resnet18, unet, vgg11
from helpers.walk_pages import read_page

import autoconv as ac
from autoconv import nn
from autoconv.scalar.demand import ScalarGraph
from autoconv.scalar.expand import expansion_size
from autoconv.tutor.claim.compare import Tolerance, ruled_out
from autoconv.views.equations import analysis
from autoconv.views.layers import layer_names, settings
from autoconv.views.stepper.axes import Axes
from autoconv.views.stepper.page import LARGEST, budget, stepper_page


def convolutions():
    r = np.random.default_rng(0)
    x, w, b = [ac.tensor(r.normal(size=s), name=n) for n, s in (("x", (1, 6, 6, 2)), ("w", (3, 3, 2, 3)), ("b", 3))]
    h = ac.relu(ac.conv2d(x, w, b, padding=1))
    p, v = ac.max_pool2d(h, 2), ac.tensor(r.normal(size=(27, 4)), name="v")
    y = ac.reshape(p, (1, -1)) @ v
    things = [w[0, 0, 0, 0], x[0, 0, 0, 0], x[0, 3, 3, 1], b[1], v[3, 2], h[0, 1, 1, 0], p[0, 0, 0, 1], y[0, 1]]
    return ac.losses.cross_entropy(y, np.array([1])), things, {"h": h, "p": p, "y": y}


def normalised():
    rng = np.random.default_rng(1)
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, rng=rng), nn.BatchNorm2d(3), nn.ReLU(), nn.GlobalAvgPool())
    x = ac.tensor(rng.normal(size=(2, 5, 5, 2)), name="x")
    loss = ac.losses.cross_entropy(net(x), np.array([1, 2]))
    kernel, _, gamma, *_ = net.parameters()
    return loss, [kernel[0, 0, 0, 0], kernel[1, 1, 1, 2], gamma[0], x[0, 2, 2, 1]], {}


def transposed():
    r = np.random.default_rng(2)
    x, k = ac.tensor(r.normal(size=(1, 3, 3, 2)), name="x"), ac.tensor(r.normal(size=(3, 3, 2, 2)), name="k")
    y = ac.conv_transpose2d(x, k, stride=2)
    a = ac.avg_pool2d(y, 3, stride=2, padding=1)
    return ac.sum(a**2), [x[0, 1, 1, 1], k[0, 0, 0, 0], y[0, 0, 0, 0], a[0, 1, 1, 1]], {"y": y, "a": a}


def mixed():
    r = np.random.default_rng(3)
    x, k = ac.tensor(r.normal(size=(4, 5)), name="x"), ac.tensor(r.normal(size=(2, 3)), name="k")
    z = ac.concat([ac.reshape(ac.conv2d(x, k, stride=2, padding=1), (-1,)), x[1] * x[1]], axis=0)
    s = ac.softmax(ac.maximum(z, 0.3) + ac.logaddexp(z, ac.flip(z, axis=0)))
    return ac.sum(s * s * np.arange(s.size)) + ac.mean(x) * ac.std(x), [x[0, 0], x[1, 2], k[0, 1], z[3], s[1]], {"z": z}


NETS = [convolutions, normalised, transposed, mixed]


@pytest.mark.dear
@pytest.mark.parametrize("make", NETS)
def test_scalars_on_demand_give_the_same_explanation(make, monkeypatch):
    loss, things, names = make()
    texts = []
    for limit in (10**9, -1):
        monkeypatch.setattr(analysis, "WRITTEN", limit)
        explained = [ac.explain(loss, t, depth=d, names=names) for t in things for d in (1, None)]
        kind = type(explained[0].context.analysis)
        assert kind is (analysis.Analysis if limit > 0 else analysis.Demanded)
        texts.append([(e.text, e.latex, e.html, e.reason) for e in explained])
        del explained  # what is still in use is not analysed again
    assert texts[0] == texts[1]


@pytest.mark.parametrize("make", NETS)
def test_paths_on_demand_are_those_of_the_expansion(make, monkeypatch):
    loss, things, names = make()
    found = []
    for limit in (10**9, -1):
        monkeypatch.setattr(analysis, "WRITTEN", limit)
        found.append([repr(ac.paths(loss, t, names=names, limit=6)) for t in things])
    assert found[0] == found[1]


def test_an_analysis_goes_with_its_explanation(monkeypatch):
    loss, things, names = convolutions()
    gc.disable()
    try:
        for limit in (10**9, -1):
            monkeypatch.setattr(analysis, "WRITTEN", limit)
            explained = ac.explain(loss, things[0], names=names)
            assert explained.text and explained.html and explained.terms[0].opened.terms
            known = weakref.ref(explained.context.analysis)
            del explained
            assert known() is None
    finally:
        gc.enable()


def test_a_term_outlives_its_explanation():
    loss, things, names = convolutions()
    term = ac.explain(loss, things[0], names=names).terms[0]
    assert term.opened is term.opened and term.opened.terms and term.opened.terms[0].output.startswith("h[")


def test_a_pattern_asks_for_no_term_by_itself(monkeypatch):
    """The terms of a sum are found on arrays: what is asked for does not grow with how many there are."""
    asked = []
    monkeypatch.setattr(analysis, "WRITTEN", -1)
    one_by_one = ScalarGraph.read
    monkeypatch.setattr(ScalarGraph, "read", lambda graph, i: asked.append(i) or one_by_one(graph, i))
    counts = []
    for size in (8, 24):
        asked.clear()
        x, w, b = (ac.tensor(np.ones(s), name=n) for n, s in (("x", (1, size, size, 2)), ("w", (3, 3, 2, 3)), ("b", 3)))
        explained = ac.explain(ac.sum(ac.conv2d(x, w, b) ** 2), w[0, 0, 0, 0], depth=1)
        assert f"i=0..{size - 3}" in explained.pattern and len(explained.terms) == (size - 2) ** 2
        assert explained.text
        counts.append(len(asked))
    assert counts[0] == counts[1] < 100


@pytest.mark.dear
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_a_resnet_is_drawn_by_its_blocks_with_their_windows(layout):
    model, shape = resnet18(layout, size=32)
    model.eval()
    loss, *_ = loss_of(model, shape)
    shown = ac.graph(loss, zoom="model")
    titles = [n.title for n in shown.nodes if n.kind == "call"]
    blocks = [f"layer{i}.{k}: BasicBlock" for i in range(1, 5) for k in range(2)]
    assert titles == ["conv1", "bn1", "relu", "maxpool", *blocks, "avgpool", "fc", "cross_entropy"]
    said = {n.title: n.settings for n in shown.nodes}
    assert said["conv1"] == "7×7, stride 2, padding 3" and said["maxpool"] == "3×3, stride 2, padding 1"
    assert sum(n.parameters for n in shown.nodes) == model.num_parameters() == 11_181_642
    whole = [n.title for n in ac.graph(loss, zoom="model", depth=1).nodes if n.kind == "call"]
    assert whole[4:8] == ["layer1", "layer2", "layer3", "layer4"]
    deep = {n.title: n.settings for n in ac.graph(loss, zoom="model", depth=3).nodes}
    assert deep["layer2.0.conv1"] == "3×3, stride 2, padding 1" and deep["layer1.1.conv2"] == "3×3, padding 1"
    named = {n.formula for n in ac.graph(loss, zoom="calls").nodes}
    assert any("layer1.0.conv1.out" in text for text in named) and any("layer1.0.bn2.out" in text for text in named)


def test_depth_is_of_the_model_zoom():
    x = ac.tensor(1.0)
    for more in ({"zoom": "calls", "depth": 1}, {"zoom": "model", "depth": 0}, {"zoom": "model", "depth": True}):
        with pytest.raises(ValueError, match="depth"):
            ac.graph(x * x, **more)


def test_windows_in_words():
    for layout, shape in (("channels_last", (1, 9, 9, 4)), ("channels_first", (1, 4, 9, 9))):
        x, at = ac.tensor(np.ones(shape, np.float32)), {"layout": layout}
        for layer, words in (
            (nn.Conv2d(4, 4, (3, 1), stride=(2, 1), rng=0, **at), "3×1, stride 2×1"),
            (
                nn.Conv2d(4, 8, 3, padding="same", dilation=2, groups=4, rng=0, **at),
                "3×3, dilation 2, padding 2, 4 groups",
            ),
            (nn.Conv2d(4, 8, 2, padding=((0, 1), (0, 1)), rng=0, **at), "2×2, padding 0+1"),
            (nn.AvgPool2d(3, **at), "3×3, stride 3"),
            (nn.ConvTranspose2d(4, 2, 2, stride=2, rng=0, **at), "2×2, stride 2"),
            (nn.ReLU(), ""),
        ):
            assert settings(ac.Tape(layer(x))) == words


def test_names_by_layers():
    class Twice(nn.Layer):
        def __init__(self):
            self.mix = nn.Linear(3, 3, rng=0)

        def forward(self, x):
            return self.mix(ac.tanh(self.mix(x))) + x

    model = nn.Sequential(Twice(), nn.ReLU())
    tape = ac.Tape(ac.sum(model(ac.tensor(np.ones((1, 3)), name="x"))))
    names = layer_names(tape)
    shown = [names.get(id(line)) for line in tape if line.primitive is not None and names.get(id(line))]
    assert [n for n in shown if n.startswith("0.mix.out")] == ["0.mix.out", "0.mix.out_2"]
    assert "0.tanh" in shown and "0.out" in shown and "1.out" in shown and len(set(shown)) == len(shown)


@pytest.mark.dear
def test_a_walk_stops_at_layers_and_gives_parameters_where_they_are_read():
    model, shape = resnet18(size=32)
    walk = ac.step(loss_of(model.eval(), shape)[0])
    first = {}
    for stop in walk.stops:
        first.setdefault((stop.phase, stop.unit.name), stop.first)
    order = ["conv1", "bn1", "layer1.0.conv1", "layer2.0.downsample.0", "layer4.1.conv2", "fc"]
    forward, backward = ([first[phase, name] for name in order] for phase in ("forward", "backward"))
    assert forward == sorted(forward) and backward == sorted(backward, reverse=True) and max(forward) < min(backward)
    at = {e.line.name: e.index for e in walk if e.kind == "input" and e.line.name}
    assert at["x"] < at["conv1.weight"] < first["forward", "bn1"] < at["layer4.1.conv2.weight"] < first["forward", "fc"]
    assert sorted(e.line.serial for e in walk if e.phase == "forward") == sorted(line.serial for line in walk.tape)
    named = {u.title for u in walk.units}
    assert {"conv1: conv2d", "layer1.0.bn1: batch_norm", "layer2.0.add", "fc: linear"} <= named
    skip = next(u for u in walk.units if u.name == "layer1.0.add")
    assert [walk.units[k].name for k in skip.reads] == ["layer1.0.bn2", "maxpool"]
    assert not any(name.startswith("%") for key, name in walk.names.items() if key != -1 and _computed(walk, key))


def _computed(walk, key):
    return any(id(line) == key and line.primitive is not None and not line.constant for line in walk.tape)


PARTS = [  # shape, axes, numbers at most, one picture whole -> what is kept
    ((1, 8, 8, 64), Axes((1, 2), ((3, "channel"),)), 640, 4096, (1, 8, 8, 10)),
    ((4, 8, 8, 64), Axes((1, 2), ((0, "image"), (3, "channel"))), 640, 4096, (1, 8, 8, 10)),
    ((1, 64, 8, 8), Axes((2, 3), ((1, "channel"),)), 1, 4096, (1, 1, 8, 8)),
    ((3, 3, 16, 16), Axes((0, 1), ((2, "in"), (3, "out"))), 9 * 64, 4096, (3, 3, 8, 8)),
    ((3, 32, 32), Axes((1, 2), ((0, "channel"),), "colour"), 5, 4096, (3, 32, 32)),
    ((1, 224, 224, 64), Axes((1, 2), ((3, "channel"),)), 64, 4096, (1, 56, 56, 1)),
    ((512, 10), Axes((0, 1)), 100, 0, (10, 10)),
    ((7,), Axes((0,)), 4, 0, (4,)),
    ((), Axes(()), 1, 0, ()),
    ((2, 0), Axes((0,)), 16, 0, (2, 0)),
]


@pytest.mark.parametrize(("shape", "axes", "most", "picture", "kept"), PARTS)
def test_of_an_array_whole_pictures_are_kept(shape, axes, most, picture, kept):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    part = array[axes.part(shape, most, picture)]
    assert part.shape == kept and (not part.size or part.flat[0] == 0)


@pytest.mark.dear
@pytest.mark.parametrize("net", [resnet18, vgg11, unet])
def test_the_page_of_a_large_net_shows_a_picture_of_what_each_call_gives(net):
    model, shape = net(size=32)
    walk = ac.step(loss_of(model.eval(), shape)[0])
    made = stepper_page(walk)
    assert len(made) <= budget(walk) <= LARGEST
    data = read_page(made)
    for stop in data["stops"]:
        for role, _, number, line in stop["grids"]:
            array = data["arrays"][number]
            if role not in ("operand", "result", "cotangent", "after") or "list" in array or "alike" in array:
                continue
            part, tile = array.get("part", array["shape"]), array["tile"]
            assert all(n > 0 for n in part), (role, data["lines"][line]["name"])
            if len(tile) == 2 and array.get("others"):  # whole pictures, and no number withheld where there are few
                assert [part[k] for k in tile] == [array["shape"][k] for k in tile]
            if np.prod(array["shape"]) <= 64:
                assert part == array["shape"]


def test_an_explanation_is_saved(tmp_path):
    loss, things, names = convolutions()
    explained = ac.explain(loss, things[0], names=names)
    for ending, part in ((".html", "color-scheme:light dark"), (".md", "$$"), (".tex", "aligned"), (".csv", "output,")):
        assert part in explained.save(tmp_path / f"e{ending}").read_text(encoding="utf-8")
    assert explained.save(tmp_path / "e.txt").read_text(encoding="utf-8") == explained.text + "\n"
    with pytest.raises(ValueError, match="must end in"):
        explained.save(tmp_path / "e.png")


def test_a_sample_rules_out_no_multiple():
    r, tolerance = np.random.default_rng(0), Tolerance(1e-5, 1e-12)
    for factor in (1.0, -1.0, 0.5, 1e-6, 1e6):
        b = r.normal(size=1000) * 10.0 ** r.integers(-6, 1, 1000)
        a = factor * b * (1 + 0.9e-6 * r.normal(size=1000).clip(-1, 1))
        assert not ruled_out(a, b, tolerance, float(abs(b).max()))
        assert ruled_out(a[::-1].copy(), b, tolerance, float(abs(b).max()))
    assert not ruled_out(np.ones(4), np.zeros(4), tolerance, 1.0)


@pytest.mark.parametrize("make", NETS)
def test_uses_are_those_of_the_expansion(make):
    loss, *_ = make()
    flat = ac.expand(loss)
    for x in ac.Tape(loss).inputs:
        expected = np.bincount(flat.operands, minlength=len(flat))[flat.scalars(x)]
        assert np.array_equal(ac.uses(x, of=loss).operations, expected)
    assert expansion_size(ac.Tape(loss)) >= len(flat.operands)


def test_uses_of_elements_and_of_channels_first():
    x, w = ac.tensor(np.ones((1, 2, 4, 5)), name="x"), ac.tensor(np.ones((3, 2, 3, 3)), name="w")
    loss = ac.sum(ac.conv2d(x, w, layout="channels_first"))
    assert ac.uses(w[0, 0], of=loss).counts.tolist() == [[6] * 3] * 3  # 2 x 3 positions
    assert ac.uses(w[0, 0, 1, 1], of=loss).counts.item() == 6
    assert repr(ac.uses(x, of=loss)).splitlines()[1:6] == [
        "(the same in all 2 channels)", "1 2 3 2 1", "2 4 6 4 2", "2 4 6 4 2", "1 2 3 2 1",
    ]  # fmt: skip


def test_a_flat_tape_prints_its_head_and_tail():
    x = ac.tensor(np.arange(1000.0), name="x")
    lines = repr(ac.expand(ac.sum(x * x))).splitlines()
    assert lines[0] == "FlatTape of 2,002 scalars, 3,000 operands" and len(lines) == 26
    assert lines[13] == "... 1,978 more scalars ..." and len("".join(lines)) < 2000


SCRIPT = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
import numpy as np, autoconv as ac
from autoconv import nn
rng = np.random.default_rng(0)
block = lambda: [nn.Conv2d(64, 64, 3, padding=1, rng=rng), nn.BatchNorm2d(64), nn.ReLU()]
net = nn.Sequential(*block(), *block())
x = ac.tensor(rng.normal(size=(1, 32, 32, 64)).astype("f4"), name="x")
y = ac.sum(net(x) ** 2)
w = next(iter(net.parameters()))
"""
QUESTIONS = """
e = ac.explain(w[0, 0, 0, 0], of=y, depth=1)
assert len(e.terms) == 961 and "x[0,i-1,j-1,0]" in e.pattern
y.backward()
assert abs(e.total - w.grad[0, 0, 0, 0]) <= 1e-4 * abs(w.grad).max(), (e.total, w.grad[0, 0, 0, 0])
assert ac.uses(w, of=y).counts.max() == 1024 and ac.uses(x, of=y).counts.max() == 9
assert ac.check(w.grad, of=y, wrt=w)
verdict = ac.check(-w.grad, of=y, wrt=w)
assert verdict.kind == "wrong" and "sign" in verdict.mistakes[0].name, verdict
noise = ac.check(rng.normal(size=w.shape), of=y, wrt=w)
assert noise.kind == "unknown" and "too large to search" in noise.summary, noise
try:
    ac.graph(y, zoom="scalars", focus=w[0, 0, 0, 0])
except ValueError as error:
    assert "229,966,720" in str(error), error  # steps between scalars
else:
    raise AssertionError("not refused")
late = next(p for p in net.parameters() if p.name == "4.weight")
ways = ac.paths((late, (0,)), of=y)
assert abs(ways.total - late.grad[0]) <= 1e-3 * abs(late.grad).max()
assert 1024 <= ways.count == ways.open + sum(ways.closed.values())
try:
    ac.paths((x, (0, 16, 16, 0)), of=y)
except ValueError as error:
    assert "4,000,000" in str(error) and "229,966,720" in str(error), error
else:
    raise AssertionError("not refused")
"""


@pytest.mark.dear
def test_two_convolutions_of_64_channels_within_a_gigabyte():
    done = subprocess.run(
        [sys.executable, "-c", dedent(SCRIPT + QUESTIONS)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
