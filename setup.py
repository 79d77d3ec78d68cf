"""The compiled parts, each optional: where they cannot be built, the package installs and does the same in Python and
NumPy.

Everything else about the package stands in setup.cfg.
"""

import os
import runpy
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# No fast-math: contraction is off so that scalars round alike on every machine; the other two only free the compiler
# from traps.
UNIX = ["-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden"]
# Unless CFLAGS says otherwise; Python's own flags often ask for debugging symbols, which are four fifths of the result.
USUAL = {"-O": "-O3", "-g": "-g0"}


class Build(build_ext):
    """Flags by the kind of compiler."""

    def build_extension(self, ext: Extension) -> None:
        if self.compiler.compiler_type != "msvc":
            asked = os.environ.get("CFLAGS", "").split()
            usual = [flag for kind, flag in USUAL.items() if not any(one.startswith(kind) for one in asked)]
            ext.extra_compile_args = [*UNIX, *usual, *ext.extra_compile_args]
        for source in filter(lambda path: path.endswith(".py"), ext.depends):  # a header that Python and C share
            header = Path(self.build_temp, f"{Path(source).stem}.h")
            header.parent.mkdir(parents=True, exist_ok=True)
            header.write_text(runpy.run_path(source)["header"](), encoding="utf-8")
            ext.include_dirs = [*ext.include_dirs, str(header.parent)]
        super().build_extension(ext)


def extension(name: str, folder: str, **options: list[str]) -> list[Extension]:
    """The extension whose C sources are all of ``folder``; none without sources.

    A Python file beside them (but __init__.py) writes a header of its name: its function ``header`` gives the text.
    """
    sources, headers, writers = (sorted(map(str, Path(folder).glob(kind))) for kind in ("*.c", "*.h", "[!_]*.py"))
    return [Extension(name, sources, depends=headers + writers, optional=True, **options)] if sources else []


setup(
    cmdclass={"build_ext": Build},
    ext_modules=[
        *extension("autoconv.scalar._native", "autoconv/scalar/native"),
        # the contractions want fused multiply-add; nothing there claims equal rounding on every machine
        *extension("autoconv.plan._machine", "autoconv/plan/native", extra_compile_args=["-ffp-contract=fast"]),
    ],
)
