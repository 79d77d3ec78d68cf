"""Written after the marking had learnt from the third set, and run once before anything was changed for them."""
# ruff: noqa: E501 (sources as they were written)

import autoconv as ac
from helpers.students.unseen.third_hands import CF, hand
from helpers.students.unseen.third_plain import normal

# fmt: off
hand("squeeze excite", None, '''
import numpy as np

def forward(x, w1, w2):
    s = x.mean(axis=(2, 3))
    h = np.maximum(s @ w1, 0)
    a = 1 / (1 + np.exp(-(h @ w2)))
    return x * a[:, :, None, None], (x, s, h, a, w1, w2)

def backward(dout, cache):
    x, s, h, a, w1, w2 = cache
    n, c, hh, ww = x.shape
    da = (dout * x).sum(axis=(2, 3))
    dz = da * a * (1 - a)
    dw2 = h.T @ dz
    dh = (dz @ w2.T) * (h > 0)
    dw1 = s.T @ dh
    ds = dh @ w1.T
    dx = dout * a[:, :, None, None] + ds[:, :, None, None] / (hh * ww)
    return dx, dw1, dw2
''',
 ("no_mean", "factor|mean|count|operand", (" / (hh * ww)", "")),
 ("no_gate_path", "term|path|forgotten", (" + ds[:, :, None, None] / (hh * ww)", "")),
 ("no_direct", "term|path|forgotten", ("dx = dout * a[:, :, None, None] + ds", "dx = ds")),
 ("a_of_h", "another name|mask", ("(h > 0)", "(s > 0)")),
 ("sig", "sign", ("(1 - a)", "(1 + a)")),
 made=normal((3, 4, 2, 3), (4, 4), (4, 4)))
hand("bce probs", None, '''
import numpy as np

def forward(z, t):
    p = 1 / (1 + np.exp(-z))
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(), (p, z, t)

def backward(dout, cache):
    p, z, t = cache
    dz = dout * (p - t) / p.size
    dt = -dout * z / t.size
    return dz, dt
''',
 ("len", "count|factor|mean", ("(p - t) / p.size", "(p - t) / len(p)")),
 ("t_p", "sign|order|exchang", ("(p - t)", "(t - p)")),
 ("p_for_z", "another name|value", ("-dout * z", "-dout * p")),
 made=lambda rng: [rng.normal(size=(4, 3)), rng.uniform(0.1, 0.9, size=(4, 3))])
hand("channel softmax", lambda x: ac.softmax(x, axis=1), '''
import numpy as np

def forward(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, y

def backward(dout, y):
    g = dout * y
    return g - y * g.sum(axis=1, keepdims=True)
''',
 ("axis3", "axis", ("g.sum(axis=1, keepdims=True)", "g.sum(axis=3, keepdims=True)")),
 ("dout_sum", "factor|another name|forgotten", ("y * g.sum(", "y * dout.sum(")),
 ("no_y", "factor|forgotten", ("g - y * g.sum", "g - g.sum")),
 ("no_second", "diagonal|term|forgotten|path", (" - y * g.sum(axis=1, keepdims=True)", "")),
 made=normal((2, 3, 2, 4)))
hand("own batch norm 2d", None, '''
import numpy as np

def forward(x, g, b):
    axes = (0, 2, 3)
    mu = x.mean(axis=axes, keepdims=True)
    xc = x - mu
    inv = 1 / np.sqrt((xc ** 2).mean(axis=axes, keepdims=True) + 1e-3)
    hat = xc * inv
    return hat * g.reshape(1, -1, 1, 1) + b.reshape(1, -1, 1, 1), (hat, inv, g)

def backward(dout, cache):
    hat, inv, g = cache
    axes = (0, 2, 3)
    m = dout.size / dout.shape[1]
    dhat = dout * g.reshape(1, -1, 1, 1)
    dx = inv / m * (m * dhat - dhat.sum(axis=axes, keepdims=True) - hat * (dhat * hat).sum(axis=axes, keepdims=True))
    return dx, (dout * hat).sum(axis=axes), dout.sum(axis=axes)
''',
 ("m_N", "count|factor|another", ("m = dout.size / dout.shape[1]", "m = dout.shape[0]")),
 ("axes_n", "axis|number|axes", ("    axes = (0, 2, 3)\n    m", "    axes = (0, 2)\n    m")),
 ("mean_once", "another function|mean|sum", ("dhat.sum(axis=axes, keepdims=True) -", "dhat.mean(axis=axes, keepdims=True) -")),
 ("inv2", "power|operand|factor|squared", ("dx = inv / m", "dx = inv ** 2 / m")),
 ("dg", "another name|value|hat", ("(dout * hat).sum(axis=axes), dout", "(dhat * hat).sum(axis=axes), dout")),
 made=normal((3, 2, 3, 2), (2,), (2,)))
