"""A corpus of small programs: their plans have NumPy's numbers, and what a plan is made of is stated beside each.

Quick, and of all parts of the planner: what a plan has too much of (a line left to NumPy, a kernel, a copy) is seen
here, where every number would still be right.
"""

import numpy as np
import pytest
from helpers.moves import MOVES, ORDERS
from helpers.plans import LANES, agree, made_of, numbers, of_numpy, plan, recorded
from helpers.random_nets import native, swept

import autoconv as ac
from autoconv import nn
from autoconv.plan.lower import known_zeros, lower
from autoconv.plan.lower.lowering import Lowering
from autoconv.plan.run import native_run
from autoconv.primitives import TABLE
from autoconv.program.numpy_run import NumpyRun
from autoconv.program.program import Program
from autoconv.program.rewrite import simplify

# ---- movement: names in another order, wherever the examples stand


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("at", ORDERS)
@pytest.mark.parametrize("name", MOVES)
def test_what_moves_each_example_alone_is_planned_wholly(name, at, lanes):
    """With examples along axis ``at``: one kernel, no copy, and nothing for NumPy unless the examples mix."""
    move, mixed = MOVES[name]

    def f(x):
        z = move(ac.permute_dims(ac.tanh(x), ORDERS[at]))
        return ac.sum(ac.tanh(z) * np.arange(1.0, np.prod(z.shape) + 1).reshape(z.shape))

    made = plan(f, [numbers(5, 4, 3, 2)], lanes)
    if at not in mixed:
        assert of_numpy(made) == [] and len(made.kernels) == 1
        assert set(made_of(made)) <= {"Gather", "Map", "Fill"}


@native
@pytest.mark.parametrize("name", [name for name in MOVES if name != "take of the first"])
def test_one_example(name):
    """Other axes may have as many numbers as there are examples: one."""
    for lanes in LANES:
        plan(lambda x: ac.sum(ac.tanh(MOVES[name][0](ac.tanh(x)))), [numbers(1, 4, 3, 2)], lanes)
        plan(lambda x: ac.sum(ac.tanh(MOVES[name][0](x) * 1.5)), [numbers(1, 4, 3, 2)], lanes)


# ---- stages: what is added up over the examples is there when the next kernel begins


def unrolled(loss, w, x):
    """The loss after a step along the gradient: what is added up over the examples meets the examples again."""
    (slope,) = ac.sweep(loss(x, w), [w], ac.tensor(1.0))  # a Tensor for a seed: the sweep is recorded
    return loss(x, w - 0.1 * slope)


def dense(x, w):
    return ac.sum(ac.tanh(x @ w) ** 2)


STAGES = {  # loss(x, w), their shapes, what adds up over the examples with examples in the lanes, with channels
    "dense": (dense, (5, 4), (4, 3), "Outer", "Dot"),
    "dense, one place": (dense, (5, 9, 4), (4, 3), "Dot", "Dot"),
    "turned": (lambda x, w: ac.sum(ac.tanh(ac.einsum("ni,ji->nj", x, w)) ** 2), (5, 4), (3, 4), "Outer", "Dot"),
    "convolution": (lambda x, w: ac.sum(ac.tanh(ac.conv2d(x, w)) ** 2), (3, 5, 5, 2), (3, 3, 2, 3), "Dot", "Dot"),
    "depthwise": (
        lambda x, w: ac.sum(ac.tanh(ac.conv2d(x, w, groups=4)) ** 2), (3, 5, 5, 4), (3, 3, 1, 4),
        "ChannelwiseDot", "ChannelwiseDot"),
    "groups": (
        lambda x, w: ac.sum(ac.tanh(ac.einsum("ngi,gij->ngj", x, w)) ** 2), (5, 2, 3), (2, 3, 4), "Dot", "Dot"),
    "elementwise": (lambda x, w: ac.sum(ac.tanh(x * w) ** 2), (5, 4, 3), (3,), "", ""),
}  # fmt: skip


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", STAGES)
def test_sums_over_examples_are_there_for_the_next_stage(name, lanes):
    loss, of_x, of_w, *kinds = STAGES[name]
    w = ac.tensor(numbers(*of_w, seed=1))
    made = plan(lambda x: unrolled(loss, w, x), [numbers(*of_x)], lanes, [w])
    kind = kinds[lanes == "channels"]
    assert len(made.kernels) > 1 and (not kind or made_of(made)[kind] >= 2)


# ---- layers: what forward and sweep become together, in both layouts

FLOAT = {"dtype": np.float64}


def conv(c_in, c_out, window, of=nn.Conv2d, **settings):
    return [nn.Tanh(), of(c_in, c_out, window, rng=1, **settings, **FLOAT)]


