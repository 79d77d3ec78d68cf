"""The dot program as another program: one that hangs, fails, talks nonsense or without end does no harm."""

import os
import signal
import sys
import time

import pytest

import autoconv as ac
from autoconv.render import dot, program

pytestmark = pytest.mark.skipif(os.name != "posix", reason="scripts of POSIX stand in for dot")

HANGING = "sleep 60"
WITH_CHILDREN = 'sleep 60 & echo $! > "$0.child"; sleep 60'
BEHAVIOURS = {
    "hangs": (HANGING, "did not finish within 1 seconds"),
    "hangs, with children": (WITH_CHILDREN, "did not finish within 1 seconds"),
    "leaves a child that holds the pipe": ("sleep 60 & exit 0", "did not finish within 1 seconds"),
    "ignores being asked to stop": ("trap '' TERM INT HUP; sleep 60; sleep 60", "did not finish within 1 seconds"),
    "closes its output and hangs": ("exec >&- 2>&-; sleep 60", "did not finish within 1 seconds"),
    "says too much": ("exec head -c 100000000 < /dev/zero", "wrote more than 100,000 bytes"),
    "complains without end": ("exec head -c 100000000 < /dev/zero >&2", "wrote more than 10,000 bytes"),
    "fails": ("echo no such font >&2; exit 3", "failed with exit status 3: no such font"),
    "crashes": ("kill -SEGV $$", "failed with exit status -11"),
    "nonsense": ("echo hello", "cannot be read"),
    "nothing": ("true", "cannot be read"),
    "other JSON": ("echo '[1]'", "cannot be read"),
    "JSON without boxes": ('echo \'{"bb": "0,0,1,1"}\'', "cannot be read"),
    "deep JSON": (f"exec '{sys.executable}' -c 'print(\"[\" * 90000)'", "cannot be read"),
}


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A program called dot that does what it is given."""

    def put(script):
        path = tmp_path / "bin" / "dot"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)
        return path

    monkeypatch.setattr(dot, "MOST_OUTPUT", 100_000)
    return put


def small():
    x = ac.tensor([1.0, 2.0], name="x")
    return ac.sum(x * x + x)


@pytest.mark.dear
@pytest.mark.parametrize("case", BEHAVIOURS)
def test_a_program_that_misbehaves(stand_in, monkeypatch, tmp_path, case):
    script, text = BEHAVIOURS[case]
    seconds = 1.0 if "1 seconds" in text else 60.0  # the others answer at once, on a machine that is not busy
    monkeypatch.setattr(dot.place_by_dot, "__defaults__", (seconds,))
    monkeypatch.setattr(dot.render, "__defaults__", (seconds,))
    own = ac.graph(small(), layout="own").svg
    stand_in(script)
    graph = ac.graph(small())
    assert graph.svg == own  # the program is not asked unless the reader does
    with pytest.raises(RuntimeError, match=text):  # asked for
        ac.graph(small(), layout="dot").svg  # noqa: B018
    if text != "cannot be read":  # a picture is not looked into
        with pytest.raises(RuntimeError, match=text):
            graph.save(tmp_path / "x.png")
        assert not (tmp_path / "x.png").exists()


def gone(process):
    """Whether a process has ended (a zombie that nobody has collected has)."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        pass
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until_gone(process):
    end = time.monotonic() + 10
    while not gone(process) and time.monotonic() < end:
        time.sleep(0.02)
    return gone(process)


def test_what_it_started_is_ended_with_it(stand_in):
    path = stand_in(WITH_CHILDREN)
    with pytest.raises(program.ProgramError, match=r"did not finish within 0\.5 seconds"):
        program.run([str(path)], b"", 0.5, 1000)
    assert wait_until_gone(int(path.with_name("dot.child").read_text()))


def test_an_interrupt_ends_it(stand_in):
    path = stand_in('echo $$ > "$0.child"; sleep 60')

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            program.run([str(path)], b"", 60, 1000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert wait_until_gone(int(path.with_name("dot.child").read_text()))


def test_a_program_that_behaves(stand_in, tmp_path):
    path = stand_in("exec cat")
    text = b"digraph { }" * 100_000  # more than a pipe holds
    assert program.run([str(path)], text, 60, len(text)) == text
    stand_in("exec true")  # it does not read what it is given
    assert program.run([str(path)], text, 60, 10) == b""
    with pytest.raises(program.ProgramError, match="none cannot be started: No such file"):
        program.run([str(tmp_path / "none")], b"", 60, 10)
    assert dot.available()
