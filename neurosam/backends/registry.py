"""How back ends are found, and :func:`run`, the one way to start one.

A back end is a class named in the entry-point group ``neurosam.backends``, imported when it is first used. It takes a
request that :func:`run` has already checked, and returns a :class:`~neurosam.signals.recording.Recording` in each
population's own time.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import numpy.typing as npt

from neurosam._util.progress import task
from neurosam.backends.protocol import Backend, Options, Progress
from neurosam.errors import ArgumentError, BackendError, EventError, NetworkError, RangeWarning
from neurosam.network.elements import Population
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.synapse import as_chw
from neurosam.network.trace import FixedSamTrace
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.need import check_memory
from neurosam.signals.overflow import overflow_warning
from neurosam.signals.recording import Record, Recording
from neurosam.signals.state import State

__all__ = [
    "GROUP", "REMEDY", "available_backends", "check", "check_dtype", "check_record", "check_values", "load_backend",
    "run", "shifted", "table_steps", "unrolled",
]  # fmt: skip

GROUP = "neurosam.backends"
REMEDY = {"reference": "pip install 'neurosam[torch]'"}


def available_backends() -> tuple[str, ...]:
    """Names of the installed back ends, in alphabetical order; none of them is imported.

    Examples
    --------
    >>> {"event", "reference"} <= set(ns.available_backends())
    True
    """
    return tuple(sorted(_installed()))


_WITHIN_FLOAT32: WeakSet[Network] = WeakSet()


@cache
def _installed() -> dict[str, EntryPoint]:
    """Back ends by name; looked up once, because reading the metadata of all packages takes milliseconds."""
    return {point.name: point for point in entry_points(group=GROUP)}


def load_backend(name: str) -> Backend:
    """Import the back end called `name`.

    Raises
    ------
    BackendError
        If the name is unknown (no other back end takes its place), or a package that it needs is not installed.
    """
    installed = _installed()
    if name not in installed:
        raise BackendError(
            f"back end {name!r}",
            f"is unknown; installed are {', '.join(sorted(installed)) or 'none'}. "
            f"Other packages can add back ends through the entry-point group {GROUP!r}",
        )
    try:
        backend: Backend = installed[name].load()()
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
    events: Events | Mapping[str, Events],
    backend: str = "event",
    record: Record | None = None,
    *,
    device: str = "cpu",
    dtype: str = "float64",
    threads: int | None = None,
    progress: Progress | None = None,
    time_limit_s: float | None = None,
    out: str | Path | None = None,
    initial: State | None = None,
    keep_state: bool = False,
) -> Recording:
    """Run a network on events.

    Parameters
    ----------
    network : Network
    events : Events or mapping of str to Events
        Input; its shape is the input population's. By name for a network with several inputs.
    backend : str
        "event", "reference", or another installed one (:func:`available_backends`).
    record : Record, optional
        What to record in addition to the output and the spike counts; nothing if None.
    device, dtype, threads, progress, time_limit_s
        See :class:`Options`.
    out : path, optional
        A file that the recording is written to during the run, for recordings larger than the memory. Its content is
        that of ``Recording.save``; an older file is replaced when the run succeeds and unchanged when it fails. The
        arrays of the returned Recording then stay in the file (``load_recording(out, mapped=True)``).
    initial : State, optional
        Where the run starts: the ``state`` of an earlier run's recording. Own time goes on.
    keep_state : bool
        Whether the recording holds the state in which the run ends.

    Returns
    -------
    Recording

    Raises
    ------
    ArgumentError, EventError, NetworkError, BackendError
        If an argument, the input, a trace or the back end does not fit.
    FormatError
        If the file cannot be written.

    Warns
    -----
    RangeWarning
        If membranes saturated or sums wrapped around, with what to do.

    Examples
    --------
    >>> net = ns.Network(
    ...     populations=[
    ...         ns.Population("in", shape=(2,)),
    ...         ns.Population("out", shape=(1,), neuron=ns.LIF(leak=0.5, threshold=1.0)),
    ...     ],
    ...     projections=[ns.Projection("in", "out", ns.Dense([[0.75, 0.25]]))],
    ... )
    >>> spikes = np.array([[[1, 0]], [[1, 1]], [[0, 0]], [[1, 0]]])  # [T, B, N]
    >>> recording = ns.run(net, ns.Events.from_dense(spikes), record=ns.Record(spikes="out", membrane="out"))
    >>> recording.spikes["out"].dense().ravel()
    array([0, 1, 0, 0], dtype=uint8)
    >>> recording.membrane["out"].ravel()  # 0.75, then 0.375 + 1 - 1 after the spike, ...
    array([0.75   , 0.375  , 0.1875 , 0.84375])
    """
    record = Record() if record is None else record
    inputs = Inputs.of(network, events)
    check(network, inputs, record, initial, keep_state, to_file=out is not None)
    options = Options(device, dtype, threads, progress, time_limit_s, initial, keep_state)
    check_dtype(network, dtype)
    runner = load_backend(backend)
    network = unrolled(network, inputs.steps, options.first_step)
    with task("running", progress) as tick:
        options = replace(options, progress=tick)
        if out is not None:
            from neurosam.backends.streaming import run_to_file  # h5py is needed for files alone

            return run_to_file(runner, network, inputs, record, options, out)
        start = time.perf_counter()
        recording = runner.run(network, inputs, record, options)
    if any(map(np.count_nonzero, (*recording.saturated.values(), *recording.wrapped.values()))):
        warnings.warn(overflow_warning(recording), RangeWarning, stacklevel=2)
    if recording.time_s == 0.0:
        recording = replace(recording, time_s=time.perf_counter() - start)
    return recording


def check(
    network: Network,
    inputs: Inputs,
    record: Record,
    initial: State | None = None,
    keep_state: bool = False,
    to_file: bool = False,
) -> None:
    """Refuse a request that does not fit the network or the memory, before any work is done."""
    check_values(network, inputs)
    if initial is not None:
        initial.check(network, inputs.samples)
    steps = inputs.steps + (0 if initial is None else initial.step)
    for population in network.tabled:
        rows = _rows(population)
        if 1 < rows < steps:
            raise EventError(
                "events: steps",
                f"got {steps}; the gain table of population {population.name!r} has {rows} steps",
            )
    check_record(network, record, steps, keep_state)
    check_memory(network, record, inputs.steps, inputs.samples, to_file)


def check_dtype(network: Network, dtype: str) -> None:
    """Refuse numbers of a float network that its type cannot hold; each network is looked through once."""
    if network.fixed or dtype != "float32" or network in _WITHIN_FLOAT32:
        return
    numbers = [(f"the weights of {p.label}", p.synapse.weight) for p in network.projections]
    numbers += [
        (f"{item.name} of {p.name!r}", getattr(p.neuron, item.name))
        for p in network.populations
        if p.neuron is not None
        for item in fields(p.neuron)
    ]
    largest = float(np.finfo(np.float32).max)
    for name, value in numbers:
        array = np.asarray(value)
        if array.dtype.kind == "f" and array.size and np.abs(array).max() > largest:
            raise ArgumentError("dtype", f"float32 holds numbers up to {largest:.2g}; {name} go beyond it; use float64")
    _WITHIN_FLOAT32.add(network)


def check_values(network: Network, inputs: Inputs) -> None:
    """Refuse input values that a fixed-point network cannot take."""
    if network.fixed:
        for source in network.inputs:
            _whole(source, inputs[source.name])


def check_record(network: Network, record: Record, steps: int | None, keep_state: bool) -> None:
    """Refuse to record what a network does not have, and traces that do not fit their bits.

    Parameters
    ----------
    network, record
    steps : int, optional
        Own steps at the end of the run; None if it may go on for ever.
    keep_state : bool
        Whether all traces are part of the result.
    """
    _is_record(record)
    for variable in ("spikes", "sam", "membrane", "current"):
        for name in getattr(record, variable):
            _recordable(network, name, variable)
    for name in network.sam if keep_state else record.sam:
        trace = network.sam[name]
        if isinstance(trace, FixedSamTrace):
            population = network[name]
            trace.check(f"sam {name!r}", as_chw(population.shape)[0], steps, population.largest_event)


def _is_record(record: Any) -> None:
    if not isinstance(record, Record):
        raise ArgumentError("record", f"got a {type(record).__name__}; a Record is required: ns.Record(spikes='conv1')")


def unrolled(network: Network, steps: int, first: int = 0) -> Network:
    """The same network with a row of its gain and offset tables for each step from `first` on, as back ends expect."""

    def rows(length: int) -> npt.NDArray[np.int64] | None:
        if first == 0 and (length > 1 or steps == 1):
            return None  # rows behind the last step do no harm
        return np.arange(first, first + steps) if length > 1 else np.zeros(steps, np.int64)

    return _with_rows(network, rows)


def shifted(network: Network, first: int) -> Network:
    """The same network with gain and offset tables that begin at own step `first`; one row for all steps stays one."""
    return _with_rows(network, lambda length: np.arange(first, length) if first > 0 and length > 1 else None)


def table_steps(network: Network) -> int | None:
    """Own steps for which a network has gain tables; None if for all."""
    return min((rows for rows in map(_rows, network.tabled) if rows > 1), default=None)


def _rows(population: Population) -> int:
    """Rows of a population's tables."""
    neuron = population.neuron
    return len(neuron.gain) if isinstance(neuron, (LIF, FixedLIF)) and neuron.gain is not None else 0


