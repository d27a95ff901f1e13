"""A readout that sends its membrane: a LIF of lava-nc has no port for it."""
