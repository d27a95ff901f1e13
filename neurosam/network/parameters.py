"""What float and integer neurons have in common: the values of options, how parameters fold, what excludes what."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import frozen, integers, reals
from neurosam.errors import NetworkError

__all__ = [
    "COMPARISONS", "MAX_REFRACTORY", "MAX_SPIKES", "RESETS", "TIMINGS", "check_composition", "check_tables", "folded",
    "optional_integers", "optional_reals", "per_neuron_integers", "per_neuron_reals", "put",
]  # fmt: skip

RESETS = ("zero", "subtract", "value", "none", "relative")
COMPARISONS = ("above", "at")
TIMINGS = ("now", "next", "both")
MAX_REFRACTORY = 4096
MAX_SPIKES = 2**23 - 1
PER_NEURON = (0, 1, 3)
"""Dimensions of a parameter: a scalar, one value per channel, one per neuron."""


def put(instance: Any, **values: Any) -> None:
    """Set fields of a frozen dataclass that is being constructed."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def folded(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The smallest form of a parameter: ``(C, H, W)`` constant in each channel becomes ``(C,)``, constant ``()``."""
    if array.ndim == 3 and array.size and (array == array[:, :1, :1]).all():
        array = array[:, 0, 0]
    if array.ndim == 1 and array.size and (array == array[:1]).all():
        array = array[0]
    return frozen(array, array.dtype)


def per_neuron_reals(where: str, value: Any, **limits: Any) -> npt.NDArray[np.float64]:
    """A real parameter as a scalar, ``(C,)`` or ``(C, H, W)``, folded."""
    return folded(reals(where, value, ndim=PER_NEURON, **limits))


def per_neuron_integers(where: str, value: Any, low: int, high: int) -> npt.NDArray[np.int64]:
    """An integer parameter as a scalar, ``(C,)`` or ``(C, H, W)``, folded."""
    return folded(integers(where, value, low=low, high=high, ndim=PER_NEURON))


def optional_reals(
    where: str, value: Any, ndim: tuple[int, ...] = PER_NEURON, **limits: Any
) -> npt.NDArray[np.float64] | None:
    """None, or a real parameter (folded), or a table of two dimensions as it is."""
    if value is None:
        return None
    array = reals(where, value, ndim=ndim, **limits)
    return array if ndim == (2,) else folded(array)


def optional_integers(
    where: str, value: Any, low: int, high: int, ndim: tuple[int, ...] = PER_NEURON
) -> npt.NDArray[np.int64] | None:
    """None, or an integer parameter (folded), or a table of two dimensions as it is."""
    if value is None:
        return None
    array = integers(where, value, low=low, high=high, ndim=ndim)
    return array if ndim == (2,) else folded(array)


def check_tables(gain: npt.NDArray[Any] | None, offset: npt.NDArray[Any] | None) -> None:
    """Refuse one table without the other, or two of different length."""
    if (gain is None) != (offset is None):
        raise NetworkError("neuron", "gain and offset come together; give both tables or neither")
    if gain is None or offset is None:
        return
    if gain.shape[0] == 0 or gain.shape[0] != offset.shape[0]:
        raise NetworkError(
            "neuron: gain/offset", f"got {gain.shape[0]} and {offset.shape[0]} steps; the same number >= 1 is required"
        )


def check_composition(
    neuron: Any, *, current: str, initial: str, amount: str = "", value: str = "", relative: str = "",
    adaptation: tuple[str, str] = ("", ""),
) -> None:  # fmt: skip
    """Refuse options that exclude or need each other; the arguments are the names of the neuron's fields.

    Raises
    ------
    NetworkError
        Names the option, what it needs, and what to do.
    """
    kind = type(neuron).__name__
    if getattr(neuron, current) is None and np.any(getattr(neuron, initial)):
        raise NetworkError(f"{kind}: {initial}", f"given for a neuron without a current; it needs {current}")
    if not amount:
        return
    for option, owner, required in (
        (amount, "subtract", False),
        (value, "value", True),
        (relative, "relative", True),
    ):
        given = getattr(neuron, option) is not None
        if given and neuron.reset != owner:
            raise NetworkError(f"{kind}: {option}", f'given with reset="{neuron.reset}"; it belongs to reset="{owner}"')
        if required and not given and neuron.reset == owner:
            raise NetworkError(f"{kind}: {option}", f'is missing; reset="{owner}" needs it')
    leak, step = adaptation
    if (getattr(neuron, leak) is None) != (getattr(neuron, step) is None):
        raise NetworkError(f"{kind}", f"{leak} and {step} come together; give both or neither")
    delayed = neuron.reset_timing != "now"
    if neuron.max_spikes > 1 and (neuron.reset not in ("subtract", "zero") or delayed):
        raise NetworkError(
            f"{kind}: max_spikes",
            f'got {neuron.max_spikes}; more than 1 needs reset="subtract" or "zero" and reset_timing="now"',
        )
    if delayed and (neuron.reset in ("none", "relative") or neuron.refractory or getattr(neuron, leak) is not None):
        raise NetworkError(
            f"{kind}: reset_timing",
            'other than "now" cannot be combined with reset="none" or "relative", a refractory period or an adaptive '
            "threshold",
        )
    if neuron.reset_timing == "both" and neuron.reset != "subtract":
        raise NetworkError(f"{kind}: reset_timing", 'got "both"; it belongs to reset="subtract"')
