"""The networks whose spikes are recorded: trained with surrogate gradients, with and without BNTT, and converted.

A network with BNTT runs as many steps as it was trained with; the others run as long as the grid asks. All are
deployed, at each number of bits per weight, on the event back end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from neurosam import training
from neurosam.arithmetic import FRACTION_BITS
from neurosam.backends.registry import run
from neurosam.data import ImageSet
from neurosam.deploy.quantise import quantise
from neurosam.evaluation import Predictor, of_network
from neurosam.network.network import Network
from neurosam.network.precision import Precision
from neurosam.signals.events import Events, encode
from neurosam.signals.recording import Record, Recording, Spikes
from neurosam_study.models import CALIBRATION, Models, Spiking
from neurosam_study.plan import Plan

__all__ = ["Bench", "Run", "benches"]

PLAIN_STEPS, PLAIN_EPOCHS, PERCENTILE = 8, 4, 99.9
"""Steps of training, and epochs, of the network without BNTT."""
AT_ONCE = 20
"""Samples that run at once: the spikes of 500 steps are packed, but not small."""


@dataclass(frozen=True)
class Run:
    """A recorded run.

    Attributes
    ----------
    network : Network
        That ran.
    scale : float
        Value of its readout that corresponds to 1 in float.
    spikes : dict of str to Spikes
        By layer.
    accuracy : float
    """

    network: Network
    scale: float
    spikes: dict[str, Spikes]
    accuracy: float

    @property
    def predictor(self) -> Predictor:
        """The network as deletion and insertion call it."""
        return of_network(self.network, scale=self.scale)


@dataclass(frozen=True, eq=False)
class Bench:
    """A trained network, ready to be deployed with any number of bits per weight.

    Attributes
    ----------
    name : str
        Data and training: "canvases, surrogate".
    net : Spiking
    images : ImageSet
        Held-out ones.
    calibration : Events
    layers : tuple of str
        Whose maps are measured.
    most_steps : int
        Longest run.
    seed : int
    """

    name: str
    net: Spiking
    images: ImageSet
    calibration: Events
    layers: tuple[str, ...]
    most_steps: int
    seed: int

    def events(self, steps: int, first: int = 0, last: int | None = None) -> Events:
        """Poisson spikes of the held-out images."""
        return encode(self.images.images[first:last], steps, "poisson", self.seed, first)

    def record(self, weight_bits: int, steps: int) -> Run:
        """Run all images once; every trace is computed from these spikes."""
        network, report = quantise(self.net.network, Precision.lava(weight_bits), self.calibration)
        unit = next(p.unit for p in report.populations if p.population == network.output)
        recordings = [
            run(network, self.events(steps, first, first + AT_ONCE), record=Record(spikes=self.layers))
            for first in range(0, len(self.images), AT_ONCE)
        ]
        hits = np.concatenate([r.predictions for r in recordings]) == self.images.labels
        return Run(
            network,
            2**FRACTION_BITS / unit,
            {layer: _joined(recordings, layer) for layer in self.layers},
            float(hits.mean()),
        )

    @property
    def masks(self) -> npt.NDArray[np.bool_] | None:
        """Of the held-out images' objects."""
        return self.images.masks


def benches(
    plans: dict[str, Plan], folder: Path, samples: int, steps: int, seeds: int, say: Callable[[str], None]
) -> Iterator[Bench]:
    """Every network of every plan, trained or read from `folder` when it is asked for.

    Parameters
    ----------
    plans : dict of str to Plan
        By name of the data.
    folder : Path
        Of the checkpoints, shared with the study.
    samples : int
        Held-out images.
    steps : int
        Longest run of the networks that can run for any number of steps.
    seeds : int
        Training seeds 0 .. seeds - 1.
    say : callable
        Called with a line of text at each stage.
    """
    for seed in range(seeds):
        for data, plan in plans.items():
            models = Models(replace(plan, explained=samples, test=max(samples, plan.test)), seed, folder, say)
            for name, net, longest in _nets(models, steps):
                calibration = encode(models.train.images[:CALIBRATION], net.steps, "poisson", seed)
                yield Bench(
                    f"{data}, {name}, seed {seed}", net, models.explained, calibration, models.layers, longest, seed
                )


def _nets(models: Models, steps: int) -> Iterator[tuple[str, Spiking, int]]:
    module = training.build(
        models.architecture, models.train.shape, leak=models.plan.leak, seed=models.seed, batch_norm=True
    )
    models.fit("plain", module, steps=PLAIN_STEPS, coding="poisson", epochs=PLAIN_EPOCHS)
    yield "surrogate", models.deploy(module, PLAIN_STEPS), steps
    yield "BNTT", models.surrogate(), models.plan.steps
    yield "converted", models.conversion(PERCENTILE), steps


def _joined(recordings: list[Recording], layer: str) -> Spikes:
    parts = [recording.spikes[layer] for recording in recordings]
    magnitudes = [part.magnitude for part in parts if part.magnitude is not None]
    return Spikes(
        np.concatenate([part.planes for part in parts], axis=1),
        parts[0].shape,
        np.concatenate(magnitudes, axis=1) if magnitudes else None,
    )
