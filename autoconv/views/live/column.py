"""The table's column for JavaScript: what each row computes in a saved page.

An elementwise row is one expression in its operands a, b, c (numbers) and in ``p`` (its params); the loop around it is
written out for each row, so that a browser compiles it to machine code.  Every other row is a function of the same name
in ``static/rows.js``.  Operations that JavaScript has not are those of ``static/numbers.js``.
"""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parent / "static"

# fmt: off
ELEMENTWISE = {
    "add": "a + b",
    "sub": "a - b",
    "mul": "a * b",
    "div": "a / b",
    "neg": "-a",
    "exp": "Math.exp(a)",
    "log": "Math.log(a)",
    "expm1": "Math.expm1(a)",
    "log1p": "Math.log1p(a)",
    "sqrt": "Math.sqrt(a)",
    "tanh": "Math.tanh(a)",
    "sin": "Math.sin(a)",
    "cos": "Math.cos(a)",
    "erf": "erf(a)",
    "erfc": "erfc(a)",
    "softsign": "Math.abs(a) === Infinity ? Math.sign(a) : a / (1 + Math.abs(a))",
    "atan2": "Math.atan2(a, b)",
    "floor": "Math.floor(a)",
    "remainder": "remainder(a, b)",
    "power": "power(a, b)",
    "xlogy": "a === 0 && b === b ? a * 0 : a * Math.log(b)",
    "multiply_no_nan": "b === 0 ? 0 : a * b",
    "logaddexp": "logaddexp(a, b)",
    "abs": "Math.abs(a)",
    "sign": "sign(a, p.at_zero || 0)",
    "order": "order(a, b)",
    "greater": "a > b",
    "less": "a < b",
    "greater_equal": "a >= b",
    "less_equal": "a <= b",
    "equal": "a === b",
    "not_equal": "a !== b",
    "where": "a ? b : c",
    "slope": "slope(a, b, c, p)",
    "maximum": "a > b || a !== a ? a : b",
    "minimum": "a < b || a !== a ? a : b",
}
FUNCTIONS = (  # of static/rows.js
    "identity", "stop_gradient", "cast", "reshape", "permute_dims", "flip", "broadcast_to", "sum_to", "pad", "crop",
    "index", "scatter", "take", "scatter_add", "windows", "overlap_add", "argsort", "concat", "sum", "contract",
)
# fmt: on

ENGINE = (
    "numbers",
    "arrays",
    "rows",
    "contract",
    "inflate",
    "program",
    "optimisers",
    "reading",
    "engine",
)  # in their order
_LETTERS = "abc"


def elementwise(name: str, expression: str, operands: int) -> str:
    """The JavaScript function of an elementwise row: its operands are dense, its loop runs over their elements."""
    letters = _LETTERS[:operands]
    given = ", ".join(letter.upper() for letter in letters)
    taken = ", ".join(f"{letter}s = flat({letter.upper()})" for letter in letters)
    read = ", ".join(f"{letter} = {letter}s[i]" for letter in letters)
    return (
        f"ROWS.{name} = ([{given}], p, shape, dtype) => {{ const Y = alloc(dtype, shape), ys = Y.data, n = ys.length, "
        f"{taken}; return [Y, finished(Y, () => {{ for (let i = 0; i < n; i++) {{ const {read}; "
        f"ys[i] = {expression}; }} }})]; }};"
    )


def rows() -> str:
    """The elementwise rows as JavaScript, one statement each."""
    from ...primitives import TABLE

    return "\n".join(elementwise(name, text, TABLE[name].arity or 0) for name, text in ELEMENTWISE.items())


def engine() -> str:
    """The interpreter as JavaScript: it knows no page, so that node and a Web Worker run it as a window does."""
    texts = {name: (STATIC / f"{name}.js").read_text(encoding="utf-8") for name in ENGINE}
    return "\n".join(text + (rows() if name == "rows" else "") for name, text in texts.items())
