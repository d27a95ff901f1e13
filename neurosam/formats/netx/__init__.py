"""lava-dl's netx HDF5, both ways."""

from neurosam.formats.netx.matrix import read_by_netx
from neurosam.formats.netx.read import load_netx
from neurosam.formats.netx.write import save_netx

__all__ = ["load_netx", "read_by_netx", "save_netx"]
