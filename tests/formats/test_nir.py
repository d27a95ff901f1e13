"""NIR files: the framework's own spikes from each preset, NIR's equations on random graphs, and the way back."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import ExportError, FormatError
from neurosam.formats.nir import SOURCES, is_nir, load_nir, save_nir, to_nir
from support.data import data_file
from support.networks import KINDS, random_case
from support.nir_graphs import computed, random_nir

nir = pytest.importorskip("nir")

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "nir"
FRAMEWORKS = ("norse", "rockpool", "sinabs", "snntorch", "spikingjelly")


def spikes_of(network: ns.Network, x: Any, *names: str, backend: str = "reference") -> Any:
    """Spikes [T, B, ...] of populations, of the output if none is named."""
    wanted = names or (network.output,)
    events = ns.Events.from_dense(np.asarray(x, np.uint8).reshape(*x.shape[:2], *network.input.shape))
    recording = ns.run(network, events, record=ns.Record(spikes=wanted), backend=backend)
    found = [recording.spikes[name].dense() for name in wanted]
    return found if names else found[0]


def chain(*nodes: Any) -> Any:
    return nir.NIRGraph.from_list(*nodes, type_check=False)


def ones(value: float, *shape: int) -> Any:
    return np.full(shape or (1,), value)


def lif(count: int = 1, **fields: Any) -> Any:
    values = {"tau": 2.0, "r": 2.0, "v_leak": 0.0, "v_threshold": 1.0, **fields}
    return nir.LIF(**{name: np.broadcast_to(np.asarray(v, float), (count,)).copy() for name, v in values.items()})


# What frameworks run


@pytest.fixture(scope="module")
def importer() -> Any:
    """The script that ran the frameworks."""
    path = ROOT / "benchmarks" / "nir_files" / "run_importer.py"
    spec = importlib.util.spec_from_file_location("run_importer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_importers(framework: str, importer: Any) -> None:
    """Vectors of benchmarks/nir_files: what the framework's own importer ran on the same graphs."""
    golden = np.load(GOLDEN / f"{framework}.npz")
    graphs = importer.cases(framework)
    assert set(graphs) == set(golden.files) - {"version"}
    for case, graph in graphs.items():
        shape = (2, 9, 9) if case == "conv" else (20,)
        x = np.random.default_rng(3).random((importer.STEPS, importer.BATCH, *shape)) < 0.3
        out = spikes_of(load_nir(graph, source=framework), x)
        assert out.any()
        np.testing.assert_array_equal(out.reshape(golden[case].shape), golden[case], err_msg=case)


def test_lava() -> None:
    """Vectors of Lava's own LIF process in float."""
    golden = np.load(GOLDEN / "lava.npz")
    weight = np.round(np.random.default_rng(7).normal(0.1, 0.6, (30, 20)) * 32) / 64
    x = np.random.default_rng(3).random((120, 1, 20)) < 0.3
    same = {"r": ones(1.0, 30), "v_leak": ones(0.0, 30), "v_threshold": ones(0.125, 30)}
    neurons = {
        "lif": nir.LIF(tau=ones(8e-4, 30), **same),
        "cuba": nir.CubaLIF(tau_mem=ones(8e-4, 30), tau_syn=ones(4e-4, 30), **same),
    }
    for case, node in neurons.items():
        np.testing.assert_array_equal(
            spikes_of(load_nir(chain(nir.Linear(weight), node), source="lava"), x), golden[case]
        )


@pytest.fixture(scope="module")
def digit() -> Any:
    """One recording of N-MNIST, a 4, in steps of 1 ms: [312, 1, 2, 34, 34]."""
    raw = np.fromfile(data_file("nir/sample_nmnist.bin"), np.uint8).reshape(-1, 5).astype(np.int64)
    time = ((raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]) // 1000
    x = np.zeros((int(time.max()) + 1, 1, 2, 34, 34), np.uint8)
    x[time, 0, raw[:, 2] >> 7, raw[:, 1], raw[:, 0]] = 1
    return x


