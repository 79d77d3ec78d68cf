"""One plan for all sizes of a batch: the same numbers as a plan of its own, and the same machine code."""

import numpy as np
import pytest
from helpers.random_nets import in_dtype, layouts, native, random_net, swept

import autoconv as ac
from autoconv import nn, optim
from autoconv.plan.lower.lower import lower
from autoconv.plan.run import native_run
from autoconv.plan.run.other_batch import Batches, axes_of
from autoconv.program.numpy_run import NumpyRun
from autoconv.program.program import Program, from_tape
from autoconv.program.rewrite import simplify
from autoconv.tape import Tensor


def net(rng):
    return nn.Sequential(
        nn.Conv2d(3, 7, 3, padding=1, rng=rng), nn.BatchNorm2d(7), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(7, 12, 3, rng=rng), nn.ReLU(), nn.Flatten(), nn.Linear(12 * 9, 5, rng=rng))  # fmt: skip


def machines(program):
    return {tuple(map(id, entry.run.planned.native.machines)) for entry in program._entries.values()}


# of the sizes that come first each is the size of something else as well: channels, a kernel, an axis of the image
SIZES = {"first": [26, *range(4, 24), 31], "as something else": [3, 7, 10, 12, 5, 8, 2, 32, *range(13, 25)]}


@pytest.mark.dear
@native
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_twenty_sizes_of_training_share_one_plan(sizes, monkeypatch):
    monkeypatch.setenv("AUTOCONV_LANES", "channels")
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(64, 10, 10, 3)).astype(np.float32), rng.integers(0, 5, 64)

    def losses(apart):
        model = net(np.random.default_rng(1))
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        f = lambda x, y: ac.losses.cross_entropy(model(x), y)
        program, found = ac.compile(f), []
        for n in sizes:
            program = ac.compile(f) if apart else program
            found.append(float(program.step(optimizer, images[:n], labels[:n])))
        return found, program

    (shared, program), (own, _) = losses(False), losses(True)
    assert len(machines(program)) == 1 < len(program._entries)
    np.testing.assert_allclose(shared, own, rtol=2e-4)
    assert "one example at a time" in program.plan


@pytest.mark.dear
@native
@pytest.mark.parametrize("channels", [False, True], ids=["examples", "channels"])
@pytest.mark.parametrize("seed", range(20))
def test_random_nets_of_other_sizes(seed, channels, monkeypatch):
    """Whether the plan is shared or not: the numbers are NumPy's."""
    f, parameters, shape = random_net(seed)
    dtype = [np.float32, np.float64][seed % 2]
    in_dtype(parameters, dtype)
    possible = [x for x in layouts(dtype) if x.channels == channels and x.threads == 1]
    monkeypatch.setattr(native_run, "choose", lambda *_: possible[seed % len(possible)])
    monkeypatch.setenv("AUTOCONV_THREADS", "1")
    rng, known = np.random.default_rng(seed), []
    for examples in (23, 46, 29, 4):
        arguments = [rng.normal(size=(examples, *shape)).astype(dtype), rng.integers(0, 3, examples)]
        program = simplify(swept(f, arguments, parameters))
        planned = native_run.plan(program, arguments, known)
        planned.native.settle()
        known.append(planned)
        for got, expected in zip(planned.run(arguments), NumpyRun(program).run(arguments), strict=True):
            scale = np.abs(expected).max() + 1e-3
            np.testing.assert_allclose(got / scale, expected / scale, atol=5e-4 if dtype == np.float32 else 1e-12)
    plans = len({tuple(map(id, planned.native.machines)) for planned in known})
    assert plans <= (1 if channels else 2)  # blocks that are full need not be told from others


# ---- what is not the same but for the batch

W = ac.tensor(np.full((3, 4), 0.5))
DIFFER = {
    "another size of an axis": (lambda x: ac.sum(x @ W, axis=1), lambda x: ac.sum(x[:, :2], axis=1)),
    "another row": (lambda x: ac.exp(x), lambda x: ac.tanh(x)),
    "another setting": (lambda x: ac.sum(x, axis=1, keepdims=True), lambda x: ac.sum(x, axis=0, keepdims=True)),
    "a constant that becomes 0": (lambda x: ac.maximum(x * 2, 1.0), lambda x: ac.maximum(x * 2, 0.0)),
    "other places": (lambda x: ac.take(x, np.array([0, 1]), axis=1), lambda x: ac.take(x, np.array([0, 2]), axis=1)),
    "another Tensor": (lambda x: x @ W, lambda x: x @ ac.tensor(np.full((3, 4), 0.5))),
    "all of the batch and a part of it": (lambda x: x[:7] * 2, lambda x: x[:7] * 2),
}


