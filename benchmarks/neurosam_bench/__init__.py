"""Benchmark of ``neurosam bench``: standard cases, how fast this machine runs them, and the limits of the machine.

cases, sizes      the networks and their input, fixed by a seed
dense, dense_int8 dense rivals in PyTorch
timing            interleaved runs, medians, paired ratios, fits
limits            peak rates of the kernels, and start-up
measure, profile  one case: variants, rivals, and where the time goes
sweeps, memory    cost against activity, batch, steps, neurons and SAM layers; peak memory in new processes
device            the reference back end on a GPU
suite, cli        everything, as one JSON value; the command
page, plots       results as Markdown and plots; python -m neurosam_bench FOLDER rewrites them from results.json
"""
