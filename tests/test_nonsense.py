"""Every public call with nonsense in one of its parameters: ValueError or TypeError that names the function, or a
result; nothing is recorded, and the operands that were right are as they were.

``CALLS`` holds a valid call of each function; each of its parameters in turn is given each value of ``NONSENSE``.
"""

import datetime
import warnings
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest

import autoconv as ac
from autoconv import data, nn, optim, tape, train

f32 = np.float32
SHAPES = [(), (3,), (2, 3), (1, 2, 3), (2, 1, 2, 3), (1, 2, 1, 2, 3), (1, 1, 2, 1, 2, 3)]

# fmt: off
NONSENSE = {
    "None": lambda: None, "text": lambda: "abc", "empty text": lambda: "", "bytes": lambda: b"ab", "a dict": dict,
    "a filled dict": lambda: {"a": 1.0}, "a set": lambda: {1.0, 2.0}, "an object": object, "a type": lambda: float,
    "complex": lambda: 1j, "nan": lambda: float("nan"), "inf": lambda: float("inf"), "1.5": lambda: 1.5,
    "10**400": lambda: 10**400, "-10**400": lambda: -(10**400), "2**63": lambda: 2**63, "2**62": lambda: 2**62,
    "-1": lambda: -1, "-7": lambda: -7, "0": lambda: 0, "7": lambda: 7, "20": lambda: 20, "True": lambda: True,
    "[]": list, "()": tuple, "[None]": lambda: [None], "['a']": lambda: ["a"], "[1j]": lambda: [1j],
    "ragged": lambda: [[1.0], [1.0, 2.0]], "deep": lambda: [[[[[[[1.0]]]]]]], "(0, 0)": lambda: (0, 0),
    "(-1, -1)": lambda: (-1, -1), "(1, 2, 3, 4)": lambda: (1, 2, 3, 4), "(1.5, 2)": lambda: (1.5, 2),
    "((1, 2), 3)": lambda: ((1, 2), 3), "(2**63, 2)": lambda: (2**63, 2),
    "dates": lambda: np.array(["2020-01-01"], "datetime64[D]"), "a date": lambda: datetime.date(2020, 1, 1),
    "times": lambda: np.array([1, 2], "timedelta64[s]"), "objects": lambda: np.array([None, object()]),
    "sets": lambda: np.array([{1}, {2}]), "records": lambda: np.zeros(2, [("a", float), ("b", int)]),
    "texts": lambda: np.array(["a", "b"]), "complexes": lambda: np.ones((2, 3), complex),
    "a generator": lambda: (x for x in [1.0]), "a range": lambda: range(3), "np.int64": lambda: np.int64(2),
    "np.float32": lambda: f32(2), "np.bool": lambda: np.bool_(True), "a function": lambda: (lambda x: x),
    "a Scalar": lambda: ac.Scalar(1.0), "fractions": lambda: np.array([Fraction(1, 2)] * 3),
    "a fraction": lambda: Fraction(1, 2), "ints": lambda: np.arange(3), "bools": lambda: np.array([True, False]),
    "uint8": lambda: np.arange(6, dtype=np.uint8).reshape(2, 3), "size 0": lambda: np.zeros((0, 3)),
    "size 0 inside": lambda: np.zeros((2, 0, 3)), "no axes, ints": lambda: np.array(2),
    "a Tensor": lambda: ac.tensor(2.0), "Tensors": lambda: [ac.tensor(2.0), ac.tensor([1.0, 2.0])],
    "a slice": lambda: slice(None), "Ellipsis": lambda: ..., "a class instance": lambda: nn.ReLU(),
    **{f"{len(shape)} dimensions": lambda shape=shape: np.ones(shape) for shape in SHAPES},
}
# fmt: on


def t(*shape, dtype=float):
    return ac.tensor(np.linspace(0.1, 0.9, int(np.prod(shape))).reshape(shape), dtype=dtype)


# a valid call of each function: its parameters by name ("*" are positional ones)
image, kernel, vector, matrix = (1, 5, 5, 2), (2, 2, 2, 3), (6,), (2, 3)


def settings(dims, **more):
    return dict(stride=1, padding=0, **more, layout="channels_last")


def convolution(dims, **more):
    return lambda: dict(
        x=t(1, *(5,) * dims, 2), kernel=t(*(2,) * dims, 2, 3), bias=t(3), **settings(dims, dilation=1, groups=1), **more
    )


def transposed(dims):
    return lambda: dict(
        x=t(1, *(3,) * dims, 2),
        kernel=t(*(2,) * dims, 3, 2),
        bias=t(3),
        **settings(dims, dilation=1, groups=1),
        output_padding=0,
    )


def pooling(dims, **more):
    return lambda: dict(x=t(1, *(4,) * dims, 2), kernel_size=2, **settings(dims, ceil_mode=False), **more)


def reduction(**more):
    return lambda: dict(x=t(2, 3), axis=1, keepdims=False, **more)


def unary():
    return {"x": t(2, 3)}


