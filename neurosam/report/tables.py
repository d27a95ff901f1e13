"""Tables of a page: operations by layer, integers out of range, quantisation, several networks compared.

difference of two maps    sum |a - b| / sum b            over steps, samples and pixels, in the unit of float traces
agreement                 share of samples with the same answer (signals/answer.py)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from neurosam.deploy.quantisation_report import QuantisationReport
from neurosam.metrics.operations import Operations, synaptic_operations
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.report.model import Cell, Table
from neurosam.signals.answer import NO_ANSWER
from neurosam.signals.events import Events
from neurosam.signals.overflow import REMEDY
from neurosam.signals.recording import Recording

__all__ = ["comparison_table", "difference_table", "operations_table", "percent", "quantisation_table", "range_table"]


def percent(share: float) -> float:
    """A share as tables have it: in percent, with one decimal."""
    return round(100 * share, 1)


def operations_table(network: Network, recording: Recording, inputs: Events | Mapping[str, Events]) -> Table:
    """What each layer does in an inference: events it sends, weights it adds, neurons it updates.

    Parameters
    ----------
    network : Network
    recording : Recording
        With the spikes of every population that has outgoing projections.
    inputs : Events or mapping of str to Events
        The input of the run.
    """
    samples = max(recording.samples, 1)
    by_label = synaptic_operations(network, recording, inputs)
    rows: list[Sequence[Cell]] = []
    for population in network.populations:
        labels = {p.label for p in network.incoming(population.name)} & by_label.keys()
        arriving = sum((by_label[label] for label in labels), Operations())
        done = arriving.effective_acs + arriving.effective_macs
        sent = recording.counts.get(population.name)
        is_input = population.neuron is None
        rows.append((
            population.name,
            neurons(population.shape),
            None if sent is None else _mean(int(sent.sum()), samples),
            None if is_input else _mean(done, samples),
            None if is_input or not arriving.dense else percent(done / arriving.dense),
            None if is_input else neurons(population.shape) * recording.steps,
        ))  # fmt: skip
    columns = ("population", "neurons", "events sent", "synaptic operations", "of dense, %", "neuron updates")
    note = (
        f"of one sample, the mean of {recording.samples}, in {recording.steps} steps; a synaptic operation is a weight "
        "that an event adds, dense means every weight in every step; neuron updates: every neuron in every step"
    )
    return Table("Operations by layer", columns, [*rows, _total(rows)], note)


def _mean(total: int, samples: int) -> float | int:
    """A mean count, whole if it is large."""
    mean = total / samples
    return round(mean) if mean >= 1000 or mean == round(mean) else mean


def _total(rows: Sequence[Sequence[Cell]]) -> Sequence[Cell]:
    numbers = [[row[i] for row in rows if isinstance(row[i], (int, float))] for i in (1, 2, 3, 5)]
    sums = [sum(float(x or 0) for x in column) for column in numbers]
    whole = [round(x) if x >= 1000 or x == round(x) else x for x in sums]
    return ("total", whole[0], whole[1], whole[2], None, whole[3])


def range_table(recording: Recording) -> Table | None:
    """How often integers left their range, by population; None for a float network, which has no such range."""
    if not recording.saturated:
        return None
    rows: list[Sequence[Cell]] = []
    for name, saturated in recording.saturated.items():
        wrapped = recording.wrapped.get(name, np.zeros_like(saturated))
        affected = int(np.count_nonzero(saturated + wrapped))
        rows.append((name, int(saturated.sum()), int(wrapped.sum()), f"{affected} of {recording.samples}"))
    columns = ("population", "saturated (neuron-steps)", "wrapped (neuron-steps)", "samples with any")
    note = "membranes that were clipped to 24 bits, and sums that wrapped around; "
    clean = not any(row[1] or row[2] for row in rows)
    note += "none: results are those of unlimited integers with the same rounding" if clean else REMEDY
    return Table("Integers out of range", columns, rows, note)


def quantisation_table(report: QuantisationReport) -> Table:
    """What quantisation did to each layer."""
    columns = ("layer", "weights", "clipped", "SNR dB", "threshold", "input", "of 2^17", "membrane", "safe steps")
    rows: list[Sequence[Cell]] = [
        (
            row.population, f"{row.weight_low}..{row.weight_high}", f"{row.clipped:.2%}", f"{row.weight_snr_db:.1f}",
            row.threshold or "-", f"{row.arrival_bound:,}", f"{row.arrival_bound / 2**17:.1%}",
            f"{row.membrane_peak / 2**23:.1%}" if row.membrane_peak else "-",
            "-" if row.safe_steps is None else f"{row.safe_steps:,}",
        )
        for row in report.populations
    ]  # fmt: skip
    note = (
        "input: the largest sum of weights in a step; membrane: its peak, of 2^23; safe steps: until a membrane that "
        "goes on growing as in the calibration saturates"
    )
    if np.isfinite(report.agreement):
        note += f"\nfloat and fixed point agree on {report.agreement:.1%} of the calibration samples"
    return Table("quantisation", columns, rows, note)


def comparison_table(
    predictions: Mapping[str, npt.NDArray[np.int64]], labels: npt.NDArray[np.int64] | None, note: str = ""
) -> Table:
    """Accuracy of several networks on the same samples, and their agreement with the first of them.

    Parameters
    ----------
    predictions : mapping of str to (B,) int array
        By name of the network, -1 for no answer.
    labels : (B,) int array, optional
    note : str
        What the samples are.

    Examples
    --------
    >>> from neurosam.report.tables import comparison_table
    >>> both = {"float64": np.array([1, 2, -1, 0]), "4 bits": np.array([1, -1, -1, 2])}
    >>> comparison_table(both, np.array([1, 2, 0, 0])).rows
    [('float64', 75.0, None, 1), ('4 bits', 25.0, 50.0, 2)]
    """
    first = next(iter(predictions.values()))
    columns = ["network", "accuracy, %", f"agreement with {next(iter(predictions))}, %", "no answer"]
    rows: list[tuple[Cell, ...]] = []
    for number, (name, answers) in enumerate(predictions.items()):
        right = None if labels is None else percent(float(np.mean(answers == labels)))
        same = percent(float(np.mean(answers == first))) if number else None
        rows.append((name, right, same, int(np.count_nonzero(answers == NO_ANSWER))))
    if labels is None:
        columns.remove("accuracy, %")
        rows = [(row[0], *row[2:]) for row in rows]
    return Table("Networks compared", columns, rows, note)


def difference_table(recording: Recording, exact: Recording, name: str) -> Table:
    """How far the maps and spikes of a run are from those of the same samples on another network.

    Parameters
    ----------
    recording, exact : Recording
        With maps of the same layers; the first samples of one may be all of the other.
    name : str
        What the other one is: "float64".
    """
    count = min(recording.samples, exact.samples)
    mine, theirs = recording.select(0, count), exact.select(0, count)
    rows: list[Sequence[Cell]] = []
    for layer in theirs.sam:
        a = np.asarray(mine.sam[layer] / mine.sam_scale.get(layer, 1.0))
        b = np.asarray(theirs.sam[layer] / theirs.sam_scale.get(layer, 1.0))
        whole = float(b.sum())
        spikes = [int(r.counts[layer].sum()) if layer in r.counts else None for r in (mine, theirs)]
        rows.append((layer, *spikes, percent(float(np.abs(a - b).sum()) / whole) if whole else None))
    columns = ("layer", "spikes", f"spikes, {name}", "difference of the maps, %")
    note = (
        f"of {count} sample{'s' * (count != 1)}; difference: the sum of |map - map of {name}| over the sum of the "
        "latter, step by step and pixel by pixel"
    )
    return Table(f"Beside {name}", columns, rows, note)
