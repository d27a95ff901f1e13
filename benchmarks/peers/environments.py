"""An environment for each peer, from the metadata in its script (PEP 723): by uv if at hand, else venv and pip."""

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
"""PEP 723's own expression, for its block of type `script`."""

STAMP = "complete"


class Skip(Exception):
    """A peer that cannot run here: the reason."""


def metadata(script: str) -> dict[str, Any]:
    """``requires-python`` and ``dependencies`` of a script's text; empty for one that runs in our own interpreter.

    Raises
    ------
    ValueError
        If there are two blocks, or what is in it is no TOML.
    """
    blocks = list(BLOCK.finditer(script))
    if not blocks:
        return {}
    if len(blocks) > 1:
        raise ValueError("a script may hold one block of metadata")
    lines = blocks[0].group("content").splitlines()
    return tomllib.loads("\n".join(line[2:] if line.startswith("# ") else line[1:] for line in lines))


def command(script: Path, folder: Path) -> list[str]:
    """What starts a script, with its environment built if need be.

    Raises
    ------
    Skip
        If no fitting Python is at hand, or its packages cannot be installed.
    """
    about = metadata(script.read_text(encoding="utf-8"))
    if not about:
        return [sys.executable, os.fspath(script)]
    python = _environment(script.stem, about, folder)
    return [os.fspath(python), "-E", os.fspath(script)]  # -E: nothing of ours on its path


def _environment(name: str, about: dict[str, Any], folder: Path) -> Path:
    """The interpreter of a virtual environment with exactly these dependencies; other pins make another one."""
    digest = hashlib.sha256(repr(sorted(about.items())).encode()).hexdigest()[:8]
    place = folder / f"{name}-{digest}"
    python = place / "bin" / "python"
    if (place / STAMP).exists():
        return python
    if uv := shutil.which("uv"):
        make = [uv, "venv", "--python", _python_for_uv(about["requires-python"])]
        install = [uv, "pip", "install", "--python", os.fspath(python)]
    else:
        make = [python_for(about["requires-python"]), "-m", "venv"]
        install = [os.fspath(python), "-m", "pip", "--disable-pip-version-check", "install"]
    shutil.rmtree(place, ignore_errors=True)  # half of one, from a build that was interrupted
    _quietly([*make, os.fspath(place)], "no environment")
    _quietly([*install, "--quiet", *about["dependencies"]], "not installable here")
    (place / STAMP).touch()
    return python


def _python_for_uv(requires: str) -> str:
    """A Python that is here, else the version, which uv fetches."""
    try:
        return python_for(requires)
    except Skip:
        return requires.replace("=", "").replace(".*", "").strip()


def python_for(requires: str) -> str:
    """A Python of the version that ``==3.X.*`` asks for: on PATH, or from pyenv.

    Raises
    ------
    ValueError
        For any other form: the pins of a peer belong to one Python.
    Skip
        If there is none.
    """
    match = re.fullmatch(r"==(3\.\d+)\.\*", requires.replace(" ", ""))
    if match is None:
        raise ValueError(f"requires-python: got {requires!r}; ==3.X.* is required")
    for python in _candidates(match[1]):
        asked = [python, "-c", "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"]
        try:  # a name on PATH may be a shim that leads nowhere
            done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 and done.stdout.strip() == match[1]:
            return python
    raise Skip(f"needs Python {match[1]}, which is neither on PATH nor in pyenv; uv would fetch it")


def _candidates(version: str) -> Iterator[str]:
    yield f"python{version}"
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(os.fspath(path) for path in root.glob(f"versions/{version}.*/bin/python"))


def _quietly(asked: list[str], reason: str) -> None:
    done = subprocess.run(asked, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise Skip(f"{reason}: {said[-1]}")
