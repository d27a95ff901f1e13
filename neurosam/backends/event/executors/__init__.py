"""In which order the work of a sample is done: chains of layers, general groups, recurrent groups."""
