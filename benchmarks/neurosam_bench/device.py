"""The reference back end on a GPU: equal to the event back end on the CPU, value by value, and how fast.

Every value that both hold is compared: spikes, membranes, currents and spike activation maps of all populations, in
integers, without tolerance. Throughput is that of whole runs: a run ends when its results are in the CPU's memory, so
that nothing of it is still under way on the device.
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
    """Compare everything that the reference computes on `device` with the event back end on the CPU, for two samples.

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
    """Runs of different batch on the device and on the CPU, in turns; dense PyTorch in its fastest arrangement.

    Returns
    -------
    list of dict
        ``case``, ``samples``, ``what``, ``runs``, ``median_s``, ``ratio`` (to the event back end), ``samples_per_s``,
        ``operations_per_s``; ``what`` alone where the device's memory did not suffice.
    """
    found = []
    for i, samples in enumerate(batches):
        batch = drawn(case, samples=samples)
        operations = sum(run(batch.network, batch.events, threads=threads).operations.values())
        variants = _variants(batch, device, threads)
        times = turns({label: known for label, known in variants.items() if known}, repeats, slow_s=SLOW_S)
        point = {"case": case.name, "samples": samples}
        found += [{**point, **row, "samples_per_s": samples / row["median_s"]} for row in rows(times, operations)]
        found += [{**point, "what": f"{label}: out of memory"} for label, known in variants.items() if known is None]
        if tick is not None:
            tick(i + 1, len(batches))
    return found


def _variants(case: Case, device: str, threads: int) -> dict[str, Variant | None]:
    """What runs a batch, the event back end first; None for what finds too little memory."""
    network, events = case.network, case.events
    kind = "fixed point" if network.fixed else "float64"
    exact = runner(network, events, threads, None, "reference", device=device)
    found: dict[str, Variant | None] = {
        f"event, CPU, {on(threads)}": runner(network, events, threads),
        f"reference, {device}, {kind}": _fitting(lambda: exact),
    }
    if case.rivals:
        whole = runner(floating(case).network, events, threads, None, "reference", "float32", device)
        found[f"reference, {device}, float32"] = _fitting(lambda: whole)
        name, rival = _fastest(case, device, threads)
        found[f"PyTorch float32, {device}{name}"] = rival
    return found


def _fastest(case: Case, device: str, threads: int) -> tuple[str, Variant | None]:
    """Dense PyTorch in the arrangement that a few runs find fastest for this batch, of those that find memory."""
    from neurosam_bench.dense import ARRANGEMENTS

    tried = {name: _fitting(partial(dense, case, threads, name, device)) for name in ARRANGEMENTS}
    known = {name: variant for name, variant in tried.items() if variant is not None}
    if not known:
        return "", None
    times = turns(known, 3, slow_s=SLOW_S)
    best = min(times, key=lambda name: times[name].median_s)
    return f": {best}", known[best]


def _fitting(build: Callable[[], Variant]) -> Variant | None:
    """The variant after a first run, or None if its device has too little memory for it."""
    import torch

    try:
        variant = build()
        variant()
        return variant
    except torch.OutOfMemoryError:
        pass
    torch.cuda.empty_cache()  # not in the handler, where the error still holds the run's tensors
    return None
