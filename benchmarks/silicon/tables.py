"""results.json as Markdown."""

from __future__ import annotations

from typing import Any

from neurosam_hw.cost.amount import si

__all__ = ["markdown"]


def markdown(found: dict[str, Any]) -> str:
    """Format the page."""
    return "\n".join([*_sizes(found), "", *_slopes(found), "", *_causes(found), "", *_published(found)]) + "\n"


def _sizes(found: dict[str, Any]) -> list[str]:
    low, high = (found["predictions"][key] for key in ("lowest", "highest"))
    lines = [
        "Measured: means of the raw logs, with the spread between three runs. *loaded* is after the run, when no step "
        f"is made. Booted with nothing loaded, the chip draws {si(found['idle_w'], 'W')}. Predicted: dynamic power, "
        f"for {_rates(found)} spikes a neuron and step.",
        "",
        "| neurons | cores | a step | running | loaded | difference | by `loihi1` | by `sanafe-loihi` |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for k, size in enumerate(found["sizes"]):
        spans = [f"{si(low[chip][k], 'W')} to {si(high[chip][k], 'W')}" for chip in ("loihi1", "sanafe-loihi")]
        cells = [
            f"{size['neurons']:,}",
            f"{size['cores']}",
            si(size["step_s"], "s"),
            f"{1e3 * size['running_w']:.1f} ± {1e3 * size['spread_w']:.1f} mW",
            si(size["loaded_w"], "W"),
            si(size["running_w"] - size["loaded_w"], "W"),
            *spans,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _slopes(found: dict[str, Any]) -> list[str]:
    lines = [
        "What a neuron more draws: slope of dynamic power over neurons.",
        "",
        "| | spikes a neuron and step | slope, `loihi1` | by measured | slope, `sanafe-loihi` | by measured |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    slope = found["measured"]["slope_w"]
    for row in found["slopes"]:
        cells = [row["name"], f"{row['rate']:.3f}"]
        for chip in ("loihi1", "sanafe-loihi"):
            cells += [si(row[chip], "W"), f"{row[chip] / slope:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    rates = found["rates_that_meet"]
    lines += [
        f"| **measured**, six sizes with N >= 1 | unknown | **{si(slope, 'W')}** | | **{si(slope, 'W')}** | |",
        f"| measured, all seven | unknown | {si(found['measured']['slope_all_w'], 'W')} | | "
        f"{si(found['measured']['slope_all_w'], 'W')} | |",
        "",
        f"The two meet at {rates['loihi1']:.3f} (`loihi1`) and {rates['sanafe-loihi']:.3f} (`sanafe-loihi`) spikes a "
        "neuron and step.",
    ]
    return lines


def _causes(found: dict[str, Any]) -> list[str]:
    lines = [
        "Energy that a neuron more takes in a step, by cause, where prediction and measurement meet:",
        "",
        "| | synapses | neurons | packets | hops | all |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for chip, causes in found["causes_j"].items():
        cells = [si(causes[cause], "J") for cause in ("synapses", "neurons", "packets", "hops")]
        lines.append(f"| `{chip}` | {' | '.join(cells)} | {si(sum(causes.values()), 'J')} |")
    return lines


def _published(found: dict[str, Any]) -> list[str]:
    lines = [
        "Other published measurements:",
        "",
        "| measurement | predicted | measured | ratio | |",
        "|---|---:|---:|---:|---|",
    ]
    for row in found["published"]:
        shown = [_shown(row[key], row["unit"]) for key in ("predicted", "measured")]
        ratio = f"{row['ratio']:.2g}" if row["ratio"] is not None else ""
        lines.append(f"| {row['what']} | {shown[0]} | {shown[1]} | {ratio} | {row['remark']} |")
    return lines


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:g}" if unit == "chips" else si(value, unit)


def _rates(found: dict[str, Any]) -> str:
    return f"{found['rates'][0]:.2g} to {found['rates'][-1]:.2g}"
