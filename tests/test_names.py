"""The names people type: the same text runs with PyTorch or NumPy and with autoconv, and gives the same.

The lines stand in tests/reference/spelled.py, PyTorch's results (with gradients) in spelled.npz beside it; NumPy is
asked here.  Which of their public names are here is counted by docs/names.py; each that is here stands in one of these
lines, or in a test of the files that ``TEXTS`` lists.
"""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn, optim

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "tests" / "reference"
sys.path[:0] = [str(REFERENCE), str(ROOT / "docs")]
import names as counted  # noqa: E402
from spelled import ATTENTION, GROUPS, NUMPY, SCHEDULES, TORCH, operands  # noqa: E402

del sys.path[:2]

STORED = np.load(REFERENCE / "spelled.npz")
ENDS = np.cumsum(STORED["sizes"].ravel())
PARTS = np.split(STORED["numbers"], ENDS[:-1])
EXPECTED = {line: (PARTS[2 * k], PARTS[2 * k + 1]) for k, line in enumerate(STORED["lines"].tolist())}
ROOM = {"torch": ac, "F": nn.functional, "nn": nn, "np": np, "optim": optim}


@pytest.mark.parametrize("power", [-2, -1, 0, 1, 2, 5])
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3), (2, 5, 3, 3)], ids=str)
def test_powers_of_stacks_of_matrices(shape, power):
    a = np.random.default_rng(4).normal(size=shape) + 2 * np.eye(3)
    np.testing.assert_allclose(ac.matrix_power(a, power), np.linalg.matrix_power(a, power), rtol=1e-9, atol=1e-12)


def test_every_line_is_stored():
    assert list(EXPECTED) == TORCH


def several(y):
    return list(y) if isinstance(y, tuple | list) else [y]


def flat(results):
    return np.concatenate([np.asarray(getattr(y, "value", y), float).ravel() for y in results])


def gradients(results, xs):
    """Of the sum of result * cotangent, by every operand."""
    total = ac.tensor(0.0)
    for y in results:
        if isinstance(y, ac.Tensor) and not y.constant:
            total = total + (y * np.linspace(0.5, 1.5, int(y.size)).reshape(y.shape)).sum()
    if total.constant:
        return np.zeros(sum(int(x.size) for x in xs))
    return flat(ac.sweep(total, xs))


