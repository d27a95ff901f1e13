"""`import neurosam` is light: heavy and optional packages are imported by the functions that need them."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"matplotlib", "numba", "torch"}


@pytest.mark.parametrize("package", ["neurosam", "neurosam_hw"])
def test_import_loads_nothing_heavy(package: str) -> None:
    code = f"import sys, {package}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert package in loaded
    assert not loaded & HEAVY
