"""Another program, run with a limit on its time and on what it says; nothing of it is left when ``run`` returns."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

CHUNK = 2**16
MOST_ERRORS = 10_000  # bytes of its error output that are kept


class ProgramError(RuntimeError):
    """A program that could not be run, failed, took too long or said too much; the text says which."""


def run(command: Sequence[str], text: bytes, seconds: float, most: int) -> bytes:
    """What ``command`` writes for the input ``text``.

    Raises ProgramError if it cannot be started, has an exit status other than 0, takes more than ``seconds`` seconds or
    writes more than ``most`` bytes.  It is then ended, with all programs that it started itself.
    """
    with tempfile.TemporaryFile() as given:  # a file, so that a program that does not read does not stop us
        given.write(text)
        given.seek(0)
        try:
            process = subprocess.Popen(
                list(command), stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise ProgramError(f"{command[0]} cannot be started: {error.strerror or error}") from None
    assert process.stdout is not None and process.stderr is not None
    done: queue.SimpleQueue[_Reader] = queue.SimpleQueue()
    output, errors = _Reader(process.stdout, most, done), _Reader(process.stderr, MOST_ERRORS, done)
    end, late, full = time.monotonic() + seconds, False, False
    try:
        for _ in (output, errors):
            full = done.get(timeout=max(0.0, end - time.monotonic())).full
            if full:  # it waits for us to read on
                break
        else:
            process.wait(max(0.0, end - time.monotonic()))
    except (queue.Empty, subprocess.TimeoutExpired):
        late = True
    finally:  # also when Ctrl-C ends the wait
        _end(process)
    said = bytes(errors.content).decode("utf-8", "replace").strip()
    if late:
        raise ProgramError(f"{command[0]} did not finish within {seconds:g} seconds")
    if full:
        raise ProgramError(f"{command[0]} wrote more than {(most if output.full else MOST_ERRORS):,} bytes")
    if process.returncode:
        raise ProgramError(f"{command[0]} failed with exit status {process.returncode}: {said or 'it says nothing'}")
    return bytes(output.content)


class _Reader(threading.Thread):
    """Reads a pipe to its end, or until there is too much, and then stands in ``done``."""

    def __init__(self, pipe: IO[bytes], most: int, done: queue.SimpleQueue[_Reader]) -> None:
        super().__init__(daemon=True)
        self.pipe, self.most, self.content, self.full, self.done = pipe, most, bytearray(), False, done
        self.start()

    def run(self) -> None:
        with suppress(OSError, ValueError):  # the pipe is closed under it at the end
            while not self.full and (chunk := os.read(self.pipe.fileno(), CHUNK)):
                self.content += chunk
                self.full = len(self.content) > self.most
        self.done.put(self)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and its group, whether it has finished or not: what it started may be still there."""
    with suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
