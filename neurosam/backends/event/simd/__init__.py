"""The vector instructions and memory accesses that Numba lacks, as functions that a kernel can call."""
