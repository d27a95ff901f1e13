# /// script
# requires-python = "==3.11.*"
# dependencies = ["sinabs==3.1.3", "nir==1.0.4", "torch==2.13.0", "numpy==2.4.6"]
# ///
"""Sinabs: `IAF`, `LIF` and `ALIF`, with one and with several spikes per step, a lower bound and a synaptic current."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sinabs.activation import MaxSpike, MembraneReset, MembraneSubtract, MultiSpike, SingleSpike
from sinabs.layers import ALIF, IAF, LIF

from capture import Answer, Case, main
from drives import Drive

LAYERS = {"IAF": IAF, "LIF": LIF, "ALIF": ALIF}
ALPHAS = ("alpha_mem", "alpha_syn", "alpha_adapt")


def spike_function(name: str) -> Any:
    if name.startswith("MaxSpike"):
        return MaxSpike(int(name[len("MaxSpike(") : -1]))
    return {"MultiSpike": MultiSpike, "SingleSpike": SingleSpike}[name]


def reset_function(name: str) -> Any:
    if name.startswith("MembraneReset"):
        return MembraneReset(float(name[len("MembraneReset(") : -1]))
    return MembraneSubtract()


def case(module: str, layers: int = 1, **options: Any) -> Case:
    def answer(given: Drive) -> Answer:
        current = given.current
        low, high = np.broadcast_to(options["spike_threshold"], 2)  # of the first and the last neuron
        threshold = torch.linspace(low, high, current.shape[1], dtype=torch.float64)
        arguments = {**options, "spike_threshold": threshold}
        arguments |= {"spike_fn": spike_function(options["spike_fn"]), "reset_fn": reset_function(options["reset_fn"])}
        arguments |= {name: torch.tensor(options[name]) for name in ("tau_mem", "tau_adapt") if name in options}
        layer = LAYERS[module](**arguments).double()
        spikes, membrane = [], []
        with torch.no_grad():
            for x in torch.from_numpy(current):
                spikes.append(layer(x[None, None])[0, 0].numpy())
                membrane.append(layer.v_mem[0].numpy().copy())
            parameters = {name: getattr(layer, f"{name}_calculated", None) for name in ALPHAS}
        parameters = {name: value.numpy() for name, value in parameters.items() if value is not None}
        return Answer(np.stack(spikes), np.stack(membrane), {**parameters, "threshold": threshold.numpy()})

    return Case(module, options, answer, layers=layers)


def cases() -> Iterator[Case]:
    subtract, zero = "MembraneSubtract()", "MembraneReset(0.0)"
    for bound in (None, -1.0):
        for spike_fn in ("MultiSpike", "SingleSpike", "MaxSpike(3)"):
            options = {"spike_fn": spike_fn, "reset_fn": subtract, "min_v_mem": bound}
            yield case("IAF", spike_threshold=1.0, **options)
            yield case("LIF", spike_threshold=0.75, tau_mem=20.0, norm_input=False, **options)
        options = {"spike_fn": "SingleSpike", "reset_fn": zero, "min_v_mem": bound}
        yield case("IAF", spike_threshold=1.0, **options)
        yield case("LIF", spike_threshold=0.75, tau_mem=20.0, norm_input=False, **options)
        options = {"spike_fn": "MultiSpike", "reset_fn": subtract, "min_v_mem": bound}
        yield case("LIF", spike_threshold=0.1, tau_mem=10.0, norm_input=True, **options)
        yield case("LIF", spike_threshold=0.3, tau_mem=5.0, tau_syn=3.0, norm_input=True, **options)
        yield case("IAF", spike_threshold=[0.5, 1.0], **options)
    for spike_fn in ("MultiSpike", "MaxSpike(3)", "SingleSpike"):
        options = {"spike_fn": spike_fn, "reset_fn": subtract, "min_v_mem": -1.0}
        yield case("IAF", layers=2, spike_threshold=1.0, **options)
        yield case("LIF", layers=2, spike_threshold=0.75, tau_mem=20.0, norm_input=False, **options)
    options = {"spike_fn": "SingleSpike", "min_v_mem": None}
    yield case("IAF", spike_threshold=1.0, tau_syn=4.0, reset_fn=subtract, **options)
    yield case("IAF", spike_threshold=1.0, reset_fn="MembraneReset(-0.25)", **options)
    for reset_fn in (zero, subtract):
        adaptation = {"tau_adapt": 8.0, "adapt_scale": 1.8, "norm_input": False}
        yield case("ALIF", spike_threshold=0.6, tau_mem=15.0, reset_fn=reset_fn, **adaptation, **options)
    yield case("IAF", spike_threshold=1.0, spike_fn="MultiSpike", reset_fn=zero, min_v_mem=None)


if __name__ == "__main__":
    main("sinabs", "Sinabs", list(cases()))
