"""Rules about neurons: resets, currents, decays, widths of thresholds and biases, and options that few chips have.

A chip whose neurons run a program has every option that its file does not deny. Widths are held against integers, so a
float network is not held to them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS
from neurosam.network.elements import Population
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam_hw.rules.limits import PROGRAMMABLE, Limits
from neurosam_hw.rules.registry import Broken, rule

__all__: list[str] = []

RESETS = ("zero", "subtract", "value", "none")
DECAYS = ("membrane_decay", "current_decay", "threshold_decay", "relative_decay")
AMOUNTS = ("reset_amount", "reset_amount_64ths")
WITHOUT = "not there"


@rule("population", *(f"resets.{kind}" for kind in RESETS), PROGRAMMABLE)
def reset(network: Network, population: Population, limits: Limits) -> Broken | None:
    """Neurons reset in a way that the chip has."""
    neuron = population.neuron
    if not isinstance(neuron, (LIF, FixedLIF)):
        return None
    kind = neuron.reset
    if limits.neuron_has(f"resets.{kind}") if kind in RESETS else limits.has(PROGRAMMABLE):
        return None
    there = [other for other in RESETS if limits.figure(f"resets.{other}").value is True]
    trainable = [other for other in there if other in ("zero", "subtract")]
    remedy = f'use reset="{there[0]}"' if there else "no reset of this chip is known"
    return Broken(kind, ", ".join(there) or WITHOUT, f"train with --reset {trainable[0]}" if trainable else remedy)


@rule("population", PROGRAMMABLE)
def reset_amount(network: Network, population: Population, limits: Limits) -> Broken | None:
    """A reset by subtraction takes off the threshold, unless neurons run a program."""
    if getattr(population.neuron, "reset", None) != "subtract":
        return None
    neuron: Any = population.neuron
    unit = 1 if isinstance(neuron, LIF) else 1 << FRACTION_BITS
    plain = all(np.array_equal(x, neuron.threshold * unit) for x in _given(population, *AMOUNTS))
    return _program(limits, plain, "another amount", "the threshold", "subtract the threshold (reset_amount=None)")


@rule("population", PROGRAMMABLE)
def reset_timing(network: Network, population: Population, limits: Limits) -> Broken | None:
    """A spike resets in its own step, unless neurons run a program."""
    timing = getattr(population.neuron, "reset_timing", "now")
    return _program(limits, timing == "now", timing, "now", 'use reset_timing="now"')


@rule("population", "numbers.fires_at", PROGRAMMABLE)
def fires(network: Network, population: Population, limits: Limits) -> Broken | None:
    """A membrane equal to the threshold fires, or does not, as on the chip."""
    compared = getattr(population.neuron, "fires", None)
    if compared is None or limits.programmable:
        return None
    own = "at" if limits.has("numbers.fires_at") else "above"
    return None if compared == own else Broken(f"{compared} the threshold", f"{own} it", f'use fires="{own}"')


@rule("population", "numbers.current", PROGRAMMABLE)
def current(network: Network, population: Population, limits: Limits) -> Broken | None:
    """Neurons have a synaptic current only where the chip has one."""
    if not population.has_current or limits.neuron_has("numbers.current"):
        return None
    return Broken("a current", WITHOUT, "use neurons without a synaptic current (current_leak=None)")


@rule("population", "numbers.decay", PROGRAMMABLE)
def decay(network: Network, population: Population, limits: Limits) -> Broken | None:
    """Membranes decay by a factor only where the chip has such a decay."""
    neuron = population.neuron
    if isinstance(neuron, (LIF, Readout)):
        keeps = bool((np.asarray(neuron.leak) == 1).all())
    elif isinstance(neuron, (FixedLIF, FixedReadout)) and network.precision is not None:
        value, offset = neuron.membrane_decay, network.precision.membrane_decay_offset
        keeps = value is None or bool((np.asarray(value) == -offset).all())
    else:
        return None
    if keeps or limits.neuron_has("numbers.decay"):
        return None
    return Broken("a leak", WITHOUT, "use neurons that keep their membrane (train with --leak 1)")


@rule("population", "numbers.decay_bits", "numbers.decay", PROGRAMMABLE)
def decay_bits(network: Network, population: Population, limits: Limits) -> Broken | None:
    """Decays fit the chip's register for them."""
    values = [value for value in _given(population, *DECAYS) if np.any(value)]
    if not values or limits.figure("numbers.decay").value is False:
        return None
    if (bits := limits.neuron_number("numbers.decay_bits")) is None:
        return None
    low, high = min(int(np.min(v)) for v in values), max(int(np.max(v)) for v in values)
    largest = (1 << bits) - 1
    if low < 0:
        return Broken(low, f"0..{largest}", "0, with the chip's offset, keeps 4095/4096; or leave out the current")
    if high <= largest or (high == largest + 1 and _is_small(network, population)):
        return None
    return Broken(high, f"0..{largest}", f"{largest} is the same while the state stays below {DECAY_ONE} 64ths")


@rule("population", "numbers.threshold_bits", "numbers.threshold_signed", PROGRAMMABLE)
def threshold(network: Network, population: Population, limits: Limits) -> Broken | None:
    """The threshold fits the chip's width for it."""
    neuron = population.neuron
    if not isinstance(neuron, FixedLIF) or (bits := limits.neuron_number("numbers.threshold_bits")) is None:
        return None
    largest = (1 << (bits - (limits.figure("numbers.threshold_signed").value is True))) - 1
    return _at_most(int(np.max(neuron.threshold)), largest, "quantise to fewer bits (--bits), which lowers thresholds")


