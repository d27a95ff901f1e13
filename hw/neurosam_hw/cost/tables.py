"""A cost as tables, for the terminal and the page alike. Energies of a table share one unit, which its column names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.report.metrics import neurobench_table
from neurosam.report.model import Cell, Table
from neurosam_hw.chips.chip import Board
from neurosam_hw.cost.amount import Amount, prefix, si
from neurosam_hw.cost.duration import ASYNCHRONOUS, SLOWEST_CORE
from neurosam_hw.cost.inference import Cost
from neurosam_hw.cost.work import layers
from neurosam_hw.mapping.mapping import CoreMapping

__all__ = [
    "Remark",
    "board_table",
    "core_table",
    "cores_text",
    "count_table",
    "energy_table",
    "layer_table",
    "network_table",
    "summary",
    "time_table",
    "times",
]

MANY = 1000
"""From this number on, a mean count is given as a whole number."""


class Remark(NamedTuple):
    """One of the most important numbers: what it is, its value, and its standing or why there is none."""

    what: str
    value: str
    remark: str


def cores_text(mapping: CoreMapping) -> str:
    """How many cores of how many chips."""
    cores, chips = (f"{n} {what}{'s' * (n != 1)}" for n, what in ((mapping.cores, "core"), (mapping.chips, "chip")))
    return f"{cores} of {chips}"


def summary(cost: Cost) -> list[Remark]:
    """The most important numbers."""
    energy, took = cost.energy, cost.duration
    found = []
    if cost.total is None:
        found.append(Remark("energy of an inference", "no total", f"for want of {energy.refusal}"))
        if energy.known.value:
            known = Amount.of(energy.known)
            found.append(
                Remark("known parts of the energy", known.text, f"{_standing(cost, known.standing)}; no total")
            )
    else:
        found.append(Remark("energy of an inference", cost.total.text, _standing(cost, cost.total.standing)))
    if energy.all_in is not None:
        whole = Amount.of(energy.all_in)
        remark = (
            f"{_standing(cost, whole.standing)}; everything that the chip draws, by synaptic operation; adds to nothing"
        )
        found.append(Remark("energy of an inference, all-in", whole.text, remark))
    if took.latency is None:
        found.append(Remark("time of an inference", "unknown", f"for want of {took.refusal}"))
    else:
        found.append(Remark("time of an inference", took.latency.text, _standing(cost, took.latency.standing)))
    if took.cycles is not None:
        cycles = f"{took.cycles.sum(axis=0).mean():,.0f}"
        found.append(Remark("clock cycles of an inference", cycles, took.standing))
    if cost.power is not None:
        found.append(Remark("mean power of that energy", _about(cost.power), _standing(cost, cost.power.standing)))
    found += _slowest_layer(cost)
    return found


def energy_table(cost: Cost) -> Table:
    """Every term: how often, what each draws, and the product."""
    lines = cost.energy.lines
    known = [line.energy.value for line in lines if line.energy is not None]
    factor, unit = prefix(max(known, default=0.0), "J")
    whole = math.fsum(known)
    rows: list[Sequence[Cell]] = []
    for line in lines:
        energy = None if line.energy is None else line.energy.value
        share = None if energy is None else round(100 * energy / (whole or 1.0), 1)
        rows.append(
            (
                line.cause, line.count.replace("_", " "), times(line.number), line.figure.value_text,
                line.figure.standing, None if energy is None else energy * factor, share,
            )
        )  # fmt: skip
    if whole:
        summed = Amount.of(cost.energy.known)
        bound = "" if summed.low == summed.high else summed.text
        name = "total" if cost.total else "known part"
        rows.append((name, bound, None, "", summed.standing, whole * factor, 100.0))
    share_of = "share of the known part, %" if whole and not cost.total else "share, %"
    columns = ("cause", "what", "times", "each", "standing", f"energy, {unit}", share_of)
    return _labelled(cost, "Energy of an inference by cause", columns, rows, f"mean of {cost.samples} samples")


def time_table(cost: Cost) -> Table:
    """Latency, throughput and the longest step; what ends a step."""
    took = cost.duration
    values = (
        ("inference, from its first step to its last", took.latency),
        ("slowest sample", took.slowest),
        ("longest step", took.longest_step),
        ("inferences a second, one after the other", took.throughput),
        ("inferences a second, pipelined", took.pipelined),
    )
    rows: list[Sequence[Cell]] = [
        (what, *(("unknown", "unknown") if amount is None else (amount.text, amount.standing)))
        for what, amount in values
    ]
    if took.cycles is not None:
        rows.append(("clock cycles of an inference", f"{took.cycles.sum(axis=0).mean():,.0f}", took.standing))
        rows.append(("clock cycles of the longest step", f"{took.cycles.max():,.0f}", took.standing))
    for name in ("time.event", "time.step_min"):  # all-in: they add to nothing
        figure = cost.mapping.chip.figure(name)
        if figure.known:
            rows.append((f"{figure.name}, as the file has it", figure.value_text, figure.standing))
    chip = "none" if took.method == ASYNCHRONOUS else len(took.known.value)
    note = f"{took.method}; {cost.steps} steps, {chip} on the chip"
    return _labelled(cost, "Time", ("what", "value", "standing"), rows, note)


def layer_table(cost: Cost) -> Table:
    """Cores, neurons, counts, energy and time by what cores hold."""
    names = ("spikes", "deliveries", "packets", "active")
    counts = [cost.by_layer(name) for name in names]
    columns = ["layer", "cores", "neurons", "spikes", "synaptic operations", "packets sent", "active updates"]
    rows: list[list[Cell]] = [
        [
            layer,
            len(cores),
            sum(piece.size for core in cores for piece in cost.mapping.pieces_on(core)),
            *(times(by_layer[layer]) for by_layer in counts),
        ]
        for layer, cores in layers(cost.mapping).items()
    ]
    if cost.core_j.any():
        factor, unit = prefix(max(cost.layer_j.values()), "J")
        _append(columns, rows, f"{_energy(cost)}, {unit}", [energy * factor for energy in cost.layer_j.values()])
    busy, unit = _busy(cost)
    if busy is not None:
        longest = [float(busy[cores].max()) for cores in layers(cost.mapping).values()]
        _append(columns, rows, f"busiest core, {unit}", longest)
    note = "counted where the work is done; busiest core: its time at work in an inference"
    return _labelled(cost, "An inference by layer", columns, rows, note)


def core_table(cost: Cost, most: int) -> Table:
    """The cores that draw most (or do most, where no energy is known)."""
    mapping = cost.mapping
    deliveries, packets, messages = (_by_core(cost, name) for name in ("deliveries", "packets", "messages"))
    order = np.argsort(-(cost.core_j if cost.core_j.any() else deliveries), kind="stable")[:most]
    columns = ["core", "place", "holds", "neurons", "operations", "packets sent", "messages received"]
    rows: list[list[Cell]] = [
        [
            core,
            "{}, {}, {}".format(*mapping.tile(core)),
            ", ".join(dict.fromkeys(piece.population for piece in mapping.pieces_on(core))),
            sum(piece.size for piece in mapping.pieces_on(core)),
            *(times(float(x[core])) for x in (deliveries, packets, messages)),
        ]
        for core in order.tolist()
    ]
    if cost.core_j.any():
        factor, unit = prefix(float(cost.core_j.max()), "J")
        _append(columns, rows, f"{_energy(cost)}, {unit}", (cost.core_j[order] * factor).tolist())
    busy, unit = _busy(cost)
    if busy is not None:
        _append(columns, rows, f"at work, {unit}", busy[order].tolist())
    shown = "An inference by core" if most >= mapping.cores else f"The {len(rows)} busiest of {mapping.cores} cores"
    note = "place: chip, and column and row of the tile; at work: step by step the longer of sending and receiving"
    return _labelled(cost, shown, columns, rows, note)


def board_table(cost: Cost) -> Table | None:
    """What the board draws over an inference; None without a board."""
    if cost.board is None:
        return None
    rows: list[Sequence[Cell]] = []
    for row in cost.board_rows:
        times = f" x {row.times} chips" if row.times > 1 else ""
        energy = "unknown" if row.energy is None else row.energy.text
        name = row.figure.name.rpartition(".")[2].replace("_", " ")
        rows.append((name, row.figure.value_text + times, row.figure.standing, energy, row.figure.conditions))
    note = f"power times the modelled latency{_pace(cost.board)}; no part of the energy above, and the rows overlap: "
    note += "idle holds its rails, and loaded holds idle"
    columns = ("what", "power", "standing", "energy of an inference", "conditions")
    return _labelled(cost, f"Board {cost.board.name}: {cost.board.title}", columns, rows, note)


def count_table(cost: Cost) -> Table:
    """Everything that was counted."""
    rows: list[Sequence[Cell]] = [(name.replace("_", " "), times(value)) for name, value in cost.counts.items()]
    return _labelled(cost, "Counts of an inference", ("what", "times"), rows, f"mean of {cost.samples} samples")


def network_table(cost: Cost) -> Table:
    """The run under NeuroBench's names."""
    heading, columns, rows, note = neurobench_table(cost.neurobench)
    return _labelled(cost, heading, columns, rows, note)


