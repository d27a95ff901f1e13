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

from neurosam import training
from neurosam.arithmetic import FRACTION_BITS
from neurosam.deploy.from_torch import to_network
from neurosam.deploy.quantise import quantise
from neurosam.errors import DataError
from neurosam.evaluation import Predictor, of_module, of_network
from neurosam.network.network import Network
from neurosam.network.precision import Precision
from neurosam.signals.answer import predicted
from neurosam.signals.events import Events
from neurosam.training import SpikingSequential
from neurosam_study.plan import Plan
from neurosam_study.samples import Samples, encoded

__all__ = ["ANN", "FORMS", "REFERENCE", "Models", "Spiking", "trained_name"]

FORMS = ("float", "8 bits")
"""Forms of a spiking net: the module in torch, and Loihi's fixed point with 8-bit weights on the event back end."""

CALIBRATION = 64
BALANCING = 100
"""Numbers of training canvases used to scale weights and to balance thresholds."""
AT_ONCE = 50
"""Samples whose events are in memory at once."""
ANN = "ann"
"""Name of the ANN's checkpoint."""
MAGNITUDE = 255
"""Largest integer of an input in direct coding."""
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
        Code of its input, see :func:`neurosam_study.samples.encoded`.
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
        """Encode images, of which the first has a number, as the module takes them."""
        return encoded(images, self.steps, self.coding, seed, first)

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


def trained_name(leak: float, order: str, coding: str = "") -> str:
    """Name of the checkpoint of a net trained with surrogate gradients; the samples' own coding has none."""
    return f"leak-{leak:g}-{order}" + (f"-{coding}" if coding else "")


class Models(Samples):
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
        super().__init__(plan, seed)
        self.device = device
        self._folder, self._say = folder, say
        self._spiking: dict[tuple[float, str, str], Spiking] = {}
        self._conversions: dict[float, Spiking] = {}

    def with_plan(self, plan: Plan) -> Models:
        """Return the networks of the same seed and folder for another plan."""
        return Models(plan, self.seed, self._folder, self._say, self.device)

    @cached_property
    def architecture(self) -> str:
        """Description of the architecture, which the plan may give by name."""
        classes = len(self._items[0].classes)
        description = training.describe(self.plan.architecture, classes, self.plan.width)
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
        training.build_ann(self.architecture, self.input_shape, batch_norm=True, bias=False)
        if not self.layers:
            raise DataError("plan: architecture", f"got {self.architecture}; it has no convolution to explain")
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

    def initial(self, leak: float | None = None, order: str = "") -> SpikingSequential:
        """The ANN with its initial weights, or the net of a leak and an order.

        The ANN has batch norm, which conversion folds into the weights, and no biases; the net batch norm through time.
        """
        if leak is None:
            return training.build_ann(self.architecture, self.input_shape, batch_norm=True, bias=False, seed=self.seed)
        return training.build(
            self.architecture, self.input_shape, leak=leak, order=order, bntt=self.plan.steps, seed=self.seed
        )

    @cached_property
    def ann(self) -> SpikingSequential:
        """The ANN of the same architecture."""
        module = self.initial()
        self.fit(ANN, module, steps=1, coding="direct", epochs=self.plan.ann_epochs)
        return module

    @cached_property
    def references(self) -> tuple[SpikingSequential, ...]:
        """ANNs that no net here descends from, the same for all seeds."""
        seeds = range(REFERENCE, REFERENCE + self.plan.references)
        return tuple(Models(self.plan, seed, self._folder, self._say, self.device).ann for seed in seeds)

    def surrogate(self, leak: float | None = None, order: str | None = None, coding: str | None = None) -> Spiking:
        """The net trained with surrogate gradients and batch norm through time; by default with the plan's first order.

        An order that fires first delays each layer by a step, as in the paper's equations and on Loihi.
        """
        plan = self.plan
        leak, order = plan.leak if leak is None else leak, plan.orders[0] if order is None else order
        coding = self.coding if coding is None else coding
        if (leak, order, coding) not in self._spiking:
            module = self.initial(leak, order)
            name = trained_name(leak, order, "" if coding == self.coding else coding)
            self.fit(name, module, steps=plan.steps, coding=coding, epochs=plan.epochs)
            self._spiking[leak, order, coding] = self.deploy(module, plan.steps, coding)
        return self._spiking[leak, order, coding]

    @property
    def converted(self) -> Spiking:
        """The ANN, converted with the plan's first percentile."""
        return self.conversion(self.plan.percentiles[0])

    def conversion(self, percentile: float) -> Spiking:
        """The ANN, converted by the paper's Algorithm 1, whose thresholds are maxima: the percentile 100."""
        if percentile not in self._conversions:
            self._say(f"seed {self.seed}: converting, percentile {percentile:g}")
            steps, images = self.plan.conversion_steps, self.train.images[:BALANCING]
            conversion = training.convert(self.ann, images, steps=steps, percentile=percentile, seed=self.seed)
            self._conversions[percentile] = self.deploy(conversion.module, steps)
        return self._conversions[percentile]

    def checkpoint(self, name: str) -> Path:
        """File of a net's checkpoint."""
        key = self.plan.ann_key if name == ANN else self.plan.training_key
        return self._folder / f"{key}-{self.seed}-{name}.checkpoint"

    def fit(
        self, name: str, module: SpikingSequential, *, steps: int, coding: str, epochs: int, keep: bool = True
    ) -> training.History:
        """Train a module, or read it from its checkpoint under this name; to measure the time, without keeping it."""
        plan = self.plan
        if keep:
            verb = "reading or resuming" if self.checkpoint(name).exists() else "training"
            self._say(f"seed {self.seed}: {verb} {name}")
        history = training.train(
            module, self.train, self.test, steps=steps, coding=coding, epochs=epochs, batch_size=plan.batch,
            lr=plan.rate, optimizer=plan.optimizer, schedule=plan.schedule, weight_decay=plan.weight_decay,
            seed=self.seed, checkpoint=self.checkpoint(name) if keep else None, device=self.device,
        )  # fmt: skip
        module.to(self._place)
        return history

    def deploy(self, module: SpikingSequential, steps: int, coding: str | None = None, weight_bits: int = 8) -> Spiking:
        """Export and quantise a module; return the net in all its forms."""
        coding = self.coding if coding is None else coding
        direct = coding == "direct"
        magnitude = MAGNITUDE if direct else 1
        network = to_network(
            module, self.input_shape, magnitude=magnitude, input_unit=1 / magnitude,
            coding=coding if direct else "poisson",
        )  # fmt: skip
        calibration = encoded(self.train.images[:CALIBRATION], steps, coding, self.seed, magnitude=magnitude)
        fixed, report = quantise(network, Precision.lava(weight_bits), calibration)
        unit = next(p.unit for p in report.populations if p.population == network.output)
        return Spiking(module, network, fixed, steps, 2**FRACTION_BITS / unit, coding)
