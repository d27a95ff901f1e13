"""Optional packages: which of neurosam's extras installs each, and what a user is told where one is missing."""

from __future__ import annotations

from importlib.util import find_spec

from neurosam.errors import MissingPackageError

__all__ = ["EXTRAS", "missing_package", "require_package"]

EXTRAS = {
    "torch": "torch", "safetensors": "torch", "matplotlib": "viz", "PIL": "viz", "nir": "nir", "faery": "events",
    "networkx": "frames", "pandas": "frames", "xarray": "frames", "mlxtend": "demo",
    "pymetis": "hw",
}  # fmt: skip
"""The extra of each optional package."""


def require_package(where: str, *packages: str) -> None:
    """Refuse to go on without packages, in one sentence that says how to install them.

    Raises
    ------
    MissingPackageError
        If one is not installed.
    """
    for package in packages:
        try:
            installed = find_spec(package) is not None
        except (ImportError, ValueError):
            installed = False
        if not installed:
            raise missing_package(where, package)


def missing_package(where: str, package: str) -> MissingPackageError:
    """The error to raise."""
    extra = EXTRAS.get(package.partition(".")[0])
    remedy = f"pip install 'neurosam[{extra}]'" if extra else f"pip install {package}"
    error = MissingPackageError(where, f"needs {package}, which is not installed: {remedy}")
    error.name = package
    return error
