"""What each type consists of in a file: the table from which files are both written and read.

A record is a group with an attribute ``type`` and a field for each field of a dataclass; ``None`` is an absent field.
Sequences and mappings keep their order by naming their entries ``0, 1, 2, ...``.
"""

from __future__ import annotations

from collections.abc import Collection, Set
from dataclasses import dataclass
from typing import Any

from neurosam.errors import ArgumentError, EventError, NetworkError
from neurosam.hdf5.fields import Array, Field, NotStorable, Real, Text, Texts, Whole, WholeMember, Wholes, storable
from neurosam.hdf5.reader import MAX_MEMBERS, MAX_TEXT, Reader
from neurosam.hdf5.version1 import Layout, version_1
from neurosam.hdf5.version2 import version_2
from neurosam.hdf5.version3 import version_3
from neurosam.hdf5.writer import Writer
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, Dense, MaxPool2d, Sparse, SumPool2d
from neurosam.network.trace import FixedSamTrace, SamTrace
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Recording, Spikes
from neurosam.signals.state import State

__all__ = ["LAYOUTS", "RECORDS", "VERSION", "read_record", "write_record"]


@dataclass(frozen=True)
class Child(Field):
    """A record of one of the allowed types: a group with an attribute ``type``."""

    types: tuple[type, ...]

    def write(self, group: Writer, name: str, value: Any) -> None:
        """Store it in a group of its own."""
        if type(value) not in self.types:
            raise NotStorable(
                f"{name} is a {type(value).__name__}; {' or '.join(t.__name__ for t in self.types)} is required"
            )
        record = group.group(name)
        record.text("type", type(value).__name__)
        write_record(record, value)

    def read(self, group: Reader, name: str) -> Any:
        """The record."""
        record = group.group(name)
        name_of_type = record.text("type")
        kind = next((t for t in self.types if t.__name__ == name_of_type), None)
        if kind is None:
            raise record.error(
                "", f"has the type {name_of_type[:64]!r}; known here are {', '.join(t.__name__ for t in self.types)}"
            )
        return read_record(record, kind, frozenset({"type"}))


@dataclass(frozen=True)
class Sequence(Field):
    """A tuple: a group with one member ``0, 1, 2, ...`` for each entry."""

    entry: Field

    def write(self, group: Writer, name: str, value: Any) -> None:
        """Store the entries in order."""
        entries = group.group(name)
        for place in range(_countable(name, value)):
            self.entry.write(entries, str(place), value[place])

    def read(self, group: Reader, name: str) -> tuple[Any, ...]:
        """The tuple."""
        entries = group.group(name)
        return tuple(self.entry.read(entries, place) for place in _places(entries))


@dataclass(frozen=True)
class Mapping(Field):
    """A dict with text keys: a group with members ``0, 1, ...``, each with an attribute ``name`` and a ``value``."""

    value: Field

    def write(self, group: Writer, name: str, value: Any) -> None:
        """Store the entries in order."""
        entries = group.group(name)
        _countable(name, value)
        for place, (key, item) in enumerate(value.items()):
            entry = entries.group(str(place))
            entry.text("name", storable(f"{name}: name", key, MAX_TEXT))
            self.value.write(entry, "value", item)

    def read(self, group: Reader, name: str) -> dict[str, Any]:
        """The dict, in its order."""
        entries = group.group(name)
        values: dict[str, Any] = {}
        for place in _places(entries):
            entry = entries.group(place)
            entry.expect(
                {"name", "value"} if self.value.attribute else {"name"}, set() if self.value.attribute else {"value"}
            )
            key = entry.text("name")
            if key in values:
                raise entry.error("name", f"is {key[:64]!r}, which an earlier entry has; names must differ")
            values[key] = self.value.read(entry, "value")
        return values


VERSION = 4
"""Version of the format that is written; files of versions 1 to this one are read."""

FLOATS = ("<f8",)
WEIGHTS = ("|i1", "<f8")
STATES = ("<f8", "<f4", "<i4", "<i8")
SHAPE = Wholes((1, 3))
PAIR = Wholes((2,), low=0)
PER_NEURON = (0, 1, 3)


def _reals(*ndims: int, optional: bool = False) -> Array:
    return Array(FLOATS, ndims, optional=optional)


def _integers(dtype: str, *ndims: int, optional: bool = False) -> Array:
    return Array((dtype,), ndims, optional=optional)


