"""One training, run by as many processes and devices as the command line says: for tests of many devices and hosts.

python trained_apart.py FOLDER NAME KEY=VALUE...: trains, and writes FOLDER/NAME.npz with the weights and the losses.
hosts, host, port: processes that train together; die: the number of the step after which this process kills itself;
everything else goes to fit as it stands (numbers, None, or a Python literal).
"""

import ast
import os
import signal
import sys
import time

import numpy as np

import autoconv as ac
from autoconv import nn, optim, train


def data():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(86, 8, 8, 2)).astype(np.float32)
    return x, (x.mean((1, 2)) @ np.array([1.0, -1.0]) > 0).astype(np.int64) + (x[:, 0, 0, 0] > 1)


def model():
    """Batch norm without a bias before it, whose gradient would be rounding alone; dropout; a name for each weight."""
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, bias=False, rng=rng), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.2, rng=rng), nn.Flatten(), nn.Linear(72, 16, rng=rng), nn.ReLU(), nn.Linear(16, 3, rng=rng),
    )  # fmt: skip


def trained(hosts=None, host=None, port=None, die=None, rows=False, told=None, **settings):
    """(the model's weights and running means, the losses)."""
    if hosts is not None:
        from autoconv.xla.hosts import join

        join(f"127.0.0.1:{port}", hosts, host)
    net, steps = model(), []

    def watch(loss):
        steps.append(loss)
        if len(steps) == die:
            if told:
                with open(told, "w") as file:
                    file.write(str(time.time()))
            os.kill(os.getpid(), signal.SIGKILL)

    x, y = data()
    settings = {"epochs": 3, "batch_size": 24, "validation": (x[:13], y[:13]), **settings}
    history = train.fit(
        net, list(zip(x, y.tolist(), strict=True)) if rows else (x, y), rng=3, progress=False, watch=watch,
        optimizer=optim.SGD(net.parameters(), lr=0.05, momentum=0.9), **settings,
    )  # fmt: skip
    weights = {name: p.value for name, p in net.named_parameters()} | dict(net.named_buffers())
    return weights, np.array([*history.loss, *history.accuracy, *history.validation_loss, *history.validation_accuracy])


def literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    folder, name, *given = sys.argv[1:]
    weights, numbers = trained(**{k: literal(v) for k, _, v in (text.partition("=") for text in given)})
    np.savez(os.path.join(folder, f"{name}.npz"), numbers=numbers, **{f"w.{k}": x for k, x in weights.items()})
    print(ac.__version__)
