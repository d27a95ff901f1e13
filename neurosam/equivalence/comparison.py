"""The proof that two back ends agree: every recorded value compared, every difference counted, the first one located.

:func:`compare` gives the first divergence of two recordings, :func:`report` all counts, :func:`verify` runs the back
ends as well. Fixed point is equal bit for bit or it is not; for float64, what rounding can explain (divergence.py,
rounding.py) is told from what it cannot. A comparison of nothing is an error, never an agreement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.registry import run
from neurosam.equivalence.divergence import ROUNDING, Divergence, Mismatches, Variable, mismatches, rounding_of, shared
from neurosam.equivalence.network_diff import Difference, compare_networks
from neurosam.equivalence.result import Equivalence, Tally, merged, shifted
from neurosam.equivalence.rounding import Consequences, rounded, silent_distance
from neurosam.errors import NeurosamError
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Recording

__all__ = ["Difference", "Divergence", "Equivalence", "Tally", "compare", "compare_networks", "report", "verify"]

CHUNK_BYTES = 2**28


def compare(a: Recording, b: Recording, network: Network | None = None) -> Divergence | None:
    """The first divergence of two recordings, or None if they agree in everything that both hold.

    Parameters
    ----------
    a, b : Recording
        Of the same input.
    network : Network, optional
        Gives the order of evaluation, and the thresholds: without it populations come in the order of the recordings,
        no distance is told, and every float spike that differs is a divergence.

    Raises
    ------
    NeurosamError
        If the recordings do not have the same form, or nothing in common.
    """
    return report(a, b, network).divergence


def report(a: Recording, b: Recording, network: Network | None = None, tolerance: float | None = None) -> Equivalence:
    """Compare everything that two recordings both hold.

    Parameters
    ----------
    a, b, network
        See :func:`compare`. For a float network, record spikes and membranes of every population (Record.everything),
        or a spike that rounding decided cannot be told from a wrong one.
    tolerance : float, optional
        Relative rounding of floats (divergence.py); 1e-9 if None, which is float64's. Integers have none.

    Raises
    ------
    NeurosamError
        If the recordings do not have the same form, or nothing in common; if a tolerance is given for integers.

    Notes
    -----
    Samples are compared in chunks, so that recordings in files (``load_recording(..., mapped=True)``) may be larger
    than the memory; a single sample is never cut. Without a network, float samples are compared all at once, since the
    largest value of all then tells what counts as rounding.
    """
    size = _samples_at_once(a, b)
    if a.samples <= size or a.samples != b.samples or (network is None and _has_floats(a, b)):
        return _report(a, b, network, tolerance)
    return merged(
        [
            shifted(_report(a.select(first, first + size), b.select(first, first + size), network, tolerance), first)
            for first in range(0, a.samples, size)
        ]
    )


def _samples_at_once(a: Recording, b: Recording) -> int:
    """Samples whose comparison fits CHUNK_BYTES: a byte a spike of both, and the differences of one variable."""
    spikes = [r.steps * neurons(x.shape) for r in (a, b) for x in r.spikes.values()]
    others = [x[:, :1].size for r in (a, b) for x in _arrays(r)]
    return max(1, CHUNK_BYTES // max(1, sum(spikes) + 64 * max([*spikes, *others], default=0)))


def _has_floats(*recordings: Recording) -> bool:
    return any(x.dtype.kind == "f" for recording in recordings for x in _arrays(recording))


def _arrays(recording: Recording) -> list[npt.NDArray[Any]]:
    """All that is not spikes, ``[T, B, ...]``."""
    states = (recording.sam, recording.membrane, recording.current, recording.counts)
    return [recording.output[None], *(x for arrays in states for x in arrays.values())]


def _report(a: Recording, b: Recording, network: Network | None, tolerance: float | None) -> Equivalence:
    """The comparison of all values at once."""
    variables, alone = shared(a, b, network)
    if tolerance is not None and (not 0 <= tolerance < 1 or all(v.exact for v in variables)):
        raise NeurosamError("tolerance", f"got {tolerance}; it is in [0, 1) for floats, and integers have none")
    tolerance = ROUNDING if tolerance is None else tolerance
    near: list[Divergence] = []
    effects: Consequences | None = None
    if network is not None and not network.fixed:
        near, effects = rounded(variables, network, a.samples, tolerance)
    tallies: dict[tuple[str, str], Tally] = {}
    earliest: list[Divergence] = []
    by_name = {(v.population, v.name): v for v in variables}
    for variable in variables:
        found = mismatches(variable, tolerance)
        judged = found if effects is None else found.where(~effects.cover(found))
        here = sum(d.population == variable.population for d in near) if variable.name == "spikes" else 0
        tallies[variable.population, variable.name] = Tally(
            variable.a.size, len(judged), here, len(found) - len(judged) - here
        )
        first = judged.each_sample()
        earliest.extend(first.divergences(_distance(first, by_name, network)))
    return Equivalence((a.backend, b.backend), a.steps, a.samples, tallies, _first(earliest), tuple(near), alone)


def _distance(
    found: Mismatches, by_name: Mapping[tuple[str, str], Variable], network: Network | None
) -> npt.NDArray[np.float64] | None:
    """Distance to threshold at each mismatch, where spikes and membranes tell it."""
    v = found.variable
    spikes, membrane = by_name.get((v.population, "spikes")), by_name.get((v.population, "membrane"))
    if network is None or spikes is None or membrane is None or v.name not in ("membrane", "spikes"):
        return None
    return silent_distance(found, spikes, membrane, network)[0]


def _first(divergences: Sequence[Divergence]) -> tuple[Divergence, ...]:
    """The first in causal order of each sample."""
    found: dict[int, Divergence] = {}
    for divergence in sorted(divergences, key=lambda d: d.place):
        found.setdefault(divergence.sample, divergence)
    return tuple(found[sample] for sample in sorted(found))


def verify(
    network: Network,
    events: Events,
    backends: Sequence[str] = ("reference", "event"),
    record: Record | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> dict[str, Equivalence]:
    """Run back ends on the same input and compare each with the first.

    Parameters
    ----------
    network : Network
    events : Events
        At least one sample.
    backends : sequence of str
        Two or more names; the first is the one that the others are held against.
    record : Record, optional
        What to compare beside outputs and spike counts; everything if None.
    progress : callable, optional
        Called with (samples done, samples in all).
    **options
        More arguments of :func:`neurosam.backends.run`, the same for every back end. With ``dtype="float32"`` a float
        network is judged by float32's rounding (divergence.rounding_of), which proves less than float64's.

    Returns
    -------
    dict of str to Equivalence
        By the other back end's name. Samples run in chunks, so that memory stays bounded however many there are.

    Raises
    ------
    NeurosamError
        If there are fewer than two back ends, or no samples.
    """
    if len(set(backends)) < 2 or len(set(backends)) != len(backends):
        raise NeurosamError(
            "verify: backends", f"got {', '.join(backends) or 'none'}; two or more different ones are required"
        )
    if not events.samples:
        raise NeurosamError("verify: events", "hold no samples; nothing can be compared")
    record = Record.everything(network) if record is None else record
    parts: dict[str, list[Equivalence]] = {name: [] for name in backends[1:]}
    size = _chunk(network, events.steps)
    tolerance = None if network.fixed else rounding_of(network, events.steps, options.get("dtype", "float64"))
    for start in range(0, events.samples, size):
        chunk = events.select(start, start + size)
        first = run(network, chunk, backends[0], record, **options)
        for name in backends[1:]:
            found = report(first, run(network, chunk, name, record, **options), network, tolerance)
            parts[name].append(shifted(found, start))
        if progress is not None:
            progress(min(start + size, events.samples), events.samples)
    return {name: merged(found) for name, found in parts.items()}


def _chunk(network: Network, steps: int) -> int:
    """Samples whose recordings fit CHUNK_BYTES: a membrane, a current, dense spikes and a map of two back ends."""
    cells = sum(neurons(p.shape) for p in network.populations)
    return max(1, CHUNK_BYTES // (64 * cells * steps))
