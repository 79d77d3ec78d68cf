"""The left column of docs/coming_from/pytorch.md in PyTorch itself."""

import ast
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

PAGE = Path(__file__).parent.parent.parent / "docs" / "coming_from" / "pytorch.md"


def test_pytorchs_column_gives_the_same():
    rows = [line[2:-1].split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    space, found = {}, 0
    for there, _, gives in [[cell.strip(" `") for cell in row] for row in rows if len(row) == 3]:
        tree = ast.parse(there)
        if not isinstance(tree.body[-1], ast.Expr):
            exec(there, space)
            continue
        value = eval(there, space)
        if gives:
            found += 1
            assert (
                value == pytest.approx(ast.literal_eval(gives))
                if isinstance(value, float)
                else value == ast.literal_eval(gives)
            ), there
    assert found >= 12
