"""What is published: an sdist whose tests run, and a wheel for every system where nothing is compiled."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac

ROOT = Path(__file__).parent.parent
URL = "https://example.org/autoconv"
WITHOUT_COMPILER = {"CC": "/bin/false", "AUTOCONV_URL": URL}


def files_of_the_tree():
    """What belongs to the project: what git knows or would, or in an unpacked sdist all there is."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    git = (ROOT / ".git").exists() and shutil.which("git")
    names = subprocess.check_output(listed, cwd=ROOT, text=True).split("\0") if git else []
    found = [Path(name) for name in names if name] or [path.relative_to(ROOT) for path in ROOT.rglob("*")]
    made = {"__pycache__", "build", "dist", "autoconv-demo"}  # by make, by Python and by the build
    return [
        path
        for path in found
        if (ROOT / path).is_file()
        and not made & set(path.parts)
        and not any(part.startswith(".") or part.endswith(".egg-info") for part in path.parts)
        and path.suffix not in (".so", ".pyc", ".pyd")
        and path.name != "PKG-INFO"
    ]


def build(kind, source, folder, **variables):
    """(the file that setuptools makes of ``source``, what it said); kind is sdist or wheel."""
    folder.mkdir()
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(folder)!r})"
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, env=environment | variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (made,) = folder.iterdir()
    return made, done.stdout + done.stderr


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """(folder of the unpacked sdist, the wheel built from it without a compiler, what was said of each)."""
    pytest.importorskip(
        "setuptools.command.bdist_wheel", reason="building packages needs setuptools 70.1: pip install setuptools"
    )
    place = tmp_path_factory.mktemp("published")
    for path in files_of_the_tree():
        (place / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, place / "tree" / path)
    sdist, of_sdist = build("sdist", place / "tree", place / "sdist", **WITHOUT_COMPILER)
    with tarfile.open(sdist) as archive:
        archive.extractall(place)
    unpacked = place / sdist.name.removesuffix(".tar.gz")
    wheel, of_wheel = build("wheel", unpacked, place / "wheel", **WITHOUT_COMPILER)
    return unpacked, wheel, of_sdist, of_wheel


@pytest.mark.quick(0)
def test_the_sdist_is_the_whole_tree(published):
    unpacked, _, said, _ = published
    assert not [str(path) for path in files_of_the_tree() if not (unpacked / path).is_file()]
    assert not re.findall("(?i).*(?:warning|deprecat|absent).*", said)


