"""Results of compare.py as Markdown: a table a case, slowest last, with the spikes that show it is the same work."""

from __future__ import annotations

from statistics import median
from typing import Any

__all__ = ["equal_layers", "markdown"]


def markdown(results: dict[str, Any]) -> str:
    """The page."""
    rows = results["rows"]
    lines = [
        "# Peers side by side",
        "",
        f"{results['machine']}, {results['threads']} threads. Seconds are medians; a ratio is the median over turns,",
        "each of which runs neurosam's event back end, PyTorch and the peer. *Spikes*: in how many layers the",
        "count is neurosam's for the same arithmetic and reset; where not in all, how far off the counts are together.",
    ]
    for case in dict.fromkeys(row["case"] for row in rows):
        mine = [row for row in rows if row["case"] == case]
        lines += ["", f"## {case}", "", *_table(mine), *_skipped(mine)]
    return "\n".join(lines) + "\n"


def equal_layers(spikes: dict[str, int], expected: dict[str, int]) -> str:
    """``5 of 5``, or ``3 of 5, 0.02 % off``: layers with equal counts, and the differences in share of all spikes."""
    if not spikes:
        return "-"
    apart = [abs(spikes[name] - count) for name, count in expected.items()]
    share = 100 * sum(apart) / max(sum(expected.values()), 1)
    return f"{apart.count(0)} of {len(apart)}" + (f", {share:.2g} % off" if share else "")


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """One case: neurosam and PyTorch over all turns, then the peers by ratio."""
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
        said = ", ".join(filter(None, (report["precision"], report["note"])))
        counts = expected.get(report["like"])
        equal = "?" if counts is None else equal_layers(report["spikes"], counts)
        lines.append(
            f"| {_title(name)} | {report['version']} | {said} | {median(report['times_s']):.3g} | {ratio:.3g} "
            f"| {equal} | {report['peak_rss_MB']} | {date} |"
        )
    for name, counts in expected.items():
        lines += ["", f"Spikes of {_title(name)}: " + ", ".join(f"{k} {count}" for k, count in counts.items()) + "."]
    return lines


def _title(name: str) -> str:
    return name.replace("_", " ")


def _joined(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """One script's reports from several comparisons as one."""
    return {**reports[-1], "times_s": [time_s for report in reports for time_s in report["times_s"]]}


def _skipped(rows: list[dict[str, Any]]) -> list[str]:
    said = [f"- {_title(row['peer'])}: {row['skipped']}" for row in rows if "skipped" in row]
    return ["", "Not measured:", "", *said] if said else []
