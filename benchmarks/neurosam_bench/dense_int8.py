"""The int8 bound: only the convolutions of a case, computed densely by PyTorch's quantised operators.

Without neurons, dense layers and poolings, this is a bound that no complete dense run with these kernels can beat. Sums
are rounded to 8 bits, the output format in which these kernels are fastest. The engine and, for each layer, the number
of steps per call are the fastest in a short trial.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import conv2d

import neurosam as ns
from neurosam.errors import BackendError
from neurosam_bench.cases import Case, poolings

__all__ = ["Convolutions", "engines", "int8_runner"]

TOGETHER = (1, 5, 10, 25, 50, 100)
"""Steps per call that are tried."""
SCALE, ZERO = 32.0, 128
"""A sum y becomes round(y / SCALE) + ZERO, clipped to 0..255."""


@dataclass(frozen=True)
class Convolutions:
    """All int8 convolutions of a run.

    Parameters
    ----------
    engine : str
        Name of torch's quantised engine.
    layers : tuple of callable
        Each runs one layer over all steps and returns its output blocks.
    """

    engine: str
    layers: tuple[Callable[[], list[Any]], ...]

    def __call__(self) -> int:
        """Run once; returns the number of values computed."""
        with torch.inference_mode():
            return sum(block.numel() for layer in self.layers for block in layer())


def engines() -> tuple[str, ...]:
    """Quantised engines of this build of torch; the one for phones (qnnpack) only if there is no other."""
    supported = [name for name in torch.backends.quantized.supported_engines if name != "none"]
    return tuple(name for name in supported if name != "qnnpack") or tuple(supported)


def int8_runner(case: Case) -> Convolutions:
    """Prepare the convolutions of a case in the arrangement that is fastest on torch's current number of threads.

    The time of a dense convolution does not depend on the values, so each layer gets random input.

    Raises
    ------
    BackendError
        If the case has no convolution, or this build of torch has no int8 kernels.
    """
    inputs = list(_inputs(case))
    if not inputs:
        raise BackendError(f"int8 rival of {case.name!r}", "has no convolution to run")
    if not engines():
        raise BackendError("int8 convolutions", "this build of torch has no kernels for them")
    candidates = sorted({min(together, case.events.steps) for together in TOGETHER})
    trials = []
    for engine in engines():
        fastest = [
            min((_timed(_layer(*item, engine, together)) for together in candidates), key=lambda timed: timed[0])
            for item in inputs
        ]
        trials.append((sum(seconds for seconds, _ in fastest), engine, tuple(layer for _, layer in fastest)))
    _, engine, layers = min(trials, key=lambda trial: trial[0])
    return Convolutions(engine, layers)


def _inputs(case: Case) -> Iterator[tuple[ns.Conv2d, Any]]:
    """Yield each convolution with random input spikes ``[T, B, C, H, W]``."""
    network, events = case.network, case.events
    generator = torch.Generator().manual_seed(0)
    for projection in network.projections:
        synapse, shape = projection.synapse, network[projection.source].shape
        if not isinstance(synapse, ns.Conv2d) or projection.target in poolings(network):
            continue
        if projection.pool is not None:
            shape = projection.pool.output_shape(shape)
        drawn = torch.rand((events.steps, events.samples, *shape), generator=generator)
        yield synapse, (drawn < case.density).float()


def _layer(synapse: ns.Conv2d, spikes: Any, engine: str, together: int) -> Callable[[], list[Any]]:
    """Prepare one layer over all steps, `together` per call; its first block is checked against a float convolution.

    Raises
    ------
    BackendError
        If this engine computes something else.
    """
    stride, padding, _ = synapse.geometry
    weight = torch.from_numpy(synapse.weight.astype("float32"))
    with _engine(engine), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these types are deprecated, but there is no other int8 in torch yet
        packed = torch.ops.quantized.conv2d_prepack(
            torch.quantize_per_tensor(weight, 1.0, 0, torch.qint8), None, stride, padding, (1, 1), 1
        )
        blocks = [
            torch.quantize_per_tensor(block.flatten(0, 1), 1.0, 0, torch.quint8).contiguous(
                memory_format=torch.channels_last
            )
            for block in spikes.split(together)
        ]
        (first,) = _run(blocks[:1], packed)
    sums = conv2d(spikes[:together].flatten(0, 1), weight, None, stride, padding)
    expected = (sums / SCALE).round().add(ZERO).clamp(0, 255)
    if (first.int_repr().float() - expected).abs().max() > 1:  # engines round halves differently
        raise BackendError(f"int8 convolutions of engine {engine!r}", "are not the convolutions of the case")
    return lambda: _run(blocks, packed)


def _run(blocks: list[Any], packed: Any) -> list[Any]:
    return [torch.ops.quantized.conv2d(block, packed, SCALE, ZERO) for block in blocks]


@contextmanager
def _engine(name: str) -> Iterator[None]:
    """Select the engine that weights are packed for; packed weights remember theirs."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = name
    try:
        yield
    finally:
        torch.backends.quantized.engine = before


def _timed(layer: Callable[[], list[Any]]) -> tuple[float, Callable[[], list[Any]]]:
    """Time of the fastest of a few runs."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        layer()
        times.append(time.perf_counter() - start)
    return min(times), layer
