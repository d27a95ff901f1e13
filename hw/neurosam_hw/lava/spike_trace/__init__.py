"""Spike activation maps, by a trace that is updated only on spikes."""
