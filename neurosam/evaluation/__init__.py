"""Measures of the quality of explanations: agreement, perturbation, sanity checks, attacks, and those of the SAM paper.

| question | function |
|---|---|
| How close is a map to a reference map? | `localisation_error`, against `best_constant_error` |
| Is it focused or diffuse? | `pixel_variance` |
| Do the pixels or spikes it ranks first matter to the model? | `deletion`, `insertion`; without blanks `road` |
| Does it say by how much the answer falls? | `infidelity` |
| Does it change when the input hardly does? | `max_sensitivity` |
| Does it point at the object, or at its class's cell of a grid? | `relevance_rank`, `grid_pointing` |
| Is it concentrated on few pixels? | `sparseness` |
| Does it say more than a spike count? | `skill`; over what a reader sees `support_spearman`, `top_iou` |
| Does it depend on what the model has learned? | `weight_randomisation` (MPRT) |
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
from neurosam.evaluation.grid_pointing import grid_pointing
from neurosam.evaluation.infidelity import infidelity
from neurosam.evaluation.perturbation import Curve, deletion, insertion
from neurosam.evaluation.predictor import Predictor, of_module, of_network
from neurosam.evaluation.randomisation import randomised, weight_randomisation
from neurosam.evaluation.relevance import relevance_rank
from neurosam.evaluation.road import impute, road
from neurosam.evaluation.sensitivity import max_sensitivity
from neurosam.evaluation.skill import skill, support_spearman, top_iou
from neurosam.evaluation.sparseness import sparseness
from neurosam.evaluation.suppression import layer_activity, suppression

__all__ = [
    "Curve",
    "Predictor",
    "agreement",
    "best_constant_error",
    "deletion",
    "fgsm",
    "grid_pointing",
    "impute",
    "infidelity",
    "insertion",
    "layer_activity",
    "localisation_error",
    "map_distance",
    "max_sensitivity",
    "of_module",
    "of_network",
    "pearson",
    "pixel_variance",
    "randomised",
    "relevance_rank",
    "road",
    "skill",
    "sparseness",
    "spearman",
    "spiking_fgsm",
    "support_spearman",
    "suppression",
    "top_iou",
    "weight_randomisation",
]
