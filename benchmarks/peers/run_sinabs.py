# /// script
# requires-python = "==3.11.*"
# dependencies = ["sinabs==3.1.3", "nir==1.0.4", "torch==2.13.0", "numpy==2.4.6"]
# ///
"""Sinabs: `LIF` with membrane subtraction and at most one spike per step; every layer over all steps at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from casefile import Layer, PlainCase
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import torch
    from sinabs.activation import MembraneSubtract, SingleSpike
    from sinabs.layers import LIF

    from torch_layers import layer_by_layer

    torch.set_num_threads(threads)
    tau = -1 / math.log(case.keep)

    def neurons(layer: Layer) -> Any:
        return LIF(
            tau, spike_threshold=layer.at_least, spike_fn=SingleSpike, reset_fn=MembraneSubtract(), norm_input=False
        )

    def fire(layer_neurons: Any, x: Any) -> Any:
        if layer_neurons.is_state_initialised():
            layer_neurons.reset_states()
        return layer_neurons(x[None])[0]

    return layer_by_layer(case, neurons, fire)


if __name__ == "__main__":
    main(build, "sinabs", "float32")
