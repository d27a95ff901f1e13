"""Conversion between neurosam's benchmark cases and the case files of the peers; needs neurosam."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

import neurosam as ns
from casefile import Layer, PlainCase
from neurosam_bench.cases import Case


def plain(case: Case) -> PlainCase:
    """Convert a case to the form that peers read.

    Raises
    ------
    ValueError
        If it is not a single sample of spikes through a chain of layers or through one sparse layer.
    """
    network, inputs = case.network, case.events
    sources = {p.target: network[p.source] for p in network.projections if p.source != p.target}
    layers = tuple(_layer(network, target, source.name) for target, source in sources.items())
    decay = int(getattr(network[layers[-1].name].neuron, "membrane_decay", 0))
    delay = network.projections[0].delay
    out = PlainCase(case.name, inputs.shape, inputs.steps, decay, delay, inputs.time, inputs.neuron, layers)
    if network_of(out) != network or inputs.samples != 1 or inputs.value is not None:
        raise ValueError(f"case {case.name!r}: not one sample of spikes through a chain of layers, or one sparse layer")
    return out


def network_of(case: PlainCase, fixed: bool = True, reset: str = "subtract") -> ns.Network:
    """Build the network of a plain case in fixed point, or with the same numbers as floats, or with another reset."""
    populations, projections = [ns.Population("in", case.shape)], []
    for layer in case.layers:
        source = populations[-1]
        if layer.kind == "pool":
            population, projection = ns.max_pool(source, layer.name, 2, fixed=fixed, delay=case.delay)
        else:
            rule = (
                ns.FixedLIF(case.decay, layer.threshold, reset)
                if fixed
                else ns.LIF(case.keep, float(layer.threshold), reset)
            )
            population = ns.Population(layer.name, layer.shape, rule)
            projection = _inward(source.name, layer, case.delay)
        populations.append(population)
        projections.append(projection)
        if layer.kind == "sparse":
            synapse = ns.Sparse(layer.indptr, layer.indices, layer.weight, layer.size)
            projections.append(ns.Projection(layer.name, layer.name, synapse, exponent=_exponent(layer.scale)))
    if not fixed:
        projections = [_as_float(projection) for projection in projections]
    return ns.Network(tuple(populations), tuple(projections))


def events_of(case: PlainCase) -> ns.Events:
    """Build the input of a plain case."""
    return ns.Events(case.time, np.zeros_like(case.time), case.neuron, case.steps, 1, case.shape)


def on_event(
    case: PlainCase, threads: int, fixed: bool = True, reset: str = "subtract"
) -> Callable[[], dict[str, int]]:
    """Return a function that runs a plain case on neurosam's event back end and returns the spikes of every layer."""
    network, inputs = network_of(case, fixed, reset), events_of(case)

    def run() -> dict[str, int]:
        counts = ns.run(network, inputs, threads=threads).counts
        return {layer.name: int(counts[layer.name].sum()) for layer in case.layers}

    return run


def _layer(network: ns.Network, name: str, source: str) -> Layer:
    """Convert a population and its incoming synapses."""
    inward = {p.source: p for p in network.projections if p.target == name}
    projection, shape, neuron = inward[source], network[name].shape, network[name].neuron
    if name.startswith("pool"):
        return Layer(name, "pool", shape)
    threshold, synapse, scale = int(getattr(neuron, "threshold", 0)), projection.synapse, 1 << projection.exponent
    if isinstance(synapse, ns.Conv2d):
        (stride, _), (padding, _), _ = synapse.geometry
        return Layer(name, "conv", shape, threshold, synapse.weight, scale, stride, padding)
    if isinstance(synapse, ns.Dense):
        return Layer(name, "dense", shape, threshold, synapse.weight, scale)
    recurrent, drive = inward[name], int(synapse.weight[0]) * scale
    recurrent_synapse = recurrent.synapse
    if not isinstance(recurrent_synapse, ns.Sparse):
        raise ValueError(f"{recurrent.label}: only a sparse population may be recurrent")
    scale, indices = 1 << recurrent.exponent, recurrent_synapse.indices
    weight, indptr = recurrent_synapse.weight, recurrent_synapse.indptr
    return Layer(name, "sparse", shape, threshold, weight, scale, 1, 0, indices, indptr, drive)


def _inward(source: str, layer: Layer, delay: int) -> ns.Projection:
    if layer.kind == "conv":
        synapse: ns.Conv2d | ns.Dense | ns.Sparse = ns.Conv2d(layer.weight, layer.stride, layer.padding)
    elif layer.kind == "dense":
        synapse = ns.Dense(layer.weight)
    else:
        exponent = _exponent(layer.drive & -layer.drive)  # the smallest mantissa
        synapse = ns.Sparse.one_to_one(layer.shape, layer.drive >> exponent)
        return ns.Projection(source, layer.name, synapse, delay, exponent=exponent)
    return ns.Projection(source, layer.name, synapse, delay, exponent=_exponent(layer.scale))


def _as_float(projection: ns.Projection) -> ns.Projection:
    synapse = projection.synapse
    if projection.target.startswith("pool"):
        return projection
    weight = synapse.weight.astype(np.float64) * 2.0**projection.exponent
    return replace(projection, synapse=replace(synapse, weight=weight), exponent=0)


def _exponent(scale: int) -> int:
    return int(scale).bit_length() - 1
