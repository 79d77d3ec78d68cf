"""Bugs by other hands: right functions in many styles as source, and what was planted in them before any of it was run.

A row of ``BUGS`` is a layer, the gradient that is wrong then, other names that may be said of it, and what stands there
in the place of what.  Some are no single change of a line: two slips, a formula that is another one, a column order.
"""
# ruff: noqa: E501 (sources as they were written)

from __future__ import annotations

import difflib
import linecache
from pathlib import Path
from typing import Any

import numpy as np

import autoconv as ac

NP = "import numpy as np\n"
CF = "channels_first"
S: dict[str, Any] = {}  # what it computes, the call or the class, shapes, the source
B: list[Any] = []
# fmt: off
S["windows"] = ("cs231n.conv", "", (), NP + '''
def conv_forward(x, w, b, conv_param):
    st, pd = conv_param["stride"], conv_param["pad"]
    padded = np.pad(x, [(0, 0), (0, 0), (pd, pd), (pd, pd)])
    n, c, h, wd = padded.shape
    nf, _, kh, kw = w.shape
    oh, ow = (h - kh) // st + 1, (wd - kw) // st + 1
    out = np.empty((n, nf, oh, ow))
    for r in range(oh):
        for q in range(ow):
            out[:, :, r, q] = np.tensordot(padded[:, :, r * st : r * st + kh, q * st : q * st + kw], w, ([1, 2, 3], [1, 2, 3])) + b
    return out, (padded, w, st, pd)

def conv_backward(dout, cache):
    padded, w, st, pd = cache
    n, c, h, wd = padded.shape
    nf, _, kh, kw = w.shape
    dpadded = np.zeros(padded.shape)
    dw = np.zeros(w.shape)
    for r in range(dout.shape[2]):
        for q in range(dout.shape[3]):
            top, left = r * st, q * st
            delta = dout[:, :, r, q]
            region = padded[:, :, top : top + kh, left : left + kw]
            dw += np.tensordot(delta, region, axes=([0], [0]))
            dpadded[:, :, top : top + kh, left : left + kw] += np.tensordot(delta, w, axes=([1], [0]))
    db = dout.sum(axis=(0, 2, 3))
    dx = dpadded[:, :, pd : h - pd, pd : wd - pd]
    return dx, dw, db
''')
B += [
    ("windows", "dw", "", ("dw += np.tensordot", "dw = np.tensordot")),
    ("windows", "dx", "", ("dpadded[:, :, top : top + kh, left : left + kw] += np.tensordot", "dpadded[:, :, top : top + kh, left : left + kw] = np.tensordot")),
    ("windows", "dw", "", ("region = padded[:, :, top : top + kh, left : left + kw]", "region = padded[:, :, top : top + kh, left : left + kw] / n")),
    ("windows", "db", "", ("db = dout.sum(axis=(0, 2, 3))", "db = dout.sum(axis=(0, 1, 2))[:1] * np.ones(nf)")),
    ("windows", "dx", "", ("dx = dpadded[:, :, pd : h - pd, pd : wd - pd]", "dx = dpadded[:, :, : h - 2 * pd, : wd - 2 * pd]")),
    ("windows", "dw", "", ("for q in range(dout.shape[3]):", "for q in range(dout.shape[3] - 1):")),
    ("windows", "dx", "", ("            dpadded[:", "        dpadded[:")),
    ("windows", "dx", "stride not dilated", ("top, left = r * st, q * st\n", "top, left = r, q\n"), ("region = padded[:, :, top : top + kh, left : left + kw]", "region = padded[:, :, r * st : r * st + kh, q * st : q * st + kw]")),
]
S["strided"] = ("cs231n.conv", "", (), NP + '''
def conv_forward(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    cols = np.lib.stride_tricks.sliding_window_view(xp, w.shape[2:], axis=(2, 3))[:, :, ::s, ::s]
    out = np.einsum("nchwij,fcij->nfhw", cols, w) + b.reshape(1, -1, 1, 1)
    return out, (x.shape, cols, w, s, p)

def conv_backward(dout, cache):
    (N, C, H, W), cols, w, s, p = cache
    F, _, R, S = w.shape
    _, _, P, Q = dout.shape
    db = np.einsum("nfhw->f", dout)
    dw = np.einsum("nfhw,nchwij->fcij", dout, cols)
    dcols = np.einsum("nfhw,fcij->nchwij", dout, w)
    dxp = np.zeros((N, C, H + 2 * p, W + 2 * p))
    for i in range(R):
        for j in range(S):
            dxp[:, :, i : i + s * P : s, j : j + s * Q : s] += dcols[:, :, :, :, i, j]
    dx = dxp[:, :, p : p + H, p : p + W]
    return dx, dw, db
''')
B += [
    ("strided", "dx", "", ("+= dcols[:, :, :, :, i, j]", "= dcols[:, :, :, :, i, j]")),
    ("strided", "dx", "", ("+= dcols[:, :, :, :, i, j]", "+= dcols[:, :, :, :, j, i] if R == S else dcols[:, :, :, :, i, j]")),
    ("strided", "dw", "", ('"nfhw,nchwij->fcij"', '"nfhw,nchwij->fcji"')),
    ("strided", "dx", "", ("i : i + s * P : s, j : j + s * Q : s]", "i : i + P, j : j + Q]")),
    ("strided", "db", "", ('np.einsum("nfhw->f", dout)', 'np.einsum("nfhw->f", dout) / N')),
    ("strided", "dx", "", ("dxp[:, :, p : p + H, p : p + W]", "dxp[:, :, p + 1 : p + 1 + H, p : p + W] if p else dxp")),
    ("strided", "dx", "", ("dcols = np.einsum(\"nfhw,fcij->nchwij\", dout, w)", "dcols = np.einsum(\"nfhw,fcij->nchwij\", dout, w[:, :, ::-1, ::-1])")),
]
S["batch slices"] = ("deeplearning.conv", "", (), NP + '''
def conv_forward(A_prev, W, b, hparameters):
    s, p = hparameters["stride"], hparameters["pad"]
    f = W.shape[0]
    padded = np.pad(A_prev, ((0, 0), (p, p), (p, p), (0, 0)), "constant")
    nh, nw = (padded.shape[1] - f) // s + 1, (padded.shape[2] - f) // s + 1
    Z = np.zeros((A_prev.shape[0], nh, nw, W.shape[3]))
    for y in range(nh):
        for x in range(nw):
            Z[:, y, x] = np.einsum("mijc,ijcd->md", padded[:, y * s : y * s + f, x * s : x * s + f], W) + b[0, 0, 0]
    return Z, (A_prev, W, b, hparameters)

def conv_backward(dZ, cache):
    A_prev, W, b, hparameters = cache
    s, p = hparameters["stride"], hparameters["pad"]
    f = W.shape[0]
    m, H, Wd, _ = A_prev.shape
    padded = np.pad(A_prev, ((0, 0), (p, p), (p, p), (0, 0)), "constant")
    dpad = np.zeros_like(padded)
    dW = np.zeros_like(W)
    for y in range(dZ.shape[1]):
        for x in range(dZ.shape[2]):
            g = dZ[:, y, x, :]
            ys, xs = slice(y * s, y * s + f), slice(x * s, x * s + f)
            dpad[:, ys, xs, :] += np.einsum("md,ijcd->mijc", g, W)
            dW += np.einsum("md,mijc->ijcd", g, padded[:, ys, xs, :])
    db = np.sum(dZ, axis=(0, 1, 2), keepdims=True)
    return dpad[:, p : p + H, p : p + Wd, :], dW, db
''')
B += [
    ("batch slices", "dA_prev", "", ("slice(y * s, y * s + f), slice(x * s, x * s + f)", "slice(y * s, y * s + f), slice(y * s, y * s + f)")),
    ("batch slices", "dW", "", ('"md,mijc->ijcd", g, padded[:, ys, xs, :]', '"md,mijc->jicd", g, padded[:, ys, xs, :]')),
    ("batch slices", "db", "", ("axis=(0, 1, 2), keepdims=True", "axis=(0, 1), keepdims=True)[:, :, :1] + np.zeros((1, 1, 1, 1)")),
    ("batch slices", "dA_prev", "", ('np.einsum("md,ijcd->mijc", g, W)', 'np.einsum("md,ijcd->mijc", g, W) / m')),
    ("batch slices", "dA_prev", "", ("dpad[:, p : p + H, p : p + Wd, :]", "dpad[:, p : p + H, p : p + Wd, :] + A_prev")),
    ("batch slices", "dW", "", ("g, padded[:, ys, xs, :])", "g, dpad[:, ys, xs, :])")),
    ("batch slices", "db", "", ("np.sum(dZ, axis=(0, 1, 2), keepdims=True)", "np.mean(dZ, axis=(0, 1, 2), keepdims=True)")),
]
S["pool one line"] = ("deeplearning.pool", "", (), NP + '''
def pool_forward(A_prev, hparameters, mode="max"):
    f, s = hparameters["f"], hparameters["stride"]
    v = np.lib.stride_tricks.sliding_window_view(A_prev, (f, f), axis=(1, 2))[:, ::s, ::s]
    return (v.max(axis=(4, 5)) if mode == "max" else v.mean(axis=(4, 5))), (A_prev, hparameters)

def pool_backward(dA, cache, mode="max"):
    A_prev, hparameters = cache
    f, s = hparameters["f"], hparameters["stride"]
    dA_prev = np.zeros(A_prev.shape)
    for h in range(dA.shape[1]):
        for w in range(dA.shape[2]):
            box = A_prev[:, h * s : h * s + f, w * s : w * s + f, :]
            g = dA[:, h : h + 1, w : w + 1, :]
            if mode == "max":
                best = box.max(axis=(1, 2), keepdims=True)
                dA_prev[:, h * s : h * s + f, w * s : w * s + f, :] += g * (box == best)
            else:
                dA_prev[:, h * s : h * s + f, w * s : w * s + f, :] += g / f ** 2
    return dA_prev
''')
S["mean one line"] = ("deeplearning.avg_pool", "", (), S["pool one line"][3])
B += [
    ("pool one line", "dA_prev", "", ("+= g * (box == best)", "= g * (box == best)")),
    ("pool one line", "dA_prev", "", ("best = box.max(axis=(1, 2), keepdims=True)", "best = box.max(axis=(1, 2, 3), keepdims=True)")),
    ("pool one line", "dA_prev", "", ("g * (box == best)", "g * (box != best)")),
    ("pool one line", "dA_prev", "", ("g = dA[:, h : h + 1, w : w + 1, :]", "g = dA[:, w : w + 1, h : h + 1, :] if dA.shape[1] == dA.shape[2] else dA[:, h : h + 1, w : w + 1, :]")),
    ("mean one line", "dA_prev", "", ("g / f ** 2", "g / f")),
    ("mean one line", "dA_prev", "", ("+= g / f ** 2", "+= g * f ** 2")),
    ("mean one line", "dA_prev", "", ("                dA_prev[:, h * s : h * s + f, w * s : w * s + f, :] += g / f ** 2", "                dA_prev[:, h : h + f, w : w + f, :] += g / f ** 2")),
    ("mean one line", "dA_prev", "", ("                dA_prev[:, h * s : h * s + f, w * s : w * s + f, :] += g / f ** 2", "                dA_prev[:, h * s : h * s + f, w * s : w * s + f, :] += box.mean(axis=(1, 2), keepdims=True) * g")),
]
S["conv1d class"] = ("cmu11785.conv1d_stride1", "class Conv1d_stride1", (), NP + '''
class Conv1d_stride1:
    def __init__(self, in_channels, out_channels, kernel_size):
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.W = np.zeros((out_channels, in_channels, kernel_size))
        self.b = np.zeros(out_channels)

    def forward(self, A):
        self.A = A
        size = A.shape[2] - self.kernel_size + 1
        Z = np.zeros((A.shape[0], self.out_channels, size))
        for t in range(size):
            Z[:, :, t] = np.tensordot(A[:, :, t : t + self.kernel_size], self.W, axes=((1, 2), (1, 2)))
        return Z + self.b.reshape(1, -1, 1)

    def backward(self, dLdZ):
        K = self.kernel_size
        out_size = dLdZ.shape[2]
        self.dLdb = dLdZ.sum(axis=(0, 2))
        self.dLdW = np.zeros_like(self.W)
        for k in range(K):
            self.dLdW[:, :, k] = np.tensordot(dLdZ, self.A[:, :, k : k + out_size], axes=((0, 2), (0, 2)))
        wide = np.pad(dLdZ, ((0, 0), (0, 0), (K - 1, K - 1)))
        Wflip = self.W[:, :, ::-1]
        dLdA = np.zeros_like(self.A)
        for t in range(self.A.shape[2]):
            dLdA[:, :, t] = np.tensordot(wide[:, :, t : t + K], Wflip, axes=((1, 2), (0, 2)))
        return dLdA
''')
B += [
    ("conv1d class", "dLdA", "kernel not rotated", ("self.W[:, :, ::-1]", "self.W")),
    ("conv1d class", "dLdA", "", ("((0, 0), (0, 0), (K - 1, K - 1))", "((0, 0), (0, 0), (0, 2 * (K - 1)))")),
    ("conv1d class", "dLdW", "", ("self.dLdW[:, :, k] = np.tensordot", "self.dLdW[:, :, K - 1 - k] = np.tensordot")),
    ("conv1d class", "dLdW", "", ("for k in range(K):", "for k in range(1, K):")),
    ("conv1d class", "dLdb", "", ("dLdZ.sum(axis=(0, 2))", "dLdZ.sum(axis=(0, 2)) / out_size")),
    ("conv1d class", "dLdA", "", ("for t in range(self.A.shape[2]):", "for t in range(out_size):")),
]
S["upconv1d"] = ("cmu11785.conv_transpose1d", "", (), NP + '''
def forward(A, W, b, upsampling_factor):
    k = upsampling_factor
    up = np.zeros((A.shape[0], A.shape[1], k * (A.shape[2] - 1) + 1))
    up[:, :, ::k] = A
    K = W.shape[2]
    n = up.shape[2] - K + 1
    Z = np.stack([np.einsum("nck,ock->no", up[:, :, t : t + K], W) for t in range(n)], axis=2) + b[None, :, None]
    return Z, (up, W, k)

def backward(dLdZ, cache):
    up, W, k = cache
    K = W.shape[2]
    dup = np.zeros_like(up)
    dLdW = np.zeros_like(W)
    for t in range(dLdZ.shape[2]):
        dup[:, :, t : t + K] += np.einsum("no,ock->nck", dLdZ[:, :, t], W)
        dLdW += np.einsum("no,nck->ock", dLdZ[:, :, t], up[:, :, t : t + K])
    dLdA = dup[:, :, ::k]
    return dLdA, dLdW, dLdZ.sum(axis=(0, 2))
''')
B += [
    ("upconv1d", "dLdA", "", ("dup[:, :, ::k]", "dup[:, :, : (up.shape[2] - 1) // k + 1]")),
    ("upconv1d", "dLdA", "", ("dup[:, :, ::k]", "dup[:, :, ::k] / k")),
    ("upconv1d", "dLdA", "", ("dup[:, :, t : t + K] += np.einsum", "dup[:, :, t : t + K] = np.einsum")),
    ("upconv1d", "dLdW", "", ("up[:, :, t : t + K])\n    dLdA", "up[:, :, t : t + K][:, :, ::-1])\n    dLdA")),
    ("upconv1d", "dLdA", "", ("dLdZ[:, :, t], W)", "dLdZ[:, :, t], W[..., ::-1])")),
]
S["pool class"] = ("cmu11785.max_pool", "class MaxPool2d", (), NP + '''
class MaxPool2d:
    def __init__(self, kernel, stride):
        self.kernel, self.stride = kernel, stride

    def forward(self, A):
        self.A = A
        k, s = self.kernel, self.stride
        N, C, H, W = A.shape
        self.oh, self.ow = (H - k) // s + 1, (W - k) // s + 1
        Z = np.zeros((N, C, self.oh, self.ow))
        self.where = np.zeros((N, C, self.oh, self.ow), dtype=int)
        for i in range(self.oh):
            for j in range(self.ow):
                flat = A[:, :, i * s : i * s + k, j * s : j * s + k].reshape(N, C, -1)
                self.where[:, :, i, j] = flat.argmax(axis=2)
                Z[:, :, i, j] = flat.max(axis=2)
        return Z

    def backward(self, dLdZ):
        k, s = self.kernel, self.stride
        N, C = self.A.shape[:2]
        dLdA = np.zeros(self.A.shape)
        for n in range(N):
            for c in range(C):
                for i in range(self.oh):
                    for j in range(self.ow):
                        r, q = divmod(self.where[n, c, i, j], k)
                        dLdA[n, c, i * s + r, j * s + q] += dLdZ[n, c, i, j]
        return dLdA
''')
B += [
    ("pool class", "dLdA", "", ("r, q = divmod", "q, r = divmod")),
    ("pool class", "dLdA", "", ("dLdA[n, c, i * s + r, j * s + q] +=", "dLdA[n, c, i * s + r, j * s + q] =")),
    ("pool class", "dLdA", "", ("dLdA[n, c, i * s + r, j * s + q] +=", "dLdA[n, c, i * k + r, j * k + q] +=")),
    ("pool class", "dLdA", "", ("self.where[n, c, i, j], k)", "self.where[n, c, i, j], s)")),
    ("pool class", "dLdA", "", ("        return dLdA\n", "        return dLdA / (k * k)\n")),
    ("pool class", "dLdA", "", ("for j in range(self.ow):\n                        r", "for j in range(self.oh):\n                        r")),
]
S["bn short"] = ("cs231n.batchnorm_alt", "", (), NP + '''
def batchnorm_forward(x, gamma, beta, bn_param):
    mu, var = np.mean(x, axis=0), np.var(x, axis=0)
    z = (x - mu) / np.sqrt(var + 1e-5)
    return gamma * z + beta, (x, mu, var, z, gamma)

def batchnorm_backward_alt(dout, cache):
    x, mu, var, z, gamma = cache
    N = len(dout)
    dgamma = np.einsum("nd,nd->d", dout, z)
    dbeta = np.einsum("nd->d", dout)
    inv_std = (var + 1e-5) ** -0.5
    dx = gamma * inv_std / N * (N * dout - dbeta - z * dgamma)
    return dx, dgamma, dbeta
''')
B += [
    ("bn short", "dx", "", ("- z * dgamma)", "+ z * dgamma)")),
    ("bn short", "dx", "", ("z * dgamma)", "x * dgamma)")),
    ("bn short", "dx", "", ("(N * dout - dbeta", "(dout - dbeta")),
    ("bn short", "dx", "", ("inv_std / N *", "inv_std *")),
    ("bn short", "dx", "", ("(N * dout - dbeta - z * dgamma)", "(N * dout - z * dgamma)")),
    ("bn short", "dx", "", ("(var + 1e-5) ** -0.5", "(var + 1e-5) ** 0.5")),
    ("bn short", "dx", "", ("dx = gamma * inv_std", "dx = inv_std")),
    ("bn short", "dgamma", "", ('np.einsum("nd,nd->d", dout, z)', 'np.einsum("nd,nd->d", dout, x - mu)')),
    ("bn short", "dx", "", ("dbeta - z * dgamma)", "dbeta - z * dgamma.sum())")),
]
S["ln transposed"] = ("cs231n.layernorm", "", (), NP + '''
def layernorm_forward(x, gamma, beta, ln_param):
    xt = x.T
    m = xt.mean(axis=0)
    c = xt - m
    v = (c * c).mean(axis=0)
    s = np.sqrt(v + 1e-5)
    h = c / s
    return gamma * h.T + beta, (h, c, s, gamma)

def layernorm_backward(dout, cache):
    h, c, s, gamma = cache
    D = h.shape[0]
    dbeta = dout.sum(axis=0)
    dgamma = (dout * h.T).sum(axis=0)
    dh = (dout * gamma).T
    dc = dh / s
    ds = -(dh * c).sum(axis=0) / s ** 2
    dv = 0.5 * ds / s
    dc += 2 * c * dv / D
    dx = dc - dc.mean(axis=0)
    return dx.T, dgamma, dbeta
''')
B += [
    ("ln transposed", "dx", "", ("dx = dc - dc.mean(axis=0)", "dx = dc - dc.mean(axis=1, keepdims=True)")),
    ("ln transposed", "dx", "", ("dc += 2 * c * dv / D", "dc = 2 * c * dv / D")),
    ("ln transposed", "dx", "", ("ds = -(dh * c).sum(axis=0) / s ** 2", "ds = (dh * c).sum(axis=0) / s ** 2")),
    ("ln transposed", "dx", "", ("dv = 0.5 * ds / s\n", "dv = 0.5 * ds * s\n")),
    ("ln transposed", "dx", "", ("dx = dc - dc.mean(axis=0)\n", "dx = dc\n")),
    ("ln transposed", "dx", "", ("D = h.shape[0]", "D = h.shape[1]")),
    ("ln transposed", "dx", "", ("dh = (dout * gamma).T", "dh = dout.T * gamma.mean()")),
    ("ln transposed", "dgamma", "", ("dgamma = (dout * h.T).sum(axis=0)", "dgamma = (dout * c.T).sum(axis=0)")),
]
S["mini"] = ("minitorch.conv1d", "", (), NP + '''
def forward(input, weight):
    B, C, T = input.shape
    O, _, K = weight.shape
    out = np.zeros((B, O, T))
    for t in range(T):
        for k in range(K):
            if t + k < T:
                out[:, :, t] += input[:, :, t + k] @ weight[:, :, k].T
    return out, (input, weight)

def backward(grad, cache):
    input, weight = cache
    B, C, T = input.shape
    O, _, K = weight.shape
    gi = np.zeros(input.shape)
    gw = np.zeros(weight.shape)
    for b in range(B):
        for o in range(O):
            for c in range(C):
                for t in range(T):
                    for k in range(K):
                        pos = t + k
                        if pos < T:
                            gi[b, c, pos] += grad[b, o, t] * weight[o, c, k]
                            gw[o, c, k] += grad[b, o, t] * input[b, c, pos]
    return gi, gw
''')
B += [
    ("mini", "grad_input", "", ("gi[b, c, pos] +=", "gi[b, c, t] +=")),
    ("mini", "grad_weight", "", ("grad[b, o, t] * input[b, c, pos]", "grad[b, o, pos] * input[b, c, t]")),
    ("mini", "grad_weight", "", ("* input[b, c, pos]", "* input[b, c, t]")),
    ("mini", "grad_input", "", ("* weight[o, c, k]", "* weight[o, c, K - 1 - k]")),
    ("mini", "grad_input", "", ("pos = t + k\n", "pos = t + k - K // 2\n"), ("if pos < T:", "if 0 <= pos < T:")),
    ("mini", "grad_weight", "", ("gw[o, c, k] += grad", "gw[o, c, k] = grad")),
]
S["block"] = ("cs231n.conv_relu_pool", "", (), NP + '''
def _views(x, kh, kw, s):
    return np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(2, 3))[:, :, ::s, ::s]

def conv_relu_pool_forward(x, w, b, conv_param, pool_param):
    s, p = conv_param["stride"], conv_param["pad"]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    a = np.einsum("nchwij,fcij->nfhw", _views(xp, *w.shape[2:], s), w) + b[:, None, None]
    r = np.maximum(a, 0)
    ph, pw, ps = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    return _views(r, ph, pw, ps).max(axis=(4, 5)), (x.shape, xp, w, a, r, s, p, ph, pw, ps)

def pool_back(d, r, ph, pw, ps):
    dr = np.zeros(r.shape)
    for i in range(d.shape[2]):
        for j in range(d.shape[3]):
            win = r[:, :, i * ps : i * ps + ph, j * ps : j * ps + pw]
            flat = win.reshape(*win.shape[:2], -1)
            hot = np.eye(ph * pw)[flat.argmax(axis=2)].reshape(win.shape)
            dr[:, :, i * ps : i * ps + ph, j * ps : j * ps + pw] += hot * d[:, :, i : i + 1, j : j + 1]
    return dr

def conv_relu_pool_backward(dout, cache):
    shape, xp, w, a, r, s, p, ph, pw, ps = cache
    dr = pool_back(dout, r, ph, pw, ps)
    da = dr * (a > 0)
    db = da.sum(axis=(0, 2, 3))
    dw = np.einsum("nfhw,nchwij->fcij", da, _views(xp, *w.shape[2:], s))
    dxp = np.zeros(xp.shape)
    for i in range(da.shape[2]):
        for j in range(da.shape[3]):
            dxp[:, :, i * s : i * s + w.shape[2], j * s : j * s + w.shape[3]] += np.einsum("nf,fcij->ncij", da[:, :, i, j], w)
    return dxp[:, :, p : p + shape[2], p : p + shape[3]], dw, db
''')
B += [
    ("block", "dx", "", ("da = dr * (a > 0)", "da = dr * (dr > 0)")),
    ("block", "db", "", ("db = da.sum(axis=(0, 2, 3))", "db = dr.sum(axis=(0, 2, 3))")),
    ("block", "dx", "", ("da = dr * (a > 0)", "da = dr")),
    ("block", "dx", "", ("dr[:, :, i * ps : i * ps + ph, j * ps : j * ps + pw] +=", "dr[:, :, i * ps : i * ps + ph, j * ps : j * ps + pw] =")),
    ("block", "dx", "", ("hot = np.eye(ph * pw)[flat.argmax(axis=2)]", "hot = np.eye(ph * pw)[flat.argmin(axis=2)]")),
    ("block", "dw", "", ("da, _views(xp, *w.shape[2:], s))", "dr, _views(xp, *w.shape[2:], s))")),
]
S["xent"] = ("cs231n.softmax_loss", "", (), NP + '''
def softmax_loss(x, y):
    m = x.shape[0]
    shifted = x - np.max(x, axis=1, keepdims=True)
    Z = np.sum(np.exp(shifted), axis=1, keepdims=True)
    logp = shifted - np.log(Z)
    probs = np.exp(logp)
    loss = -np.sum(logp[np.arange(m), y]) / m
    dx = probs.copy()
    dx[np.arange(m), y] -= 1
    dx = dx / m
    return loss, dx
''')
B += [
    ("xent", "dx", "", ("dx[np.arange(m), y] -= 1", "dx[np.arange(m), y] += 1")),
    ("xent", "dx", "", ("dx[np.arange(m), y] -= 1", "dx[:, y] -= 1")),
    ("xent", "dx", "", ("    dx = dx / m\n", "")),
    ("xent", "dx", "", ("dx = probs.copy()", "dx = logp.copy()")),
    ("xent", "dx", "", ("dx = probs.copy()", "dx = np.exp(shifted)")),
    ("xent", "dx", "", ("dx = dx / m\n", "dx = dx / x.size\n")),
    ("xent", "dx", "", ("dx[np.arange(m), y] -= 1\n", "dx[np.arange(m), y] -= probs[np.arange(m), y]\n")),
]
S["ein affine"] = ("cs231n.affine", "", (), NP + '''
def affine_forward(x, w, b):
    return np.einsum("nd,dm->nm", x.reshape(x.shape[0], -1), w) + b, (x, w, b)

def affine_backward(dout, cache):
    x, w, b = cache
    rows = x.reshape(x.shape[0], -1)
    dx = np.einsum("nm,dm->nd", dout, w).reshape(x.shape)
    dw = np.einsum("nd,nm->dm", rows, dout)
    db = np.ones(len(x)) @ dout
    return dx, dw, db
''')
B += [
    ("ein affine", "dw", "", ("rows = x.reshape(x.shape[0], -1)", "rows = x.reshape(-1, x.shape[0]).T")),
    ("ein affine", "db", "", ("np.ones(len(x)) @ dout", "np.ones(len(x)) @ dout / len(x)")),
    ("ein affine", "dw", "", ("rows, dout)\n", "rows, dout) + 0.5 * w\n")),
    ("ein affine", "db", "", ("db = np.ones(len(x)) @ dout", "db = dout[-1]")),
]
S["sigmoid class"] = ("cmu11785.sigmoid", "class Sigmoid", (), NP + '''
class Sigmoid:
    def forward(self, Z):
        self.A = 1 / (1 + np.exp(-Z))
        return self.A

    def backward(self, dLdA):
        dAdZ = self.A * (1 - self.A)
        return dLdA * dAdZ
''')
S["softmax class"] = ("cmu11785.softmax", "class Softmax", (), NP + '''
class Softmax:
    def forward(self, Z):
        E = np.exp(Z - Z.max(axis=1, keepdims=True))
        self.A = E / E.sum(axis=1, keepdims=True)
        return self.A

    def backward(self, dLdA):
        N, C = dLdA.shape
        dLdZ = np.zeros((N, C))
        for i in range(N):
            J = np.zeros((C, C))
            for m in range(C):
                for n in range(C):
                    if m == n:
                        J[m, n] = self.A[i, m] * (1 - self.A[i, m])
                    else:
                        J[m, n] = -self.A[i, m] * self.A[i, n]
            dLdZ[i, :] = dLdA[i, :] @ J
        return dLdZ
''')
B += [
    ("sigmoid class", "dLdZ", "", ("self.A * (1 - self.A)", "self.A * (1 + self.A)")),
    ("sigmoid class", "dLdZ", "", ("return dLdA * dAdZ", "return dAdZ")),
    ("softmax class", "dLdZ", "", ("J[m, n] = -self.A[i, m] * self.A[i, n]", "J[m, n] = self.A[i, m] * self.A[i, n]")),
    ("softmax class", "dLdZ", "", ("J[m, n] = -self.A[i, m] * self.A[i, n]", "J[m, n] = -self.A[i, m] * self.A[0, n]")),
    ("softmax class", "dLdZ", "", ("if m == n:", "if m != n:")),
    ("softmax class", "dLdZ", "", ("dLdZ[i, :] = dLdA[i, :] @ J", "dLdZ[i, :] = self.A[i, :] @ J")),
]
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

