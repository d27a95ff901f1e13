"""Readers of neuron modules, one short file a framework: protocol.py says what a reader returns."""
