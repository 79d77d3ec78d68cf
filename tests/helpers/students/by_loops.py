"""Gradients by NumPy loops of layers of which no course speaks: what is claimed is their numbers alone.

A row is a layer, its forward in autoconv, and a right backward in plain NumPy; the wrong ones are made of it by
exchanging a piece of its text.  The words of each were written down before the tutor had seen its numbers; six were
given another word afterwards, where the tutor's own said the same.
"""

# ruff: noqa: E501 (one mistake a line)

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import autoconv as ac

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Wrong:
    """One mistake: the layer, what was done, a pattern of the names that are right for it, (old, new) pieces."""

    layer: str
    what: str
    words: str
    changes: tuple[tuple[str, str], ...]

    @property
    def label(self) -> str:
        return f"{self.layer}: {self.what}"


@dataclass(frozen=True)
class Layer:
    """forward: from Tensors by name to the output; text: the body of a function of g and the arrays by name."""

    forward: Callable[..., Any]
    arrays: Arrays
    asked: str
    text: str

    def claims(self, wrong: Wrong | None = None) -> Iterator[tuple[str, np.ndarray, Any, Any]]:
        """(name, what the loops compute, loss, tensor) for each gradient; of a wrong one those that it changes."""
        tensors = {k: ac.tensor(a, name=k) if k in self.asked.split() else a for k, a in self.arrays.items()}
        out = self.forward(**tensors)
        g = np.random.default_rng(5).normal(size=out.shape)
        right = run(self.text, g, self.arrays)
        text = self.text
        for old, new in wrong.changes if wrong else ():
            assert old in text, (wrong.label, old)
            text = text.replace(old, new)
        made = run(text, g, self.arrays)
        for name, tensor in tensors.items():
            if name in made and (wrong is None or not np.allclose(made[name], right[name], rtol=1e-7, atol=1e-12)):
                yield name, made[name], ac.sum(out * g), tensor


def run(text: str, g: np.ndarray, arrays: Arrays) -> Arrays:
    """The gradients by name: the arrays called d + name when the text has been run."""
    scope: dict[str, Any] = {"np": np, "g": g, **{k: a.copy() for k, a in arrays.items()}}
    exec(text, scope)  # our own text
    return {k: scope["d" + k] for k in arrays if "d" + k in scope}


LAYERS: dict[str, Layer] = {}
WRONGS: list[Wrong] = []


def layer(name: str, forward: Callable[..., Any], arrays: Arrays, text: str, *wrongs: tuple[Any, ...]) -> None:
    asked = " ".join(k for k in arrays if f"d{k}" in text)
    LAYERS[name] = Layer(forward, arrays, asked, text)
    for what, words, *changes in wrongs:
        WRONGS.append(Wrong(name, what, words, tuple(changes)))


def normal(seed: int, **shapes: tuple[int, ...]) -> Arrays:
    rng = np.random.default_rng(seed)
    return {k: rng.normal(size=shape) for k, shape in shapes.items()}


layer(
    "conv1d", lambda x, w, b: ac.conv1d(x, w, b, stride=2, padding=1, layout="channels_first"),
    normal(1, x=(2, 3, 9), w=(4, 3, 3), b=(4,)),
    """
N, C, L = x.shape
F, _, K = w.shape
S, P = 2, 1
xp = np.pad(x, ((0, 0), (0, 0), (P, P)))
dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), np.zeros_like(b)
for n in range(N):
    for f in range(F):
        for i in range(g.shape[2]):
            dxp[n, :, i * S : i * S + K] += w[f] * g[n, f, i]
            dw[f] += xp[n, :, i * S : i * S + K] * g[n, f, i]
            db[f] += g[n, f, i]
dx = dxp[:, :, P : P + L]
""",
    ("stride left out in dw", "stride|tiles|position of the window", ("+= xp[n, :, i * S : i * S + K]", "+= xp[n, :, i : i + K]")),
    ("stride left out in dx", "stride|tiles|position of the window", ("dxp[n, :, i * S : i * S + K]", "dxp[n, :, i : i + K]")),
    ("cropped at the front alone", "padding|crop", ("P : P + L]", "2 * P :]")),
    ("cropped at the end alone", "padding|crop", ("P : P + L]", ": L]")),
    ("bias assigned", "last|bias not summed", ("db[f] +=", "db[f] =")),
    ("dx assigned", "overwritten|last", ("S + K] += w", "S + K] = w")),
    ("kernel reversed", "rotated|revers|backward", ("+= w[f]", "+= w[f][:, ::-1]")),
    ("the last example left out", "batch|pass of a loop", ("range(N)", "range(N - 1)")),
    ("the last position left out", "pass of a loop", ("range(g.shape[2])", "range(g.shape[2] - 1)")),
    ("filter of the neighbour", "neighbour", ("+= w[f]", "+= w[f - 1]")),
    ("window one too far", "padding|shifted|position of the window|off by one", ("+= xp[n, :, i * S : i * S + K]", "+= np.pad(xp, ((0, 0), (0, 0), (0, 1)))[n, :, i * S + 1 : i * S + 1 + K]")),
)  # fmt: skip

