"""The layout of arrays from elsewhere: time first, then sample, then the population's own axes; what else it may be.

An array of another shape is refused, never turned round. If exactly one order of the axes that people use explains the
shape, the message names it, with the line of NumPy that mends it; where several explain it, nothing is guessed.
"""

from __future__ import annotations

from itertools import permutations

from neurosam.errors import ArgumentError
from neurosam.network.synapse import Shape, neurons

__all__ = ["Extent", "check_layout"]

Extent = tuple[int | None, int | None]
"""Steps and samples of a run, as far as they are known."""

AXES = ("channel", "y", "x")
KNOWN = {
    (0, 1, 4, 2, 3): "The channels come last",
    **dict.fromkeys(((1, 0, 2), (1, 0, 2, 3), (1, 0, 2, 3, 4)), "The samples come first"),
}
"""The usual mistakes, by the order that mends them."""


def check_layout(where: str, got: Shape, shape: Shape, extent: Extent, onset: int = 0) -> None:
    """Refuse the shape of an array unless it is ``(T, B, *shape)`` or ``(T, B, N)``.

    Parameters
    ----------
    where : str
        The array, as the user knows it.
    got : tuple of int
        Its shape.
    shape : tuple of int
        Of the population, or (H, W) of a map.
    extent : (int or None, int or None)
        Steps and samples that the array has to have; None if nothing else says.
    onset : int
        Global step at which the population starts.

    Raises
    ------
    ArgumentError
        With the likely mistake, if the shape tells it.
    """
    tails = {shape, (neurons(shape),)}
    fits = all(length in (None, side) for length, side in zip(extent, got, strict=False))
    if len(got) > 2 and got[2:] in tails and fits:
        return
    steps, samples = ("T" if extent[0] is None else extent[0]), ("B" if extent[1] is None else extent[1])
    allowed = " or ".join(f"({', '.join(map(str, (steps, samples, *tail)))})" for tail in sorted(tails, key=len)[::-1])
    hint = _mistake(got, shape, extent, onset)
    raise ArgumentError(where, f"has shape {got}; {allowed} (step, sample, neuron) is required{hint and '. ' + hint}")


def _mistake(got: Shape, shape: Shape, extent: Extent, onset: int) -> str:
    """The likely mistake, in a sentence, or nothing."""
    for tail in dict.fromkeys((shape, (neurons(shape),))):
        if got == (extent[0], *tail) or (len(got) == 1 + len(tail) and got[1:] == tail and extent == (None, None)):
            return "The axis of samples is missing: x[:, None]"
    steps = extent[0]
    if steps is not None and onset and got[2:] in (shape, (neurons(shape),)) and got[0] == steps + onset:
        return (
            f"It has {onset} more steps, which is when the population starts: it is in global steps, not in its own. "
            f"Leave the first {onset} out: x[{onset}:]"
        )
    return _transposition(got, shape, extent)


def _transposition(got: Shape, shape: Shape, extent: Extent) -> str:
    """The order of axes that explains a shape, with what mends it; nothing if none or several do."""
    tail = shape if len(got) == 2 + len(shape) else (neurons(shape),)
    if len(got) != 2 + len(tail):
        return ""
    required = (*extent, *tail)
    found = []
    for order in permutations(range(len(got))):  # of the axis `order[k]` of the array, axis k is made
        if len(tail) > 1 and order[-1] != order[-2] + 1:
            continue  # pictures keep their rows
        if all(length in (None, got[axis]) for length, axis in zip(required, order, strict=True)):
            found.append((_inversions(order), order))
    found.sort()
    if not found or (len(found) > 1 and found[0][0] == found[1][0]):
        return ""
    order = found[0][1]
    axes = ("step", "sample", *(AXES[-len(tail) :] if len(tail) > 1 else ("neuron",)))
    listed = ", ".join(axes[order.index(axis)] for axis in range(len(got)))
    what = KNOWN.get(order, f"Its axes are ({listed})")
    return f"{what}, by its shape: x.transpose({', '.join(map(str, order))})"


def _inversions(order: tuple[int, ...]) -> int:
    """Pairs of axes that stand the other way round."""
    return sum(a > b for i, a in enumerate(order) for b in order[i + 1 :])
