"""Rules about the state that spike activation maps need: a trace by neuron.

They are apart from the rules about the network itself, which runs without maps just as well. Loihi 1's traces are those
of its learning engine: 7 bits, an impulse of at most 127, a decay with stochastic rounding.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.trace import FixedSamTrace, SamTrace
from neurosam_hw.rules.limits import PROGRAMMABLE, Limits
from neurosam_hw.rules.registry import Broken, rule

__all__: list[str] = []

Trace = SamTrace | FixedSamTrace

UNIT = "numbers.trace_unit"
"""A unit that updates traces as the network has them, so that no other limit of traces applies."""


@rule("trace", "numbers.traces", UNIT, PROGRAMMABLE)
def trace(network: Network, population: Population, sam: Trace, limits: Limits) -> Broken | None:
    """Neurons have a trace only where the chip's can have one."""
    if _unit(limits) or limits.neuron_has("numbers.traces"):
        return None
    return Broken("a trace", "not there", "compute the maps from recorded spikes, outside the chip")


@rule("trace", UNIT, PROGRAMMABLE)
def trace_mode(network: Network, population: Population, sam: Trace, limits: Limits) -> Broken | None:
    """The official mode, which counts silent steps, needs neurons that run a program."""
    if sam.mode != "official" or _unit(limits) or limits.has(PROGRAMMABLE):
        return None
    return Broken("official", "strict, inclusive", "use --mode strict")


@rule("trace", "numbers.trace_bits", "numbers.traces", UNIT, PROGRAMMABLE)
def trace_bits(network: Network, population: Population, sam: Trace, limits: Limits) -> Broken | None:
    """A trace fits the chip's width for it, when its neuron fires in every step."""
    if not isinstance(sam, FixedSamTrace) or _unit(limits) or limits.figure("numbers.traces").value is not True:
        return None
    if (bits := limits.neuron_number("numbers.trace_bits")) is None:
        return None
    spikes, largest = population.largest_event, (1 << bits) - 1
    used = _peak(sam, spikes)
    if used <= largest:
        return None
    smaller = range(1, sam.impulse)
    impulse = bisect_right(smaller, largest, key=lambda impulse: _peak(replace(sam, impulse=impulse), spikes))
    remedy = f"use ns.FixedSamTrace with impulse={impulse} or less" if impulse else "use a larger gamma"
    return Broken(f"{used.bit_length()} bit", f"{bits} bit", remedy)


@rule("trace", "numbers.trace_impulse_max", "numbers.trace_bits", "numbers.traces", UNIT, PROGRAMMABLE)
def trace_impulse(network: Network, population: Population, sam: Trace, limits: Limits) -> Broken | None:
    """What a spike adds to a trace is not above the chip's largest impulse, if a trace is wide enough for more."""
    if not isinstance(sam, FixedSamTrace) or _unit(limits) or limits.figure("numbers.traces").value is not True:
        return None
    if (most := limits.neuron_number("numbers.trace_impulse_max")) is None:
        return None
    bits = limits.figure("numbers.trace_bits").value_si
    implied = isinstance(bits, (int, float)) and most >= (1 << int(bits)) - 1  # a matter of `trace_bits`, then
    if implied or sam.impulse <= most:
        return None
    return Broken(sam.impulse, most, f"use ns.FixedSamTrace with impulse={most} or less")


def _unit(limits: Limits) -> bool:
    return limits.figure(UNIT).value is True


def _peak(sam: FixedSamTrace, spikes: int) -> int:
    """The largest trace, in a run of any length: what a spike leaves is what the mode "inclusive" emits for it."""
    return replace(sam, mode="inclusive").largest(None, spikes) // spikes
