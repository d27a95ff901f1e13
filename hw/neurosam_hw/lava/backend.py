"""The back end `lava`: a network on the Lava runtime, from any Python, through files.

    network.h5, events.h5, request.json   ->   worker (interpreter.py, worker.py)   ->   recording.h5

All samples run through one graph, one presentation after the other. What comes back is in each population's own time
and compares with the other back ends as it is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from neurosam.backends import Options
from neurosam.errors import BackendError
from neurosam.hdf5 import load_recording, save
from neurosam.metrics.operations import synaptic_operations
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Recording
from neurosam_hw.lava.interpreter import find
from neurosam_hw.lava.supervise import Worker, private_folder
from neurosam_hw.lava.timing import timing

__all__ = ["LavaBackend"]

SILENCE_S = 300.0
"""Longest time that the worker may take for its start, or for a few steps."""


class LavaBackend:
    """Runs a network in a worker of its own."""

    silence_s = SILENCE_S

    def run(self, network: Network, events: Events, record: Record, options: Options) -> Recording:
        """Run every sample; see :func:`neurosam.backends.run`.

        Raises
        ------
        BackendError
            If Lava is not there, cannot run the network exactly, takes too long, or fails.
        """
        if options.device != "cpu":
            raise BackendError("back end 'lava'", f"runs on the CPU, not {options.device!r}")
        if options.dtype != "float64" and not network.fixed:
            raise BackendError("back end 'lava'", "computes float networks in float64")
        timing(network)  # refuses here what the worker would refuse
        python = find()
        with private_folder() as folder:
            save(network, folder / "network.h5")
            save(events, folder / "events.h5")
            (folder / "request.json").write_text(json.dumps(asdict(record)))
            told = 0

            def tell(line: str) -> None:
                nonlocal told
                over = min(int(line[5:]), events.samples) if line.startswith("done ") else 0
                if options.progress is not None and over > told:
                    options.progress(over, events.samples)
                    told = over

            with Worker(python, folder) as worker:
                status = worker.wait(options.time_limit_s, self.silence_s, tell)
                if status != 0:
                    raise failure(folder, status, worker)
            recording = load_recording(folder / "recording.h5")
        if options.progress is not None and told < events.samples:
            options.progress(events.samples, events.samples)
        operations = {
            label: found.delivered for label, found in synaptic_operations(network, recording, events).items()
        }
        return replace(recording, spikes={n: recording.spikes[n] for n in record.spikes}, operations=operations)


def failure(folder: Path, status: int, worker: Worker) -> BackendError:
    """The error that a worker left, or what is known of its end."""
    try:
        left = json.loads((folder / "error.json").read_text())
    except (OSError, ValueError):
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return BackendError("back end 'lava'", f"the worker {how}. {worker.last_words()}")
    if left["known"]:
        return BackendError(left["where"], left["problem"])
    first, *rest = left["problem"].strip().splitlines() or ["no message"]
    said = f"{first} | {rest[-1]}" if rest else first
    return BackendError("back end 'lava'", f"the worker failed: {said}")
