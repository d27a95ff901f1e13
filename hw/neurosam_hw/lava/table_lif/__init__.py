"""A LIF with gain and offset tables through time: lava-nc has none."""