layer(
    "depthwise", lambda x, w: ac.conv2d(x, w, padding=1, groups=3),
    normal(2, x=(2, 5, 5, 3), w=(3, 3, 1, 3)),
    """
N, H, W, C = x.shape
xp = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
dxp, dw = np.zeros_like(xp), np.zeros_like(w)
for n in range(N):
    for i in range(H):
        for j in range(W):
            for c in range(C):
                dxp[n, i : i + 3, j : j + 3, c] += w[:, :, 0, c] * g[n, i, j, c]
                dw[:, :, 0, c] += xp[n, i : i + 3, j : j + 3, c] * g[n, i, j, c]
dx = dxp[:, 1:-1, 1:-1]
""",
    ("channel 0 for all in dw", "first value|first filter", ("xp[n, i : i + 3, j : j + 3, c] *", "xp[n, i : i + 3, j : j + 3, 0] *")),
    ("all channels' gradients in dx", "groups mixed|summed or averaged|product of sums", ("w[:, :, 0, c] * g[n, i, j, c]", "w[:, :, 0, c] * g[n, i, j].sum()")),
    ("kernel transposed", "transposed|rows and columns", ("+= w[:, :, 0, c]", "+= w[:, :, 0, c].T")),
    ("padded behind alone", "padded on one side|padding", ("(1, 1), (1, 1), (0, 0)))", "(0, 2), (0, 2), (0, 0)))"), ("dx = dxp[:, 1:-1, 1:-1]", "")),
    ("rows and columns of g exchanged", "rows and columns|transposed", ("dw[:, :, 0, c] += xp[n, i : i + 3, j : j + 3, c] * g[n, i, j, c]", "dw[:, :, 0, c] += xp[n, i : i + 3, j : j + 3, c] * g[n, j, i, c]")),
    ("a mean over the positions", "mean instead of sum", ("dx = dxp", "dw /= H * W; dx = dxp")),
    ("summed over channels", "summed over an index that stays|groups", ("dx = dxp", "dw = dw.sum(axis=3, keepdims=True) + 0 * dw; dx = dxp")),
)  # fmt: skip

layer(
    "conv_transpose2d", lambda x, w: ac.conv_transpose2d(x, w, stride=2),
    normal(3, x=(2, 3, 3, 2), w=(3, 3, 4, 2)),
    """
N, H, W, C = x.shape
dx, dw = np.zeros_like(x), np.zeros_like(w)
for n in range(N):
    for i in range(H):
        for j in range(W):
            for u in range(3):
                for v in range(3):
                    dx[n, i, j] += g[n, i * 2 + u, j * 2 + v] @ w[u, v]
                    dw[u, v] += np.outer(g[n, i * 2 + u, j * 2 + v], x[n, i, j])
""",
    ("stride left out in dx", "stride|tiles|dilat|position of the window", ("+= g[n, i * 2 + u, j * 2 + v] @", "+= g[n, i + u, j + v] @")),
    ("stride left out in dw", "stride|tiles|dilat|position of the window", ("outer(g[n, i * 2 + u, j * 2 + v]", "outer(g[n, i + u, j + v]")),
    ("kernel rotated", "rotated|revers|true convolution", ("@ w[u, v]", "@ w[2 - u, 2 - v]")),
    ("dw assigned", "last|overwritten", ("dw[u, v] += ", "dw[u, v] = ")),
    ("dx assigned", "last|overwritten|only one", ("dx[n, i, j] += ", "dx[n, i, j] = ")),
    ("the first position for all", "first value|position", ("x[n, i, j])", "x[n, 0, 0])")),
)  # fmt: skip

layer(
    "group_norm", lambda x, gamma, beta: ac.group_norm(x, 2, gamma, beta, layout="channels_first"),
    {**normal(4, x=(3, 4, 3, 3), gamma=(4,), beta=(4,))},
    """
N, C, H, W = x.shape
G, D = 2, C // 2
dx, dgamma, dbeta = np.zeros_like(x), np.zeros_like(gamma), np.zeros_like(beta)
for n in range(N):
    for k in range(G):
        part = x[n, k * D : k * D + D]
        m = D * H * W
        mu, std = part.mean(), np.sqrt(part.var() + 1e-5)
        hat = (part - mu) / std
        dhat = g[n, k * D : k * D + D] * gamma[k * D : k * D + D, None, None]
        dx[n, k * D : k * D + D] = (dhat - dhat.sum() / m - hat * (dhat * hat).sum() / m) / std
        for d in range(D):
            dgamma[k * D + d] += (g[n, k * D + d] * hat[d]).sum()
            dbeta[k * D + d] += g[n, k * D + d].sum()
""",
    ("divided by H W alone", "wrong factor|wrong count|sums where means", ("m = D * H * W", "m = H * W")),
    ("divided by N H W D", "wrong factor|wrong count|mean instead of sum", ("m = D * H * W", "m = N * D * H * W")),
    ("gamma forgotten", "gamma|local derivative forgotten|factor.*missing|summed without", (" * gamma[k * D : k * D + D, None, None]", "")),
    ("gamma of the group", "gamma|groups|index|neighbour|first", ("gamma[k * D : k * D + D, None, None]", "gamma[k]")),
    ("mean term lost", "mean term|mean.*forgotten|term.*forgotten", (" - dhat.sum() / m", "")),
    ("x for x-hat in gamma", "x where x-hat|earlier value|input", ("* hat[d]).sum()", "* part[d]).sum()")),
    ("std not divided", "deviation in the wrong power|standard deviation", (" / m) / std", " / m)")),
    ("beta by assignment", "last|batch|overwritten", ("dbeta[k * D + d] +=", "dbeta[k * D + d] =")),
    ("means for each channel", "wrong axis|axes", ("dhat.sum() / m", "dhat.mean((1, 2), keepdims=True)"), ("(dhat * hat).sum() / m", "(dhat * hat).mean((1, 2), keepdims=True)")),
    ("output for x-hat in the variance's term", "x where x-hat|output", ("- hat * (dhat", "- (hat * gamma[k * D : k * D + D, None, None] + beta[k * D : k * D + D, None, None]) * (dhat")),
)  # fmt: skip

