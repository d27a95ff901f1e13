"""What the three executors have in common: some populations of a plan, and the memory in which they run them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from neurosam.backends.event.context import RunContext
from neurosam.backends.event.memory import SampleMemory
from neurosam.backends.event.plan.compiled import Plan
from neurosam.backends.event.plan.projections import CompiledProjection

__all__ = ["Executor"]


class Executor(ABC):
    """Runs some populations, always in the same memory.

    Parameters
    ----------
    plan : Plan
    memory : SampleMemory
        Of a sample; an executor may keep the addresses of its arrays.
    names : sequence of str
        The populations, in order of evaluation.

    Attributes
    ----------
    projections : list of CompiledProjection
        Into these populations, in the same order.
    """

    def __init__(self, plan: Plan, memory: SampleMemory, names: Sequence[str]) -> None:
        self.plan, self.memory, self.names = plan, memory, names
        self.projections = [projection for name in names for projection in plan.incoming[name]]

    def _is_graded(self, projection: CompiledProjection) -> bool:
        """Whether a projection delivers values, not spikes."""
        return projection.source in self.plan.graded or projection.source in self.plan.magnitudes

    @abstractmethod
    def run(self, context: RunContext, first: int, end: int) -> None:
        """Run the steps ``first:end`` (own time) of the memory's sample: one chunk, or no steps at all."""
