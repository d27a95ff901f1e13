"""Export for lava-dl's netx (0.6): the same network as the HDF5 that ``netx.hdf5.Network(net_config=...)`` reads.

netx does not report what it cannot do: it would give a soft-reset neuron a hard reset, drop the delay of a convolution,
and turn a matrix of -128 into zeros. So only what it runs exactly is written, and everything else is refused by name:
soft resets and other options of neurons, gain and offset tables, parameters per channel, shortcuts, cycles over several
layers, lags, pools that no convolution replaces (fit.py), matrices that its scaling changes, exponents that cannot be
included in the weights, sums beyond the 24 bits of a Conv, biases beyond 13 bits. A network with biases is exact in
netx only if every presentation restarts it at the right step:
``Network(net_config=..., reset_interval=T, reset_offset=1)``; `restarts` states that it will be read this way. Graded
input becomes the bias of an input layer with neurons, set once for a presentation: the same in all of its steps. The
format has no spike activation maps. Names of populations are written beside, where netx does not look.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import identical
from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS
from neurosam.errors import ExportError
from neurosam.formats.netx.fit import without_pools
from neurosam.formats.netx.layout import UNREACHABLE, WEIGHT_HIGH, WEIGHT_LOW
from neurosam.formats.netx.matrix import read_by_netx
from neurosam.formats.netx.synapses import one_to_one
from neurosam.hdf5.writer import Writer, created
from neurosam.network.elements import MAX_NAME, Population, Projection
from neurosam.network.fixed_neuron import BIAS_HIGH, BIAS_LOW, FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Sparse, neurons

__all__ = ["check_netx", "save_netx"]

OPTIONS = ("membrane_decay", "current_decay", "threshold", "reset", "bias_mantissa", "bias_exponent")
CONV_SUM = 2**23
INT8 = 127


def save_netx(network: Network, path: str | Path, restarts: bool = False) -> None:
    """Write a fixed-point chain with hard resets for lava-dl's netx, atomically.

    Sum pools are taken into the weights behind them, which gives the same sums.

    Parameters
    ----------
    network : Network
        Chain of dense and convolutional layers, the dense ones perhaps with recurrent weights; the last may be a
        readout, which becomes a neuron that never fires. Graded input has to enter a layer one to one.
    path : str or Path
        An older file is replaced.
    restarts : bool
        Whether netx will be given ``reset_interval`` and ``reset_offset=1``; required for biases.

    Raises
    ------
    ExportError
        For what netx would run differently, with the name of the population or projection.
    FormatError
        If the file cannot be written.
    """
    network, first, layers = _content(network, restarts)
    with created(path) as root:
        group = root.group("layer")
        place = _write(group, 0, first)
        for projection, layer in layers:
            if layer["type"].startswith("dense") and _has_pixels(network, projection):
                place = _write(group, place, {"type": "flatten"})
            place = _write(group, place, {**layer, "name": projection.target})


def check_netx(network: Network, restarts: bool = False) -> None:
    """Refuse what :func:`save_netx` would refuse, without writing."""
    _content(network, restarts)


def _content(
    network: Network, restarts: bool
) -> tuple[Network, dict[str, Any], list[tuple[Projection, dict[str, Any]]]]:
    """The network without pools, its first layer in the file, and the others with their projections."""
    if network.precision is None:
        raise ExportError(
            "network", "is a float network; netx needs integers (neurosam export without --precision float)"
        )
    network = without_pools(network)
    chain = _chain(network)
    first = _input(network, chain)
    if "neuron" in first:
        chain = chain[1:]
    return network, first, [(projection, _layer(network, projection, restarts)) for projection in chain]


def _input(network: Network, chain: list[Projection]) -> dict[str, Any]:
    """The first layer of the file: the input, with the neurons that graded input enters."""
    shape = _whole(network.input.shape)
    if network.input.magnitude == 1:
        return {"type": "input", "shape": shape, "name": network.input.name}
    first, target = chain[0], network[chain[0].target]
    plain = one_to_one(network.input.shape)
    if not identical(replace(first, synapse=plain, delay=1), replace(first, delay=1)) or first.exponent:
        raise ExportError(
            f"population {network.input.name!r}",
            f"takes graded input up to {network.input.magnitude}; netx reads spikes, or the bias of neurons that it "
            "enters one to one with weight 1. Train with --coding poisson or latency",
        )  # fmt: skip
    if "bias" in _bias(target, True):
        raise ExportError(f"population {target.name!r}", "has a bias, and graded input that netx gives as its bias")
    return {"type": "input", "shape": shape, "neuron": _neuron(network, target), "name": target.name}


def _chain(network: Network) -> list[Projection]:
    """The projections from the input to the output, one after the other; without those from a layer to itself."""
    chain: list[Projection] = []
    end = network.input.name
    forward = [p for p in network.projections if p.source != p.target]
    while outgoing := [p for p in forward if p.source == end]:
        if len(outgoing) > 1 or len([p for p in forward if p.target == outgoing[0].target]) > 1:
            raise ExportError(f"projection {outgoing[-1].label}", "is a shortcut or a cycle; netx reads chains only")
        chain.append(outgoing[0])
        end = outgoing[0].target
        if len(chain) > len(forward):
            raise ExportError(f"projection {outgoing[0].label}", "lies on a cycle; netx reads chains only")
    if len(chain) != len(forward) or end != network.output:
        raise ExportError("network: output", f"is {network.output!r}; in netx it is the end of the chain, {end!r}")
    return chain


def _layer(network: Network, projection: Projection, restarts: bool) -> dict[str, Any]:
    """One layer of the file: its synapses and its neurons."""
    where = f"projection {projection.label}"
    if network.lag(projection) != 0:
        raise ExportError(
            where,
            f"has a lag of {network.lag(projection)}; netx drops delays. Leave onsets to the network; train with "
            "the order integrate_first",
        )
    target = network[projection.target]
    if target.pool is not None:
        raise ExportError(
            f"population {target.name!r}",
            "pools its sums, which netx does not implement; train with the pool behind the neurons, or with a stride",
        )
    return {
        **_recurrent(network, projection, _synapses(network, projection, where)),
        **_bias(target, restarts),
        "neuron": _neuron(network, target),
    }


def _recurrent(network: Network, projection: Projection, layer: dict[str, Any]) -> dict[str, Any]:
    """The layer with the weights from its neurons to themselves, if there are any."""
    loops = [p for p in network.incoming(projection.target) if p.source == p.target]
    if not loops:
        return layer
    loop = loops[0]
    where = f"projection {loop.label}"
    if layer["type"] != "dense" or len(loops) > 1 or isinstance(loop.synapse, Conv2d) or network.lag(loop) != 1:
        raise ExportError(
            where, "is recurrent; netx has one such matrix, in a dense layer and with a delay of 1. Use these"
        )
    return {**layer, "type": "dense_rec", "weight_rec": _matrix(where, loop, layer["weight"])}


def _matrix(where: str, projection: Projection, beside: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.int64]:
    """The weights of a dense layer, which netx scales together with those `beside` them."""
    synapse = projection.synapse
    weight = _scaled(where, synapse.to_dense() if isinstance(synapse, Sparse) else synapse.weight, projection.exponent)
    together = weight if beside is None else np.hstack((beside, weight))
    if not np.array_equal(read_by_netx(together), together):
        raise ExportError(
            where,
            "has weights that netx would change: it fails for a matrix of zeros, and drops the largest weight of a "
            "negative matrix if its magnitude is a power of two. Change that weight by 1",
        )
    return weight


def _synapses(network: Network, projection: Projection, where: str) -> dict[str, Any]:
    source, target, synapse = network[projection.source], network[projection.target], projection.synapse
    bound = network.accumulator_bound(target.name)
    if isinstance(synapse, Conv2d):
        stride, padding, dilation = synapse.geometry
        if not _has_pixels(network, projection):
            raise ExportError(
                where,
                "is a convolution after a matrix, whose output netx holds without rows and columns; make it a matrix",
            )
        if max(*stride, *padding, *dilation, *synapse.weight.shape[2:], synapse.groups) > INT8:
            raise ExportError(where, f"has a stride, padding, dilation, kernel or groups above {INT8}, Lava's 8 bits")
        if bound >= CONV_SUM:
            raise ExportError(where, f"can add up to {bound} per step; Lava's Conv wraps at 2^23. Use lower weights")
        return {
            "type": "conv", "shape": _whole(target.shape), "inChannels": source.shape[0],
            "outChannels": target.shape[0], "kernelSize": _whole(synapse.weight.shape[2:]), "stride": _whole(stride),
            "padding": _whole(padding), "dilation": _whole(dilation), "groups": synapse.groups,
            "weight": _scaled(where, synapse.weight, projection.exponent),
        }  # fmt: skip
    return {
        "type": "dense", "shape": _whole((neurons(target.shape),)), "inFeatures": neurons(source.shape),
        "outFeatures": neurons(target.shape), "weight": _matrix(where, projection),
    }  # fmt: skip


def _scaled(where: str, weight: npt.NDArray[Any], exponent: int) -> npt.NDArray[np.int64]:
    """Weights multiplied by 2^exponent."""
    wide = weight.astype(np.int64)
    out = wide << exponent if exponent >= 0 else wide >> -exponent
    if exponent < 0 and ((out << -exponent) != wide).any():
        raise ExportError(where, f"has the exponent {exponent}, which cannot be included in its weights; netx has none")
    if out.size and (out.min() < WEIGHT_LOW or out.max() > WEIGHT_HIGH):
        raise ExportError(
            where,
            f"has weights {out.min()}..{out.max()}, its exponent {exponent} included; "
            f"{WEIGHT_LOW}..{WEIGHT_HIGH} is allowed",
        )
    return out


def _neuron(network: Network, population: Population) -> dict[str, Any]:
    """The group ``neuron`` of a population."""
    neuron, precision = population.neuron, network.precision
    where = f"population {population.name!r}"
    if not isinstance(neuron, (FixedLIF, FixedReadout)) or precision is None:
        raise ExportError(where, f"has a {type(neuron).__name__}; netx has hard-reset LIF neurons")
    if isinstance(neuron, FixedLIF) and neuron.reset != "zero":
        kind = "a soft reset" if neuron.reset == "subtract" else f"the reset {neuron.reset!r}"
        raise ExportError(where, f"has {kind}; netx would reset it to zero. Train with hard resets "
                          "(neurosam train --reset zero)")  # fmt: skip
    if isinstance(neuron, FixedLIF) and neuron.gain is not None:
        raise ExportError(where, "has gain and offset tables; netx has none. Train without --bntt")
    _no_other_options(where, neuron)
    current, membrane = neuron.current_decay, neuron.membrane_decay
    values: dict[str, Any] = {
        "iDecay": DECAY_ONE if current is None else current + precision.current_decay_offset,
        "vDecay": 0 if membrane is None else membrane + precision.membrane_decay_offset,
        "vThMant": neuron.threshold if isinstance(neuron, FixedLIF) else UNREACHABLE,
    }
    for name, value in values.items():
        if np.unique(value).size > 1:
            raise ExportError(where, f"has a {name} for each channel; netx has one for all")
    plain = {name: int(np.ravel(value)[0]) for name, value in values.items()}
    return {"type": "CUBA", **plain, "refDelay": 1, "gradedSpike": False}


def _no_other_options(where: str, neuron: FixedLIF | FixedReadout) -> None:
    """Refuse options of a neuron that netx does not have."""
    same: Any = {name: getattr(neuron, name) for name in OPTIONS if hasattr(neuron, name)}
    plain = type(neuron)(**same)
    for item in fields(neuron):
        value = getattr(neuron, item.name)
        if not identical(value, getattr(plain, item.name)):
            shown = f"{value.min()}..{value.max()}" if isinstance(value, np.ndarray) else repr(value)
            raise ExportError(where, f"has {item.name} {shown}; netx's neurons have no such option")


def _bias(population: Population, restarts: bool) -> dict[str, Any]:
    """The dataset ``bias``, one value per channel in units of 2^6; nothing if all are 0."""
    neuron = population.neuron
    mantissa = np.asarray(getattr(neuron, "bias_mantissa", 0))
    if not mantissa.any():
        return {}
    where = f"population {population.name!r}"
    if not restarts:
        raise ExportError(
            where,
            "has a bias, which acts in netx before the input arrives. Use --restarts (restarts=True), and give netx "
            "reset_interval (the steps of a presentation) and reset_offset=1",
        )
    if mantissa.ndim > 1:
        raise ExportError(where, "has a bias for each neuron; netx has one for each channel")
    value = mantissa << getattr(neuron, "bias_exponent", FRACTION_BITS)
    if (value % (1 << FRACTION_BITS)).any():
        raise ExportError(where, "has a bias that is no multiple of 2^6; netx has no finer ones. Export with "
                          "--for netx, which rounds it before accuracy is measured")  # fmt: skip
    units = value >> FRACTION_BITS
    if units.min() < BIAS_LOW or units.max() > BIAS_HIGH:
        raise ExportError(
            where,
            f"has biases {units.min()}..{units.max()} in units of its weights; netx holds {BIAS_LOW}..{BIAS_HIGH}. "
            "Quantise with fewer bits, whose unit is larger",
        )
    return {"bias": np.broadcast_to(units, (population.shape[0],)).astype(np.int64)}


def _has_pixels(network: Network, projection: Projection) -> bool:
    """Whether netx holds the source as (C, H, W), which it does for the input and for the output of a convolution."""
    source = network[projection.source]
    before = network.incoming(source.name)
    return len(source.shape) == 3 and (not before or isinstance(before[0].synapse, Conv2d))


def _whole(values: tuple[int, ...]) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _write(group: Writer, place: int, content: dict[str, Any]) -> int:
    """Write layer number `place`; returns the next number."""
    _fill(group.group(str(place)), content)
    return place + 1


def _fill(group: Writer, content: dict[str, Any]) -> None:
    for name, value in content.items():
        if isinstance(value, dict):
            _fill(group.group(name), value)
        elif isinstance(value, str):
            group.array(name, np.array([value.encode("ascii")]), "S10" if name == "type" else f"S{MAX_NAME}")
        elif isinstance(value, bool):
            group.array(name, np.array([value]), "?")
        else:
            group.array(name, value, "<i8")
