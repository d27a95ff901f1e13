"""Convert a trained torch module to a network: any module, as it is.

One forward pass is recorded (tracing/steps.py): every torch function on a value that depends on the input becomes a
layer of a :class:`~neurosam.graph.Graph`, whatever module it stands in. Layers of neurons are read by the reader of
their framework (readers/protocol.py). The graph is assembled into a network (graph/assemble.py), which is run on the
recorded input: its spikes must be those of the module, neuron by neuron and step by step, or the export fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from neurosam._util.arguments import choice, integer
from neurosam.deploy.quantise import quantise
from neurosam.deploy.tracing.conformity import check_recorded
from neurosam.deploy.tracing.copies import traceable
from neurosam.deploy.tracing.drawing import Drawing, draw
from neurosam.deploy.tracing.nodes import population_shape
from neurosam.deploy.tracing.steps import Presented, Recorded, record
from neurosam.errors import ArgumentError, ExportError
from neurosam.graph.assemble import assemble
from neurosam.graph.layers import Input
from neurosam.network.network import Network
from neurosam.network.precision import Precision
from neurosam.network.synapse import Shape
from neurosam.network.trace import SamTrace
from neurosam.signals.events import CODINGS, Events, encode
from neurosam.signals.stimulus import Stimulus

__all__ = ["export", "standardised", "to_network"]

DEFAULT = Stimulus()
"""How images are encoded if nothing else is known: steps and coding."""


def export(
    module: nn.Module,
    input_shape: Shape,
    precision: Precision | str | int | None = None,
    calibration: Events | npt.NDArray[Any] | None = None,
    *,
    steps: int | None = None,
    coding: str | None = None,
    sam: SamTrace | None = None,
    magnitude: int = 1,
    input_unit: float = 1.0,
    metadata: Mapping[str, str] | None = None,
    longest_run: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    time: str = "auto",
    run: Callable[[nn.Module, Tensor], Any] | None = None,
    samples: int | None = None,
    check: bool = True,
) -> Network:
    """Convert a trained module to a network, quantised if `precision` is given.

    Parameters
    ----------
    module : nn.Module
        Any module: with neurons of neurosam, snnTorch, SpikingJelly, Norse or Sinabs, or of your own with a
        :func:`reader <neurosam.deploy.readers.protocol.register>`. It is not changed.
    input_shape : tuple of int
        ``(C, H, W)`` or ``(N,)``, without batch and time. ``(C, L)`` becomes ``(C, 1, L)`` in the network, and
        ``(C, D, H, W)`` becomes ``(C, D * H, W)``.
    precision : Precision, str or int, optional
        Fixed-point format: also a preset's name ("lava", "nxsdk"), or the bits of a weight; None keeps float64.
    calibration : Events or (B, C, H, W) images, optional
        Typical input (64 samples are enough) from which the scales of the weights are chosen; without it, all sources
        count as equally active.
    steps, coding
        How images are encoded (:func:`neurosam.signals.events.encode`), and stored in the metadata, so that later runs
        present images likewise. Default: the steps of the calibration events, or of the module's own loop over time;
        else 16, "poisson". With "direct", a network with a `precision` takes bytes as graded events:
        ``magnitude=255``, ``input_unit=1/255``.
    sam : SamTrace, optional
        Trace of every spiking population; ``SamTrace(gamma=0.5, mode="strict")`` if None.
    magnitude : int
        Largest ``|value|`` of an input event.
    input_unit : float
        Input of the module that an event of value 1 stands for (1/255 for byte images given as graded events).
    metadata : mapping of str to str, optional
        Stored in the file: class names, coding, provenance; they override `steps` and `coding` there.
    longest_run : int, optional
        In steps, if longer than twice the calibration: see ``steps`` of :func:`neurosam.quantise`, which also returns a
        report with warnings.
    mean, std : sequence of float
        Of each channel, for a module that takes standardised images ``(x - mean) / std``: the network then takes x, and
        has both in its first weights. Only with ``coding="direct"``.
    time : {"auto", "step", "first", "second", "folded", "inside"}
        What the module takes: one step ``[B, ...]`` at a time; all of them, ``[T, B, ...]``, ``[B, T, ...]`` or
        ``[B * T, ...]``; or a still input ``[B, ...]``, which its own loop presents in every step. "auto" finds out.
    run : function, optional
        ``run(module, x)``, your own loop over x of shape ``[T, B, ...]``, in place of `time`.
    samples : int, optional
        Batch size, for a module that has it inside, as in ``x.view(batch_size, -1)``.
    check : bool
        Whether to compare the spikes of the network with those of the module.

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
    precision = None if precision is None else Precision.of(precision)
    if steps is not None:
        steps = integer("export: steps", steps, 1, 2**31 - 1, ArgumentError)
    if coding is not None:
        choice("export: coding", coding, CODINGS, ArgumentError)
    events, shown = (calibration, None) if isinstance(calibration, Events) else (None, calibration)
    if events is not None and steps is None:
        steps = events.steps
    if precision is not None and shown is not None and coding is None:
        coding = DEFAULT.coding
    if coding == "direct" and precision is not None and magnitude == 1 and input_unit == 1.0:
        stimulus = replace(DEFAULT, coding=coding).in_integers()
        magnitude, input_unit = stimulus.magnitude, 1 / stimulus.magnitude
    network = to_network(
        module, input_shape, sam=sam, magnitude=magnitude, input_unit=input_unit, metadata=metadata, mean=mean, std=std,
        coding=coding or DEFAULT.coding, time=time, run=run, samples=samples, check=check,
    )  # fmt: skip
    if precision is not None and shown is not None and steps is None:
        steps = Stimulus.from_metadata({"steps": network.metadata.get("steps", str(DEFAULT.steps))}).steps
    known = _stimulus(steps, coding, magnitude)
    network = replace(network, metadata={**network.metadata, **known, **(metadata or {})})
    if precision is None:
        return network
    if shown is not None and steps is not None and coding is not None:
        images = np.asarray(shown)
        if images.shape[1:] == tuple(input_shape):
            images = images.reshape(len(images), *network.input.shape)
        events = encode(images, steps, coding, magnitude=magnitude if coding == "direct" else 1)
    return quantise(network, precision, events, steps=longest_run)[0]


