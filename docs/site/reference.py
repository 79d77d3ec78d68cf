"""The reference: a page for every public name, found by walking the modules; there is no list of them here.

A module's public names are its ``__all__`` (of autoconv itself also those that ``import *`` leaves out because they
would shadow ``sum`` or ``max``), or without one what is defined in it and has no underscore.  A name that is the same
object as an earlier one has no second page where its module is only another door (``nn.functional``); in ``autoconv``
itself every name has one.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from docstrings import indented, inline, summary, to_rst

import autoconv as ac

ROOT = Path(ac.__file__).parent.parent
SHOWN_METHODS = 60  # of a class with more, methods are a table


@dataclass
class Entry:
    """A public name: where it is found, what it is, and the page that tells of it."""

    module: str
    name: str
    value: Any
    slug: str = ""
    same: list[str] = field(default_factory=list)  # the other names of this object

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}"


def public(module: ModuleType) -> list[str]:
    """The public names of a module."""
    if module is ac:
        names = [*ac._NAMES]
    elif hasattr(module, "__all__"):
        names = [*module.__all__]
    else:
        home = "autoconv" if hasattr(module, "__path__") else module.__name__  # a package brings together
        names = [
            name
            for name, value in vars(module).items()
            if not isinstance(value, ModuleType)
            and str(getattr(type(value), "__module__", "")) != "typing"
            and (getattr(value, "__module__", None) or "").startswith(home)
        ]
    return sorted({name for name in names if not name.startswith("_")}, key=lambda n: (n.lower(), n))


def modules() -> list[ModuleType]:
    """autoconv, and every module that is a public name of one found before, in the order in which they are met."""
    found = [ac]
    for module in found:
        inside = [getattr(module, name) for name in public(module)]
        found += [m for m in inside if isinstance(m, ModuleType) and m not in found]
    return found


def entries() -> list[Entry]:
    """Every public name, each with the other names of the same object."""
    found: list[Entry] = []
    by_object: dict[int, Entry] = {}
    taken: set[str] = set()
    for module in modules():
        for name in public(module):
            value = getattr(module, name)
            if isinstance(value, ModuleType):
                continue
            first = by_object.get(id(value))
            entry = Entry(module.__name__, name, value)
            if first and callable(value):
                first.same.append(entry.path)
                if module is not ac:
                    continue
                entry.same = [first.path]
            by_object.setdefault(id(value), entry)
            kind = "class" if isinstance(value, type) else "name"
            entry.slug = entry.path if entry.path.lower() not in taken else f"{entry.path}-{kind}"
            taken.add(entry.path.lower())
            found.append(entry)
    return found


def default(value: Any) -> str:
    """A default as code.

    >>> default(float), default(1e-5), default(summary)
    ('float', '1e-05', 'summary')
    """
    if inspect.isroutine(value) or isinstance(value, type):
        return str(value.__name__)
    said = repr(value)
    return said if len(said) < 40 and " at 0x" not in said else "..."


def signature(value: Any, bound: bool = False) -> str:
    """The signature without annotations, which the text explains."""
    try:
        parameters = list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):
        return "(...)"
    plain = [
        p.replace(
            annotation=inspect.Parameter.empty, default=p.empty if p.default is p.empty else _Code(default(p.default))
        )
        for p in parameters[1 if bound else 0 :]
    ]
    return str(inspect.Signature(plain))


class _Code:
    """What stands in a signature as it is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def arguments(value: Any) -> set[str]:
    """The names of the arguments of a function or a class, and of a class the settings in its text."""
    try:
        return set(inspect.signature(value).parameters)
    except (TypeError, ValueError):
        return set()


def title(text: str, mark: str = "=") -> str:
    return f"{text}\n{mark * len(text)}\n"


