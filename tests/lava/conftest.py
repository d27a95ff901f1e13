"""Finds Lava: without it, its tests are skipped, but fail if NEUROSAM_TEST_LAVA=1, as set by `make test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.backends import lava_python


@pytest.fixture(scope="session")
def lava() -> Path:
    """Lava's Python."""
    return lava_python()
