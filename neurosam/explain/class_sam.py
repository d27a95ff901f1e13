"""Class-conditional SAM: where a layer's sustained activity speaks for a class.

SAM adds up the scores N of the neurons that spike, whatever the class (Eq. 14 of the paper). Here each score is
weighted with what a spike of its neuron k contributes to the readout neuron c,

    M^c[t, b, y, x] = sum over channels of  r_ck N_k[t] S_k[t]                                                     (1)

    direct       r_ck = w_ck: the weight from neuron k, through its pool, to readout neuron c                      (2)
    layers       r_p  = sum over projections p->q of  transpose(W_pq) (g_q / theta_q * r_q),   r_readout = 1       (3)
    between
    contrast     r_ck <- r_ck - 1/K sum over c' of r_c'k                                                           (4)

where N S is the score that a spike emits (network/trace.py), g_q the mean over steps of a table of gains and theta_q
the threshold: between k and the readout, a population is taken to answer in proportion, with one spike for each theta
of input. (2) is exact: in the mode "inclusive" with a trace that forgets at once, N S = S, and the maps of a run add up
to the readout's membrane less its bias. (3) is an approximation, which has no part in the network's run.

The weights r do not depend on the input. A spike that carries its score (a graded spike) over a projection with the
weights r is all that (1) needs, forward and as the network runs: a chip holds it as one more population, of one map per
class. In a fixed-point network everything is an integer: of (2), r is the mantissas ``w * 2^(e - min e)`` of the
projections (times K minus their sum over classes for the contrast); of (3), r is rounded to `bits` bits in one scale
for all classes. The trace is quantised so that ``largest score * max over c, y, x of sum over channels |r_ck|`` stays
below 2^23.

Source: Eq. 1-4 are neurosam's own, made of Kim & Panda 2021 (arXiv 2103.14441), Eq. 12-14, and the class weights of
Zhou et al. 2016 (CAM, CVPR), Eq. 1-2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import integer
from neurosam.backends.registry import run
from neurosam.errors import ArgumentError, NetworkError, NeurosamError
from neurosam.explain.sam import most_spikes, read_inputs, scores_by_step
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.synapse import Conv2d, Shape, Sparse, SumPool2d, as_chw
from neurosam.network.trace import FixedSamTrace, SamTrace
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Spikes

__all__ = ["ClassSAM", "Contributions", "class_maps", "contributions"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Contributions:
    """What a spike of each neuron of a layer contributes to each class.

    Attributes
    ----------
    weight : (K, C, H, W) array
        r: float64, or int64 of a fixed-point network.
    scale : float
        What integer weights are divided by: 1 for mantissas and for floats, K for their contrast, else that of their
        rounding.
    exact : bool
        Whether the layer reaches the readout directly (Eq. 2).
    """

    weight: Array
    scale: float
    exact: bool

    @property
    def largest_sum(self) -> int:
        """The largest sum over channels of ``|r|``, rounded up."""
        return max(1, int(np.ceil(np.abs(self.weight).sum(axis=1).max())))


def contributions(network: Network, layer: str, *, contrast: bool = False, bits: int = 8) -> Contributions:
    """What a spike of each neuron contributes to each neuron of the (first) output, Eq. 2-4.

    Parameters
    ----------
    network : Network
    layer : str
        A population of spiking neurons that reaches the output without a cycle or a max pool on the way.
    contrast : bool
        Whether to subtract the mean over classes (Eq. 4).
    bits : int
        Bits of the rounded weights of a fixed-point network that are not mantissas, 2..16.

    Raises
    ------
    NetworkError
        If the layer does not spike or does not reach the output in this way.

    Examples
    --------
    >>> network = ns.Network(
    ...     [
    ...         ns.Population("in", (3,)),
    ...         ns.Population("a", (2,), ns.LIF(0.9, 1.0)),
    ...         ns.Population("out", (2,), ns.Readout()),
    ...     ],
    ...     [
    ...         ns.Projection("in", "a", ns.Dense(np.ones((2, 3)))),
    ...         ns.Projection("a", "out", ns.Dense([[1, 2], [0, 4.0]])),
    ...     ],
    ... )
    >>> from neurosam.explain.class_sam import contributions
    >>> contributions(network, "a", contrast=True).weight.reshape(2, 2).tolist()
    [[0.5, -1.0], [-0.5, 1.0]]
    """
    integer("contributions: bits", bits, 2, 16, ArgumentError)
    if not isinstance(network[layer].neuron, (LIF, FixedLIF)):
        raise NetworkError(f"contributions: layer {layer!r}", "does not spike; a map requires spiking neurons")
    reached = _from_output(network, layer)
    exact = all(p.target == network.output for p in network.projections if p.source == layer and p.target in reached)
    classes = len(reached[network.output])
    if exact and network.fixed:
        lowest = min(p.exponent for p in network.incoming(network.output))
        seeds = classes * np.eye(classes) - 1 if contrast else np.eye(classes)
        weight = _through(network, layer, {network.output: seeds}) * 2.0**-lowest
        return Contributions(np.rint(weight).astype(np.int64), float(classes if contrast else 1), True)
    weight = reached[layer]
    if contrast:
        weight = weight - weight.mean(axis=0, keepdims=True)
    if not network.fixed:
        return Contributions(weight, 1.0, exact)
    scale = (2 ** (bits - 1) - 1) / (float(np.abs(weight).max()) or 1.0)
    return Contributions(np.rint(weight * scale).astype(np.int64), scale, exact)


def class_maps(spikes: npt.ArrayLike | Spikes, trace: SamTrace | FixedSamTrace, weight: npt.ArrayLike) -> Array:
    """Class-conditional maps of any spike train, Eq. 1.

    Parameters
    ----------
    spikes : Spikes, or (T, B, C, H, W) or (T, B, N) array
        See :func:`neurosam.from_spikes`; ``recording.spikes[layer]`` of a run.
    trace : SamTrace or FixedSamTrace
    weight : (B, C, H, W) array
        r of the class of each sample (``contributions(...).weight[target]``); integers with a fixed-point trace.

    Returns
    -------
    (T, B, H, W) array
        float64, or int32 for a fixed-point trace.

    Raises
    ------
    NeurosamError
        If the weights do not fit the spikes, or the integer maps could exceed 24 bits.

    Examples
    --------
    >>> from neurosam.explain.class_sam import class_maps
    >>> spikes = np.array([[1, 1], [1, 0], [1, 1]]).reshape(3, 1, 2, 1, 1)  # two channels of one pixel
    >>> class_maps(spikes, ns.SamTrace(gamma=0.0), np.array([1.0, -4.0]).reshape(1, 2, 1, 1)).ravel().tolist()
    [0.0, 1.0, -2.0]
    """
    fixed = isinstance(trace, FixedSamTrace)
    r = np.asarray(weight)
    if r.dtype.kind not in ("iu" if fixed else "iuf"):
        raise NeurosamError("class_maps: weight", f"got {r.dtype}; integers are required with a fixed-point trace")
    r = r.astype(np.int64 if fixed else np.float64)
    maps: list[Array] = []
    for scores in scores_by_step(spikes, trace):
        if not maps:
            if r.shape != scores.shape:
                raise NeurosamError("class_maps: weight", f"got shape {r.shape}; the spikes have {scores.shape}")
            if isinstance(trace, FixedSamTrace):
                bound = max(1, int(np.abs(r).sum(axis=1).max(initial=0)))
                steps = spikes.planes.shape[0] if isinstance(spikes, Spikes) else len(np.asarray(spikes))
                trace.check("class_maps", bound, steps, most_spikes(spikes))
        maps.append((r * scores).sum(axis=1))
    return np.stack(maps).astype(np.int32 if fixed else np.float64)


class ClassSAM:
    """Class-conditional Spike Activation Maps of a layer of a network, on any back end.

    Parameters
    ----------
    network : Network
    layer : str
        See :func:`contributions`.
    gamma : float
        Decay of the trace per step, at least 0.
    mode : {"strict", "inclusive", "official"}
    contrast : bool
        Whether a class is set against the mean of all (Eq. 4).
    bits : int
        See :func:`contributions`.
    backend : str
        Back end to run on.
    **options
        Further arguments of :func:`neurosam.run`.

    Examples
    --------
    >>> from neurosam.explain.class_sam import ClassSAM
    >>> network = ns.Network(
    ...     [
    ...         ns.Population("in", (1, 8, 8)),
    ...         ns.Population("conv1", (2, 6, 6), ns.LIF(leak=0.9, threshold=0.5)),
    ...         ns.Population("out", (3,), ns.Readout()),
    ...     ],
    ...     [
    ...         ns.Projection("in", "conv1", ns.Conv2d(np.full((2, 1, 3, 3), 0.25))),
    ...         ns.Projection("conv1", "out", ns.Dense(np.linspace(-1, 1, 216).reshape(3, 72))),
    ...     ],
    ... )
    >>> sam = ClassSAM(network, "conv1", backend="reference")
    >>> maps = sam.attribute(np.full((2, 1, 8, 8), 0.5), target=[2, 0], steps=10)
    >>> maps.shape, bool((maps[:, 0] >= 0).all()), bool((maps[:, 1] <= 0).all())
    ((10, 2, 6, 6), True, True)
    """

    def __init__(
        self,
        network: Network,
        layer: str,
        *,
        gamma: float = 0.5,
        mode: str = "strict",
        contrast: bool = False,
        bits: int = 8,
        backend: str = "event",
        **options: Any,
    ) -> None:
        self.network, self.layer, self.backend, self.options = network, layer, backend, options
        self.contributions = contributions(network, layer, contrast=contrast, bits=bits)
        self.float_trace = SamTrace(gamma, mode)

    def attribute(
        self,
        inputs: npt.ArrayLike | Events | Mapping[str, Events],
        target: npt.ArrayLike | None = None,
        steps: int | None = None,
        coding: str = "poisson",
        seed: int = 0,
    ) -> Array:
        """Run the network and return the raw maps.

        Parameters
        ----------
        inputs, steps, coding, seed
            See :meth:`neurosam.SAM.attribute`.
        target : int, (B,) ints, or None
            Classes; the predicted ones if None.

        Returns
        -------
        (T, B, H, W) array
            float64, or int32 for a fixed-point network.
        """
        events = read_inputs(self.network, inputs, steps, coding, seed)
        recording = run(self.network, events, self.backend, Record(spikes=(self.layer,)), **self.options)
        classes = _targets(target, recording.predictions, len(self.contributions.weight))
        return class_maps(recording.spikes[self.layer], self.trace(events.steps), self.contributions.weight[classes])

    def trace(self, steps: int | None = None) -> SamTrace | FixedSamTrace:
        """The trace, quantised for a fixed-point network; `steps` matters only for a trace that hardly fades."""
        if not self.network.fixed:
            return self.float_trace
        bound, spikes = self.contributions.largest_sum, self.network[self.layer].largest_event
        try:
            return self.float_trace.quantise(bound, spikes=spikes)
        except NetworkError:
            if steps is None:
                raise
            return self.float_trace.quantise(bound, steps, spikes)

    def scale(self, steps: int | None = None) -> float:
        """Divisor that brings raw maps of a fixed-point network to the unit of trace times weight."""
        return self.trace(steps).scale * self.contributions.scale


def _targets(target: npt.ArrayLike | None, predicted: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    if target is None:
        return predicted
    chosen = np.asarray(target)
    if chosen.dtype.kind not in "iu" or chosen.shape not in ((), predicted.shape):
        raise NeurosamError(
            "target", f"got {chosen.dtype} {chosen.shape}; one class, or one each of {len(predicted)} samples, as ints"
        )
    if chosen.min() < 0 or chosen.max() >= classes:
        raise NeurosamError(
            "target", f"got {chosen.min()}..{chosen.max()}; the {classes} outputs are numbered 0..{classes - 1}"
        )
    return np.broadcast_to(chosen.astype(np.int64), predicted.shape)


def _from_output(network: Network, layer: str) -> dict[str, Array]:
    """R of every population between the layer and the output, Eq. 3, from the output down to the layer."""
    order = [name for group in network.groups for name in group]
    cyclic = {name for group in network.groups if len(group) > 1 for name in group}
    cyclic |= {p.source for p in network.projections if p.source == p.target}
    above = _reachable(network.projections, layer)
    if network.output not in above or layer == network.output:
        raise NetworkError(f"contributions: layer {layer!r}", f"does not reach the output {network.output!r}")
    shape = as_chw(network.readout.shape)
    count = int(np.prod(shape))
    reached: dict[str, Array] = {network.output: np.eye(count).reshape(count, *shape)}
    for name in reversed(order[order.index(layer) : order.index(network.output)]):
        if name not in above and name != layer:
            continue
        found = _through(network, name, reached)
        if found is not None:
            if name in cyclic:
                raise NetworkError(
                    f"contributions: layer {layer!r}", f"reaches the output through the cycle at {name!r}"
                )
            reached[name] = found
    return reached


def _reachable(projections: tuple[Projection, ...] | Any, source: str) -> set[str]:
    """The populations that spikes of `source` reach."""
    found: set[str] = set()
    new = {source}
    while new:
        new = {p.target for p in projections if p.source in new} - found
        found |= new
    return found


def _through(network: Network, source: str, reached: Mapping[str, Array]) -> Any:
    """R of a population from that of the ones it projects to; None if it projects to none of them."""
    total = None
    for projection in network.projections:
        if projection.source == source and projection.target in reached:
            target = network[projection.target]
            r = np.asarray(reached[projection.target], dtype=np.float64)
            r = r.reshape(len(r), *as_chw(target.shape))
            if projection.target != network.output:
                r = r * _answer(target)
            if target.pool is not None:
                raise NetworkError(f"contributions: population {target.name!r}", "takes the largest of a window's sums")
            part = _transposed(projection, network[source].shape, r) * 2.0**projection.exponent
            total = part if total is None else total + part
    return total


def _answer(population: Population) -> Array:
    """G / theta of a population, broadcast to ``(C, H, W)``."""
    neuron = population.neuron
    if not isinstance(neuron, (LIF, FixedLIF)):
        raise NetworkError(f"contributions: population {population.name!r}", "is between the layer and the output")
    channels, height, width = as_chw(population.shape)
    theta = np.asarray(neuron.threshold, dtype=np.float64)
    theta = theta.reshape(theta.shape + (1,) * (3 - theta.ndim)) if theta.ndim == 1 else theta
    answer = np.broadcast_to(1.0 / theta, (channels, height, width))
    if neuron.gain is not None:
        shift = neuron.gain_shift if isinstance(neuron, FixedLIF) else 0
        answer = answer * (neuron.gain.mean(axis=0) / 2.0**shift)[:, None, None]
    return np.asarray(answer)


def _transposed(projection: Projection, source: Shape, r: Array) -> Array:
    """``transpose(W) r`` of a projection, ``(n, C, H, W)`` of its source; `r` is ``(n, C', H', W')`` of its target."""
    synapse, pool = projection.synapse, projection.pool
    shape = as_chw(source if pool is None else pool.output_shape(source))
    if isinstance(synapse, Conv2d):
        stride, padding, dilation = synapse.geometry
        weight = synapse.weight.astype(np.float64)
        pulled = _convolved_back(r, weight, stride, padding, dilation, synapse.groups, shape)
    else:
        matrix = synapse.to_dense() if isinstance(synapse, Sparse) else synapse.weight
        pulled = (r.reshape(len(r), -1) @ matrix.astype(np.float64)).reshape(len(r), *shape)
    return pulled if pool is None else _unpooled(pulled, pool, as_chw(source))


def _unpooled(r: Array, pool: SumPool2d, shape: tuple[int, int, int]) -> Array:
    kernel, stride, padding = pool.geometry
    ones = np.ones((shape[0], 1, *kernel))
    return _convolved_back(r, ones, stride, padding, (1, 1), shape[0], shape)


def _convolved_back(
    r: Array,
    weight: Array,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    shape: tuple[int, int, int],
) -> Array:
    """Transpose of a convolution: target (o, yo, xo) gives ``weight[o, c, ky, kx] r`` back to its source pixels."""
    (channels, height, width), (rows, columns) = shape, r.shape[2:]
    out, per_group, kh, kw = weight.shape
    grouped = r.reshape(len(r), groups, out // groups, rows, columns)
    taps = weight.reshape(groups, out // groups, per_group, kh, kw)
    spread = [stride[i] * (side - 1) + 1 for i, side in enumerate((rows, columns))]
    size = [max(spread[i] + dilation[i] * (k - 1), side + padding[i]) for i, (k, side) in
            enumerate(((kh, height), (kw, width)))]  # fmt: skip
    total = np.zeros((len(r), channels, *size))
    for y in range(kh):
        for x in range(kw):
            part = np.einsum("ngohw,goc->ngchw", grouped, taps[..., y, x]).reshape(len(r), channels, rows, columns)
            top, left = y * dilation[0], x * dilation[1]
            total[:, :, top : top + spread[0] : stride[0], left : left + spread[1] : stride[1]] += part
    return total[:, :, padding[0] : padding[0] + height, padding[1] : padding[1] + width]
