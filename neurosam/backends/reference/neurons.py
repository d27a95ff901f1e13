"""Neurons and SAM traces of one population as torch tensors: state in, one step, spikes out.

States are ``[samples, channels, pixels]``; parameters broadcast as ``[channels, 1]``. The integer rule is
arithmetic.py itself, on int64 tensors; the float rule is that of neuron.py, in the order written there. A readout is a
neuron that keeps everything and has no threshold. A trace (trace.py) holds the decayed impulses, the step of the last
spike and the number of spikes, and changes only at spikes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from neurosam import arithmetic
from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS
from neurosam.network.neuron import LIF, FixedLIF, FixedReadout, Readout
from neurosam.network.precision import Precision
from neurosam.network.trace import FixedSamTrace, SamTrace

__all__ = ["FixedNeurons", "FloatNeurons", "Traces"]


class FixedNeurons:
    """Integer neurons.

    Parameters
    ----------
    neuron : FixedLIF or FixedReadout
    precision : Precision
    size : tuple of int
        (samples, channels, pixels).
    device : torch.device

    Attributes
    ----------
    u, v : int64 tensor of `size`
        Synaptic current and membrane after the last step, in membrane units.
    """

    def __init__(
        self, neuron: FixedLIF | FixedReadout, precision: Precision, size: tuple[int, int, int], device: torch.device
    ) -> None:
        self.u = torch.zeros(size, dtype=torch.int64, device=device)
        self.v = torch.zeros_like(self.u)
        bias = np.asarray(neuron.bias_mantissa)
        self._bias = _column(arithmetic.shift_by(bias, neuron.bias_exponent), device)
        self._factor_u: Any = 0
        self._factor_v: Any = DECAY_ONE
        self._threshold: torch.Tensor | None = None
        self._amount: torch.Tensor | None = None
        self._tables: tuple[torch.Tensor, torch.Tensor] | None = None
        self._shift = 0
        self._holds_current = False
        if isinstance(neuron, FixedReadout):
            return
        if neuron.current_decay is not None:
            decay = np.asarray(neuron.current_decay) + precision.current_decay_offset
            self._factor_u = _column(DECAY_ONE - decay, device)
            self._holds_current = True
        decay = np.asarray(neuron.membrane_decay) + precision.membrane_decay_offset
        self._factor_v = _column(DECAY_ONE - decay, device)
        self._threshold = _column(np.asarray(neuron.threshold) << FRACTION_BITS, device)
        if neuron.reset_amount is not None:
            self._amount = _column(neuron.reset_amount, device)
        if neuron.gain is not None and neuron.offset is not None:
            self._tables = _rows(neuron.gain, device), _rows(neuron.offset, device)
            self._shift = neuron.gain_shift

    def step(self, a: torch.Tensor, t: int) -> torch.Tensor:
        """Advance to own step `t` with the sums `a` (int64); returns the spikes (bool)."""
        i = arithmetic.arrive(a)
        if self._tables is not None:
            gain, offset = self._tables
            i = arithmetic.normalise(i, gain[t], self._shift, offset[t])
        self.u = arithmetic.current(self.u if self._holds_current else 0, i, self._factor_u)
        self.v = arithmetic.membrane(self.v, self.u, self._factor_v, self._bias)
        if self._threshold is None:
            return torch.zeros_like(self.v, dtype=torch.bool)
        s: torch.Tensor = arithmetic.fire(self.v, self._threshold)
        if self._amount is None:
            self.v = arithmetic.reset_to_zero(self.v, s)
        else:
            self.v = arithmetic.reset_by_subtraction(self.v, s, self._amount)
        return s


class FloatNeurons:
    """Float neurons: parameters and attributes of :class:`FixedNeurons`, with states of `dtype`."""

    def __init__(
        self, neuron: LIF | Readout, size: tuple[int, int, int], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.u = torch.zeros(size, dtype=dtype, device=device)
        self.v = torch.zeros_like(self.u)
        self._bias = _column(neuron.bias, device, dtype)
        self._leak_u: torch.Tensor | None = None
        self._leak: Any = 1.0
        self._threshold: torch.Tensor | None = None
        self._amount: torch.Tensor | None = None
        self._tables: tuple[torch.Tensor, torch.Tensor] | None = None
        if isinstance(neuron, Readout):
            return
        if neuron.current_leak is not None:
            self._leak_u = _column(neuron.current_leak, device, dtype)
        self._leak = _column(neuron.leak, device, dtype)
        self._threshold = _column(neuron.threshold, device, dtype)
        if neuron.reset_amount is not None:
            self._amount = _column(neuron.reset_amount, device, dtype)
        if neuron.gain is not None and neuron.offset is not None:
            self._tables = _rows(neuron.gain, device, dtype), _rows(neuron.offset, device, dtype)

    def step(self, i: torch.Tensor, t: int) -> torch.Tensor:
        """Advance to own step `t` with the sums `i`; returns the spikes (bool)."""
        if self._tables is not None:
            gain, offset = self._tables
            i = gain[t] * i + offset[t]
        self.u = i if self._leak_u is None else self._leak_u * self.u + i
        self.v = (self._leak * self.v + self.u) + self._bias
        if self._threshold is None:
            return torch.zeros_like(self.v, dtype=torch.bool)
        s = self.v > self._threshold
        self.v = torch.where(s, 0.0 if self._amount is None else self.v - self._amount, self.v)
        return s


class Traces:
    """SAM traces of one population.

    Parameters
    ----------
    trace : SamTrace or FixedSamTrace
    size : tuple of int
        (samples, channels, pixels).
    steps : int
        Length of the run; no two spikes are further apart.
    device : torch.device
    """

    def __init__(
        self, trace: SamTrace | FixedSamTrace, size: tuple[int, int, int], steps: int, device: torch.device
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
        self._trace = torch.zeros(size, dtype=self._kernel.dtype, device=device)
        self._last = torch.zeros(size, dtype=torch.int64, device=device)
        self._count = torch.zeros_like(self._trace)  # of the same dtype: torch multiplies int64 by 1.0 in float32

    def step(self, s: torch.Tensor, t: int) -> torch.Tensor:
        """The map of own step `t`, ``[samples, pixels]``: the scores of the spikes `s`, summed over channels."""
        decayed = self._decay(self._trace, self._kernel[t - self._last])
        self._trace = torch.where(s, decayed + self._impulse, self._trace)
        self._last = torch.where(s, t, self._last)
        self._count = self._count + s
        score = decayed
        if self._mode != "strict":
            score = score + self._impulse
        if self._mode == "official":
            silent = (t + 1 - self._count) * self._impulse
            score = score + self._decay(silent, self._kernel[t])
        return torch.where(s, score, 0).sum(dim=1)

    def _decay(self, x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        decayed: torch.Tensor = x * kernel if self._shift is None else arithmetic.contribution(x, kernel, self._shift)
        return decayed


def _column(parameter: Any, device: torch.device, dtype: torch.dtype = torch.int64) -> torch.Tensor:
    """A parameter as ``[channels, 1]`` or ``[1, 1]``."""
    return torch.tensor(np.asarray(parameter), dtype=dtype, device=device).reshape(-1, 1)


def _rows(table: Any, device: torch.device, dtype: torch.dtype = torch.int64) -> torch.Tensor:
    """A table ``(steps, C)`` as ``[steps, channels, 1]``."""
    return torch.tensor(np.asarray(table), dtype=dtype, device=device).unsqueeze(-1)
