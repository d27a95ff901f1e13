"""The results as tables: an overview of the claims, then the claims, figures and baselines of each experiment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from neurosam_study.claims import Verdict
from neurosam_study.experiments import EXPERIMENTS
from neurosam_study.interval import Interval, over_seeds
from neurosam_study.models import FORMS
from neurosam_study.plan import Plan
from neurosam_study.results import Result

__all__ = ["markdown"]

NEITHER = ""
"""The form of a figure that involves no network on a back end."""
COUNT = 1000
"""Figures of at least this value are counts, shown as integers."""
WORDS = ("holds", "open", "fails", "not measured")
SLOW = {"Run time"}
"""Experiments whose figures are seconds, shown with more digits."""


def markdown(
    plan: Plan,
    seeds: Sequence[Mapping[str, Result]],
    verdicts: Mapping[str, Sequence[Verdict]],
    command: str,
    pictures: Mapping[str, Sequence[str]],
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
    pictures : mapping
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
        "Every figure is a mean over seeds with Student's 95 % interval. Differences are signed so that positive ones "
        "support the claim. *holds*: the interval lies above 0; *fails*: below 0; *open*: neither. Of many claims at "
        '95 %, one in twenty is decided by chance. Claims marked (ours) are not the paper\'s. "float" is the trained '
        'module in torch, "8 bits" the network exported from it in Loihi\'s fixed point on the event back end; '
        "gradients exist in torch only.",
        "",
        "| | holds | open | fails | not measured |",
        "|---|---|---|---|---|",
    ]
    for form, judged in verdicts.items():
        words = [verdict.word for verdict in judged]
        lines.append(f"| {form} | {' | '.join(str(words.count(word)) for word in WORDS)} |")
    for experiment in seeds[0]:
        lines += ["", f"## {experiment}", "", EXPERIMENTS[experiment].about if experiment in EXPERIMENTS else "", ""]
        lines += [f"![{experiment}]({name})" for name in pictures.get(experiment, ())]
        lines += ["", *_claims(experiment, verdicts), "", *_figures(experiment, seeds)]
        lines += [f"\n{note}" for note in dict.fromkeys(n for seed in seeds for n in seed[experiment].notes)]
    return "\n".join(_single_blanks(lines)) + "\n"


def _claims(experiment: str, verdicts: Mapping[str, Sequence[Verdict]]) -> list[str]:
    pairs = [pair for pair in zip(*(verdicts[form] for form in FORMS), strict=True)
             if pair[0].claim.experiment == experiment]  # fmt: skip
    if not pairs:
        return []
    lines = [
        "| claim | float, torch: difference [interval] | | 8 bits, event back end | |",
        "|---|---|---|---|---|",
    ]
    return lines + [
        f"| {floating.claim.text} | {_verdict(floating)} | {_verdict(fixed)} |" for floating, fixed in pairs
    ]


def _verdict(verdict: Verdict) -> str:
    if math.isnan(verdict.difference):
        return f" | **{verdict.word}**"
    bounds = (
        f"[{_round(verdict.low):+.3f}, {_round(verdict.high):+.3f}]" if math.isfinite(verdict.low) else "(one value)"
    )
    return f"{_round(verdict.difference):+.3f} {bounds} | **{verdict.word}**"


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
    mean, low, high = (_round(part, digits) for part in value)
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _round(value: float, digits: int = 3) -> float:
    """Round, without -0."""
    return round(value, digits) + 0.0


def _single_blanks(lines: Sequence[str]) -> list[str]:
    return [line for i, line in enumerate(lines) if line or i == 0 or lines[i - 1]]
