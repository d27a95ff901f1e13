"""The experiments by name: from the models of one seed to what was found, each with a version.

Raise an experiment's version when it would find something else: that one is then run again, and no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neurosam.study import behaviour, localising, trust
from neurosam.study.deployment import deployment
from neurosam.study.found import Found
from neurosam.study.models import Models

__all__ = ["AGREEMENT", "EXPERIMENTS", "Experiment"]


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Parameters
    ----------
    run : callable
        From the models of a seed to what was found.
    version : int
        Of what is kept in the cache.
    """

    run: Callable[[Models], Found]
    version: int = 1


AGREEMENT = "Agreement"
"""Kept by seed as maps; its figures compare the seeds, and are made anew for every table."""

EXPERIMENTS: dict[str, Experiment] = {
    "Accuracy": Experiment(behaviour.accuracies),
    "Fig. 3": Experiment(localising.variance),
    "Fig. 6a": Experiment(localising.localisation),
    "Fig. 6b": Experiment(behaviour.activity),
    "Table 1": Experiment(localising.leaks),
    "Fig. 8": Experiment(localising.gammas),
    "Fig. 9": Experiment(behaviour.robustness),
    "Fig. 10": Experiment(behaviour.suppressed),
    "Deletion": Experiment(trust.perturbation),
    "Sanity": Experiment(trust.sanity),
    AGREEMENT: Experiment(trust.common_maps),
    "Deployment": Experiment(deployment),
    "Run time": Experiment(trust.run_times),
}
"""By their name in the paper, then those that are ours."""