def program_of(f, examples, more=()) -> Program:
    start = ac.tensor(0).serial
    lines = [Tensor(np.ones((examples, 3))), *[Tensor(np.ones(shape)) for shape in more]]
    return simplify(from_tape([f(*lines)], lines, start))


def as_before(one, other, before, after):
    """The program ``other`` as a plan of ``one`` takes it; None if that plan is not for it."""
    lowering = lower(one, before, np.dtype(float))
    axes = axes_of(lowering, list(lowering.kernels.values()))
    return Batches(before, after, axes).numbered_as(one, other)


@pytest.mark.parametrize("name", DIFFER)
def test_what_differs_in_more_than_the_batch_is_not_shared(name):
    one, other = DIFFER[name]
    assert as_before(program_of(one, 7), program_of(other, 9), 7, 9) is None


@pytest.mark.parametrize(("before", "shared"), [(7, False), (6, True)])
def test_an_argument_that_is_as_long_as_the_batch_by_chance(before, shared):
    """Planned for 7, its 7 rows were taken for examples."""
    f = lambda x, w: ac.sum(x) + ac.sum(ac.exp(w) * 2)
    one, other = program_of(f, before, [(7, 4)]), program_of(f, 9, [(7, 4)])
    assert (as_before(one, other, before, 9) is not None) == shared


SAME = {
    "a mean": lambda x: ac.mean(x, axis=0),
    "a product": lambda x: ac.relu(x @ W),
    "merged axes": lambda x: ac.reshape(x, (-1,)),
    "a part of the batch": lambda x: x[:1] * 2,
    "a constant of the batch's size": lambda x: ac.sum(x) / x.shape[0],
    "constants of each channel": lambda x: ac.exp(x - np.array([0.4, 0.5, 0.6])) / np.array([0.2, 0.3, 0.2]),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize(
    ("before", "after", "shared"),
    [(7, 9, True), (7, 3, True), (3, 7, True), (2, 8, True), (7, 7, True), (1, 7, False), (7, 1, False)],
)
def test_programs_of_other_sizes_are_the_same(name, before, after, shared):
    """3 and 2 are the sizes of something else as well; one example alone is another program."""
    one, other = program_of(SAME[name], before), program_of(SAME[name], after)
    found = as_before(one, other, before, after)
    assert (found is not None) == shared
    if found is not None:
        x = np.random.default_rng(0).normal(size=(after, 3))
        np.testing.assert_array_equal(NumpyRun(found).run([x])[0], NumpyRun(other).run([x])[0])


@native
@pytest.mark.parametrize("lanes", ["examples", "channels"])
def test_images_normalised_inside_share_their_plan(lanes, monkeypatch):
    monkeypatch.setenv("AUTOCONV_LANES", lanes)
    mean, deviation = np.array([0.4, 0.5, 0.6], np.float32), np.array([0.2, 0.3, 0.2], np.float32)
    model = net(np.random.default_rng(1))
    f = lambda x: ac.sum(ac.tanh(model((x - mean) / deviation)))
    program = ac.compile(f)
    for n in (15, 10, 12, 11):
        x = np.random.default_rng(n).random((n, 10, 10, 3)).astype(np.float32)
        np.testing.assert_allclose(program(x), f(x), rtol=1e-4, atol=1e-4)
    assert len(machines(program)) == 1


@np.errstate(divide="ignore")
def test_a_zero_of_the_other_sign_is_another_constant():
    places = [np.array([0.0, 1.0, 2.0]), np.array([-0.0, 1.0, 2.0])]
    one, other = (program_of(lambda x, c=c: 1 / (ac.exp(x) * c), n) for c, n in zip(places, (7, 9), strict=True))
    found = as_before(one, other, 7, 9)
    assert found is not None
    assert (NumpyRun(found).run([np.ones((9, 3))])[0][:, 0] == -np.inf).all()


@native
def test_what_is_recorded_anew_and_is_the_same_keeps_its_plan():
    model, scale = net(np.random.default_rng(1)), {"by": 2}
    program = ac.compile(lambda x: ac.sum(model(x)) * (scale["by"] > 0))
    images = np.random.default_rng(0).normal(size=(12, 10, 10, 3)).astype(np.float32)
    before = program(images)
    (first,) = machines(program)
    scale["by"] = 3
    assert program(images) == before
    assert machines(program) == {first}


@native
def test_memory_between_kernels_is_kept_for_the_last_program_alone():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8))
    program = ac.compile(lambda x: ac.sum(model(x) ** 2))
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    for n in (5, 9, 5, 11):
        program.step(optimizer, np.ones((n, 12, 12, 3), np.float32))
    spare = [bool(entry.run.planned.native.persistent._spare) for entry in program._entries.values()]
    assert spare == [False, False, True]
