"""Readers of neuron modules, one short file a framework: protocol.py says what a reader returns."""

from neurosam.deploy.readers.protocol import Feedback, Reading, register

__all__ = ["Feedback", "Reading", "register"]
