"""The page: verdict, cliffs, the other settings, deletion and insertion, accuracy; and the same as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from neurosam._util.atomic_write import write_text
from neurosam_study.results import without_nan
from neurosam_study.trace_bits import losses, verdict
from neurosam_study.trace_bits.charts import draw
from neurosam_study.trace_bits.measure import COUNT, FLOAT, Measured
from neurosam_study.trace_bits.settings import GAMMA, ROUNDINGS, Grid, Setting
from neurosam_study.trace_bits.verdict import Cliff, Width, cliffs, widths

__all__ = ["write"]

PILOT_BITS = 4
"""Width of which the pilot said that random rounding loses nothing."""


def write(folder: Path, found: Sequence[Measured], grid: Grid) -> list[Path]:
    """Write results.md, results.json and the figures."""
    passed, fell = widths(found, grid), cliffs(found, grid)
    figures = draw(folder, found, grid)
    numbers = {
        "grid": asdict(grid),
        "rule": (verdict.__doc__ or "").strip(),
        "widths": [{**asdict(row), "passes": row.passes} for row in passed],
        "cliffs": [asdict(row) for row in fell],
        "settings": _rows(found),
        "accuracy": [
            {"network": m.bench, "weight_bits": m.weight_bits, "steps": m.steps, "accuracy": m.accuracy} for m in found
        ],
    }
    page = "\n\n".join(_page(found, grid, passed, fell, figures)) + "\n"
    return [
        write_text(folder / "results.md", page),
        write_text(folder / "results.json", json.dumps(without_nan(numbers), indent=1) + "\n"),
        *figures,
    ]


def _page(
    found: Sequence[Measured], grid: Grid, passed: list[Width], fell: list[Cliff], figures: list[Path]
) -> Iterable[str]:
    nets = len({m.bench for m in found})
    yield "# How many bits a SAM trace needs"
    counts = ", ".join(f"{grid.samples_of(steps)} of {steps} steps" for steps in grid.steps)
    yield (
        f"{nets} networks, {counts} (held-out samples), on the event back end in integers. Every trace of a run is "
        "computed from the same recorded spikes. Measures: " + _measures() + "."
    )
    yield "## Which widths pass"
    yield (verdict.__doc__ or "").split("\n\n", 1)[1].strip()
    yield from _verdict(passed)
    yield "## Where a trace collapses"
    yield _table(
        ("gamma", "steps", "b*", *ROUNDINGS),
        [
            (f"{c.gamma:g}", c.steps, c.predicted, *[c.found[r] or f"> {grid.bits[-1]}" for r in ROUNDINGS])
            for c in fell
        ],
    )
    yield from _prediction(found, grid, fell)
    yield "## One setting at a time"
    yield from _others(found, grid)
    yield (
        "Energy by width is not shown: the cost ledger has no source for the energy of a trace's bits, so the figure "
        "of state counts the bits themselves."
    )
    yield "## Bits per weight"
    yield _weights(found, grid)
    yield "## Figures"
    yield from (f"![{path.stem}]({path.name})" for path in figures)


def _prediction(found: Sequence[Measured], grid: Grid, fell: list[Cliff]) -> Iterable[str]:
    """How far floor's cliffs are from the predicted ones, and what the pilot's claim for random rounding becomes."""
    offsets = Counter((c.found["floor"] or grid.bits[-1] + 1) - c.predicted for c in fell)
    counted = ", ".join(f"{offset:+d} bits in {count}" for offset, count in sorted(offsets.items()))
    yield (
        f"Rounding down holds from b* + n bits on: n = {counted} of {len(fell)} pairs of gamma and steps (a width must "
        "hold in every network and layer; widths between those of the grid count as the next one)."
    )
    first = [m for m in found if m.weight_bits == grid.weight_bits[0]]
    if PILOT_BITS in grid.bits:
        rows = []
        for gamma in grid.gammas:
            cells: list[str] = []
            for measure in ("r", "skill"):
                values = [
                    float(np.nanmedian(layer))
                    for m in first
                    for layer in m.of(Setting(PILOT_BITS, "stochastic", gamma, m.steps), measure)
                    if not np.isnan(layer).all()
                ]
                cells += [f"{np.median(values):.3f}", f"{min(values):.3f}"]
            rows.append((f"{gamma:g}", *cells))
        yield (
            f"A pilot found r of at least .998 everywhere at {PILOT_BITS} bits and random rounding. Medians over the "
            "samples of a run and layer:"
        )
        yield _table(("gamma", "r: middle", "r: lowest", "skill: middle", "skill: lowest"), rows)


def _measures() -> str:
    lines = (losses.__doc__ or "").split("\n\n")[1].splitlines()
    return "; ".join(" ".join(line.split()) for line in _joined(lines))


def _joined(lines: list[str]) -> list[str]:
    """Definitions, one a line, of a block whose continuation lines are indented further."""
    out: list[str] = []
    for line in lines:
        if line.startswith(" " * 10):
            out[-1] += " " + line.strip()
        else:
            out.append(line.strip())
    return [f"{name}: {rest.strip()}" for name, rest in (line.split(" ", 1) for line in out)]


def _verdict(passed: list[Width]) -> Iterable[str]:
    for rounding in ROUNDINGS:
        good = [row.bits for row in passed if row.rounding == rounding and row.passes]
        skilled = [row.bits for row in passed if row.rounding == rounding and row.skill_low >= verdict.SKILL]
        measured = any(not np.isnan(row.deletion) for row in passed if row.rounding == rounding)
        if measured:
            yield f"- {rounding}: " + (f"{min(good)} bits pass" if good else "no width of the grid passes")
        else:
            least = f"{min(skilled)} bits have the skill" if skilled else "no width has the skill"
            yield f"- {rounding}: {least}; deletion and insertion were not measured"
    yield _table(
        ("rounding", "bits", "skill, 5th percentile, low end", "in", "deletion within", "insertion within", "passes"),
        [
            (r.rounding, r.bits, _n(r.skill_low), r.where, _n(r.deletion), _n(r.insertion), "yes" if r.passes else "no")
            for r in passed
        ],
    )


def _others(found: Sequence[Measured], grid: Grid) -> Iterable[str]:
    judged = [m for m in found if m.faithful and m.weight_bits == grid.weight_bits[0]]
    changes: dict[str, dict[str, Any]] = {"as above": {}}
    changes |= {f"table of {b} bits": {"table_bits": b} for b in (4, 6, 12)}
    changes |= {f"table of {n} entries": {"table_length": n} for n in (4, 8, 16)}
    changes |= {f"time stamp of {b} bits": {"stamp_bits": b} for b in (2, 3, 4, 5)}
    changes |= {f"impulse x {g:g}, saturating": {"gain": g} for g in (2.0, 4.0)}
    changes |= {f"{mode} mode": {"mode": mode} for mode in ("inclusive", "official")}
    shown = [b for b in (3, 4, 6, 8) if b in grid.bits]
    rows = []
    for name, change in changes.items():
        for rounding in ("floor", "stochastic"):
            cells = []
            for bits in shown:
                skill = [
                    float(np.nanmedian(layer))
                    for m in judged
                    if (s := Setting(bits, rounding, GAMMA, m.steps, **change)).key in m.values
                    for layer in m.of(s, "skill")
                    if not np.isnan(layer).all()
                ]
                cells.append(f"{np.median(skill):.3f} ({min(skill):.3f})" if skill else "")
            rows.append((name, rounding, *cells))
    yield "Median skill over networks and layers (lowest in brackets), gamma 0.5."
    yield _table(("change", "rounding", *(f"{b} bits" for b in shown)), rows)


def _weights(found: Sequence[Measured], grid: Grid) -> str:
    rows = []
    for weight_bits in grid.weight_bits:
        runs = [m for m in found if m.weight_bits == weight_bits]
        judged = [m for m in runs if Setting(grid.bits[0], "floor", GAMMA, m.steps).key in m.values]
        accuracy = [m.accuracy for m in runs]
        cells = []
        for rounding in ("floor", "stochastic"):
            for bits in (4, 6):
                if bits in grid.bits:
                    values = np.concatenate(
                        [m.of(Setting(bits, rounding, GAMMA, m.steps), "skill").ravel() for m in judged]
                    )
                    cells.append(f"{np.nanmedian(values):.3f}")
        rows.append((weight_bits, f"{min(accuracy):.1%} to {max(accuracy):.1%}", *cells))
    columns = [
        f"{rounding}, {bits} bits" for rounding in ("floor", "stochastic") for bits in (4, 6) if bits in grid.bits
    ]
    return _table(("bits per weight", "accuracy", *columns), rows)


def _rows(found: Sequence[Measured]) -> list[dict[str, Any]]:
    rows = []
    for m in found:
        for key, values in m.values.items():
            for layer, of_layer in zip(m.layers, values, strict=True):
                figures: dict[str, Any] = {}
                for name, x in zip(losses.MEASURES, of_layer, strict=True):
                    present = x[~np.isnan(x)]
                    if present.size:
                        figures[name] = [round(float(present.mean()), 5), round(float(np.percentile(present, 5)), 5)]
                rows.append(
                    {"network": m.bench, "weight_bits": m.weight_bits, "layer": layer, "setting": key, **figures}
                )
        rows += [
            {"network": m.bench, "map": key, "deletion, insertion": m.faithful[key].mean(axis=-1).tolist()}
            for key in (FLOAT, COUNT)
            if key in m.faithful
        ]
    return rows


def _n(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)])
