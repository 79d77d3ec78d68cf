"""More gradients by loops: written when those of ``by_loops`` had been mended, so that they were seen unprepared."""
# ruff: noqa: E501 (one mistake a line)

from __future__ import annotations

from typing import Any

import numpy as np

import autoconv as ac

from .by_loops import layer, normal

layer(
    "dilated conv2d", lambda x, w, b: ac.conv2d(x, w, b, dilation=2, padding=2),
    normal(51, x=(2, 5, 6, 2), w=(3, 3, 2, 3), b=(3,)),
    """
N, H, W, C = x.shape
xp = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), np.zeros_like(b)
for n in range(N):
    for i in range(H):
        for j in range(W):
            for o in range(3):
                for u in range(3):
                    for v in range(3):
                        dxp[n, i + 2 * u, j + 2 * v] += w[u, v, :, o] * g[n, i, j, o]
                        dw[u, v, :, o] += xp[n, i + 2 * u, j + 2 * v] * g[n, i, j, o]
                db[o] += g[n, i, j, o]
dx = dxp[:, 2 : 2 + H, 2 : 2 + W]
""",
    ("dilation left out in dw", "dilation forgotten", ("xp[n, i + 2 * u, j + 2 * v]", "xp[n, i + u, j + v]")),
    ("dilation left out in dx along rows", "dilation forgotten", ("dxp[n, i + 2 * u, j", "dxp[n, i + u, j")),
    ("cropped by one", "padding|crop", ("dx = dxp[:, 2 : 2 + H, 2 : 2 + W]", "dx = dxp[:, 1 : 1 + H, 1 : 1 + W]")),
    ("u and v exchanged in w", "transposed|rows and columns", ("w[u, v, :, o]", "w[v, u, :, o]")),
    ("filter 0 for all in dx", "first value|first filter", ("w[u, v, :, o]", "w[u, v, :, 0]")),
    ("one filter alone in dx", "filters|pass of a loop|loop left", ("dxp[n, i + 2 * u, j + 2 * v] += w[u, v, :, o] * g[n, i, j, o]", "dxp[n, i + 2 * u, j + 2 * v] += w[u, v, :, o] * g[n, i, j, o] * (o == 0)")),
    ("bias of one example", "batch|last|first|bias not summed", ("db[o] += g", "db[o] += (n == 0) * g")),
    ("i for j", "rows and columns|index|position", ("dw[u, v, :, o] += xp[n, i + 2 * u, j + 2 * v] * g[n, i, j, o]", "dw[u, v, :, o] += xp[n, i + 2 * u, i + 2 * v] * g[n, i, j, o]")),
)  # fmt: skip

layer(
    "conv1x1", lambda x, w: ac.conv2d(x, w, layout="channels_first"), normal(52, x=(2, 3, 4, 4), w=(5, 3, 1, 1)),
    """
dx, dw = np.zeros_like(x), np.zeros_like(w)
for n in range(2):
    for o in range(5):
        for c in range(3):
            dx[n, c] += w[o, c, 0, 0] * g[n, o]
            dw[o, c, 0, 0] += (x[n, c] * g[n, o]).sum()
""",
    ("product of sums", "product of sums", ("(x[n, c] * g[n, o]).sum()", "x[n, c].sum() * g[n, o].sum()")),
    ("a mean of the products", "mean instead of sum", ("(x[n, c] * g[n, o]).sum()", "(x[n, c] * g[n, o]).mean()")),
    ("x squared", "another function|multiplied|square", ("(x[n, c] * g", "(x[n, c] ** 2 * g")),
    ("image transposed", "transposed|rows and columns|exchanged|order", ("(x[n, c] * g", "(x[n, c].T * g")),
    ("w forgotten", "summed without|factor|local derivative|weights", ("w[o, c, 0, 0] * g[n, o]", "g[n, o]")),
    ("the next filter's gradient", "neighbour", ("w[o, c, 0, 0] * g[n, o]", "w[o, c, 0, 0] * g[n, (o + 1) % 5]")),
    ("relu of the gradient", "relu applied|another function|above 0|positive|bent", ("* g[n, o]).sum()", "* np.maximum(g[n, o], 0)).sum()")),
)  # fmt: skip

