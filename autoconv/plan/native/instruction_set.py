"""The instruction set of the native machine, written once: opcodes, the words of each instruction, flags, operations.

The planner (``assemble``) packs words with it, tests read them back, and setup.py writes the C header
``instruction_set.h`` from it when the machine is compiled; so this file imports nothing of the package.  The compiled
machine carries ``DIGEST`` of the header that it was built with; one that was built from another instruction set is not
used.

An instruction is a row of ``WIDTH`` words (int64), word 0 its opcode; a word named "table" in a comment is the place in
the program's pool of int32 tables where a table begins.  Records (results, packing, ...) are rows without an opcode.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace

Work = Callable[[SimpleNamespace], int]

WIDTH = 24  # words of an instruction


class Words:
    """The named words of a kind of row: ``row(...)`` packs them, ``read`` unpacks them.

    ``names``: one for each word, in order; "-" is a word that is not used.  Of an instruction: ``divisible``, whether
    threads that share a block may each do a part of it, and ``work``, the products of vectors that take about as long.

    >>> CLEAR.row(count=3, out=40)[:4]
    [8, 0, 3, 40]
    >>> CLEAR.read([8, 0, 3, 40]).count
    3
    """

    def __init__(
        self,
        name: str,
        names: str,
        width: int,
        opcode: int | None = None,
        divisible: bool = False,
        work: Work | None = None,
    ) -> None:
        self.name, self.opcode, self.width, self.divisible, self._work = name, opcode, width, divisible, work
        words = ([] if opcode is None else ["-"]) + names.split()
        if len(words) > width:
            raise ValueError(f"{name}: more than {width} words")
        self.at = {word: n for n, word in enumerate(words) if word != "-"}

    def row(self, **words: int) -> list[int]:
        """The words in order, those that are not given 0."""
        row = [0] * self.width
        if self.opcode is not None:
            row[0] = self.opcode
        for word, value in words.items():
            row[self.at[word]] = value
        return row

    def read(self, row: Sequence[int]) -> SimpleNamespace:
        """The words by name, and which kind of row it is (``kind``)."""
        return SimpleNamespace(**{word: row[n] for word, n in self.at.items()}, kind=self)

    def work(self, row: Sequence[int]) -> int:
        """The products of vectors that take about as long as an instruction."""
        assert self._work is not None
        return self._work(self.read(row))


_OF_CELL = 8  # products of vectors that take as long as one elementwise operation
# tables of (first row, rows) and (first column, columns) of each tile, and how many; how many products of vectors it
# all takes
_TILES = "tall talls wide wides work"
# Each instruction: its words, whether it is divisible (then C does the part of it that the task says), and its work.
# "place": IN_MEMORY, IN_SUMS, IN_PACKED, NOWHERE, or the number of an array.  "out", "x", ... are tables unless it says
# otherwise.
# fmt: off
_INSTRUCTIONS: tuple[tuple[str, str, bool, Work], ...] = (
    # out = operation(x, y, z), vector by vector; then ``singles`` single numbers; three doubles that the operation may
    # need
    # the tables of vectors count from numbers ``out_at``, ``x_at``, ...
    ("MAP", "operation count out x y z out_at x_at y_at z_at singles single_out single_x single_y single_z "
     "number0 number1 number2", True, lambda w: _OF_CELL * w.count),
    # out[c] (at a place) = sum over k < terms of x[c][k], for vectors (x counts from number ``x_at``), then for single
    # numbers; rows: of these the terms stand side by side
    ("GATHER", "- count out x x_at terms place singles single_out single_x rows", True, lambda w: w.count * w.terms),
    # examples of array ``array`` into cells; whole: as STORE left whole cells for this machine alone
    # beside: the cells are one number each and stand side by side from number ``out`` (no table)
    ("LOAD", "- count out array whole beside", False, lambda w: w.count),
    # cells to examples of an array
    ("STORE", "- count x array whole beside", False, lambda w: w.count),
    # each number of an array into ``width`` numbers of a cell: all examples, a vector, or one
    ("SPLAT", "- count out array width", False, lambda w: w.count),
    # out (one cell) = x[label of the example]; the array: int64 places, example * count + label
    ("CHOOSE", "- count x array out", False, lambda w: w.count),
    # the adjoint: zeros, and x (one cell) at out[label of the example]
    ("PLACE", "- count out array x", False, lambda w: w.count),
    # zeros in lanes without an example, which must not count in a sum over examples
    ("CLEAR", "- count out", False, lambda w: w.count),
    # sums[out + c] (a number, no table) = sum over lanes and k < terms of x[c][k]
    ("TOTAL", "- count out x terms", True, lambda w: w.count * w.terms),
    # out[i, j] = bias + sum over k < terms of numbers left[i, k] times vectors right[j, k]; each a base table plus a
    # step table
    ("GEMM", "terms left right out bias flags left_base left_step right_base right_step out_row out_column bias_base "
     + _TILES, True, lambda w: w.work),
    # out[i, j] = sum over k < terms and lanes of vectors left[i, k] times vectors right[j, k], a number
    ("DOT", "terms left right out bias flags left_base left_step right_base right_step out_row out_column - " + _TILES,
     True, lambda w: w.work),
    # ``count`` times ``columns`` vectors at x, each time transposed into rows of ``pitch`` numbers in memory from
    # ``out`` (no table)
    ("TRANSPOSE", "count columns x pitch out", True, lambda w: w.count * w.columns),
    # the ``count`` elementwise instructions that follow, in ``strips`` strips; ends: for each where every strip begins,
    # and its end
    ("STRIPS", "count strips ends", False, lambda w: w.strips),
    # out[i] = bias + sum over k < terms of left[i, k] times right[k], lane by lane: all are vectors, and all of it is
    # done at each of ``vectors`` offsets (table vector_at), which count for all operands alike
    ("LANEWISE",
     "terms left right out bias flags left_base left_step right_base right_step out_row out_column bias_base " + _TILES
     + " vectors vector_at", True, lambda w: w.work),
)
_RECORDS = (
    # a sum over examples that becomes an array: rows x columns numbers from number ``first`` of the sums, a row each
    # ``pitch``
    # numbers; order: table of the place of each number, or BY_ROWS or BY_COLUMNS if they stand so one after the other;
    # finite: whether they have to be, or the run is not to be used
    ("RESULT", "array first rows columns pitch order finite", 8),
    # weights copied into rows of whole vectors: packed[first + row[k] * pitch + i] = array[base[i] + step[k]], k in the
    # order in which the weights stand
    ("PACKING", "array first rows columns pitch base step row", 8),
    # an array of so many numbers that have to be finite, or the run is not to be used
    ("FINITE", "array count", 2),
    # tasks that may run at the same time: the first of them, and how many
    ("PHASE", "first count", 2),
    # part ``part`` of ``parts`` of the instructions ``first`` up to ``end``
    ("TASK", "first end part parts", 4),
    # an optimiser's step on ``size`` numbers of a parameter: arrays of its gradient, old and new value and slots (-1:
    # none),
    # and eight doubles
    ("UPDATE",
     "method gradient value new slot0 slot1 size number0 number1 number2 number3 number4 number5 number6 number7", 16),
)
# fmt: on
_BY_NAME = {
    name: Words(name, words, WIDTH, code, divisible, work)
    for code, (name, words, divisible, work) in enumerate(_INSTRUCTIONS, start=1)
}
MAP, GATHER, LOAD, STORE, SPLAT, CHOOSE, PLACE, CLEAR, TOTAL, GEMM, DOT, TRANSPOSE, STRIPS, LANEWISE = _BY_NAME.values()
RESULT, PACKING, FINITE, PHASE, TASK, UPDATE = (Words(name, words, width) for name, words, width in _RECORDS)
_BY_OPCODE = {words.opcode: words for words in _BY_NAME.values()}

PLACES = {"IN_MEMORY": -1, "IN_SUMS": -2, "IN_PACKED": -3, "NOWHERE": -4}
"""Where an operand of a contraction stands; 0 and more: the number of an array of the caller."""
FLAGS = {"GROWS": 1, "POSITIVE_PART": 2, "BIAS_OF_VECTORS": 4, "ROWS_OUTSIDE": 8, "ADDS": 16, "APART": 32}
"""Of a contraction: its result is a sum over all examples so far; negative results become 0; the bias of a vector is a
vector; the loop over rows of tiles is the outer one; its result is added to what an instruction before it wrote;
no two of its results' vectors share numbers."""
ORDERS = {"BY_ROWS": -1, "BY_COLUMNS": -2}
"""Of a result: how its numbers stand in the array, which is all of it: row after row, or column after column."""
METHODS = {"SGD": 1, "ADAM": 2, "MOMENTUM": 3}
IN_MEMORY, IN_SUMS, IN_PACKED, NOWHERE = PLACES.values()
BY_ROWS, BY_COLUMNS = ORDERS.values()
GROWS, POSITIVE_PART, BIAS_OF_VECTORS, ROWS_OUTSIDE, ADDS, APART = FLAGS.values()
# "fill" is a row of the planner's own: x is a number, for all lanes of a vector
OPERATIONS = {
    name: i
    for i, name in enumerate(
        [
            "copy",
            "fill",
            "add",
            "sub",
            "mul",
            "div",
            "neg",
            "abs",
            "sign",
            "maximum",
            "minimum",
            "greater",
            "less",
            "greater_equal",
            "less_equal",
            "equal",
            "not_equal",
            "where",
            "slope",
            "slope_below",
            "multiply_no_nan",
            "sqrt",
            "exp",
            "log",
            "log1p",
            "expm1",
            "tanh",
            "sin",
            "cos",
            "erf",
            "erfc",
            "softsign",
            "logaddexp",
            "power",
        ],
        start=1,
    )
}


