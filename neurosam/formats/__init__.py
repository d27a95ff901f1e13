"""Other people's files: a module for each format."""
