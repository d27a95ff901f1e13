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
    "arithmetic": Area(("neurosam.arithmetic",), ("tests/unit/test_arithmetic.py",)),
    "validation": Area(
        ("neurosam.network.validation",), ("tests/unit/test_validation.py", "tests/unit/test_network.py")
    ),
    "schedule": Area(("neurosam.network.schedule",), ("tests/unit/test_schedule.py", "tests/unit/test_network.py")),
    "quantise": Area(("neurosam.deploy.quantise",), ("tests/unit/test_quantise.py",)),
    "rounding": Area(
        ("neurosam.equivalence.rounding",), ("tests/unit/test_rounding.py", "tests/unit/test_equivalence.py")
    ),
    "divergence": Area(
        ("neurosam.equivalence.divergence",), ("tests/unit/test_divergence.py", "tests/unit/test_equivalence.py")
    ),
    "reader": Area(("neurosam.hdf5.reader",), ("tests/unit/test_reader.py", "tests/unit/test_hdf5.py")),
    "event plan": Area(
        (
            "neurosam.backends.event.plan.projections",
            "neurosam.backends.event.plan.populations",
            "neurosam.backends.event.plan.inputs",
            "neurosam.backends.event.plan.compiled",
        ),
        (
            "tests/unit/test_event_plan.py",
            "tests/conformance/test_backends.py",
            "tests/unit/test_event_floats.py",
            "tests/unit/test_event_paths.py",
            "tests/unit/test_event_reuse.py",
            "tests/unit/test_event_recurrent.py",
        ),
        "not reference and not lava and not helper and not thread and not any_fixed_network",
    ),
}


def source_of(module: str) -> Path:
    """The file of a module."""
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")
