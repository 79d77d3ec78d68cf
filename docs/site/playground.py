"""The playground: JupyterLite with autoconv's wheel and the lessons inside, and what the page of derivations runs on.

Python in the browser is Pyodide.  Its runtime, and NumPy for it, come from their public address when such a page is
opened; autoconv's wheel is the site's own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from jupyterlite_pyodide_kernel.constants import PYODIDE_CDN_URL

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
INSTALL = "%pip install -q autoconv  # the playground's own copy; in Python on your machine this cell is not needed"
FIRST = """import autoconv as ac

x = ac.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]], name="x")
w = ac.tensor([[1.0, -1.0], [0.5, 2.0]], name="w")
y = ac.sum(ac.conv2d(x, w) ** 2)
y.backward()
ac.explain(w[0, 0], of=y)"""


def code(text: str, name: str) -> dict[str, object]:
    lines = text.splitlines(keepends=True)
    return {"cell_type": "code", "execution_count": None, "id": name, "metadata": {}, "outputs": [], "source": lines}


def contents(folder: Path) -> None:
    """The notebooks that the playground opens: an empty one, and the lessons with a cell that installs it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kernel = {"kernelspec": {"display_name": "Python (Pyodide)", "language": "python", "name": "python"}}
    for lesson in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = json.loads(lesson.read_text(encoding="utf-8"))
        notebook["cells"].insert(1, code(INSTALL, "install"))
        notebook["metadata"] |= kernel
        (folder / lesson.name).write_text(json.dumps(notebook), encoding="utf-8")
    start = {
        "cells": [code(INSTALL, "install"), code(FIRST, "first")],
        "metadata": kernel,
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / "start.ipynb").write_text(json.dumps(start), encoding="utf-8")


def write_runtime(extra: Path, wheel: Path) -> None:
    """The wheel, and where the runtime is, for the page of derivations."""
    (extra / "wheel").mkdir(parents=True)
    shutil.copy(wheel, extra / "wheel")
    told = {"runtime": f"{PYODIDE_CDN_URL}/", "wheel": f"wheel/{wheel.name}"}
    (extra / "runtime.json").write_text(json.dumps(told), encoding="utf-8")


def build(html: Path, wheel: Path, work: Path) -> None:
    """JupyterLite in ``html``."""
    shutil.rmtree(work, ignore_errors=True)
    contents(work / "contents")
    command = [sys.executable, "-m", "jupyterlite_core", "build", "--lite-dir", str(work), "--output-dir", str(html)]
    command += ["--contents", str(work / "contents"), "--piplite-wheels", str(wheel), "--no-sourcemaps"]
    command += ["--apps", "lab", "--apps", "notebooks", "--settings-overrides"]
    overrides = work / "overrides.json"
    overrides.write_text(
        json.dumps({"@jupyterlab/apputils-extension:themes": {"adaptive-theme": True}}), encoding="utf-8"
    )
    done = subprocess.run([*command, str(overrides)], cwd=work, env=os.environ, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the playground was not built:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
