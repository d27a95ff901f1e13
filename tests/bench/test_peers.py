"""Peers get exactly the network and input of a case, and the driver runs, skips and reports them as documented."""

from __future__ import annotations

import itertools
import os
import stat
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam_bench.cases import Case, sparse10k

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"
STUB = """
import json, sys
from harness import CannotExpress, main
def build(case, threads):
    if case.name == "other":
        raise CannotExpress("another case")
    if case.name == "broken":
        raise RuntimeError("it broke")
    print("noise of the peer")
    return lambda: {layer.name: 7 for layer in case.layers}
main(build, "numpy", "float32")
"""


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of benchmarks/peers by name."""
    monkeypatch.syspath_prepend(PEERS)
    return import_module


def chain(name: str = "chain") -> Case:
    rng = np.random.default_rng(3)

    def weight(*shape: int) -> Any:
        return rng.integers(-128, 128, shape).astype(np.int8)

    source = ns.Population("in", (2, 7, 6))
    conv = ns.Population("conv", (3, 4, 3), ns.FixedLIF(410, 90))
    pool, pooling = ns.max_pool(conv, "pool1", 2, fixed=True, delay=0)
    dense = ns.Population("dense", (5,), ns.FixedLIF(410, 60))
    network = ns.Network(
        (source, conv, pool, dense),
        (
            ns.Projection("in", "conv", ns.Conv2d(weight(3, 2, 3, 3), stride=2, padding=1), delay=0),
            pooling,
            ns.Projection("pool1", "dense", ns.Dense(weight(5, 6)), delay=0, exponent=1),
        ),
    )
    return Case(name, network, ns.Events.from_dense((rng.random((9, 1, 2, 7, 6)) < 0.3).astype(np.uint8)), 0.3)


@pytest.mark.parametrize("case", [chain(), sparse10k(steps=15, neurons=60, targets=20)], ids=["chain", "sparse"])
def test_a_case_survives_a_round_trip_through_its_file(case: Case, peer: Any, tmp_path: Path) -> None:
    casefile, convert = peer("casefile"), peer("convert")
    casefile.save(convert.plain(case), tmp_path / "case.npz")
    loaded = casefile.read(tmp_path / "case.npz")
    assert convert.network_of(loaded) == case.network
    events = convert.events_of(loaded)
    np.testing.assert_array_equal(events.dense(), case.events.dense())
    np.testing.assert_array_equal(loaded.frames(), case.events.dense()[:, 0])
    counts = ns.run(convert.network_of(loaded), events, threads=1).counts
    expected = ns.run(case.network, case.events, threads=1).counts
    assert sum(int(c.sum()) for c in expected.values()) > len(case.events)
    for name in expected:
        np.testing.assert_array_equal(counts[name], expected[name])


def test_a_changed_weight_is_another_case(peer: Any) -> None:
    convert = peer("convert")
    plain = convert.plain(chain())
    weight = plain.layers[2].weight.copy()
    weight[0, 0] ^= 1
    layers = (*plain.layers[:2], peer("dataclasses").replace(plain.layers[2], weight=weight))
    assert convert.network_of(peer("dataclasses").replace(plain, layers=layers)) != chain().network


def test_a_case_that_a_case_file_cannot_express_is_refused(peer: Any) -> None:
    plain = peer("convert").plain
    case = chain()
    two = ns.Events.from_dense(np.repeat(case.events.dense(), 2, axis=1))
    with pytest.raises(ValueError, match="one sample"):
        plain(Case("two", case.network, two, 0.3))
    populations = [
        p if p.name != "conv" else ns.Population("conv", p.shape, ns.FixedLIF(99, 90)) for p in case.network.populations
    ]
    with pytest.raises(ValueError, match="one sample"):
        plain(Case("decays", ns.Network(tuple(populations), case.network.projections), case.events, 0.3))


def test_the_float_network_has_the_same_numbers(peer: Any) -> None:
    case = chain()
    network = peer("convert").network_of(peer("convert").plain(case), fixed=False)
    neuron = network["dense"].neuron
    assert isinstance(neuron, ns.LIF)
    assert (float(neuron.leak), float(neuron.threshold)) == ((4096 - 410) / 4096, 60.0)
    np.testing.assert_array_equal(
        network.projections[2].synapse.weight, 2.0 * case.network.projections[2].synapse.weight.astype(np.float64)
    )


def test_unrolled_convolution_is_the_convolution(peer: Any) -> None:
    plain = peer("convert").plain(chain())
    head = peer("dataclasses").replace(plain, layers=plain.layers[:1])
    (synapses,) = peer("unroll").unroll(head)
    expected = np.zeros((2, 7, 6, 3, 4, 3))
    weight = plain.layers[0].weight
    for i, o, ky, kx, y, x in itertools.product(range(2), range(3), range(3), range(3), range(4), range(3)):
        if 0 <= 2 * y + ky - 1 < 7 and 0 <= 2 * x + kx - 1 < 6:
            expected[i, 2 * y + ky - 1, 2 * x + kx - 1, o, y, x] = weight[o, i, ky, kx]
    unrolled = np.zeros((84, 36))
    np.add.at(unrolled, (synapses.source, synapses.target), synapses.weight)
    np.testing.assert_array_equal(unrolled, expected.reshape(84, 36))
    assert (np.diff(synapses.source) >= 0).all()
    with pytest.raises(peer("harness").CannotExpress, match="max pooling"):
        peer("unroll").unroll(plain)


def test_libraries_of_layers_are_given_no_recurrent_network(peer: Any) -> None:
    harness, case = peer("harness"), peer("convert").plain(chain())
    harness.require_chain(case)
    recurrent = peer("dataclasses").replace(case, layers=(peer("casefile").Layer("a", "sparse", (5,)),))
    with pytest.raises(harness.CannotExpress, match="no sparse recurrent layer"):
        harness.require_chain(recurrent)


def test_neurosam_has_a_script_for_every_arithmetic_and_reset_that_peers_have(peer: Any) -> None:
    case, on_event = peer("convert").plain(chain()), peer("convert").on_event
    scripts: dict[str, dict[str, Any]] = {
        "run_neurosam": {},
        "run_neurosam_float": {"fixed": False},
        "run_neurosam_zero": {"reset": "zero"},
        "run_neurosam_float_zero": {"fixed": False, "reset": "zero"},
    }
    for script, options in scripts.items():
        assert peer(script).build(case, 1)() == on_event(case, 1, **options)(), script
    counts = [tuple(on_event(case, 1, False, reset)().items()) for reset in ("subtract", "zero")]
    assert counts[0] != counts[1]


def test_every_script_names_its_python_and_pins_its_packages(peer: Any) -> None:
    environments, without_metadata = peer("environments"), set()
    for script in sorted(PEERS.glob("run_*.py")):
        about = environments.metadata(script.read_text(encoding="utf-8"))
        if not about:
            without_metadata.add(script.stem[4:])
            continue
        assert about["requires-python"].startswith("==3."), script.name
        assert about["dependencies"], script.name
        assert all("==" in dependency for dependency in about["dependencies"]), script.name
    ours = {"neurosam", "neurosam_float", "neurosam_zero", "neurosam_float_zero"}
    assert without_metadata == {*ours, "pytorch", "int8", "lava"}


def test_metadata_is_read_according_to_pep_723(peer: Any) -> None:
    metadata = peer("environments").metadata
    block = '# /// script\n# requires-python = "==3.9.*"\n#\n# dependencies = [\n#   "a==1",\n# ]\n# ///\n'
    assert metadata("import os\n" + block + "x = 1\n") == {"requires-python": "==3.9.*", "dependencies": ["a==1"]}
    assert metadata("import os\n") == {}
    assert metadata("# /// script\n# a = 1\n") == {}  # no end, no block
    with pytest.raises(ValueError, match="one block"):
        metadata(block + "\n" + block)


def _fake_python(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_a_python_is_chosen_by_the_version_it_reports(
    peer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments = peer("environments")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", os.fspath(tmp_path / "pyenv"))
    with pytest.raises(environments.Skip, match=r"needs Python 3\.99"):
        environments.python_for("==3.99.*")
    _fake_python(tmp_path, "python3.99", "echo 3.98")
    with pytest.raises(environments.Skip, match=r"needs Python 3\.99"):
        environments.python_for("==3.99.*")
    (tmp_path / "pyenv/versions/3.99.1/bin").mkdir(parents=True)
    _fake_python(tmp_path / "pyenv/versions/3.99.1/bin", "python", "echo 3.99")
    assert environments.python_for("==3.99.*") == os.fspath(tmp_path / "pyenv/versions/3.99.1/bin/python")
    with pytest.raises(ValueError, match=r"==3\.X\.\*"):
        environments.python_for(">=3.9")


def test_packages_that_cannot_be_installed_skip_the_peer(
    peer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments = peer("environments")
    script = tmp_path / "run_it.py"
    script.write_text('# /// script\n# requires-python = "==3.99.*"\n# dependencies = ["a==1"]\n# ///\n')
    bare = tmp_path / "bin"
    bare.mkdir()
    _fake_python(
        bare, "python3.99", 'if [ "$1" = -c ]; then echo 3.99; else echo first >&2; echo no wheel >&2; exit 3; fi'
    )
    monkeypatch.setenv("PATH", f"{bare}:/usr/bin:/bin")
    with pytest.raises(environments.Skip, match="cannot create an environment: no wheel"):
        environments.command(script, tmp_path)
    script.write_text("import os\n")
    assert environments.command(script, tmp_path) == [sys.executable, os.fspath(script)]


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize("uv", [True, False])
def test_an_environment_is_built_once_by_uv_or_by_pip(
    peer: Any, uv: bool, installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments, bare, log = peer("environments"), tmp_path / "bin", tmp_path / "log"
    script = tmp_path / "run_it.py"
    script.write_text('# /// script\n# requires-python = "==3.99.*"\n# dependencies = ["a==1"]\n# ///\n')
    bare.mkdir()
    monkeypatch.setenv("PATH", f"{bare}:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", os.fspath(tmp_path / "pyenv"))
    makes = (
        f'echo "$(basename $0) $*" >> {log}; for place; do :; done; mkdir -p "$place/bin"; cp $0 "$place/bin/python"'
    )
    if uv:
        _fake_python(bare, "uv", f'if [ "$1" = venv ]; then {makes}; else echo "uv $*" >> {log}; fi')
    if installed:
        body = f'case "$1 $2" in "-c "*) echo 3.99;; "-m venv") {makes};; *) echo "pip $*" >> {log};; esac'
        _fake_python(bare, "python3.99", body)
    if not uv and not installed:
        with pytest.raises(environments.Skip, match=r"needs Python 3\.99.*or uv, which downloads it"):
            environments.command(script, tmp_path / "work")
        return
    python, *rest = environments.command(script, tmp_path / "work")
    assert rest == ["-E", os.fspath(script)]
    assert environments.command(script, tmp_path / "work") == [python, *rest]
    place = Path(python).parents[1]
    commands = log.read_text().splitlines()
    if uv:
        base = "python3.99" if installed else "3.99"
        assert commands == [f"uv venv --python {base} {place}", f"uv pip install --python {python} --quiet a==1"]
    else:
        assert commands == [
            f"python3.99 -m venv {place}",
            "pip -m pip --disable-pip-version-check install --quiet a==1",
        ]


def _runner(peer: Any, folder: Path, name: str, script: str = STUB, limit_s: float = 60.0) -> Any:
    peer("casefile").save(peer("convert").plain(chain(name)), folder / "case.npz")
    (folder / "stub.py").write_text(f"import sys\nsys.path.insert(0, {os.fspath(PEERS)!r})\n{script}")
    command = [sys.executable, os.fspath(folder / "stub.py")]
    return peer("turns").Runner(command, folder / "case.npz", 1, limit_s)


def test_a_peer_takes_turns_and_reports(peer: Any, tmp_path: Path) -> None:
    runner = _runner(peer, tmp_path, "chain")
    times = [runner.turn(), runner.turn()]
    report = runner.finish()
    assert report["times_s"] == times
    assert report["spikes"] == {"conv": 7, "pool1": 7, "dense": 7}
    assert (report["case"], report["version"], report["threads"]) == ("chain", np.__version__, 1)


def test_a_peer_that_cannot_or_breaks_or_hangs_is_skipped_with_its_reason(peer: Any, tmp_path: Path) -> None:
    skip = peer("environments").Skip
    with pytest.raises(skip, match="another case"):
        _runner(peer, tmp_path, "other")
    with pytest.raises(skip, match="failed: RuntimeError: it broke"):
        _runner(peer, tmp_path, "broken")
    with pytest.raises(skip, match="no answer within 0 s"):
        _runner(peer, tmp_path, "chain", "import time\ntime.sleep(600)\n", limit_s=0.2)


def test_the_page_says_which_counts_are_equal(peer: Any) -> None:
    page = peer("page")
    assert page.equal_layers({"a": 10, "b": 4}, {"a": 10, "b": 4}) == "2 of 2"
    assert page.equal_layers({"a": 10, "b": 5}, {"a": 10, "b": 4}) == "1 of 2, 7.1 % off"
    assert page.equal_layers({}, {"a": 10}) == "-"
    report = {"version": "1", "precision": "float32", "note": "", "peak_rss_MB": 5, "spikes": {"a": 10}}
    event = {**report, "like": "neurosam", "times_s": [0.5, 0.5]}
    other = {**report, "like": "neurosam_float", "times_s": [2.0, 2.0]}
    row = {
        "case": "c",
        "peer": "neurosam_float",
        "date": "2000-01-01",
        "ratio": [4.0, 4.0],
        "pytorch_ratio": [3.0, 3.0],
    }
    rows = [
        {**row, "reports": [event, {**other, "spikes": {"a": 11}}, other]},
        {"case": "c", "peer": "far_away", "date": "2000-01-01", "skipped": "no wheel"},
    ]
    text = page.markdown({"machine": "abacus", "threads": 1, "rows": rows})
    assert "| neurosam float | 1 | float32 | 2 | 4 | 1 of 1 | 5 | 2000-01-01 |" in text
    assert "| pytorch | 1 | float32 | 2 | 3 | 0 of 1, 10 % off | 5 |  |" in text
    assert "- far away: no wheel" in text


def test_results_of_another_machine_are_not_mixed(peer: Any, tmp_path: Path) -> None:
    earlier, path = peer("compare").earlier, tmp_path / "results.json"
    machine = {"machine": "abacus", "threads": 1}
    assert earlier(path, machine) == {**machine, "rows": []}
    path.write_text('{"machine": "abacus", "threads": 1, "rows": [1]}')
    assert earlier(path, machine)["rows"] == [1]
    assert earlier(path, {**machine, "threads": 2})["rows"] == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_of_a_peer_is_its_own() -> None:
    """Not that of its parent process, which `ru_maxrss` starts from."""
    large = np.ones(2**28, np.uint8)  # 268 MB in this process
    script = "import sys; sys.path.insert(0, sys.argv[1]); from harness import _peak_rss; print(_peak_rss())"
    result = subprocess.run([sys.executable, "-c", script, PEERS], capture_output=True, text=True, check=True)
    assert 0 < int(result.stdout) < large.size // 10**6
