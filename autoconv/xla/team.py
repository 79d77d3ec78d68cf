"""What a training loop on many devices and hosts has to know: the placement, its own rows, whether all are there.

``Team`` is one process's view.  A team of one process reads everything and writes checkpoints; one of several reads its
rows of each batch, and only host 0 writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from ..tape import Tensor
from . import hosts
from .attributes import attribute_again, attribute_now
from .library import jax, jnp, need, wide
from .mesh import MeshPlacement, check_patterns, mesh_placement
from .placement import HERE, Placement
from .resident import _Away, _slot, leave


class Team:
    """The devices of a training: ``devices`` and ``shard`` as ``train.fit`` takes them, ``parameters`` that it moves.

    Raises ValueError for devices that are not there, and for patterns that no parameter has.
    """

    def __init__(self, devices: Any, shard: Mapping[str, int] | None, parameters: Iterable[Tensor]) -> None:
        need("fit: backend='xla'")
        self.pulse = hosts.joined()
        self._checked: Any = None
        if devices is None and (self.pulse is not None or shard):
            devices = len(jax.devices())
        self.placement: Placement = HERE if devices is None else mesh_placement(devices, shard, "fit")
        if isinstance(self.placement, MeshPlacement):
            check_patterns(self.placement, list(parameters), "fit")
            if self.pulse is not None and len(self.placement.processes) < self.pulse.hosts:
                raise ValueError(
                    f"fit: devices of all {self.pulse.hosts} hosts must take part; {len(self.placement.devices)} are "
                    f"of {len(self.placement.processes)}. Leave devices out to take all {len(jax.devices())}"
                )

    @property
    def several(self) -> bool:
        """Whether other processes take part."""
        return self.pulse is not None

    @property
    def writes(self) -> bool:
        """Whether this process writes checkpoints and shows progress."""
        return self.pulse is None or self.pulse.host == 0

    def held(self, shape: tuple[int, ...]) -> slice:
        """The rows of a batch that this process reads."""
        assert isinstance(self.placement, MeshPlacement)
        return self.placement.held(shape[0])

    def counted(self, n: int) -> slice:
        """The rows of a batch that this process counts: its own, those that several have only once."""
        if self.pulse is None:
            return slice(0, n)
        assert isinstance(self.placement, MeshPlacement)
        return self.placement.owned(n)

    def total(self, number: float) -> float:
        """The sum over all processes."""
        return number if self.pulse is None else hosts.total(number)

    def seed(self) -> int | None:
        """A seed that all processes have, where nobody gave one."""
        return None if self.pulse is None else hosts.same_seed()

    def snapshot(self, parameters: list[Any]) -> Snapshot:
        return Snapshot(parameters)

    def attributes(self, held: list[tuple[Any, str]]) -> list[Any]:
        """The values of attributes at a moment, kept where they are; ``put_attributes`` takes them."""
        return [attribute_now(holder, name) for holder, name in held]

    def put_attributes(self, held: list[tuple[Any, str]], values: list[Any]) -> None:
        for (holder, name), value in zip(held, values, strict=True):
            attribute_again(holder, name, value)

    def check(self) -> None:
        if self.pulse is not None:
            self.pulse.check()

    def watched(self, *alike: type[Exception]) -> AbstractContextManager[None]:
        return nullcontext() if self.pulse is None else self.pulse.watched(alike)

    def check_program(self, program: Any) -> None:
        """RuntimeError for a program of several hosts that did not run on XLA: each of them has numbers of its own."""
        if self.pulse is None or program.recording is self._checked:
            return
        self._checked = program.recording
        if not program.on_xla:
            raise RuntimeError(
                "fit: with several hosts a step must run on XLA, which has the rows of all; the plan of this one:\n"
                f"{program.plan.splitlines()[0]}"
            )

    def advise(self, checkpoint: Any) -> None:
        """What the others are told to do where one is lost."""
        if self.pulse is not None:
            self.pulse.advice = (
                f"{checkpoint} has the last epoch that was finished: start all hosts again with resume (--resume)"
                if checkpoint
                else "start all hosts again, and give checkpoint (--checkpoint), from which a training can go on"
            )

    def agree(self, parts: Iterable[Any]) -> None:
        """ValueError unless all hosts begin alike."""
        if self.pulse is not None:
            hosts.agree("model, state or setting", hosts.digest(parts))


class Snapshot:
    """The values of Tensors at a moment, kept where they are: on the device for those that are there."""

    def __init__(self, tensors: list[Tensor]) -> None:
        there = [_slot.__get__(x) if isinstance(x, _Away) else None for x in tensors]
        with wide():
            copies = iter(_copied([x.array for x in there if x is not None]))
        self.values = [
            x.value if t is None else (next(copies), t.placement, t.sharding)
            for x, t in zip(tensors, there, strict=True)
        ]

    def put(self, tensors: list[Any]) -> None:
        """Give the Tensors these values again."""
        for x, value in zip(tensors, self.values, strict=True):
            if isinstance(value, np.ndarray):
                x.assign(value)
                continue
            array, placement, sharding = value
            x.assign(np.broadcast_to(np.zeros((), x.dtype), x.shape))  # younger than every line that read the old ones
            with wide():
                (copy,) = _copied([array])
            leave(x, copy, placement, sharding)


_copying: list[Any] = []


def _copied(arrays: list[Any]) -> list[Any]:
    if not arrays:
        return []
    if not _copying:
        _copying.append(jax.jit(lambda xs: [jnp.copy(x) for x in xs]))
    copies: list[Any] = _copying[0](arrays)
    return copies
