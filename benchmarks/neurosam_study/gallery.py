"""The paper's figures from our results: charts of all seeds, maps of the first images of the first seed.

| file | shows |
|---|---|
| fig-3.png, fig-3-maps.png | pixel variance; SAM and SNN-crafted Grad-CAM over layers and steps |
| fig-5.png | SAM of both trainings over the steps, next to the ANN's Grad-CAM |
| fig-6a.png, fig-6b.png | localisation error and mass in the mask; spikes of each step |
| table-1.png, fig-8.png | error against leak, and against gamma |
| fig-7.png, fig-9.png | maps before and after the attack; accuracy and movement of maps |
| fig-10.png, fig-10-maps.png | share of the predicted item over the steps; maps of pairs |
| methods.png, methods-maps.png | every method, by pixels and by spikes; its maps |
| weights.png, sanity.png, agreement.png, deployment.png, run-time.png | ours |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neurosam.report import save
from neurosam_study import method_charts, paper_charts, sanity_charts
from neurosam_study.charts import Seeds
from neurosam_study.experiments import METHODS, WEIGHTS
from neurosam_study.plan import Plan
from neurosam_study.results import Result
from neurosam_study.sheets import SHEETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ALL_SHEETS", "CHARTS", "draw"]


def draw(folder: Path, plan: Plan, layers: Sequence[str], seeds: Seeds) -> dict[str, list[str]]:
    """Write every figure whose experiment has results; return the file names by experiment."""
    drawn: dict[str, list[str]] = {}
    for name, (experiment, chart) in CHARTS.items():
        if all(seed.get(experiment, Result()).figures for seed in seeds):
            save(chart(plan, layers, seeds), folder / name)
            drawn.setdefault(experiment, []).append(name)
    for name, (experiment, sheet) in ALL_SHEETS.items():
        result = seeds[0].get(experiment, Result())
        if result.arrays:
            save(sheet(plan, layers, result), folder / name)
            drawn.setdefault(experiment, []).append(name)
    return drawn


CHARTS: dict[str, tuple[str, Callable[[Plan, Sequence[str], Seeds], Figure]]] = {
    "fig-3.png": ("Fig. 3", paper_charts.variance),
    "fig-6a.png": ("Fig. 6a", paper_charts.localisation),
    "fig-6b.png": ("Fig. 6b", paper_charts.activity),
    "table-1.png": ("Table 1", paper_charts.leaks),
    "fig-8.png": ("Fig. 8", paper_charts.gammas),
    "fig-9.png": ("Fig. 9", paper_charts.robustness),
    "fig-10.png": ("Fig. 10", paper_charts.suppressed),
    "methods.png": (METHODS, method_charts.methods),
    "weights.png": (WEIGHTS, method_charts.weights),
    "sanity.png": ("Sanity", sanity_charts.sanity),
    "agreement.png": ("Agreement", sanity_charts.agreement),
    "deployment.png": ("Deployment", sanity_charts.deployed),
    "run-time.png": ("Run time", sanity_charts.run_times),
}

ALL_SHEETS: dict[str, tuple[str, Callable[[Plan, Sequence[str], Result], Figure]]] = {
    **SHEETS,
    "methods-maps.png": (METHODS, method_charts.maps_of_methods),
}
