"""Writes messages to a file, step by step."""
