"""The house: every file imports only from those below it, in the order of the README's map, and there is no circle.

Imports under ``if TYPE_CHECKING`` say what a type checker reads and do not count; imports inside a function do.
"""

import ast
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "autoconv"
# from the ground up; a folder is one floor, and has floors of its own where it is listed below
FLOORS = [
    "renamed", "shapes", "files", "npy", "weights", "arrays", "operands", "hooks", "asking", "declared", "tape",
    "leaving", "dlpack", "tree", "rows", "primitives", "row_pages", "backward", "transforms", "functional", "linalg",
    "array_api", "gradcheck", "scalar", "program", "render", "views", "tutor", "marking", "exercises", "plan",
    "xla", "compiled", "nn", "optim", "saving", "models", "datasets", "data", "checkpoint", "train", "interop",
    "comparing", "demo", "__init__", "cli", "__main__",
]  # fmt: skip
INSIDE = {
    "weights": ["unpickling", "torch_file", "safetensors_file", "source", "matching", "__init__"],
    "views": [
        "lines", "layers", "element", "window_geometry", "graph", "measures", "live", "stepper", "equations",
        "__init__",
    ],
    "tutor": [
        "verdict", "run", "claim", "bank", "search", "conventions", "evidence", "answers",
        "certificate", "breaking", "check", "__init__",
    ],
    "marking": [
        "layer", "geometries", "variants", "courses", "families", "verdict", "truth", "relations", "fed", "terms",
        "passes", "measured", "naming", "asking", "autograd_function", "repair", "budget", "mending", "judge",
        "described", "check_backward", "check_op", "scratch", "apart", "worker", "report", "__init__",
    ],
    "exercises": [
        "sheet", "run", "nice", "given", "equations", "gradients", "picture", "marking", "key", "sealed", "paper",
        "page",
        "making", "__init__",
    ],
    "program": ["program", "record", "rewrite", "slope_of_result", "numpy_run", "__init__"],
    "plan": [
        "native", "extension", "spacing", "once", "instructions", "contractions", "channelwise", "kernel", "rewrite",
        "lower",
        "assemble",
        "run", "__init__",
    ],
    "xla": [
        "library", "column", "patterns", "tournaments", "lower", "placement", "mesh", "resident", "attributes",
        "optimizer_step", "run", "function", "export", "hosts", "team", "__init__",
    ],
    "data": ["dataset", "scaled", "idx", "npz", "cifar", "table", "pictures", "load", "batches", "held", "__init__"],
    "interop": ["graph", "storage", "imported", "places", "aten", "torch_export", "lax", "jaxpr", "onnx", "__init__"],
    "comparing": [
        "saved", "side", "matching", "site", "numbers", "contractions", "pooling", "functions", "conventions",
        "result", "slopes", "statistics", "compare", "__init__",
    ],
    "array_api": [
        "common", "dtypes", "elementwise", "creation", "manipulation", "elements", "reductions", "namespace",
        "__init__",
    ],
    "compiled": ["arguments", "replay", "scalars", "function", "__init__"],
}  # fmt: skip


COMPILED = {"_calls", "_machine", "_native"}  # modules that are no files here; they import nothing of the package


def name_of(path):
    parts = ("autoconv", *path.relative_to(PACKAGE).with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def statements(node):
    """All statements below a node, but for those that are there for types only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            types_only = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            yield child
            yield from statements(ast.Module(child.orelse, []) if types_only else child)


def imported(name):
    """{a file of the package that a file imports anywhere but under ``if TYPE_CHECKING``: the first line that does}."""
    path = FILES[name]
    package = name if path.name == "__init__.py" else name[:-1]
    lines = {}
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if {alias.name for alias in node.names} <= COMPILED:
                continue
            base = package[: len(package) - node.level + 1] if node.level else ()
            base = (*base, *(node.module.split(".") if node.module else ()))
            targets = [(*base, alias.name) if (*base, alias.name) in FILES else base for alias in node.names]
        elif isinstance(node, ast.Import):
            targets = [tuple(alias.name.split(".")) for alias in node.names]
        else:
            continue
        for target in targets:
            if target in FILES and target != name:
                lines.setdefault(target, node.lineno)
    return lines


@cache
def imports():
    """{file: what it imports}, of all files."""
    return {name: imported(name) for name in FILES}


def said(name, target):
    """The import as an editor opens it: file:line imports module."""
    return f"{FILES[name].relative_to(ROOT)}:{imports()[name][target]} imports {'.'.join(target)}"


def floor(name, floors, depth):
    """Which floor a file stands on; the room's own ``__init__`` where the name is the room itself."""
    here = name[depth] if len(name) > depth else "__init__"
    assert here in floors, f"{FILES[name].relative_to(ROOT)} stands on no floor: add {here!r} to the list in {__name__}"
    return floors.index(here)


def upward(floors, depth, room=None):
    """The imports that point up, each as a line of text; of one room, or between all."""
    return [
        f"{said(name, target)}, but {target[depth] if len(target) > depth else 'the room itself'} stands above"
        for name, targets in imports().items()
        for target in targets
        if room is None or name[1:2] == target[1:2] == (room,)
        if floor(target, floors, depth) > floor(name, floors, depth)
    ]


HELP = "move what is needed down, hand it over as an argument, or import it under TYPE_CHECKING if only types need it"


def test_imports_point_down():
    found = upward(FLOORS, 1)
    assert not found, "\n".join([*found, HELP])


@pytest.mark.parametrize("room", INSIDE)
def test_imports_inside_a_room_point_down(room):
    found = upward(INSIDE[room], 2, room)
    assert not found, "\n".join([*found, HELP])


def circle(left):
    """A shortest way from a file to itself along imports, as names; ``left`` holds files that import each other."""
    ways = []
    for start in left:
        before, queue = {}, [start]
        for name in queue:
            for target in imports()[name]:
                if target in left and target not in before:
                    before[target] = name
                    queue.append(target)
        if start in before:
            way = [start]
            while len(way) == 1 or way[-1] != start:
                way.append(before[way[-1]])
            ways.append(way[::-1])
    return min(ways, key=len)


def test_there_is_no_circle():
    """File by file: take away what imports nothing that is left, until nothing is left."""
    left = set(FILES)
    while free := {name for name in left if not imports()[name].keys() & left}:
        left -= free
    if left:
        way = circle(left)
        steps = [said(name, target) for name, target in pairwise(way)]
        pytest.fail("\n".join(["a circle of imports:", *steps, HELP]))


def test_the_readme_maps_the_floors_in_their_order():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## A map of the folders")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    mapped = [Path(name).stem for cell in cells for name in re.findall(r"`(?:autoconv/)?([\w.]+)/?`", cell)]
    rooms = [name for name in FLOORS if not name.startswith("__")]
    assert [name for name in mapped if not (ROOT / name).is_dir()] == rooms, (
        "the README's map and FLOORS name the same rooms in the same order"
    )


def test_import_needs_no_more_than_numpy(run_python):
    """tqdm, graphviz and safetensors are imported by what uses them, not by ``import autoconv``."""
    later = {"tqdm", "graphviz", "safetensors", "autoconv.nn", "autoconv.views"}
    assert run_python("-c", f"import sys, autoconv; print(sorted({later} & set(sys.modules)))").strip() == "[]"
