"""Labelled images, and cluttered canvases on which an explanation can be right or wrong.

    items = load("mnist5k")                              # an ImageSet: uint8 [N, C, H, W], labels, class names
    train, test = items.split(4000, 1000, seed=0)
    test = load_held_out("tiny-imagenet-200", size=32)   # the held-out part of a data set, or a fifth of it
    scenes = cluttered(test, seed=1)                     # 48 x 48 canvases, each with the exact mask of its item
    pairs = two_items(test, seed=2)                      # two items side by side, with both masks
    tiles = grids(test, side=3, seed=2)                  # 3 x 3 pictures of different classes, with their cells
    digits = load_recordings("N-MNIST", part="test")     # a RecordingSet: labelled recordings of an event camera

Requires numpy only; reading an image folder also requires pillow. Nothing here downloads anything.
"""

from __future__ import annotations

from neurosam.data.clutter import Clutter, cluttered, two_items
from neurosam.data.divide import load_held_out, load_training
from neurosam.data.event_camera import RecordingSet, load_recordings
from neurosam.data.folder import load_image_folder
from neurosam.data.grid import grids
from neurosam.data.idx import load_idx_folder, read_idx
from neurosam.data.imageset import GridSet, ImageSet, PairSet
from neurosam.data.sources import load
from neurosam.data.tiny_imagenet import load_tiny_imagenet

__all__ = [
    "Clutter",
    "GridSet",
    "ImageSet",
    "PairSet",
    "RecordingSet",
    "cluttered",
    "grids",
    "load",
    "load_held_out",
    "load_idx_folder",
    "load_image_folder",
    "load_recordings",
    "load_tiny_imagenet",
    "load_training",
    "read_idx",
    "two_items",
]
