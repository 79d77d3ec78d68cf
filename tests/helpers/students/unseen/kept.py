"""Where the slip is often not in the backward: what the forward keeps, helpers, objects that remember."""
# ruff: noqa: E501 (sources as they were written)

from helpers.students.unseen.hands import student

# fmt: off
student("obj_conv", "cs231n.conv", '''
import numpy as np

class ConvLayer:
    def _pad(self, x):
        p = self.pad
        return np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))

    def _unpad(self, x):
        p = self.pad
        return x[:, :, p:x.shape[2] - p, p:x.shape[3] - p]

    def _region(self, i, j):
        top, left = i * self.stride, j * self.stride
        return np.s_[:, :, top:top + self.kh, left:left + self.kw]

    def forward(self, x, w, b, conv_param):
        self.stride, self.pad = conv_param["stride"], conv_param["pad"]
        self.kh, self.kw = w.shape[2:]
        self.x, self.w = self._pad(x), w
        H = (self.x.shape[2] - self.kh) // self.stride + 1
        W = (self.x.shape[3] - self.kw) // self.stride + 1
        out = np.zeros((x.shape[0], w.shape[0], H, W))
        for i in range(H):
            for j in range(W):
                patch = self.x[self._region(i, j)]
                out[:, :, i, j] = patch.reshape(len(x), -1) @ w.reshape(len(w), -1).T + b
        return out, None

    def backward(self, dout, cache):
        dx, dw = np.zeros_like(self.x), np.zeros_like(self.w)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                self._accumulate(dx, dw, dout[:, :, i, j], self._region(i, j))
        return self._unpad(dx), dw, dout.sum(axis=(0, 2, 3))

    def _accumulate(self, dx, dw, g, region):
        dw += np.einsum("nf,nchw->fchw", g, self.x[region])
        dx[region] += np.einsum("nf,fchw->nchw", g, self.w)
''',
 ("acc_set", "overwritten", ("dx[region] += np", "dx[region] = np")),
 ("unpad", "crop|pad", ("return x[:, :, p:x.shape[2] - p, p:x.shape[3] - p]", "return x[:, :, :x.shape[2] - 2 * p, p:x.shape[3] - p]")),
 ("acc_x", "overwritten|another", ("g, self.w)", "g, self.w[:, :, ::-1])")),
 ("dw_swapped", "transposed|rows", ('"nf,nchw->fchw", g, self.x[region]', '"nf,nchw->fcwh" if self.kh == self.kw else "nf,nchw->fchw", g, self.x[region]')),
 ("local_dw", "zero everywhere", ("        dw += np.einsum(", "        dw = dw + np.einsum(")),
 made="ConvLayer")
student("obj_bn", "cs231n.batchnorm", '''
import numpy as np

class Norm:
    def __init__(self):
        self.saved = {}

    def forward(self, x, gamma, beta, bn_param):
        eps = bn_param.get("eps", 1e-5)
        if bn_param["mode"] == "train":
            mean, var = x.mean(axis=0), x.var(axis=0)
            bn_param["running_mean"] = 0.9 * bn_param.get("running_mean", 0) + 0.1 * mean
            bn_param["running_var"] = 0.9 * bn_param.get("running_var", 0) + 0.1 * var
        else:
            mean, var = bn_param["running_mean"], bn_param["running_var"]
        inv_std = 1 / np.sqrt(var + eps)
        x_hat = (x - mean) * inv_std
        self.saved = dict(x_hat=x_hat, inv_std=inv_std, gamma=gamma, x=x, mean=mean)
        return gamma * x_hat + beta, self.saved

    def grad_xhat(self, dout):
        return dout * self.saved["gamma"]

    def backward(self, dout, cache):
        g = self.grad_xhat(dout)
        x_hat, inv_std = self.saved["x_hat"], self.saved["inv_std"]
        centred = g - g.mean(axis=0)
        along = x_hat * (g * x_hat).mean(axis=0)
        return inv_std * (centred - along), (dout * x_hat).sum(axis=0), dout.sum(axis=0)
''',
 ("saved_x", "x-hat|earlier value", ("dict(x_hat=x_hat,", "dict(x_hat=x - mean,")),
 ("saved_var", "power|earlier", ("inv_std=inv_std, gamma", "inv_std=1 / (var + eps), gamma")),
 ("nogamma", "gamma|factor|local derivative", ('return dout * self.saved["gamma"]', "return dout")),
 ("along_sum", "sums where means|factor", ("(g * x_hat).mean(axis=0)", "(g * x_hat).sum(axis=0)")),
 made="Norm")
