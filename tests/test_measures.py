"""What is measured on a tape, against numbers worked by hand, differences, and formulas of kernel sizes and strides."""

import csv
import io
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn

RNG = np.random.default_rng


# ---- receptive fields


def moved_by(f, x, at, element):
    """Which elements of an input change an element of f's result when they are changed, one by one."""
    base, found = f(x)[element], np.zeros(x.shape, bool)
    for i in np.ndindex(x.shape):
        changed = x.copy()
        changed[i] += at
        found[i] = f(changed)[element] != base
    return found


def attention(x):
    return ac.softmax(x @ ac.swapaxes(x, -1, -2), axis=-1) @ x


KERNEL = RNG(0).normal(size=(3, 2, 2, 4))
FIELDS = {
    "padding, stride": (lambda x: ac.conv2d(x, KERNEL, stride=2, padding=1), (1, 7, 6, 2), (0, 0, 2, 1)),
    "dilation": (lambda x: ac.conv2d(x, KERNEL, dilation=(2, 3)), (2, 7, 6, 2), (1, 1, 2, 3)),
    "groups": (lambda x: ac.conv2d(x, KERNEL[:, :, :1], groups=2), (1, 5, 4, 2), (0, 1, 1, 3)),
    "transposed": (lambda x: ac.conv_transpose2d(x, np.swapaxes(KERNEL, 2, 3), stride=2), (1, 3, 3, 2), (0, 3, 3, 1)),
    "channels first": (
        lambda x: ac.conv1d(x, KERNEL[:, 0].T, layout="channels_first"), (1, 2, 9), (0, 1, 4),
    ),
    "three axes": (lambda x: ac.avg_pool3d(x, 2, stride=1), (1, 3, 4, 3, 1), (0, 1, 2, 1, 0)),
    "two branches": (lambda x: ac.avg_pool1d(x, 3, stride=1, padding=1) + ac.flip(x, axis=1), (1, 8, 1), (0, 6, 0)),
    "attention": (attention, (2, 3, 4), (1, 2, 0)),
    "joined": (lambda x: ac.concat([x[:, :2] ** 2, ac.cumsum(x, axis=1)], axis=1), (2, 4), (1, 4)),
    "a sort": (lambda x: ac.sort(x, axis=1), (2, 4), (1, 2)),
    "a matrix": (lambda x: ac.sum(x, axis=0) * 2.0, (3, 4), (2,)),
}  # fmt: skip


@pytest.mark.parametrize("case", FIELDS)
def test_what_an_element_reads_is_what_changes_it(case):
    f, shape, element = FIELDS[case]
    values = RNG(1).normal(size=shape)
    x = ac.tensor(values, name="x")
    found = ac.receptive_field(f(x)[element], of=x)
    changed = moved_by(f, values, 10.0, element) | moved_by(f, values, -10.0, element)
    if case == "a sort":  # which of them it is depends on the numbers
        assert found.mask[changed].all() and found.bounds[1] == (0, 3)
    else:
        assert np.array_equal(found.mask, changed)
    assert np.array_equal(np.asarray(found), found.mask) and found.count == found.mask.sum()
    (by_sweep,) = ac.sweep(f(x)[element], [x], np.ones(()))
    x2 = ac.tensor(values, name="x")
    y = f(x2)[element]
    y.backward()
    assert np.allclose(found.gradient, x2.grad) and np.allclose(by_sweep, x2.grad)
    ET.fromstring(found.svg)


def test_a_chain_of_windows_has_the_size_of_the_formula():
    # r = 1 + sum over layers of dilation (k - 1) times the strides before (Dumoulin and Visin, 2016)
    layers = [(5, 1, 1), (2, 2, 1), (3, 1, 2), (3, 2, 1), (2, 1, 1)]
    x = h = ac.tensor(RNG(0).normal(size=(1, 40, 1)), name="x")
    size, jump = 1, 1
    for kernel, stride, dilation in layers:
        h = ac.conv1d(h, np.ones((kernel, 1, 1)), stride=stride, dilation=dilation)
        size, jump = size + dilation * (kernel - 1) * jump, jump * stride
    for i in (0, h.shape[1] - 1):
        found = ac.receptive_field(h[0, i, 0], of=x)
        assert found.size == (1, size, 1) and found.bounds[1][0] == i * jump


