"""The judged methods as tables: a row for each method, a column for each measure, one table for each coding.

Cells are means over seeds and pictures: "float / 8 bits" if a measure asks the network, the best (at 8 bits) in bold.
Intervals are in the chart, and every figure of every seed in results.json.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from neurosam_study.interval import over_seeds
from neurosam_study.judging import figure
from neurosam_study.models import FORMS
from neurosam_study.plan import Plan
from neurosam_study.results import Result

__all__ = ["MEASURES", "method_tables"]

MEASURES = {
    ("pixel", "deletion"): ("deletion", -1), ("pixel", "insertion"): ("insertion", 1), ("pixel", "road"): ("ROAD", 1),
    ("pixel", "mass"): ("mass in mask", 1), ("pixel", "sparseness"): ("sparseness", 0),
    ("pixel", "sensitivity"): ("sensitivity", -1), ("spike", "deletion"): ("deletion, spikes", -1),
    ("spike", "insertion"): ("insertion, spikes", 1),
}  # fmt: skip
"""Level and name to heading, and whether more is better (1), less (-1), or neither."""
Means = tuple[float, ...]


def method_tables(plan: Plan, seeds: Sequence[Mapping[str, Result]], experiment: str) -> list[str]:
    """Format the tables of all codings."""
    lines: list[str] = []
    for coding in plan.judged_codings:
        found = {
            (name, measure): _means(seeds, experiment, [figure(coding, *measure, name, form) for form in FORMS])
            for name in plan.methods
            for measure in MEASURES
        }
        measures = [m for m in MEASURES if any(found[name, m] for name in plan.methods)]
        accuracy = _means(seeds, experiment, [f"{coding}/accuracy {form}" for form in FORMS])
        if not measures:
            continue
        lines += [f"{coding} coding, accuracy {_cell(accuracy)}:", ""]
        lines.append(
            f"| | {' | '.join(MEASURES[m][0] + {1: ' ↑', -1: ' ↓', 0: ''}[MEASURES[m][1]] for m in measures)} |"
        )
        lines.append("|---|" + "---|" * len(measures))
        best = {m: _best([found[name, m] for name in plan.methods], MEASURES[m][1]) for m in measures}
        for name in plan.methods:
            cells = (_cell(found[name, m], bold=found[name, m] == best[m] != ()) for m in measures)
            if any(found[name, m] for m in measures):
                lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    return lines


def _means(seeds: Sequence[Mapping[str, Result]], experiment: str, names: Sequence[str]) -> Means:
    """The mean of each form; one if the figure has no form, none if it was not measured."""
    means = [over_seeds(seeds, experiment, name).mean for name in dict.fromkeys(names)]
    return () if any(math.isnan(mean) for mean in means) else tuple(means)


def _best(cells: Sequence[Means], better: int) -> Means:
    """The best cell by its last form, which is the network at 8 bits if there is one."""
    measured = [cell for cell in cells if cell]
    return max(measured, key=lambda cell: better * cell[-1]) if better and measured else ()


def _cell(means: Means, *, bold: bool = False) -> str:
    shown = " / ".join(f"{mean + 0.0:.3f}" for mean in means)
    return f"**{shown}**" if bold else shown
