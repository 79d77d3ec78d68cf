"""Rewrites make programs that are well-formed, line by line, and leave out what changes nothing."""

import numpy as np
import pytest
from helpers.plans import agree, numbers, recorded
from helpers.random_nets import swept

import autoconv as ac
from autoconv.plan.rewrite.factor_sums import factor_sums
from autoconv.primitives import TABLE
from autoconv.program.program import Line, Program, from_tape
from autoconv.program.rewrite import drop, fold, hoist, share, simplify, skip
from autoconv.program.slope_of_result import slope_of_result

NOTHING = {  # of x (2, 3): lines that change nothing
    "identity": lambda x: TABLE["identity"](x),
    "stop_gradient": lambda x: ac.stop_gradient(x),
    "reshape": lambda x: TABLE["reshape"](x, shape=(2, 3)),
    "broadcast_to": lambda x: TABLE["broadcast_to"](x, shape=(2, 3)),
    "sum_to": lambda x: TABLE["sum_to"](x, shape=(2, 3)),
    "permute_dims": lambda x: TABLE["permute_dims"](x, axes=(0, 1)),
    "cast": lambda x: TABLE["cast"](x, dtype=np.dtype(np.float64)),
    "sum": lambda x: TABLE["sum"](x, axis=()),
}
SOMETHING = {  # lines that do
    "reshape": lambda x: TABLE["reshape"](x, shape=(3, 2)),
    "broadcast_to": lambda x: TABLE["broadcast_to"](x, shape=(1, 2, 3)),
    "sum_to": lambda x: TABLE["sum_to"](x, shape=(1, 3)),
    "permute_dims": lambda x: TABLE["permute_dims"](x, axes=(1, 0)),
    "cast": lambda x: TABLE["cast"](x, dtype=np.dtype(np.float32)),
    "sum": lambda x: TABLE["sum"](x, axis=(0,)),
    "flip": lambda x: TABLE["flip"](x, axis=(0,)),
}


def rows(program):
    return [line.primitive.name for line in program.lines if line.primitive is not None]


@pytest.mark.parametrize("name", NOTHING)
def test_a_line_that_changes_nothing_is_skipped(name):
    program = recorded(lambda x: NOTHING[name](x), [numbers(2, 3)])
    assert rows(program)[0] == name and name not in rows(skip(program))


@pytest.mark.parametrize("name", SOMETHING)
def test_a_line_that_changes_something_is_not(name):
    program = recorded(lambda x: SOMETHING[name](x), [numbers(2, 3)])
    assert rows(program)[0] == name and name in rows(skip(program))


def twice(y):
    return y + y


def well_formed(program, arguments):
    """Every line has the shape and dtype of its numbers, and arithmetic is of operands of its shape; the outputs."""
    values = []
    for line in program.lines:
        if line.primitive is None:
            given = line.value if line.tensor is None else line.tensor.value
            value = arguments[line.argument] if line.argument is not None else given
        else:
            value = np.asarray(line.primitive.forward(*[values[x] for x in line.operands], **line.params))
            if line.primitive.group == "arithmetic":
                assert {program.lines[x].shape for x in line.operands} == {line.shape}
        assert value.shape == line.shape and value.dtype == line.dtype, line
        values.append(value)
    assert all(values[x] == 0 for x in program.checks)
    return [values[x] for x in program.outputs]