layer(
    "layer_norm of a sequence", lambda x, s, b: ac.layer_norm(x, s, b), normal(53, x=(2, 4, 5), s=(5,), b=(5,)),
    """
dx, ds, db = np.zeros_like(x), np.zeros_like(s), np.zeros_like(b)
for n in range(2):
    for t in range(4):
        mu = x[n, t].mean()
        sd = np.sqrt(x[n, t].var() + 1e-5)
        h = (x[n, t] - mu) / sd
        e = g[n, t] * s
        dx[n, t] = (e - e.mean() - h * (e * h).mean()) / sd
        ds += g[n, t] * h
        db += g[n, t]
""",
    ("gain behind the means", "gamma behind", ("e = g[n, t] * s", "e = g[n, t]"), ("(e * h).mean()) / sd", "(e * h).mean()) / sd * s")),
    ("gain forgotten", "gamma|local derivative|missing|factor", ("e = g[n, t] * s", "e = g[n, t]")),
    ("gain by x", "x where x-hat|earlier", ("ds += g[n, t] * h", "ds += g[n, t] * x[n, t]")),
    ("gain by the deviation", "x where x-hat|earlier", ("ds += g[n, t] * h", "ds += g[n, t] * (x[n, t] - mu)")),
    ("gain assigned", "batch|last|positions", ("ds += ", "ds = ")),
    ("variance term halved", "wrong factor", ("h * (e * h).mean()", "h * (e * h).mean() / 2")),
    ("one std too few in the variance's", "wrong factor|deviation|x where", ("h * (e * h).mean()", "(x[n, t] - mu) * (e * h).mean()")),
    ("one minus forgotten", "sign of a term", ("(e - e.mean() - h", "(e + e.mean() - h")),
    ("means of all steps", "wrong axis|axes", ("(e - e.mean()", "(e - (g[n] * s).mean()")),
    ("var of n - 1", "unbiased|n - 1", ("x[n, t].var()", "x[n, t].var(ddof=1)")),
    ("sd not squared root", "deviation in the wrong power|standard deviation|variance", ("(e * h).mean()) / sd", "(e * h).mean()) / sd ** 2")),
)  # fmt: skip


def _rms(x: Any, s: Any) -> Any:
    return x / ac.sqrt(ac.mean(x**2, axis=-1, keepdims=True) + 1e-6) * s


layer(
    "rms_norm", _rms, normal(54, x=(4, 5), s=(5,)),
    """
dx, ds = np.zeros_like(x), np.zeros_like(s)
for n in range(4):
    r = np.sqrt((x[n] ** 2).mean() + 1e-6)
    e = g[n] * s
    dx[n] = e / r - x[n] * (e * x[n]).sum() / (5 * r**3)
    ds += g[n] * x[n] / r
""",
    ("root held constant", "statistics held|only one of several paths|path", ("- x[n] * (e * x[n]).sum() / (5 * r**3)", "")),
    ("n forgotten", "sum instead of mean|path.*factor|counts|wrong factor", ("(5 * r**3)", "r**3")),
    ("added", "sign", ("- x[n] * (e", "+ x[n] * (e")),
    ("r squared", "path|factor|power", ("(5 * r**3)", "(5 * r**2)")),
    ("x not normalised in ds", "earlier|x where x-hat", ("ds += g[n] * x[n] / r", "ds += g[n] * x[n]")),
    ("gain forgotten", "local derivative|missing|factor", ("e = g[n] * s", "e = g[n]")),
)  # fmt: skip

layer(
    "l2 normalise", lambda x: x / ac.sqrt(ac.sum(x**2, axis=1, keepdims=True)), normal(55, x=(4, 5)),
    """
dx = np.zeros_like(x)
for n in range(4):
    r = np.sqrt((x[n] ** 2).sum())
    y = x[n] / r
    dx[n] = (g[n] - y * (g[n] * y).sum()) / r
""",
    ("root held constant", "statistics held|path", (" - y * (g[n] * y).sum()", "")),
    ("x for y", "x where|earlier|path|factor|input", ("(g[n] - y * (g[n] * y).sum())", "(g[n] - x[n] * (g[n] * x[n]).sum())")),
    ("second term alone", "path", ("(g[n] - y * (g[n] * y).sum())", "(-y * (g[n] * y).sum())")),
    ("not divided", "local derivative|factor|multiplied|divided|reciprocal", ("(g[n] - y * (g[n] * y).sum()) / r", "(g[n] - y * (g[n] * y).sum())")),
    ("norm over the batch", "axis|axes", ("(g[n] * y).sum()) / r", "(g[n] * y).sum()) / np.sqrt((x**2).sum(0))")),
)  # fmt: skip


