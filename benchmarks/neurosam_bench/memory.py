"""Time and memory of a case in a process of its own: ``python -m neurosam_bench.memory '{"case": "conv32"}'``.

The peak of a process never falls, so every figure needs a new process. It builds the case, runs one step to load the
kernels and reorder the weights, and takes its resident memory as `before_bytes`; `peak_bytes` is the peak of the
following runs. Linux can reset the peak before these; elsewhere `peak_bytes` includes building the case.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from neurosam.backends import run
from neurosam.errors import BackendError
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.recording import Record
from neurosam_bench.cases import CASES, Case, drawn
from neurosam_bench.sizes import SIZED

__all__ = ["fresh", "measured", "updates"]

KIB = 1024


def fresh(case: str, threads: int, repeats: int, recorded: bool = False, **arguments: Any) -> dict[str, Any]:
    """Run a case in a new process.

    Parameters
    ----------
    case : str
        A key of CASES or SIZED.
    threads, repeats : int
    recorded : bool
        Record all spikes.
    **arguments
        For CASES `density`, and `steps` and `samples` of new input; for SIZED `neurons` and `steps`.

    Returns
    -------
    dict
        ``neurons``, ``steps``, ``seconds`` (a list, one per repeat), ``operations``, ``updates``, ``before_bytes``,
        ``peak_bytes``.

    Raises
    ------
    BackendError
        If the process fails; the message has its last line.
    """
    request = {"case": case, "threads": threads, "repeats": repeats, "recorded": recorded, **arguments}
    done = subprocess.run(
        [sys.executable, "-m", "neurosam_bench.memory", json.dumps(request)], capture_output=True, text=True
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]
        raise BackendError(f"benchmark of {case!r} in a new process", reason)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def updates(network: Network, steps: int) -> int:
    """Number of neuron updates: neurons times steps."""
    return steps * sum(neurons(p.shape) for p in network.populations if p.neuron is not None)


def measured(request: Mapping[str, Any]) -> dict[str, Any]:
    """Measure in this process what :func:`fresh` returns."""
    case = _case(request)
    network, events = case.network, case.events
    fires = tuple(p.name for p in network.populations if p.neuron is not None and p.fires)
    record = Record(spikes=fires) if request["recorded"] else Record()
    single_step = drawn(case, steps=1, samples=1)
    run(network, single_step.events, threads=request["threads"], record=record)
    _forget_peak()
    before = _status("VmRSS") or _peak()
    seconds, operations = [], 0
    for _ in range(request["repeats"]):
        start = time.perf_counter()
        operations = sum(run(network, events, threads=request["threads"], record=record).operations.values())
        seconds.append(time.perf_counter() - start)
    return {
        "neurons": updates(network, 1),
        "steps": events.steps,
        "seconds": seconds,
        "operations": operations,
        "updates": updates(network, events.steps) * events.samples,
        "before_bytes": before,
        "peak_bytes": _peak(),
    }


def _case(request: Mapping[str, Any]) -> Case:
    name = request["case"]
    if name in SIZED:
        return SIZED[name](**{key: request[key] for key in ("neurons", "steps") if key in request})
    case = CASES[name](**{key: request[key] for key in ("density",) if key in request})
    if "steps" in request or "samples" in request:
        return drawn(case, request.get("steps"), request.get("samples"))
    return case


def _forget_peak() -> None:
    """Reset the peak to the current resident memory, if the system can."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass


def _peak() -> int:
    """Peak resident memory in bytes."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _status("VmHWM") or largest * (1 if sys.platform == "darwin" else KIB)


def _status(name: str) -> int:
    """Read a size from ``/proc/self/status``, in bytes; 0 if it is missing."""
    try:
        with open("/proc/self/status", encoding="utf-8") as lines:
            return next((KIB * int(line.split()[1]) for line in lines if line.startswith(name + ":")), 0)
    except OSError:
        return 0


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measured(json.loads(sys.argv[1]))))
