"""``neurosam cost``: what it prints and writes, JSON, and exit status 2."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

import typer
from typer.testing import CliRunner, Result

import neurosam as ns
from neurosam.cli import app as application
from neurosam.metrics import neurobench
from neurosam_hw import chips as shipped
from neurosam_hw.chips import load_chip
from neurosam_hw.cost import cost as cost_of
from neurosam_hw.cost.cli import cost
from neurosam_hw.cost.sam import trace_room
from neurosam_hw.mappers.build import map_network
from neurosam_hw.mapping import save_mapping
from neurosam_hw.resources.cores import use

CHIPS = Path(shipped.__path__[0])


def network(reset: str = "zero") -> ns.Network:
    rng = np.random.default_rng(0)
    neuron = ns.FixedLIF(410, 60, reset=reset)
    return ns.Network(
        [
            ns.Population("in", (1, 6, 6)),
            ns.Population("conv", (2, 4, 4), neuron),
            ns.Population("out", (3,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "conv", ns.Conv2d(rng.integers(-20, 60, (2, 1, 3, 3)).astype(np.int8))),
            ns.Projection("conv", "out", ns.Dense(rng.integers(-20, 20, (3, 32)).astype(np.int8))),
        ],
    )  # fmt: skip


def events() -> ns.Events:
    return ns.Events.from_dense(np.random.default_rng(1).random((8, 3, 1, 6, 6)) < 0.3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network, one that Loihi does not take, events, and recordings of both."""
    network().save(tmp_path / "net.h5")
    network("subtract").save(tmp_path / "soft.h5")
    events().save(tmp_path / "events.h5")
    recorded = ns.Record.everything(network())
    ns.run(network(), events(), "reference", recorded).save(tmp_path / "recording.h5")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> Result:
    """The command, in the group that reports the errors of all."""
    group = typer.Typer(cls=application.info.cls)
    group.callback()(lambda: None)
    group.command("cost")(cost)
    return CliRunner().invoke(group, ["cost", *arguments])


def chip(name: str) -> str:
    return str(CHIPS / f"{name}.toml")


