"""The nearest neuron of a network for a module that no reader knows, guessed from the names of its attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import nn

__all__ = ["has_threshold", "nearest", "unknown_neuron"]

THRESHOLDS = ("threshold", "v_threshold", "v_th", "vth", "thresh", "thr", "theta", "spike_threshold")
LEAKS = ("beta", "leak", "decay", "alpha_mem", "mem_decay")
TAUS = ("tau", "tau_m", "tau_mem")


def has_threshold(module: nn.Module) -> bool:
    """Whether a module has what a layer of neurons is known by."""
    return _number(module, THRESHOLDS) is not None


def nearest(module: nn.Module) -> str:
    """``neurosam.LIF(...)`` with the arguments that can be guessed.

    Examples
    --------
    >>> from torch import nn
    >>> from neurosam.deploy.readers.nearest import nearest
    >>> class MyNeuron(nn.Module):
    ...     tau, v_th = 4.0, 0.5
    >>> nearest(MyNeuron())
    'neurosam.LIF(leak=0.75, threshold=0.5)'
    """
    leak, tau, threshold = (_number(module, names) for names in (LEAKS, TAUS, THRESHOLDS))
    if leak is None and tau is not None and tau >= 1:
        leak = 1 - 1 / tau
    shown = ["..." if value is None else f"{value:.6g}" for value in (leak, threshold)]
    return f"neurosam.LIF(leak={shown[0]}, threshold={shown[1]})"


def unknown_neuron(module: nn.Module) -> str:
    """What to do about a layer of neurons that no reader knows."""
    kind, neuron = type(module), nearest(module)
    return (
        f"compares with a threshold, so it looks like neurons, but no reader knows its class {kind.__qualname__} "
        f"of {kind.__module__}. The nearest equivalent is {neuron}; if that is what it computes, say so first: "
        f"neurosam.deploy.readers.register({kind.__qualname__}, lambda m: Reading({neuron})) (docs: extend/reader)"
    )


def _number(module: Any, names: tuple[str, ...]) -> float | None:
    """The first attribute that is one number."""
    for name in names:
        value = getattr(module, name, None)
        if value is None or callable(value):
            continue
        try:
            array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, dtype=np.float64)
        except (TypeError, ValueError):
            continue
        if array.size == 1:
            return float(array.reshape(()))
    return None
