"""What happens on each core in each hardware step of a run, counted exactly from its spikes.

A spike of a neuron on core c, sent in hardware step s, counts in step s, wherever what it causes happens:

    at c          spikes 1, packets 1 for each core that it reaches, hops from tile to tile, crossings to other chips
    at each core  messages 1, deliveries 1 for each of its synapses there
    that it reaches

and each neuron is updated in every hardware step, whether it has something to do (active) or not (idle). Several spikes
of a neuron in one step are one packet with a number in it; weights of 0 are delivered as others are. An event of an
input on a core is sent like a spike, but no neuron works for it: it counts among packets and not among spikes. An event
from outside has no sender: what it causes is counted where it arrives, as messages that were injected.

The work is proportional to the spikes and the cores that they reach, and to neurons times steps for active updates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import integer
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.network.synapse import neurons
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording
from neurosam_hw.cost.activity import Activity, missing
from neurosam_hw.cost.firing import Firing, parts
from neurosam_hw.cost.tally import add_spikes, add_updates
from neurosam_hw.cost.traffic import SENDER, Traffic, traffic
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.reach import KINDS
from neurosam_hw.mapping.schedule import HardwareSchedule

__all__ = ["Counts", "count"]

Array = npt.NDArray[np.int64]

COUNTED = ("spikes", "messages", "injected", "neuron_steps", "active")


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts ``[S, B, cores]``, int64, over hardware steps, samples and logical cores.

    Parameters
    ----------
    samples : int
        Samples that were counted; more than B where they were summed.
    spikes : array
        Of neurons on the core.
    deliveries : mapping of str to array
        Weights that the core adds, by kind of synapse: dense, sparse, convolution.
    packets, messages, injected : array
        Packets that the core sends, its own among their destinations; those it receives; of these, from outside.
    hops_east, hops_west, hops_north, hops_south : array
        From tile to tile of one chip, at the sender; east and north are where columns and rows rise.
    crossings : array
        Packets to another chip, at the sender; they have no hops.
    neuron_steps : array
        Neurons of the core, readouts among them.
    active : array or None
        Updates of neurons that have something to do; None if a membrane or current was not recorded.
    missing : tuple of str
        What was not recorded.
    """

    samples: int
    spikes: Array
    deliveries: Mapping[str, Array]
    packets: Array
    messages: Array
    injected: Array
    hops_east: Array
    hops_west: Array
    hops_north: Array
    hops_south: Array
    crossings: Array
    neuron_steps: Array
    active: Array | None
    missing: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """Hardware steps, S."""
        return len(self.spikes)

    @property
    def cores(self) -> int:
        """Number of logical cores."""
        return int(self.spikes.shape[2])

    @property
    def in_tile(self) -> Array:
        """Packets that end in a tile, at the sender: each does once."""
        return self.packets

    @property
    def idle(self) -> Array | None:
        """Updates of neurons that have nothing to do; None where `active` is."""
        return None if self.active is None else self.neuron_steps - self.active

    def summed(self) -> Counts:
        """The sums over samples, ``[S, 1, cores]``."""
        return self._each(lambda x: x.sum(axis=1, keepdims=True))

    def __add__(self, other: Counts) -> Counts:
        """The sums of two batches, each summed over its samples, of one mapping and length.

        Raises
        ------
        NeurosamError
            If they differ in steps or cores.
        """
        mine, theirs = self.summed(), other.summed()
        if mine.spikes.shape != theirs.spikes.shape:
            raise NeurosamError(
                "counts",
                f"of {self.steps} steps on {self.cores} cores do not add to {other.steps} steps on {other.cores} cores",
            )
        values: dict[str, Any] = {}
        for field in fields(self):
            a, b = getattr(mine, field.name), getattr(theirs, field.name)
            if field.name == "deliveries":
                values[field.name] = {kind: a[kind] + b[kind] for kind in a}
            elif field.name == "missing":
                values[field.name] = tuple(dict.fromkeys((*a, *b)))
            else:
                values[field.name] = None if a is None or b is None else a + b
        return Counts(**values)

    def _each(self, change: Any) -> Counts:
        """The same with every array changed."""
        arrays = {f.name: x for f in fields(self) if isinstance(x := getattr(self, f.name), np.ndarray)}
        return replace(
            self,
            **{name: change(x) for name, x in arrays.items()},
            deliveries={kind: change(x) for kind, x in self.deliveries.items()},
        )


