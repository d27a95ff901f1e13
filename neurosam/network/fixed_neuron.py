"""Parameters of integer neurons: neuron.py's two in Loihi's integers (arithmetic.py, dynamics.py).

Weights and thresholds are counted in the population's unit. Membranes and currents have 6 fractional bits more, so a
parameter that is added to one of them, or replaces it, is counted in 64ths of that unit: the names of these parameters
end in ``_64ths``. ``membrane_decay`` is ``4096 * (1 - leak)``, and so are the other decays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import choice, integer
from neurosam._util.describing import one_line
from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS, STATE_MAX
from neurosam.network.neuron import LIF, Readout
from neurosam.network.parameters import (
    COMPARISONS,
    MAX_REFRACTORY,
    MAX_SPIKES,
    RESETS,
    TIMINGS,
    check_composition,
    check_tables,
    optional_integers,
    per_neuron_integers,
    put,
)

__all__ = ["BIAS_HIGH", "BIAS_LOW", "GAIN_LIMIT", "THRESHOLD_MAX", "FixedLIF", "FixedReadout", "Neuron"]

THRESHOLD_MAX = 2**17 - 1
BIAS_LOW, BIAS_HIGH = -(2**12), 2**12 - 1
DECAY_LOW, DECAY_HIGH = -1, DECAY_ONE
GAIN_LIMIT = 2**15
STATE = (-STATE_MAX, STATE_MAX)
DECAY = (DECAY_LOW, DECAY_HIGH)

Integer: TypeAlias = int | npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FixedLIF:
    """Leaky integrate-and-fire neuron in Loihi's integers (arithmetic.py).

    Every parameter called "array" is an integer, or integers ``(C,)`` or ``(C, H, W)``.

    Parameters
    ----------
    membrane_decay : int or array
        12-bit decay, ``4096 * (1 - leak)``; 0 keeps everything, 4096 forgets everything (both shifted by the
        precision's offset).
    threshold : int or array
        Mantissa in 1..131071, in the unit of the weights; compared as ``threshold * 2^6``.
    reset : {"subtract", "zero", "value", "none", "relative"}
        See :class:`LIF`.
    reset_amount_64ths : int or array, optional
        Subtracted at a spike, 1..2^23 - 1; the threshold if None (an adaptive one as it has risen). Only with
        "subtract".
    bias_mantissa : int or array
        13-bit signed, -4096..4095.
    bias_exponent : int
        0..7; the bias is ``mantissa * 2^exponent`` 64ths, so 6 gives weight units.
    current_decay : int or array, optional
        12-bit decay of the synaptic current; None for a neuron without one.
    gain : (steps, C) or (steps, 1) int array, optional
        16-bit signed multiplier, see `gain_shift`.
    gain_shift : int
        0..30; ``i <- floor(i * gain[t] / 2^gain_shift) + offset_64ths[t]``.
    offset_64ths : (steps, C) or (steps, 1) int array, optional
        Within +-(2^23 - 1).
    fires : {"above", "at"}
        Whether a membrane equal to the threshold fires.
    reset_value_64ths : int or array, optional
        Membrane after a spike. Only with "value", and required there.
    reset_timing : {"now", "next", "both"}
        See :class:`LIF`.
    lower_bound_64ths : int or array, optional
        The membrane is never below it, <= 0.
    refractory : int
        Steps after a spike in which the membrane is held, 0..4096.
    threshold_decay, threshold_step_64ths : int or array, optional
        Adaptive threshold: decay 0..4096 of its rise, and what a spike adds to it.
    relative_decay : int or array, optional
        Decay 0..4096 of the relative reset. Only with "relative", and required there.
    max_spikes : int
        Most spikes per step, 1..2^23 - 1.
    initial_membrane_64ths, initial_current_64ths : int or array
        State before the first step.

    Raises
    ------
    NetworkError
        For a value that is outside its range or not an integer, and options that exclude each other.

    Examples
    --------
    The float neuron ``LIF(leak=0.9, threshold=1.0, reset="zero")`` where a weight of 1.0 has the mantissa 64:

    >>> neuron = ns.FixedLIF(membrane_decay=410, threshold=64, reset="zero")
    >>> f"{1 - neuron.membrane_decay / 4096:.4f}"
    '0.8999'
    >>> ns.FixedLIF(membrane_decay=410, threshold=64).reset_amount_64ths
    array(4096)
    """

    membrane_decay: Integer
    threshold: Integer
    reset: str = "subtract"
    reset_amount_64ths: Integer | None = None
    bias_mantissa: Integer = 0
    bias_exponent: int = FRACTION_BITS
    current_decay: Integer | None = None
    gain: npt.NDArray[np.int64] | None = None
    gain_shift: int = 0
    offset_64ths: npt.NDArray[np.int64] | None = None
    fires: str = "above"
    reset_value_64ths: Integer | None = None
    reset_timing: str = "now"
    lower_bound_64ths: Integer | None = None
    refractory: int = 0
    threshold_decay: Integer | None = None
    threshold_step_64ths: Integer | None = None
    relative_decay: Integer | None = None
    max_spikes: int = 1
    initial_membrane_64ths: Integer = 0
    initial_current_64ths: Integer = 0

    def __post_init__(self) -> None:
        choice("FixedLIF: reset", self.reset, RESETS)
        choice("FixedLIF: fires", self.fires, COMPARISONS)
        choice("FixedLIF: reset_timing", self.reset_timing, TIMINGS)
        threshold = per_neuron_integers("FixedLIF: threshold", self.threshold, 1, THRESHOLD_MAX)
        requested = self.reset_amount_64ths
        if self.reset == "subtract" and requested is None and self.threshold_decay is None:
            requested = threshold << FRACTION_BITS
        put(
            self,
            membrane_decay=per_neuron_integers("FixedLIF: membrane_decay", self.membrane_decay, *DECAY),
            threshold=threshold,
            reset_amount_64ths=optional_integers("FixedLIF: reset_amount_64ths", requested, 1, STATE_MAX),
            bias_mantissa=per_neuron_integers("FixedLIF: bias_mantissa", self.bias_mantissa, BIAS_LOW, BIAS_HIGH),
            bias_exponent=integer("FixedLIF: bias_exponent", self.bias_exponent, 0, 7),
            current_decay=optional_integers("FixedLIF: current_decay", self.current_decay, *DECAY),
            gain=optional_integers("FixedLIF: gain", self.gain, -GAIN_LIMIT, GAIN_LIMIT - 1, ndim=(2,)),
            gain_shift=integer("FixedLIF: gain_shift", self.gain_shift, 0, 30),
            offset_64ths=optional_integers("FixedLIF: offset_64ths", self.offset_64ths, *STATE, ndim=(2,)),
            reset_value_64ths=optional_integers("FixedLIF: reset_value_64ths", self.reset_value_64ths, *STATE),
            lower_bound_64ths=optional_integers("FixedLIF: lower_bound_64ths", self.lower_bound_64ths, -STATE_MAX, 0),
            refractory=integer("FixedLIF: refractory", self.refractory, 0, MAX_REFRACTORY),
            threshold_decay=optional_integers("FixedLIF: threshold_decay", self.threshold_decay, 0, DECAY_ONE),
            threshold_step_64ths=optional_integers(
                "FixedLIF: threshold_step_64ths", self.threshold_step_64ths, 0, STATE_MAX
            ),
            relative_decay=optional_integers("FixedLIF: relative_decay", self.relative_decay, 0, DECAY_ONE),
            max_spikes=integer("FixedLIF: max_spikes", self.max_spikes, 1, MAX_SPIKES),
            initial_membrane_64ths=per_neuron_integers(
                "FixedLIF: initial_membrane_64ths", self.initial_membrane_64ths, *STATE
            ),
            initial_current_64ths=per_neuron_integers(
                "FixedLIF: initial_current_64ths", self.initial_current_64ths, *STATE
            ),
        )
        check_tables(self.gain, self.offset_64ths)
        check_composition(
            self, amount="reset_amount_64ths", value="reset_value_64ths", relative="relative_decay",
            adaptation=("threshold_decay", "threshold_step_64ths"), current="current_decay",
            initial="initial_current_64ths",
        )  # fmt: skip

    def __repr__(self) -> str:
        return one_line(self)


@dataclass(frozen=True, eq=False)
class FixedReadout:
    """An integer neuron that integrates and never fires; its membrane saturates at +-(2^23 - 1).

    Parameters
    ----------
    bias_mantissa : int or array
        13-bit signed, -4096..4095; an integer, ``(C,)`` or ``(C, H, W)``, as all arrays that follow.
    bias_exponent : int
        0..7; the bias is ``mantissa * 2^exponent`` in 64ths of the unit of the weights.
    membrane_decay : int or array, optional
        12-bit decay; None keeps everything.
    current_decay : int or array, optional
        12-bit decay of the synaptic current; None for a readout without one.
    initial_membrane_64ths, initial_current_64ths : int or array
        State before the first step.

    Examples
    --------
    >>> ns.FixedReadout(bias_mantissa=[3, -3]).bias_mantissa
    array([ 3, -3])
    """

    bias_mantissa: Integer = 0
    bias_exponent: int = FRACTION_BITS
    membrane_decay: Integer | None = None
    current_decay: Integer | None = None
    initial_membrane_64ths: Integer = 0
    initial_current_64ths: Integer = 0

    def __post_init__(self) -> None:
        put(
            self,
            bias_mantissa=per_neuron_integers("FixedReadout: bias_mantissa", self.bias_mantissa, BIAS_LOW, BIAS_HIGH),
            bias_exponent=integer("FixedReadout: bias_exponent", self.bias_exponent, 0, 7),
            membrane_decay=optional_integers("FixedReadout: membrane_decay", self.membrane_decay, *DECAY),
            current_decay=optional_integers("FixedReadout: current_decay", self.current_decay, *DECAY),
            initial_membrane_64ths=per_neuron_integers(
                "FixedReadout: initial_membrane_64ths", self.initial_membrane_64ths, *STATE
            ),
            initial_current_64ths=per_neuron_integers(
                "FixedReadout: initial_current_64ths", self.initial_current_64ths, *STATE
            ),
        )
        check_composition(self, current="current_decay", initial="initial_current_64ths")

    def __repr__(self) -> str:
        return one_line(self)


Neuron: TypeAlias = LIF | Readout | FixedLIF | FixedReadout
"""Any neuron; the first two belong to a float network, the last two to a fixed-point one."""
