"""Vector instructions, memory accesses and atomics that Numba lacks, as functions that a kernel can call."""
