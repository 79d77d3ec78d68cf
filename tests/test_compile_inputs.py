"""Whatever a compiled function is given: it is converted, recorded for itself, or refused with the reason;
never wrong numbers."""

import gc
import threading

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn, optim
from autoconv.compiled import compile

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 7, 7, 2)).astype(np.float32)
LABELS = np.array([0, 2, 1, 1, 0, 2])


def net(seed=0):
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, rng=seed), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3, rng=seed + 1)
    )


class Sub(np.ndarray):
    """A subclass of NumPy's array."""


def frozen(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def overlapping(x):
    """Examples that share their memory, one row apart."""
    flat = np.ascontiguousarray(x).ravel()
    return np.lib.stride_tricks.as_strided(flat, x.shape, (flat.itemsize * 14, *x.strides[1:]))


def with_nan(x):
    x = x.copy()
    x[1, 2, 3, 0] = np.nan
    return x


ARRAYS = {
    "the same": lambda x: x,
    "Fortran order": np.asfortranarray,
    "reversed": lambda x: x[::-1],
    "every second": lambda x: np.repeat(x, 2, axis=0)[::2],
    "transposed back": lambda x: np.ascontiguousarray(x.transpose(3, 1, 2, 0)).transpose(3, 1, 2, 0),
    "read-only": frozen,
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "overlapping": overlapping,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "not aligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
    "float64": lambda x: x.astype(np.float64),
    "float16": lambda x: x.astype(np.float16),
    "long double": lambda x: x.astype(np.longdouble),
    "integers": lambda x: (x * 3).astype(np.int32),
    "booleans": lambda x: x > 0,
    "a subclass": lambda x: x.view(Sub),
    "masked": lambda x: np.ma.masked_array(x, x > 1),
    "a tensor": ac.tensor,
    "a constant": lambda x: ac.stop_gradient(ac.tensor(x)),
    "a list": lambda x: x.tolist(),
    "one example": lambda x: x[:1],
    "no example": lambda x: x[:0],
    "more examples": lambda x: np.concatenate([x] * 5),
    "another size": lambda x: np.pad(x, ((0, 0), (1, 1), (0, 2), (0, 0))),
    "NaN": with_nan,
    "infinite": lambda x: np.where(x > 2, np.inf, x).astype(x.dtype),
    "denormal": lambda x: (x * 1e-42).astype(x.dtype),
}


def plain(model, x):
    """The recorded numbers, without compile."""
    y = model(x if isinstance(x, ac.Tensor) else np.asarray(x))
    return np.asarray(y)


@pytest.mark.parametrize("first", ["the same", "float64", "reversed"])
@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow")
def test_any_array_gives_the_numbers_of_the_function(name, first):
    f = lambda x: ac.tanh(ac.conv2d(x, KERNEL)) * 2 + ac.max_pool2d(x, 3, stride=1)[..., :1]
    program = compile(lambda x: f(x if isinstance(x, ac.Tensor) else np.asarray(x, np.float32)))
    program(ARRAYS[first](X))
    x = ARRAYS[name](X)
    expected = np.asarray(f(ac.tensor(np.asarray(x, np.float32) if isinstance(x, list) else x)))
    before = None if isinstance(x, list | ac.Tensor) else np.array(x)
    for _ in range(3):
        found = np.asarray(program(x))
        tolerance = 2e-2 if expected.dtype == np.float16 else 2e-5
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    if before is not None:
        np.testing.assert_array_equal(np.asarray(x), before)


KERNEL = RNG.normal(size=(3, 3, 2, 1)).astype(np.float32)

REFUSED = {
    "text": (np.array(["a"]), TypeError, "not supported"),
    "complex": (np.ones(3, complex), TypeError, "not supported"),
    "dates": (np.array(["2020-01-01"], "M8[D]"), TypeError, "not supported"),
    "records": (np.zeros(3, [("a", "f4")]), TypeError, "not supported"),
    "too few dimensions": (np.ones(3), ValueError, "shape"),
    "other channels": (np.ones((2, 7, 7, 5), np.float32), ValueError, "channels"),
    "too small": (np.ones((2, 2, 2, 2), np.float32), ValueError, "shape|window|larger|small"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_refused_every_time_and_leaves_no_trace(name):
    bad, error, text = REFUSED[name]
    program = compile(lambda x: ac.sum(ac.conv2d(x, KERNEL)))
    good = program(X)
    for _ in range(2):
        with pytest.raises((TypeError, ValueError)):
            program(bad)
        with pytest.raises(error, match=text):
            program.value_and_grad(bad)
    assert program(X) == good


@pytest.mark.parametrize("bad", [[0, 1, 2, 3, 0, 0], [-1, 0, 0, 0, 0, 0]])
def test_labels_out_of_range_are_refused_before_anything_moves(bad):
    model = net()
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    for f in (
        lambda x, y: ac.losses.cross_entropy(model(x), y),
        lambda x, y: ac.losses.cross_entropy(model(x), ac.reshape(y, -1)),
        lambda x, y: ac.losses.cross_entropy(model(x), y + 0),
    ):
        program = compile(f)
        program.step(optimizer, X, LABELS)
        before, state = model.state_dict(), optimizer.state_dict()
        for call in (program, program.value_and_grad, lambda x, y, p=program: p.step(optimizer, x, y)):
            with pytest.raises(ValueError, match="out of range for 3 classes"):
                call(X, np.array(bad))
        assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())
        now = optimizer.state_dict()["state"]
        assert all(np.array_equal(a[k], b[k]) for a, b in zip(now, state["state"], strict=True) for k in a)


def test_results_are_not_touched_by_the_next_call():
    model = net()
    program = compile(
        lambda x, y: (ac.losses.cross_entropy(model(x), y), model(x), x, ac.reshape(x, -1), model[0].bias)
    )
    held = [program(X, LABELS), *program.value_and_grad(X, LABELS)]
    leaves = [np.asarray(a) for group in (held[0], held[1], held[2]) for a in group]
    copies = [a.copy() for a in leaves]
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    for k in range(3):
        program(X + k, LABELS)
        program.value_and_grad(X - k, LABELS)
        program.step(optimizer, X * k, LABELS)
    for a, b in zip(leaves, copies, strict=True):
        np.testing.assert_array_equal(a, b)
    for a in leaves:
        if a.ndim:
            a[...] = 7  # they are the caller's own
    assert not (X == 7).any()
    assert all(np.isfinite(p.value).all() and not (p.value == 7).any() for p in model.parameters())


def test_arguments_may_be_the_same_array_or_share_memory():
    program = compile(lambda x, y: ac.sum(x * y, axis=(1, 2, 3)))
    np.testing.assert_allclose(program(X, X), (X * X).sum((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(program(X, X[::-1]), (X * X[::-1]).sum((1, 2, 3)), rtol=1e-5, atol=1e-5)


def test_an_argument_changed_in_place_is_read_anew():
    x, program = X.copy(), compile(lambda x: x * 2)
    first = program(x)
    x += 1
    np.testing.assert_allclose(program(x), 2 * x)
    np.testing.assert_allclose(first, 2 * X)


def test_two_threads_call_one_program():
    model, wrong = net(), []
    program = compile(lambda x, y: (ac.losses.cross_entropy(model(x), y), model(x)))
    inputs = {(k, n): X[:n] * (k + 1) for k in range(4) for n in (2, 6)}
    expected = {key: plain(model, x) for key, x in inputs.items()}

    def run(k):
        for turn in range(25):
            n = (2, 6)[turn % 2]
            _, out = program(inputs[k, n], LABELS[:n])
            (_, again), _ = program.value_and_grad(inputs[k, n], LABELS[:n])
            for found in (out, again):
                if not np.allclose(found, expected[k, n], rtol=1e-4, atol=1e-5):
                    wrong.append((k, n))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_thread_that_records_does_not_see_what_another_reads():
    w = ac.tensor(np.ones(4))
    stop = threading.Event()

    def read():
        while not stop.is_set():
            w.value.sum()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for k in range(20):
            program = compile(lambda x, k=k: ac.sum(x * w) + k)
            assert program(np.ones(4)) == 4 + k
            assert "recorded anew" not in program.plan
    finally:
        stop.set()
        reader.join()


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_as_it_was_before_a_recording(enabled, fails):
    """It pauses meanwhile, and is no more on or off afterwards than before."""
    during = []

    def f(x):
        during.append(gc.isenabled())
        if fails:
            raise ValueError("as it is")
        return ac.sum(x * 2)

    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        if fails:
            with pytest.raises(ValueError, match="as it is"):
                ac.compile(f).value_and_grad(X)
        else:
            ac.compile(f)(X)
        assert gc.isenabled() == enabled and during[0] is False
    finally:
        (gc.enable if before else gc.disable)()
