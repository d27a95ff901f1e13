"""Spike activation maps: a trace that is touched only on spikes."""
