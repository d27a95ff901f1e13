"""How much two floats of a run may differ by rounding alone.

Two float64 values agree if

    |a - b| <= tolerance * (scale + max(|a|, |b|)),        tolerance = 1e-9 = 9e6 * 2^-53,

where `scale` is the magnitude of the numbers that were added (:func:`magnitude`), or 1 (one spike) for a map. Adding n
numbers of total magnitude S in any order has an error of at most n * S * 2^-53. The bound therefore holds for every
membrane that is the sum of fewer than nine million products, and it is far below the effect of a wrong weight or decay.

In float32 the same bound, n * S * 2^-24, would excuse anything. Independent rounding errors of mean 0 exceed
``L sqrt(n) S 2^-24`` with probability ``2 exp(-L^2 / 2)`` at most (Higham and Mary, SIAM J. Sci. Comput. 41(5), 2019);
L = 8 makes that 3e-14, and :func:`rounding_of` takes n from the network and the run. So a float32 comparison proves
less: a correct value passes very likely rather than certainly, and a wrong weight has to have a larger effect to be
noticed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from neurosam.network.fixed_neuron import Neuron
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import Sparse, Synapse

__all__ = ["ROUNDING", "magnitude", "rounding_of"]

ROUNDING = 1e-9
DEVIATIONS, UNIT_32 = 8, 2.0**-24
NEURON_ROUNDINGS = 8
"""Roundings in one step of a neuron without options, besides those of the sum (network/neuron.py)."""


def magnitude(network: Network, name: str, largest: Mapping[str, float] | None = None) -> float:
    """Magnitude of the numbers that one step of a float population can add up.

    `largest` are the largest events of the run by input: a float run does not check that they keep to
    ``Population.magnitude``, which holds for inputs that are not named.

    Threshold and its rise per spike, resets, bias, initial state, and the largest input that it can receive. Several
    spikes subtract the reset amount several times, but hardly more than has arrived.
    """
    neuron = network[name].neuron
    arrival = 0.0
    for projection in network.incoming(name):
        sent = (largest or {}).get(projection.source, network[projection.source].largest_event)
        source = sent * (projection.pool.area if projection.pool else 1)
        negative, positive = projection.synapse.row_sums()
        arrival += float((positive - negative).max(initial=0.0)) * source
    if not isinstance(neuron, (LIF, Readout)):
        return arrival
    if isinstance(neuron, LIF) and neuron.gain is not None:
        arrival = arrival * max(1.0, _max_abs(neuron.gain)) + _max_abs(neuron.offset)
    arrival += _max_abs(neuron.bias) + _max_abs(neuron.initial_membrane) + _max_abs(neuron.initial_current)
    if isinstance(neuron, Readout):
        return arrival
    threshold, amount = _max_abs(neuron.threshold), _max_abs(neuron.reset_amount)
    if neuron.reset == "relative":
        amount = 2 * threshold
    elif neuron.reset == "subtract" and neuron.reset_amount is None:
        amount = threshold
    further = min((neuron.max_spikes - 1) * amount, arrival)
    return arrival + threshold + _max_abs(neuron.threshold_step) + amount + _max_abs(neuron.reset_value) + further


def rounding_of(network: Network, steps: int, dtype: str = "float64") -> float:
    """Relative tolerance for the values of a float network in a run of `steps`, in "float64" or "float32"."""
    if dtype != "float32":
        return ROUNDING
    terms = [
        sum(_fan_in(p.synapse) * (p.pool.area if p.pool else 1) for p in network.incoming(population.name))
        for population in network.populations
    ]
    roundings = max(_neuron_roundings(population.neuron) for population in network.populations)
    return DEVIATIONS * math.sqrt(steps * (max(terms) + roundings)) * UNIT_32


def _neuron_roundings(neuron: Neuron | None) -> int:
    """Roundings in one step of a neuron; each option that adds to a sum or decays adds to them (dynamics.py)."""
    if not isinstance(neuron, LIF):
        return NEURON_ROUNDINGS
    options = (neuron.threshold_leak is not None, neuron.reset == "relative", neuron.reset_timing != "now")
    return NEURON_ROUNDINGS + 3 * sum(options) + (neuron.max_spikes > 1)


def _fan_in(synapse: Synapse) -> int:
    """Largest number of synapses of a target."""
    if isinstance(synapse, Sparse):
        return int(np.diff(synapse.indptr).max(initial=0))
    return int(synapse.weight[0].size)


def _max_abs(value: npt.ArrayLike | None) -> float:
    return 0.0 if value is None else float(np.abs(np.asarray(value)).max(initial=0.0))
