"""The networks of one seed: an ANN, spiking nets with several leaks, a converted net; each in float and at 8 bits.

Everything depends only on the plan and the seed: positions of items, weights, spikes. All seeds are measured on the
same held-out pictures, which none of them was trained on, so that what differs between seeds is the training, and what
differs between pictures is the picture. Finished checkpoints are the cache: training resumes from one, and returns at
once if nothing is left to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neurosam import training
from neurosam.arithmetic import FRACTION_BITS
from neurosam.data import (
    Clutter,
    ImageSet,
    PairSet,
    cluttered,
    load_held_out,
    load_recordings,
    load_training,
    two_items,
)
from neurosam.deploy.from_torch import to_network
from neurosam.deploy.quantise import quantise
from neurosam.errors import DataError
from neurosam.evaluation import Predictor, of_module, of_network
from neurosam.network.network import Network
from neurosam.network.precision import Precision
from neurosam.signals.answer import predicted
from neurosam.signals.events import Events, encode
from neurosam.training import SpikingSequential
from neurosam_study.plan import Plan

__all__ = ["FORMS", "HELD_OUT", "Models", "Spiking", "deployed"]

FORMS = ("float", "8 bits")
"""Forms of a spiking net: the module in torch, and Loihi's fixed point with 8-bit weights on the event back end."""

CALIBRATION = 64
BALANCING = 100
"""Numbers of training canvases used to scale weights and to balance thresholds."""
AT_ONCE = 50
"""Samples whose events are in memory at once."""
MAGNITUDE = 255
"""Largest integer of an input in direct coding."""
HELD_OUT = 1
"""Seed of the held-out canvases, which all seeds share; those of training have even seeds and other items."""
REFERENCE = 1000
"""First seed of the ANNs whose Grad-CAM maps are compared with; no seed of the study reaches it."""


