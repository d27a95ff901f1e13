"""Measurement of one case: variants of the event back end, dense PyTorch, and the reference back end.

All rows of a table are run interleaved. Ratios are to the first row, the event back end on all threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from neurosam.backends import run
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.recording import Record
from neurosam_bench.cases import Case, activity, drawn, floating, layer_names
from neurosam_bench.memory import fresh, updates
from neurosam_bench.timing import Tick, Timing, turns

__all__ = ["best_arrangement", "dense", "int8", "measure", "memory", "on", "references", "rows", "runner"]

Variant = Callable[[], Any]

SLOW_S = 6.0
"""Seconds after which a slow variant is not repeated any more (timing.py)."""
RECURRENT_STEPS = 10
"""Steps of a recurrent network on the reference back end, which multiplies whole matrices in every step."""


def measure(
    case: Case, threads: int, repeats: int, arrangement: str | None, tick: Tick | None = None
) -> dict[str, Any]:
    """Time variants of the event back end and, if `arrangement` is given, the dense rivals.

    Returns
    -------
    dict
        ``case``, ``activity`` (of neurons, without poolings), ``spikes`` by population, ``synaptic_operations``,
        ``neuron_updates``, and ``rows`` of ``what``, ``runs``, ``median_s``, ``ratio``, ``operations_per_s``.
    """
    network, events = case.network, case.events
    fires = tuple(n for n in layer_names(network) if network[n].fires)
    recording = run(network, events, threads=threads)
    operations = sum(recording.operations.values())
    variants = {
        f"event, {on(threads)}": runner(network, events, threads),
        f"event, {on(1)}": runner(network, events, 1),
        f"event, {on(threads)}, all spikes recorded": runner(network, events, threads, Record(spikes=fires)),
    }
    convolutions = layer_names(network, convolutions=True)
    if convolutions:
        traced = network if set(convolutions) <= set(network.sam) else network.with_sam(populations=convolutions)
        record = Record(sam=convolutions)
        variants[f"event, {on(threads)}, SAM on all convolutions"] = runner(traced, events, threads, record)
    if case.rivals and network.fixed:
        for dtype in ("float32", "float64"):
            float_runner = runner(floating(case).network, events, threads, dtype=dtype)
            variants[f"event, {on(threads)}, {dtype}"] = float_runner
    if arrangement is not None and case.rivals:
        variants[f"PyTorch float32, {on(threads)}: {arrangement}"] = dense(case, threads, arrangement)
        variants[f"PyTorch int8, {on(threads)}: convolutions alone, no neurons"] = int8(case, threads)
    return {
        "case": case.name,
        "density": case.density,
        "activity": activity(network, recording),
        "spikes": {n: int(c.sum()) for n, c in recording.counts.items()},
        "synaptic_operations": operations,
        "neuron_updates": updates(network, events.steps) * events.samples,
        "rows": rows(turns(variants, repeats, tick, SLOW_S), operations),
    }


def references(
    case: Case, threads: int, repeats: int, tick: Tick | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Time dense PyTorch in every arrangement, and the reference back end, on one thread and on all.

    Returns
    -------
    rows : list of dict
        As in :func:`measure`, with ``steps`` in each row, as cases without dense rivals are cut to 10 steps.
    best : str or None
        The fastest arrangement on all threads.
    """
    case = case if case.rivals else drawn(case, steps=min(RECURRENT_STEPS, case.events.steps))
    variants: dict[str, Variant] = {f"event, {on(threads)}": runner(case.network, case.events, threads)}
    arrangements: dict[str, str] = {}
    float_case = floating(case) if case.rivals else None
    for count in dict.fromkeys((threads, 1)):
        if float_case is not None:
            from neurosam_bench.dense import ARRANGEMENTS

            for name in ARRANGEMENTS:
                label = f"PyTorch float32, {on(count)}: {name}"
                variants[label] = dense(case, count, name)
                if count == threads:
                    arrangements[label] = name
            variants[f"reference back end, {on(count)}, float32"] = runner(
                float_case.network, case.events, count, backend="reference", dtype="float32"
            )
        kind = "fixed point" if case.network.fixed else "float64"
        variants[f"reference back end, {on(count)}, {kind}"] = runner(
            case.network, case.events, count, backend="reference"
        )
    times = turns(variants, repeats, tick, SLOW_S)
    best = min(arrangements, key=lambda label: times[label].median_s, default=None)
    table = [{**row, "steps": case.events.steps} for row in rows(times)]
    return table, None if best is None else arrangements[best]


def best_arrangement(case: Case, threads: int) -> str | None:
    """Find the fastest arrangement in a few runs of each; None for a case without dense rivals."""
    if not case.rivals:
        return None
    from neurosam_bench.dense import ARRANGEMENTS

    times = turns({name: dense(case, threads, name) for name in ARRANGEMENTS}, 3)
    return min(times, key=lambda name: times[name].median_s)


def memory(case: str, density: float, threads: int) -> dict[str, Any]:
    """Measure resident memory of a run in a new process, without and with all spikes recorded."""
    arguments: dict[str, Any] = {} if case == "sparse10k" else {"density": density}
    bare, with_spikes = (fresh(case, threads, 1, recorded, **arguments) for recorded in (False, True))
    return {
        "before_bytes": bare["before_bytes"],
        "peak_bytes": bare["peak_bytes"],
        "peak_recorded_bytes": with_spikes["peak_bytes"],
    }


def rows(times: Mapping[str, Timing], operations: int | None = None) -> list[dict[str, Any]]:
    """Make the rows of a table; ratios are to the first row."""
    first = next(iter(times.values()))
    table: list[dict[str, Any]] = []
    for label, timing in times.items():
        row: dict[str, Any] = {"what": label, "runs": len(timing.seconds), "median_s": timing.median_s}
        row["ratio"] = timing.over(first)
        if operations is not None:
            row["operations_per_s"] = operations / timing.median_s
        table.append(row)
    return table


def on(threads: int) -> str:
    """Format a number of threads."""
    return f"{threads} thread{'s' if threads > 1 else ''}"


def runner(
    network: Network, events: Events, threads: int, record: Record | None = None, backend: str = "event",
    dtype: str = "float64", device: str = "cpu",
) -> Variant:  # fmt: skip
    """Return a run as a function without arguments."""
    return lambda: run(network, events, backend, record, threads=threads, dtype=dtype, device=device)


def dense(case: Case, threads: int, arrangement: str, device: str = "cpu") -> Variant:
    """Return a dense float32 PyTorch run on that many threads."""
    from neurosam_bench.dense import dense_runner

    return _with_threads(dense_runner(case, device, arrangement), threads)


def int8(case: Case, threads: int) -> Variant:
    """Return the int8 convolutions alone, in the arrangement that is fastest on that many threads."""
    from neurosam_bench.dense_int8 import int8_runner

    convolutions = _with_threads(lambda: int8_runner(case), threads)()
    return _with_threads(convolutions, threads)


def _with_threads(variant: Variant, threads: int) -> Variant:
    import torch

    def with_threads() -> Any:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return variant()
        finally:
            torch.set_num_threads(before)

    return with_threads
