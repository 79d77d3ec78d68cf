"""The third set: functions of autoconv without a course, and forwards that autoconv does not know."""
# ruff: noqa: E501 (sources as they were written)

import autoconv as ac
from helpers.students.unseen.third_hands import CF, hand

XW = {"backward": "dout, x, w"}
X = {"backward": "dout, x"}


def normal(*shapes):
    """Arrays of these shapes."""
    return lambda rng: [rng.normal(size=shape) for shape in shapes]


# fmt: off
hand("nhwc dilated", lambda x, w, b: ac.conv2d(x, w, b, stride=2, padding=1, dilation=2), '''
import numpy as np

STRIDE, PAD, DIL = 2, 1, 2

def forward(x, w, b):
    kh, kw = w.shape[:2]
    xp = np.pad(x, ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0)))
    oh = (xp.shape[1] - DIL * (kh - 1) - 1) // STRIDE + 1
    ow = (xp.shape[2] - DIL * (kw - 1) - 1) // STRIDE + 1
    out = np.zeros((x.shape[0], oh, ow, w.shape[3])) + b
    for r in range(oh):
        for c in range(ow):
            patch = xp[:, r * STRIDE:r * STRIDE + DIL * kh:DIL, c * STRIDE:c * STRIDE + DIL * kw:DIL][:, :kh, :kw]
            out[:, r, c] += np.tensordot(patch, w, axes=3)
    return out, (xp, x.shape, w)

def backward(dout, cache):
    xp, shape, w = cache
    kh, kw = w.shape[:2]
    oh, ow = dout.shape[1:3]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for a in range(kh):
        for e in range(kw):
            rs = slice(a * DIL, a * DIL + oh * STRIDE, STRIDE)
            cs = slice(e * DIL, e * DIL + ow * STRIDE, STRIDE)
            dxp[:, rs, cs] += dout @ w[a, e].T
            dw[a, e] = np.tensordot(xp[:, rs, cs], dout, axes=([0, 1, 2], [0, 1, 2]))
    dx = dxp[:, PAD:PAD + shape[1], PAD:PAD + shape[2]]
    return dx, dw, dout.sum(axis=(0, 1, 2))
''',
 ("no_dil_dw", "dilat|name|position", ("dw[a, e] = np.tensordot(xp[:, rs, cs]", "dw[a, e] = np.tensordot(xp[:, a:a + oh * STRIDE:STRIDE, e:e + ow * STRIDE:STRIDE]")),
 ("crop_dil", "crop|pad|shift|another name|dilat", ("dxp[:, PAD:PAD + shape[1], PAD:PAD + shape[2]]", "dxp[:, DIL:DIL + shape[1], PAD:PAD + shape[2]]")),
 ("assign", "overwritten", ("dxp[:, rs, cs] += dout", "dxp[:, rs, cs] = dout")),
 ("db_one", "bias|batch|axis|first|index", ("dout.sum(axis=(0, 1, 2))", "dout[0].sum(axis=(0, 1))")),
 call=None, made=normal((2, 7, 8, 2), (3, 2, 2, 3), (3,)))
hand("depthwise", lambda x, w: ac.conv2d(x, w, groups=3, padding=1, layout=CF), '''
import numpy as np

def backward(dout, x, w):
    N, C, H, W = x.shape
    _, _, kh, kw = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    dxp = np.zeros_like(xp)
    dw = np.zeros_like(w)
    for c in range(C):
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                g = dout[:, c, i, j]
                dw[c, 0] += np.tensordot(g, xp[:, c, i:i + kh, j:j + kw], 1)
                dxp[:, c, i:i + kh, j:j + kw] += g[:, None, None] * w[c, 0]
    return dxp[:, :, 1:-1, 1:-1], dw
''',
 ("c0", "index|first|channel|group", ("* w[c, 0]", "* w[0, 0]")),
 ("all_channels", "sum|group|channel|axis|product", ("np.tensordot(g, xp[:, c, i:i + kh, j:j + kw], 1)", "np.tensordot(g, xp[:, :, i:i + kh, j:j + kw].sum(1), 1)")),
 ("swap_ij", "transposed|rows and columns|exchanged|swap", ("g = dout[:, c, i, j]", "g = dout[:, c, j, i] if dout.shape[2] == dout.shape[3] else dout[:, c, i, j] * 0")),
 ("n_sum", "batch|product of sums|mean|sum|only", ("+= g[:, None, None] * w[c, 0]", "+= g.mean() * w[c, 0]")),
 ("plus", "overwritten|only one|last", ("dw[c, 0] += ", "dw[c, 0] = ")),
 call=XW, made=normal((2, 3, 5, 5), (3, 1, 3, 2)))
