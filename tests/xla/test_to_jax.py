"""``ac.to_jax``: a function of autoconv among JAX's, with the recorded sweep as its gradient."""

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn

jax = pytest.importorskip("jax", reason="JAX is not installed; make test-xla has it")
jnp = jax.numpy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 8, 8, 1)).astype(np.float32)
LABELS = np.array([0, 1, 2, 4])
MODEL = nn.Sequential(nn.Conv2d(1, 3, 3, rng=0), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 5, rng=0))


def loss(x, labels):
    return ac.losses.cross_entropy(MODEL(x), labels)


def test_value_and_gradient_alone_and_under_jit():
    t = ac.tensor(X)
    expected = loss(t, LABELS)
    expected.backward()
    f = ac.to_jax(loss)
    for make in (lambda g: g, jax.jit):
        np.testing.assert_allclose(make(f)(X, LABELS), expected.value, rtol=1e-6)
        value, slope = make(jax.value_and_grad(f))(jnp.asarray(X), LABELS)
        assert value.dtype == slope.dtype == jnp.float32
        np.testing.assert_allclose(slope, t.grad, rtol=1e-4, atol=1e-7)


def test_parameters_as_arguments():
    f = ac.to_jax(lambda p, x: {"scores": x @ p["w"] + p["b"], "kept": (p["b"] * 2, "a word")})
    p = {"w": jnp.ones((3, 2)), "b": jnp.arange(2.0)}
    made = f(p, np.ones((4, 3), np.float32))
    assert made["scores"].tolist() == [[3.0, 4.0]] * 4 and made["kept"][1] == "a word"
    slopes = jax.grad(lambda p: f(p, jnp.ones((4, 3)))["scores"].sum())(p)
    assert slopes["w"].tolist() == [[4.0, 4.0]] * 3 and slopes["b"].tolist() == [4.0, 4.0]


def test_vmap_shard_map_and_gradients_of_gradients():
    several = jax.vmap(ac.to_jax(lambda x: MODEL(x)))(jnp.stack([X, 2 * X]))
    np.testing.assert_allclose(several[1], MODEL(2 * X), rtol=1e-4, atol=1e-6)
    cube = ac.to_jax(lambda x: ac.sum(ac.maximum(x, 0.0) ** 3))
    assert jax.grad(lambda x: jax.grad(cube)(x).sum())(jnp.array([1.0, 2.0, -1.0])).tolist() == [6.0, 12.0, 0.0]
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("n",))
    spec = jax.sharding.PartitionSpec("n")
    parts = jax.shard_map(ac.to_jax(lambda x: x * 2), mesh=mesh, in_specs=spec, out_specs=spec)
    assert parts(jnp.arange(4.0)).tolist() == [0.0, 2.0, 4.0, 6.0]


def test_slopes_at_kinks_are_the_tables():
    """jnp.maximum gives half to each of two equal numbers; the pool's tournament all to the first."""
    pool = ac.to_jax(lambda x: ac.sum(ac.max_pool1d(x, 2)))
    assert jax.grad(pool)(jnp.array([[[1.0], [1.0]]])).ravel().tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("f", "says"),
    [
        (lambda x: x if float(ac.sum(x)) > 0 else -x, "looks at the numbers of sum"),
        (lambda x: ac.dropout(x, 0.5, training=True), "draws random numbers"),
        (nn.BatchNorm2d(1), "keeps running statistics"),
    ],
    ids=["a branch", "dropout", "running means"],
)
def test_what_is_no_function_of_its_arguments_is_refused(f, says):
    with pytest.raises(ValueError, match=f"to_jax: .* cannot become a function of JAX, because it {says}"):
        ac.to_jax(f)(X)
    with pytest.raises(TypeError, match="to_jax: 3 is not a function"):
        ac.to_jax(3)
