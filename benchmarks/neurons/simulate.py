"""The neurosam network of a recorded run, its spikes and membranes, and how far they are from the framework's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import neurosam as ns
from capture import Run
from neurosam.deploy.quantise import quantise
from recipes import Recipe

__all__ = ["Difference", "difference", "difference_in_integers", "is_whole", "network", "neuron"]

TIE = 1e-9
"""A membrane this close to its threshold is at a tie: no rounding error here is larger."""

WHOLE = ("threshold", "reset_amount", "reset_value", "bias", "lower_bound", "initial_membrane")
"""Parameters in the unit of weights."""


@dataclass(frozen=True)
class Difference:
    """A framework's run against neurosam's.

    Parameters
    ----------
    spikes : int
        The framework's spikes.
    differ : int
        Sum of the absolute differences of spikes, over steps and neurons.
    neurons : int
        Neurons that have a different spike.
    ties : int
        Those whose first different spike was decided at a tie: a membrane within 1e-9 of its threshold.
    membrane : float
        Largest difference of membranes, over the neurons whose spikes are all equal.
    """

    spikes: int
    differ: int
    neurons: int
    ties: int
    membrane: float


def neuron(recipe: Recipe) -> ns.LIF | ns.Readout:
    """The neuron of a recipe."""
    return ns.Readout(**recipe.neuron) if recipe.readout else ns.LIF(**recipe.neuron)


def network(run: Run, recipe: Recipe) -> ns.Network:
    """Input, and one or two populations with the neuron of the recipe; the last is called neurons."""
    drives = [run.drive, run.drive.after(run.answer.spikes)][: run.layers]
    names = ["input", "first", "neurons"] if run.layers == 2 else ["input", "neurons"]
    populations = [ns.Population("input", (run.drive.inputs.shape[1],))]
    projections = []
    for source, target, drive in zip(names, names[1:], drives, strict=False):
        populations.append(ns.Population(target, (len(drive.mantissa),), neuron(recipe)))
        weight = drive.weight * np.reshape(recipe.weight, (-1, 1))
        projections.append(ns.Projection(source, target, ns.Dense(weight)))
    return ns.Network(tuple(populations), tuple(projections))


def difference(run: Run, recipe: Recipe, backend: str) -> Difference:
    """Run the recipe on a back end, in float64, and compare."""
    record = ns.Record(spikes=() if recipe.readout else ("neurons",), membrane=("neurons",))
    recording = ns.run(network(run, recipe), _events(run), backend, record, threads=1)
    membrane = recording.membrane["neurons"][:, 0] + recipe.offset
    spikes = np.zeros(membrane.shape, np.int64)
    if not recipe.readout:
        spikes = recording.spikes["neurons"].dense()[:, 0].astype(np.int64)
    if recipe.lag:  # the first steps of the framework are silent, and our last ones have no counterpart
        silent = np.zeros((recipe.lag, spikes.shape[1]), np.int64)
        spikes, membrane = np.concatenate([silent, spikes[: -recipe.lag]]), membrane[: -recipe.lag]
    return _difference(run, recipe, spikes, membrane)


def is_whole(run: Run, recipe: Recipe) -> bool:
    """Whether all of a network's numbers are multiples of 1/8 and stay so: no leak, no gain, no current."""
    if run.drive.name != "eighths" or recipe.readout or recipe.differs or {"gain", "current_leak"} & set(recipe.neuron):
        return False
    numbers = [value for name, value in recipe.neuron.items() if name in WHOLE]
    return bool(np.all(recipe.neuron["leak"] == 1)) and all(np.all(np.asarray(value) * 8 % 1 == 0) for value in numbers)


def difference_in_integers(run: Run, recipe: Recipe, backend: str) -> int:
    """Quantise the network to 8-bit weights, run it in integers, and count the spikes that differ.

    Raises
    ------
    ExportError
        If the network has no proven head-room in 24 bits.
    """
    quantised, _ = quantise(network(run, recipe), ns.Precision.lava())
    recording = ns.run(quantised, _events(run), backend, ns.Record(spikes=("neurons",)), threads=1)
    spikes = recording.spikes["neurons"].dense()[:, 0].astype(np.int64)
    return int(np.abs(spikes - run.answer.spikes).sum())


def _events(run: Run) -> ns.Events:
    return ns.Events.from_dense(run.drive.inputs[:, None])


def _difference(run: Run, recipe: Recipe, spikes: Any, membrane: Any) -> Difference:
    """Compare; the framework's membranes may be those of the last step only."""
    theirs, steps = run.answer.membrane, min(len(run.answer.membrane), len(membrane))
    wrong = spikes != run.answer.spikes
    comparable = np.broadcast_to(~wrong.any(axis=0), (steps, spikes.shape[1]))
    if recipe.before_reset:
        comparable = comparable & (run.answer.spikes[-steps:] == 0)
    apart = np.abs(theirs[-steps:] - membrane[-steps:])[comparable]
    return Difference(
        spikes=int(run.answer.spikes.sum()),
        differ=int(np.abs(spikes - run.answer.spikes).sum()),
        neurons=int(wrong.any(axis=0).sum()),
        ties=_ties(run, recipe, spikes, membrane) if wrong.any() and len(theirs) > 1 else 0,
        membrane=float(apart.max(initial=0.0)),
    )


def _ties(run: Run, recipe: Recipe, spikes: Any, membrane: Any) -> int:
    """Neurons whose first different spike is a tie: the side with fewer spikes ended within `TIE` of its threshold."""
    wrong = spikes != run.answer.spikes
    neurons = np.flatnonzero(wrong.any(axis=0))
    first = wrong.argmax(axis=0)[neurons]
    theirs = run.answer.membrane[first, neurons]
    ours = membrane[first - recipe.lag, neurons]
    fewer = np.where(spikes[first, neurons] < run.answer.spikes[first, neurons], ours, theirs)
    threshold = np.broadcast_to(recipe.neuron["threshold"], spikes.shape[1:])[neurons]
    return int((np.abs(fewer - threshold) < TIE).sum())
