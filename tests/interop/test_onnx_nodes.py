"""The standard's own cases, one operator each, from the onnx package that is installed: all that are covered agree.

Run by ``make test-interop``; what is not covered is named here, with the words that say so.
"""

import re

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed; make test-interop has it")

import autoconv as ac  # noqa: E402
from autoconv.interop import UnsupportedError  # noqa: E402
from autoconv.interop.onnx.operators import OPERATIONS  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
loader = pytest.importorskip("onnx.backend.test.loader")

NO_ARITHMETIC = r"has data type \d+ of ONNX, which has no arithmetic here|data type \d+ of ONNX .* is not covered"

# names of cases whose operators are covered, and what is said instead of a result: each must say it
REFUSED = {
    r"BFLOAT16|_bf16|bfloat16|FLOAT8|FLOAT4|U?INT4|U?INT2|equal_string": NO_ARITHMETIC,
    r"(blackman|hamming|hann)window|center_crop": "depends on the numbers of an input; only what follows from shapes",
    r"identity_(sequence|opt)$": "is no tensor; sequences and maps are not covered",
    r"if_seq$": "SequenceConstruct: node",
    r"if_opt$": "the kind of attribute 'type' is not covered",
    r"not_[234]d$": "opset 1 is not covered",
}
RANDOM = r"_training_dropout(?!_zero)"  # the standard's cases have another generator's numbers


def with_warnings_ignored(kind):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return loader.load_model_tests(kind=kind)


CASES = [
    case
    for case in with_warnings_ignored("node")
    if {node.op_type for node in case.model.graph.node} <= {*OPERATIONS, "Constant"}
]


def array(x):
    return onnx.numpy_helper.to_array(x) if hasattr(x, "dims") else np.asarray(x)


def run(case, folder):
    """Compare the results of one case with the standard's."""
    path = folder / "case.onnx"
    path.write_bytes(case.model.SerializeToString())
    model = ac.onnx.load(path)
    for inputs, expected in case.data_sets:
        results = model(*[array(x) for x in inputs])
        results = results if isinstance(results, tuple) else (results,)
        for got, want in zip(results, map(array, expected), strict=True):
            got = got.value if isinstance(got, ac.Tensor) else np.asarray(got)
            assert (got.shape, got.dtype) == (want.shape, want.dtype)
            rtol = 2e-3 if want.dtype == np.float16 else max(case.rtol, 1e-3)
            np.testing.assert_allclose(got, want, rtol=rtol, atol=max(case.atol, 1e-5))


def named(case):
    """What the case says instead of a result, or None."""
    return next((said for pattern, said in REFUSED.items() if re.search(pattern, case.name)), None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_standards_case(case, tmp_path):
    said = named(case)
    if said is not None:
        with pytest.raises((UnsupportedError, ValueError), match=said):
            run(case, tmp_path)
    elif re.search(RANDOM, case.name):
        with pytest.raises(AssertionError, match="Mismatched elements"):
            run(case, tmp_path)
    else:
        run(case, tmp_path)


def test_most_of_the_cases_are_run():
    passed = [case for case in CASES if named(case) is None]
    assert len(passed) > 1200
