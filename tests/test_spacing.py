"""Evenly spaced numbers as views: what is said of them is true of the numbers, however they were moved."""

import sys
import threading
import weakref

import numpy as np
import pytest

from autoconv import arrays
from autoconv.plan import spacing as s

MOVES = {
    "a part": lambda x: x[1:, :, ::2],
    "turned": lambda x: x[::-1, :, ::-1],
    "axes": lambda x: x.transpose(2, 0, 1),
    "repeated": lambda x: np.broadcast_to(x[:, :1], (5, *x.shape)),
    "windows": lambda x: arrays.windows(x, (0, 1), (2, 2), (1, 1), (1, 1)),
    "windows of windows": lambda x: arrays.windows(arrays.windows(x, (0,), (2,), (1,), (1,)), (2,), (2,), (2,), (1,)),
    "one number": lambda x: x[:1, :1, :1],
    "of another shape": lambda x: x.reshape(-1),
    "padded": lambda x: np.pad(x, ((0, 0), (1, 1), (0, 0))),
    "joined": lambda x: np.concatenate([x, x[:1] + 100], axis=0),
}
ROWS = {
    "in order": (7, (3, 4, 6), (24, 6, 1)),
    "with gaps": (1, (3, 4, 6), (64, 16, 1)),
    "planes": (9, (3, 4, 6), (1, 3, 12)),
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("move", MOVES)
def test_what_is_said_is_true_of_the_numbers(move, row):
    first, shape, steps = ROWS[row]
    x = MOVES[move](s.spaced(first, shape, steps))
    index = np.indices(shape).reshape(3, -1)
    whole = (first + np.array(steps) @ index).reshape(shape).astype(np.int32)
    numbers = np.ascontiguousarray(MOVES[move](whole))
    np.testing.assert_array_equal(x, numbers)
    found = s.spacing(x)
    if move not in ("padded", "joined", "of another shape"):
        assert found is not None
        places = np.indices(x.shape).reshape(x.ndim, -1)
        np.testing.assert_array_equal(numbers.ravel(), found.first + np.array(found.steps, int) @ places)
    assert s.bounds(x) == (numbers.min(), numbers.max())
    assert s.positive(x) == bool(numbers.all())
    assert s.distinct(x) == len(np.unique(numbers))
    some = np.array([0, x.size // 2, x.size - 1])
    np.testing.assert_array_equal(s.at(x, some), numbers.ravel()[some])
    order = s.ascending(x)
    if order is not None:
        assert (np.diff(numbers.transpose(order).ravel()) > 0).all()
    if (run := s.run(x)) is not None:
        np.testing.assert_array_equal(np.arange(run.start, run.stop), np.sort(numbers, axis=None))


def test_numbers_in_a_row_are_a_run_in_whatever_order():
    x = s.spaced(5, (2, 3, 4), (12, 4, 1))
    assert s.run(x) == s.run(x.transpose(2, 0, 1)) == slice(5, 29)
    assert s.run(x[:, :2]) is None and s.run(np.arange(5, 29, dtype=np.int32)) is None


def test_other_arrays_are_not_taken_for_views():
    kept = [s.in_a_row(0, 10)]
    for n in range(200):  # memory that was an array of numbers may become any other array
        kept[0] = s.in_a_row(n, 70_000 + n)
        del kept[0]
        other = np.full(70_000, 3, np.int32)
        assert s.spacing(other) is None and s.spacing(other[::2]) is None
        kept.append(s.in_a_row(0, 1))
    assert s.spacing(np.arange(10, dtype=np.int32)[2:]) is None


def test_offsets_are_sums_of_steps():
    np.testing.assert_array_equal(s.offsets([2, 3], [10, 1]), [0, 1, 2, 10, 11, 12])
    np.testing.assert_array_equal(s.offsets([], []), [0])
    assert s.least_of_others(np.array([[0, 7], [3, 0]], np.int32)) == 3


def test_several_threads_may_plan_at_a_time():
    """Each gets numbers that are written, while others let the array grow and let go of it."""
    wrong: list[object] = []

    def look(seed):
        rng = np.random.default_rng(seed)
        try:
            for count in rng.integers(1, 400_000, 150).tolist():
                with s.kept():
                    last = s.in_a_row(count - 1, 3)
                    if last.tolist() != [count - 1, count, count + 1]:
                        wrong.append((count, last.tolist()))
        except Exception as error:  # of another thread, it would be lost
            wrong.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert wrong == []


def test_what_lies_where_an_array_of_numbers_lay_is_none():
    """A view of a view is known however its parts come to lie in memory: the same net has the same plan every time."""
    x = MOVES["windows"](s.spaced(*ROWS["in order"]))
    between = x.base
    assert not s._numbers.hold(np.zeros(3)[1:]) and between.base is not None
    gone = np.zeros(3)
    s._numbers._known[id(between)] = weakref.ref(gone)
    del gone
    try:
        assert s.spacing(x) is not None
    finally:
        del s._numbers._known[id(between)]
