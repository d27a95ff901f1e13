# /// script
# requires-python = "==3.11.*"
# dependencies = ["sinabs==3.1.3", "nir==1.0.4", "torch==2.13.0", "numpy==2.4.6"]
# ///
"""Sinabs: `LIF` with membrane subtraction and at most one spike a step; every layer over all steps at once."""

from __future__ import annotations

import math
from collections.abc import Callable

from casefile import PlainCase
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import torch
    from sinabs.activation import MembraneSubtract, SingleSpike
    from sinabs.layers import LIF

    from torch_layers import layers

    torch.set_num_threads(threads)
    tau = -1 / math.log(case.keep)
    stack = [
        (
            layer,
            synapses,
            LIF(
                tau, spike_threshold=layer.at_least, spike_fn=SingleSpike, reset_fn=MembraneSubtract(), norm_input=False
            ),
        )
        for layer, synapses in layers(case)
    ]
    frames = torch.from_numpy(case.frames()).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run() -> dict[str, int]:
        x, spikes = frames, {}
        for layer, synapses, neurons in stack:
            x = synapses(x)
            if layer.kind != "pool":
                if neurons.is_state_initialised():
                    neurons.reset_states()
                x = neurons(x[None])[0]
            spikes[layer.name] = int(x.sum())
        return spikes

    return run


if __name__ == "__main__":
    main(build, "sinabs", "float32")
