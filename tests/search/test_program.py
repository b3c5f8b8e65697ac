"""``model.pt2``: the exported model in a fresh process that does not know this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from search.program import WholeModel, make_program
from search.trained import load_inputs, load_model
from spaces.problems import InputError
from spaces.settings import Dataset
from tests.search.test_insight import bundle_of
from trainables.data import InputSpec, load_test

CLASSIFY = """
import json, sys
import numpy as np
import torch

program = torch.export.load(sys.argv[1]).module()
answers = program(torch.from_numpy(np.load(sys.argv[2])))
ours = {"search", "trainables", "spaces", "analysis"} & {name.split(".")[0] for name in sys.modules}
print(json.dumps({"answers": answers.tolist(), "ours": sorted(ours)}))
"""


def classify(
    program: Path, images: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> torch.Tensor:
    """What a fresh process answers that has the program and the images, and nothing of ours."""
    file = program.with_name("images.npy")
    np.save(file, images)
    command = [sys.executable, "-I", "-c", CLASSIFY, str(program), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=program.parent)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ours"] == []
    return torch.tensor(found["answers"])


def program_of(bundle: Path) -> Path:
    """The program of a bundle, written beside it."""
    model, config = load_model(bundle)
    file = bundle.with_name("model.pt2")
    file.write_bytes(make_program(config, load_inputs(bundle, config), model.state_dict()))
    return file


def test_real_digits_are_classified_without_this_package(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOAL_DATA", str(real_data))
    dataset = {"name": "mnist", "subset": 6000, "normalize": "standard"}
    model = {
        "family": "convnet",
        "blocks": [{"channels": 4, "pool": 2}],
        "block_norm": "batch",
        "hidden": [32],
        "norm": "layer",
        "dropout": 0.2,
        "dropconnect": 0.2,
    }
    bundle = bundle_of(tmp_path, dataset=dataset, model=model)
    test = load_test(Dataset(name="mnist"))
    images = test.inputs[:200].astype(np.float32) / 255.0
    answers = classify(program_of(bundle), images)
    hits = answers.argmax(dim=1) == torch.from_numpy(test.targets[:200])
    assert hits.float().mean() > 0.8
    trained, config = load_model(bundle)
    whole = WholeModel(trained, load_inputs(bundle, config)).eval()
    with torch.inference_mode():
        assert torch.allclose(answers, whole(torch.from_numpy(images)), atol=1e-5)
    assert torch.allclose(answers.sum(dim=1), torch.ones(200))
    assert classify(tmp_path / "model.pt2", images[:1]).shape == (1, 10)  # a batch of any size


def test_a_regression_answers_with_values(tmp_path: Path) -> None:
    metric = {"name": "val_loss", "mode": "min"}
    bundle = bundle_of(tmp_path, dataset={"name": "diabetes"}, metric=metric)
    inputs = load_test(Dataset(name="diabetes")).inputs
    answers = classify(program_of(bundle), inputs)
    with torch.inference_mode():
        assert torch.allclose(answers, load_model(bundle)[0](torch.from_numpy(inputs)), atol=1e-5)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    model, config = load_model(bundle_of(tmp_path))
    inputs = load_inputs(tmp_path / "bundle", config)
    other = InputSpec.model_validate({**inputs.model_dump(), "shape": [1, 9, 9]})
    with pytest.raises(InputError, match="not the model's weights"):
        make_program(config, other, model.state_dict())
