"""The compiled parts for Windows: compiled by mingw-w64, and what they ask of the system run by wine, where had."""

import re
import runpy
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HERE = Path(__file__).parent / "helpers" / "windows"
NATIVE = ROOT / "autoconv" / "plan" / "native"
SOURCES = sorted(ROOT.glob("autoconv/*/native/*.c"))
COMPILER = "x86_64-w64-mingw32-gcc"
needs_compiler = pytest.mark.skipif(
    shutil.which(COMPILER) is None, reason=f"compiling for Windows needs {COMPILER} (Debian: gcc-mingw-w64-x86-64)"
)


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """What the sources are compiled with: the headers that Python writes, its own, and the sizes of 64-bit Windows."""
    made = tmp_path_factory.mktemp("headers")
    for writer in sorted(ROOT.glob("autoconv/*/native/[!_]*.py")):
        (made / f"{writer.stem}.h").write_text(runpy.run_path(str(writer))["header"]())
    python = sysconfig.get_paths()["include"]
    return ["-std=gnu11", f"-I{made}", "-include", str(HERE / "pyconfig.h"), f"-I{python}"]


@pytest.mark.dear
@needs_compiler
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: f"{path.parent.parent.name}-{path.name}")
def test_every_part_compiles_for_windows(source, flags):
    strict = ["-fsyntax-only", "-Wall", "-Werror"]
    done = subprocess.run([COMPILER, *strict, *flags, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_no_part_counts_on_a_long_of_64_bits():
    """A long of Windows has 32 bits: sizes are Py_ssize_t or int64_t (Python numbers threads by an unsigned long)."""
    found = []
    for path in sorted(ROOT.glob("autoconv/*/native/*.[ch]")):
        code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        found += [
            f"{path.name}: {line.strip()}"
            for line in code.splitlines()
            if re.search(r"(?<!unsigned )\blong\b(?! long)", line)
        ]
    assert not found


POOL = r"""
#include <stdio.h>
#include "system.h"
static Lock held = LOCK;
static Condition changed = CONDITION;
static int count, ready;
static void work(void *number) {
  for (int k = 0; k < 100000; k++) { lock(&held); count += (int)(size_t)number; unlock(&held); }
  lock(&held); ready++; wake_all(&changed); unlock(&held);
}
int main(void) {
  for (size_t k = 1; k <= 4; k++) if (!start_thread(work, (void *)k)) return 1;
  lock(&held); while (ready < 4) wait_on(&changed, &held); unlock(&held);
  char *memory = aligned_memory(128, 1000);
  printf("%d %d\n", count, (int)((size_t)memory % 128));
  free_aligned(memory);
  return 0;
}
"""


@needs_compiler
@pytest.mark.quick(0)
def test_locks_and_threads_of_windows(tmp_path):
    wine = shutil.which("wine") or shutil.which("wine64")
    if wine is None:
        pytest.skip("running what is compiled for Windows needs wine")
    source, program = tmp_path / "pool.c", tmp_path / "pool.exe"
    source.write_text(POOL)
    parts = [str(source), str(NATIVE / "system.c"), f"-I{NATIVE}", "-O2", "-o", str(program)]
    subprocess.run([COMPILER, *parts], check=True)
    quiet = {
        "WINEDEBUG": "-all",
        "WINEPREFIX": str(tmp_path / "prefix"),
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
    }
    done = subprocess.run([wine, str(program)], env=quiet, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["1000000", "0"], done.stderr[-2000:]
