"""Where the arrays of a run lie, and how they get there and back: the seam for meshes of devices.

``Placement`` is one device, JAX's default one.  A mesh is another placement: it answers the same questions with
shardings, which the executor (``run``) hands to ``jax.jit`` as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..program.program import Line
from ..tape import Tensor
from .library import jax


class Placement:
    """All on the default device.

    ``sharded``: whether ``argument``, ``tensor`` and ``output`` give shardings (``jax.sharding.Sharding``), which are
    then the ``in_shardings`` and ``out_shardings`` of every jitted function of a run.
    """

    sharded = False

    def argument(self, line: Line) -> Any:
        """The sharding of an argument of the program, by its line (shape and dtype)."""

    def source(self, line: Line) -> Any:
        """The sharding of what a recording reads besides the caller's arguments: draws, running means."""

    def tensor(self, tensor: Tensor) -> Any:
        """The sharding of a Tensor that the program closes over, and of an optimiser's slots for it."""

    def output(self, line: Line) -> Any:
        """The sharding of an output."""

    def put(self, value: np.ndarray, sharding: Any) -> Any:
        """An array of the device's own with these numbers; nobody else's memory is part of it, so it may be donated."""
        return jax.device_put(value, sharding, may_alias=False)

    def given(self, value: Any, sharding: Any) -> Any:
        """An argument of this call, NumPy's or the device's, as ``jit`` takes it."""
        return value if sharding is None else jax.device_put(value, sharding)

    def fetch(self, arrays: Sequence[Any]) -> list[np.ndarray]:
        """The numbers as arrays that the caller owns."""
        if self._apart:  # all are on their way before the first is waited for
            for x in arrays:
                x.copy_to_host_async()
        return [np.array(x, order="C") for x in arrays]

    @cached_property
    def _apart(self) -> bool:
        """Whether the device has a memory of its own."""
        return bool(jax.default_backend() != "cpu")

    def described(self) -> str:
        """In words, for ``plan``."""
        device = jax.devices()[0]
        return f"{device.platform} ({device.device_kind})" if device.device_kind != device.platform else device.platform


HERE = Placement()
