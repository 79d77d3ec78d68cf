"""The front door: the names that are there, what help and a type checker see of them, and the old spellings."""

import ast
import builtins
import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv import functional, nn, primitives, row_pages
from autoconv.renamed import renamed
from autoconv.tape import Primitive, Tensor

ROOT = Path(__file__).parent.parent


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout.strip()


# ---- names


def test_there_is_one_conv2d():
    """The one of a course is that course's: its argument names, made of this one."""
    found = [
        path
        for path in (ROOT / "autoconv").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("def conv2d(") and path.parent.name != "courses"
    ]
    assert [path.name for path in found] == ["conv.py"]


OPERATIONS = [
    f"{kind}{d}d" for kind in ("conv", "conv_transpose", "max_pool", "avg_pool", "lp_pool") for d in (1, 2, 3)
]
LAYERS = [f"{kind}{d}d" for kind in ("Conv", "ConvTranspose", "MaxPool", "AvgPool", "BatchNorm") for d in (1, 2, 3)]


@pytest.mark.parametrize("name", OPERATIONS + LAYERS)
def test_each_is_written_out(name):
    """Where ``inspect`` and ``grep`` look, there is a def or class of that name with a docstring written there."""
    thing = getattr(functional, name) if name in OPERATIONS else getattr(nn, name)
    source = inspect.getsource(thing)
    assert re.search(rf"^(def|class) {name}\(", source, re.M)
    node = ast.parse(source).body[0]
    assert ast.get_docstring(node) == inspect.getdoc(thing)


def test_dir_has_what_is_there_and_nothing_else():
    names = set(dir(ac))
    assert {"graph", "check", "explain", "step", "compile", "nn", "optim", "train", "data", "exp", "sum"} <= names
    assert not names & {"Any", "annotations", "import_module", "methods", "arrays", "hooks", "np", "TYPE_CHECKING"}
    assert all(hasattr(ac, name) for name in names)


@pytest.mark.parametrize("module", [ac, functional, nn.functional])
def test_star_brings_no_builtin(module):
    assert not [name for name in module.__all__ if hasattr(builtins, name)]
    assert {"conv2d", "exp", "maximum"} <= set(module.__all__)
    assert {"sum", "abs", "max", "min"} <= set(dir(module))
    space = {}
    exec(f"from {module.__name__} import *", space)
    assert set(module.__all__) <= space.keys()


