"""Where each element of a tensor comes from: which node, step, sample and element.

Every value of a node gets a range of addresses, one per element, in the order of its rows (step and sample) and
elements. Functions that only move data (reshape, permute, x[t], stack, cat, pad, ...) run on the addresses as they do
on the data, so nothing has to be known about them: no layout of batch and time is assumed, it is read off. Address 0
is a zero (padding).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from neurosam.deploy.tracing.nodes import Indices, Node, Source
from neurosam.errors import ExportError

__all__ = ["STATIC", "Addresses", "Misread", "Rows", "Value"]

STATIC = -1
"""Step of a value that is the same in every step."""
NOWHERE = -2


class Misread(ExportError):
    """The axes are not as this way of calling the module has them; another way may fit."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Step and sample of each position of the leading axes, in order."""

    steps: Indices
    samples: Indices
    lead: tuple[int, ...]

    def same(self, other: Rows) -> bool:
        """Whether both have the same steps and samples at the same positions."""
        return (
            self.lead == other.lead
            and np.array_equal(self.steps, other.steps)
            and np.array_equal(self.samples, other.samples)
        )


@dataclass(frozen=True, eq=False)
class Block:
    node: Node
    rows: Rows
    start: int


@dataclass(frozen=True, eq=False)
class Value:
    """Where the elements of a tensor come from; or, if it is `refused`, why that cannot be told.

    They are one block in order (in any shape), or have an address each.
    """

    shape: tuple[int, ...]
    block: Block | None = None
    moved: torch.Tensor | None = None
    refused: Node | None = None

    @property
    def addresses(self) -> torch.Tensor:
        """Of each element, in the tensor's shape; float64, so that any function takes them."""
        if self.moved is not None:
            return self.moved
        start = 0 if self.block is None else self.block.start
        count = int(np.prod(self.shape, dtype=np.int64))
        return torch.arange(start, start + count, dtype=torch.float64).reshape(self.shape)

    def rows(self, lead: int | None = None) -> Rows | None:
        """Rows of a block whose leading axes are whole (`lead` of them, if it is given); None for other values."""
        if self.block is None:
            return None
        rows, wanted = self.block.rows, self.block.rows.steps.size
        for axes in range(len(self.shape) + 1) if lead is None else (lead,):
            if int(np.prod(self.shape[:axes], dtype=np.int64)) == wanted:
                return Rows(rows.steps, rows.samples, self.shape[:axes])
        return None


