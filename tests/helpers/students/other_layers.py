"""More bugs by other hands: layers that no course has, and those that were written last (see ``other_hands``)."""
# ruff: noqa: E501 (sources as they were written)

from __future__ import annotations

from typing import Any

import numpy as np

import autoconv as ac

NP = "import numpy as np\n"
CF = "channels_first"
S: dict[str, Any] = {}  # what it computes, the call or the class, shapes, the source
B: list[Any] = []
# fmt: off
for n_, f_, sh, args, s_ in (
    ("elu", lambda x: ac.where(x > 0, x, ac.exp(x) - 1), ((3, 5),), "dout, x", '''
def backward(dout, x):
    dx = np.empty_like(x)
    pos = x > 0
    dx[pos] = dout[pos]
    dx[~pos] = dout[~pos] * np.exp(x[~pos])
    return dx
'''), ("mish", lambda x: x * ac.tanh(ac.log(1 + ac.exp(x))), ((3, 5),), "dout, x", '''
def backward(dout, x):
    sp = np.log(1 + np.exp(x))
    t = np.tanh(sp)
    sig = 1 / (1 + np.exp(-x))
    return dout * (t + x * (1 - t * t) * sig)
'''), ("mse", lambda p, t: ac.mean((p - t) ** 2), ((4, 3), (4, 3)), "dout, p, t", '''
def backward(dout, p, t):
    diff = p - t
    dp = 2 * diff / diff.size * dout
    dt = -dp
    return dp, dt
'''), ("bce", lambda z, t: ac.mean(ac.log(1 + ac.exp(z)) - t * z), ((4, 3), (4, 3)), "dout, z, t", '''
def backward(dout, z, t):
    n = z.size
    sig = 1 / (1 + np.exp(-z))
    dz = dout * (sig - t) / n
    dt = dout * -z / n
    return dz, dt
'''), ("log softmax", lambda x: x - ac.log(ac.sum(ac.exp(x), axis=1, keepdims=True)), ((4, 5),), "dout, x", '''
def backward(dout, x):
    e = np.exp(x)
    p = e / e.sum(axis=1, keepdims=True)
    return dout - p * dout.sum(axis=1, keepdims=True)
'''), ("cosine", lambda a, b: ac.sum(a * b, axis=1) / (ac.sqrt(ac.sum(a * a, axis=1)) * ac.sqrt(ac.sum(b * b, axis=1))), ((4, 3), (4, 3)), "dout, a, b", '''
def backward(dout, a, b):
    na = np.linalg.norm(a, axis=1, keepdims=True)
    nb = np.linalg.norm(b, axis=1, keepdims=True)
    cos = (a * b).sum(axis=1, keepdims=True) / (na * nb)
    g = dout[:, None]
    da = g * (b / (na * nb) - cos * a / na ** 2)
    db = g * (a / (na * nb) - cos * b / nb ** 2)
    return da, db
'''), ("bilinear", lambda x, w, y: ac.sum((x @ w) * y, axis=1), ((4, 3), (3, 5), (4, 5)), "dout, x, w, y", '''
def backward(dout, x, w, y):
    d = dout.reshape(-1, 1)
    dx = d * (y @ w.T)
    dw = (d * x).T @ y
    dy = d * (x @ w)
    return dx, dw, dy
'''), ("gate", lambda x, h, wx, wh: ac.sigmoid(x @ wx + h @ wh) * ac.tanh(x @ wx), ((4, 3), (4, 2), (3, 2), (2, 2)), "dout, x, h, wx, wh", '''
def backward(dout, x, h, wx, wh):
    u = x @ wx
    s = 1 / (1 + np.exp(-(u + h @ wh)))
    t = np.tanh(u)
    ds = dout * t
    dt = dout * s
    dpre = ds * s * (1 - s)
    du = dpre + dt * (1 - t ** 2)
    dx = du @ wx.T
    dwx = x.T @ du
    dh = dpre @ wh.T
    dwh = h.T @ dpre
    return dx, dh, dwx, dwh
'''), ("instance", lambda x: (x - ac.mean(x, axis=(2, 3), keepdims=True)) / ac.sqrt(ac.mean((x - ac.mean(x, axis=(2, 3), keepdims=True)) ** 2, axis=(2, 3), keepdims=True) + 1e-5), ((2, 3, 4, 3),), "dout, x", '''
def backward(dout, x):
    mu = x.mean(axis=(2, 3), keepdims=True)
    std = np.sqrt(((x - mu) ** 2).mean(axis=(2, 3), keepdims=True) + 1e-5)
    y = (x - mu) / std
    g_mean = dout.mean(axis=(2, 3), keepdims=True)
    gy_mean = (dout * y).mean(axis=(2, 3), keepdims=True)
    return (dout - g_mean - y * gy_mean) / std
'''), ("upsample", lambda x: ac.conv_transpose2d(x, np.ones((3, 1, 2, 2)), stride=2, groups=3, layout=CF), ((2, 3, 3, 4),), "dout, x", '''
def backward(dout, x):
    n, c, h, w = x.shape
    dx = np.zeros_like(x)
    for i in range(h):
        for j in range(w):
            dx[:, :, i, j] = dout[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].sum(axis=(2, 3))
    return dx
'''), ("dilated", lambda x, w: ac.conv2d(x, w, dilation=2, layout=CF), ((2, 2, 6, 7), (3, 2, 2, 3)), "dout, x, w", '''
def backward(dout, x, w):
    n, c, h, wd = x.shape
    f, _, kh, kw = w.shape
    oh, ow = dout.shape[2:]
    dil = 2
    gx, gw = np.zeros(x.shape), np.zeros(w.shape)
    for a in range(kh):
        for b in range(kw):
            rows = slice(a * dil, a * dil + oh)
            cols = slice(b * dil, b * dil + ow)
            gw[:, :, a, b] = np.tensordot(dout, x[:, :, rows, cols], axes=([0, 2, 3], [0, 2, 3]))
            gx[:, :, rows, cols] += np.tensordot(dout, w[:, :, a, b], axes=([1], [0])).transpose(0, 3, 1, 2)
    return gx, gw
'''), ("grouped", lambda x, w: ac.conv2d(x, w, groups=2, padding=1, layout=CF), ((2, 4, 4, 5), (6, 2, 3, 3)), "dout, x, w", '''
def backward(dout, x, w):
    G = 2
    N, C, H, W = x.shape
    F, Cg, K, _ = w.shape
    Fg = F // G
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    dxp, dw = np.zeros(xp.shape), np.zeros(w.shape)
    for g in range(G):
        xs = xp[:, g * Cg : (g + 1) * Cg]
        ws = w[g * Fg : (g + 1) * Fg]
        ds = dout[:, g * Fg : (g + 1) * Fg]
        for i in range(H):
            for j in range(W):
                dw[g * Fg : (g + 1) * Fg] += np.einsum("nf,ncij->fcij", ds[:, :, i, j], xs[:, :, i : i + K, j : j + K])
                dxp[:, g * Cg : (g + 1) * Cg, i : i + K, j : j + K] += np.einsum("nf,fcij->ncij", ds[:, :, i, j], ws)
    return dxp[:, :, 1:-1, 1:-1], dw
'''), ("padded mean", lambda x: ac.avg_pool2d(x, 3, stride=2, padding=1, layout=CF), ((2, 2, 5, 7),), "dout, x", '''
def backward(dout, x):
    N, C, H, W = x.shape
    k, s, p = 3, 2, 1
    dxp = np.zeros((N, C, H + 2 * p, W + 2 * p))
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            hs, ws = i * s, j * s
            he, we = hs + k, ws + k
            dxp[:, :, hs:he, ws:we] += dout[:, :, i, j][:, :, None, None] / (k * k)
    return dxp[:, :, p:-p, p:-p]
''')):
    S[n_] = (f_, args, sh, NP + s_)
