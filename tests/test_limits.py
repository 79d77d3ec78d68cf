"""At the edge of what a function takes, and one beyond: the value from the definition, and the refusal."""

import sys
from pathlib import Path

import numpy as np
import pytest
from test_functional import LIKE_NUMPY

import autoconv as ac
from autoconv import losses

FOLDER = Path(__file__).parent / "reference"
sys.path.insert(0, str(FOLDER))
from operations import cases, operands  # noqa: E402

sys.path.remove(str(FOLDER))

RNG = np.random.default_rng(8)
A, B, T = np.arange(6.0).reshape(2, 3), np.ones((3, 2)), np.arange(24.0).reshape(2, 3, 4)
IMAGE = np.ones((1, 4, 4, 2))
inf = np.inf

# what is refused, each call beside one that is not
REFUSED = {
    "chunk": (lambda n: ac.chunk(A, n), 1, 0), "unbind": (lambda k: ac.unbind(A, k), 1, 2),
    "narrow, length": (lambda n: ac.narrow(A, 1, 1, n), 2, 3),
    "narrow, no length": (lambda n: ac.narrow(A, 1, 3, n), 0, -1),
    "narrow, start": (lambda k: ac.narrow(A, 1, k, 0), 3, 4),
    "narrow, from the end": (lambda k: ac.narrow(A, 1, k, 1), -3, -4),
    "select": (lambda k: ac.select(A, 1, k), 2, 3), "select, from the end": (lambda k: ac.select(A, 1, k), -3, -4),
    "take": (lambda k: ac.take(A, [k], 1), 2, 3), "take, from the end": (lambda k: ac.take(A, [k], 1), -3, -4),
    "take_along_axis": (lambda k: ac.take_along_axis(A, [[k]], 1), 2, 3),
    "take_along_axis, from the end": (lambda k: ac.take_along_axis(A, [[k]], 1), -3, -4),
    "gather": (lambda k: ac.gather(A, 1, [[k]]), 2, 3),
    "gather, rows": (lambda n: ac.gather(A, 1, np.zeros((n, 1), int)), 2, 3),
    "put_along_axis": (lambda k: ac.put_along_axis(A, [[k]], 1.0, 1), 2, 3),
    "put_along_axis, rows": (lambda n: ac.put_along_axis(A, np.zeros((n, 1), int), 1.0, 1), 2, 3),
    "embedding": (lambda k: ac.embedding([k], A), 1, 2), "embedding, first": (lambda k: ac.embedding([k], A), 0, -1),
    "padding_idx": (lambda k: ac.embedding([0], A, k), 1, 2),
    "padding_idx, from the end": (lambda k: ac.embedding([0], A, k), -2, -3),
    "one_hot": (lambda k: ac.one_hot([k], 2), 1, 2),
    "one_hot, classes": (lambda n: ac.one_hot(np.zeros(0, int), n), 1, 0),
    "topk": (lambda k: ac.topk(A, k), 3, 4), "topk of none": (lambda k: ac.topk(A, k), 0, -1),
    "split, size": (lambda n: ac.tensor(A).split(n), 1, 0),
    "split, sizes": (lambda n: ac.tensor(A).split([1, n]), 1, 0),
    "tile": (lambda n: ac.tile(A, n), 0, -1), "repeat": (lambda n: ac.repeat(A, n), 0, -1),
    "repeats": (lambda n: ac.repeat(A, [1] * n, 1), 3, 2), "rolls": (lambda n: ac.roll(A, (1,) * n, (0, 1)), 2, 3),
    "diff": (lambda n: ac.diff(A, n), 0, -1), "unflatten": (lambda n: ac.unflatten(A, 1, (n, 3)), 1, 2),
    "unflatten, the rest": (lambda n: ac.unflatten(A, 1, (n, 3)), -1, -2),
    "unflatten, parts": (lambda n: ac.unflatten(A, 1, (n, -1)), 3, 2),
    "unflatten, two": (lambda n: ac.unflatten(A, 1, (n, -1)), 1, -1),
    "broadcast_to": (lambda n: ac.broadcast_to(A, (n, 2, 3)), 0, -1),
    "pad": (lambda n: ac.pad(A, ((0, 0), (n, 0))), -3, -4),
    "pad, both ends": (lambda n: ac.pad(A, ((0, 0), (n, -1))), -2, -3),
    "round": (lambda n: ac.round(A, n), 300, 301), "round, tens": (lambda n: ac.round(A, n), -300, -301),
    "array_split": (lambda n: ac.array_split(A, n), 1, 0), "split, sections": (lambda n: ac.split(A, n), 1, 0),
    "randint": (lambda n: ac.randint(n), 1, 0), "full_like": (lambda v: ac.full_like(np.ones(2, np.int8), v), 127, 128),
    "matrix_power": (lambda k: ac.matrix_power(np.eye(1), k), 2**20, 2**20 + 1),
    "matrix_power, inverse": (lambda k: ac.matrix_power(np.eye(1), k), -(2**20), -(2**20) - 1),
    "tensordot": (lambda n: ac.tensordot(A, A, n), 2, 3), "tensordot of none": (lambda n: ac.tensordot(A, B, n), 0, -1),
    "stride": (lambda n: ac.conv2d(IMAGE, np.ones((1, 1, 2, 2)), stride=n), 1, 0),
    "dilation": (lambda n: ac.conv2d(IMAGE, np.ones((1, 1, 2, 2)), dilation=n), 1, 0),
    "groups": (lambda n: ac.conv2d(IMAGE, np.ones((1, 1, 2, 2)), groups=n), 1, 0),
    "groups of channels": (lambda n: ac.conv2d(np.ones((1, 4, 4, 6)), np.ones((1, 1, 2, 6)), groups=n), 3, 4),
    "transposed stride": (lambda n: ac.conv_transpose2d(IMAGE, np.ones((1, 1, 2, 2)), stride=n), 1, 0),
    "transposed dilation": (lambda n: ac.conv_transpose2d(IMAGE, np.ones((1, 1, 2, 2)), dilation=n), 1, 0),
    "output_padding": (lambda n: ac.conv_transpose2d(IMAGE, np.ones((1, 1, 2, 2)), stride=3, output_padding=n), 2, 3),
    "output_padding, dilated": (lambda n: ac.conv_transpose2d(IMAGE, np.ones((2, 2, 2, 2)), dilation=3,
        output_padding=n), 2, 3),
    "output_padding, none": (lambda n: ac.conv_transpose2d(IMAGE, np.ones((1, 1, 2, 2)), output_padding=n), 0, -1),
    "transposed padding": (lambda n: ac.conv_transpose1d(np.ones((1, 2, 1)), np.ones((2, 1, 1)), padding=n), 1, 2),
    "windows": (lambda n: ac.windows(np.ones(3), (n,)), 3, 4),
    "windows of none": (lambda n: ac.windows(np.ones(3), (n,)), 1, 0),
    "windows, dimensions": (lambda n: ac.windows(np.ones((2,) * n), (1,) * n), 3, 4),
    "overlap_add": (lambda n: ac.overlap_add(np.ones((n, 1)), (n,)), 1, 0),
    "overlap_add, size": (lambda n: ac.overlap_add(np.ones((3, 2)), (n,)), 4, 5),
    "global pool, dimensions": (lambda n: ac.global_avg_pool(np.ones((1,) * n)), 5, 6),
    "global pool, no dimensions": (lambda n: ac.global_avg_pool(np.ones((1,) * n)), 3, 2),
    "global pool of nothing": (lambda n: ac.global_max_pool(np.ones((1, n, 1))), 1, 0),
    "batch_norm, dimensions": (lambda n: ac.batch_norm(np.ones((2,) * n)), 5, 6),
    "batch_norm, no dimensions": (lambda n: ac.batch_norm(np.ones((2,) * n)), 2, 1),
    "glu": (lambda n: ac.glu(np.ones(n)), 2, 3), "celu": (lambda a: ac.celu(A, a), -0.5, 0),
    "softshrink": (lambda v: ac.softshrink(A, v), 0, -0.1), "softplus": (lambda v: ac.softplus(A, v), 0.1, 0),
    "hardtanh": (lambda v: ac.hardtanh(A, v, 1.0), 1.0, 1.1), "dropout": (lambda v: ac.dropout(A, v), 0, -0.1),
    "dropout of all": (lambda v: ac.dropout(A, v), 0.99, 1), "gelu": (lambda w: ac.gelu(A, w), "tanh", "erf"),
    "prelu": (lambda n: ac.prelu(A, np.ones(n)), 3, 2), "prelu, axes": (lambda n: ac.prelu(A, np.ones((1,) * n)), 1, 2),
    "label_smoothing": (lambda v: losses.cross_entropy(A, [0, 0], label_smoothing=v), 0, -0.1),
    "label_smoothing of all": (lambda v: losses.cross_entropy(A, [0, 0], label_smoothing=v), 1, 1.1),
    "labels": (lambda k: losses.cross_entropy(A, [0, k]), 2, 3),
    "labels, first": (lambda k: losses.nll(A, [k, 0]), 0, -1),
    "labels, weights": (lambda n: losses.cross_entropy(A, [0, 0], np.ones(n)), 3, 2),
    "smooth_l1": (lambda v: losses.smooth_l1(A, A, beta=v), 0, -0.1),
    "huber": (lambda v: losses.huber(A, A, delta=v), 0.1, 0),
    "kl_div": (lambda n: losses.kl_div(np.ones((n, 2)), np.ones((n, 2)), reduction="batchmean"), 1, 0),
    "bce": (lambda v: losses.bce(np.full(2, v), np.ones(2)), 1.0, 1.001),
    "bce, none": (lambda v: losses.bce(np.full(2, v), np.ones(2)), 0.0, -0.001),
    "bce, weight": (lambda n: losses.bce(A / 5, A / 5, np.ones(n)), 3, 2),
    "bce, more weights": (lambda n: losses.bce(A / 5, A / 5, np.ones((1,) * n)), 2, 3),
    "pos_weight": (lambda n: losses.bce_with_logits(A, A, None, np.ones((1,) * n)), 2, 3),
    "mm": (lambda n: ac.mm(A, np.ones((n, 2))), 3, 2), "mm, axes": (lambda n: ac.mm(A, np.ones((3,) * n)), 2, 1),
    "mm, two axes": (lambda n: ac.mm(np.ones((2,) * n), np.ones((2,) * n)), 2, 3),
    "bmm": (lambda n: ac.bmm(np.ones((2, 3, 4)), np.ones((n, 4, 5))), 2, 1),
    "bmm, columns": (lambda n: ac.bmm(np.ones((2, 3, 4)), np.ones((2, n, 5))), 4, 3),
    "solve": (lambda n: ac.solve(np.eye(2), np.ones(n)), 2, 3),
    "solve, rows": (lambda n: ac.solve(np.eye(2), np.ones((n, 3))), 2, 3),
    "cross": (lambda n: ac.cross(np.ones(n), np.ones(3)), 3, 2),
    "cross, second": (lambda n: ac.cross(np.ones(3), np.ones(n)), 3, 4),
    "multi_dot": (lambda n: ac.linalg.multi_dot([np.eye(2)] * n), 2, 1),
    "trace": (lambda n: ac.trace(np.ones((2,) * n)), 2, 3),
    "diag": (lambda n: ac.diag(np.ones((2,) * n)), 1, 3), "t": (lambda n: ac.zeros((1,) * n).t(), 2, 3),
    "gqa": (lambda n: ac.scaled_dot_product_attention(np.ones((n, 2, 3)), *np.ones((2, 2, 2, 3)), enable_gqa=True), 4,
        3),
    "attention, keys": (lambda n: ac.scaled_dot_product_attention(np.ones((2, 3)), np.ones((n, 3)), np.ones((4, 5))),
        4, 3),
    "attention, sizes": (lambda n: ac.scaled_dot_product_attention(np.ones((2, n)), np.ones((4, 3)), np.ones((4, 5))),
        3, 2),
    "attention, mask": (lambda n: ac.scaled_dot_product_attention(*np.ones((3, 2, 2)), np.ones((n, 2))), 2, 3),
    "attention, mask's axes": (lambda n: ac.scaled_dot_product_attention(*np.ones((3, 2, 2)), np.ones((1,) * n)), 2, 3),
    "adaptive, a list": (lambda n: ac.adaptive_avg_pool2d(IMAGE, [2] * n), 2, 1),
    "interpolate, a list": (lambda n: ac.interpolate(IMAGE, [2] * n), 2, 1),
    "scales, a list": (lambda n: ac.interpolate(IMAGE, scale_factor=[2] * n), 2, 1),
    "tensordot, lists": (lambda n: ac.tensordot(A, A, ([0],) * n), 2, 1),
    "strides": (lambda n: ac.conv2d(IMAGE, np.ones((1, 1, 2, 2)), stride=[1] * n), 2, 1),
    "kernel, plain": (lambda n: ac.conv2d(np.ones((4, 4)), np.ones((1,) * n)), 2, 3),
    "kernel, of channels": (lambda n: ac.conv2d(IMAGE[0], np.ones((1, 1, 2, 2)[-n:])), 4, 2),
    "kernel, plain, of channels": (lambda n: ac.conv2d(np.ones((4, 4)), np.ones((1,) * n)), 2, 4),
    "kernel, of one channel": (lambda n: ac.conv2d(np.ones((4, 4, 1)), np.ones((1,) * n)), 4, 2),
    "flatten": (lambda k: ac.flatten(A[0], k), 0, 1), "flatten, to": (lambda k: ac.flatten(A, 0, k), 1, 2),
    "flatten, from the end": (lambda k: ac.flatten(A, k), -2, -3),
    "flatten a number": (lambda k: ac.flatten(1.0, k), 0, 1),
    "unflatten, below": (lambda n: ac.unflatten(np.arange(4), 0, (n, n)), 2, -2),
    "layout of (N, C)": (lambda w: ac.batch_norm(A, layout=w), "NC", "NHWC"),
    "take_along_axis, rows": (lambda n: ac.take_along_axis(np.ones((3, 2)), np.zeros((n, 1), int), 1), 3, 2),
    "take_along_axis, axes": (lambda n: ac.take_along_axis(A, np.zeros((1,) * n, int), 1), 2, 3),
    "normal_": (lambda v: ac.zeros(2).normal_(0, v), 0, -1),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_the_last_that_is_taken_and_the_first_that_is_refused(case):
    f, last, beyond = REFUSED[case]
    f(last)
    with pytest.raises((ValueError, IndexError)):
        f(beyond)


# ---- lines that do nothing, and dtypes


def idle(line):
    """Whether a line has the numbers of its operand in the same places."""
    name, x = line.primitive.name, line.operands[0]
    if line.shape != x.shape:
        return False
    if name == "cast":
        return line.dtype == x.dtype
    if name == "permute_dims":
        return line.params["axes"] == tuple(range(x.ndim))
    if name == "index":
        return all(isinstance(k, slice) and k.step is None for k in line.params["key"])
    return name in ("broadcast_to", "crop")


ALL = {
    **{name: (f, (x,)) for name, (f, _, x) in LIKE_NUMPY.items()},
    **{f"imported {name}": (f, tuple(operands()[k] for k in names)) for name, (names, f, _) in cases().items()},
    "matmul, mixed": (lambda x: x @ B, (A,)),
    "cross_entropy of rows": (lambda x: losses.cross_entropy(x, [0, 1]), (A,)),
    "gather of all": (lambda x: ac.gather(x, 1, [[0], [1]]), (A,)),
    "average of what is there": (lambda x: ac.avg_pool2d(x, 2, padding=1, count_include_pad=False), (IMAGE,)),
    "adaptive average": (lambda x: ac.adaptive_avg_pool2d(x, 3), (IMAGE,)),
    "attention": (lambda x: ac.scaled_dot_product_attention(x, x, x, is_causal=True), (A,)),
    "dropout": (lambda x: ac.dropout(x, 0.5, rng=np.random.default_rng(0)), (A,)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_no_line_does_nothing_and_none_is_wider(kind):
    """A slope has its operand's dtype, also beside constants in double."""
    found = []
    for name, (f, xs) in ALL.items():
        lines = [ac.tensor(np.asarray(x), dtype=kind) for x in xs]
        y = f(*lines)
        found += [f"{name}: {line.primitive.name}" for line in ac.Tape(y) if line.primitive and idle(line)]
        for g in ac.sweep(y, lines, np.ones(y.shape, y.dtype)) if not y.constant else ():
            assert g.dtype == kind, name
    # the weights of labels that count are added up in the logits' dtype, whatever theirs is
    assert [line for line in found if line[-6:] != ": cast" or not ("nll" in line or "cross" in line)] == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_results_have_the_operands_dtype(kind):
    wrong, beside = [], ("attention", "bce", "bce_with_logits", "cross_entropy", "kl_div", "nll", "prelu")
    pools = (ac.avg_pool2d, {"count_include_pad": False}), (ac.adaptive_avg_pool2d, {})
    for pool, settings in pools:  # of windows with different numbers of cells
        assert pool(ac.tensor(IMAGE, dtype=kind), 3, **({"padding": 1} if settings else {}), **settings).dtype == kind
        assert pool(IMAGE.astype(int), 3, **({"padding": 1} if settings else {}), **settings).dtype == float
    for name, (names, f, _) in cases().items():
        if name.split()[0] in beside:  # they have constants in double
            continue
        xs = [ac.tensor(operands()[k]) for k in names]
        narrow = [ac.tensor(operands()[k], dtype=kind) for k in names]
        if f(*xs).dtype.kind == "f" and f(*narrow).dtype != kind:
            wrong.append(name)
    assert wrong == []


MANY = 4096  # in float16 a count by ones stops at 2048, and squares of numbers of 256 on are infinite
HUNDREDS, NONE, ONES = (np.full(MANY, n, np.float16) for n in (100, 0, 1))
FAR = np.where(np.arange(MANY) % 4, 0, 6e4).astype(np.float16)  # twice this is infinite
ROWS_OF_TWO = np.zeros((MANY, 2), np.float16)
LABELS = np.zeros(MANY, np.int64)
IN_RANGE = {  # results in float16's range, of sums, counts and squares that are not
    "mse": (lambda x: ac.losses.mse(x(FAR / 200), NONE), 22500),
    "l1": (lambda x: ac.losses.l1(x(FAR), -FAR), 3e4),
    "smooth_l1": (lambda x: ac.losses.smooth_l1(x(FAR), -FAR), 3e4),
    "huber": (lambda x: ac.losses.huber(x(FAR), -FAR), 3e4),
    "half_squared_error": (lambda x: ac.losses.half_squared_error(x(FAR[:4] / 200), NONE[:4]), 45000),
    "cross_entropy of far logits": (lambda x: ac.losses.cross_entropy(x(np.stack([-FAR, FAR], 1)), LABELS), 3e4),
    "bce": (lambda x: ac.losses.bce(x(ONES / 2), ONES), np.log(2)),
    "bce_with_logits": (lambda x: ac.losses.bce_with_logits(x(HUNDREDS), NONE), 100),
    "cross_entropy": (lambda x: ac.losses.cross_entropy(x(ROWS_OF_TWO), LABELS), np.log(2)),
    "nll": (lambda x: ac.losses.nll(x(ROWS_OF_TWO - 100), LABELS), 100),
    "kl_div": (lambda x: ac.losses.kl_div(x(NONE - 100), ONES, reduction="mean"), 100),
    "mean": (lambda x: ac.mean(x(HUNDREDS)), 100),
    "average": (lambda x: ac.average(x(HUNDREDS)), 100),
    "var": (lambda x: ac.var(x(np.concatenate([HUNDREDS, -HUNDREDS]))), 1e4),
    "std": (lambda x: ac.std(x(np.concatenate([HUNDREDS, -HUNDREDS]) * 2)), 200),
    "norm": (lambda x: ac.norm(x(HUNDREDS)), 6400),
    "cumsum": (lambda x: ac.cumsum(x(ONES))[-1], MANY),
    "logsumexp": (lambda x: ac.logsumexp(x(NONE), axis=0), np.log(MANY)),
    "softmax": (lambda x: ac.softmax(x(NONE), axis=0)[0] * MANY, 1),
    "log_softmax": (lambda x: ac.log_softmax(x(NONE), axis=0)[0], -np.log(MANY)),
    "cosine_similarity": (lambda x: ac.losses.cosine_similarity(x(HUNDREDS), HUNDREDS, axis=0), 1),
    "inner": (lambda x: ac.inner(x(HUNDREDS), x(NONE + 0.1)), 40960 * 0.9998),
    "vdot": (lambda x: ac.vdot(x(HUNDREDS), x(NONE + 0.1)), 40960 * 0.9998),
    "hypot": (lambda x: ac.hypot(x(HUNDREDS * 3)[0], HUNDREDS[0] * 4), 500),
    "trace": (
        lambda x: ac.trace(x(np.diag(np.full(100, 600, np.float16) - 10 * np.arange(100).astype(np.float16)))),
        10500,
    ),
    "avg_pool1d": (lambda x: ac.avg_pool1d(x(HUNDREDS.reshape(1, MANY, 1)), MANY).item(), 100),
    "global_avg_pool": (lambda x: ac.global_avg_pool(x(HUNDREDS.reshape(1, MANY, 1))).item(), 100),
    "adaptive_avg_pool1d": (lambda x: ac.adaptive_avg_pool1d(x(HUNDREDS.reshape(1, MANY, 1)), 1).item(), 100),
    "lp_pool1d": (lambda x: ac.lp_pool1d(x(HUNDREDS.reshape(1, MANY, 1)), MANY).item(), 6400),
}


@pytest.mark.parametrize("of", [ac.tensor, np.asarray], ids=["Tensors", "arrays"])
@pytest.mark.parametrize("name", IN_RANGE)
def test_half_precision_adds_up_counts_and_squares_in_a_wider_type(name, of):
    function, right = IN_RANGE[name]
    with np.errstate(all="ignore"):
        found = function(of)
    value = np.asarray(getattr(found, "value", found))
    assert isinstance(found, float) or value.dtype == np.float16
    np.testing.assert_allclose(float(value), right, rtol=2e-3)
