"""Composed operations: everything here is made of rows of the table, and nothing has a gradient of its own.

In the order data flows: spelling (**the table of other keywords**), composed (a scope around a function's lines),
creation, array (shape, joining, indexing), elementwise, reduce, linalg, stacking, sorting (and running sums), pick
(parts, triangles, tables), matrices (elimination), norms (np.linalg.norm), torch_forms (calls that mean something else
in PyTorch), aliases (**the table of second names**), geometry (what a call knows of its images and kernels), frames
(im2col), conv, pool, adaptive (pooling to a given size), resize (interpolation), matrix (a convolution as a matrix),
activation, normalisation, attention, loss; methods (**the table of methods**, and NumPy's functions) binds them to
Tensor, tensor_methods are those that look at how they were called, in_place its operators that change an input, help
gives rows their pages.

All of them are names of this folder, and so are the rows of the table: what a printed tape calls ``exp`` or ``crop`` is
``ac.exp`` and ``ac.crop``.  A new row is here as soon as it stands in the table.  Where a composed function has a row's
name (``reshape``, ``sum``), that function is what users get; it works out the settings and calls the row.

>>> from autoconv.functional import conv2d, exp
>>> exp(conv2d([[1.0, -1.0]], [[1.0, 1.0]]))
array([[1.]])
"""

import builtins as _builtins
from typing import TYPE_CHECKING

from ..primitives import TABLE as _TABLE
from . import activation as _activation
from . import adaptive as _adaptive
from . import aliases as _aliases
from . import array as _array
from . import attention as _attention
from . import conv as _conv
from . import creation as _creation
from . import elementwise as _elementwise
from . import frames as _frames
from . import help as _help
from . import in_place as _in_place
from . import linalg as _linalg
from . import loss as _loss
from . import matrices as _matrices
from . import matrix as _matrix
from . import methods as _methods
from . import normalisation as _normalisation
from . import pick as _pick
from . import pool as _pool
from . import reduce as _reduce
from . import resize as _resize
from . import sorting as _sorting
from . import stacking as _stacking
from . import torch_forms as _torch_forms
from .activation import *
from .adaptive import *
from .array import *
from .attention import *
from .conv import *
from .creation import *
from .elementwise import *
from .frames import *
from .linalg import *
from .loss import *
from .matrices import *
from .matrix import *
from .normalisation import *
from .pick import *
from .pool import *
from .reduce import *
from .resize import *
from .sorting import *
from .stacking import *
from .torch_forms import *

_FILES = (
    _creation, _array, _elementwise, _reduce, _linalg, _stacking, _sorting, _pick, _matrices, _torch_forms, _frames,
    _conv, _pool, _adaptive, _resize, _matrix, _activation, _normalisation, _attention, _loss,
)  # fmt: skip
_COMPOSED = {name for file in _FILES for name in file.__all__}
# rows that no composed function takes the name of
_ROWS = {name: row for name, row in _TABLE.items() if name not in _COMPOSED}
# second names, where nothing else has that name
_ALIASES = {
    name: x for name, x in vars(_aliases).items() if not name.startswith("_") and name not in _COMPOSED | _ROWS.keys()
}
_NAMES = sorted(_COMPOSED | _ROWS.keys() | _ALIASES.keys())

if TYPE_CHECKING:
    from ..primitives import *
    from ..primitives import abs_
    from .aliases import *
    from .aliases import pow as pow

    abs = abs_
else:
    globals().update(_ROWS)
    globals().update(_ALIASES)
    __all__ = [name for name in _NAMES if not hasattr(_builtins, name)]  # `import *` shadows no `sum` or `max`


def __dir__() -> list[str]:
    return [*_NAMES, "__all__", "__doc__", "__file__", "__name__", "__path__"]