def count(
    mapping: CoreMapping,
    recording: Recording,
    events: Events | Mapping[str, Events],
    *,
    steps: int | None = None,
    caused: Mapping[str, Traffic] | None = None,
) -> Counts:
    """Count what a run does on the cores of a mapping.

    Parameters
    ----------
    mapping : CoreMapping
    recording : Recording
        Of the mapping's network, from its initial state: the spikes of every population that fires; for active updates
        also the membranes of all neurons, and the currents of those that have one (``Record.everything``).
    events : Events or mapping of str to Events
        The input of the run; by name for a network with several inputs.
    steps : int, optional
        Hardware steps to count, from the first; until every population has made all of its own if None.
    caused : mapping of str to Traffic, optional
        ``traffic(mapping)``, computed once for several batches of samples.

    Returns
    -------
    Counts

    Raises
    ------
    NeurosamError
        If spikes are missing, the recording is of another network, or the events are of another run.
    ArgumentError
        If `steps` is not between 1 and the steps in which every population has made all of its own.
    MappingError
        If the network can be on no chip: a pool of sums, or a cycle with fewer steps than hops.

    Examples
    --------
    Two input neurons outside the chip, three neurons on two cores, one spike in the first of two steps:

    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.cost.counts import count
    >>> from neurosam_hw.mapping import CoreMapping, Piece
    >>> net = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (3,), ns.FixedLIF(membrane_decay=0, threshold=9))],
    ...     [ns.Projection("in", "out", ns.Dense(np.ones((3, 2), np.int8)))],
    ... )
    >>> pieces = (Piece("out", 0, neurons=np.array([0, 2])), Piece("out", 1, neurons=np.array([1])))
    >>> events = ns.Events.from_dense(np.array([[1, 0], [0, 0]]).reshape(2, 1, 2))
    >>> recording = ns.run(net, events, "reference", ns.Record.everything(net))
    >>> counts = count(CoreMapping(net, load_chip("loihi1"), pieces), recording, events)
    >>> counts.steps, counts.messages[:, 0].tolist(), counts.deliveries["dense"][:, 0].tolist()
    (3, [[1, 1], [0, 0], [0, 0]], [[2, 1], [0, 0], [0, 0]])
    >>> counts.active[:, 0].tolist(), counts.idle[:, 0].tolist()
    ([[0, 0], [2, 1], [2, 1]], [[2, 1], [0, 0], [0, 0]])
    """
    network, schedule = mapping.network, HardwareSchedule.of(mapping.network)
    firing = Firing(network, recording, events)
    longest = schedule.steps(recording.steps)
    last = longest if steps is None else integer("counts: steps", steps, 1, longest, ArgumentError)
    caused = traffic(mapping) if caused is None else caused
    lacking = missing(network, recording)
    activity = None if lacking else Activity(network, recording, firing)
    whole = last, recording.samples, mapping.cores
    arrays = {name: np.zeros(whole, dtype=np.int64) for name in (*COUNTED, *SENDER, *KINDS)}
    for population in network.populations:
        depth, flow = schedule.depths[population.name], caused[population.name]
        own = min(recording.steps, last - depth)  # none below 1
        is_neuron = population.neuron is not None
        for part in parts(own, recording.samples, max(neurons(population.shape), mapping.cores)):
            add_spikes(arrays, part, depth, firing.sent(population, part), flow, is_neuron)
        if is_neuron:
            arrays["neuron_steps"] += np.bincount(flow.core, minlength=mapping.cores)
            if activity is not None:
                for part, rows in activity.awake(population, own):
                    add_updates(arrays["active"], part, depth, rows, flow.core)
    active = arrays.pop("active")
    deliveries = {kind: arrays.pop(kind) for kind in KINDS}
    return Counts(
        samples=recording.samples, deliveries=deliveries, active=None if lacking else active, missing=lacking, **arrays
    )
