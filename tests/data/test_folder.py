"""Image folders: the layouts, and images that must not be read."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurosam.data import load, load_held_out, load_image_folder, load_training
from neurosam.errors import DataError

Image = pytest.importorskip("PIL.Image", reason="image folders need pillow")


def save(path: Path, level: int, size: tuple[int, int] = (4, 5)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*size, 3), (level, 0, 255), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save(tmp_path / "zebra" / "a.png", 3)
    save(tmp_path / "ant" / "b.png", 2)
    save(tmp_path / "ant" / "a.PNG", 1)
    (tmp_path / "ant" / "notes.txt").write_text("no picture")
    return tmp_path


def test_classes_and_files_come_in_order_of_name(root: Path) -> None:
    items = load(root)
    assert items.classes == ("ant", "zebra")
    assert items.labels.tolist() == [0, 0, 1]
    assert items.shape == (3, 4, 5)
    assert items.images[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert items.images[0, :, 3, 4].tolist() == [1, 0, 255]


def test_grey_and_resized(root: Path) -> None:
    items = load(root, channels=1, size=(2, 3))
    assert items.shape == (1, 2, 3)
    assert items.images[2].tolist() == [[[30] * 3] * 2]  # 0.299 * 3 + 0.114 * 255, rounded
    assert load(root, size=6).shape == (3, 6, 6)


def columns(path: Path, levels: list[int], height: int = 2) -> None:
    """A grey picture whose columns are the levels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.tile(np.array(levels, dtype=np.uint8), (height, 1))).save(path)


def test_a_size_cuts_around_the_centre_and_keeps_the_aspect_ratio(tmp_path: Path) -> None:
    columns(tmp_path / "a" / "wide.png", [9, 1, 2, 9])
    columns(tmp_path / "a" / "larger.png", [9, 9, 10, 10, 30, 30, 9, 9], height=4)
    columns(tmp_path / "a" / "tall.png", [5, 5], height=7)
    images = load(tmp_path, channels=1, size=2).images[:, 0].tolist()
    assert images[2] == [[1, 2]] * 2  # cropped only, so exact
    assert images[1] == [[5, 5]] * 2
    assert all(
        10 <= low < 20 < high <= 30 for low, high in images[0]
    )  # cropped to 10 10 30 30, then halved; the 9 is cut off
    assert load(tmp_path, channels=1, size=(2, 1)).shape == (1, 2, 1)


def tree(root: Path, parts: dict[str, dict[str, list[int]]]) -> Path:
    """A root of parts of classes of pictures of one level."""
    for part, classes in parts.items():
        for name, levels in classes.items():
            for level in levels:
                save(root / part / name / f"{level:03}.png", level)
    return root


def levels(items: Any) -> tuple[list[int], list[int]]:
    return items.images[:, 0, 0, 0].tolist(), items.labels.tolist()


@pytest.mark.parametrize("held_out", ["test", "val"])
def test_parts_of_a_folder_are_its_training_and_held_out_sets(tmp_path: Path, held_out: str) -> None:
    tree(tmp_path, {"train": {"a": [1, 2], "b": [3]}, held_out: {"a": [4], "b": [5]}})
    assert levels(load_training(tmp_path)) == ([1, 2, 3], [0, 0, 1])
    assert levels(load_held_out(tmp_path)) == ([4, 5], [0, 1])


def test_test_goes_before_val(tmp_path: Path) -> None:
    tree(tmp_path, {"train": {"a": [1]}, "val": {"a": [2]}, "test": {"a": [3]}})
    assert levels(load_held_out(tmp_path)) == ([3], [0])


def test_all_parts_number_classes_as_train_does(tmp_path: Path) -> None:
    tree(tmp_path, {"train": {"a": [1], "b": [2], "c": [3]}, "test": {"c": [4], "b": [5]}})
    test = load_held_out(tmp_path)
    assert (test.classes, levels(test)) == (("a", "b", "c"), ([5, 4], [1, 2]))
    save(tmp_path / "test" / "d" / "x.png", 6)
    with pytest.raises(DataError, match=r"test: has the class folder 'd', and .*train has none of that name"):
        load_held_out(tmp_path)


def test_a_folder_without_parts_is_divided_by_the_seed(tmp_path: Path) -> None:
    names = {"a": list(range(10)), "b": list(range(100, 110))}
    root = tree(tmp_path, {"": names})
    train, test = load_training(root, seed=3), load_held_out(root, seed=3)
    assert (len(train), len(test)) == (16, 4)
    assert sorted(levels(train)[0] + levels(test)[0]) == [*names["a"], *names["b"]]
    assert np.bincount(test.labels).tolist() == [2, 2]
    assert levels(load_held_out(root, seed=4)) != levels(test)