@pytest.mark.quick(20)
@pytest.mark.parametrize("line", TORCH)
def test_pytorchs_spelling(line):
    xs = {k: ac.tensor(x) for k, x in operands().items()}
    results = several(eval(line, {**ROOM, **xs}))
    value, gradient = EXPECTED[line]
    rtol = (
        1e-7 if "hardsigmoid" in line.lower() else 1e-9
    )  # PyTorch's own slope of hardsigmoid is a sixth in single precision
    np.testing.assert_allclose(flat(results), value, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(gradients(results, list(xs.values())), gradient, rtol=rtol, atol=1e-11)


@pytest.mark.quick(20)
@pytest.mark.parametrize("line", NUMPY)
def test_numpys_spelling(line):
    """On Tensors what NumPy says of arrays, shape and dtype as well; the gradient against differences."""
    if "min=-0.5" in line and np.lib.NumpyVersion(np.__version__) < "2.1.0":
        pytest.skip("np.clip has no min= before NumPy 2.1")
    arrays = operands()
    xs = {k: ac.tensor(x) for k, x in arrays.items()}

    def evaluated(values):
        return several(eval(line, {"np": np, **values}))

    results, right = evaluated(xs), evaluated(arrays)
    assert len(results) == len(right)
    for y, z in zip(results, right, strict=True):
        assert y.shape == np.shape(z)
        assert y.dtype.kind == np.asarray(z).dtype.kind
    np.testing.assert_allclose(flat(results), flat(right), rtol=1e-12, atol=1e-13)
    rng, step = np.random.default_rng(0), 1e-6
    along = {k: rng.normal(size=x.shape) for k, x in arrays.items()}

    def total(sign):
        moved = evaluated({k: x + sign * step * along[k] for k, x in arrays.items()})
        return sum((np.linspace(0.5, 1.5, np.size(y)).reshape(np.shape(y)) * y).sum()
                   for y, z in zip(moved, results, strict=True) if not z.constant)  # fmt: skip

    slope = gradients(results, list(xs.values())) @ flat(along.values())
    np.testing.assert_allclose(slope, (total(1) - total(-1)) / (2 * step), rtol=2e-6, atol=2e-7)


# ---- same spelling, other meaning


X = np.arange(6.0).reshape(2, 3)


TRAPS = {
    "x.transpose(0, 1) of three axes": (lambda: ac.zeros(2, 3, 4).transpose(0, 1), ValueError, "swapaxes(0, 1)"),
    "x.repeat(2, 1, 1)": (lambda: ac.zeros(2, 3).repeat(2, 1, 1), ValueError, "tile((2, 1, 1))"),
    "x.repeat(2, 3) of a vector": (lambda: ac.zeros(3).repeat(2, 3), ValueError, "tile((2, 3))"),
    "x.sort()": (lambda: ac.tensor(X).sort(), TypeError, "ac.sort(t)"),
    "x.view(dtype)": (lambda: ac.tensor(X).view(np.float32), TypeError, "astype"),
    "x.cuda()": (lambda: ac.tensor(X).cuda(), ValueError, "processor"),
    "x.to('cuda')": (lambda: ac.tensor(X).to("cuda:0"), ValueError, "processor"),
    "model.to('mps')": (lambda: nn.ReLU().to("mps"), ValueError, "processor"),
    "y.add_(1) of a result": (lambda: (ac.tensor(X) * 2).add_(1), TypeError, "without the underscore"),
    "transpose(x, 0, 1, 2)": (lambda: ac.transpose(ac.zeros(2, 3, 4), 0, 1, 2), TypeError, "write transpose(x, axes)"),
    "two spellings": (lambda: ac.sum(X, axis=0, dim=1), TypeError, "give one of them"),
    "two spellings of a layer": (lambda: nn.Softmax(axis=0, dim=1), TypeError, "give one of them"),
    "return_indices": (lambda: nn.MaxPool2d(2, return_indices=True), ValueError, "places"),
    "device": (lambda: nn.Linear(2, 3, device="cuda"), ValueError, "processor"),
    "load(weights_only=False)": (lambda: ac.load("x", weights_only=False), ValueError, "never does"),
    "load(map_location)": (lambda: ac.load("x", map_location="cuda"), ValueError, "processor"),
    "save(model)": (lambda: ac.save(nn.Linear(2, 1), "x"), TypeError, "state_dict()"),
    "optimiser of frozen": (
        lambda: optim.SGD(nn.Linear(2, 1).requires_grad_(False).parameters()), TypeError, "p.requires_grad",
    ),
    "requires_grad of a result": (lambda: setattr(ac.tensor(X) * 2, "requires_grad", False), TypeError, "detach"),
    "requires_grad of whole numbers": (lambda: ac.arange(3).requires_grad_(), TypeError, "floating point"),
}  # fmt: skip


@pytest.mark.parametrize("case", TRAPS)
def test_what_can_be_told_apart_is_refused_with_the_remedy(case):
    f, kind, text = TRAPS[case]
    with pytest.raises(kind, match=re.escape(text)):
        f()


def test_numpys_meaning_wins():
    """As the README's table has it: what NumPy's arrays do, and what to write for PyTorch's."""
    x = ac.tensor(X)
    np.testing.assert_array_equal(x.transpose(0, 1).value, X)
    np.testing.assert_array_equal(ac.transpose(x, 0, 1).value, X.T)  # no call of NumPy's
    assert x.repeat(2, 1).shape == (2, 6) and x.tile(2, 1).shape == (4, 3)
    assert x.max(1).value.tolist() == [2, 5] and x.max(dim=1).indices.value.tolist() == [2, 2]
    assert float(x.var()) == X.var() and float(x.var(unbiased=True)) == X.var(ddof=1)
    assert x.size == 6 and x.size() == (2, 3) and x.size(-1) == 3 and x.size * 2 == 12
    assert np.roll(x, 1).value.tolist() == np.roll(X, 1).tolist()
    assert [part.shape for part in ac.split(x, 3, axis=1)] == [(2, 1)] * 3
    assert [part.shape for part in x.split(2, dim=1)] == [(2, 2), (2, 1)]
    assert float(ac.median(x)) == 2.5 and ac.median(x, dim=1).values.value.tolist() == [1, 4]
    assert nn.Linear(2, 3).weight.shape == (2, 3)


def test_a_size_never_widens():
    """x.size can be called; in arithmetic it is a Python number, as 6 is."""
    x = ac.tensor(X, dtype=np.float32)
    for y in (x / x.size, x.size * x, ac.maximum(x, x.size), ac.clip(x, 0, x.size), x > x.size, ac.mean(x) + x.size):
        assert y.dtype in (np.float32, np.bool_)
    assert (x > x.size).value.tolist() == (x.value > 6).tolist()
    assert isinstance(x.size // 2, int) and np.zeros(x.size).shape == (6,)


# ---- optimisers and schedules


@pytest.mark.parametrize(("text", "momentum"), SCHEDULES)
def test_rates_are_pytorchs(text, momentum):
    p, q = nn.Parameter(np.ones(1)), nn.Parameter(np.ones(1))
    optimizer = optim.SGD([{"params": [p]}, {"params": [q], "lr": 0.5}], lr=0.1, momentum=momentum)
    schedule = eval(text, {**ROOM, "optimizer": optimizer})
    measure = iter([1.0, 0.9, 0.91, 0.92, 0.93, 0.5, 0.51, 0.52, 0.53, 0.54, 0.55])
    rows = [schedule.get_last_lr()]
    for _ in range(9):
        schedule.step(next(measure)) if "Plateau" in text else schedule.step()
        rows.append([group["lr"] for group in optimizer.param_groups])
    expected = dict(zip(STORED["schedules"].tolist(), STORED["rates"], strict=True))[text]
    np.testing.assert_allclose(np.ravel(rows), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(
    ("threshold_mode", "rates"),
    [("rel", [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]), ("abs", [1.0] * 9 + [0.5] * 3)],
)
def test_a_plateau_of_what_should_fall_or_rise(mode, threshold_mode, rates):
    """PyTorch 2.13's rates, with a threshold of 1 % or of 0.01; what falls is 30 minus what rises."""
    optimizer = optim.SGD([nn.Parameter(np.ones(1))], lr=1.0)
    settings = {"factor": 0.5, "patience": 1, "threshold": 0.01, "cooldown": 1, "min_lr": 0.1}
    schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode, threshold_mode=threshold_mode, **settings)
    found = []
    for x in [10.0, 12.0, 12.5, 12.55, 12.6, 11.9, 12.7, 12.75, 11.0, 10.0, 10.0, 10.0]:
        schedule.step(x if mode == "max" else 30 - x)
        found.append(optimizer.param_groups[0]["lr"])
    assert found == rates


@pytest.mark.parametrize("text", SCHEDULES[:-2], ids=lambda pair: pair[0][19:50])
def test_a_restored_schedule_goes_on(text):
    def made():
        optimizer = optim.SGD([{"params": [nn.Parameter([1.0])]}, {"params": [nn.Parameter([1.0])], "lr": 0.5}], lr=0.1,
                              momentum=text[1])  # fmt: skip
        return optimizer, eval(text[0], {**ROOM, "optimizer": optimizer})

    optimizer, schedule = made()
    measured = [1.0, 1.0, 1.0] if "Plateau" in text[0] else None
    for k in range(3):
        schedule.step(*([measured[k]] if measured else []))
    other, again = made()
    other.load_state_dict(optimizer.state_dict())
    again.load_state_dict(schedule.state_dict())
    for s in (schedule, again):
        s.step(*([1.0] if measured else []))
    assert again.get_last_lr() == schedule.get_last_lr()


@pytest.mark.parametrize("text", GROUPS)
def test_steps_with_options_of_groups_are_pytorchs(text):
    p, q = [nn.Parameter(x, dtype=float) for x in ([1.0, -2.0], [0.5, 3.0])]
    optimizer = eval(text, {**ROOM, "p": p, "q": q})
    for k in range(4):
        optimizer.zero_grad()
        ((p * p).sum() * (k + 1) + (q.sin() * p).sum()).backward()
        nn.utils.clip_grad_norm_([p, q], 2.0)
        optimizer.step()
    expected = dict(zip(STORED["groups"].tolist(), STORED["steps"], strict=True))[text]
    np.testing.assert_allclose(flat([p, q]), expected, rtol=1e-10)


def test_groups_are_saved_and_restored(tmp_path):
    def made():
        first, second = nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1)
        model = nn.Sequential(first, second)
        groups = [{"params": first.parameters(), "lr": 0.1}, {"params": second.parameters()}]
        return model, optim.Adam(groups, lr=0.01)

    def step(model, optimizer):
        optimizer.zero_grad()
        (model(np.ones((1, 2), np.float32)) ** 2).sum().backward()
        optimizer.step()

    model, optimizer = made()
    step(model, optimizer)
    ac.checkpoint.save(tmp_path / "run", model, optimizer)
    other, again = made()
    again.param_groups[1]["lr"] = 0.7
    ac.checkpoint.load(tmp_path / "run", other, again)
    assert [group["lr"] for group in again.param_groups] == [0.1, 0.01]
    step(model, optimizer)
    step(other, again)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.value, q.value)
    with pytest.raises(ValueError, match="groups of"):
        optim.Adam(model.parameters()).load_state_dict(optimizer.state_dict())


