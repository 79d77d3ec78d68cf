"""A third set of gradients by loops, written when those of ``by_loops_more`` had been mended as well."""
# ruff: noqa: E501 (one mistake a line)

from __future__ import annotations

from typing import Any

import numpy as np

import autoconv as ac

from .by_loops import layer, normal

# fmt: off


def _gru(x: Any, w: Any, u: Any, h: Any) -> Any:
    z = ac.sigmoid(x @ w[:, :3] + h @ u[:, :3])
    k = ac.tanh(x @ w[:, 3:] + h @ u[:, 3:])
    return (1 - z) * h + z * k

layer("gated unit", _gru, normal(101, x=(4, 2), w=(2, 6), u=(3, 6), h=(4, 3)), """
z = 1 / (1 + np.exp(-(x @ w[:, :3] + h @ u[:, :3])))
k = np.tanh(x @ w[:, 3:] + h @ u[:, 3:])
dz = g * (k - h) * z * (1 - z)
dk = g * z * (1 - k**2)
da = np.concatenate([dz, dk], axis=1)
dx, dw, du = da @ w.T, x.T @ da, h.T @ da
dh = g * (1 - z) + da @ u.T
""",
    ("h forgotten in dz", "path|one side", ("(k - h)", "k")),
    ("h - k", "sign", ("(k - h)", "(h - k)")),
    ("direct path lost", "path", ("g * (1 - z) + da", "da")),
    ("z for 1 - z in dh", "operand|path|factor|1 minus|another", ("g * (1 - z) +", "g * z +")),
    ("tanh's slope lost", "local derivative", (" * (1 - k**2)", "")),
    ("x for h", "another|place|transposed|earlier", ("h.T @ da", "k.T @ da")),
    ("gate's gradient not through z", "half of the sigmoid|local derivative", ("* z * (1 - z)", "* (1 - z)")),
    ("parts swapped", "order|parts", ("[dz, dk]", "[dk, dz]")),
)
layer("conv3d", lambda x, w: ac.conv3d(x, w, padding=1), normal(102, x=(1, 3, 4, 4, 2), w=(3, 3, 3, 2, 2)), """
xp = np.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0)))
dxp, dw = np.zeros_like(xp), np.zeros_like(w)
for d in range(3):
    for i in range(4):
        for j in range(4):
            dxp[0, d:d+3, i:i+3, j:j+3] += w @ g[0, d, i, j]
            dw += xp[0, d:d+3, i:i+3, j:j+3, :, None] * g[0, d, i, j]
dx = dxp[:, 1:-1, 1:-1, 1:-1]
""",
    ("depth not moved", "position of the window|stride", ("dw += xp[0, d:d+3", "dw += xp[0, 0:3")),
    ("kernel reversed in depth", "rotated|revers|backward", ("+= w @", "+= w[::-1] @")),
    ("depth cropped late", "padding|crop|shift", ("dxp[:, 1:-1, 1:-1, 1:-1]", "dxp[:, 2:, 1:-1, 1:-1]")),
    ("rows and columns of g", "rows and columns|exchanged", ("xp[0, d:d+3, i:i+3, j:j+3, :, None] * g[0, d, i, j]", "xp[0, d:d+3, i:i+3, j:j+3, :, None] * g[0, d, j, i]")),
    ("filters and channels", "transposed", ("w @ g[0, d, i, j]", "w.swapaxes(3, 4) @ g[0, d, i, j]")),
    ("last depth alone", "last|position", ("dw += xp[0, d:", "dw = (dw if d else 0 * dw) + xp[0, d:") , ("for d in range(3):\n", "for d in range(3):\n    dw = 0 * dw\n")),
)
layer("swiglu", lambda x, w, v: ac.silu(x @ w) * (x @ v), normal(103, x=(4, 3), w=(3, 5), v=(3, 5)), """
a, b = x @ w, x @ v
s = 1 / (1 + np.exp(-a))
da = g * b * (s + a * s * (1 - s))
db = g * a * s
dx, dw, dv = da @ w.T + db @ v.T, x.T @ da, x.T @ db
""",
    ("product rule of silu", "path", ("(s + a * s * (1 - s))", "s")),
    ("sigmoid's slope alone", "slope|sigmoid", ("(s + a * s * (1 - s))", "s * (1 - s)")),
    ("gate for its silu", "earlier|local|another|place", ("db = g * a * s", "db = g * a")),
    ("value path lost", "path", (" + db @ v.T", "")),
    ("b forgotten", "local derivative|operand|summed without", ("da = g * b *", "da = g *")),
    ("weights exchanged", "another|place|order", ("da @ w.T + db @ v.T", "da @ v.T + db @ w.T")),
)
layer("mish", lambda x: ac.mish(x), normal(104, x=(3, 4)), """
sp = np.log1p(np.exp(x))
t, s = np.tanh(sp), 1 / (1 + np.exp(-x))
dx = g * (t + x * s * (1 - t**2))
""",
    ("second term lost", "path", ("t + x * s * (1 - t**2)", "t")),
    ("s lost", "path|local derivative", ("x * s * (1", "x * (1")),
    ("square lost", "square", ("(1 - t**2)", "(1 - t)")),
    ("minus", "sign|path", ("t + x", "t - x")),
)
layer("variance", lambda x: ac.var(x, axis=1), normal(105, x=(4, 6)), """
dx = 2 * (x - x.mean(axis=1, keepdims=True)) / 6 * g[:, None]
""",
    ("mean lost", "one side|target|path|mean term|forgotten", ("(x - x.mean(axis=1, keepdims=True))", "x")),
    ("n - 1", "count|n - 1|factor", ("/ 6", "/ 5")),
    ("mean over the batch", "axis|another", ("x.mean(axis=1, keepdims=True)", "x.mean(axis=0)")),
    ("not divided", "sum instead of mean", (" / 6", "")),
    ("g of the first", "first", ("g[:, None]", "g[0]")),
)
layer("batched matmul", lambda a, b: a @ b, normal(106, a=(3, 2, 4), b=(3, 4, 4)), """
da, db = np.zeros_like(a), np.zeros_like(b)
for n in range(3):
    da[n] = g[n] @ b[n].T
    db[n] = a[n].T @ g[n]
""",
    ("b not transposed", "transposed", ("b[n].T", "b[n]")),
    ("b of the first", "first", ("b[n].T", "b[0].T")),
    ("summed over the batch", "summed over an index|sum", ("db[n] = a[n].T @ g[n]", "db += a[n].T @ g[n]")),
    ("next example", "neighbour", ("da[n] = g[n] @", "da[n] = g[n - 1] @")),
    ("only the last", "loop left|last", ("da[n] = g[n]", "da[-1] = g[n]")),
)
layer("temperature softmax", lambda x: ac.softmax(x / 3.0, axis=1), normal(107, x=(4, 5)), """
e = np.exp(x / 3)
p = e / e.sum(axis=1, keepdims=True)
dx = p * (g - (g * p).sum(axis=1, keepdims=True)) / 3
""",
    ("temperature lost", "factor|local derivative", (" / 3\n", "\n")),
    ("sum lost", "statistics|diagonal|Jacobian|path", (" - (g * p).sum(axis=1, keepdims=True)", "")),
    ("mean for sum", "mean|Jacobian|softmax|path", (".sum(axis=1, keepdims=True)) / 3", ".mean(axis=1, keepdims=True)) / 3")),
    ("unnormalised", "not normalised", ("p = e / e.sum(axis=1, keepdims=True)\n", "p = e\n")),
    ("plus", "sign", ("(g - (g", "(g + (g")),
    ("softmax without the temperature", "softmax|another|temperature|constant", ("np.exp(x / 3)", "np.exp(x)")),
)
layer("kl", lambda x, t: ac.sum(t * (ac.log(t) - ac.log_softmax(x))) / 4,
 {**normal(108, x=(4, 5)), "t": (lambda a: np.exp(a) / np.exp(a).sum(1, keepdims=True))(np.random.default_rng(9).normal(size=(4, 5)))}, """
p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
dx = (p - t) / 4 * g
""",
    ("t lost", "target|Jacobian|path", ("(p - t)", "p")),
    ("sum", "sum instead of mean", (" / 4", "")),
    ("t - p", "sign", ("(p - t)", "(t - p)")),
    ("mean of all", "count|mean", ("/ 4", "/ 20")),
    ("p t - t", "Jacobian|softmax", ("(p - t)", "(p * t - t)")),
)
layer("spatial batch norm", lambda x, s, b: ac.batch_norm(x, s, b, layout="channels_first"), normal(109, x=(3, 2, 3, 2), s=(2,), b=(2,)), """
N, C, H, W = x.shape
dx, ds, db = np.zeros_like(x), np.zeros_like(s), np.zeros_like(b)
for c in range(C):
    v = x[:, c]
    m = N * H * W
    sd = np.sqrt(v.var() + 1e-5)
    h = (v - v.mean()) / sd
    e = g[:, c] * s[c]
    dx[:, c] = (e - e.sum() / m - h * (e * h).sum() / m) / sd
    ds[c], db[c] = (g[:, c] * h).sum(), g[:, c].sum()
""",
    ("m = N", "factor|count|sums where", ("m = N * H * W", "m = N")),
    ("m = H W", "factor|count|sums where", ("m = N * H * W", "m = H * W")),
    ("gain of channel 0", "first|gamma|factor|neighbour", ("* s[c]", "* s[0]")),
    ("gain lost", "gamma|local derivative|missing|factor", (" * s[c]", "")),
    ("variance term lost", "variance", (" - h * (e * h).sum() / m", "")),
    ("v for h", "x where x-hat", ("h * (e * h).sum()", "v * (e * v).sum()")),
    ("h once", "missing|x-hat", ("h * (e * h).sum()", "h * e.sum()")),
    ("eps lost", "eps|deviation", ("v.var() + 1e-5", "v.var()")),
    ("not divided", "deviation in the wrong power", (".sum() / m) / sd", ".sum() / m)")),
    ("ds by y", "output|later|x where", ("(g[:, c] * h).sum()", "(g[:, c] * (h * s[c] + b[c])).sum()")),
)
layer("strided conv1d by rows", lambda x, w: ac.conv1d(x, w, stride=3), normal(110, x=(2, 11, 2), w=(4, 2, 3)), """
dx, dw = np.zeros_like(x), np.zeros_like(w)
for n in range(2):
    for i in range(3):
        for k in range(4):
            dx[n, 3 * i + k] += w[k] @ g[n, i]
            dw[k] += np.outer(x[n, 3 * i + k], g[n, i])
""",
    ("stride 1", "stride|position", ("dx[n, 3 * i + k]", "dx[n, i + k]")),
    ("stride 2", "stride|position|dilat", ("x[n, 3 * i + k], g", "x[n, 2 * i + k], g")),
    ("tap k reversed", "rotated|revers|backward", ("w[k] @", "w[3 - k] @")),
    ("first tap left out", "pass of a loop", ("dx[n, 3 * i + k] += w[k]", "dx[n, 3 * i + k] += (k > 0) * w[k]")),
    ("x squared", "another function|square", ("np.outer(x[n, 3 * i + k]", "np.outer(x[n, 3 * i + k] ** 2")),
    ("g summed over filters", "summed|sum", ("w[k] @ g[n, i]", "w[k].sum(1) * g[n, i].sum()")),
    ("next window's g", "neighbour|pass|shift|position|moved", ("w[k] @ g[n, i]", "w[k] @ g[n, (i + 1) % 3]")),
)
