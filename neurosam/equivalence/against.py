"""What a network does on an input, compared with a recording of it that was made elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from neurosam.backends.registry import run
from neurosam.equivalence.comparison import chunk_size, largest_events, report, with_operations
from neurosam.equivalence.result import Equivalence, merged, shifted
from neurosam.equivalence.tolerance import rounding_of
from neurosam.errors import NeurosamError
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording

__all__ = ["verify_recording"]


def verify_recording(
    network: Network,
    events: Events | Mapping[str, Events],
    recording: Recording,
    backends: Sequence[str] = ("event",),
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> dict[str, Equivalence]:
    """Run a network and compare what it does with a recording that another implementation made of the same run.

    Parameters
    ----------
    network : Network
    events : Events or mapping of str to Events
        On which the recording was made; at least one sample.
    recording : Recording
        Of all samples, and of any steps, populations and variables (:func:`neurosam.recording_from`).
    backends : sequence of str
        Each is run and compared with the recording.
    progress : callable, optional
        Called with (samples done, total samples).
    **options
        Further arguments of :func:`neurosam.run`.

    Returns
    -------
    dict of str to Equivalence
        By back end; the run is the first side, the recording the second. Samples run in chunks.

    Raises
    ------
    NeurosamError
        If there are no samples, or not as many as the recording has.

    Examples
    --------
    >>> from neurosam.equivalence import verify_recording
    >>> network = ns.Network(
    ...     [ns.Population("in", (1,)), ns.Population("out", (1,), ns.FixedLIF(membrane_decay=0, threshold=5))],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[2]], np.int8)))],
    ... )
    >>> events = ns.Events.from_dense(np.ones((4, 1, 1)))
    >>> other = ns.recording_from(network, spikes={"out": np.array([0, 0, 1, 1]).reshape(4, 1, 1)}, name="rtl")
    >>> print(verify_recording(network, events, other)["event"].divergence)
    out: spikes at step 3, sample 0, neuron (0,): 0 != 1
    """
    inputs = Inputs.of(network, events)
    if not inputs.samples:
        raise NeurosamError("events", "hold no samples; nothing can be compared")
    if inputs.samples != recording.samples:
        raise NeurosamError(
            "events",
            f"have {inputs.samples} sample(s); the recording has {recording.samples}, give those it was made of",
        )
    record = Record.everything(network)
    tolerance = None if network.fixed else rounding_of(network, inputs.steps, options.get("dtype", "float64"))
    parts: dict[str, list[Equivalence]] = {name: [] for name in backends}
    operations: dict[str, Counter[str]] = {name: Counter() for name in backends}
    size = chunk_size(network, inputs.steps)
    for start in range(0, inputs.samples, size):
        stop = min(start + size, inputs.samples)
        chunk, other = inputs.select(start, stop), recording.select(start, stop)
        for name in backends:
            made = run(network, chunk, name, record, **options)
            operations[name].update(made.operations)
            made = replace(made, operations={})
            parts[name].append(shifted(report(made, other, network, tolerance, largest=largest_events(chunk)), start))
        if progress is not None:
            progress(stop, inputs.samples)
    counted = {
        name: replace(recording, backend=name, operations=sums, first_step=0, steps=inputs.steps)
        for name, sums in operations.items()
    }
    return {name: with_operations(merged(results), counted[name], recording) for name, results in parts.items()}
