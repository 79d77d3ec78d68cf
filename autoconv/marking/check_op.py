"""``ac.check_op``: a gradcheck that names the bug, for custom operations of NumPy, PyTorch and JAX."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from .check_backward import LIMIT, check_backward
from .verdict import BackwardVerdict


def check_op(function: Any, reference: Any, inputs: Any = None, time_limit: float = LIMIT) -> BackwardVerdict:
    """Compare values and gradients of a custom operation with a reference, and name the bug.

        x_bar = (d function / d x)^T y_bar, for a y_bar drawn at random

    function: a pair (forward, backward), forward(*inputs) -> output and backward(y_bar, *inputs) -> one gradient for
    each floating-point input; a subclass of ``torch.autograd.Function`` (its ``apply`` is run on tensors in double
    precision); or a function of JAX, as ``jax.custom_vjp`` makes them.  reference: a function of Tensors in autoconv's
    calls, or a name of ``ac.courses()``, whose functions have the same arguments.  inputs: as in ``ac.check_backward``;
    None: geometries are chosen here, of products, convolutions and arrays, whichever the reference takes.

    Returns a BackwardVerdict: the forward, and each gradient.  Raises TypeError for what is none of these.
    Source of the right gradient: the sweep of the reference.

    >>> v = ac.check_op((np.square, lambda g, x: g * x), lambda x: x**2)
    >>> bool(v), v["dx"].mistake
    (False, 'power rule: exponent not brought down')
    """
    forward, backward = _pair(function)
    if not callable(reference) and not isinstance(reference, str):
        raise TypeError(f"check_op: reference is a function of Tensors; found {type(reference).__name__}")
    call = _call(reference) if not isinstance(reference, str) else None
    return check_backward(backward, forward, reference, inputs, call, time_limit)


def _call(reference: Callable[..., Any]) -> dict[str, tuple[str, ...]] | None:
    """Forward and backward take the reference's own arguments."""
    import inspect

    try:
        parameters = inspect.signature(reference).parameters.values()
    except (TypeError, ValueError):
        return None
    names = tuple([p.name for p in parameters if p.default is p.empty and p.kind < 2])
    return {"forward": names, "backward": ("dout", *names), "result": ("out",)}


def _pair(function: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    if isinstance(function, (tuple, list)) and len(function) == 2 and all(map(callable, function)):
        return function[0], function[1]
    module = type(function).__module__
    if isinstance(function, type) and callable(getattr(function, "apply", None)):
        return _of_torch(function)
    if module.split(".")[0] in ("jax", "jaxlib") and callable(function):
        return _of_jax(function)
    raise TypeError(
        "check_op: function is a pair (forward, backward), a torch.autograd.Function or a jax.custom_vjp; found "
        f"{type(function).__name__}"
    )


def _of_torch(function: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    torch: Any = import_module("torch")

    def leaves(inputs: tuple[Any, ...]) -> list[Any]:
        made = [torch.from_numpy(np.array(x)) if isinstance(x, np.ndarray) else x for x in inputs]
        return [x.requires_grad_() if torch.is_tensor(x) and x.is_floating_point() else x for x in made]

    def backward(dout: Any, *inputs: Any) -> Any:
        given = leaves(inputs)
        wanted = [x for x in given if torch.is_tensor(x) and x.requires_grad]
        return torch.autograd.grad(function.apply(*given), wanted, torch.from_numpy(np.array(dout)), allow_unused=True)

    return lambda *inputs: function.apply(*leaves(inputs)), backward


def _of_jax(function: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    jax: Any = import_module("jax")

    def backward(dout: Any, *inputs: Any) -> Any:
        out, pull = jax.vjp(function, *inputs)
        return tuple(np.asarray(g) for g in pull(np.asarray(dout, dtype=out.dtype)))

    return lambda *inputs: np.asarray(function(*inputs)), backward
