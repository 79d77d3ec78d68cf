"""Makes names.json: the public names of PyTorch, NumPy and micrograd, that docs/names.md is counted by.

Run by hand where torch is installed:  python tests/reference/make_names.py  (Last with PyTorch 2.13.0, NumPy 2.2.6.)
micrograd's few names are written out, as its files have them.
"""

import json
from pathlib import Path

import numpy as np
import torch

MICROGRAD = {
    "micrograd Value": ["data", "grad", "_prev", "_op", "label", "relu", "backward", "tanh", "exp"],
    "micrograd nn": ["Module", "Neuron", "Layer", "MLP"],
    "micrograd Module": ["zero_grad", "parameters"],
}


def public(thing, callables=False):
    """The names without an underscore; of a module no modules of others, and only what can be called."""
    found = []
    for name in dir(thing):
        if name.startswith("_"):
            continue
        value = getattr(thing, name)
        if callables and not (callable(value) and getattr(value, "__module__", "torch") != "typing"):
            continue
        found.append(name)
    return found


if __name__ == "__main__":
    nn, optim = torch.nn, torch.optim
    names = {
        "torch": [
            *[n for n in dir(torch._C._VariableFunctions) if n[0] != "_" and hasattr(torch, n)],
            "save", "load", "manual_seed", "no_grad", "tensor", "compile", "vmap", "stack", "split", "einsum", "norm",
        ],
        "torch.func": torch.func.__all__,
        "torch.Tensor": [n for n in dir(torch.Tensor) if n[0] != "_"],
        "torch.nn": [n for n in dir(nn) if n[0].isupper() and isinstance(getattr(nn, n), type)],
        "torch.nn.Module": public(nn.Module),
        "torch.nn.functional": [
            n for n in dir(nn.functional)
            if n[0] != "_" and n.islower() and callable(getattr(nn.functional, n))
            and str(getattr(getattr(nn.functional, n), "__module__", "torch")).startswith(("torch", "None"))
        ],
        "torch.nn.init": [*[n for n in dir(nn.init) if n.endswith("_") and n[0] != "_"], "calculate_gain"],
        "torch.nn.utils": ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "vector_to_parameters"],
        "torch.optim": [n for n in dir(optim) if n[0].isupper()],
        "torch.optim.Optimizer": [*public(optim.Optimizer), "param_groups", "state"],
        "torch.optim.lr_scheduler": list(optim.lr_scheduler.__all__),
        "torch.linalg": [
            n for n in dir(torch.linalg) if n[0] != "_" and n.islower() and callable(getattr(torch.linalg, n))
        ],
        "numpy": [n for n in np.__all__ if callable(getattr(np, n)) and not isinstance(getattr(np, n), type)],
        "numpy.ndarray": [n for n in dir(np.ndarray) if n[0] != "_"],
        "numpy.linalg": [n for n in np.linalg.__all__ if n[0].islower()],
        **MICROGRAD,
    }  # fmt: skip
    made = {group: sorted(set(several)) for group, several in names.items()}
    path = Path(__file__).parent / "names.json"
    path.write_text(
        json.dumps({"versions": {"torch": torch.__version__.split("+")[0], "numpy": np.__version__}, **made}, indent=0)
    )
    print({group: len(several) for group, several in made.items()})
