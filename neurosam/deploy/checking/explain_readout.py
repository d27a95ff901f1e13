"""Whether a network's readout, given the module's own input, has the membranes that the module's had."""

from __future__ import annotations

import numpy as np

from neurosam.deploy.checking.explain_difference import ROUNDING, SINGLE_ROUNDING, Explanation, first_of, place_of
from neurosam.deploy.checking.explain_neurons import differing_parameters
from neurosam.deploy.checking.layer_run import LayerRun, integrate, without_input
from neurosam.network.neuron import Readout

__all__ = ["explain_readout"]

FURTHEST = 2
"""Steps by which membranes are shifted."""


def explain_readout(population: str, run: LayerRun, neuron: Readout) -> Explanation | None:
    """Why the network's membranes differ from the module's on the same input; None if they do not, beyond rounding.

    Parameters
    ----------
    population : str
    run : LayerRun
        What the module's layer did; nothing is compared if its membranes are not known.
    neuron : Readout
        Of the network.
    """
    if run.membrane is None:
        return None
    theirs = run.membrane.reshape(*run.membrane.shape[:2], -1)
    ours = integrate(without_input(neuron), run.shape, run.input)
    scale = max(float(np.abs(side).max(initial=0.0)) for side in (theirs, ours, run.input))
    off = np.abs(theirs - ours)
    wrong = off > ROUNDING * scale
    if not wrong.any():
        return None
    kind, text = "unexplained", "on the module's own input, other membranes result"
    if off.max() <= SINGLE_ROUNDING * scale:
        kind, text = "rounding", "membranes agree to single precision; the module computes in float32 somewhere"
    elif isinstance(run.neuron, Readout) and any(differing := differing_parameters(run.neuron, neuron)):
        kind, text = differing
    else:
        for late in (late for steps in range(1, FURTHEST + 1) for late in (steps, -steps)):
            ahead, behind = max(-late, 0), max(late, 0)
            apart = theirs[behind : len(theirs) - ahead] - ours[ahead : len(ours) - behind]
            if (np.abs(apart) <= ROUNDING * scale).all():
                kind = "delay"
                text = f"the module's membranes come {abs(late)} step(s) {'late' if late > 0 else 'early'}"
                break
    first = first_of(wrong)
    count = int(wrong.any(axis=0).sum())
    return Explanation(
        population, kind, text, place_of(first, run.shape), float(theirs[first]), float(ours[first]), count
    )
