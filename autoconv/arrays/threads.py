"""One thread for many small products of matrices.

A BLAS shares each product among all cores and waits for the slowest.  For products of a fraction of a millisecond that
gains little on an idle machine; on a busy one each wait lasts until the operating system lets the other thread run,
and a search of a thousand products takes five times its time.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np

_NAMES = (  # the functions that say and set the number of threads: of OpenBLAS as NumPy builds it and others do, of MKL
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)
_lock = threading.Lock()
_inside: list[int] = []  # for each ``one_thread`` under way, in any thread: how many there were before the first


@cache
def _threads() -> tuple[Callable[[], int], Callable[[int], object]] | None:
    """The functions that say and set how many threads NumPy's products take; None for a library that has no such."""
    try:
        library = ctypes.CDLL(sys.modules[np.ufunc.__module__ + "._core._multiarray_umath"].__file__)
    except (KeyError, OSError):
        return None
    for get, put in _NAMES:
        if hasattr(library, get) and hasattr(library, put):
            return getattr(library, get), getattr(library, put)
    return None


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it NumPy's products of matrices take one thread each; after the last of several they take as many as
    before. It is the process that takes one: products in other Python threads do so too for that long."""
    found = _threads()
    if found is None:
        yield
        return
    get, put = found
    with _lock:
        _inside.append(_inside[0] if _inside else get())
        put(1)
    try:
        yield
    finally:
        with _lock:
            before = _inside.pop()
            if not _inside:
                put(before)
