"""Random nets for the native machine, the programs they are recorded as, and the layouts they can run in."""

import numpy as np
import pytest

import autoconv as ac
from autoconv.plan import extension
from autoconv.plan.assemble.vector_layout import VectorLayout
from autoconv.program.program import from_tape
from autoconv.tape import Tensor

native = pytest.mark.skipif(not extension.available(), reason="the native machine is not built here, or switched off")
ACTIVATIONS = [ac.relu, ac.tanh, ac.sigmoid, ac.leaky_relu, ac.elu, lambda x: x * x, lambda x: ac.clip(x, -0.5, 0.5)]


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


def random_net(seed):
    """(f, parameters, shape of one example): convolutions, pools and activations of random geometry,
    then a linear layer."""
    rng = np.random.default_rng(seed)
    dims = pick(rng, 1, 2, 2, 3)
    first = bool(rng.integers(2))
    layout = "channels_first" if first else "channels_last"
    size = {1: 23, 2: 11, 3: 8}[dims]
    channels = pick(rng, 1, 2, 4, 6)
    shape = (channels, *(size,) * dims) if first else (*(size,) * dims, channels)
    conv = [ac.conv1d, ac.conv2d, ac.conv3d][dims - 1]
    pools = [[ac.max_pool1d, ac.avg_pool1d], [ac.max_pool2d, ac.avg_pool2d], [ac.max_pool3d, ac.avg_pool3d]][dims - 1]
    layers, parameters = [], []
    for _ in range(pick(rng, 1, 2)):
        groups = pick(rng, 1, 1, 2, channels) if channels % 2 == 0 else 1
        out = groups * pick(rng, 1, 3, 4)
        window = tuple(int(k) for k in rng.integers(1, 4, dims))
        kernel = (out, channels // groups, *window) if first else (*window, channels // groups, out)
        w, b = (ac.tensor(rng.normal(size=s) * 0.4) for s in (kernel, (out,)))
        settings = {
            "stride": pick(rng, 1, 1, 2),
            "padding": pick(rng, 0, 1, "same", "full"),
            "dilation": pick(rng, 1, 1, 2),
            "groups": groups,
        }
        if settings["dilation"] == 2 and settings["padding"] == 0:
            settings["padding"] = 1
        bias = b if rng.integers(3) else None
        parameters += [w] if bias is None else [w, b]
        layers.append(lambda x, w=w, bias=bias, s=settings: conv(x, w, bias, layout=layout, **s))
        layers.append(pick(rng, *ACTIVATIONS))
        if rng.integers(2):
            pool, k = pick(rng, *pools), pick(rng, 2, 3)
            more = {"stride": pick(rng, 1, 2), "padding": pick(rng, 0, 1), "layout": layout}

            def pooled(x, pool=pool, k=k, more=more):
                """Where the image still holds a window."""
                image = x.shape[2:] if first else x.shape[1:-1]
                return pool(x, k, **more) if min(image) + 2 * more["padding"] >= k else x

            layers.append(pooled)
        channels = out
    x = np.zeros((1, *shape))
    for layer in layers:
        x = np.asarray(layer(ac.tensor(x)))
    w = ac.tensor(rng.normal(size=(x.size, 3)) * 0.2)
    parameters.append(w)

    def f(x, labels):
        for layer in layers:
            x = layer(x)
        return ac.losses.cross_entropy(ac.flatten(x, 1) @ w, labels)

    return f, parameters, shape


def in_dtype(parameters, dtype):
    """The parameters with their values in another dtype."""
    for p in parameters:
        p._value = p.value.astype(dtype)
        p.value.flags.writeable = False


def swept(f, arguments, wrt):
    """The program of f at ``arguments`` and of its gradients for the tensors ``wrt``."""
    start = ac.tensor(0).serial
    lines = [ac.tensor(x) for x in arguments]
    y = f(*lines)
    gradients = ac.sweep(y, wrt, Tensor(np.ones(y.shape, y.dtype), constant=True))
    return from_tape([y, *gradients], lines, start)


def layouts(dtype):
    """Every layout that this processor can run for a dtype, on threads of their own and on three that share a block."""
    kinds = [k for k in extension.machine().variants() if k[1] == np.dtype(dtype).itemsize]
    return [
        VectorLayout(channels, set_, lanes, registers, vectors, team)
        for vectors, channels in ((1, False), (1, True), (2, False), (4, False))
        for set_, _, lanes, registers, _ in kinds
        if set_ == kinds[0][0]
        for team in (1, 3)
    ]
