"""Second names: what PyTorch, NumPy and the array API call the functions and rows that are here under another name.

Each line is one function under one more name; keywords of theirs are in ``spelling.KEYWORDS``.
"""

from .. import primitives as _p
from . import activation as _activation
from . import array as _array
from . import elementwise as _elementwise
from . import loss as _loss
from . import matrices as _matrices
from . import pick as _pick
from . import resize as _resize
from . import stacking as _stacking

# PyTorch
cat = _array.concat
clamp = _array.clip
permute = _array.permute_dims
repeat_interleave = _array.repeat
swapdims = _array.swapaxes
movedim = _array.moveaxis
take_along_dim = _array.take_along_axis
inverse = _matrices.inv
row_stack = _stacking.vstack
sgn = _p.sign
upsample = _resize.interpolate
logsigmoid = _activation.log_sigmoid
pow = _p.power  # noqa: A001
eq, ne, gt, lt, ge, le = _p.equal, _p.not_equal, _p.greater, _p.less, _p.greater_equal, _p.less_equal
binary_cross_entropy = _loss.bce
binary_cross_entropy_with_logits = _loss.bce_with_logits
huber_loss = _loss.huber
l1_loss = _loss.l1
mse_loss = _loss.mse
nll_loss = _loss.nll
smooth_l1_loss = _loss.smooth_l1

# NumPy and the array API
absolute, negative, multiply, subtract = _p.abs_, _p.neg, _p.mul, _p.sub
divide = true_divide = _p.div
arctan2 = _p.atan2
arccos, arcsin, arctan = _elementwise.acos, _elementwise.asin, _elementwise.atan
arccosh, arcsinh, arctanh = _elementwise.acosh, _elementwise.asinh, _elementwise.atanh
degrees, radians = _elementwise.rad2deg, _elementwise.deg2rad
around = rint = _elementwise.round
fix = _elementwise.trunc
mod = _p.remainder
float_power = _p.power
unstack = _pick.unbind
