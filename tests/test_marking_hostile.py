"""Files that a marker gets and does not want: each ends in a clear row, and nothing outside is touched."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import pytest

from autoconv.marking.asking import TimeUp, deadline
from autoconv.marking.report import mark

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX systems")
HEAD = "import numpy as np, os, sys, time\ndef relu_forward(x): return np.maximum(x, 0), x\n"
RIGHT = "dout * (cache > 0)"


def judged(tmp_path, body, head=HEAD, limit=2.0, memory=1 << 30):
    """The verdict on relu for a file whose backward has these lines."""
    lines = "\n".join("    " + line for line in body.splitlines())
    path = tmp_path / "layers.py"
    path.write_text(f"{head}def relu_backward(dout, cache):\n{lines}\n", encoding="utf-8")
    report = mark(path, "cs231n", only=["relu"], time_limit=limit, memory=memory)
    text = report.text(points=True)
    assert max(map(len, text.splitlines())) <= 80 and len(text) < 4000
    json.dumps(report.json())
    assert (tmp_path / "layers.py").exists()
    return report.verdicts[0]


# what the backward does: (words of the row)
ENDS = {
    "an endless loop": ("while True: pass", "too slow"),
    "a loop that catches everything": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "too slow",
    ),
    "sleep": ("time.sleep(60)", "too slow"),
    "10 GB": ("return np.ones(10**10 // 8) * dout.sum()", "MemoryError|is too big"),
    "10 GB in small pieces": ("kept = []\nwhile True: kept.append(np.ones(10**6))", "MemoryError|too slow"),
    "10 GB in tiny pieces": ("kept = []\nwhile True: kept.append(np.ones(100))", "MemoryError|too slow"),
    "10 GB that stay": (
        "global kept\nkept = []\nwhile True: kept.append(bytes(1000))",
        "MemoryError|too slow",
    ),
    "10 GB taken by a thread": (
        "import threading\nkept = []\ndef take():\n    while True:\n        try: kept.append(bytes(1000))\n"
        "        except MemoryError: pass\nthreading.Thread(target=take).start()\nwhile True: kept.append(bytes(100))",
        "MemoryError|too slow",
    ),
    "a result too large": ("return np.broadcast_to(1.0, (10**5, 10**5))", "wrong shape|is too large"),
    "os._exit": ("os._exit(0)", "ends the program"),
    "sys.exit": ("sys.exit(0)", "ends the program"),
    "a signal to itself": ("os.kill(os.getpid(), 9)", "ends the program|too slow"),
    "deep recursion": ("return relu_backward(dout, cache)", "calls itself without end"),
    "very deep recursion": (
        "sys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1) + f(n + 2)\nreturn f(0)",
        "ends the program|too slow|MemoryError|RecursionError|calls itself",
    ),
    "a broken NumPy": ("np.asarray = np.array = np.zeros = None\nreturn None + dout", "raises"),
    "a large file": ("open('big', 'wb').write(bytes(10**8))", "raises"),
    "no result": ("pass", "returns None"),
    "a generator": ("yield dout", "wrong kind of result"),
    "a string": ("return 'right'", "wrong kind of result"),
}


@pytest.mark.dear
@pytest.mark.quick(3)
@pytest.mark.parametrize("what", ENDS)
def test_it_ends_in_a_clear_row(what, tmp_path):
    body, words = ENDS[what]
    v = judged(tmp_path, body)
    assert not v and any(word in v.text for word in words.split("|")), v.text


SEND = "os.write(int(sys.argv[-1]), len(h).to_bytes(8, 'little') + h)\nos._exit(0)"
ROW = {"out": None, "gradients": {}, "trouble": ["RIGHT", "RIGHT", ""], "damage": [], "notes": []}
SAID = {  # what the backward does to be read as another row
    "a cleared screen in an error": r"raise ValueError('\x1b[2J\x1b[32mRIGHT\r\n dx: RIGHT, at 6 geometries')",
    "text that runs backward": r"raise ValueError('\u202eTHGIR')",
    "an error with a name": r"raise type('\x1b[1mRIGHT', (Exception,), {})",
    "a refusal of its own": f"h = {json.dumps({'kind': 'right', 'says': 'RIGHT'}).encode()!r}\n{SEND}",
    "a trouble of its own": f"h = {json.dumps([ROW] * 6).encode()!r}\n{SEND}",
}


@pytest.mark.quick(2)
@pytest.mark.parametrize("what", SAID)
def test_what_a_file_says_cannot_be_taken_for_the_judge(what, tmp_path):
    v = judged(tmp_path, SAID[what])
    text = v.text
    assert not v and all(row.isprintable() for row in text.split("\n")), text
    assert not any(row.lstrip().startswith("dx: RIGHT") for row in text.split("\n")) and "WRONG: right" not in text, (
        text
    )
    assert "of its own" not in what or "cannot be read" in text, text


HARMLESS = {  # mischief that changes nothing: what is returned is right
    "a million lines": "for i in range(10**5): print('RIGHT: cs231n.relu')",
    "fake results": "print('{\"right\": true}', flush=True); sys.stderr.write('0')",
    "its own folder removed": "for f in os.listdir('.'): os.remove(f)",
    "its folder made unreadable": "try: os.chmod('.', 0)\nexcept OSError: pass",
    "a folder as deep as can be": "for i in range(200):\n    os.mkdir('d')\n    os.chdir('d')",
    "a link in the place of its folder": "p = os.getcwd()\nos.rename(p, p + 'x')\nos.symlink({other!r}, p)",
    "a thread that never ends": "import threading\nthreading.Thread(target=time.sleep, args=(1000,)).start()",
    "a patched checker": "import autoconv.marking.judge as j\nj.judge = j._gradient = lambda *a: 1 / 0",
}


@pytest.mark.dear
@pytest.mark.quick(2)
@pytest.mark.parametrize("what", HARMLESS)
def test_mischief_beside_a_right_gradient_changes_nothing(what, tmp_path, monkeypatch):
    (tmp_path / "teacher").mkdir(mode=0o750)
    other = tmp_path / "teacher" / "notes.txt"
    other.write_text("of the teacher", encoding="utf-8")
    body = HARMLESS[what].replace("{other!r}", repr(str(other.parent)))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    v = judged(tmp_path, f"{body}\nreturn {RIGHT}", limit=10.0)
    assert v["dx"].right, v.text
    assert not os.listdir(tmp_path / "temporary") and other.parent.stat().st_mode & 0o777 == 0o750
    assert other.read_text(encoding="utf-8") == "of the teacher"


CHEATS = {  # a wrong gradient dressed up as a right one
    "an array that is equal to everything": """
