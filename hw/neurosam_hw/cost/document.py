"""A cost as JSON has it: numbers in SI units, unrounded; an open end of a range is null."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam_hw.chips.figure import Total
from neurosam_hw.cost.amount import Amount
from neurosam_hw.cost.inference import Cost
from neurosam_hw.cost.work import layers

__all__ = ["FORMAT", "FORMAT_VERSION", "amount_document", "document"]

FORMAT, FORMAT_VERSION = "neurosam-cost", 1


def document(cost: Cost) -> dict[str, Any]:
    """Everything that is known of a cost. Energies and counts are of an inference, the mean over samples."""
    mapping, took = cost.mapping, cost.duration
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "chip": mapping.chip.name,
        "label": cost.label,
        "unchecked_rules": list(cost.verdict.unchecked),
        "assumptions": list(cost.verdict.assumed),
        "samples": cost.samples,
        "steps": cost.steps,
        "steps_on_chip": len(cost.step_j),
        "cores": mapping.cores,
        "chips": mapping.chips,
        "counts": cost.counts,
        "neurobench": dict(cost.neurobench),
        "energy": {
            "lines": [
                {
                    "cause": line.cause,
                    "count": line.count,
                    "times": line.number,
                    "figure": line.figure.name,
                    "each_j": line.figure.value_si,
                    "bound": line.figure.bound,
                    "standing": line.figure.standing,
                    "energy": amount_document(line.energy),
                }
                for line in cost.energy.lines
            ],
            "total": amount_document(cost.total),
            "missing": {cause: list(names) for cause, names in cost.energy.missing.items()},
            "known_part": amount_document(cost.energy.known),
            "all_in": amount_document(cost.energy.all_in),
            "by_sample_j": _list(cost.sample_j),
        },
        "time": {
            "method": took.method,
            "latency": amount_document(took.latency),
            "slowest_sample": amount_document(took.slowest),
            "longest_step": amount_document(took.longest_step),
            "throughput": amount_document(took.throughput),
            "pipelined": amount_document(took.pipelined),
            "missing": list(took.missing),
            "cycles": None if took.cycles is None else float(took.cycles.sum(axis=0).mean()),
        },
        "power": amount_document(cost.power),
        "by_layer": {
            layer: {
                "cores": cores.tolist(),
                "known_energy_j": cost.layer_j[layer],
                "counts": {name: cost.by_layer(name)[layer] for name in cost.work},
            }
            for layer, cores in layers(mapping).items()
        },
        "by_core": {
            "place": [[*map(int, mapping.positions[core]), *mapping.tile(core)[1:]] for core in range(mapping.cores)],
            "place_is": ["chip", "core on the chip", "column of its tile", "row of its tile"],
            "known_energy_j": _list(cost.core_j),
            "at_work_s": None if took.busy_s is None else _list(took.busy_s / cost.samples),
            "counts": {
                name: None if x is None else _list(x.sum(axis=0) / cost.samples) for name, x in cost.work.items()
            },
        },
        "by_step": {
            "known_energy_j": _list(cost.step_j),
            "time_s": None if took.step is None else _list(took.step.value.mean(axis=1)),
            "counts": {
                name: None if x is None else _list(x.sum(axis=1) / cost.samples) for name, x in cost.work.items()
            },
        },
        "board": None
        if cost.board is None
        else {
            "name": cost.board.name,
            "rows": [
                {
                    "figure": row.figure.name,
                    "times": row.times,
                    "power_w": row.figure.value_si,
                    "standing": row.figure.standing,
                    "energy": amount_document(row.energy),
                }
                for row in cost.board_rows
            ],
        },
    }


def amount_document(amount: Amount | Total | None) -> dict[str, Any] | None:
    """A value with its range and standing; None for what is unknown."""
    if amount is None:
        return None
    high = None if math.isinf(amount.high) else amount.high
    value, low = (None if math.isinf(x) else x for x in (amount.value, amount.low))
    return {"value": value, "low": low, "high": high, "unit": amount.unit, "standing": amount.standing}


def _list(array: npt.NDArray[np.float64]) -> list[float]:
    return [float(x) for x in array]
