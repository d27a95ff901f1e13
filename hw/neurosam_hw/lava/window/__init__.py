"""A gate that keeps the spikes of one presentation out of the next."""
