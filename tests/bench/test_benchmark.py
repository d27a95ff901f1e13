"""The benchmark: its cases, the evaluation of its times, and that every part measures what it claims to."""

from __future__ import annotations

import json
import runpy
import time
import weakref
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d
from typer.testing import CliRunner

import neurosam as ns
from neurosam.cli import app
from neurosam.errors import BackendError, DataError, NeurosamError
from neurosam_bench import dense_int8, device, measure, sweeps
from neurosam_bench.cases import CASES, Case, Layer, chain, conv32, demo, drawn, floating, layer_names, sparse10k
from neurosam_bench.dense import ARRANGEMENTS, dense_runner
from neurosam_bench.dense_int8 import engines, int8_runner
from neurosam_bench.limits import roofline
from neurosam_bench.memory import fresh, measured
from neurosam_bench.page import markdown, table
from neurosam_bench.plots import plots
from neurosam_bench.profile import profile, shares
from neurosam_bench.sessions import NETWORKS, latency
from neurosam_bench.sizes import picture, recurrent
from neurosam_bench.suite import FULL, QUICK, SWEEPS, Plan, bench, bench_device
from neurosam_bench.timing import Timing, crossing, fit, turns

LIMITS = {"gather_G_per_s": 100.0, "gather_far_G_per_s": 50.0, "neurons_G_per_s": 2.0}


def tiny(density: float = 0.2) -> Case:
    """A convolution with pooling, one with summed input, and a readout: 200 neurons, 3 steps."""
    layers = (Layer(4, pooled=2), Layer(3, 3, summed=2), Layer(2, 0, fires=False))
    return chain("tiny", (2, 6, 6), layers, 3, density, seed=1)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    assert torch.get_num_threads() == 1  # measurements restore it
    torch.set_num_threads(threads)


def quiet(title: str) -> Any:
    return nullcontext(lambda done, total: None)


def tick(done: int, total: int) -> None:
    assert 0 < done <= total


# cases


def test_conv32_fires_at_its_density_in_every_layer() -> None:
    case = conv32(steps=5)
    again = conv32(steps=5)
    assert case.network == again.network
    recording = ns.run(case.network, case.events, threads=1)
    for name in layer_names(case.network, convolutions=True):
        share = recording.counts[name].sum() / (5 * np.prod(case.network[name].shape))
        assert 0.04 < share < 0.06


def test_sparse10k_is_alive_when_small() -> None:
    case = sparse10k(steps=20, neurons=300, targets=30)
    assert ns.run(case.network, case.events, threads=1).counts["a"].sum() > 0


def test_the_demo_case_is_the_architecture_of_the_demonstration() -> None:
    from neurosam.demo import Plan as DemoPlan
    from neurosam.deploy.from_torch import to_network
    from neurosam.training import build as architecture

    module = architecture(DemoPlan().architecture, (1, 48, 48), seed=0)
    trained, benchmarked = to_network(module, (1, 48, 48)), demo(steps=2).network
    assert [p.shape for p in benchmarked.populations] == [p.shape for p in trained.populations]
    for projection, expected in zip(benchmarked.projections, trained.projections, strict=True):
        assert projection.synapse.weight.shape == expected.synapse.weight.shape
        assert (projection.pool and projection.pool.geometry) == (expected.pool and expected.pool.geometry)


def test_thresholds_are_the_smallest_that_do_not_exceed_the_density() -> None:
    case = tiny()
    populations = list(case.network.populations)
    neuron = populations[1].neuron
    assert isinstance(neuron, ns.FixedLIF)
    expected = 0.2 * 3 * np.prod(populations[1].shape)

    def spikes(threshold: int) -> int:
        first = replace(populations[1], neuron=replace(neuron, threshold=threshold))
        network = ns.Network((populations[0], first), case.network.projections[:1])
        return int(ns.run(network, case.events).counts[first.name].sum())

    threshold = int(neuron.threshold)
    assert spikes(threshold) <= expected < spikes(threshold - 1)


