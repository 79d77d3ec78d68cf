"""A student's file in a process of its own: limits on time, memory, files and processes, and plain bytes back.

The file is copied into an empty temporary folder and imported there by a new interpreter, one for each layer.  What it
computes comes back through a pipe as a JSON header and raw numbers, never as pickle, and every size in it is checked.
The judgement is made here, in the process that never ran a line of the file.

The limits are the operating system's (``setrlimit``, a process group that is killed, where possible a namespace of its
own without a network).  They stop accidents and pranks; they are no sandbox for a determined attacker, who can read
what the user who marks can read.  Mark files of strangers in a container or as another user.
"""

from __future__ import annotations

import ast
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import decode_source
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..files import open_regular
from .asking import LARGEST, Answer
from .budget import Budget, Shared
from .judge import judge
from .layer import Layer
from .repair import OFFERS, SECONDS, Offer, Sought, in_words
from .scratch import scratch
from .verdict import BackwardVerdict, Part

LARGEST_FILE = 2_000_000  # bytes of a file that is marked
LARGEST_ANSWER = 256_000_000  # bytes that come back
HEADER = 4_000_000  # bytes of them that are JSON
MEMORY = 2 << 30  # bytes of address space
BESIDE = 50  # further .py files of the same folder that are copied with it
START = 10.0  # seconds for the start of the interpreter, beyond the time limit
OFFERED = 3.0  # seconds to run what was found through every geometry
GRACE, STEP = 2.0, 0.25  # seconds to send an answer, and between two looks whether the process still runs
STARTED = b"\x01"  # the first byte of what comes back
REFUSALS = ("cannot be imported", "raises", "too slow")
PLACES = ("forward", "backward")
TROUBLES = ("raises", "returns None", "wrong kind of result", "wrong shape", "too slow", "not reached")
DAMAGES = ("changes its inputs", "changes its cache", "gives other numbers each time")
_KINDS = {"f2": np.float16, "f4": np.float32, "f8": np.float64}
_CHILD = "import sys; sys.path[:0] = sys.argv[1:-1]; from autoconv.marking.worker import main; main(int(sys.argv[-1]))"


class EndedError(Exception):
    """The process gave no answer: ``kind`` and words."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind


def defined(path: Path) -> set[str]:
    """The functions and classes that a file defines at its top level (or imports there), read without running it."""
    content = _content(path)
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
        raise ValueError(f"{path.name} is no Python: {getattr(error, 'msg', None) or error}{line}") from None
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _content(path: Path) -> bytes:
    with open_regular(path) as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"{path.name} is larger than {LARGEST_FILE:,} bytes; that is no file of functions")
    return content


def _docstring(path: Path, function: str) -> str | None:
    """The docstring of a function of a file's top level, read without running it."""
    found = [node for node in ast.parse(_content(path)).body if isinstance(node, ast.FunctionDef)]
    return next((ast.get_docstring(node) for node in found if node.name == function), None)


def derived(path: Path) -> list[str]:
    """The classes of a file's top level that derive from one called Function, as torch.autograd's; not run either."""
    found: list[str] = []
    for node in ast.parse(_content(path)).body:
        if isinstance(node, ast.ClassDef):
            bases = [base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases]
            found += [node.name] if any(base == "Function" or base in found for base in bases) else []
    return found


def marked(path: Path, layer: Layer, time_limit: float, memory: int = MEMORY, function: str = "") -> BackwardVerdict:
    """The verdict on one layer of a file, whose functions run in another process.

    function: the name of the torch.autograd.Function that stands for them, if one does.
    """
    layer = layer.edition(_docstring(path, layer.functions[0]))
    cases = layer.tries()
    request = {"layer": layer.name, "limit": time_limit, "memory": memory, "function": function}
    try:
        answers = _answers(_run(path, request, time_limit + START), len(cases))
    except EndedError as end:
        return BackwardVerdict(
            layer.name, {name: Part(name, False, end.kind, says=str(end)) for name in ("forward", *layer.outputs)}
        )

    sharing = Shared(time_limit)

    def own(index: int) -> Any:
        out = answers[index].out
        with sharing.spent() as left:
            if out is None or left <= 0:
                return None
            asked = request | {"differences": index, "shape": list(out.shape), "limit": left}
            try:
                (answer,) = _answers(_run(path, asked, left + START), 1)
            except EndedError:
                return None
        found = {k: v for k, v in answer.gradients.items() if v is not None}
        shapes = {name: cases[index].arrays[x].shape for name, x in layer.outputs.items()}
        return found if {k: v.shape for k, v in found.items()} == shapes else None

    budget = Budget(min(SECONDS, time_limit / 4))

    def mend(sought: Sought) -> list[Offer]:
        seconds = budget.left
        asked = request | {"mend": sought.plain(), "seconds": seconds}
        try:
            offers = _offers(_run(path, asked, seconds + OFFERED + START), len(cases))
            texts = {"": decode_source(_content(path))}
            for name in sorted({place[4] for o in offers for place in o.places} - {""}):
                found = {beside.name: beside for beside in _beside(path)}
                if name not in found:
                    raise ValueError(name)
                texts[name] = decode_source(_content(found[name]))
        except (EndedError, ValueError, OSError, SyntaxError):
            return []
        return [Offer(o.gradients, o.places, o.answers, in_words(texts, o.places)) for o in offers]

    return judge(layer, cases, answers, own, mend)


