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
    ("F", "avg_pool1d", "value", "float16", "all", "2000 hundreds; 70000 halves"),
    ("F", "layer_norm", "slope", "float16", "all", "300 and -300"),
    ("F", "layer_norm", "value", "float16", "all", "300 and -300"),
    ("F", "layer_norm", "value", "float32", "all", "1e30s"),
    ("F", "logsumexp", "value", "float16", "all", "70000 halves"),
    ("F", "lp_pool1d", "slope", "float16", "all", "300 and -300; equal at 1e4; offset 1e4"),
    ("F", "lp_pool1d", "value", "float16", "all", "300 and -300; equal at 1e4; offset 1e4"),
    ("F", "mean", "value", "float16", "all", "2000 hundreds; 70000 halves"),
    ("F", "mse", "value", "float16", "all", "2000 hundreds; 70000 halves"),
    ("F", "softmax", "value", "float16", "all", "70000 halves"),
    ("F", "std", "slope", "float16", "all", "300 and -300"),
    ("F", "std", "value", "float16", "all", "300 and -300"),
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