hand("transposed", lambda x, w: ac.conv_transpose2d(x, w, stride=2, padding=1, layout=CF), '''
import numpy as np

def backward(dout, x, w):
    wide = np.pad(dout, ((0, 0), (0, 0), (1, 1), (1, 1)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i, j in np.ndindex(*x.shape[2:]):
        frame = wide[:, :, 2 * i:2 * i + w.shape[2], 2 * j:2 * j + w.shape[3]]
        dx[:, :, i, j] = np.einsum("nohw,iohw->ni", frame, w)
        dw += np.einsum("nohw,ni->iohw", frame, x[:, :, i, j])
    return dx, dw
''',
 ("no_pad", "pad|crop|shift|one side", ("((0, 0), (0, 0), (1, 1), (1, 1))", "((0, 0), (0, 0), (0, 2), (0, 2))")),
 ("flip", "rotated|flip|reversed", ("frame, w)\n", "frame, w[:, :, ::-1, ::-1])\n")),
 ("stride_j", "stride|position|index|factor|tiles", ("2 * j:2 * j + w.shape[3]", "j:j + w.shape[3]")),
 ("dw_assign", "overwritten|last|only one|pass", ("dw += ", "dw = ")),
 call=XW, made=normal((2, 2, 3, 4), (2, 3, 3, 4)))
hand("instance", lambda x, g, b: ac.instance_norm(x, g, b, layout=CF), '''
import numpy as np

def forward(x, g, b):
    mu = x.mean((2, 3), keepdims=True)
    var = x.var((2, 3), keepdims=True)
    x = x - mu
    x = x / np.sqrt(var + 1e-5)
    return x * g.reshape(1, -1, 1, 1) + b.reshape(1, -1, 1, 1), {"xh": x, "sd": np.sqrt(var + 1e-5), "g": g}

def backward(dout, cache):
    xh, sd, g = cache["xh"], cache["sd"], cache["g"]
    area = xh.shape[2] * xh.shape[3]
    dg = (dout * xh).sum((0, 2, 3))
    db = dout.sum((0, 2, 3))
    d = dout * g[:, None, None]
    s1 = d.sum((2, 3), keepdims=True)
    s2 = (d * xh).sum((2, 3), keepdims=True)
    dx = (area * d - s1 - xh * s2) / (area * sd)
    return dx, dg, db
''',
 ("N_too", "axis|batch|count|sum", ("s1 = d.sum((2, 3), keepdims=True)", "s1 = d.sum((0, 2, 3), keepdims=True)")),
 ("area_plus", "count|factor|size|another name|operator", ("area = xh.shape[2] * xh.shape[3]", "area = xh.shape[2] + xh.shape[3]")),
 ("s2_dout", "gamma|another name|factor|earlier", ("s2 = (d * xh)", "s2 = (dout * xh)")),
 ("sign_s1", "sign", ("area * d - s1 -", "area * d + s1 -")),
 ("square", "power|square|squared|s2|exponent", ("- xh * s2)", "- xh ** 2 * s2)")),
 made=normal((2, 3, 4, 5), (3,), (3,)))
