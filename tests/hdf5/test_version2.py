"""What version 2 of the format added: neuron options, several inputs and outputs, states, several spikes per step."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import neurosam as ns
from golden.write_options import CUT, STEPS, inputs, network
from neurosam import hdf5
from neurosam._util.arguments import identical
from neurosam.errors import EventError, FormatError, NetworkError
from neurosam.hdf5 import file_kind, load, load_network, load_recording, save, stream_recording
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.neuron import LIF, Readout
from neurosam.network.parameters import COMPARISONS, RESETS, TIMINGS
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording, Spikes
from neurosam.signals.state import State
from support.pieces import joined, part

GOLDEN = Path(__file__).parents[1] / "golden"
FIXED = GOLDEN / "options-fixed"
BACKENDS = ["reference", "event"]


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def run(first: int = 0, end: int = STEPS, backend: str = "reference", **options: Any) -> Recording:
    net = network(True)
    return ns.run(net, part(inputs(), first, end), backend, Record.everything(net), **options)


# --- golden files ---


@pytest.mark.parametrize("fixed", [True, False])
def test_golden_networks_are_read_as_they_were_written(fixed: bool) -> None:
    folder = GOLDEN / f"options-{'fixed' if fixed else 'float'}"
    assert load_network(folder / "network.h5") == network(fixed)


@pytest.mark.parametrize("backend", BACKENDS)
def test_golden_recordings_are_read_as_they_were_written(backend: str) -> None:
    """And the run is still that of the file, in two parts."""
    first = run(0, CUT, backend, keep_state=True)
    stored, state = load_recording(FIXED / "recording.h5"), load(FIXED / "state.h5")
    assert isinstance(state, State)
    assert stored.same_as(first)
    assert stored.state == state == first.state
    assert stored.spikes["graded"].dense().max() > 1
    assert load_recording(FIXED / "resumed.h5").same_as(run(CUT, STEPS, backend, initial=state))
    assert identical(load(FIXED / "inputs.h5"), Inputs(inputs()))


def test_golden_files_cover_every_option() -> None:
    """Each neuron option differs from its default somewhere, so that a field that is not read would be noticed."""
    for fixed, kinds in ((True, (FixedLIF, FixedReadout)), (False, (LIF, Readout))):
        found = [p.neuron for p in network(fixed).populations if p.neuron is not None]
        for kind in kinds:
            for name in hdf5.version1.NEW_FIELDS[kind]:
                default: Any = kind.__dataclass_fields__[name].default
                values = [getattr(neuron, name) for neuron in found if type(neuron) is kind]
                assert not all(np.array_equal(value, default) for value in values), name


# --- round trips ---


def any_neuron(rng: np.random.Generator, fixed: bool) -> Any:
    """A neuron for the shape (3, 2, 2) with any options that go together."""

    def values(low: int, high: int) -> Any:
        shape = [(), (3,), (3, 2, 2)][rng.integers(3)]
        drawn = rng.integers(low, high, shape)
        return drawn if fixed else drawn / 4096

    readout, current, rises = (bool(rng.random() < chance) for chance in (0.3, 0.5, 0.3))
    reset = str(rng.choice(RESETS))
    options: dict[str, Any] = {"initial_membrane": values(-999, 999)}
    if current:
        options |= {"current": values(0, 4096), "initial_current": values(-99, 99)}
    if not readout:
        options |= {
            "reset": reset, "fires": str(rng.choice(COMPARISONS)), "reset_timing": str(rng.choice(TIMINGS)),
            "reset_amount": values(1, 2**20) if reset == "subtract" else None,
            "reset_value": values(-99, 99) if reset == "value" else None,
            "relative": values(0, 4096) if reset == "relative" else None,
            "lower_bound": values(-99, 1) if rng.random() < 0.5 else None,
            "refractory": int(rng.choice([0, 0, 3, 4096])), "max_spikes": int(rng.choice([1, 1, 7, 2**23 - 1])),
            "threshold": values(0, 4096) if rises else None, "threshold_step": values(0, 99) if rises else None,
        }  # fmt: skip
    suffix = "decay" if fixed else "leak"
    names = {name: f"{name}_{suffix}" for name in ("current", "threshold", "relative")}
    units = ("reset_amount", "reset_value", "lower_bound", "threshold_step", "initial_membrane", "initial_current")
    names |= {name: f"{name}_64ths" for name in units if fixed}
    named = {names.get(name, name): value for name, value in options.items()}
    if readout:
        kept = {"membrane_decay" if fixed else "leak": values(0, 4096)}
        return (FixedReadout if fixed else Readout)(**named, **kept)
    bar = np.maximum(values(1, 4096), 1 if fixed else 1 / 4096)
    return FixedLIF(values(0, 4096), bar, **named) if fixed else LIF(values(0, 4096), bar, **named)


@pytest.mark.parametrize("fixed", [True, False])
def test_any_options_return_bit_for_bit(fixed: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng([9, fixed])
    made: list[Any] = []
    while len(made) < 80:
        try:
            made.append(any_neuron(rng, fixed))
        except NetworkError:
            continue
    number = np.int8 if fixed else np.float64
    for neuron in made:
        out = ns.Population("out", (3, 2, 2), neuron)
        answers = ["last", "mean", "max", *(["count"] if out.fires else [])]
        net = ns.Network(
            [ns.Population("a", (12,)), ns.Population("b", (12,), magnitude=3), out],
            ns.add([ns.Population("a", (12,)), ns.Population("b", (12,))], "out", ns.Dense(np.eye(12, dtype=number))),
            outputs={"out": str(rng.choice(answers))},
            precision=ns.Precision.nxsdk(int(rng.integers(4, 9)), "excitatory") if fixed else None,
        )
        save(net, tmp_path / "n.h5")
        assert load_network(tmp_path / "n.h5") == net
    for name in hdf5.version1.NEW_FIELDS[FixedLIF if fixed else LIF]:  # each option was drawn, with more than one value
        values = [repr(getattr(n, name)) for n in made if hasattr(n, name)]
        assert len(set(values)) > 1, name


def test_states_and_inputs_return_bit_for_bit(tmp_path: Path) -> None:
    state = run(0, CUT, keep_state=True).state
    assert state is not None
    state.save(tmp_path / "s.h5")
    assert identical(load(tmp_path / "s.h5"), state)
    Inputs(inputs()).save(tmp_path / "i.h5")
    save(inputs(), tmp_path / "j.h5")
    assert identical(load(tmp_path / "i.h5"), load(tmp_path / "j.h5"))
    assert identical(load(tmp_path / "i.h5"), Inputs(inputs()))
    assert [file_kind(tmp_path / name) for name in ("s.h5", "i.h5")] == ["state", "inputs"]
    with pytest.raises(FormatError, match=r"holds a state, not a network; use neurosam\.load$"):
        load_network(tmp_path / "s.h5")
    loaded: Any = load(tmp_path / "i.h5")
    assert ns.run(network(True), loaded, "reference").same_as(ns.run(network(True), inputs(), "reference"))


def test_inputs_of_different_length_and_other_mappings_are_not_written(tmp_path: Path) -> None:
    events = inputs()
    with pytest.raises(EventError, match="all inputs need the same"):
        save(events | {"image": events["image"].select(0, 1)}, tmp_path / "i.h5")
    with pytest.raises(FormatError, match="got dict to save"):
        save({"image": 3}, tmp_path / "i.h5")  # type: ignore[dict-item]
    assert not list(tmp_path.iterdir())


# --- streaming ---


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_to_a_file_has_all_that_a_run_in_memory_has(backend: str, tmp_path: Path) -> None:
    """In two runs, the second resumed from the file of the first: magnitudes, outputs, counts and the state."""
    first = run(0, CUT, keep_state=True)
    rest = run(CUT, STEPS, keep_state=True, initial=first.state)
    streamed = run(0, CUT, backend, keep_state=True, out=tmp_path / "a.h5")
    state = load_recording(tmp_path / "a.h5").state
    resumed = run(CUT, STEPS, backend, keep_state=True, initial=state, out=tmp_path / "b.h5")
    for got, expected, path in ((streamed, first, "a.h5"), (resumed, rest, "b.h5")):
        assert got.same_as(expected)
        assert load_recording(tmp_path / path).same_as(expected)
        assert got.spikes["graded"].magnitude is not None
        assert got.other_outputs.keys() == {"graded", "both"}
        assert got.saturated.keys() == got.wrapped.keys() == {p.name for p in network(True).populations if p.neuron}
    whole = run()
    assert joined([streamed, resumed]).same_as(whole)


def test_batches_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(keep_state=True)
    monkeypatch.setattr("neurosam.backends.streaming.BATCH_BYTES", 1)
    assert run(keep_state=True, out=tmp_path / "r.h5").same_as(expected)


def test_a_stream_takes_planes_and_magnitudes_apart(tmp_path: Path) -> None:
    """Each array goes to its own place, whatever is recorded beside it."""
    whole, net = run(), network(True)
    record = Record(spikes=("late", "graded", "both"), membrane=("out",), sam=("graded",))
    kept: dict[str, Any] = {
        variable: {name: getattr(whole, variable)[name] for name in getattr(record, variable)}
        for variable in ("spikes", "sam", "membrane", "current")
    }
    expected = replace(whole, sam_scale={}, **kept)
    with stream_recording(tmp_path / "r.h5", net, record, STEPS, 2) as stream:
        assert [key for key in stream.places if key[1] == "graded"] == [
            ("spikes", "graded"), ("magnitude", "graded"), ("sam", "graded")
        ]  # fmt: skip
        for sample in (1, 0):
            stream.put(expected.select(sample, sample + 1), sample)
        stream.finish(replace(expected, spikes={}, sam={}, membrane={}, current={}))
    assert load_recording(tmp_path / "r.h5").same_as(expected)


# --- what does not fit together ---


def recording() -> Recording:
    return replace(run(0, CUT, keep_state=True), time_s=0.0)


def wrong_state(**changes: Any) -> dict[str, Any]:
    state = recording().state
    assert state is not None
    return {"state": replace(state, **changes)}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            lambda: {"other_outputs": {"both": np.zeros((3, 4))}},
            r"other_outputs of 'both' has shape \(3, 4\); 2 samples",
        ),
        (lambda: {"saturated": {"out": np.zeros(3, np.int64)}}, "saturated of 'out' has shape"),
        (lambda: {"wrapped": {"out": np.zeros(1, np.int64)}}, "wrapped of 'out' has shape"),
        (
            lambda: {
                "spikes": {"late": replace(recording().spikes["late"], magnitude=np.zeros((CUT, 2, 5), np.int32))}
            },
            r"spikes of 'late' have magnitudes of shape \(6, 2, 5\); \(6, 2, 4\) is required",
        ),
        (lambda: wrong_state(samples=3), "state has 3 samples; the recording has 2"),
        (lambda: wrong_state(neurons={"late": {"v": np.zeros((1, 4), np.int32)}}), "state: v of 'late' has shape"),
        (lambda: wrong_state(answers={"out": np.zeros((1, 3))}), "state: answer of 'out' has shape"),
        (lambda: wrong_state(recent={"image": np.zeros((1, 3, 25))}), "state: recent events of 'image' have shape"),
    ],
)
def test_inconsistent_recordings_are_neither_written_nor_read(
    changes: Any, match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.h5"
    bad = replace(recording(), **changes())
    with pytest.raises(FormatError, match=match):
        save(bad, path)
    assert not list(tmp_path.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(hdf5.files, "inconsistency", lambda _: None)
        save(bad, path)
    with pytest.raises(FormatError, match=match):
        load(path)


def spoiled(path: Path, name: str, value: Any) -> None:
    """Another value of a dataset or attribute."""
    with h5py.File(path, "r+") as root:
        group, _, last = name.rpartition("/")
        holder = root[group] if group else root
        if last in holder.attrs:
            holder.attrs.create(last, value)
        else:
            del holder[last]
            if callable(value):
                value(holder, last)
            else:
                holder.create_dataset(last, data=value)


def huge(group: Any, name: str) -> None:
    group.create_dataset(name, shape=(2, 2, 10**6, 10**6), dtype="<i4")


@pytest.mark.parametrize(
    ("file", "name", "value", "match"),
    [
        ("state.h5", "neurons/0/value/0/value", huge, "declares 16000000000000 bytes"),
        ("state.h5", "neurons/0/value/0/value", np.zeros((2, 2, 4, 4), ">i4"), "little-endian"),
        ("state.h5", "neurons/0/value", np.zeros(3, "<i4"), "is not a group"),
        ("state.h5", "neurons/0/value/0/value", np.zeros(3, "<i4"), r"2 or 4 dimension\(s\) are required"),
        ("state.h5", "step", np.int64(-1), "step: got -1; allowed is 0"),
        ("state.h5", "samples", np.int64(1), "has shape .*; 1 samples come first"),
        ("inputs.h5", "events/0/value/neuron", np.zeros(3, "<i4"), "is not a valid Events"),
        ("inputs.h5", "events/0/name", np.bytes_(b"sound"), "'sound', which an earlier entry has"),
        ("inputs.h5", "events/0/value/steps", np.int64(50), "is not a valid Inputs: events: got steps and samples"),
        ("network.h5", "outputs/0/value", np.bytes_(b"median"), "valid Network: network: output 'out': got 'median'"),
        ("network.h5", "populations/2/neuron/threshold", np.eye(4, dtype="<i4")[None] + 1, r"has \(2, 4, 4\)"),
        ("network.h5", "populations/2/neuron/max_spikes", np.int64(0), "max_spikes: got 0; allowed is 1"),
        ("network.h5", "populations/2/neuron/reset_timing", np.bytes_(b"soon"), "reset_timing: got 'soon'"),
        ("network.h5", "precision/sign", np.bytes_(b"inhibitory"), "weight_bits: got 9; allowed is 2..8"),
        ("recording.h5", "spikes/0/value/magnitude", np.zeros((6, 2, 2, 4), "<i4"), "3 or 5 dimension"),
        ("recording.h5", "saturated/0/value", np.zeros(2, "<i4"), "int64"),
    ],
)  # fmt: skip
def test_hostile_values_are_refused(file: str, name: str, value: Any, match: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.write_bytes((FIXED / file).read_bytes())
    spoiled(path, name, value)
    with pytest.raises(FormatError, match=match) as caught:
        load(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    ("variable", "population", "value", "match"),
    [
        ("last", "graded", -1, r"initial state: last of 'graded': has values in -1\.\..*; allowed is 0\.\.5"),
        ("last", "graded", CUT, "last of 'graded'"),
        ("fired", "adaptive", CUT + 1, r"fired of 'adaptive': .*; allowed is 0\.\.6"),
        ("trace", "adaptive", -5, "trace of 'adaptive'"),
        ("wait", "resting", 3, r"wait of 'resting': .*; allowed is 0\.\.2"),
        ("h", "adaptive", -1, "h of 'adaptive'"),
        ("r", "adaptive", 2**23, "r of 'adaptive'"),
        ("v", "out", 2**24, "v of 'out'"),
        ("recent", "graded", 6, r"recent events of 'graded': .*; allowed is 0\.\.5"),
        ("recent", "graded", -1, "recent events of 'graded'"),
    ],
)
def test_a_forged_state_starts_no_run(variable: str, population: str, value: int, match: str, tmp_path: Path) -> None:
    """What a kernel would take as an index, or as proven: refused before anything runs."""
    state = run(0, CUT, keep_state=True).state
    assert state is not None
    array = state.recent[population] if variable == "recent" else state.neurons[population][variable]
    array.reshape(-1)[-1] = value
    state.save(tmp_path / "s.h5")
    loaded = load(tmp_path / "s.h5")
    with pytest.raises(EventError, match=match):
        run(CUT, STEPS, initial=loaded)


def test_a_state_of_too_many_steps_starts_no_run() -> None:
    state = run(0, CUT, keep_state=True).state
    assert state is not None
    with pytest.raises(EventError, match=r"step: got 2147483648; allowed is 0\.\.2147483647"):
        run(CUT, STEPS, initial=replace(state, step=2**31))


def test_a_file_without_inputs_holds_nothing(tmp_path: Path) -> None:
    save(inputs(), tmp_path / "i.h5")
    with h5py.File(tmp_path / "i.h5", "r+") as root:
        del root["events"]
        root.create_group("events")
    with pytest.raises(FormatError, match="is not a valid Inputs: events: got steps and samples of no input"):
        load(tmp_path / "i.h5")


def test_the_magnitudes_of_a_recording_can_be_mapped() -> None:
    spikes = load_recording(FIXED / "recording.h5", mapped=True).spikes["graded"]
    assert isinstance(spikes, Spikes)
    assert spikes.magnitude is not None
    assert not spikes.magnitude.flags.owndata
    np.testing.assert_array_equal(spikes.dense(), run(0, CUT).spikes["graded"].dense())
