"""autoconv spoken in the oracle packs' words: NCHW layout, one operation on fresh leaves, gradients of sum(out * g).

python check_pack.py open.npz --adapter adapter_autoconv:Adapter [--layouts] [--dtype float32] [-v]
python check_pack.py onnx_node.npz --adapter adapter_autoconv:Adapter --onnx --allow-unsupported
python properties.py --adapter adapter_autoconv:Adapter --seed 3 --rounds 20
"""

from types import SimpleNamespace

import numpy as np
from check_pack import run_program

import autoconv as ac

NCHW = {"layout": "channels_first"}
SAME_NAME = {name: getattr(ac, name) for name in (
    ["add", "sub", "mul", "div", "neg", "abs", "exp", "log", "sqrt", "tanh", "sin", "cos", "sigmoid", "relu", "square",
        "reciprocal", "softplus", "maximum", "minimum", "power", "matmul"]
)}  # fmt: skip
SAME_NAME["pow"] = ac.power
REDUCTIONS = {"sum": ac.sum, "mean": ac.mean, "max": ac.max, "min": ac.min, "logsumexp": ac.logsumexp}


def pads(padding):
    """The packs' padding (ints or [low, high] lists) as autoconv's."""
    return tuple(tuple(p) if isinstance(p, list) else p for p in padding)


def spatial(kind, at):
    """The operation for as many dimensions as the case gives strides."""
    return getattr(ac, f"{kind}{len(at['strides'])}d")


def operation(op, at, t):
    """The call that the pack's operation stands for, on the tensors ``t``."""
    x = t["x"]
    second = x if at.get("aliased") else t.get("y")
    if op == "conv":
        return spatial("conv", at)(
            x,
            t["w"],
            t.get("b"),
            stride=at["strides"],
            padding=pads(at["pads"]),
            dilation=at["dilations"],
            groups=at["groups"],
            **NCHW,
        )
    if op == "conv_transpose":
        return spatial("conv_transpose", at)(
            x,
            t["w"],
            t.get("b"),
            stride=at["strides"],
            padding=pads(at["pads"]),
            output_padding=at["output_padding"],
            dilation=at["dilations"],
            groups=at["groups"],
            **NCHW,
        )
    window = (
        {"stride": at.get("strides"), "padding": pads(at["pads"]), "ceil_mode": at["ceil_mode"], **NCHW}
        if op.endswith("_pool")
        else {}
    )
    if op == "max_pool":
        return spatial(op, at)(x, at["kernel"], dilation=at["dilations"], **window)
    if op == "avg_pool":
        return spatial(op, at)(
            x, at["kernel"], count_include_pad=at["count_include_pad"], divisor=at["divisor"], **window
        )
    if op == "lp_pool":
        return spatial(op, at)(x, at["kernel"], at["p"], **window)
    if op in REDUCTIONS:
        return REDUCTIONS[op](x, tuple(at["axes"]) if at.get("axes") is not None else None, at.get("keepdims", False))
    if op in ("softmax", "log_softmax"):
        return getattr(ac, op)(x, axis=at["axis"])
    if op == "cross_entropy":
        return ac.losses.cross_entropy(x, t["y"], reduction=at["reduction"])
    if op == "gemm":
        left, right = x.T if at["transA"] else x, second.T if at["transB"] else second
        product = at["alpha"] * (left @ right)
        return product + at["beta"] * t["b"] if "b" in t else product
    if op == "einsum":
        return ac.einsum(at["equation"], *[t[k] for k in "xyzuv" if k in t])
    if op == "pad":
        return (
            ac.pad(x, at["pads"], mode=at["mode"], constant_values=at["value"])
            if at["mode"] == "constant"
            else ac.pad(x, at["pads"], mode=at["mode"])
        )
    if op == "transpose":
        return ac.transpose(x, at["perm"])
    if op == "concat":
        return ac.concat([x, second], axis=at["axis"])
    if op in SAME_NAME:
        return SAME_NAME[op](*[v for v in (x, second) if v is not None])
    raise NotImplementedError(op)


def programme(prog, leaves):
    """The result and the leaves of a random programme, recorded."""
    ns = SimpleNamespace(**SAME_NAME, **REDUCTIONS, softmax=ac.softmax, transpose=ac.transpose, reshape=ac.reshape,
                         getitem=lambda x, key: x[key], concatenate=ac.concat)  # fmt: skip
    return run_program(prog, leaves, ns, wrap=ac.tensor)


class Adapter:
    def call(self, op, attrs, arrays, wrt, g):
        """One operation on fresh leaves -> (out, {name: gradient of sum(out * g)})."""
        leaves = {k: ac.tensor(v) for k, v in arrays.items()}
        out = operation(op, attrs, leaves)
        if not wrt:
            return np.asarray(out), {}
        asked = [k for k in wrt if k in leaves]
        return np.asarray(out), dict(zip(asked, ac.sweep(out, [leaves[k] for k in asked], g), strict=True))

    def program(self, prog, leaves):
        """A random programme of elementwise, reducing and moving operations -> (value, gradients)."""
        result, tensors = programme(prog, leaves)
        gradients = ac.sweep(result, list(tensors.values()))
        return np.asarray(result), dict(zip(tensors, gradients, strict=True))

    def train(self, attrs, arrays):
        """Not offered: the packs here have no such case; trajectories are compared in tests/test_optim.py."""
        raise NotImplementedError("train")
