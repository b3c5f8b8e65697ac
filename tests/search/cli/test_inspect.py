"""What a user sees of probe, compare and predict, on real data; one message for each mistake."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from analysis.display.numbers import number, spread
from analysis.insight.comparison import compare_groups, group_trials
from analysis.record.folder import open_run
from search.cli import inspect
from search.cli.console import Screen
from search.cli.main import main
from search.export.inference import load_model, predict
from search.tools.probe import Probed, probe_space, shared_values
from spaces.files import load_experiment
from spaces.problems import InputError
from spaces.settings.dataset import Dataset
from tests.support import examples
from tests.support.commands import bundle_of, file, message
from trainables.data.datasets import read
from trainables.data.images import read_picture
from trainables.data.splits import load_data, load_test

PNG = b"\x89PNG"
DIGITS = {"shape": [1, 8, 8], "outputs": 10, "class_names": list("0123456789"), "mean": [0]}
SPREAD = "activation_std_across_batch"


@pytest.fixture
def at_real_data(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOAL_DATA", str(real_data))
    return real_data


def probed(network: str) -> dict[tuple[Any, ...], Probed]:
    """Medians of 3 seeds of a network of ``deep-init``, by (init, activation)."""
    experiment = load_experiment("deep-init", [f"baseline.network={network}"])
    return {tuple(one.values.values()): one for one in probe_space(experiment, (), seeds=3)}


def kept(probed: Probed) -> float:
    """What is left of the signal: the last layer's spread across the batch over the first's."""
    first, last = probed.layers[0][SPREAD], probed.layers[-1][SPREAD]
    return float(last / first)


@pytest.mark.usefixtures("at_real_data")
def test_the_deep_network_keeps_alive_what_theory_says() -> None:
    deep = probed("deep")
    assert len(next(iter(deep.values())).layers) == 33
    for init in ("xavier_normal", "xavier_uniform"):
        assert kept(deep[init, "tanh"]) > 0.01
    assert kept(deep["he_fan_in", "relu"]) > 0.01
    for activation in ("tanh", "sigmoid", "relu"):
        assert kept(deep["normal", activation]) < 0.01
    sigmoid = deep["xavier_normal", "sigmoid"].layers
    assert sigmoid[20]["activation_std"] > 0.01  # alive over all, dead across the batch
    assert sigmoid[20][SPREAD] < 1e-6
    assert sigmoid[20]["dead"] == 1.0


@pytest.mark.usefixtures("at_real_data")
def test_the_wide_network_saturates_with_normal_and_tanh() -> None:
    wide = probed("wide")
    normal, xavier = wide["normal", "tanh"], wide["xavier_normal", "tanh"]
    assert kept(normal) > 0.01
    saturated = [layer["saturated"] for layer in normal.layers[1:-1]]
    assert min(saturated) > 0.15
    assert xavier.mean("saturated") == pytest.approx(0.0, abs=0.01)


def test_probe_prints_a_table_a_document_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", "quickstart", "--seeds", "2"]) == 0
    table = capsys.readouterr().out
    assert all(word in table for word in ("init", "activation", "signal", "gradient", "dead"))
    assert table.count("relu") == 3  # with each init
    picture = tmp_path / "probe.png"
    arguments = ["probe", "quickstart", "--seeds", "2", "--by", "norm", "--json"]
    assert main([*arguments, "-o", str(picture)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["values"] for one in document] == [
        {"norm": "none"},
        {"norm": "batch"},
        {"norm": "layer"},
    ]
    assert document[0]["layers"][0]["layer"] == "01 linear 64-64 relu"
    assert picture.read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--by", "colour"], "--by: unknown parameter 'colour'; valid: activation, lr"),
        (["--by", "lr"], "--by: lr is a range; a probe needs a choice"),
        (["-o", "probe.jpg"], "-o: the name must end in .png, got 'probe.jpg'"),
        (["-o", "/nowhere/probe.png"], "-o: /nowhere/probe.png can't be written"),
        (["--set", "space.activation=[fast]"], "space.activation"),
        (["--set", "train.batch_size=1", "--set", "model.norm=batch"], "more than 1 value per"),
    ],
)
def test_a_probe_that_makes_no_sense_is_one_clear_message(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in message(capsys, "probe", file(tmp_path), "--seeds", "1", *arguments)


def test_a_probe_measures_configurations_that_the_space_has(tmp_path: Path) -> None:
    (tmp_path / "space.py").write_text(
        "def space(trial):\n"
        "    if trial.suggest_categorical('activation', ['tanh', 'relu']) == 'tanh':\n"
        "        trial.suggest_categorical('init', ['xavier', 'he'])\n"
    )
    (tmp_path / "never.py").write_text(
        "def space(trial):\n"
        "    if trial.suggest_categorical('activation', ['tanh', 'relu']) == 'tanh':\n"
        "        trial.suggest_categorical('init', ['xavier', 'he'])\n"
        "    else:\n"
        "        trial.suggest_categorical('norm', ['none', 'batch'])\n"
    )
    experiment = load_experiment(file(tmp_path, space="space.py:space"))
    found = [one.values for one in probe_space(experiment, ("activation", "init"), seeds=1)]
    assert found == [
        {"activation": "tanh", "init": "xavier"},
        {"activation": "tanh", "init": "he"},
    ]
    space = {
        "noise": {"none": {"dropout": 0.0}, "some": {"norm": "none"}},
        "dropout": {"low": 0.6, "high": 0.7, "when": {"noise": "some"}},
    }
    changes = {"space": space, "baseline": {"noise": "none"}}
    none, some = probe_space(load_experiment(file(tmp_path, **changes)), ("noise",), seeds=1)
    assert none.others == {}
    assert shared_values([none, some]) == {}
    with pytest.raises(InputError, match="init, norm never apply together"):
        probe_space(load_experiment(file(tmp_path, space="never.py:space")), ("init", "norm"), 1)
    assert 0.6 <= float(some.others["dropout"] or 0.0) <= 0.7


def test_a_probe_of_a_space_without_choices_or_of_own_code_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "neither init nor activation varies in this space" in message(capsys, "probe", "linear")
    (tmp_path / "own.py").write_text("def train(config, context):\n    yield {'score': 1.0}\n")
    spec = tmp_path / "own.yaml"
    spec.write_text(yaml.safe_dump(examples.own_code_experiment(tmp_path).plain()))
    assert "your own code has its own layers" in message(capsys, "probe", str(spec))
    changed = ["--set", "diagnostics=true", "--dry-run"]
    assert "diagnostics: is for built-in models" in message(capsys, "search", str(spec), *changed)


def test_diagnostics_of_a_search_are_in_tensorboard_at_every_epoch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    changes = {"diagnostics": True, "budget": {"trials": 2}, "engine": "inline"}
    spec = file(tmp_path, scheduler={"name": "none", "max_epochs": 3}, **changes)
    assert main(["search", spec, "--run", str(run)]) == 0
    for trial in ("0", "1"):
        events = EventAccumulator(str(run / "tensorboard" / trial)).Reload()
        for measure in ("activation_std", "gradient_std_across_batch", "dead"):
            tags = [tag for tag in events.Tags()["scalars"] if tag.startswith(f"{measure}/")]
            assert len(tags) == 2
            assert [scalar.step for scalar in events.Scalars(tags[0])] == [1, 2, 3]


def a_run(folder: Path, **changes: Any) -> str:
    coordinator = examples.coordinator(folder, **changes)
    examples.run_all(coordinator)
    coordinator.close()
    return str(folder)


def test_compare_prints_a_table_a_document_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, picture = a_run(tmp_path), tmp_path / "curves.png"
    assert main(["compare", run, "--by", "activation", "-o", str(picture)]) == 0
    table = capsys.readouterr().out
    assert all(word in table for word in ("activation", "at epoch 1", "gap", "stopped"))
    assert table.endswith(f"{picture}: the learning curves\n")
    assert picture.read_bytes().startswith(PNG)
    assert main(["compare", run, "--by", "activation", "--json"]) == 0
    for row in json.loads(capsys.readouterr().out):  # the table and the document say the same
        assert (row["epoch"], row["value"]["n"]) == (1, row["trials"])
        assert spread(row["value"]["mean"], row["value"]["sd"], digits=4) in table
        assert [held["epoch"] for held in row["by_epoch"]] == [1, 3, 9]
        for held in row["by_epoch"]:
            assert f"{held['value']['mean']:.4f}" in table
    assert main(["compare", run, "--by", "activation", "--by", "lr", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert sum(row["trials"] for row in rows) == 12
    assert {row["group"]["activation"] for row in rows} == {"tanh", "relu"}


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_number_or_word_of_a_comparison_is_broken_where_it_is_narrow(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, experiment, trials = open_run(Path(a_run(tmp_path)))
    groups = group_trials(list(trials), experiment.search_space.distributions, ["activation"])
    rows = compare_groups(experiment, groups)
    told = io.StringIO()
    out = Screen(file=told, width=width)
    inspect._print_comparison(rows, experiment.metric, tmp_path, out)
    words = set(told.getvalue().split())
    assert {"activation", "stopped"} <= words
    for row in rows:
        assert spread(row["value"]["mean"], row["value"]["sd"], digits=4).split()[0] in words
        assert number(row["best"]["value"]) in words


def test_a_comparison_that_makes_no_sense_is_one_clear_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_run(tmp_path)
    assert "--by: unknown parameter 'norm'; valid: activation, lr" in message(
        capsys, "compare", run, "--by", "norm"
    )
    assert "--by" in message(capsys, "compare", run)
    assert "must end in .png" in message(capsys, "compare", run, "--by", "lr", "-o", "curves.pdf")
    nothing = tmp_path / "nothing"
    assert "is no run folder" in message(capsys, "compare", str(nothing), "--by", "lr")


def test_repeats_give_groups_of_several_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {
        "repeats": 3,
        "space": {"activation": ["none", "tanh", "relu"]},
        "baseline": {"activation": "relu"},
        "sampler": {"name": "grid"},
        "scheduler": {"name": "none", "max_epochs": 2},
        "budget": {},
    }
    assert main(["compare", a_run(tmp_path, **changes), "--by", "activation", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["group"]["activation"], row["value"]["n"]) for row in rows] == [
        ("none", 3),
        ("tanh", 3),
        ("relu", 3),
    ]


def test_real_digits_are_recognised_from_files_of_every_kind(
    at_real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = {"name": "mnist", "subset": 6000, "normalize": "standard"}
    bundle = bundle_of(tmp_path, dataset=dataset)
    test = load_test(Dataset(name="mnist"))
    files = []
    for row in range(60):
        grey = Image.fromarray(test.inputs[row, 0])
        kinds = [grey, grey.convert("RGB"), grey.resize((112, 112))]
        files.append(tmp_path / f"{row}.png")
        kinds[row % 3].save(files[-1])
    answers = predict(bundle, files)
    hits = [one.label == str(test.targets[row]) for row, one in enumerate(answers)]
    assert sum(hits) >= 50
    assert [one.note for one in answers[:3]] == [None, None, "resized from 112x112 to 28x28"]
    assert all(sum(one.probabilities.values()) == pytest.approx(1.0) for one in answers)
    capsys.readouterr()
    picture = tmp_path / "answer.png"
    shown = [str(path) for path in files[:3]]
    assert main(["predict", str(bundle), *shown, "-o", str(picture)]) == 0
    text = capsys.readouterr().out
    assert f"2.png: {answers[2].label} (resized from 112x112 to 28x28)" in text
    assert picture.read_bytes().startswith(PNG)
    assert main(["predict", str(bundle), *shown, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["label"] for one in document] == [one.label for one in answers[:3]]
    assert document[0].keys() == {"image", "label", "probabilities", "note"}


def test_a_model_answers_as_in_its_training(at_real_data: Path, tmp_path: Path) -> None:
    """The accuracy on files of the validation images is the accuracy on record."""
    settings = {"name": "image_folder", "root": str(at_real_data / "cifar2"), "subset": 400}
    bundle = bundle_of(tmp_path, dataset={**settings, "normalize": "standard"})
    config = load_model(bundle)[1]
    (tmp_path / "images").mkdir()
    held = load_data(config.dataset, config.split_seed).validation
    files = []
    for row, pixels in enumerate(held.inputs):
        files.append(tmp_path / "images" / f"{row}.png")
        Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(files[-1])
    names = read(config.dataset, "train")[1]
    answers = predict(bundle, files)
    hits = [one.label == names[target] for one, target in zip(answers, held.targets, strict=True)]
    recorded = json.loads((bundle / "metrics.json").read_text())["metrics"]["val_accuracy"]
    assert np.mean(hits) == pytest.approx(recorded)


def test_a_bundle_says_what_its_model_takes_without_the_data(
    at_real_data: Path, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    for name in ("airplane", "bird"):
        (images / "train" / name).mkdir(parents=True)
        for image in sorted((at_real_data / "cifar2" / "train" / name).iterdir())[:20]:
            shutil.copy(image, images / "train" / name)
    bundle = bundle_of(tmp_path, dataset={"name": "image_folder", "root": str(images)})
    picture = next((images / "train" / "bird").iterdir())
    shutil.copy(picture, tmp_path / "one.jpg")
    shutil.rmtree(images)
    (answer,) = predict(bundle, [tmp_path / "one.jpg"])
    assert list(answer.probabilities) == ["airplane", "bird"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of(tmp_path_factory.mktemp("digits"))


def spoiled(digits: Path, folder: Path, name: str, content: str | None) -> str:
    """A copy of the bundle with a file replaced, or taken away."""
    bundle = folder / "spoiled"
    shutil.copytree(digits, bundle)
    (bundle / name).unlink()
    if content is not None:
        (bundle / name).write_text(content)
    return str(bundle)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("inputs.json", "{", "inputs.json: is no JSON"),
        (
            "inputs.json",
            "[]",
            "inputs.json: must be a mapping with some of the keys shape, outputs",
        ),
        ("model.safetensors", "nothing", "model.safetensors: does not hold this model's weights"),
        ("config.yaml", None, "config.yaml: there is no such file"),
        (
            "inputs.json",
            '{"shape": [1, 8, 8], "outputs": 10, "class_names": ["a"], "mean": [0], "std": [1]}',
            "10 outputs, but 1 different class_names",
        ),
        (
            "inputs.json",
            '{"shape": [3, 9, 9], "outputs": 10, "class_names": [], "mean": [0], "std": [1]}',
            "does not hold this model's weights",
        ),
        (
            "inputs.json",
            '{"shape": [1, 8, 8], "outputs": 10, "class_names": [], "mean": [0, 1], "std": [1]}',
            "mean and std need 1 or 1 numbers each",
        ),
        (
            "inputs.json",
            json.dumps({**DIGITS, "std": [1e-300]}),
            "give no finite answer",
        ),
    ],
)
def test_a_damaged_bundle_is_one_clear_message(
    name: str,
    content: str | None,
    told: str,
    digits: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = tmp_path / "image.png"
    Image.new("L", (8, 8)).save(image)
    capsys.readouterr()
    bundle = spoiled(digits, tmp_path, name, content)
    assert told in message(capsys, "predict", bundle, str(image))


def test_an_image_that_is_none_is_one_clear_message(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    bundle = str(digits)
    text = tmp_path / "text.png"
    text.write_text("no picture")
    assert "text.png: is no picture that can be read" in message(
        capsys, "predict", bundle, str(text)
    )
    deep = tmp_path / "deep.png"
    Image.fromarray(np.zeros((8, 8), dtype=np.uint16)).save(deep)
    assert "deep.png: has more than 8 bits a channel" in message(
        capsys, "predict", bundle, str(deep)
    )
    assert "there is no such file" in message(capsys, "predict", bundle, str(tmp_path / "none.png"))
    assert "is a folder" in message(capsys, "predict", bundle, str(tmp_path))
    assert "FILE" in message(capsys, "predict", bundle)
    whole = tmp_path / "whole.png"
    Image.new("RGBA", (8, 8)).save(whole)
    torn = tmp_path / "torn.png"
    torn.write_bytes(whole.read_bytes()[:50])
    assert "torn.png: is no picture" in message(capsys, "predict", bundle, str(torn))
    odd = tmp_path / "a$_$.png"
    shutil.copy(whole, odd)
    assert main(["predict", bundle, str(odd), "-o", str(tmp_path / "answer.png")]) == 0


def test_a_bundle_of_an_earlier_version_is_asked_all_the_same(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "image.png"
    Image.new("L", (8, 8)).save(image)
    earlier = spoiled(digits, tmp_path, "inputs.json", None)
    assert predict(Path(earlier), [image]) != []


def test_a_photo_is_read_upright_for_training_and_for_prediction(tmp_path: Path) -> None:
    turned = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 12)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    folder = tmp_path / "train" / "only"
    folder.mkdir(parents=True)
    turned.save(folder / "photo.png", exif=exif)
    trained, _ = read(Dataset(name="image_folder", root=str(tmp_path)), "train")
    asked = read_picture(folder / "photo.png", 3)
    assert np.array_equal(trained.inputs[0], asked.pixels)
    assert np.array_equal(asked.pixels, np.asarray(turned).transpose(2, 0, 1)[:, ::-1, ::-1])


def test_a_regression_has_no_pictures_to_look_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metric = {"name": "val_loss", "mode": "min"}
    bundle = bundle_of(tmp_path, dataset={"name": "diabetes"}, metric=metric)
    image = tmp_path / "image.png"
    Image.new("L", (8, 8)).save(image)
    capsys.readouterr()
    told = message(capsys, "predict", str(bundle), str(image))
    assert "is no classifier of pictures" in told


def test_an_experiment_with_repeats_cannot_have_none(tmp_path: Path) -> None:
    for value in (0, -1, 1.5, "two"):
        with pytest.raises(InputError, match="repeats"):
            examples.experiment(repeats=value)