def test_new_input_keeps_the_network() -> None:
    case = tiny()
    other = drawn(case, steps=7, samples=2)
    assert other.network is case.network
    assert (other.events.steps, other.events.samples) == (7, 2)
    assert abs(len(other.events) / (7 * 2 * 72) - case.density) < 0.05


def test_the_float_twin_fires_almost_as_often() -> None:
    case = conv32(steps=10)
    fixed_counts = ns.run(case.network, case.events).counts
    float_counts = ns.run(floating(case).network, case.events).counts
    for name in ("layer0", "layer1"):
        assert float_counts[name].sum() == pytest.approx(fixed_counts[name].sum(), rel=0.01)


@pytest.mark.parametrize("neurons", [2000, 20_000])
def test_sized_networks_have_about_the_requested_neurons_and_the_same_activity(neurons: int) -> None:
    for case in (picture(neurons, steps=4), recurrent(neurons, steps=4)):
        size = sum(int(np.prod(p.shape)) for p in case.network.populations if p.neuron is not None)
        assert size == pytest.approx(neurons, rel=0.1)
        spikes = ns.run(case.network, case.events).counts[case.network.populations[1].name].sum()
        assert 0.005 < spikes / (4 * np.prod(case.network.populations[1].shape)) < 0.1


def test_recurrent_neurons_receive_from_distinct_sources() -> None:
    synapse = recurrent(57).network.projections[1].synapse
    assert isinstance(synapse, ns.Sparse)
    assert (np.diff(synapse.indices.reshape(57, 10), axis=1) > 0).all()


# dense rivals


@pytest.mark.parametrize("case", [tiny(), conv32(steps=11)], ids=lambda case: case.name)
def test_every_arrangement_fires_as_the_float_network_does(case: Case) -> None:
    expected = ns.run(floating(case).network, case.events).counts
    for name in ARRANGEMENTS:
        runner = dense_runner(case, arrangement=name)
        runner()
        spikes = runner()  # the second run starts from rest again
        for population, counts in expected.items():
            if population != "in":
                assert spikes[population] == pytest.approx(counts.sum(), rel=0.002), (name, population)


@pytest.mark.parametrize("engine", engines())
@pytest.mark.parametrize("samples", [1, 2])
def test_int8_computes_every_output_of_every_convolution(
    engine: str, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense_int8, "engines", lambda: (engine,))
    before = torch.backends.quantized.engine
    case = drawn(tiny(), steps=7, samples=samples)  # calls of 1 and 5 steps, the last one shorter, and of all 7
    convolutions = int8_runner(case)
    assert convolutions.engine == engine
    assert len(convolutions.layers) == 2
    values = sum(7 * samples * int(np.prod(case.network[name].shape)) for name in ("layer0", "layer2"))
    assert convolutions() == convolutions() == values
    assert torch.backends.quantized.engine == before


def test_int8_that_is_not_the_convolution_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense_int8, "conv2d", lambda *arguments: conv2d(*arguments) + 2 * dense_int8.SCALE)
    with pytest.raises(BackendError, match="are not the convolutions of the case"):
        int8_runner(tiny())


def test_int8_needs_a_convolution_and_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="has no convolution to run"):
        int8_runner(sparse10k(steps=1, neurons=20, targets=2))
    monkeypatch.setattr(dense_int8, "engines", tuple)
    with pytest.raises(BackendError, match="this build of torch has no kernels"):
        int8_runner(tiny())


def test_dense_rivals_refuse_other_networks() -> None:
    with pytest.raises(BackendError, match="cannot run population 'a'"):
        dense_runner(sparse10k(steps=1, neurons=20, targets=2))


# times


