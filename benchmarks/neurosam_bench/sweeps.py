"""Cost against one quantity at a time (activity, batch, steps, neurons, SAM layers), as one row per point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from neurosam.backends import run
from neurosam.errors import NeurosamError
from neurosam.signals.recording import Record
from neurosam_bench import cases
from neurosam_bench.cases import Case, build, drawn, layer_names
from neurosam_bench.measure import dense, int8, on, runner
from neurosam_bench.memory import fresh, updates
from neurosam_bench.sizes import SIZED
from neurosam_bench.timing import Tick, crossing, fit, turns

__all__ = ["activity", "batch", "crossings", "linear", "sam", "size", "steps"]

Row = dict[str, Any]


def activity(
    name: str, densities: Sequence[float], threads: int, repeats: int, arrangement: str | None, tick: Tick
) -> list[Row]:
    """Time a case from nearly silent to very active and, if `arrangement` is given, its dense rivals."""
    rows = []
    for i, density in enumerate(densities):
        case = build(name, density)
        recording = run(case.network, case.events, threads=threads)
        variants: dict[str, Callable[[], Any]] = {"event": runner(case.network, case.events, threads)}
        if arrangement is not None and case.rivals:
            variants["float32"] = dense(case, threads, arrangement)
            variants["int8"] = int8(case, threads)
        times = turns(variants, repeats)
        row: Row = {
            "case": name,
            "density": density,
            "activity": cases.activity(case.network, recording),
            "operations": sum(recording.operations.values()),
            "updates": updates(case.network, case.events.steps),
        }
        for label, timing in times.items():
            row[f"{label}_s"] = timing.median_s
            if label != "event":
                row[f"{label}_ratio"] = timing.over(times["event"])
        rows.append(row)
        tick(i + 1, len(densities))
    return rows


def crossings(rows: Sequence[Row]) -> list[Row]:
    """Find the activity above which each rival is faster, for each case.

    Returns
    -------
    list of dict
        ``case``, ``rival``, ``wins`` ("never", "always", "above"), and ``activity``, above which it wins (or None).
    """
    results = []
    for name in dict.fromkeys(row["case"] for row in rows):
        for rival in ("float32", "int8"):
            points = [(r["activity"], r[f"{rival}_ratio"]) for r in rows if r["case"] == name and f"{rival}_ratio" in r]
            if points:
                shares, ratios = zip(*sorted(points), strict=True)
                above = crossing(shares, ratios)
                wins = "above" if above is not None else "never" if ratios[0] > 1 else "always"
                results.append({"case": name, "rival": rival, "wins": wins, "activity": above})
    return results


def batch(case: Case, batches: Sequence[int], threads: int, repeats: int, tick: Tick) -> list[Row]:
    """Time runs of several different samples at once, on one thread and on all."""
    rows = []
    for i, samples in enumerate(batches):
        events = drawn(case, samples=samples).events
        operations = sum(run(case.network, events, threads=threads).operations.values())
        times = turns({on(n): runner(case.network, events, n) for n in dict.fromkeys((threads, 1))}, repeats)
        all_threads, one_thread = times[on(threads)], times[on(1)]
        rows.append(
            {
                "case": case.name,
                "samples": samples,
                "median_s": all_threads.median_s,
                "sample_s": all_threads.median_s / samples,
                "one_thread": one_thread.over(all_threads),
                "operations_per_s": operations / all_threads.median_s,
            }
        )
        tick(i + 1, len(batches))
    return rows


def steps(name: str, density: float, lengths: Sequence[int], threads: int, repeats: int, tick: Tick) -> list[Row]:
    """Measure time and memory of runs of different length, each in a new process, with nothing recorded."""
    extra: dict[str, Any] = {} if name == "sparse10k" else {"density": density}
    rows = []
    fresh(name, threads, 1, **extra)  # fills the kernel cache: a process that compiles uses more memory
    for i, length in enumerate(lengths):
        rows.append({"case": name, **_with_median(fresh(name, threads, repeats, steps=length, **extra))})
        tick(i + 1, len(lengths))
    return rows


def size(sizes: Sequence[int], threads: int, repeats: int, tick: Tick) -> list[Row]:
    """Measure time and memory of networks of different size, each in a new process."""
    rows: list[Row] = []
    for name in SIZED:
        fresh(name, threads, 1, neurons=1000)
        for count in sizes:
            rows.append({"case": name, **_with_median(fresh(name, threads, repeats, neurons=count))})
            tick(len(rows), len(sizes) * len(SIZED))
    return rows


def _with_median(result: Row) -> Row:
    seconds = float(np.median(result["seconds"]))
    others = {key: value for key, value in result.items() if key != "seconds"}
    return {**others, "runs": len(result["seconds"]), "median_s": seconds, "update_s": seconds / result["updates"]}


def sam(case: Case, threads: int, repeats: int, tick: Tick) -> list[Row]:
    """Time spike activation maps of the first 0, 1, 2, ... convolutional layers; ratios are to 0 layers."""
    names = layer_names(case.network, convolutions=True)
    variants = {}
    for count in range(len(names) + 1):
        network = case.network.with_sam(populations=names[:count]) if count else case.network
        variants[str(count)] = runner(network, case.events, threads, Record(sam=names[:count]))
    times = turns(variants, repeats, tick)
    return [
        {
            "case": case.name,
            "layers": count,
            "last": names[count - 1] if count else "",
            "median_s": times[str(count)].median_s,
            "ratio": times[str(count)].over(times["0"]),
        }
        for count in range(len(names) + 1)
    ]


def linear(rows: Sequence[Row]) -> list[Row]:
    """Fit ``seconds = a + b operations + c updates`` to the points of each case, if they determine the costs.

    Parameters
    ----------
    rows : sequence of dict
        With ``case``, ``operations``, ``updates``, and ``event_s`` or ``median_s``.
    """
    fits = []
    for name in dict.fromkeys(row["case"] for row in rows):
        case_rows = [row for row in rows if row["case"] == name]
        points = [(r["operations"], r["updates"], r.get("event_s", r.get("median_s"))) for r in case_rows]
        operations, neuron_updates, seconds = zip(*points, strict=True)
        try:
            model = fit(operations, neuron_updates, seconds)
        except NeurosamError:
            continue
        fitted = model(operations, neuron_updates)
        keys = ("operations", "updates", "median_s", "fitted_s")
        points_with_fit = [dict(zip(keys, (*p, float(f)), strict=True)) for p, f in zip(points, fitted, strict=True)]
        fits.append({"case": name, **asdict(model), "points": points_with_fit})
    return fits
