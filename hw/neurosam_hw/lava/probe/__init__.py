"""A state variable written to a file, step by step."""
