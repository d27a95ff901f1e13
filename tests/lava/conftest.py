"""Finds Lava: without it, its tests are skipped, but fail if NEUROSAM_TEST_LAVA=1, as set by `make test`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from neurosam.errors import BackendError
from neurosam_hw.lava.interpreter import examine, find


@pytest.fixture(scope="session")
def lava() -> Path:
    """The Python that runs Lava."""
    setting = os.environ.get("NEUROSAM_TEST_LAVA", "")
    if setting == "0":
        pytest.skip("Lava's tests are disabled (LAVA=0)")
    try:
        python = find()
    except BackendError as error:
        if setting == "1":
            raise
        pytest.skip(str(error))
    assert not examine(python).problems
    return python
