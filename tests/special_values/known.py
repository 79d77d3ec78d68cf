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
