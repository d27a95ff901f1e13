"""One recorded forward pass of a torch module, as a graph of layers; data flows steps -> recording -> nodes -> drawing."""
