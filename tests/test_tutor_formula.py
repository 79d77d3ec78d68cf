"""Formulas as text: what they mean, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autoconv.tutor.claim.formula import Formula, FormulaError

A = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2*3 - 4/2", 5.0), ("-a[0, 1]**2", -4.0), ("a[:, 1]", [2.0, 4.0]), ("sum(a)", 10.0),
        ("sum(a, 0)", [4.0, 6.0]),
        ("sum(a, axis=1)", [3.0, 7.0]), ("max(a, axis=0)", [3.0, 4.0]), ("max(a, 2.5)", [[2.5, 2.5], [3.0, 4.0]]),
        ("min(a)", 1.0),
        ("[[a[0,0], 0], [0, 1]]", [[1.0, 0.0], [0.0, 1.0]]), ("rot180(a)", [[4.0, 3.0], [2.0, 1.0]]),
        ("conv(a, a)", [[30.0]]),
        ("full(a, [[1, 0], [0, 0]])", [[0, 0, 0], [0, 1, 2], [0, 3, 4]]),
        ("abs(-a[0,0]) + exp(0) + log(1) + tanh(0)", 2.0),
        ("sigmoid(0)", 0.5), ("9**9**9", np.inf), ("a[-1, -1]", 4.0), ("+".join(["a[0, 1]"] * 200), 400.0),
        ("a[0,0]\n  + 1", 2.0),
        ("conv([1,2,3], [1,1])", [3.0, 5.0]), ("full([1,2], rot180([1,3]))", [1.0, 5.0, 6.0]),
        ("sum(conv([a,a], [[[1]]]), axis=(1,2))", [10.0, 10.0]),
    ],
)  # fmt: skip
def test_values(text: str, value: Any) -> None:
    assert np.allclose(Formula(text)({"a": A}), value)


@pytest.mark.parametrize(
    "text",
    [
        "", "a +", "a.T", "__import__('os')", "a @ a", "lambda: 1", "a if a else a", "'a'", "True", "[x for x in a]",
        "a[b]", "a[[0]]",
        "a; a", "a = 1", "f(a)", "sum(a, axis=b)", "exp(a, a)", "a < 1", "not a", "a[0.5]", "(a := 1)", "*a", "1j",
        "..."
    ],
)  # fmt: skip
def test_what_is_not_in_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(FormulaError, match="formula"):
        Formula(text)({"a": A, "λ": 2.0})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1 + zz", "no tensor named 'zz'.*position 5"), ("a[0, 9]", "out of bounds"), ("a + [1, 2, 3]", "position 1"),
        ("+".join(["a"] * 30_000), "characters"), ("a" + "**a" * 400, "nested"),
        ("-" * 400 + "1", "nested|not a formula"),
        ("1" * 400, "too large"), ("1" * 5000, "too large"), ("(" * 3000 + "a", "not a formula|too long"),
        ("a[99999999999999999999]", "no array"),
        ("a^2", r"written \*\*"), ("2a", "as in 2"), ("a·2", "no tensor named"), ("a×2", r"write \*"),
        ("λ + zz", "position 5"), ("x = a", "right of ="),
        ("a # b", "comments"), ("max(a, 1, axis=0)", "beside 2"), ("a.T", "a dot"), ("[a, 1]", "one shape"),
        ("rot180(1)", "cannot be rotated"),
    ],
)  # fmt: skip
def test_errors_name_the_place_and_work_is_bounded(text: str, found: str) -> None:
    with pytest.raises(FormulaError, match=found):
        Formula(text)({"a": A, "λ": 2.0})


@pytest.mark.parametrize(
    "text",
    ["column * row", "max(column, row)", "full([[1]], large)", "conv(large, large[:500, :500])",
        "+".join(["large"] * 150),
     f"[{', '.join(['large'] * 3)}]", "+".join(["conv(large, large[:3, :3])"] * 30),
     "column / 0 + conv(row[0], row[0]) * row"],
)  # fmt: skip
def test_large_results_are_refused_before_they_are_made(text: str) -> None:
    values = {"column": np.ones((5000, 1)), "row": np.ones((1, 5000)), "large": np.ones((1000, 1000))}
    with pytest.raises(FormulaError, match=r"1,000,000|100,000,000"):
        Formula(text)(values)
