"""Connects networks with Lava's own Processes, as a Lava user would; a program for Lava's Python.

For every ``<case>/network.h5`` and ``<case>/events-<k>.h5`` (by input) in its folder it writes ``<case>/<port>.npy``,
the output of each port in own time, ``(steps, *layout)``. Only the first sample is run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

from neurosam.hdf5 import load_events, load_network
from neurosam_hw.lava import build
from neurosam_hw.lava.spiking_network.process import named_ports


def main(folder: Path) -> None:
    for case in sorted(folder.iterdir()):
        network = load_network(case / "network.h5")
        process = build(network)
        for k, port in enumerate(named_ports("input", [p.name for p in network.inputs]).values()):
            events = load_events(case / f"events-{k}.h5")
            steps = events.steps + max(process.latency.values())
            x = events.dense()[:, 0].T  # (W, H, C, steps): Lava's layout with time last
            source = Source(data=np.concatenate([x, np.zeros((*x.shape[:-1], steps - events.steps), x.dtype)], axis=-1))
            source.s_out.connect(getattr(process, port))
        sinks = {}
        for port in process.latency:
            sinks[port] = Sink(shape=getattr(process, port).shape, buffer=steps)
            getattr(process, port).connect(sinks[port].a_in)
        process.run(RunSteps(steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt" if network.fixed else "floating_pt"))
        data = {port: sink.data.get() for port, sink in sinks.items()}
        process.stop()
        for port, first in process.latency.items():
            np.save(case / f"{port}.npy", np.moveaxis(data[port], -1, 0)[first : first + events.steps])


if __name__ == "__main__":
    main(Path(sys.argv[2]))
    os._exit(0)
