"""Run a study seed by seed, keep every finished experiment, and write what came out.

    FOLDER/plan.json        how much of everything
    FOLDER/cache/           checkpoints, and for each seed what every experiment found (see found.py)
    FOLDER/results.json     plan, figures and courses of all seeds, verdicts
    FOLDER/results.md       the tables
    FOLDER/fig-*.png        the paper's figures, drawn anew

A study that was interrupted goes on where it stopped; more seeds add to those there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neurosam._util.atomic_write import write_text
from neurosam.errors import DataError
from neurosam_study.claims import claims, judge
from neurosam_study.experiments import AGREEMENT, EXPERIMENTS
from neurosam_study.gallery import draw
from neurosam_study.models import FORMS, Models
from neurosam_study.plan import Plan
from neurosam_study.report import markdown
from neurosam_study.results import Found, keep, kept, without_nan
from neurosam_study.sanity_checks import agreements

__all__ = ["study"]


def study(
    folder: Path, plan: Plan, say: Callable[[str], None], command: str = "", device: str = "auto"
) -> dict[str, Any]:
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
    device : str
        Where torch computes: "auto" is a GPU if there is one, else the CPU; or a name that torch knows.

    Returns
    -------
    dict
        What ``results.json`` holds.

    Raises
    ------
    DataError
        If the plan has fewer than 2 seeds, the data cannot be had, or a cached file is damaged.
    """
    if plan.seeds < 2:
        raise DataError("seeds", f"got {plan.seeds}; at least 2 are required, the unit of evidence is the seed")
    Models(plan, 0, folder, say, device).check()
    cache = folder / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    write_text(folder / "plan.json", json.dumps(asdict(plan), indent=1) + "\n")
    found = [_of_seed(Models(plan, seed, cache, say, device), cache, say) for seed in range(plan.seeds)]
    if AGREEMENT in EXPERIMENTS:
        for seed, agreement in zip(found, agreements([seed[AGREEMENT] for seed in found]), strict=True):
            seed[AGREEMENT] = agreement
    figures = [{name: dict(one.figures) for name, one in seed.items()} for seed in found]
    layers = Models(plan, 0, cache, say, device).layers
    verdicts = {form: [judge(claim, figures) for claim in claims(plan, layers, form)] for form in FORMS}
    pictures = draw(folder, plan, layers, found)
    results = {
        "command": command,
        "plan": asdict(plan),
        "figures": figures,
        "courses": [{name: dict(one.courses) for name, one in seed.items() if one.courses} for seed in found],
        "verdicts": {form: [asdict(v) for v in judged] for form, judged in verdicts.items()},
    }
    write_text(folder / "results.json", json.dumps(without_nan(results), indent=1) + "\n")
    write_text(folder / "results.md", markdown(plan, found, verdicts, command, pictures))
    return results


def _of_seed(models: Models, cache: Path, say: Callable[[str], None]) -> dict[str, Found]:
    """What every experiment found for one seed; each is kept as soon as it is done."""
    folder = cache / f"{models.plan.key}-{models.seed}"
    found: dict[str, Found] = {}
    for name, experiment in EXPERIMENTS.items():
        known = kept(folder, name, experiment.version)
        if known is None:
            say(f"seed {models.seed}: {name}")
            keep(folder, name, experiment.version, experiment.run(models))
            known = kept(folder, name, experiment.version)
        if known is None:
            raise DataError(str(folder), f"does not keep what {name} found; is its disk full?")
        found[name] = known
    return found
