"""One training step of LeNet (forward, backward, SGD update), autoconv in eager mode beside PyTorch where it is installed.

    python benchmarks/cnn.py [--batch 64] [--rounds 40]

The entrants take turns in slices of one process each, so that a noisy machine is noisy for all; medians and ratios are of
this run alone.  The losses must agree before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np

LAYERS = {
    "conv1": (5, 5, 1, 6),
    "conv2": (5, 5, 6, 16),
    "linear1": (256, 120),
    "linear2": (120, 84),
    "linear3": (84, 10),
}
RATE = 0.01


def problem(batch: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """(parameters, images (N, 28, 28, 1), labels), the same for every entrant."""
    rng = np.random.default_rng(0)
    parameters = {}
    for name, shape in LAYERS.items():
        parameters[f"{name}.weight"] = (rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))).astype(np.float32)
        parameters[f"{name}.bias"] = np.zeros(shape[-1], np.float32)
    return parameters, rng.normal(size=(batch, 28, 28, 1)).astype(np.float32), rng.integers(0, 10, batch)


def autoconv_step(batch: int) -> Callable[[], float]:
    import autoconv as ac

    initial, x, labels = problem(batch)
    p = {name: ac.tensor(value, name=name) for name, value in initial.items()}

    def step() -> float:
        h = x
        for conv in ("conv1", "conv2"):
            h = ac.max_pool2d(ac.relu(ac.conv2d(h, p[f"{conv}.weight"], p[f"{conv}.bias"])), 2)
        h = ac.flatten(h, 1)
        for linear in ("linear1", "linear2", "linear3"):
            h = h @ p[f"{linear}.weight"] + p[f"{linear}.bias"]
            h = h if linear == "linear3" else ac.relu(h)
        loss = ac.losses.cross_entropy(h, labels)
        for parameter, gradient in zip(p.values(), ac.sweep(loss, list(p.values())), strict=True):
            parameter.assign(parameter.value - RATE * gradient)
        return loss.item()

    return step


def torch_step(batch: int) -> Callable[[], float]:
    import torch

    initial, x, labels = problem(batch)
    convs = {n: torch.tensor(initial[f"{n}.weight"].transpose(3, 2, 0, 1).copy()) for n in ("conv1", "conv2")}
    p = {
        n: convs[n.split(".")[0]] if n in ("conv1.weight", "conv2.weight") else torch.tensor(v)
        for n, v in initial.items()
    }
    for v in p.values():
        v.requires_grad_()
    image, target = torch.tensor(x.transpose(0, 3, 1, 2).copy()), torch.tensor(labels)
    f, optimizer = torch.nn.functional, torch.optim.SGD(p.values(), lr=RATE)

    def step() -> float:
        h = image
        for conv in ("conv1", "conv2"):
            h = f.max_pool2d(f.relu(f.conv2d(h, p[f"{conv}.weight"], p[f"{conv}.bias"])), 2)
        h = h.permute(0, 2, 3, 1).flatten(1)  # the order of elements of a channels-last image
        for linear in ("linear1", "linear2", "linear3"):
            h = h @ p[f"{linear}.weight"] + p[f"{linear}.bias"]
            h = h if linear == "linear3" else f.relu(h)
        loss = f.cross_entropy(h, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


ENTRANTS = {"autoconv": autoconv_step, "torch": torch_step}


def entrant(name: str, batch: int, rounds: int) -> None:
    """A process of its own: prints the first losses, then the times of ``rounds`` steps for each line it reads."""
    step = ENTRANTS[name](batch)
    print(json.dumps([step() for _ in range(3)]), flush=True)
    for _ in sys.stdin:
        times = []
        for _ in range(rounds):
            start = perf_counter()
            step()
            times.append(perf_counter() - start)
        print(json.dumps(times), flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--entrant", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.entrant:
        entrant(chosen.entrant, chosen.batch, chosen.rounds // 4)
        return
    running, losses = {}, {}
    for name in ENTRANTS:
        command = [
            sys.executable,
            __file__,
            "--entrant",
            name,
            "--batch",
            str(chosen.batch),
            "--rounds",
            str(chosen.rounds),
        ]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        first = process.stdout.readline()
        if not first:
            print(f"{name} is not installed here; left out")
            continue
        running[name], losses[name] = process, json.loads(first)
    reference = next(iter(losses.values()))
    for name, found in losses.items():
        if not np.allclose(found, reference, rtol=1e-4):
            sys.exit(f"the losses differ, nothing is timed: {name} {found}, others {reference}")
    times: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(4):
        for name, process in running.items():
            process.stdin.write("\n")
            process.stdin.flush()
            times[name] += json.loads(process.stdout.readline())
    print(f"LeNet training step, batch {chosen.batch}, losses of the first three steps agree")
    for name, measured in times.items():
        ratio = f"   {median(measured) / median(times['torch']):.2f} of torch's time" if "torch" in times else ""
        print(f"{name:10} median {median(measured) * 1e3:7.2f} ms   min {min(measured) * 1e3:7.2f} ms{ratio}")
    for process in running.values():
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    main()