def _stimulus(steps: int | None, coding: str | None, magnitude: int) -> dict[str, str]:
    """What is known of how images become events, as metadata.

    The coding "poisson_signed" goes with a mean and a standard deviation, which only the caller's metadata can tell.
    """
    if coding == "poisson_signed":
        coding = None
    direct = coding == "direct"
    stimulus = Stimulus(steps or DEFAULT.steps, coding or DEFAULT.coding, magnitude=magnitude if direct else 1)
    unknown = {name for name, value in (("steps", steps), ("coding", coding)) if value is None}
    return {name: text for name, text in stimulus.to_metadata().items() if name not in unknown}


def to_network(
    module: nn.Module,
    input_shape: Shape,
    *,
    sam: SamTrace | None = None,
    magnitude: int = 1,
    input_unit: float = 1.0,
    metadata: Mapping[str, str] | None = None,
    coding: str = "poisson",
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    time: str = "auto",
    run: Callable[[nn.Module, Tensor], Any] | None = None,
    samples: int | None = None,
    check: bool = True,
) -> Network:
    """Convert a module to a float64 network; parameters as in :func:`export`."""
    if not isinstance(module, nn.Module):
        raise ExportError("export", f"got a {type(module).__name__}; a torch.nn.Module is required")
    shape = tuple(int(side) for side in input_shape)
    if not 1 <= len(shape) <= 4 or min(shape) < 1:
        raise ExportError("export: input_shape", f"got {input_shape}; (C, H, W) or (N,) is required")
    standard = standardised(shape, coding, mean, std)
    source = Input(population_shape(shape), magnitude, input_unit)
    presented = Presented(source, shape, coding == "direct", *standard, samples)

    def convert(presented: Presented) -> tuple[Network, Recorded, Drawing]:
        recorded = record(traceable(module), presented, time=time, run=run)
        drawing = draw(recorded, chain=isinstance(module, nn.Sequential))
        loop = {"steps": str(recorded.recording.steps)} if recorded.way == "inside" else {}
        notes = {**drawing.notes, **loop, **(metadata or {})}
        return assemble(drawing.graph, sam=sam, metadata=notes), recorded, drawing

    network, recorded, drawing = convert(presented)
    if recorded.recording.read_out and convert(replace(presented, seed=1))[0] != network:
        raise ExportError(
            recorded.recording.read_out,
            "decides by values that it reads, so that the module is another one for another input; a network does the "
            "same for all",
        )
    if check:
        check_recorded(network, recorded, drawing)
    return network


def standardised(shape: Shape, coding: str, mean: Sequence[float], std: Sequence[float]) -> tuple[Any, Any]:
    """Mean and standard deviation of each channel; None if there are none."""
    if not len(mean) and not len(std):
        return None, None
    if coding != "direct":
        raise ExportError("export: mean, std", f'go with coding="direct"; {coding!r} makes spikes of intensities')
    if len(mean) != len(std) or len(mean) not in (1, shape[0]) or min(std) <= 0:
        raise ExportError(
            "export: mean, std", f"got {len(mean)} and {len(std)} values; one for each of {shape[0]} channels, std > 0"
        )
    ones = np.ones(shape[0])
    return np.asarray(mean, dtype=np.float64) * ones, np.asarray(std, dtype=np.float64) * ones
