# /// script
# requires-python = "==3.11.*"
# dependencies = ["snntorch==1.0.0", "torch==2.13.0", "numpy==2.4.6"]
# ///
"""snnTorch: `Leaky`, `Synaptic` and `Lapicque`, with their reset mechanisms, delayed and not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import snntorch
import torch

from capture import Answer, Case, main
from drives import Drive


def run(module: Any, current: Any, names: tuple[str, ...]) -> Answer:
    """Step by step from zero; `names` are the parameters to store."""
    module = module.double()
    states = [torch.zeros(1, current.shape[1], dtype=torch.float64) for _ in range(2 if "alpha" in names else 1)]
    spikes, membrane = [], []
    with torch.no_grad():
        for x in torch.from_numpy(current):
            spike, *states = module(x[None], *states)
            spikes.append(spike[0].numpy())
            membrane.append(states[-1][0].numpy().copy())
    parameters = {name: getattr(module, name).detach().numpy() for name in names}
    return Answer(np.stack(spikes), np.stack(membrane), parameters)


def real(value: Any) -> Any:
    """A float64 tensor: a Python float would be stored as float32."""
    return torch.tensor(value, dtype=torch.float64)


def leaky(layers: int = 1, **options: Any) -> Case:
    def answer(given: Drive) -> Answer:
        current = given.current
        arguments = dict(options)
        for name in ("beta", "threshold"):
            arguments[name] = real(options[name])
            if isinstance(options[name], list):  # of the first and the last neuron
                arguments[name] = torch.linspace(*options[name], current.shape[1], dtype=torch.float64)
        return run(snntorch.Leaky(**arguments), current, ("beta", "threshold"))

    return Case("Leaky", options, answer, layers=layers)


def synaptic(**options: Any) -> Case:
    def answer(given: Drive) -> Answer:
        current = given.current
        arguments = {**options, **{name: real(options[name]) for name in ("alpha", "beta", "threshold")}}
        return run(snntorch.Synaptic(**arguments), current, ("alpha", "beta", "threshold"))

    return Case("Synaptic", options, answer)


def lapicque(**options: Any) -> Case:
    def answer(given: Drive) -> Answer:
        current = given.current
        arguments = {name: real(value) if isinstance(value, float) else value for name, value in options.items()}
        return run(snntorch.Lapicque(**arguments), current, ("R", "C", "time_step", "threshold"))

    return Case("Lapicque", options, answer)


def cases() -> Iterator[Case]:
    for reset in ("subtract", "zero", "none"):
        for delay in (True, False):
            for beta, threshold in ((0.9, 1.0), (1.0, 1.0), (0.5, 0.625)):
                yield leaky(beta=beta, threshold=threshold, reset_mechanism=reset, reset_delay=delay)
            for alpha, beta, threshold in ((0.8, 0.9, 1.5), (0.5, 0.5, 1.0)):
                yield synaptic(alpha=alpha, beta=beta, threshold=threshold, reset_mechanism=reset, reset_delay=delay)
            yield leaky(2, beta=0.9, threshold=1.0, reset_mechanism=reset, reset_delay=delay)
        yield lapicque(R=1.0, C=4.0, time_step=1.0, threshold=0.5, reset_mechanism=reset)
        yield lapicque(R=5.0, C=1.3, time_step=1.0, threshold=1.0, reset_mechanism=reset)
    for reset in ("subtract", "zero"):
        yield leaky(
            beta=[0.5, 0.99], threshold=[0.7, 1.1], learn_beta=True, learn_threshold=True, reset_mechanism=reset
        )
    yield lapicque(beta=0.8, time_step=1.0, threshold=1.0, reset_mechanism="subtract")


if __name__ == "__main__":
    main("snntorch", "snnTorch", list(cases()))
