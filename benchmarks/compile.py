"""One training step (forward, backward, SGD update) of ordinary models, compiled, beside PyTorch where it is installed.

    python benchmarks/compile.py [--net lenet] [--batch 1 16 64 256] [--slices 12] [--entrants compiled torch ...]

Each entrant is a process of its own; they take turns in short slices, so that a noisy machine is noisy for all.  The losses
of the first steps must agree before anything is timed.  Ratios are to the fastest PyTorch entrant of this run.
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

# (kernel, channels in, out, padding), "pool" for a 2 x 2 maximum, or (features in, out) for a linear layer; relu between
NETS = {
    "lenet": ((28, 28, 1), [(5, 1, 6, 2), "pool", (5, 6, 16, 0), "pool", (400, 120), (120, 84), (84, 10)]),
    "cnn32": ((32, 32, 3), [(3, 3, 32, 1), (3, 32, 32, 1), "pool", (3, 32, 64, 1), "pool", (4096, 10)]),
}
RATE = 0.01
Problem = tuple[list[np.ndarray], np.ndarray, np.ndarray]


def problem(net: str, batch: int) -> Problem:
    """(parameters, channels last; images (N, H, W, C); labels), the same for every entrant."""
    rng = np.random.default_rng(0)
    shape, layers = NETS[net]
    parameters = []
    for layer in layers:
        if layer == "pool":
            continue
        kernel = (layer[0], layer[0], layer[1], layer[2]) if len(layer) == 4 else layer
        scale = np.sqrt(2 / np.prod(kernel[:-1]))
        parameters += [(rng.normal(size=kernel) * scale).astype(np.float32), np.zeros(kernel[-1], np.float32)]
    return parameters, rng.normal(size=(batch, *shape)).astype(np.float32), rng.integers(0, 10, batch)


def autoconv_step(net: str, batch: int, compiled: bool) -> Callable[[], float]:
    import autoconv as ac
    from autoconv import nn
    from autoconv.plan import compile

    parameters, x, y = problem(net, batch)
    layers: list[nn.Module] = []
    for layer in NETS[net][1]:
        if layer == "pool":
            layers.append(nn.MaxPool2d(2))
        elif len(layer) == 4:
            layers += [nn.Conv2d(layer[1], layer[2], layer[0], padding=layer[3]), nn.ReLU()]
        else:
            layers += [*([nn.Flatten()] if isinstance(layers[-1], nn.MaxPool2d) else []), nn.Linear(*layer), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    for p, value in zip(model.parameters(), parameters, strict=True):
        p.assign(value)
    optimizer = ac.optim.SGD(model.parameters(), lr=RATE)
    loss = lambda x, y: ac.losses.cross_entropy(model(x), y)
    if compiled:
        program = compile(loss)
        return lambda: float(program.step(optimizer, x, y))

    def step() -> float:
        value = loss(x, y)
        optimizer.step(ac.sweep(value, optimizer.params))
        return value.item()

    return step


def torch_step(net: str, batch: int, channels_last: bool, compiled: bool) -> Callable[[], float]:
    import torch

    torch.set_num_threads(2)
    parameters, x, y = problem(net, batch)
    layers: list[torch.nn.Module] = []
    for layer in NETS[net][1]:
        if layer == "pool":
            layers.append(torch.nn.MaxPool2d(2))
        elif len(layer) == 4:
            layers += [torch.nn.Conv2d(layer[1], layer[2], layer[0], padding=layer[3]), torch.nn.ReLU()]
        else:
            layers += [
                *([torch.nn.Flatten()] if isinstance(layers[-1], torch.nn.MaxPool2d) else []),
                torch.nn.Linear(*layer),
                torch.nn.ReLU(),
            ]
    model = torch.nn.Sequential(*layers[:-1])
    channels = 0
    with torch.no_grad():
        for p, value in zip(model.parameters(), parameters, strict=True):
            if value.ndim == 4:
                channels = value.shape[-1]
                value = value.transpose(3, 2, 0, 1)
            elif value.ndim == 2:
                side = int(np.sqrt(len(value) // channels)) if channels else 0
                value = (
                    value.reshape(side, side, channels, -1).transpose(2, 0, 1, 3).reshape(value.shape)
                    if side
                    else value
                )
                value, channels = value.T, 0
            p.copy_(torch.tensor(np.ascontiguousarray(value)))
    image, target = torch.tensor(x.transpose(0, 3, 1, 2).copy()), torch.tensor(y)
    if channels_last:
        image, model = image.to(memory_format=torch.channels_last), model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    loss = lambda: torch.nn.functional.cross_entropy(model(image), target)
    run = torch.compile(loss) if compiled else loss

    def step() -> float:
        value = run()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return step


ENTRANTS: dict[str, Callable[[str, int], Callable[[], float]]] = {
    "compiled": lambda net, batch: autoconv_step(net, batch, True),
    "eager": lambda net, batch: autoconv_step(net, batch, False),
    "torch": lambda net, batch: torch_step(net, batch, False, False),
    "torch channels_last": lambda net, batch: torch_step(net, batch, True, False),
    "torch compile": lambda net, batch: torch_step(net, batch, False, True),
}


def entrant(name: str, net: str, batch: int) -> None:
    """A process of its own: prints the first losses, then the times of a slice of steps for each line it reads."""
    start = perf_counter()
    step = ENTRANTS[name](net, batch)
    losses = [step()]
    print(json.dumps({"losses": losses + [step() for _ in range(3)], "first": perf_counter() - start}), flush=True)
    for _ in sys.stdin:
        times = []
        end = perf_counter() + 0.12
        while len(times) < 3 or perf_counter() < end:
            start = perf_counter()
            step()
            times.append(perf_counter() - start)
        print(json.dumps(times), flush=True)


def compare(net: str, batch: int, names: list[str], slices: int) -> None:
    """Time the entrants in turn and print medians, minima and ratios."""
    running, losses = {}, {}
    for name in names:
        command = [sys.executable, __file__, "--entrant", name, "--net", net, "--batch", str(batch)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        first = process.stdout.readline()
        if first:
            running[name], losses[name] = process, json.loads(first)["losses"]
        else:
            print(f"{name} does not run here; left out")
    reference = next(iter(losses.values()))
    for name, found in losses.items():
        if not np.allclose(found, reference, rtol=1e-3):
            sys.exit(f"the losses differ, nothing is timed: {name} {found}, others {reference}")
    times: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(slices):
        for name, process in running.items():
            process.stdin.write("\n")
            process.stdin.flush()
            times[name] += json.loads(process.stdout.readline())
    peers = [name for name in times if name.startswith("torch")]
    best, least = [min((f(times[n]) for n in peers), default=float("nan")) for f in (median, min)]
    print(f"{net}, batch {batch}: ms, and the fraction of the fastest PyTorch's time")
    for name, measured in times.items():
        middle, low = median(measured), min(measured)
        print(
            f"  {name:20} median {middle * 1e3:8.3f} ({middle / best:5.2f})   min {low * 1e3:8.3f} ({low / least:5.2f})"
        )
    for process in running.values():
        process.stdin.close()
        process.wait()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--net", choices=NETS, default="lenet")
    options.add_argument("--batch", type=int, nargs="+", default=[1, 16, 64, 256])
    options.add_argument("--slices", type=int, default=12)
    options.add_argument("--entrants", nargs="+", choices=ENTRANTS, default=list(ENTRANTS))
    options.add_argument("--entrant", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.entrant:
        entrant(chosen.entrant, chosen.net, chosen.batch[0])
        return
    for batch in chosen.batch:
        compare(chosen.net, batch, chosen.entrants, chosen.slices)


if __name__ == "__main__":
    main()
