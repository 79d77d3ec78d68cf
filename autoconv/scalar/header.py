"""The C of the scalar rules, made from the table: codes, names, values and derivatives (native/table.h).

    python -m autoconv.scalar.header      writes the header anew

The header stands in the repository, so that building the package needs neither NumPy nor the package itself; a test
compares it with what the table gives.  It is written for Scalars (``RULES``, on doubles) and for recorded programs
(``FORWARD`` and ``BACKWARD``, on vectors); whoever includes it says what A, B, Y, C, F, T and the other capitals are.
"""

from __future__ import annotations

import ast
from pathlib import Path

from .formulas import Expression, Formula, filled, formula, in_c, reads
from .rules import CHOOSING, CODES, COMPILED, OPERATIONS

PATH = Path(__file__).parent / "native" / "table.h"

# Steps of a recorded program with a number C as the operand on one side, which needs no register and gets no gradient.
FORMS = {
    "ADD_NUMBER": ("add", "right"),
    "FROM_NUMBER": ("sub", "left"),
    "MUL_NUMBER": ("mul", "right"),
    "DIV_NUMBER": ("div", "right"),
    "INTO_NUMBER": ("div", "left"),
    "POWER_NUMBER": ("power", "right"),
    "SQUARE": ("mul", "itself"),
    "RELU": ("maximum_first", "zero"),
}


def header() -> str:
    """The text of native/table.h."""
    compiled = {name: code for name, code in CODES.items() if code < COMPILED}
    formulas = {name.upper(): _formula(code) for name, code in compiled.items()}
    rows = {**formulas, **{form: _with_number(*how) for form, how in FORMS.items()}}
    two = [name.upper() for name, code in compiled.items() if OPERATIONS[code].arity == 2]
    needed: dict[int, list[str]] = {}
    for name, row in rows.items():
        needed.setdefault(_needed(row), []).append(name)
    first, *rest = FORMS
    forward = [f"case {name}: VALUE({in_c(row.value)});" for name, row in rows.items()]
    chooses = [name.upper() for name, code in compiled.items() if code in CHOOSING]
    choosing = {*chooses, *[form for form, (row, _) in FORMS.items() if CODES[row] in CHOOSING]}
    backward = [
        f"case {name}: {' '.join(_passed(to, x, name in choosing) for to, x in zip(('ga', 'gb'), row.slopes))} break;"  # noqa: B905
        for name, row in rows.items()
    ]
    back = [f"{' '.join(f'case {x}:' for x in group)} return {bits};" for bits, group in sorted(needed.items())]
    names = ", ".join(f'"{OPERATIONS[code].name}"' for code in range(COMPILED))
    return "\n".join([
        "/* Made by scalar/header.py from the table in primitives.py; a test compares them.  Do not edit. */",
        "#ifndef AUTOCONV_TABLE_H",
        "#define AUTOCONV_TABLE_H",
        "",
        "enum {",
        f"    {', '.join(['LEAF', 'OLDER', *formulas])},",
        f"    CODES, {first} = CODES, {', '.join(rest)}, STEPS",
        "};",
        "",
        f"#define NAMES {names}",
        f"#define HAS_TWO(code) ({' || '.join(f'(code) == {name}' for name in two)})",
        "",
        "/* whether a slope of 0 passes 0 on, whatever the cotangent is */",
        f"#define CHOOSES(code) ({' || '.join(f'(code) == {name}' for name in chooses)})",
        "",
        "/* value and derivatives of a row of two operands, and of one */",
        *_macro("RULES_OF_TWO", [_rule(name, row) for name, row in formulas.items() if name in two]),
        *_macro("RULES_OF_ONE", [_rule(name, row) for name, row in formulas.items() if name not in two]),
        "",
        "/* the same on vectors, and with a number C; on the way back a cotangent is passed on to ga and gb */",
        *_macro("FORWARD", forward),
        *_macro("BACKWARD", backward),
        "",
        "/* which values the way back needs: bit 0 the first operand, bit 1 the second, bit 2 the result */",
        *_macro("NEEDED_BACK", back),
        "",
        "#endif",
        "",
    ])  # fmt: skip


def _formula(code: int) -> Formula:
    operation = OPERATIONS[code]
    found = formula(operation.primitive, operation.params) if operation.primitive else None
    if found is None:
        raise ValueError(f"{operation.name}: its rule has a part that has no word in C (scalar/formulas.py)")
    return found


def _with_number(row: str, side: str) -> Formula:
    """A row with a number in place of one operand; of the other, a, the slope is left."""
    known = _formula(CODES[row])
    if side == "right":
        return Formula(filled(known, b="C").value, filled(known, b="C").slopes[:1])
    if side == "left":
        return Formula(filled(known, a="C", b="a").value, filled(known, a="C", b="a").slopes[1:])
    if side == "itself":
        both = filled(known, b="a")
        return Formula(both.value, (ast.BinOp(both.slopes[0], ast.Add(), both.slopes[1]),))
    zero = filled(filled(known, b="other", a="0.0"), other="a")
    return Formula(zero.value, zero.slopes[1:])


def _macro(name: str, lines: list[str]) -> list[str]:
    return [f"#define {name} \\", *[f"    {line} \\" for line in lines[:-1]], f"    {lines[-1]}"]


def _rule(name: str, row: Formula) -> str:
    found = " ".join(f"*{d} = {in_c(slope)};" for d, slope in zip(("dx", "dy"), row.slopes, strict=False))
    return f"case {name}: *value = {in_c(row.value)}; {found} break;"


def _passed(to: str, slope: Expression, chooses: bool) -> str:
    text = in_c(slope)
    if isinstance(slope, ast.IfExp) and (in_c(slope.body), in_c(slope.orelse)) in (("1", "0"), ("0", "1")):
        chosen, other = ("D" if x == "1" else "0" for x in (in_c(slope.body), in_c(slope.orelse)))
        return f"PASS_WHERE({to}, {in_c(slope.test)}, {chosen}, {other})"
    return {"1": f"PASS_ON({to}, +)", "-1": f"PASS_ON({to}, -)"}.get(
        text, f"{'PASS_CHOSEN' if chooses else 'PASS'}({to}, {text})"
    )


def _needed(row: Formula) -> int:
    names = set().union(*map(reads, row.slopes))
    return sum(bit for bit, name in ((1, "a"), (2, "b"), (4, "y")) if name in names)


if __name__ == "__main__":
    PATH.write_text(header())
