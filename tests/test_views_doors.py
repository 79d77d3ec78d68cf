"""The doors of views and render: what render knows, how explain, paths and uses are asked,
and that the examples run."""

from __future__ import annotations

import ast
import doctest
import pkgutil
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
import autoconv.render
import autoconv.views
from autoconv.render import dot
from autoconv.render.element import read_element
from autoconv.views.graph.graph import FORMATS
from autoconv.views.lines import subscripts

PACKAGE = Path(ac.__file__).parent
MODULES = [
    module.name
    for room in (autoconv.render, autoconv.views)
    for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
]


def test_render_knows_no_tape():
    below = {"files", "shapes"}
    for path in (PACKAGE / "render").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level > 1:
                assert (node.module or "").partition(".")[0] in below, f"{path.name} imports {node.module}"
            elif isinstance(node, ast.ImportFrom | ast.Import):
                names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                assert not any((name or "").startswith("autoconv") for name in names), path.name


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = import_module(name)
    result = doctest.testmod(module, extraglobs={"ac": ac, "np": np}, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not result.failed


PUBLIC = [ac.explain, ac.paths, ac.uses, ac.graph, ac.step, ac.matrix_view, ac.record_training]


@pytest.mark.parametrize("function", PUBLIC + [getattr(ac.render, name) for name in ac.render.__all__])
def test_every_public_function_has_an_example_and_its_errors(function):
    assert ">>> " in function.__doc__ and "Raises" in function.__doc__


def asked():
    w, x = ac.tensor([1.0, 2.0], name="w"), ac.tensor([3.0, 4.0], name="x")
    return (w * x).sum(), w, x


@pytest.mark.parametrize("ask", [ac.explain, ac.paths])
def test_the_output_comes_first_or_by_name(ask):
    loss, w, _ = asked()
    by_name, flat = ask(w[1], of=loss), ac.expand(loss)
    assert by_name.total == 4.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for found in (ask(loss, w[1]), ask(loss, (w, (1,))), ask(thing=w[1], of=loss), ask(flat, w[1])):
            assert repr(found) == repr(by_name)
        assert ask(loss, loss).total == 1.0  # both orders say the same
    for output in (loss, flat):
        with pytest.warns(DeprecationWarning, match=r"the output comes first, \w+\(loss, x\)"):
            assert repr(ask(w[1], output)) == repr(by_name)
    with pytest.raises(TypeError, match="given twice"):
        ask(loss, w[1], of=loss)
    with pytest.raises(TypeError, match="give the output and what is asked about"):
        ask() if ask is ac.explain else ask(loss)  # explain(loss) says where a value comes from


def test_uses_takes_the_output_first():
    loss, w, _ = asked()
    assert ac.uses(loss, w).counts.tolist() == ac.uses(w, of=loss).counts.tolist() == [1, 1]
    with pytest.warns(DeprecationWarning, match="uses: the output comes first"):
        assert ac.uses(w, loss).counts.tolist() == [1, 1]


def test_pictures_are_render_now():
    with pytest.warns(DeprecationWarning, match="from autoconv import render"):
        from autoconv.views import pictures
    assert pictures is ac.render
    with pytest.raises(AttributeError, match="no attribute 'picture'"):
        _ = autoconv.views.picture


@pytest.mark.parametrize(("text", "name", "index"), [
    ("w", "w", None), (" w [ 0 , -1 ] ", "w", (0, 2)), ("a[0]", "a[0]", None), ("a[0][1]", "a[0]", (1,)),
    ("s[]", "s", ()),
    ("%3[1]", "%3", (1,)),
])  # fmt: skip
def test_an_element_is_read_from_text(text, name, index):
    known = {"w": np.zeros((2, 3)), "a[0]": np.zeros(2), "s": np.zeros(()), "%3": np.zeros(2)}
    assert read_element(text, known, "at") == (name, index)


@pytest.mark.parametrize(("text", "words"), [
    ("", "cannot read"), ("w[0", "cannot read"), ("w]", "cannot read"), ("[0]", "cannot read"),
    ("w[0]]", "cannot read"),
    ("q[0]", "no tensor is called 'q'; there are w, %0 .. %0"), ("w[a]", "whole numbers"), ("w[0.5]", "whole numbers"),
    ("w[:]", "whole numbers"), ("w[2]", r"shape \(2,\)"), ("w[0,0]", r"shape \(2,\)"), ("w[]", r"shape \(2,\)"),
])  # fmt: skip
def test_what_is_no_element_is_refused_in_one_text(text, words):
    with pytest.raises(ValueError, match=f"^there: .*{words}"):
        read_element(text, {"w": np.zeros(2), "%0": np.zeros(2)}, "there")


def test_slices_are_read_where_they_are_wanted():
    known = {"w": np.zeros((2, 3))}
    assert read_element("w[:, 1]", known, "check", slices=True) == ("w", (slice(None), 1))
    assert read_element("w[..., ::2]", known, "check", slices=True) == ("w", (Ellipsis, slice(None, None, 2)))
    assert read_element("w[1]", known, "check", slices=True) == ("w", (1,))


def test_flat_subscripts_pass_on_to_what_is_computed_from_flat_tensors_alone():
    a, b = ac.tensor([1.0, 2.0], name="a", subscripts="flat"), ac.tensor([3.0, 4.0], name="b")
    flat, mixed = a * 2.0, a * b
    tape = ac.Tape((flat + mixed).sum(), ac.exp(flat))
    known = subscripts(tape)
    assert {id(a), id(flat)} <= known.keys() and not {id(b), id(mixed)} & known.keys()
    assert [line.subscripts for line in (a, b, flat)] == ["flat", "matrix", None]
    assert ac.explain(ac.exp(flat).sum(), a[1]).name == "a_2" and ac.explain((a * b).sum(), b[1]).name == "b[1]"


def test_a_graph_saves_every_format_it_names(tmp_path):
    graph = ac.graph(asked()[0])
    for ending in FORMATS:
        if ending in (".svg", ".dot") or dot.available():
            assert graph.save(tmp_path / f"g{ending}").stat().st_size > 100
        else:
            with pytest.raises(RuntimeError, match="dot program"):
                graph.save(tmp_path / f"g{ending}")
