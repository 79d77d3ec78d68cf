"""Files: only regular ones are replaced or read, in one piece, within limits; and what goes wrong leaves no trace."""

import errno
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import autoconv as ac
from autoconv import checkpoint, data, files, nn, npy
from autoconv.exercises.key import exercise_key
from autoconv.render.picture import Picture

posix = pytest.mark.skipif(os.name != "posix", reason="pipes, modes and links of POSIX")
as_root = hasattr(os, "geteuid") and os.geteuid() == 0


# ---- what is no regular file (always made in a folder of the test)


def device(path):
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except (OSError, AttributeError):
        pytest.skip("this user cannot make a device node")


def bound_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(".", os.O_RDONLY)
        os.chdir(path.parent)  # a socket's name may have some hundred bytes only
        try:
            made.bind(path.name)
        finally:
            os.fchdir(here)
            os.close(here)


def link_to_pipe(path):
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


SPECIAL = {
    "pipe": (os.mkfifo if hasattr(os, "mkfifo") else None, "is a pipe"),
    "link to a pipe": (link_to_pipe, "is a pipe"),
    "folder": (os.mkdir, "is a folder"),
    "device": (device, "is a character device"),
    "socket": (bound_socket, "is a socket"),
    "link to itself": (lambda path: path.symlink_to(path.name), "(?i)too many levels"),
}
WRITERS = {
    "replace_file": lambda path: files.replace_file(path, b"new"),
    "check_writable": files.check_writable,
    "checkpoint.save": lambda path: checkpoint.save(path, nn.Linear(2, 2)),
    "checkpoint.check": lambda path: checkpoint.check(path, nn.Linear(2, 2)),
    "graph": lambda path: ac.graph(ac.tensor(1.0) + 1).save(path),
    "SVG": lambda path: Picture("<svg/>").save(path),
    "step": lambda path: ac.step(ac.tensor(1.0) * 2).save(path),
}
READERS = {
    "read_regular": files.read_regular,
    "checkpoint.load": lambda path: checkpoint.load(path, nn.Linear(2, 2)),
    "checkpoint.inspect": checkpoint.inspect,
    "load_npz": data.load_npz,
    "load_idx": data.load_idx,
    "npy.load": npy.load,
    "exercise_key": exercise_key,
}
ENDINGS = {"graph": ".svg", "SVG": ".svg", "step": ".html"}


def within(seconds, function, *arguments):
    """Call in a thread, so that a call that waits for ever fails instead; returns the exception, or None."""
    raised = []

    def call():
        try:
            function(*arguments)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it waits for ever"
    return raised[0] if raised else None


@posix
@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", [*WRITERS, *READERS])
def test_what_is_no_regular_file_is_left_alone(tmp_path, kind, name):
    make, text = SPECIAL[kind]
    path = tmp_path / f"there{ENDINGS.get(name, '')}"
    make(path)
    before = {p.name: os.lstat(p)[:3] for p in tmp_path.iterdir()}  # mode, inode, device
    error = within(20, WRITERS.get(name) or READERS[name], path)
    assert isinstance(error, OSError | ValueError)
    with pytest.raises(type(error), match=text):
        raise error
    assert str(path) in str(error)
    assert {p.name: os.lstat(p)[:3] for p in tmp_path.iterdir()} == before


@posix
def test_a_folder_of_images_or_digits_with_a_pipe_in_it(tmp_path):
    pytest.importorskip("PIL")
    (tmp_path / "ant").mkdir()
    os.mkfifo(tmp_path / "ant" / "0.png")
    error = within(20, data.load, tmp_path)
    assert isinstance(error, data.DataError)
    assert "is a pipe" in str(error)
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"")
    error = within(20, data.load, tmp_path, "train")
    assert isinstance(error, data.DataError)
    assert "is a pipe" in str(error)


# ---- names, links, modes


BAD_NAMES = {
    "": (FileNotFoundError, "the name is empty"),
    "none/x": (FileNotFoundError, "No such file or directory"),
    "file/x": (NotADirectoryError, "Not a directory"),
    "new/": (IsADirectoryError, "name of a folder"),
    "a\0b": (OSError, "null"),
    "n" * 300: (OSError, "(?i)name too long"),
}