EVERY = (0, 1)
REPEATED = {  # of x (4, 3, 2), c (2,), d (4, 1, 1): numbers that are repeated before or after arithmetic
    "of two": lambda x, c, d: x * (ac.broadcast_to(c, x.shape) * ac.broadcast_to(c + 1, x.shape)),
    "of different axes": lambda x, c, d: x * (ac.broadcast_to(c, x.shape) - ac.broadcast_to(d, x.shape)),
    "a number": lambda x, c, d: 2.0 / ac.broadcast_to(c, x.shape) + 1.0,
    "a late factor": lambda x, c, d: ac.tanh(ac.sum(ac.tanh(x) * ac.sum(x * x, EVERY), EVERY)),
    "a late factor, kept": lambda x, c, d: ac.tanh(ac.sum(-(ac.tanh(x) / ac.sum(x * x, EVERY)), EVERY, keepdims=True)),
    "late factors": lambda x, c, d: ac.sum(twice(ac.tanh(x) * ac.sum(x, EVERY) / ac.sum(x * x, (0, 2), True)), 0),
    "late factors, a sum between": lambda x, c, d: ac.sum(
        (ac.tanh(x) * ac.sum(x, EVERY) + x) * ac.sum(x * x, EVERY), EVERY
    ),
    "a difference": lambda x, c, d: ac.tanh(ac.sum(ac.tanh(x) - ac.sum(x, EVERY), EVERY)),
    "a power": lambda x, c, d: ac.tanh(ac.sum(ac.exp(x) ** ac.tanh(ac.sum(x, EVERY)), EVERY)),
    "batch norm": lambda x, c, d: ac.batch_norm(ac.tanh(x), c, c) ** 3 * d,
    "constants": lambda x, c, d: x * ac.exp(ac.tensor(1.5)) + ac.sum(ac.tensor(np.ones((4, 3, 2))), axis=0),
    "twice the same": lambda x, c, d: ac.exp(x[1:] * c) * ac.exp(x[1:] * c) + ac.exp(x[:-1] * c),
}
PASSES = {
    "drop": drop, "skip": skip, "fold": fold, "share": share, "simplify": simplify, "hoist": hoist,
    "slopes": slope_of_result, "factors": factor_sums,
    "all": lambda program: simplify(factor_sums(hoist(slope_of_result(simplify(program))))),
}  # fmt: skip


@pytest.mark.parametrize("rewrite", PASSES)
@pytest.mark.parametrize("name", REPEATED)
def test_what_a_pass_makes_is_a_program_line_by_line(name, rewrite):
    f = REPEATED[name]
    given = [numbers(4, 3, 2), numbers(2) + 3, numbers(4, 1, 1)]
    program = recorded(lambda *a: ac.sum(f(*a) * 0.5), given)
    expected = well_formed(program, given)
    for got, wanted in zip(well_formed(PASSES[rewrite](program), given), expected, strict=True):
        agree(got, wanted)


def scaled(x):
    """A sum over the examples of a product whose factor is there when all of them have been passed over."""
    return ac.sum(ac.tanh(x) * ac.sum(x * x, axis=0), axis=0)


SUMS = {  # of x (4, 3): whether the factor is taken out of the sum
    "a result": (scaled, False),
    "a result, shaped": (lambda x: ac.reshape(scaled(x), (3, 1)), False),
    "a result, shaped twice": (lambda x: ac.reshape(ac.reshape(scaled(x), (3, 1)) * 1.0, (1, 3)), True),
    "read": (lambda x: ac.tanh(scaled(x)), True),
    "read, and shaped": (lambda x: ac.tanh(ac.reshape(scaled(x), (3, 1))), True),
    "of whole numbers": (lambda x: (lambda y: ac.sum(y * ac.sum(y, 0), 0) * 0.5)(ac.where(x > 0, 1, 2)), False),
    "of a factor of each example": (lambda x: ac.tanh(ac.sum(x * ac.sum(x, axis=1, keepdims=True), axis=0)), False),
    "of a product with weights": (lambda x: ac.tanh(ac.sum(ac.tanh(x) * (np.ones(4) @ x), axis=0)), True),
    "of a product over channels": (lambda x: ac.tanh(ac.sum(ac.tanh(x) * (x @ np.ones((3, 1))), axis=0)), False),
    "along another axis": (lambda x: ac.tanh(ac.sum(ac.tanh(x) * ac.sum(x * x, axis=0), axis=1)), False),
}  # fmt: skip


@pytest.mark.parametrize("name", SUMS)
def test_when_a_factor_is_taken_out_of_a_sum(name):
    f, taken = SUMS[name]
    x = numbers(4, 3)
    program = simplify(swept(f, [x], []))
    assert bool(factor_sums(program).checks) == taken
    for got, wanted in zip(well_formed(factor_sums(program), [x]), well_formed(program, [x]), strict=True):
        agree(got, wanted)


