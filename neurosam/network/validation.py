"""Rules about a network as a whole, checked at construction: those that involve more than one of its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from neurosam._util.arguments import choice, integers
from neurosam.errors import NetworkError
from neurosam.network.elements import Population, PopulationsByName, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.neuron import LIF
from neurosam.network.precision import Precision
from neurosam.network.synapse import Shape, as_chw, neurons
from neurosam.network.trace import FixedSamTrace, SamTrace

__all__ = ["ANSWERS", "accumulator_bound", "answers", "drive_shape", "validate"]

ACCUMULATOR_MAX = 2**31 - 1
ANSWERS = ("last", "mean", "max", "count")


def validate(
    populations: Sequence[Population],
    projections: Sequence[Projection],
    sam: Mapping[str, SamTrace | FixedSamTrace],
    precision: Precision | None,
    outputs: Mapping[str, str],
) -> None:
    """Refuse what no back end could run. Times are checked in schedule.py, sums by :func:`accumulator_bound`."""
    by_name = PopulationsByName(populations)
    _names(populations, projections)
    _outputs(by_name, outputs)
    incoming: dict[str, list[Projection]] = {p.name: [] for p in populations}
    for projection in projections:
        _ends(by_name, projection)
        incoming[projection.target].append(projection)
    for name, arriving in incoming.items():
        _drive(by_name, by_name[name], arriving)
    _precision(populations, projections, precision)
    _traces(by_name, sam, precision is not None)


def answers(
    populations: Sequence[Population], outputs: str | Sequence[str] | Mapping[str, str] | None
) -> dict[str, str]:
    """The answer of each output population; see :class:`~neurosam.network.network.Network`."""
    if outputs is None:
        outputs = [p.name for p in populations[-1:]]
    if isinstance(outputs, str):
        outputs = [outputs]
    if isinstance(outputs, Mapping):
        return {str(name): str(answer) for name, answer in outputs.items()}
    by_name = PopulationsByName(populations)
    return {name: "count" if by_name[name].fires else "last" for name in outputs}


def _outputs(by_name: PopulationsByName, outputs: Mapping[str, str]) -> None:
    if not outputs:
        raise NetworkError("network: outputs", "are empty; name at least one population")
    for name, answer in outputs.items():
        where = f"network: output {name!r}"
        choice(where, answer, ANSWERS)
        if by_name[name].neuron is None:
            raise NetworkError(where, "is an input; name a population with a neuron")
        if answer == "count" and not by_name[name].fires:
            raise NetworkError(where, 'is a readout, which never fires; its answer is "last", "mean" or "max"')


def _names(populations: Sequence[Population], projections: Sequence[Projection]) -> None:
    names = [p.name for p in populations]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise NetworkError(f"population {twice[0]!r}", "appears twice; names must be unique")
    inputs = [p.name for p in populations if p.neuron is None]
    if not inputs:
        raise NetworkError("network", "has no input population; one without a neuron (neuron=None) is required")
    sending = {p.source for p in projections}
    idle = [name for name in inputs if len(inputs) > 1 and name not in sending]
    if idle:
        raise NetworkError(f"population {idle[0]!r}", "is an input that sends to no population; connect or remove it")
    if len(names) == len(inputs):
        raise NetworkError("network", "has no population but the input; add at least one with a neuron")


def _ends(by_name: PopulationsByName, projection: Projection) -> None:
    where = f"projection {projection.label}"
    source, target = by_name[projection.source], by_name[projection.target]
    if target.neuron is None:
        raise NetworkError(where, "leads into the input population, which has no neurons to receive it")
    if not source.fires:
        raise NetworkError(where, f"starts at the readout {source.name!r}, which never fires")


def _drive(by_name: PopulationsByName, population: Population, incoming: Sequence[Projection]) -> None:
    """Refuse projections whose sums have another shape than a population takes."""
    drive = drive_shape(by_name, population, incoming)
    for projection in incoming:
        shape = _delivered(by_name, projection)
        flat = len(shape) == 1 and neurons(shape) == neurons(drive)
        if as_chw(shape) != as_chw(drive) and not flat:  # (C, 1, 1) and (C,) are the same neurons
            takes = "has" if population.pool is None else "pools sums of shape"
            raise NetworkError(
                f"projection {projection.label}",
                f"delivers shape {shape}; the target {population.name!r} {takes} {drive}",
            )


def drive_shape(by_name: PopulationsByName, population: Population, incoming: Iterable[Projection]) -> Shape:
    """Shape of the sums that arrive at a population: its own, or what its pool takes.

    Raises
    ------
    NetworkError
        If a pool does not give the population's shape from the sums that its projections deliver.
    """
    pool, shape = population.pool, population.shape
    if pool is None:
        return shape
    where = f"population {population.name!r}: pool"
    delivered = [_delivered(by_name, projection) for projection in incoming]
    drive = next((sides for sides in delivered if len(sides) == 3), None)
    if drive is None:
        raise NetworkError(
            where, "needs sums of shape (C, H, W), which no projection delivers; use Conv2d, or Sparse with a shape"
        )
    try:
        pooled = pool.output_shape(drive)
    except NetworkError as error:
        raise NetworkError(where, error.problem) from None
    if pooled != shape:
        raise NetworkError(where, f"gives shape {pooled} from sums of shape {drive}; the population has {shape}")
    return drive


def _delivered(by_name: PopulationsByName, projection: Projection) -> Shape:
    """Shape of the sums that a projection delivers."""
    shape = by_name[projection.source].shape
    try:
        return projection.synapse.output_shape(projection.pool.output_shape(shape) if projection.pool else shape)
    except NetworkError as error:
        raise NetworkError(f"projection {projection.label}: {error.where}", error.problem) from None


def _precision(
    populations: Sequence[Population], projections: Sequence[Projection], precision: Precision | None
) -> None:
    fixed = precision is not None
    kind = "fixed-point" if fixed else "float"
    for population in populations:
        if population.neuron is None:
            continue
        is_fixed = isinstance(population.neuron, (FixedLIF, FixedReadout))
        if is_fixed != fixed:
            raise NetworkError(
                f"population {population.name!r}",
                f"has a {type(population.neuron).__name__} in a {kind} network; do not mix the two",
            )
    for projection in projections:
        if projection.integral != fixed:
            raise NetworkError(
                f"projection {projection.label}",
                f"has {projection.synapse.weight.dtype} weights in a {kind} network; "
                + ("integer mantissas are required" if fixed else "give them a float dtype"),
            )
        if not fixed and projection.exponent:
            raise NetworkError(f"projection {projection.label}", "has an exponent; it belongs to a fixed-point network")
    if precision is None:
        return
    for projection in projections:
        integers(
            f"projection {projection.label}: weight", projection.synapse.weight,
            low=precision.weight_low, high=precision.weight_high, ndim=(1, 2, 4),
        )  # fmt: skip
    for population in populations:
        neuron = population.neuron
        if isinstance(neuron, (FixedLIF, FixedReadout)):
            for name, value, (low, high) in (
                ("membrane_decay", neuron.membrane_decay, precision.membrane_decay_range()),
                ("current_decay", neuron.current_decay, precision.current_decay_range()),
            ):
                if value is not None:
                    integers(f"population {population.name!r}: {name}", value, low=low, high=high, ndim=(0, 1, 3))


def _traces(by_name: PopulationsByName, sam: Mapping[str, SamTrace | FixedSamTrace], fixed: bool) -> None:
    expected = FixedSamTrace if fixed else SamTrace
    for name, trace in sam.items():
        if not isinstance(by_name[name].neuron, (LIF, FixedLIF)):
            raise NetworkError(f"sam {name!r}", "is not a spiking population with neurons; a trace needs spikes")
        if not isinstance(trace, expected):
            raise NetworkError(
                f"sam {name!r}",
                f"got {type(trace).__name__}; this network needs {expected.__name__} (see Network.with_sam)",
            )


def accumulator_bound(by_name: PopulationsByName, incoming: Iterable[Projection]) -> int:
    """Largest |a| that any neuron can receive through these projections in one step, proven from the weights.

    In the worst case only the sources of positive weights spike, or only those of negative ones; input events may have
    either sign. A population's pool takes one of such sums, and adds nothing.

    Raises
    ------
    NetworkError
        If the sum of one step could exceed the 32 bits in which Lava and the back ends add.
    """
    low = high = 0
    for projection in incoming:
        source = by_name[projection.source]
        factor = source.largest_event * (projection.pool.area if projection.pool else 1)
        negative, positive = projection.synapse.row_sums()
        if source.neuron is None:
            negative, positive = negative - positive, positive - negative
        left = max(projection.exponent, 0)
        low += (int(np.floor(negative.min(initial=0.0))) * factor) << left
        high += (int(np.ceil(positive.max(initial=0.0))) * factor) << left
        if max(-low, high) > ACCUMULATOR_MAX:
            raise NetworkError(
                f"projection {projection.label}",
                f"can add up to {max(-low, high)} per step; 32 bits hold {ACCUMULATOR_MAX}. "
                "Lower weights, exponent or magnitude",
            )
    return max(-low, high)