layer(
    "instance_norm", lambda x, gamma, beta: ac.instance_norm(x, gamma, beta),
    normal(6, x=(2, 4, 3, 3), gamma=(3,), beta=(3,)),
    """
N, H, W, C = x.shape
mu = x.mean(axis=(1, 2), keepdims=True)
std = np.sqrt(x.var(axis=(1, 2), keepdims=True) + 1e-5)
hat = (x - mu) / std
dgamma, dbeta = (g * hat).sum(axis=(0, 1, 2)), g.sum(axis=(0, 1, 2))
dhat = g * gamma
m = H * W
first = dhat.sum(axis=(1, 2), keepdims=True)
second = (dhat * hat).sum(axis=(1, 2), keepdims=True)
dx = (dhat - first / m - hat * second / m) / std
""",
    ("statistics constant", "statistics held|mean and variance|terms.*forgotten", (" - first / m - hat * second / m", "")),
    ("variance term added", "sign of a term", ("- hat * second", "+ hat * second")),
    ("output for x-hat everywhere", "x where x-hat|output", ("second = (dhat * hat)", "second = (dhat * (hat * gamma + beta))"), ("- hat * second", "- (hat * gamma + beta) * second")),
    ("output for x-hat in gamma", "x where x-hat|output|earlier value|another", ("(g * hat).sum(axis=(0, 1, 2))", "(g * (hat * gamma + beta)).sum(axis=(0, 1, 2))")),
    ("means over the batch as well", "wrong axis|axes", ("first = dhat.sum(axis=(1, 2), keepdims=True)", "first = dhat.sum(axis=(0, 1, 2), keepdims=True) / N"), ("second = (dhat * hat).sum(axis=(1, 2), keepdims=True)", "second = (dhat * hat).sum(axis=(0, 1, 2), keepdims=True) / N")),
    ("sums", "sums where means", ("m = H * W", "m = 1")),
    ("x where x-hat belongs", "x where x-hat", ("second = (dhat * hat)", "second = (dhat * x)"), ("- hat * second", "- x * second")),
    ("variance, not its root", "deviation in the wrong power", ("second / m) / std", "second / m) / std**2")),
    ("m - 1", "n - 1|unbiased|wrong factor", ("m = H * W", "m = H * W - 1")),
)  # fmt: skip


def _labels(*labels: int) -> Arrays:
    return {"t": np.array(labels)}


layer(
    "log_softmax_nll", lambda x, t: ac.losses.nll(ac.log_softmax(x), t),
    {**normal(7, x=(4, 5)), **_labels(2, 0, 4, 2)},
    """
N, C = x.shape
dx = np.zeros_like(x)
for n in range(N):
    e = np.exp(x[n] - x[n].max())
    p = e / e.sum()
    for c in range(C):
        dx[n, c] = (p[c] - (c == t[n])) / N * g
""",
    ("target forgotten", "target forgotten", ("(p[c] - (c == t[n]))", "p[c]")),
    ("not divided by N", "sum instead of mean", (" / N", "")),
    ("divided by C", "wrong count|divided|factor", (" / N", " / C")),
    ("divided by N C", "wrong count|divided|factor|mean", (" / N", " / (N * C)")),
    ("labels from 1", "target in the wrong place|neighbour", ("c == t[n]", "c == t[n] - 1")),
    ("added", "sign|target", ("p[c] - (c", "p[c] + (c")),
    ("p (1 - p)", "sigmoid", ("(p[c] - (c == t[n]))", "p[c] * (1 - p[c])")),
    ("not normalised", "not normalised", ("p = e / e.sum()", "p = e")),
    ("log p for p", "log", ("(p[c] - (c", "(np.log(p[c]) - (c")),
    ("upstream forgotten", "upstream", ("/ N * g", "/ N")),
)  # fmt: skip


def _svm(x: Any, t: Any) -> Any:
    n = np.arange(len(t))
    margins = ac.relu(x - x[n, t][:, None] + 1.0)
    return ac.sum(margins * (np.arange(5) != t[:, None])) / 4