@rule("population", "numbers.membrane_bits", "numbers.membrane_signed", "numbers.threshold_shift", PROGRAMMABLE)
def membrane_bits(network: Network, population: Population, limits: Limits) -> Broken | None:
    """The membrane can reach the threshold, in the width that the chip has for it."""
    neuron = population.neuron
    if not isinstance(neuron, FixedLIF) or (bits := limits.neuron_number("numbers.membrane_bits")) is None:
        return None
    shift = limits.number("numbers.threshold_shift") if limits.stated("numbers.threshold_shift") else 0
    largest = (1 << (bits - (limits.figure("numbers.membrane_signed").value is not False))) - 1
    used = int(np.max(neuron.threshold)) << shift
    return _at_most(used, largest, "quantise to fewer bits (--bits), which lowers thresholds")


@rule("population", "numbers.membrane_signed")
def membrane_sign(network: Network, population: Population, limits: Limits) -> Broken | None:
    """Membranes go below 0 only where they have a sign on the chip."""
    if population.neuron is None or limits.figure("numbers.membrane_signed").value is not False:
        return None
    if not any((projection.synapse.weight < 0).any() for projection in network.incoming(population.name)):
        return None
    if any(np.all(bound == 0) for bound in _given(population, "lower_bound", "lower_bound_64ths")):
        return None
    return Broken("below 0", "from 0", "use weights from 0 alone, or train with lower_bound=0")


@rule("population", "numbers.bias_bits", "numbers.bias_exponent_bits", PROGRAMMABLE)
def bias(network: Network, population: Population, limits: Limits) -> Broken | None:
    """The bias fits the chip's mantissa and exponent."""
    neuron = population.neuron
    if not isinstance(neuron, (FixedLIF, FixedReadout)) or not np.any(neuron.bias_mantissa):
        return None
    if (bits := limits.neuron_number("numbers.bias_bits")) is None:
        return None
    low, high = int(np.min(neuron.bias_mantissa)), int(np.max(neuron.bias_mantissa))
    half = 1 << (bits - 1)
    largest = (1 << limits.number("numbers.bias_exponent_bits")) - 1 if neuron.bias_exponent else 0
    if -half <= low and high < half and neuron.bias_exponent <= largest:
        return None
    used, allowed = f"{low}..{high} x 2^{neuron.bias_exponent}", f"{-half}..{half - 1} x 2^(0..{largest})"
    return Broken(used, allowed, "make the unit of the weights coarser, or train without biases")


@rule("population", "numbers.refractory_max", PROGRAMMABLE)
def refractory(network: Network, population: Population, limits: Limits) -> Broken | None:
    """The refractory period is not longer than the chip's longest."""
    used = getattr(population.neuron, "refractory", 0)
    if not used or (longest := limits.neuron_number("numbers.refractory_max")) is None:
        return None
    return _at_most(used, longest, "shorten the refractory period")


@rule("population", "numbers.tables", PROGRAMMABLE)
def gain_tables(network: Network, population: Population, limits: Limits) -> Broken | None:
    """Gains and offsets by step (batch norm through time) are used only where the chip can read them."""
    if getattr(population.neuron, "gain", None) is None or limits.neuron_has("numbers.tables"):
        return None
    return Broken("gains by step", WITHOUT, "train without --bntt; other batch norm becomes part of the weights")


@rule("population", PROGRAMMABLE)
def adaptive_threshold(network: Network, population: Population, limits: Limits) -> Broken | None:
    """Thresholds that rise at a spike need neurons that run a program."""
    plain = not _given(population, "threshold_leak", "threshold_decay")
    return _program(limits, plain, "adaptive", "constant", "use a constant threshold")


@rule("population", PROGRAMMABLE)
def lower_bound(network: Network, population: Population, limits: Limits) -> Broken | None:
    """A lower bound of the membrane needs neurons that run a program."""
    plain = not _given(population, "lower_bound", "lower_bound_64ths")
    return _program(limits, plain, "a lower bound", WITHOUT, "use neurons without one")


@rule("population", PROGRAMMABLE)
def several_spikes(network: Network, population: Population, limits: Limits) -> Broken | None:
    """More than one spike of a neuron in a step needs neurons that run a program."""
    most = getattr(population.neuron, "max_spikes", 1)
    return _program(limits, most == 1, most, 1, "use max_spikes=1")


@rule("population")
def pool(network: Network, population: Population, limits: Limits) -> Broken | None:
    """No chip takes the largest of several sums."""
    if population.pool is None:
        return None
    return Broken("the largest of several sums", "one sum", "pool spikes in place of sums (max_pool), or average them")


def _given(population: Population, *names: str) -> list[Any]:
    """Parameters of the neuron that are there."""
    values = [getattr(population.neuron, name, None) for name in names]
    return [value for value in values if value is not None]


def _is_small(network: Network, population: Population) -> bool:
    """Whether a decay of 4095, which keeps a 4096th, forgets all of every membrane, as 4096 does (an OR of spikes)."""
    neuron: Any = population.neuron
    if neuron.reset not in ("zero", "none") or _given(population, "current_decay", "gain", "threshold_decay"):
        return False
    bias = int(np.max(np.abs(neuron.bias_mantissa))) << neuron.bias_exponent
    reach = (network.accumulator_bound(population.name) << FRACTION_BITS) + bias
    initial = int(np.max(np.abs(neuron.initial_membrane_64ths)))
    return bool(max(reach, initial) < DECAY_ONE)


def _program(limits: Limits, plain: bool, used: int | str, allowed: int | str, remedy: str) -> Broken | None:
    """What only a program can do."""
    return None if plain or limits.has(PROGRAMMABLE) else Broken(used, allowed, remedy)


def _at_most(used: int, most: int, remedy: str) -> Broken | None:
    return None if used <= most else Broken(used, most, remedy)
