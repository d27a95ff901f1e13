"""The experiments of the SAM paper on cluttered canvases: claim by claim, with baselines, seeds and intervals.

    plan.py                              how much of everything
    models.py                            the networks of one seed: trained, converted, deployed; kept as checkpoints
    maps.py                              maps of these networks, and what they score
    localisation.py, behaviour.py, sanity_checks.py
                                         the experiments: from models to results
    deployment.py                        the last of them: items as they are, learned, converted and deployed
    experiments.py, results.py           their names and versions; their results, and the cache of these
    claims.py, interval.py               what the paper says about those figures, and whether ours bear it out
    gallery.py, charts.py, sheets.py, paper_charts.py, sanity_charts.py
                                         the paper's figures, and ours
    report.py, runner.py, cli.py         results.md; the run; the command

The unit of evidence is the training seed: an interval is Student's over seeds, never over samples.

Importing the package loads nothing: the command line reads cli.py before it knows whether torch is there.

Source: Kim & Panda 2021 (arXiv 2103.14441), section 5.
"""
