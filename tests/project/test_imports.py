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


def test_import_neurosam_loads_next_to_nothing() -> None:
    """Its own two modules and a few of Python's: a count, since a clock says less. Names load what they need."""
    code = "import sys; before = set(sys.modules); import neurosam; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert {name for name in loaded if name.startswith("neurosam")} == {"neurosam", "neurosam._version"}
    assert len(loaded) <= 40, sorted(loaded)


@pytest.mark.parametrize("name", ["Network", "Record", "Precision"])
def test_names_of_networks_load_no_compiler(name: str) -> None:
    code = f"import sys, neurosam as ns; ns.{name}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in done.stdout.split()} & (HEAVY | {"h5py", "rich", "typer"})
