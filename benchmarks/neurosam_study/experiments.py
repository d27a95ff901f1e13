"""The experiments by name, each with a version: from the models of one seed to a result.

Raise the version of an experiment when its results change; then only this experiment is run again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neurosam_study import behaviour, judging, localisation, sanity_checks, weights
from neurosam_study.deployment import deployment
from neurosam_study.models import Models
from neurosam_study.results import Result

__all__ = ["AGREEMENT", "EXPERIMENTS", "METHODS", "WEIGHTS", "Experiment"]


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Parameters
    ----------
    run : callable
        From the models of a seed to a result.
    version : int
        Version of the results in the cache.
    about : str
        Description of its table, in a sentence or two.
    share : float
        Its usual share of a seed's time, with the trainings that it is the first to need; for estimates.
    recordings : bool
        Whether it can be made with recordings of an event camera, which are no pictures.
    """

    run: Callable[[Models], Result]
    version: int = 1
    about: str = ""
    share: float = 1.0
    recordings: bool = False


METHODS, WEIGHTS = "Methods", "Weights"
AGREEMENT = "Agreement"
"""Cached as maps of each seed; its figures compare the seeds and are computed again for every table."""

EXPERIMENTS: dict[str, Experiment] = {
    "Accuracy": Experiment(
        behaviour.accuracies, about="Share of held-out images that are classified correctly.", share=30, recordings=True
    ),
    "Fig. 3": Experiment(
        localisation.variance,
        about="Variance over the pixels of each step's normalised map, maximum over steps; mean over images.",
        share=5,
    ),
    "Fig. 6a": Experiment(
        localisation.localisation,
        about="Cross-entropy to the ANN's Grad-CAM, minimum over steps (our restatement; lower is "
        'closer); under "mask", share of the summed map inside the exact mask (higher is better).',
        share=5,
    ),
    "Fig. 6b": Experiment(
        behaviour.activity,
        about="Spikes of a step as a share of the busiest step's: at the first, the last and the least active step.",
        share=1,
        recordings=True,
    ),
    "Table 1": Experiment(
        localisation.leaks,
        about="Nets trained with different leaks: localisation error as in Fig. 6a, and accuracy.",
        share=20,
    ),
    "Fig. 8": Experiment(localisation.gammas, about="Localisation error as in Fig. 6a for different gammas.", share=10),
    "Fig. 9": Experiment(
        behaviour.robustness,
        about="Accuracy at several epsilons in 255ths; mean distance between maps before and after the attack, "
        "maximum over steps; share of the accuracy lost at 4/255.",
        share=6,
    ),
    "Fig. 10": Experiment(
        behaviour.suppressed,
        about="Two items at once: of a step's map inside the masks of both, the share inside the predicted one; "
        "without a preference it is that of the mask's area. Layers whose receptive field exceeds half the picture are "
        "left out.",
        share=5,
    ),
    METHODS: Experiment(
        judging.judge_methods,
        about="Every method for nets of three codings: areas under the curves of the true class's probability while "
        "pixels or input spikes are deleted (lower is better) or inserted (higher is better); ROAD without blanks "
        "(higher is better); share of mass in the mask; sparseness (Gini); largest relative change of the map when "
        "pixels move by at most 0.02.",
        share=60,
        recordings=True,
    ),
    WEIGHTS: Experiment(
        weights.rounded_weights,
        about="Weights rounded to few bits: accuracy, correlation of SAM and of the spike count with those of the net "
        'that is not rounded, skill over its spike count, deletion and insertion by the rounded net. "8 bits" is the '
        "event back end with so many bits per weight.",
        share=8,
        recordings=True,
    ),
    "Sanity": Experiment(
        sanity_checks.sanity,
        version=2,
        about="Rank correlation with the original map after weights were shuffled from the readout down; 1: "
        "the map does not depend on them. Beside it, that of two draws of the input's spikes.",
        share=4,
    ),
    AGREEMENT: Experiment(
        sanity_checks.common_maps,
        about="Mean Pearson correlation between maps of two seeds' nets, for the same images and the same spikes.",
        share=3,
        recordings=True,
    ),
    "Deployment": Experiment(
        deployment,
        about="Images without canvases: accuracy, and the number of values compared between two back ends that differ.",
        share=8,
        recordings=True,
    ),
    "Run time": Experiment(
        sanity_checks.run_times,
        about="Seconds per image: the median of three rounds in which all methods explain the same images in turn.",
        share=1,
    ),
}
"""Experiments of the paper under its names, then ours."""
