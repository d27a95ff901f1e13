"""Where Lava is: its tests skip without it, but fail where NEUROSAM_TEST_LAVA, set by `make test`, says that it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from neurosam.errors import BackendError
from neurosam_hw.lava.interpreter import examine, find


@pytest.fixture(scope="session")
def lava() -> Path:
    """Lava's Python."""
    asked = os.environ.get("NEUROSAM_TEST_LAVA", "")
    if asked == "0":
        pytest.skip("Lava's tests are left out (LAVA=0)")
    try:
        python = find()
    except BackendError as error:
        if asked == "1":
            raise
        pytest.skip(str(error))
    assert not examine(python).problems
    return python