def _lstm(x: Any, w: Any, b: Any, c: Any) -> Any:
    z = x @ w + b
    i, f, o, k = (z[:, 3 * q : 3 * q + 3] for q in range(4))
    new = ac.sigmoid(f) * c + ac.sigmoid(i) * ac.tanh(k)
    return ac.sigmoid(o) * ac.tanh(new)


layer(
    "lstm cell", _lstm, normal(56, x=(4, 2), w=(2, 12), b=(12,), c=(4, 3)),
    """
sig = lambda a: 1 / (1 + np.exp(-a))
z = x @ w + b
i, f, o, k = sig(z[:, :3]), sig(z[:, 3:6]), sig(z[:, 6:9]), np.tanh(z[:, 9:])
new = f * c + i * k
th = np.tanh(new)
dnew = g * o * (1 - th**2)
di = dnew * k * i * (1 - i)
df = dnew * c * f * (1 - f)
do = g * th * o * (1 - o)
dk = dnew * i * (1 - k**2)
dc = dnew * f
dz = np.concatenate([di, df, do, dk], axis=1)
dx, dw, db = dz @ w.T, x.T @ dz, dz.sum(axis=0)
""",
    ("tanh of the cell forgotten", "local derivative forgotten", ("dnew = g * o * (1 - th**2)", "dnew = g * o")),
    ("sigmoid's slope of the gate i lost", "local derivative", ("k * i * (1 - i)", "k")),
    ("1 - o lost", "half of the sigmoid", ("th * o * (1 - o)", "th * o")),
    ("gates in another order", "order|places|swapped|neighbour|concat", ("[di, df, do, dk]", "[df, di, do, dk]")),
    ("tanh's slope for k by the sigmoid's", "another|value|slope", ("(1 - k**2)", "k * (1 - k)")),
    ("forget gate by the new cell", "another array|later|place of a factor", ("dnew * c * f", "dnew * new * f")),
    ("output gate by the cell", "another array|earlier|input", ("g * th * o", "g * new * o")),
    ("square forgotten", "square", ("(1 - th**2)", "(1 - th)")),
    ("bias averaged", "mean instead of sum", ("dz.sum(axis=0)", "dz.mean(axis=0)")),
    ("cell gradient without the gate", "local derivative|factor|operand", ("dc = dnew * f", "dc = dnew")),
)  # fmt: skip


def _heads(x: Any, w: Any) -> Any:
    q = ac.permute_dims(ac.reshape(x @ w, (4, 2, 3)), (1, 0, 2))  # heads, time, features
    a = ac.softmax(q @ ac.permute_dims(q, (0, 2, 1)) / 3**0.5)
    return ac.reshape(ac.permute_dims(a @ q, (1, 0, 2)), (4, 6))


layer(
    "two heads", _heads, normal(57, x=(4, 5), w=(5, 6)),
    """
y = x @ w
q = y.reshape(4, 2, 3).transpose(1, 0, 2)
s = q @ q.transpose(0, 2, 1) / np.sqrt(3)
a = np.exp(s - s.max(axis=2, keepdims=True))
a /= a.sum(axis=2, keepdims=True)
h = g.reshape(4, 2, 3).transpose(1, 0, 2)
da = h @ q.transpose(0, 2, 1)
ds = a * (da - (da * a).sum(axis=2, keepdims=True)) / np.sqrt(3)
dq = a.transpose(0, 2, 1) @ h + ds @ q + ds.transpose(0, 2, 1) @ q
dy = dq.transpose(1, 0, 2).reshape(4, 6)
dx, dw = dy @ w.T, x.T @ dy
""",
    ("keys forgotten", "path", (" + ds.transpose(0, 2, 1) @ q", "")),
    ("values forgotten", "path", ("a.transpose(0, 2, 1) @ h + ", "")),
    ("heads folded back without a transpose", "order|flatten|places|reshape", ("dq.transpose(1, 0, 2).reshape(4, 6)", "dq.reshape(4, 6)")),
    ("heads of g without a transpose", "order|flatten|places|reshape", ("h = g.reshape(4, 2, 3).transpose(1, 0, 2)", "h = g.reshape(2, 4, 3)")),
    ("scale forgotten", "path|factor|local derivative|counts", (" / np.sqrt(3)\ndq", "\ndq")),
    ("sum over queries", "softmax|axis", ("(da * a).sum(axis=2, keepdims=True)", "(da * a).sum(axis=1, keepdims=True)")),
    ("a not transposed", "transposed", ("a.transpose(0, 2, 1) @ h", "a @ h")),
)  # fmt: skip

