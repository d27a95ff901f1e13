"""The experiments by name: from the models of one seed to what was found, each with a version.

Raise an experiment's version when it would find something else: that one is then run again, and no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neurosam_study import behaviour, localisation, sanity_checks
from neurosam_study.deployment import deployment
from neurosam_study.models import Models
from neurosam_study.results import Found

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
    about : str
        What its table shows, in a sentence or two.
    """

    run: Callable[[Models], Found]
    version: int = 1
    about: str = ""


AGREEMENT = "Agreement"
"""Kept by seed as maps; its figures compare the seeds, and are made anew for every table."""

EXPERIMENTS: dict[str, Experiment] = {
    "Accuracy": Experiment(behaviour.accuracies, about="Share of the held-out pictures that are recognised."),
    "Fig. 3": Experiment(
        localisation.variance,
        about="Variance over the pixels of each step's normalised map, the largest over the steps; mean over pictures.",
    ),
    "Fig. 6a": Experiment(
        localisation.localisation,
        about="Cross-entropy to the ANN's Grad-CAM, the least over the steps (our restatement; lower is "
        'closer); under "mask", share of the summed map inside the exact mask (higher is better).',
    ),
    "Fig. 6b": Experiment(
        behaviour.activity,
        about="Spikes of a step as a share of those of the busiest step: at the first, the last and the least "
        "busy one.",
    ),
    "Table 1": Experiment(
        localisation.leaks, about="Nets trained with several leaks: localisation error as in Fig. 6a, and accuracy."
    ),
    "Fig. 8": Experiment(localisation.gammas, about="Localisation error as in Fig. 6a, of maps with several gammas."),
    "Fig. 9": Experiment(
        behaviour.robustness,
        about="Accuracy at several epsilons in 255ths; mean distance of maps before and after, the largest "
        "over the steps; share of the accuracy that 4/255 costs.",
    ),
    "Fig. 10": Experiment(
        behaviour.suppressed,
        about="Two items at once: share of a step's map in the half of the item that is predicted; 0.5 is no "
        "preference.",
    ),
    "Deletion": Experiment(
        sanity_checks.perturbation,
        about="Area under the curve of the true class's probability while pixels vanish (lower is better), or "
        "come back (higher is better), in the order of a map.",
    ),
    "Sanity": Experiment(
        sanity_checks.sanity,
        about="Rank correlation with the original map after weights were shuffled from the readout down; 1: "
        "the map does not notice.",
    ),
    AGREEMENT: Experiment(
        sanity_checks.common_maps,
        about="Mean Pearson correlation of maps of two seeds' nets, for the same pictures and the same spikes.",
    ),
    "Deployment": Experiment(
        deployment,
        about="Items as they are: accuracy, and how many values two back ends were compared in, and differ in.",
    ),
    "Run time": Experiment(
        sanity_checks.run_times,
        about="Seconds for each picture: the median of three rounds in which all methods explain the same "
        "pictures in turns.",
    ),
}
"""By their name in the paper, then those that are ours."""
