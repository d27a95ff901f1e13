"""What is mutated, and by which tests each part is held: those nearest to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["AREAS", "ROOT", "Area", "source_of"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Area:
    """Modules, the test files that are run for each of their mutants in this order, and pytest's ``-k`` for these."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    only: str = ""


AREAS = {
    "arithmetic": Area(("neurosam.arithmetic",), ("tests/network/test_arithmetic.py",)),
    "validation": Area(
        ("neurosam.network.validation",), ("tests/network/test_validation.py", "tests/network/test_network.py")
    ),
    "schedule": Area(
        ("neurosam.network.schedule", "neurosam.network.alignment"),
        ("tests/network/test_schedule.py", "tests/network/test_alignment.py", "tests/network/test_network.py"),
    ),
    "dynamics": Area(
        (
            "neurosam.network.dynamics",
            "neurosam.network.bounds",
            "neurosam.network.expand",
            "neurosam.network.parameters",
        ),
        (
            "tests/network/test_dynamics.py",
            "tests/network/test_expand.py",
            "tests/network/test_bounds.py",
            "tests/network/test_network.py",
        ),
    ),
    "metrics": Area(
        (
            "neurosam.metrics.connections",
            "neurosam.metrics.layers",
            "neurosam.metrics.measures",
            "neurosam.metrics.operations",
            "neurosam.metrics.static",
        ),
        ("tests/metrics/test_neurobench.py", "tests/metrics/test_metrics.py"),
    ),
    "quantise": Area(
        (
            "neurosam.deploy.quantise",
            "neurosam.deploy.fixed_neuron",
            "neurosam.deploy.error_model",
            "neurosam.deploy.headroom",
            "neurosam.deploy.units",
            "neurosam.deploy.unit_search",
            "neurosam.deploy.quantisation_report",
        ),
        (
            "tests/deploy/test_quantise.py",
            "tests/deploy/test_units.py",
            "tests/deploy/test_headroom.py",
            "tests/deploy/test_calibration.py",
        ),
    ),
    "rounding": Area(
        ("neurosam.equivalence.rounding", "neurosam.equivalence.threshold"),
        (
            "tests/equivalence/test_rounding.py",
            "tests/equivalence/test_threshold.py",
            "tests/equivalence/test_equivalence.py",
        ),
    ),
    "divergence": Area(
        ("neurosam.equivalence.divergence", "neurosam.equivalence.tolerance", "neurosam.equivalence.variables"),
        ("tests/equivalence/test_divergence.py", "tests/equivalence/test_equivalence.py"),
    ),
    "reader": Area(("neurosam.hdf5.reader",), ("tests/hdf5/test_reader.py", "tests/hdf5/test_hdf5.py")),
    "event plan": Area(
        (
            "neurosam.backends.event.plan.projections",
            "neurosam.backends.event.plan.populations",
            "neurosam.backends.event.plan.inputs",
            "neurosam.backends.event.plan.compiled",
        ),
        (
            "tests/event/test_plan.py",
            "tests/conformance/test_backends.py",
            "tests/event/test_floats.py",
            "tests/event/test_paths.py",
            "tests/event/test_reuse.py",
            "tests/event/test_recurrent.py",
        ),
        "not reference and not lava and not helper and not thread and not any_fixed_network",
    ),
}


def source_of(module: str) -> Path:
    """The file of a module."""
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")
