"""Settings that every test shares."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and tables would wrap
os.environ.setdefault("MPLBACKEND", "Agg")  # no test opens a window
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's threads wait without spinning

# The same examples on every run, and no deadline: the first call of a compiled kernel is slow. For a search with fresh
# examples: NEUROSAM_HYPOTHESIS=thorough make test
settings.register_profile("default", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("thorough", derandomize=False, deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("NEUROSAM_HYPOTHESIS", "default"))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Run the test with one thread in torch, which is faster on tiny networks."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
