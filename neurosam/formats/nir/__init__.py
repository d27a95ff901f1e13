"""NIR, the Neuromorphic Intermediate Representation: networks from other tools' files, and for other tools.

file.py       a file, read with suspicion, or an object of the package nir -> plain values (drawing.py)
structure.py  subgraphs opened, feedback found, nodes in the order in which values flow
sources.py    the step dt and the discretisation, which NIR does not have: one preset for each framework
nodes.py      a node -> layers of neurosam.graph
load.py       all of it together;  save.py  a network as a NIR file
"""

from neurosam.formats.nir.file import is_nir
from neurosam.formats.nir.load import load_nir, nir_graph
from neurosam.formats.nir.sources import SOURCES

__all__ = ["SOURCES", "is_nir", "load_nir", "nir_graph"]
