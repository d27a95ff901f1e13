"""What arrives at a core: parts of projections, the lists that they need there, and what their senders need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam_hw.mapping.piece import Piece
from neurosam_hw.resources.rows import SynapseFormat

__all__ = ["Arrival", "Part", "Pixels", "Senders"]

Counts = npt.NDArray[np.int64]


class Part(NamedTuple):
    """Synapses of one projection onto one piece of a core.

    Parameters
    ----------
    projection : int
        Number in the network.
    piece : Piece
    offset : int
        Number of the piece's first neuron on its core.
    """

    projection: int
    piece: Piece
    offset: int


class Senders(NamedTuple):
    """What the source needs for one core that it sends to.

    Parameters
    ----------
    neurons : (n,) int64 array
        Flat source neurons that hold an axon each; or pixels, if `channels` is given.
    channels : (int, int), optional
        Channels whose neurons share the axon of their pixel.
    slots : int
        Slots of an axon.
    """

    neurons: Counts
    channels: tuple[int, int] | None
    slots: int


class Pixels(NamedTuple):
    """Shared lists of the source pixels that reach boxes.

    Parameters
    ----------
    axons : int
        Different axons of these pixels.
    aligned : bool
        Whether the bases of all are multiples of what 16-bit population axons require.
    taps : list of int64 arrays
        By part: taps of each different list.
    """

    axons: int
    aligned: bool
    taps: list[Counts]


@dataclass(frozen=True)
class Arrival:
    """What a core receives from one population.

    Parameters
    ----------
    axons : int
        Input axons.
    synapses, bits : int
        Stored synapses, shared ones once, and their memory.
    formats : frozenset of SynapseFormat
    slots : int
        Slots of an axon at its sender.
    """

    axons: int
    synapses: int
    bits: int
    formats: frozenset[SynapseFormat]
    slots: int = 1
