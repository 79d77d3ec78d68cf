"""Optimisers and schedules against stored results of PyTorch (tests/reference), and what they refuse."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn, optim

FOLDER = Path(__file__).parent / "reference"
REFERENCE = np.load(FOLDER / "torch_reference.npz")
STORED = json.loads((FOLDER / "torch_reference.json").read_text())
PARAMETERS = ("kernel", "kernel_bias", "weight", "weight_bias")


def loss_of(p, x, labels):
    y = ac.max_pool2d(ac.relu(ac.conv2d(x, p["kernel"], p["kernel_bias"], padding=1)), 2)
    return ac.losses.cross_entropy(ac.flatten(y, 1) @ p["weight"] + p["weight_bias"], labels)


def made(kind, params, settings):
    return getattr(optim, kind)(params, **{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})


def parameters(dtype=np.float64):
    return {name: nn.Parameter(REFERENCE[f"start/{name}"], name, dtype) for name in PARAMETERS}


@pytest.mark.parametrize("by", ["grad", "argument"])
@pytest.mark.parametrize("case", STORED["optimizers"])
def test_five_steps_of_a_conv_net_are_those_of_pytorch(case, by):
    p = parameters()
    optimizer = made(STORED["optimizers"][case][0], p.values(), STORED["optimizers"][case][1])
    losses = []
    for _ in range(5):
        loss = loss_of(p, REFERENCE["x"], REFERENCE["labels"])
        if by == "grad":
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        else:
            optimizer.step(ac.sweep(loss, optimizer.params))
        losses.append(loss.item())
    np.testing.assert_allclose(losses, REFERENCE[f"{case}/losses"], rtol=0, atol=1e-10)
    for name in PARAMETERS:
        np.testing.assert_allclose(p[name].value, REFERENCE[f"{case}/{name}"], rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("case", STORED["schedules"])
def test_learning_rates_are_those_of_pytorch(case):
    optimizer = optim.SGD([nn.Parameter([0.0])], lr=0.2)
    schedule = getattr(optim, case.split("_")[0])(optimizer, **STORED["schedules"][case]["settings"])
    rates = [optimizer.lr]
    for _ in STORED["schedules"][case]["rates"][1:]:
        schedule.step()
        rates.append(optimizer.lr)
    np.testing.assert_allclose(rates, STORED["schedules"][case]["rates"], rtol=0, atol=1e-10)


@pytest.mark.parametrize("case", STORED["optimizers"])
def test_single_precision_stays_single(case):
    p = parameters(np.float32)
    optimizer = made(STORED["optimizers"][case][0], p.values(), STORED["optimizers"][case][1])
    for _ in range(2):
        optimizer.step([np.ones(q.shape) for q in p.values()])
    arrays = [v for entry in optimizer.state_dict()["state"] for v in entry.values() if isinstance(v, np.ndarray)]
    assert {a.dtype for a in [*arrays, *[q.value for q in p.values()]]} == {np.dtype(np.float32)}


@pytest.mark.parametrize("case", STORED["optimizers"])
def test_a_restored_optimiser_goes_on_bit_for_bit(case):
    kind, settings = STORED["optimizers"][case]
    grads = np.random.default_rng(0).normal(size=(6, 3))
    p, q = nn.Parameter(np.ones(3)), nn.Parameter(np.ones(3))
    first = made(kind, [p], settings)
    for g in grads[:3]:
        first.step([g])
    state, value = first.state_dict(), p.numpy()
    for g in grads[3:]:
        first.step([g])
    q.assign(value)
    second = getattr(optim, kind)([q])
    second.load_state_dict(state)
    for g in grads[3:]:
        second.step([g])
    assert np.array_equal(p.value, q.value)
    assert state["state"][0]["step"] == 3  # a state_dict is a copy


def test_none_is_skipped_and_other_parameters_move():
    p, q = nn.Parameter([1.0, 2.0]), nn.Parameter([3.0])
    optimizer = optim.SGD([("p", p), ("q", q)], lr=0.5)
    optimizer.step([None, np.array([2.0])])
    assert p.value.tolist() == [1.0, 2.0]
    assert q.value.tolist() == [2.0]
    optimizer.step()
    assert q.value.tolist() == [2.0]


def test_lines_recorded_before_a_step_refuse_a_sweep():
    p = nn.Parameter([1.0, 2.0])
    loss = (p * p).sum()
    optim.SGD([p], lr=0.1).step([np.ones(2)])
    with pytest.raises(RuntimeError, match="given a new value"):
        loss.backward()


BAD_SETTINGS = [
    ("SGD", {"lr": -1}, ValueError, "lr=-1"),
    ("SGD", {"lr": float("nan")}, ValueError, "finite"),
    ("SGD", {"lr": float("inf")}, ValueError, "finite"),
    ("SGD", {"lr": 10**400}, ValueError, "range of floating point"),
    ("SGD", {"lr": True}, TypeError, "must be a number"),
    ("SGD", {"dampening": float("nan")}, ValueError, "finite"),
    ("SGD", {"lr": "0.1"}, TypeError, "must be a number"),
    ("SGD", {"momentum": -0.1}, ValueError, "momentum=-0.1"),
    ("SGD", {"nesterov": True}, ValueError, "nesterov needs momentum"),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, ValueError, "dampening=0.1"),
    ("SGD", {"weight_decay": -1}, ValueError, "weight_decay=-1"),
    ("Adam", {"betas": (0.9, 1.0)}, ValueError, "below 1"),
    ("Adam", {"betas": (1.0, 0.999)}, ValueError, "below 1"),
    ("Adam", {"betas": (-0.1, 0.999)}, ValueError, "at least 0"),
    ("Adam", {"betas": 0.9}, TypeError, "pair"),
    ("Adam", {"betas": (0.9, 0.99, 0.999)}, TypeError, "pair"),
    ("AdamW", {"eps": -1e-8}, ValueError, "eps"),
    ("RMSprop", {"alpha": -0.5}, ValueError, "alpha"),
    ("RMSprop", {"alpha": 1.5}, ValueError, "at most 1"),
    ("RMSprop", {"centered": 1}, TypeError, "True or False"),
    ("Adagrad", {"lr_decay": -1}, ValueError, "lr_decay"),
]


@pytest.mark.parametrize(("kind", "settings", "error", "text"), BAD_SETTINGS)
def test_bad_settings(kind, settings, error, text):
    with pytest.raises(error, match=text):
        getattr(optim, kind)([nn.Parameter([1.0])], **settings)


GOOD_SETTINGS = [
    *[(kind, {k: 0}) for kind in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad") for k in ("lr", "weight_decay")],
    ("SGD", {"lr": 10**300}),
    ("SGD", {"dampening": -0.5, "momentum": 0.5}),
    ("Adam", {"betas": (0, 0.0), "eps": 0}),
    ("RMSprop", {"alpha": 1, "momentum": 0}),
    ("Adagrad", {"lr_decay": 0, "initial_accumulator_value": 0}),
]


@pytest.mark.parametrize(("kind", "settings"), GOOD_SETTINGS)
def test_the_edges_of_settings(kind, settings):
    optimizer = getattr(optim, kind)([nn.Parameter([1.0])], **settings)
    assert {k: optimizer.param_groups[0][k] for k in settings} == settings


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        ([], ValueError, "no parameters"),
        ([np.zeros(3)], TypeError, "not a parameter"),
        ([ac.tensor([1, 2])], TypeError, "not a parameter"),
        ([ac.tensor([1.0]) * 2], TypeError, "not a parameter"),
        ([nn.Parameter([1.0])] * 2, ValueError, "twice"),
    ],
)
def test_bad_parameters(params, error, text):
    with pytest.raises(error, match=text):
        optim.SGD(params, lr=0.1)


@pytest.mark.parametrize(
    ("grads", "text"), [([np.ones(2)], "1 gradients for 2"), ([np.ones(2), np.ones(3)], r"shape \(3,\)")]
)
def test_gradients_that_do_not_fit_change_nothing(grads, text):
    p, q = nn.Parameter([1.0, 2.0]), nn.Parameter([3.0])
    optimizer = optim.Adam([p, q])
    with pytest.raises(ValueError, match=text):
        optimizer.step(grads)
    assert p.value.tolist() == [1.0, 2.0]
    assert optimizer.state == [{}, {}]


def spoiled(**changes):
    """The state of an Adam of one parameter of shape (2,) after a step,
    with ``changes`` at its top or in its first entry."""
    optimizer = optim.Adam([nn.Parameter([1.0, 2.0])])
    optimizer.step([np.ones(2)])
    state = optimizer.state_dict()
    state["state"][0].update({k: v for k, v in changes.items() if k not in state})
    state.update({k: v for k, v in changes.items() if k in state})
    return state


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (spoiled(name="SGD"), "'SGD', the optimiser is Adam"),
        (spoiled(state=[]), "for 0 parameters"),
        (spoiled(settings={"lr": 1.0}), "settings of Adam"),
        (spoiled(settings={"lr": -1.0, "betas": (0.9, 0.9), "eps": 0.0, "weight_decay": 0.0}), "lr=-1.0"),
        (spoiled(exp_avg=np.ones(3)), r"exp_avg .* has shape \(3,\)"),
        (spoiled(step=-1), "step=-1"),
        (spoiled(other=np.ones(2)), "it needs step, exp_avg, exp_avg_sq"),
        (None, "None"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state, text):
    optimizer = optim.Adam([nn.Parameter([1.0, 2.0])], lr=0.5)
    with pytest.raises(ValueError, match=text):
        optimizer.load_state_dict(state)
    assert optimizer.lr == 0.5
    assert optimizer.state == [{}]


def test_schedules_refuse_what_makes_no_sense():
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=0.1)
    for kind, settings, error in [
        (optim.StepLR, {"step_size": 0}, ValueError),
        (optim.StepLR, {"step_size": 1.5}, TypeError),
        (optim.StepLR, {"step_size": 1, "gamma": -1.0}, ValueError),
        (optim.CosineLR, {"T_max": 0}, ValueError),
        (optim.StepLR, {"step_size": 1, "gamma": float("inf")}, ValueError),
        (optim.StepLR, {"step_size": 1, "gamma": 10**400}, ValueError),
        (optim.CosineLR, {"T_max": 3, "eta_min": "0"}, TypeError),
    ]:
        with pytest.raises(error):
            kind(optimizer, **settings)
    with pytest.raises(TypeError, match="not an optimiser"):
        optim.StepLR(0.1, 3)
    schedule = optim.StepLR(optimizer, 3)
    for state in [optim.CosineLR(optimizer, 3).state_dict(), schedule.state_dict() | {"epochs": -1}, {}]:
        with pytest.raises(ValueError, match="load_state_dict"):
            schedule.load_state_dict(state)
    assert schedule.state_dict()["epochs"] == 0


@pytest.mark.parametrize("compiled", [False, True], ids=["alone", "in a compiled step"])
def test_momentum_switched_on_after_plain_steps(compiled):
    """As in PyTorch, the first gradient after that is the buffer as it is: dampening counts from the next one on."""
    p = ac.tensor(np.array([1.0, 2.0]))
    o = optim.SGD([p], lr=0.1, dampening=0.5)
    program = ac.compile(lambda x: (p * x).sum())
    for momentum, g, expected in [
        (0, [1.0, 1.0], [0.9, 1.9]),
        (0.5, [2.0, 1.0], [0.7, 1.8]),
        (0.5, [1.0, 2.0], [0.55, 1.65]),
    ]:
        o.momentum = momentum
        if compiled:
            program.step(o, np.array(g))
        else:
            o.step([np.array(g)])
        np.testing.assert_allclose(p.value, expected, rtol=1e-12)


# ---- float16 parameters: state and update in float32, the parameter rounded once

ADAPTIVE = [optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad]


@pytest.mark.parametrize("method", ADAPTIVE)
def test_float16_with_gradient_zero_stays(method):
    q = nn.Parameter(np.array([1.0, -2.0]), dtype=np.float16)
    method([q], **({"weight_decay": 0.0} if method is optim.AdamW else {})).step([np.zeros(2, np.float16)])
    assert q.value.tolist() == [1, -2] and q.dtype == np.float16


EVERY = [
    (optim.SGD, {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1, "nesterov": True}),
    (optim.Adam, {"lr": 0.01, "weight_decay": 0.1}),
    (optim.AdamW, {"lr": 0.01}),
    (optim.RMSprop, {"lr": 0.01, "momentum": 0.5, "centered": True}),
    (optim.Adagrad, {"lr": 0.01, "initial_accumulator_value": 0.1}),
]


@pytest.mark.parametrize(("method", "settings"), EVERY)
@pytest.mark.parametrize("size", [1e-5, 1e-3, 1.0, 300.0])
def test_a_float16_step_is_the_float64_step_rounded(method, settings, size):
    start, g = np.array([1.0, -2.0, 0.5], np.float16), (np.array([1, -0.5, 0]) * size).astype(np.float16)
    narrow, exact = nn.Parameter(start, dtype=np.float16), nn.Parameter(start.astype(float), dtype=float)
    a, b = method([narrow], **settings), method([exact], **settings)
    for _ in range(5):
        exact.assign(narrow.value.astype(float))
        a.step([g])
        b.step([g.astype(float)])
        np.testing.assert_allclose(narrow.value.astype(float), exact.value, rtol=2**-11 + 1e-6, atol=1e-6)
    slots = [x for x in a.state[0].values() if isinstance(x, np.ndarray)]
    assert slots and all(x.dtype == np.float32 for x in slots) and narrow.dtype == np.float16


def test_float16_with_a_gradient_whose_square_is_zero_there():
    q = nn.Parameter(np.zeros(1), dtype=np.float16)
    optim.Adam([q], lr=0.01).step([np.array([1e-5], np.float16)])
    np.testing.assert_allclose(q.value.astype(float), -0.01, rtol=2e-3)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_compiled_steps_of_float16_are_the_eager_ones(method):
    x = np.array([1e-5, 1.0], np.float16)

    def trained(compiled):
        q = nn.Parameter(np.ones(2), dtype=np.float16)
        o, f = method([q], lr=0.01), (lambda x: ac.sum(q * x))
        program = ac.compile(f)
        for _ in range(3):
            if compiled:
                program.step(o, x)
            else:
                o.zero_grad()
                f(x).backward()
                o.step()
        return q.value

    np.testing.assert_array_equal(trained(True), trained(False))
    assert np.isfinite(trained(True)).all()


def test_slots_that_were_kept_in_float16_still_load(tmp_path):
    def made():
        layer = nn.Linear(2, 1, rng=0, dtype=np.float16)
        return layer, optim.Adam(layer.parameters())

    layer, optimizer = made()
    optimizer.step([np.ones_like(p.value) for p in layer.parameters()])
    for state in optimizer.state:
        state.update({k: v.astype(np.float16) for k, v in state.items() if k != "step"})
    ac.checkpoint.save(tmp_path / "old.safetensors", layer, optimizer)
    for other, again in [made(), made()]:
        ac.checkpoint.load(tmp_path / "old.safetensors", other, again)
        assert again.state[0]["exp_avg"].dtype == np.float32
        np.testing.assert_array_equal(again.state[0]["exp_avg"], optimizer.state[0]["exp_avg"])
        again.load_state_dict(optimizer.state_dict())
        assert again.state[0]["exp_avg_sq"].dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("alpha", [0.5, 0.9, 0.99])
def test_centred_rmsprop_takes_no_root_below_zero(dtype, alpha):
    """A constant gradient has variance 0, and rounding leaves less, which counts as 0; eps stands outside the root."""
    q = nn.Parameter(np.zeros(3), dtype=dtype)
    o = optim.RMSprop([q], lr=1e-12, centered=True, alpha=alpha)
    for _ in range(300):
        o.step([np.array([-1.194746804680598, 1e-3, 0.1], dtype)])
        assert np.isfinite(q.value).all()


THIRD = 1 / 3
DEFAULTS = {  # as PyTorch's documentation has them
    "SGD": {"lr": 1e-3, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False},
    "Adam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0},
    "AdamW": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2},
    "RMSprop": {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0, "momentum": 0, "centered": False},
    "Adagrad": {"lr": 1e-2, "lr_decay": 0, "weight_decay": 0, "initial_accumulator_value": 0, "eps": 1e-10},
    "StepLR": {"gamma": 0.1},
    "MultiStepLR": {"gamma": 0.1},
    "ConstantLR": {"factor": THIRD, "total_iters": 5},
    "LinearLR": {"start_factor": THIRD, "end_factor": 1.0, "total_iters": 5},
    "PolynomialLR": {"total_iters": 5, "power": 1.0},
    "CosineLR": {"eta_min": 0},
    "CosineAnnealingWarmRestarts": {"T_mult": 1, "eta_min": 0},
    "OneCycleLR": {
        "total_steps": None, "epochs": None, "steps_per_epoch": None, "pct_start": 0.3, "anneal_strategy": "cos",
        "cycle_momentum": True, "base_momentum": 0.85, "max_momentum": 0.95, "div_factor": 25, "final_div_factor": 1e4,
        "three_phase": False},
    "ReduceLROnPlateau": {
        "mode": "min", "factor": 0.1, "patience": 10, "threshold": 1e-4, "threshold_mode": "rel", "cooldown": 0,
        "min_lr": 0, "eps": 1e-8},
}  # fmt: skip


def of_optim(name):
    return getattr(optim, name, None) or getattr(optim.lr_scheduler, name)


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_is_not_said_is_as_in_pytorch(name):
    parameters = inspect.signature(of_optim(name)).parameters.values()
    assert {p.name: p.default for p in parameters if p.default is not p.empty} == DEFAULTS[name]


LEAST = [  # a setting that counts, and the least that it may be
    ("StepLR", "step_size", 1, {}),
    ("ConstantLR", "total_iters", 0, {}),
    ("LinearLR", "total_iters", 1, {}),
    ("PolynomialLR", "total_iters", 1, {}),
    ("CosineLR", "T_max", 1, {}),
    ("CosineAnnealingWarmRestarts", "T_0", 1, {}),
    ("CosineAnnealingWarmRestarts", "T_mult", 1, {"T_0": 2}),
    ("OneCycleLR", "total_steps", 1, {"max_lr": 0.1}),
    ("OneCycleLR", "epochs", 1, {"max_lr": 0.1, "steps_per_epoch": 1}),
    ("OneCycleLR", "steps_per_epoch", 1, {"max_lr": 0.1, "epochs": 1}),
    ("ReduceLROnPlateau", "patience", 0, {}),
    ("ReduceLROnPlateau", "cooldown", 0, {}),
]


@pytest.mark.parametrize(("name", "setting", "least", "more"), LEAST)
def test_the_least_that_a_setting_may_be(name, setting, least, more):
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=0.1, momentum=0.9)
    of_optim(name)(optimizer, **{**more, setting: least})
    with pytest.raises(ValueError, match=setting):
        of_optim(name)(optimizer, **{**more, setting: least - 1})


# ---- schedules at their edges


@pytest.mark.parametrize("milestones", [[1, 2], [1, 3], [2, 3]])
def test_milestones_rise_from_1_on(milestones):
    """Each of the schedules begins at its milestone, from its own epoch 0."""
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    several = [optim.StepLR(optimizer, 1, gamma) for gamma in (0.5, 0.25, 0.75)]
    first, second = milestones
    rates = [[1, 0.5][:first], [1, 0.25, 0.0625][: second - first], [1, 0.75, 0.5625]]
    made = optim.lr_scheduler.SequentialLR(optimizer, several, milestones)
    assert [made.rate(k) for k in range(second + 3)] == [x for part in rates for x in part]
    for bad in ([0, second], [second, second], [second, first], [first], [1, 2, 3]):
        with pytest.raises(ValueError, match="milestones"):
            optim.lr_scheduler.SequentialLR(optimizer, several, bad)


@pytest.mark.parametrize(
    ("mode", "threshold_mode", "best", "value", "better"),
    [  # with a threshold of 1/4, and numbers that floating point holds exactly
        ("min", "rel", 4.0, 3.0, False),
        ("min", "rel", 4.0, 2.875, True),
        ("max", "rel", 4.0, 5.0, False),
        ("max", "rel", 4.0, 5.125, True),
        ("min", "abs", 4.0, 3.75, False),
        ("min", "abs", 4.0, 3.625, True),
        ("max", "abs", 4.0, 4.25, False),
        ("max", "abs", 4.0, 4.375, True),
    ],
)
def test_better_is_by_more_than_the_threshold(mode, threshold_mode, best, value, better):
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    settings = {"mode": mode, "threshold": 0.25, "threshold_mode": threshold_mode}
    schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5, **settings)
    schedule.step(best)
    assert (optimizer.lr, schedule.last_epoch, schedule.num_bad_epochs, schedule.cooldown_counter) == (1, 1, 0, 0)
    schedule.step(value)
    assert (optimizer.lr, schedule.last_epoch) == (1 if better else 0.5, 2)


@pytest.mark.parametrize(("eps", "rate"), [(0.125, 0.25), (0.25, 0.5), (0.5, 1.0)])
def test_a_plateau_changes_a_rate_by_more_than_eps(eps, rate):
    """1, 0.5, 0.25, 0.125: the first step that is no longer than eps is not made."""
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5, eps=eps)
    for _ in range(6):
        schedule.step(1.0)
    assert optimizer.lr == rate


@pytest.mark.parametrize("setting", ["lr", "momentum"])
def test_a_further_schedule_begins_at_the_first_rate_or_where_one_was_set(setting):
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0, momentum=0.5)
    optim.StepLR(optimizer, 1, 0.5).step()
    setattr(optimizer, setting, 0.75)
    assert optim.StepLR(optimizer, 1).base_lrs == [0.75 if setting == "lr" else 1]


BAD_STATES = [  # of a schedule with one group of parameters, and of one with two
    (1, {"base_lr": -0.5}), (1, {"base_lr": float("inf")}), (1, {"base_lr": float("nan")}), (1, {"base_lr": "0.5"}),
    (1, {"base_lr": [0.5, 0.5]}), (1, {"base_lr": []}), (1, {"epochs": -1}), (1, {"epochs": 1.0}),
    (1, {"epochs": True}), (1, {"settings": {}}), (1, {"settings": {"step_size": 0, "gamma": 0.1}}),
    (1, {"name": "CosineLR"}),
    (2, {"base_lr": 0.5}), (2, {"base_lr": [0.5]}), (2, {"base_lr": [0.5, -0.5]}), (2, {"base_lr": [0.5] * 3}),
]  # fmt: skip


@pytest.mark.parametrize(("groups", "change"), BAD_STATES, ids=str)
def test_a_schedules_state_is_taken_as_a_whole_or_not_at_all(groups, change):
    optimizer = optim.SGD([{"params": [nn.Parameter([1.0])], "lr": 1.0 + k} for k in range(groups)], lr=1.0)
    schedule = optim.StepLR(optimizer, 3)
    before = schedule.state_dict()
    with pytest.raises(ValueError, match=r"load_state_dict|step_size"):
        schedule.load_state_dict({**before, **change})
    assert schedule.state_dict() == before and schedule.get_last_lr() == [1.0, 2.0][:groups]
    least = {**before, "base_lr": 0.0 if groups == 1 else [0.0, 0.5], "epochs": 0}
    schedule.load_state_dict(least)
    assert schedule.state_dict() == least


@pytest.mark.parametrize("changed", [{}, {"lr": 0.5}, {"momentum": 0.25}, {"lr": 0.5, "momentum": 0.25}])
def test_one_update_describes_groups_that_are_alike(changed):
    settings = {"lr": 1.0, "momentum": 0.5}
    groups = [{"params": [nn.Parameter([1.0])], **settings}, {"params": [nn.Parameter([1.0])], **settings, **changed}]
    optimizer = optim.SGD(groups)
    assert optimizer.described(1) == (None if changed else optimizer.update(1))


def test_a_plateaus_state_is_plain_and_goes_on():
    def made():
        optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
        return optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1, factor=0.5, cooldown=1)

    measures = [2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.75, 0.75, 0.75]
    for k in range(len(measures)):
        first, again = made(), made()
        for x in measures[:k]:
            first.step(x)
        again.load_state_dict(json.loads(json.dumps(first.state_dict())))
        again.optimizer.lr = first.optimizer.lr
        for x in measures[k:]:
            first.step(x)
            again.step(x)
            assert (again.state_dict(), again.get_last_lr()) == (first.state_dict(), first.get_last_lr())
    for state in ({}, {**first.state_dict(), "more": 1}, None):
        with pytest.raises(ValueError, match="ReduceLROnPlateau"):
            first.load_state_dict(state)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_one_cycle_begins_and_ends_where_it_is_said(kind):
    """Also where the way up is a single step, or has none; momentum, or the first beta, goes the other way."""
    for pct_start, three_phase in ((0.25, False), (0.5, False), (0.5, True), (0.0, False)):
        optimizer = kind([nn.Parameter([1.0])], lr=0.1, **({"momentum": 0.9} if kind is optim.SGD else {}))
        settings = {"div_factor": 0.5, "final_div_factor": 0.25, "pct_start": pct_start, "three_phase": three_phase}
        schedule = optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=4, **settings)
        ends = [optimizer.lr]
        for _ in range(3):
            schedule.step()
            group = optimizer.param_groups[0]
            momentum = group["momentum"] if kind is optim.SGD else group["betas"][0]
            assert 0.85 <= momentum <= 0.95 and group.get("betas", (0, 0.999))[1:] == (0.999,)
        ends.append(optimizer.lr)
        assert pct_start == 0 or ends[0] == 2.0  # max_lr / div_factor
        assert ends[1] == pytest.approx(8.0) and momentum == pytest.approx(0.95)
        with pytest.raises(ValueError, match="over"):
            schedule.step()
    for setting, beyond in (("div_factor", 0), ("final_div_factor", 0), ("max_lr", 0), ("pct_start", -0.1),
                            ("pct_start", 1.1), ("base_momentum", 1.1), ("max_momentum", -0.1)):  # fmt: skip
        with pytest.raises(ValueError, match=setting):
            optim.lr_scheduler.OneCycleLR(optimizer, **{"max_lr": 1.0, "total_steps": 4, setting: beyond})


def test_steps_at_milestones():
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    schedule = optim.lr_scheduler.MultiStepLR(optimizer, [3, 0, 1], gamma=0.5)
    assert [schedule.rate(k) for k in range(5)] == [0.5, 0.25, 0.25, 0.125, 0.125]
    with pytest.raises(ValueError, match="milestones"):
        optim.lr_scheduler.MultiStepLR(optimizer, [-1])


@pytest.mark.parametrize("to_none", [None, True, False])
def test_gradients_are_forgotten_or_0(to_none):
    with_one, without = nn.Parameter([1.0, 2.0]), nn.Parameter([1.0])
    with_one.grad = np.ones(2, np.float32)
    optim.SGD([with_one, without]).zero_grad(*[] if to_none is None else [to_none])
    assert without.grad is None
    assert with_one.grad is None if to_none is not False else with_one.grad.tolist() == [0, 0]


def test_a_cosine_above_its_least_rate():
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    half = [1.0, 0.625, 0.25]  # from 1 down to 1/4
    assert [optim.CosineLR(optimizer, 2, eta_min=0.25).rate(k) for k in range(3)] == pytest.approx(half)
    again = optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2, eta_min=0.25)
    assert [again.rate(k) for k in range(6)] == pytest.approx(half[:2] * 3)


def test_one_schedule_after_the_other_leaves_them_as_they_were():
    optimizer = optim.SGD([{"params": [nn.Parameter([1.0])], "lr": rate} for rate in (1.0, 3.0)], lr=1.0)
    several = [optim.StepLR(optimizer, 1, 0.5), optim.StepLR(optimizer, 1, 0.25)]
    schedule = optim.lr_scheduler.SequentialLR(optimizer, several, [2])
    for rates in ([1.0, 3.0], [0.5, 1.5], [1.0, 3.0], [0.25, 0.75]):
        assert schedule.get_last_lr() == rates and [s.base_lr for s in (schedule, *several)] == [1.0] * 3
        schedule.step()
