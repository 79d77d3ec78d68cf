"""What fails and is not mended yet, by kind of fault.

Whoever mends a kind removes its lines: a number that is listed and right fails the test, like one that is wrong and not
listed.  The kinds: C a slope is multiplied and not selected (or chosen otherwise), D an unguarded shift, E lost digits,
F sums, counts and squares in the operands' own precision.
"""

from __future__ import annotations

from .floors import FLOORS, SCALARS

# fmt: off
# kind, function, part, dtypes, floors, at
ROWS = [
    ("C", "log(clip)", "slope", "float16", "all", "-0.5; -1; -10; -1e-4; -1e4; -3; -30; -5.5; -88; -denormal"),
    ("C", "log(clip)", "slope", "float16", "all", "-inf; -largest; -normal"),
    ("C", "log(clip)", "slope", "float32; float64", "all", "-0.5; -1; -10; -1e-4; -1e-8; -1e4; -1e8; -3; -30"),
    ("C", "log(clip)", "slope", "float32; float64", "all", "-5.5; -88; -denormal; -inf; -largest; -normal"),
    ("C", "power", "slope", "float16; float32; float64", "all", "-inf,-0; -inf,0; inf,-0; inf,0"),
    ("C", "sqrt(relu)", "slope", "float16", "all", "-0.5; -1; -10; -1e-4; -1e4; -3; -30; -5.5; -88; -denormal"),
    ("C", "sqrt(relu)", "slope", "float16", "all", "-inf; -largest; -normal"),
    ("C", "sqrt(relu)", "slope", "float32; float64", "all", "-0.5; -1; -10; -1e-4; -1e-8; -1e4; -1e8; -3; -30"),
    ("C", "sqrt(relu)", "slope", "float32; float64", "all", "-5.5; -88; -denormal; -inf; -largest; -normal"),
    ("C", "std", "slope", "float16", "all", "denormals; equal at 1e4; minus zeros; one; ties; zeros"),
    ("C", "std", "slope", "float32; float64", "all", "denormals; equal at 1e4; equal at 1e6; equal at 1e8"),
    ("C", "std", "slope", "float32; float64", "all", "minus zeros; one; ties; zeros"),
    ("C", "x ** 0.0", "slope", "float16; float32; float64", "all", "-inf; inf"),
    ("D", "bce, target 0", "slope", "float16; float32; float64", "all", "inf"),
    ("D", "bce, target 0", "value", "float16; float32; float64", "all", "-inf; inf"),
    ("D", "bce, target 0.25", "slope", "float16; float32; float64", "all", "inf"),
    ("D", "bce, target 0.25", "value", "float16; float32; float64", "all", "inf"),
    ("D", "bce, target 1", "slope", "float16; float32; float64", "all", "inf"),
    ("D", "bce, target 1", "value", "float16; float32; float64", "all", "inf"),
    ("D", "cross_entropy", "value", "float32; float64", "all", "300 and -300; equal at 1e4; equal at 1e6"),
    ("D", "cross_entropy", "value", "float32; float64", "all", "equal at 1e8; largest; offset 1e4; offset 1e6"),
    ("D", "cross_entropy", "value", "float32; float64", "all", "offset 1e8"),
    ("D", "gelu", "slope", "float16; float32; float64", "all", "-inf; inf"),
    ("D", "gelu", "value", "float16; float32; float64", "all", "-inf"),
    ("D", "gelu tanh", "slope", "float16; float32; float64", "all", "-inf; inf"),
    ("D", "gelu tanh", "value", "float16; float32; float64", "all", "-inf"),
    ("D", "log_softmax", "value", "float16", "all", "offset 1e4"),
    ("D", "log_softmax", "value", "float32; float64", "all", "300 and -300; equal at 1e4; equal at 1e6"),
    ("D", "log_softmax", "value", "float32; float64", "all", "equal at 1e8; largest; offset 1e4; offset 1e6"),
    ("D", "log_softmax", "value", "float32; float64", "all", "offset 1e8"),
    ("D", "logaddexp", "slope", "float16; float32; float64", "all", "-0,inf; -3,inf; -inf,-inf; -inf,inf"),
    ("D", "logaddexp", "slope", "float16; float32; float64", "all", "-largest,inf; 0,inf; 0.5,inf; 1,inf"),
    ("D", "logaddexp", "slope", "float16; float32; float64", "all", "2,inf; denormal,inf; inf,-0; inf,-3"),
    ("D", "logaddexp", "slope", "float16; float32; float64", "all", "inf,-inf; inf,-largest; inf,0; inf,0.5"),
    ("D", "logaddexp", "slope", "float16; float32; float64", "all", "inf,1; inf,2; inf,denormal; inf,largest"),
    ("D", "logaddexp", "slope", "float16; float32; float64", "all", "largest,inf"),
    ("D", "logsumexp", "slope", "float16; float32; float64", "all", "all -inf; with inf"),
    ("D", "sigmoid", "slope", "float16; float32; float64", "all", "inf"),
    ("D", "sigmoid", "value", "float16; float32; float64", "all", "inf"),
    ("D", "silu", "slope", "float16; float32; float64", "all", "-inf; inf"),
    ("D", "silu", "value", "float16; float32; float64", "all", "-inf; inf"),
    ("D", "softplus", "slope", "float16; float32; float64", "all", "inf"),
    ("D", "softsign", "slope", "float16; float32; float64", "all", "-inf; inf"),
    ("D", "softsign", "value", "float16; float32; float64", "all", "-inf; inf"),
    ("E", "bce, target 1", "value", "float32; float64", "all", "10; 30; 5.5; 88"),
    ("E", "elu", "slope", "float32", "expanded", "-30; -88"),
    ("E", "elu", "slope", "float64", "expanded", "-10; -30; -88"),
    ("E", "elu", "value", "float16", "all", "-1e-4; -normal"),
    ("E", "elu", "value", "float32; float64", "all", "-1e-4; -1e-8; -normal"),
    ("E", "gelu", "slope", "float32", "all", "-10; -5.5"),
    ("E", "gelu", "slope", "float64", "all", "-10; -30; -5.5"),
    ("E", "gelu", "value", "float16", "all", "-3"),
    ("E", "gelu", "value", "float32", "all", "-10; -5.5"),
    ("E", "gelu", "value", "float64", "all", "-10; -30; -5.5"),
    ("E", "gelu tanh", "slope", "float16", "all", "-1e4; -largest; 1e4; largest"),
    ("E", "gelu tanh", "slope", "float32; float64", "all", "-largest; largest"),
    ("E", "gelu tanh", "value", "float32", "all", "-10; -3; -5.5"),
    ("E", "gelu tanh", "value", "float64", "all", "-10; -5.5"),
    ("E", "lp_pool1d", "value", "float16; float32; float64", "all", "with nan"),
    ("E", "softsign", "slope", "float16", "all", "-88; 88"),
    ("E", "softsign", "slope", "float32; float64", "all", "-1e4; -1e8; 1e4; 1e8"),
]
# fmt: on

Key = tuple[str, str, str, str]


def by_case() -> dict[Key, set[str]]:
    """{(function, part, dtype, floor): names of the numbers}."""
    cases: dict[Key, set[str]] = {}
    for _, name, part, dtypes, floors, places in ROWS:
        for dtype in dtypes.split("; "):
            here = [*FLOORS, *(["scalar"] if name in SCALARS else [])] if floors == "all" else floors.split("; ")
            for floor in here:
                cases.setdefault((name, part, dtype, floor), set()).update(places.split("; "))
    return cases


KNOWN = by_case()
