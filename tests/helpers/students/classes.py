"""Right layers as the courses of classes have them, in the tests' own words: loops, einsum, index lists."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np

from helpers.students import right as r

Array = Any


# ---- CMU 11-785


class Linear:
    def __init__(self, in_features, out_features, debug=False):
        self.W, self.b = np.zeros((out_features, in_features)), np.zeros((out_features, 1))

    def forward(self, A):
        self.A = A
        return (self.W @ A.T + self.b).T

    def backward(self, dLdZ):
        self.dLdW, self.dLdb = dLdZ.T @ self.A, dLdZ.sum(axis=0, keepdims=True).T
        return dLdZ @ self.W


class Conv1d_stride1:  # noqa: N801 (the course's name)
    def __init__(self, in_channels, out_channels, kernel_size, weight_init_fn=None, bias_init_fn=None):
        self.k, self.W = kernel_size, np.zeros((out_channels, in_channels, kernel_size))
        self.b = np.zeros(out_channels)

    def forward(self, A):
        self.A = A
        long = A.shape[2] - self.k + 1
        return (
            sum(np.einsum("oc,ncl->nol", self.W[:, :, u], A[:, :, u : u + long]) for u in range(self.k))
            + self.b[:, None]
        )

    def backward(self, dLdZ):
        long = dLdZ.shape[2]
        self.dLdb = dLdZ.sum(axis=(0, 2))
        self.dLdW = np.stack(
            [np.einsum("nol,ncl->oc", dLdZ, self.A[:, :, u : u + long]) for u in range(self.k)], axis=2
        )
        dLdA = np.zeros(self.A.shape)
        for u in range(self.k):
            dLdA[:, :, u : u + long] += np.einsum("oc,nol->ncl", self.W[:, :, u], dLdZ)
        return dLdA


class Conv2d_stride1:  # noqa: N801
    def __init__(self, in_channels, out_channels, kernel_size, weight_init_fn=None, bias_init_fn=None):
        self.W, self.b = np.zeros((out_channels, in_channels, kernel_size, kernel_size)), np.zeros(out_channels)

    def forward(self, A):
        out, self.cache = r.conv_forward_einsum(A, self.W, self.b, {"stride": 1, "pad": 0})
        return out

    def backward(self, dLdZ):
        dLdA, self.dLdW, self.dLdb = r.conv_backward_einsum(dLdZ, self.cache)
        return dLdA


class _Thin:
    """Every factor-th cell along the spatial axes."""

    def __init__(self, downsampling_factor):
        self.factor = downsampling_factor

    def forward(self, A):
        self.shape = A.shape
        self.at = (slice(None), slice(None), *[slice(None, None, self.factor)] * (A.ndim - 2))
        return A[self.at].copy()

    def backward(self, dLdZ):
        dLdA = np.zeros(self.shape)
        dLdA[self.at] = dLdZ
        return dLdA


class _Spread:
    def __init__(self, upsampling_factor):
        self.factor = upsampling_factor

    def forward(self, A):
        long = [(n - 1) * self.factor + 1 for n in A.shape[2:]]
        self.at = (slice(None), slice(None), *[slice(None, None, self.factor)] * (A.ndim - 2))
        Z = np.zeros((*A.shape[:2], *long))
        Z[self.at] = A
        return Z

    def backward(self, dLdZ):
        return dLdZ[self.at].copy()


class Conv2d:
    """Composed, as the course composes it; its parameters stand in the inner object."""

    def __init__(
        self, in_channels, out_channels, kernel_size, stride, padding=0, weight_init_fn=None, bias_init_fn=None
    ):
        self.stride, self.pad = stride, padding
        self.conv2d_stride1 = Conv2d_stride1(in_channels, out_channels, kernel_size)
        self.downsample2d = _Thin(stride)

    def forward(self, A):
        wide = np.pad(A, ((0, 0), (0, 0), (self.pad, self.pad), (self.pad, self.pad)))
        return self.downsample2d.forward(self.conv2d_stride1.forward(wide))

    def backward(self, dLdZ):
        wide = self.conv2d_stride1.backward(self.downsample2d.backward(dLdZ))
        h, w = wide.shape[2:]
        return wide[:, :, self.pad : h - self.pad, self.pad : w - self.pad]


class Conv1d:
    """The earlier form of the course, without padding."""

    def __init__(self, in_channels, out_channels, kernel_size, stride, weight_init_fn=None, bias_init_fn=None):
        self.conv1d_stride1, self.downsample1d = Conv1d_stride1(in_channels, out_channels, kernel_size), _Thin(stride)

    def forward(self, A):
        return self.downsample1d.forward(self.conv1d_stride1.forward(A))

    def backward(self, dLdZ):
        return self.conv1d_stride1.backward(self.downsample1d.backward(dLdZ))


class ConvTranspose1d:
    inner = Conv1d_stride1

    def __init__(
        self, in_channels, out_channels, kernel_size, upsampling_factor, weight_init_fn=None, bias_init_fn=None
    ):
        self.conv, self.upsample = self.inner(in_channels, out_channels, kernel_size), _Spread(upsampling_factor)

    def forward(self, A):
        return self.conv.forward(self.upsample.forward(A))

    def backward(self, dLdZ):
        return self.upsample.backward(self.conv.backward(dLdZ))


class ConvTranspose2d(ConvTranspose1d):
    inner = Conv2d_stride1


class MaxPool2d_stride1:  # noqa: N801
    def __init__(self, kernel):
        self.p = {"pool_height": kernel, "pool_width": kernel, "stride": 1}

    def forward(self, A):
        out, self.cache = r.max_pool_forward(A, self.p)
        return out

    def backward(self, dLdZ):
        return r.max_pool_backward_first(dLdZ, self.cache)


class MeanPool2d_stride1:  # noqa: N801
    def __init__(self, kernel):
        self.k = kernel

    def forward(self, A):
        self.shape, k = A.shape, self.k
        h, w = A.shape[2] - k + 1, A.shape[3] - k + 1
        return sum(A[:, :, u : u + h, v : v + w] for u, v in product(range(k), range(k))) / k**2

    def backward(self, dLdZ):
        dLdA, k = np.zeros(self.shape), self.k
        h, w = dLdZ.shape[2:]
        for u, v in product(range(k), range(k)):
            dLdA[:, :, u : u + h, v : v + w] += dLdZ / k**2
        return dLdA


class MaxPool2d:
    inner = MaxPool2d_stride1

    def __init__(self, kernel, stride):
        self.pool, self.thin = self.inner(kernel), _Thin(stride)

    def forward(self, A):
        return self.thin.forward(self.pool.forward(A))

    def backward(self, dLdZ):
        return self.pool.backward(self.thin.backward(dLdZ))


class MeanPool2d(MaxPool2d):
    inner = MeanPool2d_stride1


class BatchNorm1d:
    def __init__(self, num_features, alpha=0.9):
        self.BW, self.Bb, self.eps = np.ones((1, num_features)), np.zeros((1, num_features)), 1e-8

    def forward(self, Z, eval=False):
        self.NZ = (Z - Z.mean(axis=0)) / np.sqrt(Z.var(axis=0) + self.eps)
        self.V = Z.var(axis=0)
        return self.BW * self.NZ + self.Bb

    def backward(self, dLdBZ):
        self.dLdBW, self.dLdBb = (dLdBZ * self.NZ).sum(0, keepdims=True), dLdBZ.sum(0, keepdims=True)
        d = dLdBZ * self.BW
        return (d - d.mean(axis=0) - self.NZ * (d * self.NZ).mean(axis=0)) / np.sqrt(self.V + self.eps)


class ReLU:
    def forward(self, Z):
        self.A = np.where(Z > 0, Z, 0.0)
        return self.A

    def backward(self, dLdA):
        return np.where(self.A > 0, dLdA, 0.0)


class Sigmoid:
    def forward(self, Z):
        self.A = 1 / (1 + np.exp(-Z))
        return self.A

    def backward(self, dLdA):
        return dLdA * (self.A - self.A**2)


class Tanh:
    def forward(self, Z):
        self.A = np.tanh(Z)
        return self.A

    def backward(self, dLdA):
        return dLdA * (1 - self.A * self.A)


class Softmax:
    def forward(self, Z):
        self.A = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
        return self.A

    def backward(self, dLdA):
        rows = []
        for a, d in zip(self.A, dLdA, strict=True):
            rows.append((np.diag(a) - np.outer(a, a)) @ d)
        return np.array(rows)


# ---- CMU 10-714 (needle)


class NeedleConv:
    def __init__(self, stride=1, padding=0):
        self.p = {"stride": stride, "pad": padding}

    def compute(self, A, B):
        out, self.cache = r.conv_forward_einsum(
            A.transpose(0, 3, 1, 2), B.transpose(3, 2, 0, 1), np.zeros(B.shape[3]), self.p
        )
        return out.transpose(0, 2, 3, 1)

    def gradient(self, out_grad, node):
        A, B = node.inputs
        cache = (A.transpose(0, 3, 1, 2), B.transpose(3, 2, 0, 1), None, self.p)
        dx, dw, _ = r.conv_backward_einsum(out_grad.transpose(0, 3, 1, 2), cache)
        return dx.transpose(0, 2, 3, 1), dw.transpose(2, 3, 1, 0)


class Flip:
    def __init__(self, axes):
        self.axes = axes

    def compute(self, a):
        return np.flip(a, self.axes).copy()

    def gradient(self, out_grad, node):
        return np.flip(out_grad, self.axes).copy()


class Dilate:
    def __init__(self, axes, dilation):
        self.axes, self.step = axes, dilation + 1

    def _places(self, a):
        return tuple(slice(None, None, self.step if i in self.axes else None) for i in range(a.ndim))

    def compute(self, a):
        out = np.zeros([n * self.step if i in self.axes else n for i, n in enumerate(a.shape)])
        out[self._places(out)] = a
        return out

    def gradient(self, out_grad, node):
        return out_grad[self._places(out_grad)].copy()


class UnDilate(Dilate):
    def compute(self, a):
        return a[self._places(a)].copy()

    def gradient(self, out_grad, node):
        made = np.zeros(node.inputs[0].shape)
        made[self._places(made)] = out_grad
        return made


# ---- Harvard TinyTorch, with arrays


class TinyConv2d:
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        self.p = {"stride": stride, "pad": padding}
        self.weight, self.bias = np.zeros((out_channels, in_channels, *kernel_size)), np.zeros(out_channels)

    def forward(self, x):
        out, self.cache = r.conv_forward_columns(x, self.weight, self.bias, self.p)
        return out

    def backward(self, grad_output):
        return r.conv_backward_columns(grad_output, self.cache)


class TinyMaxPool2d:
    back = staticmethod(r.max_pool_backward_last)

    def __init__(self, kernel_size, stride=None, padding=0):
        self.p = {"pool_height": kernel_size[0], "pool_width": kernel_size[1], "stride": stride}

    def forward(self, x):
        out, self.cache = r.max_pool_forward(x, self.p)
        return out

    def backward(self, grad_output):
        return self.back(grad_output, self.cache)


class TinyAvgPool2d(TinyMaxPool2d):
    def forward(self, x):
        self.x, views = x, r._pool_views(x, self.p)
        return views.mean(axis=(4, 5))

    def backward(self, grad_output):
        views = np.ones((*grad_output.shape, self.p["pool_height"], self.p["pool_width"]))
        return r._put(self.x, self.p, views / views[0, 0, 0, 0].size * grad_output[..., None, None])


# ---- the same with a Tensor class of the course's own, whose output remembers a function


class Tensor:
    """float32 data, as small frameworks for teaching have it."""

    def __init__(self, data, requires_grad=False):
        self.data, self.requires_grad, self._grad_fn = np.array(data, dtype=np.float32), requires_grad, None

    @property
    def shape(self):
        return self.data.shape

    def numpy(self):
        return self.data


class TapedConv2d:
    """Its forward returns a Tensor with a ``_grad_fn``; it has no backward itself."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        self.p = {"stride": stride, "pad": padding}
        self.weight = Tensor(np.ones((out_channels, in_channels, *kernel_size)))
        self.bias = Tensor(np.zeros(out_channels))

    def forward(self, x):
        made, cache = r.conv_forward_einsum(x.data, self.weight.data, self.bias.data, self.p)
        out = Tensor(made)
        out._grad_fn = SimpleNamespace(apply=lambda g: tuple(r.conv_backward_einsum(getattr(g, "data", g), cache)))
        return out


