"""What makes a module and a network differ, as one sentence per layer (:class:`Explanation`), and what rounding may do.

Two float64 values of a layer agree if they differ by at most ``ROUNDING * scale``, where `scale` is the magnitude of
the numbers that its neurons add up. Up to ``SINGLE_ROUNDING * scale`` a difference is that of a module that computes in
single precision somewhere. A wrong weight, leak or threshold has a far larger effect than either.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.synapse import Shape

__all__ = ["KINDS", "ROUNDING", "SINGLE_ROUNDING", "Explanation", "Place", "first_of", "place_of"]

ROUNDING = 1e-9
SINGLE_ROUNDING = 1e-5

KINDS = {
    "rounding": "a membrane within rounding of its threshold",
    "comparison": "a neuron fires at its threshold, or only above",
    "threshold": "another threshold",
    "reset": "another reset",
    "order": "another order of leak, input, spike and reset",
    "parameter": "another parameter of the neurons",
    "delay": "spikes that arrive earlier or later",
    "bias": "a constant that is added in every step",
    "scale": "input or weights in another unit",
    "weights": "other weights",
    "path": "a connection that only one of the two has",
    "quantisation": "the network computes in integers",
    "unexplained": "none of these",
}
"""Kinds of explanations."""


@dataclass(frozen=True)
class Place:
    """Where something is seen first: the step (in the population's own time), the sample, and the neuron."""

    step: int
    sample: int
    neuron: int
    coordinates: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """As lists, dicts and numbers, for JSON."""
        return asdict(self) | {"coordinates": list(self.coordinates)}

    def __str__(self) -> str:
        where = self.coordinates[0] if len(self.coordinates) == 1 else self.coordinates
        return f"step {self.step}, sample {self.sample}, neuron {where}"


def place_of(where: tuple[Any, ...], shape: Shape) -> Place:
    """The place at an index (step, sample, flat neuron)."""
    step, sample, neuron = map(int, where)
    return Place(step, sample, neuron, tuple(int(c) for c in np.unravel_index(neuron, shape)))


@dataclass(frozen=True)
class Explanation:
    """Why one layer differs.

    Attributes
    ----------
    population : str
    kind : str
        One of KINDS.
    text : str
        What the module does, what the network does, and what to do.
    place : Place
        Where it is seen first.
    module, network : float
        The two values there: spikes, or input of the neurons.
    count : int
        How many neurons (each in one sample) it concerns.
    """

    population: str
    kind: str
    text: str
    place: Place
    module: float
    network: float
    count: int

    def __str__(self) -> str:
        return f"{self.population}: {self.kind}: {self.text}"

    def to_dict(self) -> dict[str, Any]:
        """As lists, dicts, numbers and strings, for JSON."""
        return asdict(self) | {"place": self.place.to_dict()}


def first_of(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """The first index of a mask that is not empty, in C order."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))
