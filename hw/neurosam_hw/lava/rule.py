"""The shared rule of a neuron (network/dynamics.py) on NumPy arrays in Lava's layout, with gain and offset tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam import arithmetic
from neurosam.network import dynamics
from neurosam.network.dynamics import NeuronState, Parameters
from neurosam.network.fixed_neuron import FixedLIF, Neuron
from neurosam.network.neuron import LIF
from neurosam.network.precision import Precision

__all__ = ["Rule", "in_layout"]

Array = npt.NDArray[Any]

_real_step = dynamics.bind_reals(np.where, np.maximum, np.ceil, np.floor, np.clip)


class Rule:
    """Parameters and state of some neurons.

    Parameters
    ----------
    neuron : LIF, Readout, FixedLIF or FixedReadout
    precision : Precision, optional
        Of integer neurons.
    """

    state: NeuronState

    def __init__(self, neuron: Neuron, precision: Precision | None) -> None:
        self.neuron, self.fixed = neuron, precision is not None
        self.number = np.int64 if self.fixed else np.float64
        parameters, self.switches = dynamics.resolve(neuron, precision)
        self.parameters = Parameters(*(in_layout(value) for value in parameters))

    def restart(self, shape: tuple[int, ...]) -> None:
        """Return to the state before own step 0."""
        suffix = "_64ths" if self.fixed else ""
        zeros = np.zeros(shape, self.number)
        u, v = (zeros + in_layout(getattr(self.neuron, f"initial_{x}{suffix}")) for x in ("current", "membrane"))
        self.state = NeuronState(u, v, np.zeros(shape, np.int64), zeros, zeros)

    def step(self, a: Array, t: int) -> tuple[Array, Any, Any]:
        """Own step `t` with the sums `a`: how often each neuron fires, what saturated, what wrapped."""
        i, wrapped = self._normalised(np.asarray(a, self.number), t)
        step: Any = dynamics.step if self.fixed else _real_step
        self.state, spikes, saturated, also = step(i, self.state, self.parameters, self.switches)
        return spikes, saturated, wrapped | also

    def _normalised(self, a: Array, t: int) -> tuple[Array, Any]:
        """Input in membrane units, and where it wrapped."""
        i, wrapped = (arithmetic.arrive(a), arithmetic.wraps_arriving(a)) if self.fixed else (a, False)
        neuron = self.neuron
        if not isinstance(neuron, (LIF, FixedLIF)) or neuron.gain is None:
            return i, wrapped
        row = min(t, len(neuron.gain) - 1)
        offset: Any = neuron.offset if isinstance(neuron, LIF) else neuron.offset_64ths
        if isinstance(neuron, LIF):
            return neuron.gain[row] * i + offset[row], False
        arguments = i, neuron.gain[row], neuron.gain_shift, offset[row]
        return arithmetic.normalise(*arguments), wrapped | arithmetic.wraps_normalised(*arguments)


def in_layout(parameter: Any) -> Any:
    """A parameter as it broadcasts over Lava's layout: ``(C, H, W)`` becomes ``(W, H, C)``."""
    array = np.asarray(parameter)
    return array.transpose(2, 1, 0) if array.ndim == 3 else array