class TapedNeedleConv:
    """Called on Tensors, as needle's operations are: the output is the node."""

    def __init__(self, stride, padding):
        self.op = NeedleConv(stride, padding)

    def __call__(self, A, B):
        out = Tensor(self.op.compute(A.data, B.data))
        out.inputs = [A, B]
        return out

    def gradient(self, out_grad, node):
        plain = SimpleNamespace(inputs=[t.data for t in node.inputs])
        return tuple(map(Tensor, self.op.gradient(out_grad.data, plain)))


# ---- UFAL npfl138, with arrays where torch is not there


class Convolution:
    def __init__(self, filters, kernel_size, stride, input_shape, seed, verify):
        self._stride = stride
        self._kernel, self._bias = np.zeros((kernel_size, kernel_size, input_shape[2], filters)), np.zeros(filters)

    def forward(self, inputs):
        s, k = self._stride, len(self._kernel)
        h, w = ((n - k) // s + 1 for n in inputs.shape[1:3])
        out = np.zeros((len(inputs), h, w, self._kernel.shape[3])) + self._bias
        for u, v in product(range(k), range(k)):
            out += inputs[:, u : u + s * h : s, v : v + s * w : s] @ self._kernel[u, v]
        return np.maximum(out, 0)

    def backward(self, inputs, outputs, outputs_gradient):
        s, k = self._stride, len(self._kernel)
        h, w = outputs.shape[1:3]
        d = outputs_gradient * (outputs > 0)
        dx, dw = np.zeros(inputs.shape), np.zeros(self._kernel.shape)
        for u, v in product(range(k), range(k)):
            dx[:, u : u + s * h : s, v : v + s * w : s] += d @ self._kernel[u, v].T
            dw[u, v] = np.tensordot(inputs[:, u : u + s * h : s, v : v + s * w : s], d, axes=((0, 1, 2), (0, 1, 2)))
        return dx, [self._kernel, self._bias], [dw, d.sum(axis=(0, 1, 2))]


# ---- Cornell minitorch: loops over flat storage


def tensor_conv1d(
    out, out_shape, out_strides, out_size, input, input_shape, input_strides, weight, weight_shape, weight_strides,
    reverse,
):  # fmt: skip
    (n, f, long), c, k = out_shape, weight_shape[1], weight_shape[2]
    for a, o, at in product(range(n), range(f), range(long)):
        total = 0.0
        for i, u in product(range(c), range(k)):
            place = at - u if reverse else at + u
            if 0 <= place < input_shape[2]:
                total += (
                    input[a * input_strides[0] + i * input_strides[1] + place * input_strides[2]]
                    * weight[o * weight_strides[0] + i * weight_strides[1] + u * weight_strides[2]]
                )
        out[a * out_strides[0] + o * out_strides[1] + at * out_strides[2]] = total


def tensor_conv2d(
    out, out_shape, out_strides, out_size, input, input_shape, input_strides, weight, weight_shape, weight_strides,
    reverse,
):  # fmt: skip
    x = np.lib.stride_tricks.as_strided(input, input_shape, input_strides * 8)
    w = np.lib.stride_tricks.as_strided(weight, weight_shape, weight_strides * 8)
    y = np.lib.stride_tricks.as_strided(out, out_shape, out_strides * 8)
    kh, kw = w.shape[2:]
    wide = np.pad(x, ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)))
    for i, j, u, q in product(range(y.shape[2]), range(y.shape[3]), range(kh), range(kw)):
        row, column = (i - u, j - q) if reverse else (i + u, j + q)
        y[:, :, i, j] += wide[:, :, row + kh - 1, column + kw - 1] @ w[:, :, u, q].T


