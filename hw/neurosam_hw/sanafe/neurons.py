"""Neurons as SANA-FE's ``leaky_integrate_fire`` has them, and why it cannot have others.

Its membrane counts in the unit of the weights and keeps six binary digits behind the point, ours counts 64ths. What it
computes in a step (src/models.cpp, 2.2.9), with all numbers exact in float64, is

    v <- trunc(64 v leak_decay) / 64        leak_decay = factor / 4096 (dynamics.resolve)
    v <- v + bias + sum of weights          unless a refractory period lasts; the sum is forgotten after the step
    s = v > threshold                       a readout's threshold is out of reach
    v <- reset, v - threshold, or v         reset_mode hard, soft, none
    v <- reverse_threshold, if it is below  reverse_reset_mode saturate

Its ``refractory_delay`` counts the step of the spike, and the membrane leaks meanwhile. It has no limit of 24 bits:
below, the limit becomes a ``reverse_threshold``; above, it changes nothing for a neuron that fires there and is reset
to a value (`clips_alike`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS, STATE_MAX
from neurosam.errors import ExportError
from neurosam.network import dynamics
from neurosam.network.dynamics import Parameters, Switches
from neurosam.network.elements import Population
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.precision import Precision
from neurosam.network.synapse import as_chw, neurons

__all__ = ["attributes", "biases", "check_neuron", "clips_alike"]

Values = npt.NDArray[np.float64]

UNIT = 1 << FRACTION_BITS
UNREACHABLE = 2.0**40
MODES = {dynamics.ZERO: "hard", dynamics.SUBTRACT: "soft", dynamics.VALUE: "hard", dynamics.NONE: "none"}


def check_neuron(population: Population, precision: Precision | None) -> None:
    """Refuse integer neurons that SANA-FE would run differently.

    Raises
    ------
    ExportError
        With the name of the population, the option, and what to use in its place.
    """
    neuron = population.neuron
    if not isinstance(neuron, (FixedLIF, FixedReadout)):
        return
    tables = isinstance(neuron, FixedLIF) and neuron.gain is not None
    for refused, problem in (
        (population.pool is not None, "takes the largest of several sums; pool its spikes instead (max_pool)"),
        (tables, "has gain and offset tables; fold them into weights and biases"),
        (bool(np.any(neuron.initial_membrane_64ths)), "starts from a membrane that is not 0; start from 0"),
        *_options(*dynamics.resolve(neuron, precision)),
    ):
        if refused:
            what, _, instead = problem.partition("; ")
            raise ExportError(f"population {population.name!r}", f"{what}, as SANA-FE's LIF cannot; {instead}")


def _options(p: Parameters, o: Switches) -> tuple[tuple[bool, str], ...]:
    """Options of a neuron that cannot be said, and what to use in their place."""
    other_amount = o.reset == dynamics.SUBTRACT and not (o.adapted or np.array_equal(p.amount, p.threshold))
    leaks_while_held = o.refractory > 0 and o.reset != dynamics.ZERO
    return (
        (o.current, "has a synaptic current with a rounded decay; use neurons without one"),
        (o.reset == dynamics.RELATIVE, "resets relative to its threshold; use reset zero, subtract, value or none"),
        (o.delayed, "resets a step late; use reset_timing='now'"),
        (o.adaptive, "has an adaptive threshold; use a fixed one"),
        (o.max_spikes > 1, f"fires up to {o.max_spikes} times a step; use max_spikes=1"),
        (other_amount, "subtracts another amount than its threshold; leave out reset_amount_64ths"),
        (o.reset == dynamics.SUBTRACT and o.at, "subtracts where it fires at the threshold; use fires='above'"),
        (leaks_while_held, "holds its membrane while it is refractory; use reset zero, or no refractory period"),
    )


def clips_alike(population: Population) -> bool:
    """Whether a membrane may leave its 24 bits in a run: a hard reset forgets by how much."""
    return isinstance(population.neuron, FixedLIF) and population.neuron.reset in ("zero", "value")


def attributes(population: Population, precision: Precision | None) -> dict[str, Any]:
    """Attributes of SANA-FE's soma without its bias: an array over the neurons where they can differ, else a value."""
    if population.neuron is None:
        raise TypeError("an input has no neurons")
    p, o = dynamics.resolve(population.neuron, precision)
    lowest = np.maximum(p.lower_bound, -STATE_MAX) if o.bounded else -STATE_MAX
    found: dict[str, Any] = {
        "leak_decay": _each(p.factor_v, population) / DECAY_ONE,
        "reset_mode": MODES[o.reset],
        "reverse_threshold": _each(lowest, population) / UNIT,
        "reverse_reset_mode": "saturate",
    }
    if not population.fires:
        return found | {"threshold": UNREACHABLE}
    found["threshold"] = (_each(p.threshold, population) - o.at) / UNIT
    if o.reset == dynamics.VALUE:
        found["reset"] = _each(p.amount, population) / UNIT
    if o.refractory:
        found["refractory_delay"] = o.refractory + 1
    return found


def biases(population: Population, precision: Precision | None) -> Values:
    """The bias of each neuron, in the unit of the weights."""
    if population.neuron is None:
        return np.zeros(neurons(population.shape))
    return _each(dynamics.resolve(population.neuron, precision)[0].bias, population) / UNIT


def _each(value: Any, population: Population) -> Values:
    """A parameter of each neuron, flat: from a scalar, one by channel, or one by neuron."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None, None]
    return np.broadcast_to(array, as_chw(population.shape)).reshape(-1)
