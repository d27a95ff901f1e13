"""What a core uses of a chip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from neurosam_hw.chips.chip import Chip
from neurosam_hw.resources.figures import numbers

__all__ = ["LIMITS", "Excess", "Limits", "Use", "allowed", "excesses"]

LIMITS = {
    "neurons": "limits.neurons_per_core",
    "synapses": "limits.synapses_per_core",
    "synapse_bits": "limits.synapse_memory_per_core",
    "memory_bits": "limits.memory_per_core",
    "axons_in": "limits.axons_in_per_core",
    "axons_out": "limits.axons_out_per_core",
    "fan_in": "limits.fan_in",
    "destinations": "limits.destinations_per_core",
    "decay_profiles": "limits.decay_profiles_per_core",
    "threshold_profiles": "limits.threshold_profiles_per_core",
    "synapse_formats": "limits.synapse_formats_per_core",
    "kernel_memory": "limits.kernel_memory",
    "neuron_memory": "limits.neuron_memory",
    "bias_memory": "limits.bias_memory",
}
"""The figure of a chip that bounds each number of a Use."""


@dataclass(frozen=True)
class Use:
    """What a core uses.

    Parameters
    ----------
    neurons : int
    synapses : int
        Stored ones: a kernel that many targets share counts once.
    synapse_bits : int
        Their memory by the chip's row formula (rows.py).
    memory_bits : int
        With the state of the neurons, and without a program.
    axons_in, axons_out : int
        Input axons, and slots of output axons.
    fan_in : int
        Synapses onto one neuron, of the neuron with the most: one for each source neuron (fan_in.py).
    destinations : int
        Cores that this one sends to.
    decay_profiles, threshold_profiles, synapse_formats : int
        Different ones.
    kernel_memory, neuron_memory, bias_memory : int
        Numbers held, on a chip that holds a layer a core (layers.py); 0 on others.
    """

    neurons: int = 0
    synapses: int = 0
    synapse_bits: int = 0
    memory_bits: int = 0
    axons_in: int = 0
    axons_out: int = 0
    fan_in: int = 0
    destinations: int = 0
    decay_profiles: int = 0
    threshold_profiles: int = 0
    synapse_formats: int = 0
    kernel_memory: int = 0
    neuron_memory: int = 0
    bias_memory: int = 0


class Excess(NamedTuple):
    """More of something than a core has.

    Parameters
    ----------
    what : str
        A field of Use.
    used, allowed : int
    """

    what: str
    used: int
    allowed: int


def allowed(chip: Chip, what: str, core: int = 0) -> int | None:
    """What core `core` of a chip has of something; None if no source says.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> allowed(load_chip("loihi1"), "axons_in"), allowed(load_chip("speck"), "kernel_memory", 5)
    (4096, 65536)
    """
    found = numbers(chip, LIMITS[what])
    return None if found is None else found[core % len(found)] if len(found) > 1 else found[0]


def excesses(use: Use, chip: Chip, core: int = 0) -> list[Excess]:
    """What a core would have too much of.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> excesses(Use(neurons=1025, axons_in=4096), load_chip("loihi1"))
    [Excess(what='neurons', used=1025, allowed=1024)]
    """
    return Limits.of(chip, core).exceeded(use)


@dataclass(frozen=True)
class Limits:
    """What a core of a chip has, of everything that a source gives a number for.

    Parameters
    ----------
    known : tuple of (str, int)
        Fields of Use, and how much of each.
    """

    known: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, chip: Chip, core: int = 0) -> Limits:
        """The limits of core `core`."""
        found = ((what, allowed(chip, what, core)) for what in LIMITS)
        return cls(tuple((what, limit) for what, limit in found if limit is not None))

    def exceeded(self, use: Use) -> list[Excess]:
        """What a core would have too much of."""
        return [Excess(what, getattr(use, what), most) for what, most in self.known if getattr(use, what) > most]

    def get(self, what: str) -> int | None:
        """How much there is of something; None if no source says."""
        return dict(self.known).get(what)
