"""The version of the library; pyproject.toml states the same."""

__version__ = "0.1.0"
