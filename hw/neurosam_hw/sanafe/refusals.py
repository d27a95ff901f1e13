"""What SANA-FE would run or count differently, refused by name."""

from __future__ import annotations

import numpy as np

from neurosam.errors import ExportError
from neurosam.network.network import Network
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Recording
from neurosam_hw.mapping.mapping import OUTSIDE, CoreMapping
from neurosam_hw.mapping.schedule import HardwareSchedule
from neurosam_hw.sanafe.architecture import check_chip, number
from neurosam_hw.sanafe.neurons import check_neuron, clips_alike

__all__ = ["check", "check_range"]


def check(mapping: CoreMapping, inputs: Inputs) -> None:
    """Refuse a network, a mapping or an input that SANA-FE cannot say exactly.

    Raises
    ------
    ExportError
        With the name of what is at fault, and what to do.
    """
    check_chip(mapping.chip)
    network = mapping.network
    if not network.fixed:
        raise ExportError("network", "is a float network; SANA-FE's LIF rounds like a chip. Quantise it first")
    for population in network.populations:
        check_neuron(population, network.precision)
    for name, events in inputs.items():
        if events.value is not None:
            raise ExportError(
                f"events of {name!r}",
                f"have values, up to {events.magnitude:g}; SANA-FE's inputs send spikes. Encode the input as spikes",
            )
    _check_delays(mapping)
    _check_cores(mapping)


def check_range(network: Network, recording: Recording) -> None:
    """Refuse a run in which a sum wrapped around at 24 bits, or a clipped membrane makes a difference.

    Raises
    ------
    ExportError
        With the name of the first population in which that happened.
    """
    clipped = {name: times for name, times in recording.saturated.items() if not clips_alike(network[name])}
    for what, counts in (("membranes were clipped", clipped), ("sums wrapped around", recording.wrapped)):
        for name, times in counts.items():
            if times.any():
                raise ExportError(
                    f"population {name!r}",
                    f"{what} {int(times.sum())} times at 24 bits, a limit that SANA-FE does not have; quantise with "
                    "a coarser unit, or run fewer steps",
                )


def _check_delays(mapping: CoreMapping) -> None:
    """A spike arrives in the next step there."""
    network = mapping.network
    for projection, delay in zip(network.projections, HardwareSchedule.of(network).delays, strict=True):
        if delay != 1:
            raise ExportError(
                f"projection {projection.label}",
                f"takes {delay} steps on a chip, since another path is longer or its delay is; SANA-FE's delay lines "
                "lose spikes, so a spike has to arrive in the next step. Pass it on through a population, or align "
                "the delays",
            )


def _check_cores(mapping: CoreMapping) -> None:
    """One chip, inputs on its cores, and no more neurons on a core than SANA-FE takes."""
    if mapping.chips > 1:
        raise ExportError("mapping", f"uses {mapping.chips} chips; SANA-FE describes one. Use a smaller network")
    for population in mapping.network.inputs:
        if (mapping.core_of(population.name) == OUTSIDE).any():
            raise ExportError(
                f"mapping of {population.name!r}", "leaves the input outside; SANA-FE has inputs on cores, so place it"
            )
    room = int(number(mapping.chip, "limits.neurons_per_core"))
    placed = np.zeros(mapping.cores, dtype=np.int64)
    for piece in mapping.pieces:
        placed[piece.core] += piece.size
    if (placed > room).any():
        core = int(np.argmax(placed > room))
        raise ExportError(
            f"mapping: core {core}", f"holds {placed[core]} neurons with the inputs; {mapping.chip.name} has {room}"
        )
