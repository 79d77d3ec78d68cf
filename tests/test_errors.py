"""Errors teach: each is a ValueError or TypeError whose text has the shapes and the remedy,
and nothing is recorded or changed."""

import itertools

import numpy as np
import pytest

import autoconv as ac
from autoconv import tape

IMAGE, KERNEL = np.ones((8, 5, 5, 3)), np.ones((3, 3, 3, 16))

# what is called, exception, parts of the text
CASES = {
    "kernel larger than the padded input": (lambda x, k: ac.conv2d(x, np.ones((9, 3, 3, 1)), padding=1), ValueError,
        ["9", "larger than the padded input", "5 + 1 + 1 = 7", "smaller window or more padding"]),
    "wrong channels": (lambda x, k: ac.conv2d(x, np.ones((3, 3, 4, 16))), ValueError,
        ["3 channels", "(8, 5, 5, 3)", "expects 4", "(3, 3, 4, 16)"]),
    "wrong channels, channels first": (lambda x, k: ac.conv2d(x.reshape(8, 3, 5, 5), np.ones((16, 4, 3, 3)),
        layout="channels_first"), ValueError, ["3 channels", "(N, C, H, W)"]),
    "groups that do not divide": (lambda x, k: ac.conv2d(x, k, groups=2), ValueError,
        ["groups=2", "divide", "3 channels", "16"]),
    "groups of no channels": (lambda x, k: ac.conv2d(x, k, groups=0), ValueError, ["groups", "at least 1", "0"]),
    "stride 0": (lambda x, k: ac.conv2d(x, k, stride=0), ValueError, ["stride", "at least 1", "0"]),
    "stride 1.5": (lambda x, k: ac.conv2d(x, k, stride=1.5), TypeError, ["stride", "whole number", "1.5"]),
    "stride True": (lambda x, k: ac.conv2d(x, k, stride=True), TypeError, ["stride", "whole number", "True"]),
    "three strides": (lambda x, k: ac.conv2d(x, k, stride=(1, 1, 1)), ValueError,
        ["stride", "one number or 2", "(1, 1, 1)"]),
    "dilation -1": (lambda x, k: ac.conv2d(x, k, dilation=-1), ValueError, ["dilation", "at least 1", "-1"]),
    "padding -1": (lambda x, k: ac.conv2d(x, k, padding=-1), ValueError, ["padding", "at least 0", "-1"]),
    "padding in a word": (lambda x, k: ac.conv2d(x, k, padding="sme"), ValueError, ["'sme'", "'same'", "'valid'"]),
    "layout": (lambda x, k: ac.conv2d(x, k, layout="NHCW"), ValueError, ["'NHCW'", "channels_last", "NHWC"]),
    "bias of the wrong length": (lambda x, k: ac.conv2d(x, k, np.ones(15)), ValueError, ["bias", "(15,)", "(16,)"]),
    "bias that would broadcast": (lambda x, k: ac.conv2d(x, k, np.ones(1)), ValueError, ["bias", "(1,)", "(16,)"]),
    "image of five dimensions": (lambda x, k: ac.conv2d(x[None], k), ValueError,
        ["5 dimensions", "(1, 8, 5, 5, 3)", "(N, H, W, C)"]),
    "kernel of three dimensions": (lambda x, k: ac.conv2d(x, k[0]), ValueError,
        ["kernel has 3 dimensions", "(3, 3, 16)", "needs 4"]),
    "transposed convolution, channels": (lambda x, k: ac.conv_transpose2d(x, k), ValueError,
        ["3 channels", "expects 16", "(3, 3, 3, 16)"]),
    "output_padding": (lambda x, k: ac.conv_transpose2d(x, np.ones((3, 3, 2, 3)), stride=2, output_padding=2),
        ValueError, ["output_padding (2, 2)", "smaller than the stride"]),
    "pooling window": (lambda x, k: ac.max_pool2d(x, 6), ValueError, ["window (6)", "larger than the padded input"]),
    "pooling only padding": (lambda x, k: ac.max_pool2d(x, 2, padding=2), ValueError,
        ["padding alone", "less padding"]),
    "divisor 0": (lambda x, k: ac.avg_pool2d(x, 2, divisor=0), ValueError, ["divisor=0"]),
    "label out of range": (lambda x, k: ac.losses.cross_entropy(x[:, 0, 0], np.full(8, 3)), ValueError,
        ["label 3", "3 classes", "0 .. 2"]),
    "label negative": (lambda x, k: ac.losses.cross_entropy(x[:, 0, 0], np.full(8, -1)), ValueError,
        ["label -1", "0 .. 2"]),
    "labels of another length": (lambda x, k: ac.losses.cross_entropy(x[:, 0, 0], np.zeros(7, int)), ValueError,
        ["(7,)", "(8,)"]),
    "labels that are not whole": (lambda x, k: ac.losses.cross_entropy(x[:, 0, 0], np.zeros(8)), TypeError,
        ["integers", "float64"]),
    "target that would broadcast": (lambda x, k: ac.losses.mse(x, np.ones(3)), ValueError,
        ["(8, 5, 5, 3)", "(3,)", "never broadcast"]),
    "reduction": (lambda x, k: ac.losses.mse(x, x, reduction="avg"), ValueError, ["'avg'", "'mean'"]),
    "broadcast": (lambda x, k: x + np.ones(4), ValueError, ["(8, 5, 5, 3)", "(4,)", "do not broadcast"]),
    "matmul": (lambda x, k: x @ np.ones((4, 2)), ValueError, ["(8, 5, 5, 3)", "(4, 2)", "3 columns against 4 rows"]),
    "reshape": (lambda x, k: ac.reshape(x, (7, -1)), ValueError, ["600 elements", "(7, -1)"]),
    "axis": (lambda x, k: ac.sum(x, axis=4), ValueError, ["axis 4", "4 dimensions"]),
    "axis twice": (lambda x, k: ac.sum(x, axis=(0, -4)), ValueError, ["(0, -4)", "twice"]),
    "in place": (lambda x, k: x.__setitem__(0, 1.0), TypeError, ["in place", "ac.where"]),
    "backward of a matrix": (lambda x, k: (x * 2).backward(), ValueError,
        ["(8, 5, 5, 3)", "not a scalar", ".sum()", "cotangent"]),
    "cotangent of another shape": (lambda x, k: (x * 2).backward(np.ones(3)), ValueError,
        ["cotangent", "(3,)", "(8, 5, 5, 3)"]),
    "backward of constants": (lambda x, k: (ac.stop_gradient(x).sum()).backward(), TypeError,
        ["floating-point tensor", "ac.tensor"]),
    "backward of integers": (lambda x, k: ac.tensor([1, 2]).sum().backward(), TypeError, ["int64", "floating-point"]),
    "gradient of integers": (lambda x, k: ac.sweep(x.sum(), [ac.tensor([1, 2])]), TypeError, ["int64", "dtype=float"]),
    "grad at an integer": (lambda x, k: ac.grad(lambda t: t * t)(3), TypeError, ["int64", "floating point"]),
    "text": (lambda x, k: ac.tensor("abc"), TypeError, ["not supported"]),
    "complex": (lambda x, k: ac.tensor([1j]), TypeError, ["complex128", "not supported"]),
    "ragged": (lambda x, k: ac.tensor([[1.0], [1.0, 2.0]]), TypeError, ["not a regular array"]),
    "item of many": (lambda x, k: x.item(), ValueError, ["600 elements"]),
    "dropout": (lambda x, k: ac.dropout(x, 1.0, rng=np.random.default_rng(0)), ValueError, ["p=1.0"]),
    "batch norm": (lambda x, k: ac.batch_norm(x, np.ones(4)), ValueError, ["weight", "(4,)", "(3,)"]),
    "einsum": (lambda x, k: ac.einsum("ij,jk->ik", x, x), ValueError, ["'ij'", "2 axes", "(8, 5, 5, 3)"]),
    "bias that is a number": (lambda x, k: ac.conv2d(x, k, 0.5), ValueError, ["conv2d", "bias", "()", "(16,)"]),
    "no input": (lambda x, k: ac.conv2d(None, k), TypeError, ["conv2d: x", "None", "no number"]),
    "equation": (lambda x, k: ac.einsum(1, x), TypeError, ["einsum", "'ij,jk->ik'", "found 1"]),
    "text in max": (lambda x, k: ac.max("abc"), TypeError, ["max: x", "'abc'", "floating-point numbers"]),
    "nothing to stack": (lambda x, k: ac.stack([]), ValueError, ["stack", "nothing to join"]),
    "concat of a number": (lambda x, k: ac.concat(5), TypeError,
        ["concat", "sequence of arrays", "5", "concat([x, y])"]),
    "where of a condition": (lambda x, k: ac.where(x), TypeError, ["where", "3 operands", "found 1"]),
    "rng that is a seed": (lambda x, k: ac.dropout(x, rng=3), TypeError, ["dropout: rng", "3", "default_rng(seed)"]),
    "axis of layer norm": (lambda x, k: ac.layer_norm(x, axis=5), ValueError, ["layer_norm", "axis 5", "-4 .. 3"]),
    "layer norm of a number": (lambda x, k: ac.layer_norm(ac.tensor(1.0)), ValueError, ["layer_norm", "0 dimensions"]),
    "padding of an empty axis": (lambda x, k: ac.pad(np.zeros((2, 0)), 1, mode="edge"), ValueError,
        ["pad", "'edge'", "(2, 0)", "mode='constant'"]),
    "transposed convolution of nothing": (lambda x, k: ac.conv_transpose1d(np.zeros((1, 0, 2)), np.ones((2, 3, 2))),
        ValueError, ["conv_transpose1d", "(1, 0, 2)", "no cell"]),
    "Tensor of a list": (lambda x, k: ac.Tensor([1.0]), TypeError, ["Tensor", "[1.0]", "ac.tensor"]),
    "an enormous factor": (lambda x, k: x * 10**400, OverflowError, ["mul", "401 digits", "float64", "astype"]),
    "index 1.5": (lambda x, k: x[1.5], TypeError, ["index 1.5", "(8, 5, 5, 3)", "use integers, slices"]),
    "index in text": (lambda x, k: x["a"], TypeError, ["index 'a'", "(8, 5, 5, 3)", "use integers, slices"]),
    "index out of range": (lambda x, k: x[None, 99], ValueError, ["index", "(8, 5, 5, 3)", "(None, 99)", "size 8"]),
    "sizes of -1": (lambda x, k: ac.reshape(x, (-1, -1)), ValueError, ["reshape", "600 elements", "(-1, -1)"]),
    "expand_dims": (lambda x, k: ac.expand_dims(x, 9), ValueError, ["expand_dims", "axis 9", "5 dimensions"]),
    "axes named twice": (lambda x, k: ac.permute_dims(x, (0, 0, 1, 2)), ValueError,
        ["transpose", "(0, 0, 1, 2)", "twice"]),
    "complex cotangent": (lambda x, k: ac.backward(ac.tensor([1.0]), [1j]), TypeError,
        ["gradient: cotangent", "complex128"]),
    "cotangent with None": (lambda x, k: ac.backward(ac.tensor([1.0]), [None]), TypeError,
        ["gradient: cotangent", "None"]),
    "flag": (lambda x, k: ac.sum(x, keepdims="no"), TypeError, ["sum: keepdims", "True or False", "'no'"]),
    "dates": (lambda x, k: ac.exp(np.array(["2020-01-01"], "M8[D]")), TypeError,
        ["exp", "datetime64", "fractions.Fraction"]),
    "concat": (lambda x, k: ac.concat([x, k]), ValueError, ["(8, 5, 5, 3)", "(3, 3, 3, 16)", "axis other than 0"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_error_says_what_was_found_and_nothing_is_recorded(case, monkeypatch):
    f, kind, parts = CASES[case]
    x, k = ac.tensor(IMAGE, name="x"), ac.tensor(KERNEL, name="k")
    recorded = []
    original = tape.Tensor.__init__

    def watch(self, value, primitive=None, *args, **kwargs):
        original(self, value, primitive, *args, **kwargs)
        if primitive is not None:
            recorded.append(primitive.name)

    monkeypatch.setattr(tape.Tensor, "__init__", watch)
    with pytest.raises(kind) as caught:
        f(x, k)
    for part in parts:
        assert part in str(caught.value), f"{part!r} is missing in: {caught.value}"
    set_up = {"backward of a matrix": ["mul"], "cotangent of another shape": ["mul"],
        "backward of constants": ["stop_gradient", "sum"], "backward of integers": ["sum"],
              "gradient of integers": ["sum"], "labels": ["index"], "wrong channels, channels first": ["reshape"],
              "kernel of three dimensions": ["index"], "image of five dimensions": ["index"]}  # fmt: skip
    allowed = set_up.get(case, ["index"] if "label" in case else [])
    assert recorded == allowed
    assert x.grad is None and k.grad is None
    np.testing.assert_array_equal(x.value, IMAGE)


NUMPY_WITHOUT_A_ROW = {
    "np.linalg.svd": (lambda t: np.linalg.svd(t), "t.value"),
    "np.convolve": (lambda t: np.convolve(t, t), "ac.conv1d"),
    "np.interp": (lambda t: np.interp(t, [0.0, 1.0], [0.0, 1.0]), "ac.where"),
    "np.spacing": (lambda t: np.spacing(t), "t.value"),
    "np.add.reduce": (lambda t: np.add.reduce(t), "ac.sum"),
    "out=": (lambda t: np.add(t, 1, out=np.zeros(3)), "out="),
    "np.sum where=": (lambda t: np.sum(t, where=[True, False, True]), "where"),
}


@pytest.mark.parametrize("case", NUMPY_WITHOUT_A_ROW)
def test_numpy_functions_without_a_counterpart_never_lose_the_tape_silently(case):
    f, remedy = NUMPY_WITHOUT_A_ROW[case]
    with pytest.raises(TypeError) as caught:
        f(ac.tensor([1.0, 2.0, 3.0]))
    assert remedy in str(caught.value)


def test_a_sweep_over_changed_inputs_is_refused():
    w = ac.tensor([1.0, 2.0], name="w")
    loss = (w * w).sum()
    w.assign([3.0, 4.0])
    with pytest.raises(RuntimeError, match=r"'w' of shape \(2,\) was given a new value"):
        loss.backward()
    assert w.grad is None
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        w.assign(np.ones(3))
    with pytest.raises(TypeError, match="computed by mul"):
        (w * w).assign([1.0, 1.0])
    assert list(itertools.chain(w.value)) == [3.0, 4.0]
