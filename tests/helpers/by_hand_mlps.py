"""Two MLPs with their backward passes written out in plain NumPy, each step of which can be got wrong.

Nothing of the library is used here: forward and backward are the textbook's, in loops where loops are clearest.
``bug`` names the one slip that is made; "" makes none.
"""

from __future__ import annotations

import numpy as np

from helpers.by_hand_images import Arrays, softmax


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


# ---- an MLP: embedding, a tanh unit times a sigmoid gate plus a shortcut, the same weights once more, softmax,
# 1/2 (y - t)^2


def word_data(seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    shapes = {"e": (5, 4), "w": (4, 4), "b": (4,), "g": (4, 4), "v": (4, 3)}
    made = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    made["ids"] = np.array([2, 0, 2, 3, 1, 0])
    made["t"] = np.eye(3)[rng.integers(0, 3, 6)]
    return made


def word_backward(d: Arrays, bug: str = "") -> Arrays:
    """The gradients of e, w, b, g, v, with one slip."""
    e, w, b, g, v, ids, t = (d[k] for k in ("e", "w", "b", "g", "v", "ids", "t"))
    x = e[ids]
    z1 = x @ w + b
    h1 = np.tanh(z1)
    r = x @ g
    s = sigmoid(r)
    m = h1 * s + x
    z2 = m @ w + b
    h2 = np.tanh(z2)
    y = softmax(h2 @ v)

    dy = {"factor 2": 2 * (y - t), "factor 1/2": (y - t) / 2, "sign of the loss": t - y}.get(bug, y - t)
    dq = y * (dy - (dy * y).sum(axis=1, keepdims=True))
    if bug == "softmax diagonal":
        dq = dy * y * (1 - y)
    if bug == "softmax skipped":
        dq = dy
    dv = h2.T @ dq
    if bug == "dv product of sums":
        dv = np.outer(h2.sum(axis=0), dq.sum(axis=0))
    if bug == "dv mean":
        dv = dv / len(x)
    if bug == "dv last example":
        dv = np.outer(h2[-1], dq[-1])
    if bug == "dv upstream forgotten":
        dv = h2.T @ np.ones_like(dq)
    if bug == "dv output for upstream":
        dv = h2.T @ (h2 @ v)
    if bug == "doubled":
        dv = 2 * dv
    dh2 = dq @ v.T
    if bug == "dh only one class":
        dh2 = np.outer(dq[:, 0], v[:, 0])
    slope2 = {
        "tanh forgotten": 1.0, "tanh squared": (1 - h2**2) ** 2, "tanh unsquared": 1 - h2,
        "tanh at output": 1 - np.tanh(h2) ** 2,
        "tanh of the input": 1 - z2**2,
    }.get(bug, 1 - h2**2)  # fmt: skip
    dz2 = dh2 * slope2
    if bug == "tanh: upstream forgotten":
        dz2 = 1 - h2**2
    dw2, db2 = m.T @ dz2, dz2.sum(axis=0)
    dm = dz2 @ w.T
    if bug == "w not transposed":
        dm = dz2 @ w
    dh1, dsg = dm * s, dm * h1
    if bug == "product swapped":
        dh1, dsg = dm * h1, dm * s
    if bug == "gate: factor forgotten":
        dh1 = dm
    dz1 = dh1 * (1 - h1**2)
    dr = dsg * {"sigmoid is y": s, "sigmoid is 1 - y": 1 - s, "sigmoid forgotten": 1.0}.get(bug, s * (1 - s))
    dw1, db1 = x.T @ dz1, dz1.sum(axis=0)
    dg = x.T @ dr
    if bug == "dg transposed":
        dg = dg.T
    dx = dm + dz1 @ w.T + dr @ g.T
    if bug == "shortcut forgotten":
        dx = dz1 @ w.T + dr @ g.T
    if bug == "only the shortcut":
        dx = dm
    if bug == "gate path forgotten":
        dx = dm + dz1 @ w.T
    dw, db = dw1 + dw2, db1 + db2
    if bug == "w: only the second use":
        dw = dw2
    if bug == "w: only the first use":
        dw = dw1
    if bug == "b: last example":
        db = dz1[-1] + dz2[-1]
    if bug == "b: mean":
        db = dz1.mean(axis=0) + dz2.mean(axis=0)
    if bug == "b: sign":
        db = -db
    de = np.zeros_like(e)
    for row, word in enumerate(ids):
        if bug == "embedding overwritten":
            de[word] = dx[row]
        elif bug == "embedding one row off":
            de[(word + 1) % len(e)] += dx[row]
        else:
            de[word] += dx[row]
    if bug == "pushed on too early":  # x handed on what it had after the shortcut, then again when the rest had arrived
        de = np.zeros_like(e)
        np.add.at(de, ids, dm + (dm + dr @ g.T) + (dm + dr @ g.T + dz1 @ w.T))
    return {"e": de, "w": dw, "b": db, "g": dg, "v": dv}


# ---- an MLP of units written out: layer norm, a leaky relu, heads folded in another order, a cube, a quotient,
# -log softmax


def norm_data(seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    shapes = {"x": (5, 3), "w": (3, 6), "b": (6,), "s": (6,), "v": (6, 4), "u": (4,)}
    made = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    made["label"] = rng.integers(0, 4, 5)
    return made


def norm_backward(d: Arrays, bug: str = "") -> Arrays:
    """The gradients of x, w, b, s, v, u, with one slip."""
    x, w, b, s, v, u, label = (d[k] for k in ("x", "w", "b", "s", "v", "u", "label"))
    z = x @ w + b
    mu = z.mean(axis=1, keepdims=True)
    root = np.sqrt(((z - mu) ** 2).mean(axis=1, keepdims=True) + 0.1)
    n = (z - mu) / root
    a = n * s
    h = np.where(a > 0, a, 0.2 * a)
    q = h.reshape(5, 2, 3).transpose(0, 2, 1).reshape(5, 6)
    r = q @ v
    c = r**3 / 10 + r / (1 + u**2)
    y = softmax(c)

    dc = y - np.eye(4)[label]
    if bug == "target forgotten":
        dc = y
    if bug == "softmax taken twice":
        dc = y * (dc - (dc * y).sum(axis=1, keepdims=True))
    if bug == "sigmoid's derivative on top":
        dc = dc * y * (1 - y)
    dr3 = dc * {"exponent kept up": r**2 / 10, "exponent not lowered": 3 * r**3 / 10}.get(bug, 3 * r**2 / 10)
    if bug == "cube forgotten":
        dr3 = dc / 10
    drq = dc / (1 + u**2)
    if bug == "reciprocal forgotten":
        drq = dc * (1 + u**2)
    dr = dr3 + drq
    if bug == "only the cube":
        dr = dr3
    dbelow = -dc * r / (1 + u**2) ** 2
    if bug == "denominator not squared":
        dbelow = -dc * r / (1 + u**2)
    if bug == "quotient's sign":
        dbelow = -dbelow
    if bug == "quotient: only the last example":
        dbelow = dbelow[-1:]
    du = dbelow.sum(axis=0) * 2 * u
    if bug == "square not differentiated":
        du = dbelow.sum(axis=0)
    dv, dq = q.T @ dr, dr @ v.T
    dh = dq.reshape(5, 3, 2).transpose(0, 2, 1).reshape(5, 6)
    if bug == "folded as it lay":
        dh = dq
    da = dh * np.where(a > 0, 1, 0.2)
    if bug == "leak forgotten":
        da = dh * (a > 0)
    if bug == "leaky mask missing":
        da = dh
    dn, ds = da * s, (da * n).sum(axis=0)
    if bug == "scale: mean":
        ds = (da * n).mean(axis=0)
    if bug == "scale: product of sums":
        ds = da.sum(axis=0) * n.sum(axis=0)
    dz = (dn - dn.mean(axis=1, keepdims=True) - n * (dn * n).mean(axis=1, keepdims=True)) / root
    if bug == "mean and deviation held constant":
        dz = dn / root
    if bug == "norm skipped":
        dz = dn
    dw, db, dx = x.T @ dz, dz.sum(axis=0), dz @ w.T
    if bug == "b: first example":
        db = dz[0]
    if bug == "dw: sign":
        dw = -dw
    return {"x": dx, "w": dw, "b": db, "s": ds, "v": dv, "u": du}
