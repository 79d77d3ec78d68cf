"""300 random nets on XLA: values and gradients as eager has them."""

import numpy as np
import pytest
from helpers.random_nets import in_dtype, random_net

import autoconv as ac

jax = pytest.importorskip("jax", reason="JAX is not installed; make test-xla has it")


def gradients(f, parameters, x, labels, dtype):
    """(value, gradients) by the tape, the parameters and the input in a dtype."""
    in_dtype(parameters, dtype)
    given = ac.tensor(x.astype(dtype))
    y = f(given, labels)
    return y.value, ac.sweep(y, [*parameters, given])


@pytest.mark.quick(20)
@pytest.mark.parametrize("seed", range(300))
def test_random_net(seed):
    """In float32 to 1e-5, or to twice what the tape itself is away from float64 where a net amplifies its rounding."""
    f, parameters, shape = random_net(seed)
    dtype, near = (np.float32, 1e-5) if seed % 3 == 0 else (np.float64, 1e-10)
    rng = np.random.default_rng(seed)
    x, labels = rng.normal(size=(4, *shape)), rng.integers(0, 3, 4)
    _, exact = gradients(f, parameters, x, labels, np.float64)
    value, expected = gradients(f, parameters, x, labels, dtype)
    program = ac.compile(f, backend="xla")
    found_value, found = program.value_and_grad(x.astype(dtype), labels, wrt=parameters)
    assert program.plan.splitlines()[0].count("XLA (JAX")
    np.testing.assert_allclose(found_value, value, rtol=near)
    for g, slope, true in zip(found, expected, exact, strict=False):
        scale = max(1e-3, float(np.abs(slope).max(initial=0)))
        rounding = 2 * float(np.abs(slope - true).max(initial=0)) if dtype == np.float32 else 0
        np.testing.assert_allclose(g, slope, rtol=near, atol=near * scale + rounding)
