# /// script
# requires-python = "==3.12.*"
# dependencies = ["brian2==2.10.1", "numpy==2.5.5"]
# ///
"""Brian2, C++ standalone, float32; needs a C++ compiler and make. The compiled program itself times its simulation.

Each layer has its own slots in the schedule (synapses, threshold, reset), so that spikes pass all layers in one step.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable

import numpy as np

from casefile import PlainCase
from harness import Clocked, main
from unroll import unroll


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import brian2 as b2

    synapses = unroll(case)
    folder = tempfile.TemporaryDirectory()
    b2.set_device("cpp_standalone", directory=folder.name, build_on_run=False)
    b2.prefs.core.default_float_dtype = np.float32
    b2.prefs.devices.cpp_standalone.openmp_threads = threads if threads > 1 else 0
    b2.defaultclock.dt = 1 * b2.ms
    slots = [f"{part}{k}" for k in range(len(case.layers)) for part in ("synapses", "thresholds", "resets")]
    net = b2.Network()
    net.schedule = ["start", "groups", *slots, "end"]
    source = b2.SpikeGeneratorGroup(int(np.prod(case.shape)), case.neuron, case.time * b2.ms, when="start")
    net.add(source)
    monitors = {}
    for k, (layer, columns) in enumerate(zip(case.layers, synapses)):
        group = b2.NeuronGroup(layer.size, "v : 1", threshold=f"v > {layer.threshold}", reset=f"v -= {layer.threshold}")
        group.run_regularly(f"v *= {case.keep!r}", when="groups", order=-1)
        group.thresholder["spike"].when, group.resetter["spike"].when = f"thresholds{k}", f"resets{k}"
        if layer.drive:
            drive = b2.Synapses(source, group, on_pre=f"v_post += {layer.drive}")
            drive.connect(j="i")
            drive.pre.when = f"synapses{k}"
            net.add(drive)
        inward = b2.Synapses(group if case.recurrent else source, group, "w : 1", on_pre="v_post += w")
        inward.connect(i=columns.source, j=columns.target)
        inward.w = columns.weight
        inward.pre.when = f"synapses{k}"
        monitors[layer.name] = b2.SpikeMonitor(group, record=False)
        net.add(group, inward, monitors[layer.name])
        source = group
    net.run(case.steps * b2.ms)
    b2.device.build(directory=folder.name, compile=True, run=False)

    def run() -> dict[str, int]:
        b2.device.run(folder.name, with_output=False, run_args=[])
        return Clocked({name: int(monitor.num_spikes) for name, monitor in monitors.items()}, b2.device._last_run_time)

    run.folder = folder  # type: ignore[attr-defined]  # keeps the folder as long as the function
    return run


if __name__ == "__main__":
    main(build, "brian2", "float32")
