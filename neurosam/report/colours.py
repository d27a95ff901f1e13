"""Colours of every picture and page: one list, told apart by all common kinds of colour blindness.

The hues are those of Okabe and Ito, 2008, without yellow, which is too pale for a thin line on white, and with a darker
purple. The first five are those that show well on white, and lines differ by their dashes too. On a dark page each is
lighter.
"""

from __future__ import annotations

__all__ = ["DARK_LINES", "DASHES", "DASH_ARRAYS", "LINES", "OFF", "ON"]

LINES = ("#0072b2", "#d55e00", "#009e73", "#b8538c", "#000000", "#56b4e9", "#e69f00")
"""Of lines on white, in the order of the populations: blue, vermilion, green, purple, black, sky blue, orange."""

DARK_LINES = ("#3d94dd", "#ff7a38", "#20c997", "#e58bbd", "#ffffff", "#a8e0ff", "#ffd66b")
"""The same on a dark page."""

DASHES = ("-", "--", "-.", ":")
"""Of the same lines, in matplotlib's notation; 7 colours and 4 dashes make 28 different lines."""

DASH_ARRAYS = ("", "7 3", "7 3 1.5 3", "1.5 3")
"""The same in SVG's notation."""

ON, OFF = (255, 150, 60), (70, 150, 255)
"""Of events on black, as red, green, blue: more light (or a positive value), and less."""
