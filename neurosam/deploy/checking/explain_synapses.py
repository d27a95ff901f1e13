"""Whether a network's synapses, given the spikes that the module's layers sent, deliver what the module's did.

If not, the reason is searched for in the order

    a constant in every step, one factor, a factor per channel       fitted to what arrives
    another delay; a connection too many; weights transposed, flipped, flattened or ordered otherwise
                                                                      tried, one after the other

Both sides count after gain and offset, with a bias that acts like them (layer_run.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.deploy.checking.explain_difference import ROUNDING, SINGLE_ROUNDING, Explanation, first_of, place_of
from neurosam.deploy.checking.layer_input import arrivals, in_own_time
from neurosam.deploy.checking.layer_run import LayerRun, input_of
from neurosam.errors import NetworkError
from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import Conv2d, Dense, Shape, as_chw

__all__ = ["explain_synapses"]

Reals = npt.NDArray[np.float64]

FURTHEST = 3
"""Steps by which delays are varied."""
FEWEST = 4
"""Steps times samples from which on a constant can be told from what varies."""


def explain_synapses(
    network: Network, name: str, run: LayerRun, sent: Mapping[str, npt.NDArray[np.generic]], steps: int
) -> Explanation | None:
    """Why other values arrive at a population than at the module's layer; None if they do not, beyond rounding.

    Parameters
    ----------
    network : Network
        In float.
    name : str
    run : LayerRun
        What the module's layer did.
    sent : mapping of str to (T, B, ...) array
        What the inputs, and the module's other layers, sent.
    steps : int
        Steps that are compared; the last ones of a run may depend on spikes that it did not reach.
    """
    arriving = _Arriving(network, name, run, sent, steps)
    own = in_own_time(network, name)
    ours = arriving.through([own])[0]
    theirs = arriving.received(ours)
    scale = max(float(np.abs(side).max(initial=0.0)) for side in (theirs, ours))
    off = np.abs(theirs - ours)
    wrong = off > ROUNDING * scale
    if not wrong.any():
        return None
    if off.max() <= SINGLE_ROUNDING * scale:
        text = f"what arrives differs by up to {off.max():.1g}, the rounding of single precision; the module computes "
        cause = "rounding", text + "in float32 somewhere (a tensor that .double() does not reach)"
    else:
        cause = _constant_or_factor(network, name, theirs, ours, run.shape, scale) or _variant(
            arriving, own, theirs, wrong
        )
    first = first_of(wrong)
    count = int(wrong.any(axis=0).sum())
    return Explanation(name, *cause, place_of(first, run.shape), float(theirs[first]), float(ours[first]), count)


class _Arriving(NamedTuple):
    """What arrives at one population."""

    network: Network
    name: str
    run: LayerRun
    sent: Mapping[str, npt.NDArray[np.generic]]
    steps: int

    def through(self, alternatives: Sequence[Sequence[Projection]], sample: int | None = None) -> list[Reals]:
        """What arrives through each set of projections, ``[steps, B, N]``; of one sample if it is given."""
        chosen = slice(None) if sample is None else slice(sample, sample + 1)
        sent = {name: array[:, chosen] for name, array in self.sent.items()}
        neuron = self.network[self.name].neuron
        if not isinstance(neuron, (LIF, Readout)):
            raise NetworkError(f"population {self.name!r}", "is no population of float neurons")
        if neuron.current_leak is not None and self.run.neuron.current_leak is not None:
            neuron = replace(neuron, current_leak=self.run.neuron.current_leak)  # a bias counts as in the module
        shape = self.network[self.name].shape
        seen = arrivals(self.network, self.name, sent, alternatives)
        inputs = [input_of(neuron, shape, x, normalised=True) for x in seen]
        return [x.sum(axis=0, keepdims=True) if self.run.summed else x[: self.steps] for x in inputs]

    def received(self, ours: Reals) -> Reals:
        """What the module's layer received; of sums over steps, which may be means, the factor is not known."""
        theirs = self.run.input[: self.steps]
        if not self.run.summed:
            return theirs
        length = next(iter(self.sent.values())).shape[0]
        power = float(np.vdot(theirs, theirs))
        fitted = max(float(np.vdot(theirs, ours)), 0.0) / power if power else 1.0
        sides = [theirs * factor for factor in (1.0, float(length), fitted)]
        off = [float(np.abs(side - ours).max(initial=0.0)) for side in sides]
        if off[2] <= ROUNDING * float(np.abs(ours).max(initial=0.0)):
            return sides[2]
        return sides[int(np.argmin(off[:2]))]


