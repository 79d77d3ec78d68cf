"""DLPack: numbers go to other libraries and come back; no gradient is lost on the way without a word."""

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn

DTYPES = "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool".split()  # noqa: SIM905


class Capsule:
    """Another library's array in the memory of the CPU, of which nothing but the protocol is known."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **asked):
        return self.array.__dlpack__(**asked)

    def __dlpack_device__(self):
        return (1, 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_there_and_back(dtype):
    for array in (np.arange(6).reshape(2, 3), np.array(1), np.zeros((0, 2)), np.arange(8).reshape(2, 4)[:, ::2].T):
        array = array.astype(dtype)
        for t in (ac.tensor(array), ac.stop_gradient(ac.tensor(array))):
            taken = np.from_dlpack(t)
            assert taken.dtype == array.dtype and taken.shape == array.shape
            np.testing.assert_array_equal(taken, array)
        back = ac.from_dlpack(Capsule(array))
        np.testing.assert_array_equal(back.value, array)
        assert back.primitive is None and back.constant == (array.dtype.kind != "f")


def test_nobody_writes_into_a_recorded_value():
    t, array = ac.tensor([1.0, 2.0]), np.array([1.0, 2.0])
    taken, made = np.from_dlpack(t), ac.from_dlpack(Capsule(array))
    if taken.flags.writeable:
        taken[:] = 9
    array[:] = 9
    assert t.value.tolist() == made.value.tolist() == [1, 2]


def test_the_rule_for_gradients():
    x = ac.tensor([1.0, 2.0])
    y = x * 2
    for fine in (x, nn.Parameter([1.0]), ac.stop_gradient(y), ac.tensor([1, 2])):
        np.from_dlpack(fine)
    with ac.no_grad():
        np.testing.assert_array_equal(np.from_dlpack(y), [2, 4])
    for refused in (lambda: np.from_dlpack(y), lambda: ac.from_dlpack(y), lambda: ac.array_api.from_dlpack(y)):
        with pytest.raises(BufferError, match=r"has a gradient.*stop_gradient"):
            refused()
    with pytest.raises(BufferError, match="has a gradient"):
        ac.grad(lambda v: ac.sum(v * np.from_dlpack(v)))(x.value)
    np.testing.assert_array_equal(ac.grad(lambda v: ac.sum(v * np.from_dlpack(ac.stop_gradient(v))))(x.value), [1, 2])


WRONG = {
    "no protocol": (lambda: ac.from_dlpack([1.0, 2.0]), TypeError, "no __dlpack__; ac.tensor"),
    "another device": (lambda: ac.from_dlpack(np.ones(2), device="cuda"), ValueError, "'cuda'.*'cpu'"),
    "no copy": (lambda: ac.from_dlpack(Capsule(np.ones(2)), copy=False), ValueError, "owns its memory"),
    "fractions": (lambda: ac.tensor([1, 2], dtype=object).__dlpack__(), BufferError, "exact fractions"),
    "to another device": (lambda: ac.tensor([1.0]).__dlpack__(dl_device=(2, 0)), BufferError, r"\(2, 0\).*CPU"),
    "streams": (lambda: ac.tensor([1.0]).__dlpack__(stream=1), BufferError, "no streams"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name):
    call, kind, match = WRONG[name]
    with pytest.raises(kind, match=match):
        call()


def test_without_a_copy():
    t = ac.tensor([1.0, 2.0])
    assert np.shares_memory(ac.from_dlpack(t, copy=False).value, t.value)


def test_device():
    assert ac.tensor([1.0]).__dlpack_device__() == (1, 0)
