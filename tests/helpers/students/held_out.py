"""Bugs that were written after the bank, to see how well it names what it has not been tuned to.

Classes and loops of other courses, with slips as they stand in repositories: an index, a slice, a transpose, a state.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

import autoconv as ac
from helpers.students import classes as c
from helpers.students import right as r
from helpers.students.from_loops import Student

Array = Any


def _changed(kind: Any, **methods: Any) -> Any:
    return type(kind.__name__, (kind,), {"__module__": kind.__module__, **methods})


def _conv_class(bug: str) -> Any:
    """The convolution of 11-785 with stride 1, its backward in the course's words."""

    def backward(self: Any, dLdZ: Array) -> Array:
        A, W, _, _ = self.cache
        k = W.shape[2]
        h, w = dLdZ.shape[2:]
        dLdZ = dLdZ[:, ::-1] if bug == "filters in reverse" else dLdZ
        self.dLdb = dLdZ.sum(axis=(0, 2, 3))
        self.dLdW = np.zeros(W.shape)
        for u, v in product(range(k), range(k)):
            part = A[:, :, u : u + h, v : v + w]
            if bug == "taps counted from the end":
                part = A[:, :, k - 1 - u : k - 1 - u + h, k - 1 - v : k - 1 - v + w]
            if bug == "diagonal taps only" and u != v:
                continue
            self.dLdW[:, :, u, v] = np.tensordot(dLdZ, part, axes=((0, 2, 3), (0, 2, 3)))
        if bug == "kernel gradient added to the kernel":
            self.dLdW = self.dLdW + W
        if bug == "bias gradient over the batch of one pixel":
            self.dLdb = dLdZ[:, :, 0, 0].sum(axis=0)
        wide = np.pad(dLdZ, ((0, 0), (0, 0), (k - 1, k - 1), (k - 1, k - 1)))
        turned = W[:, :, ::-1, ::-1]
        if bug == "not turned":
            turned = W
        if bug == "turned by a quarter":
            turned = np.rot90(W, axes=(2, 3))
        if bug == "mirrored only":
            turned = W[:, :, :, ::-1]
        dLdA = np.zeros(A.shape)
        for i, j in product(range(A.shape[2]), range(A.shape[3])):
            block = wide[:, :, i : i + k, j : j + k]
            dLdA[:, :, i, j] = np.einsum("nouv,ocuv->nc", block, turned)
        if bug == "border left at zero":
            dLdA[:, :, 0] = dLdA[:, :, -1] = dLdA[:, :, :, 0] = dLdA[:, :, :, -1] = 0
        if bug == "scaled by the kernel's size":
            dLdA = dLdA / k**2
        if bug == "clipped":
            dLdA = np.clip(dLdA, -1, 1)
        return dLdA

    return _changed(c.Conv2d_stride1, backward=backward)


CONV_CLASS = {
    "filters in reverse": ("dLdA", ""),
    "taps counted from the end": ("dLdW", "kernel gradient reversed"),
    "diagonal taps only": ("dLdW", ""),
    "kernel gradient added to the kernel": ("dLdW", "weight decay added"),
    "bias gradient over the batch of one pixel": ("dLdb", "bias not summed over positions"),
    "not turned": ("dLdA", "kernel not rotated"),
    "turned by a quarter": ("dLdA", "kernel not rotated|kernel transposed"),
    "mirrored only": ("dLdA", "kernel not rotated"),
    "border left at zero": ("dLdA", "left at zero in places|a pass of a loop left out"),
    "scaled by the kernel's size": ("dLdA", "mean instead of sum|divided by the wrong count"),
    "clipped": ("dLdA", "gradient clipped"),
}


