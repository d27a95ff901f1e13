"""A LIF with gain and offset tables over time, which lava-nc does not have."""
