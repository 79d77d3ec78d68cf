"""Many hosts: processes that train one model together, and know when one of them is gone.

``join`` makes this process one of several (``jax.distributed``), after which ``jax.devices()`` are those of all.  A
pulse beside JAX's own service watches the others: each host keeps one connection to host 0, over which a beat goes both
ways every second.  A connection that breaks, or that is silent for ``SILENCE`` seconds, is a host that is gone: all
others say so, ``fit`` raises HostLost, and a process that still waits in a collective ``GRACE`` seconds later is ended
with the exit status ``EXIT``.  So nobody waits longer than ``SILENCE + GRACE`` seconds for the dead.
"""

from __future__ import annotations

import atexit
import contextlib
import ipaddress
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ..operands import found
from .library import jax, need

SILENCE, GRACE, BEAT = 10.0, 5.0, 1.0  # seconds
EXIT = 75  # "try again later" of sysexits.h
_LONGEST = 4096  # bytes of a message; the port is open to whoever reaches it


class HostLost(RuntimeError):  # noqa: N818 (it is what happened, as KeyboardInterrupt)
    """One of the hosts that train together is gone; the text says which, why it is taken for gone, and what to do.

    >>> from autoconv.xla.hosts import HostLost
    >>> issubclass(HostLost, RuntimeError)
    True
    """


def join(
    coordinator: str | None = None, hosts: int | None = None, host: int | None = None, *, timeout: int = 300
) -> None:
    """Make this process host number ``host`` of ``hosts``, which meet at ``coordinator``; before JAX is used.

    coordinator: "address:port" of host 0.  What is None JAX finds out where it can: from the variables of SLURM, Open
    MPI or Kubernetes, from a TPU, or JAX_COORDINATOR_ADDRESS.  timeout: seconds to wait for the others.
    Raises ValueError for numbers that make no sense or that cannot be found out, RuntimeError where the others do not
    come, or JAX is in use already.
    """
    global _pulse
    need("hosts")
    if _pulse is not None:
        raise RuntimeError(f"hosts: this process is host {_pulse.host} of {_pulse.hosts} already; join once")
    for name, n, least in (("hosts", hosts, 1), ("host", host, 0)):
        if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < least):
            raise ValueError(f"hosts: {name} must be a whole number of at least {least}, found {found(n)}")
    if hosts is not None and host is not None and host >= hosts:
        raise ValueError(f"hosts: host={host} of hosts={hosts}; they are numbered from 0 to {hosts - 1}")
    if coordinator is not None and not coordinator.rpartition(":")[2].isdigit():
        raise ValueError(f'hosts: the coordinator must be "address:port" of host 0, found {coordinator!r}')
    with contextlib.suppress(AttributeError):  # the others are told by the pulse, not ended by JAX's service
        jax.config.update("jax_enable_recoverability", True)
    try:
        jax.distributed.initialize(coordinator, hosts, host, initialization_timeout=timeout)
    except ValueError as error:
        raise ValueError(
            f"hosts: {error}; give coordinator, hosts and host, as in --coordinator 10.0.0.1:1234 --hosts 2 --host 0"
        ) from error
    if jax.process_count() > 1:
        _pulse = Pulse(jax.process_index(), jax.process_count(), coordinator)
        atexit.register(_pulse.leave)


_pulse: Pulse | None = None


def joined() -> Pulse | None:
    """The pulse of the hosts that this process is one of, None if it is alone."""
    return _pulse


def agree(what: str, number: int) -> None:
    """ValueError unless all hosts have the same number; asks all of them, so all must ask."""
    from jax.experimental import multihost_utils

    words = np.array([(number >> shift) & 0x7FFFFFFF for shift in (0, 31)], np.int32)
    all_words = np.asarray(multihost_utils.process_allgather(words)).reshape(-1, 2)
    others = [k for k, x in enumerate(all_words) if (x != all_words[0]).any()]
    if others:
        raise ValueError(
            f"fit: host {others[0]} begins with another {what} than host 0; build the same on each host: from the same "
            "seed, with the same settings, resumed from the same checkpoint"
        )