@pytest.mark.parametrize(
    ("told", "total", "of_class_4"),
    [({"source": "sinabs"}, 1764, 1490), ({"source": "euler", "dt": 1.0, "reset": "subtract"}, 279, 263)],
    ids=["as Sinabs runs it", "one spike per step"],
)
def test_a_trained_network(told: dict[str, Any], total: int, of_class_4: int, digit: Any) -> None:
    """1,764 are what Sinabs 3.1.3 gives, each in its step; 279 what reading the file by hand gave."""
    network = load_nir(data_file("nir/cnn_sinabs.nir"), **told)
    out = spikes_of(network, digit, backend="event")
    assert (int(out.sum()), int(out[:, 0, 4].sum())) == (total, of_class_4)
    assert network.metadata["nir.source"] == told["source"]
    assert network.metadata["nir.dt_s"] == "1.0"


@pytest.mark.parametrize("bits", [8, 6, 4])
def test_a_trained_network_in_integers(bits: int, digit: Any) -> None:
    network = load_nir(data_file("nir/cnn_sinabs.nir"), source="euler", dt=1.0, reset="subtract")
    few = ns.Events.from_dense(digit[100:130])
    fixed, _ = ns.quantise(network, ns.Precision.lava(bits), few)
    assert ns.run(fixed, ns.Events.from_dense(digit[:150]), backend="reference").predictions == [4]


@pytest.mark.parametrize(("name", "source", "spikes"), [("lif_norse", "norse", 294), ("lif_rockpool", "rockpool", 109)])
def test_neurons_of_files(name: str, source: str, spikes: int) -> None:
    """As Norse 1.1.0 and Rockpool 3.1.0 import these files (benchmarks/nir_files)."""
    x = np.random.default_rng(3).random((120, 3, 1)) < 0.8
    network = load_nir(data_file(f"nir/{name}.nir"), source=source)
    assert int(spikes_of(network, x).sum()) == spikes
    assert network.input.shape == (1,)


def test_one_file_many_spikes() -> None:
    """Why the source has to be known: each framework reads this file in its own way."""
    x = np.ones((100, 1, 1))
    counts = {}
    for source in ("spikingjelly", "norse", "sinabs", "lava"):
        network = load_nir(data_file("nir/lif_norse.nir"), source=source)
        counts[source] = int(spikes_of(network, x).sum())
    assert counts == {"spikingjelly": 33, "norse": 100, "sinabs": 900, "lava": 33}


# NIR's equations


@pytest.mark.parametrize("seed", range(24))
def test_random_graphs(seed: int) -> None:
    """Convolutions, pools, fan-in, delays, loops, subgraphs: every spike of every layer."""
    rng = np.random.default_rng(seed)
    graph = random_nir(nir, rng)
    shape = graph.nodes["in"].input_type["input"]
    x = (rng.random((6, 2, *shape)) < 0.5).astype(float)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same'")
        want = computed(graph, x)
    network = load_nir(graph, source="euler", dt=1.0)
    names = [p.name for p in network.populations if p.neuron is not None]
    assert sorted(names) == sorted(want)
    for name, got in zip(names, spikes_of(network, x, *names), strict=True):
        np.testing.assert_array_equal(got.reshape(want[name].shape), want[name], err_msg=name)


def test_exact() -> None:
    """Against the solution itself, for an input that is constant in each step."""
    x = (np.random.default_rng(1).random((40, 1, 3)) < 0.5).astype(float)
    graph = chain(nir.Linear(np.array([[0.9, -0.4, 0.7]])), lif(1, tau=0.02, r=3.0, v_leak=0.1, v_reset=-0.2))
    want, v = [], 0.0
    for drive in x[:, 0] @ [0.9, -0.4, 0.7]:
        rest = 0.1 + 3.0 * drive
        v = rest + (v - rest) * np.exp(-0.005 / 0.02)
        want.append(v > 1.0)
        v = -0.2 if v > 1.0 else v
    network = load_nir(graph, source="exact", dt=0.005)
    assert spikes_of(network, x)[:, 0, 0].astype(bool).tolist() == want
    assert 5 < sum(want) < 35


