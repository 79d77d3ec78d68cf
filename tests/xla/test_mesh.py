"""Eight simulated devices: the numbers of one, whatever is cut; and what is said of devices that are not there."""

import numpy as np
import pytest
from helpers import trained_apart

import autoconv as ac

pytest.importorskip("jax", reason="JAX is not installed; make test-xla has it")

EIGHT = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}

# in one process: each setting's weights and losses, by name
CODE = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np
from helpers.trained_apart import trained
made = {{}}
for name, settings in {cases!r}.items():
    weights, numbers = trained(backend="xla", **settings)
    made |= {{f"{{name}}/numbers": numbers}} | {{f"{{name}}/{{k}}": x for k, x in weights.items()}}
np.savez("made.npz", **made)
"""
CASES = {
    "eight": {"devices": 8},
    "three": {"devices": 3, "rows": True},
    "shared": {"devices": (4, 2), "shard": {"6.*": 0, "0.weight": -1}},
    "accumulated": {"devices": 8, "batch_size": 12, "accumulate": 2},
}


def test_the_numbers_are_those_of_one_device(run_python, tmp_path):
    """Batch norm, dropout, uneven last batches (24 of 86 examples: 24, 24, 24, 14), held-out data, parameters cut."""
    code = CODE.format(tests=str(trained_apart.__file__).rpartition("helpers")[0], cases=CASES)
    run_python("-c", code, cwd=tmp_path, **EIGHT)
    made = dict(np.load(tmp_path / "made.npz"))
    for name, settings in CASES.items():
        plain = {k: v for k, v in settings.items() if k in ("batch_size", "accumulate")}
        weights, numbers = trained_apart.trained(backend="numpy", **plain)
        np.testing.assert_allclose(made[f"{name}/numbers"], numbers, atol=1e-5, err_msg=name)
        for key, value in weights.items():
            np.testing.assert_allclose(made[f"{name}/{key}"], value, atol=1e-5, err_msg=f"{name}: {key}")


def test_accumulated_batches_are_one_batch():
    """Without batch norm and dropout, k batches make the step of one that is k times as large."""
    x, y = trained_apart.data()
    trained = []
    for settings in ({"batch_size": 30}, {"batch_size": 10, "accumulate": 3}):
        model = ac.nn.Sequential(ac.nn.Flatten(), ac.nn.Linear(128, 3, rng=1))
        optimizer = ac.optim.Adam(model.parameters(), lr=0.01)
        ac.train.fit(model, (x, y), epochs=2, optimizer=optimizer, rng=0, progress=False, **settings)
        trained.append(model[1].weight.value)
    np.testing.assert_allclose(trained[0], trained[1], atol=1e-6)


def test_compiled_functions_on_a_mesh(run_python):
    code = """
import jax, numpy as np, autoconv as ac
x, w = np.arange(24.0).reshape(8, 3), ac.nn.Parameter(np.ones((3, 4)), name="w", dtype=float)
f = lambda x: ac.sum(ac.tanh(x @ w / 9))
grid = jax.sharding.Mesh(np.array(jax.devices()).reshape(2, 4), ("a", "b"))
for mesh in (8, (4, 2), (1, 2), jax.devices()[:4], grid):
    program = ac.compile(f, backend="xla", mesh=mesh, shard={"w": 1} if not isinstance(mesh, list) else None)
    loss, gradients = program.value_and_grad(x)
    expected, theirs = ac.compile(f).value_and_grad(x)
    assert abs(loss - expected) < 1e-12 and np.allclose(gradients[0], theirs[0], atol=1e-12)
    assert "devices" in program.plan
def refused(call):
    try: call()
    except (ValueError, TypeError) as error: print(type(error).__name__, error)
refused(lambda: ac.compile(f, backend="xla", mesh=9))
refused(lambda: ac.compile(f, backend="xla", mesh="all"))
refused(lambda: ac.compile(f, backend="numpy", mesh=2))
refused(lambda: ac.compile(f, backend="xla", mesh=8, shard=["w"]))
refused(lambda: ac.compile(f, backend="xla", mesh=(2, 4), shard={"w": 0})(x))
model = ac.nn.Sequential(ac.nn.Linear(3, 2, rng=0))
sgd = ac.optim.SGD(model.parameters())
fit = lambda **k: ac.train.fit(model, (x, x[:, :2]), loss=ac.losses.mse, epochs=1, optimizer=sgd, **k)
refused(lambda: fit(devices=2))
refused(lambda: fit(backend="xla", devices=(1, 2), shard={"conv*": 0}))
refused(lambda: fit(accumulate=0))
"""
    says = run_python("-c", code, **EIGHT).splitlines()
    starts = [
        "ValueError compile: 9 devices were asked for, there are 8; XLA_FLAGS",
        "TypeError compile: devices must be a number, a pair",
        "ValueError compile: a mesh of devices is for backend='xla', found backend='numpy'",
        "TypeError compile: shard must be a dict of patterns",
        "ValueError shard: axis 0 of w has 3 cells (shape (3, 4)), which 4 devices cannot share evenly",
        "ValueError fit: devices and shard are for backend='xla', found backend='native'",
        "ValueError fit: shard: 'conv*' is the name of no parameter; there are 0.weight, 0.bias",
        "ValueError fit: accumulate",
    ]
    assert len(says) == len(starts)
    for line, start in zip(says, starts, strict=True):
        assert line.startswith(start)


def test_a_loss_that_is_not_finite_leaves_the_last_good_weights(run_python):
    code = """
import numpy as np, autoconv as ac
from autoconv import nn, optim, train
x = np.ones((16, 3), np.float32); x[12:] = np.inf
for settings in ({"backend": "numpy"}, {"backend": "xla", "devices": 4}):
    model = nn.Sequential(nn.Linear(3, 2, rng=0))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    batches = [(x[k : k + 4], np.zeros(4, int)) for k in (0, 4, 8, 12)]
    try: train.fit(model, batches, epochs=1, optimizer=optimizer, progress=False, **settings)
    except train.TrainingError as error: print(str(error)[:30], model[0].bias.value.round(4).tolist())
"""
    first, second = run_python("-c", code, **EIGHT).splitlines()
    assert first == second and first.startswith("the loss is nan in epoch 1. Th")
