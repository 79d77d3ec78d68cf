"""docs/coming_from: each line of the right column runs, in order, and gives what is told; so does NumPy's column."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv import optim

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "coming_from").glob("*.md"))


def tables(text):
    """The rows of each table with three columns: (there, here, gives), code without its quotes, "" for none."""
    for table in re.findall(r"(?m)((?:^\|.*\|\n)+)", text):
        rows = [re.split(r"(?<!\\) \| |^\| ?| ?\|$", line)[1:-1] for line in table.splitlines()[2:]]
        if all(len(row) == 3 for row in rows):
            yield [[cell.strip().strip("`") for cell in row] for row in rows]


def run(line, space):
    """The value of an expression, None of a statement."""
    tree = ast.parse(line)
    if isinstance(tree.body[-1], ast.Expr):
        return eval(line, space)
    exec(line, space)
    return None


def plain(value):
    """A Tensor or an array as lists of numbers."""
    value = value.value if isinstance(value, ac.Tensor) else value
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_line_here_runs_and_gives_what_is_told(page):
    space, told, run_lines = {"ac": ac, "np": np, "optim": optim}, 0, 0
    for table in tables(page.read_text(encoding="utf-8")):
        for _, here, gives in table:
            found = plain(run(here, space))
            run_lines += 1
            if gives:
                told += 1
                assert found == ast.literal_eval(gives), here
    assert run_lines >= 20 and told >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_line_there_is_python(page):
    """The left column of a table whose heading names a library is code; a question's is words."""
    text = page.read_text(encoding="utf-8")
    for table in tables(text):
        for there, _, _ in table:
            if f"`{there}`" in text:
                ast.parse(there)


def test_numpys_column_gives_the_same():
    space, found = {"np": np}, 0
    table, *_ = tables((ROOT / "docs" / "coming_from" / "numpy.md").read_text(encoding="utf-8"))
    for there, _, gives in table:
        value = plain(run(there, space))
        if gives:
            found += 1
            np.testing.assert_allclose(value, ast.literal_eval(gives), rtol=1e-12)
    assert found >= 15


def test_names_in_words_are_there():
    """What the other tables name as ``ac.name`` exists."""
    for page in PAGES:
        for name in re.findall(r"\bac\.(\w+)", page.read_text(encoding="utf-8")):
            assert hasattr(ac, name), f"{page.name}: ac.{name}"