RECORDS: dict[type, dict[str, Field]] = {
    Network: {
        "populations": Sequence(Child((Population,))),
        "projections": Sequence(Child((Projection,))),
        "sam": Mapping(Child((SamTrace, FixedSamTrace))),
        "precision": Child((Precision,), optional=True),
        "outputs": Mapping(Text()),
        "metadata": Texts(),
    },
    Population: {
        "name": Text(),
        "shape": SHAPE,
        "neuron": Child((LIF, Readout, FixedLIF, FixedReadout), optional=True),
        "onset": Whole(optional=True),
        "magnitude": Whole(),
        "pool": Child((MaxPool2d,), optional=True),
    },
    LIF: {
        "leak": _reals(*PER_NEURON),
        "threshold": _reals(*PER_NEURON),
        "reset": Text(),
        "reset_amount": _reals(*PER_NEURON, optional=True),
        "bias": _reals(*PER_NEURON),
        "current_leak": _reals(*PER_NEURON, optional=True),
        "gain": _reals(2, optional=True),
        "offset": _reals(2, optional=True),
        "fires": Text(),
        "reset_value": _reals(*PER_NEURON, optional=True),
        "reset_timing": Text(),
        "lower_bound": _reals(*PER_NEURON, optional=True),
        "refractory": Whole(low=0),
        "threshold_leak": _reals(*PER_NEURON, optional=True),
        "threshold_step": _reals(*PER_NEURON, optional=True),
        "relative_leak": _reals(*PER_NEURON, optional=True),
        "max_spikes": Whole(low=1),
        "initial_membrane": _reals(*PER_NEURON),
        "initial_current": _reals(*PER_NEURON),
    },
    Readout: {
        "bias": _reals(*PER_NEURON),
        "leak": _reals(*PER_NEURON),
        "current_leak": _reals(*PER_NEURON, optional=True),
        "initial_membrane": _reals(*PER_NEURON),
        "initial_current": _reals(*PER_NEURON),
    },
    FixedLIF: {
        "membrane_decay": _integers("<i2", *PER_NEURON),
        "threshold": _integers("<i4", *PER_NEURON),
        "reset": Text(),
        "reset_amount_64ths": _integers("<i4", *PER_NEURON, optional=True),
        "bias_mantissa": _integers("<i2", *PER_NEURON),
        "bias_exponent": Whole(),
        "current_decay": _integers("<i2", *PER_NEURON, optional=True),
        "gain": _integers("<i2", 2, optional=True),
        "gain_shift": Whole(),
        "offset_64ths": _integers("<i4", 2, optional=True),
        "fires": Text(),
        "reset_value_64ths": _integers("<i4", *PER_NEURON, optional=True),
        "reset_timing": Text(),
        "lower_bound_64ths": _integers("<i4", *PER_NEURON, optional=True),
        "refractory": Whole(low=0),
        "threshold_decay": _integers("<i2", *PER_NEURON, optional=True),
        "threshold_step_64ths": _integers("<i4", *PER_NEURON, optional=True),
        "relative_decay": _integers("<i2", *PER_NEURON, optional=True),
        "max_spikes": Whole(low=1),
        "initial_membrane_64ths": _integers("<i4", *PER_NEURON),
        "initial_current_64ths": _integers("<i4", *PER_NEURON),
    },
    FixedReadout: {
        "bias_mantissa": _integers("<i2", *PER_NEURON),
        "bias_exponent": Whole(),
        "membrane_decay": _integers("<i2", *PER_NEURON, optional=True),
        "current_decay": _integers("<i2", *PER_NEURON, optional=True),
        "initial_membrane_64ths": _integers("<i4", *PER_NEURON),
        "initial_current_64ths": _integers("<i4", *PER_NEURON),
    },
    Projection: {
        "source": Text(),
        "target": Text(),
        "synapse": Child((Dense, Conv2d, Sparse)),
        "delay": Whole(),
        "pool": Child((SumPool2d,), optional=True),
        "exponent": Whole(),
    },
    Dense: {"weight": Array(WEIGHTS, (2,))},
    Conv2d: {"weight": Array(WEIGHTS, (4,)), "stride": PAIR, "padding": PAIR, "dilation": PAIR, "groups": Whole()},
    Sparse: {
        "indptr": _integers("<i8", 1),
        "indices": _integers("<i4", 1),
        "weight": Array(WEIGHTS, (1,)),
        "sources": Whole(),
        "shape": SHAPE,
    },
    SumPool2d: {"kernel": PAIR, "stride": PAIR, "padding": PAIR},
    MaxPool2d: {"kernel": PAIR, "stride": PAIR, "padding": PAIR},
    SamTrace: {"gamma": Real(), "mode": Text()},
    FixedSamTrace: {"table": _integers("<i4", 1), "shift": Whole(), "impulse": Whole(), "mode": Text()},
    Precision: {
        "name": Text(),
        "weight_bits": Whole(),
        "current_decay_offset": Whole(),
        "membrane_decay_offset": Whole(),
        "sign": Text(),
    },
    Recording: {
        "backend": Text(),
        "steps": Whole(low=0),
        "samples": Whole(low=0),
        "output": Array(STATES, (2,)),
        "spikes": Mapping(Child((Spikes,))),
        "sam": Mapping(Array(STATES, (4,))),
        "sam_scale": Mapping(Real()),
        "membrane": Mapping(Array(STATES, (3, 5))),
        "current": Mapping(Array(STATES, (3, 5))),
        "counts": Mapping(_integers("<i8", 2)),
        "operations": Mapping(Whole(low=0)),
        "time_s": Real(),
        "other_outputs": Mapping(Array(STATES, (2,))),
        "saturated": Mapping(_integers("<i8", 1)),
        "wrapped": Mapping(_integers("<i8", 1)),
        "state": Child((State,), optional=True),
        "first_step": WholeMember(low=0, optional=True, absent=0),
    },
    Spikes: {"planes": Array(("<u8",), (5,)), "shape": SHAPE, "magnitude": _integers("<i4", 3, 5, optional=True)},
    State: {
        "step": Whole(low=0),
        "samples": Whole(low=0),
        "neurons": Mapping(Mapping(Array(STATES, (2, 4)))),
        "recent": Mapping(Array(STATES, (3, 5))),
        "answers": Mapping(Array(STATES, (2,))),
    },
    Events: {
        "time": _integers("<i4", 1),
        "sample": _integers("<i4", 1),
        "neuron": _integers("<i4", 1),
        "steps": Whole(low=1),
        "samples": Whole(low=0),
        "shape": SHAPE,
        "value": Array(("<i4", "<f8"), (1,), optional=True),
    },
    Inputs: {"events": Mapping(Child((Events,)))},
}
"""Fields of every type, in the order of the dataclass."""


