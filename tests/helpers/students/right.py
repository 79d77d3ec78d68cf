"""Right implementations, each written another way: loops, im2col, einsum, FFT, float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import autoconv as ac

Array = Any


def _views(x: Array, w: Array, p: Any) -> Array:
    s, pad = p["stride"], p["pad"]
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    return sliding_window_view(xp, w.shape[2:], axis=(2, 3))[:, :, ::s, ::s]


def conv_forward_einsum(x: Array, w: Array, b: Array, p: Any) -> Any:
    return np.einsum("ncijuv,fcuv->nfij", _views(x, w, p), w) + b[None, :, None, None], (x, w, b, p)


def conv_backward_einsum(dout: Array, cache: Any) -> Any:
    x, w, _, p = cache
    s, pad = p["stride"], p["pad"]
    dxp = np.zeros((*x.shape[:2], x.shape[2] + 2 * pad, x.shape[3] + 2 * pad))
    for u in range(w.shape[2]):
        for v in range(w.shape[3]):
            part = np.einsum("nfij,fc->ncij", dout, w[:, :, u, v])
            dxp[:, :, u : u + s * dout.shape[2] : s, v : v + s * dout.shape[3] : s] += part
    dw = np.einsum("nfij,ncijuv->fcuv", dout, _views(x, w, p))
    return dxp[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]], dw, dout.sum(axis=(0, 2, 3))


def conv_forward_columns(x: Array, w: Array, b: Array, p: Any) -> Any:
    views = _views(x, w, p).transpose(0, 2, 3, 1, 4, 5)
    n, oh, ow = views.shape[:3]
    columns = views.reshape(n * oh * ow, -1)
    out = (columns @ w.reshape(len(w), -1).T + b).reshape(n, oh, ow, -1).transpose(0, 3, 1, 2)
    return out, {"columns": columns, "x": x, "w": w, "p": p}


def conv_backward_columns(dout: Array, cache: Any) -> Any:
    columns, x, w, p = (cache[k] for k in ("columns", "x", "w", "p"))
    s, pad = p["stride"], p["pad"]
    n, c, h, v = x.shape
    d = dout.transpose(0, 2, 3, 1).reshape(-1, len(w))
    back = (d @ w.reshape(len(w), -1)).reshape(n, *dout.shape[2:], c, *w.shape[2:])
    dxp = np.zeros((n, c, h + 2 * pad, v + 2 * pad))
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            dxp[:, :, i * s : i * s + w.shape[2], j * s : j * s + w.shape[3]] += back[:, i, j]
    return dxp[:, :, pad : h + pad, pad : v + pad], (d.T @ columns).reshape(w.shape), d.sum(axis=0)


def conv_backward_fft(dout: Array, cache: Any) -> Any:
    x, w, _, p = cache
    s, pad = p["stride"], p["pad"]
    n, f, oh, ow = dout.shape
    size = (x.shape[2] + 2 * pad, x.shape[3] + 2 * pad)
    spread = np.zeros((n, f, *size))
    spread[:, :, : s * oh : s, : s * ow : s] = dout
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    fd, fw, fx = np.fft.rfft2(spread), np.fft.rfft2(w, size), np.fft.rfft2(xp)
    dx = np.fft.irfft2(np.einsum("nfab,fcab->ncab", fd, fw), size)
    dw = np.fft.irfft2(np.einsum("nfab,ncab->fcab", fd.conj(), fx), size)[:, :, : w.shape[2], : w.shape[3]]
    return {"dx": dx[:, :, pad : size[0] - pad, pad : size[1] - pad], "dw": dw, "db": np.einsum("nfij->f", dout)}


def conv_backward_narrow(dout: Array, cache: Any) -> Any:
    return [g.astype(np.float32) for g in conv_backward_einsum(dout, cache)]


def _pool_views(x: Array, p: Any) -> Array:
    s = p["stride"]
    return sliding_window_view(x, (p["pool_height"], p["pool_width"]), axis=(2, 3))[:, :, ::s, ::s]


def max_pool_forward(x: Array, p: Any) -> Any:
    return _pool_views(x, p).max(axis=(4, 5)), (x, p)


def _put(x: Array, p: Any, weights: Array) -> Array:
    dx, s = np.zeros_like(x), p["stride"]
    for i in range(weights.shape[2]):
        for j in range(weights.shape[3]):
            cells = dx[:, :, i * s : i * s + p["pool_height"], j * s : j * s + p["pool_width"]]
            cells += weights[:, :, i, j]
    return dx


def max_pool_backward_first(dout: Array, cache: Any) -> Array:
    x, p = cache
    views = _pool_views(x, p)
    flat = views.reshape(*views.shape[:4], -1)
    won = np.eye(flat.shape[-1])[flat.argmax(-1)].reshape(views.shape)
    return _put(x, p, won * dout[..., None, None])


def max_pool_backward_last(dout: Array, cache: Any) -> Array:
    x, p = cache
    views = _pool_views(x, p)
    flat = views.reshape(*views.shape[:4], -1)[..., ::-1]
    won = np.eye(flat.shape[-1])[flat.argmax(-1)][..., ::-1].reshape(views.shape)
    return _put(x, p, won * dout[..., None, None])


def max_pool_backward_split(dout: Array, cache: Any) -> Array:
    x, p = cache
    views = _pool_views(x, p)
    tied = views == views.max(axis=(4, 5), keepdims=True)
    return _put(x, p, tied / tied.sum(axis=(4, 5), keepdims=True) * dout[..., None, None])


def norm_forward(axis: int, eps: float = 1e-5) -> Any:
    def forward(x: Array, gamma: Array, beta: Array, _: Any) -> Any:
        mean, var = x.mean(axis=axis, keepdims=True), x.var(axis=axis, keepdims=True)
        hat = (x - mean) / np.sqrt(var + eps)
        return gamma * hat + beta, (hat, gamma, np.sqrt(var + eps), axis)

    return forward


def norm_backward(dout: Array, cache: Any) -> Any:
    hat, gamma, std, axis = cache
    d = dout * gamma
    n = d.shape[axis]
    dx = (n * d - d.sum(axis=axis, keepdims=True) - hat * (d * hat).sum(axis=axis, keepdims=True)) / (n * std)
    return dx, (dout * hat).sum(axis=0), dout.sum(axis=0)


def spatial_forward(x: Array, gamma: Array, beta: Array, p: Any) -> Any:
    n, c, h, w = x.shape
    out, cache = norm_forward(0)(x.transpose(0, 2, 3, 1).reshape(-1, c), gamma, beta, p)
    return out.reshape(n, h, w, c).transpose(0, 3, 1, 2), cache


def spatial_backward(dout: Array, cache: Any) -> Any:
    n, c, h, w = dout.shape
    dx, dgamma, dbeta = norm_backward(dout.transpose(0, 2, 3, 1).reshape(-1, c), cache)
    return dx.reshape(n, h, w, c).transpose(0, 3, 1, 2), dgamma, dbeta


def group_forward(x: Array, gamma: Array, beta: Array, groups: int, _: Any) -> Any:
    rows = x.reshape(len(x) * groups, -1)
    mean, std = rows.mean(axis=1, keepdims=True), np.sqrt(rows.var(axis=1, keepdims=True) + 1e-5)
    hat = ((rows - mean) / std).reshape(x.shape)
    return hat * gamma + beta, (hat, gamma, std, groups)


def group_backward(dout: Array, cache: Any) -> Any:
    hat, gamma, std, groups = cache
    d, h = ((a).reshape(len(hat) * groups, -1) for a in (dout * gamma, hat))
    dx = (d - d.mean(axis=1, keepdims=True) - h * (d * h).mean(axis=1, keepdims=True)) / std
    over = {"axis": (0, 2, 3), "keepdims": True}
    return dx.reshape(hat.shape), (dout * hat).sum(**over), dout.sum(**over)


def affine_forward(x: Array, w: Array, b: Array) -> Any:
    return x.reshape(len(x), -1).dot(w) + b, (x, w, b)


def affine_backward(dout: Array, cache: Any) -> Any:
    x, w, _ = cache
    return dout.dot(w.T).reshape(x.shape), x.reshape(len(x), -1).T.dot(dout), np.ones(len(x)).dot(dout)


def softmax_loss(x: Array, y: Array) -> Any:
    log = x - x.max(axis=1, keepdims=True)
    log = log - np.log(np.exp(log).sum(axis=1, keepdims=True))
    d = np.exp(log)
    d[np.arange(len(x)), y] -= 1
    return -log[np.arange(len(x)), y].mean(), d / len(x)


def svm_loss(x: Array, y: Array) -> Any:
    rows = np.arange(len(x))
    margins = np.maximum(0, x - x[rows, y][:, None] + 1)
    margins[rows, y] = 0
    d = (margins > 0).astype(float)
    d[rows, y] -= d.sum(axis=1)
    return margins.sum() / len(x), d / len(x)


def dropout_forward(x: Array, p: Any) -> Any:
    if p["mode"] == "test":
        return x, (p, None)
    np.random.seed(p["seed"])
    mask = (np.random.rand(*x.shape) < p["p"]) / p["p"]
    return x * mask, (p, mask)


def dropout_backward(dout: Array, cache: Any) -> Array:
    p, mask = cache
    return dout if p["mode"] == "test" else dout * mask


def relu_forward(x: Array) -> Any:
    return np.maximum(x, 0), x


def relu_backward_at_zero(dout: Array, cache: Any) -> Array:
    return dout * (cache >= 0)


RIGHT = [
    ("cs231n.conv", conv_forward_einsum, conv_backward_einsum),
    ("cs231n.conv", conv_forward_columns, conv_backward_columns),
    ("cs231n.conv", conv_forward_einsum, conv_backward_fft),
    ("cs231n.conv", conv_forward_einsum, conv_backward_narrow),
    ("cs231n.conv", None, conv_backward_einsum),
    ("cs231n.max_pool", max_pool_forward, max_pool_backward_first),
    ("cs231n.max_pool", max_pool_forward, max_pool_backward_last),
    ("cs231n.max_pool", max_pool_forward, max_pool_backward_split),
    ("cs231n.batchnorm", norm_forward(0), norm_backward),
    ("cs231n.batchnorm_alt", norm_forward(0), norm_backward),
    ("cs231n.batchnorm", norm_forward(0, 1e-8), norm_backward),
    ("cs231n.batchnorm", norm_forward(0, 3e-6), norm_backward),
    ("cs231n.layernorm", norm_forward(1), norm_backward),
    ("cs231n.spatial_batchnorm", spatial_forward, spatial_backward),
    ("cs231n.spatial_groupnorm", group_forward, group_backward),
    ("cs231n.affine", affine_forward, affine_backward),
    ("cs231n.affine", None, affine_backward),
    ("cs231n.softmax_loss", None, softmax_loss),
    ("cs231n.svm_loss", None, svm_loss),
    ("cs231n.dropout", dropout_forward, dropout_backward),
    ("cs231n.relu", relu_forward, relu_backward_at_zero),
]


# ---- the same layers in other layouts, and layers that no course lists, as functions of Tensors


def _nhwc(forward: Any, backward: Any) -> Any:
    """deeplearning.ai's conv from a pair in channels first."""

    def ahead(a: Array, w: Array, b: Array, h: Any) -> Any:
        out, cache = forward(a.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1), b.ravel(), h)
        return out.transpose(0, 2, 3, 1), (cache, b)

    def back(dz: Array, cache: Any) -> Any:
        made = backward(dz.transpose(0, 3, 1, 2), cache[0])
        dx, dw, db = made.values() if isinstance(made, dict) else made
        return dx.transpose(0, 2, 3, 1), dw.transpose(2, 3, 1, 0), db.reshape(cache[1].shape)

    return ahead, back


