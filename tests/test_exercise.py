"""ac.exercise: what stands on a sheet, what does not, the key, and how answers are marked."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from helpers.nets_for_tutor import conv_net, mlp

import autoconv as ac
from autoconv.cli import main
from autoconv.exercises.given import _speaks
from autoconv.exercises.key import Key
from autoconv.exercises.marking import Answer
from autoconv.exercises.nice import nice_runs
from autoconv.exercises.sheet import Grid, Listed, cells, shown
from autoconv.tutor.bank.slips import FACTOR, FORMER, SLIPS

KINDS = ("equations", "graph", "arrays")


def question(seed: int = 0) -> tuple[Any, dict[str, Any]]:
    """A 3x3 image, two 2x2 kernels, one squared error."""
    rng = np.random.default_rng(seed)
    i, w1, w2 = [ac.tensor(rng.normal(size=s), name=n) for n, s in (("i", (3, 3)), ("w1", (2, 2)), ("w2", (2, 2)))]
    o1 = ac.conv2d(i, w1)
    o2 = ac.conv2d(o1, w2)
    return ac.sum((o2 - 1.0) ** 2), {"i": i, "w1": w1, "w2": w2, "o1": o1, "o2": o2}


def expression(seed: int) -> tuple[Any, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    a, b, c = (ac.tensor(rng.uniform(1, 3), name=n) for n in "abc")
    d = a * b + c
    return d * d / 3 + a * d - c, {"d": d}


def signals(seed: int) -> tuple[Any, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    x, k = ac.tensor(rng.normal(size=(1, 8, 2)), name="x"), ac.tensor(rng.normal(size=(3, 2, 2)), name="k")
    return ac.mean(ac.conv1d(x, k, stride=2, padding=1) ** 2), {}


def pooled(seed: int) -> tuple[Any, dict[str, Any]]:
    """Convolution, bias, relu, max pooling, a dense layer, half the squared error."""
    rng = np.random.default_rng(seed)
    t = lambda name, *shape: ac.tensor(rng.normal(size=shape), name=name)
    x, k, b, v = t("x", 6, 6), t("k", 3, 3), t("b"), t("v", 4, 2)
    h = ac.relu(ac.conv2d(x, k) + b)
    o = ac.flatten(ac.max_pool2d(h, 2)) @ v
    return ac.losses.half_squared_error(o, np.array([1.0, 0.0])), {"h": h, "o": o}


NETS = {
    "question": question,
    "expression": expression,
    "signals": signals,
    "pooled": pooled,
    "mlp": mlp,
    "conv net": conv_net,
}
CASES = [(net, kind, nice) for net in NETS for kind in KINDS for nice in (False, True)]


def made(net: str, kind: str, nice: bool, seed: int = 1, blanks: int = 4) -> Any:
    loss, names = NETS[net](seed)
    return ac.exercise(loss, blanks, seed=seed, kind=kind, names=names, nice_numbers=nice)


@pytest.mark.quick(2)
@pytest.mark.parametrize(("net", "kind", "nice"), CASES)
def test_the_key_is_right_and_a_sign_is_named(net: str, kind: str, nice: bool) -> None:
    for seed in (1, 2):
        sheet = made(net, kind, nice, seed)
        answers = sheet.key.values
        assert list(answers) == [1, 2, 3, 4]
        assert ac.check(answers, of=sheet) and ac.check(list(answers.values()), of=sheet)
        assert ac.check({str(n): str(x) for n, x in answers.items()}, of=sheet.key)
        assert ac.check({n: shown(x) for n, x in answers.items()}, of=sheet), "rounded as the sheet rounds"
        for n, x in answers.items():
            assert x != 0
            marks = ac.check({**answers, n: -x}, of=sheet)
            assert not marks and marks.status == 1
            assert [m.kind for m in marks.blanks].count("wrong") == 1
            assert marks.blanks[n - 1].slip == "sign"


@pytest.mark.dear
@pytest.mark.quick(1)
@pytest.mark.parametrize(("net", "kind", "nice"), CASES)
def test_no_answer_stands_elsewhere_on_the_sheet(net: str, kind: str, nice: bool) -> None:
    for seed in (1, 2):
        sheet = made(net, kind, nice, seed)
        asked = {shown(x) for x in sheet.key.values.values()}
        written = numbers_on(sheet)
        assert len(written) >= 3
        assert not asked & written
        for n in range(1, 5):
            assert all(chr(0x245F + n) in text for text in (sheet.markdown(), sheet.html()))


def numbers_on(sheet: Any) -> set[str]:
    """The numbers of the data on a sheet, read off what is written: table cells, boxes,
    edges and the numbers in equations."""
    page = sheet.html().split("Your answers")[0]
    found = set(re.findall(r"<td[^>]*>([^<]*)</td>", page))
    for words in re.findall(r"<title>(.*?)</title>", page, re.DOTALL):
        found |= {line.split()[1] for line in words.split("\n") if line[:2] in ("= ", "∂ ")}
        found |= set(re.findall(r"local derivative (\S+)", words))
    found |= set(re.findall(r'class="ac-text ac-grad"[^>]*>(\S+?)[ <]', page))
    for block in re.findall(r"\\begin\{aligned\}(.*?)\\end\{aligned\}", sheet.markdown()):
        for row in block.split(r"\\")[1:]:
            whole = re.sub(r"(-?)\\frac\{(\d+)\}\{(\d+)\}", r"\1\2/\3", row)
            found |= set(re.findall(r"(?<![\d.])-?\d[\d./]*", whole))
    found |= set(re.findall(r"(?m)^- \$.* = (-?[\d.]+)\$$", sheet.markdown()))
    return {x for x in found if x and x[-1].isdigit()}


@pytest.mark.quick(3)
@pytest.mark.parametrize("net", ["question", "expression", "signals", "pooled"])
@pytest.mark.parametrize("kind", KINDS)
def test_nice_numbers_are_whole_and_exact(net: str, kind: str) -> None:
    sheet = made(net, kind, True)
    assert sheet.exact and "exact" in sheet.markdown()
    for cell in cells(sheet._blanked.parts):
        assert isinstance(cell.value, Fraction | int)
        assert Fraction(cell.value).denominator <= 144
    assert all(isinstance(x, Fraction) for x in sheet.key.values.values())


def test_functions_without_fractions_are_said_to_be_rounded() -> None:
    sheet = made("mlp", "arrays", True)
    assert not sheet.exact and "rounded to 4 digits" in sheet.markdown() and "rounded to 4 digits" in sheet.html()


def first(grid: Any) -> Any:
    """The numbers of a grid of cells."""
    out = np.empty(grid.shape[:2] if grid.ndim > 2 else grid.shape, object)
    for index in np.ndindex(out.shape):
        out[index] = grid[index].value
    return out


@pytest.mark.parametrize("seed", range(4))
def test_nice_numbers_against_loops_over_fractions(seed: int) -> None:
    """dC/dw1, dC/dw2, dC/di of two convolutions, written out in loops."""
    loss, names = question(seed)
    sheet = ac.exercise(loss, 3, seed=seed, kind="arrays", wrt=["i", "w1", "w2"], names=names, nice_numbers=True)
    grids = {p.name.text: first(p.cells_) for p in sheet._blanked.parts if isinstance(p, Grid)}
    told = {name.text: cell.value for p in sheet._blanked.parts if isinstance(p, Listed) for name, cell in p.rows}
    known = {n: grids[n] for n in ("i", "w1", "w2", "o1") if n in grids}
    assert all(x == int(x) and abs(x) <= 8 for n in ("i", "w1", "w2") if n in known for x in known[n].ravel())
    if "i" in known and "w1" in known and "o1" in known:
        assert np.array_equal(known["o1"], slid(known["i"], known["w1"]))
    d1, d2 = grids.get("dL/do1"), told.get("dL/do2")
    checked = 0
    if "dL/dw1" in grids and "i" in known and d1 is not None:
        assert np.array_equal(grids["dL/dw1"], slid(known["i"], d1))
        checked += 1
    if "dL/dw2" in grids and "o1" in known and d2 is not None:
        assert np.array_equal(grids["dL/dw2"], known["o1"] * d2)
        checked += 1
    if "dL/di" in grids and "w1" in known and d1 is not None:
        back = np.full((3, 3), Fraction(0), object)
        for r, c in np.ndindex(2, 2):
            back[r : r + 2, c : c + 2] = back[r : r + 2, c : c + 2] + d1[r, c] * known["w1"]
        assert np.array_equal(grids["dL/di"], back)
        checked += 1
    assert checked >= 2


def slid(x: Any, k: Any) -> Any:
    """Cross-correlation without padding."""
    shape = x.shape[0] - k.shape[0] + 1, x.shape[1] - k.shape[1] + 1
    out = np.empty(shape, object)
    for r, c in np.ndindex(shape):
        out[r, c] = sum((x[r + a, c + b] * k[a, b] for a, b in np.ndindex(k.shape)), Fraction(0))
    return out


@pytest.mark.parametrize("seed", range(3))
def test_nice_numbers_have_no_ties_and_exact_gradients(seed: int) -> None:
    """Convolution, relu, pooling and a dense layer in loops over fractions: no relu at 0, one winner in each window,
    dL/dk."""
    loss, names = pooled(seed)
    runs = nice_runs(ac.Tape(loss), names, np.random.default_rng(seed))
    assert runs
    for run in runs:
        value = {
            x.name: np.vectorize(Fraction, otypes=[object])(run.flat.value[run.flat.scalars(x)])
            for x in run.tape.inputs
        }
        before = slid(value["x"], value["k"]) + value["b"].item()
        assert (before != 0).all()
        h, winners = np.maximum(before, 0), {}
        for r, c in np.ndindex(2, 2):
            window = {(2 * r + a, 2 * c + b): h[2 * r + a, 2 * c + b] for a, b in np.ndindex(2, 2)}
            winners[r, c] = max(window, key=lambda at: window[at])
            assert [*window.values()].count(window[winners[r, c]]) == 1 or window[winners[r, c]] == 0
        p = np.array([h[winners[at]] for at in np.ndindex(2, 2)], object)
        o = [sum(p[k] * value["v"][k, n] for k in range(4)) for n in range(2)]
        error = [o[0] - 1, o[1]]
        assert run.flat.value[run.context.analysis.output] == sum(e * e for e in error) / Fraction(2)
        d = np.full((4, 4), Fraction(0), object)
        for k, at in enumerate(np.ndindex(2, 2)):
            d[winners[at]] = sum(error[n] * value["v"][k, n] for n in range(2)) * (before[winners[at]] > 0)
        kernel = next(x for x in run.tape.inputs if x.name == "k")
        found = run.gradient[run.flat.scalars(kernel)]
        assert np.array_equal(found, slid(value["x"], d)) and all(isinstance(g, Fraction | int) for g in found.ravel())


@pytest.mark.dear
def test_the_seed_decides() -> None:
    texts = [made("question", "equations", True, seed).markdown() for seed in (1, 1, 2, 3)]
    assert texts[0] == texts[1] and len(set(texts)) == 3


def test_a_scalar_is_a_tape_too() -> None:
    a, b = ac.Scalar(2.0, "a"), ac.Scalar(-3.0, "b")
    loss = (a * b + 7.0) ** 2 + a
    sheet = ac.exercise(loss, 2, kind="equations", wrt=[a, b])
    assert len(sheet.key.values) == 2
    assert ac.check(sheet.key.values, of=sheet)


def test_wrt_is_what_is_asked_for() -> None:
    loss, names = question()
    sheet = ac.exercise(loss, 2, kind="arrays", wrt="w1", names=names)
    assert all(a.says.startswith("dL/dw1[") for a in sheet.key.answers)
    one = ac.exercise(loss, 1, kind="arrays", wrt=names["w1"][0, 1], names=names)
    assert [a.says for a in one.key.answers] == ["dL/dw1[0,1]"]


# ---- marking


@pytest.fixture
def simple() -> Any:
    """dL/dw = x d summed over two uses: 3 * 4 + 5 * 4 = 32 (found by hand), of L = (3w + 5w - y)^2 / 2 at w = 1,
    y = 4."""
    w = ac.tensor([1.0], name="w")
    x = ac.tensor([3.0, 5.0], name="x")
    loss = (ac.sum(x * w) - 4.0) ** 2 / 2
    return ac.exercise(loss, 1, kind="arrays", wrt=w)


# fmt: off
ANSWERS = [
    (32, "right", ""), (32.0, "right", ""), ("32", "right", ""), ("64/2", "right", ""), ("3*4 + 5*4", "right", ""),
    ("2**5", "right", ""),
    (np.float32(32), "right", ""), (Fraction(64, 2), "right", ""), (np.array([32.0]), "right", ""),
    (None, "missing", ""), ("", "missing", ""), ("  ", "missing", ""),
    (-32, "wrong", "sign"), (16, "wrong", "mean instead of sum"), (8, "wrong", "upstream gradient forgotten"),
    (12, "wrong", "only one of several paths"),
    (64, "wrong", "product of sums"), (3.2, "wrong", "decimal point"), (17, "wrong", ""),
    ("w + 1", "unreadable", ""), ("__import__('os')", "unreadable", ""), ("1/0", "unreadable", ""),
    (True, "unreadable", ""), (float("nan"), "unreadable", ""),
    ([1, 2], "unreadable", ""), ("9" * 500, "unreadable", ""), ("32 apples", "unreadable", ""),
]
# fmt: on


@pytest.mark.parametrize(("answer", "kind", "slip"), ANSWERS, ids=[str(a)[:20] for a, _, _ in ANSWERS])
def test_one_answer(simple: Any, answer: Any, kind: str, slip: str) -> None:
    assert simple.key.values == {1: 32}
    marks = ac.check({1: answer}, of=simple)
    assert (marks.blanks[0].kind, marks.blanks[0].slip) == (kind, slip)
    assert bool(marks) == (kind == "right") == (marks.status == 0)
    if kind == "wrong":
        assert "32" not in marks.text.replace("-32", "") and marks.hints["nudge"] and "32" in marks.hints["show"]
    assert "<div" in marks._repr_mimebundle_()["text/html"]
    assert simple.mark({1: answer}).text == ac.check(simple.key, {"1": answer}).text == marks.text


def test_a_slip_is_a_mistake_of_the_bank_by_its_name(simple: Any) -> None:
    assert set(SLIPS) - set(ac.mistakes()) == {"signs ignored", FACTOR, "decimal point"}  # on paper alone
    assert {name for name, _ in simple.key.answers[0].slips} <= set(SLIPS)
    assert FORMER.keys().isdisjoint(SLIPS) and set(FORMER.values()) <= set(SLIPS)


def test_a_key_file_with_former_names_is_read(simple: Any, tmp_path: Any) -> None:
    path = tmp_path / "x.key.json"
    path.write_text(simple.json.replace("upstream gradient forgotten", "upstream forgotten"))
    assert ac.exercise_key(path).answers == simple.key.answers


def test_a_kind_was_called_of() -> None:
    w = ac.tensor([1.0, 2.0], name="w")
    loss = ac.sum(w**2) ** 2
    with pytest.warns(DeprecationWarning, match="kind="):
        before = ac.exercise(loss, 1, of="arrays")
    assert before.markdown() == ac.exercise(loss, 1, kind="arrays").markdown() and before.kind == "arrays"


@pytest.mark.parametrize(
    ("answer", "right"),
    [("0.333", True), (0.3333, True), (0.33, True), ("0.3", False), (0.34, False), ("1/3", True), ("2/6", True)],
)
def test_as_many_digits_as_were_written(answer: Any, right: bool) -> None:
    assert bool(ac.check([answer], of=Key("thirds", [Answer(1, Fraction(1, 3), "x")]))) is right


@pytest.mark.parametrize(
    ("answers", "error", "words"),
    [({9: 1}, ValueError, "no blank '9'"), ({"one": 1}, ValueError, "blanks 1 to 1"), ([1, 2], ValueError, "2 answers"),
        (32, TypeError, "a dict"), ("32", TypeError, "a dict"), ({1: 1, "1": 2}, ValueError, "twice")],
)  # fmt: skip
def test_answers_that_do_not_belong_to_the_sheet(simple: Any, answers: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        ac.check(answers, of=simple)


# ---- files


@pytest.mark.dear
def test_files_and_the_key_apart(tmp_path: Any) -> None:
    for kind in KINDS:
        sheet = made("pooled", kind, True)
        for ending in ("ipynb", "html", "md"):
            path = sheet.save(tmp_path / f"{kind}.{ending}")
            text = path.read_text()
            assert "exercise key" not in text and '"answer"' not in text
            key = ac.exercise_key(tmp_path / f"{kind}.key.json")
            assert key.values == sheet.key.values
            assert ac.check(sheet.key.values, of=key)
            assert all(str(x) not in repr(key) for x in key.values.values())
    assert (tmp_path / "graph.svg").read_text().startswith("<svg")
    assert not (tmp_path / "arrays.svg").exists()


def test_the_notebook_runs(tmp_path: Any, monkeypatch: Any) -> None:
    sheet = made("question", "equations", True)
    notebook = json.loads(sheet.save(tmp_path / "sheet.ipynb").read_text())
    nbformat = pytest.importorskip("nbformat", reason="notebooks are checked by nbformat: pip install nbformat")
    nbformat.validate(nbformat.from_dict(notebook))
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) == 2
    monkeypatch.chdir(tmp_path)
    for filled, kind in (
        (code[0], "incomplete"),
        (f"answers = { {n: str(x) for n, x in sheet.key.values.items()} }", "right"),
    ):
        space: dict[str, Any] = {}
        exec(filled, space)
        lines = code[1].splitlines()
        exec("\n".join([*lines[:-1], f"marks = {lines[-1]}"]), space)
        assert space["marks"].kind == kind


def test_a_page_loads_nothing_and_names_are_text() -> None:
    a, b = ac.tensor(2.0, name="<script>alert(1)</script>"), ac.tensor(3.0, name="b|`$")
    loss = (a * b - 1.0) ** 2
    for kind in KINDS:
        sheet = ac.exercise(loss, 1, kind=kind)
        page = sheet.html()
        assert "<script>alert" not in page
        assert "<script>alert" not in re.sub(r"(?s)```text.*?```", "", sheet.markdown())  # code is text there
        assert "default-src 'none'" in page
        assert not re.search(r'(?:src|href)="?http', page)


BROKEN = [
    (b"", "not JSON"), (b"[]", "not an"), (b"{}", "not an"), (b"\xff\xfe", "not JSON"), (b"[" * 100_000, "not JSON"),
    (b"9" * 3_000_000, "larger"),
    ({"version": 2}, "version 2"), ({"blanks": []}, "1 to"), ({"blanks": 3}, "1 to"),
    ({"blanks": [{"number": 2}]}, "number 1"),
    ({"title": 5}, "title"), ({"answer": "import os"}, "finite"), ({"answer": True}, "finite"),
    ({"answer": "1/0"}, "finite"), ({"answer": float("inf")}, "finite"),
    ({"answer": "1" * 70}, "finite"), ({"answer": [1]}, "finite"), ({"says": None}, "text of blank"),
    ({"says": "x" * 500}, "text of blank"), ({"tolerance": -1}, "tolerance"),
    ({"tolerance": "big"}, "tolerance"), ({"tolerance": float("nan")}, "tolerance"),
    ({"slips": [["made up", 1]]}, "slip"), ({"slips": [[["sign"], 1]]}, "slip"),
    ({"slips": [["sign", 1]] * 100}, "slips"), ({"slips": 5}, "slips"), ({"number": 1.0}, "number 1"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), BROKEN, ids=[str(c)[:30] for c, _ in BROKEN])
def test_a_key_is_checked(simple: Any, tmp_path: Any, change: Any, words: str) -> None:
    path = tmp_path / "x.key.json"
    if isinstance(change, bytes):
        path.write_bytes(change)
    else:
        whole = json.loads(simple.key.json)
        inside = change.keys() & {"answer", "says", "tolerance", "slips", "number"}
        (whole["blanks"][0] if inside else whole).update(change)
        path.write_text(json.dumps(whole))
    with pytest.raises(ValueError, match=words):
        ac.exercise_key(path)


w = ac.tensor([1.0, 2.0], name="w")
LOSS = ac.sum(w * w * 3.0)
# fmt: off
BAD = [
    ((3.0,), {}, TypeError, "expected the loss"),
    ((w,), {}, ValueError, "shape \\(2,\\)"),
    ((ac.tensor(1),), {}, TypeError, "no floating-point"),
    ((LOSS, 0), {}, ValueError, "from 1"),
    ((LOSS, True), {}, ValueError, "from 1"),
    ((LOSS, 2.5), {}, ValueError, "from 1"),
    ((LOSS, 150), {}, ValueError, "has only \\d+ numbers"),
    ((LOSS, 1), {"kind": "sums"}, ValueError, "'equations', 'graph', 'arrays'"),
    ((LOSS, 1), {"seed": -1}, ValueError, "seed"),
    ((LOSS, 1), {"names": [1]}, TypeError, "locals"),
    ((LOSS, 1), {"wrt": "v"}, ValueError, "wrt"),
    ((LOSS, 1), {"wrt": ac.tensor(1.0)}, ValueError, "wrt"),
    ((LOSS, 1), {"wrt": []}, ValueError, "empty"),
    ((ac.tensor(np.inf, name="i") * 2.0, 1), {}, ValueError, "infinite or nan"),
]
# fmt: on


@pytest.mark.parametrize(("arguments", "more", "error", "words"), BAD, ids=[words for *_, words in BAD])
def test_bad_calls(arguments: Any, more: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words), np.errstate(all="ignore"):
        ac.exercise(*arguments, **more)


def test_nothing_is_written_for_another_ending(simple: Any, tmp_path: Any) -> None:
    with pytest.raises(ValueError, match=r"\.ipynb, \.html or \.md"):
        simple.save(tmp_path / "sheet.pdf")
    assert list(tmp_path.iterdir()) == []


# ---- the command

NET = """
import autoconv as ac

