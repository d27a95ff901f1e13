"""A network as a NIR graph: one node for each population, and a short chain of nodes for each projection.

    source -> [Delay] -> [SumPool2d] -> [Flatten] -> Linear, Affine, Conv2d or Scale -> target

NIR evaluates nodes within one step, as a population's own time does; so a projection's lag is a Delay, in seconds, and
none along a chain. What NIR cannot hold is refused by name (inverse.py), or kept in metadata (marker.py) where it
changes no spike.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neurosam._util.atomic_write import replacing
from neurosam.errors import ExportError, FormatError
from neurosam.formats.nir.inverse import Written, written
from neurosam.formats.nir.marker import PREFIX, mark, neuron_mark, sparse_mark
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, neurons

__all__ = ["save_nir", "to_nir", "with_zero_reset"]

MAX_MATRIX = 2**26
"""Most entries of a compressed matrix that is written as a full one, since NIR has no other."""


def save_nir(network: Network, path: str | Path, *, dt: float = 1e-4, reset: str | None = None) -> Network:
    """Write a float network as a NIR file, atomically; needs the package ``nir``.

    Parameters
    ----------
    network : Network
    path : str or Path
        An older file is replaced.
    dt : float
        Step in seconds, from which time constants are computed; most frameworks take 1e-4.
    reset : {"zero"}, optional
        Write every neuron with a reset to zero. NIR has no soft reset, so without it such a network is refused.

    Returns
    -------
    Network
        What the file holds: `network` itself, or the one with other resets, whose spikes differ: run both.

    Raises
    ------
    ExportError
        For what NIR cannot hold, with the name of the population or projection; or if ``nir`` is missing.
    FormatError
        If the file cannot be written.

    Examples
    --------
    >>> from neurosam.formats.nir import load_nir, save_nir
    >>> lif = ns.LIF(leak=0.875, threshold=1.0, reset="zero")
    >>> network = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), lif)],
    ...     [ns.Projection("in", "out", ns.Dense([[0.5, -0.25]]))],
    ... )
    >>> saved = save_nir(network, "network.nir")
    >>> load_nir("network.nir") == network
    True
    """
    graph, held = _graph(network, dt, reset)
    import nir

    target = Path(path)
    try:
        with replacing(target) as temporary:
            nir.write(temporary, graph)
    except OSError as error:
        raise FormatError(str(path), f"cannot be written ({error.strerror or error}); check folder and space") from None
    return held


def to_nir(network: Network, *, dt: float = 1e-4, reset: str | None = None) -> Any:
    """The ``nir.NIRGraph`` of a float network, for importers of other frameworks; see :func:`save_nir`."""
    return _graph(network, dt, reset)[0]


def with_zero_reset(network: Network) -> Network:
    """The same network, whose neurons are reset to zero in the step of their spike."""

    def zero(population: Population) -> Population:
        if not isinstance(population.neuron, LIF):
            return population
        neuron = replace(population.neuron, reset="zero", reset_amount=None, reset_value=None, reset_timing="now")
        return replace(population, neuron=neuron)

    return replace(network, populations=[zero(population) for population in network.populations])


def _graph(network: Network, dt: float, reset: str | None) -> tuple[Any, Network]:
    """The graph, and the network that it holds."""
    if reset not in (None, "zero"):
        raise ExportError("reset", f"got {reset!r}; NIR has a reset to zero: 'zero' is allowed")
    if not 0 < dt < float("inf"):
        raise ExportError("dt", f"got {dt!r}; a number of seconds above 0 is required")
    if network.fixed:
        raise ExportError("network", "is a fixed-point network; NIR holds floats. Save the one it was quantised from")
    held = network if reset is None else with_zero_reset(network)
    builder = _Builder(held, dt)
    return builder.graph(), held


class _Builder:
    """Collects nodes and edges."""

    def __init__(self, network: Network, dt: float) -> None:
        try:
            import nir
        except ImportError:
            raise ExportError(
                "NIR", "is written with the package nir, which is missing; pip install 'neurosam[nir]'"
            ) from None
        reset = nir.LIF.__dataclass_fields__.get("v_reset")
        if reset is None or reset.default is not None:
            raise ExportError("NIR", "is written with the package nir from 1.0.7 on; pip install --upgrade nir")
        self.nir = nir
        self.network, self.dt = network, dt
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.drives: dict[str, Any] = {}

    def graph(self) -> Any:
        """The whole graph."""
        for population in self.network.populations:
            self._population(population)
        for projection in self.network.projections:
            self._projection(projection)
        if self.drives:
            name = next(iter(self.drives))
            raise ExportError(f"population {name!r}", "has a bias and no incoming synapses that could hold it in NIR")
        for output in self.network.answers:
            name = self._free(f"{output}_output" if len(self.network.answers) > 1 else "output")
            self.nodes[name] = self.nir.Output(np.array(self.network[output].shape))
            self.edges.append((output, name))
        return self.nir.NIRGraph(self.nodes, self.edges, metadata=mark(self.network, self.dt), type_check=False)

    def _population(self, population: Population) -> None:
        if population.neuron is None:
            self.nodes[population.name] = self.nir.Input(np.array(population.shape))
            return
        node: Written = written(population, self.dt)
        metadata = neuron_mark(population.neuron)  # type: ignore[arg-type]  # written() refuses integers
        self.nodes[population.name] = getattr(self.nir, node.kind)(**node.fields, metadata=metadata)
        if node.drive is not None:
            self.drives[population.name] = node.drive

    def _projection(self, projection: Projection) -> None:
        """The chain of a projection."""
        source, target, synapse = self.network[projection.source], self.network[projection.target], projection.synapse
        where, name, shape = f"projection {projection.label}", f"{source.name}_to_{target.name}", source.shape
        chain: list[tuple[str, Any]] = []
        if lag := self.network.lag(projection):
            chain.append(("_delay", self.nir.Delay(np.full(shape, lag * self.dt))))
        if projection.pool is not None:
            kernel, stride, padding = (np.array(pair) for pair in projection.pool.geometry)
            chain.append(("_pool", self.nir.SumPool2d(kernel, stride, padding)))
            shape = projection.pool.output_shape(shape)
        bias = self.drives.pop(target.name, None)
        if isinstance(synapse, Sparse) and _is_diagonal(synapse) and target.shape == shape and bias is None:
            scale = np.zeros(neurons(shape))
            scale[synapse.indices] = synapse.weight
            chain.append(("", self.nir.Scale(scale.reshape(shape), metadata=sparse_mark(synapse))))
        elif isinstance(synapse, Conv2d):
            chain.append(("", self._convolution(synapse, shape, bias)))
        else:
            if len(shape) > 1:
                chain.append(("_flatten", self.nir.Flatten({"input": np.array(shape)}, 0, -1)))
            chain.append(("", self._matrix(synapse, target, bias, where)))
        self._connect(name, source.name, chain, target.name)

    def _convolution(self, synapse: Conv2d, shape: Shape, bias: Any) -> Any:
        (stride, padding, dilation), none = synapse.geometry, np.zeros(synapse.weight.shape[0])
        metadata = {} if bias is None else {PREFIX + "bias": "of the neurons"}
        return self.nir.Conv2d(
            shape[1:], np.array(synapse.weight), stride, padding, dilation, synapse.groups,
            none if bias is None else bias, metadata=metadata,
        )  # fmt: skip

    def _matrix(self, synapse: Dense | Sparse, target: Population, bias: Any, where: str) -> Any:
        if len(target.shape) > 1:
            raise ExportError(where, f"is a matrix into pictures {target.shape}; NIR cannot make pictures of a vector")
        metadata: dict[str, Any] = {}
        if isinstance(synapse, Sparse):
            rows = synapse.indptr.size - 1
            if rows * synapse.sources > MAX_MATRIX:
                raise ExportError(
                    where,
                    f"is a compressed matrix of {rows} x {synapse.sources}; NIR has full ones, up to {MAX_MATRIX}",
                )
            metadata = sparse_mark(synapse)
            weight = synapse.to_dense()
        else:
            weight = np.array(synapse.weight)
        if bias is None:
            return self.nir.Linear(weight, metadata=metadata)
        return self.nir.Affine(weight, bias, metadata={**metadata, PREFIX + "bias": "of the neurons"})

    def _connect(self, name: str, source: str, chain: list[tuple[str, Any]], target: str) -> None:
        before = source
        for suffix, node in chain:
            free = self._free(name + suffix)
            self.nodes[free] = node
            self.edges.append((before, free))
            before = free
        self.edges.append((before, target))

    def _free(self, name: str) -> str:
        """A name that no node and no population has."""
        taken, free, number = {*self.nodes, *(p.name for p in self.network.populations)}, name, 1
        while free in taken:
            number += 1
            free = f"{name}_{number}"
        return free


def _is_diagonal(synapse: Sparse) -> bool:
    """Whether each source reaches at most the target of its own address."""
    rows = np.repeat(np.arange(synapse.indptr.size - 1), np.diff(synapse.indptr))
    return synapse.sources == synapse.indptr.size - 1 and np.array_equal(rows, synapse.indices)
