"""Results of compare.py as Markdown: what equals what, ties that the last bit decided, and rules that have no equal."""

from __future__ import annotations

from typing import Any

__all__ = ["markdown"]


def markdown(results: dict[str, list[dict[str, Any]]]) -> str:
    """Format the page."""
    rows = [row for name in sorted(results) for row in results[name]]
    exact = [row for row in rows if not row["differs"]]
    ties = [row for row in exact if any(d["differ"] for d in row["difference"].values())]
    total = {key: sum(row["difference"]["reference"][key] for row in exact) for key in ("spikes", "differ")}
    lines = [
        "# Neurons side by side",
        "",
        f"{len(exact)} runs of frameworks' own modules that a neuron equals: {total['spikes']:,} spikes, of which",
        f"{total['differ']:,} differ, in {len(ties)} runs, all at ties (below). Each line is a module on three drives,",
        "256 neurons x 200 steps each, against the back ends reference and event in float64. A range in brackets is",
        "spread over the neurons. *Membrane*: the largest difference, over neurons whose spikes are equal; 0 is bit",
        "for bit.",
    ]
    for framework in dict.fromkeys(row["framework"] for row in exact):
        own = [row for row in exact if row["framework"] == framework]
        lines += ["", f"## {framework} {own[0]['version']}", "", *_table(own)]
    lines += ["", "## In integers", "", *_integers([row for row in rows if row["in_integers"]])]
    lines += ["", "## Ties that the last bit decides", "", *_ties(ties)]
    lines += ["", "## Rules that no neuron equals", "", *_unequal([row for row in rows if row["differs"]])]
    return "\n".join(lines) + "\n"


def _groups(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rows of the same module with the same options, which differ in the drive."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(_module(row), []).append(row)
    return list(groups.values())


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["| module | neurosam | spikes | differ | membrane |", "|---|---|---:|---:|---:|"]
    for group in _groups(rows):
        counts = f"{_spikes(group):,} | {_by_backend(group)} | {_membrane(group)}"
        lines.append(f"| `{_module(group[0])}` | `{_neuron(group[0])}` | {counts} |")
    return lines


def _ties(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "A membrane meets its threshold exactly in real numbers; the framework's order of operations rounds to one",
        "side, that of `LIF` to the other. *At ties*: neurons whose first different spike is within 1e-9 of it.",
        "",
        "| module | drive | spikes | differ | neurons | at ties |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        worst = max(row["difference"].values(), key=lambda d: d["differ"])
        counts = f"{worst['spikes']:,} | {worst['differ']} | {worst['neurons']} | {worst['ties']}"
        lines.append(f"| {row['framework']} `{_module(row)}` | {row['drive']} | {counts} |")
    return lines


def _integers(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "Networks whose numbers are all multiples of 1/8 (drive `eighths`), quantised to 8-bit weights and run in",
        "integers, against the framework's floats: their membranes meet thresholds exactly, again and again.",
        "",
        "| module | spikes | differ |",
        "|---|---:|---:|",
    ]
    for row in rows:
        found = row["in_integers"]
        counts = (
            f"refused: {found['refused']}"
            if "refused" in found
            else " / ".join(f"{count:,}" for count in dict.fromkeys(found.values()))
        )
        lines.append(
            f"| {row['framework']} `{_module(row)}` | {row['difference']['reference']['spikes']:,} | {counts} |"
        )
    return lines


def _unequal(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["| module | why | nearest | spikes | differ |", "|---|---|---|---:|---:|"]
    for group in _groups(rows):
        head = f"{group[0]['framework']} `{_module(group[0])}` | {group[0]['differs']} | `{_neuron(group[0])}`"
        lines.append(f"| {head} | {_spikes(group):,} | {_by_backend(group)} |")
    return lines


def _module(row: dict[str, Any]) -> str:
    options = ", ".join(f"{name}={value}" for name, value in row["options"].items())
    return f"{row['module']}({options})" + (", two layers" if row["layers"] == 2 else "")


def _neuron(row: dict[str, Any]) -> str:
    return row["neuron"] + ("" if row["weight"] == "1" else f", weights x {row['weight']}")


def _spikes(group: list[dict[str, Any]]) -> int:
    return sum(row["difference"]["reference"]["spikes"] for row in group)


def _by_backend(group: list[dict[str, Any]]) -> str:
    """The number of different spikes, once if all back ends agree."""
    counts = [sum(row["difference"][name]["differ"] for row in group) for name in group[0]["difference"]]
    return " / ".join(f"{count:,}" for count in dict.fromkeys(counts))


def _membrane(group: list[dict[str, Any]]) -> str:
    largest = max(d["membrane"] for row in group for d in row["difference"].values())
    return f"{largest:.1g}" if largest else "0"
