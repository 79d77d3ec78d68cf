"""autoconv: a convolutional network is nothing but recorded scalar arithmetic.

Record with Tensors, differentiate with ``backward`` or ``grad``, look with ``graph``.  The names follow NumPy and PyTorch;
see README.md for the map of the folders.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .backward import sweep
from .functional import loss as losses
from .functional import methods as _methods
from .functional.activation import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    reciprocal,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    square,
)
from .functional.array import (
    astype,
    broadcast_to,
    clip,
    concat,
    concatenate,
    expand_dims,
    flatten,
    flip,
    moveaxis,
    ones_like,
    pad,
    permute_dims,
    ravel,
    repeat,
    reshape,
    roll,
    rot180,
    split,
    squeeze,
    stack,
    swapaxes,
    take,
    take_along_axis,
    tile,
    transpose,
    where,
    zeros_like,
)  # fmt: skip
from .functional.conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .functional.frames import overlap_add, windows
from .functional.linalg import dot, einsum, matmul, outer, tensordot
from .functional.matrix import conv_matrix
from .functional.normalisation import batch_norm, dropout, layer_norm
from .functional.pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    global_avg_pool,
    global_max_pool,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)  # fmt: skip
from .functional.reduce import argmax, argmin, logsumexp, max, mean, min, prod, std, sum, var
from .primitives import (
    TABLE,
    add,
    cos,
    div,
    erf,
    exp,
    log,
    log1p,
    logaddexp,
    maximum,
    minimum,
    mul,
    neg,
    power,
    sign,
    sin,
    sqrt,
    stop_gradient,
    sub,
    tanh,
)
from .primitives import abs_ as abs
from .tape import Primitive, Scope, Tape, Tensor, no_grad, scope, tensor
from .transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__version__ = "0.1.0"

_LATER = {
    "Scalar": ".scalar",
    "break_it": ".tutor.breaking",
    "certificate": ".tutor.certificate",
    "check": ".tutor.check",
    "check_grads": ".gradcheck",
    "compile": ".compiled",
    "exercise": ".exercises.making",
    "exercise_key": ".exercises.key",
    "expand": ".scalar",
    "explain": ".views.equations.explain",
    "graph": ".views.graph.graph",
    "mistakes": ".tutor.breaking",
    "matrix_view": ".views.equations.matrix",
    "paths": ".views.equations.paths",
    "record_training": ".views.stepper.training",
    "step": ".views.stepper.stepper",
    "uses": ".views.equations.uses",
}
_MODULES = ("render", "nn", "optim", "models", "data", "train", "checkpoint", "views", "gradcheck", "scalar", "cli")


def __getattr__(name: str) -> Any:
    """Parts that not every program needs are imported when first asked for."""
    if name in _LATER:
        return getattr(import_module(_LATER[name], __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'autoconv' has no attribute {name!r}")
