"""What is told of a spike that differs in a layer that is the same in both: rounding, or quantisation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurosam.deploy.checking.explain_difference import ROUNDING, Explanation
from neurosam.deploy.checking.explain_neurons import differing_parameters, margins
from neurosam.deploy.checking.layer_run import LayerRun
from neurosam.deploy.checking.result import FirstSpike
from neurosam.errors import ExportError
from neurosam.network.network import Network
from neurosam.network.neuron import LIF

__all__ = ["explain_quantisation", "explain_rounding"]


def explain_rounding(network: Network, run: LayerRun, first: FirstSpike) -> Explanation:
    """Why a spike differs in a layer that is the same in both."""
    neuron = network[first.population].neuron
    if not isinstance(neuron, LIF):
        raise ExportError(f"population {first.population!r}", "is no population of float neurons that fire")
    by_step, scale = margins(run, neuron, first.place.sample, first.place.neuron)
    margin = float(by_step[first.place.step])
    if abs(margin) <= ROUNDING * scale:
        kind = "rounding"
        how_far = "exactly at" if margin == 0 else f"{abs(margin):.2g} {'above' if margin > 0 else 'below'}"
        text = f"the membrane is {how_far} the threshold; sums in another order may end on its other side"
        if isinstance(run.neuron, LIF):
            differing = differing_parameters(run.neuron, neuron)[1]
            text += f" ({differing})" if differing else ""
    else:
        kind = "unexplained"
        text = f"the layer by itself does what the module's does, but here it differs {abs(margin):.2g} from threshold"
    return Explanation(first.population, kind, text, first.place, first.module, first.network, 1)


def explain_quantisation(network: Network, runs: Mapping[str, LayerRun], first: FirstSpike | None) -> list[Explanation]:
    """What the first spike that differs says of a fixed-point network."""
    if first is None:
        return []
    run = runs[first.population]
    bits = "" if network.precision is None else f", with weights of {network.precision.weight_bits} bits"
    text = (
        f"the network computes in integers{bits}, so single spikes differ; whether it is the same network otherwise is "
        "told by the float export (precision=None)"
    )
    if isinstance(run.neuron, LIF):
        by_step, _ = margins(run, run.neuron, first.place.sample, first.place.neuron)
        distance = abs(float(by_step[first.place.step])) / float(np.mean(run.neuron.threshold))
        text += f". The module's membrane is off its threshold by {distance:.1%} of it here"
    return [Explanation(first.population, "quantisation", text, first.place, first.module, first.network, 1)]