# ---- the process


def _run(path: Path, request: dict[str, Any], seconds: float) -> bytes:
    """What the worker sends for one request; EndedError if it sends nothing that can be read in time."""
    with scratch() as folder:
        _copied(path, folder)
        token = f"{os.getpid()}-{time.monotonic_ns()}"
        reading, writing = os.pipe()
        root = str(Path(__file__).resolve().parents[2])
        numpy = str(Path(np.__file__).resolve().parents[1])
        environment = {
            "PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder),
            "AUTOCONV_MARK": token, "AUTOCONV_NATIVE": "0",
            "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
        }  # fmt: skip
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-c", _CHILD, root, numpy, str(writing)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                cwd=folder, env=environment, pass_fds=(writing,), start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(writing)
        try:
            assert process.stdin is not None
            with suppress(OSError):
                process.stdin.write(json.dumps(request | {"file": path.name}).encode())
                process.stdin.close()
            return _read(reading, process, time.monotonic() + seconds, seconds)
        finally:
            os.close(reading)
            _stop(process, token)


def _copied(path: Path, folder: Path) -> None:
    """The file and its Python neighbours, which it may import; the originals are never touched."""
    shutil.copyfile(path, folder / path.name)
    for other in _beside(path):
        with suppress(OSError):
            shutil.copyfile(other, folder / other.name)


def _beside(path: Path) -> list[Path]:
    """The Python files beside a file that are copied with it."""
    made = []
    for other in sorted(path.resolve().parent.glob("*.py"))[:BESIDE]:
        with suppress(OSError):
            if other.is_file() and other.name != path.name and other.stat().st_size <= LARGEST_FILE:
                made.append(other)
    return made


def _read(reading: int, process: subprocess.Popen[bytes], end: float, seconds: float) -> bytes:
    """All that comes through the pipe until it is closed, or the process has ended and no more comes.

    The first byte says that the interpreter has started; from then on the file has its time, and GRACE to answer.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise EndedError("too slow", f"the file was stopped after {seconds - START:g} s")
        if not select.select([reading], [], [], min(left, STEP))[0]:
            if process.poll() is not None and not select.select([reading], [], [], 0)[0]:
                break  # what it started may hold the pipe open
            continue
        part = os.read(reading, 1 << 20)
        if not part:
            break
        if not size:
            end = min(end, time.monotonic() + seconds - START + GRACE)
        parts.append(part)
        size += len(part)
        if size > LARGEST_ANSWER:
            raise EndedError("too large", f"more than {LARGEST_ANSWER:,} bytes came back")
    size -= 1
    sent = b"".join(parts)[1:]
    if size <= 0:
        with suppress(subprocess.TimeoutExpired):
            process.wait(2.0)
        code = process.returncode
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            raise EndedError("too slow", "the file was stopped: it used up its processor time or its memory")
        what = f"by signal {-code}" if code is not None and code < 0 else f"with status {code}"
        raise EndedError("ends the program", f"the process ended {what}, without an answer")
    return sent


def _stop(process: subprocess.Popen[bytes], token: str) -> None:
    """End the process, its group, and whatever of its descendants left the group."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    for _ in range(3):
        left = _descendants(token)
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not left:
            break
    with suppress(subprocess.TimeoutExpired):
        process.wait(5.0)


def _descendants(token: str) -> list[int]:
    """The processes that were started with this run's environment (on Linux; elsewhere none are found)."""
    mark, found = f"AUTOCONV_MARK={token}".encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            if mark in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


# ---- what comes back


