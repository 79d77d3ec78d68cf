"""Files: written in one piece, read within limits.

Whoever reads what ``replace_file`` writes sees the old file or the whole new one, never a part.  Only regular files are
replaced and only regular files are read: a device, a pipe, a socket or a folder is an OSError at once, neither
destroyed nor waited for.  Every error is an OSError with the path that the caller gave.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import islice
from pathlib import Path
from platform import node
from typing import IO

LARGEST = 4 * 2**30  # bytes of one file that is read as a whole
MOST_ENTRIES = 1_000_000  # of a folder
ABANDONED_AFTER = 300.0  # seconds since a temporary file was last written to
_LOOKED_AT = 10_000  # entries of a folder in which abandoned files are looked for

_KINDS = [
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISSOCK, "a socket"),
]
_HOST = sha256(node().encode()).hexdigest()[:8]
_RUN = secrets.token_hex(4)  # tells this process from an earlier one with the same number
_TEMPORARY = re.compile(r"\.autoconv-([0-9a-f]{8})-(\d{1,10})-([0-9a-f]{8})-[0-9a-f]{8}\.tmp")
# what a system says that cannot flush a folder, or not for this user: the file itself has been flushed
_NO_FOLDER_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF, errno.EISDIR, errno.ENOSYS}


# ---- writing


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Make ``content`` the whole of the file ``path``: written beside it, flushed to the disk, then put in its place.

    A link stays, the file it leads to is replaced.  Mode and (where allowed) owner of an old file are kept; a new one
    has those that ``open`` would give it.  Temporary files that killed processes left in the folder are removed.
    Raises OSError with ``path`` if that is not a regular file or cannot be written; the old file and the folder are
    then as they were (unless only the last flush of the folder failed: the new file is then complete and in its place).
    """
    with _errors_name(path):
        target, old = _target(path)
        _remove_abandoned(target.parent)
        temporary = _temporary(target)
        try:
            _write(temporary, content, old)
            os.replace(temporary, target)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        _flush_folder(target.parent)


def content_as(
    path: str | os.PathLike[str], writers: Mapping[str, Callable[[], str | bytes]], operation: str = "save"
) -> bytes:
    """The bytes that the ending of ``path`` asks for.

    writers: ending (".svg") -> what gives the content, called only if it is wanted.  Raises ValueError, with the
    endings there are, for another one; the error begins with ``operation``.
    """
    path = Path(path)
    writer = writers.get(path.suffix.lower())
    if writer is None:
        *others, last = writers
        endings = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"{operation}: cannot save {path.name!r}; the name must end in {endings}")
    content = writer()
    return content.encode() if isinstance(content, str) else content


def save_as(
    path: str | os.PathLike[str], writers: Mapping[str, Callable[[], str | bytes]], operation: str = "save"
) -> Path:
    """Write what the ending of ``path`` asks for (see ``content_as``), whole or not at all; returns the path."""
    replace_file(path, content_as(path, writers, operation))
    return Path(path)


def check_writable(path: str | os.PathLike[str]) -> None:
    """OSError if ``replace_file`` could not write to ``path``; tried with an empty file beside it, then removed."""
    with _errors_name(path):
        target, old = _target(path)
        temporary = _temporary(target)
        try:
            _write(temporary, b"", old)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _target(path: str | os.PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """The file that ``path`` leads to, and what is there now: a regular file, or nothing (None)."""
    given = os.fsdecode(path)
    if not given:
        raise OSError(errno.ENOENT, "the name is empty")
    if given.endswith(("/", os.sep)):
        raise OSError(errno.EISDIR, "is the name of a folder, not of a file")
    try:
        old = os.stat(given)
    except FileNotFoundError:
        return Path(os.path.realpath(given)), None
    _check_regular(old)
    if not os.access(given, os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return Path(os.path.realpath(given)), old


def _temporary(target: Path) -> Path:
    """A name beside ``target`` that says whose it is: host, process and run, for ``_remove_abandoned``."""
    return target.with_name(f".autoconv-{_HOST}-{os.getpid()}-{_RUN}-{secrets.token_hex(4)}.tmp")


def _write(temporary: Path, content: bytes, old: os.stat_result | None) -> None:
    with temporary.open("xb") as file:
        file.write(content)
        if old is not None and os.name == "posix":
            with suppress(PermissionError):  # only root gives files away; others keep their group at best
                os.chown(file.fileno(), old.st_uid, old.st_gid)
            os.chmod(file.fileno(), stat.S_IMODE(old.st_mode))
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Flush the entry of a file in its folder, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH:
            raise


def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files of processes of this host that are no more; what cannot be told or removed is left."""
    if os.name != "posix":  # elsewhere signal 0 is not a question
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in islice(entries, _LOOKED_AT):
            match = _TEMPORARY.fullmatch(entry.name)
            if match and match[1] == _HOST and not _alive(int(match[2]), match[3]):
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > ABANDONED_AFTER:
                        os.unlink(entry.path)


def _alive(process: int, run: str) -> bool:
    if process == os.getpid():
        return run == _RUN
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


# ---- reading


@contextmanager
def open_regular(path: str | os.PathLike[str], most: int | None = None) -> Iterator[IO[bytes]]:
    """A regular file, open to read bytes; OSError for anything else, and for a file of more than ``most`` bytes.

    Looked at before it is opened (opening a device can do things) and again after it, without waiting for a writer.
    """
    with _errors_name(path):
        _check_regular(os.stat(path))
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            status = os.fstat(descriptor)
            _check_regular(status)
            if most is not None and status.st_size > most:
                raise OSError(errno.EFBIG, f"has {status.st_size:,} bytes; more than {most:,} are not read")
        except BaseException:
            os.close(descriptor)
            raise
    with os.fdopen(descriptor, "rb") as file:
        yield file


def read_regular(path: str | os.PathLike[str], most: int = LARGEST) -> bytes:
    """All bytes of a regular file; OSError for anything else, and for more than ``most`` bytes."""
    with open_regular(path, most) as file, _errors_name(path):
        content = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)
        while len(content) <= most and (
            more := file.read(2**20)
        ):  # it grew, or is of a kind that does not say its size
            content += more
        if len(content) > most:
            raise OSError(errno.EFBIG, f"has more than {most:,} bytes, which are not read")
    return content


def entries(folder: str | os.PathLike[str], most: int = MOST_ENTRIES) -> list[Path]:
    """What is in a folder, sorted by name; OSError for a folder of more than ``most`` entries."""
    with _errors_name(folder), os.scandir(folder) as found:
        names = [entry.name for entry in islice(found, most + 1)]
        if len(names) > most:
            raise OSError(errno.EFBIG, f"is a folder of more than {most:,} entries, which are not read")
    return [Path(folder, name) for name in sorted(names)]


# ---- both


def _check_regular(status: os.stat_result) -> None:
    for holds, kind in _KINDS:
        if holds(status.st_mode):
            number = errno.EISDIR if kind == "a folder" else errno.EINVAL
            raise OSError(number, f"is {kind}, not a regular file")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file")


@contextmanager
def _errors_name(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors as OSError with the path that the caller knows."""
    try:
        yield
    except ValueError as error:  # a null character in the name
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from None
    except OSError as error:
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), os.fspath(path)) from None
