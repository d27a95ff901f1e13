"""Chips of a few figures, made for one test; and the network of the demo, with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import Conv2d, Dense, SumPool2d
from neurosam_hw.chips.chip import Chip
from neurosam_hw.chips.figure import Figure, Value
from neurosam_hw.chips.keys import SECTIONS
from neurosam_hw.chips.units import BASE, UNITS

__all__ = ["demo_network", "make_chip"]


def make_chip(figures: dict[str, Value]) -> Chip:
    """A chip with these figures, in their base units; None is stated as unknown."""
    made = {}
    for name, value in figures.items():
        section, _, key = name.partition(".")
        unit = BASE[next(iter(UNITS[SECTIONS[section][key].kind]))]
        made[name] = Figure(name, value, unit, "unknown" if value is None else "vendor")
    return Chip("made", "Made for a test", "", made, {}, Path("made.toml"))


def demo_network(reset: str = "subtract", fixed: bool = True) -> Network:
    """A network of the demo's shapes, 16C5S2-32C3-P2-64C3-P2-64C3-P6-D10 on 48x48, with random weights."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> npt.NDArray[np.int8] | npt.NDArray[np.float64]:
        drawn = rng.integers(-128, 128, shape)
        return drawn.astype(np.int8) if fixed else drawn / 128

    neuron = FixedLIF(410, 300, reset, bias_mantissa=-7) if fixed else LIF(0.9, 1.0, reset, bias=-0.1)
    shapes = {"conv1": (16, 24, 24), "conv2": (32, 24, 24), "conv3": (64, 12, 12), "conv4": (64, 6, 6)}
    pool = SumPool2d(2)
    return Network(
        populations=[
            Population("input", (1, 48, 48)),
            *(Population(name, shape, neuron) for name, shape in shapes.items()),
            Population("out", (10,), FixedReadout() if fixed else Readout()),
        ],
        projections=[
            Projection("input", "conv1", Conv2d(weights(16, 1, 5, 5), stride=2, padding=2)),
            Projection("conv1", "conv2", Conv2d(weights(32, 16, 3, 3), padding=1)),
            Projection("conv2", "conv3", Conv2d(weights(64, 32, 3, 3), padding=1), pool=pool),
            Projection("conv3", "conv4", Conv2d(weights(64, 64, 3, 3), padding=1), pool=pool),
            Projection("conv4", "out", Dense(weights(10, 64)), pool=SumPool2d(6)),
        ],
    ).with_sam()
