"""The Python that runs Lava: where it is, and whether it has everything that the worker needs.

``NEUROSAM_LAVA_PYTHON`` names an interpreter. Without it, ``.venv-lava`` is looked for next to the running environment
and at the root of the source tree, where `make` builds it; without that, the running interpreter is taken if lava-nc is
installed in it. What is found without being named is run only if nobody else could have put it there: in a folder that
many share, anybody can make a ``.venv-lava``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from neurosam._util.ownership import is_only_ours
from neurosam.errors import BackendError

__all__ = ["BOOT", "VARIABLE", "Finding", "advice", "command", "examine", "find"]

VARIABLE = "NEUROSAM_LAVA_PYTHON"
FOLDER = ".venv-lava"
ROOT = Path(__file__).resolve().parents[3]
"""Of the source tree, in a clone."""
INSTALL = (
    "python3.10 -m venv ~/lava && ~/lava/bin/pip install lava-nc==0.10.0 'numpy<2' h5py && "
    f"export {VARIABLE}=~/lava/bin/python"
)
"""It needs an environment of its own: it wants NumPy 1, and neurosam NumPy 2."""
NEEDED = {"lava-nc": "0.10.0", "numpy": "1", "h5py": ""}
"""Distributions that the worker needs, with the required start of the version."""

BOOT = "import sys; sys.path += sys.argv[1].split('|'); "
"""Adds our packages after the interpreter's own, which packages built for this Python would otherwise shadow."""

EXAMINE = """
import importlib.metadata as m, json, sys
def version(name):
    try:
        return m.version(name)
    except m.PackageNotFoundError:
        return None
print(json.dumps({"python": "%d.%d.%d" % sys.version_info[:3], **{name: version(name) for name in sys.argv[2:]}}))
"""


@dataclass(frozen=True)
class Finding:
    """Result of examining an interpreter.

    Attributes
    ----------
    path : str
    versions : dict of str to str or None
        Of Python and of each distribution.
    problems : tuple of str
        What is missing or has the wrong version; empty if Lava can run.
    """

    path: str
    versions: dict[str, str | None]
    problems: tuple[str, ...]


def advice() -> str:
    """How to get a Python that runs Lava: by make in a clone, else by pip."""
    if (ROOT / "Makefile").is_file() and (ROOT / "constraints-lava.txt").is_file():
        return f"`make lava` builds {FOLDER} (a broken one has to be removed first)"
    return INSTALL


def find() -> Path:
    """Find the interpreter that runs Lava.

    Raises
    ------
    BackendError
        If there is none; the message says what to do.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise BackendError(f"{VARIABLE}={named}", "is not an executable file; name Lava's Python 3.10")
        return Path(named)
    refused = []
    for root in dict.fromkeys((Path(sys.prefix).parent, ROOT)):
        python = root / FOLDER / "bin" / "python"
        if os.access(python, os.X_OK):
            others = [path for path in (root / FOLDER, python.parent, python) if not is_only_ours(path)]
            if not others:
                return python
            refused.append((python, others[0]))
    if _installed_here():
        return Path(sys.executable)
    for python, other in refused:
        raise BackendError(str(python), f"is not run, since other users can change {other}: chmod -R go-w it if it is "
                           f"yours, or name it: export {VARIABLE}={python}")  # fmt: skip
    raise BackendError(
        "back end 'lava'",
        f"needs a Python 3.10 with lava-nc 0.10.0: {advice()}. {VARIABLE} names one that you have",
    )


def _installed_here() -> bool:
    try:
        version("lava-nc")
    except PackageNotFoundError:
        return False
    return bool(sys.executable)


def command(python: Path, code: str, *arguments: str) -> list[str]:
    """Return a command that runs `code` in an interpreter with neurosam and neurosam_hw on its path."""
    import neurosam

    here, core = Path(__file__).resolve().parents[2], Path(neurosam.__file__).resolve().parents[1]
    paths = "|".join(dict.fromkeys((str(core), str(here))))
    return [str(python), "-I", "-c", BOOT + code, paths, *arguments]


def examine(python: Path) -> Finding:
    """Run an interpreter to find out its version and packages."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", EXAMINE, "", *NEEDED], capture_output=True, text=True, check=True, timeout=60
        )
        versions: dict[str, str | None] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Finding(str(python), {}, (f"it cannot be run: {error}",))
    problems = []
    if not (versions.get("python") or "").startswith("3.10."):
        problems.append(f"Python is {versions.get('python')}; lava-nc 0.10.0 needs 3.10")
    for name, start in NEEDED.items():
        version = versions.get(name)
        if version is None:
            problems.append(f"{name} is not installed")
        elif start and version.split(".")[0] != start and version != start:
            problems.append(f"{name} is {version}; {start} is required")
    return Finding(str(python), versions, tuple(problems))
