"""What ``help(ac.exp)`` shows: rows of the table have a docstring and a signature of their own (``row_pages``).

They are worked out when somebody reads them, so that importing the package stays cheap; the class keeps its docstring.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..tape import Primitive

if TYPE_CHECKING:
    from inspect import Signature


class OnRows:
    """An attribute that rows work out when it is read, while the class keeps its own (None: it has none)."""

    def __init__(self, of_row: Callable[[Primitive], Any], of_class: Any) -> None:
        self.of_row, self.of_class = of_row, of_class

    def __get__(self, row: Primitive | None, kind: type) -> Any:
        if row is not None:
            return self.of_row(row)
        if self.of_class is None:
            raise AttributeError("only the rows of the table have it")
        return self.of_class


def _page(row: Primitive) -> str:
    from ..row_pages import page

    return page(row)


def _signature(row: Primitive) -> Signature:
    from ..row_pages import row_signature

    return row_signature(row)


def bind() -> None:
    """Give the rows of the table their pages."""
    setattr(Primitive, "__doc__", OnRows(_page, Primitive.__doc__))  # noqa: B010 (a descriptor in a string's place)
    setattr(Primitive, "__signature__", OnRows(_signature, None))  # noqa: B010


bind()
