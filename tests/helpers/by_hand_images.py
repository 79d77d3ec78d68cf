"""Two convolutional nets with their backward passes written out in plain NumPy, each step of which can be got wrong.

Nothing of the library is used here: forward and backward are the textbook's, in loops where loops are clearest.
``bug`` names the one slip that is made; "" makes none.
"""

from __future__ import annotations

import numpy as np

Arrays = dict[str, np.ndarray]


def softmax(s: np.ndarray) -> np.ndarray:
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# ---- a convolutional net: convolution (stride 2, padding 1), relu, max pooling (2, stride 1), dense, softmax,
# 1/2 (y - t)^2


def image_data(seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    shapes = {"x": (2, 8, 8, 2), "w": (3, 3, 2, 3), "b": (3,), "v": (27, 3), "c": (3,)}
    made = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    made["v"] /= 3
    made["t"] = np.eye(3)[rng.integers(0, 3, 2)]
    return made


def frames(x: np.ndarray, size: int, stride: int) -> list[tuple[int, int, slice, slice]]:
    """(i, j, rows, columns) of every window."""
    counts = [(n - size) // stride + 1 for n in x.shape[1:3]]
    cut = lambda i: slice(i * stride, i * stride + size)
    return [(i, j, cut(i), cut(j)) for i in range(counts[0]) for j in range(counts[1])]


def image_backward(d: Arrays, bug: str = "", pooling: str = "max") -> Arrays:
    """The gradients of x, w, b, v, c, with one slip."""
    x, w, b, v, c, t = (d[k] for k in ("x", "w", "b", "v", "c", "t"))
    xp = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    z = np.zeros((len(x), 4, 4, w.shape[3]))
    for i, j, rows, columns in frames(xp, 3, 2):
        z[:, i, j] = np.einsum("nuvc,uvco->no", xp[:, rows, columns], w) + b
    a = np.maximum(z, 0)
    p = np.zeros((len(x), 3, 3, w.shape[3]))
    for i, j, rows, columns in frames(a, 2, 1):
        p[:, i, j] = getattr(np, {"max": "max", "avg": "mean"}[pooling])(a[:, rows, columns], axis=(1, 2))
    f = p.reshape(len(x), -1)
    y = softmax(f @ v + c)

    # the loss and the softmax
    dy = {"factor 2": 2 * (y - t), "sign of the loss": t - y, "output for difference": y}.get(bug, y - t)
    ds = y * (dy - (dy * y).sum(axis=1, keepdims=True))
    if bug == "softmax diagonal":
        ds = dy * y * (1 - y)
    if bug == "softmax skipped":
        ds = dy
    # dense
    dv, dc = f.T @ ds, ds.sum(axis=0)
    if bug == "dv last example":
        dv = np.outer(f[-1], ds[-1])
    if bug == "dv product of sums":
        dv = np.outer(f.sum(axis=0), ds.sum(axis=0))
    if bug == "dv mean over batch":
        dv = dv / len(x)
    if bug == "dc not summed over batch":
        dc = ds[0]
    df = ds @ v.T
    if bug == "df only one class":
        df = np.outer(ds[:, -1], v[:, -1])
    if bug == "upstream forgotten at the dense layer":
        df = np.ones_like(ds) @ v.T
    dp = df.reshape(p.shape)
    if bug == "flattened channels first":
        dp = df.reshape(len(x), 3, 3, 3).transpose(0, 2, 3, 1)
    # pooling
    da = np.zeros_like(a)
    for i, j, rows, columns in frames(a, 2, 1):
        if bug == "pool as tiles" and (i % 2 or j % 2):
            continue
        for n, o in np.ndindex(len(x), w.shape[3]):
            cell = a[n, rows, columns, o]
            won = np.zeros((2, 2))
            won[np.unravel_index(cell.argmax(), (2, 2))] = 1
            share = won if pooling == "max" else np.full((2, 2), 0.25)
            if bug == "pool evenly":
                share = np.full((2, 2), 0.25)
            if bug == "pool copied":
                share = np.ones((2, 2))
            if bug == "pool first cell":
                share = np.array([[1.0, 0], [0, 0]])
            if bug == "pool smallest cell":
                share = np.zeros((2, 2))
                share[np.unravel_index(cell.argmin(), (2, 2))] = 1
            if bug == "pool winner instead of mean":
                share = won
            if bug == "pool overwritten":
                da[n, rows, columns, o] = share * dp[n, i, j, o]
            else:
                da[n, rows, columns, o] += share * dp[n, i, j, o]
    # relu
    dz = da * (z > 0)
    if bug == "mask missing":
        dz = da
    if bug == "mask inverted":
        dz = da * (z <= 0)
    if bug == "mask of the gradient":
        dz = np.maximum(da, 0)
    if bug == "value for upstream":
        dz = z * (z > 0)
    # convolution
    db = dz.sum(axis=(0, 1, 2))
    if bug == "db last position":
        db = dz[:, -1, -1].sum(axis=0)
    if bug == "db mean over positions":
        db = dz.mean(axis=(1, 2)).sum(axis=0)
    if bug == "db first example":
        db = dz[0].sum(axis=(0, 1))
    dw, dxp = np.zeros_like(w), np.zeros_like(xp)
    for i, j, rows, columns in frames(xp, 3, 2):
        g = dz[:, i, j]
        met = dz[:, -1 - i, -1 - j] if bug == "dw from the rotated gradient" else g
        part = np.einsum("nuvc,no->uvco", xp[:, rows, columns], met)
        if bug == "dw last position":
            dw = part
        else:
            dw += part
        back = np.einsum("no,uvco->nuvc", g, w)
        if bug == "kernel rotated":
            back = np.einsum("no,uvco->nuvc", g, w[::-1, ::-1])
        if bug == "kernel transposed":
            back = np.einsum("no,uvco->nuvc", g, w.transpose(1, 0, 2, 3))
        if bug == "dx only one filter":
            back = np.einsum("n,uvc->nuvc", g[:, -1], w[..., -1])
        if bug == "windows overwritten":
            dxp[:, rows, columns] = back
        elif bug == "stride not dilated":
            dxp[:, i : i + 3, j : j + 3] += back
        elif bug == "windows as tiles":
            n = xp[:, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3].shape
            dxp[:, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3] += back[:, : n[1], : n[2]]
        elif bug == "kernel spread by the stride":
            dxp[:, i : i + 5 : 2, j : j + 5 : 2] += back
        else:
            dxp[:, rows, columns] += back
    if bug == "dw rotated":
        dw = dw[::-1, ::-1]
    if bug == "dw transposed":
        dw = dw.transpose(1, 0, 2, 3)
    if bug == "dw product of sums over positions":
        dw = np.zeros_like(w)
        for u, s in np.ndindex(3, 3):
            dw[u, s] = np.einsum("nc,no->co", xp[:, u : u + 7 : 2, s : s + 7 : 2].sum(axis=(1, 2)), dz.sum(axis=(1, 2)))
    if bug == "dw first example":
        dw = np.zeros_like(w)
        for i, j, rows, columns in frames(xp, 3, 2):
            dw += np.einsum("uvc,o->uvco", xp[0, rows, columns], dz[0, i, j])
    if bug == "dw stride forgotten":
        dw = np.zeros_like(w)
        for i, j, _, _ in frames(xp, 3, 2):
            dw += np.einsum("nuvc,no->uvco", xp[:, i : i + 3, j : j + 3], dz[:, i, j])
    if bug == "dw from the unpadded image":
        xz = np.pad(x, ((0, 0), (0, 2), (0, 2), (0, 0)))
        dw = np.zeros_like(w)
        for i, j, rows, columns in frames(xz, 3, 2):
            dw += np.einsum("nuvc,no->uvco", xz[:, rows, columns], dz[:, i, j])
    if bug == "dw mean over positions":
        dw = dw / 16
    if bug == "dw doubled":
        dw = dw + dw
    dx = dxp[:, 1:-1, 1:-1]
    if bug == "padding not cropped":
        dx = dxp[:, :-2, :-2]
    if bug == "padding cropped one late":
        dx = dxp[:, 2:, 2:]
    return {"x": dx, "w": dw, "b": db, "v": dv, "c": dc}


# ---- convolution along one axis, channels first: dilation 2, groups 2, a true convolution; average pooling;
# a residual; squares


def signal_data(seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    shapes = {"x": (2, 4, 9), "w": (4, 2, 3), "b": (4,), "k": (4,)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def signal_backward(d: Arrays, bug: str = "") -> Arrays:
    """The gradients of x, w, b, k, with one slip."""
    x, w, b, k = (d[name] for name in ("x", "w", "b", "k"))
    xp = np.pad(x, ((0, 0), (0, 0), (2, 2)))
    turned = w[:, :, ::-1]
    z = np.zeros_like(x)
    for o, i, u in np.ndindex(4, 9, 3):
        first = 2 * (o // 2)
        z[:, o, i] += xp[:, first : first + 2, i + 2 * u] @ turned[o, :, u]
    z += b[:, None]
    h = np.tanh(z) + x
    p = (h[:, :, 0:8:2] + h[:, :, 1:9:2] + h[:, :, 2:10:2]) / 3
    f = p * k[:, None]

    df = 2 * f
    if bug == "factor 1/2":
        df = f
    dp = df * k[:, None]
    dk = (df * p).sum(axis=(0, 2))
    if bug == "dk: last position":
        dk = (df * p)[:, :, -1].sum(axis=0)
    dh = np.zeros_like(h)
    for i in range(4):
        share = dp[:, :, i : i + 1] / 3
        if bug == "average: not divided":
            share = dp[:, :, i : i + 1]
        if bug == "average: overwritten":
            dh[:, :, 2 * i : 2 * i + 3] = share
        elif bug == "average: middle cell":
            dh[:, :, 2 * i + 1] += dp[:, :, i]
        else:
            dh[:, :, 2 * i : 2 * i + 3] += share
    slope = {"tanh forgotten": 1.0, "tanh squared": (1 - np.tanh(z) ** 2) ** 2}.get(bug, 1 - np.tanh(z) ** 2)
    dz = dh * slope
    db = dz.sum(axis=(0, 2))
    if bug == "db: mean over positions":
        db = dz.mean(axis=2).sum(axis=0)
    used = w if bug == "kernel not reversed" else turned
    dw, dxp = np.zeros_like(w), np.zeros_like(xp)
    for o, i, u in np.ndindex(4, 9, 3):
        first = 2 * (o // 2)
        if bug == "dx: first filter of a group" and o % 2:
            continue
        reach = i + u if bug == "dilation forgotten" else i + 2 * u
        dxp[:, first : first + 2, reach] += np.outer(dz[:, o, i], used[o, :, u])
    for o, i, u in np.ndindex(4, 9, 3):
        first = 2 * (o // 2)
        reach = i + u if bug == "dilation forgotten in dw" else i + 2 * u
        dw[o, :, u] += dz[:, o, i] @ xp[:, first : first + 2, reach]
    if bug != "dw not reversed back":
        dw = dw[:, :, ::-1]
    crop = {"not cropped": 0, "cropped one early": 1}.get(bug, 2)
    dx = dxp[:, :, crop : crop + 9] + dh
    if bug == "residual forgotten":
        dx = dxp[:, :, 2:11]
    if bug == "only the residual":
        dx = dh
    return {"x": dx, "w": dw, "b": db, "k": dk}
