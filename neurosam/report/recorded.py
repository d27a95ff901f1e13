"""The page of a run: samples with their maps, the network as a diagram, what the terms mean, and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.report.diagram import diagram, diagram_text
from neurosam.report.explanations import AGREEMENT, explanations
from neurosam.report.model import Cell, Picture, Report, Table
from neurosam.report.samples import from_recording, neuron_kinds
from neurosam.report.tables import operations_table, range_table
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording

__all__ = ["report_of"]


def report_of(
    network: Network,
    recording: Recording,
    images: npt.NDArray[np.uint8],
    *,
    title: str,
    labels: npt.NDArray[np.int64] | None = None,
    masks: npt.NDArray[np.bool_] | None = None,
    classes: Sequence[str] = (),
    shown: int = 12,
    inputs: Mapping[str, Events] | None = None,
    detail: Recording | None = None,
    beside: tuple[str, Recording] | None = None,
    provenance: Mapping[str, Cell] | None = None,
    highlights: Mapping[str, Cell] | None = None,
    tables: Sequence[Table] = (),
) -> Report:
    """Make the page of a run.

    Parameters
    ----------
    network : Network
    recording : Recording
        With SAM; spikes and the output's membrane are used if they were recorded.
    images, labels, masks
        Of the recording's samples, in the same order.
    classes : sequence of str
    shown : int
        Samples on the page: the first ones, without selection.
    inputs : mapping of str to Events, optional
        What went in, by input population. With it, and with the spikes of all populations, operations are counted.
    detail, beside
        See :func:`~neurosam.report.from_recording`.
    title, provenance, highlights, tables
        See :class:`~neurosam.report.Report`. Tables of operations and of integers out of range are added.
    """
    output, answer = network.output, network.answers[network.output]
    precision = network.precision
    origin: dict[str, Cell] = {
        "precision": "float64" if precision is None else f"{precision.name}, {precision.weight_bits}-bit weights",
        "back end": recording.backend,
        "steps": recording.steps,
        **(provenance or {}),
    }
    readout = output if _has_course(recording, output, answer) else None
    samples = from_recording(
        recording, images, labels=labels, masks=masks, readout=readout, answer=answer,
        select=range(min(shown, recording.samples)), detail=detail, inputs=inputs, beside=beside,
        network=network,
    )  # fmt: skip
    terms = explanations(network, tuple(recording.sam))
    picture = Picture(
        "The network", diagram(network), diagram_text(network), "delays and starts are in steps; brown arrows lead back"
    )
    ranges = range_table(recording)
    found = [*tables, *_operations(network, recording, inputs), *([] if ranges is None else [ranges])]
    return Report(
        title,
        samples,
        classes,
        provenance=origin,
        highlights=highlights or {},
        tables=[table._replace(heading=table.heading[:1].upper() + table.heading[1:]) for table in found],
        pictures=[picture],
        neurons={name: neurons(network[name].shape) for name in recording.counts},
        unit="summed contribution score",
        kinds=neuron_kinds(network),
        modes={name: network.sam[name].mode for name in recording.sam},
        output=output,
        answer=answer,
        explanations=terms if beside is None else [*terms, AGREEMENT],
    )


def _has_course(recording: Recording, output: str, answer: str) -> bool:
    """Whether the answer after each step is known: from the output's spikes if it counts them, else its membrane."""
    return output in (recording.spikes if answer == "count" else recording.membrane)


def _operations(network: Network, recording: Recording, inputs: Mapping[str, Events] | None) -> list[Table]:
    sources = {p.source for p in network.projections if network[p.source].neuron is not None}
    if inputs is None or not sources <= recording.spikes.keys():
        return []
    return [operations_table(network, recording, inputs)]
