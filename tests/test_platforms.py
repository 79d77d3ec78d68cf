"""What smaller platforms lack is not needed: a browser's Python starts nothing, and its indexes have 32 bits.

Both are played here, each in a process of its own; `make test-32` runs tests where indexes do have 32 bits.
"""

import pytest

# Of the standard library what Pyodide has not got, or has and refuses: nothing may ask for it at import, or at all.
# Threads and programs are there to be imported, and do not start.
BROWSER = """
import sys, sysconfig
sysconfig.get_config_vars()
for name in ("_multiprocessing", "_posixshmem", "_posixsubprocess", "curses", "fcntl", "multiprocessing", "readline",
             "resource", "termios", "tqdm", "safetensors", "graphviz", "PIL"):
    sys.modules[name] = None
import _thread, threading, os
def refuse(*_, **__):
    raise RuntimeError("can't start new thread")
for module in (_thread, threading):
    for name in ("start_new_thread", "_start_new_thread", "start_joinable_thread", "_start_joinable_thread"):
        if hasattr(module, name):
            setattr(module, name, refuse)
def no_process(*_, **__):
    raise OSError(138, "no processes here")
os.fork = os.posix_spawn = no_process
del os.sched_getaffinity
sys.platform = "emscripten"
import numpy as np
"""

PROGRAM = """
from pathlib import Path
import autoconv as ac
from autoconv import data, nn, optim, train

x, w = ac.tensor(np.arange(9.0).reshape(3, 3), name="x"), ac.tensor([[1.0, -1.0], [0.5, 2.0]], name="w")
loss = ac.sum(ac.relu(ac.conv2d(x, w)) ** 2)
loss.backward()
assert "dL/dw" in str(ac.explain(w[0, 0], of=loss))
assert ac.check(w.grad, of=loss, wrt=w)
assert not ac.check(2 * w.grad, of=loss, wrt=w)
for shown in (ac.graph(loss, backward=True), ac.graph(loss, zoom="scalars"), ac.graph(loss, zoom="scalars", fold=True)):
    assert shown.svg.startswith("<svg")
assert ac.graph(loss, zoom="scalars", focus=w[0, 0], direction="down").svg
for page in (ac.step(loss), ac.live(loss)):
    assert Path(page.save("page.html")).read_text(encoding="utf-8").lower().startswith("<!doctype html>")
assert ac.paths(w[0, 0], of=loss) and ac.uses(x, of=loss) and ac.certificate(loss, w) and ac.break_it(loss)
assert ac.matrix_view(ac.conv_matrix(w, (3, 3))).svg
assert ac.exercise(loss, blanks=3, seed=1, nice_numbers=True).save("sheet.ipynb")
assert ac.check_backward(lambda dout, cache: dout * (cache > 0), like="cs231n.relu")
assert ac.check_grads(lambda t: ac.sum(t * t), np.ones(3))
scalar = ac.Scalar(2.0)
(scalar * scalar).backward()
assert scalar.grad == 4.0 and ac.expand(loss)

labels = np.array([0, 2, 1, 0], np.int64)
scores, rng = ac.tensor(np.eye(4, 3), name="scores"), np.random.default_rng(0)
for indexed in (
    ac.losses.cross_entropy(scores, labels),
    ac.losses.cross_entropy(scores, labels, weight=np.ones(3)),
    ac.losses.nll(ac.log_softmax(scores), labels),
    ac.sum(ac.take(scores, labels, axis=0)),
    ac.sum(ac.take_along_axis(scores, labels[:, None], 1)),
    ac.sum(ac.gather(scores, 1, labels[:, None])),
    ac.sum(ac.put_along_axis(scores, labels[:, None], np.ones((4, 1)), 1)),
    ac.sum(ac.repeat(scores, labels, axis=0)),
    ac.sum(scores[labels] * scores[:, labels[:3]][labels]),
    ac.sum(ac.embedding(labels, scores)),
    ac.sum(ac.sort(scores, axis=0)),
):
    indexed.backward()
    ac.expand(indexed)
assert ac.one_hot(labels, 3).shape == (4, 3)
program = ac.compile(lambda s, t: ac.losses.cross_entropy(s, t))
assert np.isclose(program(scores.value, labels), program(scores.value, labels))

model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10, rng=rng))
digits = data.digits("train")
class Batches:
    def __iter__(self):
        return ((digits.x[k : k + 64], digits.y[k : k + 64].astype(np.int64)) for k in range(0, 640, 64))
optimizer = optim.Adam(model.parameters(), lr=0.01)
history = train.fit(model, Batches(), epochs=3, optimizer=optimizer, progress=False)
assert train.evaluate(model, digits.x, digits.y.astype(np.int64)).accuracy > 0.5
print("all of it")
"""


@pytest.mark.dear
def test_nothing_is_asked_for_that_a_browser_lacks(run_python, tmp_path):
    """Recording, views, pages, checking, marking and training."""
    assert run_python("-W", "error", "-c", BROWSER + PROGRAM, cwd=tmp_path, AUTOCONV_NATIVE="0") == "all of it\n"


@pytest.mark.dear
def test_indexes_of_any_whole_type(run_python, tmp_path):
    """uint64 is cast to no index safely, as int64 is not where indexes have 32 bits: what people hand over is brought
    to one first, or np.take, np.repeat and np.bincount refuse it."""
    wide = PROGRAM.replace("np.int64", "np.uint64")
    assert run_python("-W", "error", "-c", "import numpy as np\n" + wide, cwd=tmp_path) == "all of it\n"
