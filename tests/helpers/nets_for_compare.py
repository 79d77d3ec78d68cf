"""Small nets with one switch for each mistake that a port can make: LeNet-like, residual, MLP, attention, 1-D,
transposed."""

import numpy as np

import autoconv as ac
from autoconv import nn

rng = np.random.default_rng(1)


def weight(*shape):
    return (rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)


class Net(nn.Module):
    """Parameters by name and a forward that is a function of them."""

    def __init__(self, f, settings, **parameters):
        self.f, self.set = f, settings
        for name, value in parameters.items():
            setattr(self, name, nn.Parameter(value))

    def forward(self, x):
        return self.f(self, x, **self.set)


# ---- two convolutions, two matrices

IMAGES = rng.normal(size=(3, 8, 8, 2)).astype(np.float32)
HALF_BLACK = (IMAGES * (np.arange(8) < 4)[:, None, None]).astype(np.float32)
LENET = {
    "k1": weight(3, 3, 2, 6), "b1": weight(6), "k2": weight(3, 3, 6, 8), "l1": weight(128, 10), "c1": weight(10),
    "l2": weight(10, 4),
}  # fmt: skip


def _lenet(m, x, act=ac.relu, pool=ac.max_pool2d, turned=None, pad=1, flip=False, bias=True, bgr=False):
    x = x[..., ::-1] if bgr else x
    with ac.scope("block1"):
        y = act(ac.conv2d(x, m.k1, m.b1 if bias else None, padding=pad))
    y = pool(y, 2)
    with ac.scope("block2"):
        y = act(ac.conv2d(y, m.k2, padding=1, flip=flip))
    y = y.transpose(turned) if turned else y
    with ac.scope("head"):
        return act(y.reshape((3, -1)) @ m.l1 + m.c1) @ m.l2


def lenet(**settings):
    return Net(_lenet, settings, **LENET)


def other_lenet(name, **settings):
    """With other numbers in one parameter."""
    return Net(_lenet, settings, **{**LENET, name: LENET[name] + np.float32(0.01) * weight(*LENET[name].shape)})


# ---- residual blocks with batch normalisation

RESIDUAL = rng.normal(size=(2, 7, 7, 4)).astype(np.float32)
SHIFT = weight(4)


class Block(nn.Module):
    def __init__(self, seed, bias=True, **norm):
        self.conv1 = nn.Conv2d(4, 4, 3, padding=1, rng=seed, bias=bias)
        self.norm1 = nn.BatchNorm2d(4, **norm)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, rng=seed + 50)
        self.norm2 = nn.BatchNorm2d(4)
        if bias:
            self.conv1.bias.assign(SHIFT)

    def forward(self, x):
        return ac.relu(x + self.norm2(self.conv2(ac.relu(self.norm1(self.conv1(x))))))


def residual(at=1, **settings):
    blocks = [Block(k, **(settings if k == at else {})) for k in range(3)]
    return nn.Sequential(*blocks, nn.GlobalAvgPool(), nn.Linear(4, 3, rng=9))


# ---- attention and an MLP around it

TOKENS = rng.normal(size=(2, 5, 8)).astype(np.float32)
ATTENTION = {k: weight(8, 8) for k in "qkvo"} | {"up": weight(8, 16), "down": weight(16, 8)}


def _attention(m, x, scale=8**-0.5, axis=-1, gelu="none", norm=ac.layer_norm, drop=0, turn=False):
    with ac.scope("attention"):
        scores = (x @ m.q) @ (x @ m.k).transpose((0, 2, 1))
        scores = scores if scale is None else scores * scale
        x = x + (ac.softmax(scores, axis=axis) @ (x @ m.v)) @ (m.o.T if turn else m.o)
    with ac.scope("mlp"):
        hidden = ac.gelu(norm(x) @ m.up, approximate=gelu)
        hidden = ac.dropout(hidden, drop, rng=np.random.default_rng(0)) if drop else hidden
        return x + hidden @ m.down


def attention(**settings):
    return Net(_attention, settings, **ATTENTION)


def norm_by_hand(ddof=0, outside=0.0, eps=1e-5):
    def norm(x):
        mean = ac.mean(x, axis=-1, keepdims=True)
        root = ac.sqrt(ac.var(x, axis=-1, keepdims=True, ddof=ddof) + eps)
        return (x - mean) / (root if not outside else ac.sqrt(ac.var(x, axis=-1, keepdims=True)) + outside)

    return norm


# ---- one dimension, with a loss

SOUND = rng.normal(size=(2, 20, 3)).astype(np.float32)
AUDIO = {"k1": weight(4, 3, 5), "k2": weight(4, 5, 6), "t": weight(2, 20, 6)}


def _audio(m, x, pad="same", slope=0.1, reduction="mean", eps=1e-6, axis=1, dilation=1):
    with ac.scope("front"):
        y = ac.leaky_relu(ac.conv1d(x, m.k1, padding="same"), slope)
    with ac.scope("middle"):
        y = ac.conv1d(y, m.k2, padding=pad, dilation=dilation)
    y = y - ac.mean(y, axis=axis, keepdims=True)
    y = y / ac.sqrt(ac.var(y, axis=1, keepdims=True) + eps)
    return ac.losses.mse(y, m.t, reduction=reduction)


def audio(**settings):
    return Net(_audio, settings, **AUDIO)


# ---- a generator

NOISE = rng.normal(size=(2, 4, 4, 3)).astype(np.float32)
GENERATOR = {"k1": weight(4, 4, 5, 3), "k2": weight(3, 3, 5, 5)}


def _generator(m, x, flip=False, pad=1, act=ac.tanh, dtype=None):
    with ac.scope("up"):
        y = ac.relu(ac.conv_transpose2d(x, m.k1[::-1, ::-1] if flip else m.k1, stride=2, padding=pad))
    y = y.astype(dtype).astype(np.float32) if dtype else y
    with ac.scope("out"):
        return act(ac.conv2d(y, m.k2, padding=1))


def generator(**settings):
    return Net(_generator, settings, **GENERATOR)


def interpolated(align):
    """Twice as large along both axes, by matrices."""

    def f(x):
        n, m = x.shape[1], 2 * x.shape[1]
        at = np.arange(m) * (n - 1) / (m - 1) if align else np.maximum((np.arange(m) + 0.5) / 2 - 0.5, 0)
        low = np.minimum(np.floor(at).astype(int), n - 1)
        weights = np.zeros((m, n))
        weights[np.arange(m), low] += 1 - (at - low)
        weights[np.arange(m), np.minimum(low + 1, n - 1)] += at - low
        with ac.scope("interpolate"):
            return ac.einsum("nawc,bw->nabc", ac.einsum("nhwc,ah->nawc", x, weights), weights)

    return lambda x: ac.tanh(f(ac.conv2d(x, LENET["k1"], padding=1)))
