"""The experiments of the SAM paper, statement by statement, with baselines, seeds, pictures and intervals.

    plan.py, presets.py                  sizes of a study, and those of a data set
    models.py                            the networks of one seed: trained, converted, deployed; kept as checkpoints
    maps.py                              maps of these networks, and their scores
    localisation.py, behaviour.py, sanity_checks.py
                                         the experiments: from models to results
    methods.py, judging.py               every explanation; its measures, by pixels and by spikes
    weights.py                           weights of few bits: whether SAM follows what the net has learned
    deployment.py                        the last experiment: networks on plain images, trained, converted and deployed
    experiments.py, results.py           names and versions of the experiments; their results and the cache
    statements.py, inference.py          what is judged, written down before; and the word that the results give it
    gallery.py, charts.py, sheets.py, paper_charts.py, sanity_charts.py, method_charts.py
                                         the paper's figures, and ours
    report.py, method_tables.py, summary.py, runner.py, cli.py
                                         results.md; its tables of methods; the sentences that its verdicts choose;
                                         the run; the command
    bits.py                              by itself: accuracy against bits per weight (python -m neurosam_study.bits)
    trace_bits/                          by itself: SAM in traces of few bits (python -m neurosam_study.trace_bits)

The unit of evidence is the training seed with the held-out pictures, which are the same for all seeds: verdicts
resample both, and the intervals of tables are Student's over seeds, never over pictures alone.

Importing the package loads no module: the command line imports cli.py before it knows whether torch is installed.

Source: Kim & Panda 2021 (arXiv 2103.14441), section 5.
"""
