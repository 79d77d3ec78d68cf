"""Gradients held within bounds, and parameters as one vector: PyTorch's ``nn.utils``.

>>> w = nn.Parameter([3.0, 4.0], dtype=float)
>>> w.grad = np.array([3.0, 4.0])
>>> float(nn.utils.clip_grad_norm_([w], 1.0)), w.grad.round(3)
(5.0, array([0.6, 0.8]))
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..functional.array import concat, ravel
from ..operands import found, numbers, real
from ..shapes import flag
from ..tape import Array, Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "vector_to_parameters"]


def _several(parameters: Any, name: str) -> list[Tensor]:
    listed = [parameters] if isinstance(parameters, Tensor) else None
    if listed is None and isinstance(parameters, Iterable) and not isinstance(parameters, str | bytes | np.ndarray):
        listed = list(parameters)
    if listed is None or not all(isinstance(p, Tensor) for p in listed):
        raise TypeError(f"{name}: parameters must be parameters, found {found(parameters)}; pass model.parameters()")
    return listed


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Array:
    """Scale all gradients by min(1, max_norm / (norm + 1e-6)), norm that of all of them as one vector; returns it.

    parameters: Tensors whose ``grad`` is set (others are left alone).  Raises ValueError for a norm that is not finite,
    if ``error_if_nonfinite``, and for a max_norm below 0.

    >>> w = nn.Parameter([1.0, 1.0], dtype=float)
    >>> w.grad = np.array([3.0, 4.0])
    >>> float(nn.utils.clip_grad_norm_(w, 0.5))
    5.0
    """
    several = [p for p in _several(parameters, "clip_grad_norm_") if p.grad is not None]
    limit, power = float(real(max_norm, "clip_grad_norm_: max_norm", low=0)), float(real(norm_type, "norm_type"))
    given = [np.asarray(p.grad) for p in several]
    norms = np.array([np.linalg.norm(g.ravel(), power) if g.size else 0.0 for g in given])
    total = np.asarray(np.linalg.norm(norms, power) if len(norms) else 0.0)
    if flag(error_if_nonfinite, "clip_grad_norm_: error_if_nonfinite") and not np.isfinite(total):
        raise ValueError(
            f"clip_grad_norm_: the norm of the gradients is {total}; look for the first that is not finite"
        )
    factor = min(1.0, float(limit / (total + 1e-6))) if np.isfinite(total) else limit / total
    for p, g in zip(several, given, strict=True):
        p.grad = (g * factor).astype(g.dtype)
    return total


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Hold every element of the gradients between -clip_value and clip_value.

    >>> w = nn.Parameter([1.0, 1.0], dtype=float)
    >>> w.grad = np.array([3.0, -0.25])
    >>> nn.utils.clip_grad_value_(w, 0.5)
    >>> w.grad
    array([ 0.5 , -0.25])
    """
    limit = real(clip_value, "clip_grad_value_: clip_value", low=0)
    for p in _several(parameters, "clip_grad_value_"):
        if p.grad is not None:
            p.grad = np.clip(p.grad, -limit, limit)


def parameters_to_vector(parameters: Any) -> Tensor:
    """All parameters in one vector, recorded, so that gradients flow through it.

    >>> nn.utils.parameters_to_vector(nn.Linear(2, 1, rng=0).parameters()).shape
    (3,)
    """
    return concat([ravel(p) for p in _several(parameters, "parameters_to_vector")])


def vector_to_parameters(vec: Any, parameters: Any) -> None:
    """Give the parameters the values that stand one after the other in a vector.  ValueError for another length.

    >>> layer = nn.Linear(2, 1)
    >>> nn.utils.vector_to_parameters([1.0, 2.0, 3.0], layer.parameters())
    >>> layer.bias.value
    array([3.], dtype=float32)
    """
    several = _several(parameters, "vector_to_parameters")
    values = vec.value if isinstance(vec, Tensor) else numbers(vec, "vector_to_parameters: vec")
    if values.ndim != 1 or values.size != sum(int(p.size) for p in several):
        raise ValueError(
            f"vector_to_parameters: a vector of shape {values.shape} for {sum(int(p.size) for p in several)} numbers"
        )
    at = 0
    for p in several:
        p.assign(values[at : at + p.size].reshape(p.shape))
        at += p.size