FIRST = {"layout": "channels_first"}
# name: layers, shape of an example, instructions of the plan of f = sum(layers(x)**2) and its gradients (forward one
# product; back one over the examples, and for x one for each way in which the taps of the kernel reach a place: with a
# window of 3 and padding at the first, a middle and the last place of each axis), and how many cells they need at most
LAYERS = {
    "dense": (
        lambda: [nn.Linear(6, 4, rng=1, **FLOAT), nn.ReLU(), nn.Linear(4, 3, rng=2, **FLOAT)], (6,),
        {"Gemm": 4, "Map": 6, "Outer": 2}, (52, 117)),
    "conv": (lambda: conv(3, 8, 3, padding=1), (5, 5, 3),
        {"Map": 9, "copy": 1, "Gemm": 10, "Outer": 1}, (2273, 2909)),
    "conv and relu": (lambda: [nn.Conv2d(3, 8, 3, padding=1, rng=1, **FLOAT), nn.ReLU()], (5, 5, 3),
        {"Gemm": 10, "Map": 6, "copy": 1, "Outer": 1}, (2173, 2684)),
    "without padding": (lambda: conv(3, 4, 3), (7, 7, 3), {"Map": 9, "Gemm": 26, "Dot": 1}, (1686, 2797)),
    "strided": (lambda: conv(3, 4, 3, stride=2, padding=1), (6, 6, 3),
        {"Map": 9, "copy": 1, "Gemm": 10, "Dot": 1}, (1248, 2273)),
    "stride beyond the window": (lambda: conv(3, 4, 2, stride=3), (7, 7, 3),
        {"Map": 9, "Gemm": 5, "Outer": 1}, (1038, 1376)),
    "dilated": (lambda: conv(2, 4, 3, dilation=2, padding=2), (6, 6, 2),
        {"Map": 9, "copy": 1, "Gemm": 10, "Dot": 1}, (1972, 4217)),
    "groups": (lambda: conv(4, 6, 3, groups=2), (5, 5, 4), {"Map": 9, "Gemm": 52, "Dot": 2}, (1053, 1442)),
    "depthwise": (lambda: conv(6, 6, 3, groups=6, padding=1), (5, 5, 6),
        {"Map": 9, "copy": 1, "Channelwise": 26, "ChannelwiseDot": 1}, (2564, 3109)),
    "channels first": (lambda: conv(3, 8, 3, padding=1, **FIRST), (3, 5, 5),
        {"Map": 9, "copy": 1, "Gemm": 10, "Outer": 1}, (2273, 2685)),
    "transposed": (lambda: conv(3, 2, 3, nn.ConvTranspose2d, stride=2), (4, 4, 3),
        {"Map": 10, "Gemm": 17, "Dot": 1}, (1770, 5335)),
    "one dimension": (lambda: conv(3, 4, 3, nn.Conv1d), (7, 3), {"Map": 9, "Gemm": 6, "Outer": 1}, (290, 501)),
    "three dimensions": (lambda: conv(1, 2, 2, nn.Conv3d), (3, 3, 3, 1), {"Map": 9, "Gemm": 28, "Dot": 1}, (306, 837)),
    "one place": (lambda: conv(2, 3, 4), (4, 4, 2), {"Map": 9, "Gemm": 17, "Outer": 1}, (236, 463)),
    "mean": (lambda: [nn.Tanh(), nn.AvgPool2d(2)], (4, 4, 3), {"Map": 11, "Gather": 1}, (397, 553)),
    "overlapping means": (lambda: [nn.Tanh(), nn.AvgPool2d(3, stride=2, padding=1)], (5, 5, 2),
        {"Map": 11, "Gather": 2}, (584, 1437)),
    "max": (lambda: [nn.Tanh(), nn.MaxPool2d(2)], (4, 4, 3), {"Map": 15}, (474, 817)),
    "overlapping max": (lambda: [nn.Tanh(), nn.MaxPool2d(3, stride=2, padding=1)], (5, 5, 2),
        {"Map": 21, "Gather": 3}, (1120, 3421)),
    "layer norm": (lambda: [nn.Tanh(), nn.LayerNorm(3, **FLOAT)], (4, 4, 3), {"Map": 42, "Gather": 5}, (1995, 2167)),
}  # fmt: skip


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_in_one_kernel(name, lanes, monkeypatch):
    """Products with padding are made here; that they are left out is in test_plan_zeros.py."""
    monkeypatch.setattr(known_zeros, "_LEAST", 2.0)
    layers, shape, kinds, cells = LAYERS[name]
    model = nn.Sequential(*layers())
    for examples in (1, 3):
        made = plan(lambda x: ac.sum(model(x) ** 2 * 0.5), [numbers(examples, *shape)], lanes, list(model.parameters()))
        (kernel,) = made.kernels
        assert set(of_numpy(made)) <= {"reshape"}, "of a gradient that is there already"
        if lanes == "channels":  # numbers times vectors, whatever is summed for each example
            kinds = {("Dot" if kind == "Outer" else kind): n for kind, n in kinds.items()}
        found = made_of(made)
        found.pop("Fill", None)  # whether a row fills a vector depends on the processor
        assert found == kinds and kernel.end <= cells[lanes == "channels"]


