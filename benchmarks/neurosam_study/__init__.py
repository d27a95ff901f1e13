"""The experiments of the SAM paper on cluttered canvases: claim by claim, with baselines, seeds and intervals.

    plan.py                              sizes of a study
    models.py                            the networks of one seed: trained, converted, deployed; kept as checkpoints
    maps.py                              maps of these networks, and their scores
    localisation.py, behaviour.py, sanity_checks.py
                                         the experiments: from models to results
    deployment.py                        the last experiment: networks on plain images, trained, converted and deployed
    experiments.py, results.py           names and versions of the experiments; their results and the cache
    claims.py, interval.py               the paper's claims about these results, and whether ours support them
    gallery.py, charts.py, sheets.py, paper_charts.py, sanity_charts.py
                                         the paper's figures, and ours
    report.py, runner.py, cli.py         results.md; the run; the command
    bits.py                              by itself: accuracy against bits per weight (python -m neurosam_study.bits)

The unit of evidence is the training seed: an interval is Student's over seeds, never over samples.

Importing the package loads no module: the command line imports cli.py before it knows whether torch is installed.

Source: Kim & Panda 2021 (arXiv 2103.14441), section 5.
"""
