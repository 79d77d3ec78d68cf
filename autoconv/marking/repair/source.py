"""Functions as they stand in a file: which lines a function is, and the same function compiled from a changed tree.

A function that runs and its lines in a file are matched by compiling the lines: only if the bytecode is the same are
they its source.  So a file that was edited since it was imported, or a name of a file that is not true, gives nothing.
"""

from __future__ import annotations
import __future__

import ast
import inspect
import linecache
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from .trees import call, called

LARGEST = 400_000  # characters of a file that is read
LINES = 400  # of a function that is changed; each change compiles all of them
FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
EFFECTS = frozenset((
    "open", "exec", "eval", "compile", "input", "exit", "quit", "os", "sys", "subprocess", "shutil", "socket",
    "pathlib", "Path", "requests", "urllib", "threading", "multiprocessing", "ctypes", "importlib", "pickle", "save",
    "savez", "savetxt", "tofile", "write", "write_text", "write_bytes", "system", "remove", "unlink", "rmtree",
    "setattr", "globals", "plt", "show", "sleep", "signal",
))  # fmt: skip
"""Names of what reaches outside of a function: one that has any of them is not run again with a change."""


@dataclass
class Written:
    """A function in a file.  node: its definition; number: its place among all of the file; owner: the class around
    it, if there is one; lines: of the whole file; imports: of the file, which the compiler looks at; members: the
    attributes of self anywhere in the class; numpy: the file's name of NumPy; file: its name, "" for the one that is
    judged; keys, numbers: what stands in brackets as a string, and numbers with a point, anywhere in the file;
    helpers: its functions of one argument."""

    node: ast.FunctionDef | ast.Lambda
    number: int
    owner: str
    lines: list[str]
    imports: list[ast.stmt]
    members: list[str]
    numpy: str = "np"
    file: str = ""
    keys: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    helpers: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1


@dataclass
class Running:
    """A function that can be run with another code: the function, where it is written, names of the file's NumPy."""

    function: FunctionType
    written: Written
    code: CodeType
    flags: int

    def compiled(self) -> CodeType | None:
        """The code of its tree as it is now, or None where it cannot stand in the place of the function's own."""
        adds_at = "at" in names_in(self.code)
        made = None if adds_at else compiled(self.written, self.code, self.flags)
        if adds_at or (made is not None and "at" in names_in(made)):
            with _guarded(self.written):
                made = compiled(self.written, self.code, self.flags)
        return made if made is not None and made.co_freevars == self.code.co_freevars else None


def functions_of(text: str, file: str = "") -> list[Written]:
    """All functions of a file in the order of its lines; [] for what is no Python."""
    if len(text) > LARGEST:
        return []
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    lines, made, numpy = text.splitlines(), list[Written](), numpy_of(text)
    imports: list[ast.stmt] = [s for s in tree.body if isinstance(s, (ast.Import, ast.ImportFrom))]
    imports = [s for s in imports if not (isinstance(s, ast.ImportFrom) and s.module == "__future__")]
    constants = _keys(tree), _numbers(tree), _helpers(tree)
    for owner, node in _definitions(tree, None):
        named = (owner.name, _members(owner)) if owner else ("", [])
        made.append(Written(node, len(made), named[0], lines, imports, named[1], numpy, file, *constants))
    return made


def _definitions(
    node: ast.AST, owner: ast.ClassDef | None
) -> Iterator[tuple[ast.ClassDef | None, ast.FunctionDef | ast.Lambda]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.Lambda)):
            yield owner, child
        yield from _definitions(child, child if isinstance(child, ast.ClassDef) else None)


def _keys(tree: ast.AST) -> tuple[str, ...]:
    found = [
        n.slice.value for n in ast.walk(tree) if isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Constant)
    ]
    return tuple(dict.fromkeys(key for key in found if isinstance(key, str)))


def _numbers(tree: ast.AST) -> tuple[float, ...]:
    found = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, float)]
    return tuple(dict.fromkeys(found))[:12]


def _helpers(tree: ast.Module) -> tuple[str, ...]:
    found = [(s.name, s.args) for s in tree.body if isinstance(s, ast.FunctionDef)]
    for s in tree.body:
        if isinstance(s, ast.Assign) and isinstance(s.value, ast.Lambda) and isinstance(s.targets[0], ast.Name):
            found.append((s.targets[0].id, s.value.args))
    return tuple(name for name, args in found if len(args.args) == 1)


