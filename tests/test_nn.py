"""Modules and layers: what they hold, how they are named, their shapes, and agreement with functional and PyTorch."""

import copy
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn
from autoconv.nn import init

REFERENCE = np.load(Path(__file__).parent / "reference" / "torch_reference.npz")


class Net(nn.Module):
    def __init__(self, rng=None):
        rng = np.random.default_rng(rng)
        self.conv1 = nn.Conv2d(1, 4, 3, padding="same", rng=rng)
        self.norm = nn.BatchNorm2d(4)
        self.heads = [nn.Linear(4, 3, rng=rng), nn.Linear(3, 2, bias=False, rng=rng)]
        self.drop = nn.Dropout(0.5, rng=rng)
        self.scale = nn.Parameter(1.0)

    def forward(self, x):
        y = ac.global_avg_pool(ac.relu(self.norm(self.conv1(x))))
        return self.heads[1](self.drop(self.heads[0](y))) * self.scale


SHAPES = {
    "scale": (),
    "conv1.weight": (3, 3, 1, 4),
    "conv1.bias": (4,),
    "norm.weight": (4,),
    "norm.bias": (4,),
    "heads.0.weight": (4, 3),
    "heads.0.bias": (3,),
    "heads.1.weight": (3, 2),
}
X = np.random.default_rng(0).normal(size=(5, 6, 6, 1)).astype(np.float32)


def test_parameters_are_named_by_their_paths_and_float32():
    net = Net()
    assert {name: p.shape for name, p in net.named_parameters()} == SHAPES
    assert all(p.name == name and p.dtype == np.float32 for name, p in net.named_parameters())
    assert [p.name for p in net.parameters()] == list(SHAPES)
    assert net.num_parameters() == 36 + 4 + 4 + 4 + 12 + 3 + 6 + 1
    outer = nn.Sequential(first=net)
    assert [p.name for p in outer.parameters()] == [f"first.{name}" for name in SHAPES]


def test_a_shared_module_is_trained_once_and_saved_at_each_place():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert len(list(model.modules())) == 3


def test_scopes_show_the_layers():
    net = Net(0)
    loss = net(X).sum()
    paths = {" > ".join(s.name for s in line.scope.path) for line in ac.Tape(loss) if line.scope and line.primitive}
    assert "Net > conv1 > conv2d" in paths
    assert "Net > heads.0 > matmul" in paths
    assert {line.scope.path[0].kind for line in ac.Tape(loss) if line.scope} == {"layer"}
    y = nn.Sequential(nn.ReLU(), nn.Tanh())(X)
    assert [s.name for s in y.scope.path] == ["Sequential", "1: Tanh"]


def test_a_plain_input_stands_on_the_tape_and_can_be_replayed():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.ReLU())
    y = model(X)
    given = next(line for line in ac.Tape(y) if line.shape == X.shape)
    assert given.constant
    assert np.array_equal(ac.Tape(y).run({given: 2 * X})[0], model(2 * X).value)
    assert y.dtype == np.float32


