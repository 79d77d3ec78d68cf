#!/bin/sh
# A core of the tests under a Python whose indexes have 32 bits: sh tests/on_32_bits.sh [folder]   (make test-32)
#
# The folder is a Debian for i386, made once by debootstrap (apt install debootstrap; needs root, a kernel that runs
# 32-bit programs, and Debian's mirror), with Python, NumPy and pytest. The tree is copied into it each time.
set -eu
folder=${1:-build/i386}
root=$(cd "$(dirname "$0")/.." && pwd)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
packages=python3-minimal,python3-numpy,python3-pytest,python3-pytest-xdist,python3-mpmath,python3-safetensors,python3-tqdm
packages=$packages,python3-graphviz,python3-pil

[ "$(id -u)" = 0 ] || { echo "test-32: debootstrap and chroot need root"; exit 2; }
if [ ! -f "$folder/made" ]; then
    command -v debootstrap >/dev/null || { echo "test-32: apt install debootstrap"; exit 2; }
    mkdir -p "$folder"
    debootstrap --arch=i386 --variant=minbase --include=$packages trixie "$folder" "$mirror"
    touch "$folder/made"
fi
rm -rf "$folder/autoconv"
mkdir "$folder/autoconv"
for part in autoconv tests docs notebooks benchmarks setup.py setup.cfg pyproject.toml README.md CONTRIBUTING.md CHANGELOG.md \
    Makefile MANIFEST.in LICENSE; do
    cp -r "$root/$part" "$folder/autoconv/"
done
find "$folder/autoconv" \( -name '*.so' -o -name __pycache__ \) -prune -exec rm -rf {} +
chroot "$folder" python3 -c "import numpy, sys; assert numpy.dtype(numpy.intp).itemsize == 4; print(sys.version, numpy.__version__)"
chroot "$folder" sh -c "cd /autoconv && python3 -m pytest -p no:cacheprovider --quick -n auto --ignore tests/interop --ignore tests/test_packaging.py"
