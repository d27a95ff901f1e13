"""The dense rivals: the same network in float32 PyTorch, in several arrangements.

An arrangement sets how many steps a layer runs before the next layer, how many steps one convolution call covers, and
the memory format. Neurons are updated step by step, in place. A few spikes differ from the integer network's, because
floats round differently from a decay that is truncated toward zero; the amount of work is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import avg_pool2d, conv2d, linear, max_pool2d

import neurosam as ns
from neurosam.errors import BackendError
from neurosam_bench.cases import LEAK, Case, poolings

__all__ = ["ARRANGEMENTS", "DEFAULT", "Arrangement", "dense_runner"]


@dataclass(frozen=True)
class Arrangement:
    """Order of work of a dense run; 0 steps means all steps.

    Parameters
    ----------
    steps : int
        Steps that a layer runs before the next layer.
    together : int
        Steps per convolution call, at most `steps`.
    channels_last : bool
        Whether images are stored channels last.
    """

    steps: int
    together: int
    channels_last: bool


ARRANGEMENTS = {
    "step by step": Arrangement(1, 1, False),
    "step by step, channels last": Arrangement(1, 1, True),
    "layer by layer": Arrangement(0, 0, False),
    "layer by layer, channels last": Arrangement(0, 0, True),
    "layer by layer, 10 steps per convolution, channels last": Arrangement(0, 10, True),
    "10 steps per layer, channels last": Arrangement(10, 10, True),
}
DEFAULT = "layer by layer, channels last"


class _Layer:
    """One population and the projection into it."""

    def __init__(self, case: Case, projection: ns.Projection, device: str, last: bool) -> None:
        network, synapse, neuron = case.network, projection.synapse, case.network[projection.target].neuron
        if not isinstance(neuron, (ns.FixedLIF, ns.FixedReadout)) or isinstance(synapse, ns.Sparse):
            raise BackendError(f"dense rival of {case.name!r}", f"cannot run population {projection.target!r}")
        self.name, self.last = projection.target, last
        self.pooling = projection.target in poolings(network)
        self.threshold = float(neuron.threshold) if isinstance(neuron, ns.FixedLIF) else None
        self.summed = 1 if projection.pool is None else projection.pool.geometry[0][0]
        self.convolution = isinstance(synapse, ns.Conv2d)
        weight = torch.from_numpy(synapse.weight.astype("float32")).to(device)
        shape = network[projection.source].shape
        if isinstance(synapse, ns.Conv2d):
            self.stride, self.padding = synapse.geometry[:2]
            weight = weight.to(memory_format=torch.channels_last) if last else weight
        elif last and len(shape) == 3:  # columns in channels-last order
            side = (shape[1] // self.summed, shape[2] // self.summed)
            weight = weight.reshape(-1, shape[0], *side).permute(0, 2, 3, 1).reshape(weight.shape[0], -1).contiguous()
        self.weight = weight
        self.v: Any = None

    def __call__(self, x: Any, together: int, samples: int) -> Any:
        """Compute the spikes ``[T * B, ...]`` for the steps in `x`."""
        if self.pooling:
            return max_pool2d(x, 2)
        if self.summed > 1:
            x = avg_pool2d(x, self.summed, divisor_override=1)
        if self.convolution:
            parts = [
                conv2d(part, self.weight, stride=self.stride, padding=self.padding)
                for part in x.split(together * samples)
            ]
            y = torch.cat(parts) if len(parts) > 1 else parts[0]
            y = y.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1) if self.last else y
        else:
            flat = x if x.ndim == 2 else (x.permute(0, 2, 3, 1) if self.last else x).flatten(1)
            y = linear(flat, self.weight)
        y = self._neurons(y.unflatten(0, (-1, samples))).flatten(0, 1)
        return y.permute(0, 3, 1, 2) if y.ndim == 4 and self.last else y

    def _neurons(self, current: Any) -> Any:
        """Run LIF over all steps of ``[T, B, ...]``, overwriting currents with spikes; a readout's are zero."""
        if self.v is None:
            self.v = torch.zeros_like(current[0])
        if self.threshold is None:
            self.v.add_(current.sum(0))
            return current.zero_()
        for i in current:
            self.v.mul_(LEAK).add_(i)
            torch.gt(self.v, self.threshold, out=i)
            self.v.sub_(i, alpha=self.threshold)
        return current


def dense_runner(case: Case, device: str = "cpu", arrangement: str = DEFAULT) -> Callable[[], dict[str, int]]:
    """Return a function that runs the case once in float32 and returns the spike count of every layer.

    Parameters
    ----------
    case : Case
    device : str
    arrangement : str
        A key of ARRANGEMENTS.

    Raises
    ------
    BackendError
        If the case has anything but convolutions, dense layers, poolings and plain LIF.
    """
    order, steps, samples = ARRANGEMENTS[arrangement], case.events.steps, case.events.samples
    frames = torch.from_numpy(case.events.dense()).to(device, torch.float32)  # [T, B, C, H, W]
    layers = [_Layer(case, projection, device, order.channels_last) for projection in case.network.projections]
    block = order.steps or steps
    together = order.together or steps

    def run() -> dict[str, int]:
        counts = {layer.name: 0 for layer in layers}
        with torch.inference_mode():
            for layer in layers:
                layer.v = None
            for first in range(0, steps, block):
                x = frames[first : first + block].flatten(0, 1)
                x = x.to(memory_format=torch.channels_last) if order.channels_last else x
                spikes = {}
                for layer in layers:
                    x = layer(x, together, samples)
                    spikes[layer.name] = x.count_nonzero()
                for name, count in spikes.items():
                    counts[name] += int(count)
        return counts

    return run
