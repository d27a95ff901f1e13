"""Machines that run neurosam networks."""
