"""PyTorch's settings of layers under its own names, in tables; the layers take them besides theirs.

``RENAMED`` are other names of a setting that the layer has.  ``ONLY`` are settings with one value here, which is what
the layer does anyway: that value is taken, another one refused with what to do instead.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ..shapes import shown

RENAMED: dict[str, str] = {
    "dim": "axis", "start_dim": "start_axis", "end_dim": "end_axis", "divisor_override": "divisor",
    "elementwise_affine": "affine", "unflattened_size": "sizes",
}  # fmt: skip
# setting: (the values that are taken, what to do instead)
ONLY: dict[str, tuple[tuple[Any, ...], str]] = {
    "device": ((None, "cpu"), "autoconv computes on the processor"),
    "inplace": ((False, True), "a Tensor keeps its value, so nothing is computed in place"),
    "padding_mode": (("zeros",), "pad first, as with nn.ReflectionPad2d"),
    "return_indices": ((False,), "the places of the maxima are not given"),
    "track_running_stats": ((True,), "the running statistics are always kept"),
    "size_average": ((None,), "write reduction='mean' or 'sum'"),
    "reduce": ((None,), "write reduction='none'"),
    "max_norm": ((None,), "rows are not renormalised; clip the weights after a step"),
    "norm_type": ((2.0,), "rows are not renormalised"),
    "scale_grad_by_freq": ((False,), "gradients are added up as they come"),
    "sparse": ((False,), "gradients are whole arrays"),
    "ceil_mode": ((False,), "windows lie inside the padded input"),
}


def spelled(init: Callable[..., None], name: str) -> Callable[..., None]:
    """``__init__`` of a layer that also takes PyTorch's settings."""
    inner: Any = init
    while hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    known = frozenset(inner.__code__.co_varnames[1 : inner.__code__.co_argcount + inner.__code__.co_kwonlyargcount])

    @wraps(init)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs and not known >= kwargs.keys():
            kept = [(k, value) for k, value in kwargs.items() if _kept(name, k, value, known)]
            kwargs = {_own(name, k, known, kwargs): value for k, value in kept}
        init(self, *args, **kwargs)

    return call


def _kept(name: str, k: str, value: Any, known: frozenset[str]) -> bool:
    """Whether the setting is one of the layer's; False for one that has only one value, and has it."""
    if k in known or RENAMED.get(k) in known or k not in ONLY:
        return True
    allowed, instead = ONLY[k]
    if not any(value is one or (type(value) is type(one) and value == one) for one in allowed):
        raise ValueError(f"{name}: {k}={shown(value)} is not here: {instead}")
    return False


def _own(name: str, k: str, known: frozenset[str], kwargs: dict[str, Any]) -> str:
    own = k if k in known else RENAMED.get(k, k)
    if own != k and own in kwargs:
        raise TypeError(f"{name}: {k}= is another name of {own}=; give one of them")
    return own