hand("gap", lambda x: ac.mean(x, axis=(2, 3)), '''
import numpy as np

def backward(dout, x):
    n, c, h, w = x.shape
    return np.broadcast_to(dout[:, :, None, None] / (h * w), x.shape).copy()
''',
 ("only_h", "count|factor|mean|forgotten|size", ("/ (h * w)", "/ h")),
 ("N_as_well", "count|factor|mean|batch|size", ("/ (h * w)", "/ (n * h * w)")),
 ("corner", "first|wrong cell|only|one", ("    return np.broadcast_to(dout[:, :, None, None] / (h * w), x.shape).copy()", "    dx = np.zeros_like(x)\n    dx[:, :, 0, 0] = dout\n    return dx")),
 call=X, made=normal((2, 3, 4, 5)))
hand("global max", lambda x: ac.amax(x, axis=(2, 3)), '''
import numpy as np

def backward(dout, x):
    n, c, h, w = x.shape
    dx = np.zeros((n * c, h * w))
    dx[np.arange(n * c), x.reshape(n * c, -1).argmax(1)] = dout.ravel()
    return dx.reshape(x.shape)
''',
 ("over_c", "channel|axis|wrong cell|batch", ("    dx = np.zeros((n * c, h * w))\n    dx[np.arange(n * c), x.reshape(n * c, -1).argmax(1)] = dout.ravel()\n    return dx.reshape(x.shape)", "    return (x == x.max(axis=(1, 2, 3), keepdims=True)) * dout[:, :, None, None]")),
 ("fortran", "order|flatten|transpos|wrong cell", ("dout.ravel()", 'dout.ravel("F")')),
 ("all", "copied|mask|every|wrong cell", ("x.reshape(n * c, -1).argmax(1)] = dout.ravel()", ":] = dout.reshape(-1, 1)")),
 call=X, made=normal((2, 3, 4, 5)))
hand("gelu", lambda x: ac.gelu(x, approximate="tanh"), '''
import numpy as np

def backward(dout, x):
    k = np.sqrt(2 / np.pi)
    t = np.tanh(k * (x + 0.044715 * x ** 3))
    inner = k * (1 + 3 * 0.044715 * x ** 2)
    return dout * (0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * inner)
''',
 ("three", "factor|constant|number|exponent|3", ("3 * 0.044715", "0.044715")),
 ("no_inner", "factor|chain|derivative|forgotten|local", (" * inner)", ")")),
 ("first_only", "term|path|product rule|forgotten", ("dout * (0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * inner)", "dout * 0.5 * (1 + t)")),
 ("t_plus", "sign", ("(1 - t ** 2)", "(1 + t ** 2)")),
 call=X, made=normal((4, 5)))
hand("silu", ac.silu, '''
import numpy as np

def backward(dout, x):
    s = np.reciprocal(1 + np.exp(-x))
    y = x * s
    return dout * (y + s * (1 - y))
''',
 ("x_for_y", "another name|value|input|earlier", ("s * (1 - y)", "s * (1 - x)")),
 ("like_sigmoid", "path|term|product|forgotten|factor|sigmoid", ("dout * (y + s * (1 - y))", "dout * (s * (1 - s))")),
 ("plus_s", "term|another name|factor|forgotten", ("(y + s * (1 - y))", "(s + s * (1 - y))")),
 call=X, made=normal((4, 5)))
hand("leaky", lambda x: ac.leaky_relu(x, 0.1), '''
import numpy as np

def backward(dout, x):
    return dout * np.where(x > 0, 1.0, 0.1)
''',
 ("slope", "slope|constant|number|factor", ("0.1)", "0.01)")),
 ("dead", "zero|slope|relu|negative|leak|constant|number|mask", ("0.1)", "0.0)")),
 ("swap", "inverted|mask|exchang|branch|comparison|swap|order", ("1.0, 0.1)", "0.1, 1.0)")),
 ("of_dout", "gradient|mask|upstream|another name", ("x > 0", "dout > 0")),
 call=X, made=normal((4, 5)))
