"""matplotlib, pandas, scikit-learn and SciPy on Tensors: what nobody differentiates is read like any array."""

import importlib

import numpy as np
import pytest

import autoconv as ac
from autoconv import nn

AT = np.array([0.7, 1.2, 1.9])


def installed(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} is not installed; make test-interop has it")


PLOTS = {
    "plot": lambda ax, x, y, z: ax.plot(x, y),
    "plot of one": lambda ax, x, y, z: ax.plot(y),
    "loglog": lambda ax, x, y, z: ax.loglog(x, y),
    "semilogy": lambda ax, x, y, z: ax.semilogy(y),
    "scatter": lambda ax, x, y, z: ax.scatter(x, y, c=y, s=y),
    "bar": lambda ax, x, y, z: ax.bar(x, y),
    "hist": lambda ax, x, y, z: ax.hist(y),
    "errorbar": lambda ax, x, y, z: ax.errorbar(x, y, yerr=y),
    "fill_between": lambda ax, x, y, z: ax.fill_between(x, y),
    "step": lambda ax, x, y, z: ax.step(x, y),
    "imshow": lambda ax, x, y, z: ax.imshow(z),
    "contourf": lambda ax, x, y, z: ax.contourf(z),
    "pcolormesh": lambda ax, x, y, z: ax.pcolormesh(z),
    "quiver": lambda ax, x, y, z: ax.quiver(z, z),
    "a list of numbers": lambda ax, x, y, z: ax.plot([y[0], y[1]]),
}


@pytest.mark.parametrize("name", PLOTS)
def test_matplotlib(name):
    installed("matplotlib").use("Agg")
    pyplot = installed("matplotlib.pyplot")
    x, z = ac.tensor(AT), ac.tensor(np.outer(AT, AT))
    for y, image in ((x, z), (x * x, z * 2), (ac.stop_gradient(x), ac.stop_gradient(z)), (nn.Parameter(AT), z)):
        figure, ax = pyplot.subplots()
        PLOTS[name](ax, x, y, image)
        figure.canvas.draw()
        pyplot.close(figure)


def test_pandas_and_its_plots():
    pandas = installed("pandas")
    x = ac.tensor(AT)
    assert pandas.Series(x).tolist() == AT.tolist()
    frame = pandas.DataFrame({"a": x, "b": ac.stop_gradient(x * 2)})
    np.testing.assert_array_equal(frame.to_numpy(), np.stack([AT, 2 * AT], 1))
    with pytest.raises(TypeError, match=r"t\.value"):
        pandas.Series(x * 2)
    assert pandas.Series((x * 2).value).sum() == pytest.approx(2 * AT.sum())


def test_scikit_learn():
    metrics, linear = installed("sklearn.metrics"), installed("sklearn.linear_model")
    x, labels = ac.tensor(AT), np.array([0, 1, 1])
    probabilities = ac.stop_gradient(x * 0.5)
    assert metrics.accuracy_score(labels, probabilities > 0.5) == 1
    assert metrics.mean_squared_error(x, probabilities) == pytest.approx(np.mean((AT / 2) ** 2))
    assert metrics.roc_auc_score(labels, x) == 1
    assert linear.LinearRegression().fit(x.reshape(3, 1).value, x).coef_ == pytest.approx([1])
    with pytest.raises(TypeError, match=r"t\.value"):
        metrics.mean_squared_error(AT, x * 2)


def test_scipy():
    signal, optimize = installed("scipy.signal"), installed("scipy.optimize")
    for f in (lambda x: signal.convolve2d(x[None], np.ones((1, 2))).sum(), lambda x: signal.fftconvolve(x, AT).sum()):
        with pytest.raises(TypeError, match="has a gradient"):
            ac.grad(f)(AT)
        with pytest.raises(TypeError, match="has a gradient"):
            f(ac.tensor(AT) * 1)
    loss = ac.value_and_grad(lambda x: ac.sum((x - AT) ** 2))
    np.testing.assert_allclose(optimize.minimize(loss, np.zeros(3), jac=True).x, AT, atol=1e-5)
