"""The command line and the demo: what they print and write, and one clear line with status 2 for what goes wrong."""

import io
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import autoconv as ac
from autoconv import checkpoint, cli, demo, models

NET = """
import numpy as np
import autoconv as ac
from autoconv import nn

def loss():
    x = ac.tensor(np.ones((3, 3)), name="x")
    y = ac.relu(ac.conv2d(x, ac.tensor(np.eye(2), name="k"))).sum()
    return y, locals()

def make_model(input_shape, classes, rng):
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), classes, rng=rng))

def number():
    return 3

def broken():
    return ac.conv2d(np.ones((2, 2)), np.ones((3, 3)))

def strange():
    return undefined_name
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "small.npz", x=rng.random((60, 6, 6)).astype(np.float32), y=rng.integers(0, 3, 60))
    return tmp_path


@pytest.mark.quick(0)
def test_demo_reads_digits_and_shows_what_it_did(folder, capsys):
    assert cli.main(["demo", "--quiet"]) == 0
    printed = capsys.readouterr().out
    accuracy = float(re.search(r"never saw: ([\d.]+)%", printed)[1])
    assert accuracy >= 97
    table = re.search(r"true \\ read.*?(?=\n\n)", printed, re.S)[0]
    assert len(table.splitlines()) == 11
    assert "Try next:" in printed
    written = {p.name for p in (folder / "autoconv-demo").iterdir()}
    assert written == {
        "index.html",
        "model.safetensors",
        "graph.svg",
        "kernels.svg",
        "mistakes.svg",
        "confusion.svg",
        "training-loss.svg",
        "training-accuracy.svg",
    }
    for svg in (folder / "autoconv-demo").glob("*.svg"):
        ElementTree.parse(svg)
    page = (folder / "autoconv-demo" / "index.html").read_text()
    assert page.count("<svg") == 6
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page), "the page refers to nothing outside itself"
    assert cli.main(["evaluate", "autoconv-demo/model.safetensors"]) == 0
    assert f"accuracy {accuracy}%" in capsys.readouterr().out


def test_train_resume_evaluate(folder, capsys):
    base = [
        "train",
        "--data",
        "small.npz",
        "--model",
        "net.py:make_model",
        "--batch-size",
        "16",
        "--quiet",
        "--schedule",
        "cosine",
        "--optimizer",
        "sgd",
        "--momentum",
        "0.9",
    ]
    assert cli.main([*base, "--epochs", "4", "--checkpoint", "whole.safetensors"]) == 0
    assert "48 images for training, 12 held out" in capsys.readouterr().out
    assert cli.main(["evaluate", "whole.safetensors", "--data", "small.npz", "--model", "net.py:make_model"]) == 0
    assert "12 held-out images: loss" in capsys.readouterr().out
    assert cli.main(["evaluate", "whole.safetensors", "--data", "small.npz"]) == 2
    assert "never run because a checkpoint names it" in capsys.readouterr().err


def test_resuming_gives_the_same_weights(folder, capsys):
    base = [
        "train",
        "--data",
        "small.npz",
        "--model",
        "mlp",
        "--batch-size",
        "16",
        "--quiet",
        "--schedule",
        "step",
        "--step-size",
        "1",
    ]
    assert cli.main([*base, "--epochs", "3", "--checkpoint", "whole.safetensors"]) == 0
    assert cli.main([*base, "--epochs", "2", "--checkpoint", "parts.safetensors"]) == 0
    assert cli.main([*base, "--epochs", "3", "--checkpoint", "parts.safetensors", "--resume"]) == 0
    whole, parts = (
        ac.models.mlp((6, 6, 1), 3, np.random.default_rng(1)),
        ac.models.mlp((6, 6, 1), 3, np.random.default_rng(2)),
    )
    checkpoint.load("whole.safetensors", whole)
    checkpoint.load("parts.safetensors", parts)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        np.testing.assert_array_equal(a.value, b.value)


def test_graph_of_a_function(folder, capsys):
    assert cli.main(["graph", "net.py:loss"]) == 0
    assert "written to loss.svg" in capsys.readouterr().out
    assert ">k<" in (folder / "loss.svg").read_text()
    assert cli.main(["graph", "net.py:loss", "--zoom", "calls", "--output", "calls.dot"]) == 0
    assert "conv2d" in (folder / "calls.dot").read_text()


def test_explain_writes_the_equation(folder, capsys):
    """dE/dk[0,0] of relu(sum of products) over ones: four windows of ones, each with slope 1."""
    assert cli.main(["explain", "net.py:loss", "--at", "k[0,0]"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].startswith("dy/dk[0,0] = ")
    assert printed.splitlines()[2].strip() == "= 4"
    for form, mark in {"latex": "frac", "mathml": "<math", "markdown": "$", "csv": ","}.items():
        assert cli.main(["explain", "net.py:loss", "--at", "k[0,0]", "--format", form]) == 0
        assert mark in capsys.readouterr().out


def test_step_walks_in_the_terminal_and_saves_a_page(folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("s\nn\nuntil k[0,0]\np k\nb\nq\n"))
    assert cli.main(["step", "net.py:loss"]) == 0
    printed = capsys.readouterr().out
    assert "x = " in printed
    assert "grad" in printed
    assert cli.main(["step", "net.py:loss", "--output", "walk.html"]) == 0
    assert "<script" in (folder / "walk.html").read_text()


def test_live_writes_a_page_that_computes(folder, capsys):
    assert cli.main(["live", "net.py:loss", "-o", "net.html"]) == 0
    assert "can be changed>\nwritten to net.html" in capsys.readouterr().out
    assert 'id="calculation"' in (folder / "net.html").read_text()
    assert cli.main(["live", "net.py:loss"]) == 0
    assert (folder / "loss.html").exists()


def test_check_answers_with_an_exit_status(folder, capsys):
    """The gradient of a sum of relu(x * k) over ones: each weight of k meets four ones, with slope 1."""
    np.save(folder / "right.npy", np.full((2, 2), 4.0))
    np.save(folder / "wrong.npy", np.full((2, 2), -4.0))
    assert cli.main(["check", "net.py:loss", "--wrt", "k", "--claim", "right.npy"]) == 0
    assert "RIGHT" in capsys.readouterr().out
    assert cli.main(["check", "net.py:loss", "--wrt", "k", "--claim", "wrong.npy"]) == 1
    assert "WRONG" in capsys.readouterr().out
    assert cli.main(["check", "net.py:loss", "--wrt", "k[0,0]", "--formula", "x[0,0] + x[0,1] + x[1,0] + x[1,1]"]) in (
        0,
        1,
    )
    assert "4" in capsys.readouterr().out


ERRORS = {
    "no such data": (["train", "--data", "nowhere"], ["nowhere"]),
    "no such model": (["train", "--model", "resnet"], ["'resnet'", "cnn"]),
    "a model that is none": (["train", "--model", "net.py:number"], ["returned int"]),
    "a model that needs images": (["train", "--data", "flat.npz"], ["(4,)", "make_model"]),
    "a setting the optimiser lacks": (["train", "--optimizer", "adam", "--momentum", "0.9"], ["--momentum", "adam"]),
    "a bad learning rate": (["train", "--lr", "-1"], ["-1"]),
    "resume without a checkpoint": (["train", "--resume"], ["--checkpoint"]),
    "resume from nothing": (["train", "--resume", "--checkpoint", "no.safetensors", "--epochs", "1"],
        ["no.safetensors"]),
    "a foreign checkpoint": (["evaluate", "small.npz"], ["small.npz", "not a checkpoint"]),
    "no such file": (["graph", "nowhere.py:f"], ["no file nowhere.py"]),
    "no such function": (["graph", "net.py:f"], ["no function 'f'", "make_model"]),
    "no function named": (["graph", "net.py"], ["file.py:function"]),
    "not a tensor": (["graph", "net.py:number"], ["returned int", "Tensor"]),
    "an error inside": (["graph", "net.py:broken"],
        ["net.py:broken raised ValueError", "larger than the padded input"]),
    "a mistake inside": (["graph", "net.py:strange"], ["NameError", "undefined_name", "line 21"]),
    "no such zoom": (["graph", "net.py:loss", "--zoom", "atoms"], ["atoms", "calls"]),
    "no such element": (["explain", "net.py:loss", "--at", "q[0]"], ["'q'", "x, y, k"]),
    "outside the tensor": (["explain", "net.py:loss", "--at", "k[5,0]"], ["(2, 2)", "k[5,0]"]),
    "a formula that is code": (["check", "net.py:loss", "--wrt", "k", "--formula", "open('x')"], ["open", "function"]),
    "no such claim": (["check", "net.py:loss", "--wrt", "k", "--claim", "none.npy"], ["none.npy"]),
    "no index": (["explain", "net.py:loss", "--at", "k[a,0]"], ["whole numbers"]),
    "a live page with another ending": (["live", "net.py:loss", "-o", "walk.txt"], [".html"]),
    "a page with another ending": (["step", "net.py:loss", "--output", "walk.txt"], [".html"]),
    "no such ending": (["graph", "net.py:loss", "--output", "x.jpg"], [".svg"]),
    "no epochs": (["train", "--model", "net.py:strange", "--epochs", "0"], ["--epochs", "at least 1, found 0"]),
    "no such folder": (["graph", "net.py:loss", "--output", "none/x.svg"], ["error: none/x.svg: No such file"]),
    "no such folder, explain": (["explain", "net.py:loss", "--at", "k[0,0]", "--output", "none/x.txt"],
        ["error: none/x.txt: No such file"]),
    "a folder": (["step", "net.py:loss", "--output", "folder.html"],
        ["error: folder.html: is a folder, not a regular file"]),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_clear_line_and_status_2(case, folder, capsys):
    arguments, parts = ERRORS[case]
    np.savez(folder / "flat.npz", x=np.ones((20, 4)), y=np.zeros(20, int))
    (folder / "folder.html").mkdir()
    assert cli.main([*arguments, *(["--quiet"] if arguments[0] == "train" else [])]) == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert error.startswith(f"autoconv {arguments[0]}: error: ")
    for part in parts:
        assert part in error


@pytest.mark.dear
def test_a_reader_that_goes_away_is_no_error(folder):
    """As in autoconv info | head -0."""
    command = [sys.executable, "-m", "autoconv", "info"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_unknown_options_have_status_2_too():
    with pytest.raises(SystemExit) as left:
        cli.main(["train", "--no-such-option"])
    assert left.value.code == 2


@pytest.mark.parametrize("command", ["demo", "train", "evaluate", "graph", "step", "live", "explain", "check", "info"])
def test_help_shows_examples(command, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([command, "--help"])
    assert left.value.code == 0
    assert f"examples:\n  autoconv {command}" in capsys.readouterr().out


def test_info_and_module_form(run_python):
    printed = run_python("-m", "autoconv", "info")
    assert ac.__version__ in printed
    assert "NumPy" in printed


@pytest.mark.dear
def test_info_says_which_floor_is_in_use_and_why(run_python):
    printed = run_python("-m", "autoconv", "info", AUTOCONV_NATIVE="0")
    rows = dict(line.split(None, 1) for line in printed.splitlines())
    assert (
        rows["ac.compile"] == "NumPy: AUTOCONV_NATIVE=0 turns the native machine off"
        or "not built" in rows["ac.compile"]
    )
    assert rows["ac.Scalar"] == "python: the extension is switched off by AUTOCONV_NATIVE=0"


def test_confusion_table_in_words():
    assert (
        demo.confusion_text(np.array([[3, 0], [1, 2]]))
        == "true \\ read     0    1\n          0     3    .\n          1     1    2"
    )


# ---- files that the user names


NOT_WRITABLE = ["none/x.svg", "folder.svg", "pipe.svg"]
COMMANDS = {
    "graph": ["graph", "net.py:loss", "--output"],
    "step": ["step", "net.py:loss", "--output"],
    "explain": ["explain", "net.py:loss", "--at", "k[0,0]", "--output"],
    "exercise": ["exercise", "net.py:loss", "--out"],
    "train": ["train", "--data", "small.npz", "--model", "mlp", "--epochs", "1", "--quiet", "--checkpoint"],
}


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("name", NOT_WRITABLE)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_cannot_be_written_is_told_before_anything_is_computed(folder, capsys, command, name):
    (folder / "folder.svg").mkdir()
    os.mkfifo(folder / "pipe.svg")
    (folder / "net.py").write_text("raise SystemExit('the file of the user was run')")
    before = sorted(folder.iterdir())
    assert cli.main([*COMMANDS[command], name]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert f"autoconv {command}: error: " in printed.err
    assert name in printed.err
    assert ".tmp" not in printed.err
    assert sorted(folder.iterdir()) == before


@pytest.mark.dear
@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("option", ["--claim", "--mark"])
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(folder, option):
    os.mkfifo(folder / "pipe.json")
    call = {
        "--claim": ["check", "net.py:loss", "--wrt", "k", "--claim", "pipe.json"],
        "--mark": ["exercise", "--mark", "pipe.json", "--key", "pipe.json"],
    }[option]
    found = subprocess.run([sys.executable, "-m", "autoconv", *call], capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout) == (2, "")
    assert "pipe.json" in found.stderr
    assert "is a pipe (FIFO), not a regular file" in found.stderr


def npy_header(shape, descr="<f8"):
    made = io.BytesIO()
    np.lib.format.write_array_header_1_0(made, {"descr": descr, "fortran_order": False, "shape": shape})
    return made.getvalue()


CLAIMS = {
    "1e10 elements": (
        npy_header((10**5, 10**5)) + bytes(80),
        "80,000,000,000 bytes; more than 268,435,456 are not read",
    ),
    "1e4 x 1e4": (npy_header((10**4, 10**4)) + bytes(80), "800,000,000 bytes; more than 268,435,456 are not read"),
    "objects": (npy_header((2, 2), "|O") + b"\x80\x04N.", "holds Python objects, which are not read"),
    "negative": (npy_header((-2, -2)) + bytes(32), "shape (-2, -2), which no array has"),
    "another shape, large": (
        npy_header((3000, 3000), "|u1") + bytes(9_000_000),
        "has shape (3000, 3000), the gradient (2, 2)",
    ),
    "too short": (npy_header((2, 2)) + bytes(31), "there are only 31"),
    "text": (b"hello", "no readable .npy header"),
    "nothing": (b"", "no readable .npy header"),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_claims_that_are_not_what_they_say(folder, capsys, case):
    content, text = CLAIMS[case]
    (folder / "claim.npy").write_bytes(content)
    assert cli.main(["check", "net.py:loss", "--wrt", "k", "--claim", "claim.npy"]) == 2
    printed = capsys.readouterr().err
    assert text in printed
    assert printed.count("\n") == 1


def test_a_claim_in_a_file_is_judged(folder, capsys):
    np.save(
        folder / "right.npy", np.full((2, 2), 4.0)
    )  # every window of the ones has a positive sum, and there are four
    assert cli.main(["check", "net.py:loss", "--wrt", "k", "--claim", "right.npy"]) == 0
    np.savez(folder / "right.npz", k=np.load(folder / "right.npy"))
    assert cli.main(["check", "net.py:loss", "--wrt", "k", "--claim", "right.npz"]) == 0
    np.save(folder / "wrong.npy", np.zeros((2, 2)))
    assert cli.main(["check", "net.py:loss", "--wrt", "k", "--claim", "wrong.npy"]) == 1


@pytest.mark.parametrize("extra", [None, [1], "mlp", {"model": ["mlp"]}, {"model": 3, "classes": -1}])
def test_a_checkpoint_that_names_no_model(folder, capsys, extra):
    checkpoint.save(folder / "c", models.mlp((6, 6, 1), 3, np.random.default_rng(0)), extra=extra)
    assert cli.main(["evaluate", "c", "--data", "small.npz"]) == 2
    assert "name it with --model" in capsys.readouterr().err
    assert cli.main(["evaluate", "c", "--data", "small.npz", "--model", "mlp"]) == 0