def _constant_or_factor(
    network: Network, name: str, theirs: Reals, ours: Reals, shape: Shape, scale: float
) -> tuple[str, str] | None:
    """Fit ``theirs = factor * ours + constant``: one factor, then one per channel; constants per neuron."""
    if theirs.shape[0] * theirs.shape[1] < FEWEST:
        return None
    moving_t, moving_o = theirs - theirs.mean(axis=(0, 1)), ours - ours.mean(axis=(0, 1))
    channels = as_chw(shape)[0]

    def fits(factor: Any) -> bool:
        return float(np.abs(moving_t - factor * moving_o).max(initial=0.0)) <= 10 * ROUNDING * scale

    by_input = all(network[p.source].neuron is None for p in network.incoming(name))
    if fits(1.0):
        constant = (theirs - ours).mean(axis=(0, 1)).reshape(channels, -1)
        return "bias", (
            f"the module's neurons receive {_signed(constant)} more in every step{_by_channel(constant)}: a bias that "
            f"the network does not have (or has as well), or one that acts elsewhere"
        )
    factor = _ratio(moving_t, moving_o, None)
    if factor is not None and fits(factor):
        what = "input: give the events, or export, the same unit (input_unit)" if by_input else "weights"
        return "scale", f"what arrives in the module is {factor:.6g} times as large; another unit of the {what}"
    by_channel = _ratio(moving_t, moving_o, channels)
    if by_channel is not None and fits(by_channel):
        low, high = by_channel[by_channel != 0].min(initial=np.inf), by_channel.max()
        return "scale", (
            f"what arrives in the module is scaled per channel, by {low:.4g} to {high:.4g}: a normalisation that is "
            "not part of the network's weights"
        )
    return None


def _ratio(theirs: Reals, ours: Reals, channels: int | None) -> Any:
    """Least-squares factor from ours to theirs: one, or one per channel given as ``[N]``; None without a signal."""
    if channels is None:
        power = float(np.vdot(ours, ours))
        return float(np.vdot(theirs, ours)) / power if power else None
    pixels = theirs.shape[2] // channels
    x, y = (side.reshape(-1, channels, pixels) for side in (theirs, ours))
    power = np.einsum("tcp,tcp->c", y, y)
    if channels < 2 or pixels < 2 or not power.any():
        return None
    factors = np.where(power > 0, np.einsum("tcp,tcp->c", x, y) / np.where(power > 0, power, 1), 0.0)
    return np.repeat(factors, pixels)


def _signed(constant: Reals) -> str:
    low, high = constant.min(), constant.max()
    return f"{low:+.6g}" if high - low <= 1e-9 * max(abs(low), abs(high)) else f"{low:+.4g} to {high:+.4g}"


def _by_channel(constant: Reals) -> str:
    """Which channels a constant concerns, if not all."""
    concerned = np.flatnonzero(np.abs(constant).max(axis=1) > 1e-9 * np.abs(constant).max())
    return "" if len(concerned) == len(constant) else f" (channels {', '.join(map(str, concerned[:8]))})"


def _variant(
    arriving: _Arriving, own: list[Projection], theirs: Reals, wrong: npt.NDArray[np.bool_]
) -> tuple[str, str]:
    """Replace one projection after the other until the module's values arrive, in the sample that differs most."""
    sample = int(np.argmax(wrong.sum(axis=(0, 2))))
    wanted = theirs[:, sample : sample + 1]
    variants = list(_variants(arriving.network, own))
    through = arriving.through([variant.projections for variant in variants], sample)
    for variant, seen in zip(variants, through, strict=True):
        scale = max(float(np.abs(side).max(initial=0.0)) for side in (wanted, seen))
        if (np.abs(wanted - seen) <= ROUNDING * scale).all():
            return variant.kind, variant.text
    if len(own) > 1 and (factors := _factors(arriving, own, theirs)):
        return factors
    share = float(wrong.mean())
    return "weights", (
        f"from the same spikes, other values arrive in {share:.1%} of all cases, and no constant, factor, delay or "
        "order of the weights explains it: compare the layer's weights and geometry (stride, padding, groups)"
    )


