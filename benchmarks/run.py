"""Everything that is measured, in one run.

    python benchmarks/run.py [--quick] [--only steps inference growth scalars imports accuracy]
    python benchmarks/run.py --only steps --entrants "autoconv compiled" torch "torch channels_last" jax
    python benchmarks/run.py --only steps --cases lenet:16 mlp:128 [--busy]   # some nets and batches; writes nothing

``make bench`` installs the peers (peers.txt) into an environment of their own and calls this.  A peer that does not run
here is left out with its reason.  Writes benchmarks/results/: results.json (every number), table.md, steps.svg,
growth.svg.  A subject that is not asked for keeps what was measured of it before, and when.  Every ratio is of medians
within one run; what else the machine did meanwhile is written down as its load.
"""

from __future__ import annotations

import argparse
import atexit
import datetime
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import accuracy
import chart
import imports
import nets
import numpy as np
import scalars
from turns import PREDICTING, TRAINING, race

RESULTS = Path(__file__).parent / "results"
SUBJECTS = ("steps", "inference", "growth", "scalars", "imports", "accuracy")
PEERS = ("torch", "jax", "tinygrad", "autograd", "micrograd", "casadi", "onnxruntime")
STEPS = [("lenet", n) for n in (1, 16, 64, 256)] + [
    (name, net.batch) for name, net in nets.NETS.items() if name != "lenet"
]
FEW = ["autoconv compiled", "torch", "torch channels_last", "jax"]
PREDICTED = [("lenet", 1), ("lenet", 64), ("resnet20", 1), ("resnet20", 64), ("mobilenet", 1), ("transformer", 1)]
GROWTH = {
    "LeNet, batch": [("lenet", n, n) for n in (1, 4, 16, 64, 256, 1024)],
    "two layers, image side": [(f"image {n}", 8, n) for n in (8, 16, 32, 64, 128)],
    "16 x 16 images, layers": [(f"depth {n}", 8, n) for n in (1, 2, 4, 8, 16, 32)],
}


def machine() -> dict[str, Any]:
    """What was measured on, and with which versions."""
    cpu = Path("/proc/cpuinfo")
    said: dict[str, str] = {}  # of the first processor
    for line in cpu.read_text().splitlines() if cpu.exists() else []:
        key, _, value = line.partition(":")
        said.setdefault(key.strip(), value.strip())
    names = ("cpu family", "model", "stepping")
    wanted = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile")
    found: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "processor": said.get("model name") or platform.processor() or platform.machine(),
        "processor's numbers": ", ".join(f"{name} {said[name]}" for name in names if name in said),
        "instructions": " ".join(flag for flag in wanted if flag in said.get("flags", "").split()),
        "matrix products": f"{peak() / 1e9:.0f} billion operations a second in float32 (NumPy's, the best of many)",
        "memory": f"{bandwidth() / 1e9:.1f} GB a second, read and written, by one core",
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}",
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
    for peer in PEERS:
        try:
            found[peer] = version(peer)
        except PackageNotFoundError:
            found[peer] = "not installed"
    return found


