"""From a trained module to a network: export from torch, quantisation, and the error that quantised weights cause.

Nothing is imported here: ``from_torch`` needs torch, ``quantise`` does not.
"""