def test_turns_run_every_variant_equally_often() -> None:
    calls: list[str] = []
    ticks: list[tuple[int, int]] = []
    times = turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 4, lambda *done: ticks.append(done))
    assert [len(t.seconds) for t in times.values()] == [4, 4]
    assert calls.count("a") == calls.count("b") == 1 + 4 * 4  # short runs: four per turn
    assert ticks == [(i, 8) for i in range(1, 9)]


def test_a_slow_variant_stops_after_three_runs() -> None:
    times = turns({"a": lambda: None, "b": lambda: time.sleep(0.02)}, 6, slow_s=0.05)
    assert [len(t.seconds) for t in times.values()] == [6, 3]
    times = turns({"a": lambda: time.sleep(0.002)}, 6, slow_s=0.001)
    assert len(times["a"].seconds) == 1
    compiles = iter([0.02])
    times = turns({"a": lambda: time.sleep(next(compiles, 0.0))}, 4, slow_s=0.01)
    assert len(times["a"].seconds) == 4


def test_ratios_are_medians_of_pairs() -> None:
    base, other = Timing((1.0, 10.0, 2.0)), Timing((2.0, 10.0, 6.0))
    assert base.median_s == 2.0
    assert other.over(base) == 2.0
    assert Timing((3.0,)).over(base) == 3.0


def test_a_fit_finds_known_costs() -> None:
    rng = np.random.default_rng(0)
    operations, updates = rng.uniform(1e6, 1e9, 12), rng.uniform(1e5, 1e7, 12)
    model = fit(operations, updates, 1e-3 + 2e-11 * operations + 3e-9 * updates)
    assert (model.fixed_s, model.operation_s, model.update_s) == pytest.approx((1e-3, 2e-11, 3e-9), rel=1e-6)
    assert model.r2 == pytest.approx(1.0)
    assert model.error < 1e-9
    np.testing.assert_allclose(model([1e9], [1e6]), [1e-3 + 2e-2 + 3e-3])
    noisy = fit(operations, updates, (1e-3 + 2e-11 * operations + 3e-9 * updates) * rng.uniform(0.5, 1.5, 12))
    assert 0 < noisy.r2 < 1
    assert noisy.error > 0.05


@pytest.mark.parametrize(
    ("operations", "updates", "seconds"),
    [
        ([1, 2, 3], [1, 3, 2], [1, 1, 1]),
        ([1, 2, 3, 4], [5, 5, 5, 5], [1, 2, 3, 4]),
        ([1, 2, 3, 4], [2, 4, 6, 8], [1, 2, 3, 4]),
        ([1, 2, 3, 4], [1, 3, 2, 5], [1, 2, 0, 4]),
        ([0, 0, 0, 0], [1, 2, 3, 4], [1, 2, 3, 4]),
    ],
)
def test_costs_that_cannot_be_separated_are_refused(
    operations: list[float], updates: list[float], seconds: list[float]
) -> None:
    with pytest.raises(NeurosamError, match="fit"):
        fit(operations, updates, seconds)


def test_a_crossing_lies_between_its_points() -> None:
    assert crossing([1, 100], [10, 0.1]) == pytest.approx(10.0)
    assert crossing([1, 2, 4], [8, 2, 0.5]) == pytest.approx(8**0.5)
    assert crossing([1, 2], [3, 2]) is None
    assert crossing([1, 2], [0.5, 0.2]) is None


# parts


def test_a_case_is_measured_in_all_variants() -> None:
    result = measure.measure(tiny(), 2, 3, "layer by layer", tick)
    labels = [row["what"] for row in result["rows"]]
    assert labels[0] == "event, 2 threads"
    assert any("SAM" in label for label in labels)
    assert {"event, 2 threads, float32", "event, 2 threads, float64"} < set(labels)
    assert any("PyTorch float32, 2 threads: layer by layer" in label for label in labels)
    assert result["rows"][0]["ratio"] == 1.0
    case = tiny()
    recording = ns.run(case.network, case.events)
    assert result["synaptic_operations"] == sum(recording.operations.values())
    assert result["spikes"] == {name: int(counts.sum()) for name, counts in recording.counts.items()}
    assert result["neuron_updates"] == 3 * (4 * 36 + 4 * 9 + 3 + 2)
    assert result["activity"] == (result["spikes"]["layer0"] + result["spikes"]["layer2"]) / (3 * (4 * 36 + 3))


