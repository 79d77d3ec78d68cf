"""``import autoconv`` beside ``import numpy``: medians of fresh processes in turn, and their ratio.

python benchmarks/imports.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter


def measure(rounds: int) -> dict[str, float]:
    """Median milliseconds of an empty interpreter, and what importing NumPy and autoconv adds to it."""
    package = Path(__file__).parent.parent / "autoconv"
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(package)], check=True)  # as an installed package is
    times: dict[str, list[float]] = {"pass": [], "import numpy": [], "import autoconv": []}
    for number in range(rounds + 1):
        for code, measured in times.items():
            start = perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            if number:  # the first round fills the disk cache
                measured.append(perf_counter() - start)
    bare, numpy, autoconv = (median(measured) * 1e3 for measured in times.values())
    return {"python": bare, "numpy": numpy - bare, "autoconv": autoconv - bare}


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=15)
    found = measure(options.parse_args().rounds)
    print("   ".join(f"{name} {ms:.0f} ms" for name, ms in found.items()))
    print(f"import autoconv takes {found['autoconv'] / found['numpy']:.2f} times as long as import numpy")
