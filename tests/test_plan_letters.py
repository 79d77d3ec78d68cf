"""Contractions whose letters stand in any order, in operands and result, with sizes of 1 among them."""

import numpy as np
import pytest
from helpers.random_nets import native

import autoconv as ac


def contraction(seed):
    """(spec, sizes, whether the second operand is a parameter): letters that both operands have, or one of them, that
    are summed or not; each operand and the result shuffled.  n is the letter of the examples."""
    rng = np.random.default_rng(seed)
    kinds = {
        c: str(rng.choice(["both", "first", "second", "summed"], p=[0.2, 0.25, 0.35, 0.2]))
        for c in "abcdef"[: rng.integers(2, 7)]
    }
    parameter = bool(rng.integers(2))
    kinds["n"] = str(rng.choice(["first"] if parameter else ["both", "summed"]))
    shuffled = lambda *of: "".join(rng.permutation([c for c, kind in kinds.items() if kind in of]))
    first, second = shuffled("both", "first", "summed"), shuffled("both", "second", "summed")
    sizes = {c: int(rng.choice([1, 2, 3, 9], p=[0.15, 0.4, 0.35, 0.1])) for c in kinds}
    return f"{first},{second}->{shuffled('both', 'first', 'second')}", sizes | {"n": 3}, parameter


@native
@pytest.mark.parametrize("lanes", ["channels", "examples", ""])
@pytest.mark.parametrize("seed", range(200))
def test_letters_in_any_order(seed, lanes, monkeypatch):
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    spec, sizes, parameter = contraction(seed)
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(size=[sizes[c] for c in letters]) for letters in spec.split("->")[0].split(","))
    made = ac.tanh if seed % 2 else lambda a: a  # an operand is an argument, or computed
    loss = lambda a, b: ac.sum(ac.tanh(ac.einsum(spec, made(a), made(b))) ** 2)
    given = ac.tensor(y)
    if parameter:  # the gradient of the arguments in one run, that of the parameter in another
        f = lambda a: loss(a, given)
        value, (of_x,) = ac.compile(f).value_and_grad(x, wrt=(0,))
        (of_y,) = ac.compile(f).value_and_grad(x, wrt=[given])[1]
    else:
        value, (of_x, of_y) = ac.compile(loss).value_and_grad(x, y, wrt=(0, 1))

    first, rest = spec.split(",")
    second, result = rest.split("->")
    bent = np.tanh if seed % 2 else lambda a: a
    slope = (lambda a: 1 - np.tanh(a) ** 2) if seed % 2 else np.ones_like
    z = np.tanh(np.einsum(spec, bent(x), bent(y)))
    back = 2 * z * (1 - z * z)
    np.testing.assert_allclose(value, (z * z).sum(), rtol=1e-11)
    for got, of, own, other, letters in zip(
        (of_x, of_y), (x, y), (first, second), (y, x), (second, first), strict=True
    ):
        wanted = np.einsum(f"{result},{letters}->{own}", back, bent(other)) * slope(of)
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-11)


@native
@pytest.mark.parametrize("examples", [1, 3])
@pytest.mark.parametrize(("b", "c", "d"), [(2, 1, 2), (2, 3, 3), (3, 2, 3), (3, 3, 9)])
def test_a_gradient_with_the_letters_of_its_operand_turned(examples, b, c, d):
    """x_bar[n,b,c,d] = g[n,c] w[n,d,b]: the vectors of w are read in the order of the result, which is not w's own."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(examples, b, c, d)), rng.normal(size=(examples, d, b))
    loss = lambda x, w: ac.sum(ac.tanh(ac.einsum("nbcd,ndb->nc", x, w)))
    _, (found,) = ac.compile(loss).value_and_grad(x, w, wrt=(0,))
    slope = 1 - np.tanh(np.einsum("nbcd,ndb->nc", x, w)) ** 2
    np.testing.assert_allclose(found, np.einsum("nc,ndb->nbcd", slope, w), rtol=1e-11, atol=1e-13)
