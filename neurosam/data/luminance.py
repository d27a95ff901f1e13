"""Equal luminance: what surrounds an item gets the item's own levels, so that brightness does not give it away.

With x_1 <= .. <= x_P the levels of a region in one channel, and y_1 <= .. <= y_Q those of the item, a pixel of rank k
gets the item's level at the same quantile (histogram specification):

    x_k  ->  y_q        q = floor((2 k - 1) Q / (2 P)) + 1

The order of a region's pixels stays, so a crop keeps its shapes; its mean, contrast and every quantile become the
item's, as far as P pixels can have them. Each distractor is matched by itself, by what is visible of it, and after it
was placed, so neither overlaps nor borders change that. All values are integers.

Source: R. C. Gonzalez and R. E. Woods, Digital Image Processing, 4th ed., section 3.3 (histogram specification).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["equalise", "matched"]


def matched(levels: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Levels [C, P] in their order, with the distribution of the reference [C, Q], by channel; P and Q at least 1.

    Examples
    --------
    >>> from neurosam.data.luminance import matched
    >>> matched(np.array([[7, 3, 5, 4]], np.uint8), np.array([[200, 100]], np.uint8))
    array([[200, 100, 200, 100]], dtype=uint8)
    """
    count, wanted = levels.shape[1], np.sort(reference, axis=1)
    quantile = (2 * np.arange(count) + 1) * wanted.shape[1] // (2 * count)
    out = np.empty_like(levels)
    np.put_along_axis(out, np.argsort(levels, axis=1, kind="stable"), wanted[:, quantile], axis=1)
    return out


def equalise(
    scene: NDArray[np.uint8], owner: NDArray[np.int64], item: NDArray[np.bool_], *, background: bool
) -> NDArray[np.uint8]:
    """Match each region of a scene to its item.

    Parameters
    ----------
    scene : uint8 [C, H, W]
        The scene with its item.
    owner : int64 [H, W]
        Which distractor is visible at a pixel, from 1 on; 0 is the background.
    item : bool [H, W]
        The pixels of the item; at least one. They stay.
    background : bool
        Whether to match the background too.

    Returns
    -------
    uint8 [C, H, W]
    """
    out, reference = scene.copy(), scene[:, item]
    for region in np.unique(owner[~item]):
        if region or background:
            pixels = (owner == region) & ~item
            out[:, pixels] = matched(scene[:, pixels], reference)
    return out
