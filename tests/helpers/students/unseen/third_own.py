"""The third set: forwards of the students' own, with nothing to compare but them; nets, recurrences, torch."""
# ruff: noqa: E501 (sources as they were written)

import autoconv as ac
from helpers.students.unseen.third_hands import hand
from helpers.students.unseen.third_plain import normal


def unrolled(x, wx, wh):
    """The last state of a recurrence over x's second axis."""
    h = ac.tensor([[0.0] * wh.shape[0]] * x.shape[0])
    for t in range(x.shape[1]):
        h = ac.tanh(x[:, t] @ wx + h @ wh)
    return h


# fmt: off
hand("through time", unrolled, '''
import numpy as np

def forward(x, wx, wh):
    hs = [np.zeros((x.shape[0], wh.shape[0]))]
    for t in range(x.shape[1]):
        hs.append(np.tanh(x[:, t] @ wx + hs[-1] @ wh))
    return hs[-1], (x, wx, wh, hs)

def backward(dout, cache):
    x, wx, wh, hs = cache
    dx, dwx, dwh = np.zeros_like(x), np.zeros_like(wx), np.zeros_like(wh)
    dh = dout
    for t in range(x.shape[1])[::-1]:
        da = dh * (1 - hs[t + 1] ** 2)
        dx[:, t] = da @ wx.T
        dwx += x[:, t].T @ da
        dwh += hs[t].T @ da
        dh = da @ wh.T
    return dx, dwx, dwh
''',
 ("not_carried", "carried|path|recurr|derivative|time|statement|forgotten|upstream|line", ("        dh = da @ wh.T\n", "")),
 ("hs_same", "another|index|one more|shift|state|slice", ("dwh += hs[t].T @ da", "dwh += hs[t + 1].T @ da")),
 ("forwards", "order|reversed|forward|slice", ("range(x.shape[1])[::-1]", "range(x.shape[1])")),
 ("wh_noT", "transpos", ("dh = da @ wh.T", "dh = da @ wh")),
 ("overwrite", "overwritten|last|place of added|assigned", ("dwx += ", "dwx = ")),
 ("early", "early|loop", ("        dh = da @ wh.T\n    return dx, dwx, dwh", "        dh = da @ wh.T\n        if t == 1:\n            break\n    return dx, dwx, dwh")),
 ("tanh_h", "another|index|one more|output", ("(1 - hs[t + 1] ** 2)", "(1 - hs[t] ** 2)")),
 made=normal((3, 4, 2), (2, 3), (3, 3)))
hand("moving average", None, '''
import numpy as np

def forward(x, a):
    s = np.zeros_like(x)
    s[0] = x[0]
    for t in range(1, len(x)):
        s[t] = a * x[t] + (1 - a) * s[t - 1]
    return s, (x, a, s)

def backward(dout, cache):
    x, a, s = cache
    g = dout.copy()
    dx = np.zeros_like(x)
    da = np.zeros_like(a)
    for t in range(len(x) - 1, 0, -1):
        dx[t] = a * g[t]
        da += g[t] * (x[t] - s[t - 1])
        g[t - 1] += (1 - a) * g[t]
    dx[0] = g[0]
    return dx, da
''',
 ("assign", "overwritten|assigned|place of added", ("g[t - 1] += ", "g[t - 1] = ")),
 ("da_x", "path|term|forgotten", ("(x[t] - s[t - 1])", "x[t]")),
 ("da_st", "index|one more|another|shift", ("(x[t] - s[t - 1])", "(x[t] - s[t])")),
 ("no_first", "pass|first|statement|forgotten|element|reach|zero", ("    dx[0] = g[0]\n", "")),
 ("plus_a", "sign", ("g[t - 1] += (1 - a)", "g[t - 1] += (1 + a)")),
 made=lambda rng: [rng.normal(size=(5, 3)), rng.uniform(0.2, 0.8, size=(3,))])
