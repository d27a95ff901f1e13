"""Energy and time of random networks on random mappings are sums over steps, samples and cores, one at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

import neurosam as ns
from neurosam_hw import chips as shipped
from neurosam_hw.chips import load_chip
from neurosam_hw.cost import Counts, Meter, count
from neurosam_hw.cost.verdict import Verdict
from neurosam_hw.mapping import CoreMapping
from support.mappings import hardware_case, random_mapping
from support.networks import KINDS

CHIP = load_chip(Path(shipped.__path__[0]) / "sanafe-loihi.toml")
PJ, NS = 1e-12, 1e-9


def energy(counts: Counts, where: tuple[int, int, int]) -> float:
    """SANA-FE's sum for one core in one step of one sample, in joules."""
    assert counts.active is not None
    synapses = {kind: int(array[where]) for kind, array in counts.deliveries.items()}
    return PJ * (
        synapses["dense"] * 35.5 + synapses["sparse"] * 33.6 + synapses["convolution"] * 24.0
        + int(counts.neuron_steps[where]) * 51.2 + int(counts.active[where]) * 21.6 + int(counts.spikes[where]) * 69.3
        + int(counts.packets[where]) * 111.0
        + int(counts.hops_east[where] + counts.hops_west[where]) * 3.0
        + int(counts.hops_north[where] + counts.hops_south[where]) * 4.2
    )  # fmt: skip


def work(counts: Counts, where: tuple[int, int, int]) -> float:
    """How long one core works in one step of one sample, in seconds."""
    assert counts.active is not None
    sent = int(counts.neuron_steps[where]) * 6.0 + int(counts.active[where]) * 3.7 + int(counts.spikes[where]) * 30.0
    sent += int(counts.packets[where]) * 5.1
    synapses = {kind: int(array[where]) for kind, array in counts.deliveries.items()}
    received = int(counts.messages[where]) * 16.0
    received += synapses["dense"] * 3.8 + synapses["sparse"] * 4.7 + synapses["convolution"] * 3.1
    return NS * max(sent, received)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
def test_energy_and_time_are_sanafes_sums(kind: str, seed: int) -> None:
    rng = np.random.default_rng((31, seed, KINDS.index(kind)))
    net, inputs = hardware_case(rng, kind)
    mapping = random_mapping(rng, net, CHIP)
    recording = ns.run(net, inputs, "reference", ns.Record.everything(net))
    meter = Meter(mapping)
    meter.add(recording, inputs)
    found = meter.cost(Verdict())
    counts = count(mapping, recording, inputs)
    shape = counts.spikes.shape
    joules, seconds = np.zeros(shape), np.zeros(shape)
    for where in np.ndindex(*shape):
        joules[where], seconds[where] = energy(counts, where), work(counts, where)
    np.testing.assert_allclose(found.sample_j, joules.sum(axis=(0, 2)), rtol=1e-12)
    np.testing.assert_allclose(found.core_j * found.samples, joules.sum(axis=(0, 1)), rtol=1e-9)
    np.testing.assert_allclose(found.step_j * found.samples, joules.sum(axis=(1, 2)), rtol=1e-9)
    assert found.energy.known.value == pytest.approx(joules.sum() / found.samples, rel=1e-9)
    assert (found.energy.total is None) == bool(counts.crossings.any())
    barrier = seconds_of_barrier(mapping)
    np.testing.assert_allclose(found.duration.known.value, seconds.max(axis=2) + barrier, rtol=1e-12)
    assert (found.duration.step is None) == (mapping.chips > 1)
    assert found.duration.busy_s == pytest.approx(seconds.sum(axis=(0, 1)), rel=1e-9)


def seconds_of_barrier(mapping: CoreMapping) -> float:
    """By tiles in use; none is known between chips."""
    if mapping.chips > 1:
        return 0.0
    tiles = len({mapping.tile(core) for core in range(mapping.cores)})
    return NS * (600.0 if tiles < 2 else 1000.0 if tiles < 4 else 1400.0 if tiles < 29 else 1800.0)
