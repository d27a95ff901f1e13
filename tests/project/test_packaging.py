"""pyproject.toml, the two constraints files and the files of the wheel are consistent."""

from __future__ import annotations

import re
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import neurosam

ROOT = Path(__file__).parents[2]
CHIPS = (
    "darwin3", "example", "loihi1", "loihi2", "odin", "sanafe-loihi", "speck", "spinnaker2", "truenorth", "xylo-a2",
    "xylo-a3", "xylo-imu",
)  # fmt: skip
SKELETONS = ("Makefile", "bench.c", "bench.h", "lif.c", "lif.h", "lif.v", "sam_trace.v", "tb.v")
SCRIPTS = ("charts", "controls", "data", "input", "maps", "neurons", "paint", "pick", "raster", "trace")  # of the page


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    tomllib = pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return content


def lower_bounds(requirements: list[str]) -> dict[str, str]:
    """Name and lower bound of each requirement, without extras of neurosam itself."""
    pairs = (re.fullmatch(r"([a-z0-9-]+)>=([0-9.]+)", r) for r in requirements if not r.startswith("neurosam["))
    return {pair[1]: pair[2] for pair in pairs if pair}


def pins(name: str) -> dict[str, str]:
    """Name (in lower case) and version of each line of a constraints file; fails at a line that is not a plain pin."""
    versions = {}
    for line in (ROOT / name).read_text().splitlines():
        if line and not line.startswith("#"):
            pin = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.]*)", line)
            assert pin, f"{name}: {line!r} is not NAME==VERSION"
            versions[pin[1].lower().replace("_", "-")] = pin[2]
    return versions


def run_time(project: dict[str, Any]) -> list[str]:
    extras = project["project"]["optional-dependencies"].values()
    return [*project["project"]["dependencies"], *chain.from_iterable(extras)]


def test_lowest_constraints_are_the_lower_bounds(project: dict[str, Any]) -> None:
    bounds = lower_bounds([*run_time(project), *project["dependency-groups"]["test"]])
    lowest = pins("constraints-lowest.txt")
    assert {name: lowest.get(name) for name in bounds} == bounds


def test_every_requirement_is_pinned_for_development(project: dict[str, Any]) -> None:
    groups = project["dependency-groups"]
    requirements = [*run_time(project), *groups["test"], *groups["lint"], *groups["docs"]]
    assert lower_bounds(requirements).keys() <= pins("constraints.txt").keys()


def test_every_requirement_is_name_and_lower_bound(project: dict[str, Any]) -> None:
    groups = project["dependency-groups"]
    requirements = {
        r
        for r in [*run_time(project), *groups["test"], *groups["lint"], *groups["docs"]]
        if not r.startswith("neurosam[")
    }
    assert len(lower_bounds(sorted(requirements))) == len(requirements)


def test_version_is_the_same_everywhere(project: dict[str, Any]) -> None:
    assert neurosam.__version__ == metadata.version("neurosam") == project["project"]["version"]
    assert f"\nversion: {neurosam.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def packages(project: dict[str, Any]) -> list[Path]:
    """The package folders of the wheel; hatchling adds every file in them that git does not ignore."""
    return [ROOT / folder for folder in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]


def wheel_files(project: dict[str, Any]) -> set[str]:
    """Names of the files in the wheel, except compiled and cached ones."""
    return {
        path.relative_to(folder.parent).as_posix()
        for folder in packages(project)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".nbi", ".nbc")
    }


def test_the_wheel_has_every_import_package(project: dict[str, Any]) -> None:
    folders = {path.parent for root in ("neurosam", "hw", "benchmarks") for path in ROOT.glob(f"{root}/**/__init__.py")}
    tops = {folder for folder in folders if not (folder.parent / "__init__.py").exists()}
    assert tops == set(packages(project))
    assert tops == {
        ROOT / name for name in ("neurosam", "hw/neurosam_hw", "benchmarks/neurosam_bench", "benchmarks/neurosam_study")
    }


def test_the_wheel_has_its_data_files_and_nothing_else(project: dict[str, Any]) -> None:
    files = wheel_files(project)
    names = [folder.name for folder in packages(project)]
    data = {f"{name}/py.typed" for name in names}
    data |= {"neurosam/FORMAT.md", "neurosam/report/page.css", "neurosam/report/page.html"}
    data |= {f"neurosam/report/viewer/{name}.js" for name in SCRIPTS}
    data |= {f"neurosam_hw/chips/{chip}.toml" for chip in CHIPS}
    data |= {f"neurosam_hw/vectors/skeletons/{name}" for name in SKELETONS}
    assert {name for name in files if not name.endswith(".py")} == data
    assert not [name for name in files if {"tests", "docs", "peers"} & set(name.split("/"))]


def test_every_entry_point_is_in_the_wheel(project: dict[str, Any]) -> None:
    files = wheel_files(project)
    groups = [project["project"]["scripts"], *project["project"]["entry-points"].values()]
    for target in chain.from_iterable(group.values() for group in groups):
        module = target.partition(":")[0].replace(".", "/")
        assert {f"{module}.py", f"{module}/__init__.py"} & files, target
    commands = project["project"]["entry-points"]["neurosam.commands"]
    assert commands.keys() == {"bench", "study", "lava", "chips", "map", "cost", "hw", "vectors"}
