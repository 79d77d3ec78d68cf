"""One thread for many small products: how many there are within, and that as many as before come back."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

import autoconv as ac
from autoconv.arrays import threads
from autoconv.arrays.threads import one_thread


class Library:
    """A stand-in for a BLAS: the number of its threads, and every number it was set to."""

    def __init__(self) -> None:
        self.count, self.told = 5, list[int]()

    def get(self) -> int:
        return self.count

    def put(self, count: int) -> None:
        self.count = count
        self.told.append(count)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    library = Library()
    monkeypatch.setattr(threads, "_threads", lambda: (library.get, library.put))
    yield library
    assert library.count == 5


def test_within_it_there_is_one_even_nested_and_behind_an_error(library: Library) -> None:
    def failing() -> None:
        with one_thread():
            with one_thread():
                assert library.count == 1
            assert library.count == 1
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        failing()


def test_of_two_python_threads_the_last_one_to_end_gives_them_back(library: Library) -> None:
    inside, over = threading.Event(), threading.Event()

    def other() -> None:
        with one_thread():
            inside.set()
            over.wait(10)

    thread = threading.Thread(target=other)
    with one_thread():
        thread.start()
        assert inside.wait(10)
    assert library.count == 1
    over.set()
    thread.join()


def test_a_library_without_such_a_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_threads", lambda: None)
    with one_thread():
        assert (np.ones((2, 3)) @ np.ones((3, 2)) == 3).all()


def test_the_functions_of_the_library_at_hand_do_what_their_names_say() -> None:
    found = threads._threads()
    if found is None:
        pytest.skip("NumPy's products come from a library whose threads cannot be told")
    get, _ = found
    before = get()
    assert before >= 1
    with one_thread():
        assert get() == 1
    assert get() == before


@pytest.mark.parametrize(("claim", "right"), [([2.0, 4.0], True), ([1.0, 2.0], False), ("2*w", True)])
def test_a_check_takes_one(library: Library, claim: object, right: bool) -> None:
    w = ac.tensor([1.0, 2.0], name="w")
    assert bool(ac.check(claim, of=ac.sum(w**2), wrt=w)) is right
    assert 1 in library.told and library.told[-1] == 5


def test_marking_a_backward_takes_one(library: Library) -> None:
    assert not ac.check_backward(lambda dout, cache: dout * (cache >= 1), like="cs231n.relu")
    assert 1 in library.told