def test_a_compiled_step_has_the_groups_options():
    def made():
        model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1))
        groups = [{"params": model[0].parameters(), "lr": 0.5}, {"params": model[2].parameters()}]
        return model, optim.SGD(groups, lr=0.01, momentum=0.9)

    x = np.ones((5, 3), np.float32)
    eager, slow = made()
    fast, quick = made()
    f = ac.compile(lambda x: (fast(x) ** 2).sum())
    for _ in range(4):
        slow.zero_grad()
        (eager(x) ** 2).sum().backward()
        slow.step()
        f.step(quick, x)
    for p, q in zip(eager.parameters(), fast.parameters(), strict=True):
        np.testing.assert_allclose(p.value, q.value, rtol=1e-4, atol=1e-6)


# ---- the rest of a PyTorch program


def test_initialisers_know_the_fans_of_a_layer():
    """The fans of a kernel are the same in both layouts, and for a transposed one the other way round."""
    for layout in ("channels_last", "channels_first"):
        conv = nn.Conv2d(50, 100, 3, layout=layout)
        assert nn.init.kaiming_normal_(conv.weight, generator=0) is conv.weight
        np.testing.assert_allclose(conv.weight.value.std(), np.sqrt(2 / 450), rtol=0.02)
        nn.init.xavier_uniform_(conv.weight, generator=0)
        np.testing.assert_allclose(np.abs(conv.weight.value).max(), np.sqrt(6 / (450 + 900)), rtol=0.01)
    nn.init.kaiming_uniform_(conv.weight, mode="fan_out", nonlinearity="relu", generator=0)
    np.testing.assert_allclose(np.abs(conv.weight.value).max(), np.sqrt(6 / 900), rtol=0.01)
    q = nn.init.orthogonal_(nn.Parameter(np.zeros((4, 6)), dtype=float), generator=0).value
    np.testing.assert_allclose(q @ q.T, np.eye(4), atol=1e-12)
    t = nn.init.trunc_normal_(nn.Parameter(np.zeros(5000)), std=2.0, a=-1, b=3, generator=0).value
    assert t.min() >= -1 and t.max() <= 3 and t.max() > 2.9