def test_references_run_on_one_thread_and_on_all_and_name_the_best() -> None:
    rows, best = measure.references(tiny(), 2, 3, tick)
    labels = [row["what"] for row in rows]
    assert best in ARRANGEMENTS
    assert len(labels) == 1 + 2 * (len(ARRANGEMENTS) + 2)
    assert "reference back end, 1 thread, fixed point" in labels
    on_all_threads = {
        row["what"].split(": ")[-1]: row["median_s"] for row in rows if "PyTorch float32, 2 threads" in row["what"]
    }
    assert best == min(on_all_threads, key=lambda name: on_all_threads[name])


def test_a_case_without_dense_rivals_still_has_references() -> None:
    rows, best = measure.references(sparse10k(steps=20, neurons=30, targets=3), 1, 3)
    assert [row["steps"] for row in rows] == [10, 10]
    assert [row["what"] for row in rows] == ["event, 1 thread", "reference back end, 1 thread, fixed point"]
    assert best is None


def test_a_profile_covers_every_population() -> None:
    case = tiny()
    rows = profile(case, 3, LIMITS)
    assert [row["population"] for row in rows] == ["layer0", "pool1", "layer2", "layer3"]
    assert sum(row["of_run"] for row in rows) == pytest.approx(1.0)
    operations = ns.run(case.network, case.events).operations
    assert [row["operations"] for row in rows] == [operations[p.label] for p in case.network.projections]
    assert "limit" in rows[0]
    assert "limit" not in rows[1]


def test_the_parts_of_a_layers_time() -> None:
    result = shares(1.0, 20 * 10**9, 10**9, 10**6, LIMITS)
    assert (result["of_gather"], result["of_gather_far"]) == pytest.approx((0.2, 0.4))
    assert result["parts"] == pytest.approx({"gather": 0.2, "weights": 0.2, "neurons": 0.5, "the rest": 0.1})
    assert result["limit"] == "neurons"
    small = shares(1.0, 20 * 10**9, 10**9, 100, LIMITS)
    assert small["parts"] == pytest.approx({"gather": 0.2, "weights": 0.0, "neurons": 0.5, "the rest": 0.3})
    assert shares(1.0, 10**9, 10**6, 100, LIMITS)["limit"] == "the rest"
    assert shares(0.1, 10**11, 10**9, 100, LIMITS)["parts"]["the rest"] == 0.0


def test_the_limits_are_rates() -> None:
    result = roofline(steps=4, copied_bytes=2**16)
    assert set(result) >= set(LIMITS)
    assert all(rate > 0 for rate in result.values())


def test_a_fresh_process_measures_time_and_memory() -> None:
    result = fresh("picture", 1, 2, neurons=500, steps=3)
    assert result["neurons"] == 2 * 16 * 4 * 4
    assert result["updates"] == 3 * result["neurons"]
    assert len(result["seconds"]) == 2
    assert 0 < result["before_bytes"] <= result["peak_bytes"] < 2**31
    case = picture(500, steps=3)
    assert result["operations"] == sum(ns.run(case.network, case.events).operations.values())


def test_a_fresh_process_that_fails_says_why() -> None:
    with pytest.raises(BackendError, match="benchmark of 'nothing' in a new process: KeyError"):
        fresh("nothing", 1, 1)


