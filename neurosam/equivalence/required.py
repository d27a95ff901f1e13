"""What a comparison has to have compared to be worth something: "equal" can also mean that little was looked at."""

from __future__ import annotations

from collections.abc import Sequence

from neurosam.equivalence.divergence import OF_RUNS
from neurosam.equivalence.operations import OPERATIONS
from neurosam.equivalence.result import Equivalence
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.network.network import Network
from neurosam.signals.recording import Record

__all__ = ["REQUIRABLE", "check_word", "lacking"]

STEPS = "steps"
REQUIRABLE = ("spikes", "membrane", "current", "sam", "counts", "output", *OF_RUNS, OPERATIONS, STEPS)
"""What can be required: a variable of every population that has it, or all steps of both recordings."""


def lacking(result: Equivalence, required: Sequence[str], network: Network | None = None) -> tuple[str, ...]:
    """What was required, and not compared.

    Parameters
    ----------
    result : Equivalence
    required : sequence of str
        Words of REQUIRABLE, or a variable of one population: ``spikes.conv1``.
    network : Network, optional
        Says which populations have a variable; without it they are those that either recording holds.

    Raises
    ------
    ArgumentError
        For a word that is none of them, or a population that the network does not have.
    NeurosamError
        If nothing of it is there: no population of the network has it, or it is in neither recording.

    Examples
    --------
    >>> from neurosam.equivalence import Tally, lacking
    >>> result = ns.Equivalence(("event", "dut"), 8, 1, {("conv1", "spikes"): Tally(80)}, in_one=(("conv2", "spikes"),))
    >>> lacking(result, ["spikes"]), lacking(result, ["spikes.conv1"])
    (('spikes of conv2',), ())
    """
    missing: list[str] = []
    for word in required:
        variable, population = check_word(word)
        if variable == STEPS:
            missing += [f"{result.steps_in_one} steps"] if result.steps_in_one else []
            continue
        compared = [name for (name, kind), tally in result.tallies.items() if kind == variable and tally.compared]
        alone = [name for name, kind in result.in_one if kind == variable]
        having = list(dict.fromkeys([*compared, *alone])) if network is None else _having(network, variable)
        if not having:
            who = "neither recording" if network is None else "no population of the network"
            raise NeurosamError(f"require: {variable}", f"{who} has it; require something else")
        if not compared and not alone and variable != OPERATIONS:
            raise NeurosamError(f"require: {variable}", "is in neither recording; record it, or require something else")
        if population and population not in having:
            raise ArgumentError(f"require: {word!r}", f"has no such population; those are {', '.join(having)}")
        wanted = [population] if population else having
        missing += [f"{variable} of {name}" for name in wanted if name not in compared]
    return tuple(dict.fromkeys(missing))


def check_word(word: str) -> tuple[str, str]:
    """The variable and the population, or "", that a requirement names."""
    variable, _, population = word.partition(".")
    if variable not in REQUIRABLE or (population and variable == STEPS):
        raise ArgumentError(f"require: {word[:64]!r}", f"is not known; allowed are {', '.join(REQUIRABLE)}")
    return variable, population


def _having(network: Network, variable: str) -> list[str]:
    """The populations (or projections) of which a run of the network has a variable."""
    everything = Record.everything(network)
    if variable in Record.__dataclass_fields__:
        return list(getattr(everything, variable))
    if variable == "output":
        return list(network.answers)
    if variable == OPERATIONS:
        return list(dict.fromkeys(projection.label for projection in network.projections))
    if variable == "counts":
        return [p.name for p in network.populations if p.fires]
    return list(everything.membrane) if network.fixed else []
