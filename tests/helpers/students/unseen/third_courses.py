"""The third set: layers of courses in odd styles (as_strided, add.at, dilated gradients, rows, dicts, attributes)."""
# ruff: noqa: E501 (sources as they were written)

from helpers.students.unseen.third_hands import hand

# fmt: off
hand("strided conv", "cs231n.conv", '''
import numpy as np
from numpy.lib.stride_tricks import as_strided

def view(xp, kh, kw, st):
    N, C, H, W = xp.shape
    a, b, c, d = xp.strides
    return as_strided(xp, (N, C, (H - kh) // st + 1, (W - kw) // st + 1, kh, kw), (a, b, c * st, d * st, c, d))

def conv_forward_naive(x, w, b, conv_param):
    st, p = conv_param["stride"], conv_param["pad"]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    v = view(xp, w.shape[2], w.shape[3], st)
    out = np.einsum("ncijkl,fckl->nfij", v, w) + b[None, :, None, None]
    return out, (xp, w, st, p)

def conv_backward_naive(dout, cache):
    xp, w, st, p = cache
    N, F, OH, OW = dout.shape
    kh, kw = w.shape[2:]
    v = view(xp, kh, kw, st)
    dw = np.einsum("ncijkl,nfij->fckl", v, dout)
    db = np.einsum("nfij->f", dout)
    dxp = np.zeros(xp.shape)
    g = np.einsum("nfij,fckl->ncijkl", dout, w)
    for i in range(OH):
        for j in range(OW):
            dxp[:, :, i * st:i * st + kh, j * st:j * st + kw] += g[:, :, i, j]
    H, W = xp.shape[2] - 2 * p, xp.shape[3] - 2 * p
    return dxp[:, :, p:p + H, p:p + W], dw, db
''',
 ("int_grid", "whole|int|round|trunc|dtype", ("np.zeros(xp.shape)", "np.zeros(xp.shape, dtype=int)")),
 ("minus_p", "crop|pad|shape|empty", ("dxp[:, :, p:p + H, p:p + W]", "dxp[:, :, p:-p, p:-p]")),
 ("keepdims_db", "shape|bias", ('np.einsum("nfij->f", dout)', "dout.sum(axis=(0, 2, 3), keepdims=True)")),
 ("lk_dw", "transposed|rows and columns|order", ("dw = np.einsum(\"ncijkl,nfij->fckl\", v, dout)", "dw = np.einsum(\"ncijkl,nfij->fclk\", v, dout).reshape(w.shape)")),
 ("ij_v", "position|rows and columns|another index|transposed|only one|diagonal", ("dw = np.einsum(\"ncijkl,nfij->fckl\", v, dout)", "dw = np.einsum(\"ncijkl,nfpq->fckl\", v, dout)")),
 ("order", "order|exchang|another gradient|swap", ("dxp[:, :, p:p + H, p:p + W], dw, db", "dw, dxp[:, :, p:p + H, p:p + W], db")),
)
hand("dilated conv", "cs231n.conv", '''
import numpy as np

def correlate(a, k):
    """Full stride 1 correlation of (A, H, W) maps with (B, A, h, w) kernels."""
    h, w = k.shape[2:]
    oh, ow = a.shape[1] - h + 1, a.shape[2] - w + 1
    res = np.zeros((k.shape[0], oh, ow))
    for r in range(oh):
        for c in range(ow):
            res[:, r, c] = np.tensordot(k, a[:, r:r + h, c:c + w], axes=3)
    return res

def conv_forward_naive(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    outs = []
    for img in x:
        full = correlate(np.pad(img, ((0, 0), (p, p), (p, p))), w)
        outs.append(full[:, ::s, ::s] + b.reshape(-1, 1, 1))
    return np.stack(outs), {"x": x, "w": w, "param": conv_param}

def conv_backward_naive(dout, cache):
    x, w = cache["x"], cache["w"]
    s, p = cache["param"]["stride"], cache["param"]["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    rows, cols = H + 2 * p - HH + 1, W + 2 * p - WW + 1
    spread = np.zeros((N, F, rows, cols))
    spread[:, :, ::s, ::s] = dout
    turned = w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for n in range(N):
        wide = np.pad(spread[n], ((0, 0), (HH - 1, HH - 1), (WW - 1, WW - 1)))
        dx[n] = correlate(wide, turned)[:, p:p + H, p:p + W]
        xp = np.pad(x[n], ((0, 0), (p, p), (p, p)))
        for f in range(F):
            for c in range(C):
                dw[f, c] += correlate(xp[c:c + 1], spread[n, f][None, None])[0]
    return dx, dw, dout.sum((0, 2, 3))
''',
 ("last_f", "another index|index|last|only one|channel", ("spread[n, f][None, None]", "spread[n, F - 1][None, None]")),
 ("stale_n", "batch|stale|last|only one|overwritten|indent|line in the wrong loop|early|loop", ("    return dx, dw, dout.sum((0, 2, 3))", "    return dx, dw, dout[n].sum((1, 2))")),
 ("crop_hw", "crop|pad|rows and columns|another name", ("[:, p:p + H, p:p + W]", "[:, p:p + H, :W]")),
 ("one_flip", "rotated|flip|reversed|mirror", ("w[:, :, ::-1, ::-1]", "w[:, :, ::-1]")),
 ("assign_dw", "overwritten|batch", ("dw[f, c] += ", "dw[f, c] = ")),
 ("early", "early|loop left|batch|only one|first", ("                dw[f, c] += correlate(xp[c:c + 1], spread[n, f][None, None])[0]\n    return", "                dw[f, c] += correlate(xp[c:c + 1], spread[n, f][None, None])[0]\n        return")),
 ("dx_pad_W", "pad|crop|rows and columns|shift|one side|another name", ("((0, 0), (HH - 1, HH - 1), (WW - 1, WW - 1))", "((0, 0), (HH - 1, HH - 1), (2 * WW - 2, 0))")),
)
hand("scatter pool", "cs231n.max_pool", '''
import numpy as np

def max_pool_forward_naive(x, pool_param):
    ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C, H, W = x.shape
    oh, ow = 1 + (H - ph) // s, 1 + (W - pw) // s
    frames = np.lib.stride_tricks.sliding_window_view(x, (ph, pw), axis=(2, 3))[:, :, ::s, ::s]
    flat = frames.reshape(N, C, oh, ow, ph * pw)
    where = flat.argmax(axis=-1)
    return flat.max(axis=-1), (where, x.shape, pool_param)

def max_pool_backward_naive(dout, cache):
    where, shape, pool_param = cache
    pw, s = pool_param["pool_width"], pool_param["stride"]
    N, C, oh, ow = dout.shape
    n, c, i, j = np.indices((N, C, oh, ow))
    row = i * s + where // pw
    col = j * s + where % pw
    dx = np.zeros(shape)
    np.add.at(dx, (n, c, row, col), dout)
    return dx
''',
 ("ph_for_pw", "rows and columns|wrong cell|another name|height", ("pw, s = pool_param[\"pool_width\"]", "pw, s = pool_param[\"pool_height\"]")),
 ("ij_swapped", "rows and columns|exchanged|swapped|another name|wrong cell|transposed|raises", ("row = i * s + where // pw\n    col = j * s + where % pw", "row = i * s + where % pw\n    col = j * s + where // pw")),
 ("n_zero", "batch|index", ("(n, c, row, col), dout", "(0 * n, c, row, col), dout")),
 ("s_pw", "stride|tiles|position", ("col = j * s + where % pw", "col = j * pw + where % pw")),
 ("plus_frame", "repeated index|overwritten", ("np.add.at(dx, (n, c, row, col), dout)", "dx[n, c, row, col] = dout")),
)
hand("numbered bn", "cs231n.batchnorm", '''
import types

import numpy as np

def batchnorm_forward(x, gamma, beta, bn_param):
    mode, eps = bn_param["mode"], bn_param.get("eps", 1e-5)
    momentum = bn_param.get("momentum", 0.9)
    run_m = bn_param.get("running_mean", np.zeros(x.shape[1]))
    run_v = bn_param.get("running_var", np.zeros(x.shape[1]))
    keep = types.SimpleNamespace()
    if mode == "train":
        keep.centred = x - x.mean(0)
        keep.variance = (keep.centred ** 2).mean(0)
        keep.root = np.sqrt(keep.variance + eps)
        keep.gamma = gamma
        out = keep.centred / keep.root * gamma + beta
        bn_param["running_mean"] = momentum * run_m + (1 - momentum) * x.mean(0)
        bn_param["running_var"] = momentum * run_v + (1 - momentum) * keep.variance
    else:
        out = (x - run_m) / np.sqrt(run_v + eps) * gamma + beta
    return out, keep

def batchnorm_backward(dout, keep):
    m = len(dout)
    dbeta = dout.sum(0)
    dgamma = (dout * keep.centred / keep.root).sum(0)
    dhat = dout * keep.gamma
    dsigma2 = -0.5 * np.sum(dhat * keep.centred, axis=0) * keep.root ** -3
    dmean = -np.sum(dhat, axis=0) / keep.root
    dx = dhat / keep.root + 2 * keep.centred * dsigma2 / m + dmean / m
    return dx, dgamma, dbeta
''',
 ("ddof", "ddof|count|N - 1|factor|n - 1", ("dsigma2 / m", "dsigma2 / (m - 1)")),
 ("inplace", "earlier value|another value|x where x-hat|x-hat|changed|in place|centred|power", ("        out = keep.centred / keep.root * gamma + beta", "        xhat = keep.centred\n        xhat /= keep.root\n        out = xhat * gamma + beta")),
 ("root_eps", "eps|root|kept|power", ("        out = keep.centred / keep.root * gamma + beta", "        out = keep.centred / keep.root * gamma + beta\n        keep.root = np.sqrt(keep.variance) + eps")),
 ("over_D", "count|axis|factor|another name|size", ("m = len(dout)", "m = dout.shape[1]")),
 ("gamma_div", "gamma|inverse|reciprocal|another operator|factor", ("dhat = dout * keep.gamma", "dhat = dout / keep.gamma")),
 ("dgamma_root2", "power|exponent|squared|x-hat|twice", ("keep.centred / keep.root).sum(0)", "keep.centred / keep.root ** 2).sum(0)")),
 ("root_var", "power|exponent|variance|root|another name", ("* keep.root ** -3", "* keep.variance ** -3")),
)
hand("row ln", "cs231n.layernorm", '''
import numpy as np

def layernorm_forward(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    out, rows = np.empty_like(x), []
    for n, row in enumerate(x):
        mu = np.average(row)
        sd = np.sqrt(np.average((row - mu) ** 2) + eps)
        rows.append(((row - mu) / sd, sd))
        out[n] = gamma * rows[-1][0] + beta
    return out, (rows, gamma)

def layernorm_backward(dout, cache):
    rows, gamma = cache
    N, D = dout.shape
    dx = np.zeros((N, D))
    dgamma, dbeta = np.zeros(D), np.zeros(D)
    for n, (hat, sd) in enumerate(rows):
        g = dout[n]
        dgamma += g * hat
        dbeta += g
        h = g * gamma
        dx[n] = (D * h - h.sum() - hat * (h @ hat)) / (D * sd)
    return dx, dgamma, dbeta
''',
 ("sd_first", "index|first|another", ("/ (D * sd)", "/ (D * rows[0][1])")),
 ("N_sd", "count|another name|factor|size", ("/ (D * sd)", "/ (N * sd)")),
 ("prec", "another operator|brackets|factor|power|inverse", ("/ (D * sd)", "/ D * sd")),
 ("g_not_h", "gamma|another name|factor", ("hat * (h @ hat)", "hat * (g @ hat)")),
 ("dgamma_out", "gamma|x-hat|another name|factor|forgotten|dx", ("dgamma += g * hat", "dgamma += g * gamma * hat")),
 ("hat_scalar", "mean|variance|factor|sum|name|forgotten|hat|dot", ("- hat * (h @ hat)", "- (h @ hat)")),
)
hand("group einsum", "cs231n.spatial_groupnorm", '''
import numpy as np

def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    eps = gn_param.get("eps", 1e-5)
    N, C, H, W = x.shape
    z = x.reshape(N * G, -1)
    z = z - z.mean(axis=1, keepdims=True)
    isd = (z.var(axis=1, keepdims=True) + eps) ** -0.5
    xn = (z * isd).reshape(x.shape)
    return gamma * xn + beta, dict(xn=xn, isd=isd, gamma=gamma, G=G)

def spatial_groupnorm_backward(dout, cache):
    xn, isd, gamma, G = (cache[k] for k in ("xn", "isd", "gamma", "G"))
    N, C, H, W = dout.shape
    dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
    dgamma = np.einsum("nchw,nchw->c", dout, xn).reshape(1, C, 1, 1)
    d = (gamma * dout).reshape(N * G, -1)
    u = xn.reshape(N * G, -1)
    dx = d - d.mean(1, keepdims=True) - u * np.einsum("rk,rk->r", d, u)[:, None] / u.shape[1]
    return (dx * isd).reshape(N, C, H, W), dgamma, dbeta
''',
 ("per_C", "count|factor|another|size", ("/ u.shape[1]", "/ C")),
 ("rows_mixed", "product of sums|dot|index|sum|entry", ('np.einsum("rk,rk->r", d, u)[:, None]', 'np.einsum("rk,rk->", d, u)')),
 ("g_axis0", "axis|batch|groups", ("d - d.mean(1, keepdims=True)", "d - d.mean(0, keepdims=True)")),
 ("no_isd", "forgotten|factor|deviation|root|power", ("(dx * isd).reshape", "(dx).reshape")),
 ("beta_shape", "shape|bias|beta", ("np.sum(dout, axis=(0, 2, 3), keepdims=True)", "np.sum(dout, axis=(0, 2, 3))")),
)
hand("softmax hot", "cs231n.softmax_loss", '''
import numpy as np

def softmax_loss(x, y):
    n, k = x.shape
    shifted = x - np.amax(x, axis=-1, keepdims=True)
    lse = np.log(np.exp(shifted).sum(-1, keepdims=True))
    hot = np.eye(k)[y]
    logp = shifted - lse
    loss = -(hot * logp).sum() / n
    dx = (np.exp(logp) - hot) / n
    return loss, dx
''',
 ("off_by_one", "target|label|class|off by one|wrong place", ("dx = (np.exp(logp) - hot) / n", "dx = (np.exp(logp) - np.eye(k)[y - 1]) / n")),
 ("logp", "logarithm|log|softmax|another function|exponential", ("(np.exp(logp) - hot)", "(logp - hot)")),
 ("by_size", "count|mean|factor|size", ("- hot) / n", "- hot) / x.size")),
 ("hot_outside", "brackets|mean|count|factor|target|divid", ("dx = (np.exp(logp) - hot) / n", "dx = np.exp(logp) / n - hot")),
 ("cols", "axis|normalis|over the batch", ("dx = (np.exp(logp) - hot) / n", "e = np.exp(shifted)\n    dx = (e / e.sum(0) - hot) / n")),
)
hand("svm loops", "cs231n.svm_loss", '''
import numpy as np

def svm_loss(x, y):
    n, k = x.shape
    loss, dx = 0.0, np.zeros(x.shape)
    for i in range(n):
        right = x[i, y[i]]
        for j in range(k):
            gap = x[i, j] - right + 1
            if j != y[i] and gap > 0:
                loss += gap
                dx[i, j] += 1
                dx[i, y[i]] -= 1
    return loss / n, dx / n
''',
 ("own", "target|right class|one path|correct class|self|class", ("if j != y[i] and gap > 0:", "if gap > 0:"), ("                loss += gap", "                loss += gap if j != y[i] else 0"), ("dx[i, y[i]] -= 1", "dx[i, y[i]] = -1")),
 ("no_margin", "margin|mask|constant|comparison|threshold", ("                dx[i, j] += 1\n", ""), ("                dx[i, y[i]] -= 1\n", "            if j != y[i] and gap > 1:\n                dx[i, j] += 1\n                dx[i, y[i]] -= 1\n")),
 ("outer", "overwritten|one path|target|loop|several|only|right class", ("dx[i, y[i]] -= 1", "dx[i, y[i]] = -1")),
 ("k_not_n", "count|mean|another name|factor|classes", ("dx / n", "dx / k")),
 ("gap_grad", "value|instead of its|mask|derivative", ("dx[i, j] += 1", "dx[i, j] += gap")),
)
hand("affine sums", "cs231n.affine", '''
import numpy as np

def affine_forward(x, w, b):
    return np.tensordot(x.reshape(len(x), -1), w, 1) + b, {"x": x, "w": w}

def affine_backward(dout, cache):
    x, w = cache.values()
    flat = x.reshape(len(x), -1)
    dx = np.einsum("nm,dm->nd", dout, w).reshape(x.shape)
    dw = sum(np.outer(r, d) for r, d in zip(flat, dout))
    db = np.ones(len(x)) @ dout
    return dx, dw, db
''',
 ("first_only", "first|batch|only|pass", ("for r, d in zip(flat, dout))", "for r, d in zip(flat[1:], dout[1:]))")),
 ("zip_shift", "", ("zip(flat, dout)", "zip(flat[1:], dout)")),
 ("w_of_max", "", ("np.outer(r, d)", "np.outer(r, d > 0)")),
 ("flat_back", "order|flatten|transpos", (".reshape(x.shape)\n    dw", ".reshape(x.shape, order=\"F\")\n    dw")),
 ("two_paths", "twice|factor|2|double", ("dx = np.einsum", "dx = 2 * np.einsum")),
 ("reg", "decay|multiple of the weight|weight|regular", ("    db = np.ones", "    dw = dw + 2 * 0.01 * w\n    db = np.ones")),
)
hand("drop dict", "cs231n.dropout", '''
import numpy as np

def dropout_forward(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    keep = None
    if mode == "train":
        keep = np.random.uniform(size=x.shape) < p
        out = np.where(keep, x / p, 0)
    else:
        out = x
    return out, (dropout_param, keep)

def dropout_backward(dout, cache):
    param, keep = cache
    if param["mode"] == "test":
        return dout
    return np.where(keep, dout / param["p"], 0)
''',
 ("twice", "factor|twice|squared|scale|p", ("dout / param[\"p\"], 0", "dout / param[\"p\"] ** 2, 0")),
 ("times_p", "factor|scale|p|inverse|another operator", ("dout / param[\"p\"], 0", "dout * param[\"p\"], 0")),
 ("test_too", "mask|test|mode", ("    if param[\"mode\"] == \"test\":\n        return dout\n", "    if keep is None:\n        return dout * param[\"p\"]\n")),
 ("dropped_kept", "mask|inverted", ("np.where(keep, dout / param[\"p\"], 0)", "np.where(keep, 0, dout / param[\"p\"])")),
)
hand("dl slices", "deeplearning.conv", '''
import numpy as np

def conv_forward(A_prev, W, b, hparameters):
    s, p = hparameters["stride"], hparameters["pad"]
    m, H0, W0, c0 = A_prev.shape
    f, _, _, c1 = W.shape
    H1, W1 = int((H0 - f + 2 * p) / s) + 1, int((W0 - f + 2 * p) / s) + 1
    Ap = np.pad(A_prev, ((0, 0), (p, p), (p, p), (0, 0)), "constant")
    Z = np.zeros((m, H1, W1, c1))
    for u in range(f):
        for v in range(f):
            Z += Ap[:, u:u + s * H1:s, v:v + s * W1:s] @ W[u, v]
    return Z + b, (A_prev, W, b, hparameters)

def conv_backward(dZ, cache):
    A_prev, W, b, hp = cache
    s, p = hp["stride"], hp["pad"]
    m, H1, W1, c1 = dZ.shape
    f = W.shape[0]
    Ap = np.pad(A_prev, ((0, 0), (p, p), (p, p), (0, 0)), "constant")
    dAp = np.zeros_like(Ap)
    dW = np.zeros_like(W)
    for u in range(f):
        for v in range(f):
            rows, cols = slice(u, u + s * H1, s), slice(v, v + s * W1, s)
            dW[u, v] = np.einsum("mhwa,mhwc->ac", Ap[:, rows, cols], dZ)
            dAp[:, rows, cols] += dZ @ W[u, v].T
    db = dZ.sum(axis=(0, 1, 2)).reshape(b.shape)
    dA = dAp[:, p:Ap.shape[1] - p, p:Ap.shape[2] - p, :]
    return dA, dW, db
''',
 ("vu", "transposed|rows and columns|order", ("dZ @ W[u, v].T", "dZ @ W[v, u].T")),
 ("w_abs", "abs|sign|function of a factor", ("dZ @ W[u, v].T", "dZ @ np.abs(W[u, v]).T")),
 ("top_only", "crop|pad|one side|shift", ("p:Ap.shape[1] - p, p:Ap.shape[2] - p", "2 * p:, 2 * p:")),
 ("dZ_mean", "mean|count|factor|batch", ("dW[u, v] = np.einsum(\"mhwa,mhwc->ac\", Ap[:, rows, cols], dZ)", "dW[u, v] = np.einsum(\"mhwa,mhwc->ac\", Ap[:, rows, cols], dZ) / m")),
 ("stale_uv", "last|overwritten|line in the wrong loop|indent|loop|zero", ("            dW[u, v] = np.einsum(\"mhwa,mhwc->ac\", Ap[:, rows, cols], dZ)\n", ""), ("        for v in range(f):\n            rows, cols = slice(u, u + s * H1, s), slice(v, v + s * W1, s)\n            dAp[:, rows, cols] += dZ @ W[u, v].T\n", "        for v in range(f):\n            rows, cols = slice(u, u + s * H1, s), slice(v, v + s * W1, s)\n            dAp[:, rows, cols] += dZ @ W[u, v].T\n        dW[u, v] = np.einsum(\"mhwa,mhwc->ac\", Ap[:, rows, cols], dZ)\n")),
)
hand("dl mean", "deeplearning.avg_pool", '''
import numpy as np

def pool_forward(A_prev, hparameters, mode="max"):
    f, s = hparameters["f"], hparameters["stride"]
    w = np.lib.stride_tricks.sliding_window_view(A_prev, (f, f), axis=(1, 2))[:, ::s, ::s]
    A = w.max(axis=(-1, -2)) if mode == "max" else w.mean(axis=(-1, -2))
    return A, (A_prev, hparameters)

def pool_backward(dA, cache, mode="max"):
    A_prev, hp = cache
    f, s = hp["f"], hp["stride"]
    out = np.zeros_like(A_prev)
    _, H, W, _ = dA.shape
    if mode == "average":
        share = dA / (f * f)
        for a in range(f):
            for b in range(f):
                out[:, a:a + H * s:s, b:b + W * s:s] += share
    else:
        for h in range(H):
            for w in range(W):
                box = A_prev[:, h * s:h * s + f, w * s:w * s + f]
                top = box == box.max(axis=(1, 2), keepdims=True)
                out[:, h * s:h * s + f, w * s:w * s + f] += top * dA[:, h:h + 1, w:w + 1]
    return out
''',
 ("a_twice", "rows and columns|another name|index|diagonal", ("b:b + W * s:s] += share", "a:a + W * s:s] += share")),
 ("inner_assign", "overwritten", ("b:b + W * s:s] += share", "b:b + W * s:s] = share")),
 ("skip_last", "pass of a loop|pass|last|range", ("        for a in range(f):", "        for a in range(f - 1):")),
 ("no_stride_end", "", ("out[:, a:a + H * s:s, b:b + W * s:s] += share", "out[:, a:a + H, b:b + W] += share")),
)
hand("cmu linear torchless", "cmu11785.linear", '''
import numpy as np

class Linear:
    def __init__(self, in_features, out_features):
        self.W = np.zeros((out_features, in_features))
        self.b = np.zeros((out_features, 1))

    def forward(self, A):
        self.A = A
        self.N = A.shape[0]
        self.Ones = np.ones((self.N, 1))
        return np.dot(A, self.W.T) + np.dot(self.Ones, self.b.T)

    def backward(self, dLdZ):
        self.dLdA = np.matmul(dLdZ, self.W)
        self.dLdW = np.matmul(dLdZ.T, self.A)
        self.dLdb = np.matmul(dLdZ.T, self.Ones)
        return self.dLdA
''',
 ("ones_A", "bias|another name|axis|sum|input", ("np.matmul(dLdZ.T, self.Ones)", "np.matmul(dLdZ.T, self.A)[:, :1]")),
 ("changed_A", "earlier value|in place|changed|input|factor|value", ("        self.N = A.shape[0]\n", "        self.N = A.shape[0]\n        self.A = np.maximum(A, 0)\n")),
 ("norm", "", ("np.matmul(dLdZ, self.W)", "np.matmul(dLdZ, self.W) / np.linalg.norm(self.W)")),
)
hand("cmu updown", "cmu11785.conv1d", '''
import numpy as np

def forward(A, W, b, stride, padding):
    Ap = np.pad(A, ((0, 0), (0, 0), (padding, padding)))
    n, c, length = Ap.shape
    o, _, k = W.shape
    starts = range(0, length - k + 1, stride)
    Z = np.stack([np.einsum("nck,ock->no", Ap[:, :, t:t + k], W) for t in starts], axis=2)
    return Z + b[None, :, None], (A, Ap, W, stride, padding)

def backward(dout, cache):
    A, Ap, W, stride, padding = cache
    k = W.shape[2]
    dAp = np.zeros_like(Ap)
    dW = np.zeros_like(W)
    for i in range(dout.shape[2]):
        t = i * stride
        col = dout[:, :, i]
        dW += np.einsum("no,nck->ock", col, Ap[:, :, t:t + k])
        dAp[:, :, t:t + k] += np.einsum("no,ock->nck", col, W)
    db = np.sum(dout, axis=(0, 2))
    return dAp[:, :, padding:padding + A.shape[2]], dW, db
''',
 ("t_plus", "position|off by one|shift|index|stride|start", ("t = i * stride\n", "t = i * stride\n        t = max(t - 1, 0)\n")),
 ("unpadded", "pad", ("dW += np.einsum(\"no,nck->ock\", col, Ap[:, :, t:t + k])", "dW += np.einsum(\"no,nck->ock\", col, np.pad(A, ((0, 0), (0, 0), (0, 2 * padding)))[:, :, t:t + k])")),
 ("k_rev", "rotated|reversed|flip", ("np.einsum(\"no,ock->nck\", col, W)", "np.einsum(\"no,ock->nck\", col, W[..., ::-1])")),
 ("sumW", "overwritten|twice|stale|in the wrong|accumul|several", ("        dAp[:, :, t:t + k] += np.einsum(\"no,ock->nck\", col, W)", "        dAp[:, :, t:] += np.pad(np.einsum(\"no,ock->nck\", col, W), ((0, 0), (0, 0), (0, Ap.shape[2] - t - k)), \"edge\")")),
 ("db_axes", "bias|axis|batch|shape", ("np.sum(dout, axis=(0, 2))", "np.sum(dout, axis=2)[0]")),
)
hand("cmu up", "cmu11785.upsample2d", '''
import numpy as np

class Upsample2d:
    def __init__(self, upsampling_factor):
        self.k = upsampling_factor

    def forward(self, A):
        n, c, h, w = A.shape
        self.hw = h, w
        Z = np.zeros((n, c, (h - 1) * self.k + 1, (w - 1) * self.k + 1))
        Z[..., ::self.k, ::self.k] = A
        return Z

    def backward(self, dLdZ):
        h, w = self.hw
        rows = np.arange(h) * self.k
        cols = np.arange(w) * self.k
        return dLdZ[:, :, rows][:, :, :, cols]
''',
 ("nearest", "neighbour|copied|sum|factor|every", ("return dLdZ[:, :, rows][:, :, :, cols]", "P = np.pad(dLdZ, ((0, 0), (0, 0), (0, self.k - 1), (0, self.k - 1)))\n        return P.reshape(*P.shape[:2], h, self.k, w, self.k).sum(axis=(3, 5))")),
 ("offset", "shift|offset|position|off by one|stride|start", ("rows = np.arange(h) * self.k", "rows = np.arange(h) * self.k + (self.k // 2) * (np.arange(h) < h - 1)")),
)
hand("cmu mean", "cmu11785.mean_pool", '''
import numpy as np

class MeanPool2d:
    def __init__(self, kernel, stride):
        self.kernel = kernel
        self.stride = stride

    def forward(self, A):
        self.shape = A.shape
        v = np.lib.stride_tricks.sliding_window_view(A, (self.kernel, self.kernel), axis=(2, 3))
        return v[:, :, ::self.stride, ::self.stride].mean(axis=(4, 5))

    def backward(self, dLdZ):
        n, c, h, w = self.shape
        k, s = self.kernel, self.stride
        spread = np.zeros((n, c, h - k + 1, w - k + 1))
        spread[:, :, ::s, ::s] = dLdZ
        full = np.pad(spread, ((0, 0), (0, 0), (k - 1, k - 1), (k - 1, k - 1)))
        dA = np.lib.stride_tricks.sliding_window_view(full, (k, k), axis=(2, 3)).mean(axis=(4, 5))
        return dA
''',
 ("sum", "sum instead of mean|mean|count|factor", (".mean(axis=(4, 5))\n        return dA", ".sum(axis=(4, 5))\n        return dA")),
 ("one_axis", "axis|factor|count|max|sum", (".mean(axis=(4, 5))\n        return dA", ".mean(axis=5).max(axis=4)\n        return dA")),
 ("pad_valid", "", ("(k - 1, k - 1), (k - 1, k - 1)))", "(0, 2 * k - 2), (k - 1, k - 1)))")),
)
hand("cmu sigmoid", "cmu11785.sigmoid", '''
import numpy as np

class Sigmoid:
    def forward(self, Z):
        self.A = 0.5 * (1 + np.tanh(Z / 2))
        return self.A

    def backward(self, dLdA):
        return dLdA * self.A * (1 - self.A)
''',
 ("one_plus", "sign", ("(1 - self.A)", "(1 + self.A)")),
 ("tanh_like", "square|tanh|another function|power|factor", ("self.A * (1 - self.A)", "(1 - self.A ** 2)")),
 ("again", "twice|taken at the output|output|again|sigmoid", ("        return dLdA * self.A * (1 - self.A)", "        s = 1 / (1 + np.exp(-self.A))\n        return dLdA * s * (1 - s)")),
)
hand("mini conv", "minitorch.conv1d", '''
import numpy as np

def forward(input, weight):
    n, c, t = input.shape
    o, _, k = weight.shape
    late = np.concatenate([input, np.zeros((n, c, k - 1))], axis=2)
    out = np.zeros((n, o, t))
    for i in range(t):
        out[:, :, i] = np.tensordot(late[:, :, i:i + k], weight, axes=([1, 2], [1, 2]))
    return out, (late, weight, t)

def backward(dout, cache):
    late, weight, t = cache
    k = weight.shape[-1]
    early = np.concatenate([np.zeros(dout.shape[:2] + (k - 1,)), dout], axis=2)
    gi = np.stack([np.tensordot(early[:, :, i:i + k], weight[:, :, ::-1], axes=([1, 2], [0, 2])) for i in range(t)], axis=-1)
    gw = np.stack([np.einsum("not,nct->oc", dout, late[:, :, j:j + t]) for j in range(k)], axis=-1)
    return gi, gw
''',
 ("behind", "pad|one side|shift|rotated|anchor|behind", ("np.concatenate([np.zeros(dout.shape[:2] + (k - 1,)), dout], axis=2)", "np.concatenate([dout, np.zeros(dout.shape[:2] + (k - 1,))], axis=2)")),
 ("unturned", "rotated", ("weight[:, :, ::-1]", "weight")),
 ("wrap", "wrap|roll|circular|cyclic|pad", ("np.concatenate([np.zeros(dout.shape[:2] + (k - 1,)), dout], axis=2)", "np.concatenate([dout[:, :, t - k + 1:], dout], axis=2) if k > 1 and t >= k - 1 else np.concatenate([np.zeros(dout.shape[:2] + (k - 1,)), dout], axis=2)")),
)
hand("tiny avg", "tinytorch.avg_pool", '''
import numpy as np

def forward(x, kernel_size, stride):
    kh, kw = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
    stride = stride or kh
    n, c, h, w = x.shape
    oh, ow = (h - kh) // stride + 1, (w - kw) // stride + 1
    out = np.array([[x[:, :, i * stride:i * stride + kh, j * stride:j * stride + kw].mean((2, 3)) for j in range(ow)] for i in range(oh)])
    return out.transpose(2, 3, 0, 1), (x.shape, kh, kw, stride)

def backward(dout, cache):
    shape, kh, kw, stride = cache
    dx = np.zeros(shape)
    for (n, c, i, j), g in np.ndenumerate(dout):
        for a in range(i * stride, i * stride + kh):
            for b in range(j * stride, j * stride + kw):
                dx[n, c, a, b] += g / (kh * kw)
    return dx
''',
 ("kh_kh", "count|factor|another name|rows and columns", ("(kh * kw)", "(kh * kh)")),
 ("int_div", "whole|int|round|floor|another operator|division", ("g / (kh * kw)", "g // (kh * kw)")),
 ("stride_kw", "stride|tiles|position|another name", ("for b in range(j * stride, j * stride + kw):", "for b in range(j * kw, min(j * kw + kw, shape[3])):")),
 ("inner_break", "pass|break|loop|only|early", ("                dx[n, c, a, b] += g / (kh * kw)\n", "                dx[n, c, a, b] += g / (kh * kw)\n                break\n")),
)
