"""The compiled inner loops: lists of spikes, sums of weights, neurons, traces."""
