"""Normalisations by hands of their own: step by step, in one formula, by groups, in a class."""
# ruff: noqa: E501 (sources as they were written)

from helpers.students.unseen.hands import student

# fmt: off
student("bn_graph", "cs231n.batchnorm", '''
import numpy as np

def batchnorm_forward(x, gamma, beta, bn_param):
    mode = bn_param["mode"]
    eps = bn_param.get("eps", 1e-5)
    momentum = bn_param.get("momentum", 0.9)
    N, D = x.shape
    running_mean = bn_param.get("running_mean", np.zeros(D, dtype=x.dtype))
    running_var = bn_param.get("running_var", np.zeros(D, dtype=x.dtype))
    out, cache = None, None
    if mode == "train":
        mu = x.mean(axis=0)
        xmu = x - mu
        var = (xmu ** 2).mean(axis=0)
        sqrtvar = np.sqrt(var + eps)
        ivar = 1.0 / sqrtvar
        xhat = xmu * ivar
        out = gamma * xhat + beta
        cache = (xhat, gamma, xmu, ivar, sqrtvar, var, eps)
        running_mean = momentum * running_mean + (1 - momentum) * mu
        running_var = momentum * running_var + (1 - momentum) * var
    elif mode == "test":
        out = gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta
    bn_param["running_mean"] = running_mean
    bn_param["running_var"] = running_var
    return out, cache

def batchnorm_backward(dout, cache):
    xhat, gamma, xmu, ivar, sqrtvar, var, eps = cache
    N, D = dout.shape
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu1 = dxhat * ivar
    dsqrtvar = -1.0 / (sqrtvar ** 2) * divar
    dvar = 0.5 * 1.0 / np.sqrt(var + eps) * dsqrtvar
    dsq = 1.0 / N * np.ones((N, D)) * dvar
    dxmu2 = 2 * xmu * dsq
    dx1 = dxmu1 + dxmu2
    dmu = -1 * np.sum(dxmu1 + dxmu2, axis=0)
    dx2 = 1.0 / N * np.ones((N, D)) * dmu
    return dx1 + dx2, dgamma, dbeta
''',
 ("dmu_sign", "sign", ("dmu = -1 * np.sum", "dmu = np.sum")),
 ("no_dx2", "mean term forgotten", ("return dx1 + dx2, dgamma", "return dx1, dgamma")),
 ("no_half", "factor|term of the normalisation", ("dvar = 0.5 * 1.0 / np.sqrt(var + eps) * dsqrtvar", "dvar = 1.0 / np.sqrt(var + eps) * dsqrtvar")),
 ("divar_xhat", "x where x-hat|another name|earlier value|factor|x-hat", ("divar = np.sum(dxhat * xmu, axis=0)", "divar = np.sum(dxhat * xhat, axis=0)")),
 ("dvar_sq", "power|exponent|square", ("-1.0 / (sqrtvar ** 2)", "-1.0 / (var ** 2)")),
 ("dmu_half", "", ("-1 * np.sum(dxmu1 + dxmu2, axis=0)", "-1 * np.sum(dxmu1, axis=1).mean()")),
 ("noN", "sums where means|count|factor", ("dsq = 1.0 / N * np.ones((N, D)) * dvar", "dsq = np.ones((N, D)) * dvar")),
 ("dgamma_xmu", "x where x-hat", ("dgamma = np.sum(dout * xhat, axis=0)", "dgamma = np.sum(dout * xmu, axis=0)")),
 ("N_D", "count|axis|another name|factor", ("dx2 = 1.0 / N * np.ones", "dx2 = 1.0 / D * np.ones")),
)
student("bn_alt", "cs231n.batchnorm_alt", '''
import numpy as np

def batchnorm_forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    m, v = np.mean(x, 0), np.var(x, 0)
    if bn_param["mode"] == "test":
        m, v = bn_param["running_mean"], bn_param["running_var"]
    std = np.sqrt(v + eps)
    z = (x - m) / std
    return gamma * z + beta, {"z": z, "gamma": gamma, "std": std}

def batchnorm_backward_alt(dout, cache):
    z, gamma, std = cache["z"], cache["gamma"], cache["std"]
    n = len(dout)
    dbeta = dout.sum(0)
    dgamma = (dout * z).sum(0)
    dx = gamma / (n * std) * (n * dout - dbeta - z * dgamma)
    return dx, dgamma, dbeta
''',
 ("n_missing", "factor|n |sums where means|count", ("(n * dout - dbeta", "(dout - dbeta")),
 ("std2", "wrong power", ("gamma / (n * std)", "gamma / (n * std ** 2)")),
 ("no_gamma", "gamma|factor", ("gamma / (n * std)", "1.0 / (n * std)")),
 ("plus", "sign", ("- z * dgamma)", "+ z * dgamma)")),
 ("noz", "factor|normalised value is missing|name", ("- z * dgamma)", "- dgamma)")),
 ("axis1", "axis", ("dbeta = dout.sum(0)\n", "dbeta = dout.sum(0)\n    mean_term = dout.sum(1, keepdims=True)\n"), ("n * dout - dbeta", "n * dout - mean_term")),
 ("gamma_in", "", ("(n * dout - dbeta - z * dgamma)", "(n * dout - gamma * dbeta - z * dgamma)")),
)
student("bn_class", "cmu11785.batchnorm", '''
import numpy as np

class BatchNorm1d:
    def __init__(self, num_features, alpha=0.9):
        self.alpha, self.eps = alpha, 1e-8
        self.BW, self.Bb = np.ones((1, num_features)), np.zeros((1, num_features))
        self.dLdBW, self.dLdBb = np.zeros((1, num_features)), np.zeros((1, num_features))
        self.running_M, self.running_V = np.zeros((1, num_features)), np.ones((1, num_features))

    def forward(self, Z, eval=False):
        self.Z = Z
        self.N = Z.shape[0]
        self.M = np.mean(Z, axis=0, keepdims=True)
        self.V = np.var(Z, axis=0, keepdims=True)
        if not eval:
            self.NZ = (Z - self.M) / np.sqrt(self.V + self.eps)
            self.BZ = self.BW * self.NZ + self.Bb
            self.running_M = self.alpha * self.running_M + (1 - self.alpha) * self.M
            self.running_V = self.alpha * self.running_V + (1 - self.alpha) * self.V
        else:
            self.NZ = (Z - self.running_M) / np.sqrt(self.running_V + self.eps)
            self.BZ = self.BW * self.NZ + self.Bb
        return self.BZ

    def backward(self, dLdBZ):
        self.dLdBW = np.sum(dLdBZ * self.NZ, axis=0, keepdims=True)
        self.dLdBb = np.sum(dLdBZ, axis=0, keepdims=True)
        dLdNZ = dLdBZ * self.BW
        inv = (self.V + self.eps) ** -0.5
        dLdV = -0.5 * np.sum(dLdNZ * (self.Z - self.M) * inv ** 3, axis=0, keepdims=True)
        dNZdM = -inv - 0.5 * (self.Z - self.M) * inv ** 3 * (-2 / self.N * np.sum(self.Z - self.M, axis=0))
        dLdM = np.sum(dLdNZ * dNZdM, axis=0, keepdims=True)
        return dLdNZ * inv + dLdV * (2 / self.N) * (self.Z - self.M) + dLdM / self.N
''',
 ("running", "", ("inv = (self.V + self.eps) ** -0.5", "inv = (self.running_V + self.eps) ** -0.5")),
 ("no_dV", "variance term forgotten", ("dLdNZ * inv + dLdV * (2 / self.N) * (self.Z - self.M) + dLdM / self.N", "dLdNZ * inv + dLdM / self.N")),
 ("BW_missing", "gamma|factor|local derivative", ("dLdNZ = dLdBZ * self.BW", "dLdNZ = dLdBZ")),
 ("cube", "power|exponent", ("* inv ** 3, axis=0", "* inv ** 2, axis=0")),
 ("accum", "", ("self.dLdBb = np.sum(dLdBZ, axis=0, keepdims=True)", "self.dLdBb = np.mean(dLdBZ, axis=0, keepdims=True)")),
)
student("ln_T", "cs231n.layernorm", '''
import numpy as np

def layernorm_forward(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    xT = x.T
    mu = xT.mean(axis=0)
    var = xT.var(axis=0)
    xn = (xT - mu) / np.sqrt(var + eps)
    xn = xn.T
    out = gamma * xn + beta
    return out, (xn, gamma, var + eps)

def layernorm_backward(dout, cache):
    xn, gamma, v = cache
    D = xn.shape[1]
    dgamma = np.sum(dout * xn, axis=0)
    dbeta = dout.sum(axis=0)
    g = (dout * gamma).T
    h = xn.T
    dxT = (D * g - g.sum(axis=0) - h * (g * h).sum(axis=0)) / (D * np.sqrt(v))
    return dxT.T, dgamma, dbeta
''',
 ("bn_axis", "axis", ("dgamma = np.sum(dout * xn, axis=0)", "dgamma = np.sum(dout * xn, axis=0)"), ("h * (g * h).sum(axis=0)", "h * (g * h).sum(axis=1, keepdims=True)")),
 ("gamma_late", "gamma|factor", ("g = (dout * gamma).T", "g = dout.T"), ("return dxT.T, dgamma", "return dxT.T * gamma, dgamma")),
 ("sqrt", "wrong power", ("/ (D * np.sqrt(v))", "/ (D * v)")),
 ("noT", "", ("D = xn.shape[1]", "D = xn.shape[0]")),
)
student("ln_direct", "cs231n.layernorm", '''
import numpy as np

def layernorm_forward(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    mean = np.mean(x, axis=1, keepdims=True)
    centred = x - mean
    variance = np.mean(centred * centred, axis=1, keepdims=True)
    std = np.sqrt(variance + eps)
    normalised = centred / std
    cache = {"centred": centred, "std": std, "normalised": normalised, "gamma": gamma}
    return normalised * gamma + beta, cache

def layernorm_backward(dout, cache):
    features = dout.shape[1]
    d_normalised = dout * cache["gamma"]
    d_variance = np.sum(d_normalised * cache["centred"], axis=1, keepdims=True) * -0.5 * cache["std"] ** -3
    d_mean = np.sum(d_normalised * -1 / cache["std"], axis=1, keepdims=True)
    d_mean = d_mean + d_variance * np.mean(-2 * cache["centred"], axis=1, keepdims=True)
    dx = d_normalised / cache["std"] + d_variance * 2 * cache["centred"] / features + d_mean / features
    return dx, np.sum(dout * cache["normalised"], axis=0), np.sum(dout, axis=0)
''',
 ("var_normalised", "x-hat|factor|another name|entry", ('np.sum(d_normalised * cache["centred"], axis=1, keepdims=True) * -0.5', 'np.sum(d_normalised * cache["normalised"], axis=1, keepdims=True) * -0.5')),
 ("dgamma_axis", "axis|index that stays|batch", ('np.sum(dout * cache["normalised"], axis=0), np.sum(dout, axis=0)', 'np.sum(d_normalised * cache["normalised"], axis=0), np.sum(dout, axis=0)')),
 ("features", "count|factor", ("d_mean / features", "d_mean / dout.shape[0]")),
 ("no_mean", "mean term forgotten", ("    d_mean = d_mean + d_variance * np", "    d_mean = d_variance * np")),
 ("std2", "power|exponent", ('cache["std"] ** -3', 'cache["std"] ** -2')),
)
student("spatial_bn", "cs231n.spatial_batchnorm", '''
import numpy as np

def bn_f(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    mu, var = x.mean(0), x.var(0)
    if bn_param["mode"] != "train":
        mu, var = bn_param["running_mean"], bn_param["running_var"]
    xh = (x - mu) / np.sqrt(var + eps)
    return gamma * xh + beta, (xh, gamma, var + eps)

def bn_b(dout, cache):
    xh, gamma, v = cache
    dxh = dout * gamma
    dx = (dxh - dxh.mean(0) - xh * (dxh * xh).mean(0)) / np.sqrt(v)
    return dx, (dout * xh).sum(0), dout.sum(0)

def spatial_batchnorm_forward(x, gamma, beta, bn_param):
    N, C, H, W = x.shape
    flat = x.transpose(0, 2, 3, 1).reshape(-1, C)
    out, cache = bn_f(flat, gamma, beta, bn_param)
    return out.reshape(N, H, W, C).transpose(0, 3, 1, 2), cache

def spatial_batchnorm_backward(dout, cache):
    N, C, H, W = dout.shape
    flat = dout.transpose(0, 2, 3, 1).reshape(-1, C)
    dx, dgamma, dbeta = bn_b(flat, cache)
    dx = dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)
    return dx, dgamma, dbeta
''',
 ("plain", "order|flatten", ("flat = dout.transpose(0, 2, 3, 1).reshape(-1, C)", "flat = dout.reshape(-1, C)")),
 ("back_plain", "order|flatten", ("dx = dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)", "dx = dx.reshape(N, C, H, W)")),
 ("helper_sum", "sums where means", ("dxh - dxh.mean(0) -", "dxh - dxh.sum(0) -")),
 ("helper_sign", "sign", ("- xh * (dxh * xh).mean(0)", "+ xh * (dxh * xh).mean(0)")),
 ("hw", "order|rows and columns|transpos", ("dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)", "dx.reshape(N, W, H, C).transpose(0, 3, 2, 1)")),
)
student("groupnorm5", "cs231n.spatial_groupnorm", '''
import numpy as np

def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    eps = gn_param.get("eps", 1e-5)
    N, C, H, W = x.shape
    grouped = x.reshape(N, G, C // G, H, W)
    mean = grouped.mean(axis=(2, 3, 4), keepdims=True)
    var = grouped.var(axis=(2, 3, 4), keepdims=True)
    xhat = ((grouped - mean) / np.sqrt(var + eps)).reshape(N, C, H, W)
    out = xhat * gamma + beta
    return out, (xhat, gamma, np.sqrt(var + eps), G)

def spatial_groupnorm_backward(dout, cache):
    xhat, gamma, std, G = cache
    N, C, H, W = dout.shape
    dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)
    dgamma = (dout * xhat).sum(axis=(0, 2, 3), keepdims=True)
    d = (dout * gamma).reshape(N, G, C // G, H, W)
    h = xhat.reshape(N, G, C // G, H, W)
    m = C // G * H * W
    s1 = d.sum(axis=(2, 3, 4), keepdims=True)
    s2 = (d * h).sum(axis=(2, 3, 4), keepdims=True)
    dx = (m * d - s1 - h * s2) / (m * std)
    return dx.reshape(dout.shape), dgamma, dbeta
''',
 ("axes34", "axis|axes|factor|mean", ("s1 = d.sum(axis=(2, 3, 4), keepdims=True)", "s1 = d.sum(axis=(3, 4), keepdims=True)")),
 ("m_HW", "factor|count", ("m = C // G * H * W", "m = H * W")),
 ("m_G", "factor|count", ("m = C // G * H * W", "m = G * H * W")),
 ("groups_mixed", "groups|flattened|order", ("d = (dout * gamma).reshape(N, G, C // G, H, W)", "d = (dout * gamma).reshape(N, C // G, G, H, W).swapaxes(1, 2)")),
 ("gamma_forgot", "gamma|factor|local derivative", ("d = (dout * gamma).reshape", "d = dout.reshape")),
 ("no_s2", "variance term forgotten", ("(m * d - s1 - h * s2)", "(m * d - s1)")),
)
student("groupnorm_loops", "cs231n.spatial_groupnorm", '''
import numpy as np

def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    eps = gn_param.get("eps", 1e-5)
    N, C, H, W = x.shape
    size = C // G
    xn, scale = np.zeros(x.shape), np.zeros((N, G))
    for n in range(N):
        for g in range(G):
            part = x[n, g * size:(g + 1) * size]
            scale[n, g] = 1 / np.sqrt(part.var() + eps)
            xn[n, g * size:(g + 1) * size] = (part - part.mean()) * scale[n, g]
    return gamma * xn + beta, (xn, scale, gamma, G)

def spatial_groupnorm_backward(dout, cache):
    xn, scale, gamma, G = cache
    N, C, H, W = dout.shape
    size = C // G
    dx = np.zeros(dout.shape)
    dxn = dout * gamma
    for n in range(N):
        for g in range(G):
            chans = slice(g * size, (g + 1) * size)
            dy, y = dxn[n, chans], xn[n, chans]
            dx[n, chans] = scale[n, g] * (dy - dy.mean() - y * np.mean(dy * y))
    dgamma = np.sum(dout * xn, axis=(0, 2, 3)).reshape(1, C, 1, 1)
    dbeta = np.sum(dout, axis=(0, 2, 3)).reshape(1, C, 1, 1)
    return dx, dgamma, dbeta
''',
 ("scale_n0", "first index|index", ("scale[n, g] * (dy", "scale[0, g] * (dy")),
 ("slice_size", "", ("chans = slice(g * size, (g + 1) * size)", "chans = slice(g, g + size)")),
 ("divide", "wrong power|another operator|inverse|reciprocal", ("scale[n, g] * (dy - dy.mean() - y * np.mean(dy * y))", "(dy - dy.mean() - y * np.mean(dy * y)) / scale[n, g]")),
 ("mean_prod", "product of sums|means|variance term", ("np.mean(dy * y)", "dy.mean() * y.mean()")),
 ("dgamma_dxn", "gamma|factor|another name", ("dgamma = np.sum(dout * xn", "dgamma = np.sum(dxn * xn")),
)
# fmt: on