def _layouts(records: dict[type, dict[str, Field]]) -> dict[type, Layout]:
    """Records whose fields have the same names in files and dataclasses."""
    return {kind: {name: (name, field) for name, field in fields.items()} for kind, fields in records.items()}


LAYOUTS: dict[int, dict[type, Layout]] = {
    1: version_1(version_2(version_3(RECORDS))),
    2: _layouts(version_2(version_3(RECORDS))),
    3: _layouts(version_3(RECORDS)),
    VERSION: _layouts(RECORDS),
}
"""What files of each version hold: by type and name in the file, the name in the dataclass and how it is stored."""


AS_STORED: dict[type, dict[str, Any]] = {Network: {"check_alignment": False}}
"""Arguments for what is read that are no fields: whoever made a network has been warned."""


def write_record(group: Writer, record: Any, only: Collection[str] | None = None) -> None:
    """Store the fields of a dataclass instance in a group: all of them, or those that `only` names."""
    kind = type(record)
    for name, field in RECORDS[kind].items():
        if only is not None and name not in only:
            continue
        value = getattr(record, name)
        if field.optional and (value is None or (type(value) is int and value == field.absent)):
            continue
        try:
            field.write(group, name, value)
        except (NetworkError, TypeError, ValueError) as error:
            raise NotStorable(f"{kind.__name__}: {error}") from None


def read_record(group: Reader, kind: type, also: Set[str]) -> Any:
    """The instance of a dataclass that a group describes.

    Parameters
    ----------
    group : Reader
    kind : type
        A type that the version of the file has.
    also : set of str
        Attributes of the group that are not fields.

    Raises
    ------
    FormatError
        For unknown, missing or wrong fields, and for values that the dataclass refuses.
    """
    layout = LAYOUTS[group.version][kind]
    attributes = {name for name, (_, field) in layout.items() if field.attribute}
    group.expect(attributes | also, layout.keys() - attributes)
    present = {*group.attributes(), *group.members()}
    try:
        values = {
            parameter: field.absent if field.optional and name not in present else field.read(group, name)
            for name, (parameter, field) in layout.items()
        }
        return kind(**values, **AS_STORED.get(kind, {}))
    except (ArgumentError, EventError, NetworkError) as error:
        raise group.error("", f"is not a valid {kind.__name__}: {error}") from None


def _countable(name: str, value: Any) -> int:
    """Number of entries, refused if a reader would refuse it."""
    if len(value) > MAX_MEMBERS:
        raise NotStorable(f"{name} has {len(value)} entries; at most {MAX_MEMBERS} are allowed")
    return len(value)


def _places(entries: Reader) -> list[str]:
    """Names of the entries, ``"0", "1", ...``, without a gap."""
    places = [str(place) for place in range(len(entries.members()))]
    entries.expect(set(), set(places))
    return places
