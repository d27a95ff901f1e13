# /// script
# requires-python = "==3.12.*"
# dependencies = ["nest-simulator==3.10.0", "numpy==2.5.5"]
# ///
"""NEST, float64: `eprop_iaf`, its only neuron with delta input and soft reset; its plasticity is not used.

The more common `iaf_psc_delta` resets to zero, which gives a different network with fewer spikes and takes about half
the time. Spikes take one step to each layer, so those of a layer are counted from the step at which the input reaches
it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from casefile import PlainCase
from harness import Clocked, main
from unroll import unroll

REST = 20
"""Steps between two runs, in which spikes in flight arrive."""


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import nest

    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = 1.0
    nest.local_num_threads = threads
    inputs = nest.Create("spike_generator", int(np.prod(case.shape)))
    order = np.lexsort((case.time, case.neuron))
    times = np.split(case.time[order] + 1.0, np.cumsum(np.bincount(case.neuron, minlength=len(inputs)))[:-1])
    inputs.set([{"spike_times": part} for part in times])
    rule = {"C_m": 1.0, "tau_m": -1 / math.log(case.keep), "E_L": 0.0, "V_m": 0.0, "t_ref": 0.0}
    source, groups, recorders = inputs, [], []
    for k, (layer, synapses) in enumerate(zip(case.layers, unroll(case))):
        group = nest.Create("eprop_iaf", layer.size, {**rule, "V_th": layer.at_least})
        if layer.drive:
            nest.Connect(source, group, "one_to_one", {"weight": layer.drive, "delay": 1.0})
        first = np.asarray((group if case.recurrent else source).tolist())[synapses.source]
        last = np.asarray(group.tolist())[synapses.target]
        columns = {"weight": synapses.weight.astype(float), "delay": np.ones(first.size)}
        nest.Connect(first, last, "one_to_one", {"synapse_model": "static_synapse", **columns})
        recorders.append(nest.Create("spike_recorder", {"start": k + 1.0, "stop": k + 1.0 + case.steps}))
        nest.Connect(group, recorders[-1])
        groups.append(group)
        source = group

    def run() -> dict[str, int]:
        for group, recorder in zip(groups, recorders):
            group.V_m, recorder.n_events = 0.0, 0
        for device in (inputs, *recorders):
            device.origin = nest.biological_time
        start = time.perf_counter()
        nest.Simulate(case.steps + len(groups))
        time_s = time.perf_counter() - start
        spikes = {layer.name: int(recorder.n_events) for layer, recorder in zip(case.layers, recorders)}
        nest.Simulate(REST)
        return Clocked(spikes, time_s)

    return run


if __name__ == "__main__":
    main(build, "nest-simulator", "float64")
