"""A LIF whose spike subtracts from the membrane: lava-nc has none."""
