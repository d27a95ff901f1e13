"""Is a network the same as the module it came from: check_export.py runs both, explain_*.py say why not."""