layer(
    "cross_entropy", lambda x, t: ac.losses.cross_entropy(x, t),
    {**normal(58, x=(5, 4)), "t": np.array([3, 0, 1, 1, 2])},
    """
p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
dx = p.copy()
for n in range(5):
    dx[n, t[n]] -= 1
dx *= g / 5
""",
    ("minus the label", "target", ("dx[n, t[n]] -= 1", "dx[n, t[n]] -= t[n]")),
    ("label's column from 1", "target|neighbour", ("dx[n, t[n]]", "dx[n, t[n] - 1]")),
    ("-1 twice", "target", ("-= 1", "-= 2")),
    ("mean over the classes too", "count|mean", ("g / 5", "g / 20")),
    ("only the right class", "only some|right class|classes", ("dx *= g / 5", "dx *= g / 5; dx = np.where(np.eye(4)[t] > 0, dx, 0)")),
    ("softmax over examples", "axis", ("np.exp(x).sum(axis=1, keepdims=True)", "np.exp(x).sum(axis=0, keepdims=True)")),
    ("p (p - t)", "again|derivative of the output", ("dx *= g / 5", "dx *= p * g / 5")),
    ("t - p", "sign", ("dx *= g / 5", "dx *= -g / 5")),
    ("first example forgotten", "pass of a loop|target|example", ("for n in range(5)", "for n in range(1, 5)")),
)  # fmt: skip


def _smooth(x: Any, t: Any) -> Any:
    return -ac.sum((0.9 * np.eye(4)[t] + 0.025) * ac.log_softmax(x)) / 5


layer(
    "label smoothing", _smooth, {**normal(59, x=(5, 4)), "t": np.array([3, 0, 1, 1, 2])},
    """
p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
soft = 0.9 * np.eye(4)[t] + 0.025
dx = (p - soft) / 5 * g
""",
    ("hard targets", "target|factor|smooth|another", ("(p - soft)", "(p - np.eye(4)[t])")),
    ("no target", "target forgotten|Jacobian", ("(p - soft)", "p")),
    ("sum instead of mean", "sum instead of mean", (" / 5 *", " *")),
    ("soft p", "Jacobian|softmax|path", ("(p - soft)", "(p * soft - soft)")),
)  # fmt: skip


def _triplet(a: Any, p: Any, n: Any) -> Any:
    near, far = ac.sum((a - p) ** 2, axis=1), ac.sum((a - n) ** 2, axis=1)
    return ac.mean(ac.relu(near - far + 0.5))


layer(
    "triplet", _triplet, normal(60, a=(6, 3), p=(6, 3), n=(6, 3)),
    """
da, dp, dn = np.zeros_like(a), np.zeros_like(p), np.zeros_like(n)
for i in range(6):
    if ((a[i] - p[i]) ** 2).sum() - ((a[i] - n[i]) ** 2).sum() + 0.5 > 0:
        da[i] = 2 * (n[i] - p[i]) / 6 * g
        dp[i] = -2 * (a[i] - p[i]) / 6 * g
        dn[i] = 2 * (a[i] - n[i]) / 6 * g
""",
    ("anchor by the positive alone", "path", ("2 * (n[i] - p[i])", "2 * (a[i] - p[i])")),
    ("always active", "mask missing", ("+ 0.5 > 0", "+ 0.5 > -99")),
    ("margin forgotten", "mask|threshold|margin", ("+ 0.5 > 0", "> 0")),
    ("sign of the negative", "sign", ("dn[i] = 2 *", "dn[i] = -2 *")),
    ("twos forgotten", "factor 2|brought down", ("dp[i] = -2 *", "dp[i] = -")),
    ("not a mean", "sum instead of mean", ("dp[i] = -2 * (a[i] - p[i]) / 6", "dp[i] = -2 * (a[i] - p[i])")),
    ("a + n", "sign|one side|operand", ("dn[i] = 2 * (a[i] - n[i])", "dn[i] = 2 * (a[i] + n[i])")),
)  # fmt: skip

