# /// script
# requires-python = "==3.11.*"
# dependencies = ["spikingjelly==2.0.0", "torch==2.13.0", "torchvision==0.28.0", "numpy==2.4.6"]
# ///
"""SpikingJelly: multi-step `LIFNode` with soft reset; each layer over all steps at once. Its CPU back end is torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from casefile import Layer, PlainCase
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import torch
    from spikingjelly.activation_based import functional, neuron

    from torch_layers import layer_by_layer

    torch.set_num_threads(threads)
    tau = 1 / (1 - case.keep)

    def neurons(layer: Layer) -> Any:
        return neuron.LIFNode(tau, False, layer.at_least, None, step_mode="m").eval()

    def fire(layer_neurons: Any, x: Any) -> Any:
        functional.reset_net(layer_neurons)
        return layer_neurons(x)

    return layer_by_layer(case, neurons, fire)


if __name__ == "__main__":
    main(build, "spikingjelly", "float32")
