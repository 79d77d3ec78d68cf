"""How a student of the third set is declared and judged: layers of courses, functions of autoconv, own forwards."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import autoconv as ac
from helpers.students.unseen import hands

CF = "channels_first"
THIRD: list[Third] = []


@dataclass(frozen=True)
class Third:
    """One file.  like: a course's layer, a function of Tensors, or None, when the file's forward is all there is;
    made: the arrays that it is tried with (a function of a generator); call: the backward's signature."""

    label: str
    like: Any
    text: str
    words: str | None
    lines: frozenset[int]
    call: Any = None
    made: Callable[[np.random.Generator], list[Any]] | None = None

    @property
    def of_a_course(self) -> hands.Student:
        """The same file as a student of ``hands``."""
        return hands.Student(self.label, self.like, self.text, self.words, self.lines)


def hand(name: str, like: Any, text: str, *wrongs: Any, call: Any = None, made: Any = None) -> None:
    """A right one and the wrong ones made of it: (what, words, (old, new) ..)."""
    text = text.lstrip("\n")
    THIRD.append(Third(name, like, text, None, frozenset(), call, made))
    for what, words, *changes in wrongs:
        changed, lines = text, set[int]()
        for old, new in changes:  # from top to bottom, so that the lines stay where they are
            at = changed.index(old)
            changed = changed[:at] + new + changed[at + len(old) :]
            first = changed.count("\n", 0, at + len(new) - len(new.lstrip())) + 1
            lines |= set(range(first, first + max(1, len(new.strip().splitlines()))))
        THIRD.append(Third(f"{name}: {what}", like, changed, words, frozenset(lines), call, made))


def functions(one: Third, path: Path) -> tuple[Any, Any]:
    """(backward, forward or None) of a student's file."""
    if isinstance(one.like, str):
        return hands.functions(one.of_a_course, path)
    path.write_text(one.text, encoding="utf-8")
    linecache.checkcache(str(path))
    scope: dict[str, Any] = {"__name__": path.stem}
    exec(compile(one.text, str(path), "exec"), scope)  # our own text
    return scope["backward"], scope.get("forward")


def arrays(one: Third, seed: int = 11) -> list[Any]:
    """What a student without a course is tried with."""
    assert one.made is not None
    return one.made(np.random.default_rng(seed))


def judged(one: Third, path: Path) -> Any:
    """The verdict on a student's file."""
    backward, forward = functions(one, path)
    more: dict[str, Any] = {}
    if one.call:
        more["call"] = one.call
    if one.made:
        more["inputs"] = [arrays(one, seed) for seed in (11, 12)]
    return ac.check_backward(backward, forward, like=one.like, **more)


def claims(one: Third, path: Path) -> Iterator[tuple[str, Any, Any, Any]]:
    """(gradient, what the functions claim, the loss, the tensor) for each wrong gradient."""
    if isinstance(one.like, str):
        yield from hands.claims(one.of_a_course, path)
        return
    if one.like is None:
        return
    backward, forward = functions(one, path)
    given = arrays(one)
    tensors = [ac.tensor(a) if np.asarray(a).dtype.kind == "f" else a for a in given]
    y = one.like(*tensors)
    dout = np.random.default_rng(5).normal(size=y.shape)
    loss = ac.sum(y * dout)
    copies = [np.array(a) for a in given]
    try:
        if forward is not None:
            _, cache = forward(*copies)
            answer = backward(dout.copy(), cache)
        else:
            answer = backward(dout.copy(), *copies)
    except Exception:  # a bug that raises claims nothing
        return
    answer = answer if isinstance(answer, tuple | list) else (answer,)
    wanted = [t for t in tensors if isinstance(t, ac.Tensor)]
    loss.backward()
    truths = [t.grad for t in wanted]
    for i, (claimed, tensor) in enumerate(zip(answer, wanted, strict=False)):
        truth = np.asarray(truths[i])
        claimed = np.asarray(claimed)
        usable = claimed.shape == truth.shape and 4 <= claimed.size <= hands.MOST
        if usable and not np.allclose(claimed, truth, rtol=1e-6, atol=1e-9):
            yield f"d{i}", claimed, loss, tensor