layer(
    "huber", lambda x, t: ac.losses.huber(x, t, delta=0.7), normal(61, x=(4, 4), t=(4, 4)),
    """
d = x - t
dx = np.where(np.abs(d) <= 0.7, d, 0.7 * np.sign(d)) / 16 * g
""",
    ("never linear", "mask|slope|path|clip|another|forgotten", ("np.where(np.abs(d) <= 0.7, d, 0.7 * np.sign(d))", "d")),
    ("delta lost", "factor|slope|path|another", ("0.7 * np.sign(d)", "np.sign(d)")),
    ("sign lost", "sign|size|another function", ("0.7 * np.sign(d)", "0.7")),
    ("divided by the examples", "count|mean|divided", ("/ 16", "/ 4")),
    ("t - x", "sign", ("d = x - t", "d = t - x")),
)  # fmt: skip

layer(
    "squeeze and excite", lambda x, w: x * ac.reshape(ac.sigmoid(ac.mean(x, axis=(1, 2)) @ w), (2, 1, 1, 3)),
    normal(62, x=(2, 3, 4, 3), w=(3, 3)),
    """
pooled = x.mean(axis=(1, 2))
s = 1 / (1 + np.exp(-pooled @ w))
ds = (g * x).sum(axis=(1, 2))
da = ds * s * (1 - s)
dw = pooled.T @ da
dx = g * s[:, None, None] + (da @ w.T)[:, None, None] / 12
""",
    ("gate held constant", "path", (" + (da @ w.T)[:, None, None] / 12", "")),
    ("scale forgotten", "path|local derivative|operand", ("g * s[:, None, None]", "g")),
    ("not divided", "sum instead of mean|path", ("[:, None, None] / 12", "[:, None, None]")),
    ("sigmoid forgotten", "local derivative", ("da = ds * s * (1 - s)", "da = ds")),
    ("mean of the product", "mean instead of sum", ("(g * x).sum", "(g * x).mean")),
    ("x forgotten in ds", "summed without|factor|local|operand|swapped", ("(g * x).sum", "g.sum")),
    ("w not transposed", "transposed", ("da @ w.T", "da @ w")),
    ("x for pooled", "another|index|first|earlier|place", ("pooled.T @ da", "x[:, 0, 0].T @ da")),
)  # fmt: skip

layer(
    "avg_pool2d", lambda x: ac.avg_pool2d(x, 3, stride=2), normal(63, x=(2, 7, 7, 2)),
    """
dx = np.zeros_like(x)
for n in range(2):
    for i in range(3):
        for j in range(3):
            dx[n, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += g[n, i, j] / 9
""",
    ("overwritten", "overwritten", ("] += g", "] = g")),
    ("divided by the stride", "count", ("/ 9", "/ 4")),
    ("whole to all", "copied to every|sum instead", (" / 9", "")),
    ("windows by 1", "stride|position", ("2 * i : 2 * i + 3, 2 * j : 2 * j + 3", "i : i + 3, j : j + 3")),
    ("windows of 2", "window|tiles|cell|pass of a loop", ("2 * i : 2 * i + 3, 2 * j : 2 * j + 3", "2 * i : 2 * i + 2, 2 * j : 2 * j + 2")),
    ("rows and columns", "rows and columns", ("+= g[n, i, j]", "+= g[n, j, i]")),
    ("corner alone", "wrong cell", ("dx[n, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += g[n, i, j] / 9", "dx[n, 2 * i, 2 * j] += g[n, i, j]")),
)  # fmt: skip

