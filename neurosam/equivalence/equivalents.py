"""Mutants that do what the original does, proven."""
from __future__ import annotations


def reason_to_survive(network, mutant, tape, steps):
    return ""