def test_relu_and_max_pooling_do_not_hide_what_is_read():
    x = ac.tensor(-np.ones((1, 6, 6, 1)), name="x")
    h = ac.max_pool2d(ac.relu(x), 3)
    found = ac.receptive_field(h[0, 1, 0, 0], of=x)
    assert found.bounds == ((0, 0), (3, 5), (0, 2), (0, 0)) and found.count == 9 and not found.gradient.any()
    assert ac.receptive_field(h, of=x).count == 36
    assert ac.receptive_field((h, (0, 1, 0, 0))).count == 9


def test_an_element_is_called_as_it_was_asked_for():
    """h is what the convolution gave, not the line inside of it that its reshape reads."""
    x, w = ac.tensor(np.zeros((3, 3)), name="x"), ac.tensor(np.ones((2, 2)), name="w")
    h = ac.conv2d(x, w)
    asked = {"h[0,1]": h[0, 1], "2 elements of h": h[0], "h": h}
    for name, y in asked.items():
        assert ac.receptive_field(y, of=x, names={"h": h}).text.startswith(f"{name} reads ")


def test_of_a_model_by_its_layers_and_from_plain_arrays():
    model = nn.Sequential(one=nn.Conv2d(1, 2, 3, rng=0), relu=nn.ReLU(), two=nn.Conv2d(2, 1, 3, stride=2, rng=1))
    image = RNG(0).random((1, 9, 9, 1)).astype("f4")
    y = model(image)
    found = ac.receptive_field(y[0, 1, 0, 0], of=image)
    assert found.size == (1, 5, 5, 1) and found.bounds[1:3] == ((2, 6), (0, 4)) and found.gradient is None
    assert [r["line"] for r in found.records][:2] == ["two.out", "relu.out"]
    assert [r["reads"] for r in found.records][1] == (1, 3, 3, 2)
    assert "reads 25 of 81 elements" in found.text
    one, two = ac.tensor(image, name="a"), ac.tensor(image, name="b")
    both = ac.sum(model(one) * model(two))
    with pytest.raises(ValueError, match="there are 2 inputs that are no parameters"):
        ac.receptive_field(both)
    assert ac.receptive_field(both, of=two).count == 81


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: ac.receptive_field(3.0, of=x), TypeError, r"as in y\[0, 3, 3, 1\]; found float"),
        (lambda x: ac.receptive_field(x * 2, of=ac.tensor(1.0)), ValueError, "was not computed from"),
        (lambda x: ac.receptive_field(x * 2, of="x"), TypeError, "found str"),
        (lambda x: ac.receptive_field(x * 2).save("field.gif"), ValueError, "must end in"),
        (lambda x: ac.gradient_flow(x * 2), ValueError, "not a scalar"),
        (lambda x: ac.gradient_flow(ac.sum(ac.stop_gradient(x))), TypeError, "depends on no floating-point tensor"),
        (lambda x: ac.gradient_flow(ac.sum(x))["relu"], KeyError, "no step is called 'relu'"),
        (lambda x: ac.memory(x * 2), ValueError, "not a scalar"),
        (lambda x: ac.memory(x.value), TypeError, "memory: expected a Tensor, found ndarray"),
        (lambda x: ac.gradient_flow([x]), TypeError, "gradient_flow: expected a Tensor, found list"),
    ],
)
def test_errors_say_what_to_do(call, error, words):
    with pytest.raises(error, match=words):
        call(ac.tensor([1.0, 2.0], name="x"))


# ---- gradient flow