layer(
    "max over time", lambda x, w: ac.max(ac.tanh(x @ w), axis=1), normal(64, x=(3, 5, 2), w=(2, 4)),
    """
h = np.tanh(x @ w)
dh = np.zeros_like(h)
for n in range(3):
    for k in range(4):
        dh[n, h[n, :, k].argmax(), k] = g[n, k]
da = dh * (1 - h**2)
dx = da @ w.T
dw = np.zeros_like(w)
for n in range(3):
    dw += x[n].T @ da[n]
""",
    ("smallest", "wrong element|wrong cell|smallest", ("argmax", "argmin")),
    ("to all", "every competitor|mask missing", ("dh[n, h[n, :, k].argmax(), k] = g[n, k]", "dh[n, :, k] = g[n, k]")),
    ("last step", "wrong element|last", ("dh[n, h[n, :, k].argmax(), k] = g[n, k]", "dh[n, -1, k] = g[n, k]")),
    ("evenly", "spread evenly", ("dh[n, h[n, :, k].argmax(), k] = g[n, k]", "dh[n, :, k] = g[n, k] / 5")),
    ("tanh forgotten", "local derivative forgotten", ("da = dh * (1 - h**2)", "da = dh")),
    ("last example alone", "batch|last", ("dw += x[n]", "dw = x[n]")),
    ("of the largest channel", "wrong element|first|another|winner", ("h[n, :, k].argmax()", "h[n, :, 0].argmax()")),
)  # fmt: skip

layer(
    "pixel_shuffle", lambda x: ac.pixel_shuffle(x, 2), normal(65, x=(2, 2, 3, 8)),
    """
probe = np.arange(x.size).reshape(x.shape)
N, H, W, C = x.shape
dx = np.zeros_like(x)
for n in range(N):
    for i in range(H):
        for j in range(W):
            for c in range(2):
                for u in range(2):
                    for v in range(2):
                        dx[n, i, j, c * 4 + u * 2 + v] = g[n, 2 * i + u, 2 * j + v, c]
""",
    ("channels inside", "order|places|flatten", ("c * 4 + u * 2 + v", "(u * 2 + v) * 2 + c")),
    ("u and v exchanged", "order|places|flatten|rows and columns|exchanged", ("c * 4 + u * 2 + v", "c * 4 + v * 2 + u")),
    ("rows and columns of the block", "order|places|flatten|rows and columns", ("2 * i + u, 2 * j + v", "i + 2 * u, j + 3 * v")),
)  # fmt: skip

layer(
    "polynomial", lambda x, w: x**3 * w[0] + x**2 * w[1] + ac.sin(x) * w[2], normal(66, x=(9,), w=(3,)),
    """
dx = np.zeros_like(x)
for i in range(9):
    dx[i] = g[i] * (3 * x[i] ** 2 * w[0] + 2 * x[i] * w[1] + np.cos(x[i]) * w[2])
""",
    ("3 forgotten", "brought down|path", ("3 * x[i] ** 2", "x[i] ** 2")),
    ("power not lowered", "not lowered|path|power", ("3 * x[i] ** 2", "3 * x[i] ** 3")),
    ("minus cos", "sign", ("+ np.cos", "- np.cos")),
    ("sin for cos", "local derivative|slope|another|value", ("np.cos(x[i])", "np.sin(x[i])")),
    ("linear term lost", "path", (" + 2 * x[i] * w[1]", "")),
    ("w[1] for w[0]", "another|index|place|factor", ("** 2 * w[0]", "** 2 * w[1]")),
)  # fmt: skip

layer(
    "residual", lambda x, w, v: x + ac.relu(x @ w) @ v, normal(67, x=(4, 5), w=(5, 6), v=(6, 5)),
    """
a = x @ w
dr = g @ v.T
da = dr * (a > 0)
dx = g + da @ w.T
dw = x.T @ da
dv = np.maximum(a, 0).T @ g
""",
    ("skip forgotten", "path", ("dx = g + ", "dx = ")),
    ("branch forgotten", "path", ("dx = g + da @ w.T", "dx = g + 0 * x")),
    ("relu missing in dv", "earlier", ("np.maximum(a, 0).T", "a.T")),
    ("mask by the gradient", "relu applied to the gradient", ("(a > 0)", "(dr > 0)")),
    ("mask on the sum", "mask|relu|another", ("dx = g + da @ w.T", "dx = (g + dr @ w.T) * (x > 0)")),
    ("a for the mask", "activation instead of its mask", ("dr * (a > 0)", "dr * np.maximum(a, 0)")),
    ("mask inverted", "inverted", ("(a > 0)", "(a < 0)")),
    ("skip twice", "path|counts", ("dx = g + ", "dx = 2 * g + ")),
    ("reshape for v.T", "reshape|order|flatten", ("g @ v.T", "g @ v.reshape(5, 6)")),
    ("dw transposed", "transposed|order|reshape", ("dw = x.T @ da", "dw = (da.T @ x).reshape(5, 6)")),
)  # fmt: skip

