"""tqdm, safetensors, graphviz, Pillow and JAX are needed by what uses them, and by nothing else."""

import re

import pytest

# Each missing package is one that cannot be imported; what is left is NumPy and the standard library.
WITHOUT = """
import sys
for name in ("tqdm", "safetensors", "graphviz", "PIL", "jax"):
    sys.modules[name] = None
import numpy as np, autoconv as ac
from autoconv import checkpoint, nn, optim, train
rng = np.random.default_rng(0)
model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=rng), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2, rng=rng))
x, y = rng.normal(size=(6, 4, 4, 1)), np.array([0, 1, 0, 1, 1, 0], np.int32)
def fit(**more):
    settings = {"epochs": 2, "batch_size": 3, "optimizer": optim.SGD(model.parameters(), lr=0.1)}
    return train.fit(model, (x, y), validation=(x, y), **(settings | more))
"""


@pytest.mark.dear
@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("print(len(fit(progress=False)))", "2\n"),
        (
            "sys.stderr = sys.stdout; fit()",
            r"epoch 1/2: loss \d.*, acc .*, val loss .*, val acc .*\nepoch 2/2: loss .*\n",
        ),
        ("print(train.evaluate(model, x, y).confusion.sum())", "6\n"),
        ("ac.graph(ac.sum(model(x))).save('drawn.svg'); print(open('drawn.svg').read()[:4])", "<svg\n"),
        (
            "ac.step(ac.sum(model(x))).save('walk.html'); print(open('walk.html').read()[:15].lower())",
            "<!doctype html>\n",
        ),
        ("print(ac.check_grads(lambda x: ac.sum(x * x), x[0]))", "32 elements agree .*\n"),
    ],
    ids=["train", "train, with progress", "evaluate", "draw", "page", "check_grads"],
)
def test_what_needs_nothing_works_without_them(code, printed, run_python, tmp_path):
    assert re.fullmatch(printed, run_python("-c", WITHOUT + code, cwd=tmp_path))


@pytest.mark.dear
@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("checkpoint.save('a.safetensors', model)", "CheckpointError: .* pip install safetensors"),
        ("checkpoint.inspect('a.safetensors')", "CheckpointError: .* pip install safetensors"),
        ("fit(checkpoint='a.safetensors')", "CheckpointError: .* pip install safetensors"),
        ("ac.graph(ac.sum(model(x))).save('drawn.png')", "RuntimeError: .* the Python package graphviz"),
        ("ac.compile(model, backend='xla')", r'ImportError: .*needs JAX.* pip install "autoconv\[xla\]"'),
        ("ac.to_jax(model)", r'ImportError: to_jax needs JAX.* pip install "autoconv\[xla\]"'),
        ("ac.data.load('images')", r'DataError: .* pip install "autoconv\[images\]"'),
    ],
    ids=["save", "inspect", "train with a checkpoint", "draw a PNG", "XLA", "to_jax", "a folder of images"],
)
def test_what_needs_one_says_which(code, says, run_python, tmp_path):
    for label in "ab":
        (tmp_path / "images" / label).mkdir(parents=True)
        (tmp_path / "images" / label / "0.png").write_bytes(b"")
    asking = f"try: {code}\nexcept Exception as error: print(f'{{type(error).__name__}}: {{error}}')"
    assert re.match(says, run_python("-c", WITHOUT + asking, cwd=tmp_path))
