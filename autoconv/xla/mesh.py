"""Many devices: the placement of a run on a mesh, whose first axis cuts the batch and whose second cuts parameters.

A program is recorded for the whole batch and knows nothing of devices.  The mesh says of each array how it lies, and
XLA puts the sums over devices where the program's own sums need them: the mean of a loss, the moments of batch norm and
the gradients are those of the whole batch, and what dropout draws is drawn before, for the whole batch as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import numpy as np

from ..operands import found
from ..program.program import Line
from ..shapes import Shape, shown
from ..tape import Tensor
from .library import jax, need
from .placement import Placement

BATCH, MODEL = "batch", "model"


class MeshPlacement(Placement):
    """Arrays on a mesh of devices (batch, model).

    Arguments are cut along their first axis into as many equal parts as their length and the devices allow: 64
    examples on 8 devices into 8, 36 into 4 that two devices hold each, 37 not at all.  What a recording reads besides
    (draws, running means) is cut like that where it has several axes, else whole everywhere.  Tensors whose name
    matches a pattern of ``shard`` are cut along the axis that it names, the others are whole on each device; an
    optimiser's slots lie where their parameters do.  Results are whole everywhere.
    """

    sharded = True

    def __init__(self, devices: Sequence[Any], columns: int = 1, shard: Mapping[str, int] | None = None) -> None:
        self.devices, self.shard = list(devices), dict(shard or {})
        self.rows, self.columns = len(self.devices) // columns, columns
        self._grids: dict[int, Any] = {}

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    # ---- shardings

    def argument(self, line: Line) -> Any:
        return self._rows_of(self.parts(line.shape))

    def source(self, line: Line) -> Any:
        return self._rows_of(self.parts(line.shape) if len(line.shape) > 1 else 1)

    def tensor(self, tensor: Tensor) -> Any:
        axis = self.axis(tensor)
        names: list[str | None] = [None] * (tensor.ndim if axis is not None else 0)
        if axis is not None:
            names[axis] = MODEL
        return self._sharding(self.rows, *names)

    def output(self, line: Line) -> Any:
        return self.whole

    @cached_property
    def whole(self) -> Any:
        """Whole on each device."""
        return self._sharding(self.rows)

    def _rows_of(self, parts: int) -> Any:
        return self._sharding(parts, BATCH) if parts > 1 else self.whole

    def parts(self, shape: Shape) -> int:
        """Into how many parts the first axis is cut."""
        return math.gcd(shape[0], self.rows) if shape and shape[0] else 1

    def axis(self, tensor: Tensor) -> int | None:
        """The axis along which a Tensor is cut, None for one that is whole; ValueError for one that cannot be cut."""
        for pattern, axis in self.shard.items():
            if tensor.name is None or not fnmatchcase(tensor.name, pattern):
                continue
            if not -tensor.ndim <= axis < tensor.ndim:
                raise ValueError(
                    f"shard: {pattern!r} names axis {axis} of {tensor.name}, whose shape is {tensor.shape}"
                )
            if tensor.shape[axis] % self.columns:
                raise ValueError(
                    f"shard: axis {axis} of {tensor.name} has {tensor.shape[axis]} cells (shape {tensor.shape}), which "
                    f"{self.columns} devices cannot share evenly; name another axis, or use another number of devices"
                )
            return axis % tensor.ndim
        return None

    def _sharding(self, parts: int, *names: str | None) -> Any:
        """A sharding on the mesh whose first axis has ``parts`` devices; further ones of it hold the same."""
        if parts not in self._grids:
            grid = np.array(self.devices, dtype=object).reshape(parts, self.rows // parts, self.columns)
            self._grids[parts] = jax.sharding.Mesh(grid, (BATCH, "copies", MODEL))
        return jax.sharding.NamedSharding(self._grids[parts], jax.sharding.PartitionSpec(*names))

    # ---- there and back

    def put(self, value: np.ndarray, sharding: Any) -> Any:
        value = np.array(value)
        return jax.make_array_from_callback(value.shape, sharding or self.whole, lambda part: value[part])

    def given(self, value: Any, sharding: Any) -> Any:
        if isinstance(value, jax.Array):
            return value if value.sharding == sharding else jax.device_put(value, sharding)
        value = np.asarray(value)
        return jax.make_array_from_callback(value.shape, sharding or self.whole, lambda part: value[part])

    def fetch(self, arrays: Sequence[Any]) -> list[np.ndarray]:
        return [np.array(_whole(x), order="C") for x in arrays]

    # ---- hosts

    def held(self, count: int) -> slice:
        """The rows of a batch of ``count`` that this process's devices need."""
        each, mine = self._parts_here(count)
        return slice(min(mine) * each, (max(mine) + 1) * each)

    def owned(self, count: int) -> slice:
        """Those of these rows that no process before this one has as well."""
        each, mine = self._parts_here(count)
        per = len(self.devices) // self.parts((count,))
        here = jax.process_index()
        first = [k for k in mine if self.devices[k * per].process_index == here]
        return slice(first[0] * each, (first[-1] + 1) * each) if first else slice(0, 0)

    def _parts_here(self, count: int) -> tuple[int, list[int]]:
        """The rows of a part, and the parts that this process's devices hold."""
        parts = self.parts((count,))
        per, here = len(self.devices) // parts, jax.process_index()
        mine = [k // per for k, device in enumerate(self.devices) if device.process_index == here]
        return count // parts, sorted(set(mine))

    @cached_property
    def processes(self) -> list[int]:
        """The hosts whose devices take part."""
        return sorted({device.process_index for device in self.devices})

    def described(self) -> str:
        device = self.devices[0]
        kind = device.platform if device.device_kind == device.platform else f"{device.platform} ({device.device_kind})"
        grid = f"{self.rows} x {self.columns} devices" if self.columns > 1 else f"{self.rows} devices"
        hosts = f" of {len(self.processes)} hosts" if len(self.processes) > 1 else ""
        cut = f", cut along the second: {', '.join(self.shard)}" if self.shard else ""
        return f"{grid}{hosts}, {kind}, the batch cut along the first axis{cut}"


def _whole(x: Any) -> Any:
    """An array of which this process can read everything."""
    if x.is_fully_addressable or x.is_fully_replicated:
        return x
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(x, tiled=True)


# ---- what a user asks for

_made: dict[Any, MeshPlacement] = {}  # a program's arrays stay where they are when another program has the same mesh


def mesh_placement(mesh: Any, shard: Mapping[str, int] | None = None, operation: str = "compile") -> MeshPlacement:
    """The placement that ``mesh`` and ``shard`` ask for, the same one for the same questions.

    mesh: how many devices cut the batch; a pair, with how many cut parameters; a list of devices; a
    ``jax.sharding.Mesh`` of one or two axes.  shard: pattern of Tensors' names -> the axis that is cut; with a plain
    number of devices two of them share a parameter, or all if their number is odd.
    Raises ValueError for more devices than there are, TypeError for anything else.
    """
    need(f"{operation}: a mesh of devices")
    shard = _checked_patterns(shard, operation)
    devices, columns = _asked(mesh, bool(shard), operation)
    key = (tuple(id(d) for d in devices), columns, tuple(shard.items()))
    if key not in _made:
        _made[key] = MeshPlacement(devices, columns, shard)
    return _made[key]


def _checked_patterns(shard: Any, operation: str) -> dict[str, int]:
    if shard is None:
        return {}
    right = isinstance(shard, Mapping) and all(
        isinstance(k, str) and isinstance(v, int) and not isinstance(v, bool) for k, v in shard.items()
    )
    if not right:
        raise TypeError(
            f"{operation}: shard must be a dict of patterns of parameters' names and axes, as in "
            f'{{"*.weight": 0}}, found {found(shard)}'
        )
    return dict(shard)


def _asked(mesh: Any, cuts: bool, operation: str) -> tuple[list[Any], int]:
    """The devices, and how many of them share a parameter."""
    if isinstance(mesh, jax.sharding.Mesh):
        if mesh.devices.ndim > 2:
            raise ValueError(f"{operation}: the mesh has axes {mesh.axis_names}; it needs one or two, batch and model")
        return list(mesh.devices.flat), mesh.devices.shape[1] if mesh.devices.ndim == 2 else 1
    columns = None
    if isinstance(mesh, tuple) and len(mesh) == 2 and all(_count(n) for n in mesh):
        mesh, columns = mesh[0] * mesh[1], mesh[1]
    if _count(mesh):
        there = jax.devices()
        if mesh > len(there):
            advice = (
                "; XLA_FLAGS=--xla_force_host_platform_device_count=8 in the environment makes eight of a processor"
                if there[0].platform == "cpu"
                else ""
            )
            raise ValueError(f"{operation}: {mesh} devices were asked for, there are {len(there)}{advice}")
        devices = there[:mesh]
    elif isinstance(mesh, list | tuple) and mesh and all(hasattr(d, "process_index") for d in mesh):
        devices = list(mesh)
    else:
        raise TypeError(
            f"{operation}: devices must be a number, a pair (for the batch, for parameters), a list of JAX's devices "
            f"or a jax.sharding.Mesh, found {shown(mesh)}"
        )
    if columns is None:
        columns = 1 if not cuts else 2 if len(devices) % 2 == 0 else len(devices)
    return devices, columns


def _count(n: Any) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and n > 0


def check_patterns(placement: MeshPlacement, tensors: Sequence[Tensor], operation: str) -> None:
    """ValueError for a pattern that no Tensor's name matches, and for one that cannot be cut so."""
    names = [x.name for x in tensors if x.name]
    for pattern in placement.shard:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                f"{operation}: shard: {pattern!r} is the name of no parameter; there are {', '.join(names)}"
            )
    for x in tensors:
        placement.axis(x)