def test_state_goes_round_and_is_a_copy():
    one, other = Net(1), Net(2)
    one(X)
    state = one.state_dict()
    assert list(state) == [*SHAPES, "norm.running_mean", "norm.running_var"]
    other.load_state_dict(state)
    assert np.array_equal(one.eval()(X).value, other.eval()(X).value)
    state["scale"][...] = 7
    assert other.scale.item() == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"scale": None}, r"missing scale of shape \(\)"),
        ({"more": np.ones(2)}, r"unexpected more of shape \(2,\)"),
        ({"conv1.bias": np.ones(3)}, r"conv1.bias has shape \(3,\), the model needs \(4,\)"),
        ({"norm.running_var": np.ones((4, 1))}, r"norm.running_var has shape \(4, 1\)"),
        ({"conv1.bias": np.array(list("abcd"))}, "not a number"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_by_name_and_changes_nothing(change, text):
    net = Net(1)
    before = net.state_dict()
    state = {k: v for k, v in ({k: v + 1 for k, v in before.items()} | change).items() if v is not None}
    with pytest.raises(ValueError, match=text):
        net.load_state_dict(state)
    assert all(np.array_equal(v, before[k]) for k, v in net.state_dict().items())


def test_train_and_eval_reach_every_module_and_zero_grad_every_parameter():
    net = Net(0)
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert np.array_equal(net(X).value, net(X).value)
    assert all(m.training for m in net.train().modules())
    net(X).sum().backward()
    assert all(p.grad.shape == p.shape and p.grad.dtype == np.float32 for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_repr_is_a_tree_with_settings_counts_and_output_shapes():
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.MaxPool2d(2),
        nn.Sequential(flat=nn.Flatten()),
        nn.Linear(128, 10),
    )
    model(np.zeros((2, 8, 8, 1), np.float32))
    assert repr(model).splitlines() == [
        "Sequential()                                              -> (2, 10)",
        "├─ 0: Conv2d(1, 8, kernel_size=(3, 3), padding=1)     80  -> (2, 8, 8, 8)",
        "├─ 1: BatchNorm2d(8)                                  16  -> (2, 8, 8, 8)",
        "├─ 2: MaxPool2d(kernel_size=(2, 2))                       -> (2, 4, 4, 8)",
        "├─ 3: Sequential()                                        -> (2, 128)",
        "│  └─ flat: Flatten()                                     -> (2, 128)",
        "└─ 4: Linear(128, 10)                              1,290  -> (2, 10)",
        "total: 1,386 parameters, 16 numbers in buffers",
    ]


@pytest.mark.parametrize("make", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_independent(make):
    net = nn.Sequential(nn.Linear(2, 3, dtype=np.float64, rng=0), nn.Dropout(0.5, rng=1))
    other = make(net)
    x = np.ones((4, 2))
    assert np.array_equal(other(x).value, net(x).value)
    other[0].weight.assign(np.zeros((2, 3)))
    assert other[0].weight.dtype == np.float64
    assert isinstance(other[0].weight, nn.Parameter)
    assert net[0].weight.value.any()


def test_parameter_refuses_integers():
    with pytest.raises(TypeError, match="int64"):
        nn.Parameter([1, 2], dtype=np.int64)


def test_sequential():
    a, b, c = nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)
    for model in [
        nn.Sequential(a, b, c),
        nn.Sequential(a=a, b=b, c=c),
        nn.Sequential(OrderedDict(a=a, b=b, c=c)),
    ]:
        assert list(model) == [a, b, c]
        assert (len(model), model[0], model[-1]) == (3, a, c)
        assert isinstance(model[1:], nn.Sequential)
        assert list(model[1:]) == [b, c]
    assert model["b"] is b
    with pytest.raises(TypeError, match="not a Module"):
        nn.Sequential(a, ac.relu)
    with pytest.raises(ValueError, match="cannot be a layer's name"):
        nn.Sequential(forward=a)
    with pytest.raises(KeyError, match="no layer"):
        model["x"]
    with pytest.raises(IndexError):
        model[3]


# layer, input shape, output shape, shapes of weight and bias
LAYERS = [
    (nn.Linear(3, 5), (2, 3), (2, 5), [(3, 5), (5,)]),
    (nn.Linear(3, 5, bias=False), (2, 4, 3), (2, 4, 5), [(3, 5)]),
    (nn.Conv1d(4, 6, 3, groups=2), (2, 8, 4), (2, 6, 6), [(3, 2, 6), (6,)]),
    (nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, dilation=1), (2, 8, 8, 4), (2, 4, 5, 6), [(3, 2, 4, 6), (6,)]),
    (nn.Conv2d(4, 6, 3, groups=2, layout="NCHW"), (2, 4, 8, 8), (2, 6, 6, 6), [(6, 2, 3, 3), (6,)]),
    (nn.Conv3d(1, 2, 2, bias=False), (1, 3, 4, 5, 1), (1, 2, 3, 4, 2), [(2, 2, 2, 1, 2)]),
    (nn.ConvTranspose1d(2, 3, 3, stride=2), (1, 4, 2), (1, 9, 3), [(3, 3, 2), (3,)]),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1, padding=1), (1, 4, 4, 4), (1, 8, 8, 6),
        [(3, 3, 6, 4), (6,)]),
    (nn.ConvTranspose2d(4, 6, 3, groups=2, layout="channels_first"), (1, 4, 4, 4), (1, 6, 6, 6), [(4, 3, 3, 3), (6,)]),
    (nn.ConvTranspose3d(1, 2, 2), (1, 2, 2, 2, 1), (1, 3, 3, 3, 2), [(2, 2, 2, 2, 1), (2,)]),
    (nn.MaxPool1d(2), (1, 5, 2), (1, 2, 2), []),
    (nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True), (1, 6, 6, 2), (1, 4, 4, 2), []),
    (nn.MaxPool3d(2, layout="NCDHW"), (1, 2, 4, 4, 4), (1, 2, 2, 2, 2), []),
    (nn.AvgPool1d(2, stride=1), (1, 5, 2), (1, 4, 2), []),
    (nn.AvgPool2d(2, count_include_pad=False), (1, 5, 5, 2), (1, 2, 2, 2), []),
    (nn.AvgPool3d(2), (1, 2, 2, 2, 3), (1, 1, 1, 1, 3), []),
    (nn.GlobalAvgPool(), (2, 4, 5, 3), (2, 3), []),
    (nn.BatchNorm1d(3), (4, 3), (4, 3), [(3,), (3,)]),
    (nn.BatchNorm2d(3, layout="NCHW"), (4, 3, 2, 2), (4, 3, 2, 2), [(3,), (3,)]),
    (nn.BatchNorm3d(3, affine=False), (4, 2, 2, 2, 3), (4, 2, 2, 2, 3), []),
    (nn.LayerNorm(3), (4, 2, 3), (4, 2, 3), [(3,), (3,)]),
    (nn.LayerNorm((2, 3)), (4, 2, 3), (4, 2, 3), [(2, 3), (2, 3)]),
    (nn.Flatten(), (2, 3, 4), (2, 12), []),
    *[(layer, (2, 3), (2, 3), []) for layer in (nn.ReLU(), nn.LeakyReLU(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(),
        nn.GELU(), nn.Softmax(), nn.Dropout(0.1))],
]  # fmt: skip


