"""What a recording consists of: nodes, one for each layer, and the sources from which they take their values.

A node stands for a function in all steps. The same function of the same sources is the same node: a convolution that a
time loop calls in every step is one node, a module that is used in two places is two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from neurosam.graph.layers import Input, MaxPool, Neurons, Offset, Pool, Scale, Weights
from neurosam.network.neuron import LIF
from neurosam.network.synapse import Shape

__all__ = ["Dropped", "Membrane", "Node", "OverTime", "Refused", "Source", "Tables", "What", "population_shape"]

Indices: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Refused:
    """What a network cannot compute, and why. It is an error only where its value reaches neurons or the output."""

    problem: str


@dataclass(frozen=True)
class Membrane:
    """The membrane of the source, a layer of neurons: an output, and no input of others."""


@dataclass(frozen=True, eq=False)
class Tables:
    """``gain[t] * x + offset[t]``, which the neurons behind it compute (BNTT)."""

    gain: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]


@dataclass(frozen=True)
class OverTime:
    """The sum, mean or maximum of the source over all steps: an output, and no input of others."""

    how: str


@dataclass(frozen=True)
class Dropped:
    """A function at the very end that changes no decision (softmax): the network answers what enters it."""

    name: str


What: TypeAlias = (
    Input | Weights | Pool | Scale | Offset | MaxPool | Neurons | Refused | Membrane | Tables | OverTime | Dropped
)


@dataclass(frozen=True, eq=False)
class Source:
    """Values that a node takes from another.

    Parameters
    ----------
    node : Node
    steps : int
        How many steps ago the other had them.
    index : int array or None
        Flat element of the other for each element here, -1 for 0; None if they are the same.
    """

    node: Node
    steps: int = 0
    index: Indices | None = None

    @property
    def key(self) -> tuple[int, int, bytes | None]:
        """Equal for equal sources."""
        return id(self.node), self.steps, None if self.index is None else self.index.tobytes()

    @property
    def plain(self) -> bool:
        """Whether it takes all elements in order, in the same step."""
        return self.steps == 0 and self.index is None


@dataclass(eq=False)
class Node:
    """A layer.

    Parameters
    ----------
    what : What
    sources : tuple of Source
        Their values are added.
    shape : tuple of int
        Of one step of one sample, as torch has it.
    path : str
        Of the module that computes it, in the module that is exported.
    kind : str
        Class of that module, or the name of the function if it is not a module's own.
    entering : tuple of int, optional
        Shape of the picture over which windows go.
    calls : int
        How often neurons were called.
    values : list of (B, N) arrays
        Spikes (or membranes) that neurons gave, in each step.
    received : list of (B, K) arrays
        What their module was given, in each step, if the recording is watched.
    """

    what: What
    sources: tuple[Source, ...]
    shape: tuple[int, ...]
    path: str
    kind: str
    entering: tuple[int, ...] | None = None
    calls: int = 0
    values: list[npt.NDArray[Any]] = field(default_factory=list)
    received: list[npt.NDArray[Any]] = field(default_factory=list)

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return f"layer {self.path!r} ({self.kind})" if self.path else f"module ({self.kind})"

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def spiking(self) -> bool:
        """Whether its values are spikes: of neurons, of the input, or the largest of spikes."""
        if isinstance(self.what, MaxPool):
            return all(source.node.spiking for source in self.sources)
        return isinstance(self.what, Input) or (isinstance(self.what, Neurons) and isinstance(self.what.neuron, LIF))

    @property
    def largest(self) -> int:
        """Most spikes per step; 0 for what is no layer of neurons."""
        what = self.what
        if isinstance(what, MaxPool):
            return max(source.node.largest for source in self.sources)
        return what.neuron.max_spikes if isinstance(what, Neurons) and isinstance(what.neuron, LIF) else 0

    def sole(self) -> Node | None:
        """The node whose values it takes as they are, if that is all it takes."""
        return self.sources[0].node if len(self.sources) == 1 and self.sources[0].plain else None

    @property
    def unusable(self) -> str | None:
        """Why no other layer can take its values, if it is so."""
        what = self.what
        if isinstance(what, Membrane):
            return (
                f"follows the membrane of {self.sources[0].node.label}; only spikes travel, so make that the last layer"
            )
        if isinstance(what, OverTime):
            return f"follows the {what.how} over all steps; take it at the very end"
        if isinstance(what, Dropped):
            return f"follows {what.name}, which can be left out only at the very end; remove it"
        if isinstance(what, Tables):
            return f"follows {self.label}, which must stand directly in front of a layer of neurons"
        return None


def population_shape(shape: tuple[Any, ...]) -> Shape:
    """A shape of torch as a network has it: ``(C, 1, L)`` for ``(C, L)``, ``(C, D * H, W)`` for ``(C, D, H, W)``."""
    sides = tuple(int(side) for side in shape)
    if len(sides) in (1, 3):
        return sides
    if len(sides) == 2:
        return (sides[0], 1, sides[1])
    return (sides[0], int(np.prod(sides[1:-1])), sides[-1]) if sides else (1,)
