# /// script
# requires-python = "==3.11.*"
# dependencies = ["snntorch==1.0.0", "torch==2.13.0", "numpy==2.4.6"]
# ///
"""snnTorch: `Leaky`, step by step.

The subtraction is ours, one line: the library's subtracts twice from a membrane that stays above its threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from casefile import PlainCase
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import snntorch
    import torch

    from torch_layers import layers

    torch.set_num_threads(threads)
    stack = [
        (layer, synapses, snntorch.Leaky(case.keep, layer.threshold, reset_mechanism="none"))
        for layer, synapses in layers(case)
    ]
    frames = torch.from_numpy(case.frames())

    @torch.inference_mode()
    def run() -> dict[str, int]:
        membrane: dict[str, Any] = {layer.name: neuron.reset_mem() for layer, _, neuron in stack}
        spikes: dict[str, Any] = {layer.name: 0 for layer, _, _ in stack}
        for x in frames.split(1):
            for layer, synapses, neuron in stack:
                x = synapses(x)
                if layer.kind != "pool":
                    x, v = neuron(x, membrane[layer.name])
                    membrane[layer.name] = v - layer.threshold * x
                spikes[layer.name] += x.sum()
        return {name: int(count) for name, count in spikes.items()}

    return run


if __name__ == "__main__":
    main(build, "snntorch", "float32")
