"""Initial weights: zero mean, and a variance that keeps the signal's size from layer to layer.

An initialiser is called ``init(shape, rng, fans)`` and returns an array; write your own in the same form.  ``rng`` is a
``np.random.Generator``, a seed, or None for an unseeded one; ``fans`` = (fan_in, fan_out), None for those of ``shape``.

The functions whose name ends in an underscore are PyTorch's: they give a parameter new values and return it.  The fans
of a layer's weight are the layer's, whatever its layout; those of another Tensor are those of its shape, channels last.
"""

from __future__ import annotations

from collections.abc import Callable
from math import erf, prod, sqrt
from typing import Any

import numpy as np

from ..operands import found, generator, real
from ..shapes import Shape, shown
from ..tape import Array, Tensor

Rng = np.random.Generator | int | None
Fans = tuple[int, int]
Initializer = Callable[[Shape, Rng, Fans], Array]


def fans(shape: Shape, channels_last: bool = True) -> Fans:
    """(fan_in, fan_out): how many inputs one output reads, and how many outputs one input reaches.

    Channels last: (*window, C_in / groups, C_out) and Linear's (in, out); channels first: (C_out, C_in / groups,
    *window). fan_in = prod(window) * C_in / groups, fan_out = prod(window) * C_out.  ValueError for fewer than two
    dimensions.

    >>> nn.init.fans((3, 3, 8, 16))
    (72, 144)
    """
    if len(shape) < 2:
        raise ValueError(
            f"fans: a weight of shape {shape} has no inputs and outputs; it needs two dimensions or more: (*window, "
            "in, out)"
        )
    window = prod(shape[:-2] if channels_last else shape[2:])
    inner, outer = shape[-2:] if channels_last else (shape[1], shape[0])
    return window * inner, window * outer


def glorot_uniform(shape: Shape, rng: Rng = None, fans: Fans | None = None) -> Array:
    """Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010), for tanh and sigmoid.

    shape: of the weight; rng: a generator, a seed or None; fans: (fan_in, fan_out), None for those of the shape.

    >>> bool(abs(nn.init.glorot_uniform((50, 100), 0)).max() <= 0.2)  # sqrt(6 / 150)
    True
    """
    return _uniform(shape, rng, 2 / _total(shape, fans))


def glorot_normal(shape: Shape, rng: Rng = None, fans: Fans | None = None) -> Array:
    """Normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010).

    shape: of the weight; rng: a generator, a seed or None; fans: (fan_in, fan_out), None for those of the shape.

    >>> float(nn.init.glorot_normal((50, 150), 0).std().round(2))  # sqrt(2 / 200)
    0.1
    """
    return _normal(shape, rng, 2 / _total(shape, fans))


def he_uniform(shape: Shape, rng: Rng = None, fans: Fans | None = None) -> Array:
    """Uniform in +-sqrt(6 / fan_in) (He et al., 2015), for ReLU; the layers' default.

    shape: of the weight; rng: a generator, a seed or None; fans: (fan_in, fan_out), None for those of the shape.

    >>> bool(abs(nn.init.he_uniform((150, 50), 0)).max() <= 0.2)  # sqrt(6 / 150)
    True
    """
    return _uniform(shape, rng, 2 / _inputs(shape, fans))


def he_normal(shape: Shape, rng: Rng = None, fans: Fans | None = None) -> Array:
    """Normal with variance 2 / fan_in (He et al., 2015), for ReLU.

    shape: of the weight; rng: a generator, a seed or None; fans: (fan_in, fan_out), None for those of the shape.

    >>> float(nn.init.he_normal((200, 50), 0).std().round(2))  # sqrt(2 / 200)
    0.1
    """
    return _normal(shape, rng, 2 / _inputs(shape, fans))


def zeros(shape: Shape, rng: Rng = None, fans: Fans | None = None) -> Array:
    """All zero: for biases, and to see why weights are not initialised so.

    shape: of the weight; rng: a generator, a seed or None; fans: (fan_in, fan_out), None for those of the shape.

    >>> nn.init.zeros((2,))
    array([0., 0.])
    """
    return np.zeros(shape)


_fans_of = fans


def _inputs(shape: Shape, fans: Fans | None) -> int:
    return max(1, (fans or _fans_of(shape))[0])


