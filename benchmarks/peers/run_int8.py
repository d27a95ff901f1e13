"""The int8 convolutions of a case alone, dense, by PyTorch's quantised operators: no neurons, no linear layers.

A bound for any rival that computes densely in int8. Every engine of this PyTorch and every number of steps a call is
tried while building, layer by layer; the best arrangement is the one that runs. It reports, for spikes, nothing.
It runs in the interpreter of compare.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from casefile import Layer, PlainCase
from harness import CannotExpress, main, named

TOGETHER = (1, 2, 5, 10, 15, 30, 50, 100)
"""Steps of one call."""


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    shape, inputs = case.shape, []
    for layer in case.layers:
        if layer.kind == "conv":  # which pixels are 1 is nothing to dense arithmetic
            inputs.append((layer, (torch.rand(case.steps, *shape) < 0.05).to(torch.uint8)))
        shape = layer.shape
    if not inputs:
        raise CannotExpress("it has no convolutions")
    best: tuple[float, str, list[Callable[[], Any]]] = (float("inf"), "", [])
    for engine in torch.backends.quantized.supported_engines:
        if engine in ("none", "qnnpack"):  # the second is for phones
            continue
        torch.backends.quantized.engine = engine
        chosen = [
            min((_timed(_convolution(*item, together)) for together in TOGETHER), key=lambda c: c[0]) for item in inputs
        ]
        best = min(best, (sum(c[0] for c in chosen), engine, [c[1] for c in chosen]), key=lambda b: b[0])
    torch.backends.quantized.engine = best[1]

    @torch.inference_mode()
    def run() -> dict[str, int]:
        for convolution in best[2]:
            convolution()
        return {}

    return named(run, f"engine {best[1]}")


def _convolution(layer: Layer, spikes: Any, together: int) -> Callable[[], Any]:
    """All steps of a layer, so many a call, with results rounded to 8 bits; checked against the sums in float."""
    import torch

    frames = spikes.to(memory_format=torch.channels_last)
    scale = 32.0
    parts = [torch._make_per_tensor_quantized_tensor(part, 1.0, 0) for part in frames.split(together)]
    weight = torch._make_per_tensor_quantized_tensor(torch.from_numpy(layer.weight.copy()), 1.0, 0)
    pair = [layer.stride] * 2, [layer.padding] * 2, [1, 1], 1
    packed = torch.ops.quantized.conv2d_prepack(weight, None, *pair)
    sums = torch.nn.functional.conv2d(frames[:1].float(), torch.from_numpy(layer.values), None, *pair)
    want = (sums / scale).round().add(128).clamp(0, 255)
    got = torch.ops.quantized.conv2d(parts[0], packed, scale, 128).int_repr()[:1]
    if not torch.equal(got.float(), want):
        raise RuntimeError(f"{layer.name}: the quantised convolution is not the convolution")
    return lambda: [torch.ops.quantized.conv2d(part, packed, scale, 128) for part in parts]


def _timed(function: Callable[[], Any]) -> tuple[float, Callable[[], Any]]:
    times = []
    for _ in range(4):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times), function


if __name__ == "__main__":
    main(build, "torch", "int8", like="neurosam")
