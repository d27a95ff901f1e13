"""The project's own fuzzer of its readers; see __main__.py."""