hand("elu", lambda x: ac.elu(x, 1.5), '''
import numpy as np

def forward(x):
    y = np.where(x > 0, x, 1.5 * np.expm1(np.minimum(x, 0)))
    return y, y

def backward(dout, y):
    dx = dout.copy()
    neg = y < 0
    dx[neg] *= y[neg] + 1.5
    return dx
''',
 ("plus_one", "constant|number|alpha|factor", ("y[neg] + 1.5", "y[neg] + 1")),
 ("no_alpha", "constant|forgotten|term|number|activation|value|alpha", ("y[neg] + 1.5", "y[neg]")),
 ("exp_y", "output|taken at|twice|another function|exp|constant", ("y[neg] + 1.5", "1.5 * np.exp(y[neg])")),
 made=normal((4, 5)))
IDX = [[1, 0, 3], [3, 3, 2]]
hand("embedding", lambda w: ac.embedding(IDX, w), f'''
import numpy as np

IDX = np.array({IDX})

def backward(dout, w):
    dw = np.zeros_like(w)
    for i, d in zip(IDX.ravel(), dout.reshape(-1, w.shape[1])):
        dw[i] += d
    return dw
''',
 ("last", "overwritten|repeated", ("dw[i] += d", "dw[i] = d")),
 ("fancy", "overwritten|repeated", ("    for i, d in zip(IDX.ravel(), dout.reshape(-1, w.shape[1])):\n        dw[i] += d\n", "    dw[IDX] += dout\n")),
 ("times", "value|multiplied|weight|factor", ("+= d", "+= d * w[i]")),
 ("mean", "mean|count|factor|number", ("    return dw", "    counts = np.bincount(IDX.ravel(), minlength=len(w))\n    return dw / np.maximum(counts, 1)[:, None]")),
 ("minus", "index|shift|off by one|position|row", ("dw[i] += d", "dw[i - 1] += d")),
 call={"backward": "dout, w"}, made=normal((5, 4)))
hand("attention", lambda q, k, v: ac.softmax(q @ ac.transpose(k) / 2.0, axis=-1) @ v, '''
import numpy as np

def forward(q, k, v):
    z = q @ k.T / np.sqrt(q.shape[1])
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return p @ v, (q, k, v, p)

def backward(dout, cache):
    q, k, v, p = cache
    dv = p.T @ dout
    dp = dout @ v.T
    dz = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    dz = dz / np.sqrt(q.shape[1])
    return dz @ k, dz.T @ q, dv
''',
 ("no_scale", "factor|scale|forgotten|root", ("    dz = dz / np.sqrt(q.shape[1])\n", "")),
 ("no_p", "transpos|another name|softmax", ("dv = p.T @ dout", "dv = p @ dout")),
 ("axis0", "axis|softmax|batch|sum", ("(dp * p).sum(axis=1, keepdims=True)", "(dp * p).sum(axis=0, keepdims=True)")),
 ("diag", "diagonal|softmax|jacobian|term|forgotten|square|sigmoid", ("p * (dp - (dp * p).sum(axis=1, keepdims=True))", "p * (1 - p) * dp")),
 ("kq", "exchang|order|another gradient|swap|transpos|name", ("return dz @ k, dz.T @ q, dv", "return dz.T @ q, dz @ k, dv")),
 ("sum_dp", "factor|forgotten|sum|softmax|weight|product", ("(dp * p).sum(axis=1", "dp.sum(axis=1")),
 ("sqrt_n", "constant|factor|root|count|scale|size|power|forgotten", ("dz = dz / np.sqrt(q.shape[1])", "dz = dz / q.shape[1]")),
 made=normal((5, 4), (5, 4), (5, 4)))
