"""Makes tests/reference/weights: small files as torch 2.13 and safetensors write them, and what torch computes with
them.

Run it with torch and safetensors installed: python tests/reference/make_weights.py
"""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent / "weights"


def filled(module):
    for p in module.parameters():
        nn.init.normal_(p, std=0.4)
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2.0)
    return module.eval()


def main():
    torch.manual_seed(0)
    HERE.mkdir(exist_ok=True)
    net = filled(
        nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.BatchNorm1d(24),
            nn.Linear(24, 5), nn.ReLU(), nn.Linear(5, 3),
        )
    )  # fmt: skip
    up = filled(nn.Sequential(nn.ConvTranspose2d(2, 4, 3, stride=2, groups=2), nn.Conv2d(4, 6, 3, groups=2)))
    sound = filled(nn.Sequential(nn.Conv1d(2, 3, 3), nn.LayerNorm(6), nn.Flatten(), nn.Linear(18, 2)))
    torch.save(net.state_dict(), HERE / "net.pt")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in net.state_dict().items()}}, HERE / "parallel.pt"
    )
    save_file(net.state_dict(), HERE / "net.safetensors")
    torch.save(up.state_dict(), HERE / "up.pt")
    torch.save(OrderedDict(a=torch.ones(2)), HERE / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(nn.Linear(2, 2), HERE / "whole_module.pt")
    table = torch.arange(24.0).reshape(4, 6)
    views = {
        "part": table[1:, ::2], "turned": table.t(), "shared": table, "half": torch.tensor([0.5, -2.0]).half(),
        "brain": torch.tensor([1.5, -0.0078125, float("inf")]).bfloat16(), "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(3.0), "spread": torch.tensor([7.0]).expand(5), "double": torch.tensor([0.1]).double(),
        "yes": torch.tensor([True, False]), "long": torch.tensor([-(2**40)]),
    }  # fmt: skip
    torch.save(views, HERE / "views.pt")
    save_file({k: v.contiguous() for k, v in views.items() if k != "shared"}, HERE / "views.safetensors")
    x, x1 = torch.randn(3, 2, 8, 6), torch.randn(3, 2, 8)
    with torch.no_grad():
        np.savez(HERE / "outputs.npz", x=x, x1=x1, net=net(x), up=up(x), sound=sound(x1))
    torch.save(sound.state_dict(), HERE / "sound.pt")


if __name__ == "__main__":
    main()