@native
@pytest.mark.parametrize("lanes", LANES)
def test_groups_whose_channels_stand_apart_are_done_one_by_one(lanes):
    """Channels first those of the examples stand side by side only when the examples are the lanes."""
    model = nn.Sequential(*conv(6, 6, 3, groups=6, **FIRST))
    made = plan(lambda x: ac.sum(model(x) ** 2), [numbers(3, 6, 5, 5)], lanes, list(model.parameters()))
    forward = {"Channelwise": 1, "ChannelwiseDot": 1} if lanes == "examples" else {"Gemm": 6, "Dot": 6}
    kinds = made_of(made)
    kinds["Channelwise"] -= 25  # what reaches each of 25 places is made here, and side by side
    assert {k: n for k, n in kinds.items() if n and k != "Map"} == forward


# ---- products whose readers or operands are not the usual ones

W, B = numbers(4, 3, seed=4), numbers(3, seed=5)
CHANNELS = np.array([2, 0, 3, 1])
OF_EACH = ac.tensor(numbers(5, 1, seed=9))
PRODUCTS = {  # of x (n, 4) and weights w (4, 3), a bias b (3,)
    "two biases": lambda x, w, b: (x @ w + b) + b * b,
    "a bias behind a relu": lambda x, w, b: ac.relu(x @ w) + b,
    "a relu behind a relu": lambda x, w, b: ac.relu(ac.relu(x @ w + b)),
    "a bias, and read twice": lambda x, w, b: (lambda y: (y + b) * y)(x @ w),
    "a relu, and read twice": lambda x, w, b: (lambda y: ac.relu(y) + y)(x @ w),
    "twice the same": lambda x, w, b: (lambda y: y + y)(x @ w),
    "a sum of two": lambda x, w, b: x @ w + x @ (w * w),
    "another bound": lambda x, w, b: ac.maximum(x @ w, 0.5),
    "bounds of channels": lambda x, w, b: ac.maximum(x @ w, np.array([0.0, 0.1, 0.0])),
    "a bias of the example": lambda x, w, b: x @ w + ac.sum(x, axis=1, keepdims=True),
    "a bias that is a number": lambda x, w, b: x @ w + 2.0,
    "a bias that is computed": lambda x, w, b: x @ w + ac.tanh(b),
    "a bias that is shaped": lambda x, w, b: x @ w + ac.reshape(b, (1, 3)),
    "a bias of the batch": lambda x, w, b: x @ w + ac.mean(x, axis=0)[:3],
    "a bias that is a sum": lambda x, w, b: x @ w + ac.sum(ac.tanh(x[:, :3]), axis=0),
    "shaped, and read": lambda x, w, b: (lambda y: ac.reshape(y, (-1, 1, 3)) + ac.reshape(y * y, (-1, 1, 3)))(x @ w),
    "a bias of each example": lambda x, w, b: x @ w + OF_EACH[: x.shape[0]],
    "a bias of positions": lambda x, w, b: ac.reshape(ac.reshape(x, (-1, 2, 2)) @ w[:2] + w[:2], (x.shape[0], -1)),
    "channels taken": lambda x, w, b: ac.take(ac.tanh(x), CHANNELS, axis=1) @ w,
    "channels taken twice": lambda x, w, b: ac.take(ac.tanh(x), np.array([1, 1, 3, 0]), axis=1) @ w,
    "joined": lambda x, w, b: ac.concat([ac.tanh(x)[:, :2], x[:, :2] * 2], axis=1) @ w,
    "joined in a row": lambda x, w, b: ac.concat([ac.tanh(x[:, :2]), x[:, 2:] * 2], axis=1) @ w,
    "padded": lambda x, w, b: ac.pad(ac.tanh(x)[:, 1:], ((0, 0), (0, 1))) @ w,
    "repeated": lambda x, w, b: ac.broadcast_to(ac.tanh(x)[:, :1], x.shape) @ w,
    "backwards": lambda x, w, b: ac.flip(ac.tanh(x), 1) @ ac.flip(w, 0),
    "joined on both sides": lambda x, w, b: ac.tanh(ac.concat([x, x * x], axis=1) @ ac.concat([w, w * 2], axis=0)),
    "weights of the plan": lambda x, w, b: x @ (w * ac.exp(w)),
    "three positions": lambda x, w, b: ac.stack([x, x * x, -x], axis=1) @ w + b,
    "positions behind": lambda x, w, b: ac.einsum("nij,jk->nki", ac.reshape(ac.tanh(x), (-1, 2, 2)), w[:2]),
    "an outer product": lambda x, w, b: ac.einsum("ni,jk->nijk", ac.tanh(x), w),
    "of each example": lambda x, w, b: ac.einsum("nij,nkj->nik", ac.reshape(x, (-1, 2, 2)), ac.reshape(-x, (-1, 2, 2))),
    "of each example, turned": lambda x, w, b: ac.einsum(
        "nij,njk->nki", ac.reshape(ac.tanh(x), (-1, 2, 2)), ac.reshape(ac.take(x, CHANNELS, axis=1), (-1, 2, 2))),
    "of each example in groups": lambda x, w, b: ac.einsum(
        "ngi,ngj->ngij", ac.reshape(ac.tanh(x), (-1, 2, 2)), ac.reshape(x, (-1, 2, 2))),
    "with itself": lambda x, w, b: (lambda y: ac.einsum("ni,nj->nij", y, y))(ac.tanh(x)),
    "channel by channel": lambda x, w, b: ac.einsum("nc,c->nc", ac.take(ac.tanh(x), CHANNELS, axis=1), w[:, 0]),
    "channels and taps": lambda x, w, b: ac.einsum(
        "nck,ck->nc", ac.reshape(ac.take(ac.stack([x, x * x], axis=2), CHANNELS, axis=1), (-1, 4, 2)), w[:, :2]),
    "channels taken, with taps": lambda x, w, b: ac.einsum(
        "nck,ck->nc", ac.take(ac.reshape(ac.tanh(ac.concat([x, x * x], axis=1)), (-1, 4, 2)), CHANNELS, axis=1),
        w[:, :2]),
    "channels, joined": lambda x, w, b: ac.einsum(
        "nck,ck->nc", ac.stack([ac.tanh(x), ac.concat([x[:, 2:], x[:, :2]], axis=1)], axis=2), w[:, :2]),
    "channels and places": lambda x, w, b: ac.einsum(
        "npc,c->npc", ac.take(ac.stack([x, x * x, x], axis=1), CHANNELS, axis=2), w[:, 0]),
    "channels, half padded": lambda x, w, b: ac.einsum(
        "nc,c->nc", ac.pad(ac.tanh(x)[:, 2:], ((0, 0), (2, 0))), w[:, 0]),
    "channels, padded": lambda x, w, b: ac.einsum("nc,c->nc", ac.pad(ac.tanh(x)[:, 1:], ((0, 0), (1, 0))), w[:, 0]),
}  # fmt: skip


