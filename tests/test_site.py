"""What the site is made of (docs/site): every public name has its page, texts keep their words, broken links are found.

The pages themselves are built by ``make site`` and looked at by ``make site-test``; nothing here needs Sphinx.
"""

import doctest
import importlib
import json
import re
import sys
from pathlib import Path

import pytest

import autoconv as ac

ROOT = Path(__file__).parent.parent
PLACE = ROOT / "docs" / "site"


@pytest.fixture(scope="module")
def part():
    """The modules of docs/site by name, as build.py imports them."""
    sys.path.insert(0, str(PLACE))
    yield importlib.import_module
    sys.path.remove(str(PLACE))
    for name in ("docstrings", "reference", "pages", "links"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def written(part, tmp_path_factory):
    """The sources of all pages."""
    folder = tmp_path_factory.mktemp("source")
    part("pages").Pages(folder).write()
    made = part("reference").Reference(folder / "api")
    made.write()
    return folder, made


@pytest.mark.parametrize("name", ["docstrings", "reference", "pages", "links"])
def test_examples(part, name):
    module = part(name)
    found = doctest.DocTestSuite(module)
    failed = doctest.testmod(module).failed
    assert failed == 0 and found.countTestCases() >= 1


@pytest.mark.dear
def test_every_public_name_has_a_page(written):
    """Of ``autoconv``, with what ``import *`` leaves out, and of the modules that users import from."""
    folder, made = written
    names = {f"autoconv.{n}" for n in dir(ac) if not n.startswith("__")}
    for module in ("nn", "optim", "data", "linalg", "nn.functional", "functional", "optim.lr_scheduler", "render"):
        names |= {f"autoconv.{module}.{n}" for n in importlib.import_module(f"autoconv.{module}").__all__}
    modules = {m.__name__ for m in made.modules} | {"autoconv.losses", "autoconv.onnx"}
    without = sorted(
        n for n in names if n not in modules and not (folder / "api" / f"{made.pages.get(n)}.rst").is_file()
    )
    assert not without
    assert {"autoconv.nn", "autoconv.train", "autoconv.checkpoint", "autoconv.nn.init", "autoconv.array_api"} <= modules
    for module in made.modules:
        assert (folder / "api" / f"{module.__name__}-module.rst").is_file()


@pytest.mark.dear
def test_no_two_pages_are_one_file_where_case_does_not_count(written):
    names = [path.relative_to(written[0]).as_posix().lower() for path in written[0].rglob("*.*")]
    assert len(names) == len(set(names)) > 500


def test_every_page_stands_in_a_list(written):
    """Each page of the reference is in one toctree, and each entry of a toctree is a page."""
    folder = written[0] / "api"
    listed = []
    for path in folder.glob("*.rst"):
        for tree in re.findall(r"\.\. toctree::\n(?:   :\w+:\n)*\n((?:   .+\n)+)", path.read_text(encoding="utf-8")):
            listed += [re.sub(r".*<(.+)>$", r"\1", line.strip()) for line in tree.splitlines()]
    pages = {path.stem for path in folder.glob("*.rst")}
    assert sorted(listed) == sorted(pages - {"index"})


@pytest.mark.parametrize("name", ["conv2d", "max_pool2d", "explain", "check_backward", "grad", "exp", "Tensor"])
def test_a_page_has_all_words_of_the_docstring(written, name):
    folder, made = written
    page = (folder / "api" / f"{made.pages[f'autoconv.{name}']}.rst").read_text(encoding="utf-8")
    said = re.sub(r":doc:`([^<`]+) <[^>]+>`", r"\1", page).replace("\\", "")
    missing = [w for w in re.findall(r"[\w.]+", getattr(ac, name).__doc__ or "") if w.strip(".") not in said]
    assert not missing


def test_the_texts_are_those_of_the_project(written):
    """Each section of the README is (part of) a page; the glossary is CONTRIBUTING's; lessons keep their outputs."""
    folder = written[0]
    pages = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.md"))
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        if line and "](" not in line and "<img" not in line and not line.startswith(("#", "Nine notebooks")):
            assert line in pages, line
    glossary = (folder / "glossary.md").read_text(encoding="utf-8")
    assert "| sweep | one walk back along the tape" in glossary and "| lane | " in glossary
    for lesson in (ROOT / "notebooks").glob("*.ipynb"):
        shown, own = (json.loads(p.read_text(encoding="utf-8")) for p in (folder / "lessons" / lesson.name, lesson))
        assert [c.get("outputs") for c in shown["cells"]] == [c.get("outputs") for c in own["cells"]]
        assert f"lite/lab/index.html?path={lesson.name}" in "".join(shown["cells"][0]["source"])


def test_links_lead_to_pages(written):
    """No link of a page made from the project's texts leads to a file that the site has not."""
    folder, found = written[0], 0
    for path in folder.rglob("*.md"):
        for link in re.findall(
            r"\]\(([^)\s]+)\)", re.sub(r"(?ms)^```.*?^```$|`[^`\n]*`", "", path.read_text(encoding="utf-8"))
        ):
            place = link.partition("#")[0]
            if place and not re.match(r"\w+:", place) and not place.startswith(("derivation", "playground")):
                found += 1
                assert (path.parent / place).is_file(), f"{path.name}: {link}"
    assert found > 20


BROKEN = {
    "missing.html": "no such file",
    "b.html#nowhere": "no such anchor",
    "#nowhere": "no such anchor",
    "../outside.html": "outside of the site",
    "http://nohost/": "no host",
    "https://a b.org/": "a space in it",
    "foo:bar": "an unknown scheme",
    "sub": "no such file",
}


def test_broken_links_are_found(part, tmp_path):
    """Each of a page's bad links, with its line, and none of the good ones."""
    site = tmp_path / "site"
    (site / "sub").mkdir(parents=True)
    (site / "b.html").write_text('<h1 id="here">B</h1><a name="old"></a>', encoding="utf-8")
    (site / "full").mkdir()
    (site / "full" / "index.html").write_text("<p>", encoding="utf-8")
    good = ["b.html", "b.html#here", "b.html?x=1#old", "#top", "", "full/", "https://example.org/a#b", "mailto:a@b.org"]
    lines = [f'<a href="{link}">x</a>' for link in [*good, *BROKEN]] + ['<img src="gone.png">']
    (site / "a.html").write_text("\n".join(lines), encoding="utf-8")
    found = part("links").check(site)
    wanted = [f"a.html:{len(good) + k}: {link}: {why}" for k, (link, why) in enumerate(BROKEN.items(), 1)]
    assert found == [*wanted, f"a.html:{len(lines)}: gone.png: no such file"]
