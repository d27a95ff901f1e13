"""What lava-nc 0.10.0 gave, stored (tests/golden/write_lava.py): held against without Lava."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import neurosam as ns
from neurosam.hdf5 import load_events
from support.agreement import assert_identical

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("lava-*"))


def test_there_are_vectors_and_they_are_small() -> None:
    assert len(GOLDEN) >= 8
    assert sum(file.stat().st_size for folder in GOLDEN for file in folder.iterdir()) < 1_000_000


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: folder.name)
def test_backends_give_lavas_bits(folder: Path, backend: str) -> None:
    network, events = ns.load_network(folder / "network.h5"), load_events(folder / "events.h5")
    stored = ns.load_recording(folder / "recording.h5")
    assert stored.backend == "lava"
    assert sum(spikes.count() for spikes in stored.spikes.values()) > 3
    recording = ns.run(network, events, backend, ns.Record.everything(network))
    uncounted = replace(recording, saturated={}, wrapped={})  # the files are older than these counts
    assert_identical(stored, uncounted, folder.name)
