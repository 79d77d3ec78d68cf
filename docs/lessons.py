"""Run the lessons and keep their outputs: python docs/lessons.py [notebook ...]

A lesson's outputs are committed, so that it reads well where no code runs; tests/test_notebooks.py compares them with
those of a fresh run.  Needs what ``pip install autoconv[test]`` brings.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

LESSONS = Path(__file__).parent.parent / "notebooks"
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def run(lesson: Path) -> None:
    """Execute one notebook from top to bottom and write it back, without times,
    counters of earlier runs or machine names."""
    notebook = nbformat.read(lesson, as_version=4)
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(lesson.parent)}},
    ).execute()
    notebook.metadata = nbformat.from_dict(KERNEL)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell.metadata.pop("execution", None)
    nbformat.write(notebook, lesson)


if __name__ == "__main__":
    for lesson in map(Path, sys.argv[1:]) if sys.argv[1:] else sorted(LESSONS.glob("*.ipynb")):
        run(lesson)
        print(f"{lesson.name}: {lesson.stat().st_size // 1000} kB")
