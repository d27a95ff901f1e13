"""Every test with a parameter `backend` runs for each installed back end (but see support/backends.py).

A module with ``STATES = True`` starts and ends runs in states, which not all of them have.
"""

from __future__ import annotations

import pytest

from support.backends import held, installed, ready


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each back end."""
    if "backend" in metafunc.fixturenames:
        names = held(metafunc.definition.originalname, installed(), states=getattr(metafunc.module, "STATES", False))
        metafunc.parametrize("backend", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> str:
    """The name of a back end that works here."""
    name: str = request.param
    ready(name)
    return name
