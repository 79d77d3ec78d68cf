"""Layers of other courses by hands of their own: channels last, classes, transposed and dilated ones."""
# ruff: noqa: E501 (sources as they were written)

from helpers.students.unseen.hands import student

# fmt: off
student("dl_conv", "deeplearning.conv", '''
import numpy as np

def zero_pad(X, pad):
    return np.pad(X, ((0, 0), (pad, pad), (pad, pad), (0, 0)))

def conv_forward(A_prev, W, b, hparameters):
    (m, n_H_prev, n_W_prev, n_C_prev) = A_prev.shape
    (f, f, n_C_prev, n_C) = W.shape
    stride, pad = hparameters["stride"], hparameters["pad"]
    n_H = int((n_H_prev - f + 2 * pad) / stride) + 1
    n_W = int((n_W_prev - f + 2 * pad) / stride) + 1
    Z = np.zeros((m, n_H, n_W, n_C))
    A_prev_pad = zero_pad(A_prev, pad)
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    piece = A_prev_pad[i, h * stride:h * stride + f, w * stride:w * stride + f, :]
                    Z[i, h, w, c] = np.sum(piece * W[..., c]) + float(b[0, 0, 0, c])
    return Z, (A_prev, W, b, hparameters)

def conv_backward(dZ, cache):
    (A_prev, W, b, hparameters) = cache
    (m, n_H_prev, n_W_prev, n_C_prev) = A_prev.shape
    (f, f, n_C_prev, n_C) = W.shape
    stride = hparameters["stride"]
    pad = hparameters["pad"]
    (m, n_H, n_W, n_C) = dZ.shape
    dA_prev = np.zeros(A_prev.shape)
    dW = np.zeros(W.shape)
    db = np.zeros((1, 1, 1, n_C))
    A_prev_pad = zero_pad(A_prev, pad)
    dA_prev_pad = zero_pad(dA_prev, pad)
    for i in range(m):
        a_prev_pad = A_prev_pad[i]
        da_prev_pad = dA_prev_pad[i]
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    vert_start = h * stride
                    vert_end = vert_start + f
                    horiz_start = w * stride
                    horiz_end = horiz_start + f
                    a_slice = a_prev_pad[vert_start:vert_end, horiz_start:horiz_end, :]
                    da_prev_pad[vert_start:vert_end, horiz_start:horiz_end, :] += W[:, :, :, c] * dZ[i, h, w, c]
                    dW[:, :, :, c] += a_slice * dZ[i, h, w, c]
                    db[:, :, :, c] += dZ[i, h, w, c]
        dA_prev[i, :, :, :] = da_prev_pad[pad:pad + n_H_prev, pad:pad + n_W_prev, :]
    return dA_prev, dW, db
''',
 ("outside_batch", "batch|only one|indent|loop", ("        dA_prev[i, :, :, :] = da", "    dA_prev[i, :, :, :] = da")),
 ("slice_of_0", "first|index", ("a_prev_pad = A_prev_pad[i]", "a_prev_pad = A_prev_pad[0]")),
 ("no_stride", "stride", ("vert_start = h * stride", "vert_start = h")),
 ("end_stride", "", ("horiz_end = horiz_start + f", "horiz_end = horiz_start + stride"), ("W[:, :, :, c] * dZ", "W[:, :horiz_end - horiz_start, :, c] * dZ"), ("dW[:, :, :, c] += a_slice", "dW[:, :horiz_end - horiz_start, :, c] += a_slice")),
 ("db_assign", "overwritten|bias|position|only one|last", ("db[:, :, :, c] += dZ", "db[:, :, :, c] = dZ")),
 ("loop_w_H", "", ("            for w in range(n_W):\n                for c in range(n_C):\n                    vert", "            for w in range(min(n_H, n_W)):\n                for c in range(n_C):\n                    vert")),
 ("dW_of_A", "pad", ("A_prev_pad = zero_pad(A_prev, pad)\n    dA", "A_prev_pad = np.roll(zero_pad(A_prev, pad), -pad, axis=(1, 2))\n    dA")),
)
student("dl_pool", "deeplearning.pool", '''
import numpy as np

def pool_forward(A_prev, hparameters, mode="max"):
    m, H, W, C = A_prev.shape
    f, stride = hparameters["f"], hparameters["stride"]
    n_H, n_W = int(1 + (H - f) / stride), int(1 + (W - f) / stride)
    A = np.zeros((m, n_H, n_W, C))
    for i, h, w, c in np.ndindex(A.shape):
        a = A_prev[i, h * stride:h * stride + f, w * stride:w * stride + f, c]
        A[i, h, w, c] = np.max(a) if mode == "max" else np.mean(a)
    return A, (A_prev, hparameters)

def create_mask_from_window(x):
    return x == np.max(x)

def distribute_value(dz, shape):
    n_H, n_W = shape
    return np.ones(shape) * dz / (n_H * n_W)

def pool_backward(dA, cache, mode="max"):
    A_prev, hparameters = cache
    stride, f = hparameters["stride"], hparameters["f"]
    m, n_H, n_W, n_C = dA.shape
    dA_prev = np.zeros(A_prev.shape)
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    v, z = h * stride, w * stride
                    if mode == "max":
                        mask = create_mask_from_window(A_prev[i, v:v + f, z:z + f, c])
                        dA_prev[i, v:v + f, z:z + f, c] += mask * dA[i, h, w, c]
                    elif mode == "average":
                        dA_prev[i, v:v + f, z:z + f, c] += distribute_value(dA[i, h, w, c], (f, f))
    return dA_prev
''',
 ("mask_min", "wrong cell|", ("return x == np.max(x)", "return x == np.min(x)")),
 ("mask_dA", "value|mask|upstream", ("+= mask * dA[i, h, w, c]", "+= mask * A_prev[i, h, w, c]")),
 ("both", "both", ("                    elif mode == \"average\":\n", "                    if True:\n")),
 ("assign", "overwritten", ("+= mask * dA[i, h, w, c]", "= mask * dA[i, h, w, c]")),
 ("maxes_of_dA", "mask|", ("create_mask_from_window(A_prev[i, v:v + f, z:z + f, c])", "create_mask_from_window(dA[i, :, :, c])[:1, :1]")),
)
student("dl_avg", "deeplearning.avg_pool", '''
import numpy as np

def pool_forward(A_prev, hparameters, mode="average"):
    f, s = hparameters["f"], hparameters["stride"]
    v = np.lib.stride_tricks.sliding_window_view(A_prev, (f, f), axis=(1, 2))[:, ::s, ::s]
    if mode == "max":
        return v.max(axis=(-1, -2)), (A_prev, hparameters)
    return v.mean(axis=(-1, -2)), (A_prev, hparameters)

def pool_backward(dA, cache, mode="average"):
    A_prev, hparameters = cache
    f, s = hparameters["f"], hparameters["stride"]
    nH, nW = dA.shape[1:3]
    dA_prev = np.zeros(A_prev.shape)
    share = dA / f ** 2
    for a in range(f):
        for b in range(f):
            dA_prev[:, a:a + s * nH:s, b:b + s * nW:s] += share
    return dA_prev
''',
 ("nodiv", "sum instead of mean|copied|count|factor", ("share = dA / f ** 2", "share = dA")),
 ("div_f", "count|power|exponent|factor", ("share = dA / f ** 2", "share = dA / f")),
 ("div_out", "count", ("share = dA / f ** 2", "share = dA / (nH * nW)")),
 ("one_cell", "wrong cell|pass", ("        for b in range(f):", "        for b in range(1):")),
 ("assign", "overwritten", ("] += share", "] = share")),
)
student("needle_conv", "needle.conv", '''
import numpy as np

def forward(A, B, stride, padding):
    k = B.shape[0]
    Ap = np.pad(A, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    Hn, Wn = (Ap.shape[1] - k) // stride + 1, (Ap.shape[2] - k) // stride + 1
    out = np.zeros((A.shape[0], Hn, Wn, B.shape[3]))
    for i in range(k):
        for j in range(k):
            out += Ap[:, i:i + stride * Hn:stride, j:j + stride * Wn:stride] @ B[i, j]
    return out, (A, B, stride, padding)

def dilate(a, s):
    if s == 1:
        return a
    out = np.zeros((a.shape[0], (a.shape[1] - 1) * s + 1, (a.shape[2] - 1) * s + 1, a.shape[3]))
    out[:, ::s, ::s] = a
    return out

def backward(dout, cache):
    A, B, stride, padding = cache
    k = B.shape[0]
    g = dilate(dout, stride)
    rotated = np.flip(B, (0, 1)).transpose(0, 1, 3, 2)
    H, W = A.shape[1] + 2 * padding, A.shape[2] + 2 * padding
    extra_h, extra_w = H - (g.shape[1] + k - 1), W - (g.shape[2] + k - 1)
    dAp, _ = forward(np.pad(g, ((0, 0), (0, extra_h), (0, extra_w), (0, 0))), rotated, 1, k - 1)
    dA = dAp[:, padding:padding + A.shape[1], padding:padding + A.shape[2]]
    At = np.pad(A, ((0, 0), (padding, padding), (padding, padding), (0, 0))).transpose(3, 1, 2, 0)
    dB, _ = forward(At, g.transpose(1, 2, 0, 3), 1, 0) if g.shape[1] == g.shape[2] else (None, None)
    if dB is None:
        dB = np.zeros((A.shape[3], k, k, B.shape[3]))
        for i in range(k):
            for j in range(k):
                dB[:, i, j] = np.tensordot(At[:, i:i + g.shape[1], j:j + g.shape[2]], g, axes=((1, 2, 3), (1, 2, 0)))
    dB = dB[:, :k, :k].transpose(1, 2, 0, 3)
    return dA, dB
''',
 ("flip_missing", "not rotated", ("np.flip(B, (0, 1)).transpose(0, 1, 3, 2)", "B.transpose(0, 1, 3, 2)")),
 ("flip_all", "backward|reversed|rotated", ("np.flip(B, (0, 1)).transpose(0, 1, 3, 2)", "np.flip(B).transpose(0, 1, 3, 2)")),
 ("dB_transpose", "transposed|rows and columns", ("dB[:, :k, :k].transpose(1, 2, 0, 3)", "dB[:, :k, :k].transpose(2, 1, 0, 3)")),
)
student("needle_dilate", "needle.dilate", '''
import numpy as np

class Dilate:
    def __init__(self, axes, dilation):
        self.axes = axes
        self.dilation = dilation

    def compute(self, a):
        shape = list(a.shape)
        index = [slice(None)] * a.ndim
        for ax in self.axes:
            if ax >= a.ndim:
                continue
            shape[ax] *= self.dilation + 1
            index[ax] = slice(None, None, self.dilation + 1)
        out = np.zeros(shape)
        out[tuple(index)] = a
        return out

    def gradient(self, out_grad, node):
        index = [slice(None)] * out_grad.ndim
        for ax in self.axes:
            if ax < out_grad.ndim:
                index[ax] = slice(0, None, self.dilation + 1)
        return out_grad[tuple(index)]
''',
 ("offset", "", ("index[ax] = slice(0, None, self.dilation + 1)", "index[ax] = slice(self.dilation, None, self.dilation + 1)")),
)
student("cmu_linear", "cmu11785.linear", '''
import numpy as np

class Linear:
    def __init__(self, in_features, out_features, debug=False):
        self.W = np.zeros((out_features, in_features))
        self.b = np.zeros((out_features, 1))

    def forward(self, A):
        self.A = A
        self.N = A.shape[0]
        self.Ones = np.ones((self.N, 1))
        return A @ self.W.T + self.Ones @ self.b.T

    def backward(self, dLdZ):
        dLdA = dLdZ @ self.W
        self.dLdW = dLdZ.T @ self.A
        self.dLdb = dLdZ.T @ self.Ones
        return dLdA
''',
 ("over_N", "mean|count|factor", ("self.dLdW = dLdZ.T @ self.A", "self.dLdW = dLdZ.T @ self.A / self.N")),
 ("b_keepdims", "shape|", ("self.dLdb = dLdZ.T @ self.Ones", "self.dLdb = dLdZ.T[:, :1]")),
 ("W_sign", "sign|minus", ("self.dLdW = dLdZ.T @ self.A", "self.dLdW = -dLdZ.T @ self.A")),
)
student("cmu_conv1d", "cmu11785.conv1d", '''
import numpy as np

class Conv1d_stride1:
    def __init__(self, cin, cout, k, weight_init_fn=None, bias_init_fn=None):
        self.k = k
        self.W = np.random.normal(0, 1.0, (cout, cin, k))
        self.b = np.zeros(cout)

    def forward(self, A):
        self.A = A
        width = A.shape[2] - self.k + 1
        Z = np.zeros((A.shape[0], self.W.shape[0], width))
        for i in range(width):
            Z[:, :, i] = np.tensordot(A[:, :, i:i + self.k], self.W, axes=([1, 2], [1, 2])) + self.b
        return Z

    def backward(self, dLdZ):
        self.dLdb = dLdZ.sum(axis=(0, 2))
        self.dLdW = np.zeros(self.W.shape)
        for i in range(self.k):
            self.dLdW[:, :, i] = np.tensordot(dLdZ, self.A[:, :, i:i + dLdZ.shape[2]], axes=([0, 2], [0, 2]))
        padded = np.pad(dLdZ, ((0, 0), (0, 0), (self.k - 1, self.k - 1)))
        flipped = self.W[:, :, ::-1]
        dLdA = np.zeros(self.A.shape)
        for i in range(self.A.shape[2]):
            dLdA[:, :, i] = np.tensordot(padded[:, :, i:i + self.k], flipped, axes=([1, 2], [0, 2]))
        return dLdA

class Downsample1d:
    def __init__(self, factor):
        self.factor = factor

    def forward(self, A):
        self.width = A.shape[2]
        return A[:, :, ::self.factor]

    def backward(self, dLdZ):
        dLdA = np.zeros((dLdZ.shape[0], dLdZ.shape[1], self.width))
        dLdA[:, :, ::self.factor] = dLdZ
        return dLdA

class Conv1d:
    def __init__(self, in_channels, out_channels, kernel_size, stride, padding=0, weight_init_fn=None, bias_init_fn=None):
        self.stride, self.pad = stride, padding
        self.conv1d_stride1 = Conv1d_stride1(in_channels, out_channels, kernel_size)
        self.downsample1d = Downsample1d(stride)

    def forward(self, A):
        A = np.pad(A, ((0, 0), (0, 0), (self.pad, self.pad)))
        return self.downsample1d.forward(self.conv1d_stride1.forward(A))

    def backward(self, dLdZ):
        dLdA = self.conv1d_stride1.backward(self.downsample1d.backward(dLdZ))
        if self.pad == 0:
            return dLdA
        return dLdA[:, :, self.pad:-self.pad]
''',
 ("noflip", "not rotated", ("flipped = self.W[:, :, ::-1]", "flipped = self.W")),
 ("down_tile", "stride|dilat", ("dLdA[:, :, ::self.factor] = dLdZ", "dLdA[:, :, :dLdZ.shape[2]] = dLdZ")),
 ("crop", "crop|pad", ("return dLdA[:, :, self.pad:-self.pad]", "return dLdA[:, :, :-2 * self.pad]")),
 ("tail", "crop|pad|one side", ("return dLdA[:, :, self.pad:-self.pad]", "return dLdA[:, :, 2 * self.pad:]")),
)
student("cmu_conv2d", "cmu11785.conv2d_stride1", '''
import numpy as np

class Conv2d_stride1():
    def __init__(self, in_channels, out_channels, kernel_size, weight_init_fn=None, bias_init_fn=None):
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.W = np.random.normal(0, 1.0, size=(out_channels, in_channels, kernel_size, kernel_size))
        self.b = np.zeros(out_channels)
        self.dLdW = np.zeros(self.W.shape)
        self.dLdb = np.zeros(self.b.shape)

    def forward(self, A):
        self.A = A
        B, C, H, W = A.shape
        k = self.kernel_size
        oh, ow = H - k + 1, W - k + 1
        Z = np.zeros((B, self.out_channels, oh, ow))
        for i in range(oh):
            for j in range(ow):
                Z[:, :, i, j] = np.einsum("bchw,ochw->bo", A[:, :, i:i + k, j:j + k], self.W) + self.b
        return Z

    def backward(self, dLdZ):
        B, O, oh, ow = dLdZ.shape
        k = self.kernel_size
        self.dLdb = np.sum(dLdZ, axis=(0, 2, 3))
        for i in range(k):
            for j in range(k):
                self.dLdW[:, :, i, j] = np.einsum("bohw,bchw->oc", dLdZ, self.A[:, :, i:i + oh, j:j + ow])
        padded = np.pad(dLdZ, ((0, 0), (0, 0), (k - 1, k - 1), (k - 1, k - 1)))
        dLdA = np.zeros_like(self.A)
        flipped = np.flip(np.flip(self.W, axis=2), axis=3)
        for i in range(self.A.shape[2]):
            for j in range(self.A.shape[3]):
                dLdA[:, :, i, j] = np.einsum("bohw,ochw->bc", padded[:, :, i:i + k, j:j + k], flipped)
        return dLdA
''',
 ("flip_axes", "rotated|axis|axes", ("np.flip(np.flip(self.W, axis=2), axis=3)", "np.flip(np.flip(self.W, axis=1), axis=2)")),
 ("flip_twice", "rotated|axis", ("np.flip(np.flip(self.W, axis=2), axis=3)", "np.flip(np.flip(self.W, axis=3), axis=3)")),
 ("b_axes", "bias|broadcast|batch|axis|sum", ("np.sum(dLdZ, axis=(0, 2, 3))", "np.sum(dLdZ, axis=(2, 3))[0]")),
 ("wij", "transposed|rows and columns", ("self.dLdW[:, :, i, j] =", "self.dLdW[:, :, j, i] =")),
)
student("cmu_convT", "cmu11785.conv_transpose1d", '''
import numpy as np

class ConvTranspose1d:
    def __init__(self, in_channels, out_channels, kernel_size, upsampling_factor, weight_init_fn=None, bias_init_fn=None):
        self.factor = upsampling_factor
        self.k = kernel_size
        self.W = np.ones((out_channels, in_channels, kernel_size))
        self.b = np.zeros(out_channels)

    def forward(self, A):
        n, c, w = A.shape
        up = np.zeros((n, c, self.factor * (w - 1) + 1))
        up[:, :, ::self.factor] = A
        self.up = up
        L = up.shape[2] - self.k + 1
        cols = np.stack([up[:, :, i:i + self.k] for i in range(L)], axis=2)
        return np.einsum("ncli,oci->nol", cols, self.W) + self.b[None, :, None]

    def backward(self, dLdZ):
        L = dLdZ.shape[2]
        self.dLdW = np.stack([np.einsum("nol,ncl->oc", dLdZ, self.up[:, :, i:i + L]) for i in range(self.k)], axis=-1)
        self.dLdb = np.array([dLdZ[:, o].sum() for o in range(dLdZ.shape[1])])
        dup = np.zeros(self.up.shape)
        for i in range(self.k):
            dup[:, :, i:i + L] += np.einsum("nol,oc->ncl", dLdZ, self.W[:, :, i])
        return dup[:, :, ::self.factor]
''',
 ("sum_up", "stride", ("return dup[:, :, ::self.factor]", "return dup[:, :, :(dup.shape[2] - 1) // self.factor + 1]")),
 ("w_rev", "reversed|rotated", ("self.W[:, :, i])\n        return", "self.W[:, :, -1 - i])\n        return")),
 ("stack_rev", "reversed|rotated", ("for i in range(self.k)], axis=-1)", "for i in reversed(range(self.k))], axis=-1)")),
)
student("cmu_maxpool", "cmu11785.max_pool_stride1", '''
import numpy as np

class MaxPool2d_stride1():
    def __init__(self, kernel):
        self.kernel = kernel

    def forward(self, A):
        self.A = A
        k = self.kernel
        N, C, H, W = A.shape
        Z = np.zeros((N, C, H - k + 1, W - k + 1))
        self.where = {}
        for n in range(N):
            for c in range(C):
                for i in range(H - k + 1):
                    for j in range(W - k + 1):
                        scan = A[n, c, i:i + k, j:j + k]
                        Z[n, c, i, j] = np.max(scan)
                        a = np.unravel_index(np.argmax(scan), scan.shape)
                        self.where[n, c, i, j] = (i + a[0], j + a[1])
        return Z

    def backward(self, dLdZ):
        dLdA = np.zeros(self.A.shape)
        for (n, c, i, j), (y, x) in self.where.items():
            dLdA[n, c, y, x] += dLdZ[n, c, i, j]
        return dLdA
''',
 ("cache_nooffset", "position of the window", ("self.where[n, c, i, j] = (i + a[0], j + a[1])", "self.where[n, c, i, j] = (a[0], a[1])")),
 ("cache_swap", "rows and columns", ("(i + a[0], j + a[1])", "(i + a[1], j + a[0])")),
 ("set", "overwritten", ("dLdA[n, c, y, x] += dLdZ", "dLdA[n, c, y, x] = dLdZ")),
)
student("cmu_meanpool", "cmu11785.mean_pool", '''
import numpy as np

class MeanPool2d:
    def __init__(self, kernel, stride):
        self.kernel, self.stride = kernel, stride

    def forward(self, A):
        self.shape = A.shape
        k, s = self.kernel, self.stride
        rows = range(0, A.shape[2] - k + 1, s)
        cols = range(0, A.shape[3] - k + 1, s)
        return np.stack([np.stack([A[:, :, r:r + k, c:c + k].mean(axis=(2, 3)) for c in cols], -1) for r in rows], -2)

    def backward(self, dLdZ):
        dLdA = np.zeros(self.shape)
        k, s = self.kernel, self.stride
        for p in range(dLdZ.shape[2]):
            for q in range(dLdZ.shape[3]):
                dLdA[:, :, p * s:p * s + k, q * s:q * s + k] += dLdZ[:, :, p:p + 1, q:q + 1] / (k * k)
        return dLdA
''',
 ("k_only", "count|factor", ("/ (k * k)", "/ k")),
 ("s_s", "count|another name|factor", ("/ (k * k)", "/ (s * s)")),
 ("whole", "count|factor", ("/ (k * k)", "/ (self.shape[2] * self.shape[3])")),
)
student("cmu_softmax", "cmu11785.softmax", '''
import numpy as np

class Softmax:
    def forward(self, Z):
        e = np.exp(Z - Z.max(axis=1, keepdims=True))
        self.A = e / e.sum(axis=1, keepdims=True)
        return self.A

    def backward(self, dLdA):
        N, C = dLdA.shape
        dLdZ = np.zeros((N, C))
        for i in range(N):
            J = np.zeros((C, C))
            for m in range(C):
                for n in range(C):
                    if m == n:
                        J[m, n] = self.A[i, m] * (1 - self.A[i, m])
                    else:
                        J[m, n] = -self.A[i, m] * self.A[i, n]
            dLdZ[i] = dLdA[i] @ J
        return dLdZ
''',
 ("diag_only", "diagonal|only the", ("                        J[m, n] = -self.A[i, m] * self.A[i, n]", "                        J[m, n] = 0")),
 ("plus", "sign", ("J[m, n] = -self.A[i, m] * self.A[i, n]", "J[m, n] = self.A[i, m] * self.A[i, n]")),
 ("square", "Jacobian", ("self.A[i, m] * (1 - self.A[i, m])", "1 - self.A[i, m] ** 2")),
 ("row0", "first|index", ("self.A[i, m] * self.A[i, n]", "self.A[0, m] * self.A[i, n]")),
)
student("cmu_tanh", "cmu11785.tanh", '''
import numpy as np

class Tanh:
    def forward(self, Z):
        self.Z = Z
        self.A = np.tanh(Z)
        return self.A

    def backward(self, dLdA):
        dAdZ = np.ones(self.A.shape) - np.multiply(self.A, self.A)
        return np.multiply(dLdA, dAdZ)
''',
 ("input", "input where the output", ("np.multiply(self.A, self.A)", "np.multiply(self.Z, self.Z)")),
 ("twice", "taken at the output", ("np.multiply(self.A, self.A)", "np.tanh(self.A) ** 2")),
 ("nosq", "square", ("np.multiply(self.A, self.A)", "self.A")),
)
student("cmu_sigmoid", "cmu11785.sigmoid", '''
import numpy as np

class Sigmoid:
    def forward(self, Z):
        self.A = 1.0 / (1.0 + np.exp(-Z))
        return self.A

    def backward(self, dLdA):
        return dLdA * self.A - dLdA * self.A * self.A
''',
 ("half", "half|sigmoid", ("dLdA * self.A - dLdA * self.A * self.A", "dLdA * self.A")),
 ("grad_sq", "", ("- dLdA * self.A * self.A", "- dLdA * dLdA * self.A")),
 ("noup", "upstream", ("dLdA * self.A - dLdA * self.A * self.A", "self.A - self.A * self.A")),
)
student("tiny_conv", "tinytorch.conv", '''
import numpy as np

def forward(x, weight, bias, stride, padding):
    n, c, h, w = x.shape
    o, _, k1, k2 = weight.shape
    xp = np.zeros((n, c, h + 2 * padding, w + 2 * padding))
    xp[:, :, padding:padding + h, padding:padding + w] = x
    H, W = (h + 2 * padding - k1) // stride + 1, (w + 2 * padding - k2) // stride + 1
    out = np.empty((n, o, H, W))
    for i in range(H):
        for j in range(W):
            out[:, :, i, j] = xp[:, :, i * stride:i * stride + k1, j * stride:j * stride + k2].reshape(n, -1) @ weight.reshape(o, -1).T
    return out + bias.reshape(-1, 1, 1), (xp, x.shape, weight, bias, stride, padding)

def backward(grad_output, saved):
    xp, (n, c, h, w), weight, bias, stride, padding = saved
    o, _, k1, k2 = weight.shape
    flat_w = weight.reshape(o, -1)
    gw = np.zeros_like(flat_w)
    gx = np.zeros_like(xp)
    for i in range(grad_output.shape[2]):
        for j in range(grad_output.shape[3]):
            g = grad_output[:, :, i, j]
            rows = slice(i * stride, i * stride + k1)
            cols = slice(j * stride, j * stride + k2)
            gw += g.T @ xp[:, :, rows, cols].reshape(n, -1)
            gx[:, :, rows, cols] += (g @ flat_w).reshape(n, c, k1, k2)
    grad_input = gx[:, :, padding:h + padding, padding:w + padding]
    return grad_input, gw.reshape(weight.shape), grad_output.sum((0, 2, 3))
''',
 ("reshape_scr", "order|flatten", ("(g @ flat_w).reshape(n, c, k1, k2)", "(g @ flat_w).reshape(n, k1, k2, c).transpose(0, 3, 1, 2)")),
 ("k_swapped", "transposed|rows and columns|order", ("(g @ flat_w).reshape(n, c, k1, k2)", "(g @ flat_w).reshape(n, c, k2, k1).swapaxes(2, 3)")),
 ("bias_mean", "mean|count|batch", ("grad_output.sum((0, 2, 3))", "grad_output.sum((2, 3)).mean(0)")),
 ("break", "loop left|pass", ("            gx[:, :, rows, cols] += (g @ flat_w).reshape(n, c, k1, k2)\n", "            gx[:, :, rows, cols] += (g @ flat_w).reshape(n, c, k1, k2)\n            break\n")),
)
student("npfl", "npfl138.convolution", '''
import numpy as np

def forward(inputs, kernel, bias, stride):
    k = kernel.shape[0]
    H, W = (inputs.shape[1] - k) // stride + 1, (inputs.shape[2] - k) // stride + 1
    out = np.zeros((len(inputs), H, W, kernel.shape[3])) + bias
    for i in range(k):
        for j in range(k):
            out += inputs[:, i:i + (H - 1) * stride + 1:stride, j:j + (W - 1) * stride + 1:stride] @ kernel[i, j]
    out = np.maximum(out, 0)
    return out, (inputs, kernel, stride, out)

def backward(dout, cache):
    inputs, kernel, stride, out = cache
    k = kernel.shape[0]
    H, W = dout.shape[1:3]
    g = dout * (out > 0)
    d_inputs, d_kernel = np.zeros_like(inputs), np.zeros_like(kernel)
    for i in range(k):
        for j in range(k):
            where = np.s_[:, i:i + (H - 1) * stride + 1:stride, j:j + (W - 1) * stride + 1:stride]
            d_kernel[i, j] = np.einsum("nhwc,nhwd->cd", inputs[where], g)
            d_inputs[where] += g @ kernel[i, j].T
    return d_inputs, d_kernel, g.sum((0, 1, 2))
''',
 ("no_relu", "mask missing|local derivative forgotten", ("g = dout * (out > 0)", "g = dout")),
 ("relu_late", "mask missing", ("g.sum((0, 1, 2))", "dout.sum((0, 1, 2))")),
 ("out_value", "activation instead|value", ("g = dout * (out > 0)", "g = dout * out")),
 ("sum_not_pair", "product of sums|", ('np.einsum("nhwc,nhwd->cd", inputs[where], g)', 'np.einsum("nhwc,nijd->cd", inputs[where], g)')),
)
# fmt: on
