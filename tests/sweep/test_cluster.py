"""A Dask cluster as workers; skipped without the extra dask."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import neurosam as ns
from neurosam.sweep import Cluster, run_sweep
from support.sweeping import network, pictures, stimulus

distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # of Dask and Tornado, which are not ours


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as running:
        yield running


def test_the_same_bits(cluster: Any, tmp_path: Path) -> None:
    net, source = network(), pictures(12)
    everything = ns.Record.everything(net)
    with distributed.Client(cluster) as client:
        workers = Cluster(client)
        recording = run_sweep(net, source, tmp_path / "run.h5", workers, everything)
        assert workers.count() == 2
    assert recording.same_as(ns.run(net, stimulus().encode(source.images, 3), record=everything))


def test_no_scheduler() -> None:
    with pytest.raises(ns.BackendError, match=r"the Dask cluster at tcp://127.0.0.1:1: cannot be reached"):
        Cluster("tcp://127.0.0.1:1")