@posix
@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("write", [lambda p: files.replace_file(p, b"new"), files.check_writable])
def test_errors_name_the_path_that_was_given(tmp_path, monkeypatch, name, write):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"old")
    kind, text = BAD_NAMES[name]
    with pytest.raises(kind, match=text) as caught:
        write(name)
    assert caught.value.filename == name
    assert ".tmp" not in str(caught.value)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"old")]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o640])
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_mode_of_an_old_file_is_kept_and_a_new_one_obeys_the_umask(tmp_path, mode, mask):
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "old").chmod(mode)
    before = os.umask(mask)
    try:
        files.replace_file(tmp_path / "old", b"new")
        files.replace_file(tmp_path / "new", b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~mask


@pytest.mark.skipif(not as_root, reason="only root can give files away")
def test_the_owner_of_an_old_file_is_kept(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    os.chown(tmp_path / "old", 1234, 2345)
    files.replace_file(tmp_path / "old", b"new")
    status = (tmp_path / "old").stat()
    assert (status.st_uid, status.st_gid, (tmp_path / "old").read_bytes()) == (1234, 2345, b"new")


@posix
def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(0o444)
    if as_root:  # who may do everything
        monkeypatch.setattr(os, "access", lambda given, how: how != os.W_OK)
    for write in (files.check_writable, lambda p: files.replace_file(p, b"new")):
        with pytest.raises(PermissionError):
            write(path)
    assert path.read_bytes() == b"old"


@posix
def test_links_stay(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "old").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "old")
    (tmp_path / "dangling").symlink_to(tmp_path / "far" / "new")
    for name, target in {"link": "old", "dangling": "new"}.items():
        files.check_writable(tmp_path / name)
        files.replace_file(tmp_path / name, b"new")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "far" / target).read_bytes() == b"new"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["dangling", "far", "link", "new", "old"]


