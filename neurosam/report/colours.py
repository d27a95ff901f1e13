"""Colours of every picture and page: one list, told apart by all common kinds of colour blindness.

The hues are those of Okabe and Ito, 2008, without yellow, which is too pale for a thin line on white. Their order keeps
neighbours and the first five far apart, and lines differ by their dashes too. On a dark page each is lighter.
"""

from __future__ import annotations

__all__ = ["DARK_LINES", "DASHES", "DASH_ARRAYS", "LINES", "OFF", "ON"]

LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#56b4e9", "#e69f00")
"""Of lines on white, in the order of the populations: blue, vermilion, green, purple, black, sky blue, orange."""

DARK_LINES = ("#4aa3e8", "#ff7f3f", "#20c997", "#f0b3d3", "#ffffff", "#9bdcff", "#ffcf5c")
"""The same on a dark page."""

DASHES = ("-", "--", "-.", ":")
"""Of the same lines, in matplotlib's notation; 7 colours and 4 dashes make 28 different lines."""

DASH_ARRAYS = ("", "7 3", "7 3 1.5 3", "1.5 3")
"""The same in SVG's notation."""

ON, OFF = (255, 150, 60), (70, 150, 255)
"""Of events on black, as red, green, blue: more light (or a positive value), and less."""