def total(number: float) -> float:
    """The sum over all hosts, in their order; asks all of them."""
    from jax.experimental import multihost_utils

    words = np.array([number], np.float64).view(np.int32)
    gathered = np.ascontiguousarray(multihost_utils.process_allgather(words).reshape(-1, 2), np.int32)
    return float(gathered.view(np.float64).sum())


def same_seed() -> int:
    """A seed that host 0 draws for all."""
    from jax.experimental import multihost_utils

    drawn = np.array([secrets.randbits(31)], np.int32)
    return int(np.asarray(multihost_utils.broadcast_one_to_all(drawn))[0])


class Pulse:
    """This host's side of the watch: ``lost`` is what is known of a host that is gone, "" while all are there."""

    def __init__(self, host: int, hosts: int, coordinator: str | None) -> None:
        self.host, self.hosts = host, hosts
        self.lost, self.advice = "", "start all hosts again"
        self._busy = False  # training: nobody may leave
        self._early = False  # left a training before its end
        self._ended = threading.Event()
        self._gone = threading.Event()
        self._lock = threading.Lock()
        self._lines: dict[int, socket.socket] = {}
        self._meet(coordinator)

    # ---- what fit asks

    def check(self) -> None:
        """HostLost if a host is gone."""
        if self.lost:
            raise HostLost(self.lost)

    @contextmanager
    def watched(self, alike: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        """What the loss of a host makes of a collective becomes HostLost; any other error is told to the others, but
        for kinds that all hosts raise ``alike``.  Who leaves before the others is gone; at the end all meet."""
        self._busy = self._early = True
        try:
            yield
            total(0.0)
            self._early = False
        except Exception as error:
            if isinstance(error, (HostLost, *alike)):
                raise
            if _of_a_collective(error):
                self._gone.wait(SILENCE)
                if self.lost:
                    raise HostLost(self.lost) from error
            self._tell(f"failed {type(error).__name__}: {' '.join(str(error).split())[:500]}")
            raise
        finally:
            self._busy = False

    # ---- joining and leaving

    def _meet(self, coordinator: str | None) -> None:
        from jax.experimental import multihost_utils

        address = (coordinator or _coordinator()).rpartition(":")[0].strip("[]")
        server = None
        if self.host == 0:
            server = socket.create_server(("127.0.0.1" if _loopback(address) else "", 0), backlog=self.hosts)
        mine = [server.getsockname()[1] if server else 0, *[secrets.randbits(30) for _ in range(4)]]
        port, *words = np.asarray(multihost_utils.broadcast_one_to_all(np.array(mine, np.int32))).tolist()
        token = "-".join(map(str, words))
        if server is not None:
            self._start(lambda: self._accept(server, token))
        else:
            line = socket.create_connection((address, port), timeout=SILENCE)
            self._lines[0] = line
            line.sendall(f"host {self.host} {token}\n".encode())
            self._start(lambda: self._read(0, line, b""))
        self._start(self._beat)
        multihost_utils.process_allgather(np.zeros(1, np.int32))

    def _start(self, run: Callable[[], None]) -> None:
        threading.Thread(target=run, name="autoconv pulse", daemon=True).start()

    def leave(self) -> None:
        """The end of this process: a farewell, so that it is not taken for dead."""
        if self.lost:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(EXIT)  # JAX would wait for the host that is gone
        if self.host == 0:  # JAX's service is here: the others must have left it, unless they wait for this one
            until = time.monotonic() + (0 if self._early else 300)
            while self._lines and not self.lost and time.monotonic() < until:
                time.sleep(0.05)
        with contextlib.suppress(Exception):
            jax.distributed.shutdown()
        self._tell("done")
        self._ended.set()

    # ---- the watch

    def _accept(self, server: socket.socket, token: str) -> None:
        while not self._ended.is_set():
            line, _ = server.accept()
            self._start(partial(self._welcome, line, token))

    def _welcome(self, line: socket.socket, token: str) -> None:
        """A connection of one of the others, which knows the word; anything else is closed."""
        line.settimeout(SILENCE)
        with contextlib.suppress(OSError):
            said, rest = _next_line(line, b"")
            words = said.split()
            if (
                len(words) == 3
                and words[0] == "host"
                and secrets.compare_digest(words[2], token)
                and words[1].isdigit()
            ):
                self._lines[int(words[1])] = line
                self._read(int(words[1]), line, rest)
                return
        line.close()

    def _read(self, other: int, line: socket.socket, rest: bytes) -> None:
        """Listen to one host until it says farewell, or is gone."""
        line.settimeout(SILENCE)
        while not self._ended.is_set():
            try:
                said, rest = _next_line(line, rest)
            except TimeoutError:
                return self._gone_is(other, f"it was silent for {SILENCE:.0f} seconds")
            except OSError as error:
                return self._gone_is(other, f"its connection broke ({error.strerror or error})")
            if said == "done":
                self._lines.pop(other, None)
                time.sleep(2 * BEAT)  # who met the others at the end may be a little earlier
                return self._gone_is(other, "it left before the end") if self._busy else None
            if said.startswith("failed "):
                return self._gone_is(other, f"it ended with {said.removeprefix('failed ')}")
            if said.startswith("lost "):
                number, _, why = said.removeprefix("lost ").partition(" ")
                return self._gone_is(int(number) if number.isdigit() else other, why)
        return None

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            self._tell("alive")

    def _tell(self, text: str) -> None:
        data = (text.replace("\n", " ")[: _LONGEST - 2] + "\n").encode()
        for line in list(self._lines.values()):
            with contextlib.suppress(OSError):  # who is gone is found out by listening
                line.sendall(data)

    def _gone_is(self, other: int, why: str) -> None:
        with self._lock:
            if self.lost or self._ended.is_set():
                return
            self.lost = (
                f"host {other} of {self.hosts} is gone: {why}. The others cannot go on without it; {self.advice}"
            )
        print(f"autoconv: {self.lost}", file=sys.stderr, flush=True)
        if self.host == 0:
            self._tell(f"lost {other} {why}")
        self._gone.set()
        self._start(self._end)

    def _end(self) -> None:
        """Nobody may wait for the dead: a collective that does not come back ends with the process."""
        time.sleep(GRACE)
        if self._busy:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(EXIT)


def _next_line(line: socket.socket, rest: bytes) -> tuple[str, bytes]:
    while b"\n" not in rest:
        more = line.recv(_LONGEST)
        if not more:
            raise ConnectionError("closed")
        rest += more
        if len(rest) > 2 * _LONGEST:
            raise ConnectionError("it says what no host says")
    said, _, rest = rest.partition(b"\n")
    return said.decode(errors="replace"), rest


def _of_a_collective(error: BaseException) -> bool:
    """Whether an error comes out of XLA's runtime, which is where a collective fails."""
    return any("jaxlib" in kind.__module__ or kind.__name__ in _RUNTIME for kind in type(error).__mro__) or (
        isinstance(error, ValueError) and "Gloo" in str(error)
    )


_RUNTIME = ("XlaRuntimeError", "JaxRuntimeError")


def _coordinator() -> str:
    """Where JAX has found host 0."""
    from jax._src import distributed

    address = getattr(distributed.global_state, "coordinator_address", None)
    return str(address or os.environ.get("JAX_COORDINATOR_ADDRESS") or "127.0.0.1:0")


def _loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def digest(parts: Any) -> int:
    """A number of 62 bits that tells texts, numbers and arrays apart."""
    import hashlib

    made = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            made.update(f"{part.dtype} {part.shape}".encode())
            made.update(np.ascontiguousarray(part).tobytes())
        else:
            made.update(repr(part).encode())
    return int.from_bytes(made.digest()[:8], "big") >> 2
