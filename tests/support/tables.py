"""Real small tables and arrays, from scikit-learn, as people have them in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes, load_digits, load_wine


def wine() -> pd.DataFrame:
    """178 wines of three growers, with texts, booleans and gaps; three bottles are of one lot."""
    rng = np.random.default_rng(0)
    frame = load_wine(as_frame=True).frame.rename(columns={"target": "grower"})
    frame["grower"] = np.array(["barolo", "grignolino", "barbera"])[frame["grower"]]
    depth = pd.cut(frame.pop("color_intensity"), [0, 3, 5, 20], labels=["light", "mid", "dark"])
    frame["colour"] = depth.astype(str)
    frame["strong"] = frame["alcohol"] > 13
    frame["lot"] = np.arange(len(frame)) // 3
    frame.loc[rng.choice(len(frame), 15, replace=False), "ash"] = np.nan
    frame.loc[rng.choice(len(frame), 9, replace=False), "colour"] = None
    return frame


def diabetes() -> pd.DataFrame:
    """442 patients, with how the disease went on, 25 to 346, in ``progress``."""
    frame = load_diabetes(as_frame=True, scaled=False).frame.rename(columns={"target": "progress"})
    frame["sex"] = frame["sex"].map({1.0: "one", 2.0: "two"})
    return frame


def write(frame: pd.DataFrame, file: Path) -> str:
    """A frame as the file that its name's ending says."""
    if file.suffix == ".parquet":
        frame.to_parquet(file)
    else:
        frame.to_csv(file, index=False)
    return str(file)


def write_digits(file: Path, **more: Any) -> str:
    """The digits as images in [0, 1]; 40 in a row are of one writer."""
    held = load_digits()
    images = (held.images / 16).astype(np.float32)
    np.savez(file, x=images, y=held.target, writer=np.arange(len(images)) // 40, **more)
    return str(file)
