"""The names of the Python array API standard (2024.12), for code that asks an array for its namespace.

``xp = t.__array_namespace__()`` is this module, so that a function written for any library of arrays computes, and is
differentiated, with Tensors.  A name is autoconv's own operation where an operand has a gradient, and NumPy's function
of that name where none has one (whole numbers, truth values, constants); the result is a Tensor in both cases.  What has
no gradient anywhere (bits, comparisons, indices) is a constant, and so is what these functions create, as in PyTorch:
inputs are made by ``ac.tensor``.  docs/array_api.md says what is not there, and why.

Source: https://data-apis.org/array-api/2024.12/
"""

import math as _math

from ..dlpack import from_dlpack as from_dlpack
from .creation import *
from .dtypes import *
from .elements import *
from .elementwise import *
from .manipulation import *
from .namespace import VERSIONS as VERSIONS
from .namespace import __array_namespace_info__ as __array_namespace_info__
from .reductions import *

__array_api_version__ = VERSIONS[-1]
e, inf, nan, newaxis, pi = _math.e, _math.inf, _math.nan, None, _math.pi