RIGHT = [
    *[(f"cmu11785.{name}", kind) for name, kind in {
        "linear": Linear, "conv1d_stride1": Conv1d_stride1, "conv1d": Conv1d, "conv2d_stride1": Conv2d_stride1,
        "conv2d": Conv2d, "conv_transpose1d": ConvTranspose1d, "conv_transpose2d": ConvTranspose2d,
        "upsample1d": _Spread, "upsample2d": _Spread, "downsample1d": _Thin, "downsample2d": _Thin,
        "max_pool_stride1": MaxPool2d_stride1, "mean_pool_stride1": MeanPool2d_stride1, "max_pool": MaxPool2d,
        "mean_pool": MeanPool2d, "batchnorm": BatchNorm1d, "relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh,
        "softmax": Softmax,
    }.items()],
    ("needle.conv", NeedleConv), ("needle.flip", Flip), ("needle.dilate", Dilate), ("needle.undilate", UnDilate),
    ("needle.conv", TapedNeedleConv), ("tinytorch.conv", TinyConv2d), ("tinytorch.conv", TapedConv2d),
    ("tinytorch.max_pool", TinyMaxPool2d), ("tinytorch.avg_pool", TinyAvgPool2d),
    ("npfl138.convolution", Convolution), ("minitorch.conv1d", tensor_conv1d), ("minitorch.conv2d", tensor_conv2d),
]  # fmt: skip
