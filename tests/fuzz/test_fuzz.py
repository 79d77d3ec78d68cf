"""300 programs of fixed seeds, and those that once found a fault: all oracles agree, but for what ``known`` lists."""

import importlib.util

import numpy as np
import pytest

import autoconv as ac
from autoconv.functional import aliases, creation, matrices, stacking, torch_forms

from .generate import program
from .known import FOUND, KNOWN, accepted
from .oracles import check
from .shrink import shrink

SEEDS = [*range(300), *FOUND]


def asked_here(oracle):
    """An oracle that this installation has."""
    if oracle == "torch":
        return importlib.util.find_spec("torch") is not None
    if oracle == "machine":
        compiled = ac.compile(lambda x: ac.sum(x * x))
        compiled(np.ones(3))
        return "native machine" in str(compiled.plan)
    return True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", SEEDS)
def test_all_oracles_agree(seed):
    found = {m.oracle: m for m in check(program(seed)) if not accepted(m)}
    known = {oracle for s, oracle in KNOWN if s == seed and asked_here(oracle)}
    unknown = [shrink(m) for oracle, m in found.items() if oracle not in known]
    assert not unknown, f"seed {seed}\n\n" + "\n\n".join(map(str, unknown))
    mended = known - set(found)
    assert not mended, f"seed {seed} agrees now; remove it from KNOWN in tests/fuzz/known.py: {mended}"


def test_what_is_printed_is_what_runs(capsys):
    """The reproducer of a program, executed as text, prints the numbers of the compiled and the eager program."""
    for seed in (0, 1, 4, 5, 7):
        text = program(seed).reproducer()
        with np.errstate(all="ignore"):
            exec(text, {})
        assert capsys.readouterr().out


def test_a_planted_fault_is_found_and_shrunk_to_two_lines(monkeypatch):
    """With a wrong rule for tanh, the differences say so, and what is left is a tanh and the sum."""
    wrong = (lambda g, y, a: g * (1 + y * y),)
    monkeypatch.setattr(ac.TABLE["tanh"], "vjps", wrong)
    for seed in range(400):
        p = program(seed)
        if "ac.tanh" in p.source() and (found := check(p, "differences")):
            assert len(shrink(found[0]).program.steps) <= 3
            return
    raise AssertionError("not found")


def test_the_generator_covers_the_public_surface():
    """Every public function of arrays is drawn in some of the first 3,000 seeds."""
    drawn = {step.operation for seed in range(3000) for step in program(seed).steps}
    assert functions_of_arrays() - {name.rpartition(".")[2] for name in drawn} == set()


# newer than the seeds, which would draw other programs: special_values and test_operations.py speak of them
LATER = {
    "erfc", "expm1", "log_sigmoid", "multiply_no_nan", "slope", "xlogy", "acos", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d", "all", "amax", "amin", "any", "argsort", "asin", "atan", "atan2", "bce", "bmm", "ceil",
    "celu", "chunk", "cosh", "cosine_similarity", "cumprod", "cumsum", "diag", "embedding", "exp2", "floor", "fmod",
    "gather", "glu", "group_norm", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "huber", "hypot",
    "instance_norm", "interpolate", "isfinite", "isinf", "isnan", "kl_div", "l1", "local_response_norm", "log10",
    "log2", "logical_and", "logical_not", "logical_or", "logical_xor", "masked_fill", "mish", "mm", "nan_to_num",
    "narrow", "norm", "one_hot", "pixel_shuffle", "pixel_unshuffle", "prelu", "put_along_axis", "relu6",
    "remainder", "round", "rsqrt", "scaled_dot_product_attention", "select", "selu", "sinh", "smooth_l1", "softmin",
    "softshrink", "sort", "tan", "tanhshrink", "threshold", "topk", "trace", "tril", "triu", "trunc", "unbind",
}  # fmt: skip
# and tests/test_names.py of these
LATER |= {name for room in (creation, matrices, stacking, torch_forms) for name in room.__all__}
LATER |= {name for name in vars(aliases) if name[0] != "_"}
LATER |= {
    "acosh", "asinh", "atanh", "average", "count_nonzero", "cross", "deg2rad", "floor_divide", "fmax", "fmin", "frac",
    "inner", "kron", "lerp", "median", "ptp", "rad2deg", "vdot",
}  # fmt: skip


def functions_of_arrays():
    """The public functions that a program can be made of; rows with an operator or a composition are drawn by it."""
    operators = {"add", "sub", "mul", "div", "power", "abs", "greater", "less", "equal"}
    operators |= {"greater_equal", "less_equal", "not_equal", "order"}
    rows = {n for n, row in ac.TABLE.items() if row.elementwise} - operators
    composed = {n for n, f in vars(ac).items() if getattr(f, "__module__", "").startswith("autoconv.functional")}
    return (rows | composed - {"ones_like", "zeros_like", "dropout", "conv_matrix", "concatenate"}) - LATER
