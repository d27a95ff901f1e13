"""Standard cases, how fast this machine runs them, and the limits that it has: what ``neurosam bench`` prints.

Other processes and clocks move every time; so each repeat runs all variants in turn, and what is reported beside the
median is the median of the ratios within a repeat.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from neurosam.backends import run
from neurosam.benchmark.cases import CASES, Case, layer_names
from neurosam.benchmark.limits import roofline, startup
from neurosam.events import Events
from neurosam.network import Network
from neurosam.recording import Record

__all__ = ["BATCH", "CASES", "activity_sweep", "measure", "roofline", "startup"]

BATCH = 4
SWEEP = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)


def measure(name: str, density: float, repeats: int, threads: int, dense: bool) -> dict[str, Any]:
    """Run a case in all variants.

    Returns
    -------
    dict
        ``case``, ``activity``, ``synaptic_operations``, ``operations_per_s`` (all threads), and ``rows``: label,
        median seconds, and median of the ratios to the first row.
    """
    case = CASES[name]() if name == "sparse10k" else CASES[name](density)
    network, events = case.network, case.events
    recording = run(network, events, threads=threads)
    operations = sum(recording.operations.values())
    variants = {
        f"event, {threads} threads": _runner(network, events, threads),
        "event, 1 thread": _runner(network, events, 1),
        f"event, {threads} threads, all spikes recorded": _runner(
            network, events, threads, Record(spikes=tuple(n for n in layer_names(network) if network[n].fires))
        ),
    }
    convolutions = layer_names(network, convolutions=True)
    if convolutions:
        traced = network.with_sam(populations=convolutions)
        variants[f"event, {threads} threads, SAM on all convolutions"] = _runner(
            traced, events, threads, Record(sam=convolutions)
        )
    many = _repeated(events, BATCH)
    for count in (threads, 1):
        label = f"event, batch of {BATCH}, {count} thread{'s' if count > 1 else ''}"
        variants[label] = _runner(network, many, count)
    if dense and convolutions:
        variants[f"PyTorch float32, {threads} threads"] = _dense(case, threads)
    seconds = _turns(variants, repeats)
    first = np.array(next(iter(seconds.values())))
    neurons = sum(int(np.prod(p.shape)) for p in network.populations if p.neuron is not None)
    spikes = sum(int(recording.counts[n].sum()) for n in layer_names(network) if n in recording.counts)
    layers = sum(int(np.prod(network[n].shape)) for n in layer_names(network))
    return {
        "case": name,
        "activity": spikes / (layers * events.steps),
        "spikes": {n: int(c.sum()) for n, c in recording.counts.items()},
        "synaptic_operations": operations,
        "neuron_updates": neurons * events.steps,
        "operations_per_s": operations / float(np.median(first)),
        "rows": [
            (label, float(np.median(times)), float(np.median(np.array(times) / first)))
            for label, times in seconds.items()
        ],
    }


def activity_sweep(repeats: int, threads: int) -> list[dict[str, float]]:
    """conv32 from nearly silent to very busy: events, operations and seconds."""
    rows = []
    for density in SWEEP:
        case = CASES["conv32"](density)
        recording = run(case.network, case.events, threads=threads)
        seconds = _turns({"event": _runner(case.network, case.events, threads)}, repeats)["event"]
        rows.append(
            {
                "density": density,
                "spikes": float(sum(int(c.sum()) for c in recording.counts.values())),
                "operations": float(sum(recording.operations.values())),
                "seconds": float(np.median(seconds)),
            }
        )
    return rows


def _runner(network: Network, events: Events, threads: int, record: Record | None = None) -> Callable[[], Any]:
    return lambda: run(network, events, threads=threads, record=record)


def _repeated(events: Events, samples: int) -> Events:
    """The first sample several times over."""
    one = events.select(0, 1).dense()
    return Events.from_dense(np.repeat(one, samples, axis=1))


def _dense(case: Case, threads: int) -> Callable[[], Any]:
    import torch

    from neurosam.benchmark.dense import dense_runner

    runner = dense_runner(case)

    def timed() -> Any:
        torch.set_num_threads(threads)
        return runner()

    return timed


def _turns(variants: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every variant, in turns, after one run of each to warm up."""
    seconds: dict[str, list[float]] = {label: [] for label in variants}
    for repeat in range(repeats + 1):
        for label, variant in variants.items():
            start = time.perf_counter()
            variant()
            if repeat:
                seconds[label].append(time.perf_counter() - start)
    return seconds
