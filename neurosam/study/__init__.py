"""The experiments of the SAM paper on cluttered canvases: claim by claim, with baselines, seeds and intervals.

    plan.py         how much of everything
    models.py       the networks of one seed: trained, converted, deployed; cached by their checkpoints
    experiments.py  from models to figures, one function an experiment of the paper
    claims.py       what the paper says about those figures, and whether ours bear it out
    report.py       results.json and results.md

The unit of evidence is the training seed: an interval is Student's over seeds, never over samples.

Source: Kim & Panda 2021 (arXiv 2103.14441), section 5.
"""

from neurosam.study.plan import FULL, QUICK, Plan
from neurosam.study.report import study

__all__ = ["FULL", "QUICK", "Plan", "study"]