def kind(row: Sequence[int]) -> Words:
    """Which instruction a row of words is."""
    return _BY_OPCODE[row[0]]


def _enum(values: dict[str, int]) -> str:
    """Numbers by their names, for C."""
    return "enum { " + ", ".join(f"{name} = {value}" for name, value in values.items()) + " };"


def _content() -> str:
    """The header but for its digest."""
    lines = [
        _enum({"WIDTH": WIDTH}),
        _enum({words.name: words.opcode or 0 for words in _BY_NAME.values()}),
        _enum(PLACES),
        _enum(FLAGS),
        _enum(ORDERS),
        _enum({name.upper(): code for name, code in OPERATIONS.items()}),
        _enum(METHODS),
    ]
    for words in (*_BY_NAME.values(), RESULT, PACKING, FINITE, PHASE, TASK, UPDATE):
        lines.append(_enum({f"{words.name}_{word.upper()}": n for word, n in words.at.items()}))
        if words.opcode is None:
            lines.append(_enum({f"{words.name}_WIDTH": words.width}))
    return "\n".join(lines) + "\n"


DIGEST = hashlib.sha256(_content().encode()).hexdigest()[:16]


def header() -> str:
    """``instruction_set.h``: the same names for C, a word ``x`` of MAP as ``MAP_X``, an operation "add" as ``ADD``."""
    note = "/* Written by setup.py from autoconv/plan/native/instruction_set.py; change that file instead. */\n"
    return f'{note}#define INSTRUCTION_SET "{DIGEST}"\n{_content()}'