def _factors(arriving: _Arriving, own: list[Projection], theirs: Reals) -> tuple[str, str] | None:
    """One factor for each of several projections."""
    parts = arriving.through([[projection] for projection in own])
    nothing = arriving.through([[]])[0]
    moving = [(part - nothing - (part - nothing).mean(axis=(0, 1))).ravel() for part in parts]
    wanted = (theirs - theirs.mean(axis=(0, 1))).ravel()
    factors = np.linalg.lstsq(np.stack(moving, axis=1), wanted, rcond=None)[0]
    scale = float(np.abs(theirs).max(initial=0.0))
    if float(np.abs(factors @ np.stack(moving) - wanted).max(initial=0.0)) > 10 * ROUNDING * scale:
        return None
    named = [
        f"{p.label} delivers {f:.6g} times as much" for p, f in zip(own, factors, strict=True) if abs(f - 1) > ROUNDING
    ]
    return "scale", f"in the module {' and '.join(named)}"


class _Variant(NamedTuple):
    """The projections of a population with one of them replaced."""

    kind: str
    text: str
    projections: list[Projection]


def _variants(network: Network, own: list[Projection]) -> Iterator[_Variant]:
    for i, projection in enumerate(own):
        delay, label = int(projection.delay), projection.label
        for steps in (s for n in range(1, FURTHEST + 1) for s in (n, -n) if delay + s >= 0):
            side = "early" if steps > 0 else "late"
            text = f"{label} delivers {abs(steps)} step(s) too {side}: its delay, less the onsets, is {delay}, the "
            text += f"module's is {delay + steps}"
            yield _Variant("delay", text, _with(own, i, replace(projection, delay=delay + steps)))
        for synapse, text in _rewired(projection, network[projection.source].shape):
            text = f"the weights of {label} are {text} in one of the two"
            yield _Variant("weights", text, _with(own, i, replace(projection, synapse=synapse)))
        if len(own) > 1:
            text = f"{label} is a connection that the module does not have"
            yield _Variant("path", text, [p for j, p in enumerate(own) if j != i])


def _with(own: list[Projection], i: int, projection: Projection) -> list[Projection]:
    return [*own[:i], projection, *own[i + 1 :]]


def _rewired(projection: Projection, source: Shape) -> Iterator[tuple[Any, str]]:
    """The same weights in other orders of the same form."""
    synapse = projection.synapse
    if isinstance(synapse, Dense):
        weight = synapse.weight
        if weight.shape[0] == weight.shape[1]:
            yield Dense(weight.T), "transposed"
        pooled = projection.pool.output_shape(source) if projection.pool else source
        if len(pooled) == 3:
            c, h, w = pooled
            order = np.arange(c * h * w)
            yield (
                Dense(weight[:, order.reshape(h, w, c).transpose(2, 0, 1).ravel()]),
                "for inputs flattened as (H, W, C)",
            )
            yield (
                Dense(weight[:, order.reshape(c, w, h).transpose(0, 2, 1).ravel()]),
                "for inputs flattened as (C, W, H)",
            )
    if isinstance(synapse, Conv2d):
        weight = synapse.weight
        yield replace(synapse, weight=weight[:, :, ::-1, ::-1]), "flipped (a convolution, and not a correlation)"
        if weight.shape[2] == weight.shape[3] > 1:
            yield replace(synapse, weight=weight.transpose(0, 1, 3, 2)), "transposed in height and width"
        if weight.shape[0] == weight.shape[1] and synapse.groups == 1:
            yield replace(synapse, weight=weight.transpose(1, 0, 2, 3)), "transposed in input and output channels"
        if synapse.groups == 1 and weight.shape[1] > 1:
            text = "for input channels in reverse order (on and off events, RGB and BGR)"
            yield replace(synapse, weight=weight[:, ::-1]), text
