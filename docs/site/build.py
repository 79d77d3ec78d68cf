"""Build the site: python docs/site/build.py [folder]  (make site)

Writes the sources (pages, reference) into FOLDER/source, the wheel for every system and the playground, and then with
Sphinx, warnings being errors, FOLDER/html, whose links are followed at the end.  AUTOCONV_URL is the address of the
published repository.  Needs no network: what a browser runs Python with comes from its public address, when a page is
opened.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

import links  # noqa: E402
import playground  # noqa: E402
from pages import Pages  # noqa: E402
from reference import Reference  # noqa: E402


def wheel(folder: Path) -> Path:
    """The wheel without compiled parts, built from this tree."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    environment = os.environ | {"AUTOCONV_PURE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True, env=environment)
    (made,) = folder.glob("*-py3-none-any.whl")
    return made


def sources(folder: Path, url: str) -> None:
    """All that Sphinx reads."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(HERE / "conf.py", folder)
    shutil.copytree(HERE / "static", folder / "_static")
    Pages(folder, url).write()
    Reference(folder / "api", url).write()
    for file in ("playground.md", "derivation.md", "derivation.html"):
        shutil.copy(HERE / file, folder)


def build(folder: Path) -> int:
    url = os.environ.get("AUTOCONV_URL", "").rstrip("/")
    source, html = folder / "source", folder / "html"
    sources(source, url)
    made = wheel(folder / "wheel")
    playground.write_runtime(source / "extra", made)
    shutil.rmtree(html, ignore_errors=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE)))}
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-j", "auto", "-b", "html"]
    subprocess.run([*sphinx, "-d", str(folder / "doctrees"), str(source), str(html)], check=True, env=environment)
    playground.build(html / "lite", made, folder / "lite-work")
    found = links.check(html, skip=("lite/", "_static/"))
    for problem in found:
        print(problem)
    print(f"{html}: {len(list(html.rglob('*.html')))} pages, {len(found)} broken links")
    return bool(found)


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").resolve()))
