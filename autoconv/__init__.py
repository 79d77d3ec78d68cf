"""autoconv: a convolutional network is nothing but recorded scalar arithmetic.

Record with Tensors (``ac.tensor``), differentiate with ``backward`` or ``ac.grad``, look with ``ac.graph``, ``ac.step``
and ``ac.explain``, ask with ``ac.check``.  The names follow NumPy and PyTorch; README.md has a map of the folders.

Two rules hold everywhere:

- Operations take Tensors, arrays, lists and numbers.  With a Tensor among them the result is a recorded Tensor; plain
  arrays in give plain arrays out, although the signatures say Tensor.
- The output comes first (``graph(y)``, ``step(y)``, ``explain(y, w[0, 0])``, ``check(y, claim, wrt=w)``), or by name as
  ``of=y``, and then what is asked about stands first.

>>> w = ac.tensor([2.0, 3.0], name="w")
>>> loss = ac.sum(w * w)
>>> loss.backward()
>>> w.grad
array([4., 6.])
>>> print(ac.Tape(loss))
Tape of 3 lines
%0    (2,)               input   # w
%1    (2,)               mul(%0, %0)
%2    ()                 sum(%1, axis=(0,), keepdims=False)
"""

import builtins as _builtins
from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from numpy import bool_ as bool_
from numpy import e as e
from numpy import float16 as float16
from numpy import float32 as float32
from numpy import float64 as float64
from numpy import inf as inf
from numpy import int8 as int8
from numpy import int16 as int16
from numpy import int32 as int32
from numpy import int64 as int64
from numpy import nan as nan
from numpy import newaxis as newaxis
from numpy import pi as pi
from numpy import uint8 as uint8

from . import array_api as array_api
from . import functional as functional
from .backward import backward as backward
from .backward import sweep as sweep
from .dlpack import from_dlpack as from_dlpack
from .functional import *
from .functional import abs as abs
from .functional import all as all
from .functional import any as any
from .functional import loss as losses
from .functional import max as max
from .functional import min as min
from .functional import pow as pow
from .functional import round as round
from .functional import sum as sum
from .operands import manual_seed as manual_seed
from .primitives import TABLE as TABLE
from .tape import Primitive as Primitive
from .tape import Scope as Scope
from .tape import Tape as Tape
from .tape import Tensor as Tensor
from .tape import no_grad as no_grad
from .tape import scope as scope
from .tape import tensor as tensor
from .transforms import grad as grad
from .transforms import hessian as hessian
from .transforms import hvp as hvp
from .transforms import jacfwd as jacfwd
from .transforms import jacobian as jacobian
from .transforms import jacrev as jacrev
from .transforms import jvp as jvp
from .transforms import value_and_grad as value_and_grad
from .transforms import vjp as vjp
from .transforms import vmap as vmap

if TYPE_CHECKING:  # what __getattr__ imports when it is first asked for
    from . import checkpoint as checkpoint
    from . import cli as cli
    from . import data as data
    from . import gradcheck as gradcheck
    from . import interop as interop
    from . import linalg as linalg
    from . import models as models
    from . import nn as nn
    from . import optim as optim
    from . import render as render
    from . import scalar as scalar
    from . import train as train
    from . import views as views
    from .comparing.compare import compare as compare
    from .comparing.saved import save_run as save_run
    from .compiled import compile as compile
    from .exercises.key import exercise_key as exercise_key
    from .exercises.making import exercise as exercise
    from .gradcheck import check_grads as check_grads
    from .interop import onnx as onnx
    from .interop.jaxpr import from_jax as from_jax
    from .interop.torch_export import from_torch as from_torch
    from .marking.check_backward import check_backward as check_backward
    from .marking.check_op import check_op as check_op
    from .marking.courses import courses as courses
    from .nn.torch_weights import to_torch_state_dict as to_torch_state_dict
    from .saving import load as load
    from .saving import save as save
    from .scalar import Scalar as Scalar
    from .scalar.expand import expand as expand
    from .tutor.breaking import break_it as break_it
    from .tutor.breaking import mistakes as mistakes
    from .tutor.certificate import certificate as certificate
    from .tutor.check import check as check
    from .views.equations.explain import explain as explain
    from .views.equations.matrix import matrix_view as matrix_view
    from .views.equations.paths import paths as paths
    from .views.equations.uses import uses as uses
    from .views.graph.graph import graph as graph
    from .views.live.live import live as live
    from .views.live.widget import widget as widget
    from .views.measures.gradient_flow import gradient_flow as gradient_flow
    from .views.measures.memory import memory as memory
    from .views.measures.receptive_field import receptive_field as receptive_field
    from .views.stepper.stepper import step as step
    from .views.stepper.training import record_training as record_training
    from .xla.function import to_jax as to_jax

