"""Is a network the same as the module that it was exported from: both run, and every layer is compared step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from neurosam.deploy.checking.check_layers import check_layers
from neurosam.deploy.checking.explain_difference import ROUNDING
from neurosam.deploy.checking.layer_run import LayerRun
from neurosam.deploy.checking.module_run import run_module
from neurosam.deploy.checking.result import ExportCheck
from neurosam.deploy.from_torch import standardised
from neurosam.errors import EventError
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.stimulus import Stimulus

__all__ = ["check_export"]


def check_export(
    module: nn.Module,
    network: Network,
    inputs: Events | npt.NDArray[Any],
    *,
    input_unit: float | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    time: str = "auto",
    run: Callable[[nn.Module, Tensor], Any] | None = None,
    layers: Mapping[str, str] | None = None,
) -> ExportCheck:
    """Run a module and the network that was exported from it, compare them layer by layer, and explain differences.

    Parameters
    ----------
    module : nn.Module
        The original, of any framework that :func:`neurosam.export` reads. It is not changed; a float64 copy runs.
    network : Network
        Exported from it, or made in another way: by hand, through NIR. In float every spike should be equal; of a
        quantised network the agreement is measured.
    inputs : Events or (T, B, ...) array
        A few samples are enough. An array is the module's own input; events are the network's.
    input_unit : float, optional
        Input of the module that an event of value 1 stands for, as in the export; if None, what the network's metadata
        say of direct coding, or 1.
    mean, std : sequence of float
        Of each channel, if the module takes standardised input, as in the export: `inputs` are then what they are
        before that.
    time, run
        How the module is called: see :func:`neurosam.export`.
    layers : mapping of str to str, optional
        Population of each layer that an export would name otherwise: ``{"features.1": "conv1"}``. Without it, layers
        whose names the network does not have are matched in order, if their number and sizes are the same.

    Returns
    -------
    ExportCheck
        Prints as a few lines; ``table()`` and ``to_dict()`` for the terminal and JSON.

    Raises
    ------
    ExportError
        If the module cannot be run, or its layers are not those of the network.
    EventError
        If the input does not fit the network.

    Examples
    --------
    >>> import torch
    >>> from neurosam import training
    >>> module = training.build("4C3-P2-D10", (1, 8, 8)).eval()
    >>> spikes = ns.encode(np.random.default_rng(0).integers(0, 256, (2, 1, 8, 8), np.uint8), steps=10)
    >>> print(ns.check_export(module, ns.export(module, (1, 8, 8)), spikes))
    the same network
    2 sample(s), 10 steps

    With another leak, the layer and the reason are named:

    >>> other = training.build("4C3-P2-D10", (1, 8, 8), leak=0.75).eval()
    >>> _ = other.load_state_dict(module.state_dict())
    >>> result = ns.check_export(module, ns.export(other, (1, 8, 8)), spikes)
    >>> print(result.explanations[0])
    conv1: parameter: leak 0.9 in the module, 0.75 in the network
    """
    unit = 1 / Stimulus.from_metadata(network.metadata).magnitude if input_unit is None else input_unit
    if isinstance(inputs, Events):
        x, events = inputs.dense().astype(np.float64) * unit, inputs
    else:
        x = np.asarray(inputs, np.float64)
        if x.ndim < 3:
            raise EventError("check_export: inputs", f"got an array of shape {x.shape}; [T, B, ...] is required")
        events = _events(network, x / unit)
    means, deviations = standardised(x.shape[2:], "direct", mean, std)
    runs = run_module(module, x, time=time, run=run, mean=means, std=deviations)
    return check_layers(network, _matched(network, runs, layers or {}), Inputs.of(network, events))


def _matched(network: Network, runs: dict[str, LayerRun], layers: Mapping[str, str]) -> dict[str, LayerRun]:
    """What the layers did, by population."""
    named = {layers.get(run.module, layers.get(name, name)): run for name, run in runs.items()}
    names = {p.name for p in network.populations}
    if layers or names.issuperset(named):
        return named
    matched: dict[str, LayerRun] = {}
    for fires in (True, False):
        theirs = [run for run in runs.values() if (run.spikes is not None) == fires]
        ours = [network[name] for group in network.groups for name in group]
        ours = [p for p in ours if p.neuron is not None and p.fires == fires]
        if [neurons(run.shape) for run in theirs] != [neurons(p.shape) for p in ours]:
            return named
        matched |= {p.name: run for p, run in zip(ours, theirs, strict=True)}
    return matched


def _events(network: Network, x: npt.NDArray[np.float64]) -> Events:
    """A module's input as events of the network's shape: integers where they are ones, but for rounding."""
    whole = np.rint(x)
    x = whole if (np.abs(x - whole) <= ROUNDING * np.maximum(1, np.abs(x))).all() else x
    shape = network.input.shape
    if x[0, 0].size != neurons(shape):
        raise EventError("check_export: inputs", f"have shape {x.shape[2:]}; the network's input has {shape}")
    return Events.from_dense(x.reshape(*x.shape[:2], *shape))
