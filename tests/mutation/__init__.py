"""Mutation testing: which small changes to the code its nearest tests do not notice (docs/development/mutants.md)."""
