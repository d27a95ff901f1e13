# /// script
# requires-python = "==3.12.*"
# dependencies = ["sanafe==2.2.9", "numpy==2.5.5"]
# ///
"""SANA-FE on its own description of Loihi, which also estimates energy and time; with its simplest timing model.

It rounds membranes toward zero at 6 fractional bits, as our fixed point does. Spikes take one step to each layer, so
those of a layer are counted from the step at which the input reaches it. This is done in the first run; later runs are
only checked to have the same total.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from casefile import PlainCase
from harness import Clocked, main
from unroll import unroll

CORE = 1024
"""Neurons per core."""


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import sanafe

    chip_plan, net = sanafe.load_loihi(), sanafe.Network()
    cores = iter(chip_plan.cores())

    def place(name: str, size: int, attributes: dict) -> object:
        group = net.create_neuron_group(
            name, size, model_attributes=attributes, soma_hw_name="loihi_lif", log_spikes=True
        )
        for i in range(size):
            if i % CORE == 0:
                core = next(cores)
            group[i].map_to_core(core)
        return group

    frames = case.frames().reshape(case.steps, -1).astype(bool)
    inputs = source = place("in", frames.shape[1], {})
    for i in range(frames.shape[1]):
        inputs[i].set_attributes(soma_hw_name=f"loihi_inputs[{i % CORE}]", log_spikes=False)
    for layer, synapses in zip(case.layers, unroll(case)):
        rule = {"threshold": layer.threshold, "leak_decay": case.keep, "input_decay": 0.0, "reset_mode": "soft"}
        group = place(layer.name, layer.size, {**rule, "force_update": True})
        if layer.drive:
            pairs = [(i, i) for i in range(layer.size)]
            source.connect_neurons_sparse(group, {"weight": [float(layer.drive)] * layer.size}, pairs)
        pairs = list(zip(synapses.source.tolist(), synapses.target.tolist()))
        first = group if case.recurrent else source
        first.connect_neurons_sparse(group, {"weight": synapses.weight.tolist()}, pairs)
        source = group
    chip = sanafe.SpikingChip(chip_plan)
    chip.load(net)
    steps = case.steps + len(case.layers)
    first_counts: dict[str, int] = {}
    total = []

    def run() -> dict[str, int]:
        chip.reset()
        for neuron, train in zip(chip.mapped_neuron_groups["in"], frames.T.tolist()):
            neuron.set_attributes(model_attributes={"spikes": train})
        start = time.perf_counter()
        trace = None if first_counts else True
        result = chip.sim(steps, timing_model="simple", processing_threads=threads, spike_trace=trace)
        time_s = time.perf_counter() - start
        if not first_counts:
            first_counts.update(_counted(case, result["spike_trace"]))
        total.append(result["neurons_fired"])
        if total[-1] != total[0]:
            raise RuntimeError(f"a run fired {total[-1]} spikes, the first {total[0]}")
        return Clocked(first_counts, time_s)

    return run


def _counted(case: PlainCase, trace: list) -> dict[str, int]:
    names = [layer.name for layer in case.layers]
    spikes = dict.fromkeys(names, 0)
    for t, fired in enumerate(trace):
        for neuron in fired:
            k = names.index(neuron.group_name)
            spikes[neuron.group_name] += k + 1 <= t < k + 1 + case.steps
    return spikes


if __name__ == "__main__":
    main(build, "sanafe", "float64, 6 bits below the point", like="neurosam")
