"""What a population of a network would receive if the layers before it had sent what the module's layers sent.

Around one population a small network is cut out: the layers whose spikes are known become inputs, populations between
them and it (such as OR neurons of max pooling) stay, and observers (fidelity.py) with copies of its projections, or of
other ones, record what arrives. Nothing that went wrong in an earlier layer reaches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from neurosam.backends.registry import run
from neurosam.deploy.fidelity import observer_of
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.recording import Record

__all__ = ["arrivals", "in_own_time"]


def in_own_time(network: Network, name: str) -> list[Projection]:
    """The projections to a population, with the steps between both populations' own times as delays."""
    return [replace(p, delay=network.lag(p)) for p in network.incoming(name)]


def arrivals(
    network: Network,
    name: str,
    sent: Mapping[str, npt.NDArray[np.generic]],
    alternatives: Sequence[Sequence[Projection]],
) -> list[npt.NDArray[np.float64]]:
    """What would arrive at a population, after gain and offset, once through each set of projections.

    Parameters
    ----------
    network : Network
        In float.
    name : str
        A population with neurons.
    sent : mapping of str to (T, B, ...) array
        What inputs and populations send, in their own time.
    alternatives : sequence of sequences of Projection
        To `name`, in own time (:func:`in_own_time`).

    Returns
    -------
    list of (T, B, N) array
        One for each of `alternatives`; 0 for one without projections.
    """
    steps, samples = next(iter(sent.values())).shape[:2]
    target = network[name]
    nothing = np.zeros((steps, samples, int(np.prod(target.shape))))
    used = {p.source for projections in alternatives for p in projections}
    kept, projections = _before(network, used, set(sent))
    populations = [
        Population(p.name, p.shape) if p.name in sent else replace(p, onset=0)
        for p in network.populations
        if p.name in kept
    ]
    observers = {}
    for i, own in enumerate(alternatives):
        if own:
            observers[i] = _free_name(network, f"arrives-{i}")
            neuron = observer_of(target.neuron, None)
            populations.append(replace(target, name=observers[i], neuron=neuron, onset=0))
            projections += [replace(p, target=observers[i]) for p in own]
    if not observers:
        return [nothing for _ in alternatives]
    cut = Network(tuple(populations), tuple(projections), check_alignment=False)
    events = {
        p.name: Events.from_dense(sent[p.name].reshape(steps, samples, *p.shape)) for p in populations if p.name in sent
    }
    recording = run(cut, events, "reference", Record(membrane=tuple(observers.values())))
    seen = {i: recording.membrane[label].reshape(nothing.shape) for i, label in observers.items()}
    return [seen.get(i, nothing) for i in range(len(alternatives))]


def _before(network: Network, names: Iterable[str], known: set[str]) -> tuple[set[str], list[Projection]]:
    """Populations from which these receive, back to those that are known, and the projections among them."""
    kept = set(names)
    projections: list[Projection] = []
    waiting = [name for name in kept if name not in known]
    while waiting:
        for projection in in_own_time(network, waiting.pop()):
            projections.append(projection)
            if projection.source not in kept:
                kept.add(projection.source)
                if projection.source not in known:
                    waiting.append(projection.source)
    return kept, projections


def _free_name(network: Network, name: str) -> str:
    while any(p.name == name for p in network.populations):
        name += "-"
    return name