student("cache_conv", "cs231n.conv", '''
import numpy as np

def pad4(x, p):
    if p == 0:
        return x
    big = np.zeros((x.shape[0], x.shape[1], x.shape[2] + 2 * p, x.shape[3] + 2 * p), dtype=x.dtype)
    big[:, :, p:-p, p:-p] = x
    return big

def conv_forward_naive(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    xp = pad4(x, p)
    R, S = w.shape[2:]
    P, Q = (xp.shape[2] - R) // s + 1, (xp.shape[3] - S) // s + 1
    cols = np.zeros((x.shape[0], P, Q, x.shape[1] * R * S))
    for i in range(P):
        for j in range(Q):
            cols[:, i, j] = xp[:, :, i * s:i * s + R, j * s:j * s + S].reshape(x.shape[0], -1)
    wmat = w.reshape(w.shape[0], -1)
    out = cols @ wmat.T + b
    cache = {"cols": cols, "wmat": wmat, "wshape": w.shape, "xshape": x.shape, "stride": s, "pad": p}
    return out.transpose(0, 3, 1, 2), cache

def conv_backward_naive(dout, cache):
    N, C, H, W = cache["xshape"]
    F, _, R, S = cache["wshape"]
    s, p = cache["stride"], cache["pad"]
    g = dout.transpose(0, 2, 3, 1)
    db = g.reshape(-1, F).sum(0)
    dw = (g.reshape(-1, F).T @ cache["cols"].reshape(-1, C * R * S)).reshape(cache["wshape"])
    dcols = (g @ cache["wmat"]).reshape(N, g.shape[1], g.shape[2], C, R, S)
    dxp = np.zeros((N, C, H + 2 * p, W + 2 * p))
    for i in range(g.shape[1]):
        for j in range(g.shape[2]):
            dxp[:, :, i * s:i * s + R, j * s:j * s + S] += dcols[:, i, j]
    return dxp[:, :, p:p + H, p:p + W], dw, db
''',
 ("wmat_flip", "rotated", ('"wmat": wmat', '"wmat": wmat[:, ::-1]')),
 ("stride1", "stride", ('"stride": s,', '"stride": 1,')),
 ("cols_same", "", ('{"cols": cols,', '{"cols": np.roll(cols, 1, axis=-1),')),
 ("g_T", "order|flatten|transpos|rows and columns", ("g = dout.transpose(0, 2, 3, 1)", "g = dout.transpose(0, 3, 2, 1)[:, :dout.shape[2], :dout.shape[3]] if dout.shape[2] == dout.shape[3] else dout.transpose(0, 2, 3, 1)")),
 ("dcols_order", "order|flatten", ("dcols = (g @ cache[\"wmat\"]).reshape(N, g.shape[1], g.shape[2], C, R, S)", "dcols = (g @ cache[\"wmat\"]).reshape(N, g.shape[1], g.shape[2], R, S, C).transpose(0, 1, 2, 5, 3, 4)")),
 ("pad0", "pad|crop", ('"pad": p}', '"pad": 0}')),
)
student("cache_pool", "cs231n.max_pool", '''
import numpy as np

def max_pool_forward_naive(x, pool_param):
    ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C, H, W = x.shape
    oh, ow = (H - ph) // s + 1, (W - pw) // s + 1
    out = np.zeros((N, C, oh, ow))
    winners = np.zeros((N, C, oh, ow, 2), dtype=int)
    for n in range(N):
        for c in range(C):
            for i in range(oh):
                for j in range(ow):
                    region = x[n, c, i * s:i * s + ph, j * s:j * s + pw]
                    out[n, c, i, j] = region.max()
                    at = np.unravel_index(region.argmax(), region.shape)
                    winners[n, c, i, j] = (i * s + at[0], j * s + at[1])
    return out, (winners, x.shape)

def max_pool_backward_naive(dout, cache):
    winners, shape = cache
    dx = np.zeros(shape)
    for where in np.ndindex(*dout.shape):
        n, c = where[:2]
        row, col = winners[where]
        dx[n, c, row, col] += dout[where]
    return dx
''',
 ("winner_noff", "position of the window", ("(i * s + at[0], j * s + at[1])", "(at[0], at[1])")),
 ("winner_swap", "rows and columns", ("(i * s + at[0], j * s + at[1])", "(i * s + at[1], j * s + at[0])")),
 ("winner_stride", "stride", ("(i * s + at[0], j * s + at[1])", "(i + at[0], j + at[1])")),
 ("winner_min", "wrong cell", ("region.argmax()", "region.argmin()")),
 ("rowcol", "rows and columns|transpos", ("row, col = winners[where]", "col, row = winners[where] % min(shape[2:])")),
)
student("bn_cache", "cs231n.batchnorm", '''
import numpy as np

def batchnorm_forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    N, D = x.shape
    if bn_param["mode"] == "train":
        mean = np.sum(x, axis=0) / N
        centred = x - mean
        var = np.sum(centred ** 2, axis=0) / N
    else:
        centred = x - bn_param["running_mean"]
        var = bn_param["running_var"]
    std = (var + eps) ** 0.5
    xhat = centred / std
    out = gamma * xhat + beta
    cache = (xhat, std, gamma)
    return out, cache

def batchnorm_backward(dout, cache):
    xhat, std, gamma = cache
    N = dout.shape[0]
    dgamma = np.einsum("nd,nd->d", dout, xhat)
    dbeta = np.einsum("nd->d", dout)
    projection = np.eye(N) - np.ones((N, N)) / N
    dx = np.empty_like(dout)
    for d in range(dout.shape[1]):
        h = xhat[:, d]
        jacobian = (projection - np.outer(h, h) / N) / std[d]
        dx[:, d] = jacobian.T @ (gamma[d] * dout[:, d])
    return dx, dgamma, dbeta
''',
 ("cache_out", "x-hat|earlier value|another name|output", ("cache = (xhat, std, gamma)", "cache = (out, std, gamma)")),
 ("cache_var", "power", ("cache = (xhat, std, gamma)", "cache = (xhat, var + eps, gamma)")),
 ("cache_centred", "x-hat|earlier value", ("cache = (xhat, std, gamma)", "cache = (centred, std, gamma)")),
 ("no_proj", "mean term|forgotten", ("projection = np.eye(N) - np.ones((N, N)) / N", "projection = np.eye(N)")),
 ("outer_N", "sums where means|factor|count", ("np.outer(h, h) / N)", "np.outer(h, h))")),
 ("std_0", "first index|index", ("/ std[d]", "/ std[0]")),
 ("gamma_0", "index", ("(gamma[d] * dout[:, d])", "(gamma[0] * dout[:, d])")),
)
student("ln_from_bn", "cs231n.layernorm", '''
import numpy as np

def layernorm_forward(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    mu = x.mean(axis=1, keepdims=True)
    sigma = np.sqrt(x.var(axis=1, keepdims=True) + eps)
    xhat = (x - mu) / sigma
    return gamma * xhat + beta, (xhat, gamma, sigma)

def layernorm_backward(dout, cache):
    xhat, gamma, sigma = cache
    N, D = dout.shape
    dbeta = dout.sum(axis=0)
    dgamma = (xhat * dout).sum(axis=0)
    dxhat = gamma * dout
    dx = dxhat - dxhat.sum(axis=1, keepdims=True) / D
    dx -= xhat * (dxhat * xhat).sum(axis=1, keepdims=True) / D
    dx /= sigma
    return dx, dgamma, dbeta
''',
 ("bn_formula", "axis|gamma|normalised over", ("    dxhat = gamma * dout\n    dx = dxhat - dxhat.sum(axis=1, keepdims=True) / D\n    dx -= xhat * (dxhat * xhat).sum(axis=1, keepdims=True) / D\n", "    dx = gamma * (dout - dbeta / N - xhat * dgamma / N)\n")),
 ("gamma_after", "gamma", ("dxhat = gamma * dout", "dxhat = dout"), ("dx /= sigma", "dx *= gamma / sigma")),
 ("N_for_D", "count|factor|axis", ("dx = dxhat - dxhat.sum(axis=1, keepdims=True) / D", "dx = dxhat - dxhat.sum(axis=1, keepdims=True) / N")),
 ("in_place", "", ("    dx -= xhat * (dxhat * xhat)", "    dx -= xhat * (dx * dout)")),
)
student("softmax_matrix", "cs231n.softmax_loss", '''
import numpy as np

def softmax_loss(x, y):
    N, C = x.shape
    targets = np.eye(C)[y]
    z = np.exp(x - np.max(x, axis=-1)[:, None])
    probs = z / np.sum(z, axis=-1)[:, None]
    loss = -np.sum(targets * np.log(probs)) / N
    grad = (probs - targets) / N
    return loss, grad
''',
 ("log_prob", "another function|logarithm", ("grad = (probs - targets) / N", "grad = (np.log(probs) - targets) / N")),
 ("minus_inv", "logarithm", ("grad = (probs - targets) / N", "grad = -targets / probs / N")),
 ("times_target", "only some of the classes", ("grad = (probs - targets) / N", "grad = (probs - 1) * targets / N")),
 ("neg", "sign", ("grad = (probs - targets) / N", "grad = (targets - probs) / N")),
 ("mean_twice", "count|factor", ("grad = (probs - targets) / N", "grad = (probs - targets) / (N * C)")),
)
student("svm_dict", "cs231n.svm_loss", '''
import numpy as np

def svm_loss(x, y):
    num = len(x)
    total, rows = 0.0, []
    for scores, label in zip(x, y):
        gaps = np.maximum(0, scores - scores[label] + 1)
        gaps[label] = 0
        total += gaps.sum()
        row = np.where(gaps > 0, 1.0, 0.0)
        row[label] = -row.sum()
        rows.append(row)
    return total / num, np.stack(rows) / num
''',
 ("row_count", "target|path|size|right class", ("row[label] = -row.sum()", "row[label] = -1")),
 ("row_len", "target|path|size|right class", ("row[label] = -row.sum()", "row[label] = -(len(row) - 1)")),
 ("positive", "sign|path|target", ("row[label] = -row.sum()", "row[label] = row.sum()")),
 ("ge", "mask|", ("np.where(gaps > 0, 1.0, 0.0)", "np.where(gaps >= 0, 1.0, 0.0)")),
)
student("gn_helper", "cs231n.spatial_groupnorm", '''
import numpy as np

def split(x, G):
    return x.reshape(x.shape[0] * G, -1)

def standardise(rows, eps):
    m = rows.mean(axis=1, keepdims=True)
    r = 1 / np.sqrt(((rows - m) ** 2).mean(axis=1, keepdims=True) + eps)
    return (rows - m) * r, r

def standardise_back(g, rows, r):
    n = rows.shape[1]
    return r * (g - g.sum(axis=1, keepdims=True) / n - rows * (g * rows).sum(axis=1, keepdims=True) / n)

def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    rows, r = standardise(split(x, G), gn_param.get("eps", 1e-5))
    return rows.reshape(x.shape) * gamma + beta, (rows, r, gamma, G)

def spatial_groupnorm_backward(dout, cache):
    rows, r, gamma, G = cache
    dgamma = (dout * rows.reshape(dout.shape)).sum(axis=(0, 2, 3), keepdims=True)
    dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)
    dx = standardise_back(split(dout * gamma, G), rows, r)
    return dx.reshape(dout.shape), dgamma, dbeta
''',
 ("helper_r", "power", ("return r * (g -", "return r ** 2 * (g -")),
 ("helper_n", "count|factor", ("n = rows.shape[1]", "n = rows.shape[0]")),
 ("gamma_late", "gamma", ("split(dout * gamma, G), rows, r)", "split(dout, G), rows, r)"), ("return dx.reshape(dout.shape), dgamma", "return dx.reshape(dout.shape) * gamma, dgamma")),
 ("split_C", "groups|order", ("split(dout * gamma, G)", "split(np.swapaxes(dout * gamma, 0, 1), G)")),
 ("bias_keep", "broadcast|batch|sum|axis", ("dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)", "dbeta = dout.mean(axis=0, keepdims=True).sum(axis=(2, 3), keepdims=True)")),
)
student("dlpool_vec", "deeplearning.pool", '''
import numpy as np

def windows_of(A, f, s):
    m, H, W, C = A.shape
    out = []
    for h in range(0, H - f + 1, s):
        for w in range(0, W - f + 1, s):
            out.append((h, w, A[:, h:h + f, w:w + f, :]))
    return out

def pool_forward(A_prev, hparameters, mode="max"):
    f, s = hparameters["f"], hparameters["stride"]
    nH, nW = 1 + (A_prev.shape[1] - f) // s, 1 + (A_prev.shape[2] - f) // s
    A = np.zeros((A_prev.shape[0], nH, nW, A_prev.shape[3]))
    for h, w, part in windows_of(A_prev, f, s):
        A[:, h // s, w // s, :] = part.max(axis=(1, 2)) if mode == "max" else part.mean(axis=(1, 2))
    return A, (A_prev, hparameters)

def pool_backward(dA, cache, mode="max"):
    A_prev, hparameters = cache
    f, s = hparameters["f"], hparameters["stride"]
    dA_prev = np.zeros_like(A_prev)
    for h, w, part in windows_of(A_prev, f, s):
        g = dA[:, h // s, w // s, :][:, None, None, :]
        if mode == "max":
            share = part == part.max(axis=(1, 2), keepdims=True)
        else:
            share = np.full(part.shape, 1.0 / (f * f))
        dA_prev[:, h:h + f, w:w + f, :] += share * g
    return dA_prev
''',
 ("all_max", "", ("share = part == part.max(axis=(1, 2), keepdims=True)", "share = part == part.max()")),
 ("max_axis1", "axis|wrong cell", ("part.max(axis=(1, 2), keepdims=True)", "part.max(axis=1, keepdims=True)")),
 ("chan", "channel", ("part.max(axis=(1, 2), keepdims=True)", "part.max(axis=(1, 2, 3), keepdims=True)")),
 ("div", "evenly|divided", ("share = part == part.max(axis=(1, 2), keepdims=True)", "share = (part == part.max(axis=(1, 2), keepdims=True)) / (f * f)")),
 ("hs", "index|stride", ("g = dA[:, h // s, w // s, :]", "g = dA[:, h // s, h // s if h // s < dA.shape[2] else 0, :]")),
)
student("dlconv_taps", "deeplearning.conv", '''
import numpy as np

def conv_forward(A_prev, W, b, hparameters):
    s, p = hparameters["stride"], hparameters["pad"]
    X = np.pad(A_prev, [(0, 0), (p, p), (p, p), (0, 0)])
    f = W.shape[0]
    rows = [r for r in range(0, X.shape[1] - f + 1, s)]
    cols = [c for c in range(0, X.shape[2] - f + 1, s)]
    Z = np.array([[np.tensordot(X[:, r:r + f, c:c + f], W, 3) + b.ravel() for c in cols] for r in rows])
    return Z.transpose(2, 0, 1, 3), (A_prev, W, b, hparameters)

def conv_backward(dZ, cache):
    A_prev, W, b, hparameters = cache
    s, p = hparameters["stride"], hparameters["pad"]
    m, H, Wd, C = A_prev.shape
    f = W.shape[0]
    X = np.pad(A_prev, [(0, 0), (p, p), (p, p), (0, 0)])
    spread = np.zeros((m, X.shape[1] - f + 1, X.shape[2] - f + 1, dZ.shape[3]))
    spread[:, ::s, ::s] = dZ
    dW = np.zeros(W.shape)
    for i in range(f):
        for j in range(f):
            dW[i, j] = np.einsum("mhwc,mhwd->cd", X[:, i:i + spread.shape[1], j:j + spread.shape[2]], spread)
    full = np.pad(spread, [(0, 0), (f - 1, f - 1), (f - 1, f - 1), (0, 0)])
    K = W[::-1, ::-1].transpose(0, 1, 3, 2)
    dX = sum(full[:, i:i + X.shape[1], j:j + X.shape[2]] @ K[i, j] for i in range(f) for j in range(f))
    db = dZ.sum(axis=(0, 1, 2)).reshape(b.shape)
    return dX[:, p:p + H, p:p + Wd], dW, db
''',
 ("K_norot", "rotated", ("K = W[::-1, ::-1].transpose(0, 1, 3, 2)", "K = W.transpose(0, 1, 3, 2)")),
 ("K_T", "transposed|rows", ("W[::-1, ::-1].transpose(0, 1, 3, 2)", "W[::-1, ::-1].transpose(1, 0, 3, 2)")),
 ("spread_repeat", "dilated|stride|repeat", ("spread[:, ::s, ::s] = dZ", "spread[:] = np.repeat(np.repeat(dZ, s, 1), s, 2)[:, :spread.shape[1], :spread.shape[2]] if (dZ.shape[1] * s >= spread.shape[1] and dZ.shape[2] * s >= spread.shape[2]) else 0")),
 ("valid_not_full", "pad|one side", ("[(0, 0), (f - 1, f - 1), (f - 1, f - 1), (0, 0)]", "[(0, 0), (f - 1, f - 1), (2 * f - 2, 0), (0, 0)]")),
 ("two_K", "rotated|crop", ("K = W[::-1, ::-1].transpose(0, 1, 3, 2)", "K = W.transpose(0, 1, 3, 2)"), ("dX[:, p:p + H, p:p + Wd]", "dX[:, :H, :Wd]")),
 ("two_b", "mean|factor|count", ("dZ.sum(axis=(0, 1, 2))", "dZ.mean(axis=(0, 1, 2))"), ("spread[:, ::s, ::s] = dZ", "spread[:, ::s, ::s] = dZ / m")),
)
student("cmuT2d", "cmu11785.conv_transpose2d", '''
import numpy as np

class Up:
    def __init__(self, k):
        self.k = k

    def forward(self, A):
        self.shape = A.shape
        b, c, h, w = A.shape
        Z = np.zeros((b, c, self.k * (h - 1) + 1, self.k * (w - 1) + 1))
        Z[:, :, ::self.k, ::self.k] = A
        return Z

    def backward(self, g):
        return g[:, :, ::self.k, ::self.k]

class Conv:
    def __init__(self, i, o, k):
        self.k = k
        self.W = np.random.randn(o, i, k, k)
        self.b = np.zeros(o)

    def forward(self, A):
        self.A = A
        v = np.lib.stride_tricks.sliding_window_view(A, (self.k, self.k), axis=(2, 3))
        return np.einsum("bchwij,ocij->bohw", v, self.W) + self.b[:, None, None]

    def backward(self, g):
        v = np.lib.stride_tricks.sliding_window_view(self.A, (self.k, self.k), axis=(2, 3))
        self.dLdW = np.einsum("bohw,bchwij->ocij", g, v)
        self.dLdb = g.sum(axis=(0, 2, 3))
        out = np.zeros_like(self.A)
        h, w = g.shape[2:]
        for i in range(self.k):
            for j in range(self.k):
                out[:, :, i:i + h, j:j + w] += np.einsum("bohw,oc->bchw", g, self.W[:, :, i, j])
        return out

class ConvTranspose2d:
    def __init__(self, in_channels, out_channels, kernel_size, upsampling_factor, weight_init_fn=None, bias_init_fn=None):
        self.upsample = Up(upsampling_factor)
        self.conv = Conv(in_channels, out_channels, kernel_size)
        self.conv2d_stride1 = self.conv

    def forward(self, A):
        return self.conv.forward(self.upsample.forward(A))

    def backward(self, dLdZ):
        return self.upsample.backward(self.conv.backward(dLdZ))
''',
 ("ij", "transposed|rows", ("self.W[:, :, i, j])\n        return out", "self.W[:, :, j, i])\n        return out")),
 ("up_slice", "stride", ("return g[:, :, ::self.k, ::self.k]", "return g[:, :, :self.shape[2], :self.shape[3]]")),
 ("up_offset", "", ("return g[:, :, ::self.k, ::self.k]", "return g[:, :, ::self.k, ::self.k][:, :, ::-1]")),
 ("set", "overwritten", ("j:j + w] += np.einsum", "j:j + w] = np.einsum")),
)
student("tinypool", "tinytorch.max_pool", '''
import numpy as np

def forward(x, kernel_size, stride):
    (k1, k2), s = kernel_size, stride
    n, c, h, w = x.shape
    H, W = (h - k1) // s + 1, (w - k2) // s + 1
    cols = np.zeros((k1 * k2, n, c, H, W))
    for q in range(k1 * k2):
        u, v = divmod(q, k2)
        cols[q] = x[:, :, u:u + s * H:s, v:v + s * W:s][:, :, :H, :W]
    best = cols.argmax(axis=0)
    return cols.max(axis=0), (best, x.shape, (k1, k2), s)

def backward(grad, ctx):
    best, shape, (k1, k2), s = ctx
    H, W = grad.shape[2:]
    dx = np.zeros(shape)
    for q in range(k1 * k2):
        u, v = divmod(q, k2)
        dx[:, :, u:u + s * H:s, v:v + s * W:s] += np.where(best == q, grad, 0)
    return dx
''',
 ("divmod", "rows and columns|wrong cell", ("        u, v = divmod(q, k2)\n        dx", "        u, v = divmod(q, k1)\n        dx")),
 ("set", "overwritten", ("] += np.where", "] = np.where")),
 ("skip0", "pass of a loop", ("    for q in range(k1 * k2):\n        u, v = divmod(q, k2)\n        dx", "    for q in range(1, k1 * k2):\n        u, v = divmod(q, k2)\n        dx")),
 ("ge", "copied|mask|comparison", ("best == q", "best >= q")),
)
student("cmu_lin_bn", "cmu11785.batchnorm", '''
import numpy as np

class BatchNorm1d:
    def __init__(self, num_features, alpha=0.9):
        self.alpha, self.eps = alpha, 1e-8
        shape = (1, num_features)
        self.BW, self.Bb = np.ones(shape), np.zeros(shape)
        self.running_M, self.running_V = np.zeros(shape), np.ones(shape)

    def forward(self, Z, eval=False):
        M = Z.mean(axis=0, keepdims=True)
        V = Z.var(axis=0, keepdims=True)
        self.dev = Z - M
        self.sigma = np.sqrt(V + self.eps)
        self.NZ = self.dev / self.sigma
        self.running_M = self.alpha * self.running_M + (1 - self.alpha) * M
        self.running_V = self.alpha * self.running_V + (1 - self.alpha) * V
        return self.BW * self.NZ + self.Bb

    def _through_mean(self, g):
        return g - g.mean(axis=0, keepdims=True)

    def _through_scale(self, g):
        return g / self.sigma - self.dev * np.mean(g * self.dev, axis=0, keepdims=True) / self.sigma ** 3

    def backward(self, dLdBZ):
        self.dLdBW = (dLdBZ * self.NZ).sum(axis=0, keepdims=True)
        self.dLdBb = dLdBZ.sum(axis=0, keepdims=True)
        g = dLdBZ * self.BW
        g = self._through_scale(g)
        g = self._through_mean(g)
        return g
''',
 ("scale_pow", "power|exponent", ("/ self.sigma ** 3", "/ self.sigma ** 2")),
 ("skip_mean", "mean term", ("        g = self._through_mean(g)\n", ""), "g = self._through_scale(g)\n"),
 ("skip_scale", "variance term|forgotten|deviation", ("g = self._through_scale(g)", "g = g / self.sigma")),
 ("mean_axis", "axis", ("return g - g.mean(axis=0, keepdims=True)", "return g - g.mean(axis=1, keepdims=True)")),
 ("BW_after", "gamma|", ("(dLdBZ * self.NZ).sum", "(dLdBZ * self.dev).sum")),
)
student("dropout_obj", "cs231n.dropout", '''
import numpy as np

def dropout_forward(x, dropout_param):
    keep = dropout_param["p"]
    mask = None
    if dropout_param["mode"] == "train":
        rng = np.random.RandomState(dropout_param.get("seed"))
        mask = rng.uniform(size=x.shape) < keep
        out = np.where(mask, x / keep, 0)
    else:
        out = x.copy()
    return out, (keep, dropout_param["mode"], mask)

def dropout_backward(dout, cache):
    keep, mode, mask = cache
    if mode == "train":
        dx = np.zeros_like(dout)
        dx[mask] = dout[mask] / keep
        return dx
    return dout.copy()
''',
 ("noscale", "factor|p|scale", ("dx[mask] = dout[mask] / keep", "dx[mask] = dout[mask]")),
 ("inv", "inverted|inverted", ("dx[mask] = dout[mask] / keep", "dx[~mask] = dout[~mask] / keep")),
 ("one_minus", "p|factor", ("dout[mask] / keep", "dout[mask] / (1 - keep)")),
 ("test_scale", "", ("return dout.copy()", "return dout * keep")),
)
# fmt: on