def test_lazy_names_are_those_that_the_type_checker_sees():
    tree = ast.parse((ROOT / "autoconv" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    declared = {alias.asname: node for node in block.body for alias in node.names}
    rooms = {name: f".{'.'.join(filter(None, [node.module, name]))}" for name, node in declared.items()}
    modules = {name: rooms[name] for name in declared if name in ac._LAZY_MODULES}
    assert modules == {name: f".{name}" for name in ac._LAZY_MODULES}
    assert {name: f".{node.module}" for name, node in declared.items() if name not in modules} == ac._LAZY


def test_eager_names_are_listed():
    """Whatever ``import autoconv`` binds without an underscore is in dir, or is a room of the package."""
    code = (
        "import sys, types, autoconv as ac; print([n for n, v in vars(ac).items() if n[0] != '_' and n not in dir(ac)])"
    )
    rooms = {path.stem for path in (ROOT / "autoconv").glob("*") if path.suffix in ("", ".py")}
    assert set(ast.literal_eval(run(code))) <= rooms | {"TYPE_CHECKING"}


def test_backward_is_the_function():
    code = "import autoconv as ac, autoconv.backward; print(callable(ac.backward), callable(autoconv.backward))"
    assert run(code) == "True True"


@pytest.mark.parametrize(
    "line",
    [
        "from autoconv.nn import functional as F",
        "import autoconv.nn.functional as F",
        "import autoconv.functional as F",
        "from autoconv import functional as F",
    ],
)
def test_functional_by_its_names(line):
    code = f"{line}\nprint(F.relu([-1.0, 2.0]), F.exp([0.0]), F.sum([1.0, 2.0]), callable(F.cross_entropy))"
    assert run(code) == "[0. 2.] [1.] 3.0 True"


@pytest.mark.dear
def test_import_is_cheap():
    code = "import numpy, sys; before = set(sys.modules); import autoconv; print(sorted(sys.modules.keys() - before))"
    extra = [name for name in ast.literal_eval(run(code)) if not name.startswith("autoconv")]
    assert not {"inspect", "ast", "linecache", "tqdm", "graphviz", "safetensors"} & set(extra)
    assert "autoconv.row_pages" not in ast.literal_eval(run(code))


# ---- Tensor's declared methods


def declared():
    """name -> its declaration, each once."""
    tree = ast.parse((ROOT / "autoconv" / "declared.py").read_text(encoding="utf-8"))
    (cls,) = [n for n in tree.body if isinstance(n, ast.ClassDef)]
    (block,) = [n for n in cls.body if isinstance(n, ast.If)]
    nodes = [n for n in block.body if isinstance(n, ast.FunctionDef)]
    several = [n.name for n in nodes if not any(isinstance(d, ast.Attribute) for d in n.decorator_list)]  # no setters
    assert len(several) == len(set(several))
    return {node.name: node for node in nodes}


def bound():
    """Names that are on Tensor at run time and not written in its class."""
    tree = ast.parse((ROOT / "autoconv" / "tape.py").read_text(encoding="utf-8"))
    written = {
        n.name
        for c in tree.body
        if isinstance(c, ast.ClassDef) and c.name == "Tensor"
        for n in c.body
        if isinstance(n, ast.FunctionDef)
    }
    return {
        name
        for name, value in vars(Tensor).items()
        if name not in written and (callable(value) or isinstance(value, property))
    }


def test_tensor_declares_what_is_bound():
    protocols = {"__array_ufunc__", "__array_function__", "__setitem__", "__hash__"}  # NumPy's, and one that refuses
    new_rows = {row.name for row in ac.TABLE.values() if row.function} - declared().keys()  # methods by themselves
    assert declared().keys() == bound() - protocols - new_rows
    assert not new_rows & {"exp", "log", "expm1", "log1p", "sqrt", "tanh", "sin", "cos", "erf"}


METHODS = sorted(n for n in declared() if not n.startswith("__") and not isinstance(vars(Tensor)[n], property))


@pytest.mark.parametrize("name", METHODS)
def test_tensor_declares_the_signature(name):
    node = declared()[name].args
    method = getattr(Tensor, name)
    given = list(inspect.signature(method).parameters.values())[1:]
    written = [a.arg for a in node.args[1:]] + ([node.vararg.arg] if node.vararg else [])
    written += [a.arg for a in node.kwonlyargs] + ([node.kwarg.arg] if node.kwarg else [])
    assert written == [p.name for p in given if p.name != "row"]
    defaults = [ast.literal_eval(d) for d in [*node.defaults, *filter(None, node.kw_defaults)]]
    assert defaults == [p.default for p in given if p.default is not p.empty and p.name != "row"]


# ---- pages of the rows


@pytest.mark.parametrize("row", ac.TABLE.values(), ids=ac.TABLE)
def test_help_of_a_row_is_its_own_page(row):
    shown = pydoc.render_doc(row, renderer=pydoc.plaintext)
    assert f"{row.name}(" in shown
    assert "Derivative" in shown
    assert ">>> ac." in shown
    assert Primitive.__doc__ not in shown
    assert row.__name__ == row.name
    operands, params = row.example(np.random.default_rng(0))
    inspect.signature(row).bind(*operands, **params)


def test_pages_say_rule_and_kink():
    assert "a: g * y" in ac.exp.__doc__
    assert "b: -(g * y) / b" in ac.div.__doc__
    assert "Kink at 0: slope_at_zero: 0" in ac.abs.__doc__
    assert 'Kink at a tie: ties="split"' in ac.minimum.__doc__
    assert Primitive.__doc__.startswith("A row of the table.")


def test_a_new_row_needs_nothing_else(monkeypatch):
    """One call of ``arithmetic``: in ``ac``, in ``functional``, in ``__all__``, in NumPy's dispatch, with a page."""
    code = (
        "import numpy as np\n"
        "from autoconv import primitives as p\n"
        "p.cbrt = p._arithmetic('cbrt', np.cbrt, (lambda g, y, a: g / (3 * y * y),), r'\\sqrt[3]{{{0}}}', low=0.5)\n"
        "import importlib, sys\n"
        "for name in [n for n in sys.modules if n == 'autoconv' or n.startswith('autoconv.functional')]: del "
        "sys.modules[name]\n"
        "import autoconv as ac, autoconv.functional as F\n"
        "x = ac.tensor([8.0]); y = np.cbrt(x); y.backward()\n"
        "print(ac.cbrt([27.0]), F.cbrt is ac.cbrt, 'cbrt' in ac.__all__, 'cbrt' in dir(ac), x.grad.round(4), "
        "ac.cbrt.__doc__.splitlines()[0])"
    )
    assert run(code) == "[3.] True True True [0.0833] cbrt(a): the row 'cbrt' of the table."


# ---- a type checker


@pytest.mark.dear
def test_mypy_sees_the_front_door(tmp_path):
    """The lines of tests/typing/front_door.py that are refused are those marked so, and no others."""
    pytest.importorskip("mypy", reason="the type checker is not installed: pip install mypy")
    path = ROOT / "tests" / "typing" / "front_door.py"
    expected = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if mark := re.search(r"  # E: ([\w-]+)$", line):
            expected[number] = mark[1]
    command = [
        sys.executable, "-m", "mypy", "--config-file", str(ROOT / "setup.cfg"), "--python-version", "3.11",
        "--cache-dir", str(tmp_path), str(path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    found = {int(m[1]): m[2] for m in re.finditer(r"front_door\.py:(\d+): error: .*\[(\S+)\]$", done.stdout, re.M)}
    assert found == expected, done.stdout
    assert len(re.findall(": error: ", done.stdout)) == len(expected), done.stdout


# ---- old spellings


x = np.ones((1, 4, 4, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (lambda: ac.max_pool2d(x, window=2), lambda: ac.max_pool2d(x, kernel_size=2)),
        (lambda: ac.avg_pool2d(x, window=2), lambda: ac.avg_pool2d(x, kernel_size=2)),
        (lambda: ac.lp_pool2d(x, window=2), lambda: ac.lp_pool2d(x, kernel_size=2)),
        (lambda: nn.MaxPool2d(window=2)(x), lambda: nn.MaxPool2d(kernel_size=2)(x)),
        (lambda: gradient(seed=[1.0, 2.0]), lambda: gradient(cotangent=[1.0, 2.0])),
        (lambda: swept(seed=[1.0, 2.0]), lambda: swept(cotangent=[1.0, 2.0])),
        (lambda: stepped(seed=[1.0, 2.0]), lambda: stepped(cotangent=[1.0, 2.0])),
    ],
    ids=["max_pool2d", "avg_pool2d", "lp_pool2d", "MaxPool2d", "backward", "sweep", "step"],
)
def test_old_keywords_work_with_a_warning(old, new):
    with pytest.warns(DeprecationWarning, match="is now called"):
        result = old()
    np.testing.assert_array_equal(np.asarray(result), np.asarray(new()))


def gradient(**how):
    t = ac.tensor([1.0, 2.0])
    (t * t).backward(**how)
    return t.grad


def swept(**how):
    t = ac.tensor([1.0, 2.0])
    return ac.sweep(t * t, [t], **how)[0]


def stepped(**how):
    t = ac.tensor([1.0, 2.0])
    return next(event.after for event in ac.step(t * t, **how) if event.kind == "seed")


def test_renamed_keeps_signature_and_refuses_both():
    @renamed(old="new")
    def f(new, other=1):
        return new + other

    assert str(inspect.signature(f)) == "(new, other=1)"
    assert f(2, other=3) == f(new=2, other=3) == 5
    with pytest.raises(TypeError, match="old name of new="):
        f(old=1, new=2)


def test_composed_keeps_signature_and_types():
    signature = inspect.signature(ac.conv2d)
    assert list(signature.parameters)[:5] == ["x", "kernel", "bias", "stride", "padding"]
    assert signature.return_annotation == "Tensor"


def test_settings_in_pytorchs_order():
    assert nn.Conv2d(1, 32, 3, 1).stride == (1, 1)
    assert nn.Conv2d(4, 8, 3, 2, 1, 2, 4, False).groups == 4
    assert nn.ConvTranspose2d(8, 4, 3, 2, 1, 1, 2, False, 1).output_padding == 1
    assert nn.MaxPool2d(3, 2, 1).stride == (2, 2)
    assert nn.AvgPool2d(3, 2, 1, True, False).settings["count_include_pad"] is False
    assert nn.BatchNorm1d(3, 1e-3, 0.2, False).weight is None
    assert nn.LayerNorm(3, 1e-3, False).weight is None
    np.testing.assert_array_equal(ac.max_pool2d(x, 2, 1), ac.max_pool2d(x, 2, stride=1))
    assert primitives.TABLE is ac.TABLE
    assert row_pages.page(ac.exp) == ac.exp.__doc__
