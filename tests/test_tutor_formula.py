"""Formulas as text: what they mean, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autoconv.tutor.formula import Formula, FormulaError

A = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2*3 - 4/2", 5.0), ("-a[0, 1]**2", -4.0), ("a[:, 1]", [2.0, 4.0]), ("sum(a)", 10.0), ("sum(a, 0)", [4.0, 6.0]),
        ("sum(a, axis=1)", [3.0, 7.0]), ("max(a, axis=0)", [3.0, 4.0]), ("max(a, 2.5)", [[2.5, 2.5], [3.0, 4.0]]), ("min(a)", 1.0),
        ("[[a[0,0], 0], [0, 1]]", [[1.0, 0.0], [0.0, 1.0]]), ("rot180(a)", [[4.0, 3.0], [2.0, 1.0]]), ("conv(a, a)", [[30.0]]),
        ("full(a, [[1, 0], [0, 0]])", [[0, 0, 0], [0, 1, 2], [0, 3, 4]]), ("abs(-a[0,0]) + exp(0) + log(1) + tanh(0)", 2.0),
        ("sigmoid(0)", 0.5), ("9**9**9", np.inf), ("a[-1, -1]", 4.0),
    ],
)  # fmt: skip
def test_values(text: str, value: Any) -> None:
    assert np.allclose(Formula(text)({"a": A}), value)


@pytest.mark.parametrize(
    "text",
    [
        "", "a +", "a.T", "__import__('os')", "a @ a", "lambda: 1", "a if a else a", "'a'", "True", "[x for x in a]", "a[b]", "a[[0]]",
        "a; a", "a = 1", "f(a)", "sum(a, axis=b)", "exp(a, a)", "a < 1", "not a", "a[0.5]", "(a := 1)", "*a", "1j", "..."
    ],
)  # fmt: skip
def test_what_is_not_in_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(FormulaError, match="formula"):
        Formula(text)({"a": A})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1 + zz", "no tensor named 'zz'.*position 5"), ("a[0, 9]", "out of bounds"), ("a + [1, 2, 3]", "position 1"),
        ("+".join(["a"] * 3000), "more than|nested"), ("-" * 400 + "1", "nested|not a formula"), ("a" * 5000, "characters"), ("1" * 400, "too large"),
    ],
)  # fmt: skip
def test_errors_name_the_place_and_work_is_bounded(text: str, found: str) -> None:
    with pytest.raises(FormulaError, match=found):
        Formula(text)({"a": A})


def test_large_results_are_refused_before_they_are_made() -> None:
    column, row = np.ones((5000, 1)), np.ones((1, 5000))
    with pytest.raises(FormulaError, match="1,000,000"):
        Formula("column * row")({"column": column, "row": row})
