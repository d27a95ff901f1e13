# /// script
# requires-python = "==3.11.*"
# dependencies = ["spikingjelly==2.0.0", "torch==2.13.0", "torchvision==0.28.0", "numpy==2.4.6"]
# ///
"""SpikingJelly: `IFNode`, `LIFNode` and `ParametricLIFNode`, with hard and soft reset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import neuron

from capture import Answer, Case, main
from drives import Drive


def case(module: str, layers: int = 1, **options: Any) -> Case:
    def answer(given: Drive) -> Answer:
        current = given.current
        node = getattr(neuron, module)(**options, step_mode="s").double().eval()
        spikes, membrane = [], []
        with torch.no_grad():
            for x in torch.from_numpy(current):
                spikes.append(node(x[None])[0].numpy())
                membrane.append(node.v[0].numpy().copy())
            parameters = {"q": node.w.sigmoid().numpy()} if module == "ParametricLIFNode" else {}
        return Answer(np.stack(spikes), np.stack(membrane), parameters)

    return Case(module, options, answer, layers=layers)


def cases() -> Iterator[Case]:
    for v_reset in (None, 0.0, -0.5, 0.2):
        yield case("IFNode", v_threshold=1.0, v_reset=v_reset)
        yield case("IFNode", v_threshold=0.7, v_reset=v_reset)
        for decay_input in (True, False):
            for tau, threshold in ((2.0, 1.0), (5.0, 0.6)):
                yield case("LIFNode", tau=tau, decay_input=decay_input, v_threshold=threshold, v_reset=v_reset)
            yield case("ParametricLIFNode", init_tau=3.0, decay_input=decay_input, v_threshold=0.75, v_reset=v_reset)
        yield case("IFNode", layers=2, v_threshold=1.0, v_reset=v_reset)


if __name__ == "__main__":
    main("spikingjelly", "SpikingJelly", list(cases()))
