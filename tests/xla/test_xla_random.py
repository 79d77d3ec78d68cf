"""300 random nets on XLA: values and gradients as eager has them."""

import numpy as np
import pytest
from helpers.random_nets import in_dtype, random_net

import autoconv as ac

jax = pytest.importorskip("jax", reason="JAX is not installed; make test-xla has it")


@pytest.mark.quick(20)
@pytest.mark.parametrize("seed", range(300))
def test_random_net(seed):
    f, parameters, shape = random_net(seed)
    dtype, near = (np.float32, 1e-5) if seed % 3 == 0 else (np.float64, 1e-10)
    in_dtype(parameters, dtype)
    rng = np.random.default_rng(seed)
    x, labels = rng.normal(size=(4, *shape)).astype(dtype), rng.integers(0, 3, 4)
    given = ac.tensor(x)
    y = f(given, labels)
    expected = ac.sweep(y, [*parameters, given])
    program = ac.compile(f, backend="xla")
    value, found = program.value_and_grad(x, labels, wrt=parameters)
    assert program.plan.splitlines()[0].count("XLA (JAX")
    np.testing.assert_allclose(value, y.value, rtol=near)
    for g, slope in zip(found, expected, strict=False):
        scale = max(1e-3, float(np.abs(slope).max(initial=0)))
        np.testing.assert_allclose(g, slope, rtol=near, atol=near * scale)
