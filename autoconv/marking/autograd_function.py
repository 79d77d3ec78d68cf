"""A ``torch.autograd.Function`` as a layer's functions: its forward and backward called by hand, with a ctx that keeps.

    out = F.forward(ctx, *inputs)      or   out = F.forward(*inputs); F.setup_context(ctx, inputs, out)
    F.backward(ctx, dout)  ->  one gradient for each argument of forward, None where there is none

Torch itself is not asked to differentiate anything, so that what is judged are the numbers of ``backward``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

from .asking import TroubleError
from .layer import Layer


class Context:
    """What torch hands to both methods: it keeps tensors, and whatever else is stored in it."""

    def __init__(self, count: int) -> None:
        self.saved_tensors: tuple[Any, ...] = ()
        self.needs_input_grad = (True,) * count

    def save_for_backward(self, *tensors: Any) -> None:
        self.saved_tensors = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Said to torch alone."""

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Said to torch alone."""

    def set_materialize_grads(self, value: bool) -> None:
        """Said to torch alone."""


def is_function(given: Any) -> bool:
    """Whether this is a class that torch differentiates by its own backward."""
    kinds = given.__mro__[1:] if isinstance(given, type) else ()
    return any(kind.__name__ == "Function" and kind.__module__ == "torch.autograd.function" for kind in kinds)


def as_functions(layer: Layer) -> Layer:
    """The layer, called as torch calls a Function of it."""
    call = layer.call
    names = call.forward or tuple(layer.outputs.values())

    def arguments(kind: Any, values: Mapping[str, Any]) -> list[str]:
        """The names of what forward takes, in its order: by its own names where they are the layer's."""
        own = list(inspect.signature(kind.forward).parameters)[0 if _two_steps(kind) else 1 :]
        return own if own and all(name in values for name in own) else list(names)

    def ahead(functions: Mapping[str, Any], values: dict[str, Any]) -> tuple[Any, Any]:
        kind, values = functions["backward"], _tensors(values)
        given = [values[name] for name in arguments(kind, values)]
        ctx = Context(len(given))
        if _two_steps(kind):
            out = kind.forward(*given)
            kind.setup_context(ctx, tuple(given), out)
        else:
            out = kind.forward(ctx, *given)
        return out, ctx

    def back(functions: Mapping[str, Any], values: dict[str, Any]) -> tuple[Any, ...]:
        kind, values = functions["backward"], _tensors(values)
        made = kind.backward(values["cache"], values["dout"])
        made = made if isinstance(made, (tuple, list)) else (made,)
        wanted = arguments(kind, values)
        inputs = [name for name in wanted if name in layer.outputs.values()]
        wanted = inputs if len(made) == len(inputs) else wanted
        if len(made) != len(wanted):
            words = f"backward returns {len(made)} results, where forward takes {', '.join(wanted)}: one for each"
            raise TroubleError("wrong kind of result", words)
        of = dict(zip(wanted, made, strict=True))
        return tuple(of.get(name) for name in layer.outputs.values())

    return replace(layer, call=replace(call, ahead=ahead, back=back, torch=False, forward=names))


def _two_steps(kind: Any) -> bool:
    """Whether its forward has no ctx, for which there is ``setup_context`` besides."""
    return any("setup_context" in vars(k) for k in kind.__mro__ if not k.__module__.startswith("torch."))


def _tensors(values: dict[str, Any]) -> dict[str, Any]:
    torch: Any = import_module("torch")
    return {k: torch.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for k, v in values.items()}
