"""``python -m neurosam`` is ``neurosam``."""

from neurosam.cli import main

main()
