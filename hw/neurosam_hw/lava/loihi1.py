"""A study: the spike activation map with the 7-bit post-synaptic traces of the first Loihi.

Loihi 1 keeps traces in its learning engine, not in its neurons. With the time constant ``tau = 1 / gamma`` and an
impulse q, the trace y1 of a neuron after a step is (lava-nc's LearningDense, models labelled bit_approximate_loihi)

    x  = y1 * exp(-gamma);   y1 <- floor(x) + (r < x mod 1);   y1 <- min(y1 + q, 127)  where it spiked

for every neuron in every step, with one random number r per step for all neurons. Before the impulse, y1 is q times the
neuronal contribution score, up to rounding: ``NCS = (y1 - q) / q`` where it spiked. Unlike the trace of trace.py, it
takes work in every step and rounds stochastically. Eq. 12-13 of Kim & Panda 2021, mode `strict`.

:class:`Loihi1Trace` computes it from any recorded spikes, such as those of the event back end; :func:`post_trace` is
the same in Lava. With the same seed they agree bit for bit: Lava draws r twice per step from a generator seeded with
``seed + 2``, and uses every second one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import integer, reals
from neurosam.errors import NetworkError
from neurosam.network.synapse import as_chw
from neurosam.signals.recording import Spikes

__all__ = ["Loihi1Trace", "post_trace"]

TRACE_MAX = 127


@dataclass(frozen=True)
class Loihi1Trace:
    """A post-synaptic trace of 7 bits.

    Parameters
    ----------
    gamma : float
        Decay per step, above 0.
    impulse : int
        Value of a spike and scale of the map. The trace of a neuron that always spikes must stay below 128.
    seed : int
        Seed of the stochastic rounding, 0..2^31 - 1.

    Raises
    ------
    NetworkError
        If the trace would saturate with this impulse; the message says which one is allowed.
    """

    gamma: float = 0.5
    impulse: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        reals("Loihi1Trace: gamma", self.gamma, above=0.0, ndim=(0,))
        integer("Loihi1Trace: impulse", self.impulse, 1, TRACE_MAX)
        integer("Loihi1Trace: seed", self.seed, 0, 2**31 - 1)
        if self._largest(self.impulse) > TRACE_MAX:
            maximum = max((q for q in range(1, TRACE_MAX) if self._largest(q) <= TRACE_MAX), default=0)
            raise NetworkError(
                "Loihi1Trace: impulse",
                f"got {self.impulse}; with gamma {self.gamma:g} the 7 bits hold at most {maximum}"
                if maximum
                else f"got gamma {self.gamma:g}, with which no impulse fits 7 bits",
            )

    def _largest(self, impulse: int) -> int:
        """The limit of the trace of a neuron that spikes in every step and always rounds up."""
        held = 0
        while True:
            after = math.ceil(held * math.exp(-self.gamma)) + impulse
            if after <= held or after > TRACE_MAX:
                return after
            held = after

    def after_each_step(self, spikes: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Compute the trace of each neuron after each step.

        Parameters
        ----------
        spikes : (T, ...) array of 0 and 1
            One presentation; traces start at 0.

        Returns
        -------
        int64 array of the same shape, 0..127
        """
        fired = np.asarray(spikes).astype(bool)
        draws = np.random.default_rng(self.seed + 2).random(2 * len(fired) + 1)
        keep = np.exp(-1 / (1 / self.gamma))  # computed from a time constant, as in Lava
        held = np.zeros(fired.shape[1:])
        out = np.zeros(fired.shape, dtype=np.int64)
        for t, now in enumerate(fired):
            decayed = keep * held
            held = np.floor(decayed) + (draws[2 * (t + 1)] < decayed % 1)
            held = np.minimum(held + self.impulse * now, TRACE_MAX)
            out[t] = held
        return out

    def sam(self, spikes: Spikes) -> npt.NDArray[np.int64]:
        """Compute the spike activation map ``(T, B, H, W)``; divided by `impulse` it is in units of the float trace.

        Every sample is a separate presentation, with the same random numbers.
        """
        dense = spikes.dense()
        pixels = as_chw(spikes.shape)
        out = np.zeros((*dense.shape[:2], *pixels[1:]), dtype=np.int64)
        for b in range(dense.shape[1]):
            fired = dense[:, b].reshape(-1, *pixels).astype(np.int64)
            out[:, b] = ((self.after_each_step(fired) - self.impulse) * fired).sum(axis=1)
        return out


def post_trace(size: int, trace: Loihi1Trace) -> Any:
    """Create Lava's Process that holds the traces of `size` neurons: connect their spikes to ``s_in_bap``, read ``y1``.

    It is a LearningDense with a single silent source, whose learning rule uses y1 but changes nothing. Its ``s_in``
    must be connected to a sender.
    """
    from lava.magma.core.learning.learning_rule import Loihi2FLearningRule
    from lava.proc.dense.process import LearningDense

    rule = Loihi2FLearningRule(
        dw="0 * x0 * y1", y1_impulse=trace.impulse, y1_tau=1 / trace.gamma, t_epoch=1, rng_seed=trace.seed
    )
    return LearningDense(weights=np.zeros((size, 1)), learning_rule=rule, name="y1")
