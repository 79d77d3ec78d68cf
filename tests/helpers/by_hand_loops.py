"""Backward passes in plain loops as students write them, right and with bugs, for tests of the bank of mistakes.

Each layer has a forward pass and a backward pass in NumPy loops; ``bug`` plants one mistake, "" is right.  Channels
first; the tests run the convolution and pooling layers in channels last as well, with the arrays moved.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


# ---- convolution


def conv_forward(x: Array, w: Array, b: Array, stride: int = 1, pad: int = 0) -> Array:
    n, _, h, v = x.shape
    f, _, hh, ww = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((n, f, (h + 2 * pad - hh) // stride + 1, (v + 2 * pad - ww) // stride + 1))
    for a in range(n):
        for o in range(f):
            for i in range(out.shape[2]):
                for j in range(out.shape[3]):
                    out[a, o, i, j] = (
                        xp[a, :, i * stride : i * stride + hh, j * stride : j * stride + ww] * w[o]
                    ).sum()
    return out + b[:, None, None]


def conv_dx(dout: Array, x: Array, w: Array, b: Array, stride: int = 1, pad: int = 0, bug: str = "") -> Array:
    n, c, h, v = x.shape
    f, _, hh, ww = w.shape
    dxp = np.zeros((n, c, h + 2 * pad, v + 2 * pad))
    done = False
    for a in range(n):
        if bug == "only first example" and a:
            continue
        for o in range(f):
            if bug == "only first filter" and o:
                continue
            for i in range(dout.shape[2]):
                if bug == "first row of windows only" and i:
                    continue
                for j in range(dout.shape[3]):
                    if done and bug == "return after the first window":
                        continue
                    done = True
                    d, kernel, s, t = dout[a, o, i, j], w[o], stride, stride
                    if bug == "neighbour's filter":
                        kernel = w[(o + 1) % f]
                    if bug == "previous filter":
                        kernel = w[o - 1]
                    if bug == "kernel rotated":
                        kernel = kernel[:, ::-1, ::-1]
                    if bug == "kernel transposed":
                        kernel = kernel.swapaxes(1, 2)
                    if bug == "no upstream":
                        d = 1.0
                    if bug == "no weights":
                        kernel = np.ones_like(kernel)
                    if bug == "summed over channels":
                        kernel = np.broadcast_to(kernel.sum(axis=0), kernel.shape)
                    if bug == "stride forgotten":
                        s = t = 1
                    if bug == "stride forgotten along rows":
                        s = 1
                    if bug == "stride forgotten along columns":
                        t = 1
                    top, left = i * s, j * t
                    if bug == "rows and columns swapped":
                        top, left = j * s, i * t
                    if bug == "tiles":
                        top, left = i * hh, j * ww
                    part = kernel * d
                    if bug == "added instead of multiplied":
                        part = kernel + d
                    if bug == "output for upstream":
                        part = kernel * b[o]
                    window = dxp[a, :, top : top + hh, left : left + ww]
                    part = part[:, : window.shape[1], : window.shape[2]]
                    if bug == "= for +=":
                        window[...] = part
                    else:
                        window += part
    if bug == "= for +=, filters added":
        dxp[...] = 0
        for a in range(n):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    part = sum(w[o] * dout[a, o, i, j] for o in range(f))
                    dxp[a, :, i * stride : i * stride + hh, j * stride : j * stride + ww] = part
    if bug == "mean over the batch":
        dxp /= n
    if bug == "last filter only":
        dxp[...] = 0
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                place = dxp[:, :, i * stride : i * stride + hh, j * stride : j * stride + ww]
                place += w[-1][None] * dout[:, -1, i, j][:, None, None, None]
    if bug == "not cropped":
        return dxp[:, :, :h, :v]
    if bug == "cropped one too far":
        return np.pad(dxp, ((0, 0), (0, 0), (0, 1), (0, 1)))[:, :, pad + 1 : pad + 1 + h, pad + 1 : pad + 1 + v]
    if bug == "delta not spread, padded to fit":
        wide = np.zeros_like(dxp)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                wide[:, :, i : i + hh, j : j + ww] += np.einsum("no,ocuv->ncuv", dout[:, :, i, j], w)
        rows, columns = (h + 2 * pad - dout.shape[2] - hh + 1) // 2, (v + 2 * pad - dout.shape[3] - ww + 1) // 2
        dxp = np.roll(wide, (rows, columns), (2, 3))
    return dxp[:, :, pad : pad + h, pad : pad + v]


def conv_dw(dout: Array, x: Array, w: Array, b: Array, stride: int = 1, pad: int = 0, bug: str = "") -> Array:
    n, c = x.shape[:2]
    f, _, hh, ww = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    if bug == "padding at the end":
        xp = np.pad(x, ((0, 0), (0, 0), (0, 2 * pad), (0, 2 * pad)))
    dw = np.zeros_like(w)
    if bug == "upstream rotated":
        dout = dout[:, :, ::-1, ::-1]
    for a in range(n):
        if bug == "only first example" and a:
            continue
        if bug == "last example wins":
            dw = np.zeros_like(w)
        for o in range(f):
            if bug == "only first filter" and o:
                continue
            for i in range(dout.shape[2]):
                if bug == "last row of windows wins":
                    dw[o] = 0
                for j in range(dout.shape[3]):
                    if bug == "return after the first window" and (a or o or i or j):
                        continue
                    s, t, d = stride, stride, dout[a, o, i, j]
                    if bug == "stride forgotten":
                        s = t = 1
                    if bug == "stride forgotten along rows":
                        s = 1
                    if bug == "stride forgotten along columns":
                        t = 1
                    top, left = i * s, j * t
                    if bug == "rows and columns swapped":
                        top, left = j * s, i * t
                    if bug == "neighbour's filter":
                        d = dout[a, (o + 1) % f, i, j]
                    if bug == "no upstream":
                        d = 1.0
                    window = xp[a, :, top : top + hh, left : left + ww]
                    if bug == "upstream alone":
                        window = np.ones((c, hh, ww))
                    if bug == "summed over channels":
                        window = np.broadcast_to(window.sum(axis=0), (c, hh, ww))
                    if bug == "added instead of multiplied":
                        window = window + d
                        d = 1.0
                    if bug == "= for +=":
                        dw[o] = window * d
                    else:
                        dw[o] += window * d
    if bug == "mean over the batch":
        dw /= n
    if bug == "mean over positions":
        dw /= dout.shape[2] * dout.shape[3]
    if bug == "mean over everything":
        dw /= n * dout.shape[2] * dout.shape[3]
    if bug == "rotated":
        dw = dw[:, :, ::-1, ::-1]
    if bug == "transposed":
        dw = dw.swapaxes(2, 3)
    if bug == "products of sums":
        for o in range(f):
            for u in range(hh):
                for q in range(ww):
                    reach = xp[:, :, u : u + stride * dout.shape[2] : stride, q : q + stride * dout.shape[3] : stride]
                    dw[o, :, u, q] = reach.sum(axis=(0, 2, 3)) * dout[:, o].sum()
    return dw


def conv_db(dout: Array, x: Array, w: Array, b: Array, stride: int = 1, pad: int = 0, bug: str = "") -> Array:
    db = np.zeros_like(b)
    for a in range(dout.shape[0]):
        for o in range(dout.shape[1]):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    if bug == "= for +=":
                        db[o] = dout[a, o, i, j]
                    elif bug == "last example wins":
                        db[o] = dout[a, o].sum()
                    elif bug == "first example only":
                        db[o] += dout[a, o, i, j] * (a == 0)
                    elif bug == "neighbour's filter":
                        db[o] += dout[a, (o + 1) % dout.shape[1], i, j]
                    else:
                        db[o] += dout[a, o, i, j]
    if bug == "mean over the batch":
        db /= dout.shape[0]
    if bug == "mean over everything":
        db /= dout.shape[0] * dout.shape[2] * dout.shape[3]
    if bug == "summed over filters too":
        db[:] = db.sum()
    return db


# ---- transposed convolution


def transposed_forward(x: Array, w: Array, b: Array, stride: int = 1, pad: int = 0) -> Array:
    n, _, h, v = x.shape
    _, f, hh, ww = w.shape
    out = np.zeros((n, f, (h - 1) * stride + hh, (v - 1) * stride + ww))
    for i in range(h):
        for j in range(v):
            place = out[:, :, i * stride : i * stride + hh, j * stride : j * stride + ww]
            place += np.einsum("nc,cfuv->nfuv", x[:, :, i, j], w)
    return out[:, :, pad : out.shape[2] - pad, pad : out.shape[3] - pad] + b[:, None, None]


def transposed_dx(dout: Array, x: Array, w: Array, b: Array, stride: int = 1, pad: int = 0, bug: str = "") -> Array:
    d = np.pad(dout, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dx = np.zeros_like(x)
    n, c, h, v = x.shape
    _, f, hh, ww = w.shape
    for a in range(n):
        for m in range(c):
            for i in range(h):
                for j in range(v):
                    s = 1 if bug == "stride forgotten" else stride
                    top, left = (j * s, i * s) if bug == "rows and columns swapped" else (i * s, j * s)
                    t = 1 if bug == "stride forgotten along columns" else s
                    left = j * t if bug == "stride forgotten along columns" else left
                    frame = d[a, :, top : top + hh, left : left + ww]
                    kernel = w[m]
                    if bug == "kernel rotated":
                        kernel = kernel[:, ::-1, ::-1]
                    if bug == "kernel transposed":
                        kernel = kernel.swapaxes(1, 2)
                    if bug == "neighbour's channel":
                        kernel = w[(m + 1) % c]
                    if bug == "no upstream":
                        frame = np.ones_like(frame)
                    if bug == "no weights":
                        kernel = np.ones_like(kernel)
                    if bug == "added instead of multiplied":
                        kernel, frame = kernel + frame, np.ones_like(frame)
                    if bug == "last filter only":
                        dx[a, m, i, j] = (kernel[-1] * frame[-1]).sum()
                    elif bug == "first filter only":
                        dx[a, m, i, j] = (kernel[0] * frame[0]).sum()
                    elif bug == "= inside the kernel loops":
                        dx[a, m, i, j] = (kernel[:, -1, -1] * frame[:, -1, -1]).sum()
                    elif bug == "only first example" and a:
                        pass
                    elif bug == "mean over filters":
                        dx[a, m, i, j] = (kernel * frame).sum() / f
                    else:
                        dx[a, m, i, j] = (kernel * frame).sum()
    if bug == "summed over channels":
        dx = np.broadcast_to(dx.sum(axis=1, keepdims=True), dx.shape)
    return dx


def transposed_dw(dout: Array, x: Array, w: Array, b: Array, stride: int = 1, pad: int = 0, bug: str = "") -> Array:
    d = np.pad(dout, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dw = np.zeros_like(w)
    n, c, h, v = x.shape
    hh, ww = w.shape[2:]
    for a in range(n):
        if bug == "last example wins":
            dw[...] = 0
        for m in range(c):
            for i in range(h):
                for j in range(v):
                    s = 1 if bug == "stride forgotten" else stride
                    frame = d[a, :, i * s : i * s + hh, j * s : j * s + ww]
                    pixel = x[a, m, i, j]
                    if bug == "no upstream":
                        frame = np.ones_like(frame)
                    if bug == "neighbour's channel":
                        pixel = x[a, (m + 1) % c, i, j]
                    if bug == "upstream alone":
                        pixel = 1.0
                    if bug == "= for +=":
                        dw[m] = pixel * frame
                    else:
                        dw[m] += pixel * frame
    if bug == "mean over the batch":
        dw /= n
    if bug == "rotated":
        dw = dw[:, :, ::-1, ::-1]
    if bug == "transposed":
        dw = dw.swapaxes(2, 3)
    return dw


# ---- pooling


def pool_forward(x: Array, size: int, stride: int, mode: str, pad: int = 0) -> Array:
    n, c, h, v = x.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((n, c, (h + 2 * pad - size) // stride + 1, (v + 2 * pad - size) // stride + 1))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            window = xp[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
            out[:, :, i, j] = window.max(axis=(2, 3)) if mode == "max" else window.mean(axis=(2, 3))
    return out


def pool_dx(dout: Array, x: Array, size: int, stride: int, mode: str, pad: int = 0, bug: str = "") -> Array:
    n, c, h, v = x.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dx = np.zeros_like(xp)
    places = [
        (a, m, i, j) for a in range(n) for m in range(c) for i in range(dout.shape[2]) for j in range(dout.shape[3])
    ]
    for number, (a, m, i, j) in enumerate(places):
        if bug == "return after the first window" and number:
            break
        if bug == "only first example" and a:
            continue
        if bug == "only first channel" and m:
            continue
        if bug == "only last window" and (i, j) != (dout.shape[2] - 1, dout.shape[3] - 1):
            continue
        s, t, d = stride, stride, dout[a, m, i, j]
        if bug in ("stride forgotten", "stride forgotten along rows"):
            s = 1
        if bug in ("stride forgotten", "stride forgotten along columns"):
            t = 1
        top, left = i * s, j * t
        if bug == "rows and columns swapped":
            top, left = j * t, i * s
        window = xp[a, m, i * stride : i * stride + size, j * stride : j * stride + size]
        if bug == "winner of another channel":
            window = xp[a, 0, i * stride : i * stride + size, j * stride : j * stride + size]
        mask = np.zeros((size, size))
        mask[np.unravel_index(window.argmax(), window.shape)] = 1
        if mode == "avg":
            mask = np.full((size, size), 1 / size**2)
        if bug == "spread evenly":
            mask = np.full((size, size), 1 / size**2)
        if bug == "copied":
            mask = np.ones((size, size))
        if bug == "first cell":
            mask = np.eye(1, size**2).reshape(size, size)
        if bug == "last cell":
            mask = np.eye(1, size**2, size**2 - 1).reshape(size, size)
        if bug == "smallest":
            mask = np.zeros((size, size))
            mask[np.unravel_index(window.argmin(), window.shape)] = 1
        if bug == "largest":
            mask = np.zeros((size, size))
            mask[np.unravel_index(window.argmax(), window.shape)] = 1
        if bug == "winner transposed":
            mask = mask.T
        if bug == "value for mask":
            mask = mask * window
        if bug == "pooled value everywhere":
            mask = np.full((size, size), window.max())
        if bug == "divided by the number of windows":
            mask = np.full((size, size), 1 / (dout.shape[2] * dout.shape[3]))
        if bug == "divided by one side":
            mask = np.full((size, size), 1 / size)
        if bug == "no upstream":
            d = 1.0
        part = mask * d
        if bug == "both branches":
            other = np.full((size, size), 1 / size**2)
            if mode == "avg":
                other = np.zeros((size, size))
                other[np.unravel_index(window.argmax(), window.shape)] = 1
            part = part + other * d
        place = dx[a, m, top : top + size, left : left + size]
        part = part[: place.shape[0], : place.shape[1]]
        if bug == "= for +=":
            place[...] = part
        elif bug == "= for +=, winner's cell":
            place[mask == 1] = d
        else:
            place += part
    if bug == "mean over the batch":
        dx /= n
    if bug == "divided by the cells inside":
        dx[...] = 0
        for a, m, i, j in places:
            rows = slice(max(i * stride, pad), min(i * stride + size, pad + h))
            columns = slice(max(j * stride, pad), min(j * stride + size, pad + v))
            place = dx[a, m, rows, columns]
            place += dout[a, m, i, j] / place.size
    if bug == "not cropped":
        return dx[:, :, :h, :v]
    return dx[:, :, pad : pad + h, pad : pad + v]


# ---- normalisation: x (rows, features); batch norm over the rows, layer norm over the features


def norm_backward(
    dout: Array, x: Array, gamma: Array, beta: Array, axis: int, eps: float = 1e-5, bug: str = ""
) -> tuple[Array, Array, Array]:
    """(dx, dgamma, dbeta) of (x - mean) / sqrt(var + eps) * gamma + beta, by the chain of small steps."""
    n = x.shape[axis]
    mu = x.mean(axis=axis, keepdims=True)
    deviation = x - mu
    if bug == "another eps":
        eps = 1e-2
    var = (deviation**2).mean(axis=axis, keepdims=True)
    if bug == "unbiased variance":
        var = var * n / (n - 1)
    std = np.sqrt(var + eps)
    hat = deviation / std
    over = 1 - axis if bug == "wrong axis" else axis
    n = x.shape[over]
    dhat = dout * gamma
    if bug == "gamma forgotten":
        dhat = dout
    if bug == "upstream forgotten":
        dhat = np.broadcast_to(gamma, x.shape)
    dvar = (dhat * deviation * -0.5 * std**-3).sum(axis=over, keepdims=True)
    if bug == "variance term forgotten":
        dvar = 0
    if bug == "sign of the variance term":
        dvar = -dvar
    dmu = -(dhat / std).sum(axis=over, keepdims=True)
    if bug == "mean term forgotten":
        dmu = 0
    if bug == "sign of the mean term":
        dmu = -dmu
    if bug == "statistics constant":
        dmu = dvar = 0
    direct = dhat / std
    if bug == "divided by the variance":
        direct, dmu = dhat / std**2, -(dhat / std**2).sum(axis=over, keepdims=True)
        dvar = (dhat * deviation * -0.5 * std**-4).sum(axis=over, keepdims=True)
    if bug == "sums for means":
        n = 1
    dx = direct + dvar * 2 * deviation / n + dmu / n
    if bug == "mean divided once too few":
        dx = direct + dvar * 2 * deviation / n + dmu
    if bug == "diagonal only":
        dx = dhat * (1 - 1 / n - hat**2 / n) / std
    if bug == "passed through":
        dx = dhat
    rows = tuple(range(x.ndim - 1))
    factor = {"x for x-hat": x, "deviation for x-hat": deviation, "output for x-hat": hat * gamma + beta}.get(bug, hat)
    dgamma = (dout * factor).sum(axis=rows)
    dbeta = dout.sum(axis=rows)
    if bug == "x-hat forgotten":
        dgamma = dout.sum(axis=rows)
    if bug == "mean in dgamma":
        dgamma /= x.shape[0]
    if bug == "mean in dbeta":
        dbeta /= x.shape[0]
    if bug == "last row of dgamma":
        dgamma = (dout * hat)[-1]
    if bug == "last row of dbeta":
        dbeta = dout[-1]
    if bug == "dgamma from its own sums":
        dgamma = dout.sum(axis=rows) * hat.sum(axis=rows)
    return dx, dgamma, dbeta


# ---- softmax, alone and with cross entropy


def softmax_dx(dout: Array, x: Array, bug: str = "") -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    if bug == "wrong axis":
        e = np.exp(x - x.max(axis=0, keepdims=True))
        p = e / e.sum(axis=0, keepdims=True)
        return p * (dout - (dout * p).sum(axis=0, keepdims=True))
    if bug == "sum over the wrong axis":
        return p * (dout - (dout * p).sum(axis=0, keepdims=True))
    if bug == "not normalised":
        p = e
    dx = np.zeros_like(x)
    for a in range(x.shape[0]):
        for i in range(x.shape[1]):
            for j in range(x.shape[1]):
                slope = p[a, i] * ((i == j) - p[a, j])
                if bug == "diagonal only" and i != j:
                    continue
                if bug == "sum forgotten":
                    slope = p[a, i] * (i == j)
                if bug == "only off the diagonal":
                    slope = -p[a, i] * p[a, j]
                if bug == "plus for minus":
                    slope = p[a, i] * ((i == j) + p[a, j])
                if bug == "factor forgotten":
                    slope = (i == j) - p[a, j]
                upstream = 1.0 if bug == "no upstream" else dout[a, j]
                if bug == "= for +=":
                    dx[a, i] = slope * upstream
                else:
                    dx[a, i] += slope * upstream
    if bug == "mean over the batch":
        dx /= x.shape[0]
    if bug == "only first example":
        dx[1:] = 0
    if bug == "sign":
        dx = -dx
    return dx


def cross_entropy_dx(x: Array, labels: Array, bug: str = "") -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    if bug == "wrong axis":
        e = np.exp(x - x.max(axis=0, keepdims=True))
        p = e / e.sum(axis=0, keepdims=True)
    if bug == "not normalised":
        p = e
    if bug == "not normalised, not shifted":
        p = np.exp(x)
    t = np.eye(x.shape[1])[labels]
    n = x.shape[0]
    dx = (p - t) / n
    wrong = {
        "target forgotten": p / n,
        "t - p": (t - p) / n,
        "1 from every class": (p - 1) / n,
        "not divided by the batch": p - t,
        "p (1 - p)": p * (1 - p) / n,
        "p (1 - p) as well": (p - t) * p * (1 - p) / n,
        "divided by the classes": (p - t) / x.shape[1],
        "twice": 2 * (p - t) / n,
        "only first example": np.where(np.arange(n)[:, None] == 0, dx, 0),
        "through the softmax again": p * (dx - (dx * p).sum(axis=1, keepdims=True)),
    }
    return wrong.get(bug, dx)


# ---- dense layers


def affine_backward(dout: Array, x: Array, w: Array, b: Array, bug: str = "") -> tuple[Array, Array, Array]:
    """(dx, dw, db) of x @ w + b; x (N, D)."""
    dx, dw, db = dout @ w.T, x.T @ dout, dout.sum(axis=0)
    n = x.shape[0]
    if bug == "dx: w not transposed":
        dx = dout @ w
    if bug == "dx: last unit only":
        dx = dout[:, -1:] @ w[:, -1:].T
    if bug == "dx: upstream summed without weights":
        dx = np.broadcast_to(dout.sum(axis=1, keepdims=True), x.shape)
    if bug == "dx: no upstream":
        dx = np.broadcast_to(w.sum(axis=1), x.shape)
    if bug == "dx: added":
        dx = np.array([[(w[i] + dout[a]).sum() for i in range(w.shape[0])] for a in range(n)])
    if bug == "dw: last example only":
        dw = np.outer(x[-1], dout[-1])
    if bug == "dw: mean":
        dw = dw / n
    if bug == "dw: products of sums":
        dw = np.outer(x.sum(axis=0), dout.sum(axis=0))
    if bug == "dw: no input":
        dw = np.broadcast_to(dout.sum(axis=0), w.shape)
    if bug == "dw: transposed":
        dw = (dout.T @ x).reshape(w.shape)
    if bug == "dw: sign":
        dw = -dw
    if bug == "db: mean":
        db = db / n
    if bug == "db: last example only":
        db = dout[-1]
    if bug == "db: all units":
        db = np.full_like(b, dout.sum())
    return dx, dw, db


def hidden_backward(dout: Array, x: Array, w: Array, act: str, bug: str = "") -> tuple[Array, Array]:
    """(dx, dw) of act(x @ w) for act "relu", "tanh" or "sigmoid"."""
    z = x @ w
    y = {"relu": np.maximum(z, 0), "tanh": np.tanh(z), "sigmoid": 1 / (1 + np.exp(-z))}[act]
    by_output = {"relu": lambda y: (y > 0) * 1.0, "tanh": lambda y: 1 - y**2, "sigmoid": lambda y: y * (1 - y)}[act]
    slope = by_output(y)
    if bug == "mask of the gradient":
        slope = (dout > 0) * 1.0
    if bug == "no derivative":
        slope = np.ones_like(y)
    if bug == "derivative twice":
        slope = slope**2
    if bug == "derivative of the error":
        slope = by_output(dout)
    if bug == "derivative at the output":
        slope = by_output({"relu": np.maximum(y, 0), "tanh": np.tanh(y), "sigmoid": 1 / (1 + np.exp(-y))}[act])
    if bug == "value for the mask":
        slope = y
    if bug == "input for the output":
        slope = by_output(z)
    if bug == "mask inverted":
        slope = 1 - slope
    if bug == "sign":
        slope = -slope
    dz = dout * slope
    return dz @ w.T, x.T @ dz
