"""Which statements a gradient depends on: a slip that spoils one gradient alone stands where no right one looks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

_ALL = "*"


_MODULES = frozenset(("np", "numpy", "range", "len", "int", "enumerate", "zip"))


Flow = tuple[int, set[str], set[str]]  # a statement, the names that it writes, those that it reads


def statements_of(node: Any, outputs: list[str], wrong: list[str], right: list[str]) -> list[set[int]] | None:
    """Ids of statements, the most suspect first: those on which all wrong gradients depend and no right one, those on
    which some wrong ones do, those on which right ones depend too.

    None where a function does not end in one tuple of its gradients.
    """
    returns = [n for n in ast.walk(node) if isinstance(n, ast.Return)]
    if not isinstance(node, ast.FunctionDef) or len(returns) != 1 or not isinstance(returns[0].value, ast.Tuple):
        return None
    elements = returns[0].value.elts
    if len(elements) == len(outputs) + 1:
        elements = elements[1:]  # of a loss
    if len(elements) != len(outputs):
        return None
    flows = {flow[0]: flow for flow in _with_views(node, list(_flows(node, set())))}
    blocks = [(s, [flows[id(n)] for n in ast.walk(s) if id(n) in flows]) for s in node.body]
    of = {g: _before(blocks, names_of(e)) for g, e in zip(outputs, elements, strict=True)}
    bad = set[int]().union(*[of[g] for g in wrong])
    common = set.intersection(*[of[g] for g in wrong])
    good = set[int]().union(*[of[g] for g in right])
    return [common - good, (bad - good - common) | {id(returns[0])}, bad & good]


def kept_only(node: Any) -> set[int]:
    """Ids of the statements that make what a forward keeps and not what it gives: its result does not depend on them,
    or was there before they run.

    Of a function that returns (result, kept, ..), or one result and keeps the rest in self.
    """
    returns = [n for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
    if not isinstance(node, ast.FunctionDef) or not returns:
        return set()
    results = [r.value.elts[0] if isinstance(r.value, ast.Tuple) and r.value.elts else r.value for r in returns]
    flows, wanted = (
        _with_views(node, list(_flows(node, set()))),
        set().union(*[names_of(r) for r in results if r is not None]),
    )
    given = _reaching(flows, wanted) - set(_behind(node, {statement for statement, w, _ in flows if w & wanted}))
    return {statement for statement, *_ in flows if statement not in given} | {id(r) for r in returns}


def giving(node: Any) -> list[set[int]]:
    """Ids of a forward's statements: those that its result may depend on, its return among them; those that make only
    what is kept."""
    every = {id(n) for n in ast.walk(node) if isinstance(n, ast.stmt)}
    only = kept_only(node) - {id(n) for n in ast.walk(node) if isinstance(n, ast.Return)}
    return [every - only, every & only]


def packed(node: Any) -> set[int]:
    """Ids of the statements in which a forward packs what it keeps."""
    returns = [n for n in ast.walk(node) if isinstance(n, ast.Return) and isinstance(n.value, ast.Tuple)]
    kept = {e.id for r in returns for e in r.value.elts[1:] if isinstance(e, ast.Name)}  # type: ignore[union-attr]
    made = {
        id(s) for s in ast.walk(node) if isinstance(s, ast.Assign) and isinstance(s.value, ast.Tuple)
        and any(isinstance(t, ast.Name) and t.id in kept for t in s.targets)
    }  # fmt: skip
    return made | {id(r) for r in returns}


def _behind(node: Any, makers: set[int]) -> Iterator[int]:
    """The statements behind the last one of their block that makes a result."""
    for block in (getattr(node, "body", []), getattr(node, "orelse", [])):
        last = max((i for i, s in enumerate(block) if any(id(n) in makers for n in ast.walk(s))), default=len(block))
        yield from (id(n) for s in block[last + 1 :] for n in ast.walk(s) if isinstance(n, ast.stmt))
        for s in block:
            if isinstance(s, (ast.If, ast.With)):
                yield from _behind(s, makers)


def names_of(node: ast.AST) -> set[str]:
    """What is read of names: "x" and "x:" of a name, "x.a" and "x:" of an attribute x.a or a part x["a"] alone.

    A name that is assigned or changed as a whole is "x:" too, so that its attributes depend on it.
    """
    parts = {n.value: held for n in ast.walk(node) if (held := _member(n))}  # type: ignore[attr-defined]
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id not in _MODULES]
    return {parts.get(n, n.id) for n in names} | {f"{n.id}:" for n in names}


def _member(node: ast.AST) -> str:
    """ "x.a" of x.a and of x["a"], "" of anything else."""
    if not isinstance(node, (ast.Attribute, ast.Subscript)) or not isinstance(node.value, ast.Name):
        return ""
    of = node.attr if isinstance(node, ast.Attribute) else getattr(node.slice, "value", None)
    return f"{node.value.id}.{of}" if isinstance(of, str) and node.value.id not in _MODULES else ""


def _flows(node: ast.AST, around: set[str]) -> Iterator[Flow]:
    """What each statement writes and reads; what ends a pass of a loop writes ``_ALL``, which everything depends on."""
    for name in ("body", "orelse"):
        for s in getattr(node, name, []) if isinstance(getattr(node, name, []), list) else []:
            if isinstance(s, (ast.For, ast.While, ast.If, ast.With)):
                head = names_of(s.iter) | names_of(s.target) if isinstance(s, ast.For) else set()
                head |= names_of(s.test) if isinstance(s, (ast.While, ast.If)) else set()
                written = names_of(s.target) if isinstance(s, ast.For) else set()
                inner = list(_flows(s, around | head))
                yield id(s), written.union(*[w for _, w, _ in inner]), head | around
                yield from inner
            elif isinstance(s, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
                targets = s.targets if isinstance(s, ast.Assign) else [s.target]
                written = set().union(*[_written(t) for t in targets])
                held = _held if isinstance(s, ast.Assign) else names_of  # what a name was before does not matter
                read = set[str]().union(*[held(t) for t in targets], names_of(s.value) if s.value else ())
                yield id(s), written, around | read
            elif isinstance(s, ast.FunctionDef):
                inside = [n for n in ast.walk(s) if isinstance(n, ast.stmt)]
                for n in inside:
                    yield id(n), {s.name}, names_of(s) | around
            elif isinstance(s, (ast.Break, ast.Continue)):
                yield id(s), {_ALL}, around
            elif not isinstance(s, ast.Return):
                names = names_of(s)
                yield id(s), names, names | around


_VIEWING = ("reshape", "transpose", "swapaxes", "moveaxis", "view", "ravel", "squeeze", "T")


def _with_views(node: ast.AST, flows: list[Flow]) -> list[Flow]:
    """The flows, where what is changed in place is also written in the array that it is a part or a view of; and what
    is written under the name of a view, for it may have been meant so."""
    of: dict[str, set[str]] = {}
    for s in ast.walk(node):
        target = s.targets[0] if isinstance(s, ast.Assign) and len(s.targets) == 1 else None
        if isinstance(s, ast.Assign) and isinstance(target, ast.Name) and _viewed(s.value) not in ("", target.id):
            of.setdefault(target.id, set()).add(_viewed(s.value))
    changed = set[int]()
    for s in ast.walk(node):
        targets = s.targets if isinstance(s, ast.Assign) else []
        instead = isinstance(s, ast.Assign) and not _viewed(s.value) and any(_viewed(t) in of for t in targets)
        if isinstance(s, ast.AugAssign) or instead or any(isinstance(t, ast.Subscript) for t in targets):
            changed.add(id(s))
    return [(s, _bases(written, of) if s in changed else written, read) for s, written, read in flows]


def _bases(written: set[str], of: dict[str, set[str]]) -> set[str]:
    """Names, and those of the arrays that they are views of."""
    found, left = set(written), list(written)
    while left:
        for base in of.get(left.pop(), ()):
            if base not in found:
                found |= {base, f"{base}:"}
                left.append(base)
    return found


def _viewed(value: ast.AST) -> str:
    """The name of the array of which an expression is a part, another shape or another order; "" of anything else."""
    while not isinstance(value, ast.Name):
        if held := _member(value):
            return held if "." in held and not held.endswith(".T") else held.partition(".")[0]
        if isinstance(value, ast.Subscript) or (isinstance(value, ast.Attribute) and value.attr in _VIEWING):
            value = value.value
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _VIEWING:
            module = isinstance(value.func.value, ast.Name) and value.func.value.id in _MODULES
            if module and not value.args:
                return ""
            value = value.args[0] if module else value.func.value
        else:
            return ""
    return value.id


def _written(target: ast.AST) -> set[str]:
    if held := _member(target):
        return {held}
    if isinstance(target, (ast.Subscript, ast.Attribute, ast.Starred)):
        return _written(target.value)
    if isinstance(target, (ast.Tuple, ast.List)):
        return set().union(*[_written(t) for t in target.elts])
    return names_of(target) if isinstance(target, ast.Name) else set()


def _held(target: ast.AST) -> set[str]:
    """What an assignment reads of its target: nothing of a name, all of an array that it changes."""
    if isinstance(target, (ast.Tuple, ast.List)):
        return set().union(*[_held(t) for t in target.elts])
    return set() if isinstance(target, ast.Name) else names_of(target)


def _before(blocks: list[tuple[ast.stmt, list[Flow]]], names: set[str]) -> set[int]:
    """The statements that a result with these names depends on, at the end of a body of statements: what is assigned
    to a name after it was read does not matter."""
    known, found = {*names, _ALL}, set[int]()
    for s, flows in reversed(blocks):
        reaching = _reaching(flows, known)
        found |= reaching
        if isinstance(s, ast.Assign) and reaching:
            for name in {n.id for t in s.targets for n in ast.walk(t) if isinstance(n, ast.Name) and _stored(n)}:
                known -= {k for k in known if k.split(".")[0].rstrip(":") == name}
        known = known.union(*[read for statement, _, read in flows if statement in reaching])
    return found


def _stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _reaching(flows: list[Flow], names: set[str]) -> set[int]:
    """The statements that a result with these names depends on."""
    known, found = {*names, _ALL}, set()
    changed = True
    while changed:
        changed = False
        for statement, written, read in flows:
            if statement not in found and (written & known or any(w.split(".")[0] in known for w in written)):
                found.add(statement)
                known |= read
                changed = True
    return found