def _total(shape: Shape, fans: Fans | None) -> int:
    return max(1, sum(fans or _fans_of(shape)))


def _uniform(shape: Shape, rng: Rng, variance: float) -> Array:
    limit = sqrt(3 * variance)
    return generator(rng, "rng").uniform(-limit, limit, shape)


def _normal(shape: Shape, rng: Rng, variance: float) -> Array:
    return generator(rng, "rng").normal(0, sqrt(variance), shape)


# ---- in place, under PyTorch's names


def _filled(name: str, tensor: Any, value: Any) -> Tensor:
    """The parameter with new values."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: the parameter must be a Tensor, found {found(tensor)}; as in {name}(layer.weight)")
    tensor.assign(value)
    return tensor


def _shape(name: str, tensor: Any) -> Shape:
    return tensor.shape if isinstance(tensor, Tensor) else _filled(name, tensor, None).shape


def _fans(name: str, tensor: Any) -> Fans:
    """The fans that its layer knows, or those of its shape."""
    shape = _shape(name, tensor)
    return getattr(tensor, "fans", None) or fans(shape)


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in a .. b.

    >>> bool(nn.init.uniform_(nn.Parameter(np.zeros(9)), 2.0, 3.0, 0).value.min() >= 2)
    True
    """
    low, high = float(real(a, "uniform_: a")), float(real(b, "uniform_: b"))
    if not 0 <= high - low < np.inf:
        raise ValueError(f"uniform_: a={low}, b={high}; they must be finite, and b no less than a")
    return _filled("uniform_", tensor, _drawn(generator).uniform(low, high, _shape("uniform_", tensor)))


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with this mean and standard deviation.

    >>> nn.init.normal_(nn.Parameter(np.zeros(3)), 5.0, 0.0).value
    array([5., 5., 5.], dtype=float32)
    """
    middle, width = real(mean, "normal_: mean"), real(std, "normal_: std", low=0)
    return _filled("normal_", tensor, _drawn(generator).normal(middle, width, _shape("normal_", tensor)))


def trunc_normal_(
    tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Normal, drawn again where it lies outside a .. b.

    >>> bool(abs(nn.init.trunc_normal_(nn.Parameter(np.zeros(99)), generator=0).value).max() <= 2)
    True
    """
    middle, width = real(mean, "trunc_normal_: mean"), real(std, "trunc_normal_: std", above=0)
    low, high = real(a, "trunc_normal_: a"), real(b, "trunc_normal_: b")
    share = (erf((high - middle) / width / sqrt(2)) - erf((low - middle) / width / sqrt(2))) / 2
    if not share >= 1e-3:  # NaN neither
        raise ValueError(f"trunc_normal_: between a={a} and b={b} lies {share:.2g} of the normal numbers; widen them")
    source, values = _drawn(generator), np.full(_shape("trunc_normal_", tensor), np.inf)
    while (outside := ~((values >= low) & (values <= high))).any():
        values[outside] = source.normal(middle, width, int(outside.sum()))
    return _filled("trunc_normal_", tensor, values)


def constant_(tensor: Any, val: float) -> Tensor:
    """``val`` everywhere.

    >>> nn.init.constant_(nn.Parameter(np.zeros(2)), 0.5).value
    array([0.5, 0.5], dtype=float32)
    """
    return _filled("constant_", tensor, np.full(_shape("constant_", tensor), real(val, "constant_: val")))


def zeros_(tensor: Any) -> Tensor:
    """0 everywhere.

    >>> nn.init.zeros_(nn.Parameter(np.ones(2))).value
    array([0., 0.], dtype=float32)
    """
    return constant_(tensor, 0.0)


def ones_(tensor: Any) -> Tensor:
    """1 everywhere.

    >>> nn.init.ones_(nn.Parameter(np.zeros(2))).value
    array([1., 1.], dtype=float32)
    """
    return constant_(tensor, 1.0)


