"""A cost as one HTML page with its pictures and tables, and the same tables as JSON next to it (neurosam.report)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from neurosam.report.model import Cell, Picture, Report, Table
from neurosam.report.page import write_page
from neurosam_hw.cost.inference import Cost
from neurosam_hw.cost.pictures import chip_picture, over_steps, svg
from neurosam_hw.cost.tables import (
    board_table,
    core_table,
    cores_text,
    count_table,
    energy_table,
    layer_table,
    network_table,
    summary,
    time_table,
)
from neurosam_hw.cost.work import layers

__all__ = ["write_cost_page"]

CORES = 200
"""Cores that the page lists."""


def write_cost_page(
    path: str | Path,
    cost: Cost,
    title: str,
    provenance: Mapping[str, Cell] | None = None,
    more: Sequence[Table] = (),
) -> list[Path]:
    """Write the page and its JSON.

    Parameters
    ----------
    path : str or Path
        Name of the page.
    cost : Cost
    title : str
        Such as the name of the network's file.
    provenance : mapping of str to Cell, optional
        Where the numbers come from, beside the chip and the run.
    more : sequence of Table
        Further tables, such as those of SAM.
    """
    mapping = cost.mapping
    label = f" ({cost.verdict.mark})" if cost.label else ""
    report = Report(
        f"{title} on {mapping.chip.title}{label}",
        provenance={
            **({"attention": cost.label} if cost.label else {}),
            **(provenance or {}),
            **({"assumed": "; ".join(cost.verdict.assumed)} if cost.verdict.assumed else {}),
            "chip": f"{mapping.chip.name}: {mapping.chip.title}",
            "cores": cores_text(mapping),
            "samples": cost.samples,
            "steps": f"{cost.steps}, {len(cost.step_j)} on the chip",
        },
        highlights={f"{item.what}: {item.remark}": item.value for item in summary(cost)},
        tables=[*(table for table in _tables(cost) if table is not None), *more],
        pictures=_pictures(cost),
    )
    return list(write_page(path, report))


def _tables(cost: Cost) -> list[Table | None]:
    return [
        energy_table(cost),
        time_table(cost),
        board_table(cost),
        layer_table(cost),
        core_table(cost, CORES),
        count_table(cost),
        network_table(cost),
    ]


def _pictures(cost: Cost) -> list[Picture]:
    whole = sum(cost.layer_j.values()) or 1.0
    held = ", ".join(
        f"{layer} on {len(cores)} cores, {cost.layer_j[layer] / whole:.0%}"
        for layer, cores in layers(cost.mapping).items()
    )
    return [
        Picture(
            "Over steps",
            svg(over_steps(cost)),
            f"Spikes, energy by cause, and time of each of {len(cost.step_j)} steps.",
            "The mean over samples. The layers run behind each other, so the chip makes more steps than the network.",
        ),
        Picture(
            "On the chip",
            svg(chip_picture(cost)),
            f"Layers with their cores and shares of the known energy: {held}.",
            "An inference, the mean over samples. Grey cores are not in use. The table of cores has the numbers.",
        ),
    ]
