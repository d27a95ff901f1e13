"""Commands ended at random moments: nothing may be lost, nothing left; see ``__main__.py``."""
