"""A rewrite is exact, or guarded by bounds, or not done: compiled and eager agree at zeros, infinities and extremes."""

import itertools

import numpy as np
import pytest

import autoconv as ac
from autoconv.plan.extension import available
from autoconv.plan.run import native_run

native = pytest.mark.skipif(not available(), reason="the native machine is not built, or switched off")
f32 = np.float32


def twice(f, *arguments):
    """The second result of a compiled function: a replay."""
    program = ac.compile(f)
    with np.errstate(all="ignore"):
        program(*arguments)
        return program(*arguments)


# ---- factors of sums: the function, its arguments, and the right value

VALUES = {
    "0 / 0 beside 1 / 0": (
        lambda x, s: ac.tanh(ac.sum(x / s, axis=0)), [np.array([[1.0], [0.0]]), np.zeros(1)], np.nan),
    "0 times a sum that overflows": (
        lambda x, c: ac.tanh(ac.sum(x * c, axis=0)), [np.full((4, 1), 3e38, f32), np.zeros(1, f32)], 0.0),
    "a sum that overflows without its factor": (
        lambda x: ac.log(ac.sum(ac.exp(x) * f32(1e-38))), [np.full(4, 88.0, f32)], np.log(4e-38) + 88),
    "factors exchanged": (
        lambda a, b: ac.sqrt(ac.sum(a * f32(1e30) * b)), [np.full(4, 1e-30, f32), np.full(4, 1e-20, f32)], 2e-10),
    "a plain number": (
        lambda x: ac.tanh(ac.sum(x * 0.25) * 1e-308), [np.full(4, 1.7e308)], np.tanh(1.7)),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_a_sum_has_the_value_of_its_terms(name):
    f, arguments, right = VALUES[name]
    np.testing.assert_allclose(twice(f, *arguments), right, rtol=1e-5)


ANY_SIGN = np.array([-np.inf, -2.0, -1e-45, -0.0, 0.0, 1e-45, 2.0, np.inf, np.nan], f32)


@pytest.mark.parametrize("turn", [lambda x: x, lambda x: ac.permute_dims(x, (1, 0))], ids=["channels", "examples"])
def test_a_sign_is_that_of_numpy(turn):
    x = np.stack([ANY_SIGN] * 20)
    found = twice(lambda x: ac.sign(turn(x)), x)
    np.testing.assert_array_equal(found, np.sign(turn(x)))
    slope = ac.compile(lambda x: ac.sum(ac.abs(turn(x)))).value_and_grad(x, wrt=0)[1]
    np.testing.assert_array_equal(slope, np.where(x == x, np.sign(x), np.nan))


def waits(x):
    """Sums over the batch of a product whose factor is a sum over the batch: what ``factor_sums`` takes apart."""
    y = ac.tanh(x) * 1e-3 + x
    total = ac.sum(y * ac.sum(y * y, axis=0, keepdims=True), axis=0)
    return ac.tanh(ac.sum(y / ac.sum(y * y, axis=0), axis=0)) + total * 0.5


EXTREMES = [0.0, -0.0, 1.0, 1e-30, 1e-22, 1e-13, 1e12, 1e19, 3e38, -3e38, np.inf, np.nan, 1e-45]


@native
@pytest.mark.parametrize(("a", "b"), list(itertools.product(EXTREMES, repeat=2)))
def test_beyond_the_bounds_the_program_runs_as_it_was_written(a, b):
    x = np.array([[a, 1.0], [b, 2.0], [a, 3.0], [1.0, b]], f32)
    with np.errstate(all="ignore"):
        expected = waits(x)
    np.testing.assert_allclose(twice(waits, x), expected, rtol=1e-5, atol=1e-45)


@native
@pytest.mark.parametrize("scale", [1.0, 0.0, 1e-12, 1e-20, 1e19, 1e30])
def test_a_step_beyond_the_bounds_is_a_step_of_the_program_as_it_was_written(scale):
    """Parameters after three steps, the guard holding or not, against the eager steps."""

    def run(step):
        rng = np.random.default_rng(0)
        w = ac.tensor(rng.normal(size=(2, 3)).astype(f32))
        gain = ac.tensor(np.full(3, 1.0, f32))
        optimizer = ac.optim.SGD([w, gain], lr=0.1)
        f = lambda x: ac.sum(ac.tanh(ac.batch_norm(x @ w, gain, np.zeros(3, f32)))[:, 0] * scale)
        step(optimizer, f, (rng.normal(size=(16, 2)) * 3).astype(f32))
        return w.value, gain.value

    def compiled(optimizer, f, x):
        program = ac.compile(f)
        for _ in range(3):
            program.step(optimizer, x)

    def eager(optimizer, f, x):
        for _ in range(3):
            optimizer.step(ac.sweep(f(x), optimizer.params))

    with np.errstate(all="ignore"):
        for ours, theirs in zip(run(compiled), run(eager), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=1e-6)


@native
def test_a_guard_is_looked_at_in_the_last_call():
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 2))
    program = ac.compile(lambda x: ac.sum(ac.tanh(ac.batch_norm(ac.tanh(x)))))
    program.value_and_grad(x, wrt=0)
    native = program._last.run.planned.native
    assert native.program.checks and native.guarded()


# ---- axes of size 1, axes kept and left out, and where the example axis is afterwards

AXES = {
    "a letter summed": (lambda x, b: ac.sum(ac.einsum("nck->nc", x * b) ** 2), (2, 2, 3), (2, 1)),
    "inner axes of size 1": (lambda m, b: ac.sum((b * m) @ np.array([1.0, -2.0])), (2, 3, 2, 2), (1, 2, 2)),
    "the batch in front of axes of size 1": (lambda x, b: ac.sum(ac.sum(x * b, axis=1) ** 2), (2, 2, 2), (2, 1, 1)),
    "kept": (lambda x, b: ac.sum(ac.sum(x * b, axis=(0, 2), keepdims=True) ** 2), (2, 2, 2), (1, 2, 1)),
}


