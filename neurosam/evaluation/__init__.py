"""Measures of the quality of explanations: agreement, perturbation, sanity checks, attacks, and those of the SAM paper.

| question | function |
|---|---|
| How close is a map to a reference map? | `localisation_error`, against `best_constant_error` |
| Is it focused or diffuse? | `pixel_variance` |
| Do the pixels or spikes it ranks first matter to the model? | `deletion`, `insertion` |
| Does it depend on what the model has learned? | `weight_randomisation` |
| Do the maps of independent trainings, or of two inputs, agree? | `agreement`, `pearson`, `spearman`, `map_distance` |
| Shown two items, does it settle on the predicted one? | `suppression` |
| How do model and map respond to an attack? | `fgsm`, `spiking_fgsm`, `map_distance` |
| How active is a layer in each step? | `layer_activity` |

Maps are ``[T, B, H, W]`` or ``[B, H, W]`` arrays from any method. The fraction of mass in exact masks and the pointing
game are in :mod:`neurosam.explain.localisation`, together with the trivial baselines that every score should be
compared with. Functions that run a model take a `Predictor`, so they apply to a torch module as well as to a network on
any back end, including in fixed point.
"""

from neurosam._util.packages import require_package

require_package("neurosam.evaluation", "torch")

from neurosam.evaluation.adversarial import fgsm, spiking_fgsm
from neurosam.evaluation.agreement import (
    agreement,
    best_constant_error,
    localisation_error,
    map_distance,
    pearson,
    pixel_variance,
    spearman,
)
from neurosam.evaluation.perturbation import Curve, deletion, insertion
from neurosam.evaluation.predictor import Predictor, of_module, of_network
from neurosam.evaluation.randomisation import randomised, weight_randomisation
from neurosam.evaluation.suppression import layer_activity, suppression

__all__ = [
    "Curve",
    "Predictor",
    "agreement",
    "best_constant_error",
    "deletion",
    "fgsm",
    "insertion",
    "layer_activity",
    "localisation_error",
    "map_distance",
    "of_module",
    "of_network",
    "pearson",
    "pixel_variance",
    "randomised",
    "spearman",
    "spiking_fgsm",
    "suppression",
    "weight_randomisation",
]
