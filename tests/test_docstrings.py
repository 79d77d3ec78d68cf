"""What ``help`` shows: every public function and class says what it does with an example, and every example is true."""

import doctest
import inspect

import numpy as np
import pytest

import autoconv as ac
from autoconv import checkpoint, data, functional, models, nn, optim, render, row_pages, train
from autoconv.functional import methods
from autoconv.renamed import renamed

MODULES = [nn, nn.init, nn.utils, optim, optim.lr_scheduler, ac.linalg, data, train, checkpoint, models, render]


# Examples still to be written: functions of the rooms above the front door.
def public():
    """(path, thing) of every public function, class and row, and of the methods that stand in for one."""
    for name in dir(ac):
        thing = getattr(ac, name)
        if name[0] != "_" and not inspect.ismodule(thing) and name not in ("TABLE", *ac._VALUES):
            yield f"ac.{name}", thing
    for name in ("half_squared_error", "mse", "cross_entropy", "nll", "bce_with_logits"):
        yield f"ac.losses.{name}", getattr(ac.losses, name)
    for module in MODULES:
        for name, thing in vars(module).items():
            room = module.__name__.removesuffix(".init").removesuffix(".utils").removesuffix(".lr_scheduler")
            here = getattr(thing, "__module__", "").startswith(room)
            if name[0] != "_" and here and (inspect.isclass(thing) or inspect.isfunction(thing)):
                yield f"{module.__name__.removeprefix('autoconv.')}.{name}", thing
    for name in sorted(set(" ".join(methods.METHODS.values()).split())):
        if (method := getattr(methods.own, name, None)) is not None:
            yield f"Tensor.{name}", method
    yield "ac.check_grads", ac.check_grads
    yield "row_pages.page", row_pages.page
    yield "renamed.renamed", renamed


PUBLIC = dict(public())


@pytest.mark.parametrize("path", PUBLIC)
def test_has_a_docstring_with_a_true_example(path, tmp_path, monkeypatch):
    thing = PUBLIC[path]
    text = inspect.getdoc(thing) if not isinstance(thing, ac.Primitive) else thing.__doc__
    assert text, f"{path} has no docstring"
    assert thing.__doc__ is not None, f"{path} has the docstring of its base"
    assert ">>> " in text, f"{path} has no example"
    monkeypatch.chdir(tmp_path)
    run_examples(path, text)


@pytest.mark.parametrize("module", [ac, functional, nn.functional], ids=lambda module: module.__name__)
def test_examples_of_the_rooms_are_true(module):
    run_examples(module.__name__, module.__doc__)


def run_examples(path, text):
    space = {"np": np, "ac": ac, "nn": nn, "optim": optim, "page": row_pages.page, "renamed": renamed}
    test = doctest.DocTestParser().get_doctest(text, space, path, None, 0)
    said = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    assert not said, "".join(said)
