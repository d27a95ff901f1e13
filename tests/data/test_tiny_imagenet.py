"""Tiny-ImageNet's layout: pictures, names and boxes in step; hostile lists are refused by file and line."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from neurosam.data import cluttered, load, load_held_out, load_image_folder, load_training
from neurosam.data.clutter import Clutter
from neurosam.errors import DataError
from support.data import data_file

Image = pytest.importorskip("PIL.Image", reason="image folders need pillow")

BOXES = {"n01": [(0, 0, 7, 5), (2, 1, 2, 1)], "n02": [(1, 2, 3, 4)]}  # x0 y0 x1 y1 in pictures of 8 x 6


def save(path: Path, level: int, size: tuple[int, int] = (8, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, 255)).save(path, format="PNG")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    for number, boxes in BOXES.items():
        lines = []
        for i, box in enumerate(boxes):
            save(folder / "train" / number / "images" / f"{number}_{i}.png", i + 10)
            lines.append("\t".join(map(str, (f"{number}_{i}.png", *box))))
        (folder / "train" / number / f"{number}_boxes.txt").write_text("\n".join(lines) + "\n")
    for i in range(3):
        save(folder / "val" / "images" / f"val_{i}.png", i + 50)
    lines = ["val_2.png\tn01\t0\t0\t1\t1", "val_0.png\tn02\t7\t5\t7\t5", "val_1.png\tn01\t3\t0\t4\t5"]
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines))
    (folder / "wnids.txt").write_text("n02\nn01\n")
    (folder / "words.txt").write_text("n00\tentity\nn01\tgoldfish, Carassius auratus\nn02\tpizza, pizza pie\n")
    return folder


def test_boxes_become_masks_and_words_names(root: Path) -> None:
    train, val = load_training(root), load_held_out(root)
    assert train.classes == val.classes == ("goldfish", "pizza")
    assert (train.labels.tolist(), val.labels.tolist()) == ([0, 0, 1], [1, 0, 0])
    assert val.images[:, 0, 0, 0].tolist() == [50, 51, 52]
    assert train.masks is not None
    assert val.masks is not None
    for mask, (x0, y0, x1, y1) in zip(train.masks, [*BOXES["n01"], *BOXES["n02"]], strict=True):
        want = np.zeros((6, 8), dtype=bool)
        want[y0 : y1 + 1, x0 : x1 + 1] = True
        np.testing.assert_array_equal(mask, want)
    assert val.masks.sum(axis=(1, 2)).tolist() == [1, 12, 4]
    np.testing.assert_array_equal(train.images, load_image_folder(root).images)


def test_a_box_follows_the_crop_and_the_size(root: Path) -> None:
    val = load(root, part="val", size=3)  # the middle 6 x 6, then 2 pixels to 1
    assert val.masks is not None
    assert [np.argwhere(mask).tolist() for mask in val.masks] == [
        [[2, 2]],  # x 7 is cropped away: the border beside it
        [[0, 1], [1, 1], [2, 1]],  # x 3..4 is 2..3 after the crop
        [[0, 0]],
    ]
    wide = load(root, part="val", size=(12, 16))
    assert wide.masks is not None
    assert wide.masks.sum(axis=(1, 2)).tolist() == [4, 48, 16]


def test_a_name_of_two_classes_is_told_apart_and_words_may_be_missing(root: Path) -> None:
    (root / "words.txt").write_text("n01\tcrane\nn02\tcrane, machine\n")
    assert load(root).classes == ("crane (n01)", "crane (n02)")
    (root / "words.txt").unlink()
    assert load(root).classes == ("n01", "n02")


def test_without_any_boxes_there_are_no_masks(root: Path) -> None:
    for number in BOXES:
        (root / "train" / number / f"{number}_boxes.txt").unlink()
    (root / "val" / "val_annotations.txt").write_text("val_0.png\tn01\nval_1.png\tn02\nval_2.png\tn02")
    assert load(root).masks is None
    assert load(root, part="val").masks is None


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("train/n02/n02_boxes.txt", "n02_0.png\t1\t2\t3", r"n02_boxes.txt:1: has the box '1 2 3'; four integers"),
        ("train/n02/n02_boxes.txt", "n02_0.png\t1\t2\t3\t-4", "four integers"),
        ("train/n02/n02_boxes.txt", "n02_0.png\t1\t2\t3\t" + "9" * 5000, "four integers"),
        ("train/n02/n02_boxes.txt", "n02_0.png\t1\t2\t3\t\u0664", "four integers"),
        ("train/n02/n02_boxes.txt", "\nn02_0.png\t1\t2\t8\t4", r"n02_boxes.txt:2: .* in a picture of 8 x 6"),
        ("train/n02/n02_boxes.txt", "n02_0.png\t3\t2\t1\t4", "x0 <= x1"),
        ("train/n02/n02_boxes.txt", "n02_9.png\t1\t2\t3\t4", "n02_0.png: has no box"),
        ("val/val_annotations.txt", "val_0.png\tn02\t0\t0\t1\t1\t1", r"val_annotations.txt:1: has the box"),
        ("wnids.txt", "n01", "does not list the class 'n02'"),
    ],
)
def test_lists_that_do_not_fit_are_refused(root: Path, file: str, text: str, says: str) -> None:
    (root / file).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        load(root, part=file.partition("/")[0] if "/" in file else None)


def test_a_missing_list_a_link_outside_and_a_large_list_are_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = root / "train" / "n02" / "n02_boxes.txt"
    kept = boxes.read_text()
    boxes.unlink()
    with pytest.raises(DataError, match="does not exist, but other classes have boxes"):
        load(root)
    (root.parent / "secret").write_text(kept)
    os.symlink(root.parent / "secret", boxes)
    with pytest.raises(DataError, match="is a link that leaves"):
        load(root)
    boxes.unlink()
    boxes.write_text(kept)
    with pytest.raises(DataError, match="no labelled part 'test'"):
        load(root, part="test")
    monkeypatch.setattr("neurosam.data.tiny_imagenet._MOST_TEXT_BYTES", 8)
    with pytest.raises(DataError, match="at most 8 are read"):
        load(root)


def test_canvases_take_the_boxes(root: Path) -> None:
    scenes = cluttered(load(root).subset([0, 2]), Clutter(canvas=16, distractors=0))
    assert scenes.masks is not None
    assert scenes.masks.sum(axis=(1, 2)).tolist() == [48, 9]


def test_the_real_set(tmp_path: Path) -> None:
    wanted = ("words.txt", "wnids.txt", "n07873807_boxes.txt", "n07873807_0.JPEG", "n07873807_1.JPEG")
    numbers = set()
    with tarfile.open(data_file("tiny-imagenet-20.tar")) as tar:
        for member in tar:
            if member.name.endswith(wanted):
                numbers.add(member.name.split("/")[2]) if "train" in member.name else None
                tar.extract(member, tmp_path, filter="data")
    root = tmp_path / "tiny-imagenet-20"
    boxes = root / "train" / "n07873807" / "n07873807_boxes.txt"
    lines = [line for line in boxes.read_text().splitlines() if line.startswith(("n07873807_0.", "n07873807_1."))]
    pictures = load(root)
    assert pictures.masks is not None
    assert (pictures.classes, pictures.shape) == (("pizza",), (3, 64, 64))
    for mask, line in zip(pictures.masks, lines, strict=True):
        x0, y0, x1, y1 = map(int, line.split()[1:])
        assert mask[y0 : y1 + 1, x0 : x1 + 1].all()
        assert mask.sum() == (y1 - y0 + 1) * (x1 - x0 + 1)
