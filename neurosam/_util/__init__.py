"""Helpers for every other package, not for users: argument checks, atomic file writes, what is behind ``.save()``."""
