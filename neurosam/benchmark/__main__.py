"""Page and pictures anew from results.json, without measuring: ``python -m neurosam.benchmark FOLDER``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from neurosam.benchmark.page import draw

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    draw(json.loads((folder / "results.json").read_text(encoding="utf-8")), folder)
