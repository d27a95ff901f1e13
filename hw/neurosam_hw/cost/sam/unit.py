"""How a chip can hold SAM traces, read from its file; a chip that cannot is refused with the reason.

at spikes   neurons that run a program and send values (`numbers.programmable_neurons`, `numbers.graded_spikes`), or a
            trace unit (`numbers.trace_unit`): the rule of network/trace.py as it is. A spike updates its neuron's trace
            and sends one message with the score to the pixel's sum.
each step   traces of the learning engine (`numbers.traces`, `numbers.trace_every_step`: Loihi's y1): every traced
            neuron in every step, in the bits that the chip has. No message carries the value: a processor on the chip
            reads the trace of each neuron that spikes, and adds up.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosam_hw.chips.chip import Chip
from neurosam_hw.errors import MappingError

__all__ = ["AT_SPIKES", "EACH_STEP", "WAYS", "TraceUnit", "trace_unit"]

AT_SPIKES = "at spikes"
EACH_STEP = "each step"
WAYS = (AT_SPIKES, EACH_STEP)


@dataclass(frozen=True)
class TraceUnit:
    """How a chip holds traces.

    Parameters
    ----------
    way : str
        One of WAYS.
    bits : int, optional
        Width of a trace where the chip fixes it.
    payload_bits : int, optional
        Width of a message's value, if the chip's file gives it.
    note : str
        What to know before believing a price.
    """

    way: str
    bits: int | None
    payload_bits: int | None
    note: str


def trace_unit(chip: Chip) -> TraceUnit:
    """How a chip holds SAM traces.

    Raises
    ------
    MappingError
        If it cannot, or no source says that it can; names the figures.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.cost.sam import trace_unit
    >>> trace_unit(load_chip("loihi2")).way, trace_unit(load_chip("loihi1")).way
    ('at spikes', 'each step')
    """
    if _has(chip, "trace_unit"):
        figure = chip.figure("numbers.trace_unit")
        return TraceUnit(AT_SPIKES, None, _bits(chip, "payload_bits"), f"trace unit: {figure.conditions}")
    if _has(chip, "programmable_neurons") and _has(chip, "graded_spikes"):
        note = "the neurons' program updates the trace, and a graded spike carries the score"
        return TraceUnit(AT_SPIKES, None, _bits(chip, "payload_bits"), note)
    if _has(chip, "traces") and _has(chip, "trace_every_step"):
        note = (
            "traces of the learning engine, updated in every step and rounded at random: not the network's integers. "
            "Processors on the chip read them at spikes"
        )
        return TraceUnit(EACH_STEP, _bits(chip, "trace_bits"), None, note)
    raise MappingError(f"chip {chip.name!r}", f"holds no SAM trace: {_reason(chip)}")


def _reason(chip: Chip) -> str:
    """What is missing for each way."""
    lacking = [key for key in ("programmable_neurons", "graded_spikes", "traces") if not _has(chip, key)]
    known = [key for key in lacking if chip.figure(f"numbers.{key}").known]
    unknown = [key for key in lacking if key not in known]
    said = []
    if known:
        said.append(f"it has no {', no '.join(WORDS[key] for key in known)}")
    if unknown:
        said.append(f"no source says that it has {' or '.join(WORDS[key] for key in unknown)}")
    need = "Needed are neurons with a program and graded spikes, or traces of their spikes"
    return f"{'; '.join(said)}. {need}"


WORDS = {
    "programmable_neurons": "neurons that run a program",
    "graded_spikes": "graded spikes",
    "traces": "traces of spikes",
}


def _has(chip: Chip, key: str) -> bool:
    return chip.figure(f"numbers.{key}").value is True


def _bits(chip: Chip, key: str) -> int | None:
    value = chip.figure(f"numbers.{key}").value_si
    return int(value) if isinstance(value, (int, float)) else None
