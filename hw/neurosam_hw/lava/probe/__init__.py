"""Writes a state variable to a file, step by step."""
