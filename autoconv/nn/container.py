"""Sequential, and Flatten between images and features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, overload

from ..functional.array import flatten
from ..tape import Tensor
from .module import Layer, Module


class Sequential(Layer):
    """Modules one after the other: ``Sequential(a, b)``, ``Sequential(first=a, second=b)`` or ``Sequential({"first":
    a})``.

    Without names the modules are called "0", "1", ...  ``model[0]``, ``model["first"]``, ``model[1:]`` (a Sequential of
    the same modules), ``len`` and iteration work.  TypeError for anything that is not a Module.

    >>> model = nn.Sequential(nn.Linear(4, 3, rng=0), nn.ReLU(), nn.Linear(3, 2, rng=0))
    >>> model(np.zeros((5, 4), np.float32)).shape
    (5, 2)
    >>> model
    Sequential()            -> (5, 2)
    ├─ 0: Linear(4, 3)  15  -> (5, 3)
    ├─ 1: ReLU()            -> (5, 3)
    └─ 2: Linear(3, 2)   8  -> (5, 2)
    total: 23 parameters
    """

    def __init__(self, *modules: Any, **named: Any) -> None:
        first = modules[0] if len(modules) == 1 else None
        given = dict(first) if isinstance(first, Mapping) else {str(i): m for i, m in enumerate(modules)}
        for name, module in {**given, **named}.items():
            if not isinstance(module, Module):
                raise TypeError(
                    f"Sequential: {name!r} is {module!r}, not a Module; for a function use its layer, as nn.ReLU(), or "
                    "write a Module with it in forward"
                )
            if hasattr(type(self), name) or "." in name:
                raise ValueError(f"Sequential: {name!r} cannot be a layer's name; choose another, as in {name}_layer")
            setattr(self, name, module)

    def forward(self, x: Any) -> Tensor:
        for module in self:
            x = module(x)
        result: Tensor = x
        return result

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.named_children())

    def __len__(self) -> int:
        return sum(1 for _ in self.named_children())

    @overload
    def __getitem__(self, key: int | str) -> Module: ...
    @overload
    def __getitem__(self, key: slice) -> Sequential: ...
    def __getitem__(self, key: int | str | slice) -> Module:
        named = dict(self.named_children())
        if isinstance(key, str):
            if key not in named:
                raise KeyError(f"Sequential: no layer {key!r}; there are {', '.join(named)}")
            return named[key]
        chosen = list(named.items())[key]
        if not isinstance(chosen, list):
            return chosen[1]
        part = Sequential()
        vars(part).update(chosen)  # not setattr: the layers keep the names they have in this model
        return part


class Flatten(Layer):
    """The axes from ``start_axis`` on merged into one: (N, H, W, C) -> (N, H * W * C).

    >>> nn.Flatten()(np.zeros((2, 3, 3, 4))).shape
    (2, 36)
    """

    def __init__(self, start_axis: int = 1) -> None:
        self.start_axis = start_axis

    def forward(self, x: Any) -> Tensor:
        return flatten(x, self.start_axis)

    def extra_repr(self) -> str:
        return "" if self.start_axis == 1 else f"start_axis={self.start_axis}"
