"""What every room uses and no user imports: range checks of arguments, and files written whole or not at all."""