@pytest.mark.parametrize(("layer", "given", "expected", "weights"), LAYERS, ids=lambda x: repr(x).split("\n")[0])
def test_layers(layer, given, expected, weights):
    y = layer(np.random.default_rng(0).normal(size=given).astype(np.float32))
    assert (y.shape, y.dtype) == (expected, np.float32)
    assert [p.shape for p in layer.parameters()] == weights
    if weights:
        assert all(np.isfinite(g).all() for g in ac.sweep((y * y).sum(), list(layer.parameters())))


def test_layers_are_the_functional_operations():
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 4))
    conv = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, dtype=np.float64, rng=0)
    up = nn.ConvTranspose2d(4, 2, 3, stride=2, dtype=np.float64, rng=0)
    for layer, expected in [
        (conv, ac.conv2d(x, conv.weight.value, conv.bias.value, stride=2, padding=1, groups=2)),
        (up, ac.conv_transpose2d(x, up.weight.value, up.bias.value, stride=2)),
        (nn.MaxPool2d(3, stride=1, dilation=2), ac.max_pool2d(x, 3, stride=1, dilation=2)),
        (nn.AvgPool2d(2), ac.avg_pool2d(x, 2)),
        (nn.LeakyReLU(0.2), np.where(x > 0, x, 0.2 * x)),
        (nn.Softmax(axis=1), np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    ]:
        np.testing.assert_allclose(layer(x).value, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: nn.Linear(0, 2), ValueError, "in_features must be at least 1"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "groups=2 must divide in_channels=3"),
        (lambda: nn.Conv2d(3, 4, 0), ValueError, "kernel_size"),
        (lambda: nn.Conv2d(3, 4, 3, stride=1.5), TypeError, "stride must be a whole number"),
        (lambda: nn.Conv2d(3, 4, 3, padding="sam"), ValueError, "padding 'sam' is unknown"),
        (lambda: nn.Conv2d(3, 4, 3, layout="HWCN"), ValueError, "unknown layout"),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3)), ValueError, "one number or 2"),
        (lambda: nn.MaxPool2d(2, stride=0), ValueError, "stride must be at least 1"),
        (lambda: nn.Dropout(1.0), ValueError, "p=1.0"),
        (lambda: nn.BatchNorm2d(3, momentum=2), ValueError, "momentum=2"),
        (lambda: nn.GELU("fast"), ValueError, "'fast'"),
        (lambda: nn.Linear(3, 2)(np.ones((4, 5))), ValueError, r"shape \(4, 5\), its last axis must have 3"),
        (lambda: nn.BatchNorm2d(3)(np.ones((4, 2, 2, 5))), ValueError, r"5 channels \(shape \(4, 2, 2, 5\)\)"),
        (lambda: nn.LayerNorm(3)(np.ones((4, 5))), ValueError, r"must be \(3,\)"),
        (lambda: nn.Module()(np.ones(3)), NotImplementedError, "define forward"),
        (lambda: init.he_normal((3,)), ValueError, "two dimensions"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_batch_norm_and_its_running_statistics_are_pytorchs():
    layer = nn.BatchNorm2d(2, dtype=np.float64)
    for i, (x, expected) in enumerate(zip(REFERENCE["batch_norm/x"], REFERENCE["batch_norm/y"], strict=True)):
        np.testing.assert_allclose(layer.train(i < 3)(x).value, expected, atol=1e-12)
    np.testing.assert_allclose(layer.running_mean, REFERENCE["batch_norm/mean"], atol=1e-12)
    np.testing.assert_allclose(layer.running_var, REFERENCE["batch_norm/var"], atol=1e-12)


def test_dropout_drops_in_training_alone():
    layer = nn.Dropout(0.25, rng=0)
    x = np.ones((1000, 10), np.float32)
    y = layer(x).value
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    assert np.array_equal(layer.eval()(x).value, x)


# initialiser, fans -> variance; 3x3 kernel, 8 -> 16 channels in 2 groups: fan_in 36, fan_out 144
VARIANCES = [
    (init.he_uniform, 2 / 36),
    (init.he_normal, 2 / 36),
    (init.glorot_uniform, 2 / 180),
    (init.glorot_normal, 2 / 180),
]


@pytest.mark.parametrize(("initializer", "variance"), VARIANCES)
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_initial_variances(initializer, variance, layout):
    weights = [
        nn.Conv2d(8, 16, 3, groups=2, layout=layout, init=initializer, rng=seed).weight.value for seed in range(40)
    ]
    assert np.var(weights) == pytest.approx(variance, rel=0.05)
    assert abs(np.mean(weights)) < 0.01
    if "uniform" in initializer.__name__:
        assert np.abs(weights).max() <= np.sqrt(3 * variance)


@pytest.mark.parametrize(
    ("shape", "channels_last", "expected"),
    [
        ((5, 7), True, (5, 7)),
        ((3, 2, 4, 6), True, (24, 36)),
        ((6, 4, 3, 2), False, (24, 36)),
        ((3, 1, 8), True, (3, 24)),
    ],
)
def test_fans(shape, channels_last, expected):
    assert init.fans(shape, channels_last) == expected


def test_seeds():
    draw = lambda rng: nn.Linear(3, 4, rng=rng).weight.value
    assert np.array_equal(draw(5), draw(5))
    assert np.array_equal(draw(5), draw(np.random.default_rng(5)))
    assert not np.array_equal(draw(None), draw(None))
    shared = np.random.default_rng(5)
    assert not np.array_equal(draw(shared), draw(shared))
    assert not nn.Linear(3, 4, init=init.zeros).weight.value.any()
