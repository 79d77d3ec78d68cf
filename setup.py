"""The compiled parts, each optional, and what the metadata says of where the project lives.

Where the compiled parts cannot be built, the package installs and does the same in Python and NumPy: its wheel is then
one for every Python and system. AUTOCONV_PURE=1 (``make wheel-pure``) asks for that one: it is what a browser takes,
and every system that has no wheel of its own. AUTOCONV_URL=https://... (``make dist URL=...``) is the address of the
published repository: the project's links, and the pictures in its description, point there. All else stands in
setup.cfg.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import sys
from pathlib import Path

import setuptools
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1, which takes the command from wheel, and builds no wheel without that
    try:
        from wheel.bdist_wheel import bdist_wheel
    except ImportError:
        bdist_wheel = setuptools.Command

HERE = Path(__file__).parent
# No fast-math: contraction is off so that scalars round alike on every machine; the other two only free the compiler
# from traps.
UNIX = ["-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden"]
# Unless CFLAGS says otherwise; Python's own flags often ask for debugging symbols, which are four fifths of the result.
USUAL = {"-O": "-O3", "-g": "-g0"}


class Build(build_ext):
    """Flags by the kind of compiler; one clear line about what could not be built."""

    def build_extension(self, ext: Extension) -> None:
        asked = os.environ.get("CFLAGS", "").split()
        usual = [flag for kind, flag in USUAL.items() if not any(one.startswith(kind) for one in asked)]
        ext.extra_compile_args = [*UNIX, *usual, *ext.extra_compile_args]
        if self.compiler.compiler_type == "msvc":
            # Microsoft's compiler has no vectors; clang-cl, which Visual Studio can bring, takes its place
            clang = shutil.which("clang-cl")
            if clang is None:
                raise CompileError(f"{ext.name} is compiled by clang-cl, and there is none on the path")
            self.compiler.initialize()
            self.compiler.cc = clang
            ext.extra_compile_args = [f"/clang:{flag}" for flag in ext.extra_compile_args]
        for source in filter(lambda path: path.endswith(".py"), ext.depends):  # a header that Python and C share
            header = Path(self.build_temp, f"{Path(source).stem}.h")
            header.parent.mkdir(parents=True, exist_ok=True)
            header.write_text(runpy.run_path(source)["header"](), encoding="utf-8")
            ext.include_dirs = [*ext.include_dirs, str(header.parent)]
        super().build_extension(ext)

    def run(self) -> None:
        super().run()
        missing = [ext.name for ext in self.extensions if not Path(self.get_ext_fullpath(ext.name)).exists()]
        if missing:
            print(
                f"autoconv: built without {' and '.join(missing)}, which need a C compiler; everything works all the "
                "same, in Python and NumPy, slower (autoconv info says what is in use)",
                file=sys.stderr,
            )


class Wheel(bdist_wheel):
    """A wheel without compiled parts is one for every Python 3 and every system."""

    def run(self) -> None:
        built = self.get_finalized_command("build_ext")
        self.run_command("build")
        if not any(Path(built.get_ext_fullpath(ext.name)).exists() for ext in self.distribution.ext_modules):
            self.distribution.ext_modules = []
            self.root_is_pure = True
        super().run()


def extension(name: str, folder: str, **options: list[str]) -> list[Extension]:
    """The extension whose C sources are all of ``folder``; none without sources.

    A Python file beside them (but __init__.py) writes a header of its name: its function ``header`` gives the text.
    """
    sources, headers, writers = (sorted(map(str, Path(folder).glob(kind))) for kind in ("*.c", "*.h", "[!_]*.py"))
    return [Extension(name, sources, depends=headers + writers, optional=True, **options)] if sources else []


def description(url: str) -> str:
    """The README, its relative links and pictures made absolute, so that they work where it is read alone."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    if not url:
        return text

    def absolute(link: re.Match[str]) -> str:
        kind = "raw" if link[2].endswith((".svg", ".png")) else "blob"
        return f"{link[1]}{url}/{kind}/HEAD/{link[2]}"

    return re.sub(r'(\]\(|src=")(?!\w+:|#)([^)"]+)', absolute, text)


def links(url: str) -> dict[str, str]:
    """The project's addresses."""
    if not url:
        return {}
    pages = {"Documentation": "README.md", "Changelog": "CHANGELOG.md"}
    return {
        "Source": url,
        "Issues": f"{url}/issues",
        **{name: f"{url}/blob/HEAD/{page}" for name, page in pages.items()},
    }


URL = os.environ.get("AUTOCONV_URL", "").rstrip("/")
# An SPDX expression, where setuptools knows it (from 77), takes the place of the classifier of the licence.
LICENCE = {"license_expression": "MIT"} if int(setuptools.__version__.split(".")[0]) >= 77 else {}

# the contractions want fused multiply-add; nothing there claims equal rounding on every machine
PARTS = [
    *extension("autoconv.scalar._native", "autoconv/scalar/native"),
    *extension("autoconv.program.record._calls", "autoconv/program/record/native"),
    *extension("autoconv.plan._machine", "autoconv/plan/native", extra_compile_args=["-ffp-contract=fast"]),
]

setup(
    **LICENCE,
    long_description=description(URL),
    project_urls=links(URL),
    cmdclass={"build_ext": Build, "bdist_wheel": Wheel},
    ext_modules=[] if os.environ.get("AUTOCONV_PURE") == "1" else PARTS,
)
