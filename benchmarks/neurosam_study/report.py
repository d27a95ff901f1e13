"""The results as tables: all statements, then those of each experiment with its figures and baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from neurosam_study.experiments import EXPERIMENTS, METHODS
from neurosam_study.inference import WORDS
from neurosam_study.interval import Interval, over_seeds
from neurosam_study.method_tables import method_tables
from neurosam_study.models import FORMS
from neurosam_study.plan import Plan
from neurosam_study.results import Result
from neurosam_study.statements import Verdict
from neurosam_study.summary import findings

__all__ = ["markdown"]

NEITHER = ""
"""The form of a figure that involves no network on a back end."""
COUNT = 1000
"""Figures of at least this value are counts, shown as integers."""
SLOW = {"Run time"}
"""Experiments whose figures are seconds, shown with more digits."""


def markdown(
    plan: Plan,
    seeds: Sequence[Mapping[str, Result]],
    verdicts: Mapping[str, Sequence[Verdict]],
    command: str,
    figure_files: Mapping[str, Sequence[str]],
) -> str:
    """Format all tables.

    Parameters
    ----------
    plan : Plan
    seeds : sequence of mappings
        Results by experiment, one mapping per seed.
    verdicts : mapping
        Verdicts by form of the network, in the same order.
    command : str
    figure_files : mapping
        File names by experiment.
    """
    side = "" if plan.size is None else f" of {plan.size} pixels"
    kind = f"canvases of {plan.canvas} pixels" if plan.canvases else f"images{side}"
    lines = [
        f"# The SAM paper's claims on {'cluttered canvases' if plan.canvases else 'images'}",
        "",
        f"{len(seeds)} seeds, {plan.data}, {plan.train or 'all'} training {kind}, {plan.explained} explained; "
        f"`{plan.architecture}`, {plan.steps} steps. Made by `{command}`.",
        "",
        "Each statement was written down before the run, with a smallest effect of interest (delta). Differences are "
        "signed so that positive ones support it, taken picture by picture in every seed, and have the 95 % interval "
        "of a bootstrap over seeds and pictures. *holds* and *fails*: surely above or below 0; *equivalent*: surely "
        "within delta of 0; *open*: none of these. p-values are Holm's, over the paper's statements of a column, and "
        'over ours. Those marked (ours) are not the paper\'s. "float" is the trained module in torch, "8 bits" the '
        "network exported "
        "from it in Loihi's fixed point on the event back end; gradients exist in torch only. In the tables, intervals "
        "are Student's over seeds.",
        "",
        *findings(verdicts),
        "## Statements",
        "",
        f"| | {' | '.join(WORDS)} |",
        "|---|" + "---|" * len(WORDS),
    ]
    for form, judged in verdicts.items():
        words = [verdict.word for verdict in judged]
        lines.append(f"| {form} | {' | '.join(str(words.count(word)) for word in WORDS)} |")
    lines += ["", *_statements(None, verdicts)]
    for experiment in seeds[0]:
        lines += ["", f"## {experiment}", "", EXPERIMENTS[experiment].about if experiment in EXPERIMENTS else "", ""]
        lines += [f"![{experiment}]({name})" for name in figure_files.get(experiment, ())]
        lines += [
            "",
            *_statements(experiment, verdicts),
            "",
        ]
        lines += method_tables(plan, seeds, METHODS) if experiment == METHODS else _figures(experiment, seeds)
        lines += [f"\n{note}" for note in dict.fromkeys(n for seed in seeds for n in seed[experiment].notes)]
    return "\n".join(_single_blanks(lines)) + "\n"


def _statements(experiment: str | None, verdicts: Mapping[str, Sequence[Verdict]]) -> list[str]:
    """One row per statement of an experiment: the difference in every seed; or of all of them, with their p-values."""
    rows = [
        pair
        for pair in zip(*(verdicts[form] for form in FORMS), strict=True)
        if experiment is None or pair[0].statement.experiment == experiment
    ]
    if not rows:
        return []
    if experiment is not None:
        lines = ["| statement | float, each seed | 8 bits, each seed |", "|---|---|---|"]
        return lines + [f"| {_text(floating)} | {_seeds(floating)} | {_seeds(fixed)} |" for floating, fixed in rows]
    lines = [
        "| experiment | statement | delta | float, torch: difference [interval] | p, equivalent | | "
        "8 bits, event back end | p, equivalent | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {floating.statement.experiment} | {_text(floating)} | {floating.judgement.delta:g} | "
        f"{_verdict(floating)} | {_verdict(fixed)} |"
        for floating, fixed in rows
    ]


def _text(verdict: Verdict) -> str:
    return f"{'(ours) ' if verdict.statement.source == 'ours' else ''}{verdict.statement.text}"


def _seeds(verdict: Verdict) -> str:
    return ", ".join("–" if math.isnan(value) else f"{_round(value):+.3f}" for value in verdict.by_seed)


def _verdict(verdict: Verdict) -> str:
    found = verdict.judgement
    if math.isnan(found.estimate.mean):
        return f" | | **{verdict.word}**"
    low, high = found.estimate.interval()
    bounds = f"[{_round(low):+.3f}, {_round(high):+.3f}]" if math.isfinite(low) else "(one seed)"
    p = f"{found.p_differs:.3f}, {found.p_equivalent:.3f}"
    return f"{_round(found.estimate.mean):+.3f} {bounds} | {p} | **{verdict.word}**"


def _figures(experiment: str, seeds: Sequence[Mapping[str, Result]]) -> list[str]:
    """Format one row per figure, with all its forms."""
    rows: dict[str, dict[str, Interval]] = {}
    for name in dict.fromkeys(name for seed in seeds for name in seed[experiment].figures):
        form = next((form for form in FORMS if f" {form}" in name), NEITHER)
        rows.setdefault(name.replace(f" {form}", "") if form else name, {})[form] = over_seeds(seeds, experiment, name)
    if not rows:
        return []
    digits = 5 if experiment in SLOW else 3
    lines = ["| figure | float, torch | 8 bits, event back end | neither |", "|---|---|---|---|"]
    for name, forms in rows.items():
        cells = (_cell(forms.get(form), digits) for form in (*FORMS, NEITHER))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _cell(value: Interval | None, digits: int) -> str:
    if value is None or math.isnan(value.mean):
        return ""
    if value.mean >= COUNT:
        return f"{value.mean:,.0f}"
    if not math.isfinite(value.low):
        return f"{_round(value.mean, digits):.{digits}f} (one value)"
    mean, low, high = (_round(part, digits) for part in (value.mean, value.low, value.high))
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _round(value: float, digits: int = 3) -> float:
    """Round, without -0."""
    return round(value, digits) + 0.0


def _single_blanks(lines: Sequence[str]) -> list[str]:
    return [line for i, line in enumerate(lines) if line or i == 0 or lines[i - 1]]
