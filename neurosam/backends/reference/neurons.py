"""Neurons and SAM traces of one population as torch tensors: state in, one step, spikes out.

States are ``[samples, channels, pixels]``; parameters broadcast as ``[channels, 1]`` or ``[channels, pixels]``. A step
is that of network/dynamics.py: as it stands on int64 tensors, and bound to float primitives otherwise. A trace
(trace.py) holds the decayed impulses, the step of the last spike and the number of steps with spikes, and changes only
at spikes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from neurosam import arithmetic
from neurosam.network import dynamics
from neurosam.network.dynamics import NeuronState, Parameters
from neurosam.network.fixed_neuron import FixedLIF, Neuron
from neurosam.network.neuron import LIF
from neurosam.network.precision import Precision
from neurosam.network.trace import FixedSamTrace, SamTrace

__all__ = ["Neurons", "Traces"]

Held = Mapping[str, npt.NDArray[Any]]

_real_step = dynamics.bind_reals(torch.where, torch.maximum, torch.ceil, torch.floor, torch.clamp)
"""A step of floats: neuron.py's rule, in the order written there."""


class Neurons:
    r"""The neurons of a population.

    Parameters
    ----------
    neuron : LIF, Readout, FixedLIF or FixedReadout
    precision : Precision, optional
        Of integer neurons.
    held : mapping of str to (samples, \\*shape) array
        The state before the first step, by variable (signals/state.py).
    size : tuple of int
        (samples, channels, pixels).
    device : torch.device
    dtype : torch.dtype
        Of float neurons.

    Attributes
    ----------
    state : NeuronState of tensors of `size`
    saturated, wrapped : (samples,) int64 tensor
        Neuron-steps in which a membrane was clipped, and in which a sum wrapped, so far.
    """

    def __init__(
        self, neuron: Neuron, precision: Precision | None, held: Held, size: tuple[int, int, int],
        device: torch.device, dtype: torch.dtype,
    ) -> None:  # fmt: skip
        self._fixed = precision is not None
        number = torch.int64 if self._fixed else dtype
        parameters, self._switches = dynamics.resolve(neuron, precision)
        self._p = Parameters(*(_column(value, device, number) for value in parameters))
        self.saturated = torch.zeros(size[0], dtype=torch.int64, device=device)
        self.wrapped = torch.zeros_like(self.saturated)
        zeros = torch.zeros(size, dtype=number, device=device)

        def variable(name: str, kind: torch.dtype) -> torch.Tensor:
            if name not in held:
                return zeros.to(kind)
            return torch.tensor(held[name], dtype=kind, device=device).reshape(size)

        self.state = NeuronState(*(variable(n, torch.int64 if n == "wait" else number) for n in NeuronState._fields))
        self._tables: tuple[torch.Tensor, torch.Tensor] | None = None
        self._shift = 0
        if isinstance(neuron, (LIF, FixedLIF)) and neuron.gain is not None:
            offset = neuron.offset if isinstance(neuron, LIF) else neuron.offset_64ths
            self._shift = 0 if isinstance(neuron, LIF) else neuron.gain_shift
            self._tables = _rows(neuron.gain, device, number), _rows(offset, device, number)

    def step(self, a: torch.Tensor, row: int) -> torch.Tensor:
        """Advance with the sums `a`, by row `row` of the tables; returns the spikes (bool, or numbers of spikes)."""
        i, wrapped = self._normalised(a, row)
        rule: Any = dynamics.step if self._fixed else _real_step
        self.state, s, saturated, also = rule(i, self.state, self._p, self._switches)
        if self._fixed:
            self.saturated += saturated.flatten(1).sum(dim=1)
            self.wrapped += (wrapped | also).flatten(1).sum(dim=1)
        spikes: torch.Tensor = s
        return spikes if self._switches.max_spikes == 1 else spikes.to(torch.int64)

    def _normalised(self, a: torch.Tensor, row: int) -> tuple[torch.Tensor, Any]:
        """Input in membrane units, and where it wrapped."""
        if not self._fixed:
            if self._tables is None:
                return a, False
            gain, offset = self._tables
            return gain[row] * a + offset[row], False
        i, wrapped = arithmetic.arrive(a), arithmetic.wraps_arriving(a)
        if self._tables is None:
            return i, wrapped
        gain, offset = self._tables
        wrapped = wrapped | arithmetic.wraps_normalised(i, gain[row], self._shift, offset[row])
        return arithmetic.normalise(i, gain[row], self._shift, offset[row]), wrapped


class Traces:
    r"""SAM traces of one population.

    Parameters
    ----------
    trace : SamTrace or FixedSamTrace
    held : mapping of str to (samples, \\*shape) array
        The traces before the first step (signals/state.py).
    size : tuple of int
        (samples, channels, pixels).
    steps : int
        Own step at which the run ends; no two spikes are further apart.
    device : torch.device

    Attributes
    ----------
    trace, last, fired : tensor of `size`
        Decayed impulses, own step of the last spike, steps with spikes.
    """

    def __init__(
        self, trace: SamTrace | FixedSamTrace, held: Held, size: tuple[int, int, int], steps: int, device: torch.device
    ) -> None:
        self._mode = trace.mode
        self._shift: int | None = None
        self._impulse: int | float = 1.0
        age = np.arange(steps + 1)
        if isinstance(trace, FixedSamTrace):
            self._shift, self._impulse = trace.shift, trace.impulse
            kernel = trace.table[np.minimum(age, trace.table.size - 1)]
        else:
            kernel = np.exp(-trace.gamma * age)
        self._kernel = torch.tensor(kernel, device=device)
        number = self._kernel.dtype
        self.trace, self.last = (
            torch.tensor(held[name], dtype=kind, device=device).reshape(size)
            for name, kind in (("trace", number), ("last", torch.int64))
        )
        fired = held.get("fired", np.zeros(size))
        self.fired = torch.tensor(fired, dtype=number, device=device).reshape(size)  # int64 times 1.0 would be float32

    def step(self, s: torch.Tensor, t: int) -> torch.Tensor:
        """The map of own step `t`, ``[samples, pixels]``: the scores of the spikes `s`, summed over channels."""
        fires, s = s > 0, s.to(self.trace.dtype)
        decayed = self._decay(self.trace, self._kernel[t - self.last])
        left = decayed + s * self._impulse
        self.trace = torch.where(fires, left, self.trace)
        self.last = torch.where(fires, t, self.last)
        self.fired = self.fired + fires
        score = decayed if self._mode == "strict" else left
        if self._mode == "official":
            silent = (t + 1 - self.fired) * self._impulse
            score = score + self._decay(silent, self._kernel[t])
        return torch.where(fires, s * score, 0).sum(dim=1)

    def _decay(self, x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        decayed: torch.Tensor = x * kernel if self._shift is None else arithmetic.contribution(x, kernel, self._shift)
        return decayed


def _column(parameter: Any, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """A parameter as ``[1, 1]``, ``[channels, 1]`` or ``[channels, pixels]``."""
    tensor = torch.tensor(np.asarray(parameter), dtype=dtype, device=device)
    return tensor.flatten(1) if tensor.ndim == 3 else tensor.reshape(-1, 1)


def _rows(table: Any, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """A table ``(steps, C)`` as ``[steps, channels, 1]``."""
    return torch.tensor(np.asarray(table), dtype=dtype, device=device).unsqueeze(-1)
