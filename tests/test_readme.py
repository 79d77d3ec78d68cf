"""The README is true: its code runs, its commands exist, its map names what is there,
its picture is the one the code draws."""

import linecache
import re
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.S)


@pytest.mark.dear
def test_blocks_run_in_order_and_answer_what_is_shown(tmp_path, monkeypatch, capsys):
    """Python blocks run; a text block is a question, ``>>> ...``, and the answer to it."""
    monkeypatch.chdir(tmp_path)
    space = {}
    for k, code in enumerate(text for kind, text in BLOCKS if kind == "python"):
        name = f"<block {k} of the README>"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)  # as a notebook keeps a cell
        exec(compile(code, name, "exec"), space)
    assert "Tape of" in capsys.readouterr().out
    for written in ("example.svg", "walk.html", "sheet.ipynb", "sheet.key.json"):
        assert (tmp_path / written).stat().st_size > 100
    for block in (text for kind, text in BLOCKS if kind == "text"):
        question, _, answer = block.partition("\n")
        assert question.startswith(">>> ")
        assert repr(eval(question[4:], space, space)).strip() == answer.strip()


def test_pictures_are_what_the_code_draws():
    """docs/*.svg are those of docs/pictures.py, in autoconv's own layout (which needs no dot program)."""
    drawn = runpy.run_path(str(ROOT / "docs" / "pictures.py"))["draw"]()
    for name, svg in drawn.items():
        assert svg == (ROOT / "docs" / f"{name}.svg").read_text(encoding="utf-8"), name


COMMANDS = [
    line.split("#")[0].strip() for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line.strip()
]


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
@pytest.mark.parametrize("line", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_exist(line):
    """A dry run: the targets themselves are what is running now, and test_demo.py."""
    done = subprocess.run([*shlex.split(line), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.quick(0)
def test_autoconv_commands_run(tmp_path, run_python):
    commands = [c for c in COMMANDS if c.startswith("autoconv ")]
    assert len(commands) >= 3
    for line in commands:
        run_python("-m", *shlex.split(line), cwd=tmp_path)


def test_every_command_is_covered():
    assert all(c.startswith(("make ", "autoconv ")) for c in COMMANDS)
    assert {kind for kind, _ in BLOCKS} == {"python", "sh", "text"}


def test_the_way_of_a_gradient_names_what_is_there():
    """CONTRIBUTING's eight steps: each file is there, and each name that follows it is defined in it."""
    text = (
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("gets its gradient\n")[2].partition("\n## ")[0]
    )
    steps = re.findall(r"(?m)^\d\. `([\w/]+\.py)`((?:, `\w+`)+)", text)
    assert len(steps) == 8
    for file, names in steps:
        source = (ROOT / "autoconv" / file).read_text(encoding="utf-8")
        for name in re.findall(r"\w+", names):
            assert re.search(rf"(?m)^(?:def {name}\(|class {name}\b|{name} *=)", source), f"{name} in {file}"


def test_the_map_and_links_name_what_is_there():
    table = README.partition("## A map of the folders")[2].partition("\n## ")[0]
    named = [
        n for row in table.splitlines() if row.startswith("| `") for n in re.findall(r"`([\w./]+)`", row.split("|")[1])
    ]
    places = [
        n if n.startswith(("autoconv/", "notebooks", "tests", "benchmarks", "docs")) else f"autoconv/{n}" for n in named
    ]
    assert not [p for p in places if not (ROOT / p).exists()]
    parts = {p.name for p in (ROOT / "autoconv").iterdir() if p.suffix == ".py" or p.is_dir()} - {
        "__init__.py",
        "__main__.py",
        "__pycache__",
    }
    assert not {part for part in parts if not any(p.rstrip("/").endswith("/" + part) for p in places)}
    for link in [*re.findall(r"\]\((?!http)([^)#]+)\)", README), *re.findall(r'src="([^"]+)"', README)]:
        assert (ROOT / link).exists(), link
