"""The order of a run: native calls, each of one kernel or several, and NumPy's lines between them.

Kernels run in one call unless a later one reads what NumPy makes of an earlier one's results, or reads these in another
order or dtype than they stand in.  What no kernel needs NumPy does in the end.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from ..kernel import Input, Kernel
from ..lower.lowering import Lowering


def schedule(
    lowering: Lowering, kernels: Sequence[Kernel], by_numpy: Sequence[int], waited: Set[int]
) -> list[int | tuple[int, ...]]:
    """NumPy's lines ``by_numpy`` (numbers) and native calls (tuples of indices of ``kernels``), in the order in which
    they run.

    ``waited``: the lines that a kernel waits for; the others NumPy computes in the end.
    """
    steps = [(lowering.ready[i], False, i) for i in by_numpy if i in waited]
    steps += [(kernel.number, True, k) for k, kernel in enumerate(kernels)]
    order: list[int | tuple[int, ...]] = []
    for _, native, k in sorted(steps):
        last = order[-1] if order else None
        if not native:
            order.append(k)
        elif isinstance(last, tuple) and all(
            _at_hand(lowering, [kernels[j] for j in last], x) for x in kernels[k].inputs
        ):
            order[-1] = (*last, k)
        else:
            order.append((k,))
    return [*order, *[i for i in by_numpy if i not in waited]]


def _at_hand(lowering: Lowering, before: Sequence[Kernel], wanted: Input) -> bool:
    """Whether an input can be read where one of these kernels writes it, if one does."""
    for kernel in before:
        for out in kernel.outputs:
            if out.line == wanted.line and not out.persistent:
                whole = out.axis == wanted.axis and wanted.part is None and not wanted.places
                return whole and lowering.program.lines[out.line].dtype == lowering.dtype
        if wanted.line in [result.line for result in kernel.results]:
            return wanted.axis is None and wanted.part in (None, "first") and not wanted.places
    return True
