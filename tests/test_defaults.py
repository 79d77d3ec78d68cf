"""What a function does where nothing is said: its defaults, as NumPy's and PyTorch's documentation have them."""

import importlib
import inspect
import pkgutil

import autoconv as ac
from autoconv import functional, linalg

CONV = "conv1d conv2d conv3d "
TRANSPOSED = "conv_transpose1d conv_transpose2d conv_transpose3d "
MAX_POOL, AVG_POOL = "max_pool1d max_pool2d max_pool3d ", "avg_pool1d avg_pool2d avg_pool3d "
LP_POOL = "lp_pool1d lp_pool2d lp_pool3d "

# parameter and default: the functions that have it (all but None and words, which other tests speak about)
DEFAULTS = [
    ("requires_grad", True, """arange as_tensor asarray empty eye full linspace ones rand randn zeros
        Tensor.requires_grad_"""),
    ("keepdims", False, """sum mean var std max min amax amin any all argmax argmin prod norm ptp average count_nonzero
        logsumexp median global_avg_pool global_max_pool linalg.norm linalg.matrix_norm"""),
    ("axis", -1, "argsort sort topk cross diff glu softmax softmin log_softmax layer_norm cross_entropy nll"),
    ("axis", 0, "concat concatenate stack split array_split chunk unbind Tensor.split Tensor.unbind"),
    ("axis", 1, "cosine_similarity"),
    ("start_axis", 0, "flatten"), ("end_axis", -1, "flatten"),
    ("stride", 1, CONV + TRANSPOSED + "conv_matrix windows overlap_add"),
    ("dilation", 1, CONV + TRANSPOSED + MAX_POOL + "conv_matrix windows overlap_add"),
    ("padding", 0, CONV + TRANSPOSED + MAX_POOL + AVG_POOL + LP_POOL + "conv_matrix windows overlap_add"),
    ("output_padding", 0, TRANSPOSED + "conv_matrix"),
    ("groups", 1, CONV + TRANSPOSED + "conv_matrix"),
    ("flip", False, CONV + "conv_matrix"), ("transpose", False, "conv_matrix"),
    ("ceil_mode", False, MAX_POOL + AVG_POOL + LP_POOL),
    ("count_include_pad", True, AVG_POOL),
    ("descending", False, "sort argsort"), ("largest", True, "topk"),
    ("is_causal", False, "scaled_dot_product_attention"), ("enable_gqa", False, "scaled_dot_product_attention"),
    ("log_target", False, "kl_div"), ("training", True, "dropout"),
    ("p", 2, LP_POOL + "norm"), ("p", 0.5, "dropout"),
    ("ddof", 0, "var std"), ("n", 1, "diff"), ("axes", 2, "tensordot"), ("num", 50, "linspace"), ("step", 1, "arange"),
    ("k", 0, "eye"), ("k", 1, "rot90"), ("k", 1.0, "local_response_norm"), ("decimals", 0, "round"),
    ("diagonal", 0, "tril triu diag trace"), ("constant_values", 0, "pad"), ("nan", 0.0, "nan_to_num"),
    ("eps", 1e-5, "batch_norm layer_norm group_norm instance_norm"), ("eps", 1e-8, "cosine_similarity"),
    ("alpha", 1.0, "elu celu"), ("alpha", 1e-4, "local_response_norm"),
    ("beta", 1.0, "softplus smooth_l1"), ("beta", 0.75, "local_response_norm"),
    ("negative_slope", 0.01, "leaky_relu"), ("min_val", -1.0, "hardtanh"), ("max_val", 1.0, "hardtanh"),
    ("lambd", 0.5, "hardshrink softshrink"), ("delta", 1.0, "huber"), ("label_smoothing", 0.0, "cross_entropy"),
]  # fmt: skip


def functions():
    """{name as a user writes it: function}: ``ac``'s, and of ``ac.linalg`` and the methods what is none of these."""
    found = {}
    for file in pkgutil.iter_modules(functional.__path__, f"{functional.__name__}."):
        names = getattr(importlib.import_module(file.name), "__all__", ()) if file.name[-5:] != "norms" else ()
        found.update({name: getattr(ac, name) for name in names})
    known = {*found.values(), ac.Tensor.backward}
    for owner, more in (("linalg", vars(linalg)), ("Tensor", vars(ac.Tensor))):
        found.update({f"{owner}.{k}": f for k, f in more.items() if k[0] != "_" and f not in known})
    return {name: f for name, f in found.items() if inspect.isfunction(f)}


def test_what_is_not_said():
    found = {
        (name, p.name, repr(p.default))
        for name, f in functions().items()
        for p in inspect.signature(f).parameters.values()
        if type(p.default) in (int, float, bool)
    }
    assert found == {(name, k, repr(default)) for k, default, names in DEFAULTS for name in names.split()}
