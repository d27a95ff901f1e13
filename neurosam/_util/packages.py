"""Optional packages: which of neurosam's extras installs each, and what a user is told where one is missing."""

from __future__ import annotations

from importlib.util import find_spec

from neurosam.errors import MissingPackageError

__all__ = ["EXTRAS", "missing_package", "missing_packages", "require_package"]

EXTRAS = {
    "torch": "torch", "safetensors": "torch", "matplotlib": "viz", "PIL": "viz", "nir": "nir", "faery": "events",
    "networkx": "frames", "pandas": "frames", "xarray": "frames", "mlxtend": "demo",
    "pymetis": "hw", "distributed": "dask",
}  # fmt: skip
"""The extra of each optional package."""


def require_package(where: str, *packages: str) -> None:
    """Refuse to go on without packages, in one sentence that says how to install them.

    Raises
    ------
    MissingPackageError
        If one is not installed.
    """
    missing = missing_packages(*packages)
    if missing:
        raise missing_package(where, missing[0], *missing[1:])


def missing_packages(*packages: str) -> list[str]:
    """Those that are not installed."""
    return [package for package in packages if not _installed(package)]


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def missing_package(where: str, package: str, *others: str) -> MissingPackageError:
    """The error to raise for a package; what installs `others`, which are missing too, is said with it."""
    extras = dict.fromkeys(EXTRAS.get(name.partition(".")[0], "") for name in (package, *others))
    extra = "demo" if "demo" in extras else ",".join(name for name in extras if name)
    remedy = f"pip install 'neurosam[{extra}]'" if extra else f"pip install {package}"
    error = MissingPackageError(where, f"needs {package}, which is not installed: {remedy}")
    error.name = package
    return error