layer(
    "svm", _svm, {**normal(8, x=(4, 5)), **_labels(1, 3, 0, 4)},
    """
N, C = x.shape
dx = np.zeros_like(x)
for n in range(N):
    for c in range(C):
        if c == t[n]:
            continue
        if x[n, c] - x[n, t[n]] + 1 > 0:
            dx[n, c] += g / N
            dx[n, t[n]] -= g / N
""",
    ("the right class forgotten", "right class|label|target|path", ("            dx[n, t[n]] -= g / N\n", "")),
    ("the right class once", "right class|label|target|broadcast not summed", ("dx[n, t[n]] -= g / N", "dx[n, t[n]] = -g / N")),
    ("the right class added", "right class|label|target|path|sign", ("dx[n, t[n]] -= g", "dx[n, t[n]] += g")),
    ("margin without the 1", "mask|threshold|margin", ("+ 1 > 0", "> 0")),
    ("margin ignored", "mask missing", ("+ 1 > 0", "+ 1 > -99")),
    ("margin inverted", "mask inverted", ("+ 1 > 0", "+ 1 < 0")),
    ("only the right class", "other classes|label|path|right class", ("            dx[n, c] += g / N\n", "")),
    ("not divided in the right class", "right class|label|target|path|sum instead of mean", ("-= g / N", "-= g")),
    ("first violation alone", "right class|path|loop|other classes", ("dx[n, t[n]] -= g / N", "dx[n, t[n]] -= g / N; break")),
    ("margins multiplied in", "activation instead of its mask|value", ("dx[n, c] += g / N", "dx[n, c] += g / N * (x[n, c] - x[n, t[n]] + 1)")),
)  # fmt: skip

layer(
    "hinge", lambda x, s: ac.mean(ac.relu(1 - s * x)),
    {**normal(9, x=(12,)), "s": np.array([1.0, -1, -1, 1, 1, -1, 1, -1, 1, 1, -1, -1])},
    """
dx = np.zeros_like(x)
for i in range(len(x)):
    if s[i] * x[i] < 1:
        dx[i] = -s[i] / len(x) * g
""",
    ("label forgotten", "factor|operand|local derivative|summed without|multiplied by", ("-s[i] / len", "-1 / len")),
    ("sign", "sign", ("-s[i]", "s[i]")),
    ("margin ignored", "mask missing", ("s[i] * x[i] < 1", "True")),
    ("x for the label", "operands swapped|own value|input|another", ("-s[i] / len", "-x[i] / len")),
    ("margin 0", "mask|threshold", ("x[i] < 1", "x[i] < 0")),
)  # fmt: skip

layer(
    "leaky_relu", lambda x: ac.leaky_relu(x, 0.1), normal(10, x=(4, 5)),
    """
dx = np.zeros_like(x)
for i in np.ndindex(x.shape):
    dx[i] = g[i] if x[i] > 0 else 0.1 * g[i]
""",
    ("slope 0", "slope|another function|mask", ("else 0.1 * g[i]", "else 0")),
    ("slope 0.01", "slope|another function", ("else 0.1", "else 0.01")),
    ("inverted", "inverted", ("x[i] > 0", "x[i] < 0")),
    ("mask from g", "at the gradient|applied to the gradient", ("x[i] > 0", "g[i] > 0")),
    ("let through", "mask missing|local derivative forgotten", ("else 0.1 * g[i]", "else g[i]")),
    ("minus", "slope|another function|sign", ("else 0.1", "else -0.1")),
    ("value below", "value|input|slope", ("else 0.1 * g[i]", "else 0.1 * x[i] * g[i]")),
)  # fmt: skip

layer(
    "elu", lambda x: ac.elu(x), normal(11, x=(3, 6)),
    """
dx = np.zeros_like(x)
for i in np.ndindex(x.shape):
    dx[i] = g[i] * (1 if x[i] > 0 else np.exp(x[i]))
""",
    ("the value below", "value|slope|another function|output", ("np.exp(x[i])", "(np.exp(x[i]) - 1)")),
    ("zero below", "slope|another function|mask|relu", ("np.exp(x[i])", "0")),
    ("exp everywhere", "mask|slope|another function", ("1 if x[i] > 0 else ", "")),
    ("one below", "mask missing|local derivative forgotten", ("np.exp(x[i])", "1")),
    ("exp(-x)", "slope|another function|sign", ("np.exp(x[i])", "np.exp(-x[i])")),
    ("upstream forgotten", "upstream", ("g[i] * (", "(")),
)  # fmt: skip

layer(
    "gelu", lambda x: ac.gelu(x), normal(12, x=(3, 5)),
    """
from math import erf, pi
dx = np.zeros_like(x)
for i in np.ndindex(x.shape):
    cdf = 0.5 * (1 + erf(x[i] / np.sqrt(2)))
    pdf = np.exp(-x[i]**2 / 2) / np.sqrt(2 * pi)
    dx[i] = g[i] * (cdf + x[i] * pdf)
""",
    ("no product rule", "path|product|term|factor held|path forgotten", ("cdf + x[i] * pdf", "cdf")),
    ("second term alone", "path", ("cdf + x[i] * pdf", "x[i] * pdf")),
    ("x forgotten", "path.*factor|factor|value", ("x[i] * pdf", "pdf")),
    ("density not normalised", "path|factor", (" / np.sqrt(2 * pi)", "")),
    ("minus", "sign|path", ("cdf + x", "cdf - x")),
    ("at the output", "at its output|at the output", ("dx[i] = g[i] * (cdf + x[i] * pdf)", "y = x[i] * cdf; dx[i] = g[i] * (0.5 * (1 + erf(y / np.sqrt(2))) + y * np.exp(-y**2 / 2) / np.sqrt(2 * pi))")),
)  # fmt: skip

