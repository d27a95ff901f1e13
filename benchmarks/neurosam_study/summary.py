"""What holds, in sentences that the verdicts choose: nobody writes by hand what a study has found.

A finding asks several statements at once (deletion, insertion, mass) and has a sentence for when all of them hold in
every form of the network, for when all fail, for when all are equivalent, and for anything else. The verdicts follow
each sentence, with differences and 95 % intervals; positive ones support the statement.

    python -m neurosam_study.summary STUDY/results.md PAGE.md [NAME]

replaces what stands between two lines of a page by the section "What holds" of results.md, for one of several studies
with its name:

    <!-- what holds NAME -->
    <!-- end of what holds NAME -->
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neurosam._util.atomic_write import write_text
from neurosam.errors import DataError
from neurosam_study.statements import Verdict
from neurosam_study.weights import BOUND

__all__ = ["FINDINGS", "HEADING", "Finding", "fill", "findings"]

HEADING = "## What holds"


@dataclass(frozen=True)
class Finding:
    """A sentence for each outcome of some statements.

    Parameters
    ----------
    texts : tuple of str
        Of the statements, as in statements.py.
    holds, fails, equivalent, mixed : str
        If all of them have that word in every form; `mixed` for anything else, "open" included.
    """

    texts: tuple[str, ...]
    holds: str
    fails: str
    equivalent: str
    mixed: str

    def sentence(self, words: Sequence[str]) -> str:
        """The sentence for the words of all statements, in every form."""
        found = {"holds": self.holds, "fails": self.fails, "equivalent": self.equivalent}
        return found.get(words[0], self.mixed) if len(set(words)) == 1 else self.mixed


def _metrics(better: str, worse: str, metrics: Sequence[str] = ("deletion", "insertion", "mass")) -> tuple[str, ...]:
    return tuple(f"{metric}: {better} beats {worse}" for metric in metrics)


FINDINGS = (
    Finding(
        _metrics("integrated gradients", "SAM", ("insertion", "mass")),
        "SAM shows where spikes are, not why the net answers as it does: integrated gradients find what the answer "
        "rests on better, and point more at the item.",
        "SAM finds what the answer rests on better than integrated gradients, and points more at the item.",
        "SAM and integrated gradients are equivalent in what they find, and in how much they point at the item.",
        "Integrated gradients do not surely beat SAM by both measures.",
    ),
    Finding(
        (*_metrics("SAM", "spike count", ("deletion", "insertion")),
         "SAM has more mass in the mask than its layer's spike count"),
        "SAM says more than its layer's spike count, by every measure.",
        "SAM says less than its layer's spike count, by every measure.",
        "SAM says no more than its layer's spike count.",
        "SAM does not beat its layer's spike count by every measure.",
    ),
    Finding(
        _metrics("class SAM", "SAM"),
        "Weighting SAM with what its spikes contribute to a class makes it better, by every measure.",
        "Weighting SAM with what its spikes contribute to a class makes it worse, by every measure.",
        "Weighting SAM with what its spikes contribute to a class changes nothing that matters.",
        "Weighting SAM with what its spikes contribute to a class does not make it better by every measure.",
    ),
    Finding(
        (f"when rounded weights cost half the accuracy, SAM correlates above {BOUND} with the float map",),
        "Agreement with the float map is not faithfulness: SAM still looks like it when half the accuracy is gone.",
        "SAM no longer looks like the float map when half the accuracy is gone.",
        f"When half the accuracy is gone, SAM correlates about {BOUND} with the float map.",
        "Whether SAM still looks like the float map when half the accuracy is gone is open.",
    ),
    Finding(
        ("shuffling all weights changes SAM more than drawing the input's spikes anew does",),
        "SAM passes the sanity check for the weights of its layer and below: it changes when they are shuffled. It "
        "cannot depend on those above.",
        "SAM fails the sanity check: shuffled weights change it less than another draw of the input's spikes.",
        "SAM fails the sanity check: shuffled weights change it no more than another draw of the input's spikes.",
        "Whether SAM passes the sanity check for the weights of its layer and below is open.",
    ),
)  # fmt: skip


def findings(verdicts: Mapping[str, Sequence[Verdict]]) -> list[str]:
    """The section, in Markdown; findings whose statements were not judged are left out.

    Parameters
    ----------
    verdicts : mapping
        Verdicts by form of the network, in the same order.
    """
    by_text = {form: {verdict.statement.text: verdict for verdict in judged} for form, judged in verdicts.items()}
    lines = [HEADING, ""]
    for finding in FINDINGS:
        found = [(text, form, by_text[form][text]) for text in finding.texts for form in by_text
                 if text in by_text[form] and by_text[form][text].word != "not measured"]  # fmt: skip
        if len({text for text, _, _ in found}) != len(finding.texts):
            continue
        lines += [f"- **{finding.sentence([verdict.word for _, _, verdict in found])}**"]
        for text in finding.texts:
            told = "; ".join(f"{form} {_told(verdict)}" for named, form, verdict in found if named == text)
            lines.append(f"  - {text}: {told}")
    return [*lines, ""] if len(lines) > 2 else []


def _told(verdict: Verdict) -> str:
    estimate = verdict.judgement.estimate
    low, high = estimate.interval()
    bounds = f" [{low:+.3f}, {high:+.3f}]" if math.isfinite(low) else ""
    return f"{estimate.mean:+.3f}{bounds}, {verdict.word}"


def fill(results: Path, page: Path, name: str = "") -> None:
    """Put the section of results.md between the marks of a page, those with this name.

    Raises
    ------
    DataError
        If results.md has no such section, or the page lacks a mark.
    """
    mark = f"what holds {name}".strip()
    begin, end_mark = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    lines = results.read_text(encoding="utf-8").splitlines()
    if HEADING not in lines:
        raise DataError(str(results), f"has no section {HEADING!r}; run the study again")
    start = lines.index(HEADING) + 1
    end = next((i for i in range(start, len(lines)) if lines[i].startswith("## ")), len(lines))
    text = page.read_text(encoding="utf-8")
    if not 0 <= text.find(begin) < text.find(end_mark):
        raise DataError(str(page), f"lacks the lines {begin} and {end_mark}, in this order")
    before, after = text[: text.index(begin)], text[text.index(end_mark) :]
    section = "\n".join(lines[start:end]).strip()
    write_text(page, f"{before}{begin}\n{section}\n{after}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit("usage: python -m neurosam_study.summary STUDY/results.md PAGE.md [NAME]")
    try:
        fill(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
    except (DataError, OSError) as error:
        raise SystemExit(str(error)) from None