class Addresses:
    """All blocks, in order of their addresses."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._next = 1

    def new(self, node: Node, rows: Rows) -> Value:
        """The value of a node for some rows: leading axes, then the node's shape."""
        block = Block(node, rows, self._next)
        self._next += max(1, rows.steps.size * node.size)
        self._blocks.append(block)
        return Value((*rows.lead, *node.shape), block)

    def moved(self, addresses: torch.Tensor) -> Value:
        """The value with these addresses; a whole block in order is that block."""
        flat = addresses.reshape(-1)
        if flat.numel() and flat[0] > 0:
            block = self._blocks[self._find(flat[:1].numpy().astype(np.int64))[0]]
            whole = flat[0] == block.start and flat.numel() == block.rows.steps.size * block.node.size
            if whole and bool((flat[1:] - flat[:-1] == 1).all()):
                return Value(tuple(addresses.shape), block)
        return Value(tuple(addresses.shape), moved=addresses.clone())

    def trace(
        self, values: Sequence[Value], where: str, lead: int | None = None, rows: Rows | None = None
    ) -> tuple[Rows, list[tuple[Source, ...]], tuple[int, ...]]:
        """Rows that values of one shape have in common, the sources of each, and the shape without leading axes.

        Parameters
        ----------
        values : sequence of Value
        where : str
            For messages.
        lead : int, optional
            Number of leading axes; those along which steps or samples change if None, wherever they stand.
        rows : Rows, optional
            What the leading axes must be, where it is known.

        Raises
        ------
        Misread
            If samples are mixed, or steps do not follow each other as in `rows`.
        ExportError
            If rows are made up differently.
        """
        blocks = [value.block.node for value in values if value.block is not None]
        known = values[0].rows(lead)
        if known is not None and len(blocks) == len(values) and (rows is None or rows.same(known)):
            others = [value.rows(len(known.lead)) for value in values[1:]]
            if all(other is not None and known.same(other) for other in others):
                return known, [(Source(node),) for node in blocks], values[0].shape[len(known.lead) :]
        node, step, sample, element = self._decode([value.addresses for value in values])
        axes = _leading(step, sample) if lead is None else list(range(lead))
        if lead is not None and (outside := [axis for axis in _leading(step, sample) if axis >= lead]):
            raise Misread(where, f"gets steps or samples along axis {outside[0]} of its input {values[0].shape}")
        front = [np.moveaxis(table, axes, range(len(axes))) for table in (node, step, sample, element)]
        sides, features = front[0].shape[: len(axes)], front[0].shape[len(axes) : -1]
        count = int(np.prod(sides, dtype=np.int64))
        node, step, sample, element = (table.reshape(count, -1) for table in front)
        own = self._rows(step, sample, sides, where) if rows is None else rows
        if rows is not None and (rows.lead != sides or not _at_samples(sample, rows.samples)):
            raise Misread(where, f"gets {values[0].shape}, whose samples are not where they are expected")
        return own, self._sources(node, step, element, own, (*features, len(values)), where), tuple(features)

    def leading(self, value: Value) -> list[int]:
        """The axes along which steps or samples change."""
        if (known := value.rows()) is not None:
            return list(range(len(known.lead)))
        _, step, sample, _ = self._decode([value.addresses])
        return _leading(step, sample)

    def _find(self, addresses: Indices) -> Indices:
        starts = np.array([block.start for block in self._blocks])
        return np.searchsorted(starts, addresses, side="right") - 1

    def _decode(self, tables: list[torch.Tensor]) -> tuple[Indices, Indices, Indices, Indices]:
        """Number of the block, step, sample and element, each in the values' shape with one axis more."""
        address = torch.stack(tables, dim=-1).numpy().astype(np.int64)
        place = np.where(address == 0, -1, self._find(address))
        node, step, sample, element = (np.full(address.shape, NOWHERE) for _ in range(4))
        for number in np.unique(place[place >= 0]):
            block = self._blocks[number]
            here = place == number
            row, at = np.divmod(address[here] - block.start, block.node.size)
            node[here], element[here] = number, at
            step[here], sample[here] = block.rows.steps[row], block.rows.samples[row]
        return node, step, sample, element

    def _rows(self, step: Indices, sample: Indices, sides: tuple[int, ...], where: str) -> Rows:
        """Step and sample of each row; rows of zeros alone (in front of a delay) are where they have to be."""
        steps, samples = step.max(axis=1, initial=STATIC), sample.max(axis=1, initial=NOWHERE)
        unknown = samples == NOWHERE
        if unknown.all():
            raise ExportError(where, "gets only zeros")
        if unknown.any():
            size = int(samples.max()) + 1
            for of_steps, of_samples in _grids(unknown.size // size, size):
                if of_samples.size == unknown.size and (of_samples == samples)[~unknown].all():
                    steps, samples = of_steps, of_samples
                    break
            else:
                raise ExportError(where, "gets rows of zeros among rows of values")
        if not _at_samples(sample, samples):
            raise Misread(where, "mixes the samples of a batch")
        return Rows(steps, samples, sides)

    def _sources(
        self, node: Indices, step: Indices, element: Indices, rows: Rows, shape: tuple[int, ...], where: str
    ) -> list[tuple[Source, ...]]:
        """Sources of each value from the row of the last step; all other rows must agree with it."""
        ids = {id(block.node): number for number, block in enumerate(self._blocks)}  # the last block of each node
        unique = np.array([ids[id(block.node)] for block in self._blocks])
        node = np.where(node >= 0, unique[np.maximum(node, 0)], NOWHERE)
        behind = np.where(step >= 0, rows.steps[:, None] - step, 0)
        if (behind < 0).any():
            raise ExportError(where, "takes a value of a later step; a network cannot look ahead")
        last = int(np.argmax(rows.steps))
        same = (node == node[last]) & (behind == behind[last]) & (element == element[last])
        too_early = (node == NOWHERE) & (rows.steps[:, None] < behind[last])
        if not (same | too_early).all():
            raise Misread(where, "takes its values from other places in other steps or samples")
        out: list[tuple[Source, ...]] = []
        tables = [table[last].reshape(-1, shape[-1]) for table in (node, behind, element)]
        for column in range(shape[-1]):
            number, ago, at = (np.ascontiguousarray(table[:, column]) for table in tables)
            found: list[Source] = []
            pairs, first = np.unique(np.stack([number, ago]), axis=1, return_index=True)
            for which, delay in pairs[:, np.argsort(first)].T.tolist():
                if which == NOWHERE:
                    continue
                index = np.where((number == which) & (ago == delay), at, -1)
                origin = self._blocks[which].node
                whole = index.size == origin.size and np.array_equal(index, np.arange(index.size))
                found.append(Source(origin, delay, None if whole else index))
            out.append(tuple(found))
        return out


def _leading(step: Indices, sample: Indices) -> list[int]:
    """Axes along which samples change, or steps go on at an even pace; the last axis numbers the values."""
    out = []
    for axis in range(step.ndim - 1):
        low = np.where(sample == NOWHERE, np.iinfo(np.int64).max, sample).min(axis=axis)
        if (sample.max(axis=axis) > low).any():
            out.append(axis)
            continue
        pace = np.diff(step, axis=axis)
        later, earlier = (np.moveaxis(step, axis, 0)[part] for part in (slice(1, None), slice(-1)))
        known = np.moveaxis(pace, axis, 0)[(later >= 0) & (earlier >= 0)]
        if known.size and known[0] > 0 and (known == known[0]).all():
            out.append(axis)
    return out


def _grids(steps: int, samples: int) -> list[tuple[Indices, Indices]]:
    """Steps and samples of all rows, in both orders."""
    by_step, by_sample = np.indices((steps, samples)).reshape(2, -1), np.indices((samples, steps)).reshape(2, -1)
    return [(by_step[0], by_step[1]), (by_sample[1], by_sample[0])]


def _at_samples(sample: npt.NDArray[np.int64], samples: npt.NDArray[np.int64]) -> bool:
    return bool(((sample == samples[:, None]) | (sample == NOWHERE)).all())
