"""A recording from arrays that another implementation made: RTL, C, a chip, another simulator.

It may be a part of a run: some populations, some variables, some steps, without an output. Steps are a population's own
(network.py): those that are given begin with `first_step`. Nothing is turned round, rounded or clipped: what does not
fit is refused by name (layouts.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import integer
from neurosam.errors import ArgumentError
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.events import Events
from neurosam.signals.given import Given, exact, numbers
from neurosam.signals.layouts import Extent
from neurosam.signals.recording import Recording, Spikes

__all__ = ["Columns", "recording_from"]

Columns: TypeAlias = tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]
"""Step, sample and flat neuron of each spike, in any order."""

MOST_STEPS = 2**31 - 1


def recording_from(
    network: Network,
    *,
    spikes: Mapping[str, npt.ArrayLike | Spikes | Events | Columns] | None = None,
    membrane: Mapping[str, npt.ArrayLike] | None = None,
    current: Mapping[str, npt.ArrayLike] | None = None,
    sam: Mapping[str, npt.ArrayLike] | None = None,
    output: npt.ArrayLike | None = None,
    first_step: int = 0,
    steps: int | None = None,
    samples: int | None = None,
    name: str = "given",
) -> Recording:
    r"""Make a recording of arrays, to be compared with a run of the same network.

    Parameters
    ----------
    network : Network
        Which was run; populations, shapes and number types are checked against it.
    spikes : mapping of str to array, Spikes, Events or columns
        By population: ``[T, B, *shape]`` or ``[T, B, N]`` (how often each neuron fired in each step); or a tuple of
        three columns (step, sample, neuron), one entry a spike, with flat neurons in C order over (C, H, W).
    membrane, current : mapping of str to array
        ``[T, B, *shape]`` or ``[T, B, N]``, after the step. Of a fixed-point network: integers in 64ths of a weight.
    sam : mapping of str to array
        ``[T, B, H, W]`` or ``[T, B, H * W]``.
    output : (B, classes) array, optional
        Answer of the first output population.
    first_step : int
        Own step of the first of the T steps.
    steps, samples : int, optional
        T and B. If None, they are those of the arrays; columns alone end with the last step and sample that occur in
        them, so give both wherever a run may have ended silently.
    name : str
        What the recording is called in a comparison.

    Returns
    -------
    Recording
        With what was given and nothing else; its output is ``(B, 0)`` without one.

    Raises
    ------
    ArgumentError
        If a population, shape, number type or value does not fit the network: with the likely transposition, where the
        shape tells it.

    Examples
    --------
    >>> network = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (3,), ns.FixedLIF(membrane_decay=410, threshold=5))],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[3, 2], [9, 0], [1, 1]], np.int8)))],
    ... )
    >>> events = ns.Events.from_dense(np.ones((4, 1, 2), np.uint8))
    >>> golden = ns.run(network, events, record=ns.Record.everything(network))
    >>> golden.spikes["out"].dense()[:, 0]
    array([[0, 1, 0],
           [1, 1, 0],
           [1, 1, 1],
           [1, 1, 0]], dtype=uint8)
    >>> step, sample, neuron = [2, 2, 3, 3], [0, 0, 0, 0], [0, 1, 0, 1]  # steps 2 and 3 alone; one spike is missing
    >>> mine = ns.recording_from(network, spikes={"out": (step, sample, neuron)}, first_step=2, steps=2)
    >>> print(ns.compare(golden, mine, network))
    out: spikes at step 2, sample 0, neuron (2,): 1 != 0
    """
    first = integer("first_step", first_step, 0, MOST_STEPS, ArgumentError)
    extent = _length("steps", steps, 1), _length("samples", samples, 0)
    given: list[Given] = []
    for variable, values in (("spikes", spikes), ("membrane", membrane), ("current", current), ("sam", sam)):
        given += [Given.of(network, variable, each, value) for each, value in (values or {}).items()]
    answer = None if output is None else _answer(network, output, extent[1])
    if not given and answer is None:
        raise ArgumentError("recording_from", "got no array; give spikes, membrane, current, sam or output")
    length, batch = _extent(given, answer, extent, first)
    number = np.dtype(np.int32 if network.fixed else np.float64)
    fields: dict[str, dict[str, Any]] = {"spikes": {}, "membrane": {}, "current": {}, "sam": {}}
    for part in given:
        fields[part.variable][part.name] = part.made(first, length, batch, number)
    return Recording(
        backend=name,
        steps=length,
        samples=batch,
        output=np.zeros((batch, 0), number) if answer is None else answer,
        spikes=fields["spikes"],
        sam=fields["sam"],
        sam_scale={each: network.sam[each].scale for each in fields["sam"]},
        membrane=fields["membrane"],
        current=fields["current"],
        first_step=first,
    )


def _length(where: str, value: int | None, low: int) -> int | None:
    return None if value is None else integer(where, value, low, MOST_STEPS, ArgumentError)


def _extent(
    given: Sequence[Given], answer: npt.NDArray[Any] | None, extent: Extent, first: int
) -> tuple[int, int]:  # fmt: skip
    """Steps and samples: as given, else of the arrays, else up to the last of the columns."""
    for part in given:
        part.check(extent)
        steps, samples = part.extent
        extent = (steps if extent[0] is None else extent[0], samples if extent[1] is None else extent[1])
    for part in given:
        part.check(extent)
    columns = [part.columns for part in given if part.columns is not None]
    last = [max((int(x[k].max(initial=-1)) for x in columns), default=-1) for k in range(2)]
    batch = extent[1] if extent[1] is not None else len(answer) if answer is not None else last[1] + 1
    steps = extent[0] if extent[0] is not None else last[0] + 1 - first
    if answer is not None and len(answer) != batch:
        raise ArgumentError("output", f"has {len(answer)} samples; {batch} are required")
    if steps < 1:
        raise ArgumentError("steps", "are needed: no array and no spike tells how long the run was")
    return steps, batch


def _answer(network: Network, output: npt.ArrayLike, samples: int | None) -> npt.NDArray[Any]:
    """The output, in the number type that the network's answer has."""
    array, size = numbers("output", output), neurons(network[network.output].shape)
    check = (len(array) if array.ndim and samples is None else samples, size)
    if array.shape != check:
        hint = ". Its axes are swapped: x.T" if array.shape == check[::-1] else ""
        raise ArgumentError("output", f"has shape {array.shape}; (samples, {size}) is required{hint}")
    answer = network.answers[network.output]
    number = {"count": np.int64, "mean": np.float64}.get(answer, np.int32 if network.fixed else np.float64)
    return exact("output", array, np.dtype(number))
