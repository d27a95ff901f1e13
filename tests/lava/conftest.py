"""Where Lava is."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.backends import lava_python


@pytest.fixture(scope="session")
def lava() -> Path:
    """Lava's Python."""
    return lava_python()