A = np.arange(1.0, 4.0)
EQUAL = {  # two constants, whether they are one afterwards
    "the same array": (A, A, True),
    "the same numbers": (A, A.copy(), True),
    "other numbers": (A, A + 1, False),
    "in another shape": (A, A.reshape(1, 3), False),
    "in another dtype": (A, A.astype(np.float32), False),
    "one number repeated": (np.broadcast_to(2.0, 3), np.broadcast_to(2.0, 3), True),
    "another number repeated": (np.broadcast_to(2.0, 3), np.broadcast_to(3.0, 3), False),
    "zeros of another sign": (np.broadcast_to(0.0, 3), np.broadcast_to(-0.0, 3), False),
    "not a number": (np.array([np.nan, 1.0]), np.array([np.nan, 1.0]), True),
    "nothing": (np.ones(0), np.ones(0), True),
    "whole numbers": (np.arange(3), np.arange(3), True),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_constants_are_one(name):
    a, b, one = EQUAL[name]
    lines = [Line(x.shape, x.dtype, value=x) for x in (a, b)]
    program = share(Program(lines, [0, 1]))
    assert len(program.lines) == (1 if one else 2)
    for i, x in zip(program.outputs, (a, b), strict=True):
        np.testing.assert_array_equal(program.lines[i].value, x)
        assert np.array_equal(np.signbit(program.lines[i].value), np.signbit(x))


CALLS = {  # lines of x (2, 3), and how many are left of two
    "the same": (lambda x: (ac.exp(x), ac.exp(x)), 1),
    "other rows": (lambda x: (ac.exp(x), ac.tanh(x)), 2),
    "the same params": (lambda x: (x[:, 1:], x[:, 1:]), 1),
    "other params": (lambda x: (x[:, 1:], x[:, :-1]), 2),
    "another step": (lambda x: (x[:, ::2], x[:, ::1]), 2),
    "other axes": (lambda x: (ac.flip(x, 0), ac.flip(x, 1)), 2),
    "whole and true": (lambda x: (ac.sum(x, 0, keepdims=True), ac.sum(x, 0, keepdims=False)), 2),
    "operands exchanged": (lambda x: (TABLE["sub"](x, ac.flip(x, 0)), TABLE["sub"](ac.flip(x, 0), x)), 3),
    "other numbers": (lambda x: tuple(TABLE["slope"](x, x, x, less=0.0, tie=t, more=1.0) for t in (0.0, 0.5)), 2),
    "the same numbers": (lambda x: tuple(TABLE["slope"](x, x, x, less=0.0, tie=0.5, more=1.0) for _ in (1, 2)), 1),
    "of shared operands": (lambda x: (ac.tanh(ac.exp(x)), ac.tanh(ac.exp(x))), 2),
}


@pytest.mark.parametrize("name", CALLS)
def test_equal_lines_are_one(name):
    f, left = CALLS[name]
    start = ac.tensor(0).serial
    x = ac.tensor(numbers(2, 3))
    program = share(from_tape(list(f(x)), [x], start))
    assert len(rows(program)) == left
    for got, wanted in zip(well_formed(program, [x.value]), f(x.value), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_what_depends_on_constants_alone_is_computed_when_planning():
    f = lambda x: x * ac.exp(ac.tensor(A)) + ac.sum(ac.tensor(A) * 2.0)
    program = recorded(f, [numbers(2, 3)])
    assert {"exp", "sum"} <= set(rows(program)) and not {"exp", "sum"} & set(rows(fold(program)))


@pytest.mark.parametrize(
    ("numbers_of_it", "one"),
    [
        ([3.0] * 6, True),
        ([0.0] * 6, True),
        ([np.nan] * 6, True),
        ([3.0] * 5 + [4.0], False),
        ([0.0] * 5 + [-0.0], False),
    ],
)
def test_a_folded_constant_of_one_number_takes_no_room(numbers_of_it, one):
    b = np.reshape(numbers_of_it, (2, 3))
    negated = Line((2, 3), b.dtype, TABLE["neg"], (0,))
    folded = fold(Program([Line((2, 3), b.dtype, value=b), negated], [1])).lines[-1].value
    assert (not any(folded.strides)) == one
    np.testing.assert_array_equal(np.copysign(1, folded), -np.copysign(1, b))
