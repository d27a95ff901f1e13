"""A network as other tools draw it, and how it becomes populations and projections; data flows layers -> assemble."""

from neurosam.graph.assemble import assemble
from neurosam.graph.layers import (
    Edge,
    Graph,
    Input,
    Layer,
    MaxPool,
    Neurons,
    Offset,
    Pool,
    Reindex,
    Scale,
    Weights,
)

__all__ = [
    "Edge",
    "Graph",
    "Input",
    "Layer",
    "MaxPool",
    "Neurons",
    "Offset",
    "Pool",
    "Reindex",
    "Scale",
    "Weights",
    "assemble",
]