class Reference:
    """Writes the pages into a folder."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder, self.url = folder, url
        self.entries = entries()
        self.pages = {e.path: e.slug for e in self.entries}
        for entry in self.entries:
            for other in entry.same:
                self.pages.setdefault(other, entry.slug)
        self.modules = modules()

    def link(self, text: str) -> str | None:
        """The page of ``ac.conv2d``, ``nn.Conv2d`` or ``autoconv.nn``, where it is one of ours."""
        if not re.fullmatch(r"[\w.]+", text):
            return None
        path = re.sub(r"^ac\b", "autoconv", text)
        for name in (path, f"autoconv.{path}"):
            if "." in text and name in self.pages:
                return f"/api/{self.pages[name]}"
        return None

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for entry in self.entries:
            (self.folder / f"{entry.slug}.rst").write_text(self.page(entry), encoding="utf-8")
        for module in self.modules:
            self.write_module(module)
        index = [title("Reference"), "Every public name, made from the modules themselves.\n"]
        index.append(".. list-table::\n   :widths: 30 70\n")
        for module in self.modules:
            page = f":doc:`{module.__name__} <{module.__name__}-module>`"
            index.append(f"   * - {page}\n     - {inline(summary(module.__doc__ or ''), self.link)}")
        index.append("\n.. toctree::\n   :hidden:\n")
        index += [f"   {m.__name__} <{m.__name__}-module>" for m in self.modules]
        (self.folder / "index.rst").write_text("\n".join(index) + "\n", encoding="utf-8")

    def source(self, value: Any) -> str:
        """Where it is written."""
        try:
            file = Path(inspect.getsourcefile(inspect.unwrap(value)) or "").relative_to(ROOT).as_posix()
        except (TypeError, ValueError):
            return ""
        try:
            line = inspect.getsourcelines(inspect.unwrap(value))[1]
        except (OSError, TypeError):
            line = 1
        said = f"`{file} <{self.url}/blob/HEAD/{file}#L{line}>`__" if self.url else f"``{file}``"
        return f"Written in {said}.\n"

    def page(self, entry: Entry) -> str:
        value = entry.value
        said = [title(entry.path.removeprefix("autoconv.") if entry.module == "autoconv" else entry.path)]
        if type(value).__name__ == "Primitive":
            said.append(self.function(entry, str(inspect.signature(value))))
        elif isinstance(value, type):
            said.append(self.of_class(entry))
        elif callable(value):
            said.append(self.function(entry, signature(value)))
        else:
            said.append(self.constant(entry))
        others = [e for e in entry.same if e != entry.path]
        if others:
            said.append("Also " + ", ".join(f"``{e}``" for e in sorted(others)) + ".\n")
        if callable(value):
            said.append(self.source(value))
        return "\n".join(said)

    def function(self, entry: Entry, shown: str) -> str:
        text = to_rst(inspect.getdoc(entry.value) or "", arguments(entry.value), self.link)
        module = f".. py:currentmodule:: {entry.module}\n\n"  # else the index calls it a built-in function
        return f"{module}.. py:function:: {entry.path}{shown}\n\n{indented(text)}\n"

    def constant(self, entry: Entry) -> str:
        if entry.name == "TABLE":
            rows = "\n".join(f"* ``{name}``" for name in entry.value)
            return f".. py:data:: {entry.path}\n\n    The rows by name, the table of primitives:\n\n{indented(rows)}\n"
        kind = type(entry.value)
        owner = kind.__module__.partition(".")[0]
        what = f"A {kind.__name__}" if owner == "builtins" else f"A ``{owner}`` object of type ``{kind.__name__}``"
        doc = inspect.getdoc(entry.value) or ""
        about = "" if doc == (inspect.getdoc(kind) or "") else doc
        numpys = f"NumPy's own ``numpy.{entry.name}``" if entry.name in ac._VALUES else what
        shown = repr(entry.value)
        value = f"    :value: {shown}\n" if len(shown) < 60 and " at 0x" not in shown else ""
        return f".. py:data:: {entry.path}\n{value}\n    {numpys}.\n\n{indented(to_rst(about, set(), self.link))}\n"

    def of_class(self, entry: Entry) -> str:
        cls = entry.value
        if cls.__module__.partition(".")[0] != "autoconv":  # NumPy's dtypes
            return f".. py:class:: {entry.path}\n\n    NumPy's own ``{cls.__module__}.{cls.__name__}``.\n"
        named = f"({', '.join(b.__name__ for b in cls.__bases__ if b is not object)})"
        text = to_rst(inspect.getdoc(cls) or "", arguments(cls), self.link)
        said = [f".. py:class:: {entry.path}{signature(cls)}\n", indented(text)]
        if named != "()":
            said.append(f"    Bases: ``{named[1:-1]}``.\n")
        members = {
            name: member
            for name, member in vars(cls).items()
            if not name.startswith("_")
            and (inspect.isroutine(member) or isinstance(member, property | classmethod | staticmethod))
        }
        if len(members) > SHOWN_METHODS:
            said.append(indented(self.methods(entry, members)))
        else:
            said += [indented(self.member(name, member, cls)) for name, member in members.items()]
        return "\n".join(said)

    def methods(self, entry: Entry, members: dict[str, Any]) -> str:
        """A table of many methods, with the page of the function of that name."""
        rows = [".. list-table:: Methods\n   :widths: 30 70\n"]
        for name in sorted(members):
            member = members[name]
            page = self.pages.get(f"autoconv.{name}")
            shown = f":doc:`{name} </api/{page}>`" if page else f"``{name}``"
            doc = inspect.getdoc(member.fget if isinstance(member, property) else member) or ""
            rows.append(f"   * - {shown}\n     - {inline(summary(doc), self.link)}")
        return "\n".join(rows) + "\n"

    def member(self, name: str, member: Any, cls: type) -> str:
        if isinstance(member, property):
            text = to_rst(inspect.getdoc(member.fget) or "", set(), self.link)
            return f".. py:property:: {name}\n\n{indented(text)}\n"
        function = getattr(cls, name)
        static = isinstance(member, staticmethod)
        kind = "staticmethod" if static else "classmethod" if isinstance(member, classmethod) else "method"
        doc = inspect.getdoc(function) or ""
        shown = signature(function, bound=kind == "method")
        return f".. py:{kind}:: {name}{shown}\n\n{indented(to_rst(doc, arguments(function), self.link))}\n"

    def write_module(self, module: ModuleType) -> None:
        """The module's page, a table of its names; large ones are parted by where their names are defined."""
        name = module.__name__
        own = [e for e in self.entries if e.module == name]
        doors = [n for n in public(module) if f"{name}.{n}" not in {e.path for e in own}]
        said = [title(name), f".. py:module:: {name}\n", to_rst(inspect.getdoc(module) or "", set(), self.link)]
        groups: dict[str, list[Entry]] = {}
        for entry in own:
            groups.setdefault(self.group(entry) if len(own) > 40 else "", []).append(entry)
        listed = []
        for group in sorted(groups):
            if group:
                page = f"{name}-in-{re.sub(r'[^a-z]+', '-', group.lower())}"
                body = [title(group), f"Names of :doc:`{name} <{name}-module>`.\n", *self.table(groups[group])]
                (self.folder / f"{page}.rst").write_text("\n".join(body) + "\n", encoding="utf-8")
                listed.append(f"   {page}")
                said += [title(group, "-"), *self.table(groups[group], toctree=False)]
            else:
                said += self.table(groups[group])
        if listed:
            said += ["\n.. toctree::\n   :hidden:\n", *listed]
        known = [(n, self.pages.get(f"{name}.{n}")) for n in doors if not isinstance(getattr(module, n), ModuleType)]
        if known:
            said.append("\n" + title("The same under this name", "-"))
            said.append(", ".join(f":doc:`{n} <{page}>`" if page else f"``{n}``" for n, page in known) + "\n")
        below = [getattr(module, n) for n in doors if isinstance(getattr(module, n), ModuleType)]
        pages = {m.__name__ for m in self.modules}
        if below:
            said.append("\n" + title("Modules", "-"))
            said += [f"* :doc:`{m.__name__} <{m.__name__}-module>`" for m in below if m.__name__ in pages]
        (self.folder / f"{name}-module.rst").write_text("\n".join(said) + "\n", encoding="utf-8")

    @staticmethod
    def group(entry: Entry) -> str:
        """The subject: the file, or the folder, in which it is defined."""
        value = entry.value
        if type(value).__name__ == "Primitive":
            return "Rows of the table"
        if entry.name in ac._VALUES or entry.name == "TABLE":
            return "Values and dtypes"
        where = getattr(inspect.unwrap(value), "__module__", "") or ""
        parts = where.split(".")[1:]
        if not parts:
            return "Other names"
        last = parts[1] if parts[0] in ("functional", "nn", "optim", "array_api") and len(parts) > 1 else parts[0]
        return last.replace("_", " ").capitalize()

    def table(self, listed: list[Entry], toctree: bool = True) -> list[str]:
        rows = [".. list-table::\n   :widths: 30 70\n"]
        for entry in listed:
            doc = inspect.getdoc(entry.value) if callable(entry.value) else ""
            rows.append(f"   * - :doc:`{entry.name} <{entry.slug}>`\n     - {inline(summary(doc or ''), self.link)}")
        rows.append("")
        if toctree:
            rows += [".. toctree::\n   :hidden:\n", *(f"   {e.name} <{e.slug}>" for e in listed), ""]
        return rows
