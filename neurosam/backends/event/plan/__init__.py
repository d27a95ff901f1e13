"""A network as the kernels take it: populations, projections and input, compiled once for runs of one kind."""