def _classes() -> Iterator[Student]:
    def student(label: str, like: str, kind: Any, gradient: str, names: str) -> Student:
        return Student(label, like, kind, kind, gradient, names)

    for bug, (g, names) in CONV_CLASS.items():
        yield student(f"class conv: {bug}", "cmu11785.conv2d_stride1", _conv_class(bug), g, names)
    thin = {
        "repeated instead of spread": (
            lambda self, d: np.repeat(np.repeat(d, self.factor, 2), self.factor, 3)[
                :, :, : self.shape[2], : self.shape[3]
            ],
            "",
            0,
        ),
        "in the first cells": (
            lambda self, d: np.pad(
                d, [(0, 0), (0, 0), *[(0, a - b) for a, b in zip(self.shape[2:], d.shape[2:], strict=True)]]
            ),
            "stride not dilated|gradient put at the wrong index",
            0,
        ),
    }
    for bug, (back, names, _) in thin.items():
        yield student(f"downsample: {bug}", "cmu11785.downsample2d", _changed(c._Thin, backward=back), "dLdA", names)
    mean = {
        "not divided": (
            lambda self, d: c.MeanPool2d_stride1.backward(self, d) * self.k**2,
            "pooling gradient copied to every cell",
        ),
        "divided by the side": (
            lambda self, d: c.MeanPool2d_stride1.backward(self, d) * self.k,
            "divided by the wrong count",
        ),
        "negative": (lambda self, d: -c.MeanPool2d_stride1.backward(self, d), "sign"),
        "divided by the cells of the image": (
            lambda self, d: c.MeanPool2d_stride1.backward(self, d) * self.k**2 / (self.shape[2] * self.shape[3]),
            "divided by the wrong count",
        ),
    }
    for bug, (back, names) in mean.items():
        kind = _changed(c.MeanPool2d_stride1, backward=back)
        yield student(f"class mean pool: {bug}", "cmu11785.mean_pool_stride1", kind, "dLdA", names)
    soft = {
        "Jacobian without the diagonal": (
            lambda self, d: -self.A * (self.A * d).sum(1, keepdims=True),
            "a factor of the softmax's Jacobian forgotten",
        ),
        "times A (1 - A)": (
            lambda self, d: d * self.A * (1 - self.A),
            "only the diagonal of a Jacobian|a value instead of the derivative",
        ),
        "times A": (
            lambda self, d: d * self.A,
            "statistics held constant|a factor of the softmax's Jacobian forgotten|a value instead of the derivative",
        ),
        "first row for all": (
            lambda self, d: np.array([(np.diag(self.A[0]) - np.outer(self.A[0], self.A[0])) @ g for g in d]),
            "",
        ),
        "d - A": (lambda self, d: d - self.A, ""),
    }
    for bug, (back, names) in soft.items():
        yield student(f"class softmax: {bug}", "cmu11785.softmax", _changed(c.Softmax, backward=back), "dLdZ", names)
    bent = {
        "sigmoid of A again": (
            c.Sigmoid,
            "sigmoid",
            lambda self, d: d * (1 / (1 + np.exp(-self.A))) * (1 - 1 / (1 + np.exp(-self.A))),
            "derivative of a call taken at its output",
        ),
        "plus for minus": (
            c.Sigmoid,
            "sigmoid",
            lambda self, d: d * self.A * (1 + self.A),
            "a value instead of the derivative",
        ),
        "no upstream": (c.Tanh, "tanh", lambda self, d: 1 - self.A**2, "upstream gradient forgotten"),
        "without the square": (
            c.Tanh,
            "tanh",
            lambda self, d: d * (1 - self.A),
            "square in the derivative forgotten|a value instead of the derivative",
        ),
        "added": (c.Tanh, "tanh", lambda self, d: d + 1 - self.A**2, "added instead of multiplied"),
        "root": (c.Tanh, "tanh", lambda self, d: d * np.sqrt(1 - self.A**2), ""),
    }
    for bug, (kind, name, back, names) in bent.items():
        yield student(f"class {name}: {bug}", f"cmu11785.{name}", _changed(kind, backward=back), "dLdZ", names)

    def linear(bug: str) -> Any:
        def backward(self: Any, d: Array) -> Array:
            self.dLdW, self.dLdb = d.T @ self.A, d.sum(axis=0, keepdims=True).T
            if bug == "dLdW over the examples":
                self.dLdW = self.dLdW / len(d)
            if bug == "dLdb of the biases' size":
                self.dLdb = self.dLdb / d.shape[1]
            if bug == "only the diagonal examples":
                self.dLdW = np.sign(self.dLdW)
            return (d @ self.W) / len(d) if bug == "dLdA over the examples" else d @ self.W

        return _changed(c.Linear, backward=backward)

    for bug, (g, names) in {
        "dLdW over the examples": ("dLdW", "mean instead of sum"),
        "dLdb of the biases' size": ("dLdb", "mean instead of sum|divided by the wrong count"),
        "only the diagonal examples": ("dLdW", ""),
        "dLdA over the examples": ("dLdA", "mean instead of sum"),
    }.items():
        yield student(f"class linear: {bug}", "cmu11785.linear", linear(bug), g, names)

    def needle(bug: str) -> Any:
        def gradient(self: Any, d: Array, node: Any) -> Any:
            A, B = node.inputs
            if bug == "stride ignored in the gradient":
                cache = (A.transpose(0, 3, 1, 2), B.transpose(3, 2, 0, 1), None, {"stride": 1, "pad": self.p["pad"]})
                dx, dw, _ = r.conv_backward_einsum(d.transpose(0, 3, 1, 2), cache)
                return dx.transpose(0, 2, 3, 1), dw.transpose(2, 3, 1, 0)
            dA, dB = c.NeedleConv.gradient(self, d, node)
            made = {
                "dB in reverse": (dA, dB[::-1, ::-1].copy()),
                "dB exchanged": (dA, dB.transpose(1, 0, 2, 3).copy()),
                "dA averaged": (dA / len(A), dB),
                "exchanged": (dB, dA),
                "dA padded": (np.pad(dA, ((0, 0), (1, 1), (1, 1), (0, 0))), dB),
            }
            return made[bug]

        return _changed(c.NeedleConv, gradient=gradient)

    for bug, (g, names) in {
        "stride ignored in the gradient": ("dA", "stride not dilated|raises"),
        "dB in reverse": ("dB", "kernel gradient reversed"),
        "dB exchanged": ("dB", "kernel transposed"),
        "dA averaged": ("dA", "mean instead of sum"),
        "exchanged": ("dA", "gradients in another order|wrong shape"),
        "dA padded": ("dA", "wrong shape"),
    }.items():
        yield student(f"needle conv: {bug}", "needle.conv", needle(bug), g, names)

    def manual(bug: str) -> Any:
        def backward(self: Any, inputs: Array, outputs: Array, d: Array) -> Any:
            d = d * (outputs > 0) if bug != "relu forgotten" else d
            d = d * outputs if bug == "relu's value" else d
            if bug == "relu of the gradient":
                d = np.maximum(d, 0)
            made = c.Convolution.backward(self, inputs, np.ones_like(outputs), d)
            dx, kept, (dw, db) = made
            if bug == "bias averaged":
                db = db / (d.size / d.shape[3])
            if bug == "kernel averaged over the batch":
                dw = dw / len(d)
            return dx, kept, [dw, db]

        return _changed(c.Convolution, backward=backward)

    for bug, (g, names) in {
        "relu forgotten": ("inputs_gradient", "activation mask missing"),
        "relu's value": ("kernel_gradient", "activation instead of its mask"),
        "relu of the gradient": ("inputs_gradient", "relu applied to the gradient"),
        "bias averaged": ("bias_gradient", "mean instead of sum"),
        "kernel averaged over the batch": ("kernel_gradient", "mean instead of sum"),
    }.items():
        yield student(f"manual cnn: {bug}", "npfl138.convolution", manual(bug), g, names)


