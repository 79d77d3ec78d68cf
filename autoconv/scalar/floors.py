"""The floor under Scalar: the compiled type where it was built, else the one in Python; they behave alike.

``AUTOCONV_NATIVE=0`` in the environment chooses Python.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import children, rules, scalar

_native: Any = None
if os.environ.get("AUTOCONV_NATIVE") == "0":
    _reason = "python: the extension is switched off by AUTOCONV_NATIVE=0"
else:
    try:
        _native = import_module("._native", __package__)
        _reason = "native"
    except ModuleNotFoundError:
        _reason = "python: the extension was not built when autoconv was installed"
    except ImportError as problem:
        _reason = f"python: the extension cannot be loaded ({problem})"

if TYPE_CHECKING:
    from .scalar import Scalar
else:
    Scalar = _native.Scalar if _native else scalar.Scalar

if _native:  # the rows that it has no rules for
    _codes = range(rules.COMPILED, len(rules.OPERATIONS))
    _native.extend(
        rules.apply,
        tuple((rules.OPERATIONS[code].name, rules.OPERATIONS[code].arity) for code in _codes),
        {**scalar.methods(_codes, _native.record), **children.PROPERTIES},
    )
for _name, _property in children.PROPERTIES.items():
    setattr(scalar.Scalar, _name, _property)

KINDS: tuple[type[Scalar], ...] = (scalar.Scalar, _native.Scalar) if _native else (scalar.Scalar,)


def floor() -> str:
    """ "native", or "python: " and the reason why the compiled extension is not in use."""
    return _reason


def described() -> str:
    """The floor in words: the extension and its vector instructions, or Python and the reason why."""
    if _native is None:
        return _reason
    return f"compiled extension, recorded programs with {_native.vectors()} vectors"


def native() -> Any:
    """The compiled extension, None where it is not in use."""
    return _native
