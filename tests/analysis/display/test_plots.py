"""Pictures as files, wherever they are drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DRAW = """
import sys
from pathlib import Path
import numpy as np
from analysis.display.plots import draw_images
draw_images(np.zeros((2, 1, 4, 4), np.uint8), ["a", "b"], Path(sys.argv[1]))
import os
print(os.environ["MPLBACKEND"])
"""


def test_pictures_are_drawn_whatever_backend_a_notebook_asks_for(tmp_path: Path) -> None:
    picture, backend = tmp_path / "a.png", "module://of_no_package.backend_inline"
    drawn = subprocess.run(
        [sys.executable, "-c", DRAW, str(picture)],
        env={**os.environ, "MPLBACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert drawn.stdout == f"{backend}\n", drawn.stderr  # own code still finds it
    assert picture.read_bytes().startswith(b"\x89PNG")
