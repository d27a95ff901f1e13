"""What the words and numbers of a page mean: one sentence each, with the values of the network that the page shows.

Definitions: spike activation maps in neurosam/network/trace.py, own time in neurosam/network/network.py, answers in
neurosam/signals/answer.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from neurosam.arithmetic import FRACTION_BITS
from neurosam.network.network import Network
from neurosam.network.trace import FixedSamTrace, SamTrace

__all__ = ["AGREEMENT", "NO_ANSWER", "explanations"]

Trace = SamTrace | FixedSamTrace
Value = TypeVar("Value")
Sentence = tuple[str, str]
"""A term, and the sentence that explains it."""

SAM: Sentence = (
    "Spike activation map (SAM)",
    "At each step, every neuron that spikes adds a score to the map at its pixel: the more the same neuron spiked in "
    "the steps before, the higher the score; the map adds up the channels of the layer.",
)
MODES = {
    "strict": "The score of a spike counts only the neuron's earlier spikes, as in the text of the paper (Kim and "
    "Panda, 2021).",
    "inclusive": "The score of a spike counts the neuron's earlier spikes and the spike itself, which adds the number "
    "of spikes to the map.",
    "official": "The score of a spike counts the neuron's earlier spikes, the spike itself, and exp(-gamma t) for each "
    "silent step up to step t, as in the code that came with the paper (Kim and Panda, 2021).",
}
STEP_0 = "The map of step 0 is black in strict mode, because no neuron has an earlier spike yet."
ANSWERS = {
    "last": "the membrane of each class after the step",
    "mean": "the mean of the membrane of each class over the steps so far",
    "max": "the largest membrane of each class so far",
    "count": "the number of spikes of each class so far",
}
NO_ANSWER: Sentence = (
    "No answer",
    "If the output is the same for all classes, for example because nothing fired, the network gives no answer, which "
    "counts as wrong.",
)
AGREEMENT: Sentence = (
    "Agreement",
    "The share of samples on which two networks give the same answer, right or wrong; it needs no labels.",
)


def explanations(network: Network, layers: Sequence[str]) -> list[Sentence]:
    """Explain the terms of a page that shows maps of some layers of a network.

    Parameters
    ----------
    network : Network
        With a SAM trace on each of the layers.
    layers : sequence of str

    Returns
    -------
    list of (str, str)
        Term and sentence, in reading order.

    Examples
    --------
    >>> from neurosam.report.explanations import explanations
    >>> net = ns.Network(
    ...     [ns.Population("in", (1, 4, 4)), ns.Population("conv", (1, 2, 2), ns.LIF(leak=0.9, threshold=1.5))],
    ...     [ns.Projection("in", "conv", ns.Conv2d(np.ones((1, 1, 3, 3))))],
    ... ).with_sam(ns.SamTrace(gamma=0.5))
    >>> dict(explanations(net, ["conv"]))["Gamma"]
    'A spike counts 1 when it happens and fades at the rate gamma = 0.5 per step: to half in 1.39 steps.'
    """
    traces = {name: network.sam[name] for name in layers}
    out = [SAM, ("Gamma", _gamma(traces))] if traces else []
    modes = _grouped(traces, lambda trace: trace.mode)
    for mode, names in modes.items():
        out.append((f"Mode {mode}{_of(names, modes)}", MODES[mode]))
    if "strict" in modes:
        out.append(("Step 0", STEP_0))
    if traces:
        out.append(("Unit of the maps", _unit(traces)))
    out.append(("Own time", _own_time(network)))
    output = network.output
    out.append(
        (
            "Readout",
            f"The answer is read from {output!r}: the class with the largest value, the first of equals; the bars show "
            f"{ANSWERS[network.answers[output]]}.",
        )
    )
    if network.precision is not None:
        out.append(("Fixed point", _fixed_point(network)))
    return [*out, NO_ANSWER]


def _gamma(traces: Mapping[str, Trace]) -> str:
    fading = _grouped(traces, lambda trace: float(f"{trace.gamma:.3g}"))
    parts = [_fades(gamma) + _of(names, fading) for gamma, names in fading.items()]
    return "A spike counts 1 when it happens and " + "; ".join(parts) + "."


def _fades(gamma: float) -> str:
    if gamma == 0:
        return "never fades (gamma = 0)"
    if math.isinf(gamma):
        return "is forgotten one step later (gamma is infinite)"
    half = f"{math.log(2) / gamma:.3g}"
    return f"fades at the rate gamma = {gamma:g} per step: to half in {half} step{'s' * (half != '1')}"


def _unit(traces: Mapping[str, Trace]) -> str:
    text = "1 is the score of one earlier spike that has not faded"
    scales = _grouped({k: v for k, v in traces.items() if isinstance(v, FixedSamTrace)}, lambda trace: trace.scale)
    if not scales:
        return f"{text}."
    by = ", ".join(f"{scale:,.0f}{_of(names, scales)}" for scale, names in scales.items())
    return f"{text}; the integers of the fixed-point trace are divided by what a spike adds to it, {by}."


def _own_time(network: Network) -> str:
    late = [(p.name, network.onsets[p.name]) for p in network.populations if network.onsets[p.name]]
    if not late:
        return "All populations start at the same step, so a step is the same moment in each of them."
    (first, onset), rest = late[0], late[1:6]
    shown = ", ".join([f"{first}: {onset} step{'s' * (onset != 1)}", *(f"{name}: {onset}" for name, onset in rest)])
    shown += ", ..." if late[6:] else ""
    return (
        f"Each population counts steps from when input can first reach it ({shown} after the input), so that a "
        "step number means the same moment of the input in every layer."
    )


def _fixed_point(network: Network) -> str:
    precision = network.precision
    bits = "" if precision is None else f" of {precision.weight_bits} bits"
    return (
        f"Weights are integers{bits}, and membranes integers in 1/{2**FRACTION_BITS} of the unit of a weight; sums, "
        "decays and resets round and saturate as on the chip, bit for bit."
    )


def _grouped(traces: Mapping[str, Trace], value: Callable[[Trace], Value]) -> dict[Value, list[str]]:
    """Names of the layers that share a value."""
    groups: dict[Value, list[str]] = {}
    for name, trace in traces.items():
        groups.setdefault(value(trace), []).append(name)
    return groups


def _of(names: list[str], groups: Mapping[Value, list[str]]) -> str:
    """Which layers a value holds for, where they differ."""
    return f" ({', '.join(names)})" if len(groups) > 1 else ""
