"""One cell per row of the table: how ONNX writes it.  ``write(e, row, names)`` writes a row and gives its name."""

from __future__ import annotations

from typing import Any

from ....primitives import TABLE
from ..nodes import Emitter
from ..sizes import Row
from .contraction import contract
from .elementwise import ELEMENTWISE, emit
from .wiring import WIRING


def _by_element(e: Emitter, row: Row, xs: list[str]) -> str:
    return emit(e, row, xs, [e.rows[k].dtype for k in row.operands])


CELLS: dict[str, Any] = {**dict.fromkeys(ELEMENTWISE, _by_element), **WIRING, "contract": contract}


def write(e: Emitter, row: Row, xs: list[str]) -> str:
    """The row's cell; ValueError that names a row which has none."""
    if row.name not in CELLS:
        known = "" if row.name in TABLE else ", which is not in the table"
        raise ValueError(f"onnx: the row {row.name!r}{known} has no ONNX cell; this function cannot be saved")
    made: str = CELLS[row.name](e, row, xs)
    return made
