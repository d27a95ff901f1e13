"""Where an optional package is missing, a user reads one sentence with the command that installs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import neurosam as ns
from neurosam._util.packages import EXTRAS, missing_package, require_package

WITHOUT = """
import importlib, json, pathlib, sys
blocked = sys.argv[1].split(",")
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import neurosam
from neurosam.errors import MissingPackageError
root, raw = pathlib.Path(neurosam.__file__).parent, {}
for package in sorted(path.parent for path in root.rglob("__init__.py")):
    name = ".".join(package.relative_to(root.parent).parts)
    try:
        importlib.import_module(name)
    except MissingPackageError as error:
        raw[name] = str(error)
for name in neurosam.__all__:
    try:
        getattr(neurosam, name)
    except MissingPackageError as error:
        raw[f"ns.{name}"] = str(error)
print(json.dumps(raw))
"""


@pytest.mark.parametrize(
    "packages", ["torch,safetensors", "matplotlib,PIL", "pandas,xarray,networkx,nir,faery,mlxtend"]
)
def test_every_package_and_name_without(packages: str) -> None:
    """No ModuleNotFoundError but ours gets out, and the message names the extra."""
    done = subprocess.run([sys.executable, "-c", WITHOUT, packages], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    if packages.startswith("torch"):
        assert told["ns.export"] == "ns.export: needs torch, which is not installed: pip install 'neurosam[torch]'"
        assert {"neurosam.training", "neurosam.attribution", "ns.check_export"} <= told.keys()
        assert not {"ns.run", "ns.load", "ns.SAM", "ns.quantise"} & told.keys()
    else:
        assert told == {}


def test_the_error_is_one_of_ours_and_pythons() -> None:
    with pytest.raises(
        ns.MissingPackageError, match=r"^x: needs no_such, which is not installed: pip install no_such$"
    ):
        require_package("x", "torch", "no_such")
    for missing, extras in (("torch", "matplotlib", "mlxtend"), "demo"), (("nir", "pandas", "xarray"), "nir,frames"):
        assert str(missing_package("x", *missing)).endswith(f"pip install 'neurosam[{extras}]'")
    assert issubclass(ns.MissingPackageError, (ns.BackendError, ModuleNotFoundError))


def test_extras_are_those_of_the_project() -> None:
    tomllib = pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for package, extra in EXTRAS.items():
        names = " ".join(project["optional-dependencies"][extra]).lower()
        assert {"PIL": "pillow"}.get(package, package).lower() in names