def test_it_says_what_the_library_says(folder: Path) -> None:
    result = invoke("net.h5", "--chip", chip("loihi1"), "--events", "events.h5", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    recording = ns.run(network(), events(), "reference", ns.Record.everything(network()))
    found = cost_of(map_network(network(), load_chip(chip("loihi1"))), recording, events())
    assert found.total is not None
    assert found.duration.latency is not None
    assert told["energy"]["total"] == {
        "value": found.total.value, "low": found.total.low, "high": None, "unit": "J", "standing": "pre-silicon",
    }  # fmt: skip
    assert told["time"]["latency"]["value"] == found.duration.latency.value
    assert told["counts"] == found.counts
    assert told["neurobench"] == neurobench(network(), recording, events(), batch_size=1)
    assert sum(told["by_step"]["known_energy_j"]) == pytest.approx(found.total.value)
    assert sum(told["by_core"]["known_energy_j"]) == pytest.approx(found.total.value)
    assert sum(line["energy"]["value"] for line in told["energy"]["lines"]) == pytest.approx(found.total.value)
    assert (told["samples"], told["steps"], told["steps_on_chip"], told["label"]) == (3, 8, 10, "")


def test_a_recording_gives_the_same_as_a_run(folder: Path) -> None:
    run = invoke("net.h5", "--chip", chip("sanafe-loihi"), "--events", "events.h5", "--json")
    given = ("--recording", "recording.h5", "--events", "events.h5", "--json")
    recorded = invoke("net.h5", "--chip", chip("sanafe-loihi"), *given)
    assert recorded.exit_code == 0, recorded.output
    assert json.loads(recorded.stdout) == json.loads(run.stdout)


@pytest.mark.parametrize("given", [(), ("--recording", "recording.h5")])
def test_samples_come_in_batches(given: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("net.h5", "--chip", chip("loihi1"), "--events", "events.h5", *given, "--json")
    whole = json.loads(invoke(*arguments).stdout)
    monkeypatch.setattr("neurosam_hw.cost.batches.BATCH_BYTES", 1)
    parts = json.loads(invoke(*arguments).stdout)
    assert parts["counts"] == whole["counts"]
    assert parts["time"] == whole["time"]
    assert parts["neurobench"].keys() == whole["neurobench"].keys()
    assert parts["neurobench"]["SynapticOperations"] == pytest.approx(whole["neurobench"]["SynapticOperations"])
    assert parts["neurobench"]["ActivationSparsity"] == pytest.approx(whole["neurobench"]["ActivationSparsity"])
    assert parts["energy"]["by_sample_j"] == pytest.approx(whole["energy"]["by_sample_j"], rel=1e-12)


def test_the_terminal_names_standing_and_what_is_missing(folder: Path) -> None:
    text = invoke("net.h5", "--chip", chip("loihi1"), "--events", "events.h5", "--board", "blouw2019").output
    assert re.search(r"energy of an inference: at least [\d.]+ nJ \(pre-silicon\)", text)
    assert "Board blouw2019" in text
    assert "at least 23.6 pJ" in text
    text = invoke("net.h5", "--chip", chip("loihi2"), "--events", "events.h5").output
    assert "energy of an inference: no total (for want of synapses: energy.synaptic_operation; neurons:" in text
    assert "time of an inference: unknown (for want of time.neuron_update_active" in text
    text = invoke("net.h5", "--chip", chip("truenorth"), "--events", "events.h5", "--what-if").output
    assert re.search(r"all-in: [\d.]+ nJ \(measured; everything that the chip draws", text)


def test_what_if_is_said_everywhere(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    arguments = ("soft.h5", "--chip", chip("loihi1"), "--events", "events.h5", "--what-if")
    result = invoke(*arguments, "-o", "cost.html")
    assert result.exit_code == 0, result.output
    label = "what if: breaks rules reset (conv)"
    assert result.output.count(label) == 2
    titles = re.findall(r"^(?:Energy|Time|An inference|The \d).*$", result.output, re.MULTILINE)
    assert len(titles) == 4
    assert all("(what if: breaks rules reset)" in title for title in titles)
    page = (folder / "cost.html").read_text(encoding="utf-8")
    assert label in page
    assert all(
        "what if: breaks rules reset" in heading for heading in re.findall(r"<section class='table.*?</h3>", page)
    )
    numbers = json.loads((folder / "cost.json").read_text(encoding="utf-8"))
    assert numbers["provenance"]["attention"] == label
    assert json.loads(invoke(*arguments, "--json").stdout)["label"] == label


def test_the_page_has_tables_and_pictures(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    arguments = ("net.h5", "--chip", chip("loihi1"), "--events", "events.h5", "--board", "frady2020")
    assert invoke(*arguments, "-o", "cost.html").exit_code == 0
    page = (folder / "cost.html").read_text(encoding="utf-8")
    assert page.count("<img src='data:image/svg+xml;base64,") == 2
    assert "default-src 'none'; img-src data:" in page
    headings = [table["heading"] for table in json.loads((folder / "cost.json").read_text())["tables"]]
    assert headings == [
        "Energy of an inference by cause", "Time", "Board frady2020: Frady et al.'s board of 32 chips",
        "An inference by layer", "An inference by core", "Counts of an inference", "NeuroBench",
    ]  # fmt: skip
    again = invoke(*arguments, "-o", "cost.html")
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("net.h5", "--chip", "loihi9.toml", "--events", "events.h5"), "loihi9.toml: "),
        (("net.h5", "--chip", "CHIP", "--events", "events.h5", "--board", "desk"), "board 'desk': is not in the file"),
        (("soft.h5", "--chip", "CHIP", "--events", "events.h5"), "does not take this network: reset (conv)"),
        (("net.h5", "--chip", "CHIP", "--recording", "recording.h5"), "--recording: needs the input of that run too"),
        (("net.h5", "--chip", "CHIP", "--recording", "net.h5", "--events", "events.h5"), "holds network; a recording"),
        (("net.h5", "--chip", "CHIP", "--events", "events.h5", "--data", "mnist5k"), "exclude each other"),
        (("net.h5", "--chip", "CHIP"), "Or give your own input with --events."),
        (("net.h5", "--chip", "CHIP", "--events", "events.h5", "-o", "cost.txt"), "has the wrong suffix"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence_and_status_2(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    result = invoke(*(chip("loihi1") if word == "CHIP" else word for word in arguments))
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def by_hand(*neurons: int) -> str:
    """A mapping of the convolution's neurons 0 to 15 and some others on two cores, the readout on the second."""
    pieces = [{"population": "conv", "neurons": ", ".join(map(str, neurons))}, {"population": "out"}]
    cores = [{"pieces": [{"population": "conv", "neurons": "0-15"}]}, {"pieces": pieces}]
    return json.dumps({"format": "neurosam mapping 1", "chip": "loihi1", "cores": cores})


def test_a_mapping_by_hand_is_used_and_checked(folder: Path) -> None:
    (folder / "map.json").write_text(by_hand(*range(16, 32)))
    arguments = ("net.h5", "--chip", chip("loihi1"), "--events", "events.h5", "--map", "map.json")
    told = json.loads(invoke(*arguments, "--json").stdout)
    assert (told["cores"], list(told["by_layer"])) == (2, ["conv", "conv, out"])
    (folder / "map.json").write_text(by_hand(*range(16, 31)))
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "1 of 32 neurons are on no core, the first is neuron 31" in result.stderr


def test_a_recording_of_another_network_is_status_2(folder: Path) -> None:
    other = ns.Network(
        [ns.Population("in", (1, 6, 6)), ns.Population("b", (2,), ns.FixedReadout())],
        [ns.Projection("in", "b", ns.Dense(np.ones((2, 36), np.int8)))],
    )
    ns.run(other, events(), "reference", ns.Record.everything(other)).save(folder / "other.h5")
    result = invoke("net.h5", "--chip", chip("loihi1"), "--recording", "other.h5", "--events", "events.h5")
    assert result.exit_code == 2
    assert "is of another network" in result.stderr


def test_the_events_of_another_run_are_status_2(folder: Path) -> None:
    events().select(0, 2).save(folder / "two.h5")
    result = invoke("net.h5", "--chip", chip("loihi1"), "--recording", "recording.h5", "--events", "two.h5")
    assert result.exit_code == 2
    assert "have 8 steps and 2 samples; the recording has 8 and 3" in result.stderr


def test_a_recording_without_membranes_lacks_active_updates(folder: Path) -> None:
    ns.run(network(), events(), "reference", ns.Record(spikes=("conv",))).save(folder / "spikes.h5")
    given = ("--recording", "spikes.h5", "--events", "events.h5")
    result = invoke("net.h5", "--chip", chip("loihi1"), *given)
    assert result.exit_code == 0, result.output
    assert "no total (for want of neurons: the count 'active' (record the membranes)" in result.output


def test_the_price_of_sam(folder: Path) -> None:
    network().with_sam().save("traced.h5")
    arguments = ("traced.h5", "--chip", chip("sanafe-loihi"), "--events", "events.h5", "--sam")
    told = json.loads(invoke(*arguments, "--json").stdout)
    assert told["sam"]["energy_with"]["value"] > told["energy"]["total"]["value"]
    assert told["sam"]["counts"]["packets"] == told["sam"]["by_layer"]["conv"]["counts"]["trace_updates"] > 0
    result = invoke(*arguments, "-o", "page.html")
    assert result.exit_code == 0, result.output
    assert "SAM: what an inference costs more" in result.output
    assert "SAM: what an inference costs more" in Path("page.html").read_text(encoding="utf-8")
    refused = invoke("net.h5", "--chip", chip("sanafe-loihi"), "--events", "events.h5", "--sam")
    assert (refused.exit_code, "no traces" in refused.output) == (2, True)
    refused = invoke("traced.h5", "--chip", chip("truenorth"), "--events", "events.h5", "--sam", "--what-if")
    assert (refused.exit_code, "holds no SAM trace" in refused.output) == (2, True)


def test_a_mapping_made_for_sam_has_room_for_the_traces(folder: Path) -> None:
    traced, events_file = network().with_sam(), ("--events", "events.h5")
    traced.save("traced.h5")
    text = Path(chip("spinnaker2")).read_text(encoding="utf-8")
    memory = 'memory_per_core = { value = 128, unit = "KiB"'
    assert memory in text
    small = text.replace(memory, 'memory_per_core = { value = 3500, unit = "bit"')
    Path("small.toml").write_text(small, encoding="utf-8")
    machine = load_chip("small.toml")
    plain, roomy = map_network(traced, machine), map_network(traced, machine, extra=trace_room(traced, machine, 8))
    assert use(plain)[0].memory_bits + 32 * (16 + 3) > 3500  # at least a trace and a stamp
    assert all(each.memory_bits <= 3500 for each in use(roomy, trace_room(traced, machine, 8)))
    save_mapping(plain, "plain.json")
    refused = invoke("traced.h5", "--chip", "small.toml", *events_file, "--sam", "--map", "plain.json")
    assert refused.exit_code == 2
    assert "has no room for the traces: core 0: memory_bits" in refused.stderr
    assert "Without --map" in refused.stderr
    told = invoke("traced.h5", "--chip", "small.toml", *events_file, "--sam", "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["cores"] == roomy.cores > plain.cores
