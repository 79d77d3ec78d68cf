"""The order of a run: native calls, each of one stage or several, and NumPy's lines between them.

Stages run in one call unless a later one reads what NumPy makes of an earlier one's results, or reads these in another order
or dtype than they stand in.  What no stage needs NumPy does in the end.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from ..lower.instructions import Input, Stage
from ..lower.lower import Lowering


def turns(
    lowering: Lowering, stages: Sequence[Stage], by_numpy: Sequence[int], waited: Set[int]
) -> list[int | tuple[int, ...]]:
    """The lines that NumPy makes, of which stages wait for those in ``waited``, and the numbers of a native call's stages."""
    steps = [(lowering.ready[i], False, i) for i in by_numpy if i in waited]
    steps += [(stage.number, True, k) for k, stage in enumerate(stages)]
    order: list[int | tuple[int, ...]] = []
    for _, native, k in sorted(steps):
        last = order[-1] if order else None
        if not native:
            order.append(k)
        elif isinstance(last, tuple) and all(
            _at_hand(lowering, [stages[j] for j in last], x) for x in stages[k].inputs
        ):
            order[-1] = (*last, k)
        else:
            order.append((k,))
    return [*order, *[i for i in by_numpy if i not in waited]]


def _at_hand(lowering: Lowering, before: Sequence[Stage], wanted: Input) -> bool:
    """Whether an input can be read where one of these stages writes it, if one does."""
    for stage in before:
        for out in stage.outputs:
            if out.line == wanted.line and not out.kept:
                whole = out.axis == wanted.axis and wanted.part is None and not wanted.places
                return whole and lowering.program.lines[out.line].dtype == lowering.dtype
        if wanted.line in [result.line for result in stage.results]:
            return wanted.axis is None and wanted.part in (None, "first") and not wanted.places
    return True
