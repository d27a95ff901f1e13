"""Compilation into a cache, and the threads that help a run."""