# registers that do not stand evenly, or have the zero register among them, are copied, for the value and the gradient
COPIES = {
    "joined in a row": 2, "channels, half padded": 2,
    "joined": 2, "padded": 2, "joined on both sides": 2, "three positions": 2, "channels and taps": 2,
    "channels, joined": 2, "channels and places": 2, "channels, padded": 2, "of each example": 1,
    "of each example, turned": 1, "of each example in groups": 1, "with itself": 1,
}  # fmt: skip


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name, lanes):
    """Each once by itself, and once as a result beside what is made of it."""
    if name.startswith(("of each", "with itself")) and lanes == "examples":
        pytest.skip("a product of two operands of each example is NumPy's there")
    product = PRODUCTS[name]
    w, b = ac.tensor(W), ac.tensor(B)
    for examples in (1, 5):
        x = numbers(examples, 4, seed=6)
        made = plan(lambda x: ac.sum(ac.tanh(product(x, w, b)) ** 2), [x], lanes, [w, b])
        left = [i for i in made.by_numpy if examples in made.program.lines[i].shape]
        expected = ["broadcast_to", "index"] if name == "a bias of each example" else []
        assert examples == 1 or [made.program.lines[i].primitive.name for i in left][::-1] == expected, (
            "but for weights"
        )
        kinds = made_of(made)
        assert kinds.get("copy", 0) == COPIES.get(name, 0)
        if examples > 1 and name in ("a bias that is computed", "a bias that is shaped"):
            assert kinds["Map"] == 8, "the sums start from the bias"
        if name.endswith("padded") and name.startswith("channels"):
            assert "Gemm" not in kinds
        program = simplify(recorded(lambda x: product(x, w, b), [x], [w]))
        with pytest.MonkeyPatch.context() as at:
            at.setenv("AUTOCONV_LANES", lanes)
            planned = native_run.plan(program, [x])
        for got, wanted in zip(planned.run([x]), NumpyRun(program).run([x]), strict=True):
            agree(got, wanted)


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", ["taken", "joined", "padded", "flipped"])
def test_channels_that_do_not_see_each_other_in_any_order(name, lanes):
    """A depthwise convolution of channels whose registers are not numbered in a row."""
    orders = {
        "taken": lambda y: ac.take(y, CHANNELS, axis=3),
        "joined": lambda y: ac.concat([y[..., 2:], ac.tanh(y[..., :2])], axis=3),
        "padded": lambda y: ac.pad(y[..., 1:], ((0, 0), (0, 0), (0, 0), (0, 1))),
        "flipped": lambda y: ac.flip(y, (1, 3)),
    }
    w = ac.tensor(numbers(2, 2, 1, 4, seed=7))
    f = lambda x: ac.sum(ac.tanh(ac.conv2d(orders[name](ac.tanh(x)), w, groups=4)) ** 2)
    made = plan(f, [numbers(3, 4, 4, 4)], lanes, [w])
    assert len(made.kernels) == 1 and set(of_numpy(made)) <= {"reshape"}


@native
@pytest.mark.parametrize("rows", [(), (2,), (2, 1), (2, 3)])
def test_what_stands_for_a_row_is_spread_over_a_vector(rows):
    """The sum and the maximum of a row, and what the sweep makes of them, meet whole vectors."""
    kinds = made_of(plan(lambda x: ac.sum(ac.softmax(x, axis=-1) ** 2), [numbers(3, *rows, 64)], "channels"))
    assert kinds["Fill"] >= 2