def _answers(sent: bytes, count: int) -> list[Answer]:
    """The answers in what a worker sent; EndedError for anything that is not ``count`` of them."""
    try:
        rows, at = _header(sent)
        answers = []
        if isinstance(rows, dict):
            raise EndedError(_one_of(REFUSALS, rows["kind"]), _words(rows["says"]))
        if len(rows) != count:
            raise ValueError
        for row in rows:
            take = lambda entry: _array(entry, sent)
            trouble = row["trouble"]
            answer = Answer(
                None if row["out"] is None else take(row["out"] | {"base": at}),
                {str(k): None if v is None else take(v | {"base": at}) for k, v in row["gradients"].items()},
                None if trouble is None else _trouble(*trouble),
                [(_one_of(DAMAGES, k), _words(v)) for k, v in row["damage"][:20]],
                [_words(note) for note in row["notes"][:20]],
            )
            answers.append(answer)
        return answers
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError):
        raise EndedError("unreadable answer", "what the process sent back cannot be read") from None


def _one_of(kinds: tuple[str, ...], kind: Any) -> str:
    """A kind that there is; ValueError for what the file's process has made up."""
    if kind not in kinds:
        raise ValueError
    return str(kind)


def _trouble(where: Any, kind: Any, words: Any) -> tuple[str, str, str]:
    return _one_of(PLACES, where), _one_of(TROUBLES, kind), _words(words)


def _words(said: Any) -> str:
    return " ".join(str(said).split())[:300]


def _header(sent: bytes) -> tuple[Any, int]:
    """The JSON at the beginning of what a worker sent, and where it ends; ValueError for another length."""
    size = int.from_bytes(sent[:8], "little")
    if not 0 < size <= min(HEADER, len(sent) - 8):
        raise ValueError
    return json.loads(sent[8 : 8 + size]), 8 + size


def _offers(sent: bytes, count: int) -> list[Offer]:
    """The offers in what a worker sent, their words not made yet; EndedError for anything else."""
    try:
        rows, at = _header(sent)
        if isinstance(rows, dict) or len(rows) > OFFERS:
            raise ValueError
        made = []
        for row in rows:
            places = [(*(int(n) for n in place[:4]), str(place[4])) for place in row["places"]]
            if any(len(place) != 5 for place in places):
                raise ValueError
            of = {str(g): [int(i) for i in chosen] for g, chosen in row["gradients"].items()}
            if any(not 0 <= i < len(places) for chosen in of.values() for i in chosen):
                raise ValueError
            made.append((of, places))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError):
        raise EndedError("unreadable answer", "what the process sent back cannot be read") from None
    answers = _answers(sent[at:], count * len(made)) if made else []
    return [Offer(g, p, answers[i * count : (i + 1) * count]) for i, (g, p) in enumerate(made)]  # type: ignore[arg-type]


def packed_offers(offers: list[Offer]) -> bytes:
    """Offers as bytes: the length of a header, the header (JSON), the answers of all of them."""
    header = json.dumps([{"gradients": o.gradients, "places": o.places} for o in offers]).encode()
    answers = [a for o in offers for a in o.answers]
    return b"".join([len(header).to_bytes(8, "little"), header, packed(answers)])


def _array(entry: dict[str, Any], sent: bytes) -> np.ndarray:
    kind, shape = _KINDS[entry["kind"]], tuple(int(n) for n in entry["shape"])
    count = prod(shape)
    if len(shape) > 10 or any(n < 0 for n in shape) or count > LARGEST:
        raise ValueError
    start = int(entry["base"]) + int(entry["at"])
    end = start + count * np.dtype(kind).itemsize
    if start < 0 or end > len(sent):
        raise ValueError
    return np.frombuffer(sent[start:end], kind).reshape(shape).copy()


def packed(answers: list[Answer]) -> bytes:
    """Answers as bytes: the length of the header, the header (JSON), the numbers."""
    rows, parts, at = [], [], 0

    def put(array: np.ndarray | None) -> Any:
        nonlocal at
        if array is None:
            return None
        kind = {2: "f2", 4: "f4"}.get(array.dtype.itemsize, "f8")
        content = array.astype(_KINDS[kind]).tobytes()
        entry = {"kind": kind, "shape": list(array.shape), "at": at}
        parts.append(content)
        at += len(content)
        return entry

    for a in answers:
        gradients = {k: put(v) for k, v in a.gradients.items()}
        rows.append(
            {"out": put(a.out), "gradients": gradients, "trouble": a.trouble, "damage": a.damage, "notes": a.notes}
        )
    header = json.dumps(rows).encode()
    return b"".join([len(header).to_bytes(8, "little"), header, *parts])