layer(
    "silu", lambda x: ac.silu(x), normal(13, x=(3, 5)),
    """
dx = np.zeros_like(x)
for i in np.ndindex(x.shape):
    s = 1 / (1 + np.exp(-x[i]))
    dx[i] = g[i] * (s + x[i] * s * (1 - s))
""",
    ("sigmoid's derivative", "another function|sigmoid|path", ("s + x[i] * s * (1 - s)", "s * (1 - s)")),
    ("sigmoid alone", "path|another function|sigmoid", ("s + x[i] * s * (1 - s)", "s")),
    ("second alone", "path", ("s + x[i] * s * (1 - s)", "x[i] * s * (1 - s)")),
    ("1 - s lost", "half of the sigmoid|factor|path", ("x[i] * s * (1 - s)", "x[i] * s")),
    ("x s twice", "path|factor|value|sigmoid", ("x[i] * s * (1 - s)", "x[i] * s * x[i] * (1 - s)")),
    ("x squared", "path|factor|value", ("x[i] * s * (1 - s)", "x[i] * s * (1 - x[i] * s)")),
)  # fmt: skip

layer(
    "dropout", lambda x, m: x * m / 0.8,
    {**normal(14, x=(4, 6)), "m": (np.random.default_rng(15).random((4, 6)) < 0.8) * 1.0},
    """
dx = np.zeros_like(x)
for i in np.ndindex(x.shape):
    dx[i] = g[i] * m[i] / 0.8
""",
    ("scale forgotten", "constant factor|local derivative forgotten|scale|factor", (" / 0.8", "")),
    ("mask forgotten", "mask|local derivative forgotten|operand|summed without", (" * m[i]", "")),
    ("mask inverted", "inverted|1 minus|mask", ("* m[i]", "* (1 - m[i])")),
    ("scaled twice", "squared|twice|constant factor|factor", ("/ 0.8", "/ 0.64")),
    ("multiplied", "reciprocal|constant factor|factor", ("/ 0.8", "* 0.8")),
    ("x multiplied in", "own value", ("g[i] * m", "x[i] * g[i] * m")),
)  # fmt: skip

layer(
    "embedding", lambda w, t: ac.embedding(t, w),
    {**normal(16, w=(6, 4)), "t": np.array([[1, 3, 1], [0, 3, 3]])},
    """
dw = np.zeros_like(w)
for n in range(2):
    for i in range(3):
        dw[t[n, i]] += g[n, i]
""",
    ("assigned", "repeated index", ("dw[t[n, i]] +=", "dw[t[n, i]] =")),
    ("next row", "wrong index|neighbour", ("dw[t[n, i]]", "dw[t[n, i] + 1]")),
    ("averaged", "mean|averag|count", ("+= g[n, i]", "+= g[n, i] / (t == t[n, i]).sum()")),
    ("one example", "batch|loop", ("range(2)", "range(1)")),
    ("position for token", "wrong index|order|index", ("dw[t[n, i]]", "dw[i]")),
    ("the first kept", "repeated index|first|overwritten", ("        dw[t[n, i]] += g[n, i]", "        if not dw[t[n, i]].any(): dw[t[n, i]] = g[n, i]")),
)  # fmt: skip

layer(
    "attention", lambda q, k, v: ac.softmax(q @ k.T / 2.0) @ v,
    normal(17, q=(5, 4), k=(5, 4), v=(5, 4)),
    """
s = q @ k.T / 2.0
e = np.exp(s - s.max(axis=1, keepdims=True))
p = e / e.sum(axis=1, keepdims=True)
dv = p.T @ g
dp = g @ v.T
ds = np.zeros_like(s)
for i in range(5):
    for j in range(5):
        ds[i, j] = p[i, j] * (dp[i, j] - (dp[i] * p[i]).sum())
dq = ds @ k / 2.0
dk = ds.T @ q / 2.0
""",
    ("scale forgotten in dq", "factor|local derivative forgotten", ("ds @ k / 2.0", "ds @ k")),
    ("dk not transposed", "transposed", ("ds.T @ q", "ds @ q")),
    ("p not transposed", "transposed", ("p.T @ g", "p @ g")),
    ("diagonal of the softmax", "softmax|Jacobian", (" - (dp[i] * p[i]).sum()", "")),
    ("p lost", "softmax|Jacobian", ("p[i, j] * (dp", "(dp")),
    ("softmax over columns", "softmax|axis", ("(dp[i] * p[i]).sum()", "(dp[:, j] * p[:, j]).sum()")),
    ("v for k", "another|operands|earlier|place", ("dq = ds @ k", "dq = ds @ v")),
    ("softmax skipped", "local derivative forgotten|softmax|left out", ("ds[i, j] = p[i, j] * (dp[i, j] - (dp[i] * p[i]).sum())", "ds[i, j] = dp[i, j]")),
    ("the sigmoid's", "sigmoid|diagonal", ("p[i, j] * (dp[i, j] - (dp[i] * p[i]).sum())", "p[i, j] * (1 - p[i, j]) * dp[i, j]")),
    ("scale by d", "factor", ("dk = ds.T @ q / 2.0", "dk = ds.T @ q / 4.0")),
)  # fmt: skip


