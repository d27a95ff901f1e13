"""Results of ``neurosam bench`` as Markdown and as a plot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["markdown", "plot"]


def markdown(results: dict[str, Any]) -> str:
    """Tables: the machine's limits, then one a case."""
    machine = results["machine"]
    lines = [
        f"# neurosam {machine['neurosam']} on {machine['machine']}, {machine['cores']} cores, {machine['date']}",
        "",
        "Medians; a ratio is the median of the ratios to the first row within a repeat.",
        "",
        f"Limits of one thread: gather {machine['gather_G_per_s']:.1f}, scatter {machine['scatter_G_per_s']:.1f} "
        f"G synaptic operations/s; {machine['neurons_G_per_s']:.1f} G neuron updates/s; "
        f"copy {machine['copy_GB_per_s']:.1f} GB/s.",
    ]
    if "startup" in results:
        start = results["startup"]
        lines += [
            "",
            f"A new process has its first result {start['cached_s']:.2f} s after the imports; "
            f"{start['compiled_s']:.1f} s where it has to compile.",
        ]
    for case in results["cases"]:
        lines += [
            "",
            f"## {case['case']}",
            "",
            f"{case['activity']:.1%} activity, {case['synaptic_operations'] / 1e6:.1f} M synaptic operations, "
            f"{case['neuron_updates'] / 1e6:.1f} M neuron updates; {case['operations_per_s'] / 1e9:.1f} G synaptic "
            "operations/s in all.",
            "",
            "| | ms | ratio |",
            "|---|---:|---:|",
            *(f"| {label} | {1e3 * seconds:.2f} | {ratio:.2f} |" for label, seconds, ratio in case["rows"]),
        ]
    if "sweep" in results:
        lines += [
            "",
            "## conv32 over activity",
            "",
            "| activity | spikes | ms | G operations/s |",
            "|---:|---:|---:|---:|",
        ]
        lines += [
            f"| {row['density']:.1%} | {row['spikes']:.0f} | {1e3 * row['seconds']:.2f} "
            f"| {row['operations'] / row['seconds'] / 1e9:.1f} |"
            for row in results["sweep"]
        ]
    return "\n".join(lines) + "\n"


def plot(results: dict[str, Any], path: Path) -> list[str]:
    """Draw times by case (and cost against activity); the names of the files written, none without matplotlib."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        return []
    from matplotlib.figure import Figure

    panels = len(results["cases"]) + ("sweep" in results)
    figure = Figure(figsize=(6.4, 2.2 * max(panels, 1)), layout="constrained")
    axes = figure.subplots(max(panels, 1), squeeze=False)[:, 0]
    for ax, case in zip(axes, results["cases"], strict=False):
        rows = case["rows"][::-1]
        ax.barh([row[0] for row in rows], [1e3 * row[1] for row in rows], color="#4878a8")
        ax.set(xlabel="ms", title=case["case"])
    if "sweep" in results:
        sweep = results["sweep"]
        axes[-1].plot(
            [r["operations"] / 1e6 for r in sweep], [1e3 * r["seconds"] for r in sweep], "o-", color="#4878a8"
        )
        axes[-1].set(xlabel="M synaptic operations", ylabel="ms", title="conv32: cost against events")
    figure.savefig(path, dpi=150)
    return [path.name]