def _members(owner: ast.ClassDef) -> list[str]:
    """What is stored in self anywhere in a class."""
    found = [
        n.attr for n in ast.walk(owner)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "self"
        and isinstance(n.ctx, ast.Store)
    ]  # fmt: skip
    return list(dict.fromkeys(found))


def numpy_of(text: str) -> str:
    """The name under which a file has NumPy."""
    for line in text.splitlines():
        words = line.split()
        if words[:3] == ["import", "numpy", "as"] and len(words) > 3:
            return words[3]
        if words[:2] == ["import", "numpy"]:
            return "numpy"
    return "np"


def plain(function: Any) -> FunctionType | None:
    """The function that Python runs for a callable: of a method, a partial, something decorated."""
    for _ in range(8):
        if isinstance(function, FunctionType):
            inner = inspect.unwrap(function)
            return inner if isinstance(inner, FunctionType) else None
        for attribute in ("__func__", "func", "__wrapped__"):
            if hasattr(function, attribute):
                function = getattr(function, attribute)
                break
        else:
            kind = type(function)
            if isinstance(kind.__dict__.get("__call__"), FunctionType):
                function = kind.__dict__["__call__"]
            else:
                return None
    return None


def text_of(function: FunctionType) -> str:
    """The whole file in which a function says it stands, or what a notebook keeps of its cell."""
    return "".join(linecache.getlines(function.__code__.co_filename, function.__globals__))


def beside(other: str, file: str) -> bool:
    """Whether a function of one file counts for one of another: the same, or one in the same folder."""
    return other == file or (Path(other).suffix == ".py" and Path(other).parent == Path(file).parent)


def reached(starts: list[Any], file: str) -> list[FunctionType]:
    """The functions of ``file``, and of the files beside it, that these may call, themselves first: by a name that
    their code has."""
    found: list[FunctionType] = []
    queue: list[Any] = list(starts)
    while queue and len(found) < 40:
        at = queue.pop(0)
        if isinstance(at, type):
            bases = [kind for kind in at.__mro__ if kind is not object]
            queue += [v for kind in bases for v in vars(kind).values() if plain_member(v) is not None]
            continue
        function = plain(at)
        if function is None or function in found or not beside(function.__code__.co_filename, file):
            continue
        found.append(function)
        names = names_in(function.__code__)
        held = [function.__globals__[n] for n in names if n in function.__globals__]
        modules = [m for m in held if isinstance(m, ModuleType) and beside(getattr(m, "__file__", None) or "", file)]
        held += [vars(m)[n] for m in modules for n in names if n in vars(m)]
        queue += [value for value in held if _callable_of(value, file)]
        for cell in function.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:
                continue
            if _callable_of(value, file):
                queue.append(value)
    return found


def plain_member(value: Any) -> FunctionType | None:
    """The function behind a member of a class."""
    if isinstance(value, (staticmethod, classmethod, FunctionType)):
        return plain(value)
    return None


def _callable_of(value: Any, file: str) -> bool:
    if isinstance(value, type):
        return any((f := plain_member(v)) and beside(f.__code__.co_filename, file) for v in vars(value).values())
    return callable(value) and plain(value) is not None


def names_in(code: CodeType) -> tuple[str, ...]:
    """The names of globals and attributes in a code and in the codes inside of it."""
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names += names_in(constant)
    return tuple(dict.fromkeys(names))


def running(function: FunctionType, file: list[Written]) -> Running | None:
    """The function with its lines; None where no lines of the file are its source."""
    code = function.__code__
    flags = code.co_flags & FUTURE
    for written in file:
        node = written.node
        first = min([node.lineno, *[d.lineno for d in getattr(node, "decorator_list", [])]])
        name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
        if name != code.co_name or code.co_firstlineno not in (first, node.lineno) or written.length > LINES:
            continue
        made = compiled(written, code, flags)
        if made is not None and same(made, code):
            return Running(function, written, code, flags)
    return None


