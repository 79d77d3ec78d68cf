"""A temporary folder for somebody else's process, which is removed whatever that process did to it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

WORK = "work"
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder, inside of another that is removed: what is renamed or put in its place stays in there."""
    outer = tempfile.mkdtemp(prefix="autoconv-mark-")
    try:
        inner = Path(outer, WORK)
        inner.mkdir()
        yield inner
    finally:
        _removed(outer)


def _removed(folder: str) -> None:
    """Remove a folder, however deep, without following a link; what cannot be removed is left.

    From folder to folder by ".." and not by paths, which may be too long, nor by a call in each, which may be too many.
    """
    if os.open not in os.supports_dir_fd:  # Windows, whose folders are not opened
        shutil.rmtree(folder, ignore_errors=True)
        return
    with suppress(OSError):
        at = os.open(folder, _FOLDER)
        down, left = list[str](), set[tuple[int, int]]()
        try:
            while True:
                name = _emptied(at, left)
                if name is not None:
                    at = _moved(at, name)
                    down.append(name)
                    continue
                if not down:
                    break
                inside = os.fstat(at)
                at = _moved(at, "..")
                try:
                    os.rmdir(down.pop(), dir_fd=at)
                except OSError:
                    left.add((inside.st_dev, inside.st_ino))
        finally:
            os.close(at)
    with suppress(OSError):
        os.rmdir(folder)
    with suppress(OSError):
        os.unlink(folder)  # a link in its place


def _emptied(at: int, left: set[tuple[int, int]]) -> str | None:
    """Unlink what is in a folder; the name of the first folder in it that is none of those ``left``, or None."""
    with suppress(OSError):
        os.fchmod(at, 0o700)
        for name in os.listdir(at):
            with suppress(OSError):
                found = os.stat(name, dir_fd=at, follow_symlinks=False)
                if not stat.S_ISDIR(found.st_mode):
                    os.unlink(name, dir_fd=at)
                elif (found.st_dev, found.st_ino) not in left:
                    os.chmod(name, 0o700, dir_fd=at)
                    return name
    return None


def _moved(at: int, name: str) -> int:
    """The folder of this name in one that is open, open in its place."""
    there = os.open(name, _FOLDER, dir_fd=at)
    os.close(at)
    return there
