"""The house: every file imports only from those below it, in the order of the README's map, and there is no circle.

Imports under ``if TYPE_CHECKING`` say what a type checker reads and do not count; imports inside a function do.
"""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "autoconv"
# from the ground up; a folder is one floor, and has floors of its own where it is listed below
FLOORS = [
    "files", "npy", "shapes", "arrays", "hooks", "tape", "tree", "primitives", "backward", "transforms", "functional", "gradcheck",
    "scalar", "render", "views", "tutor", "exercises", "program", "plan", "nn", "optim", "datasets", "models", "data", "checkpoint",
    "train", "demo", "__init__", "cli", "__main__",
]  # fmt: skip
INSIDE = {
    "program": ["program", "record", "rewrite", "__init__"],
    "plan": ["lower", "assemble", "run", "report", "call", "arguments", "entry", "scalars", "compiled", "__init__"],
}


def name_of(path):
    parts = ("autoconv", *path.relative_to(PACKAGE).with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(name):
    """The files of the package that a file imports, anywhere in it but under ``if TYPE_CHECKING``."""
    path = FILES[name]
    package = name if path.name == "__init__.py" else name[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base = (*base, *(node.module.split(".") if node.module else ()))
            targets = [(*base, alias.name) if (*base, alias.name) in FILES else base for alias in node.names]
        elif isinstance(node, ast.Import):
            targets = [tuple(alias.name.split(".")) for alias in node.names]
        else:
            continue
        yield from (target for target in targets if target in FILES and target != name)


def floor(name, floors, depth):
    return floors.index(name[depth] if len(name) > depth else "__init__")


def test_imports_point_down():
    for name in FILES:
        for target in imported(name):
            assert floor(target, FLOORS, 1) <= floor(name, FLOORS, 1), f"{name} imports {target}, which stands above it"


def test_imports_inside_a_room_point_down():
    for room, floors in INSIDE.items():
        for name in FILES:
            for target in imported(name):
                if name[1:2] == target[1:2] == (room,):
                    below, own = floor(target, floors, 2), floor(name, floors, 2)
                    assert below <= own, f"{name} imports {target}, which stands above it"


def test_there_is_no_circle():
    """File by file: take away what imports nothing that is left, until nothing is left."""
    left = {name: set(imported(name)) for name in FILES}
    while True:
        free = {name for name, targets in left.items() if not targets & left.keys()}
        if not free:
            break
        left = {name: targets for name, targets in left.items() if name not in free}
    assert not left, f"files that import each other, or stand on those: {sorted('.'.join(name) for name in left)}"


def test_import_needs_no_more_than_numpy():
    """tqdm, graphviz and safetensors are imported by what uses them, not by ``import autoconv``."""
    code = "import sys, autoconv; print(sorted({'tqdm', 'graphviz', 'safetensors', 'autoconv.nn', 'autoconv.views'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
