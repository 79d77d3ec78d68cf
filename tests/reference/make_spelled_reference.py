"""Makes spelled.npz: values and gradients of the lines of spelled.py, as PyTorch computes them in float64.

Run by hand where torch is installed:  python tests/reference/make_spelled_reference.py
(Last with PyTorch 2.13.0.)  Of each line one array: what it returns (several results one after the other), then the
gradient of the sum of result * cotangent by each operand, all flattened; ``sizes`` has their lengths.  The rates of
the schedules and the parameters after steps with groups stand beside it.
"""

from pathlib import Path

import numpy as np
import torch
from spelled import ATTENTION, GROUPS, SCHEDULES, TORCH, operands

ROOM = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn, "np": np, "optim": torch.optim}


def results(y):
    return list(y) if isinstance(y, tuple | list) else [y]


def flat(x):
    return x.detach().double().numpy(force=True).ravel()


if __name__ == "__main__":
    made = {}
    for line in TORCH:
        xs = {k: torch.tensor(x, requires_grad=True) for k, x in operands().items()}
        try:
            several = [torch.as_tensor(y) for y in results(eval(line, {**ROOM, **xs}))]
        except Exception as error:
            raise SystemExit(f"{line}: {error}") from error
        parts = [flat(y) for y in several]
        with_gradient = [y for y in several if y.requires_grad and "floor_divide" not in line]  # torch has no rule
        if with_gradient:
            sum(
                (y * torch.linspace(0.5, 1.5, y.numel(), dtype=torch.float64).reshape(y.shape)).sum()
                for y in with_gradient
            ).backward()
        gradients = [flat(torch.zeros_like(x) if x.grad is None else x.grad) for x in xs.values()]
        made[line] = [np.concatenate(parts), np.concatenate(gradients)]
    folder = Path(__file__).parent
    rates = {}
    for text, momentum in SCHEDULES:
        p, q = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
        optimizer = torch.optim.SGD([{"params": [p]}, {"params": [q], "lr": 0.5}], lr=0.1, momentum=momentum)
        schedule = eval(text, {**ROOM, "optimizer": optimizer})
        measure = iter([1.0, 0.9, 0.91, 0.92, 0.93, 0.5, 0.51, 0.52, 0.53, 0.54, 0.55])
        plateau = "Plateau" in text
        rows = [[g["lr"] for g in optimizer.param_groups]]
        for _ in range(9):
            optimizer.step()
            schedule.step(next(measure)) if plateau else schedule.step()
            rows.append([g["lr"] for g in optimizer.param_groups])
        rates[text] = np.array(rows).ravel()
    steps = {}
    for text in GROUPS:
        p, q = [torch.nn.Parameter(torch.tensor(x, dtype=torch.float64)) for x in ([1.0, -2.0], [0.5, 3.0])]
        optimizer = eval(text, {**ROOM, "p": p, "q": q})
        for k in range(4):
            optimizer.zero_grad()
            ((p * p).sum() * (k + 1) + (q.sin() * p).sum()).backward()
            torch.nn.utils.clip_grad_norm_([p, q], 2.0)
            optimizer.step()
        steps[text] = np.concatenate([flat(p), flat(q)])
    torch.manual_seed(0)
    layer = torch.nn.MultiheadAttention(4, 2, batch_first=True).double()
    attention = {f"attention/{k}": v.numpy() for k, v in layer.state_dict().items()}
    for text in ATTENTION:
        b = torch.tensor(operands()["b"], requires_grad=True)
        y, weights = eval(text, {**ROOM, "layer": layer, "b": b})
        parts = [y] if weights is None else [y, weights]
        sum(
            (z * torch.linspace(0.5, 1.5, z.numel(), dtype=torch.float64).reshape(z.shape)).sum() for z in parts
        ).backward()
        attention[f"attention: {text}"] = np.concatenate([*map(flat, parts), flat(b.grad)])
    np.savez_compressed(
        folder / "spelled.npz",
        lines=np.array(list(made)),
        sizes=np.array([[len(a), len(b)] for a, b in made.values()]),
        numbers=np.concatenate([x for pair in made.values() for x in pair]),
        schedules=np.array(list(rates)),
        rates=np.array(list(rates.values())),
        groups=np.array(list(steps)),
        steps=np.array(list(steps.values())),
        **attention,
    )
    print(len(made), "lines")
