# /// script
# requires-python = "==3.11.*"
# dependencies = ["rockpool==3.1.0", "torch==2.13.0", "numpy==2.4.6"]
# ///
"""Rockpool: `LIFTorch`, the module that is deployed to Xylo, with up to 31 (or 1, or 18) spikes per step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from rockpool.nn.modules import LIFTorch

from capture import Answer, Case, main
from drives import Drive

PARAMETERS = ("alpha", "beta", "threshold", "bias")

torch.set_default_dtype(torch.float64)  # of the states, and of what is recorded


def case(layers: int = 1, **options: Any) -> Case:
    def answer(given: Drive) -> Answer:
        current = given.current
        neurons = current.shape[1]
        values = {name: torch.full((neurons,), options[name]) for name in PARAMETERS}
        values["beta"] = values["beta"][:, None]  # one synapse per neuron
        maximum = torch.tensor(float(options["max_spikes_per_dt"]))
        layer = LIFTorch((neurons, neurons), leak_mode="decays", max_spikes_per_dt=maximum, **values).double()
        spikes, membrane = [], []
        with torch.no_grad():
            for x in torch.from_numpy(current):  # one call per step: within a call, its spikes turn into float32
                out, state, _ = layer.evolve(x[None, None])
                spikes.append(out[0, 0].numpy())
                membrane.append(state["vmem"].numpy().copy())
        parameters = {name: getattr(layer, name).detach().numpy().ravel() for name in PARAMETERS}
        return Answer(np.stack(spikes), np.stack(membrane), parameters)

    return Case("LIFTorch", options, answer, layers=layers)


def cases() -> Iterator[Case]:
    for maximum in (1, 18, 31, 2**16):
        yield case(alpha=0.5, beta=0.5, threshold=0.5, bias=0.0, max_spikes_per_dt=maximum)
        yield case(alpha=0.9375, beta=0.875, threshold=1.0, bias=0.125, max_spikes_per_dt=maximum)
        yield case(alpha=0.9, beta=0.7, threshold=0.3, bias=-0.05, max_spikes_per_dt=maximum)
        yield case(2, alpha=0.9, beta=0.7, threshold=1.0, bias=0.0, max_spikes_per_dt=maximum)


if __name__ == "__main__":
    main("rockpool", "Rockpool", list(cases()))
