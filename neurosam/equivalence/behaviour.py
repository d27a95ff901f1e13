"""Whether two networks behave alike: the same input on the same back end, and everything compared that both have.

Descriptions may differ where behaviour does not: a weight that no event reaches, a threshold between two membranes.
What a field that differs is worth on this input, shows here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from neurosam._util.arguments import identical
from neurosam._util.progress import reported
from neurosam.backends.registry import run
from neurosam.equivalence.comparison import chunk_size, largest_events, report
from neurosam.equivalence.divergence import Divergence
from neurosam.equivalence.result import Equivalence, merged, shifted
from neurosam.equivalence.tolerance import rounding_of
from neurosam.errors import NeurosamError
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording

__all__ = ["compare_behaviour"]


@reported("comparing")
def compare_behaviour(
    a: Network,
    b: Network,
    events: Events | Mapping[str, Events],
    backends: Sequence[str] = ("event",),
    names: tuple[str, str] = ("a", "b"),
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> dict[str, Equivalence]:
    """Run two networks on the same input and compare what they do.

    Parameters
    ----------
    a, b : Network
        With inputs of the same names and shapes; populations that only one of them has are not compared.
    events : Events or mapping of str to Events
        At least one sample.
    backends : sequence of str
        Each runs both networks.
    names : (str, str)
        What the networks are called in the results.
    progress : callable, optional
        Called with (samples done, total samples).
    **options
        Further arguments of :func:`neurosam.run`.

    Returns
    -------
    dict of str to Equivalence
        By back end. No divergence states a distance to the threshold of a population whose neurons differ: each network
        has its own.

    Raises
    ------
    NeurosamError
        If the events do not fit both, or what the networks have in common differs in shape or number type.

    Examples
    --------
    >>> from neurosam.equivalence import compare_behaviour
    >>> def network(threshold):
    ...     neuron = ns.FixedLIF(membrane_decay=0, threshold=threshold, reset="zero")
    ...     return ns.Network(
    ...         [ns.Population("in", (1,)), ns.Population("out", (1,), neuron)],
    ...         [ns.Projection("in", "out", ns.Dense(np.array([[3]], np.int8)))],
    ...     )
    >>> events = ns.Events.from_dense(np.ones((4, 1, 1)))
    >>> compare_behaviour(network(4), network(5), events)["event"].equal
    True
    >>> print(compare_behaviour(network(4), network(6), events)["event"].divergence)
    out: membrane at step 1, sample 0, neuron (0,): 0 != 384
    """
    inputs = Inputs.of(a, events)
    Inputs.of(b, events)
    if not inputs.samples:
        raise NeurosamError("events", "hold no samples; nothing can be compared")
    requests = [Record.everything(network) for network in (a, b)]
    common = {
        variable: tuple(name for name in getattr(requests[0], variable) if name in getattr(requests[1], variable))
        for variable in Record.__dataclass_fields__
    }
    record = Record(**common)
    ordered = a if [p.name for p in a.populations] == [p.name for p in b.populations] else None
    tolerance = None if a.fixed else rounding_of(a, inputs.steps, options.get("dtype", "float64"))
    parts: dict[str, list[Equivalence]] = {name: [] for name in backends}
    size = chunk_size(a, inputs.steps)
    for start in range(0, inputs.samples, size):
        stop = min(start + size, inputs.samples)
        chunk = inputs.select(start, stop)
        for backend in backends:
            x, y = (
                _named(run(network, chunk, backend, record, **options), network, name)
                for network, name in zip((a, b), names, strict=True)
            )
            part = report(x, y, ordered, tolerance, largest=largest_events(chunk))
            parts[backend].append(shifted(_of_two(part, a, b), start))
        if progress is not None:
            progress(stop, inputs.samples)
    return {name: merged(results) for name, results in parts.items()}


def _named(recording: Recording, network: Network, name: str) -> Recording:
    """A recording under the name of its network, with all answers by population: the first may be another one."""
    answers = {network.output: recording.output, **recording.other_outputs}
    return replace(recording, backend=name, output=recording.output[:, :0], other_outputs=answers)


def _of_two(result: Equivalence, a: Network, b: Network) -> Equivalence:
    """The result without distances to a threshold that may be another one in the other network."""
    same = {
        p.name for p in a.populations if any(q.name == p.name and identical(p.neuron, q.neuron) for q in b.populations)
    }

    def told(d: Divergence) -> Divergence:
        return d if d.population in same else replace(d, distance=None)

    return replace(result, first=tuple(map(told, result.first)), rounded=tuple(map(told, result.rounded)))
