"""Messages written to a file, step by step."""
