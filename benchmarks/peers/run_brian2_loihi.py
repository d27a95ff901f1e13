# /// script
# requires-python = "==3.9.*"
# dependencies = ["brian2-loihi==0.5.2", "brian2==2.6.0", "numpy==1.26.4", "cython==3.0.12", "setuptools==80.9.0"]
# ///
"""brian2-loihi, an emulator of Loihi in Brian2 (Cython code), with reset to zero as on the chip.

Excitatory and inhibitory synapses are separate groups, since mixed ones lose the last bit of their weights. Spikes take
one step to each layer, so those of a layer are counted from the step at which the input reaches it. Single-threaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from casefile import PlainCase
from harness import Clocked, main
from unroll import unroll


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import brian2_loihi as b2l

    source = b2l.LoihiSpikeGeneratorGroup(int(np.prod(case.shape)), case.neuron, case.time)
    net, monitors = b2l.LoihiNetwork(source), {}
    for layer, synapses in zip(case.layers, unroll(case)):
        group = b2l.LoihiNeuronGroup(layer.size, threshold_v_mant=layer.threshold, decay_v=case.decay, decay_I=4096)
        net.add(group)
        if layer.drive:  # mantissa times 2^4
            drive = b2l.LoihiSynapses(source, group, w_exp=4, sign_mode=b2l.synapse_sign_mode.EXCITATORY)
            drive.connect(j="i")
            drive.w = np.full(layer.size, layer.drive // 16)
            net.add(drive)
        for sign in (b2l.synapse_sign_mode.EXCITATORY, b2l.synapse_sign_mode.INHIBITORY):
            keep = synapses.weight > 0 if sign == b2l.synapse_sign_mode.EXCITATORY else synapses.weight < 0
            inward = b2l.LoihiSynapses(group if case.recurrent else source, group, sign_mode=sign)
            inward.connect(i=synapses.source[keep], j=synapses.target[keep])
            inward.w = synapses.weight[keep].astype(np.int64)
            net.add(inward)
        monitors[layer.name] = b2l.LoihiSpikeMonitor(group)
        net.add(monitors[layer.name])
        source = group
    net.store()

    def run() -> dict[str, int]:
        net.restore()
        start = time.perf_counter()
        net.run(case.steps + len(case.layers))
        time_s = time.perf_counter() - start
        spikes = {}
        for k, (name, monitor) in enumerate(monitors.items()):
            times = np.rint(np.asarray(monitor.t_) * 1000)
            spikes[name] = int(((times >= k) & (times < k + case.steps)).sum())
        return Clocked(spikes, time_s)

    return run


if __name__ == "__main__":
    main(build, "brian2-loihi", "int8 weights, integers in float64", like="neurosam_zero")
