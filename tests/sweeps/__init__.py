"""1,000 samples by processes and by a Dask cluster, and random kills: what is lost; see ``__main__.py``."""