def test_an_activity_sweep_counts_and_compares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CASES, "tiny", tiny)
    rows = sweeps.activity("tiny", (0.1, 0.4), 1, 3, "layer by layer", tick)
    assert [row["density"] for row in rows] == [0.1, 0.4]
    assert rows[0]["operations"] < rows[1]["operations"]
    assert rows[0]["updates"] == rows[1]["updates"]
    assert all(row[f"{rival}_ratio"] > 0 for row in rows for rival in ("float32", "int8"))
    assert {result["rival"] for result in sweeps.crossings(rows)} == {"float32", "int8"}
    bare = sweeps.activity("tiny", (0.1,), 1, 3, None, tick)
    assert sweeps.crossings(bare) == []


def test_crossings_sort_by_activity() -> None:
    rows = [{"case": "a", "activity": x, "int8_ratio": y} for x, y in ((0.4, 0.5), (0.1, 2.0))]
    (result,) = sweeps.crossings(rows)
    assert result == {"case": "a", "rival": "int8", "wins": "above", "activity": pytest.approx(0.2)}
    assert sweeps.crossings(rows[:1])[0]["wins"] == "always"
    assert sweeps.crossings(rows[1:])[0]["wins"] == "never"


def test_batch_and_sam_sweeps() -> None:
    rows = sweeps.batch(tiny(), (1, 3), 2, 3, tick)
    assert [row["samples"] for row in rows] == [1, 3]
    assert rows[1]["sample_s"] == rows[1]["median_s"] / 3
    rows = sweeps.sam(tiny(), 1, 3, tick)
    assert [(row["layers"], row["last"]) for row in rows] == [(0, ""), (1, "layer0"), (2, "layer2")]
    assert rows[0]["ratio"] == 1.0


def test_sweeps_of_new_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = []

    def here(case: str, threads: int, repeats: int, **arguments: Any) -> dict[str, Any]:
        requests.append(arguments)
        return measured({"case": case, "threads": threads, "repeats": repeats, "recorded": False, **arguments})

    monkeypatch.setattr(sweeps, "fresh", here)
    rows = sweeps.size((300, 600), 1, 2, tick)
    assert [row["case"] for row in rows] == ["picture", "picture", "recurrent", "recurrent"]
    assert all(row["update_s"] == row["median_s"] / row["updates"] for row in rows)
    monkeypatch.setitem(CASES, "tiny", tiny)
    rows = sweeps.steps("tiny", 0.3, (2, 9), 1, 1, tick)
    assert [(row["steps"], row["updates"]) for row in rows] == [(n, 185 * n) for n in (2, 9)]
    assert requests[-1] == {"steps": 9, "density": 0.3}


def test_cost_is_fitted_per_case_from_all_sweeps() -> None:
    points = [(1e6, 1e4), (4e6, 1e4), (9e6, 1e4), (2e6, 3e4), (8e6, 9e4)]
    rows: list[dict[str, Any]] = [
        {"case": "a", "operations": o, "updates": u, "event_s": 1e-4 + 1e-10 * o + 1e-9 * u} for o, u in points
    ]
    rows.append({"case": "b", "operations": 1.0, "updates": 1.0, "median_s": 1.0})
    (result,) = sweeps.linear(rows)
    assert (result["case"], result["operation_s"]) == ("a", pytest.approx(1e-10))
    assert [p["fitted_s"] for p in result["points"]] == pytest.approx([p["median_s"] for p in result["points"]])


def test_a_device_is_compared_value_by_value() -> None:
    case = tiny()
    result = device.equivalence(case, "cpu")
    assert result["differing"] == 0
    assert result["first"] == ""
    size = {p.name: int(np.prod(p.shape)) for p in case.network.populations}
    membranes = 3 * sum(size[n] for n in ("layer0", "pool1", "layer2", "layer3"))
    assert result["compared"] > membranes


def test_a_device_that_differs_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:

    def wrong(network: ns.Network, events: ns.Events, backend: str = "event", *rest: Any, **more: Any) -> ns.Recording:
        recording = ns.run(network, events, backend, *rest, **more)
        if backend == "reference":
            recording.membrane["layer0"][2, 0, 1, 3, 4] += 1
        return recording

    monkeypatch.setattr(device, "run", wrong)
    result = device.equivalence(tiny(), "cpu")
    assert result["differing"] == 1
    assert "layer0" in result["first"]