@contextmanager
def _guarded(written: Written) -> Iterator[None]:
    """With ``np.add.at(a, i, v)`` as ``np.add.at(a, i, np.broadcast_to(v, np.shape(a[i])))``: NumPy ends the process
    where v does not fit, as it may not after a change, instead of raising."""
    numpy, before = written.numpy, list[tuple[ast.Call, ast.expr]]()
    for n in ast.walk(written.node):
        if isinstance(n, ast.Call) and called(n) == "at" and len(n.args) == 3:
            before.append((n, n.args[2]))
    for n, value in before:
        if not any(isinstance(x, ast.Starred) for x in n.args):
            there = ast.Subscript(n.args[0], n.args[1], ast.Load())
            n.args[2] = call(f"{numpy}.broadcast_to", value, call(f"{numpy}.shape", there))
            ast.fix_missing_locations(ast.copy_location(n.args[2], value))
    try:
        yield
    finally:
        for n, value in before:
            n.args[2] = value


def compiled(written: Written, like: CodeType, flags: int) -> CodeType | None:
    """The code of a definition, compiled where the names that it has from outside are those of a function around it."""
    node, free = written.node, [n for n in like.co_freevars if n != "__class__"]
    if isinstance(node, ast.Lambda):
        body: list[ast.stmt] = [ast.Expr(node)]
    else:
        bare = ast.FunctionDef(
            name=node.name, args=node.args, body=node.body, decorator_list=[], returns=node.returns,
            type_comment=None, lineno=node.lineno, col_offset=node.col_offset,
            end_lineno=node.end_lineno, end_col_offset=node.end_col_offset,
        )  # fmt: skip
        bare.type_params = []  # type: ignore[attr-defined,unused-ignore]
        body = [bare]
    if written.owner:
        body = [_class(written.owner, body)]
    if free:
        given = [ast.Assign([ast.Name(n, ast.Store()) for n in free], ast.Constant(None))]
        body = [_function("around", [*given, *body])]
    module = ast.Module([*written.imports, *body], [])
    for outer in body:
        if outer is not node:
            _located(outer, node)
    try:
        whole = compile(module, like.co_filename, "exec", flags=flags, dont_inherit=True)
    except (SyntaxError, ValueError, TypeError, RecursionError, OverflowError, MemoryError):
        return None
    return _inside(whole, like.co_name, node.lineno)


def _function(name: str, body: list[ast.stmt]) -> ast.FunctionDef:
    arguments = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    made = ast.FunctionDef(name=name, args=arguments, body=body, decorator_list=[], returns=None, type_comment=None)
    made.type_params = []  # type: ignore[attr-defined,unused-ignore]
    return made


def _class(name: str, body: list[ast.stmt]) -> ast.ClassDef:
    made = ast.ClassDef(name=name, bases=[], keywords=[], body=body, decorator_list=[])
    made.type_params = []  # type: ignore[attr-defined,unused-ignore]
    return made


def _located(node: ast.AST, like: ast.AST) -> None:
    """Line numbers for what was put around a definition, whose own are kept."""
    if not hasattr(node, "lineno") and isinstance(node, (ast.stmt, ast.expr)):
        ast.copy_location(node, like)
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node is not like:
        for child in node.body:
            if not hasattr(child, "lineno") or isinstance(child, (ast.ClassDef, ast.Assign)):
                _located(child, like)
    elif isinstance(node, ast.Assign):
        for part in (*node.targets, node.value):
            _located(part, like)


def _inside(code: CodeType, name: str, line: int) -> CodeType | None:
    """The code of a name within another, the outermost one."""
    level = [code]
    while level:
        inner = [c for at in level for c in at.co_consts if isinstance(c, CodeType)]
        for c in inner:
            if c.co_name == name and c.co_firstlineno == line:
                return c
        level = inner
    return None


def same(a: CodeType, b: CodeType) -> bool:
    """Whether two codes do the same by the same instructions."""
    if (a.co_code, a.co_names, a.co_varnames, a.co_freevars) != (b.co_code, b.co_names, b.co_varnames, b.co_freevars):
        return False
    if len(a.co_consts) != len(b.co_consts):
        return False
    for x, y in zip(a.co_consts, b.co_consts, strict=True):
        if isinstance(x, CodeType) and isinstance(y, CodeType):
            if not same(x, y):
                return False
        elif type(x) is not type(y) or repr(x) != repr(y):
            return False
    return True