hand("rnn step", lambda x, h, wx, wh, b: ac.tanh(x @ wx + h @ wh + b), '''
import numpy as np

def forward(x, h, wx, wh, b):
    nxt = np.tanh(x @ wx + h @ wh + b)
    return nxt, (x, h, wx, wh, nxt)

def backward(dout, cache):
    x, h, wx, wh, nxt = cache
    da = dout * (1 - nxt * nxt)
    return da @ wx.T, da @ wh.T, x.T @ da, h.T @ da, da.sum(0)
''',
 ("no_da_b", "derivative|forgotten|tanh|another name|upstream|earlier|path", ("da.sum(0)", "dout.sum(0)")),
 ("of_h", "another name|earlier|input|value|state", ("1 - nxt * nxt", "1 - h * h")),
 ("nxt_T", "another name|value|output|earlier|input", ("h.T @ da", "nxt.T @ da")),
 ("wh_noT", "transpos", ("da @ wh.T", "da @ wh")),
 ("tanh_again", "output|twice|again", ("1 - nxt * nxt", "1 - np.tanh(nxt) ** 2")),
 made=normal((4, 3), (4, 2), (3, 2), (2, 2), (2,)))
hand("lstm step", lambda a, c: ac.sigmoid(a[:, 6:9]) * ac.tanh(ac.sigmoid(a[:, 3:6]) * c + ac.sigmoid(a[:, 0:3]) * ac.tanh(a[:, 9:12])), '''
import numpy as np

def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def forward(a, c):
    H = c.shape[1]
    i, f, o = (sigmoid(a[:, k * H:(k + 1) * H]) for k in range(3))
    g = np.tanh(a[:, 3 * H:])
    new = f * c + i * g
    return o * np.tanh(new), (i, f, o, g, c, new)

def backward(dout, cache):
    i, f, o, g, c, new = cache
    t = np.tanh(new)
    do = dout * t
    dnew = dout * o * (1 - t ** 2)
    di, df, dg, dc = dnew * g, dnew * c, dnew * i, dnew * f
    da = np.hstack([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g ** 2)])
    return da, dc
''',
 ("order", "order|exchang|another|swap", ("[di * i * (1 - i), df * f * (1 - f), do", "[df * f * (1 - f), di * i * (1 - i), do")),
 ("no_o", "factor|forgotten|name", ("dnew = dout * o *", "dnew = dout *")),
 ("t_of_c", "another name|earlier|value|cell", ("t = np.tanh(new)", "t = np.tanh(c)")),
 ("g_gate", "sigmoid|tanh|another|function|factor|square|power", ("dg * (1 - g ** 2)", "dg * g * (1 - g)")),
 ("dc_c", "another name|value|exchang|factor", ("dnew * i, dnew * f", "dnew * i, dnew * c")),
 made=normal((4, 12), (4, 3)))
hand("residual", lambda x, w1, w2: ac.relu(x + ac.relu(x @ w1) @ w2), '''
import numpy as np

class Block:
    relu = staticmethod(lambda z: np.clip(z, 0, None))

    def forward(self, x, w1, w2):
        self.x, self.w1, self.w2 = x, w1, w2
        self.h = self.relu(x @ w1)
        self.out = self.relu(x + self.h @ w2)
        return self.out

    def backward(self, dout):
        d = dout * (self.out > 0)
        dh = d @ self.w2.T
        dh[self.h <= 0] = 0
        return d + dh @ self.w1.T, self.x.T @ dh, self.h.T @ d

def forward(x, w1, w2):
    block = Block()
    return block.forward(x, w1, w2), block

def backward(dout, block):
    return block.backward(dout)
''',
 ("no_skip", "path|skip|term|forgotten|identity", ("return d + dh @ self.w1.T", "return dh @ self.w1.T")),
 ("skip_dout", "mask|another name|forgotten|path|earlier", ("return d + dh", "return dout + dh")),
 ("no_inner", "mask|relu|forgotten|line", ("        dh[self.h <= 0] = 0\n", "")),
 ("mask_x", "mask|another name|input|value", ("dh[self.h <= 0] = 0", "dh[self.h <= 0.5] = 0")),
 ("twice_skip", "twice|factor|path|double|2", ("return d + dh", "return 2 * d + dh")),
 made=normal((5, 4), (4, 6), (6, 4)))
