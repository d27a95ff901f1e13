"""Chips for tests: a few figures, all others unknown."""

from __future__ import annotations

from pathlib import Path

from neurosam_hw.chips.chip import Chip
from neurosam_hw.chips.figure import Figure, Value
from neurosam_hw.chips.keys import SECTIONS
from neurosam_hw.chips.units import UNITS

__all__ = ["CRAMPED", "LISTS", "toy_chip"]

CRAMPED: dict[str, Value] = {
    "numbers.weight_bits": (2, 3, 8),
    "numbers.weight_exponent_min": -4,
    "limits.synapse_word": 16,
    "limits.synapse_row_header": 5,
    "limits.synapses_per_row": 6,
    "limits.synapse_index_bits": (0, 2, 4, 7),
    "limits.shared_base_max": 7,
    "limits.shared_base_step_16": 2,
    "limits.population_axon_slots_32": 3,
    "limits.population_axon_bits_16": 4,
    "limits.population_atom_bits_16": 1,
    "limits.population_atom_bits_max_16": 2,
    "noc.shared_weights": True,
    "noc.population_axons": True,
}
"""Loihi's row formula with numbers so small that little networks feel them."""

LISTS: dict[str, Value] = {**CRAMPED, "noc.shared_weights": False}
"""The same without shared weights."""


def toy_chip(figures: dict[str, Value]) -> Chip:
    """A chip of which only these figures are known."""
    found = {}
    for name, value in figures.items():
        section, _, key = name.partition(".")
        unit = next(iter(UNITS[SECTIONS[section][key].kind]))
        found[name] = Figure(name, value, unit, "vendor")
    return Chip("toy", "Toy", "", found, {}, Path("toy.toml"))
