"""Images by hands of their own: convolution by loops, taps, columns, windows and fft; pooling; stacks of layers."""
# ruff: noqa: E501 (sources as they were written)

from helpers.students.unseen.hands import student

# fmt: off
student("conv_naive", "cs231n.conv", '''
import numpy as np

def conv_forward_naive(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    Ho = 1 + (H + 2 * pad - HH) // stride
    Wo = 1 + (W + 2 * pad - WW) // stride
    out = np.zeros((N, F, Ho, Wo))
    for n in range(N):
        for f in range(F):
            for i in range(Ho):
                for j in range(Wo):
                    patch = xp[n, :, i * stride:i * stride + HH, j * stride:j * stride + WW]
                    out[n, f, i, j] = np.sum(patch * w[f]) + b[f]
    return out, (x, w, b, conv_param)

def conv_backward_naive(dout, cache):
    x, w, b, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    _, _, Ho, Wo = dout.shape
    xp = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), np.zeros_like(b)
    for n in range(N):
        for f in range(F):
            for i in range(Ho):
                for j in range(Wo):
                    g = dout[n, f, i, j]
                    top, left = i * stride, j * stride
                    db[f] += g
                    dw[f] += xp[n, :, top:top + HH, left:left + WW] * g
                    dxp[n, :, top:top + HH, left:left + WW] += w[f] * g
    dx = dxp[:, :, pad:pad + H, pad:pad + W]
    return dx, dw, db
''',
 ("reset_in_n", "overwritten|batch|loop left|only one|made anew", ("    for n in range(N):\n        for f in range(F):\n            for i in range(Ho):\n                for j in range(Wo):\n                    g =", "    for n in range(N):\n        dw = np.zeros_like(w)\n        for f in range(F):\n            for i in range(Ho):\n                for j in range(Wo):\n                    g =")),
 ("x_unpadded", "pad", ("    xp = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])\n", "    xp = np.pad(x, [(0, 0), (0, 0), (0, 2 * pad), (0, 2 * pad)])\n")),
 ("crop_left", "crop|pad", ("dxp[:, :, pad:pad + H, pad:pad + W]", "dxp[:, :, :H, pad:pad + W]")),
 ("crop_minus", "", ("dxp[:, :, pad:pad + H, pad:pad + W]", "dxp[:, :, pad:-pad, pad:-pad] if pad > 1 else dxp[:, :, :H, :W]")),
 ("range_minus", "pass of a loop", ("            for i in range(Ho):\n                for j in range(Wo):\n                    g =", "            for i in range(Ho - 1):\n                for j in range(Wo):\n                    g =")),
 ("db_outside", "bias|position|indent", ("                    db[f] += g\n", ""), ("    dx = dxp", "            db[f] += g\n    dx = dxp")),
 ("left_nostride", "stride|tiles", ("top, left = i * stride, j * stride", "top, left = i * stride, j")),
 ("w_flip", "rotated", ("+= w[f] * g", "+= w[f][:, ::-1, ::-1] * g")),
 ("swapped_ij", "rows and columns|raises", ("top, left = i * stride, j * stride", "top, left = j * stride, i * stride")),
 ("two", "upstream|bias|overwritten", ("db[f] += g", "db[f] = g"), ("+= w[f] * g", "+= w[f]")),
)
student("conv_taps", "cs231n.conv", '''
import numpy as np

def conv_forward_naive(x, w, b, conv_param):
    s = conv_param.get("stride", 1)
    p = conv_param.get("pad", 0)
    n_filters, n_channels, kh, kw = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    oh = (padded.shape[2] - kh) // s + 1
    ow = (padded.shape[3] - kw) // s + 1
    out = np.zeros((x.shape[0], n_filters, oh, ow)) + b.reshape(1, -1, 1, 1)
    for u in range(kh):
        for v in range(kw):
            piece = padded[:, :, u:u + s * oh:s, v:v + s * ow:s]
            out += np.tensordot(piece, w[:, :, u, v], axes=(1, 1)).transpose(0, 3, 1, 2)
    return out, (padded, w, s, p)

def conv_backward_naive(dout, cache):
    padded, w, s, p = cache
    n_filters, n_channels, kh, kw = w.shape
    oh, ow = dout.shape[-2:]
    db = dout.sum(axis=(0, 2, 3))
    dw = np.empty_like(w)
    dpadded = np.zeros_like(padded)
    for u in range(kh):
        for v in range(kw):
            piece = padded[:, :, u:u + s * oh:s, v:v + s * ow:s]
            dw[:, :, u, v] = np.tensordot(dout, piece, axes=((0, 2, 3), (0, 2, 3)))
            dpadded[:, :, u:u + s * oh:s, v:v + s * ow:s] += np.tensordot(dout, w[:, :, u, v], axes=(1, 0)).transpose(0, 3, 1, 2)
    dx = dpadded[:, :, p:dpadded.shape[2] - p, p:dpadded.shape[3] - p]
    return dx, dw, db
''',
 ("assign", "overwritten", ("u:u + s * oh:s, v:v + s * ow:s] += np.tensordot(dout, w", "u:u + s * oh:s, v:v + s * ow:s] = np.tensordot(dout, w")),
 ("uv", "transposed|rows and columns|reversed", ("dw[:, :, u, v] = np.tensordot(dout, piece, axes=((0, 2, 3), (0, 2, 3)))", "dw[:, :, kh - 1 - u, v] = np.tensordot(dout, piece, axes=((0, 2, 3), (0, 2, 3)))")),
 ("mean_db", "mean|count", ("db = dout.sum(axis=(0, 2, 3))", "db = dout.sum(axis=(2, 3)).mean(axis=0)")),
 ("nocrop", "cropped", ("dx = dpadded[:, :, p:dpadded.shape[2] - p, p:dpadded.shape[3] - p]", "dx = dpadded[:, :, :dpadded.shape[2] - 2 * p, :dpadded.shape[3] - 2 * p]")),
)
student("conv_im2col", "cs231n.conv", '''
import numpy as np

def get_indices(x_shape, field_height, field_width, padding, stride):
    N, C, H, W = x_shape
    out_height = (H + 2 * padding - field_height) // stride + 1
    out_width = (W + 2 * padding - field_width) // stride + 1
    i0 = np.tile(np.repeat(np.arange(field_height), field_width), C)
    i1 = stride * np.repeat(np.arange(out_height), out_width)
    j0 = np.tile(np.arange(field_width), field_height * C)
    j1 = stride * np.tile(np.arange(out_width), out_height)
    i = i0.reshape(-1, 1) + i1.reshape(1, -1)
    j = j0.reshape(-1, 1) + j1.reshape(1, -1)
    k = np.repeat(np.arange(C), field_height * field_width).reshape(-1, 1)
    return k, i, j

def im2col(x, fh, fw, padding, stride):
    x_padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    k, i, j = get_indices(x.shape, fh, fw, padding, stride)
    cols = x_padded[:, k, i, j]
    return cols.transpose(1, 2, 0).reshape(fh * fw * x.shape[1], -1)

def col2im(cols, x_shape, fh, fw, padding, stride):
    N, C, H, W = x_shape
    x_padded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype=cols.dtype)
    k, i, j = get_indices(x_shape, fh, fw, padding, stride)
    cols = cols.reshape(C * fh * fw, -1, N).transpose(2, 0, 1)
    np.add.at(x_padded, (slice(None), k, i, j), cols)
    return x_padded[:, :, padding:H + padding, padding:W + padding]

def conv_forward_naive(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    F, C, fh, fw = w.shape
    N, _, H, W = x.shape
    cols = im2col(x, fh, fw, pad, stride)
    res = w.reshape(F, -1) @ cols + b.reshape(-1, 1)
    Ho, Wo = (H + 2 * pad - fh) // stride + 1, (W + 2 * pad - fw) // stride + 1
    out = res.reshape(F, Ho, Wo, N).transpose(3, 0, 1, 2)
    return out, (x, w, b, conv_param, cols)

def conv_backward_naive(dout, cache):
    x, w, b, conv_param, cols = cache
    F, C, fh, fw = w.shape
    db = np.sum(dout, axis=(0, 2, 3))
    dflat = dout.transpose(1, 2, 3, 0).reshape(F, -1)
    dw = (dflat @ cols.T).reshape(w.shape)
    dcols = w.reshape(F, -1).T @ dflat
    dx = col2im(dcols, x.shape, fh, fw, conv_param["pad"], conv_param["stride"])
    return dx, dw, db
''',
 ("wrong_transpose", "order|flatten", ("dout.transpose(1, 2, 3, 0).reshape(F, -1)", "dout.transpose(1, 0, 2, 3).reshape(F, -1)")),
 ("plain_reshape", "order|flatten", ("dout.transpose(1, 2, 3, 0).reshape(F, -1)", "dout.reshape(F, -1)")),
 ("fancy_add", "overwritten|repeated index", ("np.add.at(x_padded, (slice(None), k, i, j), cols)", "x_padded[:, k, i, j] += cols")),
 ("col_reshape", "order|flatten", ("cols.reshape(C * fh * fw, -1, N).transpose(2, 0, 1)", "cols.reshape(C * fh * fw, N, -1).transpose(1, 0, 2)")),
 ("noflat_w", "order|transpos|flatten", ("w.reshape(F, -1).T @ dflat", "w.reshape(-1, F) @ dflat")),
 ("pad_crop", "crop|pad", ("x_padded[:, :, padding:H + padding, padding:W + padding]", "x_padded[:, :, padding:H + padding, :W]")),
)
student("conv_windows", "cs231n.conv", '''
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

def conv_forward_naive(x, w, b, conv_param):
    p, s = conv_param["pad"], conv_param["stride"]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    win = sliding_window_view(xp, w.shape[2:], axis=(2, 3))[:, :, ::s, ::s]
    out = np.einsum("nchwij,fcij->nfhw", win, w) + b[:, None, None]
    return out, (x, w, b, conv_param)

def conv_backward_naive(dout, cache):
    x, w, b, conv_param = cache
    p, s = conv_param["pad"], conv_param["stride"]
    N, C, H, W = x.shape
    F, _, kh, kw = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    win = sliding_window_view(xp, (kh, kw), axis=(2, 3))[:, :, ::s, ::s]
    dw = np.einsum("nfhw,nchwij->fcij", dout, win)
    db = np.einsum("nfhw->f", dout)
    big = np.zeros((N, F, H + 2 * p - kh + 1, W + 2 * p - kw + 1))
    big[:, :, ::s, ::s] = dout
    big = np.pad(big, ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)))
    dwin = sliding_window_view(big, (kh, kw), axis=(2, 3))
    dxp = np.einsum("nfhwij,fcij->nchw", dwin, w[:, :, ::-1, ::-1])
    dx = dxp[:, :, p:p + H, p:p + W]
    return dx, dw, db
''',
 ("norot", "not rotated", ("w[:, :, ::-1, ::-1])", "w)")),
 ("rot_one", "not rotated|rotated", ("w[:, :, ::-1, ::-1])", "w[:, :, :, ::-1])")),
 ("nodil", "dilated|stride", ("    big[:, :, ::s, ::s] = dout", "    big[:, :, :dout.shape[2], :dout.shape[3]] = dout")),
 ("win_nostride", "stride", ("axis=(2, 3))[:, :, ::s, ::s]\n    dw", "axis=(2, 3))[:, :, :dout.shape[2], :dout.shape[3]]\n    dw")),
 ("pad_after", "one side|pad", ("(kh - 1, kh - 1), (kw - 1, kw - 1)", "(0, 2 * kh - 2), (0, 2 * kw - 2)")),
 ("channels_reversed", "", ("w[:, :, ::-1, ::-1])", "w[:, ::-1, ::-1, ::-1])")),
)
student("conv_fft", "cs231n.conv", '''
import numpy as np

def _corr(a, k):
    size = (a.shape[-2], a.shape[-1])
    fa = np.fft.rfft2(a, s=size)
    fk = np.fft.rfft2(k, s=size)
    full = np.fft.irfft2(fa * np.conj(fk), s=size)
    return full[..., : a.shape[-2] - k.shape[-2] + 1, : a.shape[-1] - k.shape[-1] + 1]

def conv_forward_naive(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    out = _corr(xp[:, None], w[None]).sum(axis=2)[:, :, ::s, ::s]
    return out + b.reshape(1, -1, 1, 1), (x, w, b, conv_param)

def conv_backward_naive(dout, cache):
    x, w, b, conv_param = cache
    s, p = conv_param["stride"], conv_param["pad"]
    kh, kw = w.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    H, W = xp.shape[2:]
    up = np.zeros(dout.shape[:2] + (H - kh + 1, W - kw + 1))
    up[:, :, ::s, ::s] = dout
    dw = _corr(xp[:, None], up[:, :, None]).sum(axis=0)
    fu = np.fft.rfft2(up[:, :, None], s=(H, W))
    fw = np.fft.rfft2(w[None], s=(H, W))
    dxp = np.fft.irfft2(fu * fw, s=(H, W)).sum(axis=1)
    dx = dxp[:, :, p:H - p, p:W - p]
    db = up.sum(axis=(0, 2, 3))
    return dx, dw, db
''',
 ("conj", "rotated", ("np.fft.irfft2(fu * fw", "np.fft.irfft2(fu * np.conj(fw)")),
 ("sum_filters", "", ("dw = _corr(xp[:, None], up[:, :, None]).sum(axis=0)", "dw = _corr(xp[:, None], up[:, :, None]).mean(axis=0)")),
)
student("pool_argmax", "cs231n.max_pool", '''
import numpy as np

def max_pool_forward_naive(x, pool_param):
    ph, pw, st = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C, H, W = x.shape
    oh, ow = (H - ph) // st + 1, (W - pw) // st + 1
    out = np.zeros((N, C, oh, ow))
    for r in range(oh):
        for c in range(ow):
            out[:, :, r, c] = x[:, :, r * st:r * st + ph, c * st:c * st + pw].max(axis=(2, 3))
    return out, (x, pool_param)

def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    ph, pw, st = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C, oh, ow = dout.shape
    dx = np.zeros(x.shape)
    for n in range(N):
        for ch in range(C):
            for r in range(oh):
                for c in range(ow):
                    window = x[n, ch, r * st:r * st + ph, c * st:c * st + pw]
                    a, b = np.unravel_index(np.argmax(window), window.shape)
                    dx[n, ch, r * st + a, c * st + b] += dout[n, ch, r, c]
    return dx
''',
 ("assign", "overwritten", ("+= dout[n, ch, r, c]", "= dout[n, ch, r, c]")),
 ("no_offset", "position of the window", ("r * st + a, c * st + b", "a, b")),
 ("pos_swap", "wrong cell|rows and columns|transposed", ("a, b = np.unravel_index(np.argmax(window), window.shape)", "b, a = np.unravel_index(np.argmax(window), window.shape[::-1])")),
 ("argmin", "wrong cell", ("np.argmax(window)", "np.argmin(window)")),
 ("times_max", "value instead of its mask", ("+= dout[n, ch, r, c]", "+= dout[n, ch, r, c] * window[a, b]")),
 ("stride_ph", "tiles|stride|position", ("r * st + a, c * st + b", "r * ph + a if r * ph + a < x.shape[2] else 0, c * st + b")),
 ("absmax", "wrong cell|function", ("np.argmax(window)", "np.argmax(np.abs(window))")),
)
student("pool_mask", "cs231n.max_pool", '''
import numpy as np

def max_pool_forward_naive(x, pool_param):
    HP, WP, S = (pool_param[k] for k in ("pool_height", "pool_width", "stride"))
    N, C, H, W = x.shape
    s0, s1, s2, s3 = x.strides
    H2, W2 = 1 + (H - HP) // S, 1 + (W - WP) // S
    tiles = np.lib.stride_tricks.as_strided(x, (N, C, H2, W2, HP, WP), (s0, s1, s2 * S, s3 * S, s2, s3))
    flat = tiles.reshape(N, C, H2, W2, HP * WP)
    winners = flat.argmax(axis=-1)
    return flat.max(axis=-1), (x.shape, winners, pool_param)

def max_pool_backward_naive(dout, cache):
    shape, winners, pool_param = cache
    HP, WP, S = (pool_param[k] for k in ("pool_height", "pool_width", "stride"))
    dx = np.zeros(shape)
    n, c, i, j = np.indices(dout.shape)
    rows = i * S + winners // WP
    cols = j * S + winners % WP
    np.add.at(dx, (n, c, rows, cols), dout)
    return dx
''',
 ("plus_equal", "repeated index|overwritten", ("np.add.at(dx, (n, c, rows, cols), dout)", "dx[n, c, rows, cols] += dout")),
 ("divmod_hp", "wrong cell|rows and columns|exchanged", ("rows = i * S + winners // WP", "rows = i * S + winners % HP")),
 ("no_s", "stride|position", ("cols = j * S + winners % WP", "cols = j + winners % WP")),
)
student("pool_ties", "cs231n.max_pool", '''
import numpy as np

def max_pool_forward_naive(x, pool_param):
    h, w, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    view = np.lib.stride_tricks.sliding_window_view(x, (h, w), axis=(2, 3))[:, :, ::s, ::s]
    return view.max(axis=(-2, -1)), (x, pool_param)

def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    h, w, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros_like(x)
    Ho, Wo = dout.shape[2:]
    for i in range(Ho):
        for j in range(Wo):
            block = x[:, :, i*s:i*s+h, j*s:j*s+w]
            flat = block.reshape(*block.shape[:2], -1)
            onehot = np.zeros_like(flat)
            np.put_along_axis(onehot, flat.argmax(-1)[..., None], 1, axis=-1)
            dx[:, :, i*s:i*s+h, j*s:j*s+w] += onehot.reshape(block.shape) * dout[:, :, i, j][:, :, None, None]
    return dx
''',
 ("global_max", "", ("            onehot = np.zeros_like(flat)\n            np.put_along_axis(onehot, flat.argmax(-1)[..., None], 1, axis=-1)", "            onehot = (flat == flat.max()).astype(float)")),
 ("even", "evenly", ("            np.put_along_axis(onehot, flat.argmax(-1)[..., None], 1, axis=-1)", "            onehot[:] = 1 / (h * w)")),
 ("every", "copied", ("            np.put_along_axis(onehot, flat.argmax(-1)[..., None], 1, axis=-1)", "            onehot += 1")),
 ("dout_first", "index left|first|another index", ("dout[:, :, i, j][:, :, None, None]", "dout[:, :, 0, j][:, :, None, None]")),
)
student("conv_relu", "cs231n.conv_relu", '''
import numpy as np

def _windows(x, kh, kw, s):
    n, c, h, w = x.shape
    oh, ow = (h - kh) // s + 1, (w - kw) // s + 1
    a, b, d, e = x.strides
    return np.lib.stride_tricks.as_strided(x, (n, oh, ow, c, kh, kw), (a, d * s, e * s, b, d, e))

def conv_relu_forward(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    xp = np.ascontiguousarray(np.pad(x, ((0, 0), (0, 0), (p, p), (p, p))))
    z = np.tensordot(_windows(xp, *w.shape[2:], s), w, axes=([3, 4, 5], [1, 2, 3])) + b
    z = z.transpose(0, 3, 1, 2)
    return np.maximum(z, 0), (xp, w, z, s, p)

def conv_relu_backward(dout, cache):
    xp, w, z, s, p = cache
    dz = dout * (z > 0)
    db = dz.sum((0, 2, 3))
    dw = np.tensordot(dz, _windows(xp, *w.shape[2:], s), axes=([0, 2, 3], [0, 1, 2]))
    dxp = np.zeros(xp.shape)
    for i, j in np.ndindex(*dz.shape[2:]):
        dxp[:, :, i * s:i * s + w.shape[2], j * s:j * s + w.shape[3]] += np.tensordot(dz[:, :, i, j], w, 1)
    hi, wi = xp.shape[2] - p, xp.shape[3] - p
    return dxp[:, :, p:hi, p:wi], dw, db
''',
 ("db_dout", "mask missing", ("db = dz.sum((0, 2, 3))", "db = dout.sum((0, 2, 3))")),
 ("dw_dout", "mask missing", ("np.tensordot(dz, _windows", "np.tensordot(dout, _windows")),
 ("mask_dz", "relu applied to the gradient", ("dz = dout * (z > 0)", "dz = dout * (dout > 0)")),
 ("maskless", "mask missing|forgotten", ("dz = dout * (z > 0)", "dz = dout")),
)
student("conv_relu_pool", "cs231n.conv_relu_pool", '''
import numpy as np

def conv_relu_pool_forward(x, w, b, conv_param, pool_param):
    layers = {}
    s, p = conv_param["stride"], conv_param["pad"]
    layers["x"] = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    v = np.lib.stride_tricks.sliding_window_view(layers["x"], w.shape[2:], axis=(2, 3))[:, :, ::s, ::s]
    layers["z"] = np.einsum("nchwij,fcij->nfhw", v, w) + b[:, None, None]
    layers["a"] = np.maximum(layers["z"], 0)
    h2, w2, t = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    q = np.lib.stride_tricks.sliding_window_view(layers["a"], (h2, w2), axis=(2, 3))[:, :, ::t, ::t]
    layers["w"], layers["conv"], layers["pool"] = w, (s, p), (h2, w2, t)
    return q.max(axis=(4, 5)), layers

def conv_relu_pool_backward(dout, layers):
    h2, w2, t = layers["pool"]
    s, p = layers["conv"]
    w = layers["w"]
    da = np.zeros_like(layers["a"])
    for n, f, i, j in np.ndindex(dout.shape):
        window = layers["a"][n, f, i * t:i * t + h2, j * t:j * t + w2]
        k = window.argmax()
        da[n, f, i * t + k // w2, j * t + k % w2] += dout[n, f, i, j]
    dz = da * (layers["z"] > 0)
    dxp = np.zeros_like(layers["x"])
    dw = np.zeros_like(w)
    for i in range(dz.shape[2]):
        for j in range(dz.shape[3]):
            sl = np.s_[:, :, i * s:i * s + w.shape[2], j * s:j * s + w.shape[3]]
            dw += np.einsum("nf,ncij->fcij", dz[:, :, i, j], layers["x"][sl])
            dxp[sl] += np.einsum("nf,fcij->ncij", dz[:, :, i, j], w)
    db = dz.sum(axis=(0, 2, 3))
    H, W = dxp.shape[2:]
    return dxp[:, :, p:H - p, p:W - p], dw, db
''',
 ("relu_missing", "mask missing", ("dz = da * (layers[\"z\"] > 0)", "dz = da")),
 ("pool_assign", "overwritten", ("+= dout[n, f, i, j]", "= dout[n, f, i, j]")),
 ("relu_of_da", "relu applied to the gradient", ("(layers[\"z\"] > 0)", "(da > 0)")),
 ("k_mod", "wrong cell|rows and columns", ("i * t + k // w2, j * t + k % w2", "i * t + k % h2, j * t + k // h2")),
)
# fmt: on
