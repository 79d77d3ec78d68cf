"""The cost model of docs/scale.md: data parallel training on 1 to 1,024 devices, and its check on simulated ones.

python docs/scale.py           prints the tables
python docs/scale.py --check   compiles a step for 1, 2, 4 and 8 simulated devices (or those that are named) and counts
                               what XLA made of it
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

DEVICES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass
class Machine:
    """What the model assumes; every number can be replaced by that of a machine at hand."""

    flops: float = 60e12  # that a device sustains in convolutions, a second
    memory: float = 2e12  # bytes a second between a device and its memory
    inside: float = 200e9  # bytes a second between devices of a host, each way
    between: float = 25e9  # bytes a second between hosts, for each device
    per_host: int = 8
    latency: float = 10e-6  # seconds for one message


@dataclass
class Net:
    """Layers as (cells of the output, products for each cell, channels, whether batch norm follows)."""

    name: str
    layers: list[tuple[int, int, int, bool]] = field(default_factory=list)
    parameters: int = 0

    def conv(self, size: int, kernel: int, inputs: int, outputs: int, norm: bool = True) -> None:
        self.layers.append((size * size * outputs, kernel * kernel * inputs, outputs, norm))
        self.parameters += kernel * kernel * inputs * outputs + (2 if norm else 1) * outputs

    @property
    def flops(self) -> float:
        """Of one example's step: each product and sum forward, and twice that back."""
        return 3.0 * sum(2 * cells * products for cells, products, _, _ in self.layers)

    @property
    def bytes(self) -> float:
        """That one example's step moves: each layer's result is written and read about six times, in float32."""
        return 4.0 * 6 * sum(cells for cells, _, _, _ in self.layers)

    @property
    def norms(self) -> list[int]:
        """The channels of each batch norm."""
        return [channels for _, _, channels, norm in self.layers if norm]


def resnet50(width: int = 1, name: str = "ResNet-50") -> Net:
    """He et al., 2015: four stages of bottlenecks at 224 x 224; ``width`` multiplies all channels."""
    net, w = Net(name), width
    net.conv(112, 7, 3, 64 * w)
    inputs = 64 * w
    for blocks, middle, size in ((3, 64, 56), (4, 128, 28), (6, 256, 14), (3, 512, 7)):
        middle *= w
        for block in range(blocks):
            before = size * 2 if block == 0 and size < 56 else size
            net.conv(before, 1, inputs, middle)
            net.conv(size, 3, middle, middle)
            net.conv(size, 1, middle, 4 * middle)
            if block == 0:
                net.conv(size, 1, inputs, 4 * middle)
            inputs = 4 * middle
    net.conv(1, 1, inputs, 1000, norm=False)
    return net