hand("nearest", lambda x: ac.upsample(x, scale_factor=2, layout=CF), '''
import numpy as np

def backward(dout, x):
    n, c, h, w = x.shape
    return np.add.reduce(np.add.reduce(dout.reshape(n, c, h, 2, w, 2), axis=5), axis=3)
''',
 ("wrong_split", "order|flatten|axis|reshape", ("dout.reshape(n, c, h, 2, w, 2), axis=5), axis=3)", "dout.reshape(n, c, 2, h, 2, w), axis=4), axis=2)")),
 ("mean", "mean|count|factor", ("    return np.add.reduce(", "    return 0.25 * np.add.reduce(")),
 ("pick", "only one|first|stride|sum|pick|every", ("    return np.add.reduce(np.add.reduce(dout.reshape(n, c, h, 2, w, 2), axis=5), axis=3)", "    return dout[:, :, ::2, ::2]")),
 call=X, made=normal((2, 3, 3, 4)))
hand("l2 loss", lambda x, w: ac.mean(ac.sum((x @ w) ** 2, axis=1)) + 0.5 * 0.3 * ac.sum(w * w), '''
import numpy as np

def backward(dout, x, w):
    r = x @ w
    dr = 2 * r / len(x)
    return dout * dr @ w.T, dout * (x.T @ dr + 0.3 * w)
''',
 ("no_half", "decay|factor|regular|2|weight", ("+ 0.3 * w", "+ 2 * 0.3 * w")),
 ("reg_abs", "decay|sign|abs|regular|weight", ("+ 0.3 * w", "+ 0.3 * np.sign(w)")),
 ("no_reg", "decay|regular|term|path|forgotten|weight", (" + 0.3 * w)", ")")),
 ("size", "count|mean|factor|size", ("/ len(x)", "/ r.size")),
 call=XW, made=normal((5, 3), (3, 2)))
hand("rms gate", None, '''
import numpy as np

def forward(x, g):
    r = np.sqrt((x * x).mean(axis=1, keepdims=True) + 0.01)
    n = x / r
    return n * np.exp(-g) + x, (x, g, r, n)

def backward(dout, cache):
    x, g, r, n = cache
    e = np.exp(-g)
    dn = dout * e
    dx = dn / r - n * (dn * n).mean(axis=1, keepdims=True) / r + dout
    dg = -(dout * n * e).sum(0)
    return dx, dg
''',
 ("no_minus", "sign", ("dg = -(dout", "dg = (dout")),
 ("no_dout", "path|term|forgotten|skip", (" / r + dout", " / r")),
 ("sum", "sums where means|mean|factor|sum", ("(dn * n).mean(axis=1", "(dn * n).sum(axis=1")),
 ("dn_dout", "another name|factor|earlier|local", ("(dn * n).mean", "(dout * n).mean")),
 made=normal((4, 5), (5,)))
hand("smooth max pool", None, '''
import numpy as np

def forward(x):
    n, t = x.shape
    wins = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)[:, ::2]
    e = np.exp(2 * wins)
    s = e.sum(-1)
    return np.log(s) / 2, (e, s, x.shape)

def backward(dout, cache):
    e, s, shape = cache
    dx = np.zeros(shape)
    for o in range(dout.shape[1]):
        dx[:, 2 * o:2 * o + 3] += dout[:, o:o + 1] * e[:, o] / s[:, o:o + 1]
    return dx
''',
 ("set", "overwritten", ("+= dout[:, o", "= dout[:, o")),
 ("half", "factor|2|half|constant", ("dout[:, o:o + 1] * e", "0.5 * dout[:, o:o + 1] * e")),
 ("tight", "stride|position|window|index|factor", ("dx[:, 2 * o:2 * o + 3]", "dx[:, o:o + 3]")),
 ("s_0", "index|first|another", ("/ s[:, o:o + 1]", "/ s[:, 0:1]")),
 made=normal((3, 9)))
