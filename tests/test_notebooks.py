"""Every lesson runs from top to bottom, and its committed outputs are those of the run."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

LESSONS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def texts(notebook):
    """The printed and plain-text outputs of each code cell."""
    return [
        "".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_there_are_lessons():
    assert [lesson.name[:3] for lesson in LESSONS] == [f"{i:02d}_" for i in range(1, len(LESSONS) + 1)] != []


@pytest.mark.filterwarnings("ignore")  # what the notebook machinery warns of is not ours
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_lesson_runs_and_shows_what_is_committed(lesson):
    notebook = nbformat.read(lesson, as_version=4)
    committed = texts(notebook)
    assert any(committed)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(lesson.parent)}}
    ).execute()
    assert texts(notebook) == committed
    pictures = [o for cell in notebook.cells for o in cell.get("outputs", []) if "image/svg+xml" in o.get("data", {})]
    assert pictures