B += [
    ("elu", "dx", "", ("dout[~pos] * np.exp(x[~pos])", "dout[~pos] * (np.exp(x[~pos]) - 1)")),
    ("elu", "dx", "", ("dx[pos] = dout[pos]", "dx[pos] = x[pos]")),
    ("elu", "dx", "", ("pos = x > 0", "pos = dout > 0")),
    ("mish", "dx", "", ("(1 - t * t) * sig", "(1 - t * t)")),
    ("mish", "dx", "", ("(1 - t * t)", "(1 - t)")),
    ("mish", "dx", "", ("t + x *", "x + t *")),
    ("mse", "dp", "", ("2 * diff / diff.size", "2 * diff / len(diff)")),
    ("mse", "dt", "", ("dt = -dp", "dt = dp")),
    ("mse", "dp", "", ("diff = p - t", "diff = np.abs(p - t)")),
    ("bce", "dz", "", ("(sig - t)", "(sig - t) * sig * (1 - sig)")),
    ("bce", "dz", "", ("(sig - t) / n", "(z - t) / n")),
    ("bce", "dt", "", ("dout * -z / n", "dout * -sig / n")),
    ("log softmax", "dx", "", ("dout - p * dout.sum(axis=1, keepdims=True)", "dout - p * dout")),
    ("log softmax", "dx", "", ("p * dout.sum(axis=1, keepdims=True)", "p * dout.sum(axis=0, keepdims=True)")),
    ("log softmax", "dx", "", ("dout - p * dout.sum(axis=1, keepdims=True)", "dout * p * (1 - p)")),
    ("cosine", "da", "", ("cos * a / na ** 2", "cos * a / na")),
    ("cosine", "db", "", ("- cos * b / nb ** 2", "- cos * a / nb ** 2")),
    ("cosine", "da", "", (" - cos * a / na ** 2", "")),
    ("bilinear", "dw", "", ("dw = (d * x).T @ y", "dw = x.T @ y")),
    ("bilinear", "dy", "", ("dy = d * (x @ w)", "dy = d * (y @ w.T @ w)")),
    ("bilinear", "dx", "", ("dx = d * (y @ w.T)", "dx = d.mean() * (y @ w.T)")),
    ("gate", "dx", "", ("du = dpre + dt", "du = dt")),
    ("gate", "dh", "", ("dh = dpre @ wh.T", "dh = du @ wh.T")),
    ("gate", "dh", "", ("dh = dpre @ wh.T", "dh = dpre @ wh")),
    ("gate", "dwh", "", ("dwh = h.T @ dpre", "dwh = x[:, :2].T @ dpre")),
    ("gate", "dx", "", ("dpre = ds * s * (1 - s)", "dpre = ds * s * (1 - t)")),
    ("gate", "dx", "", ("dt = dout * s\n", "dt = dout * ds\n")),
    ("instance", "dx", "", ("g_mean = dout.mean(axis=(2, 3), keepdims=True)", "g_mean = dout.mean(axis=(0, 2, 3), keepdims=True)")),
    ("instance", "dx", "", ("(dout * y).mean", "(dout * x).mean")),
    ("instance", "dx", "", ("- y * gy_mean) / std", "- y * gy_mean)")),
    ("instance", "dx", "", ("- g_mean - y * gy_mean", "- g_mean - gy_mean")),
    ("upsample", "dx", "", (".sum(axis=(2, 3))", ".mean(axis=(2, 3))")),
    ("upsample", "dx", "", ("dout[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].sum(axis=(2, 3))", "dout[:, :, 2 * i, 2 * j]")),
    ("upsample", "dx", "", ("2 * i : 2 * i + 2, 2 * j : 2 * j + 2", "i : i + 2, j : j + 2")),
    ("dilated", "dx", "", ("gx[:, :, rows, cols] += np", "gx[:, :, rows, cols] = np")),
    ("dilated", "dw", "", ("cols = slice(b * dil, b * dil + ow)", "cols = slice(b, b + ow)")),
    ("dilated", "dx", "", (".transpose(0, 3, 1, 2)", ".transpose(0, 3, 2, 1)[:, :, :ow, :oh].transpose(0, 1, 3, 2)[:, ::-1]")),
    ("dilated", "dx", "", ("w[:, :, a, b], axes=([1], [0])", "w[:, :, kh - 1 - a, kw - 1 - b], axes=([1], [0])")),
    ("grouped", "dx", "", ("ws = w[g * Fg : (g + 1) * Fg]", "ws = w[:Fg]")),
    ("grouped", "dw", "", ("xs = xp[:, g * Cg : (g + 1) * Cg]", "xs = xp[:, g : g + Cg]")),
    ("grouped", "dx", "", ("dxp[:, :, 1:-1, 1:-1]", "dxp[:, :, 2:, 2:]")),
    ("padded mean", "dx", "", ("/ (k * k)", "/ k * k")),
    ("padded mean", "dx", "", ("dxp[:, :, p:-p, p:-p]", "dxp[:, :, :H, :W]")),
    ("padded mean", "dx", "", ("he, we = hs + k, ws + k", "he, we = hs + s, ws + s")),
    ("padded mean", "dx", "", ("dxp[:, :, hs:he, ws:we] += dout", "dxp[:, :, hs:he, ws:we] = dout")),
]
B += [
    ("strided", "dw", "", ("dw = np.einsum(\"nfhw,nchwij->fcij\", dout, cols)", "dw = np.einsum(\"nfhw,nchwij->fcij\", dout, cols) / (P * Q)")),
    ("windows", "dx", "", ("np.tensordot(delta, w, axes=([1], [0]))", "np.tensordot(delta, w, axes=([1], [0])) * region")),
    ("batch slices", "dA_prev", "", ("padded = np.pad(A_prev, ((0, 0), (p, p), (p, p), (0, 0)), \"constant\")\n    dpad", "padded = np.pad(A_prev, ((0, 0), (p, p), (p, p), (0, 0)), \"constant\")\n    b = b * 2\n    dpad"), ("return dpad[:, p : p + H, p : p + Wd, :]", "return dpad[:, p + p : p + p + H, p : p + Wd, :]")),
    ("pool class", "dLdA", "", ("r, q = divmod(self.where[n, c, i, j], k)", "r, q = divmod(self.where[n, 0, i, j], k)")),
    ("mini", "grad_input", "", ("for t in range(T):\n                    for k in range(K):\n                        pos", "for t in range(T - K + 1):\n                    for k in range(K):\n                        pos")),
    ("ln transposed", "dx", "", ("ds = -(dh * c).sum(axis=0) / s ** 2", "ds = -(dh * c).sum(axis=0) / s"), ("dv = 0.5 * ds / s\n", "dv = ds / s\n")),
    ("bn short", "dx", "", ("dx = gamma * inv_std / N * (N * dout - dbeta - z * dgamma)", "dx = inv_std / N * (N * dout - dbeta + z * dgamma)")),
    ("block", "dx", "", ("np.einsum(\"nf,fcij->ncij\", da[:, :, i, j], w)", "np.einsum(\"nf,fcij->ncij\", da[:, :, i, j], w[:, :, ::-1, ::-1])")),
    ("gate", "dwx", "", ("    du = dpre + dt * (1 - t ** 2)\n", "    du = dpre + dt * (1 - u ** 2)\n")),
    ("xent", "dx", "", ("probs = np.exp(logp)", "probs = np.exp(logp) / Z")),
    ("cosine", "da", "", ("cos = (a * b).sum(axis=1, keepdims=True) / (na * nb)", "cos = (a * b).sum(axis=1, keepdims=True)")),
    ("sigmoid class", "dLdZ", "", ("dAdZ = self.A * (1 - self.A)", "dAdZ = self.A - self.A")),
]
S["mat"] = ("cs231n.conv", "", (), NP + '''
def unfold(img, kh, kw, stride):
    C, H, W = img.shape
    oh, ow = (H - kh) // stride + 1, (W - kw) // stride + 1
    mat = np.zeros((oh * ow, C * kh * kw))
    for y in range(oh):
        for z in range(ow):
            mat[y * ow + z] = img[:, y * stride : y * stride + kh, z * stride : z * stride + kw].ravel()
    return mat

def fold(mat, shape, kh, kw, stride):
    C, H, W = shape
    oh, ow = (H - kh) // stride + 1, (W - kw) // stride + 1
    img = np.zeros(shape)
    for y in range(oh):
        for z in range(ow):
            img[:, y * stride : y * stride + kh, z * stride : z * stride + kw] += mat[y * ow + z].reshape(C, kh, kw)
    return img

def conv_forward(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    F, C, kh, kw = w.shape
    oh, ow = (xp.shape[2] - kh) // stride + 1, (xp.shape[3] - kw) // stride + 1
    out = np.stack([(unfold(im, kh, kw, stride) @ w.reshape(F, -1).T + b).T.reshape(F, oh, ow) for im in xp])
    return out, (x, xp, w, stride, pad)

def conv_backward(dout, cache):
    x, xp, w, stride, pad = cache
    F, C, kh, kw = w.shape
    dw, dxp = np.zeros((F, C * kh * kw)), np.zeros_like(xp)
    flat_w = w.reshape(F, -1)
    for n, image in enumerate(xp):
        d = dout[n].reshape(F, -1)
        dw += d @ unfold(image, kh, kw, stride)
        dxp[n] = fold(d.T @ flat_w, image.shape, kh, kw, stride)
    db = dout.sum((0, 2, 3))
    end = -pad if pad else None
    return dxp[:, :, pad:end, pad:end], dw.reshape(w.shape), db
''')
B += [
    ("mat", "dw", "", ("        dw += d @ unfold", "        dw = d @ unfold")),
    ("mat", "dx", "", ("dxp[n] = fold(", "dxp[0] += fold(")),
    ("mat", "dx", "", ("z * stride : z * stride + kw] += mat", "z * stride : z * stride + kw] = mat")),
    ("mat", "dx", "", ("+= mat[y * ow + z].reshape(C, kh, kw)", "+= mat[y * oh + z].reshape(C, kh, kw)")),
    ("mat", "dw", "", ("d = dout[n].reshape(F, -1)", "d = dout[0].reshape(F, -1)")),
    ("mat", "dx", "", ("+= mat[y * ow + z].reshape(C, kh, kw)", "+= mat[y * ow + z].reshape(kh, kw, C).transpose(2, 0, 1)")),
]
S["bn class"] = ("cmu11785.batchnorm", "class BatchNorm1d", (), NP + '''
class BatchNorm1d:
    def __init__(self, num_features, alpha=0.9):
        self.alpha, self.eps = alpha, 1e-8
        self.BW, self.Bb = np.ones((1, num_features)), np.zeros((1, num_features))

    def forward(self, Z, eval=False):
        self.Z, self.N = Z, Z.shape[0]
        self.M = np.mean(Z, axis=0, keepdims=True)
        self.V = np.var(Z, axis=0, keepdims=True)
        self.NZ = (Z - self.M) / np.sqrt(self.V + self.eps)
        return self.BW * self.NZ + self.Bb

    def backward(self, dLdBZ):
        self.dLdBb = np.sum(dLdBZ, axis=0, keepdims=True)
        self.dLdBW = np.sum(dLdBZ * self.NZ, axis=0, keepdims=True)
        dLdNZ = dLdBZ * self.BW
        s = self.V + self.eps
        off = self.Z - self.M
        dLdV = -0.5 * np.sum(dLdNZ * off * s ** -1.5, axis=0)
        dNZdM = -(s ** -0.5) - 0.5 * off * s ** -1.5 * (-2 / self.N * np.sum(off, axis=0))
        dLdM = np.sum(dLdNZ * dNZdM, axis=0)
        dLdZ = dLdNZ * s ** -0.5 + dLdV * (2 / self.N * off) + dLdM / self.N
        return dLdZ
''')
B += [
    ("bn class", "dLdZ", "", ("dLdV = -0.5 * np.sum(dLdNZ * off * s ** -1.5, axis=0)", "dLdV = -0.5 * np.sum(dLdNZ * off * s ** -0.5, axis=0)")),
    ("bn class", "dLdZ", "", ("+ dLdM / self.N\n", "+ dLdM\n")),
    ("bn class", "dLdZ", "", ("dLdNZ = dLdBZ * self.BW", "dLdNZ = dLdBZ * self.NZ")),
    ("bn class", "dLdBW", "", ("np.sum(dLdBZ * self.NZ, axis=0", "np.sum(dLdBZ * self.Z, axis=0")),
    ("bn class", "dLdZ", "", ("dLdV * (2 / self.N * off)", "dLdV * (1 / self.N * off)")),
    ("bn class", "dLdZ", "", ("dLdM = np.sum(dLdNZ * dNZdM, axis=0)", "dLdM = np.sum(dLdBZ * dNZdM, axis=0)")),
    ("bn class", "dLdZ", "", ("dNZdM = -(s ** -0.5) -", "dNZdM = (s ** -0.5) -")),
]
S["lin relu lin"] = (lambda x, a, b: ac.relu(x @ a) @ b, "dout, x, a, b", ((5, 4), (4, 3), (3, 2)), NP + '''
def backward(dout, x, a, b):
    hidden = x.dot(a)
    act = hidden * (hidden > 0)
    db = act.T.dot(dout)
    dact = dout.dot(b.T)
    dhidden = dact.copy()
    dhidden[hidden < 0] = 0
    da = x.T.dot(dhidden)
    dx = dhidden.dot(a.T)
    return dx, da, db
''')
B += [
    ("lin relu lin", "db", "", ("db = act.T.dot(dout)", "db = hidden.T.dot(dout)")),
    ("lin relu lin", "dx", "", ("dhidden[hidden < 0] = 0", "dhidden[dact < 0] = 0")),
    ("lin relu lin", "da", "", ("da = x.T.dot(dhidden)", "da = x.T.dot(dact)")),
    ("lin relu lin", "dx", "", ("dx = dhidden.dot(a.T)", "dx = dact.dot(a.T)")),
    ("lin relu lin", "dx", "", ("dhidden[hidden < 0] = 0", "dhidden = dact * act")),
]
S["avg1d"] = (lambda x: ac.avg_pool1d(x, 3, stride=2, layout=CF), "dout, x", ((2, 3, 9),), NP + '''
def backward(dout, x):
    dx = np.zeros_like(x)
    size, step = 3, 2
    for b in range(x.shape[0]):
        for c in range(x.shape[1]):
            for t in range(dout.shape[2]):
                start = t * step
                dx[b, c, start : start + size] += dout[b, c, t] / size
    return dx
''')
B += [
    ("avg1d", "dx", "", ("start = t * step", "start = t * size")),
    ("avg1d", "dx", "", ("dout[b, c, t] / size", "dout[b, c, t] / step")),
    ("avg1d", "dx", "", ("    return dx", "            return dx")),
    ("avg1d", "dx", "", ("start : start + size] +=", "start : start + step] +=")),
]
S["hinge loops"] = ("cs231n.svm_loss", "", (), NP + '''
def svm_loss(x, y):
    num, classes = x.shape
    loss, dx = 0.0, np.zeros(x.shape)
    for n in range(num):
        count = 0
        for k in range(classes):
            if k == y[n]:
                continue
            margin = x[n, k] - x[n, y[n]] + 1
            if margin > 0:
                loss += margin
                dx[n, k] = 1
                count += 1
        dx[n, y[n]] = -count
    return loss / num, dx / num
''')
B += [
    ("hinge loops", "dx", "", ("dx[n, y[n]] = -count", "dx[n, y[n]] = count")),
    ("hinge loops", "dx", "", ("        dx[n, y[n]] = -count\n", "")),
    ("hinge loops", "dx", "", ("dx[n, y[n]] = -count", "dx[n, y[n]] = -1")),
    ("hinge loops", "dx", "", ("        count = 0\n", ""), ("    loss, dx = 0.0", "    count = 0\n    loss, dx = 0.0")),
    ("hinge loops", "dx", "", ("dx[n, k] = 1\n", "dx[n, k] = margin\n")),
    ("hinge loops", "dx", "", ("return loss / num, dx / num", "return loss / num, dx")),
]
S["heads"] = (lambda x, w: ac.softmax((x @ w) / 2.0, axis=1), "dout, x, w", ((4, 3), (3, 5)), NP + '''
def backward(dout, x, w):
    z = x @ w / 2.0
    z = z - z.max(axis=1)[:, None]
    p = np.exp(z) / np.exp(z).sum(axis=1)[:, None]
    inner = np.einsum("ij,ij->i", p, dout)
    dz = p * (dout - inner[:, None])
    dx = dz @ w.T / 2.0
    dw = x.T @ dz / 2.0
    return dx, dw
''')
B += [
    ("heads", "dx", "", ("dx = dz @ w.T / 2.0", "dx = dz @ w.T")),
    ("heads", "dx", "", ("inner = np.einsum(\"ij,ij->i\", p, dout)", "inner = dout.sum(axis=1)")),
    ("heads", "dx", "", ("dz = p * (dout - inner[:, None])", "dz = p * dout - inner[:, None]")),
    ("heads", "dw", "", ("dw = x.T @ dz / 2.0", "dw = x.T @ p / 2.0")),
    ("heads", "dx", "", ("p = np.exp(z) / np.exp(z).sum(axis=1)[:, None]", "p = np.exp(z) / np.exp(z).sum()")),
]
S["group rows"] = ("cs231n.layernorm", "", (), NP + '''
def layernorm_forward(x, gamma, beta, ln_param):
    outs, keep = [], []
    for row in x:
        m = row.mean()
        sd = np.sqrt(((row - m) ** 2).mean() + 1e-5)
        hat = (row - m) / sd
        keep.append((hat, sd))
        outs.append(gamma * hat + beta)
    return np.array(outs), (keep, gamma)

def layernorm_backward(dout, cache):
    keep, gamma = cache
    dx = np.zeros(dout.shape)
    dgamma = np.zeros(gamma.shape)
    dbeta = np.zeros(gamma.shape)
    for i in range(len(dout)):
        hat, sd = keep[i]
        g = dout[i] * gamma
        dgamma += dout[i] * hat
        dbeta += dout[i]
        dx[i] = (g - g.mean() - hat * (g * hat).mean()) / sd
    return dx, dgamma, dbeta
''')
B += [
    ("group rows", "dgamma", "", ("dgamma += dout[i] * hat", "dgamma = dout[i] * hat")),
    ("group rows", "dx", "", ("hat, sd = keep[i]", "hat, sd = keep[0]")),
    ("group rows", "dx", "", ("g - g.mean() - hat", "g - dout[i].mean() - hat")),
    ("group rows", "dbeta", "", ("dbeta += dout[i]", "dbeta += g")),
    ("group rows", "dx", "", ("- hat * (g * hat).mean()) / sd", "- hat * (g * hat).sum()) / sd")),
    ("group rows", "dgamma", "", ("dgamma += dout[i] * hat", "dgamma += g * hat")),
    ("group rows", "dx", "", (") / sd\n    return", ") / sd ** 2\n    return")),
]
# fmt: on
