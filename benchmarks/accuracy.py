"""The gradients of one step in float32 against float64: the compiled program beside PyTorch.

    python benchmarks/accuracy.py [--seeds 5]

The error of a net is the root mean square over all gradients of (found - exact) / (the gradient's largest element), the
median over draws of the images; exact is PyTorch in float64.  A relu that decides otherwise in float32 is a jump, which
the median leaves out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median

import nets
import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "entrants"))


def error(found: list[np.ndarray], exact: list[np.ndarray]) -> float:
    scaled = [((f - e) / np.abs(e).max()).ravel() for f, e in zip(found, exact, strict=True) if np.abs(e).max() > 1e-9]
    return float(np.sqrt(np.mean(np.concatenate(scaled) ** 2)))


def by_torch(net: nets.Net, x: np.ndarray, y: np.ndarray, dtype: type) -> list[np.ndarray]:
    import pytorch
    import torch

    parameters = [torch.tensor(value.astype(dtype), requires_grad=True) for value in nets.channels_first(net)]
    images = torch.tensor((np.moveaxis(x, -1, 1) if net.dims else x).astype(dtype))
    result = pytorch.forward(net.layers, images, iter(parameters), net.dims)
    loss = pytorch.loss_of(net, result, images, torch.tensor(y))
    return [g.numpy().astype(np.float64) for g in torch.autograd.grad(loss, parameters)]


def by_autoconv(net: nets.Net, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    import ours

    import autoconv as ac

    model = ours.model(net)
    program = ac.compile(ours.loss(net, model))
    _, gradients = program.value_and_grad(x, y, wrt=list(model.parameters()))
    return [g.astype(np.float64) for g in nets.channels_first(net, [np.asarray(g) for g in gradients])]


def measure(names: list[str], seeds: int) -> list[dict[str, object]]:
    """A row {net, entrant, error} for each net and entrant."""
    rows = []
    for name in names:
        net = nets.named(name)
        _, y = nets.data(net, net.batch)
        found: dict[str, list[float]] = {"autoconv compiled": [], "torch": []}
        for seed in range(seeds):
            x = np.random.default_rng(seed).normal(size=(net.batch, *net.image)).astype(np.float32)
            exact = by_torch(net, x, y, np.float64)
            found["autoconv compiled"].append(error(by_autoconv(net, x, y), exact))
            found["torch"].append(error(by_torch(net, x, y, np.float32), exact))
        rows += [{"net": name, "entrant": entrant, "error": median(values)} for entrant, values in found.items()]
    return rows


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=5)
    for row in measure(list(nets.NETS), options.parse_args().seeds):
        print(f"{row['net']:10} {row['entrant']:18} {row['error']:.2e}")
