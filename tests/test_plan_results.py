"""Lines that are results and are read as well, labels of other kinds, and axes that are as long as the batch."""

from collections import Counter

import numpy as np
import pytest
from helpers.moves import MOVES, ORDERS
from helpers.plans import LANES, agree, numbers, plan
from helpers.random_nets import native

import autoconv as ac
from autoconv.plan.run import native_run
from autoconv.primitives import TABLE
from autoconv.program.numpy_run import NumpyRun
from autoconv.program.program import from_tape
from autoconv.program.rewrite import simplify

W, B = ac.tensor(numbers(4, 3, seed=4)), ac.tensor(numbers(3, seed=5))


def several(f, arguments, lanes):
    """The plan of a function with several results, after a run with the numbers of NumPy."""
    start = ac.tensor(0).serial
    lines = [ac.tensor(x) for x in arguments]
    program = simplify(from_tape(list(f(*lines)), lines, start))
    with pytest.MonkeyPatch.context() as at:
        at.setenv("AUTOCONV_LANES", lanes)
        planned = native_run.plan(program, arguments)
    for got, wanted in zip(planned.run(arguments), NumpyRun(program).run(arguments), strict=True):
        agree(got, wanted)
    return planned.native


def frames(y):
    """(n, 4) as frames (n, 3, 2, 1)"""
    return ac.einsum("ni,pki->npk", y, ac.tensor(numbers(3, 2, 4, seed=8)))[..., None]


def laid(y):
    return TABLE["overlap_add"](y, axes=(1,), size=(4,), stride=(1,), dilation=(1,))


def then(first, *others):
    """x -> (first(x), and what is made of that)"""
    return lambda x: (lambda y: (y, *[f(y) for f in others]))(first(x))


RESULTS = {
    "a product, with a bias": then(lambda x: x @ W, lambda y: y + B),
    "a product, with a relu": then(lambda x: x @ W, ac.relu),
    "a biased product, with a relu": then(lambda x: x @ W + B, ac.relu),
    "a product, shaped": then(lambda x: x @ W, lambda y: ac.reshape(y, (-1, 3, 1)) * 2),
    "a product, only shaped": then(lambda x: x @ W, lambda y: ac.reshape(y, (-1, 3, 1))),
    "frames, and what they are laid to": then(frames, laid),
    "what is laid, and cut": then(
        lambda x: laid(frames(x)), lambda y: TABLE["crop"](y, width=((0, 0), (1, 1), (0, 0))) * 2
    ),
    "what is laid, cut, and read": lambda x: then(
        lambda x: laid(frames(x)), lambda y: TABLE["crop"](y, width=((0, 0), (1, 1), (0, 0))) * 2, ac.tanh
    )(x)[1:],
    "what is laid, and cut alone": lambda x: (TABLE["crop"](laid(frames(x)), width=((0, 0), (1, 1), (0, 0))) * 2,),
    "one row, and its picks": then(
        lambda x: ac.reshape(ac.tanh(x), -1), lambda y: ac.take(y, np.arange(3) * 4, axis=0)
    ),
    "a sum, and what reads it": then(lambda x: ac.sum(ac.tanh(x), axis=0), lambda y: y * 2 + B[0]),
    "a movement, and what reads it": then(lambda x: ac.flip(ac.tanh(x), 1), ac.exp),
    "the argument, and what reads it": then(lambda x: x, ac.exp),
}


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("examples", [1, 3, 11])
@pytest.mark.parametrize("name", RESULTS)
def test_a_result_that_is_read(name, examples, lanes):
    if name == "one row, and its picks" and examples != 3:
        pytest.skip("picks three examples")
    several(RESULTS[name], [numbers(examples, 4)], lanes)


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("name", MOVES)
def test_as_many_positions_as_examples(name, at, lanes):
    """Which of two axes of one length counts the examples is not seen from the shapes."""
    move = MOVES[name][0]
    plan(lambda x: ac.sum(ac.tanh(move(ac.permute_dims(ac.tanh(x), ORDERS[at]))) ** 2), [numbers(4, 4, 3, 2)], lanes)


SQUARES = {  # of x (4, 4)
    "itself, turned": lambda x: x * ac.permute_dims(ac.tanh(x), (1, 0)),
    "late, and turned": lambda x: x * ac.sum(x * x, axis=0) + ac.permute_dims(ac.tanh(x), (1, 0)),
    "with itself": lambda x: ac.tanh(x) @ ac.tanh(x),
    "a column, a row": lambda x: x[:, :1] * x[:1],
    "sums of both": lambda x: x - ac.sum(x, axis=0) * ac.sum(x, axis=1, keepdims=True),
    "cut and set": lambda x: ac.pad(x[:, 1:3], ((0, 0), (1, 1))) + x,
    "cut and set above": lambda x: ac.pad(x[1:3], ((1, 1), (0, 0))) + x,
    "with weights of that length": lambda x: x @ W[:, :1] + W[:, 0],
}


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", SQUARES)
def test_squares(name, lanes):
    plan(lambda x: ac.sum(ac.tanh(SQUARES[name](ac.tanh(x))) ** 2), [numbers(4, 4)], lanes, [W])


PICKS = {  # of x (n, 4), places t (n,) below 4
    "of each row": lambda x, t: ac.take(ac.tanh(x), t, axis=1),
    "of rows": lambda x, t: ac.take(ac.reshape(ac.tanh(x), (-1, 2)), t % 2, axis=0),
    "of weights": lambda x, t: x[:, :3] * ac.take(W, t, axis=0),
    "narrow places": lambda x, t: ac.take(ac.reshape(ac.tanh(x), -1), t.astype(np.int32), axis=0),
    "as a loss": lambda x, t: ac.losses.cross_entropy(ac.tanh(x), t, reduction="none"),
    "one for all": lambda x, t: ac.tanh(x)[:, 3] * 2,
}


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("examples", [1, 2, 5])
@pytest.mark.parametrize("name", PICKS)
def test_places_that_are_given(name, examples, lanes):
    t = np.random.default_rng(1).integers(0, 4, examples)
    t = t.astype(np.int32) if name == "narrow places" else t
    beyond = None if name == "narrow places" else False
    plan(lambda x, t: ac.sum(PICKS[name](x, t) ** 2), [numbers(examples, 4), t], lanes, [W], beyond)


@native
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("examples", [1, 5])
def test_what_is_the_same_for_every_example_is_not_loaded(examples, lanes):
    """Only the argument is, and it once."""
    row, column = np.arange(1.0, 5.0), ac.tensor(numbers(4))
    made = plan(lambda x: ac.sum(ac.tanh(x * row + column) * row * x), [numbers(examples, 4)], lanes)
    loads = Counter(type(one).__name__ for kernel in made.kernels for one in kernel.instructions)["Load"]
    assert loads == 1 and len(made.kernels) == 1