@pytest.mark.parametrize("text", ATTENTION)
def test_attention_of_several_heads_is_pytorchs(text):
    weights = {k.removeprefix("attention/"): STORED[k] for k in STORED.files if k.startswith("attention/")}
    layer = nn.MultiheadAttention(4, 2, batch_first=True, dtype=float)
    layer.load_torch(weights)
    b = ac.tensor(operands()["b"])
    y, shares = eval(text, {**ROOM, "layer": layer, "b": b})
    parts = [y] if shares is None else [y, shares]
    found = np.concatenate([flat(parts), gradients(parts, [b])])
    np.testing.assert_allclose(found, STORED[f"attention: {text}"], rtol=1e-9, atol=1e-12)
    turned = nn.MultiheadAttention(4, 2, dtype=float)
    turned.load_state_dict(layer.state_dict())
    same = turned(*[ac.swapaxes(b, 0, 1)] * 3)[0]
    np.testing.assert_allclose(ac.swapaxes(same, 0, 1).value, layer(b, b, b)[0].value, rtol=1e-12)
    assert {k: v.shape for k, v in ac.to_torch_state_dict(layer, numpy=True).items()} == {
        k: v.shape for k, v in weights.items()}  # fmt: skip
    for bad in (lambda: layer(b[..., :2], b, b), lambda: nn.MultiheadAttention(5, 2), lambda: layer(b, b, b[:, :2])):
        with pytest.raises(ValueError, match="MultiheadAttention"):
            bad()


