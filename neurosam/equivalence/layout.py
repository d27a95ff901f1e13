"""Whether two sides differ by their layout alone: values that agree once steps are shifted or axes are exchanged.

Where the shape of an array does not tell its layout (as many steps as samples, as many channels as rows), its values
may. What is found is a hint beside the differences, which are counted all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.equivalence.divergence import Values, Variable
from neurosam.network.synapse import as_chw

__all__ = ["layout_hint"]

MOST_SHIFT = 32
MOST_VALUES = 2**24
"""Larger variables are not searched."""


def layout_hint(variable: Variable, names: tuple[str, str], onset: int = 0) -> str:
    """How the second side is laid out, if that explains all differences of a variable; else nothing.

    Parameters
    ----------
    variable : Variable
        With one value for each neuron and step.
    names : (str, str)
        Of the sides.
    onset : int
        Global step at which the population starts.
    """
    a, b = variable.a, variable.b
    if a.size > MOST_VALUES or not a.any() or not b.any():
        return ""
    what = f"{variable.name} of {variable.population}"
    if shift := _shift(a, b, onset):
        late, early = (names[1], names[0]) if shift > 0 else names
        text = f"{what}: {late} is {early}, {abs(shift)} step(s) later"
        return f"{text}: it looks like global steps, not the population's own" if abs(shift) == onset else text
    for changed, text in _orders(variable):
        if changed.shape == a.shape and np.array_equal(changed, a):
            return f"{what}: equal if {text} in {names[1]}"
    return ""


def _shift(a: Values, b: Values, onset: int) -> int:
    """By how many steps the second side is late (early, if negative); 0 for neither."""
    steps = len(a)
    for distance in dict.fromkeys((onset, *range(1, MOST_SHIFT + 1))):
        if not 0 < distance < steps:
            continue
        for sign, early, late in ((1, a, b), (-1, b, a)):
            same = np.array_equal(early[:-distance, :1], late[distance:, :1])  # most often one sample tells
            if same and early[:-distance].any() and np.array_equal(early[:-distance], late[distance:]):
                return int(sign * distance)
    return 0


def _orders(variable: Variable) -> Iterator[tuple[npt.NDArray[Any], str]]:
    """The second side with axes exchanged, and what was exchanged."""
    b = variable.b
    steps, samples = b.shape[:2]
    channels, height, width = as_chw(variable.shape)
    if steps == samples:
        yield b.swapaxes(0, 1), "steps and samples are exchanged"
    if channels > 1 and height * width > 1:
        last = b.reshape(steps, samples, height, width, channels)
        yield np.moveaxis(last, -1, 2).reshape(b.shape), "channels come last"
    if height > 1 and width > 1:
        turned = b.reshape(steps, samples, channels, width, height).swapaxes(3, 4)
        yield turned.reshape(b.shape), "x comes before y"
