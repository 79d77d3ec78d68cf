"""The house: every file imports only from those below it, in the order of the README's map."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "autoconv"
FLOORS = [
    "files", "shapes", "arrays", "hooks", "tape", "primitives", "backward", "transforms", "functional", "gradcheck", "scalar", "views", "tutor", "plan", "nn", "optim",
    "datasets", "models", "data", "checkpoint", "train", "demo", "__init__", "cli", "__main__",
]  # fmt: skip
PLAN = [
    "_machine",
    "record",
    "rewrite",
    "lower",
    "assemble",
    "run",
    "report",
    "call",
    "arguments",
    "entry",
    "scalars",
    "compiled",
    "__init__",
]


def floor(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return FLOORS.index(parts[0])


def imported(path):
    """The parts of the package that a file imports, anywhere in it."""
    here = path.relative_to(PACKAGE.parent).with_suffix("").parts
    package = here[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            targets = (
                [(*base, *node.module.split("."))] if node.module else [(*base, alias.name) for alias in node.names]
            )
        elif isinstance(node, ast.ImportFrom):
            targets = [tuple(node.module.split("."))]
        elif isinstance(node, ast.Import):
            targets = [tuple(alias.name.split(".")) for alias in node.names]
        else:
            continue
        yield from (t for t in targets if t[0] == "autoconv")


def test_imports_point_down():
    for path in PACKAGE.rglob("*.py"):
        for target in imported(path):
            where = FLOORS.index(target[1] if len(target) > 1 and target[1] in FLOORS else "__init__")
            assert where <= floor(path), f"{path.name} imports {'.'.join(target)}, which stands above it"


def test_imports_of_the_plan_point_down():
    for path in (PACKAGE / "plan").rglob("*.py"):
        own = PLAN.index(path.relative_to(PACKAGE / "plan").with_suffix("").parts[0])
        for target in imported(path):
            if target[:2] == ("autoconv", "plan"):
                below = PLAN.index(target[2] if len(target) > 2 else "__init__")
                assert below <= own, f"{path.name} imports {'.'.join(target)}, which stands above it"


def test_import_needs_no_more_than_numpy():
    """tqdm, graphviz and safetensors are imported by what uses them, not by ``import autoconv``."""
    code = "import sys, autoconv; print(sorted({'tqdm', 'graphviz', 'safetensors', 'autoconv.nn', 'autoconv.views'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
