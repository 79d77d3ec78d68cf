"""Files in one piece: whoever reads sees the old file or the whole new one, never a part."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Write beside ``path``, flush to the disk, then put it in its place.

    An OSError names ``path`` and leaves it and its folder as they were.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None  # the file beside is nobody's concern
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    with suppress(OSError):  # not every system lets a folder be flushed
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def save_as(
    path: str | os.PathLike[str], writers: Mapping[str, Callable[[], str | bytes]], operation: str = "save"
) -> Path:
    """Write what the ending of ``path`` asks for, whole or not at all; returns the path.

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
    replace_file(path, content.encode() if isinstance(content, str) else content)
    return path
