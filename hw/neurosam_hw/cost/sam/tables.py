"""The price of SAM as tables and as JSON, for the terminal, the page and programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from neurosam.report.model import Cell, Table
from neurosam_hw.cost.amount import Amount, prefix
from neurosam_hw.cost.document import amount_document
from neurosam_hw.cost.ledger import Ledger
from neurosam_hw.cost.sam.price import SamPrice
from neurosam_hw.cost.sam.unit import AT_SPIKES
from neurosam_hw.cost.tables import Remark, times
from neurosam_hw.rules.check import check_traces

__all__ = ["sam_document", "sam_summary", "sam_tables"]

OPERATIONS = {
    "trace updates": "trace_updates",
    "messages": "packets",
    "hops": "hops",
    "synaptic operations": "deliveries",
    "sums updated": "active",
    "traces read": "trace_reads",
}
"""Columns of the table of operations, by the counts that they show."""


def sam_tables(price: SamPrice) -> tuple[Table, Table]:
    """State by layer; operations, energy and time by layer."""
    return _state(price), _operations(price)


def sam_summary(price: SamPrice) -> list[Remark]:
    """The most important numbers."""
    before, energy, longer = price.without, price.energy, price.latency
    found = [Remark("SAM, extra state", f"{price.bits:,} bit", price.unit.note)]
    if price.unit.way == AT_SPIKES:
        sums = sum(layer.state.pixels for layer in price.layers.values())
        own = f"{price.own_cores} core{'s' * (price.own_cores != 1)} of their own"
        found.append(Remark("SAM, sums of the maps", f"{sums:,} neurons", own))
    broken = check_traces(price.traced.mapping.network, price.traced.mapping.chip).broken
    if broken:
        found.append(Remark("SAM, traces as the network has them", "do not fit", f"rules {', '.join(broken)}"))
    if energy.total is None:
        known = f"{Amount.of(energy.known).text}, and what is unknown" if energy.known.value else "unknown"
        found.append(Remark("SAM, energy of an inference", known, f"for want of {energy.refusal}"))
    else:
        share = _share(energy.total.value, None if before.total is None else before.total.value)
        text = f"{Amount.of(energy.total).text}{share}"
        found.append(Remark("SAM, energy of an inference", text, energy.total.standing))
    if longer is None:
        found.append(Remark("SAM, time of an inference", "unknown", f"for want of {price.traced.duration.refusal}"))
    else:
        took = before.duration.latency
        text = f"{longer.text}{_share(longer.value, None if took is None else took.value)}"
        found.append(Remark("SAM, time of an inference", text, longer.standing))
    return found


def sam_document(price: SamPrice) -> dict[str, Any]:
    """Everything that is known of a price, in SI units, unrounded; an open end of a range is null."""
    return {
        "way": price.unit.way,
        "note": price.unit.note,
        "label": price.traced.label,
        "bits": price.bits,
        "cores_of_their_own": price.own_cores,
        "counts": dict(price.counts),
        "energy": _ledger(price.energy),
        "energy_without": amount_document(price.without.total),
        "energy_with": amount_document(price.traced.total),
        "latency": amount_document(price.latency),
        "latency_without": amount_document(price.without.duration.latency),
        "latency_with": amount_document(price.traced.duration.latency),
        "longer_run": None if price.longer is None else _ledger(price.longer),
        "by_layer": {
            name: {
                "state": asdict(layer.state),
                "bits": layer.bits,
                "counts": dict(layer.counts),
                "energy": _ledger(layer.energy),
                "latency_alone": amount_document(layer.latency),
            }
            for name, layer in price.layers.items()
        },
    }


def _state(price: SamPrice) -> Table:
    rows: list[Sequence[Cell]] = []
    if price.unit.way != AT_SPIKES:
        for name, layer in price.layers.items():
            rows.append((name, layer.state.neurons, price.unit.bits, layer.bits))
        note = "a trace of the learning engine for each neuron; no table and no stamp, since it decays in every step"
        return _labelled(price, "SAM: state", ("layer", "neurons", "trace, bit", "in all, bit"), rows, note)
    for name, layer in price.layers.items():
        state = layer.state
        table = f"{state.table_entries} x {state.entry_bits}"
        rows.append(
            (
                name, state.neurons, state.trace_bits, state.stamp_bits + state.count_bits, state.pixels,
                state.sum_bits, table, state.score_bits, state.product_bits, layer.bits,
            )
        )  # fmt: skip
    columns = (
        "layer", "neurons", "trace, bit", "stamp, bit", "sums", "sum, bit", "table, bit", "message, bit",
        "product, bit", "in all, bit",
    )  # fmt: skip
    note = (
        f"widths that no run of {price.without.steps} steps exceeds; a table on each core of the layer; "
        "product: what a multiplier needs; stamp: with the number of spikes in the official mode"
    )
    return _labelled(price, "SAM: state", columns, rows, note)


def _operations(price: SamPrice) -> Table:
    parts: dict[str, tuple[Mapping[str, float | None], Ledger, float | None]] = {
        name: (layer.counts, layer.energy, layer.known_s) for name, layer in price.layers.items()
    }
    if price.longer is not None:
        parts["longer run"] = ({}, price.longer, None)
    parts["in all"] = (price.counts, price.energy, price.known_s)
    shown = {title: name for title, name in OPERATIONS.items() if price.counts.get(name)}
    factor, unit = prefix(max(energy.known.value for _, energy, _ in parts.values()), "J")
    second, second_unit = prefix(max(abs(took or 0.0) for _, _, took in parts.values()), "s")
    base = price.without.energy.known.value
    columns = ["layer", *shown]
    rows: list[list[Cell]] = [
        [name, *(times(counts.get(count, 0.0)) for count in shown.values())] for name, (counts, _, _) in parts.items()
    ]
    if base:
        columns += [f"energy{_part(price.energy.total)}, {unit}", "of the run without, %"]
        for row, (_, energy, _) in zip(rows, parts.values(), strict=True):
            row += [energy.known.value * factor, round(100 * energy.known.value / base, 2)]
    note = ""
    if price.without.duration.known.value.any():
        note = "time of a layer: if it alone is traced; a core that waits for a slower one has time for its traces"
        columns.append(f"time{_part(price.latency)}, {second_unit}")
        for row, (_, _, took) in zip(rows, parts.values(), strict=True):
            row.append(None if took is None else took * second)
    return _labelled(price, "SAM: what an inference costs more", columns, rows, note)


def _part(whole: object) -> str:
    return "" if whole else " (known part)"


def _labelled(
    price: SamPrice, heading: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], note: str
) -> Table:
    verdict = price.traced.verdict
    return Table(f"{heading} ({verdict.mark})" if verdict.label else heading, columns, rows, note)


def _share(value: float, whole: float | None) -> str:
    return f", {value / whole:+.2%}" if whole else ""


def _ledger(energy: Ledger) -> dict[str, Any]:
    return {
        "total": amount_document(energy.total),
        "known_part": amount_document(energy.known),
        "missing": {cause: list(names) for cause, names in energy.missing.items()},
        "by_cause_j": {cause: None if part is None else part.value for cause, part in energy.by_cause.items()},
    }