BUGS = B


def changed(key: str, changes: Any) -> tuple[str, set[int]]:
    """(the source with its bug, the numbers of the lines that are other ones)."""
    text = S[key][3]
    for old, new in changes:
        assert text.count(old) == 1, (key, old)
        text = text.replace(old, new)
    lines: set[int] = set()
    matcher = difflib.SequenceMatcher(None, S[key][3].splitlines(), text.splitlines(), autojunk=False)
    for tag, _, _, start, end in matcher.get_opcodes():
        if tag == "delete":
            lines |= {start, start + 1}
        elif tag != "equal":
            lines |= set(range(start + 1, end + 1))
    return text, lines


def judged(path: Path, key: str, changes: Any = (), **more: Any) -> tuple[Any, set[int]]:
    """(the verdict, the lines of the bug) on functions that stand in a file."""
    like, call, shapes, _ = S[key]
    text, lines = changed(key, changes)
    path.write_text(text, encoding="utf-8")
    linecache.checkcache(str(path))
    scope: dict[str, Any] = {"__name__": path.stem}
    exec(compile(text, str(path), "exec"), scope)  # our own text
    made = {n: f for n, f in scope.items() if hasattr(f, "__code__") and not n.startswith("_")}
    if call.startswith("class "):
        functions = (scope[call.removeprefix("class ")],)
        functions[0].__module__ = __name__
    else:
        functions = (
            next(f for n, f in made.items() if "backward" in n or (n.endswith("loss") and "loss" in str(like))),
            next((f for n, f in made.items() if n.endswith("forward")), None),
        )
        more |= {"call": {"backward": call}} if call else {}
    if shapes:
        rng = np.random.default_rng(5)
        more["inputs"] = [rng.normal(size=shape) for shape in shapes]
    return ac.check_backward(*functions, like=like, **more), lines
