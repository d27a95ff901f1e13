"""A piece: those neurons of one population that one core holds, as a box of channels, rows and columns, or as a list.

A convolution is cut into boxes, since what a box receives is known from its sides alone (reach.py). Sparse and
recurrent populations are cut along their connections, into lists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurosam.network.synapse import Shape, as_chw
from neurosam_hw.errors import MappingError

__all__ = ["Box", "Piece"]

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Piece:
    """Neurons of one population on one core.

    Parameters
    ----------
    population : str
    core : int
        Logical core, from 0; where it is on which chip is the mapping's business.
    box : ((int, int), (int, int), (int, int)), optional
        Channels, rows and columns, each from the first to before the last. A population ``(N,)`` is N channels of one
        pixel.
    neurons : (n,) int64 array, optional
        Flat indices, rising, in place of a box.

    Examples
    --------
    >>> from neurosam_hw.mapping import Piece
    >>> piece = Piece("conv1", 0, box=((0, 1), (1, 3), (0, 2)))
    >>> piece.size, piece.indices((2, 4, 4))
    (4, array([4, 5, 8, 9]))
    """

    population: str
    core: int
    box: Box | None = None
    neurons: Index | None = None

    def __post_init__(self) -> None:
        where = f"piece of {self.population!r} on core {self.core}"
        if (self.box is None) == (self.neurons is None):
            raise MappingError(where, "either a box or a list of neurons is required")
        if self.core < 0:
            raise MappingError(where, "cores are counted from 0")
        if self.box is not None:
            if any(not 0 <= first < stop for first, stop in self.box):
                raise MappingError(where, f"got the box {self.box}; each side must hold at least one neuron")
            return
        listed = np.asarray(self.neurons, dtype=np.int64)
        if listed.ndim != 1 or not listed.size or listed[0] < 0 or (np.diff(listed) <= 0).any():
            raise MappingError(where, "the list of neurons must not be empty, and must rise from 0 or above")
        listed = listed.copy()
        listed.setflags(write=False)
        object.__setattr__(self, "neurons", listed)

    @property
    def size(self) -> int:
        """Number of neurons."""
        if self.box is None:
            return int(self.listed.size)
        (a, b), (c, d), (e, f) = self.box
        return (b - a) * (d - c) * (f - e)

    @property
    def listed(self) -> Index:
        """The list of neurons of a piece that has one."""
        if self.neurons is None:
            raise TypeError("a box has no list; use indices(shape)")
        return self.neurons

    def fits(self, shape: Shape) -> bool:
        """Whether all its neurons are within a population of this shape."""
        sides = as_chw(shape)
        if self.box is None:
            return int(self.listed[-1]) < sides[0] * sides[1] * sides[2]
        return all(stop <= side for (_, stop), side in zip(self.box, sides, strict=True))

    def indices(self, shape: Shape) -> Index:
        """Flat indices of its neurons in a population of this shape, rising."""
        if self.box is None:
            return self.listed
        _, height, width = as_chw(shape)
        channels, rows, columns = (np.arange(first, stop, dtype=np.int64) for first, stop in self.box)
        found: Index = ((channels[:, None, None] * height + rows[:, None]) * width + columns).ravel()
        return found
