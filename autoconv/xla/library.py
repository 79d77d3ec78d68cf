"""JAX, which is imported when something of it is first used: ``import autoconv`` needs no JAX and does not wait for it.

``jax``, ``jnp`` and ``lax`` stand for the modules of these names.  64-bit numbers are JAX's switch for a whole process;
here they are on inside ``wide()`` alone, and the user's own setting stays as it is.
"""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import AbstractContextManager
from typing import Any

INSTALL = 'pip install "autoconv[xla]"'


class _Later:
    """A module, imported when an attribute of it is read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value


jax: Any = _Later("jax")
jnp: Any = _Later("jax.numpy")
lax: Any = _Later("jax.lax")


def installed() -> bool:
    """Whether JAX is there; nothing is imported."""
    return importlib.util.find_spec("jax") is not None and importlib.util.find_spec("jaxlib") is not None


def need(operation: str) -> None:
    """ImportError, with what to install, where JAX is not there."""
    try:
        importlib.import_module("jax")
    except ImportError as error:
        raise ImportError(f"{operation} needs JAX, through which XLA is reached: {INSTALL}") from error


def wide() -> AbstractContextManager[Any]:
    """``with wide():`` arrays of 64 bits are kept as they are (in this thread, and only here)."""
    context: AbstractContextManager[Any] = jax.enable_x64(True)
    return context


def described() -> str:
    """JAX's version and its devices in words, or what to install."""
    if not installed():
        return f"JAX not found: {INSTALL}"
    try:
        devices = jax.devices()
    except RuntimeError as error:  # a driver that does not start
        return f"JAX {jax.__version__}, no device: {' '.join(str(error).split())}"
    kinds: dict[str, int] = {}
    for device in devices:
        name = f"{device.platform} ({device.device_kind})" if device.device_kind != device.platform else device.platform
        kinds[name] = kinds.get(name, 0) + 1
    return f"JAX {jax.__version__}: " + ", ".join(f"{n} x {name}" for name, n in kinds.items())
