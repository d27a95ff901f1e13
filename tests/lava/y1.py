"""Feeds spikes to Lava's LearningDense and writes its y1 after each step; a program for Lava's Python.

For every ``<case>.npz`` in its folder (spikes ``(T, N)``, gamma, impulse, seed) it writes ``<case>.npy``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.source import RingBuffer

from neurosam_hw.lava.loihi1 import Loihi1Trace, post_trace
from neurosam_hw.lava.probe.process import Probe


def main(folder: Path) -> None:
    for case in sorted(folder.glob("*.npz")):
        inputs = np.load(case)
        spikes = inputs["spikes"]
        steps, size = spikes.shape
        trace = Loihi1Trace(float(inputs["gamma"]), int(inputs["impulse"]), int(inputs["seed"]))
        synapse = post_trace(size, trace)
        silence = RingBuffer(data=np.zeros((1, steps), dtype=np.int32))
        silence.s_out.connect(synapse.s_in)
        source = RingBuffer(data=spikes.T.astype(np.int32))
        source.s_out.connect(synapse.s_in_bap)
        path = case.with_suffix(".npy")
        np.lib.format.open_memmap(path, "w+", np.int64, (steps, size))
        Probe(var=synapse.y1, path=str(path))
        source.run(RunSteps(steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        source.stop()


if __name__ == "__main__":
    main(Path(sys.argv[2]))
    os._exit(0)
