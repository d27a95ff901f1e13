# /// script
# requires-python = "==3.11.*"
# dependencies = ["norse==1.1.0", "torch==2.13.0", "torchvision==0.28.0", "numpy==2.4.6"]
# ///
"""Norse: `LIFBoxCell` with soft reset, step by step. It takes dt / tau of its input; weights are divided by that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from casefile import PlainCase
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import norse.torch as norse
    import torch
    from norse.torch.functional.reset import reset_subtract

    from torch_layers import layers

    torch.set_num_threads(threads)
    share = 1 - case.keep
    stack = []
    for layer, synapses in layers(case):
        rule = norse.LIFBoxParameters(
            tau_mem_inv=torch.tensor(share), v_th=torch.tensor(float(layer.threshold)), reset_method=reset_subtract
        )
        for parameter in synapses.parameters():
            parameter.data /= share
        stack.append((layer, synapses, norse.LIFBoxCell(rule, dt=1.0)))
    frames = torch.from_numpy(case.frames())

    @torch.no_grad()
    def run() -> dict[str, int]:
        state: dict[str, Any] = {layer.name: None for layer, _, _ in stack}
        spikes: dict[str, Any] = {layer.name: 0 for layer, _, _ in stack}
        for x in frames.split(1):
            for layer, synapses, neuron in stack:
                x = synapses(x)
                if layer.kind != "pool":
                    x, state[layer.name] = neuron(x, state[layer.name])
                spikes[layer.name] += x.sum()
        return {name: int(count) for name, count in spikes.items()}

    return run


if __name__ == "__main__":
    main(build, "norse", "float32")