def test_norms_by_hand():
    x, w = ac.tensor([[3.0, 4.0]], name="x"), nn.Parameter([[2.0], [1.0]])
    h = x @ w  # 10
    loss = ac.sum(h * h)
    flow = ac.gradient_flow(loss, names={"h": h, "loss": loss})
    assert [s.name for s in flow.steps] == ["h", "mul", "loss"]
    step = flow["h"]
    assert (step.value, step.gradient, step.shape) == (10.0, 20.0, (1, 1))
    assert step.weight == pytest.approx(math.sqrt((4 + 1) / 2))
    assert step.weight_gradient == pytest.approx(math.sqrt((60.0**2 + 80.0**2) / 2))
    assert x.grad is None and w.grad is None  # nothing is written


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("groups", [1, 2])
def test_dead_channels_are_found_in_either_layout(layout, groups):
    at = {"layout": layout}
    net = nn.Sequential(
        conv=nn.Conv2d(2, 6, 3, groups=groups, rng=0, **at), norm=nn.BatchNorm2d(6, **at), relu=nn.ReLU(),
        pool=nn.MaxPool2d(2, **at), flat=nn.Flatten(), hidden=nn.Linear(24, 5, rng=1), act=nn.LeakyReLU(),
        wide=nn.Linear(5, 4, rng=2), clip=nn.ReLU(), out=nn.Linear(4, 3, rng=3),
    )  # fmt: skip
    shift = np.zeros(6, "f4")
    shift[[1, 4]] = -50
    net.norm.bias = shift
    net.wide.bias = np.array([0, 0, -99, 0], "f4")
    shape = (8, 6, 6, 2) if layout == "channels_last" else (8, 2, 6, 6)
    y = net(ac.tensor(RNG(0).normal(size=shape).astype("f4"), name="x"))
    flow = ac.gradient_flow(ac.losses.cross_entropy(y, np.arange(8) % 3))
    relu, act, clip = flow["relu.out"], flow["act.out"], flow["clip.out"]
    assert (relu.dead, relu.units, relu.seen) == ((1, 4), 6, 8 * 4 * 4)
    assert (clip.dead, clip.units, clip.seen) == ((2,), 4, 8)
    assert act.dead == () and act.blocked == 0 and act.units == 5
    assert relu.blocked == pytest.approx(np.mean(relu_slopes(net, shape)), abs=1e-9)
    assert math.isnan(flow["pool.out"].blocked) and flow["conv.out"].weight > 0
    assert any(note.startswith("relu.out: 2 of 6 units are dead (1, 4)") for note in flow.notes)


def relu_slopes(net, shape):
    h = net.norm(net.conv(ac.tensor(RNG(0).normal(size=shape).astype("f4"))))
    return np.asarray(h.value) <= 0


def test_flat_sigmoids_vanishing_and_broken_gradients_are_told():
    x = ac.tensor(np.linspace(20, 30, 12).reshape(3, 4), name="x")
    flow = ac.gradient_flow(ac.sum(ac.sigmoid(x) + ac.tanh(x * 1.0)))
    assert flow["sigmoid"].flat == 1.0 and flow["tanh"].units == 4
    assert any("is flat" in note for note in flow.notes)
    first, second = nn.Parameter(np.full((2, 2), 1e-3)), nn.Parameter(np.full((2, 1), 1e-3))
    small = ac.sum(ac.tanh(ac.tensor([[1e-3, 1e-3]]) @ first) @ second * 1e-3) + ac.sum(second) * 5.0
    assert any("times smaller" in note for note in ac.gradient_flow(small).notes)
    zero = ac.tensor([0.0], name="zero")
    assert any("not finite" in note for note in ac.gradient_flow(ac.sum(ac.sqrt(zero * 1.0))).notes)


def test_a_shared_layer_has_a_step_for_each_use():
    layer = nn.Sequential(mix=nn.Linear(3, 3, rng=0), act=nn.ReLU())
    h = layer(layer(ac.tensor(RNG(0).normal(size=(4, 3)), name="x")))
    names = [s.name for s in ac.gradient_flow(ac.sum(h)).steps]
    assert names == ["mix.out", "act.out", "mix.out_2", "act.out_2", "sum"]


# ---- memory


