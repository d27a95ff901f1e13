"""The back end `lava`: run a network on the Lava runtime from any Python, with files as the interface.

    network.h5, events-*.h5, request.json   ->   worker (interpreter.py, worker.py)   ->   recording.h5

All samples run through one graph, one presentation after the other. The recording is in each population's own time, so
it can be compared with those of other back ends directly.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from neurosam._util.untrusted import MALFORMED
from neurosam.backends import Options
from neurosam.errors import BackendError
from neurosam.hdf5 import load_recording, save
from neurosam.metrics.connections import deliveries
from neurosam.network.network import Network
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording
from neurosam_hw.lava.interpreter import find
from neurosam_hw.lava.supervise import Worker, private_folder
from neurosam_hw.lava.timing import timing

__all__ = ["LavaBackend"]

SILENCE_S = 300.0
"""Maximum time without a sign of life: for the worker's start, or for a few steps."""


class LavaBackend:
    """Runs a network in a worker of its own."""

    silence_s = SILENCE_S

    def run(self, network: Network, inputs: Inputs, record: Record, options: Options) -> Recording:
        """Run every sample; see :func:`neurosam.backends.run`.

        Raises
        ------
        BackendError
            If Lava is not installed, cannot run the network exactly, takes too long, or fails.
        """
        if options.device != "cpu":
            raise BackendError("back end 'lava'", f"runs on the CPU, not {options.device!r}")
        if options.dtype != "float64" and not network.fixed:
            raise BackendError("back end 'lava'", "computes float networks in float64")
        if options.initial is not None or options.keep_state:
            raise BackendError(
                "back end 'lava'",
                "starts every run from the beginning and does not hand over a state; 'event' and 'reference' do",
            )
        _refuse_pools(network)
        timing(network)  # refuses a network here rather than in the worker
        python = find()
        with private_folder() as folder:
            save(network, folder / "network.h5")
            for k, population in enumerate(network.inputs):
                save(inputs[population.name], folder / f"events-{k}.h5")
            (folder / "request.json").write_text(json.dumps(asdict(record)))
            reported = 0

            def on_line(line: str) -> None:
                nonlocal reported
                done = min(int(line[5:]), inputs.samples) if line.startswith("done ") else 0
                if options.progress is not None and done > reported:
                    options.progress(done, inputs.samples)
                    reported = done

            with Worker(python, folder) as worker:
                status = worker.wait(options.time_limit_s, self.silence_s, on_line)
                if status != 0:
                    raise failure(folder, status, worker)
            recording = load_recording(folder / "recording.h5")
        if options.progress is not None and reported < inputs.samples:
            options.progress(inputs.samples, inputs.samples)
        operations = deliveries(network, recording, inputs)
        return replace(recording, spikes={n: recording.spikes[n] for n in record.spikes}, operations=operations)


def _refuse_pools(network: Network) -> None:
    """Refuse a population that pools its sums: Lava's Processes add what arrives."""
    for population in network.populations:
        if population.pool is not None:
            raise BackendError(
                f"population {population.name!r}",
                "takes the largest sum of each window (pool), which no Process of Lava does; run it on 'event' or "
                "'reference', or train with the pool behind the neurons (max_pool)",
            )


def failure(folder: Path, status: int, worker: Worker) -> BackendError:
    """Return the error that the worker reported, or one that describes how it ended."""
    try:
        report = json.loads((folder / "error.json").read_text())
        refused, where, problem = report["refused"], str(report["where"]), str(report["problem"])
    except (OSError, *MALFORMED):
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return BackendError("back end 'lava'", f"the worker {how}. {worker.last_output()}")
    if refused:
        return BackendError(where, problem)
    first, *rest = problem.strip().splitlines() or ["no message"]
    summary = f"{first} | {rest[-1]}" if rest else first
    return BackendError("back end 'lava'", f"the worker failed: {summary}")
