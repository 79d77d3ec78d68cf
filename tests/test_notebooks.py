"""Every lesson runs from top to bottom, and its committed outputs are those of the run."""

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="lessons are read by nbformat: pip install nbformat")
nbclient = pytest.importorskip("nbclient", reason="lessons are run by nbclient: pip install nbclient ipykernel")

LESSONS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:e[-+]?\d+)?")


def outputs(notebook):
    """The printed and plain-text outputs of each code cell: the words between the numbers, and the numbers."""
    texts = [
        "".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    words = [" ".join(NUMBER.sub(" # ", text).split()) for text in texts]
    return words, [float(number) for text in texts for number in NUMBER.findall(text)]


def test_there_are_lessons():
    assert [lesson.name[:3] for lesson in LESSONS] == [f"{i:02d}_" for i in range(1, len(LESSONS) + 1)] != []


@pytest.mark.quick(0)
@pytest.mark.filterwarnings("ignore")  # what the notebook machinery warns of is not ours
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_lesson_runs_and_shows_what_is_committed(lesson):
    notebook = nbformat.read(lesson, as_version=4)
    committed_words, committed_numbers = outputs(notebook)
    assert any(committed_words)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(lesson.parent)}}
    ).execute()
    words, numbers = outputs(notebook)
    assert words == committed_words
    assert numbers == pytest.approx(committed_numbers, rel=1e-3, abs=1e-9)  # other processors round otherwise
    pictures = [o for cell in notebook.cells for o in cell.get("outputs", []) if "image/svg+xml" in o.get("data", {})]
    assert pictures


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_has_one_first_heading(path):
    """A page of the site, and a screen reader, begin with it."""
    cells = [cell["source"] for cell in nbformat.read(path, 4).cells if cell["cell_type"] == "markdown"]
    lines = [line for source in cells for line in source.split("\n")]
    assert [line for line in lines if line.startswith("# ")] == lines[:1]
