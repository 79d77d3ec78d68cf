"""Programs as StableHLO: what a process without autoconv computes from the file, and what no file can hold."""

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn, optim

pytest.importorskip("jax", reason="JAX is not installed; make test-xla has it")

# the loader of the README, in a process that cannot import autoconv
ALONE = """
import sys
sys.modules["autoconv"] = None
import jax
import numpy as np
call = jax.export.deserialize(bytearray(open("net.stablehlo", "rb").read())).call
state = dict(np.load("net.npz"))
given = np.load("given.npz")
inputs = [given[f"arr_{k}"] for k in range(len(given.files))]
"""


def fresh(run_python, folder, inputs, code):
    """What a process without autoconv makes of the file, as arrays."""
    np.savez(folder / "given.npz", *inputs)
    run_python("-c", ALONE + code + "\nnp.savez('made.npz', **made)", cwd=folder, PYTHONPATH="", JAX_PLATFORMS="cpu")
    return dict(np.load(folder / "made.npz"))


def net():
    rng = np.random.default_rng(4)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, rng=rng),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(27, 4, rng=rng),
    )


X = np.random.default_rng(0).normal(size=(5, 8, 8, 1)).astype(np.float32)
Y = np.array([0, 1, 2, 3, 1])


def test_a_model_in_evaluation_mode(run_python, tmp_path):
    model = net().eval()
    model[1].running_mean = np.array([0.1, -0.2, 0.3], np.float32)
    program = ac.compile(lambda x: {"logits": model(x), "shape": 3}, backend="xla")
    expected = program(X)["logits"]
    program.export(tmp_path / "net.stablehlo")
    made = fresh(run_python, tmp_path, [X], "made = {'y': call(state, *inputs)['logits']}")
    np.testing.assert_allclose(made["y"], expected, atol=1e-5)
    np.testing.assert_allclose(made["y"], model(X).value, atol=1e-5)


def test_gradients_by_name(run_python, tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4, rng=1))
    program = ac.compile(lambda x, y: ac.losses.cross_entropy(model(x), y))  # whatever runs it here
    loss, gradients = program.value_and_grad(X, Y)
    program.export(str(tmp_path / "net.stablehlo"), platforms=("cpu",))
    code = "loss, gradients = call(state, *inputs)\nmade = {'loss': loss, **gradients}"
    made = fresh(run_python, tmp_path, [X, Y], code)
    np.testing.assert_allclose(made.pop("loss"), loss, atol=1e-6)
    names = [p.name for p in program.parameters]
    assert sorted(made) == sorted(names)
    for name, g in zip(names, gradients, strict=True):
        np.testing.assert_allclose(made[name], g, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, dampening=0.5, weight_decay=0.01),
        lambda ps: optim.AdamW(ps, lr=0.01, weight_decay=0.1),
        lambda ps: optim.RMSprop(ps, lr=0.01, momentum=0.5, centered=True),
        lambda ps: optim.Adagrad(ps, lr=0.1, lr_decay=0.1),
    ],
    ids=["sgd", "adamw", "rmsprop", "adagrad"],
)
def test_steps_go_on_where_they_were(make, run_python, tmp_path):
    """Two steps here, three more from the file: as five steps here."""
    trained = []
    for steps in (2, 5):
        model = nn.Sequential(nn.Conv2d(1, 3, 3, rng=2), nn.ReLU(), nn.Flatten(), nn.Linear(108, 4, rng=3))
        optimizer = make(model.parameters())
        program = ac.compile(lambda x, y, model=model: ac.losses.cross_entropy(model(x), y))
        losses = [program.step(optimizer, X, Y) for _ in range(steps)]
        trained.append((model, losses, program))
    trained[0][2].export(tmp_path / "net.stablehlo", platforms=["cpu", "cuda"])
    code = "for _ in range(3): loss, state = call(state, *inputs)\nmade = {'loss': loss, **state}"
    made = fresh(run_python, tmp_path, [X, Y], code)
    np.testing.assert_allclose(made["loss"], trained[1][1][-1], rtol=1e-4)
    assert made["step"] == 5
    for name, p in trained[1][0].named_parameters():
        np.testing.assert_allclose(made[name], p.value, atol=2e-5)


def refuse(function, says, *args):
    program = ac.compile(function)
    if args:
        program(*args)
    with pytest.raises(ValueError, match=says):
        program.export("never.stablehlo")


def test_what_no_file_can_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dropping, counts = nn.Dropout(0.5, rng=0), []
    refuse(lambda x: x * 2, "once: the shapes decide")
    refuse(lambda x: dropping(x), "draws random numbers", ac.tensor(X).value)
    refuse(lambda x: counts.append(1) or x * len(counts), "recorded anew each time, because", X)
    with pytest.raises(ValueError, match="no platform 'gpu'"):
        ac.compile(lambda x: x).export("never.stablehlo", platforms="gpu")
    model = net()
    program = ac.compile(lambda x, y: ac.losses.cross_entropy(model(x), y))
    program.step(optim.SGD(model.parameters(), lr=0.1), X, Y)
    with pytest.raises(ValueError, match="keeps running means"):
        program.export("never.stablehlo")
    assert not list(tmp_path.iterdir())
