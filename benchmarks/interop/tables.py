"""Results of compare.py as Markdown: one table per framework."""

from __future__ import annotations

from typing import Any

__all__ = ["markdown"]


def markdown(results: dict[str, Any]) -> str:
    """Format the page."""
    lines = [
        "# Networks of other frameworks, brought as they are",
        "",
        "Written by `python benchmarks/interop/compare.py` (`make interop`). Every spike of every layer of neurons in",
        "every step, of the framework's own forward in float64, against the event back end's. *lines*: that a user",
        "writes. *NIR*: the same, by the framework's own NIR exporter and `load_nir`.",
    ]
    for name in sorted(results):
        about = results[name]
        lines += ["", f"## {about['framework']} {about['version']} (torch {about['torch']})", ""]
        lines += ["| network | lines | layers | neurons | steps x samples | spikes | rate by layer | differ | NIR |"]
        lines += ["|---|---:|---:|---:|---:|---:|---|---:|---|"]
        lines += [_row(row) for row in about["rows"]]
        lines += ["", "Refused by name:", ""]
        lines += [f"- {message}" for message in about.get("refused", {}).values()]  # older rows have none
    return "\n".join(lines) + "\n"


def _row(row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"| {row['network']} | | | | | | | {row['failed']} | |"
    rates = [layer["rate"] for layer in row["layers"].values()]
    rate = f"{100 * min(rates):.0f} to {100 * max(rates):.0f} %"
    nir = f"{row['nir']:,} differ" if isinstance(row["nir"], int) else row["nir"]
    nir = "; ".join(filter(None, ("" if nir == "-" else nir, row["remark"])))
    return (
        f"| {row['network']} | {row['lines']} | {len(rates)} | {row['neurons']:,} | {row['steps']} x {row['samples']} "
        f"| {row['spikes']:,} | {rate} | {row['differ']} | {nir} |"
    )