def _rnn(x: Any, w: Any, u: Any, b: Any) -> Any:
    h, hs = np.zeros(3), []
    for t in range(4):
        h = ac.tanh(x[t] @ w + h @ u + b)
        hs.append(h)
    return ac.stack(hs)


layer(
    "rnn", _rnn, normal(18, x=(4, 2), w=(2, 3), u=(3, 3), b=(3,)),
    """
h = np.zeros((5, 3))
for t in range(4):
    h[t + 1] = np.tanh(x[t] @ w + h[t] @ u + b)
dx, dw, du, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), np.zeros_like(b)
dh = np.zeros(3)
for t in reversed(range(4)):
    dh = dh + g[t]
    da = dh * (1 - h[t + 1] ** 2)
    dw += np.outer(x[t], da)
    du += np.outer(h[t], da)
    db += da
    dx[t] = w @ da
    dh = u @ da
""",
    ("not through time", "path|before it was complete", ("    dh = u @ da", "    dh = 0 * dh")),
    ("h after for h before", "later value", ("np.outer(h[t], da)", "np.outer(h[t + 1], da)")),
    ("square forgotten", "square", ("h[t + 1] ** 2", "h[t + 1]")),
    ("u not transposed", "transposed", ("dh = u @ da", "dh = u.T @ da")),
    ("u not transposed in the sum", "transposed", ("np.outer(h[t], da)", "np.outer(da, h[t])")),
    ("bias of the last step", "last|not summed|only one|path", ("db += da", "db = da")),
    ("upstream of the last step alone", "path|upstream|last", ("dh = dh + g[t]", "dh = dh + (g[t] if t == 3 else 0)")),
    ("tanh forgotten", "local derivative forgotten", (" * (1 - h[t + 1] ** 2)", "")),
    ("tanh at the step before", "neighbour|earlier|another|at", ("1 - h[t + 1] ** 2", "1 - h[t] ** 2")),
    ("added twice", "path|twice|counts", ("dh = u @ da", "dh = dh + u @ da")),
)  # fmt: skip

layer(
    "global_avg_pool", lambda x: ac.global_avg_pool(x), normal(19, x=(2, 4, 3, 5)),
    """
N, H, W, C = x.shape
dx = np.zeros_like(x)
for n, i, j, c in np.ndindex(x.shape):
    dx[n, i, j, c] = g[n, c] / (H * W)
""",
    ("not divided", "sum instead of mean", (" / (H * W)", "")),
    ("divided by H", "wrong count|divided|factor", ("/ (H * W)", "/ H")),
    ("divided by N H W", "wrong count|divided|factor", ("/ (H * W)", "/ (N * H * W)")),
    ("one cell", "wrong cell|first|loop|wrong index|position", ("dx[n, i, j, c] = g[n, c] / (H * W)", "dx[n, 0, 0, c] = g[n, c]")),
    ("example 0 for all", "first value|first filter|example", ("g[n, c]", "g[0, c]")),
    ("channels reversed", "backward|revers|order", ("g[n, c]", "g[n, C - 1 - c]")),
)  # fmt: skip

layer(
    "global_max_pool", lambda x: ac.global_max_pool(x), normal(20, x=(2, 4, 3, 5)),
    """
N, H, W, C = x.shape
dx = np.zeros_like(x)
for n in range(N):
    for c in range(C):
        i, j = np.unravel_index(x[n, :, :, c].argmax(), (H, W))
        dx[n, i, j, c] = g[n, c]
""",
    ("smallest", "wrong cell|wrong element", ("argmax", "argmin")),
    ("spread", "spread evenly", ("dx[n, i, j, c] = g[n, c]", "dx[n, :, :, c] = g[n, c] / (H * W)")),
    ("to every cell", "to every c", ("dx[n, i, j, c] = g[n, c]", "dx[n, :, :, c] = g[n, c]")),
    ("value", "value", ("= g[n, c]", "= g[n, c] * x[n, i, j, c]")),
    ("rows and columns exchanged", "order|places|wrong cell|rows and columns", ("(H, W))", "(W, H))"), ("dx[n, i, j, c] = g[n, c]", "dx[n, j, i, c] = g[n, c]")),
    ("largest over all channels", "wrong cell|only|another", ("        i, j = np.unravel_index(x[n, :, :, c].argmax(), (H, W))", "        i, j = np.unravel_index(x[n].sum(axis=2).argmax(), (H, W))")),
)  # fmt: skip

layer(
    "upsample", lambda x: ac.upsample(x, scale_factor=2), normal(21, x=(2, 3, 3, 2)),
    """
N, H, W, C = x.shape
dx = np.zeros_like(x)
for n in range(N):
    for i in range(2 * H):
        for j in range(2 * W):
            dx[n, i // 2, j // 2] += g[n, i, j]
""",
    ("first of each", "first|summed|only one|index left", ("dx[n, i // 2, j // 2] += g[n, i, j]", "dx[n, i // 2, j // 2] = g[n, i // 2 * 2, j // 2 * 2]")),
    ("last of each", "last|overwritten|repeated index|broadcast", ("] += g", "] = g")),
    ("mean", "mean instead of sum|averag", ("+= g[n, i, j]", "+= g[n, i, j] / 4")),
    ("modulo", "wrong index|order|index|places", ("i // 2, j // 2", "i % H, j % W")),
    ("rows and columns exchanged", "transposed|rows and columns|places", ("dx[n, i // 2, j // 2]", "dx[n, j // 2, i // 2]")),
)  # fmt: skip