def _standing(cost: Cost, standing: str) -> str:
    """The standing of a value; with the network's, where its integers are not there yet."""
    return standing if cost.mapping.network.fixed else f"{standing}; of a float network, as if it were quantised"


def _pace(board: Board) -> str:
    """How fast inferences came on a board, where its file says; empty if it does not."""
    paced = board.figures.get("inferences")
    if paced is None or not paced.known:
        return ""
    return f"; on this board, inferences came at {paced.value_text} ({paced.conditions})"


def _about(power: Amount) -> str:
    """A power without its ends: energy and time have theirs together, so those of the quotient would mislead."""
    value = si(power.value, power.unit)
    return value if power.low == power.high else f"about {value}"


def _slowest_layer(cost: Cost) -> list[Remark]:
    """The layer of the core that is at work longest, where the chip waits for its slowest core and has others free."""
    took, mapping = cost.duration, cost.mapping
    if took.method != SLOWEST_CORE or took.latency is None or took.busy_s is None or not took.latency.value:
        return []
    core = int(took.busy_s.argmax())
    name, cores = next((name, cores) for name, cores in layers(mapping).items() if core in cores)
    free = mapping.chips * (mapping.cores_per_chip or 0) - mapping.cores
    if mapping.cores == 1 or free <= 0:
        return []
    share = took.busy_s[core] / cost.samples / took.latency.value
    remark = (
        f"on {len(cores)} of {mapping.cores} cores, at work {share:.0%} of the time; {free} cores are free, and a "
        "mapping that gives it more of them (--map) may take less time"
    )
    return [Remark("slowest layer", name, remark)]