# each layer is the function of its name, in one to three dimensions: (layer, how it is made, function, its settings)
SPATIAL = [
    name
    for kind in ("Avg", "Max", "AdaptiveAvg", "AdaptiveMax", "LP")
    for d in (1, 2, 3)
    for name in (f"{kind}Pool{d}d", f"{kind.replace('Adaptive', 'adaptive_').lower()}_pool{d}d")
] + [
    name for kind in ("Conv", "ConvTranspose") for d in (1, 2, 3)
    for name in (f"{kind}{d}d", f"{kind.replace('Transpose', '_transpose').lower()}{d}d")
]  # fmt: skip


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", SPATIAL[::2])
def test_a_layer_is_the_function_of_its_name(name, layout):
    """(The functions are compared with PyTorch and with loops in tests/test_oracles.py and test_operations.py.)"""
    dims, f = int(name[-2]), getattr(F := nn.functional, SPATIAL[SPATIAL.index(name) + 1])
    assert F is nn.functional
    shape = (2, *(4,) * dims, 3) if layout == "channels_last" else (2, 3, *(4,) * dims)
    x = ac.tensor(np.random.default_rng(0).normal(size=shape))
    if "Conv" in name:
        layer = getattr(nn, name)(3, 2, 2, 1, layout=layout, rng=0)
        y = f(x, layer.weight, layer.bias, 1, layout=layout)
    else:
        layer = getattr(nn, name)(*[2] * (1 + ("LP" in name)), layout=layout)
        y = f(x, 2, layout=layout)
    np.testing.assert_array_equal(layer(x).value, y.value)


LAYERS = {
    "CircularPad2d": (lambda: nn.CircularPad2d(1), lambda x: np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "wrap")),
    "ReflectionPad2d": (
        lambda: nn.ReflectionPad2d(1), lambda x: np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect"),
    ),
    "ReplicationPad2d": (lambda: nn.ReplicationPad2d(1), lambda x: np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")),
    "ConstantPad2d": (
        lambda: nn.ConstantPad2d((1, 0, 0, 2), 7.0),
        lambda x: np.pad(x, ((0, 0), (0, 2), (1, 0), (0, 0)), constant_values=7.0),
    ),
    "PixelUnshuffle": (
        lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.PixelShuffle(2)),
        lambda x: x,
    ),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3), lambda x: np.asarray(ac.local_response_norm(x, 3))),
    "GlobalAvgPool": (lambda: nn.GlobalAvgPool(), lambda x: x.mean((1, 2))),
    "Upsample": (lambda: nn.Upsample(scale_factor=2), lambda x: np.asarray(nn.functional.upsample(x, scale_factor=2))),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layers_against_numpy(name):
    make, right = LAYERS[name]
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3))
    np.testing.assert_allclose(make()(x).value, right(x), rtol=1e-12)


@pytest.mark.dear
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_padding_modes_of_a_convolution(mode, layout):
    """A convolution of the input padded by NumPy."""
    conv = nn.Conv2d(3, 2, 3, padding=(1, 2), padding_mode=mode, layout=layout, rng=0, dtype=float)
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3))
    word = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    padded = np.pad(x, ((0, 0), (1, 1), (2, 2), (0, 0)), word)
    if layout == "channels_first":
        x, padded = x.transpose(0, 3, 1, 2), padded.transpose(0, 3, 1, 2)
    y = nn.functional.conv2d(padded, conv.weight, conv.bias, layout=layout)
    np.testing.assert_allclose(conv(x).value, y.value, rtol=1e-12)
    ac.check_grads(lambda x: ac.sum(conv(x) ** 2), x, order=1)