layer(
    "flatten_linear", lambda x, w: ac.reshape(x, (3, 24)) @ w, normal(22, x=(3, 2, 3, 4), w=(24, 5)),
    """
N, C, H, W = x.shape
flat = np.zeros((N, C * H * W))
for n, c, i, j in np.ndindex(x.shape):
    flat[n, (c * H + i) * W + j] = x[n, c, i, j]
dw = flat.T @ g
dflat = g @ w.T
dx = dflat.reshape(N, C, H, W)
""",
    ("channels last back", "order|flatten|places", ("dflat.reshape(N, C, H, W)", "dflat.reshape(N, H, W, C).transpose(0, 3, 1, 2)")),
    ("rows and columns", "order|flatten|places", ("dflat.reshape(N, C, H, W)", "dflat.reshape(N, C, W, H).transpose(0, 1, 3, 2)")),
    ("flattened with channels last", "order|flatten|places", ("(c * H + i) * W + j", "(i * W + j) * C + c")),
    ("batch last", "order|flatten|places", ("dx = dflat.reshape(N, C, H, W)", "dx = dflat.T.reshape(N, C, H, W)")),
    ("Fortran order", "order|flatten|places", ("dflat.reshape(N, C, H, W)", "dflat.reshape(N, C, H, W, order='F')")),
    ("reshape for the transpose of w", "order|places|transposed|reshape", ("g @ w.T", "g @ w.reshape(5, 24)")),
    ("reshape for the transpose of x", "order|places|transposed|reshape", ("flat.T @ g", "flat.reshape(24, 3) @ g")),
)  # fmt: skip


def _batch_norm(x: Any, gamma: Any) -> Any:
    mu = ac.mean(x, axis=0)
    return gamma * (x - mu) / ac.sqrt(ac.mean((x - mu) ** 2, axis=0) + 1e-5)


layer(
    "batch_norm by hand", _batch_norm, normal(23, x=(6, 4), gamma=(4,)),
    """
N, D = x.shape
mu, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + 1e-5)
hat = (x - mu) / std
dgamma = (g * hat).sum(axis=0)
dhat = g * gamma
dvar = (dhat * (x - mu)).sum(axis=0) * -0.5 / std**3
dmu = -dhat.sum(axis=0) / std
dx = dhat / std + dvar * 2 * (x - mu) / N + dmu / N
""",
    ("dmu not divided", "sums where means|wrong factor", ("dmu / N", "dmu")),
    ("the 2 lost", "wrong factor", ("dvar * 2 *", "dvar *")),
    ("std cubed lost", "wrong factor|deviation", ("-0.5 / std**3", "-0.5 / std")),
    ("dvar with x", "x where x-hat", ("(dhat * (x - mu)).sum", "(dhat * x).sum")),
    ("N D for N", "wrong factor|count|divided", ("(x - mu) / N + dmu / N", "(x - mu) / (N * D) + dmu / (N * D)")),
    ("sign of dvar", "sign of a term", ("* -0.5", "* 0.5")),
    ("over the features", "wrong axis", ("dmu = -dhat.sum(axis=0) / std", "dmu = -(dhat / std).sum(axis=1, keepdims=True)")),
    ("gamma with the output", "x where x-hat|output|another|value", ("(g * hat).sum(axis=0)", "(g * hat * gamma).sum(axis=0)")),
)  # fmt: skip

layer(
    "im2col conv", lambda x, w: ac.conv2d(x, w, layout="channels_first"),
    normal(24, x=(2, 2, 5, 4), w=(3, 2, 3, 2)),
    """
N, C, H, W = x.shape
F, _, K, L = w.shape
P, Q = g.shape[2:]
cols = np.zeros((N, P, Q, C, K, L))
for i in range(P):
    for j in range(Q):
        cols[:, i, j] = x[:, :, i : i + K, j : j + L]
rows = g.transpose(0, 2, 3, 1).reshape(-1, F)
dw = (rows.T @ cols.reshape(-1, C * K * L)).reshape(w.shape)
dcols = (rows @ w.reshape(F, -1)).reshape(N, P, Q, C, K, L)
dx = np.zeros_like(x)
for i in range(P):
    for j in range(Q):
        dx[:, :, i : i + K, j : j + L] += dcols[:, i, j]
""",
    ("reshape for transpose of g", "order|places|reshape|transposed|flatten", ("g.transpose(0, 2, 3, 1).reshape(-1, F)", "g.reshape(-1, F)")),
    ("columns in another order", "order|places|reshape|flatten", (".reshape(N, P, Q, C, K, L)", ".reshape(N, P, Q, K, L, C).transpose(0, 1, 2, 5, 3, 4)")),
    ("kernel gradient in another order", "order|places|reshape|flatten", ("C * K * L)).reshape(w.shape)", "C * K * L)).reshape(F, K, L, C).transpose(0, 3, 1, 2)")),
    ("positions exchanged", "order|places|rows and columns|reshape|flatten", ("g.transpose(0, 2, 3, 1)", "g.transpose(0, 3, 2, 1)")),
    ("overwritten", "overwritten", ("] += dcols", "] = dcols")),
    ("examples behind positions", "order|places|reshape|flatten|neighbour", ("g.transpose(0, 2, 3, 1)", "g.transpose(2, 3, 0, 1)")),
)  # fmt: skip

