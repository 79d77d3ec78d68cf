"""``autoconv.functional`` under the name that PyTorch gives it.

>>> import autoconv.nn.functional as F
>>> F.relu([-1.0, 2.0])
array([0., 2.])
"""

from typing import TYPE_CHECKING

from .. import functional as _functional
from ..functional import *
from ..functional import __dir__ as __dir__
from ..functional import abs as abs
from ..functional import all as all
from ..functional import any as any
from ..functional import max as max
from ..functional import min as min
from ..functional import pow as pow
from ..functional import round as round
from ..functional import sum as sum

if not TYPE_CHECKING:
    __all__ = _functional.__all__
