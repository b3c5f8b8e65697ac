"""The exported programs: in a fresh process that does not know this package, layer by layer."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
import torch
from packaging.requirements import Requirement

from analysis.bundle.bundle import Bundle
from analysis.bundle.writing import write_bundle
from search.export import portable
from search.export.inference import load_inputs, load_model
from search.export.portable import OLDEST_ONNXSCRIPT, WholeModel, can_make_onnx, make_programs
from search.export.predictor import load_predictor
from spaces.experiment import Experiment
from spaces.problems import InputError, RunError
from spaces.settings.dataset import Dataset
from spaces.settings.model import Activation, Norm
from spaces.training_config import TrainConfig, resolve
from tests.support import tables
from tests.support.commands import bundle_of
from trainables.data.input_spec import InputSpec
from trainables.data.splits import input_spec, load_test
from trainables.models.families import build_model

needs_onnx = pytest.mark.skipif(not can_make_onnx(), reason="needs the extra shoal[onnx]")
formats = pytest.mark.parametrize(
    "name", ["model.pt2", pytest.param("model.onnx", marks=needs_onnx)]
)

START = """
import json, sys
import numpy as np
inputs = np.load(sys.argv[2])
"""
ANSWER = {
    "model.pt2": """
import torch
answers = torch.export.load(sys.argv[1]).module()(torch.from_numpy(inputs))
""",
    "model.onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
(answers,) = session.run(None, {"inputs": inputs})
assert "torch" not in sys.modules
""",
}
END = """
ours = {"search", "trainables", "spaces", "analysis"} & {name.split(".")[0] for name in sys.modules}
print(json.dumps({"answers": answers.tolist(), "ours": sorted(ours)}))
"""
NORMS, ACTIVATIONS = get_args(Norm), get_args(Activation)
EVERYTHING = [  # every norm; and every activation once, in few layers, so that signals survive
    {
        "family": "convnet",
        "blocks": [
            {"channels": 8, "activation": activation, "pool": 2}
            for activation in ACTIVATIONS[number :: len(NORMS)]
        ],
        "block_norm": norm,
        "block_dropout": 0.2,
        "hidden": [16],
        "activation": ACTIVATIONS[number],
        "norm": norm,
        "norm_groups": 4,
        "dropout": 0.2,
        "dropconnect": 0.2,
        "init": "he",
    }
    for number, norm in enumerate(NORMS)
]


def classify(program: Path, images: np.ndarray[tuple[int, ...], np.dtype[Any]]) -> torch.Tensor:
    """What a fresh process answers that has the program and the images, and nothing of ours."""
    file = program.with_name("images.npy")
    np.save(file, images)
    script = START + ANSWER[program.name] + END
    command = [sys.executable, "-I", "-c", script, str(program), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=program.parent)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ours"] == []
    return torch.tensor(found["answers"])


def program_of(bundle: Path, name: str) -> Path:
    """A program of a bundle, alone in a folder."""
    model, config = load_model(bundle)
    file = bundle.with_name("alone") / name
    file.parent.mkdir()
    file.write_bytes(make_programs(config, load_inputs(bundle, config), model.state_dict())[name])
    return file


def untrained(model: dict[str, Any]) -> tuple[TrainConfig, InputSpec, dict[str, torch.Tensor]]:
    """A model of the digits; its norms' statistics and scales are drawn, so that each counts."""
    experiment = Experiment.model_validate(
        {"name": "x", "dataset": {"name": "digits"}, "model": model, "scheduler": {"max_epochs": 1}}
    )
    config = resolve(experiment, {}, seed=0)
    assert isinstance(config, TrainConfig)
    inputs = input_spec(config.dataset, config.split_seed)
    built, _ = build_model(config.model, tuple(inputs.shape), inputs.outputs, config.seed)
    generator = torch.Generator().manual_seed(0)
    for tensor in built.state_dict().values():
        if tensor.ndim == 1:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return config, inputs, built.state_dict()


