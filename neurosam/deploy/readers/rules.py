"""Arguments of `LIF` that the rules of several frameworks have in common, and how a reader takes numbers from a module.

A rule is a plain function from numbers to the arguments of :class:`~neurosam.network.neuron.LIF`, as a dictionary, so
that it is the same for a module and for a recorded run (benchmarks/neurons). No framework is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosam.deploy.readers.protocol import Reading
from neurosam.errors import ExportError
from neurosam.network.neuron import LIF

__all__ = [
    "UNLIMITED",
    "hard_reset",
    "layer",
    "nearest",
    "number",
    "scaled",
    "short",
    "start",
    "towards",
    "without_equal",
    "written",
]

UNLIMITED = 2**23 - 1
"""Spikes per step of a rule without a limit: the most that `LIF` allows."""


def scaled(gain: Any) -> dict[str, Any]:
    """Tables that multiply the input by `gain` after it is summed, which rounds once, as the frameworks do.

    A gain of shape ``(C, H, W)`` stays as it is: see :func:`layer`.
    """
    table = gain if np.ndim(gain) == 3 else np.reshape(gain, (1, -1))
    return {"gain": table, "offset": np.zeros(np.shape(table))}


def layer(arguments: dict[str, Any], **options: Any) -> Reading:
    """The reading of a `LIF` with these arguments.

    A gain for each neuron of a picture, for which tables have no place, goes in front of the neurons.
    """
    neuron = dict(arguments)
    gain = neuron.pop("gain", None)
    if gain is None or np.ndim(gain) == 2:
        return Reading(LIF(**arguments), **options)
    del neuron["offset"]
    return Reading(LIF(**neuron), weight=gain, **options)


def hard_reset(value: Any) -> dict[str, Any]:
    """Reset to a value; to zero by its own name."""
    return {"reset": "value", "reset_value": value} if np.any(value) else {"reset": "zero"}


def towards(rest: Any, rate: Any) -> dict[str, Any]:
    """A bias that pulls the membrane to `rest`."""
    return {"bias": rate * rest} if np.any(rest) else {}


def start(value: Any) -> dict[str, Any]:
    """Initial membrane, where it is not 0."""
    return {"initial_membrane": value} if np.any(value) else {}


def number(value: Any) -> Any:
    """A tensor, parameter or number in float64, as `LIF` takes it: a float, ``(C,)`` or ``(C, H, W)``.

    Torch broadcasts from the right, so that a value per channel of a convolution has shape ``(C, 1, 1)``.
    """
    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, np.float64)
    if array.size == 1:
        return float(array.reshape(()))
    while array.ndim > 1 and array.shape[0] == 1:
        array = array[0]
    return array[:, 0, 0] if array.ndim == 3 and array.shape[1:] == (1, 1) else array


def without_equal(module: Any, reason: str, remedy: str) -> ExportError:
    """The error for a module of neurons that no neuron of ours equals.

    Parameters
    ----------
    module : nn.Module
    reason : str
        What is special about it.
    remedy : str
        The nearest equivalent with its arguments, or what to set instead.
    """
    kind = type(module)
    return ExportError(f"{kind.__module__.partition('.')[0]}'s {kind.__name__}", f"{reason}; {remedy}")


def nearest(arguments: Mapping[str, Any]) -> str:
    """A LIF as a user would write it, for a message: a gain as a factor of the weights."""
    neuron = {name: value for name, value in arguments.items() if name not in ("gain", "offset")}
    factor = f" behind weights times {short(arguments['gain'])}" if "gain" in arguments else ""
    return f"the nearest is {written('ns.LIF', neuron)}{factor}"


def written(kind: str, arguments: Mapping[str, Any]) -> str:
    """A neuron as it is written in Python."""
    return f"{kind}({', '.join(f'{name}={short(value)}' for name, value in arguments.items())})"


def short(value: Any) -> str:
    """A number in six digits, an array as its range."""
    if isinstance(value, int | str):
        return repr(value).replace("'", '"')
    low, high = np.min(value), np.max(value)
    return f"{low:.6g}" if low == high else f"[{low:.6g} ... {high:.6g}]"
