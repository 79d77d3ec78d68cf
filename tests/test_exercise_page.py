"""A worksheet as a page: it marks itself, offline, as its key does, and does not show what is right."""

import json
import re
from base64 import b64decode
from fractions import Fraction
from hashlib import sha256

import numpy as np
import pytest

import autoconv as ac
from autoconv.exercises.key import Key
from autoconv.exercises.marking import Answer
from autoconv.exercises.page import STATIC
from autoconv.exercises.sealed import sealed
from autoconv.render.page import html_page, inert
from autoconv.tutor.bank.slips import SLIPS

ANSWERS = [
    Answer(1, Fraction(44), "a", slips=(("upstream gradient forgotten", Fraction(4)), ("sign", Fraction(-44)))),
    Answer(2, Fraction(1, 3), "b"),
    Answer(3, -0.0012345, "c", tolerance=1e-6, slips=(("upstream gradient forgotten", 0.0),)),
    Answer(4, 6.5e8, "d", tolerance=4e5),
    Answer(5, 0.957, "e", tolerance=0.02),
]
FORGOTTEN = SLIPS["upstream gradient forgotten"].nudge
SIGN, FACTOR, POINT = (SLIPS[name].nudge for name in ("sign", "a constant factor", "decimal point"))
AGAIN = "Work it out again, one factor at a time."
# blank, what is written -> how it is marked, the remark
MARKED = [
    (1, "44", "right", ""), (1, " 44.0 ", "right", ""), (1, "4*11", "right", ""), (1, "88/2", "right", ""),
    (1, "2*(9 - 1)*3 - 2**2", "right", ""), (1, "−44", "wrong", SIGN), (1, "- -44", "right", ""),
    (1, "44.4", "wrong", AGAIN), (1, "4", "wrong", FORGOTTEN), (1, "88", "wrong", FACTOR), (1, "4400", "wrong", POINT),
    (1, "45", "wrong", AGAIN),
    (1, "", "missing", ""), (1, "  ", "missing", ""), (1, "-2**2 + 48", "right", ""), (1, "132//3", "right", ""),
    (1, "-1 % 45", "right", ""), (1, "sqrt(1936)", "right", ""), (1, "4.4e1", "right", ""),
    (2, "1/3", "right", ""), (2, "2/6", "right", ""), (2, "0.333", "right", ""), (2, ".33", "right", ""),
    (2, "0.3", "wrong", AGAIN), (2, "0.34", "wrong", AGAIN), (2, "0.33333333333333", "right", ""),
    (2, "-0.333", "wrong", SIGN), (3, "-0.0012345", "right", ""), (3, "-0.001235", "right", ""),
    (3, "-0.0012", "wrong", AGAIN), (3, "0", "wrong", FORGOTTEN),
    (3, "-1.2345e-3", "right", ""), (3, "-0.002469", "wrong", FACTOR),
    (4, "650000000", "right", ""), (4, "6.503e8", "right", ""), (4, "6.51e8", "wrong", AGAIN),
    (5, "0.976", "right", ""), (5, "0.938", "right", ""), (5, "0.936", "wrong", AGAIN), (5, "0.9777", "wrong", AGAIN),
]  # fmt: skip
UNREADABLE = ["x", "2 +", "(3", "1/0", "1..2", "alert(1)", "__proto__", "44; 45", "[44]", "9" * 401, "constructor(2)"]


def marking(answers):
    """A page with nothing but fields and marks."""
    fields = "".join(
        f'<input data-blank="{a.number}" aria-describedby="m{a.number}"><i id="m{a.number}"></i>' for a in answers
    )
    key = f'<script type="application/json" id="key">{inert(sealed(answers, "t"))}</script>'
    script = "".join((STATIC / f"{name}.js").read_text(encoding="utf-8") for name in ("marking", "ready"))
    return html_page("t", f'{fields}<button id="mark"></button><p id="marks"></p>{key}', script=script)


@pytest.mark.dear
def test_the_page_marks_as_the_key_does(load):
    page = load(marking(ANSWERS))
    texts = [[n, text] for n, text, *_ in MARKED] + [[1, text] for text in UNREADABLE]
    found = page.evaluate("given => given.map(([n, text]) => mark(n, text))", texts)
    for (n, text, kind, remark), made in zip(MARKED, found, strict=False):
        assert made == [kind, remark], (n, text)
    assert {kind for kind, _ in found[len(MARKED) :]} == {"unreadable"}
    key = Key("t", ANSWERS)
    for n, text, kind, remark in MARKED:  # and Python says the same
        mark = key.mark({n: text}).blanks[n - 1]
        assert (mark.kind, mark.nudge) == (kind, remark), (n, text)