def expected_answers(
    config: TrainConfig,
    inputs: InputSpec,
    weights: dict[str, torch.Tensor],
    samples: torch.Tensor,
) -> torch.Tensor:
    """What the model itself answers."""
    built, _ = build_model(config.model, tuple(inputs.shape), inputs.outputs, config.seed)
    built.load_state_dict(weights)
    with torch.inference_mode():
        answers: torch.Tensor = WholeModel(built, inputs).eval()(samples)
    return answers


def onnx_answers(made: bytes, inputs: torch.Tensor) -> torch.Tensor:
    """What ONNX Runtime answers."""
    import onnxruntime

    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"inputs": inputs.numpy()})[0])


@formats
def test_real_digits_are_classified_without_this_package(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
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
    file = program_of(bundle, name)
    answers = classify(file, images)
    hits = answers.argmax(dim=1) == torch.from_numpy(test.targets[:200])
    assert hits.float().mean() > 0.8
    trained, config = load_model(bundle)
    whole = WholeModel(trained, load_inputs(bundle, config)).eval()
    with torch.inference_mode():
        assert torch.allclose(answers, whole(torch.from_numpy(images)), atol=1e-5)
    assert torch.allclose(answers.sum(dim=1), torch.ones(200))
    assert classify(file, images[:1]).shape == (1, 10)  # a batch of any size


@pytest.mark.slow
@formats
def test_a_regression_answers_with_values(tmp_path: Path, name: str) -> None:
    metric = {"name": "val_loss", "mode": "min"}
    bundle = bundle_of(tmp_path, dataset={"name": "diabetes"}, metric=metric)
    inputs = load_test(Dataset(name="diabetes")).inputs
    answers = classify(program_of(bundle, name), inputs)
    with torch.inference_mode():
        assert torch.allclose(answers, load_model(bundle)[0](torch.from_numpy(inputs)), atol=1e-5)


@pytest.mark.parametrize("target", ["grower", "alcohol"])
def test_programs_take_the_columns_of_a_table_as_they_are(target: str, tmp_path: Path) -> None:
    """Classes and values, these in the target's own units."""
    frame = tables.wine()
    file = tables.write(frame, tmp_path / "wine.csv")
    bundle = bundle_of(tmp_path, dataset={"name": "table", "file": file, "target": target})
    predictor = load_predictor(bundle)
    assert predictor.inputs.table is not None
    columns = pa.Table.from_pandas(frame, preserve_index=False)
    inputs = torch.from_numpy(predictor.inputs.table.raw(columns))
    expected = predictor.predict(frame)
    held = expected.predictions if expected.probabilities is None else expected.probabilities
    model, config = load_model(bundle)
    made = make_programs(config, predictor.inputs, model.state_dict())
    answers = [torch.export.load(io.BytesIO(made["model.pt2"])).module()(inputs)]
    if can_make_onnx():
        answers.append(onnx_answers(made["model.onnx"], inputs))
    for answer in answers:
        np.testing.assert_allclose(answer.detach().numpy(), held, atol=1e-4)


@formats
def test_the_script_in_a_bundles_readme_asks_its_program(tmp_path: Path, name: str) -> None:
    config, inputs, weights = untrained({"family": "mlp"})
    metrics = {"metric": "val_accuracy", "value": 0.1, "epoch": 1, "metrics": {}}
    programs = make_programs(config, inputs, weights)
    plain = (config.model_dump(mode="json"), metrics, {}, "Made up.", inputs.plain)
    write_bundle(tmp_path / "bundle", Bundle(*plain, programs), weights)
    readme = (tmp_path / "bundle" / "README.md").read_text()
    blocks = re.findall(r"\n\n((?:    .*\n)+)", readme)
    (script,) = (dedent(block) for block in blocks if f'"{name}"' in block)
    samples = torch.rand(3, *inputs.shape, generator=torch.Generator().manual_seed(1))
    np.save(tmp_path / "samples.npy", samples.numpy())
    taken = "import numpy\ninputs = numpy.load('../samples.npy')\n"
    if name == "model.pt2":
        taken += "import torch\ninputs = torch.from_numpy(inputs)\n"
    command = [sys.executable, "-I", "-c", f"{taken}{script}print(probabilities.tolist())"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path / "bundle")
    assert done.stderr == ""
    expected = expected_answers(config, inputs, weights, samples)
    assert torch.allclose(torch.tensor(json.loads(done.stdout)), expected, atol=1e-5)


@needs_onnx
@pytest.mark.parametrize(
    "model", [{"family": "mlp", "hidden": []}, *EVERYTHING], ids=["linear", *NORMS]
)
def test_every_layer_is_exported(model: dict[str, Any]) -> None:
    config, inputs, weights = untrained(model)
    made = make_programs(config, inputs, weights)
    assert sorted(made) == ["model.onnx", "model.pt2"]
    samples = torch.rand(7, *inputs.shape, generator=torch.Generator().manual_seed(1))
    expected = expected_answers(config, inputs, weights, samples)
    assert expected.std(dim=0).max() > 1e-3  # the samples can be told apart
    for size in (1, 7):
        answers = onnx_answers(made["model.onnx"], samples[:size])
        assert torch.allclose(answers, expected[:size], atol=1e-5)


@needs_onnx
def test_the_inputs_and_outputs_of_onnx_have_names() -> None:
    import onnxruntime

    made = make_programs(*untrained({"family": "mlp"}))["model.onnx"]
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.shape) == ("inputs", ["batch", 1, 8, 8])
    assert (given.name, given.shape) == ("probabilities", ["batch", 10])