@pytest.mark.parametrize("kind", ["LI", "CubaLI", "I"])
def test_integrators_are_readouts(kind: str) -> None:
    """The membrane after the last step, by Euler's rule."""
    x = (np.random.default_rng(2).random((7, 2, 3)) < 0.5).astype(float)
    weight = np.array([[1.0, 2.0, -0.5], [0.5, 0.25, 1.0]])
    two = {name: ones(v, 2) for name, v in {"tau": 4.0, "r": 2.0, "v_leak": 0.5}.items()}
    node = {
        "LI": nir.LI(**two),
        "CubaLI": nir.CubaLI(tau_syn=ones(2.0, 2), tau_mem=two["tau"], r=two["r"], v_leak=two["v_leak"]),
        "I": nir.I(r=np.array([0.5, 2.0])),
    }[kind]
    i, v = np.zeros((2, 2)), np.zeros((2, 2))
    for drive in x @ weight.T:
        i = i + (drive - i) / 2 if kind == "CubaLI" else drive
        v = v + node.r * i if kind == "I" else v + ((0.5 - v) + 2.0 * i) / 4
    network = load_nir(chain(nir.Linear(weight), node), source="euler", dt=1.0)
    output = ns.run(network, ns.Events.from_dense(x.astype(np.uint8)), backend="reference").output
    np.testing.assert_allclose(output, v, rtol=1e-12)


def test_two_inputs() -> None:
    nodes = {
        "a": nir.Input(np.array([2])), "b": nir.Input(np.array([3])), "out": nir.Output(np.array([1])),
        "wa": nir.Linear(np.ones((1, 2))), "wb": nir.Linear(np.ones((1, 3))), "n": lif(),
    }  # fmt: skip
    edges = [("a", "wa"), ("b", "wb"), ("wa", "n"), ("wb", "n"), ("n", "out")]
    network = load_nir(nir.NIRGraph(nodes, edges, type_check=False), source="euler", dt=1.0)
    assert [p.name for p in network.inputs] == ["a", "b"]
    assert [p.label for p in network.projections] == ["a->n", "b->n"]


def test_delays_are_times() -> None:
    delay = nir.Delay(np.array([0.003, 0.001, 0.0]))
    graph = chain(delay, nir.Linear(np.eye(3)), lif(3))
    network = load_nir(graph, source="euler", dt=1e-3 / 1)
    assert sorted(network.lag(p) for p in network.projections) == [0, 1, 3]
    with pytest.raises(
        FormatError, match=r"node 'delay' \(Delay\): has a delay of 1\.5 steps of 0\.002 s; whole steps"
    ):
        load_nir(graph, source="euler", dt=2e-3)


def test_feedback_is_told() -> None:
    nodes = {
        "in": nir.Input(np.array([2])),
        "n": lif(2),
        "w": nir.Affine(np.ones((2, 2)), np.ones(2)),
        "out": nir.Output(np.array([2])),
    }
    graph = nir.NIRGraph(nodes, [("in", "n"), ("n", "w"), ("w", "n"), ("n", "out")], type_check=False)
    network = load_nir(graph, source="euler", dt=1.0)
    assert network.metadata["nir.feedback"] == "n -> w: one step late"
    assert [(p.label, network.lag(p)) for p in network.projections] == [("in->n", 0), ("n->n", 1)]


# Where a file comes from


@pytest.mark.parametrize("text", ["Norse", "norse 1.1.0"])
def test_the_source_is_found_in_metadata(text: str) -> None:
    graph = chain(nir.Linear(np.ones((1, 1))), lif(tau=0.01, r=1.0))
    graph.metadata = {"framework": text}
    assert load_nir(graph).metadata["nir.source"] == "norse"


def test_the_source_is_asked_for() -> None:
    graph = chain(nir.Linear(np.ones((1, 1))), lif())
    with pytest.raises(
        FormatError, match=r"does not say which framework .*--source\), one of snntorch, spikingjelly, norse"
    ):
        load_nir(graph)
    with pytest.raises(FormatError, match="got source 'nengo'; allowed are snntorch"):
        load_nir(graph, source="nengo")
    with pytest.raises(FormatError, match="has no step, and source 'exact' implies none; give dt="):
        load_nir(graph, source="exact")
    with pytest.raises(FormatError, match="got dt -1"):
        load_nir(graph, source="euler", dt=-1)
    with pytest.raises(FormatError, match="got reset 'none'"):
        load_nir(graph, source="euler", dt=1, reset="none")


