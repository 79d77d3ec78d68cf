"""The process in which a student's file runs (``apart`` starts it): limits first, then the file, then numbers back."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from .autograd_function import as_functions, is_function

_FILES, _WRITTEN = 64, 1_000_000  # open files; bytes of a file that may be written
_ROOM = 32 << 20  # bytes of memory kept for what is said when there is none
_PACKAGE = "student"  # the name of a file's folder, where the file is part of a package
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000  # clone(2)


def main(pipe: int) -> None:
    """Answer one request from the standard input through ``pipe``, and end."""
    request = json.loads(sys.stdin.buffer.read())
    from .apart import STARTED, packed, packed_offers
    from .asking import Answer, TimeUp, ask, deadline, differences, quiet, told, upstream
    from .courses import find
    from .judge import outputs_of
    from .repair import OFFERS, Sought, mended

    layer = find(request["layer"])
    cases = layer.tries()
    shapes = outputs_of(layer, cases)
    limit = float(request["limit"])
    out_of_memory = _refusal("raises", "it takes more memory than there is (MemoryError)")
    out_of_time = _refusal("too slow", f"the file was stopped after {limit:g} s")
    relieve = confine(limit, int(request["memory"]))
    os.write(pipe, STARTED)

    def send(content: bytes) -> None:
        while content:
            content = content[os.write(pipe, content) :]
        os._exit(0)

    try:
        try:
            with deadline(limit), quiet():
                found = imported(Path(request["file"]))
                functions = chosen(layer, found, request["function"])
        except BaseException as error:
            relieve()
            words = "its import did not end in time" if type(error).__name__ == "TimeUp" else told(error)
            send(_refusal("cannot be imported", f"the file cannot be imported: {words}"))
            return
        layer = as_functions(layer) if request["function"] else layer
        if "differences" in request:
            index = int(request["differences"])
            dout = upstream(index, tuple(request["shape"]))
            made = differences(layer, cases[index], functions, dout, limit)
            send(packed([Answer(gradients=made or {})]))
            return
        if "mend" in request:
            sought, seconds = Sought.read(request["mend"]), float(request["seconds"])
            send(packed_offers(mended(layer, cases, functions, shapes, sought, seconds)[:OFFERS]))
            return
        send(packed(ask(layer, cases, functions, limit, shapes, relieve)))
    except (MemoryError, TimeUp) as error:  # what was made ready before needs neither memory nor time
        os.write(pipe, out_of_memory if isinstance(error, MemoryError) else out_of_time)
        os._exit(0)


def _refusal(kind: str, says: str) -> bytes:
    header = json.dumps({"kind": kind, "says": says}).encode()
    return len(header).to_bytes(8, "little") + header


def chosen(layer: Any, found: Any, function: str = "") -> dict[str, Any]:
    """The layer's functions in the student's module: forward and backward, or the one of a loss or a class.

    function: the name of a torch.autograd.Function, which is both.
    """
    if function:
        kind = getattr(found, function)
        if not is_function(kind):
            raise TypeError(f"{function} is no torch.autograd.Function")
        return {"backward": kind, "forward": kind}
    names = layer.functions
    if len(names) == 1:
        return {"backward": getattr(found, names[0]), "forward": None if layer.loss else getattr(found, names[0])}
    own = names[1].replace("backward", "forward")  # a forward beside the course's, for this backward alone
    return {"forward": getattr(found, own, getattr(found, names[0], None)), "backward": getattr(found, names[1])}


def imported(path: Path) -> Any:
    """The file as a module; its folder is where it looks for others, and a package where it says ``from .other``."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    name = path.stem
    if _relative(Path(folder, path.name)):
        package = ModuleType(_PACKAGE)
        package.__path__ = [folder]
        sys.modules[_PACKAGE] = package
        name = f"{_PACKAGE}.{name}"
    spec = importlib.util.spec_from_file_location(name, os.path.join(folder, path.name))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _relative(path: Path) -> bool:
    """Whether a file imports from its own package."""
    return any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(ast.parse(path.read_bytes())))


def confine(seconds: float, memory: int) -> Callable[[], None]:
    """No more than this of time, memory, files and processes, from here on; what the system has not is left out.

    What is returned adds ``_ROOM`` to the memory, for words on what went wrong when all of it is taken.
    """
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER | _NEW_NET)  # without rights and network, where allowed
    try:
        import resource
    except ImportError:
        return lambda: None
    limits = {
        "RLIMIT_CPU": int(seconds) + 3,
        "RLIMIT_FSIZE": _WRITTEN,
        "RLIMIT_NOFILE": _FILES,
        "RLIMIT_NPROC": 0,
        "RLIMIT_CORE": 0,
    }
    for name, value in limits.items():
        with suppress(ValueError, OSError, AttributeError):
            number = getattr(resource, name)
            hard = resource.getrlimit(number)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (value, value))
    try:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = memory + _ROOM if hard == resource.RLIM_INFINITY else min(memory + _ROOM, hard)
        resource.setrlimit(resource.RLIMIT_AS, (max(most - _ROOM, 0), most))
    except (ValueError, OSError, AttributeError):
        return lambda: None
    raised = (most, most)  # made here: there may be no memory for a tuple when it is needed
    return lambda: resource.setrlimit(resource.RLIMIT_AS, raised)
