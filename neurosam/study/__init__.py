"""The experiments of the SAM paper on cluttered canvases: claim by claim, with baselines, seeds and intervals.

    plan.py                              how much of everything
    models.py                            the networks of one seed: trained, converted, deployed; kept as checkpoints
    maps.py                              maps of these networks, and what they score
    localising.py behaviour.py trust.py  the experiments: from models to what was found
    deployment.py                        the last of them: items as they are, learned, converted and deployed
    experiments.py, found.py             their names and versions; what was found, and its cache
    claims.py, interval.py               what the paper says about those figures, and whether ours bear it out
    gallery.py, charts.py, sheets.py     the paper's figures
    report.py, runner.py                 results.md; the run

The unit of evidence is the training seed: an interval is Student's over seeds, never over samples.

Source: Kim & Panda 2021 (arXiv 2103.14441), section 5.
"""

from neurosam.study.plan import FULL, QUICK, Plan
from neurosam.study.runner import study

__all__ = ["FULL", "QUICK", "Plan", "study"]
