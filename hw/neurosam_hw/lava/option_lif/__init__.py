"""A neuron with any of the options that lava-nc's LIF does not have."""
