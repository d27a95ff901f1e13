"""Mutation testing: which small changes to the code the tests nearest to it would not notice (docs/development/mutants.md)."""
