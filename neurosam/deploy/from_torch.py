"""Convert a trained torch module to a network. Layers are read in order, and an unsupported one is refused by name.

    Conv2d | Linear  (BatchNorm)  LIF            a population and its synapses; batch norm is folded in float64
    Conv2d | Linear  BNTT | GainOffset  LIF      the same, with tables of gains and offsets, one row per step
    AvgPool2d, AdaptiveAvgPool2d                 sum pooling in the next projection, 1 / area in its weights
    MaxPool2d                                    a population of OR neurons
    Flatten, Dropout, Identity                   nothing
    last Conv2d | Linear  (Readout)              a readout population

The bias of a convolution becomes the bias of its neurons. Both update orders of the training layers are reproduced
exactly:

- ``integrate_first`` (integrate, fire, reset): every projection has a delay of one step, as on the chip. A population
  starts when input can first reach it, so that every layer sees what it saw in training.
- ``fire_first`` (Eq. 2-3 of Kim & Panda 2021, which fire from the previous membrane): their spike of step t is ours of
  step t - 1, so the delay of one step is part of the torch module. All populations start at step 0. What they subtract
  after the leak is ``reset_amount / leak`` here.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neurosam import training
from neurosam.deploy.quantise import quantise
from neurosam.errors import ExportError
from neurosam.network.elements import Population, Projection, max_pool
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, Dense, Shape, SumPool2d, neurons
from neurosam.network.trace import SamTrace
from neurosam.signals.events import Events, encode
from neurosam.training.sequential import flat_layers

__all__ = ["export", "to_network"]

IGNORED = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity)
KNOWN = (
    "Conv2d, Linear, BatchNorm1d/2d, BNTT, AvgPool2d, AdaptiveAvgPool2d, MaxPool2d, Flatten, Dropout, LIF and Readout"
)


def export(
    module: nn.Sequential,
    input_shape: Shape,
    precision: Precision | None = None,
    calibration: Events | npt.NDArray[Any] | None = None,
    *,
    steps: int = 16,
    coding: str = "poisson",
    sam: SamTrace | None = None,
    magnitude: int = 1,
    input_unit: float = 1.0,
    metadata: Mapping[str, str] | None = None,
    longest_run: int | None = None,
) -> Network:
    """Convert a trained module to a network, quantised if `precision` is given.

    Parameters
    ----------
    module : nn.Sequential
        A :class:`~neurosam.training.SpikingSequential`, or a plain Sequential of the layers above. It is not changed.
    input_shape : tuple of int
        ``(C, H, W)`` or ``(N,)``, without batch and time.
    precision : Precision, optional
        Fixed-point format; None keeps float64.
    calibration : Events or (B, C, H, W) images, optional
        Typical input (64 samples are enough) from which the scales of the weights are chosen; without it, all sources
        count as equally active.
    steps, coding
        How calibration images are encoded (:func:`neurosam.signals.events.encode`).
    sam : SamTrace, optional
        Trace of every spiking population; ``SamTrace(gamma=0.5, mode="strict")`` if None.
    magnitude : int
        Largest ``|value|`` of an input event.
    input_unit : float
        Input of the module that an event of value 1 stands for (1/255 for byte images given as graded events).
    metadata : mapping of str to str, optional
        Stored in the file: class names, coding, provenance.
    longest_run : int, optional
        In steps, if longer than twice the calibration: see ``steps`` of :func:`neurosam.quantise`, which also returns a
        report with warnings.

    Returns
    -------
    Network

    Raises
    ------
    ExportError
        For a layer that has no equivalent in a network; the message names it.
    NetworkError
        For parameters outside their range.

    Examples
    --------
    >>> from neurosam import training
    >>> module = training.build("4C3-P2-D10", (1, 8, 8)).eval()
    >>> network = ns.export(module, (1, 8, 8))
    >>> [(p.name, p.shape) for p in network.populations]
    [('input', (1, 8, 8)), ('conv1', (4, 8, 8)), ('out', (10,))]
    >>> fixed = ns.export(module, (1, 8, 8), ns.Precision.lava())
    >>> fixed.projections[0].synapse.weight.dtype
    dtype('int8')
    """
    network = to_network(module, input_shape, sam=sam, magnitude=magnitude, input_unit=input_unit, metadata=metadata)
    if precision is None:
        return network
    if calibration is not None and not isinstance(calibration, Events):
        calibration = encode(calibration, steps, coding)
    return quantise(network, precision, calibration, steps=longest_run)[0]


def to_network(
    module: nn.Sequential,
    input_shape: Shape,
    *,
    sam: SamTrace | None = None,
    magnitude: int = 1,
    input_unit: float = 1.0,
    metadata: Mapping[str, str] | None = None,
) -> Network:
    """Convert a module to a float64 network; parameters as in :func:`export`."""
    if not isinstance(module, nn.Sequential):
        raise ExportError(type(module).__name__, "is not an nn.Sequential; wrap its layers in one (SpikingSequential)")
    in_float64 = nn.Sequential(OrderedDict(flat_layers(copy.deepcopy(module).cpu().double().eval())))
    layers = list(training.fold_batch_norm(in_float64).named_children())
    first = Population("input", tuple(input_shape), magnitude=magnitude)
    reader = _Reader(order=_common_order(layers), populations=[first], shape=first.shape, factor=input_unit)
    for name, layer in layers:
        reader.read(name, layer)
    reader.finish()
    network = Network(tuple(reader.populations), tuple(reader.projections), metadata=metadata or {})
    return network.with_sam(sam)


def _common_order(layers: list[tuple[str, nn.Module]]) -> str:
    orders = {layer.order: name for name, layer in layers if isinstance(layer, training.LIF)}
    if len(orders) > 1:
        raise ExportError(
            f"layers {' and '.join(orders.values())}",
            f"use different update orders ({', '.join(orders)}); use one for all",
        )
    return next(iter(orders), "integrate_first")


@dataclass
class _Reader:
    """Reads layers one by one; `pending` is a weight layer, and `tables` its BNTT, whose neurons are still to come."""

    order: str
    populations: list[Population]
    shape: Shape
    factor: float
    projections: list[Projection] = field(default_factory=list)
    pool: SumPool2d | None = None
    pending: tuple[str, nn.Conv2d | nn.Linear] | None = None
    tables: training.GainOffset | None = None

    def read(self, name: str, layer: nn.Module) -> None:
        """Add one layer."""
        where = f"layer {name!r} ({type(layer).__name__})"
        if isinstance(layer, IGNORED):
            return
        if isinstance(layer, (training.LIF, training.Readout)):
            self._neurons(where, name, layer)
            return
        if isinstance(layer, training.GainOffset):
            if self.pending is None or self.tables is not None:
                raise ExportError(where, "must directly follow a Conv2d or Linear")
            self.tables = layer
            return
        if self.pending is not None:
            raise ExportError(
                where,
                f"follows {self.pending[0]!r} without spiking neurons between; put a LIF after {self.pending[0]!r}",
            )
        if not self.populations[-1].fires:
            raise ExportError(where, "follows the readout, which never fires; make the readout the last layer")
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            if isinstance(layer, nn.Linear) and len(self.shape) != 1:
                raise ExportError(where, f"has input of shape {self.shape}; put nn.Flatten before it")
            self.pending = (name, layer)
        elif isinstance(layer, nn.Flatten):
            if layer.start_dim != 1 or layer.end_dim != -1:
                raise ExportError(where, "flattens only some of the axes; use nn.Flatten() without arguments")
            self.shape = (neurons(self.shape),)
        elif isinstance(layer, (nn.AvgPool2d, nn.AdaptiveAvgPool2d)):
            self._average(where, layer)
        elif isinstance(layer, nn.MaxPool2d):
            self._maximum(where, name, layer)
        else:
            raise ExportError(where, f"has no equivalent in a network; supported are {KNOWN}")

    def finish(self) -> None:
        """End the network; a last weight layer without neurons is the readout."""
        if self.pending is not None:
            self._neurons("", "out", training.Readout())
        if len(self.populations) < 2:
            raise ExportError("module", f"has no layer with weights; supported are {KNOWN}")

    def _neurons(self, where: str, name: str, layer: training.LIF | training.Readout) -> None:
        if self.pending is None:
            raise ExportError(where, "does not follow a Conv2d or Linear; neurons require synapses")
        source_name, weights = self.pending
        label = f"layer {source_name!r} ({type(weights).__name__})"
        synapse = (
            self._conv(label, weights)
            if isinstance(weights, nn.Conv2d)
            else Dense(_array(weights.weight) * self.factor)
        )
        bias = 0.0 if weights.bias is None else _array(weights.bias)
        if self.tables is not None and isinstance(layer, training.Readout):
            raise ExportError(where, "follows a BNTT; a readout has no tables, so remove the BNTT")
        source = self.populations[-1]
        shape = synapse.output_shape(self.shape)
        neuron = Readout(bias=bias) if isinstance(layer, training.Readout) else self._lif(where, layer, bias)
        kind = "out" if isinstance(neuron, Readout) else "conv" if isinstance(weights, nn.Conv2d) else "dense"
        population = Population(self._name(name, kind), shape, neuron, onset=self._onset())
        self.projections.append(Projection(source.name, population.name, synapse, self._delay(source), self.pool))
        self.populations.append(population)
        self.shape, self.pool, self.pending, self.tables, self.factor = shape, None, None, None, 1.0

    def _lif(self, where: str, layer: training.LIF, bias: Any) -> LIF:
        leak, threshold = _array(layer.leak), _array(layer.threshold)
        amount = None if layer.reset_amount is None else _array(layer.reset_amount)
        if amount is not None and self.order == "fire_first":
            if (leak == 0).any():
                raise ExportError(
                    where,
                    'has leak 0 with order="fire_first": its reset follows the leak and cannot be moved before it',
                )
            amount = amount / leak
        current = None if layer.current_leak is None else _array(layer.current_leak)
        if self.tables is not None:
            gain, offset = _array(self.tables.gain), _array(self.tables.offset)
            return LIF(leak, threshold, layer.reset, amount, 0.0, current, gain, gain * bias + offset)
        if current is None or not np.any(bias):
            return LIF(leak, threshold, layer.reset, amount, bias, current)
        # the module adds its bias to the current, so it is an offset of the input here and not a bias of the membrane
        offset = np.asarray(bias)[None]
        return LIF(leak, threshold, layer.reset, amount, 0.0, current, np.ones((1, 1)), offset)

    def _conv(self, where: str, layer: nn.Conv2d) -> Conv2d:
        if layer.padding_mode != "zeros":
            raise ExportError(where, f"pads with {layer.padding_mode!r}; only zeros are allowed")
        padding = layer.padding
        if isinstance(padding, str):
            reach = [
                d * (k - 1) if padding == "same" else 0 for d, k in zip(layer.dilation, layer.kernel_size, strict=True)
            ]
            if any(r % 2 for r in reach):
                raise ExportError(
                    where, 'pads one side more than the other (padding="same" with an even kernel); use an odd kernel'
                )
            padding = (reach[0] // 2, reach[1] // 2)
        weight = _array(layer.weight) * self.factor
        stride, dilation = (layer.stride[0], layer.stride[1]), (layer.dilation[0], layer.dilation[1])
        return Conv2d(weight, stride, (int(padding[0]), int(padding[1])), dilation, layer.groups)

    def _average(self, where: str, layer: nn.AvgPool2d | nn.AdaptiveAvgPool2d) -> None:
        if self.pool is not None:
            raise ExportError(where, "follows another pooling layer; merge the two")
        if len(self.shape) != 3:
            raise ExportError(where, f"has input of shape {self.shape}; pooling requires (C, H, W)")
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            size = _pair(layer.output_size)
            out = (size[0] or self.shape[1], size[1] or self.shape[2])
            if self.shape[1] % out[0] or self.shape[2] % out[1]:
                raise ExportError(where, f"takes {self.shape[1:]} to {out} with windows of unequal size; use AvgPool2d")
            pool = SumPool2d((self.shape[1] // out[0], self.shape[2] // out[1]))
        else:
            if layer.ceil_mode or layer.divisor_override is not None:
                raise ExportError(
                    where, "uses ceil_mode or divisor_override, which divide by other areas than that of the window"
                )
            if layer.padding not in (0, (0, 0)) and not layer.count_include_pad:
                raise ExportError(where, "uses count_include_pad=False, which averages over windows of different sizes")
            pool = SumPool2d(_pair(layer.kernel_size), _pair(layer.stride), _pair(layer.padding))
        self.pool, self.shape, self.factor = pool, pool.output_shape(self.shape), self.factor / pool.area

    def _maximum(self, where: str, name: str, layer: nn.MaxPool2d) -> None:
        if self.pool is not None:
            raise ExportError(where, "follows average pooling, whose output is graded; max pooling requires spikes")
        if self.populations[-1].neuron is None:
            raise ExportError(where, "pools the input; max pooling requires the spikes of a population with neurons")
        if len(self.shape) != 3:
            raise ExportError(where, f"has input of shape {self.shape}; pooling requires (C, H, W)")
        if layer.ceil_mode or _pair(layer.padding) != (0, 0) or _pair(layer.dilation) != (1, 1):
            raise ExportError(where, "uses ceil_mode, padding or dilation; only kernel and stride are allowed")
        label = self._name(name, "pool")
        delay = 0 if self.order == "fire_first" else 1
        population, projection = max_pool(
            self.populations[-1], label, _pair(layer.kernel_size), _pair(layer.stride), fixed=False, delay=delay
        )
        self.populations.append(Population(label, population.shape, population.neuron, onset=self._onset()))
        self.projections.append(projection)
        self.shape = population.shape

    def _onset(self) -> int | None:
        return 0 if self.order == "fire_first" else None

    def _delay(self, source: Population) -> int:
        return 0 if self.order == "fire_first" and source.neuron is None else 1

    def _name(self, name: str, kind: str) -> str:
        """The name of the layer; where a plain Sequential has a number: conv1, conv2, ..., dense1, ..., out."""
        if not name.replace("_", "").isdigit():
            return name
        return "out" if kind == "out" else f"{kind}{sum(p.name.startswith(kind) for p in self.populations) + 1}"


def _array(value: Any) -> npt.NDArray[np.float64]:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    return np.asarray(value, dtype=np.float64)


def _pair(value: Any) -> tuple[Any, Any]:
    return (value[0], value[1]) if isinstance(value, (tuple, list)) else (value, value)