def agree(f, *arguments):
    wrt = tuple(range(len(arguments)))
    program = ac.compile(f)
    program.value_and_grad(*arguments, wrt=wrt)
    value, gradients = program.value_and_grad(*arguments, wrt=wrt)
    expected, right = ac.value_and_grad(f, argnums=wrt)(*arguments)
    np.testing.assert_allclose(value, expected, rtol=1e-10)
    for g, r in zip(gradients, right, strict=True):
        np.testing.assert_allclose(g, r, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", AXES)
def test_axes_of_size_1(name):
    f, *shapes = AXES[name]
    rng = np.random.default_rng(0)
    agree(f, *[rng.normal(size=shape) for shape in shapes])


@pytest.mark.parametrize("seed", range(60))
def test_random_sums_of_random_broadcasts(seed):
    """x * b summed over some axes, the example axis wherever a permutation puts it, sizes 1, 2 and 3."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 4, rng.integers(2, 5)))
    small = tuple(1 if rng.random() < 0.5 else n for n in shape)[rng.integers(0, len(shape)) :]
    axes = tuple(d for d in range(len(shape)) if rng.random() < 0.4)
    order = tuple(int(d) for d in rng.permutation(len(shape)))
    keep = bool(rng.random() < 0.5)

    def f(x, b):
        y = ac.permute_dims(x * b, order)
        y = ac.sum(y * y + y, axis=axes, keepdims=keep)
        return ac.sum(ac.tanh(y) * y)

    agree(f, rng.normal(size=shape), rng.normal(size=small))


# ---- empty arrays


@native
@pytest.mark.parametrize("shapes", [((3, 0), (3, 2)), ((0, 3), (4, 2)), ((2, 0, 3), (2, 1)), ((3, 2), (0,))])
def test_programs_with_empty_arrays_are_planned(shapes, monkeypatch):
    """The lines with elements run on the machine, and nothing is said of a fault of the planner."""
    monkeypatch.setenv("AUTOCONV_STRICT", "1")
    rng = np.random.default_rng(0)
    f = lambda x, y: (
        ac.sum(x * 2)
        + ac.sum(ac.tanh(y) ** 2)
        + ac.sum(ac.concat([ac.reshape(x, (-1,)), y[:, 0] * 0 if y.ndim > 1 else y]))
    )
    agree(f, *[rng.normal(size=shape) for shape in shapes])
    program = ac.compile(f)
    program(*[rng.normal(size=shape) for shape in shapes])
    assert isinstance(program._last.run.planned, native_run.NativeRun)


def test_a_lack_of_memory_while_planning_is_said(monkeypatch):
    def plan(program, arguments, known):
        raise MemoryError("so many registers")

    monkeypatch.setattr(native_run, "plan", plan)
    with pytest.raises(MemoryError, match="registers"):
        ac.compile(lambda x: ac.sum(x * x))(np.ones(3))


# ---- infinities in contractions: what fills a vector up multiplies none of them

SPECS = {  # a contraction, the shapes of its operands for n examples, k terms, m columns
    "rows and rows": ("nk,mk->nm", lambda n, k, m: ((n, k), (m, k))),
    "rows and columns": ("nk,km->nm", lambda n, k, m: ((n, k), (k, m))),
    "of each example": ("nik,nkj->nij", lambda n, k, m: ((n, 3, k), (n, k, m))),
    "of each example, rows": ("nik,njk->nij", lambda n, k, m: ((n, 3, k), (n, m, k))),
    "groups": ("ngk,gkm->ngm", lambda n, k, m: ((n, 2, k), (2, k, m))),
    "channel by channel": ("nkc,kc->nc", lambda n, k, m: ((n, 3, k), (3, k))),
    "over examples": ("ni,nj->ij", lambda n, k, m: ((n, k), (n, m))),
    "a number": ("nk,k->n", lambda n, k, m: ((n, k), (k,))),
}


@native
@pytest.mark.quick(4)
@pytest.mark.parametrize("of", ["numbers", "functions"])
@pytest.mark.parametrize("lanes", ["examples", "channels"])
@pytest.mark.parametrize("name", SPECS)
def test_infinities_in_contractions(name, lanes, of, monkeypatch):
    """Values and gradients have eager's infinities and NaN, whatever is left of a vector: a zero that fills one up met
    an infinite weight, and a gradient was NaN."""
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    spec, shapes = SPECS[name]
    rng = np.random.default_rng(6)
    for n, k, m in itertools.product((1, 3, 9), (5, 16, 21), (1, 7)):
        for where in range(3):
            a, b = (rng.normal(size=shape) for shape in shapes(n, k, m))
            a.flat[-1] = np.inf if where else a.flat[-1]
            b.flat[0] = -np.inf if where != 1 else b.flat[0]

            def f(a, b):
                a, b = (2.0 * a, b) if of == "numbers" else (ac.log(ac.abs(a)), 1.0 / b)
                y = ac.einsum(spec, a, b)
                return ac.sum(y * y), y  # so that what arrives is infinite as well

            with np.errstate(all="ignore"):
                program = ac.compile(f)
                for _ in range(2):
                    (_, found), slopes = program.value_and_grad(a, b, wrt=(0, 1))
                expected = ac.grad(lambda a, b: f(a, b)[0], argnums=(0, 1))(a, b)
                for x, y in zip((found, *slopes), (f(a, b)[1], *expected), strict=True):
                    np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=1e-9, atol=1e-9)