def eye_(tensor: Any) -> Tensor:
    """Ones on the diagonal of a matrix, 0 elsewhere.  ValueError for another number of axes.

    >>> nn.init.eye_(nn.Parameter(np.zeros((2, 2)))).value
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    shape = _shape("eye_", tensor)
    if len(shape) != 2:
        raise ValueError(f"eye_: the parameter has shape {shape}; a matrix is needed")
    return _filled("eye_", tensor, np.eye(*shape))


def orthogonal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Orthonormal rows or columns, whichever are fewer, times ``gain``; the axes but the first are one.

    >>> w = nn.init.orthogonal_(nn.Parameter(np.zeros((2, 3)), dtype=float), generator=0).value
    >>> (w @ w.T).round(6) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """
    shape = _shape("orthogonal_", tensor)
    if len(shape) < 2:
        raise ValueError(f"orthogonal_: the parameter has shape {shape}; two axes or more are needed")
    rows, columns = shape[0], prod(shape[1:])
    q, r = np.linalg.qr(_drawn(generator).normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return _filled(
        "orthogonal_", tensor, real(gain, "orthogonal_: gain") * (q if rows >= columns else q.T).reshape(shape)
    )


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Tensor:
    """``glorot_uniform`` times ``gain``.

    >>> bool(abs(nn.init.xavier_uniform_(nn.Linear(50, 100).weight, generator=0).value).max() <= 0.2)
    True
    """
    fan = _fans("xavier_uniform_", tensor)
    factor = real(gain, "xavier_uniform_: gain")
    return _filled("xavier_uniform_", tensor, factor * glorot_uniform(tensor.shape, _drawn(generator), fan))


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Tensor:
    """``glorot_normal`` times ``gain``.

    >>> round(float(nn.init.xavier_normal_(nn.Linear(50, 150).weight, generator=0).value.std()), 2)
    0.1
    """
    fan = _fans("xavier_normal_", tensor)
    factor = real(gain, "xavier_normal_: gain")
    return _filled("xavier_normal_", tensor, factor * glorot_normal(tensor.shape, _drawn(generator), fan))


def kaiming_uniform_(
    tensor: Any, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Uniform in +-gain sqrt(3 / fan), fan that of ``mode``, gain that of ``calculate_gain(nonlinearity, a)``.

    >>> bool(abs(nn.init.kaiming_uniform_(nn.Linear(150, 50).weight, generator=0).value).max() <= 0.2)
    True
    """
    variance = _kaiming("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return _filled("kaiming_uniform_", tensor, _uniform(tensor.shape, _drawn(generator), variance))


def kaiming_normal_(
    tensor: Any, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Normal with variance gain^2 / fan, fan that of ``mode``, gain that of ``calculate_gain(nonlinearity, a)``.

    >>> round(float(nn.init.kaiming_normal_(nn.Linear(200, 50).weight, generator=0).value.std()), 2)
    0.1
    """
    variance = _kaiming("kaiming_normal_", tensor, a, mode, nonlinearity)
    return _filled("kaiming_normal_", tensor, _normal(tensor.shape, _drawn(generator), variance))


def _kaiming(name: str, tensor: Any, a: float, mode: Any, nonlinearity: Any) -> float:
    if not isinstance(mode, str) or mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{name}: mode={shown(mode)}; use 'fan_in' or 'fan_out'")
    fan = _fans(name, tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) ** 2 / max(1, fan)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity shrinks a signal, undone: sqrt(2) for relu, 5 / 3 for tanh, ...

    param: the slope below 0 of "leaky_relu" (None: 0.01).  Raises ValueError for a name that has none.

    >>> nn.init.calculate_gain("tanh") == 5 / 3
    True
    """
    if isinstance(nonlinearity, str) and nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else real(param, "calculate_gain: param")
        return sqrt(2 / (1 + slope**2))
    convolutions = [f"conv{kind}{d}d" for kind in ("", "_transpose") for d in (1, 2, 3)]
    gains = {"relu": sqrt(2), "tanh": 5 / 3, "selu": 0.75, **dict.fromkeys(["linear", "sigmoid", *convolutions], 1.0)}
    if not isinstance(nonlinearity, str) or nonlinearity not in gains:
        raise ValueError(
            f"calculate_gain: no gain for {shown(nonlinearity)}; use one of leaky_relu, {', '.join(gains)}"
        )
    return float(gains[nonlinearity])


def _drawn(source: Any) -> np.random.Generator:
    return _generator(source, "generator")


_generator = generator