def _functions() -> Iterator[Student]:
    flip = lambda x, w: ac.conv2d(x, w, flip=True, layout="NCHW")

    def forward(x: Array, w: Array) -> Any:
        out, _ = r.conv_forward_einsum(x, w[:, :, ::-1, ::-1], np.zeros(len(w)), {"stride": 1, "pad": 0})
        return out, (x, w)

    for bug, (g, names) in {
        "kernel turned again": (
            "dx",
            "kernel not rotated|true convolution mistaken for cross-correlation|reversal forgotten",
        ),
        "kernel's gradient not turned": ("dw", "kernel gradient reversed|reversal forgotten"),
    }.items():

        def backward(dout: Array, cache: Any, g: str = g) -> Any:
            x, w = cache
            p = {"stride": 1, "pad": 0}
            dx, dw, _ = r.conv_backward_einsum(dout, (x, w[:, :, ::-1, ::-1], None, p))
            if g == "dx":
                return r.conv_backward_einsum(dout, (x, w, None, p))[0], dw[:, :, ::-1, ::-1]
            return dx, dw

        yield Student(f"true convolution: {bug}", flip, forward, backward, g, names)

    hang = lambda x: ac.avg_pool2d(x, 2, stride=2, ceil_mode=True, layout="NCHW")

    def averaged(x: Array) -> Any:
        h, w = (-(-n // 2) for n in x.shape[2:])
        out = np.zeros((*x.shape[:2], h, w))
        for i, j in product(range(h), range(w)):
            out[:, :, i, j] = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean(axis=(2, 3))
        return out, x

    def back(dout: Array, x: Array) -> Array:
        dx = np.zeros_like(x)
        for i, j in product(*map(range, dout.shape[2:])):
            dx[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] += dout[:, :, i : i + 1, j : j + 1] / 4
        return dx

    yield Student("overhanging windows: divided by 4", hang, averaged, back, "dx", "divided by the wrong count")
    group = {
        "statistics of the whole example": ("dx", "normalised over the wrong axis"),
        "dgamma over the batch alone": ("dgamma", "wrong shape"),
        "dbeta averaged": ("dbeta", "mean instead of sum"),
        "terms forgotten": ("dx", "statistics held constant"),
    }
    for bug, (g, names) in group.items():

        def backward(dout: Array, cache: Any, bug: str = bug) -> Any:
            hat, gamma, std, groups = cache
            dx, dgamma, dbeta = r.group_backward(dout, cache)
            if bug == "statistics of the whole example":
                d, h = ((a).reshape(len(hat), -1) for a in (dout * gamma, hat))
                dx = (d - d.mean(axis=1, keepdims=True) - h * (d * h).mean(axis=1, keepdims=True)).reshape(hat.shape)
                dx = (dx.reshape(len(hat) * groups, -1) / std).reshape(hat.shape)
            if bug == "terms forgotten":
                dx = ((dout * gamma).reshape(len(hat) * groups, -1) / std).reshape(hat.shape)
            if bug == "dgamma over the batch alone":
                dgamma = (dout * hat).sum(axis=0)
            if bug == "dbeta averaged":
                dbeta = dout.mean(axis=(0, 2, 3), keepdims=True)
            return dx, dgamma, dbeta

        yield Student(f"group norm: {bug}", "cs231n.spatial_groupnorm", r.group_forward, backward, g, names)

    total = np.zeros(())

    def added_up(dout: Array, cache: Any) -> Any:
        nonlocal total
        dx, dw, db = r.affine_backward(dout, cache)
        total = db if total.shape != db.shape else total + db
        return dx, dw, total

    yield Student("dense: db never cleared", "cs231n.affine", r.affine_forward, added_up, "db", "")


def students() -> Iterator[Student]:
    """names "": found, but no name is expected, for it has none."""
    yield from _classes()
    yield from _functions()
