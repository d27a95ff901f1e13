"""Lines that differ for everyone: the colours of pictures and pages, seen with each kind of colour blindness."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from neurosam.report.colours import DARK_LINES, DASH_ARRAYS, DASHES, LINES

# Machado, Oliveira and Fernandes, 2009: severity 1, for linear RGB.
SEEN = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]])


def linear(colour: str) -> npt.NDArray[np.float64]:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """CIE L*a*b* under D65."""
    x = XYZ @ np.clip(rgb, 0, 1) / (0.95047, 1, 1.08883)
    f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("colours", [LINES, DARK_LINES], ids=["light", "dark"])
def test_any_two_lines_differ(colours: tuple[str, ...], eyes: str) -> None:
    seen = [lab(np.asarray(SEEN[eyes]) @ linear(colour)) for colour in colours]
    least = min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))
    assert least > 15  # the two blues that this list replaced: 9


@pytest.mark.parametrize(("colours", "ground"), [(LINES[:5], "#fbfbf9"), (DARK_LINES, "#121419")])
def test_lines_stand_out_from_the_page(colours: tuple[str, ...], ground: str) -> None:
    light = [float(XYZ[1] @ linear(colour)) for colour in (*colours, ground)]
    for luminance in light[:-1]:
        bright, dark = max(luminance, light[-1]), min(luminance, light[-1])
        assert (bright + 0.05) / (dark + 0.05) >= 3  # WCAG 2.2, 1.4.11


def test_28_lines_differ_in_colour_or_dash() -> None:
    assert len(DASHES) == len(DASH_ARRAYS) == 4
    assert len({(i % len(LINES), i % len(DASHES)) for i in range(28)}) == 28
