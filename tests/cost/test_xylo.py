"""Cycles of a step equal the vendor's formula, written out from its own terms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

import neurosam as ns
from neurosam_hw import chips as shipped
from neurosam_hw.chips import Chip, load_chip
from neurosam_hw.cost.xylo import counts_cycles, cycles

FOLDER = Path(shipped.__path__[0])


def chip(name: str) -> Chip:
    return load_chip(FOLDER / f"{name}.toml")


def network() -> ns.Network:
    """4 channels, 6 recurrent hidden neurons, 2 outputs; neuron 5 has neither input nor output weights."""
    rng = np.random.default_rng(3)
    into, around, out = (rng.integers(1, 60, shape).astype(np.int8) for shape in ((6, 4), (6, 6), (2, 6)))
    into[5], out[:, 5], around[0, 1], around[:, 3] = 0, 0, 0, 0
    return ns.Network(
        [
            ns.Population("in", (4,)),
            ns.Population("hidden", (6,), ns.FixedLIF(410, 60, reset="subtract")),
            ns.Population("out", (2,), ns.FixedLIF(410, 90, reset="subtract")),
        ],
        [
            ns.Projection("in", "hidden", ns.Dense(into)),
            ns.Projection("hidden", "hidden", ns.Dense(around)),
            ns.Projection("hidden", "out", ns.Dense(out)),
        ],
    )


def vendor(name: str, net: ns.Network, channels: int, fired: npt.NDArray[np.bool_]) -> float:
    """`cycles_model` for one step, with the spikes in place of its probabilities."""
    into, around, out = (p.synapse.weight for p in net.projections)
    hidden, outputs, inputs = 6, 2, 4
    all_hidden = name == "xylo-a2"
    nien = hidden if all_hidden else int((into != 0).any(axis=1).sum())
    noen = np.ones(hidden, bool) if all_hidden else (out != 0).any(axis=0)
    input_cycles = channels * nien * 3.5 + inputs * 1
    hidden_synapses = sum(7 * int((around[:, k] != 0).sum()) for k in np.flatnonzero(fired)) + 3 * hidden
    output_synapses = int((fired & noen).sum()) * (1 + outputs * 8)
    membranes = 19 * hidden + 3 * int(fired.sum())
    return float(input_cycles + hidden_synapses + output_synapses + membranes + 12 * outputs)


@pytest.mark.parametrize("name", ["xylo-a2", "xylo-a3", "xylo-imu"])
def test_every_step_is_the_vendors_formula(name: str) -> None:
    net = network()
    x = np.random.default_rng(1).random((12, 3, 4)) < 0.3
    events = ns.Events.from_dense(x)
    recording = ns.run(net, events, record=ns.Record(spikes=("hidden",)))
    fired = recording.spikes["hidden"].dense() != 0
    assert 0 < fired[..., 5].sum() < fired[..., 5].size  # the neuron without input weights fires
    found = cycles(chip(name), net, recording, events, 14)
    assert found.shape == (14, 3)
    none = np.zeros(6, bool)
    for step in range(14):
        for sample in range(3):
            channels = int(x[step, sample].sum()) if step < 12 else 0
            now = fired[step - 1, sample] if 1 <= step <= 12 else none  # the hidden layer runs a step behind the input
            assert found[step, sample] == vendor(name, net, channels, now), (step, sample)


def test_a_window_cuts_what_comes_later() -> None:
    net = network()
    events = ns.Events.from_dense(np.ones((5, 1, 4)))
    recording = ns.run(net, events, record=ns.Record(spikes=("hidden",)))
    whole = cycles(chip("xylo-a2"), net, recording, events, 7)
    np.testing.assert_array_equal(cycles(chip("xylo-a2"), net, recording, events, 3), whole[:3])


def test_other_chips_count_no_cycles() -> None:
    assert counts_cycles(chip("xylo-imu"))
    assert not counts_cycles(chip("loihi1"))