KINKS = {
    "relu": ac.relu,
    "leaky relu": ac.leaky_relu,
    "maximum": lambda x: ac.maximum(x, 1.0),
    "maximum, ties to the first": lambda x: ac.maximum(x, 1.0, ties="first"),
    "minimum": lambda x: ac.minimum(x, 1.0),
    "minimum, ties to the first": lambda x: ac.minimum(x, 1.0, ties="first"),
    "of two": lambda x: ac.maximum(x, x[:, ::-1]),
    "abs": ac.abs,
    "clip": lambda x: ac.clip(x, -1.0, 1.0),
    "max": lambda x: ac.max(x, axis=1),
    "min": lambda x: ac.min(ac.reshape(x, (-1, 2, 4)), axis=2),
    "max pool": lambda x: ac.max_pool1d(x[..., None], 3, stride=2, padding=1),
}


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", KINKS)
def test_kinks_are_where_they_are_and_what_is_no_number_stays_so(name, lanes, monkeypatch):
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    x = np.array([[0.0, -0.0, 1.0, 1.0, -1.0, 2.0, -3.0, 0.5], [np.nan, 1.0, np.inf, -np.inf, 0.0, np.nan, -2.0, 1.0]])
    with np.errstate(all="ignore"):
        program = recorded(lambda x: KINKS[name](x) * 2.0, [x])
        planned = native_run.plan(simplify(program), [x])
        for got, wanted in zip(planned.run([x]), NumpyRun(program).run([x]), strict=True):
            np.testing.assert_array_equal(got, wanted)


FORTY = np.linspace(0.5, 1.5, 40 * 4).reshape(40, 4)
LARGE = {  # of x (5, 4): rows that are many, what is NumPy's if 39 are too many for an example, or 40
    "elementwise": (lambda x: ac.sum(ac.exp(ac.tanh(x)[:, None] * FORTY), axis=1),
        ["exp", "mul", "sum", "sum", "tanh"], []),
    "read again": (lambda x: (lambda y: y + ac.tanh(y))(ac.exp(ac.tanh(x)[:, None] * FORTY)),
        ["add", "exp", "mul", "sum", "tanh", "tanh"], []),
    "moved": (lambda x: ac.flip(ac.broadcast_to(ac.tanh(x)[:, None], (5, 40, 4)), 1)[:, :2], [], []),
    "moved again": (
        lambda x: ac.flip(ac.exp(ac.tanh(x)[:, None] * FORTY), 1)[:, 0], ["exp", "flip", "index", "mul"], []),
    "a product": (lambda x: ac.sum(ac.einsum("nc,kd->nkcd", ac.tanh(x), FORTY)[:, :2], axis=2), [], []),
}  # fmt: skip


@native
@pytest.mark.parametrize("name", LARGE)
def test_large_lines_and_their_readers_are_numpys(name, monkeypatch):
    """What reads a large line is NumPy's, and what reads that may be the machine's again."""
    f, numpys, none = LARGE[name]
    for most, rows_ in ((39, numpys), (40, none)):
        monkeypatch.setattr(lower, "_LARGEST_EXAMPLE", most)
        program = simplify(swept(lambda x: ac.sum(ac.tanh(f(x))), [numbers(5, 4)], []))
        planned = native_run.plan(program, [numbers(5, 4)])
        assert of_numpy(planned.native) == rows_
        agree(planned.run([numbers(5, 4)])[0], NumpyRun(program).run([numbers(5, 4)])[0])


@native
def test_products_of_each_example_are_a_reason_for_channels():
    """Where nobody says which, the lanes are channels: else such a product would be NumPy's."""
    f = lambda x: ac.sum(ac.softmax(ac.einsum("nic,njc->nij", x, x * 2.0), axis=2) ** 2)
    program = simplify(recorded(f, [numbers(5, 6, 8)]))
    made = native_run.plan(program, [numbers(5, 6, 8)]).native
    assert made.layout.channels and of_numpy(made) == []


CHANNELWISE = {  # contractions of x and w that are one for each channel, with letters of size 1 among them
    "c": ("nc,c->nc", (3, 4), (4,)),
    "two channels": ("nc,c->nc", (3, 2), (2,)),
    "places": ("npc,c->npc", (3, 2, 4), (4,)),
    "a letter of size 1": ("npac,ac->npac", (3, 2, 1, 4), (1, 4)),
    "one tap": ("nkc,kc->nc", (3, 1, 4), (1, 4)),
}


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", CHANNELWISE)
def test_all_channels_in_one_instruction(name, lanes):
    spec, of_x, of_w = CHANNELWISE[name]
    w = ac.tensor(numbers(*of_w, seed=1))
    made = plan(lambda x: ac.sum(ac.tanh(ac.einsum(spec, ac.tanh(x), w))), [numbers(*of_x)], lanes, [w])
    kinds = made_of(made)
    assert {kind: n for kind, n in kinds.items() if kind != "Map"} == {"Channelwise": 2, "ChannelwiseDot": 1}


# ---- what comes to a place: sums of registers, zeros among them


def laid(y, size=4):
    """Frames (n, positions, taps, channels) over one another."""
    return TABLE["overlap_add"](y, axes=(1,), size=(size,), stride=(1,), dilation=(1,))


