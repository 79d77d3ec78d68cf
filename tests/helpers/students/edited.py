"""Right backward functions as source, and bugs as edits of one place in it: what a student mistypes or leaves out.

``SOURCES`` holds for each layer what it should be (a course's name, or a function of Tensors) and the text of its
functions; a row of ``BUGS`` is a layer, the text that is replaced, what stands there instead, the gradient that is
wrong then, the name of the mistake, and a phrase of the words that say which one it is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import autoconv as ac
from helpers.students.unseen.hands import PATIENCE

FIRST = "channels_first"


class Source(NamedTuple):
    """like: what it should compute; text: of ``forward`` and ``backward``; call: the backward's arguments, if others
    than the course's; shapes: of the inputs, where no course says them."""

    like: Any
    text: str
    call: str = ""
    shapes: tuple[tuple[int, ...], ...] = ()


SOURCES = {
    "conv": Source("cs231n.conv", """
def patches(x, w, s, p):
    H, W = w.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    return np.lib.stride_tricks.sliding_window_view(xp, (H, W), axis=(2, 3))[:, :, ::s, ::s], xp

def forward(x, w, b, conv_param):
    views, _ = patches(x, w, conv_param["stride"], conv_param["pad"])
    return np.einsum("nchwij,fcij->nfhw", views, w) + b[:, None, None], (x, w, b, conv_param)

def backward(dout, cache):
    x, w, b, conv_param = cache
    s, p = conv_param["stride"], conv_param["pad"]
    N, F, Ho, Wo = dout.shape
    H, W = w.shape[2:]
    xp = patches(x, w, s, p)[1]
    dxp, dw, db = np.zeros(xp.shape), np.zeros(w.shape), np.zeros(b.shape)
    for n in range(N):
        for f in range(F):
            for i in range(Ho):
                for j in range(Wo):
                    g = dout[n, f, i, j]
                    dw[f] += g * xp[n, :, i * s : i * s + H, j * s : j * s + W]
                    dxp[n, :, i * s : i * s + H, j * s : j * s + W] += g * w[f]
                    db[f] += g
    return dxp[:, :, p : p + x.shape[2], p : p + x.shape[3]], dw, db
"""),
    "columns": Source("cs231n.conv", """
def forward(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    views = np.lib.stride_tricks.sliding_window_view(xp, w.shape[2:], axis=(2, 3))[:, :, ::s, ::s]
    return np.einsum("nchwij,fcij->nfhw", views, w) + b[:, None, None], (x, w, views, xp.shape, s, p)

def backward(dout, cache):
    x, w, views, wide, s, p = cache
    F, C, H, W = w.shape
    Ho, Wo = dout.shape[2:]
    cols = views.transpose(1, 4, 5, 2, 3, 0).reshape(C * H * W, -1)
    flat = dout.transpose(1, 2, 3, 0).reshape(F, -1)
    dw = (flat @ cols.T).reshape(w.shape)
    dxp = np.zeros(wide)
    for u in range(H):
        for v in range(W):
            dxp[:, :, u : u + s * Ho : s, v : v + s * Wo : s] += np.einsum("nfhw,fc->nchw", dout, w[:, :, u, v])
    return dxp[:, :, p : p + x.shape[2], p : p + x.shape[3]], dw, dout.sum(axis=(0, 2, 3))
"""),
    "full correlation": Source("needle.conv", """
def forward(A, B, stride, padding):
    Ap = np.pad(A, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(Ap, B.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwcij,ijco->nhwo", views, B), (A, B, views, stride, padding)

def backward(g, cache):
    A, B, views, stride, padding = cache
    k, (N, H, W, _) = B.shape[0], A.shape
    rows, columns = (g.shape[1] - 1) * stride + 1, (g.shape[2] - 1) * stride + 1
    full = np.zeros((N, H + 2 * padding + k - 1, W + 2 * padding + k - 1, B.shape[3]))
    full[:, k - 1 : k - 1 + rows : stride, k - 1 : k - 1 + columns : stride] = g
    turned = np.lib.stride_tricks.sliding_window_view(full, (k, k), axis=(1, 2))
    dA = np.einsum("nhwoij,ijco->nhwc", turned, B[::-1, ::-1])
    return dA[:, padding : padding + H, padding : padding + W], np.einsum("nhwcij,nhwo->ijco", views, g)
"""),
    "grouped": Source(lambda x, w: ac.conv2d(x, w, groups=2, layout=FIRST), """
def backward(dout, x, w):
    F, C, H, W = w.shape
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for f in range(F):
        group = f // (F // 2)
        chosen = slice(group * C, (group + 1) * C)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                g = dout[:, f, i, j].reshape(-1, 1, 1, 1)
                dw[f] += (g * x[:, chosen, i : i + H, j : j + W]).sum(axis=0)
                dx[:, chosen, i : i + H, j : j + W] += g * w[f]
    return dx, dw
""", "dout, x, w", ((2, 4, 5, 4), (6, 2, 3, 2))),
    "dilated": Source(lambda x, w: ac.conv2d(x, w, dilation=2, layout=FIRST), """
def backward(dout, x, w):
    Ho, Wo = dout.shape[2:]
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for u in range(w.shape[2]):
        for v in range(w.shape[3]):
            part = x[:, :, 2 * u : 2 * u + Ho, 2 * v : 2 * v + Wo]
            dw[:, :, u, v] = np.einsum("nfhw,nchw->fc", dout, part)
            dx[:, :, 2 * u : 2 * u + Ho, 2 * v : 2 * v + Wo] += np.einsum("nfhw,fc->nchw", dout, w[:, :, u, v])
    return dx, dw
""", "dout, x, w", ((2, 3, 7, 6), (4, 3, 3, 2))),
    "upsampled conv": Source("cmu11785.conv_transpose2d", """
def forward(A, W, b, k):
    U = np.zeros((*A.shape[:2], k * (A.shape[2] - 1) + 1, k * (A.shape[3] - 1) + 1))
    U[:, :, ::k, ::k] = A
    views = np.lib.stride_tricks.sliding_window_view(U, W.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", views, W) + b.reshape(1, -1, 1, 1), (A, W, b, views, U.shape, k)

def backward(g, cache):
    A, W, b, views, shape, k = cache
    dU = np.zeros(shape)
    for u in range(W.shape[2]):
        for v in range(W.shape[3]):
            dU[:, :, u : u + g.shape[2], v : v + g.shape[3]] += np.einsum("nohw,oc->nchw", g, W[:, :, u, v])
    dA = dU[:, :, ::k, ::k]
    return dA, np.einsum("nchwij,nohw->ocij", views, g), g.sum(axis=(0, 2, 3)).reshape(b.shape)
"""),
    "thinned": Source("cmu11785.downsample2d", """
def forward(A, k):
    return A[:, :, ::k, ::k], (A.shape, k)

def backward(g, cache):
    shape, k = cache
    dA = np.zeros(shape)
    dA[:, :, ::k, ::k] = g
    return dA
"""),
    "mean pool": Source("cmu11785.mean_pool", """
def forward(A, k, s):
    views = np.lib.stride_tricks.sliding_window_view(A, (k, k), axis=(2, 3))[:, :, ::s, ::s]
    return views.mean(axis=(4, 5)), (A.shape, k, s)

def backward(g, cache):
    shape, k, s = cache
    dA = np.zeros(shape)
    for u in range(k):
        for v in range(k):
            dA[:, :, u : u + s * g.shape[2] : s, v : v + s * g.shape[3] : s] += g / k**2
    return dA
"""),
    "max pool": Source("cs231n.max_pool", """
def forward(x, p):
    h, w, s = p["pool_height"], p["pool_width"], p["stride"]
    views = np.lib.stride_tricks.sliding_window_view(x, (h, w), axis=(2, 3))[:, :, ::s, ::s]
    return views.max(axis=(4, 5)), (x, views, w, s)

def backward(dout, cache):
    x, views, w, s = cache
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*dout.shape):
        u, v = divmod(int(views[n, c, i, j].argmax()), w)
        dx[n, c, i * s + u, j * s + v] += dout[n, c, i, j]
    return dx
"""),
    "batch norm": Source("cs231n.batchnorm", """
def forward(x, gamma, beta, bn_param):
    std = np.sqrt(x.var(axis=0) + 1e-5)
    hat = (x - x.mean(axis=0)) / std
    return gamma * hat + beta, (hat, gamma, std)

def backward(dout, cache):
    hat, gamma, std = cache
    g = dout * gamma
    dx = (g - g.mean(axis=0) - hat * (g * hat).mean(axis=0)) / std
    return dx, (dout * hat).sum(axis=0), dout.sum(axis=0)
"""),
    "spatial norm": Source("cs231n.spatial_batchnorm", """
def forward(x, gamma, beta, bn_param):
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    hat = (x - mean) / np.sqrt(var + 1e-5)
    return gamma.reshape(1, -1, 1, 1) * hat + beta.reshape(1, -1, 1, 1), (x - mean, var + 1e-5, hat, gamma)

def backward(dout, cache):
    off, var, hat, gamma = cache
    m, over = dout.size / dout.shape[1], (0, 2, 3)
    g = dout * gamma.reshape(1, -1, 1, 1)
    dvar = (g * off).sum(axis=over, keepdims=True) * -0.5 * var**-1.5
    dmean = -(g / np.sqrt(var)).sum(axis=over, keepdims=True) - 2 * dvar * off.mean(axis=over, keepdims=True)
    dx = g / np.sqrt(var) + dvar * 2 * off / m + dmean / m
    return dx, (dout * hat).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
"""),
    "group norm": Source("cs231n.spatial_groupnorm", """
def forward(x, gamma, beta, G, gn_param):
    rows = x.reshape(len(x), G, -1)
    std = np.sqrt(rows.var(axis=2, keepdims=True) + 1e-5)
    hat = ((rows - rows.mean(axis=2, keepdims=True)) / std).reshape(x.shape)
    return gamma * hat + beta, (hat, gamma, std, G)

def backward(dout, cache):
    hat, gamma, std, G = cache
    N, C, H, W = dout.shape
    dx, each = np.zeros(dout.shape), C // G
    g = (dout * gamma).reshape(N, C, H, W)
    for n in range(N):
        for k in range(G):
            own = slice(k * each, (k + 1) * each)
            a, h = g[n, own], hat[n, own]
            dx[n, own] = (a - a.mean() - h * (a * h).mean()) / std[n, k]
    over = {"axis": (0, 2, 3), "keepdims": True}
    return dx, (dout * hat).sum(**over), dout.sum(**over)
"""),
    "softmax": Source("cmu11785.softmax", """
def forward(Z):
    e = np.exp(Z - Z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True), e / e.sum(axis=1, keepdims=True)

def backward(g, y):
    dZ = np.zeros(y.shape)
    for i in range(len(y)):
        J = -np.outer(y[i], y[i])
        np.fill_diagonal(J, y[i] * (1 - y[i]))
        dZ[i] = g[i] @ J
    return dZ
"""),
    "softmax loss": Source("cs231n.softmax_loss", """
def backward(x, y):
    N = len(x)
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    dx = p.copy()
    for i in range(N):
        dx[i, y[i]] -= 1
    return -np.log(p[np.arange(N), y]).mean(), dx / N
"""),
    "hinge loss": Source("cs231n.svm_loss", """
def backward(x, y):
    dx, loss = np.zeros(x.shape), 0.0
    for i in range(len(x)):
        for j in range(x.shape[1]):
            margin = x[i, j] - x[i, y[i]] + 1
            if j != y[i] and margin > 0:
                loss += margin
                dx[i, j] += 1
                dx[i, y[i]] -= 1
    return loss / len(x), dx / len(x)
"""),
    "dropout": Source("cs231n.dropout", """
def forward(x, dropout_param):
    p, mask = dropout_param["p"], None
    np.random.seed(dropout_param.get("seed", 0))
    if dropout_param["mode"] == "train":
        mask = (np.random.rand(*x.shape) < p) / p
    return x if mask is None else x * mask, (dropout_param, mask)

def backward(dout, cache):
    dropout_param, mask = cache
    return dout if mask is None else dout * mask
"""),
    "scale": Source(lambda x, g: x * g.reshape(1, 3, 1, 1), """
def backward(dout, x, g):
    return dout * g.reshape(1, 3, 1, 1), (dout * x).sum(axis=(0, 2, 3))
""", "dout, x, g", ((2, 3, 4, 3), (3,))),
    "unit length": Source(lambda x: x / ac.sqrt(ac.sum(x * x, axis=1, keepdims=True)), """
def backward(dout, x):
    size = np.sqrt((x * x).sum(axis=1, keepdims=True))
    y = x / size
    return (dout - y * (dout * y).sum(axis=1, keepdims=True)) / size
""", "dout, x", ((4, 5),)),
    "deviation": Source(lambda x: ac.sqrt(ac.mean((x - ac.mean(x, axis=0)) ** 2, axis=0)), """
def backward(dout, x):
    off = x - x.mean(axis=0)
    return dout * off / (len(x) * np.sqrt((off**2).mean(axis=0)))
""", "dout, x", ((5, 3),)),
    "huber": Source(lambda y, t: ac.sum(ac.where(ac.abs(y - t) < 1, (y - t) ** 2 / 2, ac.abs(y - t) - 0.5)), """
def backward(dout, y, t):
    e = 2 * (y - t) / 2
    return dout * np.where(np.abs(e) < 1, e, np.sign(e)), dout * np.where(np.abs(e) < 1, -e, -np.sign(e))
""", "dout, y, t", ((4, 5), (4, 5))),
    "masked attention": Source(lambda q, k: ac.softmax(q @ k.T + np.triu(np.full((4, 4), -1e9), 1), axis=1), """
def backward(dout, q, k):
    later = np.triu(np.full((4, 4), -1e9), 1)
    scores = q @ k.T + later
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    dS = y * (dout - (dout * y).sum(axis=1, keepdims=True))
    return dS @ k, dS.T @ q
""", "dout, q, k", ((4, 3), (4, 3))),
    "joined": Source(lambda a, b: ac.concat([a, 2.0 * b], axis=1), """
def backward(g, a, b):
    return g[:, :3], 2 * g[:, 3:]
""", "dout, a, b", ((2, 3), (2, 3))),
    "cubes": Source(lambda x: x**3, """
def backward(dout, x):
    return dout * 3 * x**2
""", "dout, x", ((3, 4),)),
    "signal": Source("minitorch.conv1d", """
def forward(input, weight):
    T, K = input.shape[2], weight.shape[2]
    wide = np.pad(input, ((0, 0), (0, 0), (0, K - 1)))
    return sum(np.einsum("bct,oc->bot", wide[:, :, k : k + T], weight[:, :, k]) for k in range(K)), (input, weight)

def backward(g, cache):
    input, weight = cache
    T, dx, dw = input.shape[2], np.zeros(input.shape), np.zeros(weight.shape)
    for t in range(T):
        for k in range(weight.shape[2]):
            if t + k < T:
                dx[:, :, t + k] += g[:, :, t] @ weight[:, :, k]
                dw[:, :, k] += g[:, :, t].T @ input[:, :, t + k]
    return dx, dw
"""),
}  # fmt: skip

