"""Parameters of float neurons: the leaky integrate-and-fire neuron with all its options, and the readout.

One step of :class:`LIF` (``i`` is the sum of weighted events of the step, after optional gain and offset):

    u <- current_leak * u + i        v <- leak * v + u + bias        (without a current: u = i)
    h <- threshold_leak * h          r <- relative_leak * r
    s = v - r > threshold + h        (fires="at": >=;  max_spikes > 1: how often the reset amount can be subtracted)
    v <- 0  ("zero"),  reset_value  ("value"),  v - s * reset_amount  ("subtract")
    r <- r + 2 s (threshold + h)  ("relative"),  h <- h + s * threshold_step,  v <- max(v, lower_bound)

and, with ``refractory=R``, a membrane that stays where it is for R steps after a spike. dynamics.py composes these
options, for floats and integers alike. What published rules they equal:

- ``reset="subtract"`` with a reset amount of ``threshold / leak``: Eq. 2 of Kim & Panda 2021, which subtracts after
  the leak; ``reset_timing="next"`` subtracts in the next step: snnTorch's default. ``reset_timing="both"`` is its
  ``reset_delay=False``: a membrane that is still above the threshold after a reset fires only above twice of it.
- ``threshold_leak = rho``, ``threshold_step = beta (1 - rho) / rho``: the adaptive LIF of Bellec et al. 2018 (the rise
  decays before it is used).
- ``reset="relative"`` with a threshold leak and step and ``fires="at"``: Lava's ATRLIF.
- ``refractory`` with ``reset="zero"``: Lava's LIFRefractory.
- ``max_spikes``, ``lower_bound``, ``fires="at"``: Sinabs' LIF with multiple spikes; Xylo.

``leak`` is the retained fraction (lambda in the paper). Parameters are scalars, one value per channel ``(C,)`` or one
per neuron ``(C, H, W)``; arrays that are constant are folded to the smaller form. ``gain`` and ``offset`` are tables
``(steps, C)`` or ``(steps, 1)``: row ``t`` acts at the population's own step ``t`` (batch norm through time); a table
of one row acts at every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import choice, integer
from neurosam._util.describing import one_line
from neurosam.network.parameters import (
    COMPARISONS,
    MAX_REFRACTORY,
    MAX_SPIKES,
    RESETS,
    TIMINGS,
    check_composition,
    check_tables,
    optional_reals,
    per_neuron_reals,
    put,
)

__all__ = ["LIF", "Readout"]

Real: TypeAlias = float | npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LIF:
    """Leaky integrate-and-fire neuron of a float network.

    Every parameter called "array" is a scalar, ``(C,)`` or ``(C, H, W)``.

    Parameters
    ----------
    leak : float or array
        Retained fraction of the membrane, in [0, 1].
    threshold : float or array
        Above 0.
    reset : {"subtract", "zero", "value", "none", "relative"}
        What a spike does to the membrane. "relative" leaves it, and raises the bar by a decaying ``r`` instead.
    reset_amount : float or array, optional
        Subtracted at a spike, above 0; the threshold if None (an adaptive one as it has risen). Only with "subtract".
    bias : float or array
        Added to the membrane in every step.
    current_leak : float or array, optional
        Retained fraction of the synaptic current, in [0, 1]; None for a neuron without one.
    gain, offset : (steps, C) or (steps, 1) array, optional
        ``i <- gain[t] * i + offset[t]``.
    fires : {"above", "at"}
        Whether a membrane equal to the threshold fires: "at" is the rule of SpikingJelly, Sinabs and Rockpool.
    reset_value : float or array, optional
        Membrane after a spike. Only with "value", and required there.
    reset_timing : {"now", "next", "both"}
        When a spike resets: in its own step; in the next one, before its leak ("subtract": after its input), where the
        membrane then decides whether there was a spike; or in both as far as that differs ("subtract" alone: in its
        own step the amount times the spike, less what this step subtracted for the last one).
    lower_bound : float or array, optional
        The membrane is never below it at the end of a step, <= 0.
    refractory : int
        Steps after a spike in which the membrane is held and cannot fire, 0..4096.
    threshold_leak, threshold_step : float or array, optional
        Adaptive threshold: its rise ``h`` retains `threshold_leak` per step and grows by `threshold_step` at a spike.
    relative_leak : float or array, optional
        Retained fraction of ``r``. Only with "relative", and required there.
    max_spikes : int
        Most spikes per step, 1..2^23 - 1; more than one travel as one graded event. Needs "subtract" or "zero".
    initial_membrane, initial_current : float or array
        State before the first step.

    Raises
    ------
    NetworkError
        For a value outside its range, NaN or infinity, and options that exclude each other.

    Examples
    --------
    A membrane that keeps 90 % per step and is reset by subtraction, and one with a threshold per channel:

    >>> ns.LIF(leak=0.9, threshold=1.0).reset_amount
    array(1.)
    >>> ns.LIF(leak=0.9, threshold=[1.0, 2.0], reset="zero").threshold
    array([1., 2.])

    SpikingJelly's ``LIFNode(tau=2.0, v_reset=-0.5)`` behind weights divided by tau:

    >>> hard = {"reset": "value", "reset_value": -0.5, "initial_membrane": -0.5, "bias": -0.25}
    >>> ns.LIF(leak=0.5, threshold=1.0, fires="at", **hard).reset_value
    array(-0.5)
    """

    leak: Real
    threshold: Real
    reset: str = "subtract"
    reset_amount: Real | None = None
    bias: Real = 0.0
    current_leak: Real | None = None
    gain: npt.NDArray[np.float64] | None = None
    offset: npt.NDArray[np.float64] | None = None
    fires: str = "above"
    reset_value: Real | None = None
    reset_timing: str = "now"
    lower_bound: Real | None = None
    refractory: int = 0
    threshold_leak: Real | None = None
    threshold_step: Real | None = None
    relative_leak: Real | None = None
    max_spikes: int = 1
    initial_membrane: Real = 0.0
    initial_current: Real = 0.0

    def __post_init__(self) -> None:
        choice("LIF: reset", self.reset, RESETS)
        choice("LIF: fires", self.fires, COMPARISONS)
        choice("LIF: reset_timing", self.reset_timing, TIMINGS)
        requested = self.reset_amount
        if self.reset == "subtract" and requested is None and self.threshold_leak is None:
            requested = self.threshold
        fraction: dict[str, Any] = {"low": 0.0, "high": 1.0}
        put(
            self,
            leak=per_neuron_reals("LIF: leak", self.leak, **fraction),
            threshold=per_neuron_reals("LIF: threshold", self.threshold, above=0.0),
            reset_amount=optional_reals("LIF: reset_amount", requested, above=0.0),
            bias=per_neuron_reals("LIF: bias", self.bias),
            current_leak=optional_reals("LIF: current_leak", self.current_leak, **fraction),
            gain=optional_reals("LIF: gain", self.gain, ndim=(2,)),
            offset=optional_reals("LIF: offset", self.offset, ndim=(2,)),
            reset_value=optional_reals("LIF: reset_value", self.reset_value),
            lower_bound=optional_reals("LIF: lower_bound", self.lower_bound, high=0.0),
            refractory=integer("LIF: refractory", self.refractory, 0, MAX_REFRACTORY),
            threshold_leak=optional_reals("LIF: threshold_leak", self.threshold_leak, **fraction),
            threshold_step=optional_reals("LIF: threshold_step", self.threshold_step, low=0.0),
            relative_leak=optional_reals("LIF: relative_leak", self.relative_leak, **fraction),
            max_spikes=integer("LIF: max_spikes", self.max_spikes, 1, MAX_SPIKES),
            initial_membrane=per_neuron_reals("LIF: initial_membrane", self.initial_membrane),
            initial_current=per_neuron_reals("LIF: initial_current", self.initial_current),
        )
        check_tables(self.gain, self.offset)
        check_composition(
            self, amount="reset_amount", value="reset_value", relative="relative_leak",
            adaptation=("threshold_leak", "threshold_step"), current="current_leak", initial="initial_current",
        )  # fmt: skip

    def __repr__(self) -> str:
        return one_line(self)


@dataclass(frozen=True, eq=False)
class Readout:
    """A float neuron that integrates and never fires: its membrane is the answer.

    Parameters
    ----------
    bias : float or array
        Added to the membrane in every step; a scalar, ``(C,)`` or ``(C, H, W)``, as all that follow.
    leak : float or array
        Retained fraction of the membrane, in [0, 1].
    current_leak : float or array, optional
        Retained fraction of the synaptic current; None for a readout without one.
    initial_membrane, initial_current : float or array
        State before the first step.

    Examples
    --------
    >>> ns.Readout(bias=[0.25, -0.25]).bias
    array([ 0.25, -0.25])
    >>> ns.Readout(leak=0.9).leak
    array(0.9)
    """

    bias: Real = 0.0
    leak: Real = 1.0
    current_leak: Real | None = None
    initial_membrane: Real = 0.0
    initial_current: Real = 0.0

    def __post_init__(self) -> None:
        put(
            self,
            bias=per_neuron_reals("Readout: bias", self.bias),
            leak=per_neuron_reals("Readout: leak", self.leak, low=0.0, high=1.0),
            current_leak=optional_reals("Readout: current_leak", self.current_leak, low=0.0, high=1.0),
            initial_membrane=per_neuron_reals("Readout: initial_membrane", self.initial_membrane),
            initial_current=per_neuron_reals("Readout: initial_current", self.initial_current),
        )
        check_composition(self, current="current_leak", initial="initial_current")

    def __repr__(self) -> str:
        return one_line(self)