hand("two layers", None, '''
import numpy as np

Y = np.array([2, 0, 1, 2, 1])

def forward(x, W1, b1, W2, b2):
    h = np.maximum(0, x.dot(W1) + b1)
    s = h.dot(W2) + b2
    e = np.exp(s - s.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(5), Y]).mean() + 0.05 * (np.sum(W1 * W1) + np.sum(W2 * W2))
    return loss, (x, h, W1, W2, p)

def backward(dout, cache):
    x, h, W1, W2, p = cache
    ds = p.copy()
    ds[np.arange(5), Y] -= 1
    ds /= 5
    ds *= dout
    grads = {}
    grads["W2"] = h.T.dot(ds) + 0.1 * dout * W2
    grads["b2"] = ds.sum(axis=0)
    dh = ds.dot(W2.T)
    dh[h == 0] = 0
    grads["W1"] = x.T.dot(dh) + 0.1 * dout * W1
    grads["b1"] = dh.sum(axis=0)
    grads["x"] = dh.dot(W1.T)
    return grads["x"], grads["W1"], grads["b1"], grads["W2"], grads["b2"]
''',
 ("reg_half", "decay|factor|number|regular|weight", ("+ 0.1 * dout * W1", "+ 0.05 * dout * W1")),
 ("no_reg", "decay|term|path|forgotten|regular|weight", (" + 0.1 * dout * W2", "")),
 ("no_relu", "mask|relu|statement|line|forgotten", ("    dh[h == 0] = 0\n", "")),
 ("b_wrong", "another name|relu|earlier|index|sum", ('grads["b1"] = dh.sum(axis=0)', 'grads["b1"] = dh.mean(axis=0)')),
 ("ds_nomean", "sum instead of mean|mean|statement|line|count|factor", ("    ds /= 5\n", "")),
 ("alias", "alias|changed|in place|copy|call|function|order", ("    dh = ds.dot(W2.T)", "    W2 -= 0.1 * grads[\"W2\"]\n    dh = ds.dot(W2.T)")),
 ("minus_one", "index|class|target|label|shift", ("ds[np.arange(5), Y] -= 1", "ds[np.arange(5), Y - 1] -= 1")),
 ("h_order", "order|before|mask|line|statement", ("    dh[h == 0] = 0\n", ""), ('    grads["b1"]', '    dh[h == 0] = 0\n    grads["b1"]')),
 made=normal((5, 4), (4, 6), (6,), (6, 3), (3,)))
hand("unit rows", None, '''
import numpy as np

def forward(x):
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / length, (x, length)

def backward(dout, cache):
    x, length = cache
    u = x / length
    inner = (dout * u).sum(axis=1, keepdims=True)
    return (dout - u * inner) / length
''',
 ("no_inner", "path|term|forgotten|constant", ("(dout - u * inner)", "dout")),
 ("x_for_u", "another name|earlier|factor", ("- u * inner", "- x * inner")),
 ("all_sum", "axis|sum|argument", ("(dout * u).sum(axis=1, keepdims=True)", "(dout * u).sum()")),
 ("length2", "power|operand|factor|squared", ("inner) / length", "inner) / length ** 2")),
 ("plus", "sign", ("(dout - u * inner)", "(dout + u * inner)")),
 made=normal((4, 3)))
hand("causal attention", None, '''
import numpy as np

def forward(q, k, v):
    d = q.shape[1]
    z = q @ k.T / np.sqrt(d)
    z = np.where(np.tril(np.ones(z.shape, dtype=bool)), z, -1e9)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p @ v, dict(q=q, k=k, v=v, p=p, d=d)

def backward(dout, c):
    dp = dout @ c["v"].T
    dv = c["p"].T @ dout
    dz = c["p"] * (dp - np.einsum("ij,ij->i", dp, c["p"])[:, None])
    dz /= c["d"] ** 0.5
    return dz @ c["k"], dz.T @ c["q"], dv
''',
 ("no_root", "factor|root|power|number|statement|operand", ("dz /= c[\"d\"] ** 0.5", "dz /= c[\"d\"]")),
 ("ji", "transpos|axis|letters|index", ('"ij,ij->i"', '"ij,ij->j"')),
 ("q_T", "transpos|order|name", ("dz.T @ c[\"q\"]", "dz @ c[\"q\"]")),
 ("v_dz", "another|name|softmax", ("dv = c[\"p\"].T @ dout", "dv = dp.T @ dout")),
 ("no_p", "factor|forgotten|operand", ('dz = c["p"] * (dp', "dz = (dp")),
 made=normal((4, 3), (4, 3), (4, 3)))
hand("gru step", None, '''
import numpy as np

sig = lambda t: 1.0 / (1.0 + np.exp(-t))

def forward(x, h, wz, wn):
    xh = np.concatenate([x, h], axis=1)
    z = sig(xh @ wz)
    n = np.tanh(xh @ wn)
    return (1 - z) * n + z * h, (x, h, wz, wn, xh, z, n)

def backward(dout, cache):
    x, h, wz, wn, xh, z, n = cache
    dz = dout * (h - n) * z * (1 - z)
    dn = dout * (1 - z) * (1 - n ** 2)
    dwz, dwn = xh.T @ dz, xh.T @ dn
    dxh = dz @ wz.T + dn @ wn.T
    k = x.shape[1]
    dx, dh = dxh[:, :k], dxh[:, k:] + dout * z
    return dx, dh, dwz, dwn
''',
 ("n_h", "sign|order", ("(h - n)", "(n - h)")),
 ("no_direct", "path|term|forgotten", ("dxh[:, k:] + dout * z", "dxh[:, k:]")),
 ("direct_dz", "another name|operand", ("+ dout * z\n", "+ dz\n")),
 ("one_path", "path|term|forgotten", ("dxh = dz @ wz.T + dn @ wn.T", "dxh = dn @ wn.T")),
 ("cut", "another|slice|index|order|name|shape", ("k = x.shape[1]", "k = h.shape[1]")),
 ("tanh_abs", "square|power|operand|factor|another", ("(1 - n ** 2)", "(1 - np.abs(n))")),
 made=normal((4, 2), (4, 3), (5, 3), (5, 3)))
