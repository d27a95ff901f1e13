"""Rewrite the page and plots from results.json, without measuring: ``python -m neurosam_bench FOLDER``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from neurosam._util.untrusted import MALFORMED
from neurosam_bench.page import draw

if __name__ == "__main__":
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "results.json").is_file():
        sys.exit("usage: python -m neurosam_bench FOLDER (with the results.json of `neurosam bench`)")
    folder = Path(sys.argv[1])
    try:
        draw(json.loads((folder / "results.json").read_text(encoding="utf-8")), folder)
    except (OSError, *MALFORMED) as error:
        sys.exit(f"{folder / 'results.json'}: is not what `neurosam bench` wrote ({error!r:.200}); run it again")
