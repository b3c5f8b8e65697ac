"""Images, figures and texts of the user's own code, and where they are shown."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import IMAGES, TENSORS, EventAccumulator

from analysis.record.folder import RunFolder, open_run
from analysis.record.logged import Logged, read_logged, write_logged
from analysis.views.projection import open_projections
from search.lifecycle import start_search
from spaces.problems import InputError
from tests.support import examples
from tests.support.inline import host
from trainables.user_code.context import Context
from trainables.user_code.logged import image_bytes

CODE = """
import numpy as np, matplotlib.figure

def train(config, context):
    for epoch in range(context.epoch, context.max_epochs):
        context.log_image("digits/first", np.full((4, 6), epoch * 10, dtype=np.uint8))
        if epoch == 1:
            figure = matplotlib.figure.Figure()
            figure.subplots().plot([1, 2])
            context.log_figure("curve", figure)
            context.log_text("100 % notes", "**bold** text")
        context.save(epoch)
        yield {"score": config["x"] * epoch}
"""


def pixels(image: Any) -> Any:
    """What a PNG file made of an image shows."""
    return np.asarray(Image.open(io.BytesIO(image_bytes(image)))).tolist()


def test_an_image_has_the_pixels_of_what_it_was_made_from() -> None:
    grey = np.array([[0, 255], [128, 7]], dtype=np.uint8)
    assert pixels(grey) == grey.tolist()
    assert pixels(grey[None]) == grey.tolist()
    assert pixels(grey[..., None]) == grey.tolist()
    assert pixels(torch.from_numpy(grey) / 255.0) == grey.tolist()
    assert pixels(grey > 100) == [[0, 255], [255, 0]]
    colour = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert pixels(colour) == colour.tolist()
    assert pixels(torch.from_numpy(colour.transpose(2, 0, 1).copy())) == colour.tolist()
    assert pixels(Image.fromarray(colour)) == colour.tolist()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((2, 2)) - 1, "lie in \\[0, 1\\], got -1 to -1"),
        (np.array([[np.nan]]), "lie in \\[0, 1\\], got nan"),
        (np.zeros((2, 2, 2, 3)), "got float64 of shape \\(2, 2, 2, 3\\)"),
        (np.zeros((0, 3)), "of shape \\(0, 3\\)"),
        (np.zeros((2, 2), dtype=np.int32), "got int32"),
        ("a path", "context.log_image takes a PIL image"),
        (None, "context.log_image takes a PIL image"),
    ],
)
def test_what_is_no_image_is_told(image: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        image_bytes(image)


def test_what_cannot_be_logged_is_told() -> None:
    context = Context(torch.device("cpu"), seed=0, max_epochs=1)
    with pytest.raises(TypeError, match="figure of Matplotlib's, got 3"):
        context.log_figure("plot", 3)
    with pytest.raises(TypeError, match="takes a text, got 3"):
        context.log_text("note", 3)  # type: ignore[arg-type]
    for name in ("", "x" * 61, "two\nlines", 3):
        with pytest.raises(ValueError, match="1 to 60 printable characters"):
            context.log_text(name, "text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="may have 10,485,760 bytes"):
        context.log_text("long", "x" * (10 * 2**20 + 1))
    for _ in range(100):
        context.log_text("note", "text")
    with pytest.raises(ValueError, match="may log 100"):
        context.log_figure("plot", matplotlib.figure.Figure())


def shown(folder: Path, trial: int) -> dict[str, list[tuple[int, bytes]]]:
    """What TensorBoard has of a trial beside its scalars."""
    held = EventAccumulator(str(folder / "tensorboard" / str(trial)), {IMAGES: 0, TENSORS: 0})
    held.Reload()
    tags = held.Tags()
    images = {tag: held.Images(tag) for tag in tags["images"]}
    found = {tag: [(i.step, i.encoded_image_string) for i in held] for tag, held in images.items()}
    texts = [tag for tag in tags["tensors"] if tag.startswith("100")]
    for tag in texts:
        tensors = held.Tensors(tag)
        found[tag] = [(t.step, t.tensor_proto.string_val[0]) for t in tensors]
    return found


def test_what_a_search_logs_is_in_tensorboard_also_when_that_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(CODE)
    scheduler, budget = {"name": "none", "max_epochs": 3}, {"trials": 2}
    experiment = examples.own_code_experiment(tmp_path, scheduler=scheduler, budget=budget)
    start_search(experiment, RunFolder(tmp_path / "run"), host())
    folder, experiment, trials = open_run(tmp_path / "run")
    before = [shown(folder.path, number) for number in trials.by_number]
    for found in before:
        assert {tag: [step for step, _ in held] for tag, held in found.items()} == {
            "digits/first": [1, 2, 3],
            "curve": [2],
            "100 % notes": [2],
        }
        first = np.asarray(Image.open(io.BytesIO(found["digits/first"][2][1])))
        assert first.shape == (4, 6)
        assert (first == 20).all()
        assert found["100 % notes"] == [(2, b"**bold** text")]
    for projection in open_projections(RunFolder(folder.path), experiment):
        projection.close()
    assert [shown(folder.path, number) for number in trials.by_number] == before


def test_what_is_logged_again_takes_the_place_of_what_was(tmp_path: Path) -> None:
    old, new = (Logged("text", name, name.encode()) for name in ("a/b", "50 %"))
    write_logged(tmp_path, "logged/0", 1, [old, new])
    assert read_logged(tmp_path, "logged/0", 1) == [old, new]
    write_logged(tmp_path, "logged/0", 1, [new])
    assert read_logged(tmp_path, "logged/0", 1) == [new]
    write_logged(tmp_path, "logged/0", 1, [])
    assert read_logged(tmp_path, "logged/0", 1) == []
    (tmp_path / "logged" / "1").symlink_to(tmp_path)
    with pytest.raises(InputError, match="is a link to"):
        write_logged(tmp_path, "logged/1", 1, [new])


def test_nothing_is_read_through_a_link_nor_anything_large(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    run = tmp_path / "run"
    folder = run / "logged" / "0" / "000001"
    folder.mkdir(parents=True)
    (folder / "000-large.md").write_bytes(bytes(10 * 2**20 + 1))
    assert read_logged(run, "logged/0", 1) == []
    (folder / "001-x.md").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(InputError, match="is a link to"):
        read_logged(run, "logged/0", 1)
    (folder / "001-x.md").unlink()
    (run / "logged" / "1").symlink_to(run / "logged" / "0")
    with pytest.raises(InputError, match="is a link to"):
        read_logged(run, "logged/1", 1)
