"""What one layer of neurons of a module received and sent in a run, and what neurons of a network would have sent.

A layer's *input* is what enters its membrane in a step, or its synaptic current where it has one:

    E = gain * drive + offset + bias                   without a current
    E = gain * drive + offset + (1 - alpha) bias       with one, of leak alpha, that starts from u + bias instead of u

so that two layers can be compared whose constants are in different places: in the drive, in a table, or in the bias
(which on the membrane of a neuron with a current does what (1 - alpha) bias does in the current). A step of
:func:`simulate` is dynamics.py's, in NumPy, with the *margin* beside the spikes: how far the membrane was above the
level from which the neuron fires, before any reset.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from neurosam.network import dynamics
from neurosam.network.dynamics import NeuronState, Parameters
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import Shape, as_chw, neurons

__all__ = [
    "AnyNeuron",
    "LayerRun",
    "Simulated",
    "Trains",
    "input_of",
    "integrate",
    "of_neurons",
    "simulate",
    "without_input",
]

Reals = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
AnyNeuron = TypeVar("AnyNeuron", LIF, Readout)

_step = dynamics.bind_reals(np.where, np.maximum, np.ceil, np.floor, np.clip)


@dataclass(frozen=True, eq=False)
class LayerRun:
    r"""A layer of neurons of a module in a run of T steps over B samples.

    Parameters
    ----------
    neuron : LIF or Readout
        As a reader found it in the module.
    drive : (T, B, \*shape) array
        What the layer was given, in the module's own float64 arithmetic.
    spikes : (T, B, \*shape) array, optional
        What it sent; None for a layer that never fires.
    lag : int
        Steps by which these spikes are behind those of `neuron` (:class:`neurosam.deploy.readers.protocol.Reading`).
    module : str
        The layer's name in the module.
    summed : bool
        Whether `drive` is the sum over all steps up to a factor, ``(1, B, *shape)``: what a module without neurons at
        its end returns.
    membrane : (T, B, \*shape) array, optional
        Membrane at the end of each step, of a layer that never fires.
    """

    neuron: LIF | Readout
    drive: Reals
    spikes: npt.NDArray[Any] | None = None
    lag: int = 0
    module: str = ""
    summed: bool = False
    membrane: Reals | None = None

    @property
    def shape(self) -> Shape:
        """Shape of the layer."""
        return tuple(int(side) for side in self.drive.shape[2:])

    @property
    def sent(self) -> npt.NDArray[Any]:
        """Spikes in the time of `neuron`: without the last `lag` steps, which the run did not reach."""
        return np.zeros((0, *self.drive.shape[1:])) if self.spikes is None else self.spikes[self.lag :]

    @property
    def input(self) -> Reals:
        """E, ``[T, B, N]``."""
        return input_of(self.neuron, self.shape, self.drive)


def input_of(neuron: LIF | Readout, shape: Shape, drive: npt.NDArray[Any], normalised: bool = False) -> Reals:
    """E of a layer, ``[T, B, N]``, from its drive, or from what gain and offset have made of it."""
    steps, samples = drive.shape[:2]
    x = np.asarray(drive, np.float64).reshape(steps, samples, *as_chw(shape))
    if isinstance(neuron, LIF) and neuron.gain is not None and neuron.offset is not None and not normalised:
        rows = np.arange(steps) if len(neuron.gain) > 1 else np.zeros(steps, np.int64)
        gain, offset = (np.asarray(table)[rows][:, None, :, None, None] for table in (neuron.gain, neuron.offset))
        x = gain * x + offset
    bias = _by_channel(neuron.bias)
    x = x + (bias if neuron.current_leak is None else (1 - _by_channel(neuron.current_leak)) * bias)
    return np.asarray(x).reshape(steps, samples, neurons(shape))


def without_input(neuron: AnyNeuron) -> AnyNeuron:
    """The neuron that takes E: without the tables, and without the bias, which E holds already."""
    tables: dict[str, Any] = {"gain": None, "offset": None} if hasattr(neuron, "gain") else {}
    bare = replace(neuron, bias=0.0, **tables)
    if neuron.current_leak is None or not np.any(neuron.bias):
        return bare
    return replace(bare, initial_current=_by_channel(neuron.initial_current) + _by_channel(neuron.bias))


class Trains(NamedTuple):
    """Single neurons in single samples, K of them, with their input.

    Attributes
    ----------
    sample, neuron : (K,) int array
    input : (T, K) array
        E.
    """

    sample: Index
    neuron: Index
    input: Reals


class Simulated(NamedTuple):
    """What neurons did: spikes ``(T, K)``, and margins in the unit of the membrane; -inf in a refractory period."""

    spikes: npt.NDArray[np.int64]
    margin: Reals


def simulate(neuron: LIF, shape: Shape, trains: Trains) -> Simulated:
    """Run neurons on their input E.

    Parameters
    ----------
    neuron : LIF
        Without tables (:func:`without_input`).
    shape : tuple of int
        Of its population.
    trains : Trains

    Examples
    --------
    >>> from neurosam.deploy.checking.layer_run import Trains, simulate
    >>> one = np.zeros(1, np.int64)
    >>> neuron = ns.LIF(leak=0.5, threshold=1.0)
    >>> run = simulate(neuron, (1,), Trains(one, one, np.array([[0.75], [0.75], [0.5]])))
    >>> run.spikes.ravel(), run.margin.ravel()
    (array([0, 1, 0]), array([-0.25  ,  0.125 , -0.4375]))
    """
    resolved, o = dynamics.resolve(neuron, None)
    p = Parameters(*(of_neurons(value, shape, trains.neuron) for value in resolved))
    before_reset = o._replace(
        reset=o.reset if o.delayed else dynamics.NONE, corrected=False, bounded=False, max_spikes=1
    )
    start = (of_neurons(value, shape, trains.neuron) for value in (neuron.initial_current, neuron.initial_membrane))
    state = NeuronState(*start, *(np.zeros(trains.neuron.size, kind) for kind in (np.int64, np.float64, np.float64)))
    spikes = np.zeros(trains.input.shape, np.int64)
    margin = np.zeros(trains.input.shape)
    for t, i in enumerate(trains.input):
        level = _step(i, state, p, before_reset)[0].v
        theta = p.threshold + (p.factor_h * state.h if o.adaptive else 0.0)
        margin[t] = level - theta - (p.factor_r * state.r if o.reset == dynamics.RELATIVE else 0.0)
        if o.max_spikes > 1:  # the nearest of the levels at which the number of spikes changes
            amount = theta if o.adapted or o.reset != dynamics.SUBTRACT else p.amount
            margin[t] -= amount * np.clip(np.rint(margin[t] / amount), 0, o.max_spikes - 1)
        if o.refractory:
            margin[t][state.wait > 0] = -np.inf
        state, fired, _, _ = _step(i, state, p, o)
        spikes[t] = fired
    return Simulated(spikes, margin)


def integrate(neuron: Readout, shape: Shape, received: Reals) -> Reals:
    """Membranes of a readout at the end of each step, ``[T, B, N]``, from its input E."""
    samples, index = (axis.ravel() for axis in np.indices(received.shape[1:]))
    resolved, o = dynamics.resolve(neuron, None)
    p = Parameters(*(of_neurons(value, shape, index) for value in resolved))
    start = (of_neurons(value, shape, index) for value in (neuron.initial_current, neuron.initial_membrane))
    state = NeuronState(*start, *(np.zeros(samples.size) for _ in range(3)))
    out = np.zeros(received.shape)
    for t, i in enumerate(received):
        state = _step(i.ravel(), state, p, o)[0]
        out[t] = state.v.reshape(i.shape)
    return out


def _by_channel(value: Any) -> Any:
    """A parameter that broadcasts to ``[..., C, H, W]``."""
    array = np.asarray(value, np.float64)
    return array[:, None, None] if array.ndim == 1 else array


def of_neurons(value: Any, shape: Shape, neuron: Index) -> Reals:
    """A parameter of the neurons at these indices."""
    return np.broadcast_to(_by_channel(value), as_chw(shape)).reshape(-1)[neuron].astype(np.float64)