@pytest.mark.parametrize(
    ("source", "node", "message"),
    [
        ("snntorch", lif(v_leak=1.2, tau=1e-2), "has v_leak 1.2; snnTorch's importer takes it as 0. Give source"),
        ("snntorch", nir.IF(ones(1.0), ones(1.0)), "is not run by snnTorch"),
        ("norse", lif(tau=1e-2), "has r 2; Norse's importer takes it as 1"),
        ("norse", lif(tau=1e-5, r=1.0), "has tau 1e-05, less than the step dt of 0.001"),
        ("sinabs", nir.CubaLIF(*[ones(1.0)] * 5), "is not run by Sinabs"),
        ("rockpool", nir.IF(ones(1.0), ones(1.0)), "is not run by Rockpool"),
        ("spikingjelly", lif(tau=1e-2, r=3.0), "has r 3; SpikingJelly's importer takes it as 1"),
        ("spikingjelly", nir.IF(ones(1.0), ones(1.0)), "has r 1; SpikingJelly's importer takes it as 10000"),
        ("lava", lif(tau=1e-2, v_reset=0.5), "has v_reset 0.5; Lava's importer takes it as 0"),
    ],
)  # fmt: skip
def test_what_an_importer_would_drop_is_refused(source: str, node: Any, message: str) -> None:
    graph = chain(nir.Linear(np.ones((1, 1))), node)
    with pytest.raises(FormatError, match=message.replace("(", r"\(")):
        load_nir(graph, source=source)
    assert load_nir(graph, source="euler", dt=1e-6).metadata["nir.source"] == "euler"


# There and back


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_come_back(seed: int, tmp_path: Path) -> None:
    """Equal to the last bit; read as NIR defines it, equal in every spike."""
    network, events = random_case(np.random.default_rng(seed), KINDS[seed % len(KINDS)], fixed=False)
    path = tmp_path / "a.nir"
    try:
        saved = save_nir(network, path, reset="zero")
    except ExportError as error:
        assert any(text in str(error) for text in ("(BNTT)", "leak of 1", "a matrix into pictures"))  # noqa: PT017
        return
    assert load_nir(path) == saved
    assert load_nir(to_nir(saved)) == saved
    names = [p.name for p in saved.populations if isinstance(p.neuron, ns.LIF)]
    other = load_nir(path, source="euler", magnitude=saved.input.magnitude)
    record = ns.Record(spikes=tuple(names))
    want, got = (ns.run(n, events, record=record, backend="reference") for n in (saved, other))
    for name in names:
        np.testing.assert_array_equal(got.spikes[name].dense(), want.spikes[name].dense(), err_msg=name)


def small(neuron: ns.LIF | ns.Readout, **options: Any) -> ns.Network:
    return ns.Network(
        [ns.Population("in", (2,)), ns.Population("out", (3,), neuron)],
        [ns.Projection("in", "out", ns.Dense(np.array([[0.5, -0.25], [1.0, 0.75], [0.5, 0.5]])))],
        **options,
    )


HARD = ns.LIF(leak=0.875, threshold=1.0, reset="zero")


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            lambda: small(replace(HARD, reset="subtract")),
            r"population 'out': has reset 'subtract' \('now'\); .*reset='zero'",
        ),
        (
            lambda: small(replace(HARD, refractory=2)),
            "population 'out': has a refractory period, which NIR cannot hold",
        ),
        (lambda: small(ns.LIF(0.5, 1.0, max_spikes=4)), "has several spikes per step"),
        (lambda: small(replace(HARD, lower_bound=-1.0)), "has a lower bound"),
        (lambda: small(replace(HARD, threshold_leak=0.5, threshold_step=0.5)), "has an adaptive threshold"),
        (lambda: small(replace(HARD, initial_membrane=0.5)), "starts with a membrane or current other than 0"),
        (lambda: small(replace(HARD, gain=np.ones((2, 1)), offset=np.ones((2, 1)))), r"\(BNTT\)"),
        (lambda: small(replace(HARD, current_leak=1.0)), "has a leak of 1 in some neurons or beside a current"),
        (
            lambda: ns.quantise(small(HARD), ns.Precision.lava())[0],
            "network: is a fixed-point network; NIR holds floats",
        ),
    ],
)
def test_what_nir_cannot_hold_is_refused(network: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=message):
        save_nir(network(), tmp_path / "a.nir")
    assert not list(tmp_path.iterdir())