@pytest.mark.dear
def test_its_hash_is_sha_256(load):
    page = load(marking(ANSWERS))
    rng = np.random.default_rng(0)
    given = [rng.bytes(n) for n in (0, 1, 3, 55, 56, 63, 64, 65, 200)]
    found = page.evaluate("given => given.map(x => [...sha256(Uint8Array.from(x))])", [list(x) for x in given])
    assert [bytes(x) for x in found] == [sha256(x).digest() for x in given]


@pytest.mark.dear
@pytest.mark.parametrize("seed", range(2))
def test_random_answers_near_the_edges(load, seed):
    """A number that differs by just less than it may is right, by just more it is not; also across buckets."""
    rng = np.random.default_rng(seed)
    values, parts = rng.normal(size=20) * 10 ** rng.uniform(-5, 5, 20), rng.uniform(5e-4, 0.03, 20)
    answers = [
        Answer(n, float(a), "x", tolerance=float(abs(a) * t))
        for n, (a, t) in enumerate(zip(values, parts, strict=True), 1)
    ]
    given, expected = [], []
    for a in answers:
        for part, kind in ((0.99, "right"), (-0.99, "right"), (1.01, "wrong"), (-1.01, "wrong")):
            given.append([a.number, repr(a.answer + part * a.tolerance)])
            expected.append(kind)
    page = load(marking(answers))
    assert [kind for kind, _ in page.evaluate("given => given.map(x => mark(...x))", given)] == expected


def sheet(kind="equations", **more):
    i = ac.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]], name="i", subscripts="flat")
    w = ac.tensor([[1.0, -1.0], [0.5, 2.0]], name="w")
    o = ac.conv2d(i, w)
    return ac.exercise(ac.sum((o - 1.0) ** 2), kind=kind, blanks=4, names={"o": o}, **more)


@pytest.mark.dear
def test_a_reader_fills_it_in(load):
    made = sheet()
    page = load(made.html())
    for n, answer in made.values.items():
        if n == 2:
            continue
        page.fill(f"#answer{n}", str(-answer if n == 1 else answer))
    page.click("#mark")
    assert page.inner_text("#marks") == "2 of 4 right, 1 missing."
    assert (
        page.inner_text("#mark1") == f"✗ not right: {SIGN}" and page.get_attribute("#answer1", "aria-invalid") == "true"
    )
    assert page.inner_text("#mark3") == "✓ right" and page.inner_text("#mark2") == ""
    page.fill("#answer1", str(made.values[1]))
    assert page.inner_text("#mark1") == "" == page.inner_text("#marks")  # said of what stood there before
    page.press("#answer1", "Enter")
    assert page.inner_text("#mark1") == "✓ right" and page.get_attribute("#answer1", "aria-invalid") == "false"


@pytest.mark.parametrize("kind", ["equations", "graph", "arrays"])
def test_the_answers_cannot_be_read_in_the_page(kind):
    made = sheet(kind)
    page = made.html()
    data = json.loads(re.search(r'id="key">(.*?)</script>', page)[1])
    raw = b"".join(b64decode(x) for x in data["blanks"])
    for answer in made.values.values():
        assert np.float64(answer).tobytes() not in raw
    assert set(data) == {"salt", "rounds", "fineness", "nudges", "blanks"}
    assert len({raw[k : k + 24] for k in range(0, len(raw), 24)}) * 24 == len(raw)  # none tells of another


def test_a_sheet_that_counts_knows_nothing(load, tmp_path):
    made = sheet()
    made.save(tmp_path / "sheet.html", marking=False)
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert 'id="key"' not in page and 'id="mark"' not in page and "sha256(" not in page.split("</head>")[1]
    shown = load(page)
    with shown.expect_download() as saved:
        shown.fill("#answer1", "3")
        shown.click("#save")
    assert json.loads(saved.value.path().read_text()) == {"1": "3", "2": "", "3": "", "4": ""}


def test_arrays_are_counted_in_one_way():
    """i by the number of each element, as i_5; w by row and column from 0, as w[0,1]."""
    page = sheet("arrays").html()
    tables = re.findall(r"<figcaption>(.*?)</figcaption><table>(.*?)</table>", page, re.DOTALL)
    found = {re.sub("<[^>]*>", "", name): table for name, table in tables}
    assert re.findall(r"<small[^>]*>(\d+)", found["i"]) == [str(k) for k in range(1, 10)] and "<th" not in found["i"]
    by_rows = found["∂L∂w"]
    assert re.findall(r'<th scope="col">(\d)', by_rows) == ["0", "1"] and "<small" not in by_rows


def test_a_change_of_dtype_is_no_step_of_the_program():
    x = ac.tensor(np.ones((2, 2), "f4"), name="x")
    y = x * x
    text = ac.exercise(ac.sum((y - np.array([[1.0, 2.0], [3.0, 4.0]])) ** 2), blanks=2, names={"y": y}).markdown()
    assert "cast" not in text and "= y - %" in text
