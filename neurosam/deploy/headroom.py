"""Head-room: the smallest unit in which the sums, states and parameters of a population fit their integers.

Proven from the weights: the largest possible input per step, and the current that it can build up, stay below 2^23,
where u would wrap. Measured: a membrane has room for twice its largest calibrated value. That of a readout
grows with the length of a run: with the largest leak of the population, under constant drive,

    |v(t)| ~ g(t) = 1 + leak + ... + leak^(t-1)          (t where nothing leaks)

so a run of T steps after a calibration of n steps needs room for ``2 max |v| g(T) / g(n)``. A neuron that fires is
reset; if inhibition drives it to the limit, it stays as silent as it was.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS, STATE_MAX
from neurosam.deploy.error_model import Observation
from neurosam.deploy.fixed_neuron import kept_parts, whole_gains
from neurosam.deploy.units import by_channel, per_neuron
from neurosam.errors import ExportError, NetworkError
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import BIAS_HIGH, THRESHOLD_MAX
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout

__all__ = ["ARRIVAL_LIMIT", "arrival_bound", "largest_leak", "safe_steps", "smallest_units"]

ARRIVAL_LIMIT = 2**23 >> FRACTION_BITS
MEMBRANE_ROOM = ARRIVAL_LIMIT // 2
"""Largest expected |membrane|, in units: half of the range, because other inputs may drive it harder."""
BIAS_UNITS = BIAS_HIGH << (7 - FRACTION_BITS)
"""Largest |bias| in units: a full mantissa at the largest exponent, 7, less the fractional bits."""
STATE_UNITS = STATE_MAX / (1 << FRACTION_BITS)
LIMITS = {
    "bias": BIAS_UNITS,
    "threshold": THRESHOLD_MAX,
    **dict.fromkeys(
        ("reset_amount", "reset_value", "lower_bound", "threshold_step", "initial_membrane", "initial_current"),
        STATE_UNITS,
    ),
}
"""Largest value of each parameter, in units."""

Array = npt.NDArray[np.float64]


def smallest_units(population: Population, observed: Observation, steps: int | None) -> dict[str, Array]:
    """Smallest unit in which each parameter and the expected membrane fit, by name: one per channel, or a common one.

    Parameters
    ----------
    population : Population
    observed : Observation
    steps : int, optional
        Longest run; as long as the calibration if None.
    """
    neuron, channels = population.neuron, population.shape[0]
    needed: dict[str, Array] = {}
    for name, limit in LIMITS.items():
        value = getattr(neuron, name, None)
        if value is not None:
            needed[name] = by_channel(np.abs(value), channels) / limit
    if isinstance(neuron, LIF) and neuron.offset is not None:
        needed["offset"] = np.abs(neuron.offset).max(axis=0) / STATE_UNITS
    if population.name in observed.membrane_peaks:
        grown = 1.0
        if steps is not None and not population.fires:
            grown = max(1.0, _growth(population, steps) / _growth(population, observed.steps))
        needed["membrane"] = observed.membrane_peaks[population.name] * grown / MEMBRANE_ROOM
    return needed


def largest_leak(population: Population) -> float:
    """What the slowest neuron of a float population retains per step."""
    return float(np.max(population.neuron.leak)) if isinstance(population.neuron, (LIF, Readout)) else 1.0


def _growth(population: Population, steps: float) -> float:
    leak = largest_leak(population)
    return float(steps) if leak == 1.0 else (1.0 - leak**steps) / (1.0 - leak)


def safe_steps(population: Population, peak: float, steps: int) -> int | None:
    """For how many steps a membrane, `peak` membrane units after `steps` steps, does not saturate; None for ever."""
    if peak == 0:
        return None
    reachable = _growth(population, steps) * STATE_MAX / peak
    leak = largest_leak(population)
    if leak == 1.0:
        return int(reachable)
    left = 1.0 - reachable * (1.0 - leak)
    return None if left <= 0 else int(np.log(left) / np.log(leak)) if leak > 0 else 0


def arrival_bound(network: Network, population: Population, fixed: list[Projection], unit: Any) -> int | None:
    """Largest |input| per step, if it and the current that it can build up provably do not wrap; else None.

    Proven for the gains and leaks that are stored, which are rounded.
    """
    try:
        bound = _bound(network, population.name, fixed)
    except NetworkError:  # the sum of one step leaves 32 bits
        return None
    reach = float(bound)
    neuron = population.neuron
    if isinstance(neuron, LIF) and neuron.gain is not None and neuron.offset is not None:
        gain, shift = whole_gains(neuron.gain)
        offset = float(np.abs(neuron.offset / unit).max())
        reach = max(reach, reach * float(np.abs(gain).max()) / 2**shift + offset + 1)
    if isinstance(neuron, (LIF, Readout)) and neuron.current_leak is not None:
        kept = int(np.max(kept_parts(neuron.current_leak)))
        if kept >= DECAY_ONE:
            raise ExportError(
                f"population {population.name!r}: current_leak",
                f"got {np.max(neuron.current_leak):g}, which is 1 in twelve bits: the current would never fade and "
                "could wrap; give less than 4095.5 / 4096",
            )
        initial = float((np.abs(neuron.initial_current) / per_neuron(unit, np.ndim(neuron.initial_current))).max())
        reach = max(reach, initial) * DECAY_ONE / (DECAY_ONE - kept)
    return bound if reach < ARRIVAL_LIMIT else None


def _bound(network: Network, name: str, fixed: list[Projection]) -> int:
    """Largest |input| per step; a negative exponent divides the sum of its projection, rounded down."""
    bound = network.accumulator_bound(name, [p for p in fixed if p.exponent >= 0])
    for projection in fixed:
        if projection.exponent < 0:
            bound += (network.accumulator_bound(name, [projection]) >> -projection.exponent) + 1
    return bound