def test_check_writable_leaves_nothing_behind_and_changes_nothing(tmp_path):
    files.check_writable(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old").write_bytes(b"old")
    before = (tmp_path / "old").stat()
    files.check_writable(tmp_path / "old")
    assert (tmp_path / "old").stat() == before


# ---- what fails in the middle, and what is killed


class Faults:
    """Operations of the system, of which number ``at`` (from 0) fails."""

    def __init__(self, monkeypatch, at, code):
        self.count, self.at, self.code, self.names = 0, at, code, []
        for name in ("fsync", "replace", "chmod", "chown"):
            monkeypatch.setattr(os, name, self.wrapped(name, getattr(os, name)))
        opened = Path.open

        def open_counted(path, *arguments, **more):
            self.tick("open")
            file = opened(path, *arguments, **more)
            return Counted(file, self)

        monkeypatch.setattr(Path, "open", open_counted)

    def tick(self, name):
        self.names.append(name)
        self.count += 1
        if self.count - 1 == self.at:
            raise OSError(self.code, os.strerror(self.code))

    def wrapped(self, name, function):
        def call(*arguments, **more):
            self.tick(name)
            return function(*arguments, **more)

        return call


class Counted:
    """A file whose writes and flushes count."""

    def __init__(self, file, faults):
        self.file, self.fileno = file, file.fileno
        self.write, self.flush = faults.wrapped("write", file.write), faults.wrapped("flush", file.flush)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


OPERATIONS = ["open", "write", "chown", "chmod", "flush", "fsync", "replace", "fsync"]


@posix
@pytest.mark.parametrize("at", range(len(OPERATIONS)))
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_the_nth_operation_fails(tmp_path, monkeypatch, at, code):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        faults = Faults(patch, at, code)
        with pytest.raises(OSError, match="file") as caught:
            files.replace_file(path, b"new")
    assert faults.names == OPERATIONS[: at + 1]
    assert (caught.value.errno, caught.value.filename) == (code, str(path))
    in_place = at > OPERATIONS.index("replace")
    assert path.read_bytes() == (b"new" if in_place else b"old")
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_a_system_that_cannot_flush_folders_is_no_error(tmp_path, monkeypatch):
    flushed = os.fsync

    def no_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        flushed(descriptor)

    monkeypatch.setattr(os, "fsync", no_folders)
    files.replace_file(tmp_path / "new", b"new")
    assert (tmp_path / "new").read_bytes() == b"new"


def test_an_interrupt_in_the_middle(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"old")

    def interrupted(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.replace_file(tmp_path / "file", b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"old")]


KILLED = """
import os, signal, sys
from autoconv import files
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
files.replace_file(sys.argv[1], b"x" * 100000)
"""


@posix
def test_what_a_killed_process_left_is_removed_at_the_next_save(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert subprocess.run([sys.executable, "-c", KILLED, path]).returncode == -signal.SIGKILL
    (left,) = [p for p in tmp_path.iterdir() if p != path]
    assert (path.read_bytes(), left.stat().st_size > 0) == (b"old", True)
    files.replace_file(path, b"new")  # it may be at work still, on a file system that is shared: it is left for minutes
    assert left.exists()
    long_ago = time.time() - 2 * files.ABANDONED_AFTER
    os.utime(left, (long_ago, long_ago))
    files.replace_file(tmp_path / "another", b"new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["another", "file"]


@posix
def test_what_belongs_to_another_is_left(tmp_path):
    own = files._temporary(tmp_path / "x").name
    _, host, process, run, token = own.removesuffix(".tmp").split("-")
    mine = f"-{host}-{process}-{run}-"
    keep = [
        own,  # of this process
        own.replace(mine, f"-{'0' * 8}-{process}-{run}-"),  # of another host
        own.replace(mine, f"-{host}-{os.getppid()}-{run}-"),  # of a process that is alive
        ".file.0a1b2c3d.tmp",
        f".autoconv-{token}.tmp",
        "autoconv.tmp",
    ]
    remove = [own.replace(mine, f"-{host}-{process}-{'0' * 8}-")]  # of an earlier process with the same number
    long_ago = time.time() - 2 * files.ABANDONED_AFTER
    for name in [*keep, *remove]:
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (long_ago, long_ago))
    (tmp_path / own.replace(mine, f"-{host}-{process}-{'1' * 8}-")).symlink_to("elsewhere")
    files.replace_file(tmp_path / "file", b"new")
    left = {p.name for p in tmp_path.iterdir()}
    assert set(keep) <= left
    assert not set(remove) & left
    assert len(left) == len(keep) + 2  # and the link


REPEATED = """
import sys
from autoconv import files
n = 0
while True:
    n += 1
    files.replace_file(sys.argv[1], str(n % 10).encode() * 300000)
    print(n, flush=True)
"""


@pytest.mark.dear
@posix
def test_a_kill_at_any_time_leaves_a_whole_file(tmp_path):
    path = tmp_path / "file"
    for delay in (0.0, 0.003, 0.011, 0.023, 0.041):
        with subprocess.Popen([sys.executable, "-c", REPEATED, path], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(delay)
            process.kill()
        content = path.read_bytes()
        assert len(content) == 300_000
        assert len(set(content)) == 1


# ---- reading within limits


def test_read_regular(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert files.read_regular(path) == files.read_regular(path, 5) == b"12345"
    with pytest.raises(OSError, match="has 5 bytes; more than 4 are not read") as caught:
        files.read_regular(path, 4)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    with path.open("wb") as sparse:
        sparse.truncate(2**33)
    with pytest.raises(OSError, match="are not read"):
        files.read_regular(path)


def test_a_folder_has_a_limit(tmp_path):
    for i in range(5):
        (tmp_path / f"{i}").touch()
    assert [p.name for p in files.entries(tmp_path, 5)] == list("01234")
    with pytest.raises(OSError, match="more than 4 entries"):
        files.entries(tmp_path, 4)


def header(shape, descr="<f8", version=(1, 0), fortran=False):
    text = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(text)) + text


BAD_NPY = {
    "1e10 elements": (header("(100000, 100000)") + bytes(80), r"\(100000, 100000\), 80,000,000,000 bytes; more than"),
    "1e4 x 1e4": (header("(10000, 10000)") + bytes(80), "800,000,000 bytes of data, but there are only 80"),
    "negative": (header("(-2, -3)") + bytes(48), "which no array has"),
    "one negative": (header("(-2, 3)") + bytes(48), "which no array has"),
    "zero times huge": (header("(0, 10000000000000000000000)"), "which no array has"),
    "zero times large": (header("(0, 1000000000000, 1000000000000)"), "claims shape"),
    "overflowing product": (header("(4294967296, 4294967296)"), "are not read"),
    "many axes": (header(f"({'1, ' * 100})") + bytes(8), "which no array has"),
    "objects": (header("(3,)", "|O") + b"\x80\x04N.", "Python objects"),
    "text": (header("(3,)", "<U4") + bytes(48), "must be numbers"),
    "huge text": (header("(3,)", "<U1000000000"), "no readable .npy header|must be numbers"),
    "void": (header("(3,)", "|V0"), "must be numbers"),
    "fields": (header("(3,)", [("a", "<f8")]) + bytes(24), "must be numbers"),
    "complex": (header("(3,)", "<c16") + bytes(48), "must be numbers"),
    "dates": (header("(3,)", "<M8[s]") + bytes(24), "must be numbers"),
    "too short": (header("(3,)") + bytes(23), "there are only 23"),
    "too long": (header("(3,)") + bytes(25), "there are more"),
    "shape is no tuple": (header("3"), "no readable .npy header"),
    "shape of floats": (header("(3.0,)"), "no readable .npy header"),
    "no dict": (header("(3,)").replace(b"descr", b"dexcr"), "no readable .npy header"),
    "code": (header("__import__('os')"), "no readable .npy header"),
    "deep": (header("(" * 4000 + ")" * 4000), "no readable .npy header"),
    "long header": (header("(3,)" + " " * 60_000), "no readable .npy header"),
    "claims a long header": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", "no readable .npy header"),
    "version 9": (header("(3,)").replace(b"\x93NUMPY\x01", b"\x93NUMPY\x09"), "no readable .npy header"),
    "nothing": (b"", "no readable .npy header"),
    "foreign": (b"hello", "no readable .npy header"),
    "unfinished": (header("(3,").replace(b"}", b" "), "no readable .npy header"),
    "empty zip": (b"PK\x05\x06" + bytes(18), "needs the arrays at least one array"),
    "broken zip": (b"PK\x03\x04" + bytes(30), "not a readable .npz file"),
}


@pytest.mark.parametrize("case", BAD_NPY)
@pytest.mark.parametrize("inside", [False, True])
def test_arrays_that_are_not_what_they_claim(tmp_path, case, inside):
    content, text = BAD_NPY[case]
    path = tmp_path / "claim"
    if inside:
        if "zip" in case:
            pytest.skip("no array")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("w.npy", content)
    else:
        path.write_bytes(content)
    with pytest.raises(npy.ArrayFileError, match=text) as caught:
        npy.load(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0, 5), (4, 0)])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<f2", "|u1", ">i8", "|b1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back(tmp_path, shape, dtype, order):
    array = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape), dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", w=array, b=array)
    for found in (npy.load(tmp_path / "a.npy"), *npy.load(tmp_path / "a.npz").values()):
        assert (found.shape, found.dtype) == (shape, np.dtype(dtype))
        assert np.array_equal(found, array)


