"""The reference back end on a GPU: compared value by value with the event back end on the CPU, and timed.

All spikes, membranes, currents and spike activation maps of all populations are compared as integers, without
tolerance. Throughput is that of whole runs: a run ends when its results are in CPU memory, so no work is still pending
on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import Any

import numpy as np

import neurosam as ns
from neurosam.backends import run
from neurosam.equivalence.comparison import report
from neurosam.signals.recording import Record
from neurosam_bench.cases import Case, drawn, floating, layer_names
from neurosam_bench.measure import SLOW_S, Variant, dense, on, rows, runner
from neurosam_bench.timing import Tick, turns

__all__ = ["check", "describe", "equivalence", "throughput"]


def check(device: str) -> None:
    """Run one neuron on a device.

    Raises
    ------
    BackendError
        If torch cannot use the device; the message says why.
    """
    network = ns.Network(
        (ns.Population("in", (1,)), ns.Population("out", (1,), ns.FixedReadout())),
        (ns.Projection("in", "out", ns.Dense(np.ones((1, 1), np.int8))),),
    )
    run(network, ns.Events.from_dense(np.ones((1, 1, 1), np.uint8)), "reference", device=device)


def describe(device: str) -> dict[str, Any]:
    """Name of the device, versions and date."""
    import torch

    kind = torch.device(device).type
    cuda = kind == "cuda"
    return {
        "device": device,
        "name": torch.cuda.get_device_name(device) if cuda else "the CPU" if kind == "cpu" else device,
        "memory_bytes": torch.cuda.get_device_properties(device).total_memory if cuda else 0,
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda if cuda else None,
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def equivalence(case: Case, device: str) -> dict[str, Any]:
    """Compare all values of the reference on `device` with the event back end on the CPU, for two samples.

    Returns
    -------
    dict
        ``case``, ``samples``, ``steps``, ``compared`` (values), ``differing``, ``first`` (the first divergence, or "").
    """
    case = drawn(case, samples=2)
    convolutions = layer_names(case.network, convolutions=True)
    untraced = [name for name in convolutions if name not in case.network.sam]
    network = case.network.with_sam(populations=convolutions) if untraced else case.network
    record = Record.everything(network)
    on_device = run(network, case.events, "reference", record, device=device)
    equal = report(on_device, run(network, case.events, "event", record), network)
    return {
        "case": case.name,
        "samples": equal.samples,
        "steps": equal.steps,
        "compared": equal.total.compared,
        "differing": equal.total.mismatches,
        "first": str(equal.divergence or ""),
    }


def throughput(
    case: Case, device: str, batches: Sequence[int], threads: int, repeats: int, tick: Tick | None = None
) -> list[dict[str, Any]]:
    """Time several batch sizes on the device and on the CPU, interleaved; dense PyTorch in its fastest arrangement.

    Returns
    -------
    list of dict
        ``case``, ``samples``, ``what``, ``runs``, ``median_s``, ``ratio`` (to the event back end), ``samples_per_s``,
        ``operations_per_s``; no times if the device ran out of memory.
    """
    table = []
    for i, samples in enumerate(batches):
        batch = drawn(case, samples=samples)
        operations = sum(run(batch.network, batch.events, threads=threads).operations.values())
        variants = _variants(batch, device, threads)
        times = turns({label: variant for label, variant in variants.items() if variant}, repeats, slow_s=SLOW_S)
        point = {"case": case.name, "samples": samples}
        table += [{**point, **row, "samples_per_s": samples / row["median_s"]} for row in rows(times, operations)]
        table += [{**point, "what": f"{label}: out of memory"} for label, variant in variants.items() if not variant]
        if tick is not None:
            tick(i + 1, len(batches))
    return table


def _variants(case: Case, device: str, threads: int) -> dict[str, Variant | None]:
    """Runners of a batch by label, the event back end first; None if the device runs out of memory."""
    network, events = case.network, case.events
    kind = "fixed point" if network.fixed else "float64"
    exact = runner(network, events, threads, None, "reference", device=device)
    variants: dict[str, Variant | None] = {
        f"event, CPU, {on(threads)}": runner(network, events, threads),
        f"reference, {device}, {kind}": _fitting(lambda: exact),
    }
    if case.rivals:
        whole = runner(floating(case).network, events, threads, None, "reference", "float32", device)
        variants[f"reference, {device}, float32"] = _fitting(lambda: whole)
        name, rival = _fastest(case, device, threads)
        variants[f"PyTorch float32, {device}{name}"] = rival
    return variants


def _fastest(case: Case, device: str, threads: int) -> tuple[str, Variant | None]:
    """Find the fastest arrangement of dense PyTorch for this batch, among those that fit into memory."""
    from neurosam_bench.dense import ARRANGEMENTS

    candidates = {name: _fitting(partial(dense, case, threads, name, device)) for name in ARRANGEMENTS}
    fitting = {name: variant for name, variant in candidates.items() if variant is not None}
    if not fitting:
        return "", None
    times = turns(fitting, 3, slow_s=SLOW_S)
    best = min(times, key=lambda name: times[name].median_s)
    return f": {best}", fitting[best]


def _fitting(build: Callable[[], Variant]) -> Variant | None:
    """Build a variant and run it once; None if the device runs out of memory."""
    import torch

    try:
        variant = build()
        variant()
        return variant
    except torch.OutOfMemoryError:
        pass
    torch.cuda.empty_cache()  # after the handler, in which the exception still references the run's tensors
    return None
