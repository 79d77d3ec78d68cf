"""Write interop/NAME.json and interop/NAME.npz: what from_torch reads from each network, and what PyTorch computes.

    python tests/reference/make_interop_reference.py [NAME ..]

The networks are those of tests/helpers/torch_nets.py, in float64.  The JSON file holds the graphs of both modes (the
constants stand in the npz file); the npz file the state, an input and a target, and for the mean squared error between
output and target: outputs and gradients in both modes, the running statistics after one batch in training, and one
number for each parameter after one step of SGD and of Adam.  The versions they were made with stand in the JSON file.
"""

import copy
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's habit)

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from helpers.torch_nets import NETS, example  # noqa: E402

import autoconv as ac  # noqa: E402
from autoconv.interop.storage import to_data  # noqa: E402

FOLDER = Path(__file__).parent / "interop"


def digest(x):
    """One number that no change of one element leaves as it is."""
    return float((x * np.linspace(1, 2, x.size).reshape(x.shape)).sum())


def run(net, x, target):
    """(output, gradients) in the net's mode."""
    net.zero_grad()
    out = net(x)
    F.mse_loss(out, target).backward()
    return out.detach().numpy(), {name: p.grad.numpy().copy() for name, p in net.named_parameters()}


def after_step(net, x, target, make):
    net = copy.deepcopy(net).train()
    optimizer = make(net.parameters())
    F.mse_loss(net(x), target).backward()
    optimizer.step()
    return {name: digest(p.detach().numpy()) for name, p in net.named_parameters()}


def write(name):
    net, x = example(name, torch.float64)
    target = torch.randn(net.eval()(x).shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model = ac.from_torch(net, x)
    graphs = {"training": model.train().graph, "evaluation": model.eval().graph}
    arrays = {f"state/{k}": v.numpy().copy() for k, v in net.state_dict().items()} | {
        "x": x.numpy(),
        "target": target.numpy(),
    }
    arrays |= {f"constant/{mode}/{k}": v for mode, graph in graphs.items() for k, v in graph.constants.items()}
    parameters = [k for k, _ in net.named_parameters()]
    steps = {
        "sgd": after_step(net, x, target, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        "adam": after_step(net, x, target, lambda p: torch.optim.Adam(p, lr=0.01)),
    }
    for mode in ("evaluation", "training"):
        out, gradients = run(net.train(mode == "training"), x, target)
        arrays[f"{mode}/output"] = out
        arrays |= {f"{mode}/gradient/{k}": g for k, g in gradients.items()}
    arrays |= {f"after/{k}": v.numpy() for k, v in net.state_dict().items() if k not in parameters}
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)
    made = {"torch": torch.__version__, "numpy": np.__version__}
    tied = {k: model.parameter(k).name for k in arrays_of(model) if k not in parameters}
    data = {"name": type(net).__name__, "made with": made, "parameters": parameters, "tied": tied, "steps": steps}
    data |= {mode: to_data(graph) for mode, graph in graphs.items()}
    (FOLDER / f"{name}.json").write_text(json.dumps(data, separators=(",", ":")) + "\n", encoding="utf-8")


def arrays_of(model):
    return [k for k, x in vars(model).items() if isinstance(x, ac.nn.Parameter)]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or NETS:
        write(name)
        print(name)
