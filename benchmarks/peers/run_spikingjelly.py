# /// script
# requires-python = "==3.11.*"
# dependencies = ["spikingjelly==2.0.0", "torch==2.13.0", "torchvision==0.28.0", "numpy==2.4.6"]
# ///
"""SpikingJelly: multi-step `LIFNode` with soft reset; each layer over all steps at once. Its CPU back end is torch."""

from __future__ import annotations

from collections.abc import Callable

from casefile import PlainCase
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import torch
    from spikingjelly.activation_based import functional, neuron

    from torch_layers import layers

    torch.set_num_threads(threads)
    tau = 1 / (1 - case.keep)
    stack = [
        (layer, synapses, neuron.LIFNode(tau, False, layer.at_least, None, step_mode="m").eval())
        for layer, synapses in layers(case)
    ]
    frames = torch.from_numpy(case.frames()).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run() -> dict[str, int]:
        x, spikes = frames, {}
        for layer, synapses, neurons in stack:
            x = synapses(x)
            if layer.kind != "pool":
                functional.reset_net(neurons)
                x = neurons(x)
            spikes[layer.name] = int(x.sum())
        return spikes

    return run


if __name__ == "__main__":
    main(build, "spikingjelly", "float32")
