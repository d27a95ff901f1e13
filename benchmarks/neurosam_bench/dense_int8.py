"""The int8 bound: the convolutions of a case alone, dense, by PyTorch's quantised operators in their best arrangement.

No neurons, no matrices, no poolings: a bound that no whole dense run by these kernels can pass. Sums are rounded to 8
bits, which is the form that these kernels are fastest in. The engine and, layer by layer, the steps of a call are those
that were fastest in a short trial.
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
"""Steps of a call that are tried."""
SCALE, ZERO = 32.0, 128
"""A sum y becomes round(y / SCALE) + ZERO, cut to 0..255."""


@dataclass(frozen=True)
class Convolutions:
    """All int8 convolutions of a run.

    Parameters
    ----------
    engine : str
        Name of torch's kernels.
    layers : tuple of callable
        Each runs one layer over all steps and returns its blocks of output.
    """

    engine: str
    layers: tuple[Callable[[], list[Any]], ...]

    def __call__(self) -> int:
        """Run once; returns the number of values computed."""
        with torch.inference_mode():
            return sum(block.numel() for layer in self.layers for block in layer())


def engines() -> tuple[str, ...]:
    """Int8 kernels of this build of torch; those made for phones where there are no others."""
    known = [name for name in torch.backends.quantized.supported_engines if name != "none"]
    return tuple(name for name in known if name != "qnnpack") or tuple(known)


def int8_runner(case: Case) -> Convolutions:
    """The convolutions of a case, in the arrangement that is fastest on torch's present number of threads.

    Which values are 1 is nothing to a dense convolution: each layer gets random input at the case's density.

    Raises
    ------
    BackendError
        If the case has no convolution, or this build of torch no int8 kernels.
    """
    inputs = list(_inputs(case))
    if not inputs:
        raise BackendError(f"int8 rival of {case.name!r}", "has no convolution to run")
    if not engines():
        raise BackendError("int8 convolutions", "this build of torch has no kernels for them")
    tried = sorted({min(together, case.events.steps) for together in TOGETHER})
    found = []
    for engine in engines():
        fastest = [
            min((_timed(_layer(*item, engine, together)) for together in tried), key=lambda timed: timed[0])
            for item in inputs
        ]
        found.append((sum(seconds for seconds, _ in fastest), engine, tuple(layer for _, layer in fastest)))
    _, engine, layers = min(found, key=lambda one: one[0])
    return Convolutions(engine, layers)


def _inputs(case: Case) -> Iterator[tuple[ns.Conv2d, Any]]:
    """Each convolution with the spikes ``[T, B, C, H, W]`` that it gets."""
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
    """One layer over all steps, so many a call; its first block is held against the convolution in float.

    Raises
    ------
    BackendError
        If this engine computes something else.
    """
    stride, padding, _ = synapse.geometry
    weight = torch.from_numpy(synapse.weight.astype("float32"))
    with _engine(engine), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch will drop these types one day; until then they are its int8
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
    wanted = (sums / SCALE).round().add(ZERO).clamp(0, 255)
    if (first.int_repr().float() - wanted).abs().max() > 1:  # engines round halves differently
        raise BackendError(f"int8 convolutions of engine {engine!r}", "are not the convolutions of the case")
    return lambda: _run(blocks, packed)


def _run(blocks: list[Any], packed: Any) -> list[Any]:
    return [torch.ops.quantized.conv2d(block, packed, SCALE, ZERO) for block in blocks]


@contextmanager
def _engine(name: str) -> Iterator[None]:
    """The engine that weights are packed for; packed ones remember theirs."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = name
    try:
        yield
    finally:
        torch.backends.quantized.engine = before


def _timed(layer: Callable[[], list[Any]]) -> tuple[float, Callable[[], list[Any]]]:
    """The shortest of a few runs."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        layer()
        times.append(time.perf_counter() - start)
    return min(times), layer
