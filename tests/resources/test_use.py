"""What a core uses equals what is counted synapse by synapse, on random networks and mappings."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.schedule import HardwareSchedule
from neurosam_hw.resources import use
from support.mappings import hardware_case, random_mapping
from support.networks import KINDS
from support.resource_oracle import explicit_use
from support.toy_chip import CRAMPED, LISTS, toy_chip


@pytest.mark.parametrize("figures", [CRAMPED, LISTS], ids=["shared", "lists"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_use_is_that_of_the_list(seed: int, kind: str, figures: dict[str, object]) -> None:
    rng = np.random.default_rng(seed)
    network, _ = hardware_case(rng, kind, fixed=seed % 3 > 0)
    try:
        HardwareSchedule.of(network)
    except MappingError:
        pytest.skip("a cycle without steps enough")
    mapping = random_mapping(rng, network, toy_chip(figures))  # type: ignore[arg-type]
    for found, expected in zip(use(mapping), explicit_use(mapping), strict=True):
        assert {name: asdict(found)[name] for name in expected} == expected
