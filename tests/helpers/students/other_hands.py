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
from helpers.students import other_layers

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
# fmt: on

S |= other_layers.S
BUGS = [*B, *other_layers.B]


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