def _labelled(cost: Cost, heading: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], note: str) -> Table:
    """A table that says in its heading that the chip does not take the network, if so."""
    return Table(f"{heading} ({cost.verdict.mark})" if cost.label else heading, columns, rows, note)


def _append(columns: list[str], rows: Sequence[list[Cell]], column: str, values: Sequence[float]) -> None:
    columns.append(column)
    for row, value in zip(rows, values, strict=True):
        row.append(value)


def _busy(cost: Cost) -> tuple[npt.NDArray[np.float64] | None, str]:
    """How long each core works in an inference, and the unit."""
    busy = cost.duration.busy_s
    if busy is None:
        return None, "s"
    factor, unit = prefix(float(busy.max(initial=0.0)) / cost.samples, "s")
    return busy / cost.samples * factor, unit


def _by_core(cost: Cost, name: str) -> npt.NDArray[np.float64]:
    x = cost.work[name]
    return np.zeros(cost.mapping.cores) if x is None else x.sum(axis=0) / cost.samples


def _energy(cost: Cost) -> str:
    return "energy" if cost.total else "energy (known part)"


def times(value: float | None) -> float | int | None:
    """A mean count as a table has it: whole if it is, or if it is large."""
    return round(value) if value is not None and (value >= MANY or value == round(value)) else value