__version__ = "0.2.0"

_LAZY = {
    "Scalar": ".scalar",
    "break_it": ".tutor.breaking",
    "certificate": ".tutor.certificate",
    "check": ".tutor.check",
    "check_backward": ".marking.check_backward",
    "check_grads": ".gradcheck",
    "check_op": ".marking.check_op",
    "compare": ".comparing.compare",
    "compile": ".compiled",
    "courses": ".marking.courses",
    "exercise": ".exercises.making",
    "exercise_key": ".exercises.key",
    "expand": ".scalar.expand",
    "explain": ".views.equations.explain",
    "from_jax": ".interop.jaxpr",
    "from_torch": ".interop.torch_export",
    "gradient_flow": ".views.measures.gradient_flow",
    "graph": ".views.graph.graph",
    "live": ".views.live.live",
    "load": ".saving",
    "matrix_view": ".views.equations.matrix",
    "memory": ".views.measures.memory",
    "mistakes": ".tutor.breaking",
    "onnx": ".interop",
    "paths": ".views.equations.paths",
    "receptive_field": ".views.measures.receptive_field",
    "record_training": ".views.stepper.training",
    "save": ".saving",
    "save_run": ".comparing.saved",
    "step": ".views.stepper.stepper",
    "to_jax": ".xla.function",
    "to_torch_state_dict": ".nn.torch_weights",
    "uses": ".views.equations.uses",
    "widget": ".views.live.widget",
}
_LAZY_MODULES = (
    "checkpoint", "cli", "data", "gradcheck", "interop", "linalg", "models", "nn", "optim", "render",
    "scalar", "train", "views",
)  # fmt: skip
_VALUES = (  # dtypes and constants, NumPy's own
    "bool_", "e", "float16", "float32", "float64", "inf", "int16", "int32", "int64", "int8", "nan", "newaxis", "pi",
    "uint8",
)  # fmt: skip
_EAGER = (
    "Primitive", "Scope", "TABLE", "Tape", "Tensor", "array_api", "backward", "from_dlpack", "functional", "grad",
    "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jvp", "losses", "manual_seed", "no_grad", "scope", "sweep",
    "tensor", "value_and_grad", "vjp", "vmap",
)  # fmt: skip
_NAMES = sorted({*_EAGER, *_VALUES, *functional._NAMES, *_LAZY, *_LAZY_MODULES})

if not TYPE_CHECKING:  # a type checker knows the real names, and refuses others
    __all__ = [name for name in _NAMES if not hasattr(_builtins, name)]  # `import *` shadows no `sum` or `max`

    def __getattr__(name: str) -> object:
        """Parts that not every program needs are imported when first asked for."""
        if name in _LAZY:
            value = getattr(_import_module(_LAZY[name], __name__), name)
        elif name in _LAZY_MODULES:
            value = _import_module(f".{name}", __name__)
        else:
            raise AttributeError(f"module 'autoconv' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*_NAMES, "__all__", "__doc__", "__file__", "__name__", "__path__", "__version__"]