def test_tiny_imagenet(tmp_path: Path) -> None:
    save(tmp_path / "test" / "images" / "test_0.png", 9)  # without labels
    save(tmp_path / "train" / "n02" / "images" / "n02_0.png", 1)
    save(tmp_path / "train" / "n01" / "images" / "n01_0.png", 2)
    (tmp_path / "train" / "n01" / "n01_boxes.txt").write_text("n01_0.JPEG\t0\t0\t62\t44\n")
    save(tmp_path / "val" / "images" / "val_1.png", 4)
    save(tmp_path / "val" / "images" / "val_0.png", 3)
    (tmp_path / "val" / "val_annotations.txt").write_text("val_1.png\tn01\t0\t0\t1\t1\nval_0.png\tn02\t0\t0\t1\t1\n")
    train, val = load(tmp_path), load(tmp_path, part="val")
    assert train.classes == val.classes == ("n01", "n02")
    assert (train.images[:, 0, 0, 0].tolist(), train.labels.tolist()) == ([2, 1], [0, 1])
    assert (val.images[:, 0, 0, 0].tolist(), val.labels.tolist()) == ([3, 4], [1, 0])
    assert levels(load_training(tmp_path)) == levels(train)
    assert levels(load_held_out(tmp_path)) == levels(val)
    assert load_held_out(tmp_path, size=2).shape == (3, 2, 2)
    with (tmp_path / "val" / "val_annotations.txt").open("a") as file:
        file.write("../../train/n01/images/n01_0.png\tn01\n")
    with pytest.raises(DataError, match=r"val_annotations.txt:3"):
        load(tmp_path, part="val")


def test_jpeg(tmp_path: Path) -> None:
    save(tmp_path / "a" / "x.JPEG", 100)
    assert abs(int(load(tmp_path).images[0, 0, 0, 0]) - 100) <= 4


@pytest.mark.parametrize("part", ["absent", "..", ".", "", "ant/..", "/"])
def test_a_part_is_a_folder_in_the_root(root: Path, part: str) -> None:
    with pytest.raises(DataError, match="no folder"):
        load(root, part=part)


def refused(root: Path, *named: str, **options: Any) -> None:
    with pytest.raises(DataError) as refusal:
        load_image_folder(root, **options)
    for text in named:
        assert text in str(refusal.value)


def test_pictures_of_two_sizes_need_a_size(root: Path) -> None:
    save(root / "zebra" / "b.png", 0, size=(6, 6))
    refused(root, "b.png", "6 x 6", "4 x 5", "size=")
    assert len(load(root, size=4)) == 4


def test_an_empty_class_is_named(root: Path) -> None:
    (root / "bee").mkdir()
    refused(root, "bee", "no images")


def test_a_folder_without_classes(tmp_path: Path) -> None:
    refused(tmp_path, "no class folders")
    refused(tmp_path / "absent", "is not a folder")


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_an_unreadable_file_is_named(root: Path, content: bytes) -> None:
    (root / "zebra" / "bad.png").write_bytes(content)
    refused(root, "bad.png", "cannot be read as an image")


def test_a_truncated_picture_is_named(root: Path) -> None:
    noise = np.random.Philox(key=0).random_raw(4 * 5 * 3).astype(np.uint8).reshape(4, 5, 3)
    Image.fromarray(noise).save(root / "zebra" / "bad.png")
    content = (root / "zebra" / "bad.png").read_bytes()
    (root / "zebra" / "bad.png").write_bytes(content[: len(content) // 2])
    refused(root, "bad.png", "cannot be read as an image")


def bomb(side: int) -> bytes:
    """A PNG that declares side x side pixels but holds none: it catches a reader that allocates first."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [5_000, 12_000, 60_000])  # our limit, pillow's warning, pillow's error
def test_a_decompression_bomb_is_refused(root: Path, side: int) -> None:
    (root / "zebra" / "bomb.png").write_bytes(bomb(side))
    refused(root, "bomb.png", "pixels")


def test_more_than_8_bits_a_channel_are_refused(root: Path) -> None:
    Image.fromarray(np.full((4, 5), 60_000, dtype=np.uint16)).save(root / "zebra" / "deep.png")
    refused(root, "deep.png", "8 bits")


def test_limits_are_the_callers(root: Path) -> None:
    refused(root, "a.PNG", "bytes", max_file_bytes=10)
    refused(root, "a.PNG", "5 x 4 pixels", max_pixels=19)
    assert len(load_image_folder(root, max_pixels=20)) == 3


def test_links_may_not_leave_the_root(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    save(outside / "secret.png", 9)
    (root / "zebra" / "in.png").symlink_to(root / "ant" / "b.png")
    assert load(root).images[:, 0, 0, 0].tolist() == [1, 2, 3, 2]
    (root / "zebra" / "out.png").symlink_to(outside / "secret.png")
    refused(root, "out.png", "link")
    (root / "zebra" / "out.png").unlink()
    (root / "wasp").symlink_to(outside, target_is_directory=True)
    refused(root, "wasp", "link")


@pytest.mark.parametrize("options", [{"channels": 2}, {"size": 0}, {"size": (4, 5000)}])
def test_options_out_of_range(root: Path, options: dict[str, Any]) -> None:
    refused(root, next(iter(options)), **options)
