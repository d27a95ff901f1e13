"""Which samples of a stimulus tell mutants from their original, by what is compared.

A comparison may see the answers of outputs alone, or spikes too, or maps too, or membranes and currents as well
(``LEVELS``; each includes what stands before it). By spikes and membranes a mutant is told apart if its own layer, fed
with the recorded spikes of the layers before it, differs (lanes.py): whatever differs later is a consequence. Its
answers differ or not only when all that follows has run as well, for the samples in which it fires otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.registry import run
from neurosam.equivalence.lanes import laned
from neurosam.equivalence.mutation import TRACE, Mutant, channel_of, mutated, mutated_trace
from neurosam.equivalence.replay import Tape, downstream, forced, part
from neurosam.errors import RangeWarning
from neurosam.explain.sam import from_spikes
from neurosam.network.network import Network
from neurosam.network.synapse import as_chw, neurons
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording

__all__ = ["LEVELS", "Original", "Told", "samples_at_once"]

LEVELS = ("answers", "spikes", "maps", "membranes")
"""What a comparison may see; each level includes those before it."""

CHUNK_BYTES, LANE_BYTES = 2**27, 2**26
FIRST_SAMPLES = 4
"""Samples whose answers are computed at first; four times as many follow, while none differs."""

Told = npt.NDArray[np.bool_]


class Original:
    """The run that mutants are compared with.

    Parameters
    ----------
    network : Network
        In fixed point.
    inputs : Inputs
    backend : str
        Runs the original and the mutants.
    """

    def __init__(self, network: Network, inputs: Inputs, backend: str = "event") -> None:
        self.network, self.inputs, self._backend = network, inputs, backend
        self.recording = self._run(network, inputs, Record.everything(network))
        self.tape = Tape(inputs, self.recording)

    def told(self, mutants: Sequence[Mutant], answers: bool = True, every: bool = False) -> Told:
        """Whether each sample tells each mutant apart, by level.

        Parameters
        ----------
        mutants : sequence of Mutant
        answers : bool
            Whether to compute answers; if not, that level stays False.
        every : bool
            Whether to go on with a mutant's answers after the first sample in which they differ.

        Returns
        -------
        (4, mutants, samples) bool array
            In the order of LEVELS.
        """
        told = np.zeros((len(LEVELS), len(mutants), self.inputs.samples), np.bool_)
        whole = [i for i, m in enumerate(mutants) if channel_of(self.network, m) is None]
        for i in whole:
            told[:, i] = self._whole(mutants[i])
        for name in dict.fromkeys(m.site.layer for m in mutants):
            of_layer = [i for i, m in enumerate(mutants) if m.site.layer == name and i not in whole]
            for chosen in self._bundles(name, of_layer):
                told[:, chosen] = self._lanes(name, [mutants[i] for i in chosen])
        if answers:
            for i, mutant in enumerate(mutants):
                if mutant.site.kind not in TRACE:
                    self._answers(mutant, told[:, i], every)
        else:
            told[0] = False
        return np.logical_or.accumulate(told, axis=0)

    def _run(self, network: Network, inputs: Inputs, record: Record) -> Recording:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RangeWarning)  # integers that leave their range do so as in the original
            return run(network, inputs, self._backend, record)

    def _bundles(self, name: str, mutants: list[int]) -> Iterator[list[int]]:
        """Mutants of a layer, as many at a time as memory allows."""
        _, *sides = as_chw(self.network.drive_shape(name))
        pixels = neurons(tuple(sides)) * self.inputs.steps * self.inputs.samples
        size = max(1, LANE_BYTES // (16 * pixels))
        for start in range(0, len(mutants), size):
            yield mutants[start : start + size]

    def _lanes(self, name: str, mutants: Sequence[Mutant]) -> Told:
        """Mutants of single channels of a layer."""
        network, chosen = laned(self.network, name, mutants)
        return self._differing(network, name, chosen)

    def _whole(self, mutant: Mutant) -> Told:
        """A mutant of a whole layer, ``(4, samples)``."""
        name = mutant.site.layer
        if mutant.site.kind in TRACE:
            trace = mutated_trace(self.network, mutant)
            maps = from_spikes(self.recording.spikes[name], trace) != self.recording.sam[name]
            told = np.zeros((len(LEVELS), self.inputs.samples), np.bool_)
            told[2] = maps.any(axis=(0, 2, 3))
            return told
        alone = forced(mutated(self.network, mutant), name)
        channels = np.arange(as_chw(self.network[name].shape)[0])
        return np.asarray(self._differing(alone, name, channels).any(axis=1))

    def _differing(self, network: Network, name: str, channels: npt.NDArray[np.int64]) -> Told:
        """Whether each channel of a forced population differs from one of the original, ``(4, channels, samples)``."""
        population = network[name]
        record = Record(
            spikes=(name,) if population.fires else (),
            membrane=(name,),
            current=(name,) if population.has_current else (),
        )
        other, own = self._run(network, self.tape.into(network, name), record), self.recording
        shape = self.network[name].shape

        def differ(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Told:
            """Of arrays (T, B, neurons) of the original and of its channels."""
            steps, samples = a.shape[:2]
            x = a.reshape(steps, samples, as_chw(shape)[0], -1)[:, :, channels]
            y = b.reshape(steps, samples, channels.size, -1)
            return np.asarray((x != y).any(axis=(0, 3)).T)

        told = np.zeros((len(LEVELS), channels.size, self.inputs.samples), np.bool_)
        if name in self.network.answers:
            told[0] = differ(_answers(self.network, own)[name][None], other.output[None])
        if population.fires:
            told[1] = differ(own.spikes[name].dense(), other.spikes[name].dense())
        told[3] = differ(own.membrane[name], other.membrane[name])
        if population.has_current:
            told[3] |= differ(own.current[name], other.current[name])
        return told

    def _answers(self, mutant: Mutant, told: Told, every: bool) -> None:
        """Set ``told[0]`` where the answers of outputs behind a mutant differ, which fires as ``told[1]`` has it."""
        name, network = mutant.site.layer, self.network
        reached = downstream(network, name)
        outputs = [output for output in network.answers if output in reached]
        samples = np.flatnonzero(told[1])
        if not outputs or not samples.size:
            return
        told[0, samples] = False
        changed = part(mutated(network, mutant), reached)
        start, size = 0, samples.size if every else FIRST_SAMPLES
        while start < samples.size and (every or not told[0].any()):
            chosen = samples[start : start + size]
            inputs = Inputs({p.name: _taken(self.tape[p.name], chosen) for p in changed.inputs})
            found = _answers(changed, self._run(changed, inputs, Record()))
            original = _answers(network, self.recording)
            differ = [(found[output] != original[output][chosen]).any(axis=1) for output in outputs]
            told[0, chosen] = np.any(differ, axis=0)
            start, size = start + size, 4 * size


def samples_at_once(network: Network, steps: int) -> int:
    """Samples of which everything can be recorded in CHUNK_BYTES."""
    return max(1, CHUNK_BYTES // (16 * steps * sum(neurons(p.shape) for p in network.populations)))


def _answers(network: Network, recording: Recording) -> dict[str, npt.NDArray[Any]]:
    """Answers by output, ``(B, N)``."""
    answers = {network.output: recording.output, **recording.other_outputs}
    return {name: np.asarray(answer) for name, answer in answers.items()}


def _taken(events: Events, samples: npt.NDArray[np.int64]) -> Events:
    """Some of the samples, in rising order, numbered from 0."""
    number = np.full(events.samples, -1)
    number[samples] = np.arange(samples.size)
    keep = number[events.sample] >= 0
    return Events(
        events.time[keep], number[events.sample[keep]], events.neuron[keep], events.steps, samples.size, events.shape,
        None if events.value is None else events.value[keep],
    )  # fmt: skip
