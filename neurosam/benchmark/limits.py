"""What this machine can do at most: the rooflines that the cases are held against, and what a new process pays."""

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
from neurosam.backends.event import EventBackend
from neurosam.benchmark.cases import uniform

__all__ = ["machine", "roofline", "startup"]

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
    """What the figures belong to: processor, cores, versions, date."""
    import numba

    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": _processor(),
        "cores": os.cpu_count(),
        "neurosam": ns.__version__,
        "python": platform.python_version(),
        "numba": numba.__version__,
        "numpy": np.__version__,
    }


def roofline(steps: int = 100, copied_bytes: int = 2**27) -> dict[str, float]:
    """Rates of one thread, in 10^9 a second: weights gathered and scattered, neurons advanced, bytes copied.

    A layer of 256 channels on 16 x 16 pixels runs with few and with many of its sources active: the difference in
    operations over the difference in time is the rate of the additions alone, whatever else a layer costs; what
    remains of the time, over neurons and steps, is the rate of the neurons. Taken from 16 source channels, whose
    weights (36 KB) the first cache holds, for `gather`, `scatter` and `neurons`; from 512 (1.2 MB), of which 5 and
    10 % are active, for `gather_far`.
    """
    near, idle_s, updates = _additions(16, 0.25, 1.0, steps, "gather")
    far, _, _ = _additions(512, 0.05, 0.1, steps, "gather")
    scattered, _, _ = _additions(16, 0.25, 1.0, -(-steps // 5), "scatter")
    source = np.zeros(copied_bytes, np.uint8)
    target = np.empty_like(source)
    copied = _best(lambda: _clocked(lambda: np.copyto(target, source)), 5)
    return {
        "gather_G_per_s": near / 1e9,
        "gather_far_G_per_s": far / 1e9,
        "scatter_G_per_s": scattered / 1e9,
        "neurons_G_per_s": updates / idle_s / 1e9,
        "copy_GB_per_s": 2 * source.nbytes / copied / 1e9,
    }


def startup() -> dict[str, dict[str, float]]:
    """Seconds after the imports until a new process has its first result, kernels compiled, and from the cache.

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
            found: dict[str, float] = json.loads(done.stdout)
            return found

        return {"compiled": first_result(), "cached": first_result()}


def _additions(inputs: int, low: float, high: float, steps: int, path: str) -> tuple[float, float, int]:
    """Operations a second between two activities; seconds that are left without operations; neuron updates.

    The fastest run of each counts: a limit is what the machine does when left alone.
    """
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (256, inputs, 3, 3)).astype(np.int8)
    source, target = ns.Population("in", (inputs, 16, 16)), ns.Population("a", (256, 16, 16), ns.FixedLIF(410, 2**16))
    network = ns.Network((source, target), (ns.Projection("in", "a", ns.Conv2d(weight, padding=1), delay=0),))
    backend = EventBackend(path)
    drawn = [uniform(source.shape, steps, 1, share, rng) for share in (low, high)]
    rows = [backend.profile(network, events, threads=1)[0] for events in drawn]

    def seconds(events: ns.Events) -> float:
        return _best(lambda: backend.profile(network, events, threads=1)[0].time_s, 15)

    few_s, many_s = (seconds(events) for events in drawn)
    rate = (rows[1].operations - rows[0].operations) / max(many_s - few_s, 1e-9)
    return rate, max(few_s - rows[0].operations / rate, 1e-9), rows[0].updates


def _best(seconds: Callable[[], float], repeats: int) -> float:
    """The shortest of several times."""
    return min(seconds() for _ in range(repeats))


def _clocked(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
