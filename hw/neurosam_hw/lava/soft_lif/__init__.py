"""A LIF whose spikes subtract from the membrane, which lava-nc does not have."""
