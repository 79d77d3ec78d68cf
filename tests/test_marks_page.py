"""Marks as a page and in a notebook: all that the text says, nothing that it must not say, no markup of others."""

import re

import pytest

from autoconv.cli import main
from autoconv.marking.report import Report
from autoconv.marking.verdict import BackwardVerdict, Part

EVIL = "<img src=x onerror=alert(1)>"
RIGHT = Part("dx", True, times=(3, 3))
WRONG = Part(
    "dw", False, "not summed over batch", "x (2, 3), w (3, 1)", "the last example alone", "There dw[0] is 1; it is 2",
    (1, 3), "one example", "Over which axis do you sum?", [EVIL],
)  # fmt: skip
UNKNOWN = Part("db", False, None, "x (2, 3)", hint="What does b do?")
DAMAGE = [("input changed", "x was written to")]
VERDICTS = [
    BackwardVerdict("c.linear", {"dx": RIGHT, "dw": WRONG, "db": UNKNOWN}, damage=DAMAGE, notes=["a note"]),
    BackwardVerdict("c.relu", {"dx": RIGHT}),
]
REPORT = Report(f"{EVIL}.py", "c", VERDICTS)


def words(html):
    return " ".join(re.sub("<[^>]*>", " ", html.split("</head>")[-1]).split())


SAID = [
    "1 of 2 layers right, 1 of 4 points.", "✓ right", "✗ not right: dw, db", "✗ dw : WRONG: not summed over batch",
    "There dw[0] is 1; it is 2.", "? db : UNKNOWN", "Over which axis do you sum?", "a note", "x was written to",
    "Right at 1 of 3 geometries (one example).",
]  # fmt: skip


def test_a_page_says_what_the_text_says():
    page = REPORT.page(points=True)
    said = words(page)
    for expected in SAID:
        assert expected in said, said
    assert EVIL not in page and "&lt;img" in page
    assert "default-src 'none'" in page and not re.search(r'(?:src|href)="?http', page)


def test_hints_alone_tell_no_answer():
    page = REPORT.page(hints_only=True)
    for secret in ("summed over batch", "it is 2", "last example", "a note", EVIL, "one example", "points"):
        assert secret not in words(page)
    assert "Try it with x (2, 3), w (3, 1)." in words(page) and "Over which axis" in words(page)


def test_a_verdict_shows_itself():
    made = VERDICTS[0]._repr_mimebundle_()
    assert made["text/plain"] == VERDICTS[0].text and "Not right. c.linear" in words(made["text/html"])


STUDENT = """import numpy as np
def relu_forward(x): return np.maximum(0, x), x
def relu_backward(dout, cache): return dout * (cache > 0)
def affine_forward(x, w, b): return x.reshape(len(x), -1) @ w + b, (x, w, b)
def affine_backward(dout, cache):
    x, w, b = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.mean(axis=0)
"""


@pytest.mark.dear
def test_the_command_writes_it(tmp_path, capsys):
    (tmp_path / "layers.py").write_text(STUDENT)
    out = tmp_path / "marks.html"
    call = ["mark", str(tmp_path / "layers.py"), "--course", "cs231n", "--points", "--html", str(out)]
    assert main(call) == 1
    said = words(out.read_text(encoding="utf-8"))
    assert "layers.py, as cs231n" in said and "1 of 2 layers right" in said and "✗ not right: db" in said
    assert "affine" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["marks.txt", "no/such/folder/marks.html"])
def test_a_page_that_cannot_be_written_is_said_first(tmp_path, capsys, name):
    (tmp_path / "layers.py").write_text("while True: pass\n")
    assert main(["mark", str(tmp_path / "layers.py"), "--course", "cs231n", "--html", str(tmp_path / name)]) == 2
    assert "html" in capsys.readouterr().err
