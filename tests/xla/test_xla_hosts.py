"""Processes over loopback: the weights of one, one checkpoint, and an end in time where one of them dies."""

import os
import re
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import trained_apart

import autoconv as ac
from autoconv.data.held import HeldSource

pytest.importorskip("jax", reason="JAX is not installed; make test-xla has it")

from autoconv.xla.hosts import EXIT, GRACE, SILENCE

LIMIT = 900  # seconds until a test gives up; a free machine needs some ten


def port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(folder, hosts, only=(), **settings):
    """Processes that train together; ``only``: settings of single ones."""
    at, processes = port(), []
    for host in range(hosts):
        given = {"backend": "xla", "hosts": hosts, "host": host, "port": at, **settings, **dict(only).get(host, {})}
        command = [sys.executable, trained_apart.__file__, str(folder), f"host{host}"]
        command += [f"{k}={v}" for k, v in given.items()]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
        processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        )
    return processes


def ended(processes):
    said = [p.communicate(timeout=LIMIT) for p in processes]
    return [p.returncode for p in processes], [err for _, err in said]


def same(found, weights, numbers):
    np.testing.assert_allclose(found["numbers"], numbers, atol=1e-5)
    for name, value in weights.items():
        np.testing.assert_allclose(found[f"w.{name}"], value, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("hosts", "rows"), [(2, False), (4, True)])
def test_processes_have_the_weights_of_one(hosts, rows, tmp_path):
    """86 examples in batches of 24: the last has 14, which two can share and four cannot."""
    codes, errors = ended(start(tmp_path, hosts, rows=rows))
    assert codes == [0] * hosts, errors
    weights, numbers = trained_apart.trained(backend="numpy")
    for host in range(hosts):
        same(dict(np.load(tmp_path / f"host{host}.npz")), weights, numbers)


@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_host_ends_the_others_and_the_checkpoint_resumes(dead, tmp_path):
    """Host ``dead`` dies in the second epoch (four steps each); the first is in the checkpoint."""
    file, told = tmp_path / "net.safetensors", tmp_path / "told"
    processes = start(tmp_path, 2, {dead: {"die": 6, "told": told}}, checkpoint=file)
    other = processes[1 - dead]
    _, error = other.communicate(timeout=LIMIT)
    took = time.time() - float(told.read_text())
    processes[dead].communicate(timeout=LIMIT)
    assert other.returncode == EXIT and took < SILENCE + GRACE
    assert re.search(
        rf"HostLost: host {dead} of 2 is gone: .*net\.safetensors has the last epoch that was finished", error
    )
    weights, numbers = trained_apart.trained(backend="numpy")
    resumed = trained_apart.trained(backend="numpy", checkpoint=file, resume=True)  # on another number of hosts
    np.testing.assert_allclose(resumed[1], numbers, atol=1e-5)
    for name, value in weights.items():
        np.testing.assert_allclose(resumed[0][name], value, atol=1e-5, err_msg=name)


def test_hosts_that_begin_differently_are_refused(tmp_path):
    codes, errors = ended(start(tmp_path, 2, {1: {"batch_size": 12}}))
    assert codes != [0, 0] and 0 not in codes
    assert any("host 1 begins with another" in error for error in errors)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("127.0.0.1:1", 2, 2), "host=2 of hosts=2; they are numbered from 0 to 1"),
        (("127.0.0.1:1", 0, 0), "hosts must be a whole number of at least 1, found 0"),
        (("somewhere", 2, 0), 'must be "address:port" of host 0'),
    ],
)
def test_numbers_that_make_no_sense(settings, says):
    from autoconv.xla.hosts import join

    with pytest.raises(ValueError, match=re.escape(says)):
        join(*settings)


def test_each_reads_its_own_rows():
    read = []

    class Rows:
        def __len__(self):
            return 10

        def __getitem__(self, k):
            read.append(k)
            return np.full(3, k), k

    source = HeldSource("train", Rows(), 4, held=lambda shape: slice(0, shape[0] // 2))
    batches = list(source.epoch())
    assert read == [0, 1, 4, 5, 8] and [len(x) for x, _ in batches] == [4, 4, 2]
    assert batches[1][1].tolist() == [4, 5, 0, 0]
    with pytest.raises(TypeError, match="several hosts need a pair"):
        HeldSource("train", [(np.zeros((2, 3)), [0, 1])], held=lambda shape: slice(0, 1))
    assert ac.data.held is sys.modules["autoconv.data.held"]
