"""What version 1 of the format had otherwise: all that is needed to read its files.

Version 2 added neuron options, parameters per neuron, several inputs and outputs, states, and spikes of more than one
per step. A version-1 file has none of them: what is absent takes the default of its dataclass, and what version 1 did
not know is refused by name, as in any file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from neurosam.hdf5.fields import Array, Field, Text
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.precision import Precision
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Recording, Spikes
from neurosam.signals.state import State

__all__ = ["Layout", "version_1"]

Layout: TypeAlias = Mapping[str, tuple[str, Field]]
"""By name in the file: the name in the dataclass, and how it is stored."""

NEW_TYPES = frozenset({State, Inputs})

NEW_FIELDS: Mapping[type, frozenset[str]] = {
    LIF: frozenset({
        "fires", "reset_value", "reset_timing", "lower_bound", "refractory", "threshold_leak", "threshold_step",
        "relative_leak", "max_spikes", "initial_membrane", "initial_current",
    }),
    Readout: frozenset({"leak", "current_leak", "initial_membrane", "initial_current"}),
    FixedLIF: frozenset({
        "fires", "reset_value_64ths", "reset_timing", "lower_bound_64ths", "refractory", "threshold_decay",
        "threshold_step_64ths", "relative_decay", "max_spikes", "initial_membrane_64ths", "initial_current_64ths",
    }),
    FixedReadout: frozenset({"membrane_decay", "current_decay", "initial_membrane_64ths", "initial_current_64ths"}),
    Precision: frozenset({"sign"}),
    Recording: frozenset({"other_outputs", "saturated", "wrapped", "state"}),
    Spikes: frozenset({"magnitude"}),
}  # fmt: skip

OLD_NAMES: Mapping[type, Mapping[str, str]] = {
    Network: {"outputs": "output"},
    FixedLIF: {"reset_amount_64ths": "reset_amount", "offset_64ths": "offset"},
}
"""By name in version 2."""

OLD_FIELDS: Mapping[tuple[type, str], Field] = {(Network, "outputs"): Text()}
"""One output population, with the default answer."""


def version_1(records: Mapping[type, Mapping[str, Field]]) -> dict[type, Layout]:
    """What files of version 1 hold, from the records of version 2."""
    return {
        kind: {
            OLD_NAMES.get(kind, {}).get(name, name): (name, OLD_FIELDS.get((kind, name)) or _by_channel(field))
            for name, field in fields.items()
            if name not in NEW_FIELDS.get(kind, ())
        }
        for kind, fields in records.items()
        if kind not in NEW_TYPES
    }


def _by_channel(field: Field) -> Field:
    """A parameter without the form (C, H, W), which version 2 added."""
    return replace(field, ndims=(0, 1)) if isinstance(field, Array) and field.ndims == (0, 1, 3) else field
