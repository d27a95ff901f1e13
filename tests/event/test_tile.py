"""Tiles of a layer (kernels/tile.py): lists of every length, padded to whole groups, and rows of whole pictures."""

from __future__ import annotations

import numpy as np
import pytest

import neurosam as ns
from neurosam.backends import Options
from neurosam.backends.event.backend import EventBackend
from neurosam.backends.event.simd.int16 import GROUP, MOST_ROWS
from neurosam.signals.inputs import Inputs
from support.agreement import assert_identical
from support.oracle import simulate

LENGTHS = (0, 1, GROUP - 1, GROUP, GROUP + 1, MOST_ROWS - 1, MOST_ROWS, MOST_ROWS + 1, 2 * MOST_ROWS + 3)


@pytest.mark.parametrize("targets", [32, 33, 64, 65])
def test_lists_of_every_length(targets: int) -> None:
    """Step k adds LENGTHS[k] rows of the largest weights: sums and operations equal those of the oracle."""
    rng = np.random.default_rng(targets)
    sources = LENGTHS[-1] + 5
    weight = rng.choice(np.array([-128, -127, 127], np.int8), (targets, sources))
    network = ns.Network(
        [
            ns.Population("in", (sources, 1, 1)),
            ns.Population("a", (targets,), ns.FixedLIF(membrane_decay=400, threshold=100)),
            ns.Population("out", (1,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "a", ns.Dense(weight)),
            ns.Projection("a", "out", ns.Dense(np.ones((1, targets), np.int8))),
        ],
    )
    spikes = np.zeros((len(LENGTHS), 1, sources, 1, 1), np.uint8)
    for step, length in enumerate(LENGTHS):
        spikes[step, 0, rng.choice(sources, length, replace=False)] = 1
    events = ns.Events.from_dense(spikes)
    got = EventBackend("gather").run(network, Inputs.of(network, events), ns.Record.everything(network), Options())
    assert_identical(simulate(network, events), got)
    assert next(iter(got.operations.values())) == sum(LENGTHS) * targets
