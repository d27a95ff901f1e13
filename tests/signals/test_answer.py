"""A network whose output prefers no class gives no answer: never class 0, and never a right one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import neurosam as ns
from neurosam.cli import app
from neurosam.errors import NeurosamError
from neurosam.metrics import accuracy
from neurosam.report import Report, from_recording
from neurosam.report.figures import caption
from neurosam.report.film import Film
from neurosam.signals.answer import NO_ANSWER, accuracy_text, answer_name, predicted


def network(answer: str = "last", classes: int = 2) -> ns.Network:
    """Its first hidden neurons fire where there is input, and every one prefers its own class."""
    neuron = ns.LIF(leak=0.0, threshold=0.5) if answer == "count" else ns.Readout()
    weight = np.eye(classes, 4)
    return ns.Network(
        [
            ns.Population("in", (1, 2, 2)),
            ns.Population("hidden", (1, 2, 2), ns.LIF(leak=0.0, threshold=0.5)),
            ns.Population("out", (classes,), neuron),
        ],
        [
            ns.Projection("in", "hidden", ns.Conv2d(np.ones((1, 1, 1, 1))), delay=0),
            ns.Projection("hidden", "out", ns.Dense(weight), delay=0),
        ],
        outputs={"out": answer},
    ).with_sam()


def events(*neurons: int | None, steps: int = 3) -> ns.Events:
    """One sample for each neuron, which gets a spike at every step; None gets none."""
    x = np.zeros((steps, len(neurons), 1, 2, 2))
    for sample, neuron in enumerate(neurons):
        if neuron is not None:
            x[:, sample].reshape(steps, 4)[:, neuron] = 1
    return ns.Events.from_dense(x)


@pytest.mark.parametrize("answer", ["last", "mean", "max", "count"])
@pytest.mark.parametrize("backend", ["event", "reference"])
def test_silence_and_what_does_not_reach_the_output_is_no_answer(answer: str, backend: str) -> None:
    recording = ns.run(network(answer), events(0, 1, None, 3), backend)  # neuron 3 leads to no class
    assert recording.predictions.tolist() == [0, 1, NO_ANSWER, NO_ANSWER]
    assert accuracy(recording, [0, 0, 0, 0]) == 0.25


def test_one_class_answers_unless_its_output_is_0() -> None:
    assert ns.run(network(classes=1), events(0, None)).predictions.tolist() == [0, NO_ANSWER]


def test_some_equal_classes_are_the_first_of_them_and_nan_is_no_answer() -> None:
    assert predicted([[0.0, 2.0, 2.0], [np.nan, 1.0, 2.0], [np.inf, np.inf, np.inf]]).tolist() == [1, -1, -1]
    assert predicted(np.zeros((4, 0, 3))).shape == (4, 0)


def test_names_and_accuracy_in_words() -> None:
    assert [answer_name(i, ["cat"]) for i in (0, 1, NO_ANSWER)] == ["cat", "1", "no answer"]
    assert accuracy_text([0, NO_ANSWER], [0, 0]) == "50.00% (1 gave no answer)"
    assert accuracy_text([0, 1], [0, 0]) == "50.00%"


def test_a_page_and_its_figures_say_no_answer() -> None:
    recording = ns.run(network(), events(1, None), record=ns.Record(sam=("hidden",), membrane=("out",)))
    samples = from_recording(recording, np.zeros((2, 1, 2, 2), np.uint8), labels=[0, 0], readout="out")
    report = Report("r", samples, ["cat", "dog"])
    assert [report.class_name(s.prediction) for s in samples if s.prediction is not None] == ["dog", "no answer"]
    assert samples[1].predictions is not None
    assert samples[1].predictions.tolist() == [NO_ANSWER] * 3
    assert caption(samples[1], report.classes) == "label cat\n→ no answer (wrong)"


def test_a_film_says_no_answer() -> None:
    film = Film(network(), ["hidden"], window=1)
    film.add(events(None), ns.run(film.network, events(None), record=film.record))
    report = film.report("r")
    assert report.samples[0].prediction == NO_ANSWER
    assert "gamma = 0.5" in dict(report.explanations)["Gamma"]


def test_tables_of_other_packages_mark_no_class_as_predicted() -> None:
    pytest.importorskip("pandas")
    from neurosam.formats.frames import to_numpy, to_pandas

    recording = ns.run(network(), events(1, None))
    assert to_numpy(recording)["predictions"].tolist() == [1, NO_ANSWER]
    assert to_pandas(recording, "output")["predicted"].tolist() == [False, True, False, False]


def test_the_command_line_says_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network().save("net.h5")
    events(1, None, None).save("events.h5")
    Path("labels.txt").write_text("1\n0\n0\n", encoding="utf-8")
    named = ["run", "net.h5", "--events", "events.h5", "--labels", "labels.txt"]
    assert "accuracy 33.33% (2 gave no answer) on 3 samples" in CliRunner().invoke(app, named).output
    given = CliRunner().invoke(app, ["run", "net.h5", "events.h5"]).output
    assert "answers: 1, no answer, no answer" in given


def test_a_live_recording_says_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network().save("net.h5")
    far = np.zeros(2, [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])
    far["x"], far["y"], far["t"] = 1, 1, [0, 9000]  # neuron 3
    for name, x in (("a", 1), ("b", 0)):
        far["x"], far["y"] = x, x
        np.save(f"{name}.npy", far)
    out = CliRunner().invoke(app, ["run", "net.h5", "a.npy", "b.npy", "--polarity", "one"]).output
    assert "answers: a.npy no answer, b.npy 0" in out, out


def test_training_counts_no_answer_as_wrong() -> None:
    torch = pytest.importorskip("torch")
    from neurosam import training
    from neurosam.data import ImageSet

    module = training.build("D2", (1, 2, 2))
    for parameter in module.parameters():
        torch.nn.init.zeros_(parameter)
    silent = ImageSet(np.ones((3, 1, 2, 2), np.uint8), np.zeros(3, np.int64), None, name="x", classes=("a", "b"))
    assert training.evaluate(module, silent, steps=2) == 0.0
    assert training.accuracy_by_step(module, silent, steps=2).tolist() == [0.0, 0.0]


def test_what_needs_a_class_asks_for_one() -> None:
    pytest.importorskip("torch")
    from neurosam.evaluation import deletion, of_network

    x = np.zeros((3, 1, 1, 2, 2))
    maps = np.ones((1, 2, 2))
    with pytest.raises(NeurosamError, match="target: is needed: sample 0 has no answer"):
        deletion(of_network(network()), x, maps)
    assert (deletion(of_network(network()), x, maps, 0, measure="correct").values == 0).all()