hand("strided 1d", lambda x, w: ac.conv1d(x, w, stride=2, padding=1), '''
import numpy as np

def backward(dout, x, w):
    n, t, c = x.shape
    k, _, o = w.shape
    xp = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    cols = np.stack([xp[:, i:i + 2 * dout.shape[1]:2] for i in range(k)], axis=2)
    dw = np.einsum("ntkc,nto->kco", cols, dout)
    dcols = np.einsum("nto,kco->ntkc", dout, w)
    dxp = np.zeros_like(xp)
    for i in range(k):
        dxp[:, i:i + 2 * dout.shape[1]:2] += dcols[:, :, i]
    return dxp[:, 1:-1], dw
''',
 ("k_rev", "rotated|revers|index|another|flip", ("+= dcols[:, :, i]", "+= dcols[:, :, k - 1 - i]")),
 ("no_step", "stride|slice", ("dxp[:, i:i + 2 * dout.shape[1]:2] +=", "dxp[:, i:i + dout.shape[1]] +=")),
 ("crop", "crop|pad|slice", ("dxp[:, 1:-1]", "dxp[:, 2:]")),
 ("axis", "shape|axis|order|raises", ("\"ntkc,nto->kco\"", "\"ntkc,nto->cko\"")),
 call={"backward": "dout, x, w"}, made=normal((2, 8, 3), (3, 3, 4)))
hand("feed forward", None, '''
import numpy as np

def gelu(u):
    return u / (1 + np.exp(-1.702 * u))

def forward(x, w1, w2):
    u = x @ w1
    return x + gelu(u) @ w2, (x, u, w1, w2)

def backward(dout, cache):
    x, u, w1, w2 = cache
    s = 1 / (1 + np.exp(-1.702 * u))
    dv = dout @ w2.T
    du = dv * (s + 1.702 * u * s * (1 - s))
    return dout + du @ w1.T, x.T @ du, gelu(u).T @ dout
''',
 ("no_const", "factor|number|operand|forgotten", ("1.702 * u * s * (1 - s)", "u * s * (1 - s)")),
 ("u_not_gelu", "call|function|value", ("gelu(u).T @ dout", "u.T @ dout")),
 ("no_skip", "term|path|forgotten", ("return dout + du", "return du")),
 ("du_dv", "another name|derivative", ("x.T @ du", "x.T @ dv")),
 ("const", "number|constant", ("(s + 1.702 * u", "(s + 1.5 * u")),
 made=normal((4, 3), (3, 5), (5, 3)))
hand("triplet", None, '''
import numpy as np

def forward(a, p, n):
    gap = ((a - p) ** 2).sum(1) - ((a - n) ** 2).sum(1) + 0.5
    return np.maximum(gap, 0).mean(), (a, p, n, gap)

def backward(dout, cache):
    a, p, n, gap = cache
    on = (gap > 0)[:, None] * dout / len(a)
    da = 2 * on * ((a - p) - (a - n))
    dp = -2 * on * (a - p)
    dn = 2 * on * (a - n)
    return da, dp, dn
''',
 ("no_mask", "mask|factor|operand|comparison", ("(gap > 0)[:, None] * dout", "np.ones((len(a), 1)) * dout")),
 ("plus", "sign", ("((a - p) - (a - n))", "((a - p) + (a - n))")),
 ("no_two", "factor|constant|number", ("dn = 2 * on", "dn = on")),
 ("dp_sign", "sign|minus", ("dp = -2 * on", "dp = 2 * on")),
 ("swapped", "another name|order|exchang", ("dn = 2 * on * (a - n)", "dn = 2 * on * (a - p)")),
 made=normal((5, 3), (5, 3), (5, 3)))
hand("group conv", lambda x, w, b: ac.conv2d(x, w, b, groups=2, stride=2, layout=CF), '''
import numpy as np

def backward(dout, x, w, b):
    G = 2
    N, C, H, W = x.shape
    F, Cg, kh, kw = w.shape
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for f in range(F):
        g = f // (F // G)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                box = np.s_[:, g * Cg:(g + 1) * Cg, 2 * i:2 * i + kh, 2 * j:2 * j + kw]
                d = dout[:, f, i, j][:, None, None, None]
                dx[box] += d * w[f]
                dw[f] += (d * x[box]).sum(axis=0)
                db[f] += d.sum()
    return dx, dw, db
''',
 ("mod", "group|another operator|index", ("g = f // (F // G)", "g = f % G")),
 ("mean_db", "mean|another function|function", ("db[f] += d.sum()", "db[f] += d.mean()")),
 ("assign", "overwritten|assigned|last", ("dx[box] += d", "dx[box] = d")),
 ("wf", "index|first|another", ("d * w[f]", "d * w[g]")),
 ("pos", "rows and columns|exchang|name|slice|stride|swap|raises", ("2 * i:2 * i + kh, 2 * j:2 * j + kw", "2 * i:2 * i + kh, 2 * i:2 * i + kw")),
 call={"backward": "dout, x, w, b"}, made=normal((2, 4, 5, 5), (4, 2, 3, 3), (4,)))
