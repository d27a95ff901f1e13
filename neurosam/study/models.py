"""The networks of one seed: an ANN, spiking nets of several leaks, a converted one; each in float and at 8 bits.

Everything depends on the plan and the seed alone: which items are held out, where they lie, weights, spikes. A finished
checkpoint is the cache: training goes on from it, and so returns at once when there is nothing left to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from neurosam import training
from neurosam.data import Clutter, ImageSet, PairSet, cluttered, load, two_items
from neurosam.events import Events, encode
from neurosam.from_torch import to_network
from neurosam.network import Network
from neurosam.precision import Precision
from neurosam.quantise import quantise
from neurosam.study.plan import Plan
from neurosam.training import SpikingSequential

__all__ = ["Models", "Spiking"]

CALIBRATION = 64
BALANCING = 100
"""Training canvases by which weights are scaled, and thresholds balanced."""


@dataclass(frozen=True, eq=False)
class Spiking:
    """One spiking net in all its forms.

    Attributes
    ----------
    module : SpikingSequential
    network, fixed : Network
        Exported in float64, and at 8 bits.
    steps : int
        T of a presentation.
    """

    module: SpikingSequential
    network: Network
    fixed: Network
    steps: int

    def form(self, name: str) -> Network:
        """The network in "float" or "8 bits"."""
        return self.fixed if name == "8 bits" else self.network

    def encode(self, images: npt.NDArray[np.generic], seed: int) -> Events:
        """Poisson spikes of images."""
        return encode(images, self.steps, "poisson", seed)


class Models:
    """Data and networks of one seed, each made when it is first asked for.

    Parameters
    ----------
    plan : Plan
    seed : int
    folder : Path
        Of the checkpoints.
    say : callable
        Receives a line of text at each stage.
    """

    def __init__(self, plan: Plan, seed: int, folder: Path, say: Callable[[str], None]) -> None:
        self.plan, self.seed = plan, seed
        self._folder, self._say = folder, say
        self._spiking: dict[float, Spiking] = {}

    @cached_property
    def _items(self) -> tuple[ImageSet, ImageSet]:
        everything = load(self.plan.data)
        held_out = len(everything) // 5
        return everything.split(len(everything) - held_out, held_out, seed=self.seed)

    @cached_property
    def train(self) -> ImageSet:
        """Canvases to train on."""
        return cluttered(self._items[0], self._clutter, seed=2 * self.seed, indices=range(self.plan.train))

    @cached_property
    def test(self) -> ImageSet:
        """Held-out canvases, of other items."""
        return cluttered(self._items[1], self._clutter, seed=2 * self.seed + 1, indices=range(self.plan.test))

    @cached_property
    def explained(self) -> ImageSet:
        """Those whose maps are judged."""
        return self.test.subset(np.arange(self.plan.explained))

    @cached_property
    def pairs(self) -> PairSet:
        """Two held-out items side by side."""
        return two_items(self._items[1], self._clutter, seed=self.seed, indices=range(self.plan.test))

    @property
    def _clutter(self) -> Clutter:
        return Clutter(canvas=self.plan.canvas)

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers that are explained: all convolutions but the first."""
        count = sum("C" in token for token in self.plan.architecture.split("-"))
        return tuple(f"conv{number}" for number in range(2, count + 1))

    @cached_property
    def ann(self) -> SpikingSequential:
        """The ANN of the same architecture, with batch norm (which conversion folds) and no other biases."""
        module = training.build_ann(
            self.plan.architecture, self.train.shape, batch_norm=True, bias=False, seed=self.seed
        )
        self._fit("ann", module, steps=1, coding="direct", epochs=self.plan.ann_epochs)
        return module

    def surrogate(self, leak: float | None = None) -> Spiking:
        """The net trained with surrogate gradients and batch norm through time."""
        leak = self.plan.leak if leak is None else leak
        if leak not in self._spiking:
            plan = self.plan
            module = training.build(plan.architecture, self.train.shape, leak=leak, bntt=plan.steps, seed=self.seed)
            self._fit(f"leak-{leak:g}", module, steps=plan.steps, coding="poisson", epochs=plan.epochs)
            self._spiking[leak] = self._deploy(module, plan.steps)
        return self._spiking[leak]

    @cached_property
    def converted(self) -> Spiking:
        """The ANN, converted by Algorithm 1 with 99.9th percentiles."""
        self._say(f"seed {self.seed}: converting")
        steps = self.plan.conversion_steps
        images = self.train.images[:BALANCING]
        found = training.convert(self.ann, images, steps=steps, percentile=99.9, seed=self.seed)
        return self._deploy(found.module, steps)

    def _fit(self, name: str, module: SpikingSequential, *, steps: int, coding: str, epochs: int) -> None:
        place = self._folder / f"{self.plan.key}-{self.seed}-{name}.checkpoint"
        self._say(f"seed {self.seed}: training {name}")
        training.train(
            module, self.train, self.test, steps=steps, coding=coding, epochs=epochs,
            batch_size=self.plan.batch, lr=self.plan.lr, seed=self.seed, checkpoint=place,
        )  # fmt: skip

    def _deploy(self, module: SpikingSequential, steps: int) -> Spiking:
        network = to_network(module, self.train.shape)
        calibration = encode(self.train.images[:CALIBRATION], steps, "poisson", self.seed)
        return Spiking(module, network, quantise(network, Precision.lava(), calibration)[0], steps)
