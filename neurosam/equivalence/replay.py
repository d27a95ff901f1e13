"""Run a part of a network on recorded spikes: whatever the part receives from outside comes from a recording.

A population outside becomes an input of the same shape and onset, so that every lag, and with it own time, stays as it
was. A population inside may be fed from a recording as well (`forced`): its own spikes then reach nothing, and what it
receives from itself is recorded. As long as it fires as recorded, that is the run of the whole network; therefore the
first difference of a forced population is the first difference of the whole run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from neurosam.errors import NeurosamError
from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Recording

__all__ = ["Tape", "downstream", "forced", "part"]


class Tape(Mapping[str, Events]):
    """What every population of a run sent, by name: the input's events, and recorded spikes, unpacked when asked for.

    Parameters
    ----------
    inputs : Inputs
    recording : Recording
        Of the same run; populations without recorded spikes are not on the tape.
    """

    def __init__(self, inputs: Inputs, recording: Recording) -> None:
        if recording.first_step:
            raise NeurosamError(
                f"recording of {recording.backend!r}",
                f"begins at step {recording.first_step}; spikes from step 0 on are required to run what follows",
            )
        if (inputs.steps, inputs.samples) != (recording.steps, recording.samples):
            raise NeurosamError(
                f"recording of {recording.backend!r}",
                f"has {recording.steps} steps and {recording.samples} samples; "
                f"its input has {inputs.steps} and {inputs.samples}",
            )
        self._spikes = recording.spikes
        self._events = dict(inputs)
        self.steps, self.samples = inputs.steps, inputs.samples
        self._names = [*inputs, *recording.spikes]

    def __getitem__(self, name: str) -> Events:
        if name not in self._events:
            self._events[name] = self._spikes[name].events()
        return self._events[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def into(self, network: Network, itself: str = "") -> Inputs:
        """The input of a part of the network; `itself` is the population that :func:`forced` feeds from this tape."""
        return Inputs({p.name: self[p.name if p.name in self else itself] for p in network.inputs})


def downstream(network: Network, name: str) -> frozenset[str]:
    """A population and all that its spikes can reach."""
    reached = {name}
    while new := {p.target for p in network.projections if p.source in reached} - reached:
        reached |= new
    return frozenset(reached)


def part(network: Network, names: Iterable[str]) -> Network:
    """The populations `names` alone; the others that send to them are inputs.

    Traces and answers are those of the network. Without any answer, the last population gives one by default.
    """
    inside = frozenset(names)
    projections = [p for p in network.projections if p.target in inside]
    sources = {p.source for p in projections}
    populations = [
        replace(p, onset=network.onsets[p.name]) if p.name in inside else _input(network, p)
        for p in network.populations
        if p.name in inside or p.name in sources
    ]
    answers = {name: answer for name, answer in network.answers.items() if name in inside}
    return Network(
        populations, projections, {name: trace for name, trace in network.sam.items() if name in inside},
        network.precision, answers or [p.name for p in populations if p.name in inside][-1:], check_alignment=False,
    )  # fmt: skip


def forced(network: Network, name: str) -> Network:
    """One population alone: all that it receives is input, what it receives from itself too, under another name."""
    itself = "itself"
    while any(p.name == itself for p in network.populations):
        itself += "."
    projections = [replace(p, source=itself) if p.source == name else p for p in network.incoming(name)]
    sources = {p.source for p in projections}
    populations = [_input(network, p) for p in network.populations if p.name in sources]
    if itself in sources:
        populations.append(replace(_input(network, network[name]), name=itself))
    populations.append(replace(network[name], onset=network.onsets[name]))
    trace = {name: network.sam[name]} if name in network.sam else {}
    answers = {name: network.answers[name]} if name in network.answers else None
    return Network(populations, projections, trace, network.precision, answers, check_alignment=False)


def _input(network: Network, population: Population) -> Population:
    """A population that does nothing but send what has been recorded."""
    return Population(
        population.name, population.shape, onset=network.onsets[population.name], magnitude=population.largest_event
    )