def test_memory_by_hand():
    """x (4, 8) @ w (8, 2) = h, e = exp(h), p = e * e, y = sum p: in float64 64 bytes each, y 8."""
    x, w = ac.tensor(np.ones((4, 8)), name="x"), ac.tensor(np.ones((8, 2)), name="w")
    e = ac.exp(x @ w)
    found = ac.memory(ac.sum(e * e), names={"e": e})
    assert (found.inputs, found.eager, found.forward_steps) == ((32 + 16) * 8, 3 * 64 + 8, 4)
    # h goes when e is there, and p when y is; e is read by the rules of mul and of exp
    assert found.live[:4] == (64, 128, 128, 136)
    (kept,) = found.kept
    assert (kept.name, kept.bytes, kept.born, kept.again[-1]) == ("e", 64, 1, "e")
    assert len(kept.again) == 2 and kept.operations == 8 + (2 * 8 - 1) * 8  # exp, and the product again
    assert found.peak == max(found.live) and found.live[found.peak_step] == found.peak
    assert found.live[-1] >= (32 + 16) * 8  # the gradients stay


@pytest.mark.parametrize(
    ("f", "kept"),
    [
        (lambda x: ac.sum(x + 1.0), []),  # linear: its rule reads nothing
        (lambda x: ac.sum(ac.tanh(x * 2.0)), ["tanh"]),
        (lambda x: ac.sum((x * 2.0) ** 2), ["mul"]),
        (lambda x: ac.sum(ac.reshape(ac.exp(x), (-1,)) * 3.0), ["exp"]),
    ],
)
def test_what_a_rule_reads_is_kept(f, kept):
    found = ac.memory(f(ac.tensor(RNG(0).normal(size=(3, 5)), name="x")))
    assert [k.name.split(" ")[0] for k in found.kept] == kept


def test_views_take_no_memory_and_arrays_live_from_birth_to_last_reader():
    x = ac.tensor(RNG(0).normal(size=(6, 10)), name="x")
    h = ac.sin(x)
    moved = ac.swapaxes(ac.reshape(h, (10, 6)), 0, 1)
    found = ac.memory(ac.sum(moved * moved))
    assert found.eager == 2 * 480 + 8
    assert all(0 <= k.born < found.forward_steps <= k.freed < len(found.live) for k in found.kept)
    made = sum(k.bytes for k in found.kept)
    assert found.held == made <= found.live[found.forward_steps - 1]


def test_a_net_is_told_drawn_and_saved(tmp_path):
    model = ac.models.cnn((8, 8, 1), 10, RNG(0))
    x = ac.tensor(RNG(1).random((4, 8, 8, 1)).astype("f4"), name="<img src=x onerror=alert(1)>")
    loss = ac.losses.cross_entropy(model(x), np.array([1, 2, 3, 4]))
    found = [ac.memory(loss), ac.gradient_flow(loss), ac.receptive_field(model[0](x)[0, 3, 3, 5], of=x)]
    memory = found[0]
    assert {"conv1.out", "relu1.out"} <= {k.name for k in memory.kept}
    best = memory.recompute
    assert best and best[0].at_peak and all(s.forward > 0 for s in memory.time)
    assert sum(s.operations for s in memory.time) > 2 * 4 * 8 * 8 * 9 * 16
    for one in found:
        ET.fromstring(one.svg)
        assert repr(one) == one.text and set(one._repr_mimebundle_()) >= {"text/html", "text/plain", "image/svg+xml"}
        page = one.save(tmp_path / "one.html").read_text(encoding="utf-8")
        assert "<img" not in page and "default-src 'none'" in page
        rows = list(csv.DictReader(io.StringIO(one.save(tmp_path / "one.csv").read_text(encoding="utf-8"))))
        assert len(rows) == len(one.records) > 0
        assert one.save(tmp_path / "one.txt").read_text(encoding="utf-8") == one.text + "\n"
        assert one.save(tmp_path / "one.svg").read_text(encoding="utf-8") == str(one.svg)
