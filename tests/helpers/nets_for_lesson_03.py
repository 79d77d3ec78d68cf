"""The network of lesson 3's article at random sizes, and its equations 1, 2 and 4 as loops:
for the tests of that lesson.

With a stride s and a padding p a layer reads o[i s + m - p] where the article has o[i + m], and what lies outside
counts as zero.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

import autoconv as ac

FUNCTIONS = [  # f on the tape, f and f' in NumPy
    (ac.tanh, np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    (ac.sigmoid, lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
    (ac.relu, lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(float)),
]


@dataclass
class Layer:
    """x[i, j, d] = sum over m, n, c of w[m, n, c, d] o[i s + m - p, j s + n - p, c] + b[d]."""

    w: np.ndarray
    b: np.ndarray
    stride: tuple[int, int]
    padding: tuple[int, int]

    def reads(self, i, j, m, n):
        return i * self.stride[0] + m - self.padding[0], j * self.stride[1] + n - self.padding[1]

    @property
    def settings(self):
        return {"stride": self.stride, "padding": self.padding}


@dataclass
class Net:
    """Two layers with f after each, half the squared error, and its gradients by the tape."""

    o0: np.ndarray
    first: Layer
    second: Layer
    t: np.ndarray
    f: tuple

    def __post_init__(self):
        names = ("o0", "w1", "b1", "w2", "b2")
        values = (self.o0, self.first.w, self.first.b, self.second.w, self.second.b)
        tape = {name: ac.tensor(value, name=name) for name, value in zip(names, values, strict=True)}
        tape["x1"] = ac.conv2d(tape["o0"], tape["w1"], tape["b1"], **self.first.settings)
        tape["o1"] = self.f[0](tape["x1"])
        tape["x2"] = ac.conv2d(tape["o1"], tape["w2"], tape["b2"], **self.second.settings)
        tape["y"] = self.f[0](tape["x2"])
        tape["E"] = ac.losses.half_squared_error(tape["y"], self.t)
        tape["E"].backward()
        self.tape = tape
        self.value = {name: line.value for name, line in tape.items()}
        self.grad = {name: line.grad for name, line in tape.items()}

    @property
    def delta2(self):
        """(y - t) f'(x2), by hand: what equation 20 has to start from."""
        return (self.value["y"] - self.t) * self.f[2](self.value["x2"])


def draw(seed, plain=False):
    """A net; ``plain``: one channel, stride 1, no padding, kernels of at least 2 x 2, as in the article."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(4, 8, 2) + (2 if plain else 0)
    channels = [1, 1, 1] if plain else rng.integers(1, 4, 3).tolist()
    o0 = rng.normal(size=(*sizes, channels[0]))
    layers = []
    for c, d in pairwise(channels):
        k = np.array([rng.integers(2, min(3, n) + 1) if plain else rng.integers(1, min(3, n) + 1) for n in sizes])
        stride = (1, 1) if plain else tuple(rng.integers(1, 3, 2).tolist())
        padding = (0, 0) if plain else tuple(int(rng.integers(0, n)) for n in k)
        layers.append(Layer(rng.normal(size=(*k, c, d)), rng.normal(size=d), stride, padding))
        sizes = (sizes + 2 * np.array(padding) - k) // np.array(stride) + 1
    return Net(o0, *layers, rng.normal(size=(*sizes, channels[2])), FUNCTIONS[seed % 3])


def at(a, i, j):
    """a[i, j], and zeros outside."""
    return a[i, j] if 0 <= i < a.shape[0] and 0 <= j < a.shape[1] else np.zeros(a.shape[2:])


def forward(o, layer):
    """Equation 4 (and 5 and 7) in loops."""
    (H, W), (k1, k2) = o.shape[:2], layer.w.shape[:2]
    rows = (H + 2 * layer.padding[0] - k1) // layer.stride[0] + 1
    columns = (W + 2 * layer.padding[1] - k2) // layer.stride[1] + 1
    x = np.zeros((rows, columns, layer.w.shape[3])) + layer.b
    for i, j, m, n in np.ndindex(rows, columns, k1, k2):
        x[i, j] += at(o, *layer.reads(i, j, m, n)) @ layer.w[m, n]
    return x


def correlate(I, K):
    """Equation 1, one channel, where the kernel fits."""
    (H, W), (k1, k2) = I.shape, K.shape
    positions = np.ndindex(H - k1 + 1, W - k2 + 1)
    made = [sum(I[i + m, j + n] * K[m, n] for m, n in np.ndindex(k1, k2)) for i, j in positions]
    return np.array(made).reshape(H - k1 + 1, W - k2 + 1)


def convolve(I, K):
    """Equation 2, one channel, at every position with any overlap."""
    (H, W), (k1, k2) = I.shape, K.shape
    made = np.zeros((H + k1 - 1, W + k2 - 1))
    for i, j in np.ndindex(*made.shape):
        made[i, j] = sum(at(I, i - m, j - n) * K[m, n] for m, n in np.ndindex(k1, k2))
    return made


def fitting(full, K):
    """The part of a full convolution where the whole kernel lies inside."""
    k1, k2 = K.shape
    return full[k1 - 1 : full.shape[0] - k1 + 1, k2 - 1 : full.shape[1] - k2 + 1]


def turned(a):
    return a[::-1, ::-1]