def tap(y, low, high):
    """The frames with a tap in front or behind that is zero."""
    return ac.pad(y, ((0, 0), (0, 0), (low, high), (0, 0)))


TAPS, PAIRS, POSITIONS = (ac.tensor(numbers(*shape, seed=3)) for shape in ((2, 2, 1), (2, 2, 2, 2), (2, 3, 1)))
FRAMES = {  # of x (n, 3, 2, 2): sums, and how many instructions add up, of the value and of the gradients
    "as they are": (lambda x, w, b: laid(ac.tanh(x)), 1),
    "without the first tap": (lambda x, w, b: laid(tap(ac.tanh(x)[:, :, 1:], 1, 0)), 0),
    "without the last tap": (lambda x, w, b: laid(tap(ac.tanh(x)[:, :, :1], 0, 1)), 0),
    "of three taps": (lambda x, w, b: laid(tap(ac.tanh(x), 1, 0), 5), 1),
    "cut": (lambda x, w, b: laid(ac.tanh(x))[:, 1:3], 1),
    "of products": (lambda x, w, b: laid(ac.einsum("npkc,cd->npkd", x, w)), 1),
    "of products and a bias": (lambda x, w, b: laid(ac.einsum("npkc,cd->npkd", x, w) + b), 1),
    "of products and a relu": (lambda x, w, b: laid(ac.relu(ac.einsum("npkc,cd->npkd", x, w))), 1),
    "of a bias and a relu": (lambda x, w, b: laid(ac.relu(ac.einsum("npkc,cd->npkd", x, w) + b)), 1),
    "products of a layer": (lambda x, w, b: laid(ac.reshape(ac.einsum("npkc,cd->npkd", x, w), (-1, 3, 2, 2))), 1),
    "products of taps": (lambda x, w, b: laid(ac.einsum("npc,ckd->npkd", x[:, :, 0], TAPS)), 0),
    "products of taps, a bias": (lambda x, w, b: laid(ac.einsum("npc,ckd->npkd", x[:, :, 0], TAPS) + b), 2),
    "products of taps, a relu": (lambda x, w, b: laid(ac.relu(ac.einsum("npc,ckd->npkd", x[:, :, 0], TAPS))), 1),
    "products of taps, read twice": (
        lambda x, w, b: (lambda y: laid(y) + ac.sum(y * y, axis=(1, 2))[:, None])(
            ac.einsum("npc,ckd->npkd", x[:, :, 0], TAPS)), 3),
    "products in another order": (lambda x, w, b: laid(ac.einsum("npc,ckd->nkpd", x[:, :, 0], TAPS)), 1),
    "products that are shaped": (
        lambda x, w, b: laid(ac.reshape(ac.einsum("npc,ckd->npkd", x[:, :, 0], TAPS), (-1, 3, 2, 1)), 4), 0),
    "products, channels merged": (
        lambda x, w, b: laid(ac.reshape(ac.einsum("npc,ckde->npkde", x[:, :, 0], PAIRS), (-1, 3, 2, 4))), 0),
    "products, taps merged": (
        lambda x, w, b: laid(ac.reshape(ac.einsum("npc,ckde->npkde", x[:, :, 0], PAIRS), (-1, 3, 4, 2)), 6), 1),
    "positions of the weights": (lambda x, w, b: laid(ac.einsum("nkc,cpd->npkd", x[:, 0], POSITIONS)), 1),
    "taken twice": (lambda x, w, b: ac.take(ac.tanh(x), np.array([0, 2, 0, 0]), axis=1), 1),
    "taken, two axes": (lambda x, w, b: ac.take(ac.tanh(x), np.array([[0, 2], [0, 1]]), axis=1), 1),
    "taken of padded": (lambda x, w, b: ac.take(tap(x, 1, 1), np.array([0, 1, 1, 3]), axis=2), 1),
    "set into zeros": (
        lambda x, w, b: TABLE["scatter"](x, key=(slice(None), slice(None, None, 2)), shape=(x.shape[0], 5, 2, 2)), 0),
    "summed over zeros": (lambda x, w, b: ac.sum(ac.pad(x, ((0, 0), (0, 1), (1, 0), (0, 0))), axis=(1, 2)), 1),
    "apart, and added": (
        lambda x, w, b: ac.pad(ac.tanh(x), ((0, 0), (0, 3), (0, 0), (0, 0)))
        + ac.pad(x, ((0, 0), (3, 0), (0, 0), (0, 0))), 0),
    "overlapping, and added": (
        lambda x, w, b: ac.pad(ac.tanh(x), ((0, 0), (0, 2), (0, 0), (0, 0)))
        + ac.pad(x, ((0, 0), (2, 0), (0, 0), (0, 0))), 0),
}  # fmt: skip


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", FRAMES)
def test_what_comes_to_a_place(name, lanes):
    f, sums = FRAMES[name]
    w, b = ac.tensor(numbers(2, 2, seed=1)), ac.tensor(numbers(2, seed=2))
    for examples in (1, 4):
        made = plan(lambda x: ac.sum(ac.tanh(f(x, w, b)) ** 2), [numbers(examples, 3, 2, 2)], lanes, [w, b, TAPS])
        assert len(made.kernels) == 1 and of_numpy(made) == []
        assert made_of(made).get("Gather", 0) == sums or (examples == 1 and "merged" in name)