def test_instance_norm_in_three_dimensions():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5, 2))
    y = nn.InstanceNorm3d(2)(x).value
    centred = x - x.mean((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(y, centred / np.sqrt(x.var((1, 2, 3), keepdims=True) + 1e-5), rtol=1e-9)


def test_gradients_held_within_bounds():
    p, q = nn.Parameter([1.0, 2.0], dtype=float), nn.Parameter([[3.0]], dtype=float)
    p.grad, q.grad = np.array([3.0, -4.0]), np.array([[12.0]])
    assert float(nn.utils.clip_grad_norm_([p, q], 100.0)) == 13 and p.grad.tolist() == [3, -4]
    assert float(nn.utils.clip_grad_norm_((p, q), 1.3, norm_type=np.inf)) == 12
    np.testing.assert_allclose(q.grad, 1.3, rtol=1e-6)
    nn.utils.clip_grad_value_([p, q], 0.35)
    np.testing.assert_allclose(p.grad, [0.325, -0.35], rtol=1e-6)
    vector = nn.utils.parameters_to_vector([p, q])
    assert vector.value.tolist() == [1, 2, 3]
    nn.utils.vector_to_parameters(2 * vector.value, [p, q])
    assert q.value.tolist() == [[6]]
    p.grad = np.array([np.nan, 1.0])
    with pytest.raises(ValueError, match="the norm of the gradients is nan"):
        nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    with pytest.raises(ValueError, match="3 numbers"):
        nn.utils.vector_to_parameters(np.ones(2), [p, q])
    optimizer = optim.SGD([p], lr=0.1)
    optimizer.add_param_group({"params": q, "lr": 1.0})
    assert isinstance(optimizer, optim.Optimizer) and [g["lr"] for g in optimizer.param_groups] == [0.1, 1.0]
    with pytest.raises(ValueError, match="twice"):
        optimizer.add_param_group({"params": [p]})
    assert optim.lr_scheduler.LRScheduler is optim.Schedule


def test_what_reads_the_numbers_alone():
    x = ac.tensor([1.0, 2.0])
    assert np.allclose(x, [1, 2]) and np.isclose(x, 1).tolist() == [True, False] and np.array_equiv(x, [1, 2])
    assert np.array2string(x) == "[1. 2.]" and np.array_str(x) == "[1. 2.]" and np.array_repr(x) == repr(x)
    assert np.result_type(x, np.float32) == np.float64 and not np.may_share_memory(x, np.ones(2))
    assert [part.item() for part in ac.unstack(x)] == [1, 2]
    assert ac.linalg.matrix_transpose(ac.zeros(2, 3)).shape == (3, 2)
    for init in (nn.init.constant_, nn.init.zeros_, nn.init.ones_, nn.init.eye_):
        assert set(np.unique(init(ac.zeros(2, 2), *[1.0][: init is nn.init.constant_]).value)) <= {0, 1}
    assert nn.init.calculate_gain("relu") == np.sqrt(2) and nn.init.xavier_normal_(ac.zeros(3, 4)).shape == (3, 4)
    model = nn.Module()
    model.add_module("inner", nn.ReLU())
    model.register_parameter("w", nn.Parameter([1.0]))
    assert [name for name, _ in model.named_children()] == ["inner"] and len(list(model.named_modules())) == 2
    assert [name for name, _ in model.named_parameters()] == ["w"] and model.extra_repr() == ""


def test_modules_as_pytorch_has_them():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.BatchNorm2d(2), nn.ReLU()))
    seen = []
    assert model.apply(lambda m: seen.append(type(m).__name__)) is model
    assert seen == ["Conv2d", "BatchNorm2d", "ReLU", "Sequential", "Sequential"]
    assert [type(m).__name__ for m in model.children()] == ["Conv2d", "Sequential"]
    assert model.get_submodule("1.0") is model[1][0] and model.get_parameter("0.bias") is model[0].bias
    assert {p.dtype for p in model.double().parameters()} == {np.dtype(float)}
    assert model[1][0].running_mean.dtype == np.float64
    assert model(np.ones((2, 4, 4, 1))).dtype == np.float64
    assert model.float().to("cpu").cpu()(np.ones((2, 4, 4, 1), np.float32)).dtype == np.float32
    model[0].requires_grad_(False)
    model(np.ones((2, 4, 4, 1), np.float32)).sum().backward()
    assert model[0].weight.grad is None and model[1][0].weight.grad is not None
    model.zero_grad(set_to_none=False)
    assert model[1][0].weight.grad.tolist() == [0, 0]
    model.zero_grad()
    assert model[1][0].weight.grad is None
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
    import copy

    assert not copy.deepcopy(model)[0].weight.requires_grad


