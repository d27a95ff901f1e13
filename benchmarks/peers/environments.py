"""An environment for each peer from the metadata in its script (PEP 723), with uv if available, else venv and pip."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomllib

__all__ = ["Skip", "command", "metadata", "python_for"]

BLOCK = re.compile(r"(?m)^# /// script\s*$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
"""The reference expression of PEP 723 for a block of type `script`."""

STAMP = "complete"


class Skip(Exception):
    """The peer cannot run here; the message is the reason."""


def metadata(script: str) -> dict[str, Any]:
    """Read ``requires-python`` and ``dependencies`` from a script's text; empty if it runs in our own interpreter.

    Raises
    ------
    ValueError
        If there are two blocks, or the block is not TOML.
    """
    blocks = list(BLOCK.finditer(script))
    if not blocks:
        return {}
    if len(blocks) > 1:
        raise ValueError("a script may have only one block of metadata")
    lines = blocks[0].group("content").splitlines()
    return tomllib.loads("\n".join(line[2:] if line.startswith("# ") else line[1:] for line in lines))


def command(script: Path, folder: Path) -> list[str]:
    """Return the command that starts a script; its environment is built first if necessary.

    Raises
    ------
    Skip
        If no suitable Python is available, or the packages cannot be installed.
    """
    about = metadata(script.read_text(encoding="utf-8"))
    if not about:
        return [sys.executable, os.fspath(script)]
    python = _environment(script.stem, about, folder)
    return [os.fspath(python), "-E", os.fspath(script)]  # -E: ignore our PYTHONPATH


def _environment(name: str, about: dict[str, Any], folder: Path) -> Path:
    """Return the interpreter of a virtual environment with exactly these dependencies; other pins get another one."""
    digest = hashlib.sha256(repr(sorted(about.items())).encode()).hexdigest()[:8]
    target = folder / f"{name}-{digest}"
    python = target / "bin" / "python"
    if (target / STAMP).exists():
        return python
    if uv := shutil.which("uv"):
        make = [uv, "venv", "--python", _python_for_uv(about["requires-python"])]
        install = [uv, "pip", "install", "--python", os.fspath(python)]
    else:
        make = [python_for(about["requires-python"]), "-m", "venv"]
        install = [os.fspath(python), "-m", "pip", "--disable-pip-version-check", "install"]
    shutil.rmtree(target, ignore_errors=True)  # remnants of an interrupted build
    _quietly([*make, os.fspath(target)], "cannot create an environment")
    _quietly([*install, "--quiet", *about["dependencies"]], "cannot install its packages")
    (target / STAMP).touch()
    return python


def _python_for_uv(requires: str) -> str:
    """Return an installed Python, else the version, which uv downloads."""
    try:
        return python_for(requires)
    except Skip:
        return requires.replace("=", "").replace(".*", "").strip()


def python_for(requires: str) -> str:
    """Find a Python of the version ``==3.X.*`` on PATH or in pyenv.

    Raises
    ------
    ValueError
        For any other requirement, since the pins of a peer are for one Python version.
    Skip
        If there is none.
    """
    match = re.fullmatch(r"==(3\.\d+)\.\*", requires.replace(" ", ""))
    if match is None:
        raise ValueError(f"requires-python: got {requires!r}; ==3.X.* is required")
    for python in _candidates(match[1]):
        probe = [python, "-c", "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"]
        try:  # a name on PATH may be a broken shim
            done = subprocess.run(probe, capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 and done.stdout.strip() == match[1]:
            return python
    raise Skip(f"needs Python {match[1]}, which is neither on PATH nor in pyenv; install it, or uv, which downloads it")


def _candidates(version: str) -> Iterator[str]:
    yield f"python{version}"
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(os.fspath(path) for path in root.glob(f"versions/{version}.*/bin/python"))


def _quietly(command: list[str], reason: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    if done.returncode:
        output = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise Skip(f"{reason}: {output[-1]}")
