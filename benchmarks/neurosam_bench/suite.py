"""The whole benchmark: runs the parts of a plan in order and returns one JSON value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from neurosam.errors import DataError
from neurosam.network.network import Network
from neurosam_bench import device as gpu
from neurosam_bench import sweeps
from neurosam_bench.cases import CASES, Case, build, uniform
from neurosam_bench.limits import machine, roofline, startup
from neurosam_bench.measure import best_arrangement, measure, memory, references
from neurosam_bench.profile import profile
from neurosam_bench.sessions import latency

__all__ = ["FULL", "QUICK", "SWEEPS", "Plan", "bench", "bench_device"]

SWEEPS = ("activity", "batch", "steps", "neurons", "sam")
SWEPT = ("conv32", "vgg11-64")

Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


@dataclass(frozen=True)
class Plan:
    """Extent of a benchmark.

    Parameters
    ----------
    cases, sweeps : tuple of str
        Keys of CASES, and names in SWEEPS.
    density : float
        Fraction of neurons that fire per step.
    repeats, threads : int
    dense : bool
        Also run dense PyTorch and the reference back end, which need torch.
    alone : bool
        Also measure memory and start-up, which need new processes.
    densities, batches, lengths, sizes : tuple
        Points of the sweeps.
    session_steps : int
        Single steps timed of each small network.
    device_batches : tuple of int
        Batch sizes for the measurement of a device.
    """

    cases: tuple[str, ...] = tuple(CASES)
    sweeps: tuple[str, ...] = SWEEPS
    density: float = 0.05
    repeats: int = 7
    threads: int = 2
    dense: bool = True
    alone: bool = True
    densities: tuple[float, ...] = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
    batches: tuple[int, ...] = (1, 2, 4, 8, 16)
    lengths: tuple[int, ...] = (10, 30, 100, 300, 1000)
    sizes: tuple[int, ...] = (10**4, 10**5, 10**6, 10**7)
    session_steps: int = 5000
    device_batches: tuple[int, ...] = (1, 16, 128)

    def __post_init__(self) -> None:
        for name, allowed in (("cases", tuple(CASES)), ("sweeps", SWEEPS)):
            for value in getattr(self, name):
                if value not in allowed:
                    raise DataError(f"--{name}", f"got {value!r}; allowed: {', '.join(allowed)}")


FULL = Plan()
QUICK = Plan(
    cases=("conv32", "demo"), sweeps=("activity", "batch", "sam"), repeats=5, densities=(0.01, 0.05, 0.2),
    batches=(1, 4), lengths=(10, 100), sizes=(10**4, 10**5), session_steps=1000, device_batches=(1, 16),
)  # fmt: skip


def bench(plan: Plan, bar: Bar, networks: Mapping[str, Network] | None = None) -> dict[str, Any]:
    """Measure this machine's limits, the cases, and the sweeps.

    Parameters
    ----------
    plan : Plan
    bar : callable
        Called with a title; returns a context manager that yields a progress callback (done, total).
    networks : mapping of str to Network, optional
        Further networks to measure, by name, on random input.

    Returns
    -------
    dict
        As described in benchmarks/README.md.
    """
    with bar("limits of this machine"):
        results: dict[str, Any] = {"machine": {**machine(), **roofline()}, "plan": asdict(plan)}
    if plan.alone:
        with bar("start-up: compiling every kernel once"):
            results["startup"] = startup()
    cases = _cases(plan, bar, networks)
    best: dict[str, str | None] = {}
    with bar("a step at a time") as tick:
        results["sessions"] = latency(plan.density, plan.session_steps, tick)
    results["cases"] = [_case(case, plan, results["machine"], best, bar) for case in cases]
    results["sweeps"] = _sweeps({case.name: case for case in cases}, plan, best, bar)
    points = [*results["sweeps"].get("activity", ()), *results["sweeps"].get("steps", ())]
    results["linear"] = sweeps.linear(points)
    results["crossings"] = sweeps.crossings(results["sweeps"].get("activity", ()))
    return results


def bench_device(plan: Plan, name: str, bar: Bar, networks: Mapping[str, Network] | None = None) -> dict[str, Any]:
    """Check the reference back end on a device against the event back end, then measure its throughput.

    Parameters
    ----------
    plan, bar, networks
        As for :func:`bench`.
    name : str
        torch device.

    Raises
    ------
    BackendError
        If torch cannot use the device.
    """
    gpu.check(name)
    results: dict[str, Any] = {"machine": machine(), "plan": asdict(plan), "device": gpu.describe(name)}
    equal, rows = [], []
    for case in _cases(plan, bar, networks):
        with bar(f"{case.name}: every value on {name} against the event back end"):
            equal.append(gpu.equivalence(case, name))
        with bar(f"{case.name}: throughput on {name}") as tick:
            rows += gpu.throughput(case, name, plan.device_batches, plan.threads, plan.repeats, tick)
    results["device"] |= {"equivalence": equal, "throughput": rows}
    return results


def _cases(plan: Plan, bar: Bar, networks: Mapping[str, Network] | None) -> list[Case]:
    """Build the cases of the plan, and those of the user's networks."""
    cases = []
    for name in plan.cases:
        with bar(f"{name}: finding thresholds"):
            cases.append(build(name, plan.density))
    return cases + [_other(name, network, plan.density) for name, network in (networks or {}).items()]


def _case(case: Case, plan: Plan, limits: dict[str, Any], best: dict[str, str | None], bar: Bar) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if plan.dense:
        with bar(f"{case.name}: dense PyTorch and the reference back end") as tick:
            result["references"], best[case.name] = references(case, plan.threads, plan.repeats, tick)
    with bar(f"{case.name}: the event back end") as tick:
        result = measure(case, plan.threads, plan.repeats, best.get(case.name), tick) | result
        if case.network.fixed:
            result["layers"] = profile(case, plan.repeats, limits)
    if plan.alone and case.name in CASES:
        with bar(f"{case.name}: memory, in new processes"):
            result["memory"] = memory(case.name, plan.density, plan.threads)
    return result


def _sweeps(cases: dict[str, Case], plan: Plan, best: dict[str, str | None], bar: Bar) -> dict[str, list[Any]]:
    case_names = [name for name in SWEPT if name in cases]
    results: dict[str, list[Any]] = {}
    for kind in plan.sweeps:
        rows: list[Any] = []
        if kind == "neurons":
            with bar("sweep over neurons") as tick:
                results[kind] = sweeps.size(plan.sizes, plan.threads, 3, tick)
            continue
        for name in case_names:
            with bar(f"sweep over {kind}: {name}") as tick:
                if kind == "activity":
                    if plan.dense and name not in best:
                        best[name] = best_arrangement(cases[name], plan.threads)
                    rows += sweeps.activity(name, plan.densities, plan.threads, plan.repeats, best.get(name), tick)
                elif kind == "batch":
                    rows += sweeps.batch(cases[name], plan.batches, plan.threads, plan.repeats, tick)
                elif kind == "steps":
                    rows += sweeps.steps(name, plan.density, plan.lengths, plan.threads, plan.repeats, tick)
                else:
                    rows += sweeps.sam(cases[name], plan.threads, plan.repeats, tick)
        results[kind] = rows
    return results


def _other(name: str, network: Network, density: float) -> Case:
    """Make a case of a user's network, on random input, with the steps of its training (or 12)."""
    steps = int(network.metadata.get("steps", 12))
    return Case(
        name, network, uniform(network.input.shape, steps, 1, density, np.random.default_rng(0)), density, False
    )
