"""The bugs of ``by_hand_loops`` as questions to the tutor: the loss, the tensor, the wrong gradient, and its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import autoconv as ac
from helpers import by_hand_loops as by_hand

OVERWRITTEN = "windows overwritten instead of overlap-added"
LAST = "sum over positions replaced by the last one"
BATCH, FILTERS, CHANNELS = "not summed over batch", "not summed over filters", "not summed over channels"
LEFT, NEIGHBOUR, SWAPPED = "loop left too early", "the neighbour's gradient", "rows and columns exchanged"
STRIDE, ADDED, UNWEIGHTED = "stride not dilated", "added instead of multiplied", "summed without the weights"
OWN, MEAN, UPSTREAM = "summed over an index that stays", "mean instead of sum", "upstream gradient forgotten"
ROTATED, REVERSED = "kernel not rotated", "kernel gradient reversed"
TRANSPOSED, CROPPED = "kernel transposed", "padding not cropped"
CELL, COUNT = "pooling gradient to the wrong cell", "divided by the wrong count"
CONSTANT, MEAN_TERM, VARIANCE_TERM = "statistics held constant", "mean term forgotten", "variance term forgotten"
DIAGONAL, FACTOR = "only the diagonal of a Jacobian", "a constant factor"

# layer: {(which gradient, bug): the name that says it, or several with | between them}
CONV = {
    ("dx", "only first example"): LEFT,
    ("dx", "only first filter"): FILTERS,
    ("dx", "last filter only"): FILTERS,
    ("dx", "first row of windows only"): LEFT,
    ("dx", "return after the first window"): LEFT,
    ("dx", "neighbour's filter"): NEIGHBOUR,
    ("dx", "previous filter"): NEIGHBOUR,
    ("dx", "kernel rotated"): ROTATED,
    ("dx", "kernel transposed"): TRANSPOSED,
    ("dx", "no upstream"): UPSTREAM,
    ("dx", "no weights"): UNWEIGHTED,
    ("dx", "summed over channels"): OWN,
    ("dx", "stride forgotten"): STRIDE,
    ("dx", "stride forgotten along rows"): STRIDE,
    ("dx", "stride forgotten along columns"): STRIDE,
    ("dx", "rows and columns swapped"): SWAPPED,
    ("dx", "tiles"): "overlapping windows treated as tiles",
    ("dx", "added instead of multiplied"): ADDED,
    ("dx", "= for +="): OVERWRITTEN,
    ("dx", "= for +=, filters added"): OVERWRITTEN,
    ("dx", "mean over the batch"): MEAN,
    ("dx", "not cropped"): CROPPED,
    ("dx", "cropped one too far"): "padding shifted by one",
    ("dx", "delta not spread, padded to fit"): STRIDE,
    ("dw", "only first example"): BATCH,
    ("dw", "last example wins"): BATCH,
    ("dw", "only first filter"): LEFT,
    ("dw", "last row of windows wins"): LAST,
    ("dw", "return after the first window"): LEFT,
    ("dw", "stride forgotten"): STRIDE,
    ("dw", "stride forgotten along rows"): STRIDE,
    ("dw", "stride forgotten along columns"): STRIDE,
    ("dw", "rows and columns swapped"): SWAPPED,
    ("dw", "neighbour's filter"): NEIGHBOUR,
    ("dw", "no upstream"): UPSTREAM,
    ("dw", "upstream alone"): UNWEIGHTED,
    ("dw", "summed over channels"): OWN,
    ("dw", "added instead of multiplied"): ADDED,
    ("dw", "= for +="): LAST,
    ("dw", "mean over the batch"): MEAN,
    ("dw", "mean over positions"): MEAN,
    ("dw", "mean over everything"): MEAN,
    ("dw", "rotated"): REVERSED,
    ("dw", "transposed"): TRANSPOSED,
    ("dw", "upstream rotated"): "gradient rotated on its way to the kernel",
    ("dw", "products of sums"): "product of sums",
    ("dw", "padding at the end"): CROPPED,
    ("db", "= for +="): "bias not summed over positions",
    ("db", "last example wins"): BATCH,
    ("db", "first example only"): BATCH,
    ("db", "neighbour's filter"): NEIGHBOUR,
    ("db", "mean over the batch"): MEAN,
    ("db", "mean over everything"): MEAN,
    ("db", "summed over filters too"): OWN,
}
TRANSPOSED_CONV = {
    ("dx", "stride forgotten"): STRIDE,
    ("dx", "stride forgotten along columns"): STRIDE,
    ("dx", "rows and columns swapped"): SWAPPED,
    ("dx", "kernel rotated"): ROTATED,
    ("dx", "kernel transposed"): TRANSPOSED,
    ("dx", "neighbour's channel"): NEIGHBOUR,
    ("dx", "no upstream"): UPSTREAM,
    ("dx", "no weights"): UNWEIGHTED,
    ("dx", "added instead of multiplied"): ADDED,
    ("dx", "last filter only"): FILTERS,
    ("dx", "first filter only"): FILTERS,
    ("dx", "= inside the kernel loops"): CHANNELS,
    ("dx", "only first example"): LEFT,
    ("dx", "mean over filters"): MEAN,
    ("dx", "summed over channels"): OWN,
    ("dw", "last example wins"): BATCH,
    ("dw", "stride forgotten"): STRIDE,
    ("dw", "no upstream"): UPSTREAM,
    ("dw", "neighbour's channel"): NEIGHBOUR,
    ("dw", "upstream alone"): UNWEIGHTED,
    ("dw", "= for +="): LAST,
    ("dw", "mean over the batch"): MEAN,
    ("dw", "rotated"): REVERSED,
    ("dw", "transposed"): TRANSPOSED,
}
MAX_POOL = {
    "return after the first window": LEFT,
    "only first example": LEFT,
    "only first channel": LEFT,
    "only last window": LEFT,
    "stride forgotten": STRIDE,
    "stride forgotten along rows": STRIDE,
    "stride forgotten along columns": STRIDE,
    "rows and columns swapped": SWAPPED,
    "winner of another channel": CELL,
    "spread evenly": "pooling gradient spread evenly",
    "copied": "pooling gradient copied to every cell",
    "first cell": CELL,
    "last cell": CELL,
    "smallest": CELL,
    "winner transposed": CELL,
    "value for mask": "the pooled value instead of its mask",
    "pooled value everywhere": "the pooled value instead of its mask",
    "no upstream": UPSTREAM,
    "both branches": "both pooling branches run",
    "= for +=": OVERWRITTEN,
    "= for +=, winner's cell": OVERWRITTEN,
    "mean over the batch": MEAN,
}
AVG_POOL = {
    "return after the first window": LEFT,
    "only first example": LEFT,
    "only first channel": LEFT,
    "only last window": LEFT,
    "stride forgotten": STRIDE,
    "stride forgotten along rows": STRIDE,
    "rows and columns swapped": SWAPPED,
    "copied": "pooling gradient copied to every cell",
    "largest": CELL,
    "first cell": CELL,
    "divided by the number of windows": COUNT,
    "divided by one side": COUNT,
    "no upstream": UPSTREAM,
    "both branches": "both pooling branches run",
    "= for +=": OVERWRITTEN,
    "divided by the cells inside": COUNT,
    "not cropped": CROPPED,
}
NORM = {
    ("dx", "another eps"): "another eps",
    ("dx", "unbiased variance"): "unbiased variance",
    ("dx", "wrong axis"): "normalised over the wrong axis",
    ("dx", "gamma forgotten"): "local derivative forgotten",
    ("dx", "upstream forgotten"): UPSTREAM,
    ("dx", "variance term forgotten"): VARIANCE_TERM,
    ("dx", "sign of the variance term"): "sign of a term of the normalisation",
    ("dx", "mean term forgotten"): MEAN_TERM,
    ("dx", "sign of the mean term"): "sign of a term of the normalisation",
    ("dx", "statistics constant"): CONSTANT,
    ("dx", "divided by the variance"): "deviation in the wrong power",
    ("dx", "sums for means"): "sums where means belong",
    ("dx", "mean divided once too few"): "sums where means belong",
    ("dx", "diagonal only"): DIAGONAL,
    ("dx", "passed through"): "local derivative forgotten in a call",
    ("dgamma", "x for x-hat"): "an earlier value instead of the factor",
    ("dgamma", "deviation for x-hat"): "an earlier value instead of the factor",
    ("dgamma", "x-hat forgotten"): "local derivative forgotten",
    ("dgamma", "mean in dgamma"): MEAN,
    ("dgamma", "last row of dgamma"): f"broadcast not summed|{BATCH}",
    ("dbeta", "mean in dbeta"): MEAN,
    ("dbeta", "last row of dbeta"): BATCH,
    ("dgamma", "another eps"): "another eps",
    ("dgamma", "dgamma from its own sums"): "product of sums|upstream gradient forgotten",
}
SOFTMAX = {
    "wrong axis": "softmax over the wrong axis",
    "sum over the wrong axis": "softmax over the wrong axis",
    "not normalised": "softmax not normalised",
    "diagonal only": DIAGONAL,
    "sum forgotten": CONSTANT,
    "only off the diagonal": "a factor of the softmax's Jacobian forgotten",
    "plus for minus": "sign of a term of the softmax's Jacobian",
    "factor forgotten": "a factor of the softmax's Jacobian forgotten",
    "no upstream": UPSTREAM,
    "mean over the batch": MEAN,
    "only first example": LEFT,
    "sign": "sign",
}
CROSS_ENTROPY = {
    "wrong axis": "softmax over the wrong axis",
    "not normalised": "softmax not normalised",
    "not normalised, not shifted": "softmax not normalised",
    "target forgotten": "target forgotten",
    "t - p": "sign",
    "1 from every class": "one subtracted from every class",
    "not divided by the batch": "sum instead of mean",
    "p (1 - p)": "the sigmoid's derivative p (1 - p) for the softmax's",
    "p (1 - p) as well": "derivative of the output multiplied in again",
    "divided by the classes": "divided by the wrong count",
    "twice": "factor 2 or 1/2 of the loss",
    "only first example": LEFT,
    "through the softmax again": "derivative of the output multiplied in again",
}
AFFINE = {
    "dx: last unit only": FILTERS,
    "dx: upstream summed without weights": UNWEIGHTED,
    "dx: no upstream": UPSTREAM,
    "dx: added": ADDED,
    "dw: last example only": BATCH,
    "dw: mean": MEAN,
    "dw: products of sums": "product of sums",
    "dw: no input": UNWEIGHTED,
    "dw: transposed": "right numbers in the wrong places|matrix not transposed",
    "dw: sign": "sign",
    "db: mean": MEAN,
    "db: last example only": BATCH,
    "db: all units": OWN,
    "dx: w not transposed": "matrix not transposed",
}
HIDDEN = {
    ("relu", "mask of the gradient"): "relu applied to the gradient",
    ("relu", "no derivative"): "activation mask missing",
    ("relu", "value for the mask"): "activation instead of its mask",
    ("relu", "mask inverted"): "activation mask inverted",
    ("tanh", "no derivative"): "local derivative forgotten",
    ("tanh", "derivative twice"): "local derivative squared",
    ("tanh", "derivative of the error"): "derivative taken at the gradient",
    ("tanh", "derivative at the output"): "derivative taken at the output",
    ("tanh", "input for the output"): "input where the output belongs",
    ("tanh", "sign"): "sign",
    ("sigmoid", "no derivative"): "local derivative forgotten in a call",
    ("sigmoid", "derivative twice"): "local derivative squared in a call",
    ("sigmoid", "derivative of the error"): "derivative of a call taken at the gradient",
    ("sigmoid", "derivative at the output"): "derivative of a call taken at its output",
    ("sigmoid", "value for the mask"): "half of the sigmoid's derivative",
}


class Question(NamedTuple):
    """A wrong gradient of ``loss`` with respect to ``wrt`` and its name (or several, | between); "" for a right one."""

    label: str
    claim: Any
    loss: Any
    wrt: Any
    name: str


def _wide(x: Any) -> Any:
    """Channels last, for an array (N, C, H, W) in channels first."""
    return np.moveaxis(x, 1, -1)


def questions(seed: int = 0) -> Iterator[Question]:
    """All of them, each layer at a geometry that can show its bugs, drawn by ``seed``."""
    rng = np.random.default_rng(seed)
    yield from _conv(rng)
    yield from _transposed(rng)
    yield from _pools(rng)
    yield from _norms(rng)
    yield from _softmaxes(rng)
    yield from _dense(rng)


def _conv(rng: Any) -> Iterator[Question]:
    last = bool(rng.integers(2))
    n, c, f, k = 2 + int(rng.integers(2)), 2, 3, 3
    h, v = 7, 9
    x, w, b = rng.normal(size=(n, c, h, v)), rng.normal(size=(f, c, k, k)), rng.normal(size=f)
    y = by_hand.conv_forward(x, w, b, 2, 1)
    dout = rng.normal(size=y.shape)
    kernel = (2, 3, 1, 0)
    tx = ac.tensor(_wide(x) if last else x, name="x")
    tw = ac.tensor(w.transpose(kernel) if last else w, name="w")
    tb = ac.tensor(b, name="b")
    out = ac.conv2d(tx, tw, tb, stride=2, padding=1, layout="NHWC" if last else "NCHW")
    assert np.allclose(out.value, _wide(y) if last else y)
    loss = ac.sum(out * (_wide(dout) if last else dout))
    for (which, bug), name in ({("dx", ""): "", ("dw", ""): "", ("db", ""): ""} | CONV).items():
        made = getattr(by_hand, f"conv_{which}")(dout, x, w, b, 2, 1, bug)
        if last and which != "db":
            made = _wide(made) if which == "dx" else made.transpose(kernel)
        yield Question(f"conv {which}: {bug}", made, loss, {"dx": tx, "dw": tw, "db": tb}[which], name)


def _transposed(rng: Any) -> Iterator[Question]:
    n, c, f, k = 2, 2, 3, 3
    x, w, b = rng.normal(size=(n, c, 4, 5)), rng.normal(size=(c, f, k, k)), rng.normal(size=f)
    y = by_hand.transposed_forward(x, w, b, 2, 1)
    dout = rng.normal(size=y.shape)
    tx, tw, tb = ac.tensor(x, name="x"), ac.tensor(w, name="w"), ac.tensor(b, name="b")
    out = ac.conv_transpose2d(tx, tw, tb, stride=2, padding=1, layout="NCHW")
    assert np.allclose(out.value, y)
    loss = ac.sum(out * dout)
    for (which, bug), name in ({("dx", ""): "", ("dw", ""): ""} | TRANSPOSED_CONV).items():
        made = getattr(by_hand, f"transposed_{which}")(dout, x, w, b, 2, 1, bug)
        yield Question(f"transposed {which}: {bug}", made, loss, {"dx": tx, "dw": tw}[which], name)


def _pools(rng: Any) -> Iterator[Question]:
    for mode, table in (("max", MAX_POOL), ("avg", AVG_POOL)):
        last = bool(rng.integers(2))
        pad = 1 if mode == "avg" else 0
        x = rng.normal(size=(2, 3, 7, 9))
        y = by_hand.pool_forward(x, 3, 2, mode, pad)
        dout = rng.normal(size=y.shape)
        tx = ac.tensor(_wide(x) if last else x, name="x")
        layout = "NHWC" if last else "NCHW"
        out = getattr(ac, f"{mode}_pool2d")(tx, 3, 2, padding=pad, layout=layout)
        assert np.allclose(out.value, _wide(y) if last else y)
        loss = ac.sum(out * (_wide(dout) if last else dout))
        for bug, name in ({"": ""} | table).items():
            made = by_hand.pool_dx(dout, x, 3, 2, mode, pad, bug)
            yield Question(f"{mode} pool: {bug}", _wide(made) if last else made, loss, tx, name)


def _norms(rng: Any) -> Iterator[Question]:
    for layer, axis in (("batch norm", 0), ("layer norm", 1)):
        x = rng.normal(size=(6, 5)) * 2 + 1
        gamma, beta, dout = rng.normal(size=5), rng.normal(size=5), rng.normal(size=(6, 5))
        tensors = {"dx": ac.tensor(x, name="x"), "dgamma": ac.tensor(gamma, name="gamma"), "dbeta": ac.tensor(beta)}
        out = (ac.batch_norm if axis == 0 else ac.layer_norm)(*tensors.values())
        loss = ac.sum(out * dout)
        for (which, bug), name in ({("dx", ""): "", ("dgamma", ""): "", ("dbeta", ""): ""} | NORM).items():
            made = dict(zip(tensors, by_hand.norm_backward(dout, x, gamma, beta, axis, bug=bug), strict=True))
            yield Question(f"{layer} {which}: {bug}", made[which], loss, tensors[which], name)


def _softmaxes(rng: Any) -> Iterator[Question]:
    x, dout, labels = rng.normal(size=(4, 5)), rng.normal(size=(4, 5)), rng.integers(0, 5, 4)
    t = ac.tensor(x, name="x")
    loss = ac.sum(ac.softmax(t) * dout)
    for bug, name in ({"": ""} | SOFTMAX).items():
        yield Question(f"softmax: {bug}", by_hand.softmax_dx(dout, x, bug), loss, t, name)
    loss = ac.losses.cross_entropy(t, labels)
    for bug, name in ({"": ""} | CROSS_ENTROPY).items():
        yield Question(f"cross entropy: {bug}", by_hand.cross_entropy_dx(x, labels, bug), loss, t, name)


def _dense(rng: Any) -> Iterator[Question]:
    x, w, b, dout = rng.normal(size=(5, 4)), rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=(5, 4))
    tensors = {"dx": ac.tensor(x, name="x"), "dw": ac.tensor(w, name="w"), "db": ac.tensor(b, name="b")}
    loss = ac.sum((tensors["dx"] @ tensors["dw"] + tensors["db"]) * dout)
    for bug, name in ({"dx: ": "", "dw: ": "", "db: ": ""} | AFFINE).items():
        made = dict(zip(tensors, by_hand.affine_backward(dout, x, w, b, bug), strict=True))
        yield Question(f"affine {bug}", made[bug[:2]], loss, tensors[bug[:2]], name)
    for act in ("relu", "tanh", "sigmoid"):
        tx, tw = ac.tensor(x, name="x"), ac.tensor(w, name="w")
        loss = ac.sum(getattr(ac, act)(tx @ tw) * dout)
        for (kind, bug), name in ({(act, ""): ""} | HIDDEN).items():
            if kind == act:
                dx, dw = by_hand.hidden_backward(dout, x, w, act, bug)
                yield Question(f"hidden {act} dx: {bug}", dx, loss, tx, name)
                yield Question(f"hidden {act} dw: {bug}", dw, loss, tw, name)