# ---- labels: one number of each example

LOSSES = {
    "cross entropy": (lambda y, t: ac.losses.cross_entropy(y, t), ["add", "div"]),
    "nll": (lambda y, t: ac.losses.nll(ac.log_softmax(y), t), ["add", "div"]),
    "taken by hand": (lambda y, t: ac.sum(ac.take(ac.reshape(ac.tanh(y), -1), t + 4 * np.arange(t.size), axis=0) ** 3),
        ["add"]),
}  # fmt: skip


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("examples", [1, 5])
@pytest.mark.parametrize("name", LOSSES)
def test_a_label_for_each_example_is_an_instruction(name, examples, lanes):
    loss, numpys = LOSSES[name]
    w = ac.tensor(numbers(3, 4, seed=2))
    labels = np.random.default_rng(3).integers(0, 4, examples)
    made = plan(lambda x, t: loss(x @ w, t), [numbers(examples, 3), labels], lanes, [w])
    assert len(made.kernels) == 1 and of_numpy(made) == numpys
    assert made_of(made)["Choose"] == made_of(made)["Place"] == 1


FLAT = {  # of y (n, 4) and places (n,) in y as one row: what is no pick of one number for each example
    "read beside": lambda z, t: ac.sum(ac.take(z, t, axis=0) ** 2) + ac.sum(z * z),
    "longer": lambda z, t: ac.sum(ac.take(ac.concat([z, np.ones(1)], axis=0), t, axis=0) ** 2),
    "twice": lambda z, t: ac.sum(ac.take(z, t, axis=0) * ac.take(z, t[::-1], axis=0)),
    "several": lambda z, t: ac.sum(ac.take(z, ac.stack([t, t], axis=1), axis=0) ** 2),
    "back again": lambda z, t: ac.sum(ac.tanh(ac.reshape(z, (-1, 4))) * 2) + ac.sum(ac.take(z, t, axis=0)),
    "bent before": lambda z, t: ac.sum(ac.take(ac.exp(z), t, axis=0) ** 2),
    "half of them": lambda z, t: ac.sum(ac.take(z, t[: (len(t) + 1) // 2], axis=0) ** 2),
}


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("examples", [1, 4, 5])
@pytest.mark.parametrize("name", FLAT)
def test_labels_of_other_kinds(name, examples, lanes):
    """With places that are an argument, and with places that are known when the plan is made."""
    places = np.random.default_rng(3).integers(0, 4, examples) + 4 * np.arange(examples)
    flat = lambda x: ac.reshape(ac.tanh(x), -1)
    beyond = name == "twice" and examples > 1  # places of other examples
    plan(lambda x, t: FLAT[name](flat(x), t) + ac.sum(x * x), [numbers(examples, 4), places], lanes, beyond=beyond)
    plan(lambda x: FLAT[name](flat(x), places) + ac.sum(x * x), [numbers(examples, 4)], lanes, beyond=beyond)


# ---- numbers that are the same for every example

late = lambda y: ac.mean(y * y, axis=0)  # of each channel, when all examples have been passed over
# of y (examples, 4): what is made of numbers of channels, the rows of it that the machine has not, how many kernels
BETWEEN = {
    "root": (lambda y: y / ac.sqrt(late(y) + 1), [], 3),
    "floor": (lambda y: y + ac.floor(3 * late(y)), ["floor"], 2),
    "sorted": (lambda y: y * ac.sort(late(y)), ["argsort"], 3),
    "sum of channels": (lambda y: y / (1 + ac.sum(late(y))), [], 3),
    "sum kept": (lambda y: y / (1 + ac.sum(late(y), axis=0, keepdims=True)), [], 3),
    "sums of pairs": (lambda y: y[:, :2] * ac.sum(ac.reshape(late(y), (2, 2)), axis=1), [], 3),
    "joined": (lambda y: y * ac.concat([late(y)[2:], late(y)[:2] * 2], axis=0), [], 3),
    "joined in the second axis": (
        lambda y: y * ac.reshape(ac.concat([ac.reshape(late(y), (2, 2))[:, 1:], np.ones((2, 1))], axis=1), -1), [], 3),
    "one channel": (lambda y: y * late(y)[1], [], 3),
    "turned": (lambda y: y + ac.reshape(ac.permute_dims(ac.reshape(late(y), (2, 2)), (1, 0)), -1), [], 3),
    "truth": (lambda y: y * ac.where(late(y) > 0.5, late(y), 2.0), [], 3),
    "of truth": (lambda y: y * ac.astype(late(y) > 0.5, np.float64), [], 2),
    "a product of two": (lambda y: y * (late(y) * ac.mean(y, axis=0)), [], 3),
    "a product with numbers": (lambda y: y @ (ac.reshape(late(y), (4, 1)) * np.ones((1, 3))),
        ["broadcast_to", "div", "mul", "reshape"], 3),
    "of one number": (lambda y: y * ac.tanh(ac.mean(y * y)), [], 3),
    "numbers of the position": (lambda y: y * np.arange(1.0, 5.0) + late(y), [], 3),
    "late twice": (lambda y: y / ac.sqrt(ac.mean((y - ac.mean(y, axis=0)) ** 2, axis=0) + 1), [], 5),
    "batch norm": (lambda y: ac.batch_norm(ac.stack([y, y * y], axis=1), np.ones(4), np.zeros(4)) ** 3, [], 4),
}  # fmt: skip


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", BETWEEN)
def test_numbers_of_channels_are_made_between_two_stages(name, lanes):
    """Numbers of channels never leave the machine, unless it has no such row."""
    made_from, missing, kernels = BETWEEN[name]
    for examples in (1, 5, 19):
        made = plan(lambda x: ac.sum(ac.tanh(made_from(ac.tanh(x)))), [numbers(examples, 4)], lanes)
        rows = of_numpy(made)
        assert set(missing) <= set(rows) and (missing or rows == []), rows
        assert len(made.kernels) == kernels or examples == 1
        one_number = {"sum of channels": 1, "sum kept": 1, "batch norm": 2}  # to be read in vectors it is repeated
        assert made_of(made).get("copy", 0) == (one_number.get(name, 0) if lanes == "channels" else 0) or examples == 1


# ---- where new registers stand

# lanes that channels fill, shape of an example, axes of channels, channels in a group: the numbers, and their end
REGISTERS = {
    "in a row": (0, (3,), 0, 0, [1, 2, 3], 4),
    "one number": (0, (), 0, 0, 1, 2),
    "planes of odd size": (0, (2, 3), 0, 0, [[1, 2, 3], [4, 5, 6]], 7),
    "planes of even size": (0, (2, 2), 0, 0, [[1, 2], [4, 5]], 7),
    "one plane": (0, (1, 2, 2), 0, 0, [[[1, 2], [4, 5]]], 7),
    "channels outside": (0, (3, 2), 1, 0, [[1, 4], [2, 5], [3, 6]], 7),
    "channels outside, even": (0, (2, 2), 1, 0, [[1, 4], [2, 5]], 7),
    "two axes of channels": (0, (2, 2, 2), 2, 0, [[[1, 3], [6, 8]], [[2, 4], [7, 9]]], 11),
    "short rows": (4, (2, 3), 0, 0, [[1, 2, 3], [5, 6, 7]], 9),
    "rows of a vector": (4, (2, 4), 0, 0, [[1, 2, 3, 4], [5, 6, 7, 8]], 9),
    "long rows": (4, (2, 5), 0, 0, [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]], 11),
    "channels inside": (4, (2, 3), 1, 3, [[1, 2, 3], [5, 6, 7]], 9),
    "rows of one behind": (4, (2, 3, 1), 0, 0, [[[1], [2], [3]], [[5], [6], [7]]], 9),
    "groups in a row": (4, (2, 2, 3), 2, 3, [[[1, 2, 3], [4, 5, 6]], [[8, 9, 10], [11, 12, 13]]], 15),
    "numbers by themselves": (4, (2, 2), 0, 1, [[1, 5], [9, 13]], 17),
    "one number in a vector": (4, (1,), 0, 0, [1], 5),
}  # fmt: skip


@pytest.mark.parametrize("name", REGISTERS)
def test_where_new_registers_stand(name):
    """From one channel to the next an odd number of registers; with channels in the lanes rows fill whole vectors."""
    lanes, shape, channels, free, wanted, end = REGISTERS[name]
    state = Lowering(Program([], []), 1, np.dtype(float), lanes, frozenset(), 0, (), True)
    found = state.fresh(shape, state.open(1), None, channels, free)
    assert found.tolist() == wanted and state.kernels[1].end == state.most == end
    gaps = {int(x) for gap in state.kernels[1].gaps for x in gap.ravel()}
    assert gaps == set(range(1, end)) - set(found.ravel().tolist()) or not lanes


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint16, np.int64])
def test_a_label_of_any_width_picks_its_number(lanes, dtype):
    """And sends the slope back to it: the machine reads whole numbers of 64 bits, others are NumPy's."""
    x = numbers(6, 5)
    labels = np.arange(6) * 5 + np.array([4, 0, 2, 2, 1, 3])

    def picked(x, labels):
        return ac.sum(ac.take(ac.reshape(ac.tanh(x), (-1,)), labels, axis=0) ** 3)

    program = recorded(picked, [x, labels.astype(dtype)])
    with pytest.MonkeyPatch.context() as at:
        at.setenv("AUTOCONV_LANES", lanes)
        planned = native_run.plan(simplify(program), [x, labels.astype(dtype)])
    assert planned is not None
    y = np.tanh(x)
    of_label = np.zeros(30)
    of_label[labels] = 1
    slope = 3 * y**2 * (1 - y**2) * of_label.reshape(6, 5)
    for _ in range(2):
        value, gradient = planned.run([x, labels.astype(dtype)])
        agree(value, np.sum(y.ravel()[labels] ** 3))
        agree(gradient, slope)