def loss():
    i = ac.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]])
    w = ac.tensor([[1.0, -1.0], [0.5, 2.0]])
    o = ac.conv2d(i, w)
    return ac.sum((o - 1.0) ** 2), locals()
"""


@pytest.mark.parametrize("ending", ["html", "ipynb", "md"])
def test_the_command_makes_and_marks(tmp_path: Any, capsys: Any, ending: str) -> None:
    (tmp_path / "net.py").write_text(NET)
    sheet, key = tmp_path / f"sheet.{ending}", tmp_path / "sheet.key.json"
    call = [
        "exercise",
        f"{tmp_path / 'net.py'}:loss",
        "--blanks",
        "3",
        "--seed",
        "4",
        "--nice-numbers",
        "--out",
        str(sheet),
    ]
    assert main(call) == 0 and sheet.exists() and key.exists()
    values = ac.exercise_key(key).values
    answers = tmp_path / f"answers.{'json' if ending == 'html' else ending}"

    def fill(right: dict[int, Any]) -> None:
        if ending == "html":
            answers.write_text(json.dumps({n: str(x) for n, x in right.items()}))
        elif ending == "md":
            text = sheet.read_text()
            for n, x in right.items():
                text = re.sub(rf"(?m)^(- {n} \(.*\):)$", rf"\1 {x}", text)
            answers.write_text(text)
        else:
            whole = json.loads(sheet.read_text())
            for cell in whole["cells"]:
                if "".join(cell["source"]).startswith("answers ="):
                    cell["source"] = f"answers = { {n: str(x) for n, x in right.items()} }"
            answers.write_text(json.dumps(whole))

    mark = ["exercise", "--mark", str(answers), "--key", str(key)]
    fill(values)
    assert main(mark) == 0 and "3 of 3 right" in capsys.readouterr().out
    fill({**values, 2: -values[2]})
    assert main(mark) == 1 and "sign" in capsys.readouterr().out
    fill({1: values[1]})
    assert main(mark) == 1 and "missing" in capsys.readouterr().out


def test_the_command_refuses(tmp_path: Any, capsys: Any) -> None:
    (tmp_path / "net.py").write_text(NET)
    net = f"{tmp_path / 'net.py'}:loss"
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.ipynb").write_text('{"cells": [{"cell_type": "code", "source": "answers = {1: print(2)}"}]}')
    for call, words in (
        ([net, "--blanks", "100", "--out", str(tmp_path / "s.html")], "has only"),
        ([net, "--blanks", "2", "--out", str(tmp_path / "s.pdf")], "must end in"),
        ([net, "--wrt", "q", "--out", str(tmp_path / "s.html")], "wrt"),
        ([], "file.py:function"),
        (["--mark", str(tmp_path / "a.json")], "--key"),
        (["--mark", str(tmp_path / "a.json"), "--key", str(tmp_path / "none.json")], "JSON"),
        (["--mark", str(tmp_path / "b.ipynb"), "--key", str(tmp_path / "none.json")], "quotes"),
    ):
        assert main(["exercise", *call]) == 2
        assert words in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["a.json", "b.ipynb", "net.py"]


def test_the_program_calls_layers_by_what_they_do_and_results_by_their_names():
    """As in other views: a line's name on the left is the one that later lines read."""
    rng = np.random.default_rng(0)
    model = ac.nn.Sequential(
        ac.nn.Conv2d(1, 2, 3, padding=1, rng=rng), ac.nn.ReLU(), ac.nn.MaxPool2d(2), ac.nn.Flatten(),
        ac.nn.Linear(8, 2, rng=rng),
    )  # fmt: skip
    x = ac.tensor(rng.normal(size=(1, 4, 4, 1)), name="x")
    loss = ac.losses.cross_entropy(model(x), np.array([1]))
    text = ac.exercise(loss, names={"loss": loss}, blanks=1).markdown()
    listed = text.partition("```text\n")[2].partition("```")[0].splitlines()
    assert listed == [
        "0.out = conv2d(x, 0.weight, 0.bias)   # window 3×3, padding 1",
        "1.out = relu(0.out)",
        "2.out = max_pool2d(1.out)   # window 2×2, stride 2",
        "3.out = Flatten(2.out)",
        "4.out = linear(3.out, 4.weight, 4.bias)",
        "loss = cross_entropy(4.out, 1)",
    ]


def test_data_is_listed_only_where_a_formula_speaks_of_it():
    """Line %1 is not spoken of by a formula with %12."""
    assert _speaks("relu(%12)", "%12") and not _speaks("relu(%12)", "%1") and not _speaks("f(a.b)", "b")