def reduced(count: int, size: float, machine: Machine) -> float:
    """Seconds to add ``size`` bytes up over ``count`` devices, in a ring inside each host and a ring of hosts.

    A ring of n moves 2 (n - 1) / n of the bytes and takes 2 (n - 1) messages; small sums go up and down a tree, which
    takes 2 log2(n) messages.  The faster of the two is taken.
    """
    if count == 1:
        return 0.0
    inside, hosts = min(count, machine.per_host), max(1, count // machine.per_host)
    ring = 0.0
    for n, speed in ((inside, machine.inside), (hosts, machine.between * (inside if hosts > 1 else 1))):
        ring += 2 * (n - 1) / n * size / speed + 2 * (n - 1) * machine.latency
    slowest = machine.between if hosts > 1 else machine.inside
    tree = 2 * math.log2(count) * (machine.latency + size / slowest)
    return min(ring, tree)


@dataclass
class Step:
    """One step's seconds: computing, sums of gradients, sums of batch norm; ``hidden`` sums cost nothing."""

    computing: float
    gradients: float
    norms: float

    @property
    def seconds(self) -> float:
        """Gradients of later layers are added up while earlier ones are computed: two thirds of the work is the sweep,
        and half of that can hide sums.  What batch norm adds up, the next layer waits for."""
        return self.computing + self.norms + max(0.0, self.gradients - self.computing / 3)


def step(net: Net, count: int, batch: float, machine: Machine) -> Step:
    """A step with ``batch`` examples on each of ``count`` devices."""
    computing = max(net.flops * batch / machine.flops, net.bytes * batch / machine.memory)
    gradients = reduced(count, 4.0 * net.parameters, machine)
    norms = sum(4 * reduced(count, 4.0 * channels, machine) for channels in net.norms)  # two sums forward, two back
    return Step(computing, gradients, norms)


def tables(machine: Machine) -> Iterator[str]:
    """The tables of docs/scale.md."""
    for net in (resnet50(), resnet50(2, "ResNet-50 with twice the channels")):
        yield (
            f"**{net.name}**: {net.parameters:,} parameters, {net.flops / 1e9:.1f} Gflop an example and step, "
            f"{net.bytes / 1e6:.0f} MB of memory traffic, {4 * net.parameters / 1e6:.0f} MB of gradients, "
            f"{len(net.norms)} batch norms."
        )
        yield ""
        yield "| devices | 32 each: ms | gradients | batch norm | images/s | efficiency | 1,024 in all: ms | speed-up |"
        yield "|--:|--:|--:|--:|--:|--:|--:|--:|"
        one, strong_one = step(net, 1, 32, machine), step(net, 1, 1024, machine)
        for n in DEVICES:
            weak, strong = step(net, n, 32, machine), step(net, n, 1024 / n, machine)
            yield (
                f"| {n:,} | {1e3 * weak.seconds:.1f} | {1e3 * weak.gradients:.2f} | {1e3 * weak.norms:.2f} "
                f"| {32 * n / weak.seconds:,.0f} | {one.seconds / weak.seconds:.0%} | {1e3 * strong.seconds:.1f} "
                f"| {strong_one.seconds / strong.seconds:.0f} |"
            )
        yield ""


# ---- the check: what XLA makes of a step of ours

_TYPE = re.compile(r"(f32|f64|s32|pred)\[([\d,]*)\]")
_SIZES = {"f32": 4, "f64": 8, "s32": 4, "pred": 1}


def counted(text: str) -> tuple[int, int, int]:
    """(how many sums over devices a compiled program makes, their bytes, the bytes that are gathered)."""
    sums = size = gathered = 0
    for line in text.splitlines():
        match = re.search(r"= (.*?) (all-reduce|all-gather|all-reduce-start|all-gather-start)\(", line)
        if match is None:
            continue
        bytes_ = sum(
            _SIZES[kind] * math.prod(int(n) for n in shape.split(",") if n) for kind, shape in _TYPE.findall(match[1])
        )
        if "reduce" in match[2]:
            sums, size = sums + 1, size + bytes_
        else:
            gathered += bytes_
    return sums, size, gathered


def check(counts: list[int]) -> None:
    """Print flops of a device and bytes summed over devices, of the model and of the compiled step."""
    import numpy as np

    from autoconv import losses, nn, optim
    from autoconv.compiled import compile
    from autoconv.xla import run

    made: list[Any] = []

    class Seen:
        """A jitted function that remembers what it was called with."""

        def __init__(self, function: Any) -> None:
            self.function = function
            self.eval_shape = function.eval_shape
            made.append(self)

        def __call__(self, *operands: Any) -> Any:
            self.compiled = self.function.lower(*operands).compile()
            return self.function(*operands)

    plain = run.XlaRun._jit
    run.XlaRun._jit = lambda self, *args, **kwargs: Seen(plain(self, *args, **kwargs))  # type: ignore[method-assign]
    batch, size = 64, 16
    net = Net("check")
    net.conv(size, 3, 3, 16)
    net.conv(size, 3, 16, 32)
    net.conv(1, size // 2, 32, 10, norm=False)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(batch, size, size, 3)).astype(np.float32), rng.integers(0, 10, batch)
    print("| devices | flops of a device, model | compiled | bytes summed, model | compiled | sums | gathered |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for n in counts:
        model = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False, rng=0), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, bias=False, rng=0), nn.BatchNorm2d(32), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * size * size // 4, 10, rng=0),
        )  # fmt: skip
        program = compile(lambda x, y, model=model: losses.cross_entropy(model(x), y), "xla", mesh=n)
        program.step(optim.SGD(model.parameters(), lr=0.1), x, y)
        compiled = made[-1].compiled
        cost = compiled.cost_analysis()
        flops = (cost[0] if isinstance(cost, list) else cost)["flops"]
        sums, bytes_, gathered = counted(compiled.as_text())
        # gradients, four sums of each batch norm (the two back are gradients of its scale and shift), the loss
        expected = 0 if n == 1 else 4 * (net.parameters + 2 * sum(net.norms) + 1)
        print(f"| {n} | {net.flops * batch / n / 1e6:.1f} M | {flops / 1e6:.1f} M | {expected:,} | {bytes_:,} "
              f"| {sums} | {gathered:,} |")  # fmt: skip


def main() -> None:
    if "--check" not in sys.argv:
        print("\n".join(tables(Machine())))
        return
    flag = "--xla_force_host_platform_device_count=8"
    if flag not in os.environ.get("XLA_FLAGS", ""):
        environment = {**os.environ, "XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"}
        sys.exit(subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode)
    check([int(n) for n in sys.argv[2:]] or [1, 2, 4, 8])


if __name__ == "__main__":
    main()
