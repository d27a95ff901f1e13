"""Mappings of random networks: nothing lost, nothing twice, no limit broken; and the spikes do not depend on them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosam.network.synapse import neurons
from neurosam_hw.chips.figure import Value
from neurosam_hw.errors import MappingError
from neurosam_hw.mappers.build import map_network
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.resources import excesses, use
from support.mappings import hardware_case
from support.networks import KINDS
from support.resource_oracle import explicit_use
from support.toy_chip import CRAMPED, LISTS, toy_chip

ROOM: dict[str, Value] = {
    "limits.cores": 4096,
    "limits.neurons_per_core": 40,
    "limits.axons_in_per_core": 160,
    "limits.axons_out_per_core": 400,
    "limits.synapse_memory_per_core": 12_000,
    "limits.decay_profiles_per_core": 3,
    "limits.threshold_profiles_per_core": 3,
}
"""So little that populations of a few dozen neurons have to be cut, and so much that one neuron always fits."""


def within_limits(mapping: CoreMapping) -> bool:
    return not any(excesses(used, mapping.chip) for used in use(mapping))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.booleans(), st.booleans())
def test_no_limit_is_broken(seed: int, kind: str, shared: bool, inputs: bool) -> None:
    """That each neuron has one place is checked by CoreMapping itself (tests/mapping)."""
    network, _ = hardware_case(np.random.default_rng(seed), kind)
    chip = toy_chip({**(CRAMPED if shared else LISTS), **ROOM})
    try:
        mapping = map_network(network, chip, inputs_on_chip=inputs)
    except MappingError as error:
        assert "cycle" in error.problem
        return
    placed = [p for p in network.populations if p.neuron is not None or inputs]
    assert sum(piece.size for piece in mapping.pieces) == sum(neurons(p.shape) for p in placed)
    assert mapping.cores >= sum(neurons(p.shape) for p in placed) / 40
    for used in explicit_use(mapping):
        for what, limit in (("neurons", 40), ("axons_in", 160), ("axons_out", 400), ("synapse_bits", 12_000)):
            assert used[what] <= limit
        assert used["decay_profiles"] <= 3
        assert used["threshold_profiles"] <= 3
    again = map_network(network, chip, inputs_on_chip=inputs)
    assert np.array_equal(again.positions, mapping.positions)
    for population in placed:
        assert np.array_equal(again.core_of(population.name), mapping.core_of(population.name))