CALLS = {
    **{f"conv{d}d": convolution(d, flip=False) for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": transposed(d) for d in (1, 2, 3)},
    **{f"max_pool{d}d": pooling(d, dilation=1) for d in (1, 2, 3)},
    **{f"avg_pool{d}d": pooling(d, count_include_pad=True, divisor=None) for d in (1, 2, 3)},
    **{f"lp_pool{d}d": pooling(d, p=2) for d in (1, 2, 3)},
    **{
        f"global_{k}_pool": lambda: {"x": t(1, 4, 4, 2), "keepdims": False, "layout": "channels_last"}
        for k in ("avg", "max")
    },
    **{name: reduction() for name in ("sum", "mean", "max", "min", "prod", "logsumexp")},
    **{name: reduction(ddof=0, correction=0) for name in ("var", "std")},
    **{name: reduction() for name in ("amax", "amin", "any", "all")},
    "norm": reduction(p=2),
    **{name: lambda: {"x": t(2, 3), "axis": 1} for name in ("argmax", "argmin", "softmax", "softmin", "log_softmax")},
    **dict.fromkeys(
        (
            "relu",
            "relu6",
            "sigmoid",
            "silu",
            "mish",
            "selu",
            "hardsigmoid",
            "hardswish",
            "tanhshrink",
            "square",
            "reciprocal",
            "ravel",
        ),
        unary,
    ),
    **{
        name: lambda: {"x": t(2, 3), "y": t(2, 3)}
        for name in ("fmod", "hypot", "logical_and", "logical_or", "logical_xor")
    },
    "round": lambda: {"x": t(2, 3), "decimals": 1},
    "masked_fill": lambda: {"x": t(2, 3), "mask": np.array([True, False, True]), "value": 0.5},
    "nan_to_num": lambda: {"x": t(2, 3), "nan": 0.0, "posinf": 1.0, "neginf": -1.0},
    "sort": lambda: {"x": t(2, 3), "axis": 1, "descending": False},
    "argsort": lambda: {"x": t(2, 3), "axis": 1, "descending": False},
    "topk": lambda: {"x": t(2, 3), "k": 2, "axis": 1, "largest": True},
    **{name: lambda: {"x": t(2, 3), "axis": 1} for name in ("cumsum", "cumprod", "unbind")},
    "chunk": lambda: {"x": t(2, 3), "chunks": 2, "axis": 1},
    "narrow": lambda: {"x": t(2, 3), "axis": 1, "start": 1, "length": 1},
    "select": lambda: {"x": t(2, 3), "axis": 1, "index": 0},
    "gather": lambda: {"x": t(2, 3), "axis": 1, "indices": np.array([[0], [1]])},
    "put_along_axis": lambda: {
        "x": t(2, 3),
        "indices": np.array([[0], [1]]),
        "values": t(2, 1),
        "axis": 1,
        "mode": "set",
    },
    **{name: lambda: {"x": t(2, 3), "diagonal": 0} for name in ("tril", "triu", "diag")},
    "trace": lambda: {"x": t(2, 3)},
    "mm": lambda: {"x": t(2, 3), "y": t(3, 2)},
    "bmm": lambda: {"x": t(1, 2, 3), "y": t(1, 3, 2)},
    "embedding": lambda: {"indices": np.array([0, 1]), "weight": t(3, 2), "padding_idx": 0},
    "one_hot": lambda: {"indices": np.array([0, 1]), "num_classes": 3, "dtype": f32},
    "scaled_dot_product_attention": lambda: {
        "query": t(2, 3),
        "key": t(4, 3),
        "value": t(4, 2),
        "mask": np.tri(2, 4, dtype=bool),
        "is_causal": False,
        "scale": 0.5,
        "enable_gqa": False,
    },
    "softplus": lambda: {"x": t(2, 3), "beta": 2.0, "threshold": 20.0},
    "celu": lambda: {"x": t(2, 3), "alpha": 0.5},
    "prelu": lambda: {"x": t(2, 3), "weight": t(3), "layout": "channels_last"},
    "hardtanh": lambda: {"x": t(2, 3), "min_val": -1.0, "max_val": 1.0},
    "hardshrink": lambda: {"x": t(2, 3), "lambd": 0.5},
    "softshrink": lambda: {"x": t(2, 3), "lambd": 0.5},
    "threshold": lambda: {"x": t(2, 3), "threshold": 0.5, "value": 0.0},
    "glu": lambda: {"x": t(2, 4), "axis": 1},
    "leaky_relu": lambda: {"x": t(2, 3), "negative_slope": 0.1},
    "elu": lambda: {"x": t(2, 3), "alpha": 0.5},
    "gelu": lambda: {"x": t(2, 3), "approximate": "none"},
    "reshape": lambda: {"x": t(2, 3), "shape": (3, 2)},
    "transpose": lambda: {"x": t(2, 3), "axes": (1, 0)},
    "permute_dims": lambda: {"x": t(2, 3), "axes": (1, 0)},
    "swapaxes": lambda: {"x": t(2, 3), "axis1": 0, "axis2": 1},
    "moveaxis": lambda: {"x": t(2, 3), "source": 0, "destination": 1},
    "expand_dims": lambda: {"x": t(2, 3), "axis": 0},
    "squeeze": lambda: {"x": t(2, 1, 3), "axis": 1},
    "flatten": lambda: {"x": t(2, 3, 2), "start_axis": 1},
    "broadcast_to": lambda: {"x": t(3), "shape": (2, 3)},
    "flip": lambda: {"x": t(2, 3), "axis": 1},
    "rot180": lambda: {"kernel": t(2, 3)},
    "roll": lambda: {"x": t(2, 3), "shift": 1, "axis": 1},
    **dict.fromkeys(
        ("asinh", "atanh", "deg2rad", "rad2deg", "frac", "atleast_1d", "atleast_2d", "atleast_3d", "fliplr", "flipud"),
        unary,
    ),
    **{
        name: lambda: {"x": t(2, 3), "y": t(2, 3)} for name in ("fmax", "fmin", "floor_divide", "kron", "inner", "vdot")
    },
    "acosh": lambda: {"x": t(2, 3) + 1.5},
    "lerp": lambda: {"x": t(2, 3), "y": t(2, 3), "weight": t(3)},
    "cross": lambda: {"x": t(2, 3), "y": t(2, 3), "axis": 1},
    **{name: lambda: {"x": t(2, 3), "axis": 1, "keepdims": False} for name in ("median", "ptp", "count_nonzero")},
    "average": lambda: {"x": t(2, 3), "axis": 1, "weights": np.ones(3), "keepdims": False},
    **{name: lambda: {"xs": [t(2, 3), t(2, 3)]} for name in ("vstack", "hstack", "dstack", "column_stack")},
    "append": lambda: {"x": t(2, 3), "values": t(1, 3), "axis": 0},
    **{name: lambda: {"x": t(2, 4), "sections": 2} for name in ("hsplit", "vsplit")},
    "array_split": lambda: {"x": t(2, 4), "sections": 3, "axis": 1},
    "rot90": lambda: {"x": t(2, 3), "k": 1, "axes": (0, 1)},
    "diff": lambda: {"x": t(2, 3), "n": 1, "axis": 1},
    "unsqueeze": lambda: {"x": t(2, 3), "axis": 1},
    "unflatten": lambda: {"x": t(2, 6), "axis": 1, "sizes": (2, -1)},
    **{name: lambda: {"x": t(2, 2) + np.eye(2)} for name in ("det", "inv")},
    "solve": lambda: {"a": t(2, 2) + np.eye(2), "b": t(2)},
    "matrix_power": lambda: {"x": t(2, 2), "n": 2},
    **{name: lambda: {"*": [2, 3], "dtype": f32, "requires_grad": True} for name in ("zeros", "ones", "empty")},
    **{name: lambda: {"*": [2, 3], "dtype": f32, "requires_grad": True, "rng": 0} for name in ("rand", "randn")},
    "full": lambda: {"shape": (2, 3), "fill_value": 1.0, "dtype": f32},
    "eye": lambda: {"n": 2, "m": 3, "k": 1, "dtype": f32},
    "arange": lambda: {"start": 0, "stop": 3, "step": 1, "dtype": f32},
    "linspace": lambda: {"start": 0.0, "stop": 1.0, "num": 5, "dtype": f32},
    **{name: lambda: {"x": t(2, 3), "dtype": f32} for name in ("zeros_like", "ones_like", "empty_like")},
    "full_like": lambda: {"x": t(2, 3), "fill_value": 2.0, "dtype": f32},
    **{name: lambda: {"x": t(2, 3), "dtype": f32, "rng": 0} for name in ("rand_like", "randn_like")},
    "randint": lambda: {"low": 0, "high": 9, "size": (2,), "rng": 0},
    "randperm": lambda: {"n": 5, "rng": 0},
    "asarray": lambda: {"data": [1.0], "dtype": f32},
    "from_numpy": lambda: {"array": np.ones(2)},
    "tile": lambda: {"x": t(2, 3), "repetitions": 2},
    "repeat": lambda: {"x": t(2, 3), "repeats": 2, "axis": 1},
    "concat": lambda: {"xs": [t(2, 3), t(2, 3)], "axis": 1},
    "concatenate": lambda: {"xs": [t(2, 3), t(2, 3)], "axis": 1},
    "stack": lambda: {"xs": [t(2, 3), t(2, 3)], "axis": 1},
    "split": lambda: {"x": t(2, 4), "sections": 2, "axis": 1},
    "pad": lambda: {"x": t(2, 3), "pad_width": 1, "mode": "constant", "constant_values": 0},
    "take": lambda: {"x": t(2, 3), "indices": np.array([0, 1]), "axis": 1},
    "take_along_axis": lambda: {"x": t(2, 3), "indices": np.array([[0], [1]]), "axis": 1},
    "clip": lambda: {"x": t(2, 3), "low": 0.2, "high": 0.5},
    "astype": lambda: {"x": t(2, 3), "dtype": f32},
    "dot": lambda: {"x": t(2, 3), "y": t(3, 2)},
    "matmul": lambda: {"x": t(2, 3), "y": t(3, 2)},
    "outer": lambda: {"x": t(3), "y": t(2)},
    "tensordot": lambda: {"x": t(2, 3), "y": t(3, 2), "axes": 1},
    "einsum": lambda: {"*": ["ij,jk->ik", t(2, 3), t(3, 2)]},
    "conv_matrix": lambda: {
        "kernel": t(2, 2),
        "input_shape": (3, 3),
        "stride": 1,
        "padding": 0,
        "dilation": 1,
        "groups": 1,
        "flip": False,
        "layout": "channels_last",
    },
    "windows": lambda: {"x": t(4, 4), "window": 2, "stride": 1, "padding": 0, "dilation": 1, "layout": "channels_last"},
    "overlap_add": lambda: {
        "frames": t(3, 3, 2, 2),
        "size": (4, 4),
        "stride": 1,
        "padding": 0,
        "dilation": 1,
        "layout": "channels_last",
    },
    "batch_norm": lambda: {
        "x": t(2, 3),
        "weight": t(3),
        "bias": t(3),
        "mean": np.ones(3),
        "var": np.ones(3),
        "eps": 1e-5,
        "layout": "channels_last",
    },
    "layer_norm": lambda: {"x": t(2, 3), "weight": t(3), "bias": t(3), "axis": -1, "eps": 1e-5},
    "group_norm": lambda: {
        "x": t(2, 4),
        "num_groups": 2,
        "weight": t(4),
        "bias": t(4),
        "eps": 1e-5,
        "layout": "channels_last",
    },
    "instance_norm": lambda: {
        "x": t(2, 4, 3),
        "weight": t(3),
        "bias": t(3),
        "eps": 1e-5,
        "layout": "channels_last",
    },
    "local_response_norm": lambda: {
        "x": t(2, 3),
        "size": 3,
        "alpha": 0.1,
        "beta": 0.75,
        "k": 1.0,
        "layout": "channels_last",
    },
    **{
        f"adaptive_{k}_pool{d}d": lambda d=d: {
            "x": t(1, *(4,) * d, 2),
            "output_size": 3,
            "layout": "channels_last",
        }
        for k in ("avg", "max")
        for d in (1, 2, 3)
    },
    "interpolate": lambda: {
        "x": t(1, 3, 3, 2),
        "size": None,
        "scale_factor": 1.5,
        "mode": "bilinear",
        "align_corners": False,
        "recompute_scale_factor": False,
        "layout": "channels_last",
    },
    "pixel_shuffle": lambda: {"x": t(1, 2, 2, 4), "upscale_factor": 2, "layout": "channels_last"},
    "pixel_unshuffle": lambda: {"x": t(1, 2, 2, 1), "downscale_factor": 2, "layout": "channels_last"},
    "dropout": lambda: {"x": t(2, 3), "p": 0.5, "rng": np.random.default_rng(0), "training": True},
    **{
        name: lambda: {"y": t(2, 3), "t": np.ones((2, 3)), "reduction": "mean"}
        for name in ("half_squared_error", "mse", "l1")
    },
    "smooth_l1": lambda: {"y": t(2, 3), "t": np.ones((2, 3)), "beta": 0.5, "reduction": "mean"},
    "huber": lambda: {"y": t(2, 3), "t": np.ones((2, 3)), "delta": 0.5, "reduction": "mean"},
    "kl_div": lambda: {"log_q": t(2, 3), "t": np.ones((2, 3)), "reduction": "mean", "log_target": False},
    "bce": lambda: {"y": t(2, 3), "t": np.ones((2, 3)), "weight": np.ones(3), "reduction": "mean"},
    "bce_with_logits": lambda: {
        "logits": t(2, 3),
        "t": np.ones((2, 3)),
        "weight": np.ones(3),
        "pos_weight": np.ones(3),
        "reduction": "mean",
    },
    "cosine_similarity": lambda: {"x": t(2, 3), "y": t(2, 3), "axis": 1, "eps": 1e-8},
    "cross_entropy": lambda: {
        "logits": t(2, 3),
        "labels": np.array([0, 1]),
        "weight": np.ones(3),
        "reduction": "mean",
        "axis": -1,
        "ignore_index": 2,
        "label_smoothing": 0.1,
    },
    "nll": lambda: {
        "log_probabilities": t(2, 3),
        "labels": np.array([0, 1]),
        "weight": np.ones(3),
        "reduction": "mean",
        "axis": -1,
        "ignore_index": 2,
    },
}


def names_of_functions():
    from autoconv import functional

    return [name for name in functional._NAMES if name not in ac.TABLE or name in functional._COMPOSED]


def row_call(name):
    def make():
        operands, _ = ac.TABLE[name].example(np.random.default_rng(0))
        return {"*": [ac.tensor(x) if x.dtype.kind == "f" else x for x in operands]}

    return make


# slope is written by sweeps alone, with numbers that come from a definition
ROWS = [name for name, row in ac.TABLE.items() if row.group == "arithmetic" and name != "slope"]
ROWS += ["identity", "stop_gradient"]


class Recorded:
    """Counts the lines that are recorded, and keeps what the operands were."""

    def __init__(self, call):
        self.operands = [x for x in parts(call) if isinstance(x, ac.Tensor)]
        self.before = list(map(self.state, self.operands))

    def unchanged(self):
        return self.before == list(map(self.state, self.operands))

    @staticmethod
    def state(x):
        return x.value.tobytes(), x.dtype, x.shape, None if x.grad is None else x.grad.tobytes(), x.serial


def parts(x):
    if isinstance(x, dict):
        return [y for v in x.values() for y in parts(v)]
    if isinstance(x, list | tuple):
        return [y for v in x for y in parts(v)]
    return [x]


# a function under another name, whose errors say the first
INNER = (
    "exp",
    "mul",
    "sum",
    "pow",
    "item",
    "unsupported operand",
    "only length-1",
    "positional argument",
)  # in these, of the function whose derivative was asked for
GRADIENT = ("gradient", "tensor", *INNER)
ALIASES = {
    "permute_dims": ("transpose",),
    **dict.fromkeys(("vstack", "hstack", "dstack", "column_stack", "append"), ("concat", "stack", "append")),
    **dict.fromkeys(("array_split", "hsplit", "vsplit"), ("split",)),
    "transpose": ("transpose", "swapaxes"),
    "concatenate": ("concat",),
    "sweep": ("sweep", "gradient"),
    "backward": ("backward", "gradient"),
    "batch_norm": ("batch_norm", "BatchNorm2d"),
    "layer_norm": ("layer_norm", "LayerNorm"),
    "linear": ("Linear",),
    "conv2d": ("conv2d", "Conv2d"),
    "conv_transpose2d": ("conv_transpose2d", "ConvTranspose2d"),
    "dropout": ("dropout", "Dropout"),
    "max_pool2d": ("max_pool2d", "MaxPool2d"),
    "relu": ("relu", "ReLU"),
    "flatten": ("flatten", "Flatten"),
    **dict.fromkeys(["grad", "value_and_grad", "vjp"], GRADIENT),
    "hessian": ("jacobian", *GRADIENT),
    "jacobian": ("jacobian", *GRADIENT),
    "jvp": ("jvp", *GRADIENT),
    "hvp": ("hvp", *GRADIENT),
    "check_grads": ("check_grads", "finite", *GRADIENT),
    "vmap": ("vmap", *GRADIENT),
    "jacfwd": ("jacfwd", "jacobian", "jvp", *GRADIENT),
    "kaiming_normal_": ("kaiming_normal_", "fans", "calculate_gain", "assign"),
    "xavier_uniform_": ("xavier_uniform_", "fans", "assign"),
    "clip_grad_norm_": ("clip_grad_norm_", "norm_type"),
    **dict.fromkeys(("ConstantLR", "LinearLR"), ("ConstantLR", "LinearLR")),
    "compile": ("compile", *INNER),
    "fit": ("fit", *INNER),
    "graph": ("graph", "focus"),
    "check": ("check", "formula", "tensor"),
    "break_it": ("break_it", "mistake"),
}
# a fraction is a number, but some rows have none of it: they say so in their own name, after what came before them
FRACTIONS = "not defined for exact fractions"

RAW = (  # what NumPy and Python say from inside
    "unsupported operand type",
    "object has no attribute",
    "object is not subscriptable",
    "object is not callable",
    "object is not iterable",
    "not supported between instances",
    "ufunc '",
    "has no len",
    "division by zero",
    "truth value of",
    "tuple index",
    "list index",
    "Maximum allowed",
    "must be str, not",
    "int too large",
)


@contextmanager
def counting():
    made, original = [], tape.Tensor.__init__

    def watch(self, value, primitive=None, *args, **kwargs):
        original(self, value, primitive, *args, **kwargs)
        if primitive is not None:
            made.append(primitive.name)

    tape.Tensor.__init__ = watch
    try:
        yield made
    finally:
        tape.Tensor.__init__ = original


def faults_of(name, f, make, strict=True):
    """What is wrong with the answers of ``f`` to nonsense in each parameter of the valid call ``make()``."""
    found = []
    call(f, make())
    valid = make()
    places = [("*", i) for i in range(len(valid.get("*", [])))] + [(k, None) for k in valid if k not in ("*", "self")]
    for place, i in places:
        for says, nonsense in NONSENSE.items():
            given = make()
            where = f"{name}({place if i is None else i}={says})"
            if i is None:
                given[place] = nonsense()
            else:
                given["*"][i] = nonsense()
            watched = Recorded({k: v for k, v in given.items() if k != place or i is not None})
            try:
                with counting() as made, warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    call(f, given)
            except (ValueError, TypeError, OverflowError) as error:
                text, kind = str(error), type(error)
                if kind.__module__ == "builtins" or kind.__module__.startswith("autoconv"):
                    if FRACTIONS in text:
                        continue
                    if not any(known in text for known in ALIASES.get(name, (name.split(".")[-1],))):
                        found.append(f"{where}: not named: {kind.__name__}: {text[:150]}")
                    elif any(raw in text for raw in RAW) and INNER[0] not in ALIASES.get(name, ()):
                        found.append(f"{where}: raw: {kind.__name__}: {text[:150]}")
                else:
                    found.append(f"{where}: raw {kind.__name__}: {text[:150]}")
                if made and strict:
                    found.append(f"{where}: recorded {made}")
                if not watched.unchanged():
                    found.append(f"{where}: an operand has changed")
            except ac.gradcheck.GradientError:
                pass  # the answer to a NaN
            except Exception as error:
                found.append(f"{where}: {type(error).__name__}: {str(error)[:150]}")
    return found


def call(f, given):
    given = dict(given)
    first = [given.pop("self")] if "self" in given else []
    return f(*first, *given.pop("*", ()), **given)


@pytest.mark.parametrize("name", CALLS)
def test_functions(name):
    f = getattr(ac, name, None) or getattr(ac.losses, name)
    found = faults_of(name, f, CALLS[name])
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", ROWS)
def test_rows(name):
    found = faults_of(name, ac.TABLE[name], row_call(name))
    assert not found, "\n".join(found)


# ---- Tensors, the sweep, derivatives


def loss():
    x = t(2, 3)
    return ac.sum(x * x)


def cube(x):
    return ac.sum(x * x * x)


def method(name):
    return lambda tensor, *args, **kwargs: getattr(tensor, name)(*args, **kwargs)


TENSORS = {
    "tensor": (ac.tensor, lambda: {"data": [1.0], "dtype": float, "name": "x", "subscripts": "matrix"}),
    "Tensor": (ac.Tensor, lambda: {"value": np.ones(2)}),
    "index": (lambda self, key: self[key], lambda: {"self": t(2, 3), "key": 0}),
    "index ": (lambda self, key: self[None, key], lambda: {"self": t(2, 3), "key": 0}),
    "assign": (method("assign"), lambda: {"self": t(2, 3), "value": np.ones((2, 3))}),
    "Tensor.reshape": (method("reshape"), lambda: {"self": t(2, 3), "shape": (3, 2)}),
    "Tensor.sum": (method("sum"), lambda: {"self": t(2, 3), "axis": 0, "keepdims": False}),
    "Tensor.transpose": (lambda self, axes: self.transpose(axes), lambda: {"self": t(2, 3), "axes": (1, 0)}),
    "Tensor.repeat": (method("repeat"), lambda: {"self": t(2, 3), "repeats": 2, "axis": 0}),
    "gradient": (method("backward"), lambda: {"self": t(2, 3) * 2, "cotangent": np.ones((2, 3))}),
    "Tape": (ac.Tape, lambda: {"*": [loss()]}),
    "sweep": (ac.sweep, lambda: (lambda x: {"y": x * 2, "wrt": [x], "cotangent": np.ones(2)})(t(2))),
    "backward": (ac.backward, lambda: {"y": t(2, 3) * 2, "cotangent": np.ones((2, 3))}),
    "grad": (
        lambda f, x, **k: ac.grad(f, **k)(x),
        lambda: {"f": cube, "x": np.ones(2), "argnums": 0, "has_aux": False},
    ),
    "value_and_grad": (
        lambda f, x, **k: ac.value_and_grad(f, **k)(x),
        lambda: {"f": cube, "x": np.ones(2), "argnums": 0, "has_aux": False},
    ),
    "jacobian": (lambda f, x, **k: ac.jacobian(f, **k)(x), lambda: {"f": ac.exp, "x": np.ones(2), "argnums": 0}),
    "hessian": (lambda f, x, **k: ac.hessian(f, **k)(x), lambda: {"f": cube, "x": np.ones(2), "argnums": 0}),
    "hvp": (ac.hvp, lambda: {"f": cube, "x": np.ones(2), "v": np.ones(2)}),
    "jvp": (ac.jvp, lambda: {"f": ac.exp, "primals": np.ones(2), "tangents": np.ones(2)}),
    "vjp": (lambda f, x, y_bar: ac.vjp(f, x)[1](y_bar), lambda: {"f": ac.exp, "x": np.ones(2), "y_bar": np.ones(2)}),
    "check_grads": (ac.check_grads, lambda: {"*": [cube, np.ones(2)]}),
    "compile": (lambda f, x: ac.compile(f)(x), lambda: {"f": ac.exp, "x": np.ones(2)}),
}

# ---- layers: constructors, and calls

rng = np.random.default_rng
batch = {"x": f32}
LAYERS = {
    **{
        f"Conv{d}d": (
            getattr(nn, f"Conv{d}d"),
            lambda d=d: {
                "in_channels": 2,
                "out_channels": 3,
                "kernel_size": 2,
                "stride": 1,
                "padding": 0,
                "dilation": 1,
                "groups": 1,
                "bias": True,
                "layout": "channels_last",
                "rng": 0,
            },
        )
        for d in (1, 2, 3)
    },
    **{
        f"ConvTranspose{d}d": (
            getattr(nn, f"ConvTranspose{d}d"),
            lambda d=d: {
                "in_channels": 2,
                "out_channels": 3,
                "kernel_size": 2,
                "stride": 1,
                "padding": 0,
                "output_padding": 0,
                "groups": 1,
                "bias": True,
                "dilation": 1,
                "layout": "channels_last",
                "rng": 0,
            },
        )
        for d in (1, 2, 3)
    },
    "Linear": (nn.Linear, lambda: {"in_features": 3, "out_features": 2, "bias": True, "rng": 0}),
    "BatchNorm2d": (
        nn.BatchNorm2d,
        lambda: {"num_features": 2, "eps": 1e-5, "momentum": 0.1, "layout": "channels_last"},
    ),
    "LayerNorm": (nn.LayerNorm, lambda: {"normalized_shape": (3,), "eps": 1e-5}),
    "Dropout": (nn.Dropout, lambda: {"p": 0.5, "rng": 0}),
    "Dropout2d": (nn.Dropout2d, lambda: {"p": 0.5, "rng": 0, "layout": "channels_last"}),
    "GroupNorm": (nn.GroupNorm, lambda: {"num_groups": 1, "num_channels": 7, "eps": 1e-5, "affine": True}),
    "InstanceNorm2d": (
        nn.InstanceNorm2d,
        lambda: {"num_features": 2, "eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True},
    ),
    "Embedding": (nn.Embedding, lambda: {"num_embeddings": 9, "embedding_dim": 2, "padding_idx": 1, "rng": 0}),
    "PReLU": (nn.PReLU, lambda: {"num_parameters": 1, "init": 0.25}),
    "MultiheadAttention": (
        nn.MultiheadAttention,
        lambda: {"embed_dim": 4, "num_heads": 2, "dropout": 0.1, "bias": True, "batch_first": True, "rng": 0},
    ),
    "LPPool2d": (nn.LPPool2d, lambda: {"norm_type": 2, "kernel_size": 2, "stride": 1, "ceil_mode": False}),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d, lambda: {"output_size": 2, "layout": "channels_last"}),
    "Upsample": (nn.Upsample, lambda: {"scale_factor": 2, "mode": "nearest"}),
    "PixelShuffle": (nn.PixelShuffle, lambda: {"upscale_factor": 2, "layout": "channels_last"}),
    "ZeroPad2d": (nn.ZeroPad2d, lambda: {"padding": 1, "layout": "channels_last"}),
    "Unflatten": (nn.Unflatten, lambda: {"axis": 1, "sizes": (2, -1)}),
    "ModuleList": (nn.ModuleList, lambda: {"modules": [nn.ReLU()]}),
    "ModuleDict": (nn.ModuleDict, lambda: {"modules": {"a": nn.ReLU()}}),
    "CrossEntropyLoss": (nn.CrossEntropyLoss, lambda: {"reduction": "mean"}),
    "SmoothL1Loss": (nn.SmoothL1Loss, lambda: {"reduction": "mean", "beta": 1.0}),
    "Parameter": (nn.Parameter, lambda: {"data": [1.0], "name": "w", "dtype": f32}),
    "Flatten": (nn.Flatten, lambda: {"start_axis": 1}),
    "Sequential": (nn.Sequential, lambda: {"*": [nn.ReLU()]}),
    **{
        f"MaxPool{d}d": (getattr(nn, f"MaxPool{d}d"), lambda: {"kernel_size": 2, "stride": 1, "padding": 0})
        for d in (1, 2, 3)
    },
    **{
        f"AvgPool{d}d": (getattr(nn, f"AvgPool{d}d"), lambda: {"kernel_size": 2, "stride": 1, "padding": 0})
        for d in (1, 2, 3)
    },
}

FORWARD = {
    "conv2d": lambda: nn.Conv2d(2, 3, 2, rng=0),
    "conv_transpose2d": lambda: nn.ConvTranspose2d(2, 3, 2, rng=0),
    "linear": lambda: nn.Linear(2, 3, rng=0),
    "batch_norm": lambda: nn.BatchNorm2d(2),
    "layer_norm": lambda: nn.LayerNorm(2),
    "dropout": lambda: nn.Dropout(0.5, rng=0),
    "max_pool2d": lambda: nn.MaxPool2d(2),
    "relu": nn.ReLU,
    "flatten": nn.Flatten,
}

OPTIMISERS = {
    "SGD": lambda: {
        "params": [nn.Parameter([1.0])],
        "lr": 0.1,
        "momentum": 0.5,
        "weight_decay": 0.1,
        "nesterov": False,
    },
    "Adam": lambda: {
        "params": [nn.Parameter([1.0])],
        "lr": 0.1,
        "betas": (0.9, 0.99),
        "eps": 1e-8,
        "weight_decay": 0.1,
    },
    "AdamW": lambda: {
        "params": [nn.Parameter([1.0])],
        "lr": 0.1,
        "betas": (0.9, 0.99),
        "eps": 1e-8,
        "weight_decay": 0.1,
    },
    "RMSprop": lambda: {
        "params": [nn.Parameter([1.0])],
        "lr": 0.1,
        "alpha": 0.9,
        "eps": 1e-8,
        "momentum": 0.1,
        "centered": False,
    },
    "Adagrad": lambda: {"params": [nn.Parameter([1.0])], "lr": 0.1, "eps": 1e-8, "weight_decay": 0.1},
}

x, y = np.linspace(0, 1, 24, dtype=f32).reshape(6, 4), np.array([0, 1, 0, 1, 0, 1])


def asked():
    """An output, and what may be asked of it."""
    x, w = (ac.tensor(np.linspace(-1, 1, 4), name=name) for name in "xw")
    return ac.sum(ac.tanh(x * w)), x, w


def training():
    model = nn.Sequential(nn.Linear(4, 2, rng=0))
    return {"model": model, "train": (x, y), "validation": None, "epochs": 1, "batch_size": 3,
            "optimizer": optim.SGD(model.parameters(), lr=0.1), "loss": ac.losses.cross_entropy, "schedule": None,
            "rng": 0, "progress": False}  # fmt: skip


def settings_of_graph(y, x, w):
    return {"y": y, "zoom": "lines", "focus": w, "direction": "up", "backward": False, "fold": False,
            "open": False, "layout": "own", "names": {"x": x}}  # fmt: skip


def grads(f, x, **settings):
    return ac.check_grads(f, x, **settings)


VIEWS = {
    "graph": (ac.graph, lambda: settings_of_graph(*asked())),
    "step": (ac.step, lambda: (lambda y, x, w: {"y": y, "wrt": w, "names": {"x": x}})(*asked())),
    "explain": (ac.explain, lambda: (lambda y, x, w: {"y": y, "thing": w[0], "depth": 2, "names": {"x": x}})(*asked())),
    "uses": (ac.uses, lambda: (lambda y, x, w: {"y": y, "x": w, "names": {"x": x}})(*asked())),
    "paths": (ac.paths, lambda: (lambda y, x, w: {"y": y, "thing": w[0], "limit": 3, "names": {"x": x}})(*asked())),
    "expand": (ac.expand, lambda: {"y": asked()[0]}),
    "check": (
        ac.check,
        lambda: (lambda y, x, w: {"y": y, "claim": "0*x", "wrt": w, "names": {"x": x}, "rtol": 0.1})(*asked()),
    ),
    "certificate": (ac.certificate, lambda: (lambda y, x, w: {"loss": y, "wrt": w})(*asked())),
    "break_it": (ac.break_it, lambda: {"loss": asked()[0], "mistake": "sign", "at": None, "variant": None}),
    "exercise": (
        ac.exercise,
        lambda: (lambda y, x, w: {"loss": y, "blanks": 2, "seed": 0, "kind": "arrays", "names": {"x": x}})(*asked()),
    ),
    "check_grads": (
        grads,
        lambda: {"f": cube, "x": np.ones(2), "order": 1, "step": 1e-3, "rtol": 1e-6, "atol": 1e-8, "elements": 20,
                 "seed": 0},
    ),
    "record_training": (ac.record_training, lambda: {"model": nn.Linear(2, 2, rng=0), "every": 1, "keep": 3}),
    "fit": (train.fit, training),
    "evaluate": (train.evaluate, lambda: {"model": nn.Linear(4, 2, rng=0), "x": x, "y": y, "batch_size": 3}),
}  # fmt: skip


def plain_sgd():
    return optim.SGD([nn.Parameter([1.0])], lr=0.1, momentum=0.9)


def seeded(seed):
    try:
        return ac.manual_seed(seed)
    finally:
        ac.operands._seeded = None


rates = optim.lr_scheduler
DOORS = {
    "MultiStepLR": (rates.MultiStepLR, lambda: {"optimizer": plain_sgd(), "milestones": [1, 2], "gamma": 0.1}),
    "ExponentialLR": (rates.ExponentialLR, lambda: {"optimizer": plain_sgd(), "gamma": 0.1}),
    "ConstantLR": (rates.ConstantLR, lambda: {"optimizer": plain_sgd(), "factor": 0.1, "total_iters": 2}),
    "LinearLR": (
        rates.LinearLR,
        lambda: {"optimizer": plain_sgd(), "start_factor": 0.1, "end_factor": 1.0, "total_iters": 2},
    ),
    "PolynomialLR": (rates.PolynomialLR, lambda: {"optimizer": plain_sgd(), "total_iters": 2, "power": 2.0}),
    "CosineAnnealingWarmRestarts": (
        rates.CosineAnnealingWarmRestarts,
        lambda: {"optimizer": plain_sgd(), "T_0": 2, "T_mult": 1, "eta_min": 0.0},
    ),
    "OneCycleLR": (
        rates.OneCycleLR,
        lambda: {
            "optimizer": plain_sgd(),
            "max_lr": 1.0,
            "total_steps": 9,
            "pct_start": 0.3,
            "anneal_strategy": "cos",
            "cycle_momentum": True,
            "div_factor": 5.0,
            "three_phase": False,
        },
    ),
    "LambdaLR": (rates.LambdaLR, lambda: {"optimizer": plain_sgd(), "lr_lambda": lambda epochs: 1.0}),
    "ReduceLROnPlateau": (
        rates.ReduceLROnPlateau,
        lambda: {
            "optimizer": plain_sgd(),
            "mode": "min",
            "factor": 0.1,
            "patience": 1,
            "threshold": 0.1,
            "threshold_mode": "rel",
            "cooldown": 0,
            "min_lr": 0.0,
            "eps": 1e-8,
        },
    ),
    "clip_grad_norm_": (nn.utils.clip_grad_norm_, lambda: {"parameters": [nn.Parameter([1.0])], "max_norm": 1.0}),
    "clip_grad_value_": (nn.utils.clip_grad_value_, lambda: {"parameters": [nn.Parameter([1.0])], "clip_value": 1.0}),
    **{
        f"{name}_": (getattr(nn.init, f"{name}_"), lambda more=more: {"tensor": nn.Parameter(np.ones((2, 2))), **more})
        for name, more in {
            "uniform": {"a": 0.0, "b": 1.0},
            "normal": {"mean": 0.0, "std": 1.0},
            "constant": {"val": 1.0},
            "xavier_uniform": {"gain": 1.0},
            "kaiming_normal": {"a": 0.0, "mode": "fan_in", "nonlinearity": "relu"},
            "trunc_normal": {"mean": 0.0, "std": 1.0, "a": -1.0, "b": 1.0},
            "orthogonal": {"gain": 1.0},
            "eye": {},
        }.items()
    },
    "manual_seed": (seeded, lambda: {"seed": 1}),
    "vmap": (lambda f, x, **k: ac.vmap(f, **k)(x), lambda: {"f": ac.exp, "x": np.ones(2), "in_axes": 0, "out_axes": 0}),
    "jacfwd": (lambda f, x, **k: ac.jacfwd(f, **k)(x), lambda: {"f": ac.exp, "x": np.ones(2), "argnums": 0}),
    "StepLR": (optim.StepLR, lambda: {"optimizer": optim.SGD([nn.Parameter([1.0])]), "step_size": 1, "gamma": 0.1}),
    "CosineLR": (optim.CosineLR, lambda: {"optimizer": optim.SGD([nn.Parameter([1.0])]), "T_max": 5, "eta_min": 0.1}),
    "step": (lambda grads: optim.SGD([nn.Parameter([1.0, 2.0])]).step(grads), lambda: {"grads": [np.ones(2)]}),
    "batches": (
        lambda **k: list(data.batches(**k)),
        lambda: {"x": np.ones((4, 2)), "y": np.arange(4), "batch_size": 2},
    ),
    "receptive_field": (ac.shapes.receptive_field, lambda: {"layers": [(3, 1, 1)]}),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors(name):
    found = faults_of(name.strip(), *TENSORS[name], strict=False)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    found = faults_of(name, *LAYERS[name])
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", FORWARD)
def test_layers_called(name):
    found = faults_of(name, lambda x: FORWARD[name]()(x), lambda: {"x": t(1, 4, 4, 2, dtype=f32)}, strict=False)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers(name):
    found = faults_of(name, getattr(optim, name), OPTIMISERS[name])
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", VIEWS)
def test_views_and_training(name):
    found = faults_of(name, *VIEWS[name], strict=False)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", DOORS)
def test_doors(name):
    found = faults_of(name, *DOORS[name], strict=False)
    assert not found, "\n".join(found)