def transposed_backward(dout: Array, cache: Any) -> Any:
    """The adjoint of a convolution is its forward: dx = conv(dout, w), and dw is that convolution's with x above."""
    x, w, _ = cache
    p = {"stride": 2, "pad": 1}
    _, dw, _ = conv_backward_einsum(x, (dout, w, None, p))
    return conv_forward_einsum(dout, w, np.zeros(len(w)), p)[0], dw, np.einsum("nfij->f", dout)


def transposed_forward(x: Array, w: Array, b: Array) -> Any:
    n, _, h, v = x.shape
    size = (n, w.shape[1], 2 * (h - 1) + w.shape[2] - 2, 2 * (v - 1) + w.shape[3] - 2)
    made, _, _ = conv_backward_einsum(x, (np.zeros(size), w, None, {"stride": 2, "pad": 1}))
    return made + b[:, None, None], (x, w, b)


def softmax_backward(dout: Array, y: Array) -> Array:
    return np.einsum("ni,nij->nj", dout, np.einsum("ni,ij->nij", y, np.eye(y.shape[1])) - np.einsum("ni,nj->nij", y, y))


def softmax_forward(x: Array) -> Any:
    y = np.exp(x - np.logaddexp.reduce(x, axis=1, keepdims=True))
    return y, y


