"""A readout that sends its membrane, for which the LIF of lava-nc has no port."""