def test_what_does_not_fit_on_a_device_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        def run() -> None:
            raise torch.OutOfMemoryError("full")

        return run

    monkeypatch.setattr(device, "dense", full)
    rows = device.throughput(tiny(), "cpu", (2,), 1, 3)
    assert len(rows) == 4
    assert rows[-1] == {"case": "tiny", "samples": 2, "what": "PyTorch float32, cpu: out of memory"}
    assert all(row["samples_per_s"] == 2 / row["median_s"] for row in rows[:3])


def test_an_arrangement_that_does_not_fit_on_a_device_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def step_by_step_only(case: Case, threads: int, arrangement: str, where: str) -> Any:
        if not arrangement.startswith("step by step"):
            raise torch.OutOfMemoryError("full")
        return measure.dense(case, threads, arrangement, where)

    monkeypatch.setattr(device, "dense", step_by_step_only)
    last = device.throughput(tiny(), "cpu", (1,), 1, 3)[-1]
    assert last["what"].startswith("PyTorch float32, cpu: step by step")
    assert last["median_s"] > 0


def test_single_steps_are_timed() -> None:
    done: list[tuple[int, int]] = []
    rows = latency(0.1, 3, lambda *args: done.append(args))
    assert [row["case"] for row in rows] == [name for name in NETWORKS for _ in range(3)]
    assert all(0 < row["median_s"] <= row["p99_s"] for row in rows)
    assert done == [(k, 6) for k in range(1, 7)]
    for network in (build() for build in NETWORKS.values()):  # they do something
        x = np.random.default_rng(0).random((20, 1, *network.input.shape)) < 0.1
        recording = ns.run(network, ns.Events.from_dense(x.astype(np.uint8)))
        assert all(
            0 < recording.counts[p.name].sum() < recording.steps * np.prod(p.shape)
            for p in network.populations
            if p.fires
        )


def test_memory_is_free_before_the_cache_of_a_full_device_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    references: list[weakref.ref[torch.Tensor]] = []

    def full() -> None:
        large = torch.zeros(3)
        references.append(weakref.ref(large))
        raise torch.OutOfMemoryError("full")

    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(references[0]() is None))
    assert device._fitting(lambda: full) is None
    assert emptied == [True]


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(BackendError, match="'abacus', which the reference back end cannot use here"):
        device.check("abacus")


# the whole


