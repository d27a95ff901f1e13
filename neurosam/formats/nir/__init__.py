"""NIR, the Neuromorphic Intermediate Representation: networks from other tools' files, and for other tools.

file.py reads a file with suspicion, or takes an object of the package nir, as plain values (drawing.py). structure.py
opens subgraphs, finds feedback and orders nodes. sources.py has the step and the discretisation, which NIR does not
have: equations.py its own equations, frameworks.py what frameworks compute. nodes.py makes layers of neurosam.graph of
nodes, and load.py a network of them all. save.py writes a network.
"""

from neurosam.formats.nir.file import is_nir
from neurosam.formats.nir.load import load_nir, nir_graph
from neurosam.formats.nir.save import save_nir, to_nir
from neurosam.formats.nir.sources import SOURCES

__all__ = ["SOURCES", "is_nir", "load_nir", "nir_graph", "save_nir", "to_nir"]
