"""Verify that back ends agree: compare every recorded value, count every difference, and locate the first.

:func:`compare` returns the first divergence of two recordings, :func:`report` all counts, and :func:`verify` runs the
back ends as well. In fixed point, two recordings are equal bit for bit or they are not. In float64, differences that
rounding can explain (tolerance.py, rounding.py) are separated from those that it cannot. Comparing nothing is an
error, never an agreement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.progress import reported
from neurosam.backends.registry import run
from neurosam.equivalence.divergence import Divergence, Mismatches, Variable, mismatches
from neurosam.equivalence.layout import layout_hint
from neurosam.equivalence.network_diff import Difference, compare_networks
from neurosam.equivalence.operations import compare_operations
from neurosam.equivalence.result import Equivalence, Tally, merged, shifted
from neurosam.equivalence.rounding import Consequences, rounded
from neurosam.equivalence.threshold import silent_distance
from neurosam.equivalence.tolerance import ROUNDING, rounding_of
from neurosam.equivalence.variables import common_steps, shared
from neurosam.errors import NeurosamError
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording, Spikes
from neurosam.signals.state import State

__all__ = [
    "Difference",
    "Divergence",
    "Equivalence",
    "Tally",
    "chunk_size",
    "compare",
    "compare_networks",
    "largest_events",
    "report",
    "verify",
    "with_operations",
]

CHUNK_BYTES = 2**28


def compare(a: Recording, b: Recording, network: Network | None = None) -> Divergence | None:
    """The first divergence of two recordings, or None if they agree in everything that both hold.

    Populations, variables and steps that only one of them holds are not compared; a report lists them (:func:`verify`).

    Parameters
    ----------
    a, b : Recording
        Of the same input.
    network : Network, optional
        Supplies the order of evaluation and the thresholds. Without it, populations are taken in the order of the
        recordings, distances to threshold are not reported, and every float spike that differs is a divergence.

    Raises
    ------
    NeurosamError
        If the recordings differ in samples, shape or number type, or have nothing in common.

    Examples
    --------
    >>> def network(weight):
    ...     return ns.Network(
    ...         [ns.Population("in", (1,)), ns.Population("out", (1,), ns.FixedReadout())],
    ...         [ns.Projection("in", "out", ns.Dense(np.array([[weight]], np.int8)), delay=1)],
    ...     )
    >>> events = ns.Events.from_dense(np.ones((3, 1, 1), np.uint8))
    >>> a, b = (ns.run(network(weight), events, backend="reference") for weight in (5, 6))
    >>> ns.compare(a, a) is None
    True
    >>> print(ns.compare(a, b, network(5)))
    out: output at step 2, sample 0, neuron (0,): 960 != 1152
    """
    return report(a, b, network).divergence


def report(
    a: Recording,
    b: Recording,
    network: Network | None = None,
    tolerance: float | None = None,
    initial: State | None = None,
    largest: Mapping[str, float] | None = None,
) -> Equivalence:
    """Compare everything that two recordings both hold, in the steps and populations that both have.

    Parameters
    ----------
    a, b, network
        See :func:`compare`. For a float network, record spikes and membranes of every population
        (``Record.everything``); otherwise a spike decided by rounding cannot be distinguished from a wrong one.
    tolerance : float, optional
        Relative tolerance for floats (tolerance.py); 1e-9 if None, which suits float64. Integers have none.
    initial : State, optional
        In which both runs started, if they went on from an earlier one; distances to threshold depend on it.
    largest : mapping of str to float, optional
        The largest event of each input of a float network in this run, which its tolerance depends on; as the
        network's populations declare (``magnitude``) if None.

    Raises
    ------
    NeurosamError
        If the recordings differ in samples, shape or number type, or have nothing in common; if a tolerance is given
        for integers.

    Notes
    -----
    Samples are compared in chunks, so recordings in files (``load_recording(..., mapped=True)``) may be larger than
    the memory; a single sample is never split. Without a network, float samples are compared all at once, because the
    tolerance then depends on the largest value of all samples.
    """
    size = _samples_at_once(a, b)
    if a.samples <= size or a.samples != b.samples or (network is None and _has_floats(a, b)):
        return with_operations(_report(a, b, network, tolerance, initial, largest), a, b)
    parts = []
    for first in range(0, a.samples, size):
        stop = first + size
        start = None if initial is None else initial.select(first, stop)
        part = _report(a.select(first, stop), b.select(first, stop), network, tolerance, start, largest)
        parts.append(shifted(part, first))
    return with_operations(merged(parts), a, b)


def with_operations(result: Equivalence, a: Recording, b: Recording) -> Equivalence:
    """The result and what the runs counted over all samples."""
    operations = compare_operations(a, b, excused=bool(result.rounded))
    return replace(
        result,
        tallies={**result.tallies, **operations.tallies},
        first=_first([*result.first, *operations.differing]),
        not_compared=(*result.not_compared, *operations.not_compared),
    )


def _samples_at_once(a: Recording, b: Recording) -> int:
    """Samples whose comparison fits CHUNK_BYTES: dense spikes of both, and the differences of one variable."""
    spikes = [r.steps * neurons(x.shape) * _item_size(x) for r in (a, b) for x in r.spikes.values()]
    others = [x[:, :1].size for r in (a, b) for x in _arrays(r)]
    return max(1, CHUNK_BYTES // max(1, sum(spikes) + 64 * max([*spikes, *others], default=0)))


def _item_size(spikes: Spikes) -> int:
    """Bytes of a dense spike, or of a number of spikes."""
    return 1 if spikes.magnitude is None else 4


def _has_floats(*recordings: Recording) -> bool:
    return any(x.dtype.kind == "f" for recording in recordings for x in _arrays(recording))


def _arrays(recording: Recording) -> list[npt.NDArray[Any]]:
    """Everything except spikes, ``[T, B, ...]``."""
    states = (recording.sam, recording.membrane, recording.current, recording.counts)
    outputs = [recording.output, *recording.other_outputs.values()]
    return [*(x[None] for x in outputs), *(x for arrays in states for x in arrays.values())]


def _report(
    a: Recording,
    b: Recording,
    network: Network | None,
    tolerance: float | None,
    initial: State | None,
    largest: Mapping[str, float] | None,
) -> Equivalence:
    """Compare all samples at once."""
    both = shared(a, b, network, largest)
    variables = both.variables
    if tolerance is not None and (not 0 <= tolerance < 1 or all(v.exact for v in variables)):
        raise NeurosamError("tolerance", f"got {tolerance}; it is in [0, 1) for floats, and integers have none")
    tolerance = ROUNDING if tolerance is None else tolerance
    rounded_spikes: list[Divergence] = []
    consequences: Consequences | None = None
    if network is not None and not network.fixed:
        rounded_spikes, consequences = rounded(variables, network, a.samples, tolerance, initial)
    tallies: dict[tuple[str, str], Tally] = {}
    earliest: list[Divergence] = []
    by_name = {(v.population, v.name): v for v in variables}
    for variable in variables:
        differing = mismatches(variable, tolerance)
        wrong = differing if consequences is None else differing.at(~consequences.cover(differing))
        is_spikes = variable.name == "spikes"
        excused = sum(d.population == variable.population for d in rounded_spikes) if is_spikes else 0
        caused = len(differing) - len(wrong) - excused
        tallies[variable.population, variable.name] = Tally(variable.a.size, len(wrong), excused, caused)
        first = wrong.each_sample()
        earliest.extend(first.divergences(_distance(first, by_name, network, initial)))
    steps = common_steps(a, b)
    return Equivalence(
        (a.backend, b.backend),
        len(steps),
        a.samples,
        tallies,
        _first(earliest),
        tuple(rounded_spikes),
        both.not_compared,
        steps.start,
        both.in_one,
        both.steps_in_one,
        _layout(_first(earliest), by_name, (a.backend, b.backend), network),
    )


def _distance(
    at: Mismatches, by_name: Mapping[tuple[str, str], Variable], network: Network | None, initial: State | None
) -> npt.NDArray[np.float64] | None:
    """Distance to threshold at each mismatch, if spikes and membranes were recorded."""
    v = at.variable
    spikes, membrane = by_name.get((v.population, "spikes")), by_name.get((v.population, "membrane"))
    if network is None or spikes is None or membrane is None or v.name not in ("membrane", "spikes"):
        return None
    return silent_distance(at, spikes, membrane, network, initial).silent


def _layout(
    first: Sequence[Divergence],
    by_name: Mapping[tuple[str, str], Variable],
    names: tuple[str, str],
    network: Network | None,
) -> str:
    """A hint at the layout of the population that differs first."""
    if not first:
        return ""
    population = min(first, key=lambda d: d.place).population
    onset = 0 if network is None else network.onsets[population]
    for name in ("spikes", "membrane", "current"):
        if (population, name) in by_name:
            return layout_hint(by_name[population, name], names, onset)
    return ""


def _first(divergences: Sequence[Divergence]) -> tuple[Divergence, ...]:
    """The first divergence, in causal order, of each sample."""
    by_sample: dict[int, Divergence] = {}
    for divergence in sorted(divergences, key=lambda d: d.place):
        by_sample.setdefault(divergence.sample, divergence)
    return tuple(by_sample[sample] for sample in sorted(by_sample))


@reported("verifying")
def verify(
    network: Network,
    events: Events | Mapping[str, Events],
    backends: Sequence[str] = ("reference", "event"),
    record: Record | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> dict[str, Equivalence]:
    """Run several back ends on the same input and compare each with the first.

    Parameters
    ----------
    network : Network
    events : Events or mapping of str to Events
        At least one sample; by name for a network with several inputs.
    backends : sequence of str
        Two or more names; the others are compared with the first.
    record : Record, optional
        What to compare besides outputs, spike counts, synaptic operations and how often membranes saturated and sums
        wrapped; everything if None.
    progress : callable, optional
        Called with (samples done, total samples).
    **options
        Further arguments of :func:`neurosam.run`, the same for every back end. With ``keep_state=True``, the states in
        which runs end are compared too. With ``dtype="float32"``, a float network is compared with the tolerance of
        float32 (``tolerance.rounding_of``), which proves less than that of float64.

    Returns
    -------
    dict of str to Equivalence
        By the name of the other back end. Samples run in chunks, so memory is bounded for any number of them.

    Raises
    ------
    NeurosamError
        If there are fewer than two back ends, or no samples.

    Examples
    --------
    >>> network = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), ns.FixedLIF(membrane_decay=410, threshold=5))],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[3, 2]], np.int8)), delay=1)],
    ... )
    >>> events = ns.Events.from_dense(np.ones((8, 1, 2), np.uint8))
    >>> result = ns.verify(network, events)["event"]
    >>> result.equal, result.total.mismatches
    (True, 0)
    """
    if len(set(backends)) < 2 or len(set(backends)) != len(backends):
        raise NeurosamError(
            "verify: backends", f"got {', '.join(backends) or 'none'}; two or more different ones are required"
        )
    inputs = Inputs.of(network, events)
    if not inputs.samples:
        raise NeurosamError("verify: events", "hold no samples; nothing can be compared")
    record = Record.everything(network) if record is None else record
    parts: dict[str, list[Equivalence]] = {name: [] for name in backends[1:]}
    size = chunk_size(network, inputs.steps)
    tolerance = None if network.fixed else rounding_of(network, inputs.steps, options.get("dtype", "float64"))
    initial: State | None = options.pop("initial", None)
    for start in range(0, inputs.samples, size):
        stop = min(start + size, inputs.samples)
        chunk = inputs.select(start, stop)
        begin = None if initial is None else initial.select(start, stop)
        largest = largest_events(chunk, begin)
        first = run(network, chunk, backends[0], record, initial=begin, **options)
        for name in backends[1:]:
            other = run(network, chunk, name, record, initial=begin, **options)
            parts[name].append(shifted(report(first, other, network, tolerance, begin, largest), start))
        if progress is not None:
            progress(stop, inputs.samples)
    return {name: merged(results) for name, results in parts.items()}


def largest_events(inputs: Inputs, initial: State | None = None) -> dict[str, float]:
    """The largest events of a run by input, those that are still on their way when it starts included."""
    largest = {name: float(events.magnitude) for name, events in inputs.items()}
    for name in largest.keys() & (initial.recent.keys() if initial is not None else ()):
        before = initial.recent[name] if initial is not None else np.zeros(0)
        largest[name] = max(largest[name], float(np.abs(before).max(initial=0.0)))
    return largest


def chunk_size(network: Network, steps: int) -> int:
    """Samples whose recordings fit CHUNK_BYTES: a membrane, a current, dense spikes and a map of two back ends."""
    total = sum(neurons(p.shape) for p in network.populations)
    return max(1, CHUNK_BYTES // (64 * total * steps))
