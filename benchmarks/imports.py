"""``import autoconv`` beside ``import numpy``: medians of fresh processes in turn, and their ratio.

python benchmarks/imports.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from statistics import median
from time import perf_counter

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--rounds", type=int, default=15)
rounds = options.parse_args().rounds
times: dict[str, list[float]] = {"pass": [], "import numpy": [], "import autoconv": []}
for number in range(rounds + 1):
    for code, measured in times.items():
        start = perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        if number:  # the first round fills the disk cache
            measured.append(perf_counter() - start)
bare, numpy, autoconv = (median(measured) for measured in times.values())
print(
    f"python {bare * 1e3:.0f} ms, import numpy +{(numpy - bare) * 1e3:.0f} ms, import autoconv +{(autoconv - bare) * 1e3:.0f} ms"
)
print(
    f"import autoconv takes {(autoconv - bare) / (numpy - bare):.2f} times as long as import numpy ({autoconv / numpy:.2f} with the interpreter)"
)
