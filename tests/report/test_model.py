"""What a report accepts, and how it is made from a recording."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import NeurosamError
from neurosam.report import Beside, NeuronKind, Report, Sample, Table, from_recording
from neurosam.signals.recording import Recording

IMAGE = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
SAMPLE = Sample(
    IMAGE,
    {"conv1": np.ones((5, 3, 4))},
    label=1,
    prediction=0,
    readout=np.array([[0, 1], [2, 2], [3, 1], [0, 4], [5, 1]]),
    counts={"conv1": np.arange(5)},
)


def test_sample_counts_its_steps_and_predicts_after_each() -> None:
    assert SAMPLE.steps == 5
    assert SAMPLE.predictions is not None
    assert SAMPLE.predictions.tolist() == [1, -1, 0, 1, 0]  # [2, 2] is the same for all classes: no answer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": IMAGE.astype(np.int64)}, r"image: got int64 \(1, 3, 4\)"),
        ({"image": IMAGE[0]}, r"image: got uint8 \(3, 4\)"),
        ({"maps": {"conv1": np.ones((5, 12))}}, "map 'conv1': got float64"),
        ({"maps": {"conv1": -np.ones((5, 3, 4))}}, "map 'conv1': got -1"),
        ({"maps": {"conv1": np.full((5, 3, 4), np.nan)}}, "NaN"),
        ({"maps": {"conv1": np.ones((4, 3, 4))}}, r"series of \[4, 5\] steps"),
        ({"mask": np.ones((4, 3), dtype=bool)}, r"mask: got bool \(4, 3\)"),
        ({"label": "cat"}, "label: got 'cat'; the index of a class"),
        ({"readout": np.ones(5)}, "readout: got float64"),
        ({"spikes": {"fc": np.ones((5, 2))}}, "spikes 'fc': got float64; integers"),
        ({"membrane": {"fc": np.ones((4, 2))}}, r"series of \[4, 5\] steps"),
        ({"membrane": {"fc": np.full((5, 2), 2**31)}}, "membrane 'fc': got 2147483648..2147483648; 32 bits"),
        ({"membrane": {"fc": np.ones((5, 2, 2))}}, r"membrane 'fc': got float64 \(5, 2, 2\)"),
        ({"beside": Beside("float", {"conv2": np.ones((5, 3, 4))})}, "beside 'float': map 'conv2': got shape"),
        ({"beside": Beside("float", {"conv1": np.ones((5, 3, 3))})}, r"map 'conv1': got shape \(5, 3, 3\)"),
        ({"beside": Beside("float", {"conv1": -np.ones((5, 3, 4))})}, "map 'conv1': got -1"),
        ({"maps": {}, "readout": None, "counts": {}}, r"series of \[\] steps"),
    ],
)
def test_sample_refuses_what_does_not_fit(change: dict[str, Any], message: str) -> None:
    with pytest.raises(NeurosamError, match=message):
        replace(SAMPLE, **change)


def test_report_refuses_samples_that_are_not_alike() -> None:
    other = replace(SAMPLE, maps={"conv2": np.ones((5, 3, 4))})
    with pytest.raises(NeurosamError, match="same steps, layers and classes"):
        Report("r", [SAMPLE, other])


@pytest.mark.parametrize("change", [{"label": 2}, {"prediction": -2}, {"label": -1}])
def test_report_refuses_a_class_that_does_not_exist(change: dict[str, int]) -> None:
    with pytest.raises(NeurosamError, match=r"sample 1: (label|prediction) is (2|-2|-1); allowed is 0\.\.1"):
        Report("r", [SAMPLE, replace(SAMPLE, **change)])  # type: ignore[arg-type]


def test_report_refuses_neurons_of_another_shape() -> None:
    one = replace(SAMPLE, spikes={"fc": np.ones((5, 2), np.uint8)})
    assert Report("r", [one]).kinds["fc"].shape == (2,)
    with pytest.raises(NeurosamError, match=r"sample 0: 'fc': has neurons of shape \(2,\); its kind has \(3,\)"):
        Report("r", [one], kinds={"fc": NeuronKind((3,))})


def test_report_refuses_a_short_row() -> None:
    with pytest.raises(NeurosamError, match="table 'Accuracy': row 1 has 1 cells for 2 columns"):
        Report("r", tables=[("Accuracy", ["a", "b"], [[1, 2], [3]])])


def test_report_takes_plain_tuples_as_tables_and_names_classes() -> None:
    report = Report("r", [SAMPLE], classes=["cat"], tables=[("Accuracy", ["a"], [[1]])])
    assert report.tables == (Table("Accuracy", ["a"], [[1]]),)
    assert [report.class_name(0), report.class_name(1)] == ["cat", "1"]
    assert (report.steps, report.layers) == (5, ("conv1",))


@pytest.fixture
def recording() -> Recording:
    rng = np.random.default_rng(0)
    membrane = rng.integers(-9, 9, (4, 3, 2)).astype(np.int32)
    return Recording(
        "event",
        steps=4,
        samples=3,
        output=membrane[-1],
        sam={"conv1": rng.integers(0, 1000, (4, 3, 3, 4)).astype(np.int32)},
        sam_scale={"conv1": 64.0},
        membrane={"out": membrane},
        counts={"conv1": rng.integers(0, 9, (4, 3))},
    )


def test_from_recording(recording: Recording) -> None:
    images = np.arange(36, dtype=np.uint8).reshape(3, 1, 3, 4)
    masks = images[:, 0] > 20
    samples = from_recording(recording, images, labels=[0, 1, 0], masks=masks, readout="out", select=[2, 0])
    assert [s.label for s in samples] == [0, 0]
    for s, b in zip(samples, (2, 0), strict=True):
        assert np.array_equal(s.image, images[b])
        assert s.mask is not None
        assert np.array_equal(s.mask, masks[b])
        assert np.array_equal(s.maps["conv1"], recording.sam["conv1"][:, b] / 64)
        assert np.array_equal(s.counts["conv1"], recording.counts["conv1"][:, b])
        assert s.readout is not None
        assert np.array_equal(s.readout, recording.membrane["out"][:, b])
        assert s.prediction == recording.predictions[b]


@pytest.mark.parametrize("answer", ["last", "mean", "max"])
def test_the_output_after_each_step_is_the_answer_of_a_run_that_ends_there(answer: str) -> None:
    net = ns.Network(
        (ns.Population("in", (1, 2, 2)), ns.Population("out", (3,), ns.FixedReadout(membrane_decay=900))),
        (ns.Projection("in", "out", ns.Dense(np.random.default_rng(0).integers(-50, 50, (3, 4)))),),
        outputs={"out": answer},
    )
    dense = np.random.default_rng(1).integers(0, 2, (6, 2, 1, 2, 2))
    whole = ns.run(net, ns.Events.from_dense(dense), "reference", ns.Record(membrane=("out",)))
    images = np.zeros((2, 1, 2, 2), np.uint8)
    samples = from_recording(whole, images, readout="out", answer=answer)
    for step in range(6):
        ended = ns.run(net, ns.Events.from_dense(dense[: step + 1]), "reference").output
        for b, sample in enumerate(samples):
            assert sample.readout is not None
            assert np.array_equal(sample.readout[step], ended[b])


def test_from_recording_refuses_other_images_and_an_unrecorded_readout(recording: Recording) -> None:
    images = np.zeros((3, 1, 3, 4), dtype=np.uint8)
    with pytest.raises(NeurosamError, match="got 2; the recording has 3 samples"):
        from_recording(recording, images[:2])
    with pytest.raises(NeurosamError, match="readout 'fc': its membrane was not recorded"):
        from_recording(recording, images, readout="fc")
