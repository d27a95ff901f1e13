"""The dense rival: the same network in float32 PyTorch, in its best arrangement on a CPU.

Layer by layer; the convolution of many steps at once, channels last; then the neurons step by step, in place. Spikes
differ from the integers' in a few places, as ``0.9 v`` is no 12-bit decay; the work is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import conv2d, linear, max_pool2d

import neurosam as ns
from neurosam.benchmark.cases import Case

__all__ = ["dense_runner"]

TOGETHER = 10  # steps a convolution


def dense_runner(case: Case, device: str = "cpu") -> Callable[[], dict[str, int]]:
    """A function that runs the case once and returns the spikes of every layer."""
    network, samples = case.network, case.events.samples
    frames = torch.from_numpy(case.events.dense()).to(device, torch.float32)  # [T, B, C, H, W]
    layers: list[tuple[str, Any, float]] = []
    for projection in network.projections:
        neuron = network[projection.target].neuron
        weight = torch.from_numpy(projection.synapse.weight.astype("float32")).to(device)
        if projection.target.startswith("pool"):
            layers.append((projection.target, None, 0.0))
        elif isinstance(projection.synapse, ns.Conv2d) and isinstance(neuron, ns.FixedLIF):
            packed = weight.to(memory_format=torch.channels_last)
            layers.append((projection.target, (packed, *projection.synapse.geometry[:2]), float(neuron.threshold)))
        elif isinstance(neuron, ns.FixedLIF):
            shape = network[projection.source].shape
            if len(shape) == 3:  # columns in the order of channels-last memory
                weight = weight.reshape(-1, *shape).permute(0, 2, 3, 1).reshape(weight.shape[0], -1).contiguous()
            layers.append((projection.target, weight, float(neuron.threshold)))

    def neurons(current: Any, threshold: float) -> Any:
        """LIF over all steps of ``[T, ...]``; overwrites the currents with spikes."""
        v = torch.zeros_like(current[0])
        for i in current:
            v.mul_(0.9).add_(i)
            torch.gt(v, threshold, out=i)
            v.sub_(i, alpha=threshold)
        return current

    def run() -> dict[str, int]:
        counts = {}
        with torch.inference_mode():
            x = frames.flatten(0, 1).to(memory_format=torch.channels_last)
            for name, weight, threshold in layers:
                if weight is None:
                    x = max_pool2d(x, 2)
                    counts[name] = int(x.count_nonzero())
                    continue
                if isinstance(weight, tuple):
                    parts = [conv2d(part, weight[0], stride=weight[1], padding=weight[2]) for part in x.split(TOGETHER)]
                    y = torch.cat(parts).contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
                else:
                    y = linear(x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x, weight)
                y = neurons(y.unflatten(0, (-1, samples)), threshold).flatten(0, 1)
                counts[name] = int(y.count_nonzero())
                x = y.permute(0, 3, 1, 2) if y.ndim == 4 else y
        return counts

    return run
