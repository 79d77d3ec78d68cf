"""Small networks of many kinds, to be written as ONNX files: name -> (build(rng, dtype), shape of one example)."""

import numpy as np

import autoconv as ac
from autoconv import nn


class Net(nn.Module):
    """A function of (its parameters, x) as a Module."""

    def __init__(self, function, **parameters):
        self.function = [function]
        for name, value in parameters.items():
            setattr(self, name, nn.Parameter(value, dtype=np.asarray(value).dtype))

    def forward(self, x):
        return self.function[0](self, x)


class Residual(nn.Module):
    """Two convolutions with batch norm beside a shortcut, as in ResNet."""

    def __init__(self, inner, outer, stride, rng):
        self.conv1 = nn.Conv2d(inner, outer, 3, stride=stride, padding=1, bias=False, rng=rng)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, padding=1, bias=False, rng=rng)
        self.bn2 = nn.BatchNorm2d(outer)
        self.shortcut = nn.Conv2d(inner, outer, 1, stride=stride, bias=False, rng=rng) if stride > 1 else None

    def forward(self, x):
        y = self.bn2(self.conv2(ac.relu(self.bn1(self.conv1(x)))))
        return ac.relu(y + (self.shortcut(x) if self.shortcut else x))


class ResNet20(nn.Module):
    """He et al., 2015, for images of 32x32x3; ``width`` channels in the first stage."""

    def __init__(self, rng, width=16, depth=3):
        self.conv = nn.Conv2d(3, width, 3, padding=1, bias=False, rng=rng)
        self.bn = nn.BatchNorm2d(width)
        sizes = [(width, width, 1)] * depth
        for k in (2, 4):
            sizes += [(k * width // 2, k * width, 2), *[(k * width, k * width, 1)] * (depth - 1)]
        self.blocks = [Residual(i, o, s, rng) for i, o, s in sizes]
        self.fc = nn.Linear(4 * width, 10, rng=rng)

    def forward(self, x):
        x = ac.relu(self.bn(self.conv(x)))
        for block in self.blocks:
            x = block(x)
        return self.fc(ac.global_avg_pool(x))


def gru(m, x):
    h = np.zeros((x.shape[0], 4), x.dtype)
    for t in range(x.shape[1]):
        a, b = x[:, t] @ m.wx, h @ m.wh
        z, r = ac.sigmoid(a[:, :4] + b[:, :4]), ac.sigmoid(a[:, 4:8] + b[:, 4:8])
        h = (1 - z) * ac.tanh(a[:, 8:] + r * b[:, 8:]) + z * h
    return h


def attention(m, x):
    n, t, d = x.shape
    heads = [ac.transpose(ac.reshape(x @ w, (n, t, 2, d // 2)), (0, 2, 1, 3)) for w in (m.q, m.k, m.v)]
    q, k, v = heads
    weights = ac.softmax(q @ ac.transpose(k, (0, 1, 3, 2)) * 0.7)
    y = x + ac.gelu(ac.reshape(ac.transpose(weights @ v, (0, 2, 1, 3)), (n, t, d)))
    return ac.mean(ac.layer_norm(y, m.scale, m.shift), axis=1)


def scalars(m, x):
    pieces = [ac.clip(x * m.a, -0.5, 0.5), ac.elu(x), ac.softplus(x), ac.minimum(x, m.a), ac.log_softmax(x)]
    y = ac.logsumexp(x, axis=1, keepdims=True) + ac.prod(x, axis=1, keepdims=True) + ac.max(x, axis=1, keepdims=True)
    for piece in pieces:
        y = y + piece
    return y + ac.expm1(x) + ac.erf(x) + ac.erfc(m.a) + ac.softsign(x) + ac.log1p(ac.exp(x)) + abs(x) ** 1.5


def indexing(m, x):
    parts = [x[:, ::2] * m.a, x[:, ::-1][:, 1:4], x[:, [0, 0, 3]], x[:, -1:], x[:, 5:1:-3]]
    return ac.concat(parts, axis=1)


def neighbours(m, x):
    return x * m.a + ac.concat([x[1:], x[:1]], axis=0) + ac.mean(x, axis=0) - ac.std(x, axis=0)


def _nets(rng):
    r = lambda *shape: 0.4 * rng.normal(size=shape)
    chain = nn.Sequential
    first = {"layout": "channels_first", "rng": rng}
    return {
        "strided, dilated, grouped": (
            chain(
                nn.Conv2d(4, 6, 3, stride=(2, 1), padding=2, dilation=(1, 2), groups=2, rng=rng),
                nn.ReLU(),
                nn.Conv2d(6, 6, (2, 3), groups=6, padding="same", rng=rng),
                nn.Flatten(),
            ),
            (5, 6, 4),
        ),
        "transposed": (
            chain(
                nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1, rng=rng),
                nn.ReLU(),
                nn.ConvTranspose2d(4, 4, 2, stride=3, groups=2, rng=rng),
                nn.Flatten(),
            ),
            (2, 3, 3),
        ),
        "channels first": (
            chain(
                nn.Conv2d(2, 3, 3, padding=1, **first),
                nn.MaxPool2d(2, layout="channels_first"),
                nn.ConvTranspose2d(3, 2, 3, stride=2, dilation=2, **first),
                nn.AvgPool2d(3, stride=2, layout="channels_first"),
                nn.Flatten(),
            ),
            (2, 6, 6),
        ),
        "max pool that overlaps": (
            chain(nn.Conv2d(2, 3, 2, rng=rng), nn.MaxPool2d(3, stride=2, padding=1), nn.Flatten()),
            (6, 6, 2),
        ),
        "average pools": (
            chain(
                nn.Conv2d(2, 2, 2, rng=rng),
                nn.AvgPool2d(3, stride=2, padding=1),
                nn.AvgPool2d(2, stride=1, padding=1, count_include_pad=False),
                nn.Flatten(),
            ),
            (6, 6, 2),
        ),
        "Lp pool": (
            Net(lambda m, x: ac.lp_pool2d(ac.conv2d(x, m.w), 3, 3, stride=2).reshape(x.shape[0], -1), w=r(2, 2, 2, 3)),
            (6, 6, 2),
        ),
        "1-D": (
            chain(nn.Conv1d(3, 4, 5, stride=2, padding=2, rng=rng), nn.ReLU(), nn.MaxPool1d(3, stride=2), nn.Flatten()),
            (11, 3),
        ),
        "3-D": (
            chain(
                nn.Conv3d(2, 3, (2, 3, 2), stride=(1, 2, 1), padding=1, rng=rng),
                nn.ReLU(),
                nn.MaxPool3d(2),
                nn.Flatten(),
            ),
            (2, 4, 3, 2),
        ),
        "padding that is uneven": (
            chain(nn.Conv2d(1, 2, 4, stride=3, padding="same", rng=rng), nn.Flatten()),
            (7, 5, 1),
        ),
        "recurrent": (Net(gru, wx=r(3, 12), wh=r(4, 12)), (4, 3)),
        "attention": (Net(attention, q=r(6, 6), k=r(6, 6), v=r(6, 6), scale=1 + r(6), shift=r(6)), (3, 6)),
        "einsum": (Net(lambda m, x: ac.einsum("bij,jk,ikl->bl", x, m.a, m.b), a=r(4, 5), b=r(3, 5, 6)), (3, 4)),
        "indexing": (Net(indexing, a=r(4)), (7,)),
        "the other examples": (Net(neighbours, a=r(5)), (5,)),
        "scalars": (Net(scalars, a=r(5)), (5,)),
        "batch norm": (
            chain(nn.Linear(5, 6, bias=False, rng=rng), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3, rng=rng)),
            (5,),
        ),
    }


def nets(dtype):
    """name -> (model in eval mode whose parameters have this dtype, shape of one example)."""
    made = _nets(np.random.default_rng(0))
    for model, _ in made.values():
        for parameter in list(model.parameters()):
            _replace(model, parameter, dtype)
        model.eval()
    return made


def _replace(model, parameter, dtype):
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if value is parameter:
                setattr(module, name, nn.Parameter(parameter.value, dtype=dtype))


def loss_of(model):
    """Cross entropy with whole-number labels, which are an input."""
    return lambda x, y: ac.losses.cross_entropy(model(x), y)


def batch_of(size, shape, classes, dtype, seed=0):
    """Random examples and labels."""
    rng = np.random.default_rng([seed, size])
    return rng.normal(size=(size, *shape)).astype(dtype), rng.integers(0, classes, size)


def gradients(model, loss, x, y):
    """[loss, gradient of each parameter], by the sweep."""
    model.zero_grad()
    value = loss(x, y)
    value.backward()
    return [value.value, *[np.zeros(p.shape) if p.grad is None else p.grad for p in model.parameters()]]