@pytest.mark.quick(0)
def test_tests_run_from_the_sdist(published):
    """Some of each kind: they need the README, helpers, packs, notebooks, benchmarks and the Makefile."""
    unpacked = published[0]
    some = [
        "imports",
        "readme",
        "oracles",
        "table",
        "tutor_by_hand",
        "lesson_03",
        "benchmarks",
        "notebooks",
        "packaging",
        "plan_cooperative",
    ]
    command = [sys.executable, "-m", "pytest", "--quick", "-p", "no:cacheprovider"]
    command += [f"tests/test_{name}.py" for name in some]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(command, cwd=unpacked, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.quick(0)
def test_a_wheel_without_compiled_parts_is_for_every_system(published):
    _, wheel, _, said = published
    assert wheel.name == f"autoconv-{ac.__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {path.as_posix() for path in files_of_the_tree() if path.parts[0] == "autoconv"}
    shipped = {name for name in names if name.startswith("autoconv/")}
    assert shipped == {name for name in inside if not name.endswith((".c", ".h"))}
    (line,) = [line for line in said.splitlines() if line.startswith("autoconv: built without")]
    parts = "autoconv.scalar._native and autoconv.program.record._calls and autoconv.plan._machine"
    assert f"{parts}, which need a C compiler" in line
    warnings = re.findall("(?i).*(?:warning|deprecat|absent).*", said)
    assert all("building extension" in text for text in warnings), warnings


@pytest.mark.quick(0)
def test_the_wheel_runs_where_it_is_unpacked(published, tmp_path):
    with zipfile.ZipFile(published[1]) as archive:
        archive.extractall(tmp_path)
    code = (
        "import autoconv as ac, numpy as np\n"
        "x = ac.tensor(np.eye(4)); y = ac.sum(ac.conv2d(x, np.ones((2, 2)))); y.backward()\n"
        "print(int(x.grad.sum()), len(ac.data.digits('test').x), ac.compile(ac.exp)(0.0))\n"
        "print(ac.step(y).save('walk.html'), ac.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    first, place = done.stdout.splitlines()
    assert first == "36 360 1.0"
    assert "<script" in (tmp_path / "walk.html").read_text(encoding="utf-8")
    assert Path(place.split()[-1]).is_relative_to(tmp_path)


@pytest.mark.quick(0)
def test_the_wheel_for_every_system_is_to_be_had_where_a_compiler_is(published, tmp_path):
    """AUTOCONV_PURE=1; by pip into a fresh environment with NumPy and nothing else, and the README's example runs."""
    pytest.importorskip("pip", reason="installing needs pip")
    wheel, said = build("wheel", published[0], tmp_path / "wheel", AUTOCONV_PURE="1")
    assert wheel.name == f"autoconv-{ac.__version__}-py3-none-any.whl" and "built without" not in said
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith((".so", ".pyd", ".c", ".h"))]
    venv.create(tmp_path / "fresh", with_pip=False)
    python = next(path for path in (tmp_path / "fresh").glob("*/python*") if path.stem == "python")
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)]
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}  # where the tree would count as installed
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run([*pip, *install], check=True, cwd=tmp_path, env=clean)
    numpy = Path(np.__file__).parent
    (tmp_path / "numpy").mkdir()
    for part in (numpy, numpy.parent / "numpy.libs"):
        if part.exists():
            (tmp_path / "numpy" / part.name).symlink_to(part)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = next(code for code in re.findall(r"```python\n(.*?)```", readme, re.S) if "live.html" in code)
    (tmp_path / "example.py").write_text(example + "\nprint(ac.__file__)", encoding="utf-8")
    environment = {"PYTHONPATH": str(tmp_path / "numpy"), "PATH": "", "HOME": str(tmp_path)}
    command = [str(python), "-W", "error", "example.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[-1]).is_relative_to(tmp_path / "fresh")
    assert (tmp_path / "live.html").is_file() and (tmp_path / "walk.html").is_file()


@pytest.mark.quick(0)
@pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="there is no C compiler here")
def test_a_wheel_with_compiled_parts_is_for_this_system(published, tmp_path):
    """Without optimisation and wider instruction sets, so that it is soon done."""
    wheel, said = build("wheel", published[0], tmp_path / "wheel", CFLAGS="-O0 -g0 -DBASELINE -DUNROLL=")
    assert re.fullmatch(rf"autoconv-{ac.__version__}-cp\d+-cp\d+\w*-(?!any)\w+\.whl", wheel.name)
    parts = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith((".so", ".pyd"))]
    assert sorted(Path(part).name.partition(".")[0] for part in parts) == ["_calls", "_machine", "_native"]
    assert "built without" not in said


@pytest.mark.quick(0)
def test_the_metadata_shows_pictures_and_pages_anywhere(published):
    archive = zipfile.ZipFile(published[1])
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = message_from_string(archive.read(name).decode())
    assert metadata["Version"] == ac.__version__
    pages = dict(entry.split(", ") for entry in metadata.get_all("Project-URL"))
    assert pages["Source"] == URL and pages["Changelog"] == f"{URL}/blob/HEAD/CHANGELOG.md"
    text = metadata.get_payload()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r'(?:\]\(|src=")([\w/]+\.(?:svg|png))', readme)
    assert len(pictures) >= 5
    assert all(f"{URL}/raw/HEAD/{picture}" in text for picture in pictures)
    links = [a or b for a, b in re.findall(r'\]\(([^)]+)\)|src="([^"]+)"', text)]
    assert len(links) > 10 and all(link.startswith("https://") for link in links)


def test_the_changelog_and_the_classifiers_keep_up():
    """The newest entry is this version's, and the classifiers begin where python_requires does."""
    versions = re.findall(r"(?m)^## \[(\d[\w.]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert versions[0] == ac.__version__
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    classifiers = settings["metadata"]["classifiers"]
    pythons = re.findall(r"Python :: (3\.\d+)$", classifiers, re.M)
    assert settings["options"]["python_requires"] == f">={pythons[0]}"
    assert "Typing :: Typed" in classifiers