LEFT_OUT, EARLY, AXIS = "a pass of a loop left out", "loop left too early", "normalised over the wrong axis"
TILES, STEP, SPREAD = "overlapping windows treated as tiles", "stride not dilated", "dilated by stride"
INVERTED = "activation mask inverted"
GROUPS, REREAD, VECTOR = "groups mixed", "flattened in another order", "a vector along the wrong axis"
KEPT, JACOBIAN = "a kept array read at its first index", "a factor of the softmax's Jacobian forgotten"
SIGN = "sign of a term of the softmax's Jacobian"
TARGET, CLASSES = "target in the wrong place or size", "only some of the classes"
FACTOR, DILATION = "another array in the place of a factor", "dilation forgotten"
TIMES, POWER = "multiplied by what does not belong here", "power rule: exponent lowered by another number"
RETURNS = "\n                    return dxp[:, :, p : p + x.shape[2], p : p + x.shape[3]], dw, db\n"

# layer, text, what stands there instead, gradient, name of the mistake, a phrase of its words
BUGS = [
    ("conv", "for f in range(F)", "for f in range(1, F)", "dx", LEFT_OUT, "all but the first of filters"),
    ("conv", "for f in range(F)", "for f in range(1, F)", "dw", LEFT_OUT, ""),
    ("conv", "for f in range(F)", "for f in range(1, F)", "db", LEFT_OUT, ""),
    ("conv", "for i in range(Ho)", "for i in range(Ho - 1)", "dw", LEFT_OUT, "all but the last of positions"),
    ("conv", "db[f] += g\n", f"db[f] += g{RETURNS}", "db", EARLY, ""),
    ("conv", "+= g * w[f]", "+= g * w[f] * w[f]", "dx", "another function of a factor", "square"),
    ("columns", "dout.transpose(1, 2, 3, 0)", "dout.transpose(1, 0, 2, 3)", "dw", REREAD, "in a row"),
    ("columns", "for v in range(W)", "for v in range(W - 1)", "dx", LEFT_OUT, "all but the last of taps"),
    ("columns", "dxp = np.zeros(wide)", "dxp = np.zeros(wide); dw[..., -1] = 0", "dw", LEFT_OUT, "but the last of the"),
    ("conv", "for j in range(Wo)", "for j in range(0, Wo, 2)", "dx", LEFT_OUT, "at some indices of axes"),
    ("conv", "for i in range(Ho)", "for i in range(Ho // 2 + 1)", "dx", LEFT_OUT, "at some indices of axes"),
    ("full correlation", "k - 1 : k - 1 + rows : stride, k - 1 : k - 1 + columns", ": rows : stride, : columns", "dA",
     "padded on one side alone", "in front"),
    ("grouped", "f // (F // 2)", "f % 2", "dx", GROUPS, "filter i in group i % G"),
    ("grouped", "f // (F // 2)", "f % 2", "dw", GROUPS, "filter i in group i % G"),
    ("grouped", "f // (F // 2)", "1 - f // (F // 2)", "dx", GROUPS, "group +1"),
    ("grouped", "f // (F // 2)", "1 - f // (F // 2)", "dw", GROUPS, "group +1"),
    ("dilated", "2 * v : 2 * v + Wo] +=", "v : v + Wo] +=", "dx", DILATION, "along axis 1 alone"),
    ("dilated", "part = x[:, :, 2 * u : 2 * u + Ho", "part = x[:, :, u : u + Ho", "dw", DILATION, "along axis 0"),
    ("upsampled conv", "dU[:, :, ::k, ::k]", "dU[:, :, : A.shape[2], : A.shape[3]]", "dLdA", STEP, ""),
    ("thinned", "dA[:, :, ::k, ::k] = g", "dA[:, :, : g.shape[2], : g.shape[3]] = g", "dLdA", STEP, ""),
    ("thinned", "dA[:, :, ::k, ::k] = g", "dA += g.repeat(k, 2).repeat(k, 3)[:, :, : shape[2], : shape[3]]", "dLdA",
     SPREAD, "repeated"),
    ("mean pool", "for v in range(k)", "for v in range(1, k)", "dLdA", LEFT_OUT, "a window's cells"),
    ("conv", "dw[f] += g * xp", "dw[f] += dout[n, f, 0, 0] * xp", "dw", "an index left at its first value",
     "all positions"),
    ("max pool", "+= dout[n, c, i, j]", "+= dout[n, c, j, i] if dout.shape[2] == dout.shape[3] else dout[n, c, i, j]",
     "dx", "rows and columns exchanged", "of what arrives"),
    ("max pool", "i * s + u, j * s + v", "i * w + u, j * s + v", "dx", TILES, "along axis 0 alone"),
    ("max pool", "+= dout[n, c, i, j]", "+= dout[n, c, i, j] / views[0, 0, 0, 0].size", "dx", "mean instead of sum",
     ""),
    ("batch norm", "- g.mean(axis=0) -", "- g.mean(axis=1, keepdims=True) -", "dx", AXIS, "the mean's term over"),
    ("batch norm", "* hat).mean(axis=0)", "* hat).mean(axis=1, keepdims=True)", "dx", AXIS, "the variance's term over"),
    ("batch norm", "- g.mean(axis=0) -", "- g.sum(axis=1, keepdims=True) / len(g) -", "dx", AXIS, ""),
    ("spatial norm", "dout.shape[1], (0, 2, 3)", "dout.shape[1], (2, 3)", "dx", AXIS, ""),
    ("group norm", "(dout * gamma).reshape(", "(dout * gamma).transpose(1, 0, 2, 3).reshape(", "dx", REREAD,
     "what arrives at"),
    ("group norm", "a - a.mean() -", "a - a.mean(axis=0) -", "dx", AXIS, "the mean's term over"),
    ("group norm", "std[n, k]", "std[n, 0]", "dx", KEPT, "the deviation, axis 1"),
    ("group norm", "hat[n, own]", "hat[0, own]", "dx", KEPT, "the normalised value, axis 0"),
    ("softmax", "-np.outer(y[i], y[i])", "np.outer(y[i], y[i])", "dLdZ", SIGN, "off the diagonal"),
    ("softmax", "y[i] * (1 - y[i])", "1 - y[i]", "dLdZ", JACOBIAN, "on the diagonal"),
    ("softmax loss", "dx[i, y[i]] -= 1", "dx[i, y[i]] = -1", "dx", CLASSES, "-1 for the right one"),
    ("softmax loss", "-= 1\n", "-= 1 / N\n    dx *= N\n", "dx", TARGET, "the probabilities not divided"),
    ("softmax loss", "dx[i, y[i]] -= 1", "dx[i, i % x.shape[1]] -= 1", "dx", TARGET, "numbered as the example"),
    ("hinge loss", "dx[i, y[i]] -= 1", "dx[i, y[i]] = -1", "dx", "broadcast not summed", "not zero"),
    ("dropout", "dout * mask", "dout * (mask == 0) / dropout_param['p']", "dx", INVERTED, "mask is 0"),
    ("dropout", "dout * mask", "dout * (mask > 0) / (1 - dropout_param['p'])", "dx", TIMES, "1 - p"),
    ("dropout", "dout * mask", "dout / dropout_param['p']", "dx", "activation mask missing", "divided by p"),
    ("scale", "dout * g.reshape(1, 3, 1, 1)", "dout * g", "dx", VECTOR, "the factor along axis 3"),
    ("scale", "sum(axis=(0, 2, 3))", "sum(axis=(0, 1, 2))", "dg", VECTOR, "all axes but 3"),
    ("unit length", ") / size\n", ") / size**2\n", "dx", TIMES, "value of sqrt"),
    ("deviation", "dout * off /", "dout * x /", "dx", "one side of a difference forgotten", "one number stands where"),
    ("huber", "e, np.sign(e))", "e, 1)", "dy", "local derivative forgotten", ""),
    ("masked attention", "+ later\n", "\n", "dq", "a constant of the forward forgotten", "at add"),
    ("joined", "g[:, :3], 2 * g[:, 3:]", "g[:, 3:], 2 * g[:, :3]", "da", "operands swapped", ""),
    ("cubes", "3 * x**2", "3 * x", "dx", POWER, "lowered by 2"),
    ("signal", "if t + k < T:", "if t + k < T - 1:", "grad_weight", LEFT_OUT, "zeros at the last index"),
    ("signal", "if t + k < T:", "if t + k < T - 1:", "grad_input", LEFT_OUT, "all but the last"),
]  # fmt: skip


def functions(layer: str, text: str = "", instead: str = "") -> tuple[Any, Any]:
    """(backward, forward) of a layer; with ``text`` replaced, which must stand there once."""
    source = SOURCES[layer].text
    if text:
        assert source.count(text) == 1, (layer, text)
        source = source.replace(text, instead)
    scope: dict[str, Any] = {"np": np}
    exec(source, scope)  # our own text
    return scope["backward"], scope.get("forward")


def judged(layer: str, text: str = "", instead: str = "") -> Any:
    """The verdict on a layer's functions."""
    source = SOURCES[layer]
    rng = np.random.default_rng(5)
    more: dict[str, Any] = {"call": {"backward": source.call}} if source.call else {}
    if source.shapes:
        more["inputs"] = [rng.normal(size=shape) for shape in source.shapes]
    return ac.check_backward(*functions(layer, text, instead), like=source.like, repair=PATIENCE, **more)