hand("huber", None, '''
import numpy as np

def forward(p, t):
    e = p - t
    small = np.abs(e) <= 1.5
    return np.where(small, e * e / 2, 1.5 * (np.abs(e) - 0.75)).sum() / len(p), (e, small)

def backward(dout, cache):
    e, small = cache
    de = np.where(small, e, 1.5 * np.sign(e)) * dout / len(e)
    return de, -de
''',
 ("no_sign", "sign|function|call", ("1.5 * np.sign(e)", "1.5")),
 ("no_delta", "factor|number|constant|operand", ("1.5 * np.sign(e)", "np.sign(e)")),
 ("size", "count|mean|factor|another", ("/ len(e)", "/ e.size")),
 ("same", "sign", ("return de, -de", "return de, de")),
 made=normal((4, 3), (4, 3)))
hand("maxout", None, '''
import numpy as np

def forward(x, w):
    z = np.einsum("nd,kdm->nkm", x, w)
    best = z.argmax(axis=1)
    return np.take_along_axis(z, best[:, None], axis=1)[:, 0], (x, w, best)

def backward(dout, cache):
    x, w, best = cache
    dz = np.zeros((len(x), w.shape[0], w.shape[2]))
    np.put_along_axis(dz, best[:, None], dout[:, None], axis=1)
    return np.einsum("nkm,kdm->nd", dz, w), np.einsum("nkm,nd->kdm", dz, x)
''',
 ("first_piece", "index|first|operand|mask|wrong cell", ("best[:, None], dout[:, None]", "0 * best[:, None], dout[:, None]")),
 ("all_pieces", "mask|copied|statement", ("    np.put_along_axis(dz, best[:, None], dout[:, None], axis=1)\n", "    dz += dout[:, None]\n")),
 ("w_0", "index|first", ("dz, w), np", "dz, w[:1].repeat(len(w), 0)), np")),
 made=normal((4, 3), (2, 3, 5)))
hand("padded mean pool", None, '''
import numpy as np

def forward(x):
    n, h, w = x.shape
    xp = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    ones = np.pad(np.ones((h, w)), 1)
    out = np.zeros((n, (h + 2 - 3) // 2 + 1, (w + 2 - 3) // 2 + 1))
    count = np.zeros(out.shape[1:])
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            count[i, j] = ones[2 * i:2 * i + 3, 2 * j:2 * j + 3].sum()
            out[:, i, j] = xp[:, 2 * i:2 * i + 3, 2 * j:2 * j + 3].sum((1, 2)) / count[i, j]
    return out, (x.shape, count)

def backward(dout, cache):
    (n, h, w), count = cache
    dxp = np.zeros((n, h + 2, w + 2))
    for i in range(dout.shape[1]):
        for j in range(dout.shape[2]):
            dxp[:, 2 * i:2 * i + 3, 2 * j:2 * j + 3] += (dout[:, i, j] / count[i, j])[:, None, None]
    return dxp[:, 1:-1, 1:-1]
''',
 ("nine", "count|padding|factor|number|name", ("/ count[i, j])", "/ 9)")),
 ("shift", "crop|pad|slice|shift", ("dxp[:, 1:-1, 1:-1]", "dxp[:, :-2, :-2]")),
 ("set", "overwritten|assigned|place of added", ("2 * j:2 * j + 3] += (dout", "2 * j:2 * j + 3] = (dout")),
 ("window_2", "window|number|one more|slice|pass", ("dxp[:, 2 * i:2 * i + 3, 2 * j:2 * j + 3] +=", "dxp[:, 2 * i:2 * i + 2, 2 * j:2 * j + 3] +=")),
 ("last_row", "pass|range|operand", ("for i in range(dout.shape[1]):", "for i in range(dout.shape[1] - 1):")),
 made=normal((2, 5, 6)))
hand("torch affine", "cs231n.affine", '''
import torch

def affine_forward(x, w, b):
    x, w, b = (torch.as_tensor(t) for t in (x, w, b))
    return x.flatten(1) @ w + b, (x, w)

def affine_backward(dout, cache):
    x, w = cache
    dout = torch.as_tensor(dout)
    dx = (dout @ w.t()).view(x.size())
    dw = x.flatten(1).t() @ dout
    return dx, dw, dout.sum(dim=0)
''',
 ("mean", "mean|count|factor", ("dout.sum(dim=0)", "dout.mean(dim=0)")),
 ("float", "", ("dw = x.flatten(1).t() @ dout", "dw = x.flatten(1).t().half().float() @ dout.float()")),
 ("noT", "transpos|order|shape", ("x.flatten(1).t() @ dout", "(dout.t() @ x.flatten(1)).reshape(w.shape)")))
hand("torch relu fn", "cs231n.relu", '''
import torch

def relu_forward(x):
    x = torch.as_tensor(x)
    return x.clamp(min=0), x

def relu_backward(dout, x):
    return torch.where(x > 0, torch.as_tensor(dout), torch.zeros(()).double())
''',
 ("gt1", "number|mask|comparison|threshold", ("x > 0,", "x > 1,")),
 ("abs", "mask|function|call", ("x > 0,", "x.abs() > 0,")))