@dataclass(frozen=True, eq=False)
class Spiking:
    """A spiking net in all its forms.

    Attributes
    ----------
    module : SpikingSequential
    network, fixed : Network
        Exported from it, in float64 and at 8 bits.
    steps : int
        Number of steps T per sample.
    scale : float
        Value of the 8-bit readout's membrane that corresponds to 1 in float.
    coding : str
        Of the images that it was trained with; see :func:`neurosam.encode`.
    """

    module: SpikingSequential
    network: Network
    fixed: Network
    steps: int
    scale: float
    coding: str = "poisson"

    def predictor(self, form: str) -> Predictor:
        """Return a predictor by the module in torch (float), or on the event back end in the same unit (8 bits)."""
        if form != FORMS[1]:
            return of_module(self.module)
        on_chip = of_network(self.fixed, scale=self.scale)
        return lambda x: on_chip(self.on_chip(x))

    def encode(self, images: npt.NDArray[np.generic], seed: int, first: int = 0) -> Events:
        """Encode images as the module takes them."""
        return encode(images, self.steps, self.coding, seed, first)

    def on_chip(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The module's input as the networks take it: spikes as they are, currents as integers 0..255."""
        return np.rint(x * MAGNITUDE).astype(np.int32) if self.coding == "direct" else x

    def hits(
        self, form: str, images: npt.NDArray[np.generic], labels: npt.NDArray[np.int64], seed: int
    ) -> npt.NDArray[np.float64]:
        """Whether each image is classified correctly, 1 or 0, in batches to limit memory."""
        predict, hits = self.predictor(form), []
        for first in range(0, len(images), AT_ONCE):
            batch = slice(first, first + AT_ONCE)
            x = self.encode(images[batch], seed, first).dense()
            hits.append(predicted(predict(x)) == labels[batch])
        return np.concatenate(hits).astype(np.float64)


class Models:
    """Data and networks of one seed, each created on first use.

    Parameters
    ----------
    plan : Plan
    seed : int
    folder : Path
        Folder of the checkpoints.
    say : callable
        Called with a line of text at each stage.
    device : str
        Device that torch computes on; see :func:`neurosam.training.train`.
    """

    def __init__(self, plan: Plan, seed: int, folder: Path, say: Callable[[str], None], device: str = "auto") -> None:
        self.plan, self.seed, self.device = plan, seed, device
        self._folder, self._say = folder, say
        self._spiking: dict[tuple[float, str], Spiking] = {}

    def with_plan(self, plan: Plan) -> Models:
        """Return the networks of the same seed and folder for another plan."""
        return Models(plan, self.seed, self._folder, self._say, self.device)

    @cached_property
    def _items(self) -> tuple[ImageSet, ImageSet]:
        """Items for training, and items that no seed trains on."""
        data, size = self.plan.data, self.plan.size
        return load_training(data, seed=0, size=size), load_held_out(data, seed=0, size=size)

    @cached_property
    def train(self) -> ImageSet:
        """Training images."""
        return self._images(self._items[0], 2 * self.seed, self.plan.train)

    @cached_property
    def test(self) -> ImageSet:
        """Held-out images, the same for all seeds."""
        return self._images(self._items[1], HELD_OUT, self.plan.test)

    @cached_property
    def explained(self) -> ImageSet:
        """Held-out images whose maps are evaluated."""
        return self.test.subset(np.arange(min(self.plan.explained, len(self.test))))

    @cached_property
    def pairs(self) -> PairSet | None:
        """Images with two held-out items side by side; None without canvases."""
        if not self.plan.canvases:
            return None
        items, side = self._items[1], self.pair_side
        items = items if side is None else items.shrink(side, side)
        return two_items(items, self._clutter, seed=HELD_OUT, indices=range(self.plan.test))

    @property
    def pair_side(self) -> int | None:
        """Side to which garments, which fill their frame, are shrunk so that two fit; None for digits, which fit."""
        return self.plan.canvas // 2 - 1 if self.plan.data == "fashion" else None

    def _images(self, items: ImageSet, seed: int, count: int | None) -> ImageSet:
        """Make `count` canvases with the items; without canvases, select `count` images in random order."""
        if self.plan.canvases:
            return cluttered(items, self._clutter, seed=seed, indices=range(len(items) if count is None else count))
        return items.subset(np.random.default_rng(seed).permutation(len(items))[:count])

    @property
    def _clutter(self) -> Clutter:
        return Clutter(canvas=self.plan.canvas)

    @cached_property
    def architecture(self) -> str:
        """Description of the architecture, which the plan may give by name."""
        classes = len(self._items[0].classes)
        description = training.describe(self.plan.architecture, classes)
        if not description.endswith(f"-D{classes}"):
            raise DataError(
                "plan: architecture",
                f"got {description}; the last layer must be D{classes}, one neuron per class of {self.plan.data}",
            )
        return description

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Names of the explained layers."""
        description = training.describe(self.plan.architecture, 1)
        count = sum("C" in token for token in description.split("-"))
        convolutions = tuple(f"conv{number}" for number in range(1, count + 1))
        if unknown := [layer for layer in self.plan.explain if layer not in convolutions]:
            raise DataError(
                "plan: explain", f"got {unknown[0]!r}; {self.plan.architecture} has {', '.join(convolutions)}"
            )
        return self.plan.explain or convolutions[1:] or convolutions

    def check(self) -> None:
        """Check data, layers and device before any training starts.

        Raises
        ------
        NeurosamError
            If one of them is missing or cannot be used.
        """
        if pooled := [token for token in self.architecture.split("-") if token.startswith("M")]:
            raise DataError(
                f"plan: architecture: {pooled[0]!r}",
                "is max pooling and cannot be converted; use average pooling (P)",
            )
        items = self._items[0]
        shape = (items.shape[0], *self._clutter.size) if self.plan.canvases else items.shape
        training.build_ann(self.architecture, shape, batch_norm=True, bias=False)
        if not self.layers:
            raise DataError("plan: architecture", f"got {self.architecture}; it has no convolution to explain")
        if self.plan.recordings:
            load_recordings(self.plan.recordings, "test")
        try:
            torch.empty(0, device=self._place)
        except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without CUDA
            raise DataError("device", f"cannot use {self.device!r}: {str(error).splitlines()[0]}") from error

    @property
    def _place(self) -> str:
        """Device on which torch computes maps."""
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device

    @cached_property
    def ann(self) -> SpikingSequential:
        """The ANN of the same architecture, with batch norm (which conversion folds into the weights) and no biases."""
        module = training.build_ann(self.architecture, self.train.shape, batch_norm=True, bias=False, seed=self.seed)
        self.fit("ann", module, steps=1, coding="direct", epochs=self.plan.ann_epochs)
        return module

    @cached_property
    def references(self) -> tuple[SpikingSequential, ...]:
        """ANNs that no net here descends from, the same for all seeds."""
        seeds = range(REFERENCE, REFERENCE + self.plan.references)
        return tuple(Models(self.plan, seed, self._folder, self._say, self.device).ann for seed in seeds)

    def surrogate(self, leak: float | None = None, coding: str = "poisson") -> Spiking:
        """The net trained with surrogate gradients and batch norm through time, for a coding of its input."""
        leak = self.plan.leak if leak is None else leak
        if (leak, coding) not in self._spiking:
            plan = self.plan
            module = training.build(self.architecture, self.train.shape, leak=leak, bntt=plan.steps, seed=self.seed)
            name = f"leak-{leak:g}" if coding == "poisson" else f"leak-{leak:g}-{coding}"
            self.fit(name, module, steps=plan.steps, coding=coding, epochs=plan.epochs)
            self._spiking[leak, coding] = self.deploy(module, plan.steps, coding)
        return self._spiking[leak, coding]

    @cached_property
    def converted(self) -> Spiking:
        """The ANN, converted by the paper's Algorithm 1 with 99.9th percentiles."""
        self._say(f"seed {self.seed}: converting")
        steps = self.plan.conversion_steps
        images = self.train.images[:BALANCING]
        conversion = training.convert(self.ann, images, steps=steps, percentile=99.9, seed=self.seed)
        return self.deploy(conversion.module, steps)

    def fit(
        self,
        name: str,
        module: nn.Module,
        *,
        steps: int,
        coding: str,
        epochs: int,
        sets: tuple[ImageSet, ImageSet] | None = None,
    ) -> None:
        """Train a module, or read it from its checkpoint under this name; on other sets than the images, if given."""
        checkpoint = self._folder / f"{self.plan.training_key}-{self.seed}-{name}.checkpoint"
        self._say(f"seed {self.seed}: training {name}")
        train, test = (self.train, self.test) if sets is None else sets
        training.train(
            module, train, test, steps=steps, coding=coding, epochs=epochs,
            batch_size=self.plan.batch, lr=self.plan.lr, seed=self.seed, checkpoint=checkpoint, device=self.device,
        )  # fmt: skip
        module.to(self._place)

    def deploy(self, module: SpikingSequential, steps: int, coding: str = "poisson", weight_bits: int = 8) -> Spiking:
        """Export and quantise a module; return the net in all its forms."""
        magnitude = MAGNITUDE if coding == "direct" else 1
        calibration = encode(self.train.images[:CALIBRATION], steps, coding, self.seed, magnitude=magnitude)
        return deployed(module, calibration, coding, weight_bits)


def deployed(module: SpikingSequential, calibration: Events, coding: str = "poisson", weight_bits: int = 8) -> Spiking:
    """Export and quantise a module, calibrated on typical input as the networks take it."""
    unit = 1 / MAGNITUDE if coding == "direct" else 1.0
    magnitude = MAGNITUDE if coding == "direct" else 1
    network = to_network(module, calibration.shape, magnitude=magnitude, input_unit=unit, coding=coding)
    fixed, report = quantise(network, Precision.lava(weight_bits), calibration)
    readout = next(p.unit for p in report.populations if p.population == network.output)
    return Spiking(module, network, fixed, calibration.steps, 2**FRACTION_BITS / readout, coding)
