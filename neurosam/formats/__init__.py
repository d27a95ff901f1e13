"""Files of other software, one module per format."""
