"""Run a study seed by seed, cache every finished experiment, and write the results.

    FOLDER/plan.json        sizes of the study
    FOLDER/cache/           checkpoints, and the results of every experiment for each seed (see results.py)
    FOLDER/results.json     plan, figures and courses of all seeds, verdicts
    FOLDER/results.md       the tables
    FOLDER/fig-*.png        the paper's figures from our results

An interrupted study resumes where it stopped; more seeds are added to existing ones. With `jobs`, seeds run in as many
processes, each with one thread of torch whatever `jobs` is: the bits of a training depend on the number of threads, and
so not on that of processes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from neurosam._util.atomic_write import write_text
from neurosam._util.memory import keep_freed_memory
from neurosam._util.progress import task
from neurosam.errors import DataError
from neurosam.sweep.chunks import Chunks
from neurosam.sweep.execution import execute
from neurosam.sweep.pool import ProcessPool
from neurosam.sweep.workers import Workers
from neurosam_study.behaviour import NO_ANN
from neurosam_study.clock import Clock
from neurosam_study.experiments import AGREEMENT, EXPERIMENTS
from neurosam_study.gallery import draw
from neurosam_study.models import FORMS, Models
from neurosam_study.plan import Plan
from neurosam_study.report import markdown
from neurosam_study.results import Result, load_result, save_result, without_nan
from neurosam_study.sanity_checks import agreements
from neurosam_study.statements import judged, statements

__all__ = ["study"]

NOT_RUN = "Not run for all seeds; choose it with `--experiments`."


def study(
    folder: Path,
    plan: Plan,
    say: Callable[[str], None],
    command: str = "",
    device: str = "auto",
    experiments: Sequence[str] = (),
    jobs: int | None = None,
) -> dict[str, Any]:
    """Run the experiments that are not done yet, and write the results.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    plan : Plan
    say : callable
        Called with a line of text at each stage.
    command : str
        Command that repeats the study, for the record.
    device : str
        Device that torch computes on: "auto" is a GPU if there is one, else the CPU; or a torch device name.
    experiments : sequence of str
        Names of those to run; all if empty. The others are only shown, if they are done for all seeds.
    jobs : int, optional
        Processes that share the seeds; this one alone, with all of torch's threads, if None.

    Returns
    -------
    dict
        The content of ``results.json``.

    Raises
    ------
    DataError
        If the plan has fewer than 2 seeds, an experiment is unknown, the data is missing, or a cached file is damaged.
    """
    if plan.seeds < 2:
        raise DataError("seeds", f"got {plan.seeds}; at least 2 are required, since the unit of evidence is the seed")
    if unknown := [name for name in experiments if name not in EXPERIMENTS]:
        raise DataError("experiments", f"got {unknown[0]!r}; there are {', '.join(EXPERIMENTS)}")
    Models(plan, 0, folder, say, device).check()
    cache = folder / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    write_text(folder / "plan.json", json.dumps(asdict(plan), indent=1) + "\n")
    chosen = [name for name in EXPERIMENTS if not experiments or name in experiments]
    if jobs is not None:
        _of_seeds_by(ProcessPool(jobs), plan, cache, chosen, device, say)
    clock = Clock({name: EXPERIMENTS[name].share for name in chosen}, plan.seeds)
    done = [_of_seed(Models(plan, seed, cache, say, device), cache, say, chosen, clock) for seed in range(plan.seeds)]
    of_seeds = [
        {n: seed[n] if all(n in other for other in done) else Result(notes=(NOT_RUN,)) for n in EXPERIMENTS}
        for seed in done
    ]
    if AGREEMENT in EXPERIMENTS and of_seeds[0][AGREEMENT].arrays:
        for seed, agreement in zip(of_seeds, agreements([seed[AGREEMENT] for seed in of_seeds]), strict=True):
            seed[AGREEMENT] = agreement
    figures = [{name: dict(result.figures) for name, result in seed.items()} for seed in of_seeds]
    layers = Models(plan, 0, cache, say, device).layers
    verdicts = {form: judged(statements(plan, layers, form), of_seeds) for form in FORMS}
    figure_files = draw(folder, plan, layers, of_seeds)
    results = {
        "command": command,
        "plan": asdict(plan),
        "figures": figures,
        "courses": [
            {name: dict(result.courses) for name, result in seed.items() if result.courses} for seed in of_seeds
        ],
        "verdicts": {form: [asdict(v) | {"word": v.word} for v in found] for form, found in verdicts.items()},
    }
    write_text(folder / "results.json", json.dumps(without_nan(results), indent=1) + "\n")
    write_text(folder / "results.md", markdown(plan, of_seeds, verdicts, command, figure_files))
    return results


def _of_seeds_by(
    workers: Workers, plan: Plan, cache: Path, chosen: Sequence[str], device: str, say: Callable[[str], None]
) -> None:
    """Run the experiments of all seeds in several processes, which leave the results in the cache."""

    def work(seeds: range) -> Callable[[], None]:
        return partial(_seed_alone, plan, seeds.start, cache, chosen, device)

    def done(seeds: range, _: None) -> None:
        say(f"seed {seeds.start}: done")

    with task("seeds") as tick:
        execute(workers, Chunks([range(plan.seeds)], most=1), work, done, plan.seeds, tick)


def _seed_alone(plan: Plan, seed: int, cache: Path, chosen: Sequence[str], device: str) -> None:
    """Run the experiments of one seed, in a worker."""
    import torch

    torch.set_num_threads(1)
    keep_freed_memory()
    clock = Clock({name: EXPERIMENTS[name].share for name in chosen}, plan.seeds)
    _of_seed(Models(plan, seed, cache, _unsaid, device), cache, _unsaid, chosen, clock)


def _unsaid(_text: str) -> None:
    """What workers would say is not shown."""


def _of_seed(
    models: Models, cache: Path, say: Callable[[str], None], chosen: Sequence[str], clock: Clock
) -> dict[str, Result]:
    """Return the results of the experiments for one seed; each is cached as soon as it is done."""
    folder = cache / f"{models.plan.key}-{models.seed}"
    results: dict[str, Result] = {}
    for name, experiment in EXPERIMENTS.items():
        result = load_result(folder, name, experiment.version)
        if models.plan.recordings and not experiment.recordings:
            result = Result(notes=(NO_ANN,), seconds=0.0)
        elif result is None and name in chosen:
            say(f"seed {models.seed}: {name} ({clock.line()})")
            began = time.monotonic()
            result = experiment.run(models)
            result = replace(result, seconds=time.monotonic() - began)
            save_result(folder, name, experiment.version, result)
            result = load_result(folder, name, experiment.version)
            if result is None:
                raise DataError(str(folder), f"does not keep the result of {name}; is its disk full?")
        if result is not None:
            results[name] = result
            if name in chosen:
                clock.finished(name, result.seconds)
    return results