def small(monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setitem(CASES, "tiny", tiny)
    monkeypatch.setattr("neurosam_bench.suite.SWEPT", ("tiny",))
    return Plan(
        cases=("tiny",), sweeps=("activity", "batch", "sam"), repeats=3, threads=1, alone=False,
        densities=(0.1, 0.2), batches=(1, 2), device_batches=(1, 2),
    )  # fmt: skip


def test_the_whole_suite_and_its_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = bench(small(monkeypatch), quiet, {"other.h5": tiny().network})
    results = json.loads(json.dumps(results))
    assert set(results) == {"machine", "plan", "sessions", "cases", "sweeps", "linear", "crossings"}
    assert [case["case"] for case in results["cases"]] == ["tiny", "other.h5"]
    assert list(results["sweeps"]) == ["activity", "batch", "sam"]
    alone = {"case": "tiny", "operations": 1, "update_s": 1e-9, "before_bytes": 1e6, "peak_bytes": 2e6}
    results["sweeps"]["steps"] = results["sweeps"]["neurons"] = [
        {**alone, "steps": n, "neurons": n, "median_s": n} for n in (1, 10)
    ]
    results["linear"] = sweeps.linear(
        [{"case": "tiny", "operations": x, "updates": x**2, "median_s": 1.0 + x} for x in range(1, 6)]
    )
    results["startup"] = {
        "compiled": {"seconds": 5.0, "hits": 0, "misses": 27}, "cached": {"seconds": 0.5, "hits": 2, "misses": 0}
    }  # fmt: skip
    results["cases"][0]["memory"] = {"before_bytes": 1e6, "peak_bytes": 2e6, "peak_recorded_bytes": 3e6}
    pictures = plots(results, tmp_path)
    assert pictures == [f"{name}.png" for name in ("cases", *results["sweeps"], "linear")]
    assert all((tmp_path / name).stat().st_size > 5000 for name in pictures)
    text = markdown(results, pictures)
    for part in (
        "## tiny", "0.50 s after the imports (2 kernels from the cache, 0 compiled)", "| event, 1 thread | 3 |",
        "1 MB with network, input and kernels, at most 2 in the run, 3 with all spikes recorded", "## Sweep over sam",
        "![linear](linear.png)", "- tiny: dense int8 ", "## Cost against events",
    ):  # fmt: skip
        assert part in text, part
    assert "nan" not in text
    for block in text.split("\n\n"):  # every row of a table has as many cells as its header
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_a_device_run_and_its_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = bench_device(small(monkeypatch), "cpu", quiet, {"other.h5": floating(tiny()).network})
    assert results["device"]["name"] == "the CPU"
    assert [row["samples"] for row in results["device"]["throughput"]] == [1] * 4 + [2] * 4 + [1] * 2 + [2] * 2
    assert [(row["case"], row["differing"]) for row in results["device"]["equivalence"]] == [
        ("tiny", 0),
        ("other.h5", 0),
    ]
    assert plots(results, tmp_path) == []
    text = markdown(results)
    assert "| tiny | 2 | 3 |" in text
    assert "reference, cpu, fixed point" in text
    assert "| other.h5 | 2 | reference, cpu, float64 |" in text


def test_a_table_leaves_out_columns_that_no_row_has() -> None:
    columns = (("", "a", str), ("b", "b", str), ("c", "c", lambda value: f"{value:.1f}"))
    assert table(columns, [{"a": "x|y", "c": 1}, {"a": "z"}]) == [
        "",
        "|  | c |",
        "|---|---:|",
        "| x\\|y | 1.0 |",
        "| z |  |",
    ]


def test_plans_accept_only_existing_names() -> None:
    assert FULL.sweeps == SWEEPS
    assert set(QUICK.cases) <= set(FULL.cases) == set(CASES)
    with pytest.raises(DataError, match="--cases: got 'conv33'; allowed: conv32, vgg11-64"):
        Plan(cases=("conv33",))
    with pytest.raises(DataError, match="--sweeps: got 'time'; allowed: activity"):
        Plan(sweeps=("time",))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--cases", "conv33"), "--cases: got 'conv33'; allowed:"),
        (("--sweeps", "activity,nope"), "--sweeps: got 'nope'; allowed: activity, batch"),
        (("--network", "none.h5"), "none.h5: does not exist"),
        (("--device", "abacus", "--cases", "none"), "device: got 'abacus'"),
        (("--repeats", "2"), "--repeats"),
    ],
)
def test_bad_options_are_refused_before_the_work(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["bench", *arguments, "-o", str(out)], env={"COLUMNS": "300"})
    assert result.exit_code == 2
    assert says in result.stderr
    assert not out.exists()


def test_the_command_writes_its_folder_and_the_page_can_be_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["bench", "--device", "cpu", "--cases", "none", "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert json.loads((out / "results.json").read_text())["device"]["device"] == "cpu"
    page = (out / "results.md").read_text()
    assert "the CPU" in page
    (out / "results.md").unlink()
    monkeypatch.setattr("sys.argv", ["neurosam_bench", str(out)])
    runpy.run_module("neurosam_bench", run_name="__main__")
    assert (out / "results.md").read_text() == page
