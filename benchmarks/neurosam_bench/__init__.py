"""Standard cases, how fast this machine runs them, and the limits that it has: what ``neurosam bench`` prints.

cases, sizes      what is run: networks and input, fixed by a seed
dense, dense_int8 the dense rivals in PyTorch
timing            runs in turns, medians, ratios in pairs, fits
limits            the highest rates of the kernels, and start-up
measure, profile  a case: variants, rivals, and where the time goes
sweeps, memory    cost against activity, batch, steps, neurons, layers explained; peaks in new processes
device            the reference back end on a GPU
suite, cli        all of it, as one JSON value; the command
page, plots       the same as Markdown and as pictures; anew from results.json: python -m neurosam_bench FOLDER
"""
