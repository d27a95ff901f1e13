"""From a trained module to a network: export from torch, quantisation, and the expected error of quantised weights.

This package imports nothing, because ``from_torch`` needs torch and ``quantise`` does not.
"""
