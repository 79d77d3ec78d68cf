"""The same program in PyTorch, where it is installed: for the operations whose settings mean the same there."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .program import OPERATORS, Step

SAME = [
    "abs",
    "cos",
    "exp",
    "log",
    "log1p",
    "neg",
    "sin",
    "sqrt",
    "tanh",
    "erf",
    "relu",
    "sigmoid",
    "square",
    "reciprocal",
    "logaddexp",
    "maximum",
    "minimum",
]
FUNCTIONAL = ["elu", "gelu", "leaky_relu", "softplus", "softsign", "silu"]


@cache
def torch() -> Any:
    return importlib.import_module("torch")


def functional() -> Any:
    return torch().nn.functional


def axes(x: Any, axis: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis


def reduction(name: str) -> Callable[..., Any]:
    def f(x: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Any:
        over = axes(x, axis)
        if name in ("var", "std"):
            return getattr(torch(), name)(x, over, correction=ddof, keepdim=keepdims)
        return getattr(torch(), name)(x, over, keepdim=keepdims) if over else x

    return f


def convolution(dims: int) -> Callable[..., Any]:
    def f(
        x: Any,
        w: Any,
        bias: Any = None,
        *,
        layout: str = "channels_last",
        padding: Any = 0,
        stride: Any = 1,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        last = layout == "channels_last"
        if last:
            x, w = x.movedim(-1, 1), w.movedim((-1, -2), (0, 1))
        if padding == "valid":
            padding = 0
        y = getattr(functional(), f"conv{dims}d")(x, w, bias, stride, padding, dilation, groups)
        return y.movedim(1, -1) if last else y

    return f


def pooling(dims: int, kind: str) -> Callable[..., Any]:
    def f(
        x: Any, window: Any, *, layout: str = "channels_last", padding: Any = 0, divisor: Any = None, **more: Any
    ) -> Any:
        last = layout == "channels_last"
        x = x.movedim(-1, 1) if last else x
        if divisor is not None:
            more["divisor_override"] = divisor
        y = getattr(functional(), f"{kind}_pool{dims}d")(
            x, window, padding=0 if padding == "valid" else padding, **more
        )
        return y.movedim(1, -1) if last else y

    return f


@cache
def table() -> dict[str, Callable[..., Any]]:
    """autoconv's names, with the same meaning."""
    rows: dict[str, Callable[..., Any]] = {f"ac.{n}": (lambda *x, n=n: getattr(torch(), n)(*x)) for n in SAME}
    rows |= {f"ac.{n}": (lambda x, n=n, **p: getattr(functional(), n)(x, **p)) for n in FUNCTIONAL}
    rows |= {f"ac.{n}": reduction(n) for n in ("sum", "mean", "logsumexp", "var", "std")}
    rows |= {f"ac.{n}": (lambda x, axis, n=n: getattr(torch(), n)(x, axis)) for n in ("softmax", "log_softmax")}
    rows |= {f"ac.conv{d}d": convolution(d) for d in (1, 2, 3)}
    rows |= {f"ac.{k}_pool{d}d": pooling(d, k) for d in (1, 2, 3) for k in ("max", "avg")}
    rows["ac.reshape"] = lambda x, shape: x.reshape(shape)
    rows["ac.permute_dims"] = lambda x, axes: x.permute(axes)
    rows["ac.swapaxes"] = lambda x, axis1, axis2: x.swapaxes(axis1, axis2)
    rows["ac.flip"] = lambda x, axis: x.flip(axes(x, axis))
    rows["ac.roll"] = lambda x, shift, axis: x.roll(shift, axis)
    rows["ac.clip"] = lambda x, low=None, high=None: x.clip(low, high)
    rows["ac.where"] = lambda c, a, b: torch().where(c, a, b)
    rows["ac.einsum"] = lambda *x, equation: torch().einsum(equation, *x)
    rows["ac.matmul"] = lambda x, y: x @ y
    rows["ac.layer_norm"] = lambda x, *wb: functional().layer_norm(x, x.shape[-1:], *wb)
    rows["ac.losses.mse"] = lambda x, t, reduction: functional().mse_loss(x, t, reduction=reduction)
    rows["ac.losses.bce_with_logits"] = lambda x, t, reduction: functional().binary_cross_entropy_with_logits(
        x, t, reduction=reduction
    )
    return rows


def step_known(step: Step) -> bool:
    if step.operation in OPERATORS:
        return True
    if step.params.get("padding") in ("same", "full") or any(isinstance(p, tuple) for p in _pairs(step)):
        return False
    return step.operation in table() and "ties" not in step.params and "flip" not in step.params


def _pairs(step: Step) -> list[Any]:
    padding = step.params.get("padding")
    return list(padding) if isinstance(padding, tuple) else []


def knows(eager: Any) -> bool:
    """PyTorch is here and has every operation; on finite numbers of one dtype, with no axis of length 0."""
    if importlib.util.find_spec("torch") is None or not eager.finite:
        return False
    arrays = [x for x in eager.arguments if x.dtype.kind == "f"]
    simple = len({x.dtype for x in eager.arguments}) == 1 and arrays[0].dtype != np.float16
    return simple and all(x.size for x in arrays) and all(map(step_known, eager.program.steps))


def generic(arrays: list[np.ndarray]) -> bool:
    """No two numbers have the same size and none is a whole number: no tie, and no kink but by chance."""
    numbers = np.abs(np.concatenate([x.ravel() for x in arrays]))
    return len(np.unique(numbers)) == numbers.size and not (numbers == np.round(numbers)).any()


def compare(eager: Any) -> str:
    """Value and gradient.  What PyTorch refuses is not compared; a tie at a kink is decided otherwise there."""
    program = eager.program
    known: dict[str, Any] = {n: torch().tensor(x.copy()) for n, x in program.inputs.items()}
    for n in program.wrt:
        known[n].requires_grad_()
    try:
        for step in program.steps:
            operands = [known[o] if o in known else float(o) for o in step.operands]
            if step.operation in OPERATORS:
                known[step.result] = eval(f"a {step.operation} b", {"a": operands[0], "b": operands[1]})
            else:
                known[step.result] = table()[step.operation](*operands, **step.params)
    except (RuntimeError, TypeError, NotImplementedError, IndexError, ValueError):
        return ""
    found = [known[n].detach().numpy() for n in program.outputs]
    y = known[program.outputs[0]]
    if y.requires_grad and generic(eager.arguments):
        y.backward()
        found += [
            known[n].grad.numpy() if known[n].grad is not None else np.zeros_like(program.inputs[n])
            for n in program.wrt
        ]
    else:
        found += eager.values[len(program.outputs) :]
    return eager.compare([np.asarray(x, e.dtype) for x, e in zip(found, eager.values, strict=True)], scale=16.0)
