"""Images and labels: the digits that come with the package, readers of files and folders, and batches of anything.

Readers give a ``Dataset``: x float32 (N, H, W, C), y int64 (N,).  Pixels of 8 and 16 bits (dtype uint8 and uint16) are
scaled to 0 .. 1 by the range of their dtype.  Sizes that a file claims are checked against what is really there before
memory is taken, only regular files are read; what cannot be read is one DataError with the path and the reason.

In the order data flows: dataset (what a reader gives), scaled (pixels and labels as networks take them), the readers
(idx, npz, cifar, table, pictures; load chooses), batches (what training reads).
"""

from .batches import Source, batches
from .cifar import load_cifar
from .dataset import DataError, Dataset, digits
from .idx import load_idx
from .load import load
from .npz import load_npz
from .pictures import load_folder, load_image
from .table import load_csv

__all__ = [
    "DataError", "Dataset", "Source", "batches", "digits", "load", "load_cifar", "load_csv", "load_folder", "load_idx",
    "load_image", "load_npz",
]  # fmt: skip