def peak() -> float:
    """Floating-point operations a second of NumPy's float32 matrix product: the best of several sizes and tries."""
    best = 0.0
    for n in (512, 1024, 2048):
        a, b = np.ones((2, n, n), np.float32)
        for _ in range(max(4, 40 * 512**3 // n**3)):
            start = perf_counter()
            np.matmul(a, b)
            best = max(best, 2 * n**3 / (perf_counter() - start))
    return best


def bandwidth() -> float:
    """Bytes a second that one core copies, read and written, from memory to memory: the best of several tries."""
    source = np.ones(1 << 25, np.float32)
    target, best = np.empty_like(source), 0.0
    for _ in range(8):
        start = perf_counter()
        np.copyto(target, source)
        best = max(best, 2 * source.nbytes / (perf_counter() - start))
    return best


def predictions(slices: int, cases: list[tuple[str, int]]) -> list[dict[str, Any]]:
    """A row for each net, batch and entrant that computes the result alone, as a trained net is used."""
    rows = []
    for name, batch in cases:
        case = f"{name}, batch {batch}"
        found = race(name, batch, PREDICTING, slices, table="PREDICTORS")
        best = min((median(e.times) for e in found if not e.name.startswith("autoconv")), default=float("nan"))
        print(f"{case}, inference")
        for e in found:
            middle = median(e.times)
            row = {"case": case, "entrant": e.name, "median": middle, "min": min(e.times), "ratio": middle / best}
            rows.append(row | {"first": e.first, "memory": e.memory[0], "added": e.memory[1]})
            print(f"  {e.name:24} {middle * 1e3:9.3f} ms  {middle / best:6.2f} of the fastest peer's")
    return rows


def steps(slices: int, cases: list[tuple[str, int]], entrants: list[str]) -> list[dict[str, Any]]:
    """A row for each net, batch and entrant."""
    rows = []
    for name, batch in cases:
        case, work, top = f"{name}, batch {batch}", nets.operations(nets.named(name), batch), peak()
        found = race(name, batch, entrants, slices)
        best = min(median(e.times) for e in found if e.name in chart.MARKS)
        print(f"{case}: {work / 1e6:,.0f} million operations; matrix products run at {top / 1e9:.0f} billion a second")
        for e in found:
            middle = median(e.times)
            row = {"case": case, "entrant": e.name, "median": middle, "min": min(e.times), "ratio": middle / best}
            row |= {"peak": work / middle / top, "first": e.first, "memory": e.memory[0], "added": e.memory[1]}
            rows.append(row)
            print(
                f"  {e.name:20} {middle * 1e3:9.3f} ms  {middle / best:6.2f} of the fastest peer's   "
                f"min {min(e.times) * 1e3:9.3f} ms"
                f"   {row['peak']:5.0%} of peak   first call {e.first:6.2f} s   {e.memory[0]:5.0f} MB"
            )
    return rows


def growth(slices: int) -> list[dict[str, Any]]:
    rows = []
    for series, cases in GROWTH.items():
        for name, batch, size in cases:
            print(f"{series} {size}")
            for e in race(name, batch, FEW, slices):
                rows.append({"series": series, "size": size, "entrant": e.name, "median": median(e.times)})
                print(f"  {e.name:20} {median(e.times) * 1e3:9.3f} ms")
    return rows


def table(found: dict[str, Any]) -> str:
    """The run as Markdown: what it ran on, then a table for each subject."""
    runs: dict[str, list[str]] = {}  # what was measured in one run, by the machine of that run
    for subject, machine in found["machines"].items():
        runs.setdefault("\n".join(f"- {key}: {value}" for key, value in machine.items()), []).append(subject)
    lines = ["# Measured", ""]
    for about, subjects in runs.items():
        lines += [f"{', '.join(subjects)}:" if len(runs) > 1 else "", "", about, ""]
    if rows := found.get("steps"):
        lines += ["## One training step", "", "Median ms; in brackets the multiple of the fastest peer's median.", ""]
        names = [name for name in TRAINING if any(row["entrant"] == name for row in rows)]
        lines += ["| | " + " | ".join(names) + " | of matrix-multiply peak |", "|---" * (len(names) + 2) + "|"]
        for case in dict.fromkeys(row["case"] for row in rows):
            of = {row["entrant"]: row for row in rows if row["case"] == case}
            cells = [f"{of[n]['median'] * 1e3:.3g} ({of[n]['ratio']:.2f})" if n in of else "-" for n in names]
            share = f"{of[names[0]]['peak']:.0%}" if names[0] in of else "-"
            lines.append(f"| {case} | " + " | ".join(cells) + f" | {share} |")
        lines += ["", "First call (s) / peak memory of the process (MB):", ""]
        lines += ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
        for case in dict.fromkeys(row["case"] for row in rows):
            of = {row["entrant"]: row for row in rows if row["case"] == case}
            cells = [f"{of[n]['first']:.2g} / {of[n]['memory']:.0f}" if n in of else "-" for n in names]
            lines.append(f"| {case} | " + " | ".join(cells) + " |")
        lines.append("")
    if rows := found.get("inference"):
        lines += ["## Inference", "", "Median ms; in brackets the multiple of the fastest peer's median.", ""]
        lines += ["| | " + " | ".join(PREDICTING) + " |", "|---" * (len(PREDICTING) + 1) + "|"]
        for case in dict.fromkeys(row["case"] for row in rows):
            of = {row["entrant"]: row for row in rows if row["case"] == case}
            cells = [f"{of[n]['median'] * 1e3:.3g} ({of[n]['ratio']:.2f})" if n in of else "-" for n in PREDICTING]
            lines.append(f"| {case} | " + " | ".join(cells) + " |")
        lines.append("")
    if rows := found.get("scalars"):
        lines += [
            "## Scalars",
            "",
            "ns an operation, recording + sweep.",
            "",
            "| program | entrant | record | sweep |",
            "|---|---|---|---|",
        ]
        lines += [f"| {r['program']} | {r['entrant']} | {r['record']:.1f} | {r['backward']:.1f} |" for r in rows]
        lines.append("")
    if rows := found.get("accuracy"):
        lines += ["## Error of float32 gradients", "", "| net | entrant | error against float64 |", "|---|---|---|"]
        lines += [f"| {r['net']} | {r['entrant']} | {r['error']:.1e} |" for r in rows]
        lines.append("")
    if row := found.get("imports"):
        lines += ["## Import", "", f"python {row['python']:.0f} ms, numpy +{row['numpy']:.0f} ms, "
                  f"autoconv +{row['autoconv']:.0f} ms: "
                  f"{row['autoconv'] / row['numpy']:.2f} of numpy's.", ""]  # fmt: skip
    return "\n".join(lines)


def case(text: str) -> tuple[str, int]:
    """ "lenet:16" as ("lenet", 16)."""
    name, _, batch = text.partition(":")
    if name not in nets.NETS or not batch.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not net:batch with a net of {', '.join(nets.NETS)}")
    return name, int(batch)


def before() -> dict[str, Any]:
    """What was measured before, of all subjects, and on which machine."""
    file = RESULTS / "results.json"
    return json.loads(file.read_text()) if file.exists() else {"machines": {}}


def busy() -> subprocess.Popen[bytes]:
    """A foreign process that never rests, on the first core."""
    pin = "import os; getattr(os, 'sched_setaffinity', lambda *_: None)(0, {0})\nwhile True: pass"
    return subprocess.Popen([sys.executable, "-c", pin])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", nargs="+", choices=SUBJECTS, default=SUBJECTS)
    options.add_argument("--entrants", nargs="+", choices=TRAINING, default=TRAINING, help="of the training steps")
    options.add_argument("--quick", action="store_true", help="few slices: a first look, not a result")
    options.add_argument("--cases", nargs="+", type=case, help="net:batch ..., of the training steps")
    options.add_argument("--busy", action="store_true", help="beside a process that keeps one core busy")
    chosen = options.parse_args()
    slices = 3 if chosen.quick else 12
    if chosen.busy:
        atexit.register(busy().kill)
    found: dict[str, Any] = before()
    for subject in chosen.only:
        found["machines"][subject] = machine()
        print(f"--- {subject}", flush=True)
        if subject == "steps":
            found[subject] = steps(slices, chosen.cases or STEPS, chosen.entrants)
        elif subject == "inference":
            found[subject] = predictions(slices, chosen.cases or PREDICTED)
        elif subject == "growth":
            found[subject] = growth(max(3, slices // 2))
        elif subject == "scalars":
            found[subject] = scalars.main(max(2, slices // 2))
        elif subject == "imports":
            found[subject] = imports.measure(slices + 3)
        else:
            found[subject] = accuracy.measure(list(nets.NETS), 3 if chosen.quick else 7)
    if chosen.cases or chosen.busy:
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "results.json").write_text(json.dumps(found, indent=1))
    (RESULTS / "table.md").write_text(table(found))
    if "steps" in found:
        shown = [row for row in found["steps"] if row["entrant"] in (*chart.OURS, *chart.MARKS)]
        chart.ratios(shown, "One training step, beside the fastest peer").save(RESULTS / "steps.svg")
    if "growth" in found:
        chart.growth(found["growth"], "How a training step grows").save(RESULTS / "growth.svg")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
