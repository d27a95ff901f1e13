# /// script
# requires-python = "==3.11.*"
# dependencies = ["norse==1.1.0", "torch==2.13.0", "torchvision==0.28.0", "numpy==2.4.6"]
# ///
"""Norse: `LIF`, `LIFCell`, `LIFBoxCell`, `IAFCell`, `LIFRefracCell`, `LSNNCell` and the readout `LI`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import norse.torch as norse
import numpy as np
import torch
from norse.torch.functional.iaf import IAFFeedForwardState
from norse.torch.functional.lif_refrac import LIFRefracParameters
from norse.torch.functional.lsnn import LSNNParameters
from norse.torch.functional.reset import reset_subtract

from capture import Answer, Case, main
from drives import Drive

DT = 0.001


def tensors(options: dict[str, Any]) -> dict[str, Any]:
    """Options as float64 tensors; Norse's own default would be float32."""
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in options.items()}


def membrane_of(state: Any) -> Any:
    return (state.lif if hasattr(state, "lif") else state).v


def step_by_step(cell: Any, current: Any, state: Any = None, fires: bool = True) -> Answer:
    spikes, membrane = [], []
    with torch.no_grad():
        for x in torch.from_numpy(current):
            out, state = cell(x, state)
            spikes.append(out.numpy() if fires else np.zeros(x.shape))
            membrane.append(membrane_of(state).numpy().copy())
    return Answer(np.stack(spikes), np.stack(membrane))


def at_once(layer: Any, current: Any, fires: bool = True) -> Answer:
    with torch.no_grad():
        out, state = layer(torch.from_numpy(current))
    spikes = out.numpy() if fires else np.zeros(current.shape)
    return Answer(spikes, state.v.numpy() if fires else out.numpy())


def lif(module: str, **options: Any) -> Case:
    def answer(given: Drive) -> Answer:
        current = given.current
        p = norse.LIFParameters(**tensors(options))
        if module == "LIF":
            return at_once(norse.LIF(p, dt=DT, record_states=True), current)
        return step_by_step(norse.LIFCell(p, dt=DT), current)

    return Case(module, {**options, "dt": DT}, answer)


def box(subtract: bool, **options: Any) -> Case:
    def answer(given: Drive) -> Answer:
        current = given.current
        reset = {"reset_method": reset_subtract} if subtract else {}
        return step_by_step(norse.LIFBoxCell(norse.LIFBoxParameters(**tensors(options), **reset), dt=DT), current)

    return Case(
        "LIFBoxCell", {**options, "reset_method": "reset_subtract" if subtract else "reset_value", "dt": DT}, answer
    )


def iaf(**options: Any) -> Case:
    def answer(given: Drive) -> Answer:
        current = given.current
        start = IAFFeedForwardState(torch.zeros(current.shape[1], dtype=torch.float64))
        return step_by_step(norse.IAFCell(norse.IAFParameters(**tensors(options))), current, start)

    return Case("IAFCell", options, answer)


def refractory(rho_reset: int, **options: Any) -> Case:
    def answer(given: Drive) -> Answer:
        current = given.current
        p = LIFRefracParameters(norse.LIFParameters(**tensors(options)), torch.tensor(float(rho_reset)))
        return step_by_step(norse.LIFRefracCell(p, dt=DT), current)

    return Case("LIFRefracCell", {**options, "rho_reset": rho_reset, "dt": DT}, answer)


def adaptive(**options: Any) -> Case:
    def answer(given: Drive) -> Answer:
        current = given.current
        return step_by_step(norse.LSNNCell(LSNNParameters(**tensors(options)), dt=DT), current)

    return Case("LSNNCell", {**options, "dt": DT}, answer)


def readout(**options: Any) -> Case:
    def answer(given: Drive) -> Answer:
        current = given.current
        return at_once(norse.LI(norse.LIParameters(**tensors(options)), dt=DT), current, fires=False)

    return Case("LI", {**options, "dt": DT}, answer)


def cases() -> Iterator[Case]:
    rates = {"tau_syn_inv": 200.0, "tau_mem_inv": 100.0}  # Norse's own defaults
    halves = {"tau_syn_inv": 500.0, "tau_mem_inv": 500.0}
    for module in ("LIFCell", "LIF"):
        yield lif(module, **rates, v_leak=0.0, v_th=1.0, v_reset=0.0)
        yield lif(module, **halves, v_leak=0.0, v_th=1.0, v_reset=0.0)
        yield lif(module, **rates, v_leak=-0.25, v_th=0.5, v_reset=-0.5)
        yield lif(module, **halves, v_leak=0.125, v_th=0.75, v_reset=0.25)
    for subtract in (True, False):
        yield box(subtract, tau_mem_inv=100.0, v_leak=0.0, v_th=0.3, v_reset=0.0)
        yield box(subtract, tau_mem_inv=500.0, v_leak=0.25, v_th=1.0, v_reset=-0.25)
    yield iaf(v_th=1.0, v_reset=0.0)
    yield iaf(v_th=0.75, v_reset=-0.25)
    yield refractory(5, **rates, v_leak=0.0, v_th=1.0, v_reset=0.0)
    yield refractory(1, **halves, v_leak=0.0, v_th=1.0, v_reset=-0.25)
    yield adaptive(**halves, tau_adapt_inv=500.0, v_leak=0.0, v_th=1.0, v_reset=0.0, beta=0.5)
    yield adaptive(**rates, tau_adapt_inv=20.0, v_leak=0.0, v_th=0.5, v_reset=-0.25, beta=1.8)
    yield readout(**rates, v_leak=0.0)
    yield readout(**halves, v_leak=0.25)


if __name__ == "__main__":
    main("norse", "Norse", list(cases()))
