"""Whether an explanation is any good: agreement, perturbation, sanity checks, attacks, and the paper's own measures.

| question | function |
|---|---|
| How close is a map to a reference map? | `localisation_error`, against `best_constant_error` |
| Does it discriminate, or smear? | `pixel_variance` |
| Do the pixels or spikes it ranks first matter to the model? | `deletion`, `insertion` |
| Does it depend on what the model has learned? | `weight_randomisation` |
| Do two trained copies agree? Two inputs? | `agreement`, `pearson`, `spearman`, `map_distance` |
| Of two items, does it settle on the one that is predicted? | `suppression` |
| How do model and map take an attack? | `fgsm`, `spiking_fgsm`, `map_distance` |
| How busy is a layer at each step? | `layer_activity` |

Maps are ``[T, B, H, W]`` or ``[B, H, W]`` arrays from whichever method; shares of mass in exact masks and the pointing
game are in :mod:`neurosam.explain.localisation`, with the trivial baselines that belong beside every figure. What runs
a model takes a `Predictor`, so that the same measure applies to a torch module and to a network on any back end, fixed
point included.
"""

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
