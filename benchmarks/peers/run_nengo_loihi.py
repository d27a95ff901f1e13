# /// script
# requires-python = "==3.8.*"
# dependencies = ["nengo-loihi==1.1.0", "nengo==4.1.0", "numpy==1.23.5"]
# ///
"""nengo-loihi's emulator of the chip (NumPy, integers), with reset to zero as on the chip.

The network is given to the emulator as blocks of compartments, below Nengo's API, which would choose weights and
thresholds itself. A block may be larger than a core here. Single-threaded.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from casefile import PlainCase
from harness import main
from unroll import Synapses, unroll

FRACTION = 64
"""Weights and thresholds are shifted left by 6 bits."""


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    from nengo_loihi.block import Axon, LoihiBlock, Synapse
    from nengo_loihi.builder import Model
    from nengo_loihi.emulator import EmulatorInterface
    from nengo_loihi.inputs import SpikeInput
    from scipy.sparse import csr_matrix

    def connect(source: object, sources: int, block: LoihiBlock, synapses: Synapses) -> None:
        weights = (synapses.weight * FRACTION, (synapses.source, synapses.target))
        group = Synapse(sources)
        group.set_weights(csr_matrix(weights, shape=(sources, block.n_neurons)))
        group.weights = [weight.astype(np.int32) for weight in group.weights]
        block.add_synapse(group)
        axon = Axon(sources)
        axon.target = group
        source.add_axon(axon)

    model, blocks = Model(), []
    source = inputs = SpikeInput(int(np.prod(case.shape)))
    model.add_input(inputs)
    sources = inputs.n_neurons
    for layer, synapses in zip(case.layers, unroll(case)):
        block = LoihiBlock(layer.size)
        unit = block.compartment
        values = {"decay_u": 4095, "decay_v": case.decay, "vth": layer.threshold * FRACTION, "refract_delay": 1}
        for name, value in {**values, "vmin": 1 - 2**23, "vmax": 2**23 - 1, "bias": 0}.items():
            setattr(unit, name, np.full(layer.size, value, np.int32))
        unit.scale_u = unit.scale_v = False
        if layer.drive:
            all_neurons = np.arange(layer.size)
            connect(source, sources, block, Synapses(all_neurons, all_neurons, np.full(layer.size, layer.drive)))
        connect(block if case.recurrent else source, layer.size if case.recurrent else sources, block, synapses)
        model.add_block(block)
        blocks.append(block)
        source, sources = block, layer.size
    steps = [case.neuron[case.time == t] for t in range(case.steps)]

    def run() -> dict[str, int]:
        inputs.spikes.clear()
        for t, neurons in enumerate(steps):
            inputs.add_spikes(t + 1, neurons)
        spikes = {layer.name: 0 for layer in case.layers}
        with EmulatorInterface(model, seed=0) as emulator:
            emulator.step()  # the input and each layer take one step, so each layer's own time starts later
            for t in range(case.steps + len(blocks) - 1):
                emulator.step()
                for k, (layer, block) in enumerate(zip(case.layers, blocks)):
                    if k <= t < k + case.steps:
                        fired = emulator.compartment.spiked[emulator.compartment.slices[block.compartment]]
                        spikes[layer.name] += int(fired.sum())
        return spikes

    return run


if __name__ == "__main__":
    main(build, "nengo-loihi", "int8 weights, integer state", like="neurosam_zero")