class Liar(np.ndarray):
    __eq__ = __le__ = __lt__ = __ge__ = lambda self, other: np.ones(self.shape, bool)
    __abs__ = __sub__ = lambda self, *other: np.zeros(self.shape)
    __array_ufunc__ = lambda self, *a, **k: np.ones(self.shape, bool)
return np.zeros(cache.shape).view(Liar)""",
    "an object with an array of its own": """
class Liar:
    shape, dtype = cache.shape, cache.dtype
    def __array__(self, *a, **k): return np.zeros(cache.shape)
    def __eq__(self, other): return True
    def __float__(self): return 0.0
return Liar()""",
    "a checker that accepts everything": """
import autoconv.marking.truth as t, autoconv.marking.asking as a, autoconv.marking.apart as p
t.close = t.Truth.agrees = lambda *a, **k: True
a._compare = a._again = lambda *a, **k: None
return np.zeros(cache.shape)""",
    "fake results in the standard output": """
print('{"layers": [{"right": true}]}')
return np.zeros(cache.shape)""",
    "what lies in the frames": """
frame, found = sys._getframe(), np.zeros(cache.shape)
while frame is not None:
    for value in list(frame.f_locals.values()):
        for a in value if isinstance(value, (list, tuple)) else [value]:
            for name in ('gradient', 'right', 'dx', 'truth', 'answers', 'gradients', 'out'):
                inner = getattr(a, name, None)
                if isinstance(inner, np.ndarray) and inner.shape == cache.shape and inner is not cache:
                    found = inner
    frame = frame.f_back