def last_forward(x: Array, gamma: Array, beta: Array) -> Any:
    out, cache = norm_forward(0)(x.reshape(-1, x.shape[-1]), gamma, beta, None)
    return out.reshape(x.shape), (cache, x.shape)


def last_backward(dout: Array, cache: Any) -> Any:
    dx, dgamma, dbeta = norm_backward(dout.reshape(-1, dout.shape[-1]), cache[0])
    return dx.reshape(cache[1]), dgamma, dbeta


FUNCTIONS = [
    ("deeplearning.conv", *_nhwc(conv_forward_einsum, conv_backward_einsum)),
    ("deeplearning.conv", *_nhwc(conv_forward_columns, conv_backward_columns)),
    ("deeplearning.conv", *_nhwc(conv_forward_einsum, conv_backward_fft)),
    (lambda x, w, b: ac.conv_transpose2d(x, w, b, stride=2, padding=1, layout="NCHW"), transposed_forward,
     transposed_backward),
    (lambda x: ac.softmax(x, axis=1), softmax_forward, softmax_backward),
    (lambda x, gamma, beta: ac.batch_norm(x, gamma, beta, layout="NHWC"), last_forward, last_backward),
    (ac.conv2d, lambda x, w, b: _nhwc(conv_forward_einsum, None)[0](x, w, b, {"stride": 1, "pad": 0}),
     _nhwc(None, conv_backward_einsum)[1]),
]  # fmt: skip
