"""Sequential, lists and dicts of modules, and Flatten between images and features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, overload

from ..functional.array import flatten
from ..functional.composed import operand
from ..functional.stacking import unflatten
from ..shapes import Ints, listed, whole_number
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
            _hold(self, name, module)

    def forward(self, x: Any) -> Tensor:
        for module in self:
            x = module(x)
        result: Tensor = x
        return result

    def append(self, module: Module) -> Sequential:
        """Hold one module more, behind the others; returns this model."""
        _hold(self, str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Any]) -> Sequential:
        """Hold more modules, behind the others; returns this model."""
        for module in modules:
            self.append(module)
        return self

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


def _hold(holder: Module, name: Any, module: Any) -> None:
    """Set a module under a name that is free, or raise."""
    kind = type(holder).__name__
    if not isinstance(module, Module):
        raise TypeError(
            f"{kind}: {name!r} is {module!r}, not a Module; for a function use its layer, as nn.ReLU(), or "
            "write a Module with it in forward"
        )
    if not isinstance(name, str):
        raise TypeError(f"{kind}: a layer's name must be a text, found {name!r}")
    if hasattr(type(holder), name) or "." in name:
        raise ValueError(f"{kind}: {name!r} cannot be a layer's name; choose another, as in {name}_layer")
    setattr(holder, name, module)


class ModuleList(Module):
    """Modules in a list; how they are called is written in the forward of whoever holds it.

    ``modules[0]``, ``len``, iteration, ``append`` and ``extend`` work.  TypeError for anything that is not a Module.

    >>> layers = nn.ModuleList([nn.Linear(4, 4, rng=0) for _ in range(3)])
    >>> layers.append(nn.ReLU())
    >>> len(layers), [name for name, _ in layers.named_parameters()][:2]
    (4, ['0.weight', '0.bias'])
    """

    def __init__(self, modules: Iterable[Any] = ()) -> None:
        self.extend(modules)

    def append(self, module: Module) -> None:
        """Hold one module more, behind the others."""
        _hold(self, str(len(self)), module)

    def extend(self, modules: Iterable[Any]) -> None:
        """Hold more modules, behind the others."""
        try:
            several = None if isinstance(modules, Module) else list(modules)
        except TypeError:
            several = None
        if several is None:
            raise TypeError(f"ModuleList: {modules!r} is not several modules; give a list of them")
        for module in several:
            self.append(module)

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.named_children())

    def __len__(self) -> int:
        return sum(1 for _ in self.named_children())

    def __getitem__(self, index: int) -> Module:
        return list(self)[index]


class ModuleDict(Module):
    """Modules by name; how they are called is written in the forward of whoever holds it.

    ``modules["name"]``, ``in``, ``len``, iteration over the names, ``keys``, ``values`` and ``items`` work.  TypeError
    for anything that is not a Module, ValueError for a name that cannot be an attribute's.

    >>> heads = nn.ModuleDict({"digit": nn.Linear(4, 10, rng=0), "side": nn.Linear(4, 2, rng=0)})
    >>> list(heads), heads["side"].out_features, "other" in heads
    (['digit', 'side'], 2, False)
    """

    def __init__(self, modules: Mapping[str, Any] | None = None) -> None:
        if modules is not None and not isinstance(modules, Mapping):
            raise TypeError(f"ModuleDict: {modules!r} is not a mapping of names to modules")
        for name, module in (modules or {}).items():
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        _hold(self, name, module)

    def __getitem__(self, name: str) -> Module:
        named = dict(self.named_children())
        if name not in named:
            raise KeyError(f"ModuleDict: no module {name!r}; there are {', '.join(named)}")
        return named[name]

    def __contains__(self, name: object) -> bool:
        return name in dict(self.named_children())

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.named_children())

    def __len__(self) -> int:
        return sum(1 for _ in self.named_children())

    def keys(self) -> list[str]:
        """The names, in the order of assignment."""
        return list(self)

    def values(self) -> list[Module]:
        """The modules, in the order of assignment."""
        return [module for _, module in self.named_children()]

    def items(self) -> list[tuple[str, Module]]:
        """(name, module), in the order of assignment."""
        return list(self.named_children())


class Identity(Layer):
    """Its input, as it is; any arguments are accepted, as PyTorch's is given.

    >>> nn.Identity()(np.ones(2)).value
    array([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        result: Tensor = operand(x, "Identity")
        return result


class Unflatten(Layer):
    """One axis parted into several: (N, 12) -> (N, 3, 4) for axis 1 and the sizes (3, 4); one size may be -1.

    Raises ValueError, when called, for sizes whose product is another.

    >>> nn.Unflatten(1, (3, -1))(np.zeros((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, axis: int, sizes: Ints) -> None:
        self.axis = whole_number(axis, "Unflatten: axis")
        self.sizes = tuple(whole_number(n, "Unflatten: sizes", -1) for n in listed(sizes))

    def forward(self, x: Any) -> Tensor:
        return unflatten(x, self.axis, self.sizes)

    def extra_repr(self) -> str:
        return f"{self.axis}, {self.sizes}"


class Flatten(Layer):
    """The axes from ``start_axis`` to ``end_axis`` merged into one: (N, H, W, C) -> (N, H * W * C).

    >>> nn.Flatten()(np.zeros((2, 3, 3, 4))).shape
    (2, 36)
    """

    def __init__(self, start_axis: int = 1, end_axis: int = -1) -> None:
        self.start_axis, self.end_axis = start_axis, end_axis

    def forward(self, x: Any) -> Tensor:
        return flatten(x, self.start_axis, self.end_axis)

    def extra_repr(self) -> str:
        usual = {"start_axis": 1, "end_axis": -1}
        return ", ".join(f"{k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k) != v)