return found""",
}


@pytest.mark.dear
@pytest.mark.quick(2)
@pytest.mark.parametrize("what", CHEATS)
def test_a_cheat_is_not_right(what, tmp_path):
    v = judged(tmp_path, CHEATS[what].strip(), limit=10.0)
    assert not v["dx"].right, v.text


def test_processes_that_it_starts_are_ended(tmp_path):
    mark_file = tmp_path / "pid"
    body = f"""
try:
    pid = os.fork()
    if pid == 0:
        os.setsid()
        open({str(mark_file)!r}, 'w').write(str(os.getpid()))
        time.sleep(300)
except OSError: pass
return {RIGHT}"""
    v = judged(tmp_path, body.strip(), limit=10.0)
    assert v["dx"].right or v["dx"].mistake, v.text
    if mark_file.exists() and mark_file.read_text(encoding="utf-8"):
        pid = int(mark_file.read_text(encoding="utf-8"))
        end = time.monotonic() + 20  # a busy machine ends it when its turn comes
        while running(pid) and time.monotonic() < end:
            time.sleep(0.05)
        assert not running(pid)


def running(pid):
    """Whether a process is there and has not ended (one that nobody has waited for yet is still in the list)."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.dear
def test_a_file_that_does_all_of_it_when_it_is_imported(tmp_path):
    for line, words in (("sys.exit(3)", "cannot be imported"), ("while True: pass", "did not end in time")):
        v = judged(tmp_path, f"return {RIGHT}", head=HEAD + line + "\n")
        assert not v and words in v.text, v.text


def test_what_is_no_python_is_refused_before_it_runs(tmp_path):
    path = tmp_path / "layers.py"
    for content in ("def f(:", "\0", "x = " + "(" * 5000, "print('no function here')"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=r"layers\.py"):
            mark(path, "cs231n")
    path.write_bytes(b"#" * 3_000_000)
    with pytest.raises(ValueError, match="larger than"):
        mark(path, "cs231n")


def test_right_and_wrong_files_beside_hostile_ones(tmp_path):
    """The judge is as it was: after all this the right file is right, at the same numbers."""
    v = judged(tmp_path, f"return {RIGHT}")
    assert v and np.isfinite(v.points).all()


class _Slow:
    """Its finaliser takes longer than there is time, and an exception in it ends nothing else."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds, self.clock = seconds, clock

    def __del__(self) -> None:
        end = self.clock() + self.seconds
        while self.clock() < end:
            pass


@pytest.mark.dear
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seconds", [0.03, 5.0])
@pytest.mark.parametrize("processor", [False, True])
def test_an_alarm_in_a_finaliser_is_not_lost(seconds, processor):
    """It waits for the finaliser to end, or ends it, and then stops what had called it."""

    clock = time.process_time if processor else time.monotonic  # of the alarm: a busy machine has little of the first

    def endless() -> None:
        while True:
            _Slow(seconds, clock)

    started = clock()
    with pytest.raises(TimeUp), deadline(0.01, processor):
        endless()
    assert clock() - started < 4
    time.sleep(1.1)  # and no alarm is left


@pytest.mark.dear
def test_an_alarm_comes_again_where_it_was_caught():
    caught = []

    def stubborn() -> None:
        while True:
            try:
                while True:
                    pass
            except BaseException:
                caught.append(1)
                if len(caught) > 1:
                    raise

    with pytest.raises(TimeUp), deadline(0.01):
        stubborn()
    assert len(caught) == 2