def test_making_programs_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    make_programs(*untrained({"family": "mlp"}))
    assert capfd.readouterr() == ("", "")


def test_a_program_names_no_folder_of_this_machine() -> None:
    for made in make_programs(*untrained({"family": "mlp"})).values():
        for module in (portable, torch, np):
            assert str(Path(str(module.__file__)).parent).encode() not in made


@needs_onnx
def test_a_model_in_which_rounding_decides_has_no_onnx() -> None:
    deep = {"family": "mlp", "hidden": [64] * 40, "activation": "tanh"}
    config, inputs, weights = untrained(deep)
    steep = {name: 30 * one if one.ndim == 2 else one for name, one in weights.items()}  # chaos
    with pytest.warns(UserWarning, match=r"model\.onnx is left out: ONNX Runtime answers otherw"):
        made = make_programs(config, inputs, steep)
    assert list(made) == ["model.pt2"]


@needs_onnx
def test_a_model_too_large_for_the_format_has_no_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    config, inputs, weights = untrained({"family": "mlp", "hidden": []})
    size = 4 * (10 * 64 + 10 + 2)  # float32 weights, biases, mean and deviation
    monkeypatch.setattr(portable, "MOST_ONNX_BYTES", size)
    assert len(make_programs(config, inputs, weights)) == 2
    monkeypatch.setattr(portable, "MOST_ONNX_BYTES", size - 1)
    with pytest.warns(UserWarning, match=f"its weights take {size:,} bytes"):
        assert list(make_programs(config, inputs, weights)) == ["model.pt2"]


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_without_a_package_of_the_extra_there_is_no_onnx(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    assert list(make_programs(*untrained({"family": "mlp"}))) == ["model.pt2"]


def test_an_onnxscript_that_torch_cannot_use_counts_as_none() -> None:
    file = Path(__file__).parents[3] / "pyproject.toml"
    extra = tomllib.loads(file.read_text())["project"]["optional-dependencies"]["onnx"]
    (asked,) = (one for one in map(Requirement, extra) if one.name == "onnxscript")
    assert str(asked.specifier) == f">={OLDEST_ONNXSCRIPT}"


def test_weights_that_are_not_numbers_make_no_program() -> None:
    config, inputs, weights = untrained({"family": "mlp", "hidden": []})
    broken = {name: one * math.nan for name, one in weights.items()}
    with pytest.raises(RunError, match=r"model\.pt2 answers otherwise"):
        make_programs(config, inputs, broken)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    model, config = load_model(bundle_of(tmp_path))
    inputs = load_inputs(tmp_path / "bundle", config)
    other = InputSpec.model_validate({**inputs.model_dump(), "shape": [1, 9, 9]})
    with pytest.raises(InputError, match="not the model's weights"):
        make_programs(config, other, model.state_dict())
