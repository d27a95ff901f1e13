"""Results of compare.py as Markdown: one table per case, slowest last, with spike counts that show equal work."""

from __future__ import annotations

from statistics import median
from typing import Any

__all__ = ["equal_layers", "markdown"]


def markdown(results: dict[str, Any]) -> str:
    """Format the page."""
    rows = results["rows"]
    lines = [
        "# Peers side by side",
        "",
        f"{results['machine']}, {results['threads']} threads. Seconds are medians; a ratio is the median over turns,",
        "each of which runs neurosam's event back end, PyTorch and the peer. *Spikes*: number of layers whose count",
        "equals neurosam's for the same arithmetic and reset; if not all, the total difference of the counts.",
    ]
    for case in dict.fromkeys(row["case"] for row in rows):
        case_rows = [row for row in rows if row["case"] == case]
        lines += ["", f"## {case}", "", *_table(case_rows), *_skipped(case_rows)]
    return "\n".join(lines) + "\n"


def equal_layers(spikes: dict[str, int], expected: dict[str, int]) -> str:
    """Format ``5 of 5`` or ``3 of 5, 0.02 % off``: layers with equal counts, and the total difference of the counts."""
    if not spikes:
        return "-"
    differences = [abs(spikes[name] - count) for name, count in expected.items()]
    share = 100 * sum(differences) / max(sum(expected.values()), 1)
    return f"{differences.count(0)} of {len(differences)}" + (f", {share:.2g} % off" if share else "")


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """Format one case: neurosam, PyTorch (over all turns) and the peers, sorted by ratio."""
    done = [row for row in rows if "reports" in row]
    if not done:
        return []
    entries = [(median(row["ratio"]), row["peer"], row["reports"][2], row["date"]) for row in done]
    dense = median(ratio for row in done for ratio in row["pytorch_ratio"])
    entries.append((dense, "pytorch", _joined([row["reports"][1] for row in done]), ""))
    entries.append((1.0, "neurosam", _joined([row["reports"][0] for row in done]), ""))
    expected = {name: report["spikes"] for _, name, report, _ in entries if report["like"] == name}
    lines = ["| | version | arithmetic | s | x event | spikes | MB | date |", "|---|---|---|---:|---:|---|---:|---|"]
    for ratio, name, report, date in sorted(entries, key=lambda entry: entry[0]):
        arithmetic = ", ".join(filter(None, (report["precision"], report["note"])))
        counts = expected.get(report["like"])
        equal = "?" if counts is None else equal_layers(report["spikes"], counts)
        lines.append(
            f"| {_title(name)} | {report['version']} | {arithmetic} | {median(report['times_s']):.3g} | {ratio:.3g} "
            f"| {equal} | {report['peak_rss_MB']} | {date} |"
        )
    for name, counts in expected.items():
        lines += ["", f"Spikes of {_title(name)}: " + ", ".join(f"{k} {count}" for k, count in counts.items()) + "."]
    return lines


def _title(name: str) -> str:
    return name.replace("_", " ")


def _joined(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Join the reports of one script from several comparisons."""
    return {**reports[-1], "times_s": [time_s for report in reports for time_s in report["times_s"]]}


def _skipped(rows: list[dict[str, Any]]) -> list[str]:
    reasons = [f"- {_title(row['peer'])}: {row['skipped']}" for row in rows if "skipped" in row]
    return ["", "Not measured:", "", *reasons] if reasons else []
