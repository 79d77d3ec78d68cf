"""Makes operations.npz: values and gradients of the cases of operations.py, as PyTorch computes them in float64.

Run by hand where torch is installed:  python tests/reference/make_operations_reference.py
(Last with PyTorch 2.13.0.)  Each case is one array: the number of dimensions, the shape, the value, then the gradient
of the sum of value * cotangent by each operand, all flattened.
"""

from pathlib import Path

import numpy as np
import torch
from operations import cases, cotangent, operands

if __name__ == "__main__":
    given, made = operands(), {}
    for name, (names, _, f) in cases().items():
        xs = [torch.tensor(given[k], requires_grad=True) for k in names]
        y = f(torch, torch.nn.functional, *xs)
        y.backward(torch.tensor(cotangent(y.shape)))
        parts = [y.detach(), *[torch.zeros_like(x) if x.grad is None else x.grad for x in xs]]
        made[name] = np.concatenate([[y.ndim, *y.shape], *[p.numpy().ravel() for p in parts]])
    folder = Path(__file__).parent
    np.savez_compressed(
        folder / "operations.npz",
        names=np.array(list(made)),
        sizes=np.array([x.size for x in made.values()]),
        numbers=np.concatenate(list(made.values())),
        **{f"operand/{k}": x for k, x in given.items()},
    )
