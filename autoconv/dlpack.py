"""DLPack: numbers handed to and taken from other libraries (PyTorch, JAX, CuPy, NumPy) as the standard has it.

``torch.from_dlpack(t)``, ``np.from_dlpack(t)`` and ``ac.from_dlpack(x)``.  No gradient goes along, so a line that would
lose one is refused, by the rule that holds for ``np.asarray`` as well; ``ac.stop_gradient(t)`` may always be handed on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .leaving import guarded
from .operands import found
from .tape import Tensor, describe, tensor

_CPU = (1, 0)  # kDLCPU, the first of them


def _dlpack(
    x: Tensor, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
) -> Any:
    """A capsule with the value, for ``from_dlpack`` of another library: a copy, which may be written to.

    copy=False: the value itself, read-only, for a library that respects that (``max_version`` of 1.0 or more).
    Raises BufferError for a line whose gradient would be lost, for exact fractions, and for another device.
    """
    if guarded(x):
        raise BufferError(
            f"__dlpack__: {describe(x)} has a gradient, which would be lost in another library; hand on "
            "ac.stop_gradient(t), or t.value"
        )
    if x.dtype == object:
        raise BufferError("__dlpack__: exact fractions (dtype object) have no form in memory; use t.astype(float)")
    if stream is not None:
        raise BufferError(f"__dlpack__: stream={stream!r}; the CPU has no streams")
    if dl_device is not None and tuple(dl_device) != _CPU:
        raise BufferError(f"__dlpack__: dl_device={dl_device}; a Tensor is in the memory of the CPU, {_CPU}")
    asked: dict[str, Any] = {} if copy is not False else {"copy": False}
    if max_version is not None:
        asked["max_version"] = max_version
    if copy is not False and np.lib.NumpyVersion(np.__version__) < "2.1.0":  # it takes no settings
        asked = {}
    return (x.value if copy is False else x.numpy()).__dlpack__(**asked)


def _dlpack_device(x: Tensor) -> tuple[int, int]:
    """(kind of device, its number): the CPU."""
    return _CPU


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A Tensor with the numbers of another library's array in the memory of the CPU.

    It owns a copy; with copy=False it shares the memory of a Tensor.

    Floating-point numbers can be differentiated, as those of ``ac.tensor``; the gradient ends here.  Raises TypeError
    for what has no ``__dlpack__``, ValueError for another device and for copy=False, and what the other library raises
    for an array whose gradient would be lost (BufferError in PyTorch).

    >>> ac.from_dlpack(np.array([1.0, 2.0]))
    tensor([1., 2.])
    """
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"from_dlpack: {found(x)} has no __dlpack__; ac.tensor takes arrays, lists and numbers")
    if device not in (None, "cpu"):
        raise ValueError(f"from_dlpack: device={device!r}; a Tensor is in the memory of the 'cpu'")
    if copy is False:
        if isinstance(x, Tensor) and not guarded(x):
            return Tensor(x.value, constant=x.constant)
        raise ValueError("from_dlpack: copy=False, but a Tensor owns its memory; leave copy out")
    if isinstance(x, np.ndarray):  # NumPy does not hand on what is read-only
        return tensor(x)
    return tensor(np.from_dlpack(x))


def bind() -> None:
    """Attach the protocol to Tensor."""
    for name, method in {"__dlpack__": _dlpack, "__dlpack_device__": _dlpack_device}.items():
        setattr(Tensor, name, method)


bind()
