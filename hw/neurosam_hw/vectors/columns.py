"""Columns of integers, as text for ``$readmemh`` and for C."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Column", "c_array"]

IN_A_LINE = 16


@dataclass(frozen=True)
class Column:
    """Integers of one width, in C order.

    Parameters
    ----------
    values : int array
    bits : int
        1 (0 or 1), 8 or 32 (two's complement).
    axes : tuple of str
        What the axes count: "step", "sample", "neuron", ...
    """

    values: npt.NDArray[np.int64]
    bits: int
    axes: tuple[str, ...]

    def hex(self, title: str) -> bytes:
        """A word a line; comments say what, and where a step and sample begin.

        Examples
        --------
        >>> from neurosam_hw.vectors.columns import Column
        >>> print(Column(np.array([[[1, -2]]]), 8, ("step", "sample", "neuron")).hex("p1: v").decode(), end="")
        // p1: v; 8 bits, by step, sample, neuron
        // step 0, sample 0
        01
        fe
        """
        lines = [f"// {title}; {self.bits} bit{'s' * (self.bits > 1)}, by {', '.join(self.axes)}".encode()]
        if self.axes[:2] != ("step", "sample"):
            return b"\n".join([*lines, *self._words(self.values), b""])
        for t, step in enumerate(self.values):
            for b, values in enumerate(step):
                lines += [f"// step {t}, sample {b}".encode(), *self._words(values)]
        return b"\n".join([*lines, b""])

    def _words(self, values: npt.NDArray[np.int64]) -> list[bytes]:
        """Each value in hexadecimal digits."""
        if not values.size:
            return []
        octets = values.astype(">i4" if self.bits == 32 else "i1").tobytes().hex().encode()
        words: list[bytes] = np.frombuffer(octets, f"S{8 if self.bits == 32 else 2}").tolist()
        return [word[1:] for word in words] if self.bits == 1 else words

    @property
    def extent(self) -> tuple[int, int]:
        """Smallest and largest value; zeros of an empty column."""
        return (int(self.values.min()), int(self.values.max())) if self.values.size else (0, 0)


def c_array(kind: str, name: str, values: npt.NDArray[np.int64]) -> str:
    """The definition of a constant array; C has none without elements, so an empty one holds a 0."""
    content = ",\n".join(_lines(values))
    return f"static const {kind} {name}[] = {{\n{content}}};\n"


def _lines(values: npt.NDArray[np.int64]) -> Iterator[str]:
    flat = values.reshape(-1).tolist() or [0]
    for start in range(0, len(flat), IN_A_LINE):
        yield ", ".join(map(str, flat[start : start + IN_A_LINE]))