def test_max_pooling_is_refused(tmp_path: Path) -> None:
    network = ns.Network(
        [ns.Population("in", (1, 4, 4)), ns.Population("out", (1, 2, 2), HARD, pool=ns.MaxPool2d(2))],
        [ns.Projection("in", "out", ns.Conv2d(np.ones((1, 1, 1, 1))))],
    )
    with pytest.raises(ExportError, match="takes the maximum of sums; NIR has no max pooling"):
        save_nir(network, tmp_path / "a.nir")


def test_a_soft_reset_is_written_as_zero_when_asked(tmp_path: Path) -> None:
    network = small(replace(HARD, reset="subtract"))
    saved = save_nir(network, tmp_path / "a.nir", reset="zero")
    assert saved != network
    assert load_nir(tmp_path / "a.nir") == saved
    x = np.ones((20, 1, 2))
    assert spikes_of(saved, x).sum() < spikes_of(network, x).sum()


@pytest.mark.parametrize(
    "neuron",
    [
        HARD,
        replace(HARD, bias=np.array([0.1, 0.2, 0.3]), fires="at"),
        replace(HARD, current_leak=0.3, bias=0.01, reset="value", reset_value=-0.5),
        replace(
            HARD, leak=np.array([0.0, 0.5, 0.7]), gain=np.array([[0.3, 1.0, 2.0]]), offset=np.array([[0.0, 0.1, -0.1]])
        ),
        replace(HARD, leak=1.0, bias=0.125),
        ns.Readout(bias=0.25),
        ns.Readout(leak=0.3, current_leak=0.6),
    ],
)
def test_neurons_come_back(neuron: ns.LIF | ns.Readout) -> None:
    network = small(neuron, metadata={"name": "a network"}).with_sam(ns.SamTrace(gamma=0.25))
    again = load_nir(to_nir(network, dt=1e-3))
    assert again == network
    x = (np.random.default_rng(5).random((60, 2, 2)) < 0.7).astype(np.uint8)
    other = load_nir(to_nir(network, dt=1e-3), source="euler")
    want, got = (ns.run(n, ns.Events.from_dense(x), backend="reference").output for n in (network, other))
    np.testing.assert_allclose(got, want, rtol=1e-9)


def test_changed_files_are_noticed() -> None:
    graph = to_nir(small(HARD))
    graph.nodes["out"].tau = graph.nodes["out"].tau * 1.5
    with pytest.raises(FormatError, match=r"node 'out' \(LIF\): was changed since neurosam wrote it; give source="):
        load_nir(graph)
    neuron = load_nir(graph, source="euler")["out"].neuron
    assert isinstance(neuron, ns.LIF)
    assert neuron.leak == pytest.approx(1 - 0.125 / 1.5)
    graph = to_nir(small(HARD))
    graph.metadata["neurosam"] = graph.metadata["neurosam"].replace("[", "", 1)
    with pytest.raises(FormatError, match="NIR graph: was changed since neurosam wrote it"):
        load_nir(graph)
    with pytest.raises(FormatError, match="was written by neurosam with its own step"):
        load_nir(to_nir(small(HARD)), dt=1.0)


def test_the_file_equals_the_object_and_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.nir"
    graph = chain(nir.Affine(np.array([[1.0, 2.0]], np.float32), ones(0.25)), lif(tau=8e-4, r=8.0))
    nir.write(path, graph)
    assert is_nir(path)
    from_file, from_object = load_nir(path, source="snntorch"), load_nir(graph, source="snntorch")
    assert from_file.metadata["nir.version"] == nir.version
    assert replace(from_file, metadata=from_object.metadata) == from_object
    save_nir(small(HARD), path)
    assert load_nir(path) == small(HARD)
    assert [p.name for p in tmp_path.iterdir()] == ["a.nir"]
    with pytest.raises(FormatError, match="cannot be written"):
        save_nir(small(HARD), tmp_path / "missing" / "a.nir")


def test_writing_needs_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(ExportError, match=r"pip install 'neurosam\[nir\]'"):
        save_nir(small(HARD), tmp_path / "a.nir")


def test_every_source_is_documented() -> None:
    page = (ROOT / "docs" / "bring" / "nir.md").read_text()
    assert all(f"`{source}`" in page for source in SOURCES)
