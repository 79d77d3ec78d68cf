"""Slips of which real solutions have the like: in views, in reshapes, at an eps, where an error hides the numbers.

The functions are written anew; what is taken from elsewhere is how people write them.
"""
# ruff: noqa: E501 (sources as they were written)

from helpers.students.unseen.hands import Student, student

PUBLIC: list[Student] = []  # the wrong ones have no words: told by the line alone
# fmt: off
student("conv by views", "cs231n.conv", '''
import numpy as np

def conv_forward_naive(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, kh, kw = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows, cols = 1 + (H + 2 * pad - kh) // stride, 1 + (W + 2 * pad - kw) // stride
    out = np.zeros((N, F, rows, cols))
    for n in range(N):
        for f in range(F):
            for r in range(rows):
                for c in range(cols):
                    top, left = r * stride, c * stride
                    out[n, f, r, c] = np.sum(padded[n, :, top:top + kh, left:left + kw] * w[f]) + b[f]
    return out, (x, w, b, conv_param)

def conv_backward_naive(dout, cache):
    x, w, b, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, kh, kw = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for n in range(N):
        picture = padded[n]
        dpicture = dpadded[n]
        for f in range(F):
            kernel = w[f]
            dkernel = dw[f]
            for r in range(dout.shape[2]):
                for c in range(dout.shape[3]):
                    top = r * stride
                    left = c * stride
                    seen = picture[:, top:top + kh, left:left + kw]
                    dseen = dpicture[:, top:top + kh, left:left + kw]
                    dkernel += seen * dout[n, f, r, c]
                    dseen += kernel * dout[n, f, r, c]
    dx = dpadded[:, :, pad:pad + H, pad:pad + W]
    db = dout.sum(axis=(0, 2, 3))
    return dx, dw, db
''',
 ("not in place", "", ("dseen += kernel", "dseen = kernel")),
 ("kernel not in place", "", ("dkernel += seen", "dkernel = seen")),
 ("view of the image", "", ("dseen = dpicture[:", "dseen = picture[:")),
 ("indices exchanged", "", ("dseen += kernel * dout[n, f, r, c]", "dseen += kernel * dout[n, f, c, r]")),
 ("no step", "", ("left = c * stride", "left = c")),
 ("one further", "", ("seen = picture[:, top:top + kh, left:left + kw]", "seen = picture[:, top:top + kh, left + 1:left + kw + 1]")), to=PUBLIC)
student("norm by rows", "cs231n.spatial_groupnorm", '''
import numpy as np

def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    eps = gn_param.get("eps", 1e-5)
    N, C, H, W = x.shape
    columns = x.reshape(N * G, -1).T
    mean, var = columns.mean(axis=0), columns.var(axis=0)
    hat = ((columns - mean) / np.sqrt(var + eps)).T.reshape(x.shape)
    return gamma * hat + beta, (hat, gamma, var, eps, G)

def spatial_groupnorm_backward(dout, cache):
    hat, gamma, var, eps, G = cache
    N, C, H, W = dout.shape
    dgamma = np.sum(dout * hat, axis=(0, 2, 3), keepdims=True)
    dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
    dout = (gamma * dout).reshape(N * G, -1)
    dhat = dout.T
    hat = hat.reshape(N * G, -1).T
    M = hat.shape[0]
    dcolumns = (dhat - dhat.sum(axis=0) / M - hat * (dhat * hat).sum(axis=0) / M) / np.sqrt(var + eps)
    dx = dcolumns.T.reshape(N, C, H, W)
    return dx, dgamma, dbeta
''',
 ("not turned back", "", "dcolumns = (dhat", ("dx = dcolumns.T.reshape", "dx = dcolumns.reshape")),
 ("no groups", "", ("dout = (gamma * dout).reshape(N * G, -1)", "dout = (gamma * dout).reshape(N, -1)")),
 ("no gamma", "", ("dout = (gamma * dout).reshape", "dout = dout.reshape")), to=PUBLIC)
student("norm of columns", "cs231n.layernorm", '''
import numpy as np

def layernorm_forward(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    turned = x.T
    mean = turned.mean(axis=0)
    var = turned.var(axis=0)
    running_mean = 0.1 * mean
    hat = (turned - mean) / np.sqrt(var + eps)
    cache = (turned, mean, var, eps, hat, gamma)
    return gamma * hat.T + beta, cache

def layernorm_backward(dout, cache):
    turned, mean, var, eps, hat, gamma = cache
    D = turned.shape[0]
    dgamma = np.sum(dout * hat.T, axis=0)
    dbeta = np.sum(dout, axis=0)
    dhat = gamma[:, None] * dout.T
    dvar = np.sum(dhat * (turned - mean) * -0.5 * (var + eps) ** -1.5, axis=0)
    dmean = -np.sum(dhat, axis=0) / np.sqrt(var + eps)
    dturned = dhat / np.sqrt(var + eps) + dvar * 2 * (turned - mean) / D + dmean / D
    return dturned.T, dgamma, dbeta
''',
 ("another mean kept", "", ("cache = (turned, mean, var", "cache = (turned, running_mean, var")),
 ("no eps", "", ("dturned = dhat / np.sqrt(var + eps)", "dturned = dhat / np.sqrt(var)")),
 ("no eps under a power", "", ("-0.5 * (var + eps) ** -1.5", "-0.5 * var ** -1.5")),
 ("gamma as a row", "", ("gamma[:, None] * dout.T", "gamma * dout.T")),
 ("no gamma", "", ("gamma[:, None] * dout.T", "dout.T")),
 ("nothing summed", "", ("dvar = np.sum(dhat * (turned - mean) * -0.5 * (var + eps) ** -1.5, axis=0)", "dvar = dhat * (turned - mean) * -0.5 * (var + eps) ** -1.5")), to=PUBLIC)
# fmt: on
