"""DLPack beside PyTorch: numbers both ways, gradients refused both ways."""

import numpy as np
import pytest

import autoconv as ac

torch = pytest.importorskip("torch", reason="PyTorch is not installed; make test-interop has it")

DTYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_pytorch(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    t = ac.tensor(array)
    there = torch.from_dlpack(t)
    assert there.shape == (2, 3)
    np.testing.assert_array_equal(there.numpy(), array)
    there[0, 0] = 1  # its own memory
    np.testing.assert_array_equal(t.value, array)
    np.testing.assert_array_equal(ac.from_dlpack(there.T.contiguous()).value, there.numpy().T)
    np.testing.assert_array_equal(ac.from_dlpack(there.T).value, there.numpy().T)


def test_pytorch_gradients():
    with pytest.raises(BufferError):
        torch.from_dlpack(ac.tensor([1.0]) * 2)
    with pytest.raises(BufferError):
        ac.from_dlpack(torch.ones(2, requires_grad=True))
    assert ac.from_dlpack(torch.ones(2, requires_grad=True).detach()).value.tolist() == [1, 1]
    for convert in (torch.tensor, torch.as_tensor, torch.from_dlpack):
        with pytest.raises((TypeError, BufferError), match="has a gradient"):
            ac.grad(lambda x, convert=convert: ac.sum(x * convert(x).numpy()))(np.ones(2))
