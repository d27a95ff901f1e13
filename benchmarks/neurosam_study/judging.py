"""Every method at the level of pixels and of spikes, for nets trained with rate, latency and direct coding.

    deletion, insertion   area under the curve of the true class's probability, pixels or spikes blanked or restored
    road                  (least - most) / 2: the same by pixels that are filled in from their neighbours, not blanked;
                          the area when the lowest ranks go first minus that when the highest do
    mass                  share of the positive map inside the exact mask
    sparseness            Gini coefficient of the map, at the size of the input
    sensitivity           largest relative change of the map when pixels change by at most 0.02, the spikes' draw shared

Figures are named ``poisson/pixel/deletion/SAM float``. Deletion, insertion and road ask the net in the form that they
are listed under; a map that exists in torch only is given to both. The last three concern the map alone, so that those
of such methods have no form.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neurosam.evaluation import deletion, insertion, max_sensitivity, road, sparseness
from neurosam.explain.localisation import mass_inside
from neurosam_study.localisation import EXAMPLES, NO_MASKS, examples
from neurosam_study.maps import Array, stored
from neurosam_study.methods import BOTH_FORMS, Case, map_of, scores_of
from neurosam_study.models import FORMS, Models
from neurosam_study.plan import DRAWS
from neurosam_study.results import Result

__all__ = ["CURVES", "applicable", "figure", "judge_methods", "judged_maps", "perturbed", "properties"]

CURVES = {"deletion": deletion, "insertion": insertion}
POINTS = 10
"""Points of a curve, without its start."""
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Shares of the pixels that ROAD removes."""
SENSITIVE, CHANGES, RADIUS = 10, 4, 0.02
"""Images, random changes of each, and their largest size in intensity, of max-sensitivity."""
GRADED = "Direct coding has no input spikes, so it is judged by pixels alone."
NO_PIXELS = "Recordings have no draws, and no pixels to change a little or to fill in; what needs them is left out."


def figure(data: str, level: str, metric: str, method: str, form: str) -> str:
    """The name of a figure; its form is left out where the net has no part in it."""
    formless = metric in ("mass", "sparseness", "sensitivity") and method.removesuffix(DRAWS) not in BOTH_FORMS
    return f"{data}/{level}/{metric}/{method}" + ("" if formless else f" {form}")


def judge_methods(models: Models) -> Result:
    """Judge every method of the plan under every coding, on the first explained images."""
    plan, layer = models.plan, models.layers[0]
    chosen = models.explained.subset(np.arange(min(plan.judged, len(models.explained))))
    values: dict[str, Array] = {}
    arrays: dict[str, npt.NDArray[np.generic]] = {} if plan.recordings else dict(examples(models))
    for coding in plan.judged_codings:
        case = Case.of_images(models.surrogate(coding=coding), plan, layer, chosen.images, chosen.labels, models.seed)
        for form in FORMS:
            hits = case.net.hits(form, models.test.images, models.test.labels, models.seed)
            values[f"{coding}/accuracy {form}"] = hits
        for name in applicable(case):
            for form, (found, own) in judged_maps(case, name).items():
                values |= perturbed(case, coding, name, form, found)
                if own:
                    values |= properties(coding, name, form, found, chosen.masks)
                    arrays[f"{coding}/{name} {form}"] = stored(found[:EXAMPLES])
                    if name != "random" and case.images is not None:
                        values[figure(coding, "pixel", "sensitivity", name, form)] = _sensitivity(case, name, form)
    notes = (NO_MASKS,) * (chosen.masks is None) + (GRADED,) * ("direct" in plan.judged_codings)
    notes += (NO_PIXELS,) * plan.recordings
    return Result(arrays=arrays, notes=notes, values=values)


def applicable(case: Case) -> tuple[str, ...]:
    """The methods of the plan that apply: only images in a random coding have draws."""
    drawn = case.images is not None and case.net.coding == "poisson"
    return tuple(name for name in case.plan.methods if drawn or not name.endswith(DRAWS))


def judged_maps(case: Case, name: str) -> dict[str, tuple[Array, bool]]:
    """The map by form, and whether it is the form's own: one that exists in torch only is judged in both."""
    first = map_of(case, name, FORMS[0])
    if name.removesuffix(DRAWS) not in BOTH_FORMS:
        return {form: (first, form == FORMS[0]) for form in FORMS}
    return {FORMS[0]: (first, True), FORMS[1]: (map_of(case, name, FORMS[1]), True)}


def perturbed(case: Case, data: str, name: str, form: str, maps: Array) -> dict[str, Array]:
    """Deletion, insertion and ROAD of a method for each sample."""
    predict = case.net.predictor(form)
    values: dict[str, Array] = {}
    rankings = {"pixel": maps}
    scores = None if case.net.coding == "direct" else scores_of(case, name, form)
    if scores is not None:
        rankings["spike"] = scores
    for level, ranking in rankings.items():
        for how, curve in CURVES.items():
            found = curve(predict, case.x, ranking, case.labels, level=level, points=POINTS, seed=case.seed)
            values[figure(data, level, how, name, form)] = found.area
    if case.images is not None:

        def of_images(images: npt.NDArray[np.generic]) -> Array:
            return predict(case.net.encode(images, case.seed).dense())

        least, most = (
            road(
                of_images, case.images, maps, case.labels, shares=SHARES, order=order, measure="probability",
                seed=case.seed,
            ).area
            for order in ("least", "most")
        )  # fmt: skip
        values[figure(data, "pixel", "road", name, form)] = (least - most) / 2
    return values


def properties(data: str, name: str, form: str, maps: Array, masks: npt.NDArray[np.bool_] | None) -> dict[str, Array]:
    """What can be said of a map without asking the net: sparseness, and with masks the mass inside them."""
    found = {figure(data, "pixel", "sparseness", name, form): sparseness(maps)}
    return found if masks is None else found | {figure(data, "pixel", "mass", name, form): mass_inside(maps, masks)}


def _sensitivity(case: Case, name: str, form: str) -> Array:
    if case.images is None:
        raise ValueError(f"{name}: recordings have no pixels that change a little")

    def explain(moved: npt.NDArray[np.float32]) -> Array:
        return map_of(case.shown(moved), name, form)

    return max_sensitivity(explain, case.images[:SENSITIVE], radius=RADIUS, samples=CHANGES, seed=case.seed)
