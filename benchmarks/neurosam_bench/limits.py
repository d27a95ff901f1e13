"""Limits of this machine: the peak rates that the cases are compared with, and the start-up time of a new process."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import numpy as np

import neurosam as ns
from neurosam.backends.event import EventBackend, LayerProfile
from neurosam_bench.cases import uniform

__all__ = ["machine", "processor", "roofline", "startup"]

STARTUP = """
import json, sys, time, numpy as np, neurosam as ns
from neurosam.backends import event
start = time.perf_counter()
case = (ns.Population("in", (2, 8, 8)), ns.Population("a", (64, 8, 8), ns.FixedLIF(410, 60)),
        ns.Population("b", (10,), ns.FixedReadout()))
network = ns.Network(case, (ns.Projection("in", "a", ns.Conv2d(np.ones((64, 2, 3, 3), np.int8), padding=1)),
                            ns.Projection("a", "b", ns.Dense(np.ones((10, 4096), np.int8)))))
ns.run(network, ns.Events.from_dense(np.ones((2, 1, 2, 8, 8), np.uint8)))
seconds = time.perf_counter() - start
parts = [v for n, m in sys.modules.items() if n.startswith("neurosam.") for v in vars(m).values()]
kernels = {id(v): v.stats for v in parts if hasattr(v, "stats") and hasattr(v, "py_func")}.values()
count = {kind: sum(sum(getattr(s, "cache_" + kind).values()) for s in kernels) for kind in ("hits", "misses")}
print(json.dumps({"seconds": seconds, **count}))
"""


def machine() -> dict[str, Any]:
    """Processor, cores, versions and date, for the record."""
    import numba

    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": processor(),
        "cores": os.cpu_count(),
        "neurosam": ns.__version__,
        "python": platform.python_version(),
        "numba": numba.__version__,
        "numpy": np.__version__,
    }


def roofline(steps: int = 100, copied_bytes: int = 2**27) -> dict[str, float]:
    """Measure peak rates of one thread in 10^9 per second: weights gathered or scattered, neurons, bytes copied.

    A layer of 256 channels on 16 x 16 pixels runs with few and with many of its sources active. The additional
    operations divided by the additional time are the rate of additions, independent of a layer's other costs. With 16
    source channels (36 KB of weights in the L1 cache) this gives `gather` and `scatter`; with 512 (1.2 MB), of which 5
    and 10 % are active, `gather_far`. For `neurons`, each neuron has one source, and 1 % of the sources are active.
    """
    source = np.zeros(copied_bytes, np.uint8)
    target = np.empty_like(source)
    copied = min(_clocked(lambda: np.copyto(target, source)) for _ in range(5))
    (silent,) = _layer(1, 1, (0.01,), steps, "auto")
    return {
        "gather_G_per_s": _rate(*_layer(16, 3, (0.25, 1.0), steps, "gather")),
        "gather_far_G_per_s": _rate(*_layer(512, 3, (0.05, 0.1), steps, "gather")),
        "scatter_G_per_s": _rate(*_layer(16, 3, (0.25, 1.0), -(-steps // 5), "scatter")),
        "neurons_G_per_s": silent.updates / silent.time_s / 1e9,
        "copy_GB_per_s": 2 * source.nbytes / copied / 1e9,
    }


def startup() -> dict[str, dict[str, float]]:
    """Measure the time from the end of the imports to the first result, with kernels compiled and with kernels cached.

    Returns
    -------
    dict
        ``compiled`` and ``cached``, each with ``seconds``, and ``hits`` and ``misses`` of the kernel cache.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}

        def first_result() -> dict[str, float]:
            done = subprocess.run(
                [sys.executable, "-c", STARTUP], env=environment, capture_output=True, text=True, check=True
            )
            result: dict[str, float] = json.loads(done.stdout)
            return result

        return {"compiled": first_result(), "cached": first_result()}


def _layer(inputs: int, kernel: int, active: tuple[float, ...], steps: int, path: str) -> list[LayerProfile]:
    """Profile one layer at several activities, each in its fastest run, which other processes disturbed least."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (256, inputs, kernel, kernel)).astype(np.int8)
    source, target = ns.Population("in", (inputs, 16, 16)), ns.Population("a", (256, 16, 16), ns.FixedLIF(410, 2**16))
    synapse = ns.Conv2d(weight, padding=kernel // 2)
    network = ns.Network((source, target), (ns.Projection("in", "a", synapse, delay=0),))
    backend = EventBackend(path)
    profiles = []
    for share in active:
        events = uniform(source.shape, steps, 1, share, rng)
        runs = [backend.profile(network, events, threads=1)[0] for _ in range(15)]
        profiles.append(min(runs, key=lambda run: run.time_s))
    return profiles


def _rate(few: LayerProfile, many: LayerProfile) -> float:
    """Additional operations divided by additional time, in 10^9 per second."""
    return (many.operations - few.operations) / max(many.time_s - few.time_s, 1e-9) / 1e9


def _clocked(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def processor() -> str:
    """Name of the processor, if the system reports one."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