layer(
    "logistic", lambda x, w: ac.sigmoid(x @ w), normal(68, x=(6, 4), w=(4,)),
    """
p = 1 / (1 + np.exp(-x @ w))
dz = g * p * (1 - p)
dx, dw = np.outer(dz, w), x.T @ dz
""",
    ("1 - p forgotten", "half of the sigmoid", ("* (1 - p)", "")),
    ("p + 1", "half of the sigmoid|value|slope|derivative", ("(1 - p)", "(1 + p)")),
    ("tanh's slope", "slope|value|another", ("p * (1 - p)", "(1 - p**2)")),
    ("x reversed", "backward|revers|order", ("x.T @ dz", "x[::-1].T @ dz")),
    ("mean", "mean instead of sum", ("x.T @ dz", "x.T @ dz / 6")),
    ("no x", "summed without|factor", ("x.T @ dz", "np.ones_like(x).T @ dz")),
    ("sigmoid of the gradient", "at the gradient|slope|value", ("dz = g * p * (1 - p)", "q = 1 / (1 + np.exp(-g)); dz = g * q * (1 - q)")),
)  # fmt: skip

layer(
    "cosine", lambda x, y: ac.sum(x * y, axis=1) / ac.sqrt(ac.sum(x * x, axis=1) * ac.sum(y * y, axis=1)),
    normal(69, x=(5, 4), y=(5, 4)),
    """
dx = np.zeros_like(x)
for n in range(5):
    nx, ny = np.sqrt((x[n] ** 2).sum()), np.sqrt((y[n] ** 2).sum())
    c = (x[n] * y[n]).sum() / (nx * ny)
    dx[n] = g[n] * (y[n] / (nx * ny) - c * x[n] / nx**2)
""",
    ("norm held constant", "path", (" - c * x[n] / nx**2", "")),
    ("added", "sign|path", ("- c * x[n]", "+ c * x[n]")),
    ("nx not squared", "path|factor|power", ("c * x[n] / nx**2", "c * x[n] / nx")),
    ("half", "path|factor|counts", ("c * x[n] / nx**2", "c * x[n] / nx**2 / 2")),
    ("y for x", "operands|swapped|another|place", ("c * x[n] / nx**2", "c * y[n] / nx**2")),
)  # fmt: skip

layer(
    "max_pool2d", lambda x: ac.max_pool2d(x, 2, layout="channels_first"), normal(70, x=(2, 3, 6, 4)),
    """
N, C, H, W = x.shape
dx = np.zeros_like(x)
for n in range(N):
    for c in range(C):
        for i in range(H // 2):
            for j in range(W // 2):
                block = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                u, v = np.unravel_index(block.argmax(), (2, 2))
                dx[n, c, 2 * i + u, 2 * j + v] = g[n, c, i, j]
""",
    ("u and v exchanged", "wrong cell|rows and columns|exchanged", ("2 * i + u, 2 * j + v", "2 * i + v, 2 * j + u")),
    ("largest size", "wrong cell", ("block.argmax()", "np.abs(block).argmax()")),
    ("value", "value", ("= g[n, c, i, j]", "= g[n, c, i, j] * block.max()")),
    ("channel 0's block", "wrong cell|first", ("block = x[n, c", "block = x[n, 0")),
    ("evenly", "evenly", ("dx[n, c, 2 * i + u, 2 * j + v] = g[n, c, i, j]", "dx[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = g[n, c, i, j] / 4")),
    ("all but the last row of windows", "pass of a loop|window", ("range(H // 2)", "range(H // 2 - 1)")),
    ("gradient of the first row", "first value|index left|position", ("= g[n, c, i, j]", "= g[n, c, 0, j]")),
    ("offset forgotten", "position of the window", ("2 * i + u, 2 * j + v", "u, v")),
)  # fmt: skip
