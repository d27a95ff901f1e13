"""The reference back end on a GPU: equal to the event back end on the CPU, value by value, and how fast.

Every value that both hold is compared: spikes, membranes, currents and spike activation maps of all populations, in
integers, without tolerance. Throughput is that of whole runs, results back in the CPU's memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np

import neurosam as ns
from neurosam.backends import run
from neurosam.benchmark.cases import Case, drawn, floating, layer_names
from neurosam.benchmark.measure import SLOW_S, Variant, best_arrangement, dense, on, rows, runner
from neurosam.benchmark.timing import Tick, turns
from neurosam.equivalence import report
from neurosam.recording import Record

__all__ = ["check", "describe", "equivalence", "throughput"]


def check(device: str) -> None:
    """Run one neuron on a device.

    Raises
    ------
    BackendError
        If torch cannot use it: why.
    """
    one = ns.Network(
        (ns.Population("in", (1,)), ns.Population("out", (1,), ns.FixedReadout())),
        (ns.Projection("in", "out", ns.Dense(np.ones((1, 1), np.int8))),),
    )
    run(one, ns.Events.from_dense(np.ones((1, 1, 1), np.uint8)), "reference", device=device)


def describe(device: str) -> dict[str, Any]:
    """The device's name, versions and date."""
    import torch

    cuda = torch.device(device).type == "cuda"
    return {
        "device": device,
        "name": torch.cuda.get_device_name(device) if cuda else "the CPU",
        "memory_bytes": torch.cuda.get_device_properties(device).total_memory if cuda else 0,
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda if cuda else None,
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def equivalence(case: Case, device: str) -> dict[str, Any]:
    """Compare everything that the reference computes on `device` with the event back end on the CPU.

    Returns
    -------
    dict
        ``case``, ``samples``, ``steps``, ``compared`` (values), ``differing``, ``first`` (the first divergence, or "").
    """
    convolutions = layer_names(case.network, convolutions=True)
    untraced = [name for name in convolutions if name not in case.network.sam]
    network = case.network.with_sam(populations=convolutions) if untraced else case.network
    record = Record.everything(network)
    theirs = run(network, case.events, "reference", record, device=device)
    found = report(theirs, run(network, case.events, "event", record), network)
    return {
        "case": case.name,
        "samples": found.samples,
        "steps": found.steps,
        "compared": found.total.compared,
        "differing": found.total.mismatches,
        "first": str(found.divergence or ""),
    }


def throughput(
    case: Case, device: str, batches: Sequence[int], threads: int, repeats: int, tick: Tick | None = None
) -> list[dict[str, Any]]:
    """Runs of different batch on the device and on the CPU, in turns.

    Returns
    -------
    list of dict
        ``case``, ``samples``, ``what``, ``runs``, ``median_s``, ``ratio`` (to the event back end), ``samples_per_s``,
        ``operations_per_s``; ``what`` alone where the device's memory did not suffice.
    """
    found = []
    arrangement = best_arrangement(drawn(case, samples=min(batches)), threads, device)
    for i, samples in enumerate(batches):
        batch = drawn(case, samples=samples)
        network, events = batch.network, batch.events
        operations = sum(run(network, events, threads=threads).operations.values())
        variants: dict[str, Variant] = {
            f"event, CPU, {on(threads)}": runner(network, events, threads),
            f"reference, {device}, fixed point": runner(network, events, threads, None, "reference", device=device),
        }
        if arrangement is not None:
            whole = floating(batch).network
            variants[f"reference, {device}, float32"] = runner(
                whole, events, threads, None, "reference", "float32", device
            )
            variants[f"PyTorch float32, {device}: {arrangement}"] = dense(batch, threads, arrangement, device)
        large = [label for label, variant in variants.items() if not _fits(variant)]
        times = turns({k: v for k, v in variants.items() if k not in large}, repeats, slow_s=SLOW_S)
        point = {"case": case.name, "samples": samples}
        found += [{**point, **row, "samples_per_s": samples / row["median_s"]} for row in rows(times, operations)]
        found += [{**point, "what": f"{label}: out of memory"} for label in large]
        if tick is not None:
            tick(i + 1, len(batches))
    return found


def _fits(variant: Variant) -> bool:
    """Whether a run finds memory on its device."""
    import torch

    try:
        variant()
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return False
    return True
