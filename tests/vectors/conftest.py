"""Vectors of one network, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurosam_hw.vectors import Golden, write_vectors
from support.vectors import network


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Golden]:
    """The folder, and the run."""
    folder = tmp_path_factory.mktemp("vectors") / "tb"
    return folder, write_vectors(*network(), folder, backend="reference")
