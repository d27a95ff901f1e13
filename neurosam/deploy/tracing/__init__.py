"""A recorded forward pass of a torch module, as a graph of layers.

Data flows copies -> steps -> recording (axes, functions, leaves) -> outputs -> drawing -> conformity.
"""
