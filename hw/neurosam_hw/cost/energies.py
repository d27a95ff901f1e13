"""Energy and latency of an inference, for the tables of ``neurosam sweep`` (entry point neurosam.energies).

A network that breaks a rule of the chip is costed all the same, and the words say "what if".
"""

from __future__ import annotations

from typing import Any

from neurosam.network.network import Network
from neurosam.signals.inputs import Inputs
from neurosam_hw.chips.load import load_chip
from neurosam_hw.cost.batches import batches
from neurosam_hw.cost.inference import Meter
from neurosam_hw.cost.verdict import verdict
from neurosam_hw.mappers.build import map_network

__all__ = ["energy"]


def energy(network: Network, chip: str, inputs: Inputs) -> dict[str, Any]:
    """What an inference costs, the mean over samples.

    Parameters
    ----------
    network : Network
    chip : str
        Name of a chip, or the path of a chip file.
    inputs : Inputs

    Returns
    -------
    dict
        ``energy_j`` and ``latency_s``: numbers, or None where no source gives a figure that is needed; ``cost``: both
        in words, with ranges and standing.
    """
    mapping = map_network(network, load_chip(chip))
    meter = Meter(mapping)
    for recording, part in batches(mapping, inputs):
        meter.add(recording, part)
    found = meter.cost(verdict(mapping, what_if=True))
    total, latency = found.total, found.duration.latency
    words = [str(amount) for amount in (total, latency) if amount is not None]
    if found.label:
        words.append(found.label)
    return {
        "energy_j": None if total is None else total.value,
        "latency_s": None if latency is None else latency.value,
        "cost": "; ".join(words) or "no source gives the figures",
    }
