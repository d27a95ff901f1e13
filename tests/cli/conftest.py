"""The toy data set of the tests stands for one with a name; that paths in files are not opened, test_trust.py shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from neurosam.cli import inputs
from neurosam.data.sources import has_name


@pytest.fixture(scope="package", autouse=True)
def _toy_data_by_name() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "has_name", lambda name: Path(name).name == "bars" or has_name(name))
        yield
