"""A compiled function as a file of StableHLO, which runs wherever JAX does, without autoconv.

The file holds one function, ``call(state, *inputs)``, for several platforms; what it closes over (parameters, an
optimiser's slots, running means) stands beside it in a ``.npz`` of arrays by name, the first ``state``.  A step of
training returns (result, the next state), everything else the result, with gradients (result, gradients by name).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import replace_file
from ..tape import Tensor
from .library import jax, jnp, need, wide
from .lower import Lowered
from .optimizer_step import UPDATES, numbers_in, updated

PLATFORMS = ("cpu", "cuda", "tpu")


class Exported:
    """What is exported: a program, the names of what it reads, and how its outputs make the function's result.

    lowered: the program; its outputs are ``skipped`` ones, the result's, and a gradient for each of ``moved``.
    rebuild: the result from its outputs; given: how many of the program's arguments are the caller's; kept: arrays for
    the arguments after them; moved: parameters with a gradient; optimizer: who moves them, None for nobody.
    """

    def __init__(
        self,
        lowered: Lowered,
        rebuild: Callable[[Sequence[Any]], Any],
        skipped: int,
        count: int,
        given: Sequence[Any],
        kept: Sequence[np.ndarray],
        moved: Sequence[Tensor],
        optimizer: Any,
    ) -> None:
        self.lowered, self.rebuild, self.skipped, self.count = lowered, rebuild, skipped, count
        self.given, self.moved, self.optimizer = list(given), list(moved), optimizer
        tensors = [*lowered.tensors, *[x for x in moved if all(x is not t for t in lowered.tensors)]]
        self.names = _names(tensors)
        self.state: dict[str, np.ndarray] = {self.names[id(x)]: x.value for x in tensors}
        self.buffers = [f"buffer{k}" for k in range(len(kept))]
        self.state |= {name: np.asarray(x) for name, x in zip(self.buffers, kept, strict=True)}
        self.slots: tuple[str, ...] = ()
        if optimizer is not None:
            self._add_slots()

    def _add_slots(self) -> None:
        first = self.optimizer.described(1)
        if first is None or first.kind not in UPDATES:
            kind = type(self.optimizer).__name__
            raise ValueError(f"export: the update of {kind} is not described as a formula; export a step of another")
        self.slots = first.slots
        places = {id(p): k for k, p in enumerate(self.optimizer.params)}
        counts = set()
        for p in self.moved:
            kept = self.optimizer.state[places[id(p)]] or {**self.optimizer.slots(p), "step": 0}
            counts.add(kept["step"])
            self.state |= {f"{self.names[id(p)]}.{name}": np.asarray(kept[name]) for name in self.slots}
        if len(counts) > 1:
            raise ValueError(f"export: the parameters have had different numbers of steps ({sorted(counts)})")
        self.state["step"] = np.array(counts.pop() if counts else 0, np.int32)

    def call(self, state: dict[str, Any], *inputs: Any) -> Any:
        """The function that is written."""
        given = [x.astype(line.dtype) for x, line in zip(inputs, self.given, strict=True)]
        tensors = [state[self.names[id(t)]] for t in self.lowered.tensors]
        outputs = self.lowered.outputs([*given, *[state[name] for name in self.buffers]], tensors)
        result = self.rebuild(outputs[self.skipped : self.skipped + self.count])
        gradients = outputs[self.skipped + self.count :]
        if self.optimizer is None:
            named = {self.names[id(p)]: g for p, g in zip(self.moved, gradients, strict=True)}
            return (result, named) if self.moved else result
        after = dict(state)
        after["step"] = t = state["step"] + 1
        kind, numbers, on = self._numbers(t)
        for p, g in zip(self.moved, gradients, strict=True):
            name = self.names[id(p)]
            value, slots = state[name], [state[f"{name}.{slot}"] for slot in self.slots]
            after[name], slots = updated(kind, value, g, slots, numbers_in(value.dtype, on, numbers))
            after |= {f"{name}.{slot}": x for slot, x in zip(self.slots, slots, strict=True)}
        return result, after

    def _numbers(self, t: Any) -> tuple[str, Any, tuple[bool, ...]]:
        """The update's kind, its numbers in step t, and which of them are not 0."""
        first, second, late = [self.optimizer.described(k) for k in (1, 2, 1000)]
        on = tuple(n != 0 for n in first.numbers)
        if second.numbers == late.numbers:  # the same in each step, but maybe the first
            numbers = jnp.where(t == 1, jnp.array(first.numbers, float), jnp.array(second.numbers, float))
        else:
            numbers = jnp.stack([jnp.asarray(n, float) for n in self.optimizer.described(t.astype(float)).numbers])
        return first.kind, numbers, on

    def write(self, path: str | os.PathLike[str], platforms: Sequence[str]) -> None:
        need("export")
        narrow = {np.dtype(np.int64): np.int32, np.dtype(np.uint64): np.uint32}
        with wide():
            shapes = [jax.ShapeDtypeStruct(x.shape, narrow.get(x.dtype, x.dtype)) for x in self.given]
            state = {k: jax.ShapeDtypeStruct(x.shape, x.dtype) for k, x in self.state.items()}
            made = jax.export.export(jax.jit(self.call), platforms=list(platforms))(state, *shapes)
            content = bytes(made.serialize())
        arrays = io.BytesIO()
        np.savez(arrays, **self.state)  # type: ignore[arg-type]
        replace_file(Path(path).with_suffix(".npz"), arrays.getvalue())
        replace_file(path, content)


def _names(tensors: Sequence[Tensor]) -> dict[int, str]:
    """A name for each Tensor: its own where it has one that no other has."""
    own = [x.name for x in tensors]
    return {
        id(x): x.name if x.name and own.count(x.name) == 1 and x.name != "step" else f"tensor{k}"
        for k, x in enumerate(tensors)
    }


def plain(rebuild: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
    """Named tuples of a result as tuples, which the reader of a file knows."""

    def bare(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {k: bare(x) for k, x in tree.items()}
        return (
            type(tree)(map(bare, tree))
            if type(tree) in (list, tuple)
            else (tuple(map(bare, tree)) if isinstance(tree, tuple) else tree)
        )

    return lambda values: bare(rebuild(values))


def check_platforms(platforms: Any) -> tuple[str, ...]:
    """The platforms as a tuple of known names; ValueError for others."""
    several = (platforms,) if isinstance(platforms, str) else tuple(platforms)
    for name in several:
        if name not in (*PLATFORMS, "rocm"):
            raise ValueError(f"export: there is no platform {name!r}; there are {', '.join(PLATFORMS)} and rocm")
    if not several:
        raise ValueError("export: name at least one platform, such as cpu")
    return several
