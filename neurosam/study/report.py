"""Run a study seed by seed, keep every finished experiment, and write what came out.

    FOLDER/plan.json        how much of everything
    FOLDER/cache/           checkpoints, and <plan>-<seed>.json: figures of finished experiments
    FOLDER/results.json     plan, figures of all seeds, verdicts
    FOLDER/results.md       the tables

A study that was interrupted goes on where it stopped; more seeds add to those there are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neurosam.atomic import write_text
from neurosam.errors import DataError
from neurosam.study.claims import Verdict, claims, judge
from neurosam.study.experiments import EXPERIMENTS, FORMS
from neurosam.study.models import Models
from neurosam.study.plan import Plan

__all__ = ["markdown", "study"]

Figures = Mapping[str, Mapping[str, float]]


def study(folder: Path, plan: Plan, say: Callable[[str], None], command: str = "") -> dict[str, Any]:
    """Run what is not yet done, and write the results.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    plan : Plan
    say : callable
        Receives a line of text at each stage.
    command : str
        How to repeat it; goes into the results.

    Returns
    -------
    dict
        What ``results.json`` holds.

    Raises
    ------
    DataError
        If the plan has fewer than 2 seeds, or a cached file is damaged.
    """
    if plan.seeds < 2:
        raise DataError("seeds", f"got {plan.seeds}; at least 2 are required, the unit of evidence is the seed")
    cache = folder / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    write_text(folder / "plan.json", json.dumps(asdict(plan), indent=1) + "\n")
    seeds = [_figures(cache, plan, seed, say) for seed in range(plan.seeds)]
    layers = Models(plan, 0, cache, say).layers
    verdicts = {form: [judge(claim, seeds) for claim in claims(plan, layers, form)] for form in FORMS}
    results = {
        "command": command,
        "plan": asdict(plan),
        "figures": seeds,
        "verdicts": {form: [asdict(v) for v in found] for form, found in verdicts.items()},
    }
    write_text(folder / "results.json", json.dumps(_finite(results), indent=1) + "\n")
    write_text(folder / "results.md", markdown(plan, seeds, verdicts, command))
    return results


def markdown(plan: Plan, seeds: Sequence[Figures], verdicts: Mapping[str, Sequence[Verdict]], command: str) -> str:
    """The tables: claims first, then every figure as mean and range over the seeds."""
    lines = [
        "# The SAM paper's claims on cluttered canvases",
        "",
        f"{len(seeds)} seeds, {plan.data}, {plan.train} training canvases of {plan.canvas} pixels, {plan.explained} "
        f"explained; `{plan.architecture}`, {plan.steps} steps. Made by `{command}`.",
        "",
        "A difference is signed so that above 0 supports the claim; the interval is Student's 95 % over seeds. "
        "*holds*: above 0; *fails*: below; *open*: neither. Of many claims at 95 %, one in twenty is decided by "
        "chance. Claims marked (ours) are not the paper's.",
        "",
        "| experiment | claim | float: difference [interval] | | 8 bits, event back end | |",
        "|---|---|---|---|---|---|",
    ]
    for whole, fixed in zip(*(verdicts[form] for form in FORMS), strict=True):
        lines.append(f"| {whole.claim.experiment} | {whole.claim.text} | {_cells(whole)} | {_cells(fixed)} |")
    for experiment in EXPERIMENTS:
        lines += ["", f"## {experiment}", "", "| figure | mean | least | largest |", "|---|---|---|---|"]
        for name in seeds[0].get(experiment, {}):
            values = [s[experiment][name] for s in seeds if name in s.get(experiment, {})]
            mean = sum(values) / len(values)
            lines.append(f"| {name} | {mean:.3f} | {min(values):.3f} | {max(values):.3f} |")
    return "\n".join(lines) + "\n"


def _cells(verdict: Verdict) -> str:
    if math.isnan(verdict.difference):
        return "not measured | **open**"
    return f"{verdict.difference:+.3f} [{verdict.low:+.3f}, {verdict.high:+.3f}] | **{verdict.word}**"


def _figures(cache: Path, plan: Plan, seed: int, say: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """Figures of one seed; each experiment is written down as soon as it is done."""
    place = cache / f"{plan.key}-{seed}.json"
    done: dict[str, dict[str, float]] = {}
    if place.exists():
        try:
            done = json.loads(place.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(str(place), f"cannot be read ({error}); remove it to run that seed again") from error
    models = Models(plan, seed, cache, say)
    for name, experiment in EXPERIMENTS.items():
        if name not in done:
            say(f"seed {seed}: {name}")
            done[name] = _finite(experiment(models))
            write_text(place, json.dumps(done, indent=1) + "\n")
    return done


def _finite(value: Any) -> Any:
    """Lists and mappings without NaN and infinities, which JSON has not: they become null, or leave a mapping."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items() if not (isinstance(v, float) and math.isnan(v))}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
