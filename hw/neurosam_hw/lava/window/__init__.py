"""A gate that keeps spikes of one presentation out of the next."""
