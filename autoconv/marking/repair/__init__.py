"""One change of the student's own source with which a gradient is right: which line it is, and what it would be.

Functions are run again with one place of their tree changed, their code swapped for the time of one call; what makes a
gradient right at every geometry is offered, and judged again like any answer.  The kinds of edits are tried in the
order of their table, at the statements first on which nothing but wrong gradients depends.

The search may run in the process of the student's file: what it says there are numbers of a place in the table, and
the words are made from the file's text by the process that judges.

trees, table                                         where something may be changed; the table of kinds
arithmetic, names, indices, calls, statements        what the kinds make
source, running                                      functions and their lines; run with another code
sought, depends, search, words, mended               what is asked for, where to look, the search, the lines in words
"""

from .mended import OFFERS, mended
from .search import SECONDS
from .sought import Mend, Offer, Row, Sought, harmless
from .words import in_words

__all__ = ["OFFERS", "SECONDS", "Mend", "Offer", "Row", "Sought", "harmless", "in_words", "mended"]