def test_in_place_on_inputs():
    w = ac.tensor([1.0, -2.0])
    y = (w * w).sum()
    assert w.data.sub_(0.5) is not None and w.value.tolist() == [0.5, -2.5]
    with pytest.raises(RuntimeError, match="given a new value"):
        y.backward()
    w.add_([1.0, 1.0], alpha=2).mul_(2).div_(4)
    assert w.value.tolist() == [1.25, -0.25]
    w.data = [3.0, 4.0]
    assert w.clamp_(max=3.5).value.tolist() == [3.0, 3.5]
    assert w.zero_().fill_(2).copy_([7.0, 8.0]).value.tolist() == [7, 8]
    ac.manual_seed(1)
    first = w.normal_().value.copy()
    ac.manual_seed(1)
    np.testing.assert_array_equal(w.normal_().value, first)
    assert 2 <= w.uniform_(2, 3).value.min() <= w.value.max() <= 3


def test_manual_seed_is_where_everything_draws_from():
    def drawn():
        ac.manual_seed(3)
        return [nn.Linear(2, 3).weight.value, ac.randn(2).value, nn.functional.dropout(ac.ones(9), 0.5).value,
                ac.randperm(5).value, ac.rand_like(np.ones(2))]  # fmt: skip

    try:
        for a, b in zip(drawn(), drawn(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert not np.array_equal(ac.randn(3).value, ac.randn(3).value)
    finally:
        ac.operands._seeded = None


def test_saved_and_loaded(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.BatchNorm2d(2))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(np.ones((2, 4, 4, 1), np.float32)).sum().backward()
    optimizer.step()
    whole = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "best": (0.5, None, True),
             "last": ac.tensor([1.0, 2.0]), 7: ["text", np.float32(2.5), np.zeros((0, 3), np.int64)]}  # fmt: skip
    ac.save(whole, tmp_path / "run.pt")
    again = ac.load(tmp_path / "run.pt", map_location="cpu", weights_only=True)
    assert again["epoch"] == 3 and again["best"] == (0.5, None, True) and again[7][0] == "text"
    assert isinstance(again["last"], ac.Tensor) and again[7][1] == np.float32(2.5) and again[7][2].shape == (0, 3)
    other = nn.Sequential(nn.Conv2d(1, 2, 3, rng=1), nn.BatchNorm2d(2))
    other.load_state_dict(again["model"])
    optim.SGD(other.parameters(), lr=0.1, momentum=0.9).load_state_dict(again["optimizer"])
    for k, v in model.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[k], v)
    ac.save(model.state_dict(), tmp_path / "net")
    assert ac.load(tmp_path / "net").keys() == model.state_dict().keys()
    content = (tmp_path / "run.pt").read_bytes()
    for damaged in (content[:40], content[:-3], b"", b"PK\3\4 no archive", content.replace(b'"epoch', b'"e}och')[:-1]):
        (tmp_path / "bad").write_bytes(damaged)
        with pytest.raises(ValueError, match="bad"):
            ac.load(tmp_path / "bad")
    for bad in (object(), {"a": object()}, {1.5: 2}, [1j], np.array(["a"])):
        with pytest.raises(TypeError, match="save"):
            ac.save(bad, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_vmap_and_jacobians():
    rng = np.random.default_rng(0)
    w, xs = rng.normal(size=(3, 2)), rng.normal(size=(5, 2))

    def f(w, x):
        return ac.tanh(w @ x)

    np.testing.assert_allclose(ac.vmap(f, (None, 0))(w, xs), np.tanh(xs @ w.T), rtol=1e-12)
    np.testing.assert_allclose(ac.vmap(f, (None, 1), out_axes=1)(w, xs.T), np.tanh(w @ xs.T), rtol=1e-12)
    per_example = ac.vmap(ac.grad(lambda w, x: ac.sum(f(w, x))), in_axes=(None, 0))(w, xs)
    assert per_example.shape == (5, 3, 2)
    total = ac.grad(lambda w: ac.sum(ac.vmap(f, (None, 0))(w, xs)))(w)
    np.testing.assert_allclose(per_example.sum(0), total, rtol=1e-12)
    pair = ac.vmap(lambda x: (x.sum(), {"twice": 2 * x}))(ac.tensor(xs))
    assert pair[0].shape == (5,) and pair[1]["twice"].shape == (5, 2)
    for y in (f, lambda w, x: ac.outer(w @ x, x)):
        forward, backward = ac.jacfwd(y, argnums=1)(w, xs[0]), ac.jacrev(y, argnums=1)(w, xs[0])
        np.testing.assert_allclose(forward, backward, rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(backward, ac.jacobian(y, argnums=1)(w, xs[0]))
    for bad in (lambda: ac.vmap(f)(w, xs), lambda: ac.vmap(f, (None, None))(w, xs[0]), lambda: ac.vmap(f, (0,))(w, xs)):
        with pytest.raises(ValueError, match="vmap"):
            bad()


@pytest.mark.dear
def test_linear_systems_on_recordings_of_other_matrices():
    """The order of the pivots is a line of the tape: what was recorded holds for a matrix with another order."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(4, 4)), rng.normal(size=(4, 2))
    x, y = ac.tensor(a), ac.tensor(b)
    solved, determinant = ac.solve(x, y), ac.det(x)
    other = a[[2, 0, 3, 1]] + 0.1
    again = ac.Tape(solved, determinant).run({x: other, y: b})
    np.testing.assert_allclose(again[0], np.linalg.solve(other, b), rtol=1e-9)
    np.testing.assert_allclose(again[1], np.linalg.det(other), rtol=1e-9)
    batch = rng.normal(size=(3, 4, 4))
    np.testing.assert_allclose(ac.det(batch), np.linalg.det(batch), rtol=1e-9)
    np.testing.assert_allclose(ac.inv(batch) @ batch, np.broadcast_to(np.eye(4), batch.shape), atol=1e-9)
    compiled = ac.compile(lambda a: ac.inv(a))
    for matrix in (a, other):
        np.testing.assert_allclose(np.asarray(compiled(matrix)), np.linalg.inv(matrix), rtol=1e-8)
    ac.check_grads(ac.inv, a)
    ac.check_grads(ac.det, a)
    ac.check_grads(lambda a: ac.solve(a, b), a)
    ac.check_grads(lambda a: ac.matrix_power(a, -2), a, order=1)
    for f in (ac.inv, ac.det, lambda a: ac.solve(a, b)):
        with pytest.raises(ValueError, match="singular"):
            f(np.ones((4, 4)))
    singular = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    np.testing.assert_allclose(ac.grad(ac.det)(singular), [[-3, 6, -3], [6, -12, 6], [-3, 6, -3]], atol=1e-9)
    from fractions import Fraction

    exact = np.array([[Fraction(1, 2), Fraction(1, 3)], [Fraction(1, 4), Fraction(1, 5)]])
    assert ac.det(exact) == Fraction(1, 60)


def test_grad_fn_and_leaves():
    x = ac.tensor([1.0, 2.0])
    y = (x * 3).sum()
    assert x.grad_fn is None and x.is_leaf and not y.is_leaf and y.requires_grad
    assert y.grad_fn.name() == "sum" and y.grad_fn.next_functions[0][0].name() == "mul"
    product = y.grad_fn.next_functions[0][0]
    assert product.next_functions[0][0].name() == "AccumulateGrad"
    assert ac.zeros(2, requires_grad=False).requires_grad is False and not ac.arange(3).requires_grad
    assert ac.Tape(x.detach() * 2).inputs == [x] and not (x.detach() * 2).requires_grad
    assert ac.tensor([[1, 2]]).tolist() == [[1, 2]] and x.device == "cpu" and x.numel() == 2 and x.dim() == 1


# ---- the table of names


TABLE = counted.table()


def test_every_name_is_here_or_has_a_reason():
    without = {group: [n for n, reason in names.items() if reason == ""] for group, names in TABLE.items()}
    assert not {group: names for group, names in without.items() if names}


def test_the_document_is_made_by_the_script():
    assert (ROOT / "docs" / "names.md").read_text(encoding="utf-8") == counted.document(TABLE)


TEXTS = "\n".join(
    [*TORCH, *NUMPY, *SPATIAL, *[s for s, _ in SCHEDULES], *GROUPS]
    + [
        (ROOT / "tests" / path).read_text(encoding="utf-8")
        for path in [
            "test_names.py", "test_programs.py", "test_nn.py", "test_scalar.py", "test_optim.py", "test_functional.py",
            "test_backward.py", "test_nonsense.py", "test_tape.py", "test_front_door.py", "helpers/torch_nets.py",
            "reference/operations.py", "test_array_api.py", "test_dlpack.py",
        ]
    ]
)  # fmt: skip
WORDS = set(re.findall(r"\w+", TEXTS))


@pytest.mark.parametrize("group", TABLE)
def test_every_name_that_is_here_is_tested(group):
    untested = [n for n, reason in TABLE[group].items() if reason is None and n not in WORDS]
    assert not untested