def _with_rows(network: Network, rows_of: Callable[[int], npt.NDArray[np.int64] | None]) -> Network:
    """The same network with these rows of its gain and offset tables, by a table's length; all of them if None."""
    if not network.tabled:
        return network

    def chosen(population: Population) -> Population:
        neuron = population.neuron
        if not isinstance(neuron, (LIF, FixedLIF)) or neuron.gain is None:
            return population
        rows = rows_of(len(neuron.gain))
        if rows is None:
            return population
        names = ("gain", "offset" if isinstance(neuron, LIF) else "offset_64ths")
        tables: dict[str, Any] = {name: getattr(neuron, name)[rows] for name in names}
        return replace(population, neuron=replace(neuron, **tables))

    populations = tuple(chosen(p) for p in network.populations)
    unchanged = all(new is old for new, old in zip(populations, network.populations, strict=True))
    return network if unchanged else replace(network, populations=populations)


def _whole(source: Population, events: Events) -> None:
    """Refuse input values that a fixed-point network cannot take."""
    if events.value is not None and events.value.dtype.kind == "f" and (events.value != np.rint(events.value)).any():
        raise EventError("events: value", "got fractional values; a fixed-point network takes integers")
    if events.magnitude > source.magnitude:
        raise EventError(
            "events: value",
            f"got |value| {events.magnitude}; the input population {source.name!r} allows {source.magnitude} "
            "(Population.magnitude, which bounds the accumulators). Join what coincides to spikes (EventRules: "
            "coincident='clip'), or export with a larger magnitude",
        )


def _recordable(network: Network, name: str, variable: str) -> None:
    try:
        population = network[name]
    except NetworkError as error:
        raise ArgumentError(f"record: {variable}: {error.where}", error.problem) from None
    where = f"record: {variable} of {name!r}"
    neuron = population.neuron
    if neuron is None:
        raise ArgumentError(where, "is the input, which the caller already has")
    if variable == "spikes" and not population.fires:
        raise ArgumentError(where, "is a readout, which never fires; record its membrane")
    if variable == "sam" and name not in network.sam:
        raise ArgumentError(
            where, f"has no trace; the network has {', '.join(network.sam) or 'none'}. Add one with Network.with_sam"
        )
    if variable == "current" and not population.has_current:
        raise ArgumentError(where, "has neurons without a synaptic current")
