"""Compilation into a cache, and the thread pool."""