@pytest.mark.filterwarnings("ignore:Reading `.npy`")
def test_damaged_arrays_are_refused_or_read(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", np.ones((3, 3)))
    np.savez(tmp_path / "b.npz", w=np.ones((3, 3)))
    np.savez_compressed(tmp_path / "c.npz", w=np.ones((3, 3)))
    for path in sorted(tmp_path.iterdir()):
        good = path.read_bytes()
        for _ in range(300):
            spoiled = bytearray(good[: rng.integers(1, len(good)) if rng.integers(4) == 0 else None])
            for at in rng.integers(len(spoiled), size=rng.integers(1, 4)):
                spoiled[at] = rng.integers(256)
            path.write_bytes(spoiled)
            with suppress(npy.ArrayFileError):
                npy.load(path)


@pytest.mark.dear
def test_archives_that_swell(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("w.npy", "w") as member:
        member.write(header("(40000000,)"))
        for _ in range(320):
            member.write(bytes(10**6))
    assert path.stat().st_size < 10**6
    with pytest.raises(npy.ArrayFileError, match="unpack to 320,000,128, more than 100 times as many"):
        npy.load(path)
    np.savez(path, w=np.zeros(1000), b=np.zeros(1000))
    with pytest.raises(npy.ArrayFileError, match="are not read"):
        npy.load(path, most=12_000)  # each of them fits, not both
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("w.npy", header("(3,)") + bytes(24))
    with pytest.raises(npy.ArrayFileError, match=r"packed in a way that numpy\.savez does not use"):
        npy.load(path)


def test_sizes_are_read_before_memory_is_taken(tmp_path):
    """Each file promises gigabytes: the process may have 1 GB beyond what it has now, and must not miss them."""
    pytest.importorskip("resource")
    (tmp_path / "claim.npy").write_bytes(header("(20000, 20000)") + bytes(800))
    (tmp_path / "images").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 60_000, 250, 250) + bytes(100))
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(2**33)
    code = """
import os, resource
from autoconv import checkpoint, data, nn, npy
pages = "/proc/self/statm"  # a chroot may be without it
used = int(open(pages).read().split()[0]) * resource.getpagesize() if os.path.exists(pages) else 2**30
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
for read, path in [(npy.load, "claim.npy"), (data.load_idx, "images"), (checkpoint.inspect, "sparse"),
                   (data.load_npz, "sparse"), (data.load_idx, "sparse"), (npy.load, "sparse")]:
    try:
        read(path)
    except ValueError as error:
        print("refused")
"""
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (found.stdout.split(), found.stderr) == (["refused"] * 6, "")
