"""The standard's own cases, one operator each, from the onnx package that is installed: all that are covered agree.

Run by ``make test-interop``; what is not covered is named here, with the reason.
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

# name -> why the case is not passed although its operators are covered
KNOWN = {
    r"_training_dropout(?!_zero)": "other random numbers",
    r"tf_crop_and_resize": "roi is refused",
    r"affine_grid|center_crop|(blackman|hamming|hann)window": "a shape follows from numbers in floating point",
    r"BFLOAT16|_bf16|bfloat16|FLOAT8|FLOAT4|U?INT4|U?INT2": "the dtype has no arithmetic here",
    r"identity_(sequence|opt)|if_(seq|opt)|_sequence|optional": "sequences and optional values",
    r"not_[234]d": "opset 1",
    r"_string|strings": "text",
}


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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_standards_case(case, tmp_path):
    path = tmp_path / "case.onnx"
    path.write_bytes(case.model.SerializeToString())
    reason = next((why for pattern, why in KNOWN.items() if re.search(pattern, case.name)), None)
    try:
        model = ac.onnx.load(path)
        for inputs, expected in case.data_sets:
            results = model(*[array(x) for x in inputs])
            results = results if isinstance(results, tuple) else (results,)
            for got, want in zip(results, map(array, expected), strict=True):
                got = got.value if isinstance(got, ac.Tensor) else np.asarray(got)
                assert (got.shape, got.dtype) == (want.shape, want.dtype)
                rtol = 2e-3 if want.dtype == np.float16 else max(case.rtol, 1e-3)
                np.testing.assert_allclose(got, want, rtol=rtol, atol=max(case.atol, 1e-5))
    except (UnsupportedError, ValueError, TypeError, AssertionError) as error:
        if reason is None:
            raise
        pytest.skip(f"{reason}: {type(error).__name__}")


def test_most_of_the_cases_are_run():
    passed = [case for case in CASES if not any(re.search(pattern, case.name) for pattern in KNOWN)]
    assert len(passed) > 1000
