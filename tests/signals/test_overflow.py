"""A run whose integers leave their range warns, on any back end, and one whose integers do not is silent."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import neurosam as ns


def readout(exponent: int) -> ns.Network:
    return ns.Network(
        [ns.Population("in", (1,)), ns.Population("out", (1,), ns.FixedReadout())],
        [ns.Projection("in", "out", ns.Dense(np.array([[127]])), exponent=exponent)],
    )


@pytest.mark.parametrize("backend", ["event", "reference"])
def test_a_saturating_readout_is_warned_of(backend: str) -> None:
    events = ns.Events.from_dense(np.ones((10, 2, 1)))
    with pytest.warns(
        ns.RangeWarning, match=r"membranes saturated \('out' 4 neuron-steps\), in 2 of 2 samples"
    ) as caught:
        recording = ns.run(readout(7), events, backend)
    assert recording.saturated["out"].tolist() == [2, 2]
    assert caught[0].filename == __file__


@pytest.mark.parametrize("backend", ["event", "reference"])
def test_a_sound_run_is_silent(backend: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ns.run(readout(0), ns.Events.from_dense(np.ones((10, 2, 1))), backend)