layer(
    "prelu", lambda x, a: ac.where(x > 0, x, x * a), normal(25, x=(4, 5), a=(5,)),
    """
dx, da = np.zeros_like(x), np.zeros_like(a)
for n in range(4):
    for c in range(5):
        dx[n, c] = g[n, c] * (1 if x[n, c] > 0 else a[c])
        da[c] += 0 if x[n, c] > 0 else g[n, c] * x[n, c]
""",
    ("no mask in da", "mask missing", ("0 if x[n, c] > 0 else g", "g")),
    ("x forgotten in da", "summed without|local derivative|factor", ("else g[n, c] * x[n, c]", "else g[n, c]")),
    ("one a", "first value|index left", ("else a[c]", "else a[0]")),
    ("mask inverted in da", "inverted", ("0 if x[n, c] > 0", "0 if x[n, c] < 0")),
    ("da assigned", "batch|last|overwritten", ("da[c] += ", "da[c] = ")),
    ("dx by x", "own value|slope|value", ("else a[c])", "else a[c] * x[n, c])")),
)  # fmt: skip

layer(
    "bce_with_logits", lambda x, t: ac.losses.bce_with_logits(x, t),
    {**normal(26, x=(4, 3)), "t": (np.random.default_rng(27).random((4, 3)) > 0.5) * 1.0},
    """
p = 1 / (1 + np.exp(-x))
dx = (p - t) / x.size * g
""",
    ("times p (1 - p)", "derivative of the output multiplied in again|sigmoid", ("(p - t)", "(p - t) * p * (1 - p)")),
    ("divided by N", "count|divided|mean", ("/ x.size", "/ len(x)")),
    ("logits for p", "local derivative|logit|sigmoid|input", ("(p - t)", "(x - t)")),
    ("target forgotten", "target forgotten", ("(p - t)", "p")),
    ("1 - p", "sign|target|1 -", ("(p - t)", "(1 - p - t)")),
    ("not divided", "sum instead of mean", (" / x.size", "")),
)  # fmt: skip

layer(
    "mse", lambda x, t: ac.mean((x - t) ** 2), normal(28, x=(4, 3), t=(4, 3)),
    """
N, C = x.shape
dx = np.zeros_like(x)
dt = np.zeros_like(t)
for i in np.ndindex(x.shape):
    dx[i] = 2 * (x[i] - t[i]) / (N * C) * g
    dt[i] = -2 * (x[i] - t[i]) / (N * C) * g
""",
    ("N alone", "count|divided|mean", ("dx[i] = 2 * (x[i] - t[i]) / (N * C)", "dx[i] = 2 * (x[i] - t[i]) / N")),
    ("2 lost", "factor 2|brought down", ("dx[i] = 2 *", "dx[i] =")),
    ("sign of dt", "sign", ("= -2", "= 2")),
    ("abs", "lowered|abs|another function|sign|another", ("dx[i] = 2 * (x[i] - t[i])", "dx[i] = 2 * abs(x[i] - t[i])")),
    ("sign alone", "lowered|abs|another|value", ("dx[i] = 2 * (x[i] - t[i])", "dx[i] = np.sign(x[i] - t[i])")),
    ("target transposed", "order|places|transposed", ("dx[i] = 2 * (x[i] - t[i])", "dx[i] = 2 * (x[i] - t.ravel(order='F').reshape(N, C)[i])")),
)  # fmt: skip

layer(
    "max_pool1d", lambda x: ac.max_pool1d(x, 3, stride=2), normal(29, x=(2, 9, 3)),
    """
N, L, C = x.shape
dx = np.zeros_like(x)
for n in range(N):
    for i in range(g.shape[1]):
        for c in range(C):
            k = x[n, 2 * i : 2 * i + 3, c].argmax()
            dx[n, 2 * i + k, c] += g[n, i, c]
""",
    ("overwritten", "overwritten|last|repeated", ("] += g", "] = g")),
    ("window not moved", "position of the window|stride", ("dx[n, 2 * i + k, c]", "dx[n, i + k, c]")),
    ("tiles of 3", "tiles|stride|position of the window", ("2 * i", "3 * i % 7")),
    ("always the first", "wrong cell", (".argmax()", ".argmax() * 0")),
    ("evenly", "spread evenly", ("dx[n, 2 * i + k, c] += g[n, i, c]", "dx[n, 2 * i : 2 * i + 3, c] += g[n, i, c] / 3")),
    ("one too far", "wrong cell|neighbour|off by one|shifted|position", ("2 * i + k, c]", "min(2 * i + k + 1, L - 1), c]")),
)  # fmt: skip
