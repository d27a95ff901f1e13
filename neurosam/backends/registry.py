"""How back ends are found, and :func:`run`, the one way to start one.

A back end is a class named in the entry-point group ``neurosam.backends`` and imported only when asked for. It takes
a request that :func:`run` has already checked, and returns a :class:`~neurosam.signals.recording.Recording` in each
population's own time.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import numpy as np

from neurosam.backends.protocol import Backend, Options, Progress
from neurosam.errors import ArgumentError, BackendError, EventError, NetworkError
from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, FixedLIF
from neurosam.network.synapse import as_chw
from neurosam.network.trace import FixedSamTrace
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Recording

__all__ = ["GROUP", "REMEDY", "available_backends", "check", "load_backend", "run", "unrolled"]

GROUP = "neurosam.backends"
REMEDY = {"reference": "pip install 'neurosam[torch]'"}


def available_backends() -> tuple[str, ...]:
    """Names of the back ends whose packages are installed (not yet imported)."""
    return tuple(sorted(_installed()))


@cache
def _installed() -> dict[str, EntryPoint]:
    """Back ends by name; looked up once, as reading the metadata of all packages takes milliseconds."""
    return {point.name: point for point in entry_points(group=GROUP)}


def load_backend(name: str) -> Backend:
    """Import the back end called `name`.

    Raises
    ------
    BackendError
        If the name is unknown (never replaced by another), or its package is missing: how to get it.
    """
    found = _installed()
    if name not in found:
        raise BackendError(
            f"back end {name!r}",
            f"is unknown; installed are {', '.join(sorted(found)) or 'none'}. "
            f"Another one comes with a package that names it in the entry-point group {GROUP!r}",
        )
    try:
        backend: Backend = found[name].load()()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("neurosam"):
            raise
        remedy = REMEDY.get(name, f"pip install {error.name}")
        raise BackendError(
            f"back end {name!r}", f"needs the package {error.name!r}, which is not installed: {remedy}"
        ) from None
    return backend


def run(
    network: Network,
    events: Events,
    backend: str = "event",
    record: Record | None = None,
    *,
    device: str = "cpu",
    dtype: str = "float64",
    threads: int | None = None,
    progress: Progress | None = None,
    time_limit_s: float | None = None,
    out: str | Path | None = None,
) -> Recording:
    """Run a network on events.

    Parameters
    ----------
    network : Network
    events : Events
        Input; its shape is the input population's.
    backend : str
        "event", "reference", or another installed one (:func:`available_backends`).
    record : Record, optional
        What to keep beside the output and the spike counts; nothing more if None.
    device, dtype, threads, progress, time_limit_s
        See :class:`Options`.
    out : path, optional
        A file to which the recording goes while it is made, for runs whose recording is larger than the memory: as
        ``Recording.save`` would write it, and replaced or left as it was as a whole. The arrays of the Recording that
        is returned then lie in this file (see :func:`neurosam.hdf5.load_recording`).

    Returns
    -------
    Recording

    Raises
    ------
    ArgumentError, EventError, NetworkError, BackendError
        If an argument, the input, a trace or the back end does not fit.
    FormatError
        If the file cannot be written.
    """
    record = Record() if record is None else record
    check(network, events, record)
    if dtype not in ("float64", "float32"):
        raise ArgumentError("dtype", f"got {dtype!r}; allowed is 'float64' or 'float32'")
    if threads is not None and threads < 1:
        raise ArgumentError("threads", f"got {threads}; at least 1 is required")
    runner = load_backend(backend)
    options = Options(device, dtype, threads, progress, time_limit_s)
    if out is not None:
        from neurosam.backends.streaming import run_to_file

        return run_to_file(runner, unrolled(network, events.steps), events, record, options, out)
    start = time.perf_counter()
    recording = runner.run(unrolled(network, events.steps), events, record, options)
    if recording.time_s == 0.0:
        recording = replace(recording, time_s=time.perf_counter() - start)
    return recording


def check(network: Network, events: Events, record: Record) -> None:
    """Refuse a request that does not fit the network, before any work is done."""
    source = network.input
    if events.shape != source.shape:
        raise EventError(
            "events", f"have shape {events.shape}; the input population {source.name!r} has {source.shape}"
        )
    if network.fixed:
        if (
            events.value is not None
            and events.value.dtype.kind == "f"
            and (events.value != np.rint(events.value)).any()
        ):
            raise EventError("events: value", "got fractional values; a fixed-point network takes integers")
        if events.magnitude > source.magnitude:
            raise EventError(
                "events: value",
                f"got |value| {events.magnitude}; the input population {source.name!r} allows {source.magnitude} "
                "(Population.magnitude, which bounds the accumulators)",
            )
    for population in network.populations:
        gain = population.neuron.gain if isinstance(population.neuron, (LIF, FixedLIF)) else None
        if gain is not None and 1 < gain.shape[0] < events.steps:
            raise EventError(
                "events: steps",
                f"got {events.steps}; the gain table of population {population.name!r} has {gain.shape[0]} steps",
            )
    for variable in ("spikes", "sam", "membrane", "current"):
        for name in getattr(record, variable):
            _recordable(network, name, variable)
    for name in record.sam:
        trace = network.sam[name]
        if isinstance(trace, FixedSamTrace):
            trace.check(f"sam {name!r}", as_chw(network[name].shape)[0], events.steps)


def unrolled(network: Network, steps: int) -> Network:
    """The same network with gain and offset tables of one row repeated for every step, as back ends take them."""

    def every_step(population: Population) -> Population:
        neuron = population.neuron
        if not isinstance(neuron, (LIF, FixedLIF)) or neuron.gain is None or neuron.offset is None:
            return population
        if len(neuron.gain) != 1 or steps == 1:
            return population
        tables: dict[str, Any] = {name: np.repeat(getattr(neuron, name), steps, axis=0) for name in ("gain", "offset")}
        return replace(population, neuron=replace(neuron, **tables))

    populations = tuple(every_step(p) for p in network.populations)
    same = all(new is old for new, old in zip(populations, network.populations, strict=True))
    return network if same else replace(network, populations=populations)


def _recordable(network: Network, name: str, variable: str) -> None:
    try:
        population = network[name]
    except NetworkError as error:
        raise ArgumentError(f"record: {variable}: {error.where}", error.problem) from None
    where = f"record: {variable} of {name!r}"
    neuron = population.neuron
    if neuron is None:
        raise ArgumentError(where, "is the input, which the caller has already")
    if variable == "spikes" and not population.fires:
        raise ArgumentError(where, "is a readout, which never fires; record its membrane")
    if variable == "sam" and name not in network.sam:
        raise ArgumentError(
            where, f"has no trace; the network has {', '.join(network.sam) or 'none'}. Add one with Network.with_sam"
        )
    if variable == "current" and not population.has_current:
        raise ArgumentError(where, "has neurons without a synaptic current")
