"""Makes torch_reference.npz and torch_reference.json: what PyTorch computes, for test_optim and test_nn.

Run by hand where torch is installed:  python tests/reference/make_torch_reference.py

A conv net (convolution, ReLU, max pool, linear, cross entropy) in float64 takes 5 full-batch steps from given
parameters. Arrays are stored in autoconv's layouts: images (N, H, W, C), kernel (kH, kW, C_in, C_out), linear weight
(in, out). Each optimiser changes every number by itself, so a permuted view of a parameter takes the same steps.
"""

import json
from pathlib import Path

import numpy as np
import torch

STEPS = 5
OPTIMIZERS = {
    "SGD": ("SGD", {"lr": 0.1}),
    "SGD_momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}),
    "SGD_dampening": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    "SGD_nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "SGD_weight_decay": ("SGD", {"lr": 0.1, "weight_decay": 0.1}),
    "Adam": ("Adam", {}),
    "Adam_settings": ("Adam", {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-4, "weight_decay": 0.1}),
    "AdamW": ("AdamW", {}),
    "AdamW_settings": ("AdamW", {"lr": 0.05, "weight_decay": 0.3}),
    "RMSprop": ("RMSprop", {}),
    "RMSprop_settings": (
        "RMSprop",
        {"alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.05, "eps": 1e-3},
    ),
    "Adagrad": ("Adagrad", {}),
    "Adagrad_settings": (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.2, "weight_decay": 0.1, "initial_accumulator_value": 0.3},
    ),
}
SCHEDULES = {
    "StepLR": ("StepLR", {"step_size": 3, "gamma": 0.5}),
    "StepLR_default": ("StepLR", {"step_size": 2}),
    "CosineLR": ("CosineAnnealingLR", {"T_max": 7}),
    "CosineLR_eta_min": ("CosineAnnealingLR", {"T_max": 10, "eta_min": 0.01}),
}
PARAMETERS = {"kernel": (3, 3, 1, 3), "kernel_bias": (3,), "weight": (27, 5), "weight_bias": (5,)}


def loss_of(p, x, labels):
    """The net on channels-last arrays, said in torch's channels-first calls."""
    y = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), p["kernel"].permute(3, 2, 0, 1), p["kernel_bias"], padding=1)
    y = torch.nn.functional.max_pool2d(torch.relu(y), 2).permute(0, 2, 3, 1).flatten(1)
    return torch.nn.functional.cross_entropy(y @ p["weight"] + p["weight_bias"], labels)


def trajectories(rng):
    start = {name: rng.normal(size=shape) * 0.5 for name, shape in PARAMETERS.items()}
    x, labels = rng.normal(size=(8, 6, 6, 1)), rng.integers(0, 5, 8)
    made = {"x": x, "labels": labels, **{f"start/{name}": value for name, value in start.items()}}
    for case, (kind, settings) in OPTIMIZERS.items():
        p = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
        optimizer = getattr(torch.optim, kind)(p.values(), **settings)
        losses = []
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = loss_of(p, torch.tensor(x), torch.tensor(labels))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        made[f"{case}/losses"] = np.array(losses)
        made.update({f"{case}/{name}": value.detach().numpy() for name, value in p.items()})
    return made


def batch_norm(rng):
    """Three training batches, then one in evaluation."""
    x = rng.normal(1.5, 2.0, size=(4, 5, 3, 3, 2))
    layer = torch.nn.BatchNorm2d(2, dtype=torch.float64)
    outputs = []
    for batch in x:
        layer.train(len(outputs) < 3)
        outputs.append(layer(torch.tensor(batch).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).detach().numpy())
    running = {"batch_norm/mean": layer.running_mean.numpy(), "batch_norm/var": layer.running_var.numpy()}
    return {"batch_norm/x": x, "batch_norm/y": np.stack(outputs), **running}


def schedules():
    made = {}
    for case, (kind, settings) in SCHEDULES.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.2)
        schedule = getattr(torch.optim.lr_scheduler, kind)(optimizer, **settings)
        rates = [optimizer.param_groups[0]["lr"]]
        for _ in range(10 if "eta" in case else 7):
            optimizer.step()
            schedule.step()
            rates.append(optimizer.param_groups[0]["lr"])
        made[case] = {"settings": settings, "rates": rates}
    return made


if __name__ == "__main__":
    folder, rng = Path(__file__).parent, np.random.default_rng(0)
    np.savez_compressed(folder / "torch_reference.npz", **trajectories(rng), **batch_norm(rng))
    stored = {"optimizers": OPTIMIZERS, "schedules": schedules(), "torch": torch.__version__}
    (folder / "torch_reference.json").write_text(json.dumps(stored, indent=1) + "\n")
