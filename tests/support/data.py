"""Real files that are not ours and not committed: a test that needs one asks here, and is skipped without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["data_file"]

ROOT = Path(__file__).parents[2]


def data_file(name: str) -> Path:
    """A file below the folder that ``NEUROSAM_DATA`` names, or ``../shared/data`` beside the checkout; else skip."""
    folder = Path(os.environ.get("NEUROSAM_DATA") or ROOT.parent / "shared" / "data")
    path = folder / name
    if not path.exists():
        pytest.skip(
            f"{name} is not in {folder}; NEUROSAM_DATA names the folder with the data (docs: Data for the tests)"
        )
    return path
